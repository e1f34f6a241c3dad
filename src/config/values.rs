//! What a word, a number, a DHCP option, a name or an interface may be. Each function takes the key,
//! for its messages, and the value.

use crate::mistake::{Fault, shown};
use crate::nearest::nearest;
use std::ops::RangeInclusive;
use toml::de::{DeTable, DeValue};
use vmnet_access::name::{IfName, NetName};
use vmnet_model::forward::Protocol;
use vmnet_model::guest::is_host_name;
use vmnet_model::network::{HostAccess, Mode, MtuChoice};

/// 576 is what every IPv4 host must take (RFC 791 section 3.1); 65535 is the longest packet.
pub(crate) const MTU: RangeInclusive<u32> = 576..=65535;
/// The word that leaves a choice to us.
pub(crate) const AUTO: &str = "auto";
/// The word for doing without.
pub(crate) const NONE: &str = "none";
/// Names that mean somebody else.
const TAKEN: [(&str, &str); 2] =
    [("gateway", "the host itself is"), ("localhost", "every guest is, to itself (RFC 6761)")];
/// Longest DHCP option text. dnsmasq reads its file in pieces of 1024 bytes (`MAXDNAME` in `read_file`,
/// option.c), and the rest of a longer line would count as a line of its own.
const OPTION_MAX: usize = 800;

/// The wrong type.
pub(crate) fn must_be(key: &str, wanted: &str, value: &DeValue<'_>) -> Fault {
    Fault::new(format!("'{key}' must be {wanted}, not {}", kind(value)))
}

/// What a value is, in everyday words.
pub(crate) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// A text of any content.
pub(crate) fn text<'v>(key: &str, value: &'v DeValue<'_>) -> Result<&'v str, Fault> {
    value.as_str().ok_or_else(|| match value {
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            must_be(key, "text", value).hint("text stands in quotes")
        }
        _ => must_be(key, "text", value),
    })
}

/// A table.
pub(crate) fn section<'v, 't>(key: &str, value: &'v DeValue<'t>) -> Result<&'v DeTable<'t>, Fault> {
    value.as_table().ok_or_else(|| {
        must_be(key, "a section", value)
            .hint(format!("write [{key}] on a line of its own, its keys below it"))
    })
}

pub(crate) fn switch(key: &str, value: &DeValue<'_>) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| {
        let fault = must_be(key, "true or false", value);
        if value.is_str() { fault.hint("write true or false without quotes") } else { fault }
    })
}

pub(crate) fn mode(key: &str, value: &DeValue<'_>) -> Result<Mode, Fault> {
    let word = text(key, value)?;
    if word == "bridged" {
        return Err(Fault::new(format!("mode '{word}' is not supported by this version"))
            .hint("this version has 'nat', 'routed', 'isolated' and 'vde'"));
    }
    one_of(key, word, &modes())
}

