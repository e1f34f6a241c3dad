//! Against the real nft and iptables-nft, in a network namespace of the test's own.

use super::*;
use nix::sched::{CloneFlags, unshare};
use proptest::prelude::*;
use std::io::Write;
use std::process::{Command, Stdio};
use vmnet_model::other_firewalls::{Always, Backend, Base, Family, Hook};

proptest! {
    #[test]
    fn no_message_makes_the_reader_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read::chain(&bytes);
        let _ = read::rule(&bytes, &place(Family::Ip, "a", "b"));
        Changes::default().read(&bytes);
    }
}

fn place(family: Family, table: &str, chain: &str) -> Place {
    Place { backend: Backend::Nft, family, table: table.to_owned(), chain: chain.to_owned() }
}

fn alone(test: impl FnOnce() + Send + 'static) {
    if !nix::unistd::Uid::effective().is_root() {
        assert!(std::env::var_os("CI").is_none(), "this test needs root");
        eprintln!("SKIPPED: needs root for a network namespace");
        return;
    }
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        test();
    });
    thread.join().unwrap();
}

fn nft(text: &str) {
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    nft.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(nft.wait().unwrap().success(), "{text}");
}

const TABLE: &str = "table inet guard {
    chain arrive { type filter hook input priority 10; policy drop;
        tcp dport 22 accept
        counter jump other comment \"to other\"
        log prefix \"x\" counter reject with icmpx admin-prohibited
    }
    chain other { return; }
    chain pass { type filter hook forward priority filter; goto other; }
    chain nat { type nat hook postrouting priority srcnat; accept; }
}";

#[test]
fn chains_and_rules_are_read_as_nft_wrote_them() {
    alone(|| {
        nft(&TABLE.replace("    chain other { return; }", "").replacen('{', "{ chain other { return; }", 1));
        let mut tables = Nftables::open().unwrap();
        let chains = tables.chains().unwrap();
        let base =
            |name: &str| chains.iter().find(|c| c.place == place(Family::Inet, "guard", name)).unwrap().base;
        assert_eq!(chains.len(), 4);
        assert_eq!(base("arrive"), Some(Base { hook: Hook::Input, priority: 10, drops: true }));
        assert_eq!(base("pass"), Some(Base { hook: Hook::Forward, priority: 0, drops: false }));
        assert_eq!((base("other"), base("nat")), (None, None));
        let rules = tables.rules(&place(Family::Inet, "guard", "arrive")).unwrap();
        let read: Vec<_> = rules.iter().map(|rule| (rule.comment.as_deref(), rule.always.clone())).collect();
        let other = || "other".to_owned();
        assert_eq!(
            read,
            [(None, None), (Some("to other"), Some(Always::Jump(other()))), (None, Some(Always::Refuse))]
        );
        assert!(rules.windows(2).all(|pair| pair[0].handle < pair[1].handle));
        let pass = tables.rules(&place(Family::Inet, "guard", "pass")).unwrap();
        assert_eq!(pass.first().unwrap().always, Some(Always::Goto(other())));
        assert_eq!(tables.rules(&place(Family::Inet, "guard", "none")).unwrap(), []);
        assert_eq!(tables.rules(&place(Family::Ip, "guard", "arrive")).unwrap(), []);
        assert!(tables.has_table(Family::Inet, "guard").unwrap());
        assert!(!tables.has_table(Family::Ip, "guard").unwrap());
    });
}

#[test]
fn what_iptables_wrote_is_read_the_same_way() {
    if !std::path::Path::new("/usr/sbin/iptables-nft").exists() {
        assert!(std::env::var_os("CI").is_none(), "this test needs iptables-nft");
        return;
    }
    alone(|| {
        for arguments in [
            "-P FORWARD DROP",
            "-A FORWARD -i br0 -m comment --comment mine -j ACCEPT",
            "-A FORWARD -m comment --comment end -j REJECT",
            "-A FORWARD -j DROP",
        ] {
            assert!(Command::new("iptables-nft").args(arguments.split(' ')).status().unwrap().success());
        }
        let mut tables = Nftables::open().unwrap();
        let forward = place(Family::Ip, "filter", "FORWARD");
        let chains = tables.chains().unwrap();
        let base = chains.iter().find(|chain| chain.place == forward).unwrap().base;
        assert_eq!(base, Some(Base { hook: Hook::Forward, priority: 0, drops: true }));
        let rules = tables.rules(&forward).unwrap();
        let read: Vec<_> = rules.iter().map(|rule| (rule.comment.as_deref(), rule.always.clone())).collect();
        assert_eq!(
            read,
            [(Some("mine"), None), (Some("end"), Some(Always::Refuse)), (None, Some(Always::Refuse))]
        );
    });
}

#[test]
fn a_change_is_heard_with_the_table_it_is_about() {
    alone(|| {
        let events = Events::open().unwrap();
        assert!(events.drain().unwrap().is_empty());
        nft("add table ip one\nadd chain ip one two\nadd rule ip one two accept\nadd table inet three\n");
        let tables = events.drain().unwrap().tables;
        let names: Vec<_> = tables.iter().map(|(family, name)| (*family, name.as_str())).collect();
        assert_eq!(names, [(Family::Inet, "three"), (Family::Ip, "one")]);
        nft("flush ruleset");
        assert_eq!(events.drain().unwrap().tables, tables);
        assert!(events.drain().unwrap().is_empty());
    });
}

#[test]
fn a_table_is_known_again_until_somebody_changes_it() {
    alone(|| {
        let text = "table inet a {
            set learned { type ipv4_addr; flags dynamic; size 9; }
            counter hits { }
            chain out { ip saddr { 10.0.0.1, 10.0.0.2 } counter name \"hits\" accept comment \"some\"; drop; }
            chain at_forward { type filter hook forward priority filter; policy accept; goto out; }
        }";
        nft(text);
        let marks = || Nftables::open().unwrap().marks(Family::Inet, "a").unwrap();
        let first = marks().unwrap();
        assert!(first.contains("\tchain out {\n") && first.contains(" comment \"some\"\n"), "{first}");
        nft("add element inet a learned { 10.0.0.9 }");
        assert_eq!(marks().as_ref(), Some(&first));
        nft(&format!("delete table inet a; {text}"));
        assert_eq!(marks().as_ref(), Some(&first), "loaded again it is the same");
        for change in [
            "add rule inet a out accept",
            "insert rule inet a out accept",
            "flush chain inet a out",
            "add chain inet a more",
            "add chain inet a at_forward { policy drop; }",
        ] {
            nft(change);
            assert_ne!(marks().as_ref(), Some(&first), "{change}");
            nft(&format!("delete table inet a; {text}"));
        }
        nft("delete table inet a");
        assert_eq!(marks(), None);
    });
}
