//! How much a port may send and get, in bytes a second. What comes faster is dropped, which TCP takes
//! as a hint to slow down: nothing is queued here, so nothing is delayed either.

use super::sets::{self, PORTS};
use crate::firewall::text::{chain, rule};
use crate::settle::NetworkSpec;

/// The kernel's bucket holds what a second brings, and this besides: at least one of the largest
/// frames that pass in one piece, 64 KiB where the sender leaves it to the card to cut them
/// (GSO_LEGACY_MAX_SIZE in include/linux/netdevice.h), without which a slow port would get none.
const BURST_BYTES: u64 = 2 * 65536;
/// A port that is silent for so long begins anew with a full bucket.
const KEPT_SECONDS: u32 = 60;

/// The sets that frames fill.
pub fn sets(wanted: &NetworkSpec) -> Vec<String> {
    let limits = wanted.network.limits;
    let of = |name: &str, limit: Option<u64>| {
        limit.map(|_| sets::learned(name, "type iface_index", PORTS, KEPT_SECONDS))
    };
    [of("sent", limits.from_guest), of("gotten", limits.to_guest)].into_iter().flatten().collect()
}

/// The chains that count.
pub fn chains(wanted: &NetworkSpec) -> Vec<String> {
    let (limits, group) = (wanted.network.limits, wanted.group);
    let from = limits.from_guest.map(|bytes| {
        // After the guard: what it drops is not counted.
        let rule = rule(over(&format!("iifgroup {group}"), "sent", "iif", bytes), "what a guest sends");
        chain("at_sending", Some("filter hook prerouting priority -190"), &[rule])
    });
    let to = limits.to_guest.map(|bytes| {
        let rule =
            rule(over(&format!("oifgroup {group}"), "gotten", "oif", bytes), "what is sent to a guest");
        chain("at_delivery", Some("filter hook postrouting priority filter"), &[rule])
    });
    [from, to].into_iter().flatten().collect()
}

fn over(port: &str, set: &str, index: &str, bytes: u64) -> String {
    format!(
        "{port} update @{set} {{ {index} limit rate over {bytes} bytes/second burst {BURST_BYTES} bytes }} drop"
    )
}
