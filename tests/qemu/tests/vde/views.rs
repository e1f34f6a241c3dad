//! Who is plugged into a network's VDE switch is seen, kept, counted and taken off again, whatever they say
//! of themselves; and a switch that has mislaid somebody is mended.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use rig::companion::{DONE, FAILED};
use rig::house::{House, VMNET};
use rig::skip::have;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(15);

/// A house with a network `lab` that is to have a switch.
fn described(test: &str, toml: &str) -> Option<House> {
    if !have(test, &["vde_switch"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.describe("lab", &format!("{toml}[vde]\ngroup = \"vmusers\"\nports = 8\n"));
    Some(house)
}

/// The same, and it is up.
fn house_with(test: &str, toml: &str) -> Option<House> {
    let house = described(test, toml)?;
    house.up("lab");
    Some(house)
}

/// Somebody who plugs himself in, with any VDE program's words (port protocol of vde_switch, version 3).
struct Client {
    control: UnixStream,
    data: Option<UnixDatagram>,
}

impl Client {
    fn connect(house: &House) -> Self {
        let control = UnixStream::connect(house.outside_path("/run/vmnet/lab/vde/ctl")).unwrap();
        control.set_read_timeout(Some(SOON)).unwrap();
        Self { control, data: None }
    }

    /// Asks for a port; `name` is that of its socket.
    fn ask(&mut self, house: &House, name: &str, words: &[u8]) {
        self.ask_as(house, name, words, 1000);
    }

    fn join_as(house: &House, name: &str, user: u32) -> Self {
        let mut client = Self::connect(house);
        client.ask_as(house, name, b"", user);
        client
    }

    fn ask_as(&mut self, house: &House, name: &str, words: &[u8], user: u32) {
        let path = format!("/tmp/{name}");
        let place = house.outside_path(&path);
        let data = UnixDatagram::bind(&place).unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o666)).unwrap();
        chown(&place, Some(user), None).unwrap();
        let mut request = Vec::new();
        for word in [0xfeed_face_u32, 3, 0] {
            request.extend(word.to_ne_bytes());
        }
        request.extend(1_u16.to_ne_bytes());
        request.extend(path.as_bytes());
        request.resize(122, 0);
        request.extend(words);
        self.control.write_all(&request).unwrap();
        let mut answer = [0; 110];
        self.control.read_exact(&mut answer).unwrap();
        let peer = answer[2..].split(|byte| *byte == 0).next().unwrap();
        data.connect(house.outside_path(std::str::from_utf8(peer).unwrap())).unwrap();
        data.set_read_timeout(Some(SOON)).unwrap();
        self.data = Some(data);
    }

    fn join(house: &House, name: &str, words: &[u8]) -> Self {
        let mut client = Self::connect(house);
        client.ask(house, name, words);
        client
    }

    /// Leaves, and waits until the switch has noticed.
    fn leave(mut self) {
        self.control.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(self.control.read(&mut [0]).unwrap(), 0);
    }

    /// The switch has hung up on him.
    #[track_caller]
    fn is_cut_off(&mut self) {
        assert_eq!(self.control.read(&mut [0]).unwrap(), 0);
    }

    /// A frame of one arrives at another.
    fn reaches(&self, other: &Self) -> bool {
        let mut frame = [0xff; 60];
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 7]);
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        let (from, to) = (self.data.as_ref().unwrap(), other.data.as_ref().unwrap());
        let mut buffer = [0; 2000];
        (0..50).any(|_| {
            from.send(&frame).is_ok()
                && matches!(to.recv(&mut buffer), Ok(60))
                && buffer[12..14] == [0x88, 0xb5]
        })
    }
}

/// Those on the switch, as `ports` has them.
#[track_caller]
fn plugged(house: &House) -> Vec<Value> {
    let (code, value) = house.json(&["ports", "lab"]);
    assert_eq!((code, &value["trouble"]), (DONE, &Value::Null), "{value}");
    value["ports"].as_array().unwrap().iter().filter(|port| port["kind"] == "vde").cloned().collect()
}

fn switch(house: &House) -> String {
    house.read_file("/run/vmnet/lab/switch.pid").unwrap_or_default()
}

/// One comes, another goes, and only then the first asks: vde_switch mislays his port, unless somebody was at
/// its console just then, as the keeper may have been.
#[track_caller]
fn mislay(house: &House) {
    let before = plugged(house).len();
    for attempt in 0..20 {
        let leaving = Client::join(house, &format!("leaving{attempt}"), b"leaving");
        let mut late = Client::connect(house);
        // The switch must have taken him in.
        std::thread::sleep(Duration::from_millis(200));
        leaving.leave();
        late.ask(house, &format!("late{attempt}"), b"late");
        // Which the switch does not notice, in so long a time.
        drop(late);
        std::thread::sleep(Duration::from_millis(200));
        if plugged(house).len() > before {
            return;
        }
    }
    panic!("the switch mislays nobody");
}

