//! A network that joins a switch which somebody else runs: one wire with it, through its deaths, and
//! no owner of it.

use rig::house::{As, House};
use rig::process::Process;
use std::time::Duration;

const SWITCH: &str = "/tmp/bob/wire";

/// A house with a network that joins bob's switch.
fn house(test: &str) -> Option<House> {
    let house = House::with_companion(test)?;
    house.sh("install -d -o bob -g bob -m 755 /tmp/bob");
    house.describe("lab", &format!("subnet = \"10.0.1.0/24\"\n[vde]\nsocket = \"{SWITCH}\"\n"));
    Some(house)
}

/// Bob's switch. It ends when it is dropped, as by kill -9.
#[track_caller]
fn switch(house: &House) -> Process {
    let switch = house.spawn(As::User("bob"), &["vde_switch", "-s", SWITCH, "-f", "/dev/null"]);
    let listens = || {
        house.sh("cat /proc/net/unix").lines().any(|line| {
            line.ends_with(&format!("{SWITCH}/ctl")) && line.split_whitespace().nth(3) == Some("00010000")
        })
    };
    assert!(house.wait_until(Duration::from_secs(10), listens), "{}", switch.said());
    switch
}

#[test]
fn a_guest_on_somebody_elses_switch_is_served_through_its_deaths() {
    let Some(house) = house("a_guest_on_somebody_elses_switch_is_served_through_its_deaths") else { return };
    let mut bobs = switch(&house);
    let before = house.snapshot();
    house.up("lab").success();
    house.assert_up("lab");
    for life in 0..3 {
        let name = format!("east{life}");
        let (east, plug) = house.station_by_plug2tap(&name, SWITCH);
        let lease = east.lease().unwrap_or_else(|| panic!("no lease in life {life}: {}", plug.said()));
        assert!(lease.get("ip").starts_with("10.0.1."), "{}", lease.get("ip"));
        assert!(east.reaches("10.0.1.1"));
        drop(plug);
        house.sh(&format!("ip netns del {name}"));
        drop(bobs);
        bobs = switch(&house);
        let again = || house.drift("lab").0 == 0;
        assert!(house.wait_until(Duration::from_secs(10), again), "{:?}", house.drift("lab"));
    }
    house.down("lab");
    assert!(bobs.is_running(), "a switch that is not ours was stopped: {}", bobs.said());
    house.sh(&format!("ls {SWITCH}/ctl"));
    // Its life, and so its process and sockets, are others than before.
    house.assert_as_in_but_for_processes(&before);
}

#[test]
fn a_switch_that_is_away_for_long_is_waited_for() {
    let Some(house) = house("a_switch_that_is_away_for_long_is_waited_for") else { return };
    let bobs = switch(&house);
    house.up("lab").success();
    house.assert_up("lab");
    drop(bobs);
    house.sh(&format!("rm -r {SWITCH}"));
    let away = || house.drift("lab").1.contains(&"switch".to_owned());
    assert!(house.wait_until(Duration::from_secs(10), away), "{:?}", house.drift("lab"));
    let _bobs = switch(&house);
    let again = || house.drift("lab").0 == 0;
    assert!(house.wait_until(Duration::from_secs(15), again), "{:?}", house.drift("lab"));
    let (east, plug) = house.station_by_plug2tap("east", SWITCH);
    assert!(east.lease().is_some(), "{}", plug.said());
    house.down("lab");
}

#[test]
fn what_is_no_switch_is_refused_in_one_line_and_nothing_is_changed() {
    let test = "what_is_no_switch_is_refused_in_one_line_and_nothing_is_changed";
    let Some(house) = house(test) else { return };
    let before = house.snapshot();
    let assert_refused = |cause: &str| {
        let outcome = house.vmnet(&["up", "lab"]);
        let said = outcome.complaint(1);
        assert!(said.contains("network 'lab'") && said.contains(SWITCH) && said.contains(cause), "{said}");
        house.assert_as_in(&before);
    };
    assert_refused("no such file or directory");
    house.sh(&format!("install -d -o bob {SWITCH}"));
    assert_refused("no switch is there");
    house.sh(&format!("touch {SWITCH}/ctl; chown bob {SWITCH}/ctl"));
    assert_refused("is no socket");
    house.sh(&format!("rm -r {SWITCH}; install -d -o bob /tmp/bob/real; ln -s real {SWITCH}"));
    assert_refused("symlink");
    house.sh(&format!("rm {SWITCH}; install -d -o bob -m 777 {SWITCH}"));
    assert_refused("may write");
}
