//! What is known of a bridge: the network of ours that it is, and its own addresses.

use std::net::IpAddr;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};
use vmnet_host::{facts as host, ipv6};
use vmnet_model::attach::{self, Cidr};
use vmnet_model::error::{Error, ErrorKind};
use vmnet_model::lease::Lease;
use vmnet_model::settle::{Circumstances, NetworkSpec};
use vmnet_network::dirs::Dirs;
use vmnet_network::leases;
use vmnet_network::store::definitions;
use vmnet_network::store::run_record::Record;
use vmnet_sys::netlink::Netlink;
use vmnet_sys::trust::plain;
use vmnet_sys::{address, link};

/// What is known of a bridge.
#[derive(Debug)]
pub struct Facts {
    /// The bridge is there, and if it is a network of ours, so is its record.
    pub is_up: bool,
    /// The network; none for another bridge, or where its file is not for us to read.
    network: Option<NetworkSpec>,
    /// Its leases.
    leases: Vec<Lease>,
    /// The bridge's own addresses.
    own: Vec<IpAddr>,
}

impl Facts {
    /// Look up what is known of a bridge.
    pub fn learn(dirs: &Dirs, netlink: &mut Netlink, bridge: &IfName) -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::new("look up", format!("bridge '{bridge}'"), plain(&error));
        let run_dir = dirs.run_dir(bridge);
        let Some(found) = link::find(netlink, bridge).map_err(failed)? else {
            return Ok(Self { is_up: false, network: None, leases: Vec::new(), own: Vec::new() });
        };
        let own = address::list(netlink, found.index).map_err(failed)?;
        let network = Record::read(&run_dir)?.and_then(|record| network(dirs, &record));
        let leases = leases::leases(&run_dir)?;
        Ok(Self { is_up: true, network, leases, own: own.iter().map(|own| own.address).collect() })
    }

    /// Can the guest with this MAC have these addresses, or get one if there are none?
    pub fn check(&self, addresses: &[Cidr], mac: MacAddr) -> Result<(), (ErrorKind, String)> {
        let Some(network) = &self.network else {
            let own = addresses.iter().find(|cidr| self.own.contains(&cidr.address));
            let taken = |cidr: &Cidr| {
                Err((ErrorKind::Conflict, format!("address {} is the bridge's own", cidr.address)))
            };
            return own.map_or(Ok(()), taken);
        };
        if addresses.is_empty() && !network.network.dhcp.enabled {
            let cause = "the network has no DHCP; --address gives it an address";
            return Err((ErrorKind::Invalid, cause.to_owned()));
        }
        addresses.iter().try_for_each(|cidr| attach::fits(network, &self.leases, mac, *cidr))
    }

    /// The way out for an address that somebody chose.
    pub fn gateway(&self, cidr: Cidr) -> Option<IpAddr> {
        match &self.network {
            Some(network) => attach::gateway(network, cidr),
            None => attach::nearest(cidr, &self.own),
        }
    }

    /// Whom it asks for names, and in which domain, where no DHCP server said so.
    pub fn resolvers(&self) -> (Vec<IpAddr>, Option<String>) {
        let Some(network) = &self.network else { return (Vec::new(), None) };
        (attach::resolvers(network), Some(network.network.domain()))
    }

    /// May DHCP give this address to another guest?
    pub fn is_on_offer(&self, mac: MacAddr, address: IpAddr) -> bool {
        self.network.as_ref().is_some_and(|network| attach::is_on_offer(network, mac, address))
    }
}

fn network(dirs: &Dirs, record: &Record) -> Option<NetworkSpec> {
    let name = NetName::new(&record.network).ok()?;
    let network = definitions::with_live(dirs, &name).ok()?;
    Some(network.settle(&Circumstances {
        subnet: record.subnet()?,
        machine: &host::machine(),
        uplink_mtu: None,
        has_ipv6: ipv6::is_there(),
    }))
}
