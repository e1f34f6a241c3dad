//! Files that say what a network is: ours, and other managers'.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::net::Ipv4Addr;
use vmnet_access::name::NetName;
use vmnet_model::claimed_subnets::{docker_daemon, libvirt_network, lxc_net};
use vmnet_model::dnsmasq::{self, Place};
use vmnet_model::firewall;
use vmnet_model::guest::known;
use vmnet_model::network::{Network, SubnetChoice};
use vmnet_model::settle::Circumstances;
use vmnet_model::subnet::Subnet;
use vmnet_network::store::live_changes::LiveChanges;
use vmnet_network::store::run_record::Record;

/// Files of libvirt, LXC and Docker: what they claim are subnets.
#[must_use]
pub fn managers(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let all = [libvirt_network(&text), docker_daemon(&text), lxc_net(&text).into_iter().collect()].concat();
    for net in &all {
        assert_eq!(net.to_string().parse().as_ref(), Ok(net));
    }
    !all.is_empty()
}

/// What was added to a network live: it is kept as it was read, and once added to a network it keeps its place in
/// every text.
#[must_use]
pub fn live_changes(bytes: &[u8]) -> bool {
    let Some(changes) = kept_as_read::<LiveChanges>(bytes) else { return false };
    let Ok(name) = NetName::new("lab") else { return false };
    let network = changes.add_to(&Network::with_defaults(name));
    texts_hold_together(&network);
    for end in changes.cables() {
        assert_eq!(end.to_string().parse().as_ref(), Ok(&end));
    }
    !network.hosts.is_empty() || !network.forwards.is_empty()
}

/// The record of a running network: it is kept as it was read.
#[must_use]
pub fn run_record(bytes: &[u8]) -> bool {
    let Some(record) = kept_as_read::<Record>(bytes) else { return false };
    assert!(!record.given().is_empty() || record.subnet().is_none());
    true
}

fn kept_as_read<T: DeserializeOwned + Serialize + PartialEq + Debug>(json: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(json).ok()?;
    let again = serde_json::to_vec(&value).and_then(|kept| serde_json::from_slice(&kept));
    assert_eq!(again.ok().as_ref(), Some(&value));
    Some(value)
}

/// A network's file: mistakes have a place in it and can be shown; and no value of a good one breaks out of its line of
/// dnsmasq's file, or its place in nft's text.
#[must_use]
pub fn file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(name) = NetName::new("lab") else { return false };
    match vmnet_config::read(name, "f", text) {
        Ok(network) => {
            texts_hold_together(&network);
            true
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            let mut before = (1, 1);
            for mistake in &mistakes {
                let line = text.split('\n').nth(mistake.line - 1);
                let length = line.map(|line| line.chars().count());
                assert!(length.is_some_and(|length| mistake.column <= length + 1), "{mistake:?}");
                assert!((mistake.line, mistake.column) >= before, "{mistakes:?}");
                before = (mistake.line, mistake.column);
                let words = [Some(&mistake.message), mistake.hint.as_ref()];
                assert!(words.into_iter().flatten().all(|words| crate::is_one_line(words)), "{mistake:?}");
            }
            false
        }
    }
}

fn texts_hold_together(network: &Network) {
    let subnet = match network.subnet {
        SubnetChoice::Fixed(subnet) => subnet,
        SubnetChoice::Auto => Subnet::around(Ipv4Addr::new(10, 0, 1, 0), 24),
    };
    let wanted = network.settle(&Circumstances { subnet, machine: b"m", uplink_mtu: None, has_ipv6: true });
    let guests = known(&wanted.network.hosts, &[]);
    let word = |text: &str| text.to_owned();
    let place = Place { run_dir: word("/r"), user: word("nobody"), group: word("g"), resolver: None };
    let configuration = dnsmasq::configuration(&wanted, &place).unwrap_or_default();
    for line in configuration.lines() {
        let key = line.split('=').next().unwrap_or_default();
        assert!(
            line.starts_with('#') || key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
            "{line:?}"
        );
        assert!(crate::is_one_line(line), "{line:?}");
        let harmful = ["dhcp-script", "dhcp-luascript", "conf-file", "conf-dir", "conf-script", "addn-hosts"];
        assert!(!harmful.contains(&key) || line.contains("=/r/"), "{line:?}");
        assert!(key != "user" || line == "user=nobody");
    }
    let forwards = firewall::forwards::open(&wanted, &guests);
    is_balanced(&firewall::ruleset(&wanted, &forwards, &guests));
}

/// Every quote and brace is closed, on its own line and in its own place.
fn is_balanced(text: &str) {
    let mut depth = 0_i32;
    for line in text.lines() {
        for (index, part) in line.split('"').enumerate() {
            for brace in part.chars().filter(|_| index % 2 == 0) {
                depth += i32::from(brace == '{') - i32::from(brace == '}');
                assert!(depth >= 0, "{line:?}");
            }
        }
        assert!(line.matches('"').count() % 2 == 0, "{line:?}");
    }
    assert_eq!(depth, 0, "{text}");
}
