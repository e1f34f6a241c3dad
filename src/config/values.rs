//! What a word, a number, a time, a DHCP option, a domain or an interface may be. Each function takes
//! the key, for its messages, and the value.

use crate::keys::nearest;
use crate::mistake::{Fault, shown};
use toml::de::{DeTable, DeValue};
use vmnet_model::name::IfName;
use vmnet_model::network::{HostAccess, LeaseTime, Mode};

/// 576 is what every IPv4 host must take (RFC 791 section 3.1); 65535 is the longest packet.
const MTU: std::ops::RangeInclusive<u32> = 576..=65535;
/// dnsmasq's least lease (`lease_time` in its dhcp-range).
const LEASE_MIN: u64 = 120;
/// Ten years; longer is `infinite`.
const LEASE_MAX: u64 = 3650 * 86400;
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
    if matches!(word, "bridged" | "vde") {
        return Err(Fault::new(format!("mode '{word}' is not supported by this version"))
            .hint("this version has 'nat', 'routed' and 'isolated'"));
    }
    one_of(key, word, [Mode::Nat, Mode::Routed, Mode::Isolated].map(|mode| (mode.as_str(), mode)))
}

pub(crate) fn host_access(key: &str, value: &DeValue<'_>) -> Result<HostAccess, Fault> {
    let words = [("none", HostAccess::None), ("services", HostAccess::Services), ("all", HostAccess::All)];
    one_of(key, text(key, value)?, words)
}

/// The meaning of one of three words.
fn one_of<T: Copy>(key: &str, word: &str, words: [(&'static str, T); 3]) -> Result<T, Fault> {
    if let Some((_, meaning)) = words.iter().find(|(name, _)| *name == word) {
        return Ok(*meaning);
    }
    let [a, b, c] = words.map(|(name, _)| name);
    let fault = Fault::new(format!("'{key}' must be '{a}', '{b}' or '{c}', not '{}'", shown(word)));
    Err(match nearest(word, &[a, b, c]) {
        Some(meant) => fault.hint(format!("did you mean '{meant}'?")),
        None => fault,
    })
}

pub(crate) fn mtu(key: &str, value: &DeValue<'_>) -> Result<u32, Fault> {
    let number = value.as_integer().ok_or_else(|| {
        let fault = must_be(key, "a whole number", value);
        match value.as_str() {
            Some(text) if text.parse::<u32>().is_ok() => fault.hint(format!("write {text} without quotes")),
            _ => fault,
        }
    })?;
    u32::from_str_radix(number.as_str(), number.radix()).ok().filter(|mtu| MTU.contains(mtu)).ok_or_else(
        || {
            let (least, most) = (MTU.start(), MTU.end());
            Fault::new(format!("'{key}' must be from {least} to {most}, not {}", shown(&number.to_string())))
        },
    )
}

pub(crate) fn lease_time(key: &str, value: &DeValue<'_>) -> Result<LeaseTime, Fault> {
    if let Some(number) = value.as_integer() {
        let fault = must_be(key, "text", value);
        return Err(fault.hint(format!("write the unit too: \"{}s\"", shown(&number.to_string()))));
    }
    let word = text(key, value)?;
    if word == "infinite" {
        return Ok(LeaseTime::Infinite);
    }
    let unknown = || {
        Fault::new(format!("'{}' is not a lease time", shown(word)))
            .hint("write a number with s, m, h or d, such as \"45m\", or \"infinite\"")
    };
    let unit = match word.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 86400,
        _ => return Err(unknown()),
    };
    let count = word.get(..word.len() - 1).unwrap_or_default();
    if count.is_empty() || !count.bytes().all(|b| b.is_ascii_digit()) {
        return Err(unknown());
    }
    let seconds = count.parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    match seconds {
        Some(0..LEASE_MIN) => Err(Fault::new(format!("'{key}' must be at least 2m, not {}", shown(word)))),
        Some(seconds @ LEASE_MIN..=LEASE_MAX) => {
            u32::try_from(seconds).map(LeaseTime::Seconds).map_err(|_| unknown())
        }
        _ => Err(Fault::new(format!("'{key}' must be at most 3650d, not {}", shown(word)))
            .hint("\"infinite\" means for ever")),
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
