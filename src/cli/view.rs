//! What a running network's parts look like to a reader: ports with their holders, leases with
//! their age. `ports`, `leases`, `list` and `down` show them.

use crate::look;
use crate::places::Room;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::{SystemTime, UNIX_EPOCH};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_access::port_record::PortTag;
use vmnet_host::files::read_file;
use vmnet_host::links::{Links, SeenLink};
use vmnet_model::error::Error;
use vmnet_model::lease::{Lease, leases as parse};
use vmnet_sys::caller::name_of;
use vmnet_sys::process::program;

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
    /// Column heads of [`Port::row`].
    pub const HEAD: [&'static str; 7] = ["PORT", "USER", "PID", "PROGRAM", "MAC", "ADDRESS", "NAME"];

    /// As a row of a table.
    pub fn row(&self) -> Vec<String> {
        let dash = || "-".to_owned();
        let tag = self.tag.as_ref();
        let list = |words: Vec<String>| if words.is_empty() { dash() } else { words.join(" ") };
        vec![
            self.link.name.to_string(),
            tag.map_or_else(dash, |tag| name_of(tag.uid)),
            self.pid().map_or_else(dash, |pid| pid.to_string()),
            self.program().or_else(|| self.wire()).or_else(|| self.link.kind.clone()).unwrap_or_else(dash),
            list(self.macs.iter().map(ToString::to_string).collect()),
            list(self.leases.iter().map(|lease| lease.address.to_string()).collect()),
            list(self.leases.iter().filter_map(|lease| lease.name.clone()).collect()),
        ]
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let tag = self.tag.as_ref();
        json!({
            "port": self.link.name.to_string(),
            "kind": self.link.kind,
            "uid": tag.map(|tag| tag.uid),
            "user": tag.map(|tag| name_of(tag.uid)),
            "pid": self.pid(),
            "program": self.program().or_else(|| self.wire()),
            "kept": tag.is_some_and(|tag| tag.kept),
            "macs": self.macs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "leases": self.leases.iter().map(lease_json).collect::<Vec<_>>(),
        })
    }

    /// The process that it was made for. One that stays was made by a process that is gone, and whose
    /// number may be another's by now.
    fn pid(&self) -> Option<u32> {
        self.tag.as_ref().filter(|tag| !tag.kept && !self.is_veth()).map(|tag| tag.pid)
    }

    fn program(&self) -> Option<String> {
        self.pid().and_then(program)
    }

    /// Where it leads, if to another wire.
    fn wire(&self) -> Option<String> {
        self.link
            .wire()
            .map(|tag| tag.cable.map_or_else(|| "switch".to_owned(), |name| format!("cable {name}")))
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

/// A lease as JSON. `expires` is in seconds since 1970, `left` in seconds; both null for ever.
pub fn lease_json(lease: &Lease) -> Value {
    json!({
        "address": lease.address.to_string(),
        "mac": lease.mac.to_string(),
        "name": lease.name,
        "expires": lease.expires,
        "left": lease.expires.map(|end| end.saturating_sub(now())),
    })
}

/// How long a lease still lasts, in words.
pub fn time_left(lease: &Lease) -> String {
    lease.expires.map_or_else(|| "for ever".to_owned(), |end| duration(end.saturating_sub(now())))
}

/// Seconds in words.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// An address with its prefix length.
pub fn with_length(address: Ipv4Addr, length: u8) -> String {
    format!("{address}/{length}")
}
