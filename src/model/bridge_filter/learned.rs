//! What the kernel learned of a port that is gone. A port's number is not given out again soon, but
//! its guest may come back at once by another port, with the same MAC and addresses.

use crate::firewall::text::can_name;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;

/// The set of MACs with their ports.
pub const BOUND: &str = "bound";

/// One transaction that forgets the ports that are gone, from how nft lists the table: a port by its
/// name if the link is there, by its number if it is not. None: nothing to forget.
#[must_use]
pub fn forget(table: &str, listing: &str, ports: &[IfName]) -> Option<String> {
    let bound = pairs(listing, BOUND).filter_map(|(mac, port)| Some((mac_of(mac)?, port)));
    let (alive, dead): (Vec<_>, Vec<_>) = bound.partition(|(_, port)| is_one(port, ports));
    let mut gone = Vec::new();
    let mut macs = Vec::new();
    for (mac, port) in dead.into_iter().filter(|(_, port)| is_port(port)) {
        let [a, b, c, d, e, f] = mac.0;
        gone.push((BOUND, format!("0x{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x} . {port}")));
        gone.push(("homes", port.to_owned()));
        // Two ports that began at one moment with one MAC.
        if alive.iter().all(|(other, _)| *other != mac) {
            gone.push(("spoken", mac.to_string()));
            macs.push(mac);
        }
    }
    for (held, used) in [("held4", "used4"), ("held6", "used6")] {
        for (address, mac) in pairs(listing, held) {
            if mac.parse().is_ok_and(|mac| macs.contains(&mac)) {
                gone.push((held, format!("{address} . {mac}")));
                gone.push((used, address.to_owned()));
            }
        }
    }
    // One that has gone by itself meanwhile would fail the transaction if it were not added first.
    let lines = gone.iter().flat_map(|(set, element)| {
        ["add", "delete"].map(|verb| format!("{verb} element bridge {table} {set} {{ {element} }}\n"))
    });
    (!gone.is_empty()).then(|| lines.collect())
}

/// The elements of one set, `A . B` each, perhaps with a time.
fn pairs<'a>(listing: &'a str, set: &str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let head = format!("\tset {set} {{\n");
    let body = listing.split_once(&head).map_or("", |(_, rest)| rest);
    let body = body.split_once("\n\t}").map_or(body, |(body, _)| body);
    let elements = body.split_once("elements = {").map_or("", |(_, elements)| elements);
    elements.split([',', '}']).filter_map(|element| {
        let (first, rest) = element.trim().split_once(" . ")?;
        let second = rest.split(' ').next()?;
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit() || b".x:".contains(&b));
        (plain(first) && !first.is_empty()).then_some((first, second))
    })
}

fn mac_of(number: &str) -> Option<MacAddr> {
    let number = u64::from_str_radix(number.strip_prefix("0x")?, 16).ok()?;
    let [0, 0, bytes @ ..] = number.to_be_bytes() else { return None };
    Some(MacAddr(bytes))
}

fn name_of(port: &str) -> Option<IfName> {
    IfName::new(port.strip_prefix('"')?.strip_suffix('"')?.as_bytes()).ok()
}

/// A number, or a name that nft can be given back.
fn is_port(port: &str) -> bool {
    let number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    number || name_of(port).is_some_and(|name| can_name(&name))
}

fn is_one(port: &str, ports: &[IfName]) -> bool {
    name_of(port).is_some_and(|name| ports.contains(&name))
}
