//! Which subnet is free. A subnet is taken by whatever claims one address of it: an interface, a
//! route of any table (a VPN's too), another network of ours that is down, another manager's file.

use crate::subnet::Subnet;
use std::fmt;
use std::net::Ipv4Addr;

/// A claim on addresses, and who makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The addresses.
    pub subnet: Subnet,
    /// Who has them, in words that fit after "is taken by".
    pub reason: String,
}

/// Every /24 that may be chosen, as first and last base, in the order of choice. Private space
/// (RFC 1918), but not 10.0.0.0/24, which home routers and VPNs like best.
const POOLS: [(Ipv4Addr, Ipv4Addr); 3] = [
    (Ipv4Addr::new(10, 0, 1, 0), Ipv4Addr::new(10, 255, 255, 0)),
    (Ipv4Addr::new(172, 16, 0, 0), Ipv4Addr::new(172, 31, 255, 0)),
    (Ipv4Addr::new(192, 168, 0, 0), Ipv4Addr::new(192, 168, 255, 0)),
];
const LENGTH: u8 = 24;

/// The widest private network is 10.0.0.0/8 (RFC 1918).
const WIDEST: u8 = 8;

/// Every subnet of private space is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoneFree;

impl fmt::Display for NoneFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every /24 of 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16 is taken")
    }
}

impl std::error::Error for NoneFree {}

/// Does a route claim its addresses? One that is wider than any private network does not: it is
/// the default route, whole or in parts (VPNs split it, as 0.0.0.0/1 and 128.0.0.0/1, so as to win
/// over the original), and says only where strangers are.
#[must_use]
pub fn counts(route: Subnet) -> bool {
    route.length() >= WIDEST
}

/// The first /24 that shares no address with any claim.
///
/// # Errors
/// Every one is taken.
pub fn first_free(taken: &[Taken]) -> Result<Subnet, NoneFree> {
    let mut claims: Vec<(u32, u32)> = taken.iter().map(|t| ends(t.subnet)).collect();
    claims.sort_unstable();
    POOLS.iter().find_map(|pool| first_free_in(*pool, &claims)).ok_or(NoneFree)
}

/// The first claim that a subnet somebody fixed, or that is remembered, shares an address with.
#[must_use]
pub fn conflict(subnet: Subnet, taken: &[Taken]) -> Option<&Taken> {
    taken.iter().find(|t| t.subnet.overlaps(subnet))
}

/// One pass over the claims, which are sorted by their first address.
fn first_free_in((first, last): (Ipv4Addr, Ipv4Addr), claims: &[(u32, u32)]) -> Option<Subnet> {
    let mut candidate = Subnet::around(first, LENGTH);
    for &(from, to) in claims {
        let (base, end) = ends(candidate);
        if from > end {
            break;
        }
        if to >= base {
            let after = Subnet::around(to.into(), LENGTH).broadcast();
            candidate = Subnet::around(u32::from(after).checked_add(1)?.into(), LENGTH);
        }
    }
    (candidate.base() <= last).then_some(candidate)
}

