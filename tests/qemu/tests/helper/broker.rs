//! The broker: a helper without rights gets from it what a setuid helper gets by itself, wherever the caller
//! is, by the same rules and with the same words.

use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use rig::catch::{Caught, Holder};
use rig::guest::{Plan, available};
use rig::house::{As, CATCH, HELPER, House, Privilege, VMNET};

const ALICE: As<'_> = As::User("alice");
const ASK: [&str; 3] = [HELPER, "--br=br0", "--fd={fd}"];
const PATIENCE: Duration = Duration::from_secs(20);
const RULES: &str = "/etc/vmnet/bridge.conf";

#[test]
fn a_helper_without_rights_gets_its_port_from_the_broker() {
    let name = "a_helper_without_rights_gets_its_port_from_the_broker";
    let Some((house, _broker)) = House::with_broker(name, "# who\nallow br0 user=alice\n") else { return };
    house.start_syslog();
    for settings in [&[][..], &["--no-new-privileges"]] {
        let caught = house.catch_with(ALICE, settings, &ASK);
        let tap = caught.tap();
        assert_eq!(tap.master.as_deref(), Some("br0"));
        assert!(tap.alias.starts_with("vmnet br0 uid=1000 pid="), "{tap:?}");
        assert!(tap.up && tap.read_write && !tap.nonblocking, "{tap:?}");
        assert_eq!((caught.stdout.as_str(), caught.stderr.as_str()), ("", ""));
    }
    let granted = |line: &&str| {
        line.contains("vmnet-broker[")
            && line.contains("granted: user=alice uid=1000 bridge=br0 tap=vmtap")
            && line.contains("rule=/etc/vmnet/bridge.conf:2")
    };
    let logged = || house.log().lines().filter(granted).count() == 2;
    assert!(house.wait_until(Duration::from_secs(10), logged), "{}", house.log());
}

#[test]
fn whom_the_rules_refuse_hears_what_a_setuid_helper_says() {
    let name = "whom_the_rules_refuse_hears_what_a_setuid_helper_says";
    let Some((house, _broker)) = House::with_broker(name, "allow br0 user=bob\ndeny br1\n") else { return };
    house.write_file("/etc/vmnet/secret.conf", "allow br0\n");
    house.sh("ip link add veth0 type veth peer name veth1; ip link add br1 type bridge");
    let setuid = "/tmp/house/setuid-helper";
    house.sh(&format!("cp {HELPER} {setuid}; chmod 4755 {setuid}"));
    let bridges = ["br0", "br1", "absent0", "veth0"];
    let compare = |rules: &str| {
        house.write_file(RULES, rules);
        for bridge in bridges {
            let bridge = format!("--br={bridge}");
            let ask = |helper: &str| house.catch("alice", &[helper, &bridge, "--fd={fd}"]);
            let (broker, setuid) = (ask(HELPER), ask(setuid));
            assert_eq!((broker.exit, broker.fds), (setuid.exit, setuid.fds), "{rules} {bridge}");
            assert_eq!(broker.stderr, setuid.stderr, "{rules} {bridge}");
        }
    };
    compare("allow br0 user=bob\n");
    compare("allow all\ndeny br1\n");
    compare("allow br0 ports=0\n");
    compare("allow br0\npermit br1\n");
    compare("allow br0\ninclude /etc/vmnet/secret.conf\ninclude /no/such/file\n");
    house.run(&["rm", RULES]).success();
    assert!(house.catch("alice", &ASK).refusal().contains("failed to parse default acl file"));
}

