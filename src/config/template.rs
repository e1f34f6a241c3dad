//! The commented file that `vmnet init NAME` writes: it says what it changes nothing about, so every
//! key can be found, understood and switched on in one place.

use vmnet_access::name::NetName;
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
# "routed" (the world, under their own addresses; others need a route here) or "isolated" (nothing); "vde"
# is a bare wire with a VDE switch, on which this host has no address and serves nothing.
# mode = "nat"

# The guests' subnet, prefix length 8 to 29; "auto", the default, takes the first free one and keeps it.
# subnet = "10.0.1.0/24"

# The bridge's address in that subnet, the guests' gateway; by default the first. Needs a fixed subnet.
# address = "10.0.1.1"

# The bridge's MAC address; by default one made from this machine's identity and the network's name.
# mac = "02:00:00:12:34:56"

# Further subnets on the same wire, such as ["10.9.0.0/16"]: the bridge has the first address of each, and
# guests that a [[host]] gives an address of it, or that set one themselves.
# more_subnets = []

# The guests' IPv6 prefix of 64 bits, such as "fd12:3456:789a:1::/64"; "auto" makes a stable one of this
# machine's and the network's own; "none": no IPv6.
# subnet6 = "auto"

# Largest packet in bytes, 576 to 65535 (IPv6 needs 1280), for the bridge and every port on it; "auto":
# that of the interface by which this host reaches the world.
# mtu = 1500

# May a guest that plugs in start the network? If not, only `vmnet up {name}` does.
# on_demand = true

# What becomes of a network that a guest started, after its last guest has gone: "keep", "down" (a
# minute later), or for how long it stays: a number with s, m, h or d, such as "10m".
# idle = "keep"

# Keep guests from reaching each other; they still reach the host and the world.
# isolated = false

# Hold guests to their own MAC and IP addresses, and let none of them play DHCP server or router?
# guard = false

# The networks whose guests may reach this one's, such as ["other"].
# allow_from = []

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

# Tell this host's own resolver, where that is systemd-resolved, of the guests' domain?
# register = true

[nat]
# The address of this host that guests appear under; by default that of the interface they leave by.
# source = "192.0.2.10"

# The only interface guests may leave by; by default whichever the route takes.
# uplink = "eth0"

# The fastest that each guest may send and be sent to: a number with kbit, mbit, gbit, kbyte or mbyte, each
# per second; by default as fast as they can.
[limits]
# What a guest sends.
# from_guest = "50mbit"

# What is sent to it.
# to_guest = "1gbit"

# A VDE switch that is one wire with the bridge: what is plugged in there is on this network too. Guests at
# the switch cannot be isolated, guarded or limited, and no packet may have more than 1500 bytes.
# [vde]
# The switch's directory, for a switch that is there already; by default one of the network's own is run.
# socket = "/run/vde-{name}"

# Run a switch of the network's own? By default not if 'socket' names one.
# create = true

# The group whose members may plug in with any VDE program; by default only root and `vmnet` do.
# group = "vde2-net"

# The permissions of the switch's sockets.
# mode = "0660"

# How many can be plugged in at one time, the bridge not counted, 1 to 1000.
# ports = 128

# Send every frame to every port?
# hub = false

# The socket of the switch's console, in a directory of its own; by default one for root alone, or, of a
# switch that is joined, none.
# mgmt_socket = "/run/vde-{name}-console/mgmt"

# Look for loops, where switches are cabled to each other?
# fast_spanning_tree = false

# What is promised to one guest; as many such sections as there are guests to name.
# [[host]]
# The name under which the others find it.
# name = "web"

# The MAC address that it is known by.
# mac = "52:54:00:12:34:56"

# Its address in the subnet or one of the further ones; by default any that is free. Needs a fixed subnet.
# address = "10.0.1.20"

# Its address in subnet6; by default the one that it makes of its MAC.
# address6 = "fd12:3456:789a:1::20"

# Further names of it.
# aliases = ["www"]

# A port of this host that leads to a guest; as many such sections as there are ports to forward.
# [[forward]]
# The port, or several such as "8000-8010"; after an address of this host's if not for all of them, such as
# "192.0.2.10:8080" or "[2001:db8::10]:8080".
# listen = 8080

# The guest, by name, MAC or address, and its port if that is another one.
# to = "web:80"

# "tcp", "udp" or "tcp+udp".
# protocol = "tcp"

# One guest of a network with `isolated = true` that may reach another all the same; as many such sections
# as there are pairs.
# [[link]]
# Who may begin, by name, MAC or address.
# from = "web"

# Whom it reaches.
# to = "database"

# On which ports: numbers, or text such as "5432/tcp", "53/udp" or "8000-8010"; by default all, and ping.
# ports = [5432]

# A further name of the one that is reached.
# alias = "db"
"#;

/// The key of a line such as `# key = value`.
fn example(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix("# ")?.split_once(" = ")?;
    key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'6').then_some(key)
}

