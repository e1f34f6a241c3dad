//! The texts that open chains and close them again: for nft, and for iptables-legacy-restore(8).
//! Rules are plain ones that iptables-nft understands too, so that it still lists the tables.

use super::{Backend, Family, Guests, Hook, Opening, Place, Purpose, is_ours};
use std::fmt::Write;
use vmnet_access::name::NetName;

/// The transaction that makes nft's chains as they must be: ours there are replaced whole. Empty
/// where there is nothing to do.
#[must_use]
pub fn nft_text(guests: &Guests, openings: &[Opening]) -> String {
    let mut text = String::new();
    let wrong = |opening: &&Opening| !opening.open && opening.place.backend == Backend::Nft;
    for opening in openings.iter().filter(wrong) {
        text.push_str(&removal(&opening.place, &opening.has));
        for purpose in opening.needs.iter().rev() {
            let (place, matches) = (named(&opening.place), nft_match(guests, *purpose, opening.hook));
            let comment = guests.comment(*purpose);
            let _ = writeln!(text, "insert rule {place} {matches} accept comment \"{comment}\"");
        }
    }
    text
}

/// The transaction that removes every rule of ours from nft's chains.
#[must_use]
pub fn nft_removal(openings: &[Opening]) -> String {
    let nft = |opening: &&Opening| opening.place.backend == Backend::Nft;
    openings.iter().filter(nft).map(|opening| removal(&opening.place, &opening.has)).collect()
}

fn removal(place: &Place, handles: &[u64]) -> String {
    handles.iter().map(|handle| format!("delete rule {} handle {handle}\n", named(place))).collect()
}

fn named(place: &Place) -> String {
    format!("{} {} {}", place.family.as_str(), place.table, place.chain)
}

fn nft_match(guests: &Guests, purpose: Purpose, hook: Hook) -> String {
    let bridge = &guests.bridge;
    // Our answers leave by the port that was asked.
    let (way, port) = if hook == Hook::Output { ("oifname", "sport") } else { ("iifname", "dport") };
    match purpose {
        Purpose::From => format!("iifname \"{bridge}\""),
        Purpose::To => format!("oifname \"{bridge}\""),
        Purpose::Between => format!("iifname \"{bridge}\" oifname \"{bridge}\""),
        Purpose::Dhcp => format!("{way} \"{bridge}\" udp {port} 67"),
        Purpose::Dhcp6 => format!("{way} \"{bridge}\" udp {port} 547"),
        Purpose::DnsUdp => format!("{way} \"{bridge}\" udp {port} 53"),
        Purpose::DnsTcp => format!("{way} \"{bridge}\" tcp {port} 53"),
        Purpose::Icmp => format!("{way} \"{bridge}\" meta l4proto icmp"),
        Purpose::Icmp6 => format!("{way} \"{bridge}\" meta l4proto ipv6-icmp"),
    }
}

/// The text for `iptables-legacy-restore --noflush` that makes the chains of one family as they
/// must be, given what iptables-legacy-save(8) says; empty where there is nothing to do.
#[must_use]
pub fn restore_text(guests: &Guests, openings: &[Opening], family: Family, saved: &str) -> String {
    let wrong: Vec<&Opening> =
        openings.iter().filter(|opening| !opening.open && opening.is_legacy(family)).collect();
    if wrong.is_empty() {
        return String::new();
    }
    let here = |chain: &str| wrong.iter().any(|opening| opening.place.chain == chain);
    let mut lines = deletions(&guests.network, saved, here);
    for opening in wrong {
        for purpose in opening.needs.iter().rev() {
            let matches = legacy_match(guests, *purpose, opening.hook);
            let (chain, comment) = (&opening.place.chain, guests.comment(*purpose));
            let _ = writeln!(lines, "-I {chain} 1 {matches} -m comment --comment \"{comment}\" -j ACCEPT");
        }
    }
    whole(&lines)
}

/// The text for `iptables-legacy-restore --noflush` that removes every rule of ours; empty where
/// there is none.
#[must_use]
pub fn legacy_removal(network: &NetName, saved: &str) -> String {
    whole(&deletions(network, saved, |_| true))
}

fn whole(lines: &str) -> String {
    if lines.is_empty() { String::new() } else { format!("*filter\n{lines}COMMIT\n") }
}

/// Our rules as they were saved, with the word that appends turned into the one that deletes.
fn deletions(network: &NetName, saved: &str, here: impl Fn(&str) -> bool) -> String {
    let mut lines = String::new();
    for rule in saved.lines().filter_map(|line| line.strip_prefix("-A ")) {
        let chain = rule.split(' ').next().unwrap_or_default();
        let comment = rule.split_once("--comment \"").and_then(|(_, rest)| rest.split('"').next());
        if here(chain) && comment.is_some_and(|comment| is_ours(network, comment)) {
            let _ = writeln!(lines, "-D {rule}");
        }
    }
    lines
}

fn legacy_match(guests: &Guests, purpose: Purpose, hook: Hook) -> String {
    let bridge = &guests.bridge;
    let (way, port) = if hook == Hook::Output { ("-o", "--sport") } else { ("-i", "--dport") };
    match purpose {
        Purpose::From => format!("-i {bridge}"),
        Purpose::To => format!("-o {bridge}"),
        Purpose::Between => format!("-i {bridge} -o {bridge}"),
        Purpose::Dhcp => format!("{way} {bridge} -p udp -m udp {port} 67"),
        Purpose::Dhcp6 => format!("{way} {bridge} -p udp -m udp {port} 547"),
        Purpose::DnsUdp => format!("{way} {bridge} -p udp -m udp {port} 53"),
        Purpose::DnsTcp => format!("{way} {bridge} -p tcp -m tcp {port} 53"),
        Purpose::Icmp => format!("{way} {bridge} -p icmp"),
        Purpose::Icmp6 => format!("{way} {bridge} -p ipv6-icmp"),
    }
}
