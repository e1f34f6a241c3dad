//! `vmnet cable NAME TO`

use super::need_root;
use crate::exit::Exit;
use crate::say;
use vmnet_access::name::NetName;
use vmnet_model::cable::End;
use vmnet_model::error::{Error, network};
use vmnet_network::Networks;
use vmnet_network::cables::Added;

/// Join two wires, or part them again.
pub fn run(networks: &Networks, name: &NetName, to: &End, remove: bool) -> Result<Exit, Error> {
    need_root(if remove { "part" } else { "join" }, network(name))?;
    if remove {
        let to = networks.get(name).uncable(to)?;
        say::line(&format!("{name} and {to} are parted"));
    } else {
        say_added(name, &networks.get(name).cable(to)?);
    }
    Ok(Exit::Done)
}

fn say_added(name: &NetName, added: &Added) {
    let to = &added.to;
    say::line(&match &added.now {
        None => format!("{name} - {to}: remembered; {} is not up", network(name)),
        Some(row) => format!("{name} - {to}: {}", row.actual),
    });
    if added.two_servers {
        say::line(&format!(
            "note: both serve DHCP, and a guest may get its address from either; set dhcp.enabled = false in {name} or {to}"
        ));
    }
}
