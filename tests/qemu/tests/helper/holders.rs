//! What whoever holds a TAP can do to it ends with the grant: the kernel lets them change its MAC, make it
//! persistent and give it away; the keeper, `up`, `doctor` and `ports --revoke` have the last word.

use std::time::Duration;

use rig::companion::{DONE, DRIFTED, FAILED, NOT_UP};
use rig::house::{HELPER, House, VMNET};
use rig::tap::TapHolder;

const ASK: [&str; 3] = [HELPER, "--br=lab", "--fd={fd}"];
const SOON: Duration = Duration::from_secs(10);
/// Long enough for the keeper to have done what it would do.
const A_WHILE: Duration = Duration::from_millis(500);

/// A house with a system log, whose network `lab` has this file and is up.
fn house(test: &str, toml: &str) -> Option<House> {
    let house = House::with_companion(test)?;
    house.start_syslog();
    house.describe("lab", toml);
    house.write_file("/etc/vmnet/bridge.conf", "allow lab\n");
    house.set_tun_mode(0o666);
    house.up("lab");
    Some(house)
}

#[track_caller]
fn hold(house: &House) -> TapHolder {
    house.ask_tap("alice", &ASK).unwrap_or_else(|why| panic!("{why}"))
}

#[track_caller]
fn tell(holder: &mut TapHolder, act: &str) {
    holder.tell(act).unwrap_or_else(|why| panic!("{act}: {why}"));
}

fn mac(house: &House, name: &str) -> String {
    house.link(name).and_then(|link| Some(link["address"].as_str()?.to_owned())).unwrap_or_default()
}

/// Ends the network's keeper without its doing.
#[track_caller]
fn without_keeper(house: &House) {
    let keeper = house.keeper("lab");
    house.sh(&format!("kill -9 {keeper}"));
    let gone = || house.run(&["test", "-e", &format!("/proc/{keeper}")]).code() != 0;
    assert!(house.wait_until(SOON, gone), "it cannot be killed");
}

fn is_port(house: &House, name: &str) -> bool {
    house.link(name).is_some_and(|link| link["master"] == "lab")
}

/// Fails if the TAP is no port of `lab` some time later.
#[track_caller]
fn assert_stays(house: &House, name: &str) {
    assert!(!house.wait_until(A_WHILE, || !is_port(house, name)), "{name} went");
}

#[test]
fn a_mac_that_its_holder_changed_is_put_back_told_once_and_not_for_ever() {
    let name = "a_mac_that_its_holder_changed_is_put_back_told_once_and_not_for_ever";
    let Some(house) = house(name, "") else { return };
    let mut holder = hold(&house);
    let own = mac(&house, &holder.name);
    assert!(own.starts_with("fe:"), "{own}");
    // One that a guest may have; the bridge would keep for itself what is sent to it.
    for round in 0..5 {
        tell(&mut holder, "mac 52:54:00:00:00:07");
        let back = || mac(&house, &holder.name) == own;
        assert!(house.wait_until(SOON, back), "round {round}: {}", mac(&house, &holder.name));
        assert_eq!(house.drift("lab"), (DONE, vec![]));
    }
    let told = format!("port {} (user alice, pid ", holder.name);
    let lines = || house.log().lines().filter(|line| line.contains(&told)).count();
    assert_eq!(lines(), 1, "{}", house.log());
    assert!(house.log().contains("its MAC was changed; it is put back"), "{}", house.log());
    tell(&mut holder, "mac 52:54:00:00:00:07");
    house.assert_gone(&holder.name);
    assert!(house.wait_until(SOON, || lines() == 2), "{}", house.log());
    assert!(holder.tell("persist 1").is_err(), "it holds nothing any more");
    let exceeded = format!("exceeded: user=alice bridge=lab port={}: its MAC was changed", holder.name);
    assert!(house.log().contains(&exceeded), "{}", house.log());
}

