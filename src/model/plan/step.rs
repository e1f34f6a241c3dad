//! The changes that `up` can make, and their words.

use super::{FarBridge, SeenPort};
use crate::cable::End;
use crate::vde_switch::Switch;
use std::fmt;
use std::net::IpAddr;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the bridge, its MAC pinned from its first moment.
    CreateBridge(MacAddr),
    /// Give it MTU, MAC, alias and the group of our bridges.
    SetBridge {
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
    /// Take an address that is not wanted any more from it.
    RemoveAddress(IpAddr, u8),
    /// Give it an address.
    AddAddress(IpAddr, u8),
    /// Set it up.
    Raise,
    /// Let the host forward packets.
    EnableForwarding,
    /// Let it forward IPv6 too; links that take router advertisements go on doing so.
    EnableForwarding6,
    /// Let what the host sends to 127.0.0.1 be translated to addresses behind the bridge.
    AllowLoopback,
    /// Load the tables whole, in one transaction.
    LoadRuleset,
    /// Load the forwards alone, in one transaction.
    LoadForwards,
    /// Load what the table for frames knows of guests alone, in one transaction.
    LoadGuests,
    /// Stop the server.
    StopDnsmasq(u32),
    /// Write the server's file.
    WriteDnsmasq,
    /// Remove the server's file.
    RemoveDnsmasq,
    /// Write the server's names.
    WriteNames,
    /// Write the server's reservations.
    WriteReservations,
    /// Have the server read names and reservations again.
    RereadDnsmasq(u32),
    /// Start the server and wait until it serves.
    StartDnsmasq,
    /// Write the switch's record.
    WriteSwitch,
    /// Remove it, and what else is left of a switch.
    RemoveSwitch,
    /// Stop the switch.
    StopSwitch(u32),
    /// Start the switch and wait until it serves.
    StartSwitch,
    /// Plug all that hold ports into it again.
    PlugAgain,
    /// Stop the pump between bridge and switch.
    StopPump(u32),
    /// Start it.
    StartPump,
    /// Join the bridge to another network's by a pair of links.
    MakeCable(End, FarBridge),
    /// Delete the pair whose end here is this link.
    RemoveCable(u32, End),
    /// Join the bridge to somebody's switch by a pump.
    StartCable(End, Switch),
    /// Plug that pump into its switch again.
    PlugCable(End),
    /// Stop that pump.
    StopCable(End),
    /// Write the helper's record.
    WritePort,
    /// Put accepts of ours where other firewalls refuse guests, and nowhere else.
    OpenFirewalls,
    /// Make a port as this one: its MTU, group and flags.
    SetPort(SeenPort),
    /// Make a TAP that lost its bridge a port again.
    AttachPort(u32, IfName),
    /// Give a TAP the MAC of its grant again.
    SetMac(u32, IfName, MacAddr),
    /// Delete a TAP whose holder went further than his grant.
    DeletePort(u32, IfName),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateBridge(mac) => write!(f, "create the bridge with MAC {mac}"),
            Self::SetBridge { mtu, mac, .. } => {
                write!(f, "set the bridge's MTU to {mtu} and its MAC to {mac}")
            }
            Self::DisableIpv6 => f.write_str("turn the host's IPv6 off on the bridge"),
            Self::PrepareIpv6 => f.write_str("make the host an IPv6 router on the bridge"),
            Self::RemoveAddress(address, length) => write!(f, "remove address {address}/{length}"),
            Self::AddAddress(address, length) => write!(f, "add address {address}/{length}"),
            Self::Raise => f.write_str("set the bridge up"),
            Self::EnableForwarding => f.write_str("set net.ipv4.ip_forward to 1"),
            Self::EnableForwarding6 => f.write_str(
                "set net.ipv6.conf.all.forwarding to 1, and keep the host's own advertised routes",
            ),
            Self::AllowLoopback => f.write_str("let forwards take in 127.0.0.1"),
            Self::LoadRuleset => f.write_str("load the firewall table"),
            Self::LoadForwards => f.write_str("load the forwards"),
            Self::LoadGuests => f.write_str("tell the firewall who the guests are"),
            Self::StopDnsmasq(pid) => write!(f, "stop dnsmasq (pid {pid})"),
            Self::WriteDnsmasq => f.write_str("write the dnsmasq file"),
            Self::RemoveDnsmasq => f.write_str("remove the dnsmasq file"),
            Self::WriteNames => f.write_str("write the names"),
            Self::WriteReservations => f.write_str("write the reservations"),
            Self::RereadDnsmasq(pid) => write!(f, "have dnsmasq (pid {pid}) read them"),
            Self::StartDnsmasq => f.write_str("start dnsmasq"),
            Self::WriteSwitch => f.write_str("write the switch's record"),
            Self::RemoveSwitch => f.write_str("remove the switch's record"),
            Self::StopSwitch(pid) => write!(f, "stop vde_switch (pid {pid})"),
            Self::StartSwitch => f.write_str("start vde_switch"),
            Self::PlugAgain => f.write_str("plug the switch's ports in"),
            Self::StopPump(pid) => write!(f, "stop the switch's pump (pid {pid})"),
            Self::StartPump => f.write_str("start the switch's pump"),
            Self::MakeCable(to, _) | Self::StartCable(to, _) => write!(f, "plug in the cable to {to}"),
            Self::RemoveCable(_, to) | Self::StopCable(to) => write!(f, "unplug the cable to {to}"),
            Self::PlugCable(to) => write!(f, "plug the cable to {to} in again"),
            Self::WritePort => f.write_str("write the port record"),
            Self::OpenFirewalls => f.write_str("let guests through the host's other firewalls"),
            Self::SetPort(port) => write!(f, "set up port {}", port.name),
            Self::AttachPort(_, name) => write!(f, "attach {name} again"),
            Self::SetMac(_, name, mac) => write!(f, "set the MAC of {name} to {mac} again"),
            Self::DeletePort(_, name) => write!(f, "delete {name}"),
        }
    }
}