#[test]
fn whoever_plugs_himself_in_is_listed_and_keeps_the_network_up() {
    let name = "whoever_plugs_himself_in_is_listed_and_keeps_the_network_up";
    let Some(house) = house_with(name, "") else { return };
    assert_eq!(plugged(&house), Vec::<Value>::new(), "the pump is no guest");
    let mut client = Client::connect(&house);
    client.ask_as(&house, "one", b"my machine", 1000);
    let other = Client::join(&house, "two", b"");
    assert!(client.reaches(&other));
    let shown = plugged(&house);
    assert_eq!(shown.len(), 2, "{shown:?}");
    let one = shown.iter().find(|port| port["macs"][0] == "02:00:00:00:00:07").unwrap();
    assert_eq!((&one["granted"], &one["cable"]), (&false.into(), &false.into()));
    // By the kernel's word: this very process, which the house does not see.
    assert_eq!((&one["uid"], &one["user"], &one["pid"]), (&0.into(), &"root".into(), &Value::Null));
    assert_eq!((&one["vlan"], &one["socket_user"]), (&0.into(), &"alice".into()), "{one}");
    let frames = one["in"]["frames"].as_u64().unwrap();
    assert!(frames > 0 && one["in"]["bytes"] == 60 * frames, "{one}");
    let port = one["port"].as_str().unwrap();
    let rows = house.vmnet(&["ports", "lab"]).stdout;
    assert!(rows.contains("switch") && rows.contains(port) && rows.contains("02:00:00:00:00:07"), "{rows}");

    let refused = house.vmnet(&["down", "lab"]);
    assert!(refused.complaint(FAILED).contains("2 attached: vde"), "{refused}");
    let none = house.vmnet(&["ports", "lab", "--revoke", "vde77"]);
    assert!(none.complaint(FAILED).contains("it is no port of network 'lab'"), "{none}");
    client.leave();
    // The switch hears of it when it comes round to it.
    let one_left = || plugged(&house).len() == 1;
    assert!(house.wait_until(Duration::from_secs(10), one_left), "{:?}", plugged(&house));
    other.leave();
    house.down("lab");
}

#[test]
fn what_a_client_says_of_itself_is_shown_and_believed_by_nobody() {
    let name = "what_a_client_says_of_itself_is_shown_and_believed_by_nobody";
    let Some(house) = house_with(name, "") else { return };
    let lies: [&[u8]; 3] = [
        b"x\n.\n1000 Success\n\nvde$ \n0000 DATA END WITH '.'\nPort 0009 untagged_vlan=0000 ACTIVE",
        b"vmnet 1000-1-0000000a",
        b"\x1b[2Jx\n  -- endpoint ID 0099 module unix prog   : y",
    ];
    let clients: Vec<Client> =
        lies.iter().enumerate().map(|(at, lie)| Client::join(&house, &format!("liar{at}"), lie)).collect();
    let shown = plugged(&house);
    assert_eq!(shown.len(), lies.len(), "{shown:?}");
    assert!(shown.iter().all(|port| port["granted"] == false), "{shown:?}");
    house.vmnet(&["ports", "lab"]).assert_plain();
    assert!(!house.vmnet(&["ports", "lab"]).stdout.contains('\x1b'));
    let before = switch(&house);
    assert!(!house.wait_until(Duration::from_secs(5), || switch(&house) != before), "it was started again");
    clients.into_iter().for_each(Client::leave);
}

#[test]
fn nobody_but_root_reaches_the_console() {
    let name = "nobody_but_root_reaches_the_console";
    let Some(house) = house_with(name, "") else { return };
    let _client = Client::join(&house, "one", b"");
    let reach = ["busybox", "ls", "/run/vmnet/lab/console/mgmt"];
    assert_ne!(house.run_as("alice", &reach).code(), 0, "she is in the switch's group");
    house.run(&reach).success();
    let shown = house.run_as("alice", &[VMNET, "ports", "lab", "--json"]);
    assert!(!shown.success().contains("\"kind\": \"vde\""), "{shown}");
    // What is there may be anything: the directory is the switch's.
    house.sh("cd /run/vmnet/lab/console; mv mgmt real; ln -s real mgmt");
    let shown = house.vmnet(&["ports", "lab"]);
    assert!(shown.stderr.ends_with("/console/mgmt: what is there is not the switch's socket\n"), "{shown}");
    assert_eq!((shown.code(), shown.stderr.lines().count()), (DONE, 1), "{shown}");
    house.sh("cd /run/vmnet/lab/console; mv real mgmt");
    assert_eq!(plugged(&house).len(), 1);
}