#[test]
fn what_was_changed_while_no_keeper_ran_is_found_by_status_and_by_the_next_keeper() {
    let name = "what_was_changed_while_no_keeper_ran_is_found_by_status_and_by_the_next_keeper";
    let Some(house) = house(name, "") else { return };
    let mut holder = hold(&house);
    let own = mac(&house, &holder.name);
    let aspect = format!("holder of {}", holder.name);
    let change = |holder: &mut TapHolder| {
        without_keeper(&house);
        tell(holder, "mac 52:54:00:00:00:07");
        let (code, drifted) = house.drift("lab");
        assert!(code == DRIFTED && drifted.contains(&aspect), "{drifted:?}");
    };
    change(&mut holder);
    house.up("lab");
    assert_eq!(mac(&house, &holder.name), own);
    change(&mut holder);
    let keeper = house.start_keeper("lab");
    assert!(house.wait_until(SOON, || mac(&house, &holder.name) == own), "{}", keeper.said());
    house.assert_up("lab");
    // One that was made to stay, and left.
    without_keeper(&house);
    tell(&mut holder, "persist 1");
    let left = holder.name.clone();
    assert!(house.findings(&[]).iter().any(|finding| finding.id == "tap-loose" && finding.object == left));
    drop(holder);
    let nobody = || house.link(&left).is_some_and(|link| link["operstate"] == "DOWN");
    assert!(house.wait_until(SOON, nobody), "{:#?}", house.link(&left));
    let (code, drifted) = house.drift("lab");
    assert!(code == DRIFTED && drifted.contains(&aspect), "{drifted:?}");
    assert!(house.findings(&[]).iter().any(|finding| finding.id == "network-drifted"));
    assert!(house.up("lab").stdout.contains("lab is up"));
    assert!(house.link(&left).is_none(), "`up` leaves it");
}

#[test]
fn a_tap_that_its_holder_made_persistent_or_gave_away_goes_when_he_does() {
    let name = "a_tap_that_its_holder_made_persistent_or_gave_away_goes_when_he_does";
    let Some(house) = house(name, "") else { return };
    for (acts, words) in [
        (&["persist 1"][..], "it was made persistent"),
        (&["owner 1001", "persist 1"], "it was given to another user"),
        (&["group 2002", "persist 1", "mac 02:00:00:00:00:01"], "it was given to another user"),
    ] {
        let mut holder = hold(&house);
        for act in acts {
            tell(&mut holder, act);
        }
        let told = || house.log().lines().any(|l| l.contains(&holder.name) && l.contains(words));
        assert!(house.wait_until(SOON, told), "{words}: {}", house.log());
        assert_stays(&house, &holder.name);
        assert_eq!(house.drift("lab"), (DONE, vec![]), "nothing can be done yet");
        let left = holder.name.clone();
        drop(holder);
        house.assert_gone(&left);
        assert!(
            house.wait_until(SOON, || house
                .log()
                .lines()
                .any(|l| l.contains(&format!("port={left}: ")) && l.contains("it is deleted"))),
            "{}",
            house.log()
        );
    }
    // Who thinks better of it is left alone.
    let mut holder = hold(&house);
    tell(&mut holder, "persist 1");
    tell(&mut holder, "persist 0");
    assert_stays(&house, &holder.name);
}

#[test]
fn with_guard_a_holder_who_goes_too_far_loses_his_port_at_once() {
    let name = "with_guard_a_holder_who_goes_too_far_loses_his_port_at_once";
    let Some(house) = house(name, "guard = true\n") else { return };
    let innocent = hold(&house);
    for act in ["mac 02:00:00:00:00:01", "persist 1", "owner 1001", "group 1000"] {
        let mut holder = hold(&house);
        let own = mac(&house, &holder.name);
        tell(&mut holder, act);
        if act.starts_with("mac") {
            // Once it may have been another program's doing.
            assert!(house.wait_until(SOON, || mac(&house, &holder.name) == own), "{own}");
            tell(&mut holder, act);
        }
        house.assert_gone(&holder.name);
        assert!(holder.tell("persist 1").is_err());
        let exceeded = format!("exceeded: user=alice bridge=lab port={}: ", holder.name);
        assert!(house.wait_until(SOON, || house.log().contains(&exceeded)), "{act}: {}", house.log());
    }
    assert_stays(&house, &innocent.name);
    // While no keeper ran: the next `up`.
    without_keeper(&house);
    let mut holder = hold(&house);
    tell(&mut holder, "persist 1");
    let (code, drifted) = house.drift("lab");
    assert!(code == DRIFTED && drifted.contains(&format!("holder of {}", holder.name)), "{drifted:?}");
    house.up("lab");
    assert!(house.link(&holder.name).is_none());
    assert_stays(&house, &innocent.name);
}

