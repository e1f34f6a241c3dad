//! QEMU's three arguments, in any order, the last of each kind counting; one that QEMU does not know, one
//! for `vmnet`, and two for people.
//! Read as bytes: an interface's name need not be UTF-8.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStringExt;
use vmnet_access::name::{IfName, NameError};

/// What the caller asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask {
    /// `--br`
    pub bridge: IfName,
    /// `--fd`
    pub socket: RawFd,
    /// `--use-vnet` or `--vde`
    pub kind: Kind,
}

/// What kind of port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TAP without headers.
    Plain,
    /// A TAP with virtio-net headers.
    VnetHeader,
    /// A port on the VDE switch.
    Vde,
}

/// What the words on the command line amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Words {
    /// A request.
    Ask(Ask),
    /// `--ask`: the request comes over this socket, as `vmnet` writes it.
    Hear(RawFd),
    /// `--help`
    Help,
    /// `--version`
    Version,
}

/// Why they amount to nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum Misuse {
    /// Not one of ours; printable.
    Unknown(String),
    /// An option that needs a value stands last.
    NoValue(&'static str),
    /// A needed option is not there.
    Missing(&'static str),
    /// `--use-vnet` and `--vde`: there are no headers on a switch.
    BothKinds,
    /// `--br` is no interface name.
    Bridge(String, NameError),
    /// `--fd` is no number of a descriptor.
    Descriptor(String),
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(f, "cannot understand '{word}': no such argument"),
            Self::NoValue(option) => write!(f, "cannot understand {option}: it needs a value"),
            Self::Missing(option) => write!(f, "cannot do anything without {option}"),
            Self::BothKinds => f.write_str("cannot use --use-vnet with --vde: a switch knows no headers"),
            Self::Bridge(name, why) => write!(f, "cannot use bridge '{name}': {why}"),
            Self::Descriptor(value) => write!(f, "cannot use --fd={value}: not a descriptor's number"),
        }
    }
}

/// Read the arguments, the program's name left out.
///
/// # Errors
/// The first one that makes no sense, or one that is missing.
pub fn read(arguments: impl Iterator<Item = OsString>) -> Result<Words, Misuse> {
    let (mut bridge, mut socket) = (None, None);
    let (mut vnet_header, mut vde, mut hear) = (false, false, false);
    let mut words = arguments.map(OsString::into_vec);
    while let Some(word) = words.next() {
        match word.as_slice() {
            b"--use-vnet" => vnet_header = true,
            b"--vde" => vde = true,
            b"--ask" => hear = true,
            b"--help" | b"-h" => return Ok(Words::Help),
            b"--version" => return Ok(Words::Version),
            b"--br" => bridge = Some(words.next().ok_or(Misuse::NoValue("--br"))?),
            b"--fd" => socket = Some(words.next().ok_or(Misuse::NoValue("--fd"))?),
            other => match (other.strip_prefix(b"--br="), other.strip_prefix(b"--fd=")) {
                (Some(name), _) => bridge = Some(name.to_vec()),
                (None, Some(number)) => socket = Some(number.to_vec()),
                (None, None) => return Err(Misuse::Unknown(shown(other))),
            },
        }
    }
    if hear {
        return Ok(Words::Hear(number(&socket.ok_or(Misuse::Missing("--fd=DESCRIPTOR"))?)?));
    }
    let bridge = bridge.ok_or(Misuse::Missing("--br=BRIDGE"))?;
    let socket = socket.ok_or(Misuse::Missing("--fd=DESCRIPTOR"))?;
    let kind = match (vnet_header, vde) {
        (false, false) => Kind::Plain,
        (true, false) => Kind::VnetHeader,
        (false, true) => Kind::Vde,
        (true, true) => return Err(Misuse::BothKinds),
    };
    Ok(Words::Ask(Ask { bridge: name(&bridge)?, socket: number(&socket)?, kind }))
}

