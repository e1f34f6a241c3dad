//! Every step of `up` fails once, by an error injected into each of its system calls in turn and by
//! real trouble on the host. Nothing is left over, one line says why, and the next `up` works.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rig::command::Outcome;
use rig::companion::{DONE, FAILED};
use rig::house::{House, VMNET};
use rig::skip::have;
use rig::snapshot::Snapshot;

/// System calls that do something to the host, or ask it something, and an error that each may give.
const CALLS: [(&str, &str); 27] = [
    ("openat", "EACCES"),
    ("read", "EIO"),
    ("write", "ENOSPC"),
    ("mkdir", "ENOSPC"),
    ("renameat", "EROFS"),
    ("fchmod", "EPERM"),
    ("flock", "ENOLCK"),
    ("fcntl", "EINVAL"),
    ("lseek", "EINVAL"),
    ("newfstatat", "EACCES"),
    ("statx", "EACCES"),
    ("getdents64", "EIO"),
    ("readlink", "EACCES"),
    ("socket", "EMFILE"),
    ("connect", "ECONNREFUSED"),
    ("bind", "EADDRINUSE"),
    ("setsockopt", "ENOPROTOOPT"),
    ("socketpair", "EMFILE"),
    ("sendto", "EPERM"),
    ("recvfrom", "ENOBUFS"),
    ("clone3", "EAGAIN"),
    ("pipe2", "EMFILE"),
    ("wait4", "ECHILD"),
    ("epoll_create1", "EMFILE"),
    ("epoll_ctl", "ENOSPC"),
    ("eventfd2", "EMFILE"),
    ("getrandom", "ENOSYS"),
];

/// How many houses share the work.
const SHARES: usize = 2;

/// One call of `up` that is to fail.
#[derive(Clone, Debug)]
struct Fault {
    call: &'static str,
    error: &'static str,
    /// Counted from one, from the start of the program.
    which: usize,
}

/// Every call of a recorded clean `up` that is listed, but for those of the loader and of Rust's start,
/// which end where Rust turns SIGPIPE off.
fn faults(house: &House) -> Vec<Fault> {
    let trace = "/tmp/house/trace";
    house.run(&["strace", "-o", trace, VMNET, "up", "brmgr0"]).success();
    house.down("brmgr0");
    let text = house.read_file(trace).expect("a trace");
    let (mut started, mut faults, mut seen) = (false, Vec::new(), [0; CALLS.len()]);
    for line in text.lines() {
        started |= line.starts_with("rt_sigaction(SIGPIPE");
        let name = line.split('(').next().unwrap_or_default();
        let Some(at) = CALLS.iter().position(|(call, _)| *call == name) else { continue };
        seen[at] += 1;
        // tokio and mio panic when these fail, which only a process without any descriptor left meets.
        // The standard library does so when it cannot hear, over a socket pair of its own, whether a
        // child began; what the kernel tells by netlink is another matter.
        let of_runtime = name == "socketpair"
            || line.contains("\"\\1\\0\\0\\0\\0\\0\\0\\0\", 8)")
            || (name == "recvfrom" && !line.contains("nlmsg_len"));
        if started && !of_runtime {
            faults.push(Fault { call: CALLS[at].0, error: CALLS[at].1, which: seen[at] });
        }
    }
    faults
}

fn fail(house: &House, fault: &Fault) -> Outcome {
    let Fault { call, error, which } = fault;
    let trace = format!("-etrace={call}");
    let inject = format!("-einject={call}:error={error}:when={which}");
    house.run(&["strace", "-o", "/tmp/house/trace", &trace, &inject, VMNET, "up", "brmgr0"])
}

/// Meets one fault; panics if that goes wrong.
fn meet(house: &House, before: &Snapshot, fault: &Fault) {
    println!("{fault:?}");
    let outcome = fail(house, fault);
    if outcome.code() == DONE {
        // It could do without, or took a file that it could not read for one that is absent: then the
        // next `up` sees it.
        outcome.assert_plain();
        house.up("brmgr0");
        let drift = house.drift("brmgr0");
        assert_eq!(drift, (DONE, vec![]), "after {outcome}");
        house.down("brmgr0");
    } else {
        outcome.complaint(FAILED);
    }
    let mut difference = before.difference(&house.snapshot());
    let end = Instant::now() + Duration::from_millis(500);
    while !difference.is_empty() && Instant::now() < end {
        difference = before.difference(&house.snapshot());
    }
    let same = difference.is_empty();
    // A link brings some hundred sysctls along.
    let lines = difference.lines().filter(|line| !line.contains(".brmgr0."));
    let lines = lines.map(|line| line.chars().take(120).collect::<String>()).collect::<Vec<_>>().join("\n");
    assert!(same, "not as before (-: lost, +: left behind) after {outcome}\n{lines}");
}

