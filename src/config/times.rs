//! Times, and numbers with a unit in general: how long a lease lasts, how long a network may be idle.

use crate::mistake::{Fault, shown};
use crate::nearest::nearest;
use crate::values::{must_be, text};
use toml::de::DeValue;
use vmnet_model::network::{Idle, LeaseTime};

/// The word for a lease without end.
pub(crate) const INFINITE: &str = "infinite";
const DAY: u64 = 86400;
/// The units of a time in seconds.
const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", DAY)];
/// dnsmasq's least lease (`lease_time` in its dhcp-range).
const LEASE_MIN: u64 = 120;
/// Ten years; longer is `infinite`.
const LEASE_MAX: u64 = 3650 * DAY;
/// A month; longer is `keep`.
const IDLE_MAX: u64 = 30 * DAY;

pub(crate) fn pattern() -> String {
    quantity_pattern(&UNITS)
}

/// A regular expression of what [`quantity`] takes.
pub(crate) fn quantity_pattern(units: &[(&str, u64)]) -> String {
    let words: Vec<_> = units.iter().map(|(word, _)| *word).collect();
    format!("^[0-9]+({})$", words.join("|"))
}

/// Digits and directly after them the word of a unit, multiplied; what is too large for the type is its
/// largest number. None: not of that form.
pub(crate) fn quantity(word: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, unit) = word.split_at(word.find(|c: char| !c.is_ascii_digit())?);
    let (_, unit) = units.iter().find(|(name, _)| *name == unit)?;
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX).saturating_mul(*unit))
}

/// A number without its unit.
pub(crate) fn lacks_unit(key: &str, value: &DeValue<'_>, unit: &str) -> Option<Fault> {
    let number = shown(&value.as_integer()?.to_string());
    Some(must_be(key, "text", value).hint(format!("write the unit too: \"{number}{unit}\"")))
}

pub(crate) fn lease_time(key: &str, value: &DeValue<'_>) -> Result<LeaseTime, Fault> {
    if let Some(fault) = lacks_unit(key, value, "s") {
        return Err(fault);
    }
    let word = text(key, value)?;
    if word == INFINITE {
        return Ok(LeaseTime::Infinite);
    }
    let unknown = || {
        Fault::new(format!("'{}' is not a lease time", shown(word)))
            .hint("write a number with s, m, h or d, such as \"45m\", or \"infinite\"")
    };
    match quantity(word, &UNITS).ok_or_else(unknown)? {
        0..LEASE_MIN => Err(Fault::new(format!("'{key}' must be at least 2m, not {}", shown(word)))),
        seconds @ LEASE_MIN..=LEASE_MAX => {
            u32::try_from(seconds).map(LeaseTime::Seconds).map_err(|_| unknown())
        }
        _ => Err(Fault::new(format!("'{key}' must be at most 3650d, not {}", shown(word)))
            .hint("\"infinite\" means for ever")),
    }
}

/// The words that `idle` understands besides a time.
pub(crate) fn idle_words() -> [(&'static str, Idle); 2] {
    [("keep", Idle::Keep), ("down", Idle::DOWN)]
}

pub(crate) fn idle(key: &str, value: &DeValue<'_>) -> Result<Idle, Fault> {
    if let Some(fault) = lacks_unit(key, value, "s") {
        return Err(fault);
    }
    let word = text(key, value)?;
    if let Some((_, idle)) = idle_words().iter().find(|(name, _)| *name == word) {
        return Ok(*idle);
    }
    let unknown = || {
        let fault = Fault::new(format!("'{key}' must be 'keep', 'down' or a time, not '{}'", shown(word)));
        match nearest(word, &idle_words().map(|(name, _)| name)) {
            Some(meant) => fault.hint(format!("did you mean '{meant}'?")),
            None => fault.hint("a time is a number with s, m, h or d, such as \"10m\""),
        }
    };
    match quantity(word, &UNITS).ok_or_else(unknown)? {
        0 => Err(Fault::new(format!("'{key}' must be at least 1s, not {}", shown(word)))
            .hint("\"down\" means as soon as no guest is coming back")),
        seconds @ 1..=IDLE_MAX => u32::try_from(seconds).map(Idle::After).map_err(|_| unknown()),
        _ => Err(Fault::new(format!("'{key}' must be at most 30d, not {}", shown(word)))
            .hint("\"keep\" means that it stays up")),
    }
}
