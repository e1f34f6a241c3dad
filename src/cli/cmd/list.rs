//! `vmnet list`

use crate::exit::Exit;
use crate::say;
use serde_json::{Value, json};
use vmnet_access::name::{IfName, NetName};
use vmnet_host::links::Links;
use vmnet_model::error::Error;
use vmnet_model::network::{Mode, SubnetChoice};
use vmnet_network::dirs::Dirs;
use vmnet_network::ports;
use vmnet_network::store::definitions::{Owner, PassedOver};
use vmnet_network::store::live_changes::LiveChanges;
use vmnet_network::store::run_record::{NO_SUBNET, Phase, Record};
use vmnet_network::store::{definitions, run_record};

struct Row {
    name: NetName,
    bridge: IfName,
    mode: &'static str,
    subnet: Option<String>,
    state: &'static str,
    ports: usize,
    owner: Option<Owner>,
    passed_over: Option<PassedOver>,
}

/// Every network with a file, the built-in one, those that other programs defined, and those that run without any.
pub fn run(dirs: &Dirs, json: bool) -> Result<Exit, Error> {
    let records = run_record::all(dirs)?;
    let mut names = definitions::names(dirs)?;
    names.extend(records.iter().filter_map(|(_, record)| NetName::new(&record.network).ok()));
    names.sort();
    names.dedup();
    let links = Links::open().map_err(|error| Error::new("list", "networks", error))?;
    let mut rows = Vec::new();
    for name in names {
        let bridge = name.bridge();
        let record = records.iter().find(|(of, _)| *of == bridge).map(|(_, record)| record);
        rows.push(row(dirs, &links, name, record)?);
    }
    if json {
        say::json(&json!({ "networks": rows.iter().map(Row::json).collect::<Vec<_>>() }));
    } else {
        let head = ["NAME", "BRIDGE", "MODE", "SUBNET", "STATE", "PORTS", "OWNER"];
        say::table(&head, rows.iter().map(Row::cells));
    }
    Ok(Exit::Done)
}

fn row(dirs: &Dirs, links: &Links, name: NetName, record: Option<&Record>) -> Result<Row, Error> {
    let file = definitions::read(dirs, &name).ok();
    let given = file.as_ref().and_then(|network| match network.subnet {
        _ if network.mode == Mode::Vde => Some(NO_SUBNET.to_owned()),
        SubnetChoice::Fixed(subnet) => Some(subnet.to_string()),
        SubnetChoice::Auto => None,
    });
    let remembered = || LiveChanges::subnet_of(dirs, &name).ok().flatten().map(|subnet| subnet.to_string());
    let bridge = name.bridge();
    Ok(Row {
        mode: file.as_ref().map_or("bad file", |network| network.mode.as_str()),
        subnet: record.map(|record| record.subnet.clone()).or(given).or_else(remembered),
        state: match record.map(|record| record.phase) {
            Some(Phase::Up) => "up",
            Some(Phase::Starting) => "half up",
            None => "down",
        },
        ports: if record.is_some() { ports::count(dirs, links, &bridge)? } else { 0 },
        owner: definitions::owner(dirs, &name).ok(),
        passed_over: definitions::passed_over(dirs, &name),
        bridge,
        name,
    })
}

impl Row {
    fn cells(&self) -> Vec<String> {
        vec![
            self.name.to_string(),
            self.bridge.to_string(),
            self.mode.to_owned(),
            self.subnet.clone().unwrap_or_else(|| "auto".to_owned()),
            self.state.to_owned(),
            self.ports.to_string(),
            self.whose(),
        ]
    }

    /// Whose it is, and whose definition of that name does not count.
    fn whose(&self) -> String {
        let short = |owner: &Option<Owner>| owner.as_ref().map_or_else(|| "-".to_owned(), Owner::short);
        match &self.passed_over {
            Some(definition) => format!("{}, not {}", short(&self.owner), short(&definition.owner)),
            None => short(&self.owner),
        }
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name.as_str(),
            "bridge": self.bridge.to_string(),
            "mode": self.mode,
            "subnet": self.subnet,
            "state": self.state,
            "ports": self.ports,
            "owner": self.owner.as_ref().map(ToString::to_string),
            "passed_over": self.passed_over.as_ref().map(|definition| definition.path.display().to_string()),
        })
    }
}
