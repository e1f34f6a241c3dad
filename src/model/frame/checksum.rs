//! The Internet checksum: the one's complement of the one's complement sum of 16-bit words (RFC 1071).

/// A sum that is not folded yet, of bytes in the order of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// With these bytes added, which begin at an even place. The last one of an odd number counts as a
    /// high byte.
    #[must_use]
    pub fn plus(self, bytes: &[u8]) -> Self {
        let mut sum = u128::from(self.0);
        // The sum of 16-bit words is that of wider ones, folded (RFC 1071, 2 (C)).
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            sum += u128::from(u64::from_ne_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        sum += u128::from(u64::from_ne_bytes(last));
        Self(fold(sum))
    }

    /// With a number added, as it stands in a packet.
    #[must_use]
    pub fn plus_u16(self, number: u16) -> Self {
        self.plus(&number.to_be_bytes())
    }

    /// The sum itself, as it stands in a packet.
    #[must_use]
    pub fn folded(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        // Folded above.
        u16::try_from(sum).unwrap_or(u16::MAX).to_ne_bytes()
    }

    /// The checksum, as it stands in a packet.
    #[must_use]
    pub fn finish(self) -> [u8; 2] {
        self.folded().map(|byte| !byte)
    }

    /// The sum of what includes its own checksum: all ones if that is right.
    #[must_use]
    pub fn is_right(self) -> bool {
        self.folded() == [0xff; 2]
    }
}

fn fold(mut sum: u128) -> u64 {
    while sum > u128::from(u64::MAX) {
        sum = (sum & u128::from(u64::MAX)) + (sum >> 64);
    }
    u64::try_from(sum).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Word by word, as RFC 1071 writes it.
    fn plain(bytes: &[u8]) -> [u8; 2] {
        let mut sum: u32 = 0;
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!u16::try_from(sum).unwrap()).to_be_bytes()
    }

    #[test]
    fn the_example_of_the_rfc() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().plus(&bytes).folded(), [0xdd, 0xf2]);
    }

    proptest! {
        #[test]
        fn wide_words_come_to_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..2000), cut in 0usize..500) {
            prop_assert_eq!(Sum::default().plus(&bytes).finish(), plain(&bytes));
            let (one, two) = bytes.split_at((cut * 2).min(bytes.len()));
            prop_assert_eq!(Sum::default().plus(one).plus(two).finish(), plain(&bytes));
        }
    }
}
