//! What a check says: findings, what it could not see, and the networks it says that of.

use std::net::Ipv4Addr;
use vmnet_access::name::{IfName, NetName};
use vmnet_model::subnet::Subnet;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Guests or their users are cut off from something.
    Fault,
    /// It works now, and will not always.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The severity as a word: fault, warning or note.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing that is not in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A word that stays the same, for programs.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about: a link, a file, a program.
    pub object: String,
    /// What is wrong, in one line.
    pub what: String,
    /// Why that matters, or where it comes from, in one line.
    pub cause: String,
    /// What to do, as one command for root's shell; empty where nothing is to be done.
    pub cure: String,
    /// The same as an act, where it can be done without asking anybody.
    pub fix: Option<Fix>,
}

/// A cure that is safe: it takes nothing from anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Delete this link, of this number.
    DeleteLink(IfName, u32),
    /// Make the network again what its file says.
    Raise(NetName),
}

/// What came of looking: findings, and what could not be looked at.
#[derive(Debug, Default)]
pub struct Report {
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// A network that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// The network.
    pub network: NetName,
    /// Its bridge.
    pub bridge: IfName,
    /// The number of the link of that name.
    pub index: Option<u32>,
    /// The network is up.
    pub up: bool,
    /// The network's DNS and DHCP server runs.
    pub serves: bool,
    /// The bridge's address, while it is up.
    pub address: Option<Ipv4Addr>,
    /// Its subnet, as it is or as its file fixes it.
    pub subnet: Option<Subnet>,
    /// Its file fixes the subnet.
    pub fixed: bool,
    /// The domain of its guests, where the host is to know it.
    pub domain: Option<String>,
}

impl Subject {
    /// Up, and its bridge is there.
    pub fn is_there(&self) -> bool {
        self.up && self.index.is_some()
    }
}

/// A word for root's shell, quoted where it must be.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A network that is up, for the tests of the checks.
    pub(in super::super) fn subject(name: &str, index: u32) -> Subject {
        let network = NetName::new(name).unwrap();
        Subject {
            bridge: network.bridge(),
            network,
            index: Some(index),
            up: true,
            serves: true,
            address: Some(Ipv4Addr::new(10, 0, 1, 1)),
            subnet: Some("10.0.1.0/24".parse().unwrap()),
            fixed: false,
            domain: Some(format!("{name}.vm")),
        }
    }

    #[test]
    fn a_word_is_quoted_so_that_a_shell_gives_it_back() {
        for (word, shown) in [("brmgr0", "brmgr0"), ("a b", "'a b'"), ("", "''"), ("it's", r"'it'\''s'")] {
            assert_eq!(quoted(word), shown);
        }
    }
}
