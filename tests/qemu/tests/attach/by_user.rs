//! `vmnet attach` by an ordinary user: into a namespace of her own she plugs in by the access rules alone,
//! through the setuid helper or the broker; into nobody else's she does by no way.

use std::path::Path;
use std::time::Duration;

use rig::companion::{DONE, FAILED};
use rig::house::{As, HELPER, House, Privilege, VMNET};
use rig::process::Process;
use serde_json::Value;

const LAB: &str = "subnet = \"10.5.0.0/24\"\nsubnet6 = \"none\"\n";
const RULES: &str = "/etc/vmnet/bridge.conf";
const ASK: &str = "/tmp/house/ask-veth";
const WAYS: [Privilege; 2] = [Privilege::Setuid, Privilege::None];

/// A house that knows the network `lab`, where alice may have two ports. Her helper is setuid, or has no
/// rights and the broker runs.
fn lab(test: &str, way: Privilege) -> Option<(House, Option<Process>)> {
    let house = House::with_companion(test)?;
    house.install_with(way);
    house.describe("lab", LAB);
    house.write_file(RULES, "allow lab user=alice ports=2\n");
    house.copy_in(Path::new(env!("CARGO_BIN_EXE_ask-veth")), ASK, 0o755);
    let broker = (way == Privilege::None).then(|| {
        let broker = house.spawn(As::Root, &[VMNET, "broker"]);
        let there = || house.outside_path("/run/vmnet/broker.sock").exists();
        assert!(house.wait_until(Duration::from_secs(10), there), "no broker: {}", broker.said());
        broker
    });
    Some((house, broker))
}

/// A process of a user's in namespaces of its own, with its number in the house.
fn own_space(house: &House, user: &str) -> (Process, String) {
    let script = "cat /proc/self/stat | cut -d' ' -f4; echo ready; exec sleep 1000";
    let words = ["unshare", "--user", "--map-root-user", "--net", "--uts", "bash", "-c", script];
    let process = house.spawn(As::User(user), &words);
    let pid = process.line(Duration::from_secs(10), |_| true).expect("a number");
    process.line(Duration::from_secs(10), |line| line == "ready").expect("a word");
    (process, pid)
}

fn attach(house: &House, user: &str, words: &[&str]) -> rig::command::Outcome {
    house.run_as(user, &[&[VMNET, "attach", "lab"], words].concat())
}

#[test]
fn into_a_namespace_of_her_own_by_the_rules() {
    for way in WAYS {
        let Some((house, _broker)) = lab("into_a_namespace_of_her_own", way) else { return };
        let (_process, pid) = own_space(&house, "alice");
        let outcome = attach(&house, "alice", &["--pid", &pid, "--json"]);
        let attached: Value = serde_json::from_str(outcome.success()).expect("JSON");
        assert!(attached["addresses"][0]["address"].as_str().is_some_and(|own| own.starts_with("10.5.0.")));
        let enter = ["nsenter", "--user", "--net", "--preserve-credentials", "--target", &pid];
        let ping = [&enter[..], &["ping", "-n", "-c", "1", "-W", "2", "10.5.0.1"]].concat();
        house.run_as("alice", &ping).success();
        let tag = house.sh("ip -o link show type veth");
        assert!(tag.contains("alias vmnet lab uid=1000 pid="), "{way:?}: {tag}");

        let again = attach(&house, "alice", &["--pid", &pid]);
        assert!(again.success().contains("is attached already"), "{again}");
        assert_eq!(house.veth_ports().len(), 1);
        let detach = house.run_as("alice", &[VMNET, "detach", "lab", "--pid", &pid]);
        assert!(detach.success().contains("is detached from lab"), "{detach}");
        assert_eq!(house.veth_ports().len(), 0);
        let leases = || house.json(&["leases", "lab"]).1["leases"].as_array().map(Vec::len);
        assert!(
            house.wait_until(Duration::from_secs(10), || leases() == Some(0)),
            "the lease is not given back"
        );
        house.assert_soon("nobody renews", || house.lease_keepers() == 0);
    }
}

#[test]
fn no_more_than_her_quota() {
    for way in WAYS {
        let Some((house, _broker)) = lab("no_more_than_her_quota", way) else { return };
        let (_process, pid) = own_space(&house, "alice");
        for (ifname, code) in [("eth0", DONE), ("eth1", DONE), ("eth2", FAILED)] {
            let outcome = attach(&house, "alice", &["--pid", &pid, "--ifname", ifname]);
            assert_eq!(outcome.code(), code, "{way:?}: {outcome}");
            if code == FAILED {
                assert!(outcome.stderr.contains("all 2 ports allowed to you are in use"), "{outcome}");
            }
        }
        assert_eq!(house.veth_ports().len(), 2);
        let (_bobs, pid) = own_space(&house, "bob");
        let refused = attach(&house, "bob", &["--pid", &pid]);
        assert!(refused.complaint(FAILED).contains("access denied by acl file"), "{refused}");
        assert_eq!(house.veth_ports().len(), 2);
    }
}

#[test]
fn never_into_anothers() {
    for way in WAYS {
        let Some((house, _broker)) = lab("never_into_anothers", way) else { return };
        house.up("lab");
        house.sh("ip netns add web");
        let roots = house.spawn(As::Root, &["unshare", "--net", "bash", "-c", "echo $$; exec sleep 1000"]);
        let roots_pid = roots.line(Duration::from_secs(10), |_| true).expect("a number");
        let (_bobs, bobs_pid) = own_space(&house, "bob");
        let before = house.veth_ports().len();
        for words in [["--netns", "web"], ["--pid", &roots_pid], ["--pid", &bobs_pid], ["--pid", "1"]] {
            let outcome = attach(&house, "alice", &words);
            assert_eq!(outcome.code(), FAILED, "{way:?} {words:?}: {outcome}");
            outcome.assert_plain();
            let detach = house.run_as("alice", &[&[VMNET, "detach", "lab"], &words[..]].concat());
            assert_eq!(detach.code(), FAILED, "{way:?} {words:?}: {detach}");
        }
        // Nor without the companion, which sees that for itself.
        let by_hand = |path: &str| {
            let mut argv = vec![ASK, "lab", path];
            if way == Privilege::Setuid {
                argv.push(HELPER);
            }
            house.run_as("alice", &argv).success().to_owned()
        };
        let said = by_hand("/run/netns/web");
        assert!(said.contains("its user namespace belongs to uid 0, not to you"), "{way:?}: {said}");
        let said = by_hand("/proc/self/ns/net");
        assert!(said.contains("its user namespace belongs to uid 0, not to you"), "{way:?}: {said}");
        let said = by_hand("/proc/self/ns/mnt");
        assert!(said.contains("it is not a network namespace"), "{way:?}: {said}");
        // Bob may show alice his.
        house.sh(&format!("touch /tmp/house/bobs; mount --bind /proc/{bobs_pid}/ns/net /tmp/house/bobs"));
        let said = by_hand("/tmp/house/bobs");
        assert!(said.contains("belongs to uid 1001, not to you"), "{way:?}: {said}");
        let outcome = attach(&house, "alice", &["--netns", "/tmp/house/bobs"]);
        assert_eq!(outcome.code(), FAILED, "{outcome}");
        assert_eq!(house.veth_ports().len(), before, "{way:?}");
        // Root may.
        house.vmnet(&["attach", "lab", "--netns", "/tmp/house/bobs"]).success();
        house.vmnet(&["attach", "lab", "--pid", &roots_pid]).success();
    }
}
