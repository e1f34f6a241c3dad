//! `vmnet ports NAME`, and `--revoke` of one

use super::need_root;
use crate::exit::Exit;
use crate::say;
use crate::show::clients::COUNTERS;
use crate::show::clients::counters;
use crate::show::clients::json as client_json;
use crate::show::clients::row as client_row;
use crate::show::ports::HEAD;
use crate::show::ports::json as port_json;
use crate::show::ports::row as port_row;
use serde_json::json;
use vmnet_access::name::{IfName, NetName};
use vmnet_host::links::Links;
use vmnet_model::error::{Error, network};
use vmnet_model::lease::Lease;
use vmnet_network::dirs::Dirs;
use vmnet_network::leases;
use vmnet_network::ports;
use vmnet_network::ports::Port;
use vmnet_network::store::run_record::Record;
use vmnet_port::audit;
use vmnet_sys::caller::name_of;
use vmnet_sys::trust::plain;
use vmnet_vswitch::clients;
use vmnet_vswitch::clients::Client;
use vmnet_vswitch::clients::Who;

/// Who is plugged in.
pub fn run(dirs: &Dirs, name: &NetName, json: bool) -> Result<Exit, Error> {
    let bridge = name.bridge();
    let run_dir = dirs.run_dir(&bridge);
    if Record::read(&run_dir)?.is_none() {
        return Err(Error::not_up("show the ports of", name));
    }
    let links = Links::open().map_err(|error| Error::new("show the ports of", network(name), error))?;
    let mut ports = ports::ports(&links, &bridge, &run_dir)?;
    let clients = clients::look_closely(&dirs.run, &run_dir.switch())?;
    let leases = leases::leases(&run_dir)?;
    // Who is behind it is seen at the switch's ports.
    for port in ports.iter_mut().filter(|port| port.is_switch() && clients.switch.is_some()) {
        port.macs.clear();
        port.leases.clear();
    }
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

/// Take a port away from whoever holds it: deleting the link, or closing the switch's end, ends what its
/// descriptor is good for.
pub fn revoke(dirs: &Dirs, name: &NetName, port: &IfName) -> Result<Exit, Error> {
    let object = format!("port '{port}'");
    need_root("revoke", object.clone())?;
    let failed = |cause: &dyn std::fmt::Display| Error::new("revoke", &object, cause);
    let bridge = name.bridge();
    let links = Links::open().map_err(|error| failed(&error))?;
    if links.find(&bridge).map_err(|error| failed(&error))?.is_none() {
        return Err(Error::not_up("revoke a port of", name));
    }
    let ports = ports::ports(&links, &bridge, &dirs.run_dir(&bridge))?;
    let Some(found) = ports.iter().find(|found| found.link.name == *port) else {
        let run_dir = dirs.run_dir(&bridge);
        let (user, phrase) =
            clients::revoke(&dirs.run, &run_dir.switch(), &port.to_string()).map_err(|cause| {
                failed(&cause.unwrap_or_else(|| format!("it is no port of {}", network(name))))
            })?;
        tell(&user, &bridge, ("vde", port), &phrase);
        return Ok(Exit::Done);
    };
    if let Some(to) = found.link.wire().and_then(|tag| tag.cable) {
        let refusal = failed(&format!("it is the end of the cable to {to}"));
        return Err(refusal.hint(format!("'vmnet cable {name} {to} --remove' parts them")));
    }
    links.delete(found.link.index).map_err(|error| failed(&error.cause))?;
    let user = found.tag.as_ref().map_or_else(|| "-".to_owned(), |tag| name_of(tag.uid));
    tell(&user, &bridge, ("port", port), &found.phrase());
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
