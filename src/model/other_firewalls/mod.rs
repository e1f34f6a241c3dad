//! The host's other firewalls: which of their chains close the way to our guests, and what opens
//! it again. An accept ends only the chain that it stands in, so each chain that would refuse gets
//! accepts of its own, marked with a comment; what a guest may really do, our own table decides.
//!
//! nft's and iptables' chains are described alike. firewalld is told by D-Bus; only of what comes in
//! to guests does no zone of its know, and that takes an accept in its table.

mod judge;
mod text;

use crate::network::{HostAccess, Mode, Network, Prefix6Choice};
use std::fmt;
use vmnet_access::name::{IfName, NetName};

pub use judge::{Opening, SeenChain, actual, followed, matters, survey, wanted};
pub use text::{legacy_removal, nft_removal, nft_text, restore_text};

/// Whose rules a chain is kept with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// nf_tables, by nft or by iptables-nft.
    Nft,
    /// The older x_tables, by iptables-legacy.
    Legacy,
}

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Frames on bridges.
    Bridge,
}

impl Family {
    /// The family in nft's language.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Bridge => "bridge",
        }
    }
}

/// Where packets meet a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// To this host.
    Input,
    /// Through this host.
    Forward,
    /// From this host.
    Output,
}

/// firewalld's table of nf_tables.
pub const FIREWALLD: &str = "firewalld";

/// One chain of one table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Whose rules the chain is kept with.
    pub backend: Backend,
    /// The table's family.
    pub family: Family,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
}

impl Place {
    /// Another chain of the same table.
    #[must_use]
    pub fn beside(&self, chain: &str) -> Self {
        Self { chain: chain.to_owned(), ..self.clone() }
    }
}

/// As people call it: `ip filter INPUT`; an older iptables' `iptables-legacy filter INPUT`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match (self.backend, self.family) {
            (Backend::Nft, family) => family.as_str(),
            (Backend::Legacy, Family::Ip6) => "ip6tables-legacy",
            (Backend::Legacy, _) => "iptables-legacy",
        };
        write!(f, "{family} {} {}", self.table.escape_debug(), self.chain.escape_debug())
    }
}

/// What makes a chain one that packets meet by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Where packets meet the chain.
    pub hook: Hook,
    /// The chain's place among those of the hook; lower comes first.
    pub priority: i32,
    /// The chain's policy is to drop.
    pub drops: bool,
}

/// A chain, without its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The chain and its table.
    pub place: Place,
    /// None for a chain that others jump to, and for those of other hooks or types than `filter`.
    pub base: Option<Base>,
}

/// What a rule does with every packet, whatever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Always {
    /// Let it through this chain's hook.
    Accept,
    /// Drop or reject it.
    Refuse,
    /// Go back to the chain it came from.
    Return,
    /// Ask another chain, and go on here if that has no answer.
    Jump(String),
    /// Ask another chain, and do not come back.
    Goto(String),
}

/// A rule, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// nft's number for it; in an older table its position.
    pub handle: u64,
    /// Its comment, nft's or iptables'.
    pub comment: Option<String>,
    /// None for a rule that asks what packet it is, or does nothing with it.
    pub always: Option<Always>,
}

/// The guests of one network, for whom a way is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guests {
    /// Their bridge.
    pub bridge: IfName,
    /// Their network, named in each comment.
    pub network: NetName,
    /// What the guests may ask of the host.
    pub host_access: HostAccess,
    /// The network has a DHCP server.
    pub dhcp: bool,
    /// The network has IPv6.
    pub ipv6: bool,
    /// Others may open connections to the guests.
    pub inward: bool,
    /// The host routes for them.
    pub routed: bool,
}

/// What an accept of ours is for; the last word of its comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// What guests send through the host.
    From,
    /// What is sent to guests through the host.
    To,
    /// What guests send each other, where br_netfilter shows it to this table.
    Between,
    /// DHCP.
    Dhcp,
    /// DHCP for IPv6.
    Dhcp6,
    /// DNS over UDP.
    DnsUdp,
    /// DNS over TCP.
    DnsTcp,
    /// Ping and errors.
    Icmp,
    /// Neighbour discovery, ping and errors.
    Icmp6,
}

impl Purpose {
    /// The purpose in one word, as the comment of our rule has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::Between => "between",
            Self::Dhcp => "dhcp",
            Self::Dhcp6 => "dhcp6",
            Self::DnsUdp => "dns-udp",
            Self::DnsTcp => "dns-tcp",
            Self::Icmp => "icmp",
            Self::Icmp6 => "icmp6",
        }
    }
}

impl Guests {
    /// Those of a network; `has_ipv6`: the host's kernel has it.
    #[must_use]
    pub fn of(network: &Network, has_ipv6: bool) -> Self {
        Self {
            bridge: network.name.bridge(),
            network: network.name.clone(),
            host_access: network.host_access,
            dhcp: network.dhcp.enabled,
            ipv6: has_ipv6 && network.subnet6 != Prefix6Choice::None,
            inward: network.mode == Mode::Routed || !network.allow_from.is_empty(),
            routed: network.mode != Mode::Vde,
        }
    }

    /// Nobody, for whom nothing is to be open: to find what is still there of a network.
    #[must_use]
    pub fn nobody(network: &NetName) -> Self {
        Self {
            bridge: network.bridge(),
            network: network.clone(),
            host_access: HostAccess::None,
            dhcp: false,
            ipv6: false,
            inward: false,
            routed: false,
        }
    }

    /// The accepts that a closed chain needs.
    #[must_use]
    pub fn needs(&self, hook: Hook, place: &Place) -> Vec<Purpose> {
        let family = place.family;
        if place.table == FIREWALLD {
            let only = hook == Hook::Forward && self.inward;
            return if only { vec![Purpose::To] } else { Vec::new() };
        }
        let (v4, v6) = (family != Family::Ip6, family != Family::Ip && self.ipv6);
        let services = self.host_access != HostAccess::None;
        if hook == Hook::Forward {
            let through = (v4 || v6) && self.routed;
            return if through { vec![Purpose::From, Purpose::To] } else { vec![Purpose::Between] };
        }
        let all = [
            (Purpose::Dhcp, v4 && self.dhcp),
            (Purpose::Dhcp6, v6 && self.dhcp),
            (Purpose::DnsUdp, (v4 || v6) && services),
            (Purpose::DnsTcp, (v4 || v6) && services),
            (Purpose::Icmp, v4 && services),
            // Without neighbour discovery there is no IPv6 at all, as without ARP no IPv4.
            (Purpose::Icmp6, v6),
        ];
        all.into_iter().filter_map(|(purpose, needed)| needed.then_some(purpose)).collect()
    }

    /// The comment of an accept: `vmnet NAME PURPOSE`.
    #[must_use]
    pub fn comment(&self, purpose: Purpose) -> String {
        format!("vmnet {} {}", self.network, purpose.as_str())
    }
}

/// Is a rule with this comment ours, for this network?
#[must_use]
pub fn is_ours(network: &NetName, comment: &str) -> bool {
    let mut words = comment.split(' ');
    words.next() == Some("vmnet") && words.next() == Some(network.as_str())
}

#[cfg(test)]
mod tests;
