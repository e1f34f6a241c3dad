//! The networks whose texts are kept beside this file, and the comparison with them.
//! `VMNET_BLESS=1 cargo test -p vmnet-model` writes them anew.

use crate::name::{IfName, NetName};
use crate::network::{HostAccess, LeaseTime, Mode, Network, Wanted};
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

fn network(name: &str, subnet: &str, change: impl FnOnce(&mut Network)) -> Wanted {
    let mut network = Network::with_defaults(NetName::new(name).unwrap());
    change(&mut network);
    network.settle(subnet.parse().unwrap(), b"machine")
}

/// One of each kind.
pub fn networks() -> Vec<Wanted> {
    vec![
        network("brmgr0", "10.0.1.0/24", |_| {}),
        network("closed", "10.0.2.0/24", |n| n.mode = Mode::Isolated),
        network("routed-lab", "172.16.4.0/22", |n| {
            n.mode = Mode::Routed;
            n.mtu = 1400;
            n.address = Some(Ipv4Addr::new(172, 16, 7, 254));
            n.dhcp.lease_time = LeaseTime::Infinite;
            n.dhcp.options = vec!["option:ntp-server,172.16.7.254".to_owned(), "252,\"\\n\"".to_owned()];
            n.dns.domain = Some("lab.example.org".to_owned());
            n.dns.upstream = vec!["192.0.2.53".parse().unwrap(), "2001:db8::53".parse().unwrap()];
        }),
        network("office", "192.168.7.128/25", |n| {
            n.nat.source = Some(Ipv4Addr::new(192, 0, 2, 7));
            n.nat.uplink = Some(IfName::new(b"eth0").unwrap());
        }),
        network("mute", "10.0.3.0/24", |n| n.host_access = HostAccess::None),
        network("open", "10.0.4.0/24", |n| {
            n.host_access = HostAccess::All;
            n.dhcp.enabled = false;
        }),
        network("silent", "10.0.5.0/24", |n| {
            n.host_access = HostAccess::None;
            n.dhcp.enabled = false;
        }),
    ]
}

/// Is the text, or its absence, as kept?
pub fn check(name: &str, ending: &str, text: Option<&str>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.{ending}"));
    if std::env::var_os("VMNET_BLESS").is_some() {
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => drop(fs::remove_file(&path)),
        }
    }
    let kept = fs::read_to_string(&path).ok();
    assert_eq!(text, kept.as_deref(), "{} is not as kept", path.display());
}
