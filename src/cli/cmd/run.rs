//! `vmnet run NAME`: the keeper, for a service manager or, with `--background`, for `up`.

use super::need_root;
use crate::exit::Exit;
use sd_notify::NotifyState;
use std::io::{Write, stdout};
use vmnet_access::name::NetName;
use vmnet_host::log::Log;
use vmnet_host::runtime::events;
use vmnet_model::error::{Error, network};
use vmnet_network::dirs::Dirs;
use vmnet_network::down;
use vmnet_network::keeper;
use vmnet_network::keeper::Keeper;
use vmnet_network::keeper_handle;
use vmnet_network::keeper_handle::await_leaving_keeper;
use vmnet_network::up::raise;
use vmnet_sys::daemon;
use vmnet_sys::trust::plain;

/// Bring it up and keep it so.
pub fn run(dirs: &Dirs, name: &NetName, background: bool) -> Result<Exit, Error> {
    need_root("keep", network(name))?;
    events(async {
        let run_dir = dirs.run_dir(&name.bridge());
        // The network first: a name that means nothing must leave no directory behind.
        if !background {
            let raised = raise(dirs, name)?;
            raised.notes.iter().for_each(|note| Log::Foreground.info(note));
        }
        await_leaving_keeper(dirs, name)?;
        let Some(claim) = keeper::claim(&run_dir)? else {
            return already_kept(name, &run_dir, background);
        };
        let log = if background { Log::Background } else { Log::Foreground };
        let keeper = Keeper::new(dirs, name, log, claim)?;
        if background {
            daemon::detach().map_err(|error| Error::new("keep", network(name), plain(&error)))?;
        } else {
            let _ = sd_notify::notify(&[NotifyState::Ready]);
        }
        let kept = keeper.keep().await;
        down::sweep(dirs, &run_dir)?;
        kept.map(|()| Exit::Done)
    })
}

/// To `up`, that is as good as its own keeper.
fn already_kept(
    name: &NetName,
    run_dir: &vmnet_network::dirs::RunDir,
    background: bool,
) -> Result<Exit, Error> {
    if background {
        let _ = stdout().write_all(daemon::READY);
        return Ok(Exit::Done);
    }
    let who = keeper_handle::find(run_dir)
        .map_or_else(String::new, |keeper| format!(" by process {}", keeper.pid()));
    Err(Error::new("keep", network(name), format!("it is kept already{who}")))
}
