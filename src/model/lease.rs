//! dnsmasq's lease file, read back. Guests choose the names in it, so they are cleaned here, once,
//! before anything prints them.

use std::net::Ipv4Addr;
use vmnet_access::mac::MacAddr;

/// Longest name kept: that of a domain name (RFC 1035, 2.3.4).
const NAME_MAX: usize = 255;

/// One IPv4 lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// When it ends, in seconds since 1970; none: never.
    pub expires: Option<u64>,
    /// The MAC of the guest whose lease it is.
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

/// What became of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// The lease is new.
    Got,
    /// It lasts longer now, or has another name.
    Renewed,
    /// The lease is over.
    Lost,
}

impl LeaseChange {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Got => "got",
            Self::Renewed => "renewed",
            Self::Lost => "lost",
        }
    }
}

/// What changed from one reading to the next: first what went, so that an address that changes hands is
/// lost before it is got.
#[must_use]
pub fn changes<'a>(before: &'a [Lease], after: &'a [Lease]) -> Vec<(LeaseChange, &'a Lease)> {
    let of = |lease: &Lease, others: &'a [Lease]| {
        others.iter().find(|other| other.mac == lease.mac && other.address == lease.address)
    };
    let lost =
        before.iter().filter(|lease| of(lease, after).is_none()).map(|lease| (LeaseChange::Lost, lease));
    let there = after.iter().filter_map(|lease| match of(lease, before) {
        None => Some((LeaseChange::Got, lease)),
        Some(old) if old != lease => Some((LeaseChange::Renewed, lease)),
        Some(_) => None,
    });
    lost.chain(there).collect()
}

impl Lease {
    /// Seconds since it was granted or last renewed, where each lasts `time` seconds. None for one
    /// without an end, or that was granted when leases lasted longer.
    #[must_use]
    pub fn age(&self, time: u32, now: u64) -> Option<u64> {
        u64::from(time).checked_sub(self.expires?.saturating_sub(now))
    }
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

    fn lease_of(last: u8, expires: u64) -> Lease {
        let (mac, address) = (MacAddr([2, 0, 0, 0, 0, last]), Ipv4Addr::new(10, 0, 1, last));
        Lease { expires: Some(expires), mac, address, name: None }
    }

    #[test]
    fn what_went_is_told_before_what_came() {
        let before = [lease_of(1, 100), lease_of(2, 100), lease_of(3, 100)];
        let moved = Lease { address: Ipv4Addr::new(10, 0, 1, 1), ..lease_of(9, 100) };
        let after = [moved.clone(), lease_of(2, 200), lease_of(3, 100)];
        let wanted =
            [(LeaseChange::Lost, &before[0]), (LeaseChange::Got, &moved), (LeaseChange::Renewed, &after[1])];
        assert_eq!(changes(&before, &after), wanted);
        assert_eq!(changes(&after, &after), []);
    }

    #[test]
    fn a_lease_is_as_old_as_it_is_short_of_its_whole_time() {
        assert_eq!(lease_of(1, 4000).age(3600, 1000), Some(600));
        assert_eq!(lease_of(1, 4000).age(600, 1000), None);
        assert_eq!(Lease { expires: None, ..lease_of(1, 0) }.age(600, 1000), None);
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