#[test]
fn a_kept_taps_holder_may_let_it_go_but_not_give_it_away() {
    let name = "a_kept_taps_holder_may_let_it_go_but_not_give_it_away";
    let Some(house) = house(name, "") else { return };
    let add = || house.run_as("alice", &[VMNET, "tap", "add", "lab"]).success().trim().to_owned();
    let given = add();
    let mut holder = house.open_tap("alice", &given, false).unwrap_or_else(|why| panic!("{why}"));
    let own = mac(&house, &given);
    tell(&mut holder, "mac 02:00:00:00:00:01");
    assert!(house.wait_until(SOON, || mac(&house, &given) == own), "{}", mac(&house, &given));
    tell(&mut holder, "owner 1001");
    assert_stays(&house, &given);
    drop(holder);
    house.assert_gone(&given);
    let let_go = add();
    let mut holder = house.open_tap("alice", &let_go, false).unwrap_or_else(|why| panic!("{why}"));
    tell(&mut holder, "persist 0");
    assert_stays(&house, &let_go);
    drop(holder);
    house.assert_gone(&let_go);
    // Nobody opens it without a carrier, so nobody is cut off.
    let quiet = add();
    let mut holder = house.open_tap("alice", &quiet, false).unwrap_or_else(|why| panic!("{why}"));
    tell(&mut holder, "carrier 0");
    assert_stays(&house, &quiet);
}

#[test]
fn links_that_are_not_ours_are_never_touched() {
    let name = "links_that_are_not_ours_are_never_touched";
    let Some(house) = house(name, "guard = true\n") else { return };
    house.sh("ip tuntap add dev mine mode tap user alice; ip link set mine master lab up");
    house.sh("ip tuntap add dev other mode tap user bob");
    house.sh("ip link set mine address 02:00:00:00:00:01; ip link set other address 02:00:00:00:00:02");
    house.plug_in("guest", "lab");
    house.sh("ip link set guest address 02:00:00:00:00:03");
    assert_stays(&house, "mine");
    house.sh(&format!("kill -HUP {}", house.keeper("lab")));
    assert_stays(&house, "mine");
    assert_stays(&house, "guest");
    for (link, address) in
        [("mine", "02:00:00:00:00:01"), ("other", "02:00:00:00:00:02"), ("guest", "02:00:00:00:00:03")]
    {
        assert_eq!(mac(&house, link), address, "{link}");
    }
    assert_eq!(house.drift("lab"), (DONE, vec![]));
}

#[test]
fn of_a_tap_with_several_queues_strangers_get_none() {
    let name = "of_a_tap_with_several_queues_strangers_get_none";
    let Some(house) = house(name, "") else { return };
    let vmm = house.spawn(
        rig::house::As::User("alice"),
        &[VMNET, "exec", "lab", "--queues=3", "--", "sh", "-c", "echo started; exec sleep 60"],
    );
    vmm.line(SOON, |line| line == "started").unwrap_or_else(|why| panic!("{why}"));
    let (_, ports) = house.json(&["ports", "lab"]);
    let tap = ports["ports"][0]["port"].as_str().expect("a port").to_owned();
    let refused = house.open_tap("bob", &tap, true).err();
    assert_eq!(refused.as_deref(), Some("refused: Operation not permitted (os error 1)"));
    let link = house.link(&tap).expect("the TAP");
    assert_eq!(link["linkinfo"]["info_data"]["persist"], false, "{link}");
    assert_stays(&house, &tap);
    drop(vmm);
    house.assert_gone(&tap);
}

