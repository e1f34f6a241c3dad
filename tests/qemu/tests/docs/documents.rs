//! What the documents tell people to type, typed: the commands in README.md and the man pages are taken
//! from the files and given to the programs.

use std::path::Path;
use std::time::Duration;

use rig::house::{As, HELPER, House, VMNET, ours_built};
use rig::process::Process;
use rig::skip::{have, skip};

const PAGES: [&str; 4] =
    ["man/vmnet.8", "man/vmnet-bridge-helper.8", "man/vmnet.toml.5", "man/vmnet-bridge.conf.5"];

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn house(test: &str) -> Option<House> {
    if !ours_built() {
        skip(test, "our programs are not built");
        return None;
    }
    let house = House::new();
    house.install();
    Some(house)
}

/// The shell blocks of a Markdown file, one text each.
fn shell_blocks(text: &str) -> Vec<String> {
    let blocks = text.split("\n```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix("sh\n")).map(str::to_owned).collect()
}

/// Commands of a shell text: lines put together at backslashes, without prompts, comments and `sudo`.
fn commands(text: &str) -> Vec<String> {
    let whole = text.replace("\\e\n", " ").replace("\\\n", " ");
    let bare = |line: &str| {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let line = line.trim_start_matches(['$', '#']).trim();
        line.strip_prefix("sudo ").unwrap_or(line).to_owned()
    };
    whole.lines().map(bare).filter(|line| !line.is_empty()).collect()
}

/// Every `vmnet VERB …` of a document, as it stands there.
fn vmnet_commands(file: &str, text: &str) -> Vec<String> {
    let mut found = if file.ends_with(".md") {
        let inline = text.split('`').skip(1).step_by(2).map(str::to_owned);
        shell_blocks(text).iter().flat_map(|block| commands(block)).chain(inline).collect()
    } else {
        let quoted = text.lines().filter_map(|line| line.strip_prefix(".Ql ")).map(str::to_owned);
        let literal = text.split(".Bd -literal").skip(1).filter_map(|part| part.split(".Ed").next());
        literal.flat_map(commands).chain(quoted).collect::<Vec<String>>()
    };
    found
        .retain(|line| line.strip_prefix("vmnet ").is_some_and(|rest| rest.starts_with(char::is_alphabetic)));
    found
}

/// A command as somebody would type it: optional words typed, names in place of the words that stand for
/// them, a pipe or redirection left out.
fn typed(command: &str) -> Vec<String> {
    let command = command.split(['|', '>', ';', '&']).next().unwrap_or_default();
    let words = command.split_whitespace().skip(1).map(|word| word.trim_matches(['[', ']', ',', '.']));
    let word = |word: &str| match word {
        "NAME" => "brmgr0".to_owned(),
        "USER" | "alice" => "alice".to_owned(),
        "SHELL" => "bash".to_owned(),
        "HOST" => "web".to_owned(),
        "MAC" => "52:54:00:00:00:01".to_owned(),
        "ADDRESS" => "10.0.1.77".to_owned(),
        "LISTEN" => "8080".to_owned(),
        "TO" => "web:80".to_owned(),
        "N" => "2".to_owned(),
        "CMD…" => "true".to_owned(),
        "PROGRAM" => "qemu".to_owned(),
        other => other.to_owned(),
    };
    words.filter(|word| !word.is_empty()).map(word).collect()
}

#[test]
fn every_vmnet_command_in_the_documents_is_one_that_vmnet_understands() {
    let name = "every_vmnet_command_in_the_documents_is_one_that_vmnet_understands";
    let Some(house) = house(name) else { return };
    let mut count = 0;
    for file in ["README.md"].iter().chain(&PAGES) {
        for command in vmnet_commands(file, &read(file)) {
            let words = typed(&command);
            let mut argv = vec!["timeout", "10", VMNET];
            // These stay, so they only have to know their options.
            if words.first().is_some_and(|verb| verb == "run" || verb == "broker") {
                argv = vec!["timeout", "--preserve-status", "-s", "TERM", "3", VMNET];
            }
            argv.extend(words.iter().map(String::as_str));
            let outcome = house.run(&argv);
            assert_ne!(outcome.code(), 2, "{file} says `{command}`: {outcome}");
            println!("{file}: {words:?}");
            count += 1;
        }
    }
    println!("{count} commands");
    assert!(count >= 20, "the commands are not found any more: {count}");
}

#[test]
fn the_schema_that_vmnet_prints_is_the_one_that_is_installed() {
    let Some(house) = house("the_schema_that_vmnet_prints_is_the_one_that_is_installed") else { return };
    assert_eq!(house.run(&[VMNET, "schema"]).success(), read("conf/network.schema.json"));
}

#[test]
fn readmes_table_names_every_verb_and_no_other() {
    let Some(house) = house("readmes_table_names_every_verb_and_no_other") else { return };
    let help = house.run(&[VMNET, "--help"]).success().to_owned();
    let list = help.split("Commands:").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let mut verbs: Vec<&str> =
        list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).collect();
    verbs = verbs.iter().filter_map(|line| line.split_whitespace().next()).collect();
    verbs.retain(|verb| *verb != "help");
    verbs.sort_unstable();
    let readme = read("README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `vmnet "));
    let mut shown: Vec<&str> = rows.filter_map(|row| row.split([' ', '`']).next()).collect();
    shown.sort_unstable();
    assert_eq!(shown, verbs);
}

