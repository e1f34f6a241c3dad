//! How something fails, whoever asked for it: what was to be done with what, why not, what to do next, and
//! what clean-up could not put right. Words for a terminal and exit codes are the door's.

use std::fmt;

/// What sort of failure it is, for programs that go on by it. People read the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No file, no definition and no built-in describes a network of that name.
    NoSuchNetwork,
    /// The network is described, and must be up for this.
    NotUp,
    /// Guests are attached, or somebody is at work on it.
    InUse,
    /// What was to be made is there already.
    Exists,
    /// Something else on the host has what this needs: a subnet, a port, a name, a link.
    Conflict,
    /// What was asked for, or what a file says, makes no sense.
    Invalid,
    /// Whoever asks may not.
    Denied,
    /// The kernel, a program or a file would not. Trying again may help.
    Host,
}

/// A failure: `cannot ACT OBJECT: CAUSE`, perhaps a hint, and what a clean-up afterwards left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The kind of failure, for programs.
    pub kind: ErrorKind,
    /// What was to be done, a verb such as `start`; empty where another program of ours said the whole
    /// sentence, which is then the cause.
    pub act: &'static str,
    /// With what, such as `network 'lab'`.
    pub object: String,
    /// Why not, in lower case and without a full stop.
    pub cause: String,
    /// The true next step, if there is one; a second line.
    pub hint: Option<String>,
    /// What could not be put right again after the failure, a cause each.
    pub left: Vec<String>,
}

impl Error {
    /// A failure of the host: [`ErrorKind::Host`], without a hint, with nothing left behind.
    pub fn new(act: &'static str, object: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self {
            kind: ErrorKind::Host,
            act,
            object: object.to_string(),
            cause: cause.to_string(),
            hint: None,
            left: Vec::new(),
        }
    }

    /// What another program of ours refused, in its own sentence and with its hint.
    #[must_use]
    pub fn told(sentence: String, hint: Option<String>) -> Self {
        Self { kind: ErrorKind::Denied, hint, ..Self::new("", "", sentence) }
    }

    /// The network must be up for this act, and is not; the hint says how to bring it up.
    pub fn not_up(act: &'static str, name: impl fmt::Display) -> Self {
        Self::new(act, network(&name), "it is not up")
            .kind(ErrorKind::NotUp)
            .hint(format!("'vmnet up {name}' brings it up"))
    }

    /// This failure with another kind.
    #[must_use]
    pub fn kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// This failure with a hint at what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The same, with what the clean-up after it could not put right, a cause each; also the further causes
    /// of an act that went on after its first failure.
    #[must_use]
    pub fn and(mut self, left: &[String]) -> Self {
        self.left.extend_from_slice(left);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.act.is_empty() {
            write!(f, "cannot {} {}: ", self.act, self.object)?;
        }
        f.write_str(&self.cause)?;
        self.left.iter().try_for_each(|left| write!(f, "; {left}"))
    }
}

impl std::error::Error for Error {}

/// A network as the object of a sentence: `network 'lab'`.
pub fn network(name: impl fmt::Display) -> String {
    format!("network '{name}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_sentence_with_what_was_left() {
        let error = Error::new("start", network("lab"), "no such network").and(&["and more".into()]);
        assert_eq!(error.to_string(), "cannot start network 'lab': no such network; and more");
    }

    #[test]
    fn what_another_program_said_is_its_own_sentence() {
        let error = Error::told("cannot plug in: no rule".to_owned(), Some("ask root".to_owned()));
        assert_eq!(error.to_string(), "cannot plug in: no rule");
        assert_eq!((error.kind, error.hint.as_deref()), (ErrorKind::Denied, Some("ask root")));
    }

    #[test]
    fn a_network_that_is_down_says_how_to_bring_it_up() {
        let error = Error::not_up("list the leases of", "lab");
        assert_eq!(error.kind, ErrorKind::NotUp);
        assert_eq!(error.hint.as_deref(), Some("'vmnet up lab' brings it up"));
    }
}
