//! Whose a network is.

use std::fmt;
use std::str::FromStr;

/// Longest identity of an owner's network, in bytes: Docker's and netavark's are 64 hexadecimal digits, a
/// CNI network has a name of its administrator's choice.
pub const OWNER_ID_MAX: usize = 128;

/// Who describes a network, and by what identity he knows it. Stored and shown as `docker 3f2a…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The administrator, by a file below `/etc/vmnet/networks`.
    File,
    /// vmnet itself: the network that exists without a file.
    BuiltIn,
    /// Docker; its network's id.
    Docker(OwnerId),
    /// A container runtime that speaks CNI; the `name` of its network configuration.
    Cni(OwnerId),
    /// Podman's netavark; its network's id.
    Netavark(OwnerId),
}

/// The identity that an owner gives his network: 1 to [`OWNER_ID_MAX`] of `A-Z a-z 0-9 _ - .`, beginning
/// with a letter or a digit, which is what CNI allows in a network's name (SPEC.md, "Network configuration
/// format").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnerId(String);

/// The text names no owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadOwner {
    /// Not one of the known words.
    Word,
    /// The identity is missing, too long, or has a character that may not be in it.
    Id,
}

impl fmt::Display for BadOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word => f.write_str("an owner is 'docker ID', 'cni NAME' or 'netavark ID'"),
            Self::Id => write!(
                f,
                "an owner's identity is 1 to {OWNER_ID_MAX} letters, digits, '_', '-', '.', the first a letter or digit"
            ),
        }
    }
}

impl std::error::Error for BadOwner {}

impl OwnerId {
    /// The identity, if it is legal.
    ///
    /// # Errors
    /// [`BadOwner::Id`].
    pub fn new(text: &str) -> Result<Self, BadOwner> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let legal = starts && text.len() <= OWNER_ID_MAX && text.bytes().all(fits);
        if legal { Ok(Self(text.to_owned())) } else { Err(BadOwner::Id) }
    }

    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Owner {
    /// The word for the kind of owner, and the identity if he has one.
    fn parts(&self) -> (&'static str, Option<&OwnerId>) {
        match self {
            Self::File => ("file", None),
            Self::BuiltIn => ("built-in", None),
            Self::Docker(id) => ("docker", Some(id)),
            Self::Cni(id) => ("cni", Some(id)),
            Self::Netavark(id) => ("netavark", Some(id)),
        }
    }

    /// As it is shown in a table: of an id of 64 hexadecimal digits the first twelve, as Docker and Podman
    /// show theirs.
    pub fn short(&self) -> String {
        match self.parts() {
            (kind, Some(OwnerId(id))) if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
                format!("{kind} {}", id.chars().take(12).collect::<String>())
            }
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (kind, Some(OwnerId(id))) => write!(f, "{kind} {id}"),
            (kind, None) => f.write_str(kind),
        }
    }
}

impl FromStr for Owner {
    type Err = BadOwner;

    fn from_str(text: &str) -> Result<Self, BadOwner> {
        let (kind, id) = text.split_once(' ').unwrap_or((text, ""));
        match kind {
            "file" if text == kind => Ok(Self::File),
            "built-in" if text == kind => Ok(Self::BuiltIn),
            "docker" => Ok(Self::Docker(OwnerId::new(id)?)),
            "cni" => Ok(Self::Cni(OwnerId::new(id)?)),
            "netavark" => Ok(Self::Netavark(OwnerId::new(id)?)),
            _ => Err(BadOwner::Word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_as_it_is_written() {
        let longest = format!("docker {}", "f".repeat(OWNER_ID_MAX));
        for text in ["file", "built-in", "docker 3f2a", "cni my.net_1-a", "netavark 0", &longest] {
            assert_eq!(text.parse::<Owner>().map(|owner| owner.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn an_identity_is_bounded_and_forges_nothing() {
        let long = format!("docker {}", "f".repeat(OWNER_ID_MAX + 1));
        for text in
            ["docker", "docker ", "cni a b", "cni a\nb", "cni \u{1b}[2J", "cni ..", "cni -a", "cni ä", &long]
        {
            assert_eq!(text.parse::<Owner>(), Err(BadOwner::Id), "{text:?}");
        }
        for text in ["", "file x", "file ", "built-in x", "Docker 3f", "podman 3f"] {
            assert_eq!(text.parse::<Owner>(), Err(BadOwner::Word), "{text:?}");
        }
    }

    #[test]
    fn a_table_shows_as_much_of_an_id_as_its_owner_does() {
        let id = "0123456789abcdef".repeat(4);
        let short = |text: &str| text.parse::<Owner>().unwrap().short();
        assert_eq!(short(&format!("docker {id}")), "docker 0123456789ab");
        assert_eq!(short(&format!("cni {}", "x".repeat(64))), format!("cni {}", "x".repeat(64)));
        assert_eq!(short("netavark abc"), "netavark abc");
    }
}
