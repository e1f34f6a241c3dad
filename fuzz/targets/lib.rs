//! What holds of every parser of strangers' bytes, whatever the bytes. `make fuzz` makes them up (libFuzzer, by
//! way of `fuzz/fuzz_targets`); `make test` replays the ones that once led somewhere new (`fuzz/corpus`).
//!
//! | file | strangers |
//! |---|---|
//! | [`callers`] | who asks for a port; what the kernel and the host's files say of them |
//! | [`rules`] | who writes access rules |
//! | [`words`] | who names a network, a guest, an address, a switch |
//! | [`guests`] | guests: their leases, DHCP's answers to us as one |
//! | [`frames`] | guests: their frames |
//! | [`switches`] | VDE switches and who is on them |
//! | [`firewalls`] | nft, iptables, and whoever fills them |
//! | [`networks`] | who writes a network's file, or another manager's |

#![forbid(unsafe_code)]

pub mod callers;
pub mod firewalls;
pub mod frames;
pub mod guests;
pub mod networks;
pub mod rules;
pub mod switches;
pub mod words;

/// Reads some bytes, and panics where something does not hold of them. True if they were understood: where
/// a parser knows better and worse, they were of the better kind.
pub type Target = fn(&[u8]) -> bool;

/// Every target by its name, which is that of its folder of `fuzz/corpus` and its file in `fuzz/fuzz_targets`.
pub const TARGETS: [(&str, Target); 24] = [
    ("accounts", callers::accounts),
    ("chains", firewalls::chains),
    ("coalesce", frames::coalesce),
    ("console", switches::console),
    ("dhcp", guests::dhcp),
    ("leases", guests::leases),
    ("listing", firewalls::listing),
    ("live_changes", networks::live_changes),
    ("managers", networks::managers),
    ("names", words::names),
    ("netlink", callers::netlink),
    ("network_file", networks::file),
    ("port_record", callers::port_record),
    ("port_reply", callers::port_reply),
    ("port_request", callers::port_request),
    ("port_tag", callers::port_tag),
    ("rules", rules::rules),
    ("run_record", networks::run_record),
    ("saved", firewalls::saved),
    ("segment", frames::segment),
    ("sockets", switches::sockets),
    ("switch_answer", switches::answer),
    ("switch_record", switches::record),
    ("words", words::words),
];

/// The first line, and the rest.
fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(at);
    (line, rest.get(1..).unwrap_or_default())
}

/// Would a terminal or a log show it as one line, and obey nothing in it?
fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