/// The section that begins with a line such as `[section]` or `# [[section]]`.
fn heading(line: &str) -> Option<&str> {
    let bare = line.strip_prefix("# ").unwrap_or(line);
    let once = |line| str::strip_prefix(line, '[')?.strip_suffix(']');
    once(bare).map(|inner| once(inner).unwrap_or(inner))
}

/// What the template says about each section and key: the section that it is in, its name, and the
/// comment in one line.
pub(crate) fn comments() -> Vec<(&'static str, &'static str, String)> {
    let (mut section, mut comment) = ("", Vec::new());
    let mut all = Vec::new();
    for line in TEMPLATE.lines() {
        if let Some(inner) = heading(line) {
            all.push(("", inner, comment.join(" ")));
            section = inner;
            comment.clear();
        } else if let Some(key) = example(line) {
            all.push((section, key, comment.join(" ").replace("{name}", "NAME")));
            comment.clear();
        } else {
            match line.strip_prefix("# ") {
                Some(words) => comment.push(words),
                None => comment.clear(),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys, read};
    use proptest::prelude::*;
    use vmnet_model::network::Vde;

    fn name(text: &str) -> NetName {
        NetName::new(text).unwrap()
    }

    /// Sections that there may be several of.
    const REPEATED: [&str; 3] = ["host", "forward", "link"];

    /// The template with every example switched on but those of these sections.
    fn switched_on(name: &NetName, without: &[&str]) -> String {
        let mut section = String::new();
        let on = |line: &str| {
            section = heading(line).map_or_else(|| section.clone(), str::to_owned);
            let is_on = example(line).is_some() || heading(line).is_some();
            let bare = line.strip_prefix("# ").filter(|_| is_on && !without.contains(&section.as_str()));
            bare.unwrap_or(line).to_owned()
        };
        template(name).lines().map(on).collect::<Vec<_>>().join("\n")
    }

    proptest! {
        #[test]
        fn a_fresh_file_means_the_defaults_whatever_the_network_is_called(text in "[A-Za-z0-9][A-Za-z0-9_.-]{0,62}") {
            let name = name(&text);
            let network = read(name.clone(), "f", &template(&name)).unwrap();
            prop_assert_eq!(network, Network::with_defaults(name.clone()));
            let with_rates = [&REPEATED[..], &["vde"]].concat();
            let with_a_switch = [&REPEATED[..], &["limits"]].concat();
            for without in [with_rates, with_a_switch] {
                prop_assert_eq!(read(name.clone(), "f", &switched_on(&name, &without)).err(), None);
            }
        }
    }

    #[test]
    fn what_a_fresh_file_shows_as_a_default_is_one() {
        let name = name("lab");
        let default = Network::with_defaults(name.clone());
        let without = [&REPEATED[..], &["limits"]].concat();
        let mut shown = read(name.clone(), "f", &switched_on(&name, &without)).unwrap();
        let switch = shown.vde.take().unwrap();
        assert_eq!(Vde { socket: None, group: None, mgmt_socket: None, ..switch }, Vde::DEFAULT);
        assert_eq!(shown.dns.domain, Some(default.domain()));
        shown.subnet = default.subnet;
        (shown.address, shown.mac, shown.dhcp.range, shown.dns.domain) = (None, None, None, None);
        (shown.nat.source, shown.nat.uplink) = (None, None);
        assert_eq!(shown, default);
    }

    #[test]
    fn all_that_a_fresh_file_shows_works_together_once_guests_are_kept_apart() {
        let name = name("lab");
        let text = switched_on(&name, &["vde"]);
        let mistakes = read(name.clone(), "f", &text).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].hint.as_ref().unwrap().contains("isolated = true"), "{mistakes:?}");
        let apart = text.replace("isolated = false", "isolated = true");
        let network = read(name, "f", &apart).unwrap();
        assert_eq!((network.hosts.len(), network.forwards.len(), network.links.len()), (1, 1, 1));
    }

    #[test]
    fn a_fresh_file_shows_every_key_once() {
        let mut shown: Vec<(&str, &str)> = Vec::new();
        for (section, key, comment) in comments() {
            let is_section =
                keys::TOP.known.iter().any(|known| known.name == key && known.form.table().is_some());
            assert!(is_section || !comment.is_empty(), "{key} is not explained");
            if !is_section {
                shown.push((section, key));
            }
        }
        let mut known: Vec<(&str, &str)> = Vec::new();
        for table in keys::TOP.tables() {
            let plain = table.known.iter().filter(|key| key.form.table().is_none());
            known.extend(plain.map(|key| (table.section, key.name)));
        }
        shown.sort_unstable();
        known.sort_unstable();
        assert_eq!(shown, known);
    }

    #[test]
    fn the_file_in_conf_is_the_one_that_init_writes() {
        assert_eq!(include_str!("../../conf/brmgr0.toml"), template(&name("brmgr0")));
    }
}
