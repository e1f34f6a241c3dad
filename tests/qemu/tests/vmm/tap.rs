//! `vmnet tap`: TAPs that stay, for programs that open theirs by name. Their owner opens them without any
//! capability, nobody else does, and they go with their network.

use std::time::Duration;

use rig::command::Outcome;
use rig::companion::{DONE, FAILED};
use rig::guest::{Plan, available};
use rig::house::{As, HELPER, House, Privilege, VMNET};
use rig::process::Process;
use serde_json::Value;

const RULES: &str = "/etc/vmnet/bridge.conf";
const SOON: Duration = Duration::from_secs(10);

/// A house whose network `lab` alice may use, where everybody can open `/dev/net/tun`.
fn house(test: &str) -> Option<House> {
    let house = House::with_companion(test)?;
    house.describe("lab", "");
    house.write_file(RULES, "allow lab user=alice ports=3\n");
    house.set_tun_mode(0o666);
    Some(house)
}

/// Runs `vmnet tap` as a plain user.
#[track_caller]
fn tap(house: &House, user: &str, words: &[&str]) -> Outcome {
    let mut argv = vec![VMNET, "tap"];
    argv.extend(words);
    house.run_as(user, &argv)
}

/// The name that a successful `tap add` prints.
#[track_caller]
fn added(outcome: &Outcome) -> String {
    assert_eq!(outcome.stderr, "", "{outcome}");
    let name = outcome.success().strip_suffix('\n').unwrap_or_default();
    assert!(!name.is_empty() && !name.contains(char::is_whitespace), "one name: {outcome}");
    name.to_owned()
}

/// What `ip` says of a TAP.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    bridge: String,
    persistent: bool,
    owner: u64,
    has_group: bool,
    many_queues: bool,
    up: bool,
}

/// A TAP of this user's as it should be.
fn whole(owner: u64) -> Shape {
    let bridge = "lab".to_owned();
    Shape { bridge, persistent: true, owner, has_group: false, many_queues: false, up: true }
}

#[track_caller]
fn looks(house: &House, name: &str) -> Shape {
    shape(house, &house.link(name).unwrap_or_else(|| panic!("there is no {name}")))
}

fn shape(house: &House, link: &Value) -> Shape {
    let data = &link["linkinfo"]["info_data"];
    let number_of = |user: &str| house.run(&["id", "-u", user]).success().trim().parse().expect("a number");
    Shape {
        bridge: link["master"].as_str().unwrap_or_default().to_owned(),
        persistent: data["persist"] == true,
        owner: data["user"].as_str().map_or_else(|| data["user"].as_u64().unwrap_or(0), number_of),
        has_group: !data["group"].is_null(),
        many_queues: data["multi_queue"] == true,
        up: link["flags"].as_array().is_some_and(|flags| flags.contains(&"UP".into())),
    }
}

#[test]
fn a_users_tap_is_attached_up_and_his_alone_to_open_and_remove() {
    let name = "a_users_tap_is_attached_up_and_his_alone_to_open_and_remove";
    let Some(house) = house(name) else { return };
    house.start_syslog();
    // The network comes up for it.
    let own = added(&tap(&house, "alice", &["add", "lab"]));
    assert!(own.starts_with("vmtap"), "{own}");
    let named = added(&tap(&house, "alice", &["add", "lab", "--name", "vmtapfc0", "--owner", "alice"]));
    assert_eq!(named, "vmtapfc0");
    for one in [&own, &named] {
        assert_eq!(looks(&house, one), whole(1000), "{one}");
        let refused = house.open_tap("bob", one, false).err();
        assert_eq!(refused.as_deref(), Some("refused: Operation not permitted (os error 1)"), "{one}");
        // Held twice it cannot be, and after that it can be again.
        for _ in 0..2 {
            let held = house.open_tap("alice", one, false).unwrap_or_else(|why| panic!("{one}: {why}"));
            assert_eq!(held.name, *one);
            let again = house.open_tap("alice", one, false).err();
            assert_eq!(again.as_deref(), Some("refused: Device or resource busy (os error 16)"));
            drop(held);
            let free = || house.link(one).is_some_and(|link| link["operstate"] == "DOWN");
            assert!(house.wait_until(SOON, free), "{:#?}", house.link(one));
        }
    }
    let log = house.log();
    assert!(log.contains("granted: user=alice uid=1000 bridge=lab tap=vmtapfc0 rule="), "{log}");

    let words = tap(&house, "bob", &["rm", "vmtapfc0"]);
    assert!(words.complaint(FAILED).contains("it belongs to another user"), "{words}");
    assert_eq!(tap(&house, "alice", &["rm", "vmtapfc0"]).success(), "");
    assert!(house.link("vmtapfc0").is_none());
    // His own word removes one that is held, too.
    let _held = house.open_tap("alice", &own, false).unwrap_or_else(|why| panic!("{why}"));
    tap(&house, "alice", &["rm", &own]).success();
    assert!(house.link(&own).is_none());
    assert!(house.log().contains("removed: user=alice uid=1000 bridge=lab tap=vmtapfc0"), "{}", house.log());
}