#[test]
fn every_qemu_command_in_the_documents_is_one_that_qemu_understands() {
    let name = "every_qemu_command_in_the_documents_is_one_that_qemu_understands";
    let Some(house) = house(name) else { return };
    if !have(name, &["qemu-system-x86_64"]) {
        return;
    }
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0\n");
    house.run(&[VMNET, "up", "brmgr0"]).success();
    let mut count = 0;
    for file in ["README.md"].iter().chain(&PAGES) {
        let text = read(file).replace(",\\e\n", ",").replace(".Bd -literal -offset indent\n", "\n");
        for command in commands(&text).iter().filter(|line| line.starts_with("qemu-system-")) {
            // vhost needs a device that a house has not.
            let command = command.replace("disk.img", "").replace("...", "").replace("vhost=on", "vhost=off");
            let mut argv: Vec<&str> = command.split_whitespace().collect();
            argv.extend(["-S", "-display", "none", "-monitor", "stdio"]);
            let outcome = house.run_with(
                As::User("alice"),
                &argv,
                Some("info network\nquit\n"),
                Duration::from_secs(60),
            );
            assert!(outcome.success().contains("virtio-net-pci"), "{file} says `{command}`: {outcome}");
            assert_eq!(outcome.stderr, "", "{file} says `{command}`");
            count += 1;
        }
    }
    assert!(count >= 4, "the commands are not found any more: {count}");
}

#[test]
fn readmes_first_network_is_there_after_typing_what_it_says() {
    let name = "readmes_first_network_is_there_after_typing_what_it_says";
    let Some(house) = house(name) else { return };
    if !have(name, &["qemu-system-x86_64", "usermod", "truncate"]) {
        return;
    }
    let _outside = house.with_outside();
    house.write_file("/etc/vmnet/bridge.conf", read("conf/bridge.conf"));
    house.run(&["groupadd", "--system", "vmnet"]).success();
    house.run_as("alice", &["truncate", "-s", "1M", "/tmp/alice/disk.img"]).success();
    let blocks = shell_blocks(&read("README.md"));
    let first = blocks.iter().find(|block| block.contains("usermod")).expect("the first network");
    let mut machine = None;
    for command in commands(first) {
        if command.starts_with("qemu-system") {
            let script = format!("cd; exec {command} -display none -monitor stdio");
            machine = Some(house.spawn(As::User("alice"), &["sh", "-c", &script]));
            let up = || house.run(&[VMNET, "ports", "brmgr0"]).stdout.contains("alice");
            assert!(house.wait_until(Duration::from_secs(60), up), "{:?}", machine.map(|qemu| qemu.said()));
        } else {
            // "once its guests are gone"
            if command.contains(" down ") {
                assert!(machine.as_mut().is_some_and(Process::is_running), "QEMU is to run until then");
                machine.as_mut().expect("QEMU came first").write_line("quit");
                machine.as_mut().expect("QEMU came first").wait(Duration::from_secs(60));
            }
            house
                .run_with(
                    As::Root,
                    &["env", "USER=alice", "bash", "-euc", &command],
                    None,
                    Duration::from_secs(60),
                )
                .success();
        }
    }
    assert!(!house.outside_path("/sys/class/net/brmgr0").exists());
    let another = blocks.iter().find(|block| block.contains("vmnet init")).expect("another network");
    for command in commands(another) {
        house.sh(&command);
    }
    house.run(&[VMNET, "status", "lab"]).success();
}

#[test]
fn the_rules_that_the_documents_show_are_rules() {
    let Some(house) = house("the_rules_that_the_documents_show_are_rules") else { return };
    house.sh("groupadd vmnet; ip link add lab type bridge");
    for file in ["README.md", "man/vmnet-bridge.conf.5"] {
        let text = read(file);
        let is_rule = |line: &&str| ["allow ", "deny ", "include "].iter().any(|word| line.starts_with(word));
        let rules: Vec<&str> = text.lines().filter(is_rule).collect();
        assert!(rules.len() >= 3, "{file}: {rules:?}");
        house.write_file("/etc/vmnet/bridge.conf", rules.join("\n") + "\n");
        house.run(&[VMNET, "check"]).success();
        house.catch("alice", &[HELPER, "--br=lab", "--fd={fd}"]).tap();
        assert!(house.catch("bob", &[HELPER, "--br=lab", "--fd={fd}"]).refusal().contains("bridge.conf:3"));
    }
}