fn name(bytes: &[u8]) -> Result<IfName, Misuse> {
    IfName::new(bytes).map_err(|why| Misuse::Bridge(shown(bytes), why))
}

fn number(bytes: &[u8]) -> Result<RawFd, Misuse> {
    let digits = std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| Misuse::Descriptor(shown(bytes)))
}

/// A stranger's bytes, printable, and not more of them than a line should hold.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().take(200).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn words(line: &[&[u8]]) -> Result<Words, Misuse> {
        read(line.iter().map(|word| std::ffi::OsStr::from_bytes(word).to_owned()))
    }

    fn ask(bridge: &str, socket: RawFd, kind: Kind) -> Result<Words, Misuse> {
        Ok(Words::Ask(Ask { bridge: IfName::new(bridge.as_bytes()).unwrap(), socket, kind }))
    }

    #[test]
    fn a_port_on_the_switch_has_no_headers() {
        assert_eq!(words(&[b"--vde", b"--br=br0", b"--fd=7"]), ask("br0", 7, Kind::Vde));
        assert_eq!(words(&[b"--vde", b"--use-vnet", b"--br=br0", b"--fd=7"]), Err(Misuse::BothKinds));
    }

    #[test]
    fn qemus_and_libvirts_orders_and_two_words() {
        assert_eq!(words(&[b"--use-vnet", b"--fd=7", b"--br=br0"]), ask("br0", 7, Kind::VnetHeader));
        assert_eq!(words(&[b"--use-vnet", b"--br=br0", b"--fd=7"]), ask("br0", 7, Kind::VnetHeader));
        assert_eq!(words(&[b"--fd", b"7", b"--br", b"br0"]), ask("br0", 7, Kind::Plain));
    }

    #[test]
    fn the_last_one_wins() {
        assert_eq!(words(&[b"--br=a", b"--fd=3", b"--br=b", b"--fd=4"]), ask("b", 4, Kind::Plain));
        assert_eq!(words(&[b"--br=this-name-is-too-long", b"--fd=3", b"--br=b"]), ask("b", 3, Kind::Plain));
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(words(&[]), Err(Misuse::Missing("--br=BRIDGE")));
        assert_eq!(words(&[b"--br=br0"]), Err(Misuse::Missing("--fd=DESCRIPTOR")));
        assert_eq!(words(&[b"--br"]), Err(Misuse::NoValue("--br")));
        assert_eq!(words(&[b"--use-vnet=on"]), Err(Misuse::Unknown("--use-vnet=on".into())));
        assert_eq!(words(&[b"br0\n"]), Err(Misuse::Unknown("br0\\n".into())));
        assert_eq!(words(&[b"--br=br0", b"--fd=-1"]), Err(Misuse::Descriptor("-1".into())));
        assert_eq!(words(&[b"--br=br0", b"--fd=abc"]), Err(Misuse::Descriptor("abc".into())));
        assert_eq!(words(&[b"--br=br0", b"--fd="]), Err(Misuse::Descriptor(String::new())));
        assert_eq!(words(&[b"--br=br0", b"--fd=99999999999"]), Err(Misuse::Descriptor("99999999999".into())));
        assert!(matches!(
            words(&[b"--br=1234567890123456", b"--fd=3"]),
            Err(Misuse::Bridge(_, NameError::TooLong(16)))
        ));
        assert!(matches!(words(&[b"--br=", b"--fd=3"]), Err(Misuse::Bridge(_, NameError::Empty))));
    }

    #[test]
    fn a_request_over_the_socket_needs_no_bridge() {
        assert_eq!(words(&[b"--ask", b"--fd=5"]), Ok(Words::Hear(5)));
        assert_eq!(words(&[b"--ask"]), Err(Misuse::Missing("--fd=DESCRIPTOR")));
    }

    #[test]
    fn help_and_version_need_nothing_else() {
        assert_eq!(words(&[b"--version"]), Ok(Words::Version));
        assert_eq!(words(&[b"--use-vnet", b"--help"]), Ok(Words::Help));
    }
}