#[test]
fn a_group_counts_that_the_caller_has_only_as_a_supplementary_one() {
    let name = "a_group_counts_that_the_caller_has_only_as_a_supplementary_one";
    let Some((house, _broker)) = House::with_broker(name, "allow br0 group=vmusers\n") else { return };
    house.catch("alice", &ASK).tap();
    assert!(house.catch("bob", &ASK).refusal().contains("access denied by acl file"));
    house.catch_with(As::UserWithGroups("bob", "2001"), &[], &ASK).tap();
    let many: Vec<String> = (3000..3200).chain([2001]).map(|gid: u32| gid.to_string()).collect();
    house.catch_with(As::UserWithGroups("bob", &many.join(",")), &[], &ASK).tap();
    house.catch_with(As::UserWithGroups("alice", ""), &[], &ASK).refusal();
    house.write_file(RULES, "allow br0\ndeny br0 group=2002\n");
    house.catch_with(As::UserWithGroups("bob", "2002"), &[], &ASK).refusal();
}

#[test]
fn of_a_hundred_at_once_exactly_the_eight_allowed_get_a_port() {
    let name = "of_a_hundred_at_once_exactly_the_eight_allowed_get_a_port";
    let Some((house, _broker)) = House::with_broker(name, "allow br0 ports=8\n") else { return };
    house.catch("alice", &ASK).tap();
    let gone = || house.sh("ls /sys/class/net/br0/brif").is_empty();
    assert!(house.wait_until(PATIENCE, gone), "{}", house.sh("ip link"));
    let holders: Vec<Holder> = std::thread::scope(|scope| {
        let ask = || house.hold_with(ALICE, &["--patience=60"], &ASK);
        let threads: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a caller")).collect()
    });
    let refused: Vec<&Caught> =
        holders.iter().map(|holder| &holder.caught).filter(|caught| !caught.granted()).collect();
    assert_eq!(refused.len(), 92);
    for caught in refused {
        assert!(caught.refusal().contains("all 8 ports allowed to you are in use"), "{caught:#?}");
    }
}

/// What a container makes of its inside: a user namespace, in which a plain user is root.
const AS_ROOT: [&str; 4] = ["unshare", "--user", "--map-root-user", "--"];

#[test]
fn in_a_user_namespace_the_uid_outside_counts_even_for_its_root() {
    let name = "in_a_user_namespace_the_uid_outside_counts_even_for_its_root";
    let Some((house, _broker)) = House::with_broker(name, "allow br0 user=alice\n") else { return };
    house.catch("alice", &ASK).tap();
    let own_net = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--"];
    for before in [&AS_ROOT[..], &["unshare", "--user", "--"], &own_net] {
        for (user, allowed) in [("alice", true), ("bob", false)] {
            let argv = [before, &[CATCH, "--", HELPER, "--br=br0", "--fd={fd}"]].concat();
            let said = house.run_as(user, &argv);
            let is_granted = said.success().contains("\"exit\":0,\"fds\":1");
            assert_eq!(is_granted, allowed, "{before:?} {said}");
            assert_eq!(said.stdout.contains("access denied by acl file"), !allowed, "{before:?} {said}");
        }
    }
}

/// A root directory of its own: programs, and the socket. No rules, no users, no /dev/net, no
/// /proc, no /sys.
const CONTAINER: &str = r#"
root=/tmp/container
mkdir -p $root
mount -t tmpfs container $root
mkdir -p $root/run/vmnet $root/usr $root/old $root/dev
mkdir -m 1777 $root/tmp
cp /tmp/house/catch "$1" $root/
mount --bind /usr $root/usr
for folder in bin lib lib64; do ln -s usr/$folder $root/$folder; done
for place in dev/null run/vmnet/broker.sock; do
    touch $root/$place
    mount --bind /$place $root/$place
done
cd $root
pivot_root . old
cd /
busybox umount -l /old
exec setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs --bounding-set=-all \
    /catch -- /vmnet-bridge-helper --br=br0 --fd={fd}
"#;

#[test]
fn in_a_container_the_helper_and_the_socket_are_all_it_takes() {
    let name = "in_a_container_the_helper_and_the_socket_are_all_it_takes";
    let Some((house, _broker)) = House::with_broker(name, "allow br0 user=alice\n") else { return };
    house.catch("alice", &ASK).tap();
    let unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--uts", "--ipc", "--"];
    let argv = [&unshare[..], &["bash", "-euc", CONTAINER, "bash", HELPER]].concat();
    let said = house.run(&argv);
    assert!(said.success().contains("\"exit\":0,\"fds\":1"), "{said}");
}