/// Meets some of the faults, one after the other; a house in which one went wrong is left for another.
fn meet_all<'a>(test: &str, faults: impl Iterator<Item = &'a Fault>) -> Vec<String> {
    let fresh = || {
        let house = House::with_companion(test).expect("another house");
        house.up("brmgr0");
        house.down("brmgr0");
        let before = house.snapshot();
        (house, before)
    };
    let (mut house, mut before) = fresh();
    let mut bad = Vec::new();
    for fault in faults {
        let met = catch_unwind(AssertUnwindSafe(|| meet(&house, &before, fault)));
        if let Err(panic) = met {
            let words = panic.downcast::<String>().map_or_else(|_| "?".to_owned(), |words| *words);
            bad.push(format!("{fault:?}: {words}"));
            (house, before) = fresh();
        }
    }
    house.up("brmgr0");
    house.assert_up("brmgr0");
    bad
}

#[test]
fn a_call_of_up_that_fails_leaves_nothing_behind_and_is_told_in_one_line() {
    let name = "a_call_of_up_that_fails_leaves_nothing_behind_and_is_told_in_one_line";
    if !have(name, &["strace"]) {
        return;
    }
    let Some(house) = House::with_companion(name) else { return };
    let all = &faults(&house);
    assert!(all.len() > 100, "only {} calls were seen", all.len());
    drop(house);
    let bad: Vec<String> = std::thread::scope(|scope| {
        let share = |number| scope.spawn(move || meet_all(name, all.iter().skip(number).step_by(SHARES)));
        let workers: Vec<_> = (0..SHARES).map(share).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a share")).collect()
    });
    assert!(bad.is_empty(), "{} of {} faults:\n{}", bad.len(), all.len(), bad.join("\n"));
}

/// A real trouble: what brings it about, what takes it away, and a word (in lower case) that names it.
struct Trouble {
    name: &'static str,
    bring: &'static str,
    end: &'static str,
    word: &'static str,
}

const TROUBLES: [Trouble; 11] = [
    Trouble {
        name: "nft fails",
        bring: "mount --bind /bin/false /usr/sbin/nft",
        end: "umount --lazy /usr/sbin/nft",
        word: "nft failed",
    },
    Trouble {
        name: "nft cannot be executed",
        bring: "touch /tmp/house/n; mount --bind /tmp/house/n /usr/sbin/nft",
        end: "umount --lazy /usr/sbin/nft; rm /tmp/house/n",
        word: "nft is not installed",
    },
    Trouble {
        name: "nft is no program",
        bring: "echo x >/tmp/house/n; chmod 755 /tmp/house/n; mount --bind /tmp/house/n /usr/sbin/nft",
        end: "umount --lazy /usr/sbin/nft; rm /tmp/house/n",
        word: "nft",
    },
    Trouble {
        name: "dnsmasq is missing",
        bring: "touch /tmp/house/n; mount --bind /tmp/house/n /usr/sbin/dnsmasq",
        end: "umount /usr/sbin/dnsmasq; rm /tmp/house/n",
        word: "dnsmasq is not installed",
    },
    Trouble {
        name: "dnsmasq fails",
        bring: "mount --bind /bin/false /usr/sbin/dnsmasq",
        end: "umount /usr/sbin/dnsmasq",
        word: "dnsmasq failed",
    },
    Trouble {
        name: "read-only sysctls",
        bring: "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
        end: "umount /proc/sys",
        word: "/proc/sys/net/",
    },
    Trouble {
        name: "port 53 is taken",
        bring: "dnsmasq --port=53 --conf-file=/dev/null --no-resolv --no-hosts --pid-file=/tmp/house/pid --user=root",
        end: "kill $(cat /tmp/house/pid); rm -f /tmp/house/pid",
        word: "address already in use",
    },
    Trouble {
        name: "a full /run",
        bring: "mkdir /run/vmnet; mount -t tmpfs -o size=4k small /run/vmnet; head -c 4096 /dev/zero >/run/vmnet/zeros || true",
        end: "umount /run/vmnet; rmdir /run/vmnet",
        word: "no space left on device",
    },
    Trouble {
        name: "a read-only /run",
        bring: "mkdir /tmp/house/e; mount --bind /tmp/house/e /run; mount -o remount,bind,ro /run",
        end: "umount /run; rm -rf /tmp/house/e",
        word: "read-only file system",
    },
    Trouble {
        name: "a read-only /var/lib",
        bring: "rm -rf /var/lib/vmnet; mkdir /tmp/house/e; mount --bind /tmp/house/e /var/lib; mount -o remount,bind,ro /var/lib",
        end: "umount /var/lib; rm -rf /tmp/house/e; mkdir -p /var/lib/vmnet",
        word: "/var/lib/vmnet",
    },
    Trouble {
        name: "a file that is a directory",
        bring: "mkdir -p /etc/vmnet/networks/brmgr0.toml",
        end: "rm -r /etc/vmnet",
        word: "/etc/vmnet/networks/brmgr0.toml",
    },
];

