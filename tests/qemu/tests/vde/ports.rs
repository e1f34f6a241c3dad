//! Ports on a network's VDE switch, for plain users: who gets one, as whom the switch is asked, how many
//! there may be, and what goes with whom.

use std::time::Duration;

use rig::command::{Outcome, PATIENCE};
use rig::companion::FAILED;
use rig::house::{As, HELPER, House, Privilege, VMNET};
use rig::process::Process;
use rig::skip::have;
use rig::unit::Unit;

const RULES: &str = "/etc/vmnet/bridge.conf";
const ALICE: As<'_> = As::User("alice");
/// The user of a switch that a test makes itself.
const OWNER: u32 = 7777;

/// A house with a network `lab` that has a switch, for everybody.
fn house(test: &str) -> Option<House> {
    if !have(test, &["vde_switch"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.describe("lab", "subnet = \"10.7.0.0/24\"\n[vde]\n");
    house.write_file(RULES, "# who\nallow lab\n");
    Some(house)
}

/// Checks it where the setuid helper makes the ports, and where only the broker can.
#[track_caller]
fn each_way(test: &str, tools: &[&str], check: impl Fn(&House)) {
    let Some(helpers) = house(test).filter(|_| have(test, tools)) else { return };
    check(&helpers);
    let Some(brokers) = house(test) else { return };
    brokers.install_with(Privilege::None);
    println!("with the broker");
    let _broker = brokers.start_broker();
    check(&brokers);
}

#[track_caller]
fn exec(house: &House, who: As<'_>, script: &str) -> Outcome {
    // An outer program's port is not taken for its own.
    let exec = ["env", "VMNET_TAP=outer", VMNET, "exec", "lab", "--vde", "--"];
    let argv = [&exec[..], &["sh", "-c", script, "sh", "{fd}", "{netdev}", "{mac}"]].concat();
    house.run_with(who, &argv, None, PATIENCE)
}

/// The switch's sockets for ports, but for the pump's, which is there with the network.
fn ports(house: &House) -> Vec<String> {
    let found = house.sh("cd /run/vmnet/lab/vde; ls | grep -v ctl || true");
    found.lines().filter(|name| !name.starts_with("001.")).map(str::to_owned).collect()
}

#[track_caller]
fn assert_no_ports(house: &House) {
    let gone = house.wait_until(Duration::from_secs(10), || ports(house).is_empty());
    assert!(gone, "left behind: {:?}", ports(house));
}

/// A program that holds a port until it is told, or dropped; or what was said instead.
fn ask(house: &House, who: As<'_>, kind: &[&str]) -> Result<Process, String> {
    let script = "echo held $VMNET_PORT$VMNET_TAP; read -r word; exit 0";
    let argv = [&[VMNET, "exec", "lab"], kind, &["--", "sh", "-c", script]].concat();
    let process = house.spawn(who, &argv);
    process.line(PATIENCE, |line| line.starts_with("held "))?;
    Ok(process)
}

#[track_caller]
fn holder(house: &House, who: As<'_>, kind: &[&str]) -> Process {
    ask(house, who, kind).unwrap_or_else(|e| panic!("{e}"))
}

/// Those of many at the same time who got one, each another, and what the rest heard.
fn ask_at_once(house: &House, kinds: &[&[&str]]) -> (Vec<Process>, Vec<String>) {
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = kinds.iter().map(|kind| scope.spawn(move || ask(house, ALICE, kind))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    let (held, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let mut held: Vec<Process> = held.into_iter().flatten().collect();
    held.sort_by_key(Process::said);
    held.dedup_by_key(|process| process.said());
    (held, refused.into_iter().filter_map(Result::err).collect())
}

/// A program of alice's that does something to the descriptors of its port, and then holds what it has left.
#[track_caller]
fn holder_that(house: &House, words: &[&str]) -> Process {
    let process = house.spawn(ALICE, &[&[VMNET, "exec", "lab", "--vde", "--"], words].concat());
    process.line(PATIENCE, |line| line == "held").unwrap_or_else(|e| panic!("{e}"));
    process
}

#[test]
fn a_plain_user_and_root_get_a_port_on_the_switch_and_both_descriptors() {
    each_way("a_plain_user_and_root_get_a_port_on_the_switch_and_both_descriptors", &[], |house| {
        house.start_syslog();
        for who in [ALICE, As::Root] {
            let tap = [VMNET, "exec", "lab", "--", "sh", "-c", "echo {netdev}"];
            assert_eq!(house.run_with(who, &tap, None, PATIENCE).success(), "tap,fd=3\n");
            let script = "echo $VMNET_PORT $VMNET_FD $VMNET_HOLD_FD $VMNET_MTU $VMNET_MAC tap=$VMNET_TAP
                echo \"$@\"
                for fd in $VMNET_FD $VMNET_HOLD_FD; do readlink /proc/$$/fd/$fd; done
                id -G";
            let said = exec(house, who, script);
            let lines: Vec<&str> = said.success().lines().collect();
            assert_eq!(said.stderr, "", "{said}");
            let words: Vec<&str> = lines[0].split(' ').collect();
            let [port, data, hold, mtu, mac, tap] = words[..] else { panic!("{said}") };
            assert_eq!((port, mtu, tap), ("vde2", "1500", "tap="), "{said}");
            assert_ne!(data, hold);
            // No QEMU could be asked: the form that every one knows.
            assert_eq!(lines[1], format!("{data} socket,fd={data} {mac}"), "{said}");
            assert!(lines[2].starts_with("socket:") && lines[3].starts_with("socket:"), "{said}");
            // The switch's group was lent for the question alone.
            assert_eq!(lines[4], if matches!(who, As::Root) { "0" } else { "1000 2001" });
            assert_no_ports(house);
        }
        for line in [
            "granted: user=alice uid=1000 bridge=lab vde=vde2 rule=/etc/vmnet/bridge.conf:2",
            "granted: user=root uid=0 bridge=lab vde=vde2",
        ] {
            let logged = || house.log().contains(line);
            assert!(house.wait_until(Duration::from_secs(10), logged), "{line}\n{}", house.log());
        }
    });
}

#[test]
fn when_its_holder_is_killed_the_port_goes() {
    each_way("when_its_holder_is_killed_the_port_goes", &[], |house| {
        for signal in [nix::sys::signal::Signal::SIGKILL, nix::sys::signal::Signal::SIGTERM] {
            let holder = holder(house, ALICE, &["--vde"]);
            assert!(holder.said().starts_with("held vde2\n"), "{}", holder.said());
            assert!(ports(house).len() == 1 && ports(house)[0].starts_with("002."), "{:?}", ports(house));
            holder.signal(signal);
            assert_no_ports(house);
        }
        let mut holder = holder(house, ALICE, &["--vde"]);
        holder.write_line("go");
        holder.wait(PATIENCE);
        assert_no_ports(house);
    });
}

#[test]
fn ports_of_both_kinds_count_together() {
    each_way("ports_of_both_kinds_count_together", &[], |house| {
        house.write_file(RULES, "allow lab ports=2\n");
        let full = |kind: &[&str]| {
            let argv = [&[VMNET, "exec", "lab"], kind, &["--", "true"]].concat();
            let said = house.run_as("alice", &argv);
            said.code() == FAILED && said.stderr.contains("all 2 ports allowed to you are in use")
        };
        for first in [&["--vde"][..], &[]] {
            // One that has let go of the socket for frames, which the port does without.
            let half = r#"eval "exec $VMNET_FD>&-"; echo held; read -r word; exit 0"#;
            let held = [holder(house, ALICE, first), holder_that(house, &["bash", "-c", half])];
            assert!(full(&["--vde"]) && full(&[]));
            // Another user's are another's, and root has no limit.
            drop(holder(house, As::User("bob"), &["--vde"]));
            drop(holder(house, As::Root, &["--vde"]));
            assert!(full(&["--vde"]));
            drop(held);
            assert_no_ports(house);
            let free =
                || house.sh("ls /sys/class/net/lab/brif").lines().all(|port| !port.starts_with("vmtap"));
            assert!(house.wait_until(Duration::from_secs(10), free));
        }
    });
}

/// Takes the connection that keeps the port out of its queue, and closes all else.
const TAKER: &str = r#"
import os, socket, sys
hold = socket.socket(fileno=int(os.environ["VMNET_HOLD_FD"]))
[control] = socket.recv_fds(hold, 1, 1)[1]
os.close(int(os.environ["VMNET_FD"]))
hold.close()
print("held", flush=True)
sys.stdin.read()
"#;

#[test]
fn a_port_kept_by_its_connection_alone_counts_for_as_long_as_it_is_kept() {
    each_way("a_port_kept_by_its_connection_alone_counts_for_as_long_as_it_is_kept", &["python3"], |house| {
        house.write_file(RULES, "allow lab ports=2\n");
        let mut takers = [(); 2].map(|()| holder_that(house, &["python3", "-c", TAKER]));
        assert_eq!(ports(house).len(), 2);
        let refused = exec(house, ALICE, "true");
        assert!(refused.complaint(FAILED).contains("all 2 ports allowed to you are in use"), "{refused}");
        takers[0].close_input();
        takers[0].wait(PATIENCE);
        exec(house, ALICE, "true").success();
        drop(takers);
        assert_no_ports(house);
    });
}

#[test]
fn while_the_switch_is_started_again_all_who_ask_get_a_port() {
    each_way("while_the_switch_is_started_again_all_who_ask_get_a_port", &[], |house| {
        house.up("lab");
        let before = holder(house, ALICE, &["--vde"]);
        // Its sockets close before its number goes.
        house.sh("switch=$(cat /run/vmnet/lab/switch.pid); kill -9 $switch
                  while [ -e /proc/$switch/fd/0 ]; do sleep 0.001; done");
        let (held, refused) = ask_at_once(house, &[&["--vde"][..]; 20]);
        assert_eq!(held.len(), 20, "{refused:?}");
        // With the pump, and with the one who was there before.
        let all = || house.sh("ls /run/vmnet/lab/vde | grep -v ctl || true").lines().count();
        assert!(house.wait_until(PATIENCE, || all() == 22), "{}", all());
        drop((held, before));
        assert!(house.wait_until(PATIENCE, || all() == 1), "left behind: {}", all() - 1);
    });
}

#[test]
fn whom_the_rules_refuse_and_who_asks_where_no_switch_is_hear_so() {
    each_way("whom_the_rules_refuse_and_who_asks_where_no_switch_is_hear_so", &[], |house| {
        house.describe("bare", "subnet = \"10.8.0.0/24\"\n");
        house.sh("ip link add br0 type bridge; ip link set br0 up");
        house.write_file(RULES, "deny lab user=bob\nallow all\n");
        let refused = exec(house, As::User("bob"), "true");
        assert!(refused.complaint(FAILED).contains("access denied by acl file"), "{refused}");
        for bridge in ["bare", "br0"] {
            for who in [ALICE, As::Root] {
                let said =
                    house.run_with(who, &[VMNET, "exec", bridge, "--vde", "--", "true"], None, PATIENCE);
                let words = format!("cannot use '{bridge}': it has no switch");
                assert!(said.complaint(FAILED).contains(&words), "{said}");
                assert!(said.stderr.contains("hint: a section '[vde]' in its network's file"), "{said}");
            }
        }
    });
}

/// A switch that is none: it tells as whom it is asked, and answers as it is told (`close` or nothing).
const FALSE_SWITCH: &str = r#"
import os, re, socket, struct, sys, time
place = "/run/vmnet/lab/vde/ctl"
listener = socket.socket(socket.AF_UNIX)
listener.bind(place)
os.chmod(place, 0o660)
listener.listen()
print("ready", flush=True)
while True:
    stream, _ = listener.accept()
    peer = stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, gid = struct.unpack("3i", peer)
    status = open(f"/proc/{pid}/status").read()
    words = [f"{key}={' '.join(value.split())}" for key, value in re.findall(r"(\w+):(.*)", status)
             if key in ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs")]
    print("asked", ";".join(words), flush=True)
    if sys.argv[1] == "silent":
        stream.recv(300)
        time.sleep(5)
    stream.close()
"#;

/// A bridge with a record that says that a switch is there, whose directory has this owner and group.
fn bridge_with_record(house: &House, owner: u32, group: u32) {
    house.sh(&format!(
        "ip link show lab >/dev/null 2>&1 || ip link add lab type bridge
         ip link set lab up
         mkdir -p /run/vmnet/lab; rm -rf /run/vmnet/lab/vde
         mkdir -m 711 -p /run/vmnet/lab/plugs; mkdir -m 2770 /run/vmnet/lab/vde
         chown {owner}:{group} /run/vmnet/lab/vde; chmod 2770 /run/vmnet/lab/vde"
    ));
    let record = format!(
        "network lab\nisolated off\nhairpin off\ngroup 0\nswitch {owner} {group} /run/vmnet/lab/vde\n"
    );
    house.write_file("/run/vmnet/lab/port", record);
}

#[track_caller]
fn false_switch(house: &House, way: &str) -> Process {
    let process = house.spawn(As::Root, &["python3", "-c", FALSE_SWITCH, way]);
    process.line(PATIENCE, |line| line == "ready").unwrap_or_else(|e| panic!("{e}"));
    house.sh("chgrp --reference=/run/vmnet/lab/vde /run/vmnet/lab/vde/ctl; chmod 666 /run/vmnet/lab/vde/ctl");
    process
}

#[test]
fn the_switch_is_asked_by_nobody_special_and_root_asks_as_its_owner() {
    each_way("the_switch_is_asked_by_nobody_special_and_root_asks_as_its_owner", &["python3"], |house| {
        let _ = house.vmnet(&["down", "lab"]);
        bridge_with_record(house, OWNER, 2002);
        let switch = false_switch(house, "close");
        let rights = "CapInh=0000000000000000;CapPrm=0000000000000000;CapEff=0000000000000000;CapAmb=0000000000000000;NoNewPrivs=1";
        let alice = format!("asked Uid=1000 1000 1000 1000;Gid=1000 1000 1000 1000;Groups=2002;{rights}");
        let owner =
            format!("asked Uid={OWNER} {OWNER} {OWNER} {OWNER};Gid=2002 2002 2002 2002;Groups=;{rights}");
        for (who, wanted) in [(ALICE, &alice), (As::Root, &owner)] {
            let said = exec(house, who, "true");
            let cause = "cannot join the switch at /run/vmnet/lab/vde: it refused the port";
            assert!(said.complaint(FAILED).contains(cause), "{said}");
            let asked = switch.line(PATIENCE, |line| line.starts_with("asked ")).expect("a question");
            assert_eq!(asked, *wanted);
        }
        // Root's group is given to nobody, and root asks no switch of root's.
        drop(switch);
        bridge_with_record(house, 0, 0);
        house.sh("chmod 2777 /run/vmnet/lab/vde");
        let switch = false_switch(house, "close");
        exec(house, ALICE, "true").complaint(FAILED);
        let asked = switch.line(PATIENCE, |line| line.starts_with("asked ")).expect("a question");
        assert_eq!(asked, alice.replace("Groups=2002", "Groups=1000 2001"));
        assert!(exec(house, As::Root, "true").complaint(FAILED).contains("root asks no switch"));
    });
}

#[test]
fn a_switch_that_does_not_answer_keeps_nobody_waiting() {
    each_way("a_switch_that_does_not_answer_keeps_nobody_waiting", &["python3"], |house| {
        bridge_with_record(house, OWNER, 2002);
        let none = exec(house, ALICE, "true");
        assert!(none.complaint(FAILED).contains("no switch answers there"), "{none}");
        let _switch = false_switch(house, "silent");
        let said = exec(house, ALICE, "true");
        assert!(said.complaint(FAILED).contains("it did not answer within 2 s"), "{said}");
        assert!(said.took < Duration::from_secs(10), "{:?}", said.took);
    });
}

#[test]
fn of_many_at_once_exactly_those_allowed_get_a_port_each_its_own() {
    each_way("of_many_at_once_exactly_those_allowed_get_a_port_each_its_own", &[], |house| {
        house.write_file(RULES, "allow lab ports=8\n");
        house.up("lab");
        let kinds: Vec<&[&str]> = (0..24).map(|at| if at % 3 == 0 { &[][..] } else { &["--vde"] }).collect();
        let (held, _) = ask_at_once(house, &kinds);
        let on_switch = held.iter().filter(|held| held.said().starts_with("held vde")).count();
        assert_eq!((held.len(), ports(house).len()), (8, on_switch));
        drop(held);
        assert_no_ports(house);
    });
}

#[test]
fn the_broker_gives_ports_on_a_switch_with_what_its_unit_leaves_it() {
    let name = "the_broker_gives_ports_on_a_switch_with_what_its_unit_leaves_it";
    if !have(name, &["unshare", "mountpoint", "setpriv"]) {
        return;
    }
    let Some(house) = house(name) else { return };
    house.install_with(Privilege::None);
    let before = Unit::read("vmnet-broker.service.in").confinement();
    let _broker = house.start_broker_below(&before.iter().map(String::as_str).collect::<Vec<_>>());
    // The network that it starts for it, and its switch, have what they need too.
    let holder = holder(&house, ALICE, &["--vde"]);
    house.assert_up("lab");
    assert_eq!(ports(&house).len(), 1);
    drop(holder);
    assert_no_ports(&house);
}

/// Calls the helper as QEMU would, over a stream socket on descriptor 3, and takes what comes.
const CALLER: &str = r#"
import os, socket, subprocess, sys
ours, theirs = socket.socketpair()
child = subprocess.run([sys.argv[1], *sys.argv[2:], f"--fd={theirs.fileno()}"], pass_fds=[theirs.fileno()])
theirs.close()
words, descriptors, flags, _ = socket.recv_fds(ours, 16, 8)
kinds = [socket.socket(fileno=fd).type == socket.SOCK_DGRAM for fd in descriptors]
print(child.returncode, list(words), kinds)
"#;

#[test]
fn the_helper_sends_both_descriptors_in_one_message() {
    let name = "the_helper_sends_both_descriptors_in_one_message";
    each_way(name, &["python3"], |house| {
        let call = |words: &[&str]| {
            let argv = [&["python3", "-c", CALLER, HELPER], words].concat();
            house.run_as("alice", &argv)
        };
        assert_eq!(call(&["--vde", "--br=lab"]).success(), "0 [0] [True, True]\n");
        assert_no_ports(house);
        let refused = call(&["--vde", "--br=absent"]);
        assert_eq!(refused.success(), "1 [] []\n");
        assert!(refused.stderr.contains("access denied"), "{refused}");
    });
    let Some(house) = house(name).filter(|_| have(name, &["python3"])) else { return };
    house.up("lab");
    house.install_with(Privilege::FileCapability);
    house.set_tun_mode(0o666);
    let argv = ["python3", "-c", CALLER, HELPER, "--vde", "--br=lab"];
    let refused = house.run_as("alice", &argv);
    assert_eq!(refused.success(), "1 [] []\n");
    assert!(refused.stderr.contains("a file capability is not enough"), "{refused}");
    let _broker = house.start_broker();
    assert_eq!(house.run_as("alice", &argv).success(), "0 [0] [True, True]\n");
}
