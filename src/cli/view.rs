//! The parts of a running network: ports with their holders, and leases.

use crate::look;
use crate::places::Room;
use std::time::{SystemTime, UNIX_EPOCH};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_access::port_record::PortTag;
use vmnet_host::files::read_file;
use vmnet_host::links::{Links, SeenLink};
use vmnet_model::error::Error;
use vmnet_model::lease::{Lease, leases as parse};
use vmnet_sys::caller::name_of;

/// One port and whoever holds it.
pub struct Port {
    /// The link.
    pub link: SeenLink,
    /// The holder, if the helper made it.
    pub tag: Option<PortTag>,
    /// The MACs seen behind it.
    pub macs: Vec<MacAddr>,
    /// The leases of those.
    pub leases: Vec<Lease>,
}

/// The ports of a bridge, with what is known of each.
pub fn ports(links: &Links, bridge: &IfName, room: &Room) -> Result<Vec<Port>, Error> {
    let failed = |error| Error::new("look up", format!("bridge '{bridge}'"), error);
    let Some(link) = links.find(bridge).map_err(failed)? else { return Ok(Vec::new()) };
    let known = links.fdb(link.index).map_err(failed)?;
    let leases = leases(room)?;
    let port = |link: SeenLink| {
        let macs: Vec<MacAddr> =
            known.iter().filter(|(port, _)| *port == link.index).map(|(_, mac)| *mac).collect();
        Port {
            tag: link.tag(),
            leases: leases.iter().filter(|lease| macs.contains(&lease.mac)).cloned().collect(),
            macs,
            link,
        }
    };
    Ok(look::ports(links, bridge)?.into_iter().map(port).collect())
}

impl Port {
    /// The process that it was made for. One that stays was made by a process that is gone, and whose
    /// number may be another's by now.
    pub fn pid(&self) -> Option<u32> {
        self.tag.as_ref().filter(|tag| !tag.kept && !self.is_veth()).map(|tag| tag.pid)
    }

    /// It leads to the network's own switch.
    pub fn is_switch(&self) -> bool {
        self.link.wire().is_some_and(|tag| tag.cable.is_none())
    }

    /// One end of a pair, whose other is in a namespace: whoever asked for it is gone.
    fn is_veth(&self) -> bool {
        self.link.kind.as_deref() == Some("veth")
    }

    /// In a few words, for a list of those in the way.
    pub fn phrase(&self) -> String {
        match &self.tag {
            Some(tag) if tag.kept => format!("{} (kept for user {})", self.link.name, name_of(tag.uid)),
            Some(tag) if self.is_veth() => {
                format!("{} (a namespace of user {})", self.link.name, name_of(tag.uid))
            }
            Some(tag) => format!("{} (user {}, pid {})", self.link.name, name_of(tag.uid), tag.pid),
            None => self.link.name.to_string(),
        }
    }
}

/// The leases of a network; those that have run out are left out.
pub fn leases(room: &Room) -> Result<Vec<Lease>, Error> {
    let text = read_file(&room.leases())?.unwrap_or_default();
    let now = now();
    let mut leases = parse(&text);
    leases.retain(|lease| lease.expires.is_none_or(|end| end > now));
    leases.sort_by_key(|lease| (lease.address, lease.mac));
    Ok(leases)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
