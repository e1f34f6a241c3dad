//! `vmnet snippet`, and the pages in docs/ with one program each: what they tell people to copy is the
//! same, and it works.

use std::path::Path;
use std::time::Duration;

use rig::command::{Outcome, PATIENCE};
use rig::companion::{FAILED, USAGE};
use rig::guest::{Plan, available};
use rig::house::{As, House, VMNET};
use rig::skip::have;
use serde_json::Value;

/// The programs and their pages.
const PROGRAMS: [&str; 7] = ["qemu", "libvirt", "firecracker", "cloud-hypervisor", "crosvm", "lxc", "nspawn"];

/// A house with a network for everybody, which is down.
fn house(test: &str) -> Option<House> {
    let house = House::with_companion(test)?;
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0\n");
    house.set_tun_mode(0o666);
    Some(house)
}

fn page(program: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(format!("{program}.md"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[track_caller]
fn snippet(house: &House, name: &str, program: &str) -> String {
    let outcome = house.run_as("alice", &[VMNET, "snippet", name, "--for", program]);
    assert_eq!(outcome.stderr, "", "{outcome}");
    outcome.success().to_owned()
}

/// A text with each MAC, and each TAP that is named after one, replaced: they differ each time.
fn without_macs(text: &str) -> String {
    let digits = |text: &str, count: usize| {
        text.bytes().take_while(|b| b.is_ascii_hexdigit() || *b == b':').count() == count
    };
    let mut rest = text;
    let mut plain = String::new();
    while let Some(c) = rest.chars().next() {
        let masked = [("52:54:00:", 8), ("vmtap-", 6)].into_iter().find_map(|(start, count)| {
            rest.strip_prefix(start)
                .filter(|after| digits(after, count))
                .map(|after| (start, &after[count..]))
        });
        match masked {
            Some((start, after)) => {
                plain.push_str(start);
                rest = after;
            }
            None => {
                plain.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    plain
}

/// The lines to copy, so without comments, and MACs as in [`without_macs`].
fn bare(text: &str) -> String {
    let is_comment = |line: &&str| line.starts_with('#') || line.starts_with("<!--");
    without_macs(text).lines().filter(|line| !is_comment(line)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn each_page_shows_what_the_verb_prints() {
    let Some(house) = house("each_page_shows_what_the_verb_prints") else { return };
    let before = house.snapshot();
    for program in PROGRAMS {
        let (text, page) = (snippet(&house, "brmgr0", program), page(program));
        assert!(page.contains("vmnet snippet ") && page.contains(&format!(" --for {program}`")), "{program}");
        // LXC's page has a file for brmgr0 that is included.
        for part in bare(&text).split("\n\n").filter(|_| program != "lxc") {
            assert!(
                bare(&page).contains(&format!("{}\n", part.trim_end())),
                "docs/{program}.md lacks\n{part}"
            );
        }
    }
    // Nothing was started or made to write them.
    house.assert_as_in(&before);
}

#[test]
fn a_container_of_lxc_with_these_lines_is_on_the_network() {
    let name = "a_container_of_lxc_with_these_lines_is_on_the_network";
    if !have(name, &["lxc-create", "lxc-start", "/usr/share/lxc/templates/lxc-busybox"]) {
        return;
    }
    let Some(house) = house(name) else { return };
    let lines = snippet(&house, "brmgr0", "lxc");
    house.write_file("/tmp/house/lines", &lines);
    // LXC's log is the machine's own directory.
    house.sh("mount -t tmpfs log /var/log
        lxc-create -n web -t busybox >/dev/null
        sed -i /^lxc.net/d /var/lib/lxc/web/config
        cat /tmp/house/lines >>/var/lib/lxc/web/config
        lxc-start -n web -d");
    let mac = lines.lines().find_map(|line| line.strip_prefix("lxc.net.0.hwaddr = ")).expect("its MAC");
    let leased = || house.vmnet(&["leases", "brmgr0"]).stdout.contains(mac);
    assert!(house.wait_until(PATIENCE, leased), "{}", house.vmnet(&["ports", "brmgr0"]));
    house.run(&["lxc-stop", "-k", "-n", "web"]).success();
}

#[test]
fn a_long_network_is_named_by_its_bridge_and_any_bridge_will_do() {
    let name = "a_long_network_is_named_by_its_bridge_and_any_bridge_will_do";
    let Some(house) = house(name) else { return };
    let long = "a-rather-long-project-name";
    house.describe(long, "");
    house.sh("ip link add br0 type bridge; ip link add 'br,0' type bridge; ip link add v type veth");
    let list = house.json(&["list"]).1;
    let of = |network: &&Value| network["name"] == long;
    let bridge =
        list["networks"].as_array().and_then(|all| all.iter().find(of)).map(|one| one["bridge"].clone());
    let bridge = bridge.as_ref().and_then(Value::as_str).expect("its bridge").to_owned();
    for program in PROGRAMS {
        assert!(snippet(&house, long, program).contains(&bridge), "{program}");
        assert!(snippet(&house, "br0", program).contains("br0"), "{program}");
    }
    let refused =
        |name: &str| -> Outcome { house.run_as("alice", &[VMNET, "snippet", name, "--for", "qemu"]) };
    for unknown in ["nowhere", "v", "lo"] {
        let said = refused(unknown);
        assert!(said.complaint(FAILED).contains("no such network, and no such bridge"), "{said}");
    }
    let said = refused("br,0");
    assert!(said.complaint(FAILED).contains("',' may not be in a name"), "{said}");
    assert_eq!(house.run(&[VMNET, "snippet", "br0", "--for", "xen"]).code(), USAGE);
    assert_eq!(house.run(&[VMNET, "snippet", "br0"]).code(), USAGE);
}

#[test]
fn qemu_with_what_was_printed_is_on_the_network() {
    let name = "qemu_with_what_was_printed_is_on_the_network";
    if !available(name) {
        return;
    }
    let Some(house) = house(name) else { return };
    let text = snippet(&house, "brmgr0", "qemu");
    let words: Vec<&str> = text.split_whitespace().collect();
    let ["-netdev", netdev, "-device", device] = words[..] else { panic!("{text}") };
    let netdev = netdev.replace(",id=net0", "");
    let card = device.strip_prefix("virtio-net-pci,netdev=net0,").expect("a card");
    let mut guest = Plan::new("alpha", "alice", &netdev).with_card(card).boot(&house);
    assert_eq!(card, format!("mac={}", guest.booted.get("mac")));
    assert!(guest.reaches("gateway"), "{}", guest.said());
    guest.power_off();
}

/// The shell's commands of a page that begin with this word.
fn commands(page: &str, word: &str) -> Vec<String> {
    let blocks = page.split("\n```").skip(1).step_by(2);
    let lines = blocks
        .flat_map(|block| block.replace("\\\n", " ").lines().skip(1).map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| line.split_whitespace().next() == Some(word)).collect()
}

#[test]
fn the_commands_of_qemus_page_start_a_machine_with_a_card_and_a_port() {
    let name = "the_commands_of_qemus_page_start_a_machine_with_a_card_and_a_port";
    if !available(name) {
        return;
    }
    let Some(house) = house(name) else { return };
    house.run_as("alice", &["truncate", "-s", "1M", "/tmp/alice/disk.img"]).success();
    let mut typed = 0;
    for command in commands(&page("qemu"), "vmnet") {
        let script = format!("cd; {command} -S -accel tcg -display none -monitor stdio");
        let input = Some("info network\nquit\n");
        let outcome = house.run_with(As::User("alice"), &["sh", "-c", &script], input, PATIENCE);
        assert!(outcome.success().contains("virtio-net-pci"), "{outcome}");
        assert!(outcome.stdout.contains("type=tap"), "{outcome}");
        // A raw disk is guessed, and said to be.
        let words = outcome.stderr.lines().filter(|line| !line.contains("raw") && !line.trim().is_empty());
        assert_eq!(words.filter(|line| !line.starts_with("         ")).count(), 0, "{outcome}");
        typed += 1;
    }
    assert_eq!(typed, 2, "one queue, and several");
}

#[test]
fn the_tap_of_firecrackers_text_is_its_users_to_open() {
    let name = "the_tap_of_firecrackers_text_is_its_users_to_open";
    let Some(house) = house(name) else { return };
    let text = snippet(&house, "brmgr0", "firecracker");
    let (shell, json) = text.split_once("\n\n").expect("two parts");
    // "before each start"
    for _ in 0..2 {
        house.run_as("alice", &["sh", "-euc", shell]).success();
    }
    let (_, members) = json.split_once('\n').expect("a comment");
    let value: Value = serde_json::from_str(&format!("{{{members}}}")).expect("JSON");
    let interface = &value["network-interfaces"][0];
    let tap = interface["host_dev_name"].as_str().expect("its TAP");
    assert!(interface["guest_mac"].as_str().is_some_and(|mac| mac.starts_with("52:54:00:")), "{value}");
    assert!(house.open_tap("bob", tap, false).is_err_and(|why| why.contains("not permitted")));
    let held = house.open_tap("alice", tap, false).unwrap_or_else(|why| panic!("{why}"));
    drop(held);
    let removal = shell.split('\'').nth(1).expect("how to remove it");
    house.run_as("alice", &["sh", "-euc", removal]).success();
    let gone = || !house.outside_path(&format!("/sys/class/net/{tap}")).exists();
    assert!(house.wait_until(Duration::from_secs(10), gone));
}

#[test]
fn a_command_line_that_begins_so_hands_its_program_a_tap() {
    let name = "a_command_line_that_begins_so_hands_its_program_a_tap";
    let Some(house) = house(name) else { return };
    // Neither is in Debian. This one shows what they would read: the descriptor, and what it is.
    let program = "#!/bin/sh\nfd=${*#*fd=}\nfd=${fd%%,*}\necho \"$fd $(readlink \"/proc/$$/fd/$fd\") $*\"\n";
    for (name, inner) in [("cloud-hypervisor", "--net fd="), ("crosvm", "run --net tap-fd=")] {
        house.write_file_for(&format!("/usr/local/bin/{name}"), 0o755, (0, 0), program);
        let line = format!("{} --more", snippet(&house, "brmgr0", name).trim_end());
        let said = house.run_as("alice", &["sh", "-euc", &line]).success().to_owned();
        let (fd, rest) = said.split_once(' ').expect("a number");
        let expected = format!("/dev/net/tun {inner}{fd},mac=52:54:00:");
        assert!(fd.parse::<u32>().is_ok_and(|fd| fd > 2) && rest.starts_with(&expected), "{said}");
        assert!(rest.ends_with(" --more\n"), "{said}");
    }
    // Quoted, because {fds,} is two words to some shells.
    let several =
        commands(&page("cloud-hypervisor"), "vmnet").into_iter().find(|line| line.contains("--queues"));
    for shell in ["bash", "dash"] {
        let said = house.run_as("alice", &[shell, "-euc", &several.clone().expect("several queues")]);
        let inner =
            said.success().split_once("fd=[").and_then(|(_, rest)| rest.split_once(']')).expect("a list").0;
        assert_eq!(
            inner.split(',').filter(|fd| fd.parse::<u32>().is_ok_and(|fd| fd > 2)).count(),
            2,
            "{said}"
        );
    }
}
