//! What the kernel learned of a port that is gone. A port's number is not given out again soon, but
//! its guest may come back at once by another port, with the same MAC.

use crate::firewall::text::can_name;
use crate::name::IfName;

/// The set of MACs with their ports, for `nft list set bridge TABLE SET`.
pub const BOUND: &str = "bound";

/// One transaction that forgets the ports that are gone, from how nft lists [`BOUND`]: by name if
/// the link is there, by number if it is not. None: nothing to forget.
#[must_use]
pub fn forget(table: &str, listing: &str, ports: &[IfName]) -> Option<String> {
    let gone: Vec<(u64, &str)> = bound(listing).filter(|(_, port)| !is_one(port, ports)).collect();
    if gone.is_empty() {
        return None;
    }
    let mut text = String::new();
    for (mac, port) in gone {
        let elements = [
            (BOUND, format!("{mac:#014x} . {port}")),
            ("spoken", colons(mac)),
            ("homes", port.to_owned()),
        ];
        // One that has gone by itself meanwhile would fail the transaction if it were not added first.
        for (set, element) in elements {
            for verb in ["add", "delete"] {
                text.push_str(&format!("{verb} element bridge {table} {set} {{ {element} }}\n"));
            }
        }
    }
    Some(text)
}

fn is_one(port: &str, ports: &[IfName]) -> bool {
    let name = port.strip_prefix('"').and_then(|port| port.strip_suffix('"'));
    name.is_some_and(|name| ports.iter().any(|port| port.as_bytes() == name.as_bytes()))
}

/// `0xMAC . "PORT"` or `0xMAC . NUMBER`, each followed by its time.
fn bound(listing: &str) -> impl Iterator<Item = (u64, &str)> {
    listing.split([',', '{', '}']).filter_map(|element| {
        let (mac, rest) = element.trim().strip_prefix("0x")?.split_once(" . ")?;
        let mac = u64::from_str_radix(mac, 16).ok().filter(|mac| mac >> 48 == 0)?;
        let port = rest.split(' ').next()?;
        let number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let named = || IfName::new(port.strip_prefix('"')?.strip_suffix('"')?.as_bytes()).ok();
        (number || named().is_some_and(|name| can_name(&name))).then_some((mac, port))
    })
}

fn colons(mac: u64) -> String {
    let [_, _, bytes @ ..] = mac.to_be_bytes();
    crate::mac::MacAddr(bytes).to_string()
}