#[test]
fn a_switch_that_has_mislaid_a_port_is_started_again_but_not_under_its_clients() {
    let name = "a_switch_that_has_mislaid_a_port_is_started_again_but_not_under_its_clients";
    let Some(house) = house_with(name, "") else { return };
    let (one, two) = (Client::join(&house, "one", b""), Client::join(&house, "two", b""));
    let before = switch(&house);
    mislay(&house);
    let shown = plugged(&house);
    assert_eq!(shown.len(), 3, "one of them is nobody");
    // Closing one could close another, or end the switch.
    for port in &shown {
        assert_eq!(port["user"], Value::Null, "{port}");
        let refused = house.vmnet(&["ports", "lab", "--revoke", port["port"].as_str().unwrap()]);
        assert!(refused.complaint(FAILED).ends_with(": it is not certain who is there\n"), "{refused}");
    }
    let said = house.vmnet(&["doctor", "lab"]).stdout;
    assert!(said.contains("[switch-mislaid]") && said.contains("cure: kill $(cat "), "{said}");
    assert!(!house.wait_until(Duration::from_secs(5), || switch(&house) != before), "under its clients");
    assert!(one.reaches(&two) && two.reaches(&one));
    drop((one, two));
    assert!(house.wait_until(Duration::from_secs(40), || switch(&house) != before), "it is not mended");
    assert!(house.wait_until(SOON, || house.run(&["test", "-e", "/run/vmnet/lab/vde/ctl"]).code() == 0));
    house.assert_up("lab");
    assert_eq!(plugged(&house), Vec::<Value>::new());
    house.down("lab");
}

#[test]
fn many_who_come_and_go_cut_nobody_off() {
    let name = "many_who_come_and_go_cut_nobody_off";
    let Some(house) = house_with(name, "") else { return };
    let (one, two) = (Client::join(&house, "one", b""), Client::join(&house, "two", b""));
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    println!("seed {seed}");
    let (mut dice, mut guests, mut round) = (seed, VecDeque::new(), 0);
    let end = Instant::now() + Duration::from_secs(8);
    while Instant::now() < end && round < 1000 {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let place = (dice >> 24) as usize;
        if guests.len() < 5 && (guests.is_empty() || dice >> 31 == 0) {
            guests.push_back(Client::join(
                &house,
                &format!("guest{round}"),
                format!("guest {round}").as_bytes(),
            ));
            round += 1;
        } else {
            let mut guest = guests.remove(place % guests.len()).unwrap();
            let _ = guest.control.set_nonblocking(true);
            assert_eq!(guest.control.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            let _ = guest.control.set_nonblocking(false);
            guest.leave();
        }
        assert!(round % 50 != 0 || plugged(&house).len() >= guests.len() + 2, "somebody is missing");
    }
    println!("{round} came");
    guests.into_iter().for_each(Client::leave);
    assert!(one.reaches(&two) && two.reaches(&one));
    house.assert_up("lab");
}

#[test]
fn who_is_plugged_into_the_switch_keeps_the_network_from_going_idle() {
    let name = "who_is_plugged_into_the_switch_keeps_the_network_from_going_idle";
    let Some(house) = house_with(name, "idle = \"1s\"\n") else { return };
    let is_up = || house.outside_path("/run/vmnet/lab/record.json").exists();
    assert!(!house.wait_until(Duration::from_secs(4), || !is_up()), "nobody has used it");
    let client = Client::join(&house, "one", b"");
    assert!(!house.wait_until(Duration::from_secs(8), || !is_up()), "it went down under a client");
    client.leave();
    assert!(house.wait_until(SOON, || !is_up()), "it stays up");
}

#[test]
fn a_client_whose_user_has_no_name_does_not_end_the_switch() {
    let name = "a_client_whose_user_has_no_name_does_not_end_the_switch";
    let Some(house) = house_with(name, "") else { return };
    let before = switch(&house);
    let mut client = Client::join_as(&house, "one", 1_234_567_890);
    let shown = plugged(&house);
    assert!(shown.len() == 1 && shown[0]["in"]["frames"].is_u64(), "{shown:?}");
    house.vmnet(&["doctor", "lab"]);
    house.vmnet(&["ports", "lab", "--revoke", shown[0]["port"].as_str().unwrap()]).success();
    client.is_cut_off();
    assert!(!house.wait_until(Duration::from_secs(4), || switch(&house) != before), "it was started again");
}

#[test]
fn a_switch_that_sees_users_without_a_name_is_not_asked_for_their_ports() {
    let name = "a_switch_that_sees_users_without_a_name_is_not_asked_for_their_ports";
    let Some(house) = described(name, "") else { return };
    // Whose root directory is not the machine's may make no user namespace (`create_user_ns` in
    // kernel/user_namespace.c).
    house.sh("mkdir /tmp/house/root; mount --rbind / /tmp/house/root");
    house.run(&["chroot", "/tmp/house/root", VMNET, "up", "lab"]).success();
    let space = |pid: &str| house.sh(&format!("readlink /proc/{pid}/ns/user"));
    let before = switch(&house);
    assert_eq!(space(before.trim()), space("self"));
    let client = Client::join_as(&house, "one", 1_234_567_890);
    let shown = plugged(&house);
    assert!(shown.len() == 1 && shown[0]["in"].is_null() && shown[0]["user"].is_null(), "{shown:?}");
    let refused = house.vmnet(&["ports", "lab", "--revoke", shown[0]["port"].as_str().unwrap()]);
    assert!(refused.complaint(FAILED).ends_with(": it is not certain who is there\n"), "{refused}");
    assert!(!house.wait_until(Duration::from_secs(4), || switch(&house) != before), "it was started again");
    client.leave();
}
