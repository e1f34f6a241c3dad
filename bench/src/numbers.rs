//! Medians, and how they are written.

use std::time::Duration;

/// Some measurements of one thing, in microseconds where it is a time.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Add one.
    pub fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1e6);
    }

    /// Add one that is no time.
    pub fn add_number(&mut self, number: f64) {
        self.0.push(number);
    }

    /// The value that this part of them (0 to 1) does not exceed; not a number if there are none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        // Between 0 and the length of a list.
        let place = (last as f64 * part).round() as usize;
        sorted.get(place).copied().unwrap_or(f64::NAN)
    }

    /// Half are below it.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The median of the ratios, each measurement over its partner of the same round: what else the
    /// machine does then slows both.
    #[must_use]
    pub fn ratio(&self, other: &Self) -> f64 {
        Self(self.0.iter().zip(&other.0).map(|(own, other)| own / other).collect()).median()
    }

    /// The median of the differences, in microseconds, each measurement less its partner of the same round.
    #[must_use]
    pub fn excess(&self, other: &Self) -> f64 {
        Self(self.0.iter().zip(&other.0).map(|(own, other)| own - other).collect()).median()
    }
}

/// Microseconds, as a person reads them.
#[must_use]
pub fn time(microseconds: f64) -> String {
    match microseconds {
        us if us.is_nan() => "–".into(),
        us if us < 10_000.0 => format!("{us:.0} µs"),
        us if us < 100_000.0 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.0} ms", us / 1e3),
    }
}

/// KiB, as a person reads them.
#[must_use]
pub fn memory(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

/// A ratio and whether it is what we aim at.
#[must_use]
pub fn against(ratio: f64, target: f64) -> String {
    let word = if ratio <= target { "met" } else { "MISSED" };
    format!("{ratio:.2} (aim ≤ {target:.2}: {word})")
}
