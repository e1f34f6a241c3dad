//! `[[forward]]`: a port of the host that leads to a guest.

use crate::extent::AddressSpace;
use crate::mistake::{Fault, Found, shown};
use crate::section::{Entry, Placed, Section};
use crate::values::text;
use crate::{keys, values};
use std::net::IpAddr;
use toml::de::DeValue;
use vmnet_model::forward::{Forward, ForwardError, Listen, Protocol, Target};
use vmnet_model::guest::Who;
use vmnet_model::network::Mode;

/// One `[[forward]]` key by key.
pub(crate) struct ForwardEntry {
    at: usize,
    listen: Entry<Listen>,
    to: Entry<Target>,
    protocol: Entry<Protocol>,
}

/// Every `[[forward]]` of the file.
pub(crate) struct Forwards(Vec<ForwardEntry>);

/// A text that the model reads, with its reasons in our words.
pub(crate) fn parse<T>(word: &str, read: impl Fn(&str) -> Result<T, ForwardError>) -> Result<T, Fault> {
    read(word).map_err(|error| {
        let word = shown(word);
        Fault::new(match error {
            ForwardError::Protocol | ForwardError::Ports | ForwardError::Address | ForwardError::Guest => {
                format!("'{word}' is {error}")
            }
            ForwardError::Backwards
            | ForwardError::Loopback6
            | ForwardError::Zero
            | ForwardError::Sizes
            | ForwardError::Families => {
                format!("'{word}' cannot be: {error}")
            }
        })
    })
}

/// A number in the file as the text of it.
pub(crate) fn number_or_text(key: &str, value: &DeValue<'_>) -> Result<String, Fault> {
    match (value.as_integer(), value.as_str()) {
        (Some(number), _) => {
            let decimal = u64::from_str_radix(number.as_str(), number.radix());
            Ok(decimal.map_or_else(|_| number.to_string(), |number| number.to_string()))
        }
        (None, Some(word)) => Ok(word.to_owned()),
        (None, None) => Err(values::must_be(key, "a port or text", value)),
    }
}

fn listen(key: &str, value: &DeValue<'_>) -> Result<Listen, Fault> {
    let word = number_or_text(key, value)?;
    let listen = parse(&word, str::parse::<Listen>).map_err(|fault| match word.parse() {
        Ok(IpAddr::V4(address)) => fault.hint(format!("add a port: \"{address}:8080\"")),
        Ok(IpAddr::V6(address)) => fault.hint(format!("add a port: \"[{address}]:8080\"")),
        Err(_) => fault,
    })?;
    if listen.ports.first == 0 {
        return Err(Fault::new("a file must say which port, not 0").hint("write one, such as 8080"));
    }
    Ok(listen)
}

fn target(key: &str, value: &DeValue<'_>) -> Result<Target, Fault> {
    let form = "write a name, MAC or address and, if it is another one, the port: \"web:80\"";
    let target: Target = parse(text(key, value)?, str::parse).map_err(|fault| fault.hint(form))?;
    is_guest(&target.who).map(|()| target)
}

/// Not the name of somebody else?
pub(crate) fn is_guest(who: &Who) -> Result<(), Fault> {
    match who {
        Who::Name(name) => values::is_free(name),
        Who::Mac(_) | Who::Address(_) | Who::Address6(_) => Ok(()),
    }
}

impl Forwards {
    pub(crate) fn take(top: &Section<'_, '_>, found: &mut Vec<Found>) -> Self {
        let sections = top.each(&keys::FORWARD, found);
        let take = |(forward, at): Placed<Section<'_, '_>>| ForwardEntry {
            at,
            listen: forward.one("listen", listen, found),
            to: forward.one("to", target, found),
            protocol: forward.one("protocol", values::protocol, found),
        };
        Self(sections.into_iter().map(take).collect())
    }

    /// The bytes where they begin.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|forward| forward.at)
    }

    /// Note forwards that lead nowhere, and pairs that would fight over a port.
    pub(crate) fn contradictions(&self, mode: &Entry<Mode>, extent: &AddressSpace, found: &mut Vec<Found>) {
        let mut before: Vec<(Forward, usize)> = Vec::new();
        for entry in &self.0 {
            if let Some((Mode::Isolated, _)) = mode.given() {
                let fault = Fault::new("a forward means nothing in mode 'isolated'");
                found.push((entry.at, fault.hint("leave it out, or set mode = \"nat\"")));
            }
            if let Some((listen, at)) = entry.listen.given()
                && !listen.takes(false)
                && extent.has_ipv6() == Some(false)
            {
                let fault = Fault::new(format!("'{listen}' needs IPv6, and 'subnet6' is \"none\""));
                found.push((at, fault.hint("leave it out, or set subnet6 = \"auto\"")));
            }
            if let Some((to, at)) = entry.to.given() {
                found.extend(extent.has(&to.who).err().map(|fault| (at, fault)));
            }
            match entry.whole() {
                Some(Ok(forward)) => {
                    let at = entry.listen.given().map_or(entry.at, |(_, at)| at);
                    if let Some((_, there)) = before.iter().find(|(other, _)| forward.overlaps(other)) {
                        let fault = Fault::new(format!(
                            "port {} for {} is forwarded already",
                            forward.listen,
                            forward.protocol.as_str()
                        ));
                        found.push((at, fault.see(*there)));
                    }
                    before.push((forward, at));
                }
                Some(Err(misfit)) => found.push(misfit),
                None => {}
            }
        }
    }

    /// Those that are whole.
    pub(crate) fn into_forwards(self) -> Vec<Forward> {
        self.0.iter().filter_map(|entry| entry.whole()?.ok()).collect()
    }
}

impl ForwardEntry {
    /// Put together, if each part of it is good.
    fn whole(&self) -> Option<Result<Forward, Found>> {
        let (listen, _) = self.listen.given()?;
        let (to, at) = self.to.given()?;
        let protocol = match &self.protocol {
            Entry::Absent => Protocol::Tcp,
            Entry::Wrong => return None,
            Entry::Given(protocol, _) => *protocol,
        };
        let misfit = |error: ForwardError| {
            let hint = match error {
                ForwardError::Sizes => "as many ports as in 'listen', or none, for the same ones",
                _ => "listen on an address of the same family, or on the port alone",
            };
            (at, Fault::new(format!("'{listen}' cannot lead to '{to}': {error}")).hint(hint))
        };
        Some(Forward::new(*listen, to.clone(), protocol).map_err(misfit))
    }
}
