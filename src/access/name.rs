//! Names of interfaces and networks. The only place that knows which ones are legal.

use crate::paths::NETWORK_ENDING;
use std::fmt;

/// Longest interface name: the kernel's IFNAMSIZ is 16 with its final NUL (include/uapi/linux/if.h).
pub const IF_NAME_MAX: usize = 15;
/// Longest network name; it must still be a file name and a DNS label.
pub const NET_NAME_MAX: usize = 63;

/// A name the kernel would accept for an interface (`dev_valid_name` in net/core/dev.c): 1 to 15
/// bytes, neither `.` nor `..`, without `/`, `:` or white space. Bytes, because the kernel does
/// not ask for UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfName(Vec<u8>);

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// No byte at all.
    Empty,
    /// More bytes than fit; the length that was given.
    TooLong(usize),
    /// `.` or `..`.
    Dots,
    /// A byte that may not be in it.
    BadByte(u8),
    /// A network name must begin with a letter or a digit.
    BadStart,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong(n) => write!(f, "name too long: {n} bytes"),
            Self::Dots => f.write_str("'.' and '..' are not names"),
            Self::BadByte(b) => write!(f, "'{}' may not be in a name", b.escape_ascii()),
            Self::BadStart => f.write_str("a network's name begins with a letter or a digit"),
        }
    }
}

impl std::error::Error for NameError {}

impl IfName {
    /// The name, if the kernel would take it.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn new(bytes: &[u8]) -> Result<Self, NameError> {
        if bytes.is_empty() {
            return Err(NameError::Empty);
        }
        if bytes.len() > IF_NAME_MAX {
            return Err(NameError::TooLong(bytes.len()));
        }
        if bytes == b"." || bytes == b".." {
            return Err(NameError::Dots);
        }
        // The kernel's isspace() also counts 0x0b and, being Latin-1, 0xa0.
        let bad = |b: &u8| matches!(b, 0 | b'/' | b':' | b' ' | 0x09..=0x0d | 0xa0);
        match bytes.iter().find(|b| bad(b)) {
            Some(b) => Err(NameError::BadByte(*b)),
            None => Ok(Self(bytes.to_vec())),
        }
    }

    /// The bytes, without a final NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Printable: bytes outside ASCII and control bytes come escaped, so that a name can never forge
/// a line of output.
impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IfName({self})")
    }
}

/// The name of a vmnet network, which is also the stem of its file: 1 to 63 of `A-Z a-z 0-9 _ - .`,
/// beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetName(String);

impl NetName {
    /// The name, if it is legal.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let first = text.bytes().next().ok_or(NameError::Empty)?;
        if text.len() > NET_NAME_MAX {
            return Err(NameError::TooLong(text.len()));
        }
        let bad = |b: &u8| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if let Some(b) = text.as_bytes().iter().find(|b| bad(b)) {
            return Err(NameError::BadByte(*b));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(NameError::BadStart);
        }
        Ok(Self(text.to_owned()))
    }

    /// The network that a file of this name describes; none if the file is no network's.
    #[must_use]
    pub fn of_file(file: &[u8]) -> Option<Self> {
        Self::new(std::str::from_utf8(file).ok()?.strip_suffix(NETWORK_ENDING)?).ok()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bridge of this network: the same name where it fits an interface name, else its first
    /// eight bytes, `-` and six hexadecimal digits of a hash of the whole, so that it is short,
    /// stable, and different for different networks.
    #[must_use]
    pub fn bridge(&self) -> IfName {
        if self.0.len() <= IF_NAME_MAX {
            return IfName(self.0.clone().into_bytes());
        }
        let head: String = self.0.chars().take(8).collect();
        let hash = fnv1a(self.0.as_bytes()) & 0xff_ffff;
        IfName(format!("{head}-{hash:06x}").into_bytes())
    }

    /// The nftables table of this network. Hyphens and dots are not letters there, and two names
    /// must never share a table, so they are written as their hexadecimal code.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::from("vmnet_");
        for c in self.0.chars() {
            match c {
                '-' => table.push_str("_2d"),
                '.' => table.push_str("_2e"),
                '_' => table.push_str("__"),
                c => table.push(c),
            }
        }
        table
    }
}

impl fmt::Display for NetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// FNV-1a, 64 bits: a hash whose value may be stored, unlike the standard library's.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_name_obeys_the_kernels_rules() {
        for good in [&b"br0"[..], b"a", b"123456789012345", b"caf\xc3\xa9", b"..."] {
            assert!(IfName::new(good).is_ok(), "{good:?}");
        }
        for (bad, why) in [
            (&b""[..], NameError::Empty),
            (b"1234567890123456", NameError::TooLong(16)),
            (b".", NameError::Dots),
            (b"..", NameError::Dots),
            (b"a/b", NameError::BadByte(b'/')),
            (b"a:b", NameError::BadByte(b':')),
            (b"a b", NameError::BadByte(b' ')),
            (b"a\nb", NameError::BadByte(b'\n')),
            (b"a\0b", NameError::BadByte(0)),
        ] {
            assert_eq!(IfName::new(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_name_never_prints_a_control_byte() {
        assert_eq!(IfName::new(b"a\x1bb").unwrap().to_string(), "a\\x1bb");
    }

    #[test]
    fn a_long_network_gets_a_short_bridge_of_its_own() {
        let one = NetName::new("a-rather-long-project-name").unwrap();
        let two = NetName::new("a-rather-long-project-nama").unwrap();
        assert_eq!(one.bridge().as_bytes().len(), 15);
        assert_ne!(one.bridge(), two.bridge());
        assert!(one.bridge().to_string().starts_with("a-rather-"));
        assert_eq!(NetName::new("fifteen-letters").unwrap().bridge().to_string(), "fifteen-letters");
    }

    #[test]
    fn two_networks_never_share_a_table() {
        let names = ["a-b", "a_b", "a.b", "a_2db", "a__b"];
        let mut tables: Vec<_> = names.iter().map(|n| NetName::new(n).unwrap().table()).collect();
        tables.sort();
        tables.dedup();
        assert_eq!(tables.len(), names.len());
    }
}