/// The words for `mode`.
pub(crate) fn modes() -> [(&'static str, Mode); 4] {
    [Mode::Nat, Mode::Routed, Mode::Isolated, Mode::Vde].map(|mode| (mode.as_str(), mode))
}

pub(crate) fn host_access(key: &str, value: &DeValue<'_>) -> Result<HostAccess, Fault> {
    one_of(key, text(key, value)?, &host_accesses())
}

/// The words for `host_access`.
pub(crate) fn host_accesses() -> [(&'static str, HostAccess); 3] {
    [("none", HostAccess::None), ("services", HostAccess::Services), ("all", HostAccess::All)]
}

pub(crate) fn protocol(key: &str, value: &DeValue<'_>) -> Result<Protocol, Fault> {
    one_of(key, text(key, value)?, &Protocol::ALL.map(|protocol| (protocol.as_str(), protocol)))
}

/// The meaning of one of these words.
fn one_of<T: Copy>(key: &str, word: &str, words: &[(&'static str, T)]) -> Result<T, Fault> {
    if let Some((_, meaning)) = words.iter().find(|(name, _)| *name == word) {
        return Ok(*meaning);
    }
    let names: Vec<&'static str> = words.iter().map(|(name, _)| *name).collect();
    let (last, others) = names.split_last().unwrap_or((&"", &[]));
    let others = others.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let fault = Fault::new(format!("'{key}' must be {others} or '{last}', not '{}'", shown(word)));
    Err(match nearest(word, &names) {
        Some(meant) => fault.hint(format!("did you mean '{meant}'?")),
        None => fault,
    })
}

pub(crate) fn mtu(key: &str, value: &DeValue<'_>) -> Result<MtuChoice, Fault> {
    if value.as_str() == Some(AUTO) {
        return Ok(MtuChoice::Auto);
    }
    number(key, "a whole number or \"auto\"", MTU, value).map(MtuChoice::Fixed)
}

/// A number of this range; `wanted` says what is taken.
pub(crate) fn number(
    key: &str,
    wanted: &str,
    range: RangeInclusive<u32>,
    value: &DeValue<'_>,
) -> Result<u32, Fault> {
    let number = value.as_integer().ok_or_else(|| {
        let fault = must_be(key, wanted, value);
        match value.as_str() {
            Some(text) if text.parse::<u32>().is_ok() => fault.hint(format!("write {text} without quotes")),
            _ => fault,
        }
    })?;
    let good = u32::from_str_radix(number.as_str(), number.radix()).ok().filter(|n| range.contains(n));
    good.ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        Fault::new(format!("'{key}' must be from {least} to {most}, not {}", shown(&number.to_string())))
    })
}

/// Another network's name.
pub(crate) fn network(key: &str, value: &DeValue<'_>) -> Result<NetName, Fault> {
    let word = text(key, value)?;
    NetName::new(word).map_err(|why| Fault::new(format!("'{}' is not a network's name: {why}", shown(word))))
}

/// A guest's name in lower case.
pub(crate) fn host_name(key: &str, value: &DeValue<'_>) -> Result<String, Fault> {
    let word = text(key, value)?;
    if !is_host_name(word) {
        let fault = Fault::new(format!("'{}' is not a guest's name", shown(word)));
        return Err(match word.split_once('.') {
            Some((label, _)) if is_host_name(label) => {
                fault.hint(format!("write \"{label}\"; the domain is added"))
            }
            _ => fault
                .hint("write up to 63 letters, digits and inner hyphens, not digits alone, such as \"web\""),
        });
    }
    let word = word.to_ascii_lowercase();
    is_free(&word).map(|()| word)
}

/// Not the name of somebody who is no guest?
pub(crate) fn is_free(name: &str) -> Result<(), Fault> {
    match TAKEN.iter().find(|(taken, _)| *taken == name) {
        Some((_, why)) => Err(Fault::new(format!("no guest may be called '{name}': {why}"))),
        None => Ok(()),
    }
}

/// A DHCP option in dnsmasq's words: `option:NAME` or a number from 1 to 254, then, unless the option
/// is to be left out of the answers, a comma and the value. Whether dnsmasq knows the name is for dnsmasq to say.
pub(crate) fn dhcp_option(key: &str, value: &DeValue<'_>) -> Result<String, Fault> {
    let word = text(key, value)?;
    if let Some(c) = word.chars().find(|c| !matches!(c, ' '..='~')) {
        return Err(Fault::new(format!(
            "'{}' may not be in a DHCP option",
            shown(c.encode_utf8(&mut [0; 4]))
        )));
    }
    if word.len() > OPTION_MAX {
        return Err(Fault::new(format!(
            "a DHCP option may have {OPTION_MAX} characters, not {}",
            word.len()
        )));
    }
    let option = word.split_once(',').map_or(word, |(option, _)| option);
    let legal = match option.strip_prefix("option:") {
        Some(name) => {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        }
        None => {
            option.bytes().all(|b| b.is_ascii_digit())
                && option.parse().is_ok_and(|n: u8| (1..255).contains(&n))
        }
    };
    if legal {
        return Ok(word.to_owned());
    }
    Err(Fault::new(format!("'{}' is not a DHCP option", shown(word)))
        .hint("write \"option:NAME,VALUE\" or \"NUMBER,VALUE\", such as \"option:ntp-server,10.0.1.1\""))
}

/// A domain in lower case (RFC 1035 section 2.3.1, with RFC 1123's leading digits): labels of 1 to 63
/// letters, digits and inner hyphens, 253 bytes together.
pub(crate) fn domain(key: &str, value: &DeValue<'_>) -> Result<String, Fault> {
    let word = text(key, value)?;
    let legal = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if word.len() > 253 || !word.split('.').all(legal) {
        return Err(Fault::new(format!("'{}' is not a domain", shown(word))).hint(
            "write labels of letters, digits and hyphens with dots between, such as \"lab.internal\"",
        ));
    }
    let word = word.to_ascii_lowercase();
    match word.rsplit('.').next() {
        Some("local") => {
            Err(Fault::new(format!("domain '{}' belongs to multicast DNS (RFC 6762)", shown(&word)))
                .hint("write a name under 'internal', such as \"lab.internal\""))
        }
        Some("localhost") => {
            Err(Fault::new(format!("domain '{}' means the guest itself (RFC 6761)", shown(&word)))
                .hint("write a name under 'internal', such as \"lab.internal\""))
        }
        _ => Ok(word),
    }
}

/// An interface. Stricter than the kernel: in nftables a `*` would mean others too, and what must be
/// escaped there cannot be written.
pub(crate) fn interface(key: &str, value: &DeValue<'_>) -> Result<IfName, Fault> {
    let word = text(key, value)?;
    let wrong = |why: String| Fault::new(format!("'{}' is not an interface: {why}", shown(word)));
    let name = IfName::new(word.as_bytes()).map_err(|why| wrong(why.to_string()))?;
    match word.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '"' | '\\' | '*')) {
        Some(c) => Err(wrong(format!("'{}' may not be in it", shown(c.encode_utf8(&mut [0; 4]))))),
        None => Ok(name),
    }
}
