//! What guests call themselves, and DHCP where we are the guest.

use std::net::Ipv4Addr;
use vmnet_access::mac::MacAddr;
use vmnet_model::calendar::utc;
use vmnet_model::dhcp::{Client, Heard, Lease, release};
use vmnet_model::lease;

/// A domain name's length (RFC 1035, 2.3.4).
const NAME_MAX: usize = 255;
/// Longest frame without a tag.
const FRAME_MAX: usize = 1514;

/// dnsmasq's lease file: bounded and printable names, and nothing changes by looking twice.
#[must_use]
pub fn leases(bytes: &[u8]) -> bool {
    let leases = lease::leases(bytes);
    assert!(leases.len() <= bytes.iter().filter(|byte| **byte == b'\n').count() + 1);
    for lease in &leases {
        let graphic = |name: &String| name.len() <= NAME_MAX && name.bytes().all(|b| b.is_ascii_graphic());
        assert!(lease.name.as_ref().is_none_or(graphic), "{lease:?}");
        let end = lease.expires.map(utc);
        assert!(end.is_none_or(|end| end.is_ascii() && end.ends_with('Z') && end.len() >= 20));
        assert!(lease.age(3600, 1_800_000_000).is_none_or(|age| age <= 3600));
    }
    assert!(
        lease::changes(&leases, &leases).iter().all(|(change, _)| *change == lease::LeaseChange::Renewed)
    );
    assert_eq!(lease::changes(&[], &leases).len(), leases.len());
    !leases.is_empty()
}

/// Frames of a DHCP server for the client with this MAC and transaction: the first byte says how far the
/// talk is, then each frame behind its length of two bytes. Whatever is granted can be used as it is.
#[must_use]
pub fn dhcp(bytes: &[u8]) -> bool {
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    let Some((state, mut rest)) = bytes.split_first() else { return false };
    let fresh = Client::new(mac, 0x0102_0304, (state & 2 != 0).then(|| "web".to_owned()));
    let mut client = if state & 1 == 0 { fresh } else { fresh.holding(Ipv4Addr::new(10, 0, 1, 17)) };
    let mut understood = false;
    while let Some((length, tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(tail.len());
        let (frame, tail) = tail.split_at(length);
        rest = tail;
        match client.hear(frame) {
            Heard::Nothing => continue,
            Heard::GoOn | Heard::Refused => {}
            Heard::Granted(lease) => {
                is_usable(&lease);
                let given_back = release(mac, 1, lease.address, lease.server);
                assert!(given_back.len() <= FRAME_MAX);
                assert_eq!(client.hear(&given_back), Heard::Nothing);
            }
        }
        understood = true;
        let own = client.frame();
        assert!(own.len() <= FRAME_MAX);
        assert_eq!(client.hear(&own), Heard::Nothing, "no client answers another");
    }
    understood
}

fn is_usable(lease: &Lease) {
    let is_host = |address: &Ipv4Addr| {
        !address.is_unspecified()
            && !address.is_broadcast()
            && !address.is_multicast()
            && !address.is_loopback()
    };
    assert!(is_host(&lease.address) && (1..=32).contains(&lease.length));
    assert!(lease.gateway.iter().chain(&lease.resolvers).all(is_host));
    assert!(lease.resolvers.len() <= 63, "an option has at most 255 bytes");
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let legal = |domain: &String| !domain.is_empty() && domain.len() <= 253 && domain.bytes().all(plain);
    assert!(lease.domain.as_ref().is_none_or(legal));
    assert_eq!(lease.seconds.is_some(), lease.renewal.is_some());
    assert!(lease.seconds.is_none_or(|seconds| seconds > 0 && lease.renewal <= Some(seconds)));
}
