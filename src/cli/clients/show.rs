//! Those who are plugged into a switch, in the tables of those on the bridge.

use super::{Client, Who};
use crate::view::lease_json;
use serde_json::{Value, json};
use vmnet_model::vde_console::{PortView, Traffic};
use vmnet_sys::caller::name_of;
use vmnet_sys::process::program;

/// Column heads of [`Client::counters`]: frames from there, frames to there, the VLAN of those without a tag.
pub const COUNTERS: [&str; 3] = ["IN", "OUT", "VLAN"];

impl Client {
    /// What it is called for `--revoke`; none where the switch cannot be asked.
    pub fn name(&self) -> Option<String> {
        self.port.map(|port| format!("vde{port}"))
    }

    /// The user and process, as far as anybody but they themselves says so.
    fn holder(&self) -> (Option<u32>, Option<u32>) {
        match self.who {
            Who::Granted(tag) => (Some(tag.uid), Some(tag.pid)),
            Who::Joined => {
                let pid = self.connected.map(|connected| connected.pid).filter(|pid| program(*pid).is_some());
                (self.connected.map(|connected| connected.uid), pid)
            }
            Who::Pump | Who::Cable => (None, None),
        }
    }

    pub(super) fn user(&self) -> Option<String> {
        self.holder().0.map(name_of)
    }

    fn program(&self) -> Option<String> {
        self.holder().1.and_then(program)
    }

    /// What it is, where no program is known.
    fn kind(&self) -> String {
        match self.who {
            Who::Pump => "switch".to_owned(),
            Who::Cable => "cable".to_owned(),
            Who::Granted(_) | Who::Joined => "-".to_owned(),
        }
    }

    /// As a row beside those of [`crate::view::Port::row`].
    pub fn row(&self) -> Vec<String> {
        let dash = || "-".to_owned();
        let list = |words: Vec<String>| if words.is_empty() { dash() } else { words.join(" ") };
        vec![
            self.name().unwrap_or_else(|| "vde".to_owned()),
            self.user().unwrap_or_else(dash),
            self.holder().1.map_or_else(dash, |pid| pid.to_string()),
            self.program().unwrap_or_else(|| self.kind()),
            list(self.macs.iter().map(ToString::to_string).collect()),
            list(self.leases.iter().map(|lease| lease.address.to_string()).collect()),
            list(self.leases.iter().filter_map(|lease| lease.name.clone()).collect()),
        ]
    }

    /// Cells beside those of [`Client::row`], under [`COUNTERS`].
    pub fn counters(&self) -> Vec<String> {
        let cell = |of: fn(&PortView) -> u64| {
            self.view.as_ref().map_or_else(|| "-".to_owned(), |view| of(view).to_string())
        };
        vec![cell(|view| view.came.frames), cell(|view| view.went.frames), cell(|view| view.vlan.into())]
    }

    /// As JSON. `in` is what came from there, `out` what was sent there; null where the switch could not be
    /// asked.
    pub fn json(&self) -> Value {
        let view = self.view.as_ref();
        json!({
            "port": self.name(),
            "kind": "vde",
            "uid": self.holder().0,
            "user": self.user(),
            "pid": self.holder().1,
            "program": self.program(),
            "kept": false,
            "macs": self.macs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "leases": self.leases.iter().map(lease_json).collect::<Vec<_>>(),
            "granted": matches!(self.who, Who::Granted(_)),
            "cable": self.who == Who::Cable,
            "in": view.map(|view| traffic(view.came)),
            "out": view.map(|view| traffic(view.went)),
            "vlan": view.map(|view| view.vlan),
            "socket_user": view.and_then(|view| view.user.as_deref()),
        })
    }

    /// In a few words, for a list of those in the way.
    pub fn phrase(&self) -> String {
        let name = self.name().unwrap_or_else(|| "a port of the switch".to_owned());
        match (self.user(), self.holder().1) {
            (Some(user), Some(pid)) => format!("{name} (user {user}, pid {pid})"),
            (Some(user), None) => format!("{name} (user {user})"),
            _ => name,
        }
    }
}

fn traffic(of: Traffic) -> Value {
    json!({ "frames": of.frames, "bytes": of.bytes })
}
