//! dnsmasq's lease file, read back. Guests choose the names in it, so they are cleaned here, once,
//! before anything prints them.

use crate::mac::MacAddr;
use std::net::Ipv4Addr;

/// Longest name kept: that of a domain name (RFC 1035, 2.3.4).
const NAME_MAX: usize = 255;

/// One IPv4 lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// When it ends, in seconds since 1970; none: never.
    pub expires: Option<u64>,
    /// Whose it is.
    pub mac: MacAddr,
    /// The address leased.
    pub address: Ipv4Addr,
    /// What the guest calls itself: printable ASCII, anything else replaced by `?`.
    pub name: Option<String>,
}

/// The IPv4 leases of a lease file, in its order. Lines of another form are passed over: `duid` and
/// the DHCPv6 leases after it, and whatever another version may write (`lease_update_file` in
/// dnsmasq's lease.c).
#[must_use]
pub fn leases(file: &[u8]) -> Vec<Lease> {
    String::from_utf8_lossy(file).lines().filter_map(lease).collect()
}

/// `EXPIRY MAC ADDRESS NAME CLIENT-ID`, with `*` for no name.
fn lease(line: &str) -> Option<Lease> {
    let mut words = line.split(' ');
    let expires = words.next()?.parse().ok()?;
    let mac = words.next()?.parse().ok()?;
    let address = words.next()?.parse().ok()?;
    let name = words.next()?;
    let expires = if expires == 0 { None } else { Some(expires) };
    let name = if matches!(name, "" | "*") { None } else { Some(printable(name)) };
    Some(Lease { expires, mac, address, name })
}

fn printable(name: &str) -> String {
    name.chars().take(NAME_MAX).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_dnsmasq_writes() {
        let file = b"1763723456 02:00:00:12:34:56 10.0.1.17 web 01:02:00:00:12:34:56\n\
            0 02:00:00:12:34:57 10.0.1.18 * *\n";
        let [web, nameless] = leases(file).try_into().unwrap();
        assert_eq!(web.expires, Some(1_763_723_456));
        assert_eq!(web.mac.to_string(), "02:00:00:12:34:56");
        assert_eq!(web.address, Ipv4Addr::new(10, 0, 1, 17));
        assert_eq!(web.name.as_deref(), Some("web"));
        assert_eq!((nameless.expires, nameless.name), (None, None));
    }

    #[test]
    fn other_lines_are_passed_over() {
        let file = b"duid 00:01:00:01:2b:f0:5c:d1:02:00:00:12:34:56\n\
            1763723456 1193046 fd00::17 web 00:01:00:01\n\
            1763723456 06-02:00:00:12:34:56 10.0.1.17 hwtype *\n\
            1763723456 02:00:00:12:34:56\n\n\
            1763723456 02:00:00:12:34:56 10.0.1.17 kept *\n";
        let names: Vec<_> = leases(file).into_iter().filter_map(|l| l.name).collect();
        assert_eq!(names, ["kept"]);
    }

    proptest! {
        #[test]
        fn no_file_makes_it_fail(file in any::<Vec<u8>>()) {
            let _ = leases(&file);
        }

        #[test]
        fn no_name_can_forge_output(name in "[^ \r\n]{1,300}") {
            let file = format!("1 02:00:00:12:34:56 10.0.1.17 {name} *\n");
            let [lease] = leases(file.as_bytes()).try_into().unwrap();
            let name = lease.name.unwrap_or_default();
            prop_assert!(name.len() <= NAME_MAX && name.bytes().all(|b| b.is_ascii_graphic()), "{name:?}");
        }
    }
}
