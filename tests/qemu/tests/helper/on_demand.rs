//! The one program that the helper starts, as root and for anybody the rules let in: `vmnet up NAME
//! --on-demand`. In its place stands a probe that writes down what reached it from the caller.

use std::time::Duration;

use rig::catch::Caught;
use rig::house::{As, HELPER, House, VMNET, ours_built};
use rig::skip::skip;

const ASK: [&str; 3] = [HELPER, "--br=brmgr0", "--fd={fd}"];

/// Writes down everything that a process can inherit, then fails as vmnet would. Bash, because it leaves
/// the signal mask that it found to its children.
const PROBE: &str = r#"#!/bin/bash
exec >/run/probe
echo "arguments $*"
echo "folder $(pwd)"
echo "mask $(umask)"
echo "session $(ps -o sid= -p $$) $$"
tr '\0' '\n' </proc/$$/environ | sed 's/^/environment /'
sed 's/^/status /' /proc/self/status
sed 's/^/limits /' /proc/$$/limits
ls -l /proc/$$/fd | sed 's/^/descriptor /'
echo "vmnet: cannot create bridge 'brmgr0': the probe says no" >&2
exit 1
"#;

fn house_with(test: &str, vmnet: &str) -> Option<House> {
    if !ours_built() {
        skip(test, "our programs are not built");
        return None;
    }
    let house = House::new();
    house.install();
    house.write_file_for(VMNET, 0o755, (0, 0), vmnet);
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0 user=alice\nallow absent0\n");
    Some(house)
}

fn ask(house: &House, user: &str, settings: &[&str]) -> Caught {
    house.catch_with(As::User(user), settings, &ASK)
}

#[test]
fn nothing_of_the_caller_reaches_the_program_that_starts_a_network() {
    let name = "nothing_of_the_caller_reaches_the_program_that_starts_a_network";
    let Some(house) = house_with(name, PROBE) else { return };
    let hostile = [
        "--env=LD_PRELOAD=/tmp/alice/evil.so",
        "--env=VMNET_CONFIG_DIR=/tmp/alice",
        "--env=IFS=x",
        "--block-signals",
        "--ignore-sigpipe",
        "--extra-fds=50",
        "--close=0",
        "--cwd=/tmp/alice",
        "--file-size=100000",
    ];
    let caught = ask(&house, "alice", &hostile);
    assert!(caught.ended, "somebody still holds the socket: {caught:#?}");
    assert!(caught.refusal().contains("cannot start network 'brmgr0'"), "{caught:#?}");
    assert!(caught.refusal().contains("the probe says no"), "{caught:#?}");

    let probe = house.read_file("/run/probe").expect("the probe ran");
    let all = |word: &str| -> Vec<&str> {
        probe.lines().filter_map(|line| line.strip_prefix(word)).map(str::trim).collect()
    };
    let status = |key: &str| {
        let lines = all("status ");
        let found = lines.iter().find_map(|line| line.strip_prefix(key)).map(str::trim);
        found.unwrap_or_default().to_owned()
    };
    assert_eq!(all("arguments "), ["up brmgr0 --on-demand"]);
    assert_eq!(all("folder "), ["/"]);
    assert_eq!(all("mask "), ["0022"]);
    let session: Vec<&str> = all("session ")[0].split_whitespace().collect();
    assert_eq!(session[0], session[1], "it has no session of its own");
    let environment = all("environment ");
    assert!(environment.iter().all(|pair| pair.starts_with("PATH=/usr")), "{environment:?}");
    assert_eq!(status("Uid:"), "0\t0\t0\t0");
    assert_eq!(status("Gid:"), "0\t0\t0\t0");
    assert_eq!(status("Groups:"), "");
    assert_eq!(status("SigBlk:"), "0000000000000000");
    assert_eq!(status("SigIgn:"), "0000000000000000");
    assert_eq!(status("NoNewPrivs:"), "0");
    let limits = all("limits Max file size");
    // Without CAP_SYS_RESOURCE, as in many containers, not even root can raise a hard limit.
    let raised = if root_may_raise_limits() { "unlimited" } else { "100000" };
    assert!(limits[0].starts_with(raised), "{limits:?}");
    // 0 and 1 and 2, what sh and ls themselves open, and nothing else.
    let descriptors = all("descriptor ");
    let strange =
        |line: &&&str| line.contains("socket:") || line.contains("net/tun") || line.contains("/tmp/");
    assert!(!descriptors.iter().any(|line| strange(&line)), "{descriptors:#?}");
    assert!(descriptors.len() <= 8, "{descriptors:#?}");
}

#[test]
fn no_network_is_started_for_a_caller_whom_the_rules_keep_out_or_for_a_foreign_bridge() {
    let name = "no_network_is_started_for_a_caller_whom_the_rules_keep_out_or_for_a_foreign_bridge";
    let Some(house) = house_with(name, PROBE) else { return };
    assert!(ask(&house, "bob", &[]).refusal().contains("access denied by acl file"));
    let caught = house.catch("alice", &[HELPER, "--br=absent0", "--fd={fd}"]);
    assert!(caught.refusal().contains("failed to get mtu of bridge"), "{caught:#?}");
    let caught = house.catch_with(As::User("alice"), &["--kind=pipe"], &ASK);
    assert!(caught.refusal().contains("failed to write fd to unix socket"), "{caught:#?}");
    assert_eq!(house.read_file("/run/probe"), None, "vmnet was started");
}

#[test]
fn a_start_that_hangs_holds_the_caller_no_longer_than_ten_seconds() {
    let name = "a_start_that_hangs_holds_the_caller_no_longer_than_ten_seconds";
    let Some(house) = house_with(name, "#!/bin/sh\nexec sleep 1000\n") else { return };
    let caught = ask(&house, "alice", &["--patience=40"]);
    assert!(caught.refusal().contains("cannot start network 'brmgr0'"), "{caught:#?}");
    assert!(caught.took < Duration::from_secs(20), "{caught:#?}");
    let gone = house.wait_until(Duration::from_secs(5), || !house.sh("ps -eo args").contains("sleep 1000"));
    assert!(gone, "what was started still runs");
}

#[test]
fn a_start_that_floods_its_output_does_not_flood_the_callers() {
    let name = "a_start_that_floods_its_output_does_not_flood_the_callers";
    let flood =
        "#!/bin/sh\nhead -c 10000000 /dev/zero | tr '\\0' 'x' >&2\nprintf '\\033[2J\\n' >&2\nexit 1\n";
    let Some(house) = house_with(name, flood) else { return };
    let caught = ask(&house, "alice", &[]);
    assert!(caught.refusal().len() < 10_000, "{} bytes", caught.stderr.len());
    assert!(!caught.stderr.contains('\u{1b}'), "{caught:#?}");
}

#[test]
fn a_start_that_says_it_worked_and_made_no_bridge_is_a_refusal() {
    let name = "a_start_that_says_it_worked_and_made_no_bridge_is_a_refusal";
    let Some(house) = house_with(name, "#!/bin/sh\nexit 0\n") else { return };
    assert!(ask(&house, "alice", &[]).refusal().contains("brmgr0"));
}

#[test]
fn a_missing_companion_is_named() {
    let name = "a_missing_companion_is_named";
    let Some(house) = house_with(name, "") else { return };
    house.run(&["rm", VMNET]).success();
    let caught = ask(&house, "alice", &[]);
    assert!(caught.refusal().contains(VMNET), "{caught:#?}");
}

fn root_may_raise_limits() -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("a bounding set");
    u64::from_str_radix(bounding.trim(), 16).expect("hexadecimal") >> CAP_SYS_RESOURCE & 1 == 1
}
