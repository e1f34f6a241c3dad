//! `[limits]`: how fast each guest may send and be sent to.

use crate::mistake::{Fault, shown};
use crate::times::{lacks_unit, quantity, quantity_pattern};
use crate::values::text;
use toml::de::DeValue;

/// The units of a rate in bytes per second; their prefixes are powers of 1000, as network hardware counts.
const UNITS: [(&str, u64); 5] =
    [("kbit", 125), ("mbit", 125_000), ("gbit", 125_000_000), ("kbyte", 1000), ("mbyte", 1_000_000)];
/// 8 kbit/s: a packet of full size takes one and a half seconds.
const LEAST: u64 = 1000;
/// 1000 gbit/s, more than any link there is.
const MOST: u64 = 125_000_000_000;

pub(crate) fn pattern() -> String {
    quantity_pattern(&UNITS)
}

/// A rate in bytes per second.
pub(crate) fn rate(key: &str, value: &DeValue<'_>) -> Result<u64, Fault> {
    if let Some(fault) = lacks_unit(key, value, "mbit") {
        return Err(fault);
    }
    let word = text(key, value)?;
    let unknown = || {
        let fault = Fault::new(format!("'{}' is not a rate", shown(word)));
        let plain: String = word.chars().filter(|c| *c != ' ').collect::<String>().to_ascii_lowercase();
        match quantity(&plain, &UNITS) {
            Some(_) => fault.hint(format!("did you mean \"{}\"?", shown(&plain))),
            None => fault.hint(
                "write a number with kbit, mbit, gbit, kbyte or mbyte, each per second, such as \"50mbit\"",
            ),
        }
    };
    match quantity(word, &UNITS).ok_or_else(unknown)? {
        0..LEAST => Err(Fault::new(format!("'{key}' must be at least 8kbit, not {}", shown(word)))),
        rate @ LEAST..=MOST => Ok(rate),
        _ => Err(Fault::new(format!("'{key}' must be at most 1000gbit, not {}", shown(word)))
            .hint("leave it out for no limit")),
    }
}

#[cfg(test)]
mod tests {
    use crate::generated::lab;
    use crate::read;

    #[test]
    fn a_rate_is_counted_in_bytes_and_its_prefix_in_thousands() {
        for (word, bytes) in [
            ("8kbit", 1000),
            ("1mbit", 125_000),
            ("1gbit", 125_000_000),
            ("3kbyte", 3000),
            ("2mbyte", 2_000_000),
        ] {
            let network = read(lab(), "f", &format!("limits.from_guest = '{word}'")).unwrap();
            assert_eq!(network.limits.from_guest, Some(bytes), "{word}");
            assert_eq!(network.limits.to_guest, None);
        }
    }
}
