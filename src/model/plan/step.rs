//! The changes that `up` can make, and their words. Each kind has its own doing function, which
//! matches it whole: a step that nobody does does not compile.

use super::{FarBridge, SeenPort};
use crate::cable::End;
use crate::vde_switch::Switch;
use std::fmt;
use std::net::IpAddr;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;

/// One change of the host, by what it changes. It is shown as `up --dry-run` and the keeper's log tell
/// it: a few words in the imperative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Of the network's bridge.
    Bridge(BridgeStep),
    /// Of what the whole host has once.
    Host(HostStep),
    /// Of its firewalls.
    Firewall(FirewallStep),
    /// Of the network's DNS and DHCP server.
    Server(ServerStep),
    /// Of the network's VDE switch.
    Switch(SwitchStep),
    /// Of a cable to another wire.
    Cable(CableStep),
    /// Of the bridge's ports.
    Port(PortStep),
}

/// A change of the network's bridge: the link, its addresses, and what the kernel keeps for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeStep {
    /// Make the bridge, its MAC pinned from its first moment.
    Create(MacAddr),
    /// Give it MTU, MAC, alias and the group of our bridges.
    Set {
        /// Bytes.
        mtu: u32,
        /// The address.
        mac: MacAddr,
        /// The alias.
        alias: String,
    },
    /// Keep the host's IPv6 off it.
    DisableIpv6,
    /// Make the host a router on it: it takes no advertisements there.
    PrepareIpv6,
    /// Set it up.
    Raise,
    /// Take an address that is not wanted any more from it; with the length of its prefix in bits.
    RemoveAddress(IpAddr, u8),
    /// Give it an address; with the length of its prefix in bits.
    AddAddress(IpAddr, u8),
    /// Let what the host sends to 127.0.0.1 be translated to addresses behind it (route_localnet).
    AllowLoopback,
}

/// A change of what the whole host has once and all networks share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostStep {
    /// Let the host forward packets.
    EnableForwarding,
    /// Let the host forward IPv6 too; links that take router advertisements go on doing so.
    EnableForwarding6,
}

/// A change of the host's firewalls: of the network's own tables, and of other programs' chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirewallStep {
    /// Load the network's tables whole, in one transaction.
    LoadTables,
    /// Load its forwards alone, in one transaction.
    LoadForwards,
    /// Load what the table for frames knows of guests alone, in one transaction.
    LoadGuests,
    /// Put accepts of ours where other firewalls refuse guests, and nowhere else.
    OpenOthers,
}

/// A change of the network's DNS and DHCP server (dnsmasq) or of the files it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerStep {
    /// Stop it; its process id.
    Stop(u32),
    /// Write its configuration.
    WriteFile,
    /// Remove its configuration.
    RemoveFile,
    /// Write the names that it knows.
    WriteNames,
    /// Write its reservations.
    WriteReservations,
    /// Have it read names and reservations again; its process id.
    Reread(u32),
    /// Start it and wait until it serves.
    Start,
}

/// A change of the VDE switch that is one wire with the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchStep {
    /// Write the switch's record.
    WriteRecord,
    /// Remove the switch's record, and what else is left of a switch.
    RemoveRecord,
    /// Stop the switch; its process id.
    Stop(u32),
    /// Start the switch and wait until it serves.
    Start,
    /// Plug all that hold ports into it again.
    PlugAgain,
    /// Stop the pump between bridge and switch; its process id.
    StopPump(u32),
    /// Start that pump.
    StartPump,
}

/// A change of one of the network's cables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CableStep {
    /// Join the bridge to another network's by a pair of links.
    Make(End, FarBridge),
    /// Delete the pair whose end here is the link of this number.
    Remove(u32, End),
    /// Join the bridge to somebody's switch by a pump.
    Start(End, Switch),
    /// Plug that pump into its switch again.
    Plug(End),
    /// Stop that pump.
    Stop(End),
}

