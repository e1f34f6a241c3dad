//! The host's accounts for a program without NSS: the local files, and for a name that is not in
//! them `vmnet`, which has NSS and so knows LDAP's and sssd's.

use std::time::Duration;
use vmnet_access::paths;
use vmnet_access::rules::{Accounts, AccountsDown};
use vmnet_sys::caller::LocalFiles;
use vmnet_sys::child::{self, Outcome};
use vmnet_sys::privilege::Privilege;

/// How long a directory service may take to answer.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);

/// The accounts of this host.
#[derive(Debug)]
pub struct HostAccounts {
    local: LocalFiles,
    privilege: Privilege,
}

impl HostAccounts {
    /// To be asked with this privilege.
    #[must_use]
    pub fn new(privilege: Privilege) -> Self {
        Self { local: LocalFiles::default(), privilege }
    }

    /// A user's name for a log line: the local one, or the number.
    #[must_use]
    pub fn name_of(&self, uid: u32) -> String {
        self.local.name_of(uid)
    }

    /// Ask `vmnet`. Only as root: the caller could make a process of their own answer anything.
    fn ask(&self, kind: &str, name: &str) -> Result<Option<u32>, AccountsDown> {
        let down = || AccountsDown { name: name.to_owned() };
        if self.privilege != Privilege::Root {
            return Err(down());
        }
        match child::run_as_root(paths::VMNET, &["account", kind, "--", name], LOOK_UP_LIMIT) {
            Ok(Outcome::Done(answer)) if answer == "none" => Ok(None),
            Ok(Outcome::Done(answer)) => answer.parse().map(Some).map_err(|_| down()),
            _ => Err(down()),
        }
    }
}

impl Accounts for HostAccounts {
    fn user(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        self.local.user(name).map_or_else(|| self.ask("user", name), |uid| Ok(Some(uid)))
    }

    fn group(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        self.local.group(name).map_or_else(|| self.ask("group", name), |gid| Ok(Some(gid)))
    }
}
