//! Which keys a network's file may have, which ones belong to a later version, and which one a
//! misspelt one was probably meant to be.

use crate::mistake::{Fault, shown};

/// The keys of one table.
pub(crate) struct Keys {
    /// Its name, empty for the top of the file.
    pub(crate) section: &'static str,
    /// Those that this version knows.
    pub(crate) known: &'static [&'static str],
    /// Those of the design that a later version brings.
    later: &'static [&'static str],
}

pub(crate) const TOP: Keys = Keys {
    section: "",
    known: &[
        "mode",
        "subnet",
        "address",
        "mac",
        "mtu",
        "on_demand",
        "isolated",
        "host_access",
        "dhcp",
        "dns",
        "nat",
    ],
    later: &["subnet6", "idle", "vde", "limits", "host", "forward", "uplink", "allow_from", "link", "guard"],
};
pub(crate) const DHCP: Keys =
    Keys { section: "dhcp", known: &["enabled", "range", "lease_time", "options"], later: &[] };
pub(crate) const DNS: Keys = Keys { section: "dns", known: &["domain", "upstream"], later: &["register"] };
pub(crate) const NAT: Keys = Keys { section: "nat", known: &["source", "uplink"], later: &[] };

impl Keys {
    /// What to say about a key that is none of these.
    pub(crate) fn stranger(&self, key: &str) -> Fault {
        let place = if self.section.is_empty() { String::new() } else { format!(" in [{}]", self.section) };
        let fault = if self.later.contains(&key) {
            Fault::new(format!("key '{key}'{place} is not supported by this version"))
        } else {
            Fault::new(format!("unknown key '{}'{place}", shown(key)))
        };
        if let Some(home) =
            [TOP, DHCP, DNS, NAT].iter().find(|k| k.section != self.section && k.known.contains(&key))
        {
            return fault.hint(match home.section {
                "" => format!("'{key}' belongs at the top of the file, before the first [section]"),
                section => format!("'{key}' belongs in [{section}]"),
            });
        }
        if self.later.contains(&key) {
            return fault;
        }
        match nearest(key, self.known) {
            Some(known) => fault.hint(format!("did you mean '{known}'?")),
            None => fault,
        }
    }
}

/// The word that `text` was probably meant to be: the one with the fewest slips between them, at most one
/// in three letters and never more than two.
pub(crate) fn nearest(text: &str, words: &[&'static str]) -> Option<&'static str> {
    let text = text.to_ascii_lowercase().replace('-', "_");
    let near = |word: &&'static str| {
        let most = (text.len().max(word.len()) / 3).clamp(1, 2);
        slips(text.as_bytes(), word.as_bytes(), most).map(|count| (count, *word))
    };
    words.iter().filter_map(near).min_by_key(|(count, _)| *count).map(|(_, word)| word)
}

/// How many letters were left out, added, mistaken or swapped with their neighbour (the optimal string
/// alignment distance), if not more than `most`; the recursion branches only on a slip.
fn slips(a: &[u8], b: &[u8], most: usize) -> Option<usize> {
    match (a, b) {
        ([x, a @ ..], [y, b @ ..]) if x == y => slips(a, b, most),
        ([], []) => Some(0),
        _ => {
            let most = most.checked_sub(1)?;
            let (shorter_a, shorter_b) = (a.get(1..).unwrap_or(a), b.get(1..).unwrap_or(b));
            let swapped = match (a, b) {
                ([p, q, a @ ..], [r, s, b @ ..]) if p == s && q == r => slips(a, b, most),
                _ => None,
            };
            [slips(shorter_a, shorter_b, most), slips(shorter_a, b, most), slips(a, shorter_b, most), swapped]
                .into_iter()
                .flatten()
                .min()
                .map(|count| count + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        for (typed, meant) in [
            ("mtuu", "mtu"),
            ("mdoe", "mode"),
            ("MTU", "mtu"),
            ("hostaccess", "host_access"),
            ("host-access", "host_access"),
            ("adress", "address"),
            ("ondemand", "on_demand"),
            ("isolate", "isolated"),
        ] {
            assert_eq!(nearest(typed, TOP.known), Some(meant), "{typed}");
        }
    }

    #[test]
    fn a_different_word_is_not_taken_for_a_slip() {
        for typed in ["", "gateway", "bridge", "ip", "x".repeat(65536).as_str()] {
            assert_eq!(nearest(typed, TOP.known), None, "{typed}");
        }
    }
}
