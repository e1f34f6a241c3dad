//! Against the real iptables-legacy, in a network namespace of the test's own.

use super::*;
use nix::sched::{CloneFlags, unshare};
use proptest::prelude::*;
use std::process::Command;
use vmnet_model::other_firewalls::{Always, Hook};

proptest! {
    #[test]
    fn no_table_makes_the_reader_fall_over(
        info in proptest::collection::vec(any::<u8>(), 84), bytes in proptest::collection::vec(0..4_u8, 0..600),
    ) {
        let info = read::Info::new(&info).unwrap();
        for family in [Family::Ip, Family::Ip6] {
            let _ = read::chains(family, &info, &bytes);
        }
    }
}

/// In a thread with a network namespace of its own; skipped where that or a program is missing.
fn alone(test: impl FnOnce() + Send + 'static) {
    let missing = !nix::unistd::Uid::effective().is_root()
        || !std::path::Path::new("/usr/sbin/iptables-legacy").exists();
    if missing {
        assert!(std::env::var_os("CI").is_none(), "this test needs root and iptables-legacy");
        eprintln!("SKIPPED: needs root and iptables-legacy");
        return;
    }
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        test();
    });
    thread.join().unwrap();
}

fn run(program: &str, arguments: &str) {
    let status = Command::new(program).args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "{program} {arguments}");
}

#[test]
fn an_older_table_is_read_as_iptables_wrote_it() {
    alone(|| {
        for (program, family) in [("iptables-legacy", Family::Ip), ("ip6tables-legacy", Family::Ip6)] {
            for arguments in [
                "-P FORWARD DROP",
                "-N DOCKER-USER",
                "-A DOCKER-USER -j RETURN",
                "-A FORWARD -m comment --comment all -j DOCKER-USER",
                "-A FORWARD -i br0 -m comment --comment ours -j ACCEPT",
                "-A INPUT -p udp -m udp --dport 67 -j DROP",
                "-A INPUT -g DOCKER-USER",
                "-A INPUT -j REJECT",
                "-A OUTPUT -j ACCEPT",
            ] {
                run(program, arguments);
            }
            // /proc/net is that of the main thread's namespace.
            let chains = table(family).unwrap();
            let chain = |name: &str| chains.iter().find(|chain| chain.place.chain == name).unwrap();
            let rules = |name: &str| -> Vec<_> {
                chain(name).rules.iter().map(|rule| (rule.comment.as_deref(), rule.always.clone())).collect()
            };
            let base = |name: &str| chain(name).base.map(|base| (base.hook, base.drops));
            assert_eq!(chains.len(), 4, "{chains:?}");
            assert_eq!(base("INPUT"), Some((Hook::Input, false)));
            assert_eq!(base("FORWARD"), Some((Hook::Forward, true)));
            assert_eq!(base("OUTPUT"), Some((Hook::Output, false)));
            assert_eq!(base("DOCKER-USER"), None);
            let user = || "DOCKER-USER".to_owned();
            assert_eq!(rules("FORWARD"), [(Some("all"), Some(Always::Jump(user()))), (Some("ours"), None)]);
            assert_eq!(
                rules("INPUT"),
                [(None, None), (None, Some(Always::Goto(user()))), (None, Some(Always::Refuse))]
            );
            assert_eq!(rules("OUTPUT"), [(None, Some(Always::Accept))]);
            assert_eq!(rules("DOCKER-USER").first(), Some(&(None, Some(Always::Return))));
        }
    });
}

#[test]
fn whoever_takes_the_lock_is_heard() {
    alone(|| {
        run("iptables-legacy", "-P FORWARD ACCEPT");
        let events = Events::open().unwrap();
        let _ = events.drain().unwrap();
        run("iptables-legacy", "-P FORWARD DROP");
        assert!(events.drain().unwrap());
    });
}
