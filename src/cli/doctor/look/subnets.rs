//! Routes of all tables and addresses of all links, but for each network's own.

use crate::doctor::finding::{Finding, Subject};
use crate::doctor::subnets::{self, Claim};
use crate::places::Places;
use vmnet_host::links::Seen;

/// The table of an address's own route.
const MAIN: u32 = 254;

/// Which networks overlap them.
pub fn findings(places: &Places, subjects: &[Subject], seen: &Seen) -> Vec<Finding> {
    let finding = |subject: &Subject| {
        let file = places.network_file(&subject.network).display().to_string();
        subnets::findings(subject, &claims(seen, subject), &file)
    };
    subjects.iter().filter_map(finding).collect()
}

fn claims(seen: &Seen, subject: &Subject) -> Vec<Claim> {
    let by = |index: Option<u32>| {
        let link = seen.links.iter().find(|link| Some(link.index) == index);
        link.map_or_else(|| "this host".to_owned(), |link| format!("interface {}", link.name))
    };
    let foreign = |index: Option<u32>| index.is_none() || index != subject.index;
    let routes = seen.routes.iter().filter(|route| foreign(route.interface));
    let routes =
        routes.map(|route| Claim { subnet: route.destination, table: route.table, by: by(route.interface) });
    let addresses = seen.addresses.iter().filter(|address| foreign(Some(address.index)));
    let addresses =
        addresses.map(|address| Claim { subnet: address.subnet(), table: MAIN, by: by(Some(address.index)) });
    routes.chain(addresses).collect()
}