#[test]
fn a_port_is_known_by_the_process_that_holds_it_and_the_network_starts_by_itself() {
    let name = "a_port_is_known_by_the_process_that_holds_it_and_the_network_starts_by_itself";
    let Some((house, mut broker)) = House::with_broker(name, "allow brmgr0 user=alice\n") else { return };
    let holder = house.hold("alice", &[HELPER, "--br=brmgr0", "--fd={fd}"]);
    let tap = holder.caught.tap().name.clone();
    let (_, value) = house.json(&["ports", "brmgr0"]);
    let port = &value["ports"][0];
    assert_eq!(
        (port["port"].as_str(), port["user"].as_str()),
        (Some(tap.as_str()), Some("alice")),
        "{value}"
    );
    assert_eq!(port["program"].as_str(), Some("catch"), "{value}");
    // The keeper that came up with the network is not the broker's.
    house.assert_up("brmgr0");
    house.run(&["kill", "-KILL", &house.broker()]).success();
    broker.wait(PATIENCE);
    house.assert_up("brmgr0");
    assert!(house.keeper("brmgr0") > 1);
    let (_alpha, answer) = house.leased_station("alpha", "brmgr0");
    assert!(answer.get("ip").starts_with("10.0.1."), "{answer:?}");
    assert!(house.sh("ls /sys/class/net/brmgr0/brif").contains(&tap), "the port is gone");
    drop(holder);
    house.vmnet(&["down", "brmgr0", "--force"]).success();
}

#[test]
fn a_guest_of_a_qemu_in_its_sandbox_gets_its_lease() {
    let name = "a_guest_of_a_qemu_in_its_sandbox_gets_its_lease";
    if !available(name) {
        return;
    }
    let Some((house, _broker)) = House::with_broker(name, "allow brmgr0\n") else { return };
    let _outside = house.with_outside();
    let plan = Plan::new("alpha", "alice", &format!("bridge,br=brmgr0,helper={HELPER}"));
    let mut guest = plan.with_arguments(&["-sandbox", "on"]).boot(&house);
    assert!(guest.lease.get("address").starts_with("10.0.1."), "{}", guest.said());
    assert!(guest.reaches("gateway"), "{}", guest.said());
    // A setuid helper gets nowhere there.
    house.run(&["kill", "-TERM", &house.broker()]).success();
    house.install_with(Privilege::Setuid);
    let plan = Plan::new("beta", "alice", &format!("bridge,br=brmgr0,helper={HELPER}"));
    let refusal = plan.with_arguments(&["-sandbox", "on"]).start(&house).refusal();
    assert!(refusal.contains("no_new_privs is set"), "{refusal}");
    guest.power_off();
}

#[test]
fn without_a_broker_the_helper_still_says_why() {
    let name = "without_a_broker_the_helper_still_says_why";
    let Some((house, mut broker)) = House::with_broker(name, "allow br0\n") else { return };
    let not_installed = "neither setuid root nor has it cap_net_admin";
    house.catch("alice", &ASK).tap();
    house.run(&["kill", "-KILL", &house.broker()]).success();
    broker.wait(PATIENCE);
    // Its socket is still there, and nobody answers.
    assert!(house.outside_path(rig::broker::SOCKET).exists());
    assert!(house.catch("alice", &ASK).refusal().contains(not_installed));
    let mut broker = house.start_broker();
    house.catch("alice", &ASK).tap();
    house.run(&["kill", "-TERM", &house.broker()]).success();
    assert!(broker.wait(PATIENCE).success());
    assert!(!house.outside_path(rig::broker::SOCKET).exists());
    assert!(house.catch("alice", &ASK).refusal().contains(not_installed));
}

