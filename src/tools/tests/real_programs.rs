//! nft and dnsmasq as they really are. Each test makes itself a network namespace on its own
//! thread: programs are started from that thread and so live in the same namespace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "this file is all test")]

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use vmnet_tools::{Tool, ToolError, dnsmasq, nft};

/// Moves this test's thread into a network of its own; false, with a word, where it may not.
fn alone() -> bool {
    if !Uid::effective().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI nothing is skipped: run as root");
        eprintln!("SKIPPED: needs root for a network namespace");
        return false;
    }
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
    true
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip starts");
    assert!(status.success(), "ip {arguments}");
}

#[test]
fn a_loaded_table_is_listed_and_an_absent_one_is_none() {
    if !alone() {
        return;
    }
    assert_eq!(nft::list_table("inet", "vmnet_a").unwrap(), None);
    assert!(!nft::exists("inet", "vmnet_a").unwrap());
    nft::load("add table inet vmnet_a\nadd chain inet vmnet_a forward\n").unwrap();
    let text = nft::list_table("inet", "vmnet_a").unwrap().expect("the table");
    assert!(text.contains("table inet vmnet_a {") && text.contains("chain forward"), "{text}");
    assert!(nft::exists("inet", "vmnet_a").unwrap());
    assert!(!nft::exists("ip", "vmnet_a").unwrap());
}

#[test]
fn a_listed_table_can_be_loaded_again() {
    if !alone() {
        return;
    }
    nft::load("add table inet a\nadd set inet a s { type ipv4_addr; elements = { 10.0.0.1 }; }\n").unwrap();
    let text = nft::list_table("inet", "a").unwrap().unwrap();
    nft::load("delete table inet a\n").unwrap();
    nft::load(&text).unwrap();
    assert_eq!(nft::list_table("inet", "a").unwrap(), Some(text));
}

#[test]
fn a_text_with_one_bad_line_changes_nothing() {
    if !alone() {
        return;
    }
    nft::load("add table inet a\n").unwrap();
    let text = "add chain inet a c\nadd rule inet a nowhere accept\n";
    let error = nft::load(text).unwrap_err().to_string();
    assert!(error.starts_with("nft failed: /dev/stdin:2:") && error.contains("Error:"), "{error}");
    assert!(!nft::list_table("inet", "a").unwrap().unwrap().contains("chain"));
}

#[test]
fn a_check_says_what_a_load_would_and_changes_nothing() {
    if !alone() {
        return;
    }
    nft::check("add table inet a\n").unwrap();
    assert!(!nft::exists("inet", "a").unwrap());
    let text = "add table inet a\nad chain inet a c\n";
    assert_eq!(nft::check(text).unwrap_err().to_string(), nft::load(text).unwrap_err().to_string());
}

#[test]
fn a_table_too_large_to_take_is_an_error_not_half_a_text() {
    if !alone() {
        return;
    }
    let rules =
        "add rule inet a c ip saddr 10.20.30.40 tcp dport 1234 accept comment \"one of very many rules\"\n";
    nft::load(&format!("add table inet a\nadd chain inet a c\n{}", rules.repeat(20_000))).unwrap();
    let error = nft::list_table("inet", "a").unwrap_err();
    assert!(matches!(error, ToolError::SaidTooMuch { .. }), "{error}");
}

/// A dnsmasq configuration in a directory of its own. The daemon is ended with it.
struct Server {
    directory: PathBuf,
}

impl Server {
    fn new(name: &str, lines: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("vmnet-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let server = Self { directory };
        let (pid_file, leases) = (server.file("pid"), server.file("leases"));
        // Its leases too: else it makes a file of the machine's, which every test of a whole host sees.
        let (pid_file, leases) = (pid_file.display(), leases.display());
        let text = format!("user=root\nport=0\npid-file={pid_file}\n{lines}\ndhcp-leasefile={leases}\n");
        fs::write(server.file("conf"), text).unwrap();
        server
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.file("pid")).ok()?.trim().parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn dnsmasq_listens_when_start_returns() {
    if !alone() {
        return;
    }
    ip("link add br0 type bridge");
    ip("address add 10.9.9.1/24 dev br0");
    ip("link set br0 up");
    let lines = "interface=br0\nexcept-interface=lo\nbind-interfaces\ndhcp-range=10.9.9.10,10.9.9.20\n";
    let server = Server::new("listens", &format!("{lines}leasefile-ro\n"));
    dnsmasq::start(&server.file("conf")).unwrap();
    let sockets = fs::read_to_string("/proc/thread-self/net/udp").unwrap();
    assert!(sockets.contains(":0043 "), "nobody listens on port 67:\n{sockets}");
    let pid = server.pid().expect("a pid file");
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(command.contains("dnsmasq"), "{command}");
}

#[test]
fn dnsmasq_says_why_it_did_not_start() {
    if !alone() {
        return;
    }
    let server =
        Server::new("absent", "interface=absent0\nbind-interfaces\ndhcp-range=10.9.9.10,10.9.9.20\n");
    let error = dnsmasq::start(&server.file("conf")).unwrap_err();
    assert_eq!(error.to_string(), "dnsmasq failed: unknown interface absent0");
    assert_eq!(server.pid(), None);
}

#[test]
fn dnsmasq_tests_a_file_without_starting() {
    let test = |file: PathBuf| {
        let option = format!("--conf-file={}", file.display());
        Tool::find("dnsmasq").unwrap().run(&["--test", option.as_str()], "")
    };
    let good = Server::new("good", "no-hosts\n");
    test(good.file("conf")).unwrap();
    assert_eq!(good.pid(), None);
    let bad = Server::new("bad", "no-such-option\n");
    let error = test(bad.file("conf")).unwrap_err().to_string();
    assert!(error.contains("bad option at line 4"), "{error}");
    let absent = test(bad.file("absent")).unwrap_err().to_string();
    assert!(absent.starts_with("dnsmasq failed: cannot read"), "{absent}");
}