#[test]
fn adding_it_again_is_no_mistake_and_another_of_that_name_is() {
    let name = "adding_it_again_is_no_mistake_and_another_of_that_name_is";
    let Some(house) = house(name) else { return };
    house.write_file(RULES, "allow lab user=alice ports=1\nallow other\nallow lab user=bob\n");
    house.sh("ip link add other type bridge");
    let add = ["add", "lab", "--name", "vmtapfc0"];
    for _ in 0..2 {
        // The second time all the ports she may have are in use, by this one.
        assert_eq!(added(&tap(&house, "alice", &add)), "vmtapfc0");
    }
    let index = house.index("vmtapfc0");
    let held = house.open_tap("alice", "vmtapfc0", false).unwrap_or_else(|why| panic!("{why}"));
    added(&tap(&house, "alice", &add));
    drop(held);
    for (user, words) in [
        ("alice", &["add", "lab", "--name", "vmtapfc0", "--queues"][..]),
        ("alice", &["add", "other", "--name", "vmtapfc0"]),
        ("bob", &["add", "lab", "--name", "vmtapfc0"]),
    ] {
        let outcome = tap(&house, user, words);
        assert!(outcome.complaint(FAILED).contains("there is an interface of that name"), "{outcome}");
    }
    assert_eq!(house.index("vmtapfc0"), index);
    let over = tap(&house, "alice", &["add", "lab"]);
    assert!(over.complaint(FAILED).contains("all 1 ports allowed to you are in use"), "{over}");
}

#[test]
fn what_may_not_be_is_refused_in_one_line_and_leaves_nothing() {
    let name = "what_may_not_be_is_refused_in_one_line_and_leaves_nothing";
    let Some(house) = house(name) else { return };
    house.up("lab");
    let helper = house.hold("alice", &[HELPER, "--br=lab", "--fd={fd}"]);
    let helpers = helper.caught.tap().name.clone();
    house.sh("ip link add strange type bridge; ip tuntap add dev vmtapmine mode tap user alice");
    let links = house.sh("ls /sys/class/net");
    for (user, words, why) in [
        ("bob", &["add", "lab"][..], "access denied by acl file"),
        ("alice", &["add", "strange"], "access denied by acl file"),
        ("alice", &["add", "lab", "--name", "eth7"], "a name that you choose begins with 'vmtap'"),
        ("alice", &["add", "lab", "--name", "vmtap%d"], "'%' may not be in the name"),
        ("alice", &["add", "lab", "--owner", "bob"], "only root makes them for others"),
        ("alice", &["add", "lab", "--owner", "nobody-at-all"], "no such user"),
        ("root", &["add", "lab"], "without an owner"),
        ("root", &["add", "nowhere", "--owner", "alice"], "no such device"),
        ("root", &["add", "lab", "--owner", "4294967295"], "no such user"),
        ("alice", &["rm", "vmtapmine"], "it is no tap that 'vmnet tap add' made"),
        ("alice", &["rm", &helpers], "it is no tap that 'vmnet tap add' made"),
        ("root", &["rm", &helpers], "it is no tap that 'vmnet tap add' made"),
        ("root", &["rm", "strange"], "it is no tap that 'vmnet tap add' made"),
        ("alice", &["rm", "absent"], "it is no tap that 'vmnet tap add' made"),
    ] {
        let outcome = tap(&house, user, words);
        assert!(outcome.complaint(FAILED).contains(why), "{outcome}");
    }
    assert_eq!(house.sh("ls /sys/class/net"), links);
}

#[test]
fn root_makes_them_for_others_under_any_name_and_without_rules() {
    let name = "root_makes_them_for_others_under_any_name_and_without_rules";
    let Some(house) = house(name) else { return };
    house.write_file(RULES, "deny all\n");
    // A jail's number needs no account.
    for (owner, uid, interface) in [("bob", 1001, "fc-tap0"), ("54321", 54321, "fc-tap1")] {
        let made = house.vmnet(&["tap", "add", "lab", "--owner", owner, "--name", interface]);
        assert_eq!(added(&made), interface);
        assert_eq!(looks(&house, interface), whole(uid));
    }
    drop(house.open_tap("bob", "fc-tap0", false).unwrap_or_else(|why| panic!("{why}")));
    assert!(house.open_tap("alice", "fc-tap0", false).is_err());
    // It is his: no rule is asked when it goes.
    tap(&house, "bob", &["rm", "fc-tap0"]).success();
    house.vmnet(&["tap", "rm", "fc-tap1"]).success();
    let (_, ports) = house.json(&["ports", "lab"]);
    assert_eq!(ports["ports"].as_array().map(Vec::len), Some(0), "{ports}");
}