/// Puts a program in vmnet's place, while the broker runs on.
fn replace_vmnet(house: &House, script: &str) {
    house.sh(&format!("mv {VMNET} {VMNET}.real"));
    house.write_file_for(VMNET, 0o755, (0, 0), script);
}

#[test]
fn a_network_that_hangs_while_it_starts_is_told_in_time_and_holds_up_nobody() {
    let name = "a_network_that_hangs_while_it_starts_is_told_in_time_and_holds_up_nobody";
    let Some((house, _broker)) = House::with_broker(name, "allow brmgr0\nallow br0\n") else { return };
    replace_vmnet(&house, "#!/bin/sh\nexec sleep 1000\n");
    let slow = |user: &str| {
        house.catch_with(As::User(user), &["--patience=40"], &[HELPER, "--br=brmgr0", "--fd={fd}"])
    };
    // They may stop the worker that has their ids, as they may stop a setuid helper. It is ended then.
    let stop = ["pkill", "-STOP", "--uid", "bob", "--full", "vmnet broker"];
    std::thread::scope(|scope| {
        let (alices, bobs) = (scope.spawn(|| slow("alice")), scope.spawn(|| slow("bob")));
        let stopped = || house.run_as("bob", &stop).code() == 0;
        assert!(house.wait_until(Duration::from_secs(5), stopped), "{}", house.sh("ps -ef"));
        for user in ["alice", "bob"] {
            assert!(house.catch(user, &ASK).took < Duration::from_secs(5));
        }
        let alices = alices.join().expect("alice's caller");
        assert!(alices.refusal().contains("cannot start network 'brmgr0': it took too long"), "{alices:#?}");
        let bobs = bobs.join().expect("bob's caller");
        assert!(bobs.refusal().contains("cannot serve the request: it took too long"), "{bobs:#?}");
        assert!(alices.took < bobs.took && bobs.took < Duration::from_secs(15), "{bobs:#?}");
    });
    house.catch("bob", &ASK).tap();
}

#[test]
fn every_kind_of_port_comes_from_the_broker() {
    let name = "every_kind_of_port_comes_from_the_broker";
    let Some((house, _broker)) = House::with_broker(name, "allow br0\n") else { return };
    let queues =
        [VMNET, "exec", "br0", "--queues", "4", "--", "sh", "-c", "echo {fds}; ls /sys/class/net/br0/brif"];
    let said = house.run_as("alice", &queues);
    let lines: Vec<&str> = said.success().lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert_eq!(lines[0].split(':').count(), 4, "{said}");
    assert!(lines[1].starts_with("vmtap"), "{said}");
    // One that stays, and is its owner's to take away.
    let tap = house.run_as("alice", &[VMNET, "tap", "add", "br0"]).success().trim().to_owned();
    assert!(house.sh("ls /sys/class/net/br0/brif").contains(&tap), "{tap}");
    house.run_as("bob", &[VMNET, "tap", "rm", &tap]).failure(1);
    house.run_as("alice", &[VMNET, "tap", "rm", &tap]).success();
    assert!(!house.sh("ls /sys/class/net/br0/brif").contains(&tap), "{tap}");
    // A namespace of the caller's own, and one that is not.
    let space = ["unshare", "--user", "--map-root-user", "--net", "--", "sleep", "55"];
    let _alices = house.spawn(ALICE, &space);
    let pid = || house.sh("pgrep --exact sleep || true").trim().to_owned();
    assert!(house.wait_until(PATIENCE, || !pid().is_empty()), "{}", house.sh("ps -ef"));
    let attach = |user: &str, pid: &str| {
        house.run_as(user, &[VMNET, "attach", "br0", "--pid", pid, "--address", "10.7.0.5/24"])
    };
    attach("alice", &pid()).success();
    assert!(house.sh("ls /sys/class/net/br0/brif").contains("vmveth"), "{}", house.sh("ip link"));
    attach("bob", &pid()).failure(1);
    attach("alice", "1").failure(1);
}

