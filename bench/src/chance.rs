//! Chance for orders and addresses: xorshift64*, begun from the clock. Good enough to be unfair to nobody.

use std::time::{SystemTime, UNIX_EPOCH};

/// A run of random numbers.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// Begin from the clock.
    #[must_use]
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::from(now.subsec_nanos()) << 32 | now.as_secs() | 1)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Put a list into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let among = u64::try_from(last + 1).unwrap_or(1);
            list.swap(last, usize::try_from(self.next() % among).unwrap_or(0));
        }
    }
}
