//! `vmnet run NAME`: the keeper, for a service manager or, with `--background`, for `up`.

use super::need_root;
use crate::exit::Exit;
use crate::roles::Keeping;
use sd_notify::NotifyState;
use std::io::{Write, stdout};
use vmnet_access::name::NetName;
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_network::{Dirs, Kept, Log, Networks};
use vmnet_sys::daemon;
use vmnet_sys::trust::plain;

/// Bring it up and keep it so.
pub fn run(dirs: &Dirs, name: &NetName, background: bool) -> Result<Exit, Error> {
    need_root("keep", network(name))?;
    let log = if background { Log::Background } else { Log::Foreground };
    let networks = Networks::open(dirs.clone(), log);
    let on_ready = || {
        if background {
            daemon::detach().map_err(|error| Error::new("keep", network(name), plain(&error)))
        } else {
            let _ = sd_notify::notify(&[NotifyState::Ready]);
            Ok(())
        }
    };
    match networks.get(name).keep(!background, || Keeping::begin(name), on_ready)? {
        Kept::ToTheEnd => Ok(Exit::Done),
        // To `up`, that is as good as its own keeper.
        Kept::ByAnother(_) if background => {
            let _ = stdout().write_all(daemon::READY);
            Ok(Exit::Done)
        }
        Kept::ByAnother(who) => {
            let who = who.map_or_else(String::new, |pid| format!(" by process {pid}"));
            Err(Error::new("keep", network(name), format!("it is kept already{who}")).kind(ErrorKind::InUse))
        }
    }
}
