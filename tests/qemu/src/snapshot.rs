//! Everything a network tool could leave behind in a house, as comparable text: links, addresses,
//! routes and rules of all tables, nftables, `net.*` sysctls, processes, files. What changes by itself
//! (counters, timers, interface numbers) is left out.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::house::House;

/// The state of a house at one moment: one fact a line, each with its kind in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    facts: BTreeSet<String>,
}

/// Keys of iproute2's JSON that change by themselves.
const RESTLESS: [&str; 10] = [
    "ifindex",
    "link_index",
    "hello_timer",
    "forward_delay_timer",
    "tcn_timer",
    "topology_change_timer",
    "gc_timer",
    "expires",
    "valid_life_time",
    "preferred_life_time",
];

/// Sysctls that are counters, secrets or triggers.
const RESTLESS_SYSCTLS: &str =
    "nf_conntrack_count|stable_secret|route.flush|dev_weight|fs\\.|tcp_fastopen_key";

/// The readings, each below a line with its kind; one script, because a test takes hundreds of snapshots.
/// `/var/lib/vmnet` may remember. What is tentative is asked before the addresses: none of them becomes so.
const READINGS: &str = r"
@link
ip -j -d link show
@tentative
ip -6 address show tentative
@address
ip -j address show
@route
ip -j -4 route show table all
@route6
ip -j -6 route show table all
@rule
ip -j -4 rule show
@rule6
ip -j -6 rule show
@sysctl
sysctl -a -r '^net\.' 2>/dev/null | grep -v -E 'RESTLESS'
@process
ps -eo stat=,user:20=,args= | sed -E '/^Z/d; s/^[^ ]+ +//'
@file
find /run /etc /usr/local /dev -xdev -printf '%p %y %m %U:%G %l\n'
find /run /etc -xdev -path /run/netns -prune -o -type f -print0 | xargs -0r sha256sum
find /var/lib -xdev -path /var/lib/vmnet -prune -o -not -type d -printf '%p %y %m %U:%G %s %T@ %l\n'
@nftables
nft -s list ruleset
";

/// What stands before a kind where the readings are put out: a character that the script itself, which is
/// in the list of processes, does not have.
const MARK: char = '\x1e';

impl House {
    /// What there is now. A reading program that fails fails the test.
    #[track_caller]
    pub fn snapshot(&self) -> Snapshot {
        let script = READINGS.replace("RESTLESS", RESTLESS_SYSCTLS);
        let script = script.replace("\n@", "\nprintf '\\036%s\\n' ");
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let text = self.sh(&script);
            let readings = text.split(MARK).filter_map(|reading| reading.split_once('\n'));
            // An IPv6 address that is still being checked for duplicates has no route yet.
            let checked = readings.clone().any(|(kind, text)| kind == "tentative" && !text.trim().is_empty());
            if !checked || Instant::now() > end {
                return Snapshot { facts: readings.flat_map(|(kind, text)| facts(kind, text)).collect() };
            }
        }
    }
}

impl House {
    /// Fails if the house does not come back to what it was, with the difference. The kernel takes links
    /// and carriers away some time after the last descriptor is closed, so this asks again for a while.
    ///
    /// # Panics
    /// If a difference stays.
    #[track_caller]
    pub fn assert_as_in(&self, before: &Snapshot) {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let difference = before.difference(&self.snapshot());
            if difference.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "not as before (-: lost, +: left behind):\n{difference}");
        }
    }
}

impl Snapshot {
    /// What differs later, one line each: `-` is gone, `+` is new. Empty if nothing does.
    pub fn difference(&self, later: &Self) -> String {
        let mut text = String::new();
        for gone in self.facts.difference(&later.facts) {
            let _ = writeln!(text, "- {gone}");
        }
        for new in later.facts.difference(&self.facts) {
            let _ = writeln!(text, "+ {new}");
        }
        text
    }
}

/// The facts of one reading.
fn facts(kind: &str, text: &str) -> Vec<String> {
    match kind {
        "sysctl" | "process" | "file" => lines(kind, text),
        "nftables" => nftables(text),
        "tentative" => Vec::new(),
        _ => {
            let mut objects = objects(text);
            objects.iter_mut().for_each(calm);
            objects.iter().map(|object| format!("{kind} {object}")).collect()
        }
    }
}

/// One fact a line; the processes that take the snapshot are left out.
fn lines(kind: &str, text: &str) -> Vec<String> {
    let own = |line: &&str| {
        kind == "process" && (line.contains("ps -eo") || line.contains("sed -E") || line.ends_with(']'))
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !own(line));
    lines.map(|line| format!("{kind} {line}")).collect()
}

/// One fact a line of nftables, with the table and chain that it stands in and its number there.
fn nftables(text: &str) -> Vec<String> {
    let mut place: Vec<(&str, usize)> = vec![("", 0)];
    let mut facts = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == "}" {
            place.pop();
            continue;
        }
        let path: Vec<&str> = place.iter().map(|(name, _)| *name).collect();
        if let Some((_, number)) = place.last_mut() {
            facts.push(format!("nftables{} {number}: {line}", path.join(" ")));
            *number += 1;
        }
        if let Some(name) = line.strip_suffix('{') {
            place.push((name.trim(), 0));
        }
    }
    facts
}

fn objects(json: &str) -> Vec<Value> {
    match serde_json::from_str(json.trim()) {
        Ok(Value::Array(list)) => {
            list.into_iter().filter(|v| v != &Value::Object(serde_json::Map::new())).collect()
        }
        _ => Vec::new(),
    }
}

fn calm(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for key in RESTLESS {
                map.remove(key);
            }
            map.values_mut().for_each(calm);
        }
        Value::Array(list) => list.iter_mut().for_each(calm),
        _ => {}
    }
}