#[test]
fn one_for_several_queues_is_opened_several_times_by_its_owner_only() {
    let name = "one_for_several_queues_is_opened_several_times_by_its_owner_only";
    let Some(house) = house(name) else { return };
    let one = added(&tap(&house, "alice", &["add", "lab", "--queues"]));
    assert_eq!(looks(&house, &one), Shape { many_queues: true, ..whole(1000) });
    let queues: Vec<_> = (0..3).map(|_| house.open_tap("alice", &one, true)).collect();
    assert!(queues.iter().all(Result::is_ok), "{:?}", queues.iter().filter_map(|q| q.as_ref().err()).next());
    assert!(house.open_tap("bob", &one, true).is_err());
    assert!(house.open_tap("alice", &one, false).is_err(), "the kernel wants to be told of queues");
}

#[test]
fn it_goes_with_its_network_unless_somebody_holds_it_and_up_takes_that_one_back() {
    let name = "it_goes_with_its_network_unless_somebody_holds_it_and_up_takes_that_one_back";
    let Some(house) = house(name) else { return };
    let before = house.snapshot();
    added(&tap(&house, "alice", &["add", "lab", "--name", "vmtapidle"]));
    assert_eq!(house.drift("lab"), (DONE, vec![]));
    let (_, ports) = house.json(&["ports", "lab"]);
    let port = &ports["ports"][0];
    assert_eq!((&port["port"], &port["kept"]), (&"vmtapidle".into(), &true.into()), "{ports}");
    assert!(port["user"] == "alice" && port["pid"].is_null() && port["program"].is_null(), "{ports}");
    house.down("lab");
    house.sh("rm -rf /var/lib/vmnet/*");
    house.assert_as_in(&before);

    added(&tap(&house, "alice", &["add", "lab", "--name", "vmtapheld"]));
    added(&tap(&house, "alice", &["add", "lab", "--name", "vmtapidle"]));
    let held = house.open_tap("alice", "vmtapheld", false).unwrap_or_else(|why| panic!("{why}"));
    let down = house.vmnet(&["down", "lab"]);
    let words = down.complaint(FAILED);
    assert!(words.contains("1 attached: vmtapheld (kept for user alice)"), "{down}");
    house.vmnet(&["down", "lab", "--force"]).success();
    assert!(house.link("vmtapidle").is_none(), "nobody held it");
    assert_eq!(looks(&house, "vmtapheld").bridge, "");
    house.up("lab");
    assert_eq!(looks(&house, "vmtapheld"), whole(1000));
    drop(held);
    let free = || house.link("vmtapheld").is_some_and(|link| link["operstate"] == "DOWN");
    assert!(house.wait_until(SOON, free));
    house.down("lab");
    assert!(house.link("vmtapheld").is_none());
}

#[test]
fn one_whose_network_went_under_its_holder_is_found_and_taken_back_later() {
    let name = "one_whose_network_went_under_its_holder_is_found_and_taken_back_later";
    let Some(house) = house(name) else { return };
    added(&tap(&house, "alice", &["add", "lab", "--name", "vmtapfc0"]));
    let held = house.open_tap("alice", "vmtapfc0", false).unwrap_or_else(|why| panic!("{why}"));
    house.vmnet(&["down", "lab", "--force"]).success();
    drop(held);
    let finding = house.finding("tap-forgotten");
    assert_eq!((finding.object.as_str(), finding.safe), ("vmtapfc0", false));
    house.up("lab");
    assert_eq!(looks(&house, "vmtapfc0").bridge, "lab");
    assert!(house.findings(&["lab"]).iter().all(|finding| !finding.id.starts_with("tap-")));
}

#[test]
fn nobody_holding_it_a_network_goes_down_when_idle_and_not_before() {
    let name = "nobody_holding_it_a_network_goes_down_when_idle_and_not_before";
    let Some(house) = house(name) else { return };
    house.describe("lab", "idle = \"2s\"\n");
    added(&tap(&house, "alice", &["add", "lab", "--name", "vmtapfc0"]));
    let held = house.open_tap("alice", "vmtapfc0", false).unwrap_or_else(|why| panic!("{why}"));
    let is_up = || house.outside_path("/run/vmnet/lab/record.json").exists();
    assert!(!house.wait_until(Duration::from_secs(4), || !is_up()), "it went down under its holder");
    assert_eq!(looks(&house, "vmtapfc0").bridge, "lab");
    drop(held);
    assert!(house.wait_until(SOON, || !is_up()), "it stays up");
    house.assert_gone("vmtapfc0");
}