/// A change of the bridge's ports, or of what the helper gives new ones. Links have their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortStep {
    /// Write the record by which the helper makes ports.
    WriteRecord,
    /// Make a port as this one: its MTU, group and flags.
    Set(SeenPort),
    /// Make a TAP that lost its bridge a port again.
    Attach(u32, IfName),
    /// Give a TAP the MAC of its grant again.
    SetMac(u32, IfName, MacAddr),
    /// Delete a TAP whose holder went further than his grant.
    Delete(u32, IfName),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge(step) => step.fmt(f),
            Self::Host(step) => step.fmt(f),
            Self::Firewall(step) => step.fmt(f),
            Self::Server(step) => step.fmt(f),
            Self::Switch(step) => step.fmt(f),
            Self::Cable(step) => step.fmt(f),
            Self::Port(step) => step.fmt(f),
        }
    }
}

impl fmt::Display for BridgeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(mac) => write!(f, "create the bridge with MAC {mac}"),
            Self::Set { mtu, mac, alias: _ } => {
                write!(f, "set the bridge's MTU to {mtu} and its MAC to {mac}")
            }
            Self::DisableIpv6 => f.write_str("turn the host's IPv6 off on the bridge"),
            Self::PrepareIpv6 => f.write_str("make the host an IPv6 router on the bridge"),
            Self::Raise => f.write_str("set the bridge up"),
            Self::RemoveAddress(address, length) => write!(f, "remove address {address}/{length}"),
            Self::AddAddress(address, length) => write!(f, "add address {address}/{length}"),
            Self::AllowLoopback => f.write_str("let forwards take in 127.0.0.1"),
        }
    }
}

impl fmt::Display for HostStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EnableForwarding => "set net.ipv4.ip_forward to 1",
            Self::EnableForwarding6 => {
                "set net.ipv6.conf.all.forwarding to 1, and keep the host's own advertised routes"
            }
        })
    }
}

impl fmt::Display for FirewallStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoadTables => "load the firewall table",
            Self::LoadForwards => "load the forwards",
            Self::LoadGuests => "tell the firewall who the guests are",
            Self::OpenOthers => "let guests through the host's other firewalls",
        })
    }
}

impl fmt::Display for ServerStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop(pid) => write!(f, "stop dnsmasq (pid {pid})"),
            Self::WriteFile => f.write_str("write the dnsmasq file"),
            Self::RemoveFile => f.write_str("remove the dnsmasq file"),
            Self::WriteNames => f.write_str("write the names"),
            Self::WriteReservations => f.write_str("write the reservations"),
            Self::Reread(pid) => write!(f, "have dnsmasq (pid {pid}) read them"),
            Self::Start => f.write_str("start dnsmasq"),
        }
    }
}

impl fmt::Display for SwitchStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteRecord => f.write_str("write the switch's record"),
            Self::RemoveRecord => f.write_str("remove the switch's record"),
            Self::Stop(pid) => write!(f, "stop vde_switch (pid {pid})"),
            Self::Start => f.write_str("start vde_switch"),
            Self::PlugAgain => f.write_str("plug the switch's ports in"),
            Self::StopPump(pid) => write!(f, "stop the switch's pump (pid {pid})"),
            Self::StartPump => f.write_str("start the switch's pump"),
        }
    }
}

impl fmt::Display for CableStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Make(to, _) | Self::Start(to, _) => write!(f, "plug in the cable to {to}"),
            Self::Remove(_, to) | Self::Stop(to) => write!(f, "unplug the cable to {to}"),
            Self::Plug(to) => write!(f, "plug the cable to {to} in again"),
        }
    }
}

impl fmt::Display for PortStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteRecord => f.write_str("write the port record"),
            Self::Set(port) => write!(f, "set up port {}", port.name),
            Self::Attach(_, name) => write!(f, "attach {name} again"),
            Self::SetMac(_, name, mac) => write!(f, "set the MAC of {name} to {mac} again"),
            Self::Delete(_, name) => write!(f, "delete {name}"),
        }
    }
}