fn ends(subnet: Subnet) -> (u32, u32) {
    (subnet.base().into(), subnet.broadcast().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    fn taken(subnets: &[&str]) -> Vec<Taken> {
        subnets.iter().map(|s| Taken { subnet: net(s), reason: (*s).to_owned() }).collect()
    }

    fn chosen(subnets: &[&str]) -> Result<String, NoneFree> {
        first_free(&taken(subnets)).map(|s| s.to_string())
    }

    #[test]
    fn an_empty_host_gets_the_first_candidate() {
        assert_eq!(chosen(&[]).unwrap(), "10.0.1.0/24");
    }

    #[test]
    fn a_claim_is_seen_whether_it_is_wider_or_narrower_than_the_candidate() {
        assert_eq!(chosen(&["10.0.1.77/32"]).unwrap(), "10.0.2.0/24");
        assert_eq!(chosen(&["10.0.0.0/16"]).unwrap(), "10.1.0.0/24");
        assert_eq!(chosen(&["10.0.2.0/24", "10.0.1.128/25", "10.0.0.0/22"]).unwrap(), "10.0.4.0/24");
    }

    #[test]
    fn the_pools_follow_one_another_and_end() {
        assert_eq!(chosen(&["10.0.0.0/8"]).unwrap(), "172.16.0.0/24");
        assert_eq!(chosen(&["10.0.0.0/8", "172.16.0.0/12"]).unwrap(), "192.168.0.0/24");
        assert_eq!(chosen(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]), Err(NoneFree));
        assert_eq!(chosen(&["0.0.0.0/0"]), Err(NoneFree));
    }

    #[test]
    fn default_routes_do_not_count_however_they_are_split() {
        for route in ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/2"] {
            assert!(!counts(net(route)), "{route}");
        }
        for route in ["10.0.0.0/8", "172.16.0.0/12", "10.0.1.1/32"] {
            assert!(counts(net(route)), "{route}");
        }
    }

    #[test]
    fn a_conflict_names_the_claim() {
        let all = taken(&["192.168.1.0/24", "10.0.0.0/8"]);
        assert_eq!(conflict(net("10.0.1.0/24"), &all).unwrap().reason, "10.0.0.0/8");
        assert_eq!(conflict(net("172.16.0.0/24"), &all), None);
    }

    #[test]
    fn thousands_of_claims_cost_no_time_to_speak_of() {
        let all: Vec<Taken> = (0..60_000_u32)
            .map(|i| Taken {
                subnet: Subnet::around((0x0a00_0100 + i * 256).into(), 24),
                reason: String::new(),
            })
            .collect();
        let start = std::time::Instant::now();
        assert_eq!(first_free(&all).unwrap().to_string(), "10.234.97.0/24");
        assert!(start.elapsed().as_millis() < 500, "trying each against each would take minutes");
    }

    proptest! {
        #[test]
        fn finds_what_trying_every_candidate_finds(
            claims in prop::collection::vec((0_u32..1 << 12, 20_u8..=32), 0..40),
            wide in prop::collection::vec((any::<u32>(), 8_u8..=16), 0..3),
        ) {
            let near = claims.iter().map(|(low, length)| (0x0a00_0000 | low, *length));
            let all: Vec<Taken> = near
                .chain(wide)
                .map(|(a, n)| Taken { subnet: Subnet::around(a.into(), n), reason: String::new() })
                .collect();
            let naive = (0x0a00_0100_u32..=0x0aff_ff00)
                .step_by(256)
                .map(|base| Subnet::around(base.into(), 24))
                .find(|candidate| conflict(*candidate, &all).is_none());
            let found = first_free(&all).unwrap();
            prop_assert_eq!(conflict(found, &all), None);
            prop_assert_eq!(naive.unwrap_or(found), found);
        }
    }

    #[test]
    fn a_claim_on_the_first_or_the_last_address_takes_the_whole_subnet() {
        assert_eq!(chosen(&["10.0.1.0/32"]).unwrap(), "10.0.2.0/24");
        assert_eq!(chosen(&["10.0.1.255/32"]).unwrap(), "10.0.2.0/24");
        assert_eq!(chosen(&["10.0.1.255/32", "10.0.3.0/24"]).unwrap(), "10.0.2.0/24");
        assert_eq!(chosen(&["10.0.0.255/32", "10.0.2.0/32"]).unwrap(), "10.0.1.0/24");
    }

    #[test]
    fn the_last_subnet_of_each_pool_is_found_and_none_behind_it() {
        // All of a private network but its last /24: each time half of what is left.
        let but_last = |base: [u8; 4], length: u8| -> Vec<Taken> {
            let halves = (length + 1..=LENGTH).scan(u32::from(Ipv4Addr::from(base)), |at, length| {
                let half = Subnet::around((*at).into(), length);
                *at = u32::from(half.broadcast()) + 1;
                Some(Taken { subnet: half, reason: String::new() })
            });
            halves.collect()
        };
        let ends = [
            ([10, 0, 0, 0], 8, "10.255.255.0/24"),
            ([172, 16, 0, 0], 12, "172.31.255.0/24"),
            ([192, 168, 0, 0], 16, "192.168.255.0/24"),
        ];
        let mut all = Vec::new();
        for (base, length, last) in ends {
            all.extend(but_last(base, length));
            assert_eq!(first_free(&all).unwrap().to_string(), last);
            all.extend(taken(&[last]));
        }
        assert_eq!(first_free(&all), Err(NoneFree));
        let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
        assert!(private.iter().all(|net| NoneFree.to_string().contains(net)), "{NoneFree}");
    }
}