/// Meets one trouble in a house of its own; panics if that goes wrong.
fn meet_trouble(test: &str, trouble: &Trouble) {
    let Some(house) = House::with_companion(test) else { return };
    let calm = house.snapshot();
    house.sh(trouble.bring);
    // Without nft nobody can look.
    let before = (!trouble.name.starts_with("nft")).then(|| house.snapshot());
    let outcome = house.vmnet(&["up", "brmgr0"]);
    let words = outcome.complaint(FAILED).to_lowercase();
    assert!(words.contains(trouble.word), "no {:?}: {outcome}", trouble.word);
    before.iter().for_each(|before| house.assert_as_in(before));
    house.sh(trouble.end);
    house.assert_as_in(&calm);
    house.up("brmgr0");
    house.assert_up("brmgr0");
    house.down("brmgr0");
    house.assert_as_in(&calm);
}

#[test]
fn real_trouble_is_named_and_leaves_nothing_behind() {
    let name = "real_trouble_is_named_and_leaves_nothing_behind";
    let bad: Vec<String> = TROUBLES
        .iter()
        .filter_map(|trouble| {
            let met = catch_unwind(AssertUnwindSafe(|| meet_trouble(name, trouble)));
            let panic = met.err()?;
            let words = panic.downcast::<String>().map_or_else(|_| "?".to_owned(), |words| *words);
            Some(format!("{}: {words}", trouble.name))
        })
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn a_change_that_fails_leaves_a_running_network_running() {
    let name = "a_change_that_fails_leaves_a_running_network_running";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    house.describe("lab", "");
    house.up("lab");
    house.describe("lab", "mtu = 1400\nmode = \"isolated\"\n");
    house.sh("mount --bind /bin/false /usr/sbin/nft");
    house.vmnet(&["up", "lab"]).complaint(FAILED);
    house.sh("umount --lazy /usr/sbin/nft");
    assert!(house.outside_path("/sys/class/net/lab").exists());
    house.sh("pgrep -x dnsmasq; nft list table inet vmnet_lab");
    house.up("lab");
    house.assert_up("lab");
    house.down("lab");
    house.sh("rm -r /etc/vmnet");
    house.assert_as_in(&before);
}

#[test]
fn a_down_that_fails_says_why_and_can_be_tried_again() {
    let name = "a_down_that_fails_says_why_and_can_be_tried_again";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    house.up("brmgr0");
    house.sh("mount --bind /bin/false /usr/sbin/nft");
    let outcome = house.vmnet(&["down", "brmgr0"]);
    assert!(outcome.complaint(FAILED).contains("nft failed"), "{outcome}");
    house.sh("umount --lazy /usr/sbin/nft");
    assert!(!house.outside_path("/sys/class/net/brmgr0").exists(), "it stopped at the first error");
    house.down("brmgr0");
    house.assert_as_in(&before);
}

#[test]
fn a_keeper_that_cannot_be_started_is_told_and_leaves_nothing_behind() {
    let name = "a_keeper_that_cannot_be_started_is_told_and_leaves_nothing_behind";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    // Where its lock should be.
    house.sh("mkdir -p /run/vmnet/brmgr0/keeper");
    let outcome = house.vmnet(&["up", "brmgr0"]);
    outcome.assert_plain();
    assert_eq!(outcome.code(), FAILED, "{outcome}");
    house.assert_as_in(&before);
}
