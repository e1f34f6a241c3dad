//! `vmnet ports NAME`, and `--revoke` of one

use super::need_root;
use crate::exit::Exit;
use crate::say;
use crate::show::clients::{COUNTERS, counters, json as client_json, row as client_row};
use crate::show::ports::{HEAD, json as port_json, row as port_row};
use serde_json::json;
use vmnet_access::name::{IfName, NetName};
use vmnet_model::error::Error;
use vmnet_model::lease::Lease;
use vmnet_network::ports::Port;
use vmnet_network::{Networks, Ports};
use vmnet_port::audit;
use vmnet_sys::trust::plain;
use vmnet_vswitch::clients::{Client, Who};

/// Who is plugged in.
pub fn run(networks: &Networks, name: &NetName, json: bool) -> Result<Exit, Error> {
    let Ports { on_bridge: ports, on_switch: clients, leases } = networks.get(name).ports()?;
    // The bridge's end of the pump stands for both.
    let shown: Vec<&Client> = clients.list.iter().filter(|client| client.who != Who::Pump).collect();
    if json {
        let all = ports.iter().map(port_json).chain(shown.iter().map(|client| client_json(client, &leases)));
        say::json(&json!({ "ports": all.collect::<Vec<_>>(), "trouble": clients.trouble }));
    } else {
        table(&ports, &shown, &leases);
        if let Some(trouble) = &clients.trouble {
            say::error(trouble, None);
        }
    }
    Ok(Exit::Done)
}

/// Counters are the switch's, and shown where it could be asked.
fn table(ports: &[Port], clients: &[&Client], leases: &[Lease]) {
    let all = ports.iter().map(port_row).chain(clients.iter().map(|client| client_row(client, leases)));
    if clients.iter().all(|client| client.view.is_none()) {
        return say::table(&HEAD, all);
    }
    let dashes = || vec!["-".to_owned(); COUNTERS.len()];
    let counted = ports.iter().map(|_| dashes()).chain(clients.iter().map(|client| counters(client)));
    let head = [&HEAD[..], &COUNTERS].concat();
    say::table(&head, all.zip(counted).map(|(row, counters)| [row, counters].concat()));
}

/// Take a port away from whoever holds it.
pub fn revoke(networks: &Networks, name: &NetName, port: &IfName) -> Result<Exit, Error> {
    need_root("revoke", format!("port '{port}'"))?;
    let revoked = networks.get(name).revoke(port)?;
    tell(&revoked.user, &name.bridge(), (revoked.kind, port), &revoked.phrase);
    Ok(Exit::Done)
}

fn tell(user: &str, bridge: &IfName, (kind, port): (&str, &IfName), phrase: &str) {
    let why = format!("by uid {}", nix::unistd::getuid());
    if let Err(error) = audit::revoked(env!("CARGO_PKG_NAME"), user, bridge, (kind, &port.to_string()), &why)
    {
        say::error(&format!("cannot write to the system log: {}", plain(&error)), None);
    }
    say::line(&format!("{phrase} is gone"));
}
