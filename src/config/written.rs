//! How a network is written down, for tests: each key that it has a value for.

use std::fmt::{Display, Write};
use vmnet_model::network::{
    HostAccess, Idle, LeaseTime, Mode, MtuChoice, Network, Prefix6Choice, SubnetChoice,
};

fn quoted(text: impl Display) -> String {
    format!("\"{}\"", text.to_string().replace('\\', "\\\\").replace('"', "\\\""))
}

fn list<T: Display>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

fn line(out: &mut String, key: &str, value: Option<String>) {
    if let Some(value) = value {
        writeln!(out, "{key} = {value}").unwrap();
    }
}

/// The network's file, each key in it that has a value.
pub(crate) fn written(network: &Network) -> String {
    let mut out = String::new();
    top(&mut out, network);
    inner(&mut out, network);
    for host in &network.hosts {
        out.push_str("[[host]]\n");
        line(&mut out, "name", Some(quoted(&host.name)));
        line(&mut out, "mac", Some(quoted(host.mac)));
        line(&mut out, "address", host.address.map(quoted));
        line(&mut out, "address6", host.address6.map(quoted));
        line(&mut out, "aliases", Some(list(&host.aliases)));
    }
    for forward in &network.forwards {
        out.push_str("[[forward]]\n");
        line(&mut out, "listen", Some(quoted(forward.listen)));
        line(&mut out, "to", Some(quoted(&forward.to)));
        line(&mut out, "protocol", Some(quoted(forward.protocol.as_str())));
    }
    for link in &network.links {
        out.push_str("[[link]]\n");
        line(&mut out, "from", Some(quoted(&link.from)));
        line(&mut out, "to", Some(quoted(&link.to)));
        let ports: Vec<_> =
            link.ports.iter().map(|(protocol, ports)| format!("{ports}/{}", protocol.as_str())).collect();
        line(&mut out, "ports", (!ports.is_empty()).then(|| list(&ports)));
        line(&mut out, "alias", link.alias.as_ref().map(quoted));
    }
    out
}

/// The keys of the top.
fn top(out: &mut String, network: &Network) {
    line(out, "mode", Some(quoted(network.mode.as_str())));
    line(out, "mac", network.mac.map(quoted));
    let mtu = match network.mtu {
        MtuChoice::Auto => quoted("auto"),
        MtuChoice::Fixed(mtu) => mtu.to_string(),
    };
    line(out, "mtu", Some(mtu));
    line(out, "on_demand", Some(network.on_demand.to_string()));
    let idle = match network.idle {
        Idle::Keep => quoted("keep"),
        Idle::DOWN => quoted("down"),
        Idle::After(seconds) => quoted(format!("{seconds}s")),
    };
    line(out, "idle", Some(idle));
    line(out, "isolated", Some(network.isolated.to_string()));
    line(out, "guard", Some(network.guard.to_string()));
    if network.mode != Mode::Vde {
        of_the_host(out, network);
    }
}

/// Those that are about addresses and the host.
fn of_the_host(out: &mut String, network: &Network) {
    let subnet = match network.subnet {
        SubnetChoice::Auto => None,
        SubnetChoice::Fixed(subnet) => Some(quoted(subnet)),
    };
    line(out, "subnet", subnet);
    line(out, "address", network.address.map(quoted));
    line(out, "more_subnets", Some(list(&network.more_subnets)));
    let subnet6 = match network.subnet6 {
        Prefix6Choice::Auto => quoted("auto"),
        Prefix6Choice::None => quoted("none"),
        Prefix6Choice::Fixed(prefix) => quoted(prefix),
    };
    line(out, "subnet6", Some(subnet6));
    line(out, "allow_from", Some(list(&network.allow_from)));
    let host_access = match network.host_access {
        HostAccess::None => "none",
        HostAccess::Services => "services",
        HostAccess::All => "all",
    };
    line(out, "host_access", Some(quoted(host_access)));
}

/// The keys of the sections that there is one of.
fn inner(out: &mut String, network: &Network) {
    if network.mode != Mode::Vde {
        services(out, network);
    }
    if let Some(vde) = &network.vde {
        line(out, "vde.socket", vde.socket.as_ref().map(quoted));
        line(out, "vde.create", Some(vde.create.to_string()));
        line(out, "vde.mgmt_socket", vde.mgmt_socket.as_ref().map(quoted));
        if vde.create {
            line(out, "vde.group", vde.group.as_ref().map(quoted));
            line(out, "vde.mode", Some(quoted(format!("0{:o}", vde.mode))));
            line(out, "vde.ports", Some(vde.ports.to_string()));
            line(out, "vde.hub", Some(vde.hub.to_string()));
            line(out, "vde.fast_spanning_tree", Some(vde.fast_spanning_tree.to_string()));
        }
    }
}

/// Those of what the host does for guests.
fn services(out: &mut String, network: &Network) {
    line(out, "dhcp.enabled", Some(network.dhcp.enabled.to_string()));
    line(out, "dhcp.range", network.dhcp.range.map(|r| quoted(format!("{}-{}", r.first, r.last))));
    let lease_time = match network.dhcp.lease_time {
        LeaseTime::Infinite => quoted("infinite"),
        LeaseTime::Seconds(seconds) => quoted(format!("{seconds}s")),
    };
    line(out, "dhcp.lease_time", Some(lease_time));
    line(out, "dhcp.options", Some(list(&network.dhcp.options)));
    line(out, "dns.domain", network.dns.domain.as_ref().map(quoted));
    line(out, "dns.upstream", Some(list(&network.dns.upstream)));
    line(out, "dns.register", Some(network.dns.register.to_string()));
    line(out, "nat.source", network.nat.source.map(quoted));
    line(out, "nat.uplink", network.nat.uplink.as_ref().map(quoted));
    let rate = |rate: u64| quoted(format!("{}kbit", rate / 125));
    line(out, "limits.from_guest", network.limits.from_guest.map(rate));
    line(out, "limits.to_guest", network.limits.to_guest.map(rate));
}
