//! One file per verb. Each reads what it needs, asks the rooms below, and says what came of it.

use vmnet_model::error::{Error, ErrorKind};

pub mod access;
pub mod account;
pub mod attach;
pub mod broker;
pub mod cable;
pub mod check;
pub mod completions;
pub mod detach;
pub mod doctor;
pub mod down;
pub mod exec;
pub mod forward;
pub mod hook;
pub mod host;
pub mod init;
pub mod leases;
pub mod list;
pub mod ports;
pub mod run;
pub mod schema;
pub mod snippet;
pub mod status;
pub mod tap;
pub mod up;
pub mod wire;

/// Only root may change the host's network.
fn need_root(act: &'static str, object: String) -> Result<(), Error> {
    if nix::unistd::geteuid().is_root() {
        Ok(())
    } else {
        Err(Error::new(act, object, "only root can").kind(ErrorKind::Denied))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use vmnet_access::name::NetName;
    use vmnet_model::error::network;
    use vmnet_network::{Dirs, Log, Networks};

    #[test]
    fn a_file_that_is_there_is_not_described_again() {
        let at = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(at.path(), &at.path().join("lib"), &at.path().join("run"));
        let name = NetName::new("lab").unwrap();
        assert_eq!(init::run(&dirs, &name).unwrap(), Exit::Done);
        assert_eq!(init::run(&dirs, &name).unwrap_err().kind, ErrorKind::Exists);
        let beside = Dirs::new(&dirs.network_file(&name), &dirs.state, &dirs.run);
        assert_eq!(init::run(&beside, &name).unwrap_err().kind, ErrorKind::Host);
    }

    #[test]
    fn what_nobody_is_called_makes_no_sense() {
        let at = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(at.path(), at.path(), at.path());
        let name = NetName::new("lab").unwrap();
        let failed = access::run(&dirs, &name.bridge(), Some("no such user"), false).unwrap_err();
        assert_eq!((failed.cause.as_str(), failed.kind), ("no such user", ErrorKind::Invalid));
        let snippet = snippet::run(&dirs, &name.bridge(), crate::args::Program::Qemu).unwrap_err();
        assert_eq!(snippet.kind, ErrorKind::NoSuchNetwork);
        let networks = Networks::open(dirs, Log::Foreground);
        let ports = ports::run(&networks, &name, false).unwrap_err();
        assert_eq!(ports.kind, ErrorKind::NotUp);
    }

    #[test]
    fn only_root_is_let_in() {
        let asked = need_root("keep", network("lab"));
        let root = nix::unistd::geteuid().is_root();
        assert_eq!(asked.err().map(|failure| failure.kind), (!root).then_some(ErrorKind::Denied));
    }
}
