//! The commented file that `vmnet init NAME` writes: it says what it changes nothing about, so every
//! key can be found, understood and switched on in one place.

use vmnet_model::name::NetName;
use vmnet_model::network::Network;

/// The file for network `name`: every key, each with a line that explains it, commented out at its
/// default or, where the default is derived, at an example. As it stands it means the same as an empty file.
#[must_use]
pub fn template(name: &NetName) -> String {
    let domain = Network::with_defaults(name.clone()).domain();
    TEMPLATE.replace("{name}", name.as_str()).replace("{domain}", &domain)
}

const TEMPLATE: &str = r#"# Network {name}, brought up by `vmnet up {name}`; vmnet.toml(5) has the whole story.
# Every key may be left out. `vmnet check {name}` finds mistakes.

# What guests reach beyond their bridge: "nat" (the world, behind this host's address),
# "routed" (the world, under their own addresses; others need a route here) or "isolated" (nothing).
# mode = "nat"

# The guests' subnet, prefix length 8 to 29; "auto", the default, takes the first free one and keeps it.
# subnet = "10.0.1.0/24"

# The bridge's address in that subnet, the guests' gateway; by default the first. Needs a fixed subnet.
# address = "10.0.1.1"

# The bridge's MAC address; by default one made from this machine's identity and the network's name.
# mac = "02:00:00:12:34:56"

# Largest packet in bytes, 576 to 65535, for the bridge and every port on it.
# mtu = 1500

# May a guest that plugs in start the network? If not, only `vmnet up {name}` does.
# on_demand = true

# Keep guests from reaching each other; they still reach the host and the world.
# isolated = false

# What guests reach on this host: "none" (DHCP only), "services" (DHCP, DNS and ping) or "all".
# host_access = "services"

[dhcp]
# Hand out addresses at all?
# enabled = true

# First and last address to hand out; by default every one but the bridge's. Needs a fixed subnet.
# range = "10.0.1.100-10.0.1.200"

# How long an address is lent: a number with s, m, h or d, at least "2m", or "infinite".
# lease_time = "1h"

# Further DHCP options in dnsmasq's words, such as "option:ntp-server,10.0.1.1" or "42,10.0.1.1".
# options = []

[dns]
# The guests' domain; by default the network's name under "internal".
# domain = "{domain}"

# Addresses of the DNS servers to ask for other names; if empty, those this host uses.
# upstream = []

[nat]
# The address of this host that guests appear under; by default that of the interface they leave by.
# source = "192.0.2.10"

# The only interface guests may leave by; by default whichever the route takes.
# uplink = "eth0"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys, read};
    use proptest::prelude::*;

    fn name(text: &str) -> NetName {
        NetName::new(text).unwrap()
    }

    /// The key of a line such as `# key = value`.
    fn example(line: &str) -> Option<&str> {
        let (key, _) = line.strip_prefix("# ")?.split_once(" = ")?;
        key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_').then_some(key)
    }

    /// The template with every example switched on.
    fn switched_on(name: &NetName) -> String {
        let on = |line: &str| if example(line).is_some() { line[2..].to_owned() } else { line.to_owned() };
        template(name).lines().map(on).collect::<Vec<_>>().join("\n")
    }

    proptest! {
        #[test]
        fn a_fresh_file_means_the_defaults_whatever_the_network_is_called(text in "[A-Za-z0-9][A-Za-z0-9_.-]{0,62}") {
            let name = name(&text);
            let network = read(name.clone(), "f", &template(&name)).unwrap();
            prop_assert_eq!(network, Network::with_defaults(name.clone()));
            prop_assert_eq!(read(name.clone(), "f", &switched_on(&name)).err(), None);
        }
    }

    #[test]
    fn what_a_fresh_file_shows_as_a_default_is_one() {
        let name = name("lab");
        let default = Network::with_defaults(name.clone());
        let mut shown = read(name.clone(), "f", &switched_on(&name)).unwrap();
        assert_eq!(shown.dns.domain, Some(default.domain()));
        shown.subnet = default.subnet;
        (shown.address, shown.mac, shown.dhcp.range, shown.dns.domain) = (None, None, None, None);
        (shown.nat.source, shown.nat.uplink) = (None, None);
        assert_eq!(shown, default);
    }

    #[test]
    fn a_fresh_file_shows_every_key_once() {
        let text = template(&name("lab"));
        let mut shown: Vec<_> = text.lines().filter_map(example).collect();
        let sections = ["dhcp", "dns", "nat"];
        let top = keys::TOP.known.iter().filter(|key| !sections.contains(key));
        let mut known: Vec<_> =
            top.chain(keys::DHCP.known).chain(keys::DNS.known).chain(keys::NAT.known).copied().collect();
        shown.sort_unstable();
        known.sort_unstable();
        assert_eq!(shown, known);
    }

    #[test]
    fn the_file_in_conf_is_the_one_that_init_writes() {
        assert_eq!(include_str!("../../conf/brmgr0.toml"), template(&name("brmgr0")));
    }
}
