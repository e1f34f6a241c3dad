//! `[[link]]`: one guest of a network whose guests are kept apart may reach another.

use crate::extent::AddressSpace;
use crate::forwards::{is_guest, number_or_text, parse};
use crate::hosts::{Hosts, Names, taken};
use crate::mistake::{Fault, Found, shown};
use crate::section::{Entry, Placed, Section};
use crate::values::text;
use crate::{keys, values};
use std::collections::BTreeMap;
use toml::de::DeValue;
use vmnet_model::forward::{Ports, Protocol};
use vmnet_model::guest::Who;
use vmnet_model::network::GuestRule;

/// One `[[link]]` key by key.
pub(crate) struct LinkEntry {
    at: usize,
    from: Entry<Who>,
    to: Entry<Who>,
    ports: Entry<Vec<Placed<(Protocol, Ports)>>>,
    alias: Entry<String>,
}

/// Every `[[link]]` of the file.
pub(crate) struct Links(Vec<LinkEntry>);

fn guest(key: &str, value: &DeValue<'_>) -> Result<Who, Fault> {
    let word = text(key, value)?;
    let who: Who = word.parse().map_err(|why| {
        Fault::new(format!("'{}' is {why}", shown(word))).hint("write one such as \"web\", without a port")
    })?;
    is_guest(&who).map(|()| who)
}

/// `PORTS` or `PORTS/PROTOCOL`
fn ports(key: &str, value: &DeValue<'_>) -> Result<(Protocol, Ports), Fault> {
    let word = number_or_text(key, value)?;
    let form = "write a port or a range of ports, such as 80, \"5432/tcp\", \"53/udp\" or \"8000-8010\"";
    let (ports, protocol) = match word.split_once('/') {
        Some((ports, protocol)) => (ports, parse(protocol, str::parse)?),
        None => (word.as_str(), Protocol::Tcp),
    };
    let ports: Ports = parse(ports, str::parse).map_err(|fault| fault.hint(form))?;
    if ports.first == 0 {
        return Err(Fault::new(format!("a link cannot lead to port {ports}")).hint(form));
    }
    Ok((protocol, ports))
}

impl Links {
    pub(crate) fn take(top: &Section<'_, '_>, found: &mut Vec<Found>) -> Self {
        let sections = top.each(&keys::LINK, found);
        let take = |(link, at): Placed<Section<'_, '_>>| LinkEntry {
            at,
            from: link.one("from", guest, found),
            to: link.one("to", guest, found),
            ports: link.mixed("ports", ports, found),
            alias: link.one("alias", values::host_name, found),
        };
        Self(sections.into_iter().map(take).collect())
    }

    /// The bytes where they begin.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|link| link.at)
    }

    /// Note links that mean nothing, and aliases that mean two guests.
    pub(crate) fn contradictions(
        &self,
        (isolated, switch): (&Entry<bool>, Option<usize>),
        (hosts, names): (&Hosts, &Names<'_>),
        extent: &AddressSpace,
        found: &mut Vec<Found>,
    ) {
        let mut aliases: BTreeMap<&str, (Option<Who>, usize)> = BTreeMap::new();
        for link in &self.0 {
            if let Some(there) = switch {
                let fault =
                    Fault::new("a link means nothing where guests at a VDE switch cannot be kept apart");
                found.push((link.at, fault.hint("leave it out, or do without VDE").see(there)));
            } else if !isolated.is_wrong() && !isolated.given().is_some_and(|(is, _)| *is) {
                let fault = Fault::new("a link means nothing where all guests reach each other");
                let hint = "set isolated = true at the top of the file, or leave it out";
                found.push((link.at, fault.hint(hint)));
            }
            link.alone(hosts, extent, found);
            let Some((alias, at)) = link.alias.given() else { continue };
            let to = link.to.given().map(|(who, _)| hosts.known(who));
            let linked = aliases.get(alias.as_str());
            let other = linked.filter(|(guest, _)| *guest != to || to.is_none()).map(|(_, there)| there);
            match names.get(alias.as_str()).or(other) {
                Some(there) => found.push((at, taken(alias).see(*there))),
                None => _ = aliases.insert(alias, (to, at)),
            }
        }
    }

    /// Those that are whole.
    pub(crate) fn into_links(self) -> Vec<GuestRule> {
        self.0.into_iter().filter_map(LinkEntry::into_link).collect()
    }
}

impl LinkEntry {
    /// Note what makes it meaningless whatever the other links are.
    fn alone(&self, hosts: &Hosts, extent: &AddressSpace, found: &mut Vec<Found>) {
        for (who, at) in self.from.given().into_iter().chain(self.to.given()) {
            found.extend(extent.has(who).err().map(|fault| (at, fault)));
        }
        if let (Some((from, _)), Some((to, at))) = (self.from.given(), self.to.given())
            && hosts.known(to) == hosts.known(from)
        {
            found.push((at, Fault::new(format!("a link from '{from}' to '{to}' leads back to itself"))));
        }
        if let (Some((_, at)), Some((to, _))) = (self.alias.given(), self.to.given())
            && !matches!(to, Who::Name(_))
        {
            let fault = Fault::new(format!("an alias is for a name, and 'to' is '{to}'"));
            found.push((at, fault.hint("say the guest's name in 'to', or leave 'alias' out")));
        }
        if let Some((ports, at)) = self.ports.given()
            && ports.is_empty()
        {
            let fault = Fault::new("'link.ports' is empty: the link would lead nowhere");
            found.push((at, fault.hint("leave it out to link all ports")));
        }
    }

    fn into_link(self) -> Option<GuestRule> {
        Some(GuestRule {
            from: self.from.value()?,
            to: self.to.value()?,
            ports: self.ports.values().unwrap_or_default(),
            alias: self.alias.value(),
        })
    }
}
