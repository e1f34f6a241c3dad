//! The networks that are examined, and what is wrong with their files.

use super::finding::{Finding, Severity, Subject, quoted};
use super::host::text;
use vmnet_access::name::{IfName, NetName};
use vmnet_host::links::HostSnapshot;
use vmnet_model::error::Error;
use vmnet_model::network::{HostAccess, Network, SubnetChoice};
use vmnet_network::dirs::Dirs;
use vmnet_network::server;
use vmnet_network::store::definitions::Unreadable;
use vmnet_network::store::run_record::{Phase, Record};
use vmnet_network::store::{definitions, run_record};

/// Every network, or the named one, and what is wrong with their files.
///
/// # Errors
/// There is no such network, or the files cannot be listed.
pub(super) fn look(
    dirs: &Dirs,
    name: Option<&NetName>,
    seen: &HostSnapshot,
) -> Result<(Vec<Subject>, Vec<Finding>), Error> {
    let records = run_record::all(dirs)?;
    let names = match name {
        Some(name) => vec![name.clone()],
        None => all_names(dirs, &records)?,
    };
    let (mut subjects, mut findings) = (Vec::new(), Vec::new());
    for network in names {
        let record = records.iter().find(|(bridge, _)| *bridge == network.bridge()).map(|(_, record)| record);
        let file = definitions::read(dirs, &network);
        match &file {
            Err(Unreadable::Unknown) if record.is_none() => {
                return Err(Unreadable::Unknown.failure("examine", &network));
            }
            Err(why) => findings.push(bad_file(dirs, &network, why)),
            Ok(_) => {}
        }
        let bridge = network.bridge();
        let run_dir = dirs.run_dir(&bridge);
        let fixed = file.as_ref().ok().and_then(|network| match network.subnet {
            SubnetChoice::Fixed(subnet) => Some(subnet),
            SubnetChoice::Auto => None,
        });
        subjects.push(Subject {
            index: seen.links.iter().find(|link| link.name == bridge).map(|link| link.index),
            up: record.is_some_and(|record| record.phase == Phase::Up),
            serves: server::find(&run_dir).is_some(),
            address: record.map(|record| record.address),
            subnet: record.and_then(Record::subnet).or(fixed),
            fixed: fixed.is_some(),
            domain: file.as_ref().ok().filter(|network| is_to_be_known(network)).map(Network::domain),
            bridge,
            network,
        });
    }
    Ok((subjects, findings))
}

/// The host is to resolve its names, and may ask its server.
fn is_to_be_known(network: &Network) -> bool {
    network.dns.register && network.host_access != HostAccess::None
}

fn all_names(dirs: &Dirs, records: &[(IfName, Record)]) -> Result<Vec<NetName>, Error> {
    let mut names = definitions::names(dirs)?;
    names.extend(records.iter().filter_map(|(_, record)| NetName::new(&record.network).ok()));
    names.sort();
    names.dedup();
    Ok(names)
}

fn bad_file(dirs: &Dirs, network: &NetName, why: &Unreadable) -> Finding {
    let path = definitions::place(dirs, network).display().to_string();
    let cure = match why {
        Unreadable::File(_) if !text(&path).is_empty() => {
            format!("chown root:root {0} && chmod 644 {0}", quoted(&path))
        }
        _ => format!("vmnet check {network}"),
    };
    Finding {
        id: "network-file",
        severity: Severity::Fault,
        object: path,
        what: why.phrase(),
        cause: "the network cannot come up, nor be made right".to_owned(),
        cure,
        fix: None,
    }
}
