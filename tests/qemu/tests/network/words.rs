//! What the companion says to bad input and in bad surroundings: the right exit code, one clear line,
//! never a word of Rust; and the JSON that programs read.

use rig::command::Outcome;
use rig::companion::{DONE, FAILED, USAGE};
use rig::house::{As, House, VMNET};

const PER_NETWORK: [&str; 6] = ["up", "down", "run", "ports", "leases", "init"];

fn clear_usage(outcome: &Outcome) {
    assert_eq!(outcome.code(), USAGE, "{outcome}");
    outcome.assert_plain();
    assert!(outcome.stderr.starts_with("error: ") || outcome.stderr.contains("Usage:"), "{outcome}");
    assert_eq!(outcome.stdout, "", "{outcome}");
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_2() {
    let name = "a_command_line_that_makes_no_sense_is_exit_2";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    for arguments in [
        &[][..],
        &["upp"],
        &["--nonsense"],
        &["up", "brmgr0", "brmgr1"],
        &["up", "brmgr0", "--force"],
        &["list", "brmgr0"],
        &["access"],
        &["access", "brmgr0", "--user"],
        &["completions"],
        &["completions", "cmd.exe"],
        &["--run-dir"],
    ] {
        clear_usage(&house.vmnet(arguments));
    }
    for verb in PER_NETWORK {
        clear_usage(&house.vmnet(&[verb]));
        clear_usage(&house.vmnet(&[verb, "lab", "--nonsense"]));
    }
    house.assert_as_in(&before);
}

#[test]
fn a_name_that_can_be_none_is_refused_by_every_verb() {
    let name = "a_name_that_can_be_none_is_refused_by_every_verb";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    let long = "n".repeat(300);
    for bad in [
        "",
        ".",
        "..",
        "a/b",
        "../etc/passwd",
        "a b",
        "a\nb",
        "a\u{1b}[2J",
        "%d",
        "all\0".trim_end_matches('\0'),
        &long,
    ] {
        if bad == "all" {
            continue;
        }
        for verb in PER_NETWORK.into_iter().chain(["status", "check"]) {
            let outcome = house.vmnet(&[verb, bad]);
            clear_usage(&outcome);
            assert!(!outcome.stderr.contains('\u{1b}'), "{outcome}");
        }
    }
    house.assert_as_in(&before);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let name = "bytes_that_are_no_text_are_refused";
    let Some(house) = House::with_companion(name) else { return };
    for words in [
        "up $'\\xff\\xfe'",
        "$'\\xff'",
        "--config-dir $'/\\xff' list",
        "access $'\\xff'",
        "access brmgr0 --user $'\\xff'",
    ] {
        let outcome = house.run(&["bash", "-c", &format!("{VMNET} {words}")]);
        outcome.assert_plain();
        assert!([DONE, FAILED, USAGE].contains(&outcome.code()), "{outcome}");
    }
}

#[test]
fn a_mistake_in_a_file_is_named_with_file_line_and_column() {
    let name = "a_mistake_in_a_file_is_named_with_file_line_and_column";
    let Some(house) = House::with_companion(name) else { return };
    house.describe("lab", "");
    for (toml, place) in [
        ("mood = \"nat\"\n", ":1:1"),
        ("\n\nmode = \"nta\"\n", ":3:8"),
        ("mode = nat\n", ":1:8"),
        ("mtu = 70000\n", ":1:7"),
        ("mtu = \"1500\"\n", ":1:7"),
        ("subnet = \"10.0.1.5/24\"\n", ":1:10"),
        ("subnet = \"8.8.8.8/33\"\n", ":1:10"),
        ("mac = \"01:00:00:00:00:01\"\n", ":1:7"),
        ("[dhcp]\nlease_time = \"1s\"\n", ":2:14"),
        ("[dhpc]\n", ":1:"),
        ("[dns]\ndomain = \"a b\"\n", ":2:10"),
        ("mtu = 1500\nmtu = 1400\n", ":2:1"),
        ("mtu = \n", ":1:"),
    ] {
        house.describe("lab", toml);
        let before = house.snapshot();
        let place = format!("/etc/vmnet/networks/lab.toml{place}");
        let outcome = house.vmnet(&["up", "lab"]);
        assert!(outcome.complaint(FAILED).contains(&place), "{toml:?}: no {place}: {outcome}");
        let check = house.vmnet(&["check", "lab"]);
        assert!(check.code() == FAILED && check.stdout.contains(&place), "{toml:?}: {check}");
        check.assert_plain();
        house.assert_as_in(&before);
    }
    house.describe("lab", "mood = 1\nmtu = 1\nmode = \"x\"\n");
    let all = house.vmnet(&["check", "lab"]).stdout;
    for line in [":1:", ":2:", ":3:"] {
        assert!(all.contains(&format!("lab.toml{line}")), "not all at once: {all}");
    }
}

#[test]
fn a_file_that_others_may_write_is_not_obeyed() {
    let name = "a_file_that_others_may_write_is_not_obeyed";
    let Some(house) = House::with_companion(name) else { return };
    for (mode, owner) in [(0o666, (0, 0)), (0o664, (0, 1000)), (0o644, (1000, 0))] {
        house.write_file_for("/etc/vmnet/networks/lab.toml", mode, owner, "mode = \"routed\"\n");
        let before = house.snapshot();
        let outcome = house.vmnet(&["up", "lab"]);
        assert!(outcome.complaint(FAILED).contains("/etc/vmnet/networks/lab.toml"), "{outcome}");
        assert_eq!(house.vmnet(&["check"]).assert_plain().code(), FAILED);
        house.vmnet(&["list"]).assert_plain().success();
        house.assert_as_in(&before);
    }
}

#[test]
fn a_file_that_is_no_text_or_no_file_is_named() {
    let name = "a_file_that_is_no_text_or_no_file_is_named";
    let Some(house) = House::with_companion(name) else { return };
    for make in [
        "printf '\\xff\\xfe' >F",
        "head -c 3000000 /dev/zero >F",
        "mkdir F",
        "mkfifo F",
        "ln -s /dev/zero F",
        "ln -s F F",
        "ln -s /nowhere/at/all F",
    ] {
        let file = "/etc/vmnet/networks/lab.toml";
        house.sh(&format!("rm -rf /etc/vmnet; mkdir -p /etc/vmnet/networks; {}", make.replace('F', file)));
        for verb in ["up", "check", "status"] {
            let outcome = house.vmnet(&[verb, "lab"]);
            outcome.assert_plain();
            assert_eq!(outcome.code(), FAILED, "{make}: {outcome}");
        }
        house.vmnet(&["list"]).assert_plain().success();
    }
}

#[test]
fn a_reader_that_goes_away_or_an_output_that_is_closed_is_no_accident() {
    let name = "a_reader_that_goes_away_or_an_output_that_is_closed_is_no_accident";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    for verb in
        ["list", "--help", "completions bash", "check", "list --json", "up brmgr0 --dry-run", "nonsense"]
    {
        let fine = house.run(&["bash", "-c", &format!("{VMNET} {verb} >/dev/null 2>&1")]).code();
        for how in [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", "| true", "2>&1 | true"] {
            let script = format!("{VMNET} {verb} {how}; exit ${{PIPESTATUS[0]}}");
            let outcome = house.run(&["bash", "-c", &script]);
            outcome.assert_plain();
            assert_eq!(outcome.code(), fine, "{outcome}");
        }
    }
    for how in [">&-", "2>&-", "<&- >&- 2>&-", "| true"] {
        let up = house.run(&["bash", "-c", &format!("{VMNET} up brmgr0 {how}; exit ${{PIPESTATUS[0]}}")]);
        assert_eq!(up.assert_plain().code(), DONE, "{up}");
        house.assert_up("brmgr0");
        let down = house.run(&["bash", "-c", &format!("{VMNET} down brmgr0 {how}; exit ${{PIPESTATUS[0]}}")]);
        assert_eq!(down.assert_plain().code(), DONE, "{down}");
        house.assert_as_in(&before);
    }
}

#[test]
fn the_surroundings_of_the_caller_change_nothing() {
    let name = "the_surroundings_of_the_caller_change_nothing";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    for surroundings in [
        "env -i",
        "env -i LANG=tr_TR.UTF-8 LC_ALL=xx HOME=/nowhere PATH=/nowhere",
        "env HOME= TERM= COLUMNS=1 LINES=1",
        "env COLUMNS=99999999999 TMPDIR=/nowhere",
        "env RUST_BACKTRACE=full RUST_LOG=trace NO_COLOR=1 CLICOLOR_FORCE=1",
        "env NOTIFY_SOCKET=/nowhere",
        "bash -c 'umask 077; exec \"$@\"' x",
        "bash -c 'cd /tmp/alice; ulimit -n 24; exec \"$@\"' x",
        "bash -c 'trap \"\" PIPE TERM HUP INT CHLD; exec \"$@\"' x",
    ] {
        house.sh(&format!("{surroundings} {VMNET} up brmgr0"));
        house.assert_up("brmgr0");
        assert_eq!(
            house.sh("stat -c %a /run/vmnet /run/vmnet/brmgr0 /run/vmnet/brmgr0/port"),
            "755\n755\n644\n",
            "{surroundings}"
        );
        let status = house.sh(&format!("{surroundings} {VMNET} status brmgr0"));
        assert!(status.starts_with("brmgr0: up\n") && !status.contains('\u{1b}'), "{status}");
        house.sh(&format!("{surroundings} {VMNET} down brmgr0"));
        house.assert_as_in(&before);
    }
}

#[test]
fn the_json_of_every_verb_has_its_keys() {
    let name = "the_json_of_every_verb_has_its_keys";
    let Some(house) = House::with_companion(name) else { return };
    house.write_file(
        "/etc/vmnet/bridge.conf",
        "allow brmgr0 user=alice ports=3\ndeny brmgr0 user=nobody-here\n",
    );
    house.up("brmgr0");
    house.plug_in("one", "brmgr0");
    let address = house.lease("one").expect("a lease");
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    let (code, status) = house.json(&["status", "brmgr0"]);
    assert_eq!((code, &status["networks"][0]["state"]), (DONE, &"up".into()));
    assert_eq!(keys(&status["networks"][0]), ["aspects", "bridge", "name", "state"]);
    assert_eq!(keys(&status["networks"][0]["aspects"][0]), ["actual", "drifted", "wanted", "what"]);

    let (code, list) = house.json(&["list"]);
    assert_eq!((code, &list["networks"][0]["ports"]), (DONE, &1.into()));
    assert_eq!(
        keys(&list["networks"][0]),
        ["bridge", "mode", "name", "owner", "passed_over", "ports", "state", "subnet"]
    );

    let (code, ports) = house.json(&["ports", "brmgr0"]);
    let port = &ports["ports"][0];
    assert_eq!((code, &port["port"], &port["kind"]), (DONE, &"one".into(), &"veth".into()));
    assert_eq!(keys(port), ["kept", "kind", "leases", "macs", "pid", "port", "program", "uid", "user"]);
    assert_eq!(port["leases"][0]["address"], address.as_str(), "{ports}");

    let (code, leases) = house.json(&["leases", "brmgr0"]);
    assert_eq!((code, &leases["leases"][0]["address"]), (DONE, &address.as_str().into()));
    assert_eq!(
        keys(&leases["leases"][0]),
        ["address", "addresses6", "age", "expires", "left", "mac", "name", "reserved"]
    );

    let (code, check) = house.json(&["check"]);
    assert_eq!((code, &check["ok"]), (DONE, &true.into()), "{check}");
    assert_eq!(keys(&check["findings"][0]), ["hint", "severity", "text"]);

    for (user, code, allowed) in [("alice", DONE, true), ("bob", FAILED, false), ("1000", DONE, true)] {
        let (exit, access) = house.json(&["access", "brmgr0", "--user", user]);
        assert_eq!((exit, &access["allowed"]), (code, &allowed.into()), "{access}");
        assert_eq!(keys(&access), ["allowed", "bridge", "file", "line", "ports", "uid", "user"]);
    }
}

#[test]
fn init_writes_a_file_that_is_right_and_never_over_another() {
    let name = "init_writes_a_file_that_is_right_and_never_over_another";
    let Some(house) = House::with_companion(name) else { return };
    house.vmnet(&["init", "lab"]).success();
    house.vmnet(&["check", "lab"]).success();
    house.up("lab");
    house.down("lab");
    let text = house.read_file("/etc/vmnet/networks/lab.toml");
    house.vmnet(&["init", "lab"]).complaint(FAILED);
    assert_eq!(house.read_file("/etc/vmnet/networks/lab.toml"), text);
    for shell in ["bash", "zsh", "fish"] {
        assert!(house.vmnet(&["completions", shell]).success().contains("vmnet"));
    }
    assert!(house.vmnet(&["--version"]).success().starts_with("vmnet "));
    let nobody = house.run_with(
        As::User("alice"),
        &[VMNET, "access", "brmgr0", "--user", "no-such-user"],
        None,
        rig::command::PATIENCE,
    );
    nobody.complaint(FAILED);
}
