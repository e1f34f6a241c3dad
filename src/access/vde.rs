//! What is said to a VDE switch: the request for a port and its answer, version 3 of the protocol
//! (`struct request_v3` in vde-2's src/common/datasock.c), in the byte order of this machine.

use std::fmt;

/// The request's fixed part, in bytes; a description follows.
pub const REQUEST_SIZE: usize = 122;
/// The answer: a `struct sockaddr_un` with the switch's datagram socket.
pub const ANSWER_SIZE: usize = 110;
/// Longest description, in bytes. From 135 on Debian's switch takes the rest for another request, and
/// the port stays for ever.
pub const DESCRIPTION_MAX: usize = 100;
/// Longest directory of a switch, in bytes: sockets with names of up to 15 bytes more must fit into 108.
/// What is longer the switch's own tools cut without a word.
pub const DIRECTORY_MAX: usize = 90;
/// Longest packet that a switch carries, in bytes: it takes frames in a buffer of 14 bytes for the header and 1504 behind it
/// (`struct bipkt` in vde-2's src/vde_switch/packetq.h), of which a VLAN's tag may need 4; what is longer it
/// cuts off without a word.
pub const MTU_MAX: u32 = 1500;
/// The socket that is asked for ports, in the directory.
pub const CONTROL: &str = "ctl";

const MAGIC: u32 = 0xfeed_face;
const VERSION: u32 = 3;
/// A new port; the number that is wished for stands above it.
const NEW_PORT: u32 = 0;
/// AF_UNIX
const UNIX: u16 = 1;
/// Room for a path with its NUL (unix(7)).
const PATH_SIZE: usize = 108;

/// A switch's directory, which can hold the names of its sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(String);

/// Why a directory cannot be one of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotADirectory {
    /// It does not begin with `/`: the switch would look for our socket from its own directory.
    Relative,
    /// It is so many bytes long.
    TooLong(usize),
    /// A control character is in it.
    Control,
}

impl fmt::Display for NotADirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relative => f.write_str("a switch's directory begins with '/'"),
            Self::TooLong(length) => {
                write!(f, "a switch's directory has at most {DIRECTORY_MAX} bytes, this one has {length}")
            }
            Self::Control => f.write_str("a control character is in it"),
        }
    }
}

impl std::error::Error for NotADirectory {}

impl Directory {
    /// The directory at this path.
    ///
    /// # Errors
    /// Says what it breaks.
    pub fn new(path: &str) -> Result<Self, NotADirectory> {
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        if !path.starts_with('/') {
            return Err(NotADirectory::Relative);
        }
        if path.len() > DIRECTORY_MAX {
            return Err(NotADirectory::TooLong(path.len()));
        }
        if path.chars().any(char::is_control) {
            return Err(NotADirectory::Control);
        }
        Ok(Self(path.to_owned()))
    }

    /// The directory's path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The request for a port; none if the path of our own datagram socket is too long, or is not absolute.
/// `port` 0 leaves the number to the switch. Of the description what is not printable is left out, and what is
/// too long.
#[must_use]
pub fn request(own_socket: &[u8], port: u32, description: &str) -> Option<Vec<u8>> {
    if own_socket.first() != Some(&b'/') || own_socket.len() >= PATH_SIZE || port >= 1 << 24 {
        return None;
    }
    let mut bytes = Vec::with_capacity(REQUEST_SIZE + DESCRIPTION_MAX);
    bytes.extend(MAGIC.to_ne_bytes());
    bytes.extend(VERSION.to_ne_bytes());
    bytes.extend((NEW_PORT | port << 8).to_ne_bytes());
    bytes.extend(UNIX.to_ne_bytes());
    bytes.extend(own_socket);
    bytes.resize(REQUEST_SIZE, 0);
    bytes.extend(description.bytes().filter(|byte| (b' '..=b'~').contains(byte)).take(DESCRIPTION_MAX));
    Some(bytes)
}

/// The path of the switch's datagram socket in an answer; none if it is none. What stands behind the first
/// NUL is not cleared by every switch.
#[must_use]
pub fn answer(bytes: &[u8; ANSWER_SIZE]) -> Option<&[u8]> {
    let (family, path) = bytes.split_first_chunk()?;
    let length = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
    let path = path.get(..length)?;
    (u16::from_ne_bytes(*family) == UNIX && path.first() == Some(&b'/')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_vde_plug_sends() {
        let bytes = request(b"/run/x/.00007-00000", 5, "me\n\x1b").unwrap();
        assert_eq!(&bytes[..14], &[0xce, 0xfa, 0xed, 0xfe, 3, 0, 0, 0, 0, 5, 0, 0, 1, 0]);
        assert_eq!(&bytes[14..33], b"/run/x/.00007-00000");
        assert!(bytes[33..122].iter().all(|byte| *byte == 0));
        assert_eq!(&bytes[122..], b"me");
        assert_eq!(request(b"relative", 0, ""), None);
        assert_eq!(request(&[b'/'; 108], 0, ""), None);
        assert_eq!(request(&[b'/'; 107], 0, &"x".repeat(300)).unwrap().len(), REQUEST_SIZE + DESCRIPTION_MAX);
    }

    #[test]
    fn an_answer_ends_with_its_first_nul() {
        let mut bytes = [b'x'; ANSWER_SIZE];
        bytes[..2].copy_from_slice(&1_u16.to_ne_bytes());
        bytes[2..8].copy_from_slice(b"/a/01\0");
        assert_eq!(answer(&bytes), Some(&b"/a/01"[..]));
        bytes[2] = b'a';
        assert_eq!(answer(&bytes), None);
        assert_eq!(answer(&[0; ANSWER_SIZE]), None);
    }

    #[test]
    fn a_directory_must_have_room_for_its_sockets() {
        assert_eq!(Directory::new("/run/vde/").unwrap().as_str(), "/run/vde");
        assert_eq!(Directory::new("vde"), Err(NotADirectory::Relative));
        assert_eq!(Directory::new(""), Err(NotADirectory::Relative));
        assert!(Directory::new(&format!("/{}", "x".repeat(89))).is_ok());
        assert_eq!(Directory::new(&format!("/{}", "x".repeat(90))), Err(NotADirectory::TooLong(91)));
        assert_eq!(Directory::new("/run/\n"), Err(NotADirectory::Control));
    }
}