/// A well-formed request of kind 1 for one queue.
fn request(bridge: &str) -> Vec<u8> {
    let mut message = vec![0; 64];
    message[..7].copy_from_slice(b"vmn\x01\x01\x00\x01");
    message[8..8 + bridge.len()].copy_from_slice(bridge.as_bytes());
    message
}

/// What the broker answers to a message with so many descriptors beside it: its words if it refuses.
fn answer(house: &House, message: &[u8], descriptors: usize) -> Option<String> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).expect("a socket");
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(20, 0)).expect("a time limit");
    let address = UnixAddr::new(&house.outside_path(rig::broker::SOCKET)).expect("an address");
    connect(socket.as_raw_fd(), &address).expect("a connection");
    let numbers = vec![socket.as_raw_fd(); descriptors];
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control = if descriptors > 0 { &rights[..] } else { &[] };
    let parts = [std::io::IoSlice::new(message)];
    sendmsg::<()>(socket.as_raw_fd(), &parts, control, MsgFlags::MSG_NOSIGNAL, None).expect("sent");
    let mut buffer = [0; 4096];
    // That the message was closed away unread is told once, before the answer to it.
    let mut hear = || match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
        Err(nix::errno::Errno::ECONNRESET) => recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()),
        heard => heard,
    };
    let size = hear().expect("an answer in time");
    let words = buffer[..size].strip_prefix(b"vmn\x01\x01").map(|w| String::from_utf8_lossy(w).into_owned());
    let rest = recv(socket.as_raw_fd(), &mut [0; 64], MsgFlags::empty());
    assert!(matches!(rest, Ok(0) | Err(nix::errno::Errno::ECONNRESET)), "{rest:?}");
    words
}

#[test]
fn what_is_no_request_is_refused_in_one_line_and_harms_nobody() {
    let name = "what_is_no_request_is_refused_in_one_line_and_harms_nobody";
    let Some((house, mut broker)) = House::with_broker(name, "allow br0\n") else { return };
    assert_eq!(answer(&house, &request("br0"), 0), None, "a request is granted, to root too");
    let with = |at: usize, byte: u8| {
        let mut message = request("br0");
        message[at] = byte;
        message
    };
    let long = request("br0").into_iter().chain([0]).collect::<Vec<u8>>();
    let bad = [
        (b"".to_vec(), 0),
        (b"x".to_vec(), 0),
        (request("br0")[..63].to_vec(), 0),
        (long, 0),
        (vec![b'v'; 100_000], 0),
        (with(0, b'V'), 0),
        (with(3, 2), 0),
        (with(4, 0), 0),
        (with(4, 9), 0),
        (with(5, 0x80), 0),
        (with(6, 0), 0),
        (with(6, 65), 0),
        (with(8, b'/'), 0),
        (with(13, b'x'), 0),
        (with(63, 1), 0),
        (request("br0"), 1),
        (request("br0"), 253),
        (b"".to_vec(), 253),
        // A veth pair without its namespace, with too many, and with something else.
        (veth(), 0),
        (veth(), 2),
        (veth(), 1),
    ];
    for (message, descriptors) in bad {
        let words = answer(&house, &message, descriptors).expect("a refusal");
        assert!(words.starts_with("cannot "), "{message:?} {descriptors}: {words:?}");
        assert!(!words.trim_end().contains('\n') || words.lines().count() == 2, "{words:?}");
        assert!(!words.chars().any(|c| c.is_control() && c != '\n'), "{words:?}");
    }
    house.catch("alice", &ASK).tap();
    assert!(broker.is_running(), "{}", broker.said());
    assert_eq!(broker.said(), "");
}

fn veth() -> Vec<u8> {
    let mut message = request("br0");
    message[4..7].copy_from_slice(&[4, 0, 0]);
    message[24..28].copy_from_slice(b"eth0");
    message[44..50].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    message
}
