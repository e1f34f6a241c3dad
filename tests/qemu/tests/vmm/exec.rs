//! `vmnet exec`: a program that gets a port and is otherwise started just as its caller would have
//! started it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rig::command::{Outcome, PATIENCE};
use rig::companion::{FAILED, USAGE};
use rig::house::{As, House, Privilege, VMNET};
use rig::process::Process;
use serde_json::Value;

const RULES: &str = "/etc/vmnet/bridge.conf";
const WHO: [As<'_>; 2] = [As::User("alice"), As::Root];

/// A house with a bridge `lab` (10.7.0.1/24), which is no network of ours, for everybody.
fn house(test: &str) -> Option<House> {
    let house = House::with_companion(test)?;
    house.sh("ip link add lab type bridge; ip address add 10.7.0.1/24 dev lab; ip link set lab up");
    house.write_file(RULES, "allow lab\n");
    Some(house)
}

/// Checks it where the setuid helper makes the ports, and where only the broker can.
#[track_caller]
fn each_way(test: &str, check: impl Fn(&House)) {
    let Some(helpers) = house(test) else { return };
    check(&helpers);
    let Some(brokers) = house(test) else { return };
    brokers.install_with(Privilege::None);
    println!("with the broker");
    let _broker = brokers.start_broker();
    check(&brokers);
}

#[track_caller]
fn exec(house: &House, who: As<'_>, words: &[&str]) -> Outcome {
    house.run_with(who, &[&[VMNET, "exec", "lab"], words].concat(), None, PATIENCE)
}

/// Lines of a shell text that is CMD, with these options before it.
#[track_caller]
fn lines(house: &House, who: As<'_>, options: &[&str], script: &str, words: &[&str]) -> Vec<String> {
    let outcome = exec(house, who, &[options, &["--", "sh", "-c", script, "sh"], words].concat());
    assert_eq!(outcome.stderr, "", "{outcome}");
    outcome.success().lines().map(str::to_owned).collect()
}

fn ports(house: &House) -> String {
    house.sh("ls /sys/class/net/lab/brif")
}

#[track_caller]
fn assert_no_ports(house: &House) {
    let gone = house.wait_until(Duration::from_secs(10), || ports(house).is_empty());
    assert!(gone, "left behind: {}", ports(house));
}

/// A program that holds its port until it is told, or dropped.
#[track_caller]
fn holder(house: &House, who: As<'_>) -> Process {
    let argv = [VMNET, "exec", "lab", "--", "sh", "-c", "echo $VMNET_TAP; read -r word; exit 0"];
    let process = house.spawn(who, &argv);
    process.line(PATIENCE, |line| line.starts_with("vmtap")).unwrap_or_else(|e| panic!("{e}"));
    process
}

#[test]
fn words_and_environment_say_which_descriptors_are_the_port() {
    each_way("words_and_environment_say_which_descriptors_are_the_port", |house| {
        let script = r#"printf '%s\n' "$@" "$VMNET_FD" "$VMNET_FDS" "$VMNET_MAC" "$VMNET_TAP" "$VMNET_MTU"
            for fd in $(echo "$VMNET_FDS" | tr : ' '); do grep iff: /proc/$$/fdinfo/$fd; done"#;
        for who in WHO {
            let words = ["{fd}", "{fds}", "fd=[{fds,}]", "{mac}", "{\"a\":{x}}"];
            let said = lines(house, who, &["--queues", "3"], script, &words);
            let [fd, fds, list, mac, brace, env_fd, env_fds, env_mac, tap, mtu, of @ ..] = &said[..] else {
                panic!("{said:?}")
            };
            let numbers: Vec<u32> = fds.split(':').map(|fd| fd.parse().expect("a number")).collect();
            assert_eq!(numbers.len(), 3, "{said:?}");
            assert!(numbers.iter().all(|fd| *fd > 2), "{said:?}");
            assert_eq!(*fd, numbers[0].to_string());
            assert_eq!(*list, format!("fd=[{}]", fds.replace(':', ",")));
            assert_eq!(brace, "{\"a\":{x}}");
            assert_eq!([fd, fds, mac], [env_fd, env_fds, env_mac]);
            assert_eq!(of, vec![format!("iff:\t{tap}"); 3]);
            assert_eq!(mtu, "1500");
            assert!(mac.starts_with("52:54:00:") && mac.len() == 17, "{mac}");
            let another = lines(house, who, &[], "echo $VMNET_MAC", &[]);
            assert_ne!(another[0], *mac);
        }
        assert_no_ports(house);
    });
}

#[test]
fn a_word_need_not_be_utf_8() {
    let Some(house) = house("a_word_need_not_be_utf_8") else { return };
    let mut command = house.command(As::User("alice"), &[VMNET, "exec", "lab", "--", "printf", "%s"]);
    command.arg(OsStr::from_bytes(b"\xff{fd}\xfe"));
    let output = command.output().expect("running it");
    assert!(output.status.success(), "{output:?}");
    let inner = output.stdout.strip_prefix(b"\xff").and_then(|rest| rest.strip_suffix(b"\xfe"));
    assert!(inner.is_some_and(|fd| fd.iter().all(u8::is_ascii_digit)), "{output:?}");
}

#[test]
fn the_program_finds_everything_else_as_its_caller_had_it() {
    each_way("the_program_finds_everything_else_as_its_caller_had_it", |house| {
        let status = "^(Umask|PPid|NSpgid|NSsid|Uid|Gid|Groups|Sig[BI]|Cap|NoNew|Secc)";
        // Ours sets no variable but VMNET_*, and shells set `_` to what they start.
        let rest = "pwd; readlink /proc/self/ns/*; env | grep -v -e ^VMNET_ -e ^_= | sort";
        // Of the open files only the port is new. The test's own, without a name, differ, and find's.
        let files = "find /proc/self/fd -type l ! -lname /dev/net/tun ! -lname *deleted* ! -lname /proc/* -printf %l\\n";
        let programs: [Vec<&str>; 4] = [
            vec!["grep", "-E", status, "/proc/self/status"],
            vec!["cat", "/proc/self/limits"],
            vec!["bash", "-c", rest],
            files.split(' ').collect(),
        ];
        for who in WHO {
            for signals in [
                "--default-signal=PIPE --default-signal=CHLD",
                "--ignore-signal=PIPE --ignore-signal=CHLD --block-signal=USR1",
                "--ignore-signal=PIPE --default-signal=CHLD --ignore-signal=TERM",
            ] {
                let caller = format!(
                    "umask 037; ulimit -n 777; exec 7</dev/null; cd /tmp; exec env {signals} VMNET_FD=mine HOSTILE=x \"$@\""
                );
                for program in &programs {
                    let start = |before: &[&str]| {
                        let argv = [&["bash", "-c", &caller, "bash"], before, program].concat();
                        house.run_with(who, &argv, None, PATIENCE).success().to_owned()
                    };
                    let (plain, through) = (start(&[]), start(&[VMNET, "exec", "lab", "--"]));
                    assert_eq!(through, plain, "{signals}");
                }
            }
        }
    });
}

#[test]
fn it_has_the_callers_process_number_input_and_exit_status() {
    each_way("it_has_the_callers_process_number_input_and_exit_status", |house| {
        for who in WHO {
            let run = |script: &str, input| {
                let outcome = house.run_with(who, &["sh", "-c", script], input, PATIENCE);
                assert_eq!(outcome.stderr.replace("Terminated\n", ""), "", "{outcome}");
                outcome.success().to_owned()
            };
            let said = run("echo $$; exec vmnet exec lab -- sh -c 'echo $$'", None);
            let [before, after] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
            assert_eq!(before, after);
            assert_eq!(run("vmnet exec lab -- cat", Some("through\n")), "through\n");
            assert_eq!(run("vmnet exec lab -- sh -c 'exit 7'; echo $?", None), "7\n");
            assert_eq!(run("vmnet exec lab -- sh -c 'kill -TERM $$'; echo $?", None), "143\n");
            let closed = "vmnet exec lab --queues 2 -- sh -c 'echo {fds} >/tmp/fds' <&- >&- 2>&-; cat /tmp/fds; rm /tmp/fds";
            let fds = run(closed, None);
            assert!(fds.trim().split(':').all(|fd| fd.parse::<u32>().is_ok_and(|fd| fd > 2)), "{fds}");
        }
        assert_no_ports(house);
    });
}

#[test]
fn a_program_that_cannot_be_run_is_told_as_shells_do_and_no_port_is_asked_for() {
    let name = "a_program_that_cannot_be_run_is_told_as_shells_do_and_no_port_is_asked_for";
    let Some(house) = house(name) else { return };
    house.start_syslog();
    house.write_file("/tmp/house/plain", "#!/bin/sh\n");
    let before = house.snapshot();
    for who in WHO {
        for (program, code, why) in [
            ("no-such-program", 127, "no such file or directory"),
            ("/tmp/none/x", 127, "no such file or directory"),
            ("", 127, "no such file or directory"),
            ("no\x1bsuch", 127, "no such file or directory"),
            ("/tmp/house/plain", 126, "permission denied"),
            ("/tmp", 126, "permission denied"),
            ("/etc/passwd/x", 126, "not a directory"),
        ] {
            let outcome = house.run_with(who, &[VMNET, "exec", "brmgr0", "--", program], None, PATIENCE);
            let shown = program.replace('\x1b', "?");
            assert_eq!(outcome.complaint(code), format!("vmnet: cannot run '{shown}': {why}\n"));
        }
    }
    assert!(!house.log().contains("vmnet"), "{}", house.log());
    house.assert_as_in(&before);
    // This one is there; only its interpreter is not.
    house.write_file_for("/tmp/house/script", 0o755, (0, 0), "#!/no/such/shell\n");
    let outcome = exec(&house, As::User("alice"), &["--", "/tmp/house/script"]);
    assert_eq!(outcome.complaint(127), "vmnet: cannot run '/tmp/house/script': no such file or directory\n");
    assert_no_ports(&house);
}

#[test]
fn a_caller_whom_the_rules_refuse_hears_why_and_nothing_is_started() {
    each_way("a_caller_whom_the_rules_refuse_hears_why_and_nothing_is_started", |house| {
        house.write_file(RULES, "allow lab\ndeny all user=alice\n");
        for bridge in ["lab", "brmgr0"] {
            let argv = [VMNET, "exec", bridge, "--", "touch", "/tmp/alice/started"];
            let outcome = house.run_as("alice", &argv);
            let said = outcome.complaint(FAILED);
            assert!(
                said.starts_with(&format!("vmnet: cannot use bridge '{bridge}': access denied by acl file")),
                "{said}"
            );
            assert!(said.contains("/etc/vmnet/bridge.conf:2"), "{said}");
        }
        assert!(!house.outside_path("/tmp/alice/started").exists());
        assert!(!house.outside_path("/sys/class/net/brmgr0").exists());
        // Root makes the rules.
        exec(house, As::Root, &["--", "true"]).success();
    });
}

#[test]
fn ports_are_counted_and_given_back() {
    each_way("ports_are_counted_and_given_back", |house| {
        house.write_file(RULES, "allow lab ports=1\n");
        let first = holder(house, As::User("alice"));
        let outcome = exec(house, As::User("alice"), &["--", "true"]);
        assert!(outcome.complaint(FAILED).contains("all 1 ports allowed to you are in use"), "{outcome}");
        let _other = holder(house, As::User("bob"));
        drop(first);
        let again = || exec(house, As::User("alice"), &["--", "true"]).code() == 0;
        assert!(house.wait_until(Duration::from_secs(10), again));
    });
}

#[test]
fn a_network_that_is_down_comes_up_and_ports_says_who_holds_what() {
    each_way("a_network_that_is_down_comes_up_and_ports_says_who_holds_what", |house| {
        house.write_file(RULES, "allow brmgr0\n");
        let before = house.snapshot();
        for (who, user) in [(As::User("alice"), "alice"), (As::Root, "root")] {
            let argv = [VMNET, "exec", "brmgr0", "--", "sh", "-c", "echo $$; exec sleep 1000"];
            let process = house.spawn(who, &argv);
            let line = process.line(PATIENCE, |_| true).unwrap_or_else(|e| panic!("{e}"));
            let pid: u64 = line.parse().expect("a number");
            let listed = || house.json(&["ports", "brmgr0"]).1["ports"][0].clone();
            let shown = || listed()["program"] == "sleep";
            assert!(house.wait_until(PATIENCE, shown), "{}", listed());
            let port = listed();
            assert_eq!((&port["user"], &port["pid"]), (&Value::from(user), &Value::from(pid)), "{port}");
            drop(process);
            let gone = || house.json(&["ports", "brmgr0"]).1["ports"].as_array().is_some_and(Vec::is_empty);
            assert!(house.wait_until(PATIENCE, gone));
        }
        house.down("brmgr0");
        house.assert_as_in(&before);
    });
}

#[test]
fn what_is_handed_over_is_what_cloud_hypervisor_and_crosvm_take() {
    each_way("what_is_handed_over_is_what_cloud_hypervisor_and_crosvm_take", |house| {
        let test = std::env::current_exe().expect("the test's own path");
        let program = test.ancestors().nth(2).expect("cargo's folder").join("take-tap");
        house.copy_in(&program, "/tmp/house/take-tap", 0o755);
        // TAP, no packet information, virtio-net headers, and several queues only if there are.
        for (queues, flags) in [("1", 0x5002), ("2", 0x5102), ("4", 0x5102)] {
            let script = "exec /tmp/house/take-tap 10.7.0.1 $(echo {fds} | tr : ' ')";
            let said = lines(house, As::User("alice"), &["--queues", queues], script, &[]);
            assert_eq!(said.len().to_string(), queues, "{said:?}");
            for line in &said {
                let taken: Value = serde_json::from_str(line).expect("JSON");
                assert_eq!(taken["flags"], flags, "{said:?}");
                assert_eq!(taken["again"], "File exists", "{said:?}");
                assert_eq!(taken["answered"], true, "{said:?}");
            }
        }
        let bare = lines(
            house,
            As::User("alice"),
            &["--vnet-hdr", "off"],
            "cat /sys/class/net/$VMNET_TAP/tun_flags",
            &[],
        );
        assert_eq!(bare, ["0x1002"]);
    });
}

#[test]
fn nobody_else_takes_a_queue_of_a_port_that_has_several() {
    each_way("nobody_else_takes_a_queue_of_a_port_that_has_several", |house| {
        house.set_tun_mode(0o666);
        let script = "echo $VMNET_TAP; read -r word";
        let argv = [VMNET, "exec", "lab", "--queues", "2", "--", "sh", "-c", script];
        let process = house.spawn(As::User("alice"), &argv);
        let tap = process.line(PATIENCE, |_| true).unwrap_or_else(|e| panic!("{e}"));
        let refused = house.open_tap("bob", &tap, true).err();
        assert!(refused.as_ref().is_some_and(|why| why.contains("not permitted")), "{refused:?}");
    });
}

#[test]
fn options_that_make_no_sense_are_exit_2() {
    let Some(house) = house("options_that_make_no_sense_are_exit_2") else { return };
    for words in [
        &[][..],
        &["--"],
        &["--queues", "0", "--", "true"],
        &["--queues", "65", "--", "true"],
        &["--mac", "no", "--", "true"],
        &["--mac", "01:00:5e:00:00:01", "--", "true"],
        &["--vnet-hdr", "maybe", "--", "true"],
        &["true"],
    ] {
        let outcome = exec(&house, As::User("alice"), words);
        assert_eq!(outcome.code(), USAGE, "{words:?}: {outcome}");
        outcome.assert_plain();
    }
    let mac = "02:00:00:00:00:07";
    assert_eq!(
        lines(&house, As::User("alice"), &["--mac", mac], "echo $1 $VMNET_MAC", &["{mac}"]),
        [format!("{mac} {mac}")]
    );
}
