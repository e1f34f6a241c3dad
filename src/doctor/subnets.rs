//! Routes and addresses that overlap a network's subnet and came after it: a VPN's, a new LAN's.

use super::finding::{Finding, Report, Severity, Subject, quoted};
use super::host::Host;
use vmnet_host::links::HostSnapshot;
use vmnet_model::free_subnet;
use vmnet_model::subnet::Subnet;
use vmnet_network::store::definitions;

/// The kernel's main table and its table of own addresses (rt_names of iproute2).
const MAIN: u32 = 254;
const LOCAL: u32 = 255;

/// Which networks overlap with routes of all tables and addresses of all links, but for their own.
pub(super) fn check(host: &Host<'_>, report: &mut Report) {
    let finding = |subject: &Subject| {
        let file = definitions::place(host.dirs, &subject.network).display().to_string();
        judge(subject, &claims(host.seen, subject), &file)
    };
    report.findings.extend(host.subjects.iter().filter_map(finding));
}

fn claims(seen: &HostSnapshot, subject: &Subject) -> Vec<Claim> {
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

/// Somebody else's claim on addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    /// The addresses.
    subnet: Subnet,
    /// The table of a route.
    table: u32,
    /// The link, in words: `interface wg0`, or `the host`.
    by: String,
}

impl Claim {
    /// Is it asked before the network's own route? The narrower route wins in one table, and a rule
    /// may choose another table before main is asked.
    fn wins_over(&self, subnet: Subnet) -> bool {
        !matches!(self.table, MAIN | LOCAL) || self.subnet.length() >= subnet.length()
    }

    fn words(&self) -> String {
        match self.table {
            MAIN | LOCAL => format!("{} by {}", self.subnet, self.by),
            table => format!("{} by {} in table {table}", self.subnet, self.by),
        }
    }
}

/// What is wrong with a network, given the claims of all links but its own bridge.
fn judge(subject: &Subject, claims: &[Claim], file: &str) -> Option<Finding> {
    let subnet = subject.subnet.filter(|_| subject.up || subject.fixed)?;
    let overlapping = |claim: &&Claim| free_subnet::counts(claim.subnet) && claim.subnet.overlaps(subnet);
    let mut others: Vec<&Claim> = claims.iter().filter(overlapping).collect();
    others.sort_by_key(|claim| !claim.wins_over(subnet));
    let first = others.first()?;
    let wins = first.wins_over(subnet);
    // A wider route in the main table is no trouble for a subnet that somebody chose inside it.
    if !subject.up && !wins {
        return None;
    }
    let name = &subject.network;
    let again = format!("vmnet down {name} && vmnet up {name}");
    let cause = match (subject.up, wins) {
        (true, true) => "packets to its guests may take that route instead of the bridge",
        (true, false) => "its guests and this host do not reach those that are really there",
        (false, _) => "it will not come up",
    };
    Some(Finding {
        id: "subnet-overlap",
        severity: if wins { Severity::Fault } else { Severity::Warning },
        object: name.to_string(),
        what: format!("network '{name}' has {subnet}, and there is a route to {}", first.words()),
        cause: cause.to_owned(),
        cure: match (subject.fixed, subject.up) {
            (true, true) => {
                format!("sed -i 's/^ *subnet *=.*/subnet = \"auto\"/' {} && {again}", quoted(file))
            }
            (true, false) => format!("sed -i 's/^ *subnet *=.*/subnet = \"auto\"/' {}", quoted(file)),
            (false, _) => again,
        },
        fix: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::tests::subject;
    use super::*;

    fn found(subject: &Subject, subnet: &str, table: u32) -> Option<Severity> {
        let claim = Claim { subnet: subnet.parse().unwrap(), table, by: "interface wg0".to_owned() };
        judge(subject, &[claim], "/f").map(|finding| finding.severity)
    }

    #[test]
    fn a_route_that_is_asked_first_is_a_fault_and_a_wider_one_a_warning() {
        let up = subject("lab", 3);
        for (subnet, table, severity) in [
            ("10.0.1.0/24", MAIN, Some(Severity::Fault)),
            ("10.0.1.128/25", MAIN, Some(Severity::Fault)),
            ("10.0.0.0/8", MAIN, Some(Severity::Warning)),
            ("10.0.0.0/8", 51820, Some(Severity::Fault)),
            ("0.0.0.0/0", 51820, None),
            ("0.0.0.0/1", MAIN, None),
            ("10.0.2.0/24", MAIN, None),
        ] {
            assert_eq!(found(&up, subnet, table), severity, "{subnet} in {table}");
        }
    }

    #[test]
    fn a_network_that_is_down_is_only_in_trouble_where_its_file_fixes_the_subnet() {
        let down = Subject { up: false, ..subject("lab", 3) };
        assert_eq!(found(&down, "10.0.1.0/24", MAIN), None);
        let fixed = Subject { fixed: true, ..down };
        assert_eq!(found(&fixed, "10.0.1.0/24", MAIN), Some(Severity::Fault));
        assert_eq!(found(&fixed, "10.0.0.0/8", MAIN), None);
    }
}