#[test]
fn whoever_gets_hold_of_a_tap_while_it_is_made_gets_no_port() {
    let name = "whoever_gets_hold_of_a_tap_while_it_is_made_gets_no_port";
    let Some(house) = house(name, "") else { return };
    let queues = |link: &serde_json::Value| link["linkinfo"]["info_data"]["numqueues"].as_u64().unwrap_or(0);
    let mut lost = 0;
    for _ in 0..20 {
        let racer = house.race_for_tap("bob", "vmtapq");
        let add = [VMNET, "tap", "add", "lab", "--queues", "--name", "vmtapq"];
        let added = house.run_as("alice", &add);
        let link = house.link("vmtapq");
        if added.code() == DONE {
            let link = link.expect("her TAP");
            assert!(link["master"] == "lab" && queues(&link) == 0, "{link}");
            house.run_as("alice", &[VMNET, "tap", "rm", "vmtapq"]).success();
        } else {
            assert!(added.complaint(FAILED).contains("another process opened 'vmtapq'"), "{added}");
            // All that he has is a link that leads nowhere.
            assert!(link.is_none_or(|link| link["master"].is_null() && link["ifalias"].is_null()));
            lost += 1;
        }
        drop(racer);
        house.assert_gone("vmtapq");
    }
    println!("{lost} of 20 times he was in time");
}

#[test]
fn a_storm_of_changes_ends_with_its_port_and_keeps_nobody_from_being_seen_to() {
    let name = "a_storm_of_changes_ends_with_its_port_and_keeps_nobody_from_being_seen_to";
    let Some(house) = house(name, "") else { return };
    for (acts, ends) in [
        ("mac 02:00:00:00:00:09;mac 02:00:00:00:00:0a", true),
        ("persist 1;persist 0", true),
        ("owner 1001;owner 1000;persist 1;persist 0;mac 02:00:00:00:00:09", true),
        // Nothing that he may not do.
        ("owner 1000", false),
    ] {
        let (mut storm, mut other) = (hold(&house), hold(&house));
        let own = mac(&house, &other.name);
        storm.begin(&format!("storm {acts}"));
        tell(&mut other, "mac 52:54:00:00:00:07");
        let back = || mac(&house, &other.name) == own;
        assert!(house.wait_until(SOON, back), "{acts}: {}", house.log());
        if ends {
            house.assert_gone(&storm.name);
        }
        assert_stays(&house, &other.name);
        drop(storm);
        house.assert_up("lab");
    }
}

#[test]
fn root_takes_a_port_away_and_whoever_held_it_holds_nothing() {
    let name = "root_takes_a_port_away_and_whoever_held_it_holds_nothing";
    let Some(house) = house(name, "") else { return };
    let (mut holder, other) = (hold(&house), hold(&house));
    let revoke = |port: &str| house.vmnet(&["ports", "lab", "--revoke", port]);
    let plain = house.run_as("alice", &[VMNET, "ports", "lab", "--revoke", &other.name]);
    assert!(plain.complaint(FAILED).contains("only root can"), "{plain}");
    let done = revoke(&holder.name);
    assert!(done.success().starts_with(&format!("{} (user alice, pid ", holder.name)), "{done}");
    assert!(done.stdout.ends_with(" is gone\n"), "{done}");
    assert!(house.link(&holder.name).is_none());
    assert!(holder.tell("persist 1").is_err());
    let line = format!("revoked: user=alice bridge=lab port={}: by uid 0", holder.name);
    assert!(house.wait_until(SOON, || house.log().contains(&line)), "{}", house.log());
    assert_stays(&house, &other.name);

    // Any port, whoever made it; no other link.
    house.plug_in("guest", "lab");
    assert_eq!(revoke("guest").success(), "guest is gone\n");
    house.sh("ip link add aside type veth peer name beside");
    for (port, why) in
        [("aside", "no port of network 'lab'"), ("lab", "no port of"), ("absent", "no port of")]
    {
        let refused = revoke(port);
        assert!(refused.complaint(FAILED).contains(why), "{refused}");
    }
    house.sh("ip link show aside; ip link show lab");
    assert_eq!(house.vmnet(&["ports", "nowhere", "--revoke", "aside"]).code(), NOT_UP);
    let kept = house.run_as("alice", &[VMNET, "tap", "add", "lab"]).success().trim().to_owned();
    assert_eq!(revoke(&kept).success(), format!("{kept} (kept for user alice) is gone\n"));
}
