//! Whether an interface is there, ours, and as it was asked for. Nothing is changed.

use super::attachment::{Act, AddressChoice, Attached, Attachment, Work, mac};
use super::bridge_facts::Facts;
use super::configure::addresses;
use super::existing::{Ends, ExistingInterface};
use super::namespace::Target;
use super::resolv_conf;
use std::net::IpAddr;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_model::attach::{Cidr, Mark};
use vmnet_model::error::{Error, ErrorKind};
use vmnet_network::dirs::Dirs;

/// Is the interface there, ours, on this bridge, with these addresses? Answers what [`super::attach`] would
/// of one that is there already; as ways out and resolvers those that the bridge's network has.
///
/// # Errors
/// What is not as it was asked for.
pub fn check(dirs: &Dirs, asked: &Attachment) -> Result<Attached, Error> {
    let target = Target::open("check", &asked.namespace)?;
    let target = target.map_err(|absent| absent.failure("check"))?;
    let mut work = Work::begin(Act::Check, dirs, target, &asked.bridge, &asked.ifname)?;
    let interface = &asked.ifname;
    let ends = match work.look()? {
        ExistingInterface::Ours(ends) => *ends,
        ExistingInterface::Absent => return Err(work.failed(&format!("it has no {interface}"))),
        ExistingInterface::Stale { .. } => return Err(work.failed(&format!("its {interface} leads nowhere"))),
        ExistingInterface::Other(bridge) => {
            return Err(work.failed(&format!("its {interface} is on '{bridge}'")).kind(ErrorKind::Conflict));
        }
        ExistingInterface::Foreign => {
            return Err(work
                .failed(&format!("its {interface} is none of vmnet's"))
                .kind(ErrorKind::Conflict));
        }
    };
    let has = addresses(&mut work, &ends.inner)?;
    let mark = ends.inner.alias.as_deref().and_then(Mark::parse);
    let is_leased = mark.is_some_and(|mark| mark.server.is_some());
    lacks(asked, mac(&ends.inner), &has, is_leased).map_err(|cause| work.failed(&cause))?;
    let facts = work.facts()?;
    describe(&work, &ends, &facts, asked, has)
}

/// What the interface lacks, or has otherwise than it was asked for.
fn lacks(
    asked: &Attachment,
    mac: MacAddr,
    has: &[(Cidr, Option<u32>)],
    is_leased: bool,
) -> Result<(), String> {
    let interface = &asked.ifname;
    if asked.mac.is_some_and(|asked| asked != mac) {
        return Err(format!("its {interface} has the MAC {mac}"));
    }
    let v4 = has.iter().find(|(cidr, _)| cidr.address.is_ipv4());
    match &asked.addresses {
        AddressChoice::Fixed(addresses) => {
            let missing = addresses.iter().find(|asked| has.iter().all(|(own, _)| own != *asked));
            missing.map_or(Ok(()), |cidr| Err(format!("its {interface} does not have {cidr}")))
        }
        // Its lease has run out, and nobody granted another.
        AddressChoice::Dhcp if v4.is_none_or(|(_, left)| left.is_none() && !is_leased) => {
            Err(format!("its {interface} has no address by DHCP"))
        }
        AddressChoice::Kept if v4.is_none() => Err(format!("its {interface} has no address")),
        AddressChoice::Dhcp | AddressChoice::Kept => Ok(()),
    }
}

fn describe(
    work: &Work<'_>,
    Ends { inner, outer }: &Ends,
    facts: &Facts,
    asked: &Attachment,
    addresses: Vec<(Cidr, Option<u32>)>,
) -> Result<Attached, Error> {
    let mac = mac(inner);
    let mut gateways: Vec<IpAddr> = addresses.iter().filter_map(|(cidr, _)| facts.gateway(*cidr)).collect();
    gateways.dedup();
    let (resolvers, domain) = facts.resolvers();
    let resolver_file = match &work.target.name {
        Some(name) => resolv_conf::written(name, &work.bridge, work.interface)?,
        None => None,
    };
    let chosen = asked.addresses.fixed().iter().map(|cidr| cidr.address);
    Ok(Attached {
        label: work.target.label.clone(),
        interface: work.interface.clone(),
        already: true,
        port: IfName::new(&outer.name).map_err(|why| work.failed(&why.to_string()))?,
        bridge: work.bridge.clone(),
        mac,
        mtu: inner.mtu,
        on_offer: chosen.filter(|address| facts.is_on_offer(mac, *address)).collect(),
        addresses,
        gateways,
        resolvers,
        domain,
        resolver_file,
    })
}

#[cfg(test)]
mod tests {
    use super::super::namespace::NamespaceRef;
    use super::*;

    fn asked(addresses: AddressChoice) -> Attachment {
        Attachment {
            bridge: IfName::new(b"lab").unwrap(),
            namespace: NamespaceRef::Process(1),
            ifname: IfName::new(b"eth0").unwrap(),
            mac: None,
            hostname: None,
            addresses,
        }
    }

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    #[test]
    fn each_address_that_was_chosen_must_be_there() {
        let fixed = asked(AddressChoice::Fixed(vec![cidr("10.5.0.9/24"), cidr("fd00::9/64")]));
        let both = [(cidr("fd00::9/64"), None), (cidr("10.5.0.9/24"), None)];
        assert_eq!(lacks(&fixed, MAC, &both, false), Ok(()));
        let other_length = [(cidr("10.5.0.9/16"), None), (cidr("fd00::9/64"), None)];
        let cause = "its eth0 does not have 10.5.0.9/24".to_owned();
        assert_eq!(lacks(&fixed, MAC, &other_length, false), Err(cause));
    }

    #[test]
    fn an_address_by_dhcp_ends_or_is_marked_as_leased() {
        let dhcp = asked(AddressChoice::Dhcp);
        let none = Err("its eth0 has no address by DHCP".to_owned());
        assert_eq!(lacks(&dhcp, MAC, &[(cidr("10.5.0.9/24"), Some(60))], false), Ok(()));
        assert_eq!(lacks(&dhcp, MAC, &[(cidr("10.5.0.9/24"), None)], true), Ok(()));
        assert_eq!(lacks(&dhcp, MAC, &[(cidr("10.5.0.9/24"), None)], false), none);
        assert_eq!(lacks(&dhcp, MAC, &[(cidr("fd00::9/64"), Some(60))], true), none);
    }

    #[test]
    fn an_interface_that_keeps_its_addresses_has_one() {
        let kept = asked(AddressChoice::Kept);
        assert_eq!(lacks(&kept, MAC, &[(cidr("10.5.0.9/24"), None)], false), Ok(()));
        assert_eq!(lacks(&kept, MAC, &[], true), Err("its eth0 has no address".to_owned()));
    }

    #[test]
    fn a_mac_that_was_chosen_must_be_the_interfaces() {
        let mut other = asked(AddressChoice::Kept);
        other.mac = Some(MacAddr([2, 0, 0, 0, 0, 2]));
        let cause = "its eth0 has the MAC 02:00:00:00:00:01".to_owned();
        assert_eq!(lacks(&other, MAC, &[(cidr("10.5.0.9/24"), None)], false), Err(cause));
    }
}