#[test]
fn whoever_makes_one_and_is_killed_leaves_nothing_half_made() {
    let name = "whoever_makes_one_and_is_killed_leaves_nothing_half_made";
    let Some(house) = house(name) else { return };
    house.write_file(RULES, "allow lab user=alice\n");
    house.up("lab");
    let add = || house.spawn(As::User("alice"), &[VMNET, "tap", "add", "lab", "--name", "vmtapfc0"]);
    // From before the helper runs to after the TAP is there, whatever this machine's speed.
    let helpers = (0..60).map(|step| killed(&house, step, add(), None));
    let helpers = helpers.filter(|whole| *whole).count();
    house.install_with(Privilege::None);
    let brokers = (0..30).map(|step| {
        let broker = house.start_broker();
        killed(&house, step * 2, add(), Some(broker))
    });
    let brokers = brokers.filter(|whole| *whole).count();
    println!("{helpers} of 60 and {brokers} of 30 were there");
    house.down("lab");
    assert!(!house.sh("ls /sys/class/net").contains("vmtap"));
}

/// Kills the broker, or else the caller with the helper, so long after its start, in half milliseconds. Is
/// the TAP there? Then it is whole; it is removed again.
#[track_caller]
fn killed(house: &House, step: u32, caller: Process, broker: Option<Process>) -> bool {
    std::thread::sleep(Duration::from_micros(500) * step);
    broker.as_ref().unwrap_or(&caller).signal(nix::sys::signal::Signal::SIGKILL);
    drop((broker, caller));
    let ended = || house.run(&["pgrep", "-x", "vmnet-bridge-he"]).code() == 1;
    assert!(house.wait_until(SOON, ended), "{}", house.sh("ps -ef"));
    let link = || house.link("vmtapfc0");
    // One that is not persistent is on its way out.
    let settled = || link().is_none_or(|link| shape(house, &link) == whole(1000));
    assert!(house.wait_until(SOON, settled), "half made: {:#?}", link());
    let there = link().is_some();
    if there {
        house.vmnet(&["tap", "rm", "vmtapfc0"]).success();
    }
    there
}

#[test]
fn with_a_file_capability_alone_or_the_broker_it_is_made_as_well() {
    let name = "with_a_file_capability_alone_or_the_broker_it_is_made_as_well";
    let Some(house) = house(name) else { return };
    house.install_with(Privilege::FileCapability);
    house.up("lab");
    added_and_removed(&house);
    house.install_with(Privilege::None);
    let refused = tap(&house, "alice", &["add", "lab"]);
    assert!(refused.complaint(FAILED).contains("operation not permitted"), "{refused}");
    house.down("lab");
    // The broker may bring it up.
    let _broker = house.start_broker();
    added_and_removed(&house);
    let words = tap(&house, "bob", &["add", "lab"]);
    assert!(words.complaint(FAILED).contains("access denied by acl file"), "{words}");
}

#[track_caller]
fn added_and_removed(house: &House) {
    let one = added(&tap(house, "alice", &["add", "lab"]));
    assert_eq!(looks(house, &one), whole(1000));
    tap(house, "alice", &["rm", &one]).success();
    assert!(house.link(&one).is_none());
}

#[test]
fn a_guest_on_one_that_qemu_opens_by_name_without_any_privilege_gets_its_lease() {
    let name = "a_guest_on_one_that_qemu_opens_by_name_without_any_privilege_gets_its_lease";
    if !available(name) {
        return;
    }
    let Some(house) = house(name) else { return };
    // Where whoever goes too far loses his port: QEMU does not.
    house.describe("lab", "guard = true\n");
    let one = added(&tap(&house, "alice", &["add", "lab"]));
    let netdev = format!("tap,ifname={one},script=no,downscript=no");
    let refusal = Plan::new("alpha", "bob", &netdev).start(&house).refusal();
    assert!(refusal.contains("could not configure /dev/net/tun"), "{refusal}");
    for _ in 0..2 {
        let mut guest = Plan::new("alpha", "alice", &netdev).boot(&house);
        assert!(guest.lease.get("address").starts_with("10.0."), "{:?}\n{}", guest.lease, guest.said());
        assert!(guest.reaches("gateway"), "{}", guest.said());
        let (_, ports) = house.json(&["ports", "lab"]);
        assert_eq!(ports["ports"][0]["leases"][0]["name"], "alpha", "{ports}");
        guest.power_off();
    }
}
