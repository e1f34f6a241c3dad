//! A network's VDE switch: what its file leaves open is settled, and the steps about it are done.

use crate::dir::SwitchDir;
use crate::directory::make_plugs;
use nix::unistd::Group;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use vmnet_access::port_record::SwitchAccess;
use vmnet_access::vde::Directory;
use vmnet_host::files::{gone, make_directory, read_file, write_file};
use vmnet_host::log::Log;
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_model::network::{Network, Vde};
use vmnet_model::plan::{DesiredState, SwitchStep};
use vmnet_model::vde_switch::{BadSwitch, Run, Switch, user_of};
use vmnet_sys::trust::plain;

/// The switch that the network is to have.
pub fn settle(network: &Network, dir: &SwitchDir) -> Result<Option<Switch>, Error> {
    let Some(vde) = &network.vde else { return Ok(None) };
    if vde.create { own(network, vde, dir).map(Some) } else { joined(network, vde, dir).map(Some) }
}

/// One that we run.
fn own(wanted: &Network, vde: &Vde, dir: &SwitchDir) -> Result<Switch, Error> {
    let failed = |cause: String| Error::new("start", network(&wanted.name), cause);
    let user = user_of(&wanted.name);
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| failed("not UTF-8".to_owned()).kind(ErrorKind::Invalid))
    };
    let directory = match &vde.socket {
        Some(directory) => directory.clone(),
        None => Directory::new(&text(&dir.switch())?)
            .map_err(|why| failed(why.to_string()).kind(ErrorKind::Invalid))?,
    };
    let group = match &vde.group {
        None => user,
        Some(name) => match Group::from_name(name) {
            Ok(Some(group)) => group.gid.as_raw(),
            Ok(None) => return Err(failed(format!("there is no group '{name}'")).kind(ErrorKind::Invalid)),
            Err(errno) => {
                return Err(failed(format!("cannot look up group '{name}': {}", plain(&errno.into()))));
            }
        },
    };
    let console = match &vde.mgmt_socket {
        Some(path) => path.clone(),
        None => text(&dir.console_socket())?,
    };
    let door = SwitchAccess { directory, owner: user, group };
    Ok(Switch { door, pump: user, run: Some(Run::of(vde)), console: Some(console) })
}

/// One that somebody else runs. While the network is up it may be gone for a while.
fn joined(wanted: &Network, vde: &Vde, dir: &SwitchDir) -> Result<Switch, Error> {
    let failed = |cause: String| Error::new("start", network(&wanted.name), cause);
    let directory = vde
        .socket
        .as_ref()
        .ok_or_else(|| failed("no switch is named".to_owned()).kind(ErrorKind::Invalid))?;
    let door = match crate::join_check(directory) {
        Ok(door) => door,
        Err(failure) => {
            let before = recorded(dir)?.filter(|switch| switch.door.directory == *directory);
            before.ok_or_else(|| failed(failure.to_string()).kind(failure.kind))?.door
        }
    };
    Ok(Switch { door, pump: user_of(&wanted.name), run: None, console: vde.mgmt_socket.clone() })
}

/// The switch that the network has.
pub fn recorded(dir: &SwitchDir) -> Result<Option<Switch>, Error> {
    of_record(&dir.record())
}

/// The switch of the record at this path; none where there is no such file.
pub fn of_record(path: &Path) -> Result<Option<Switch>, Error> {
    let Some(bytes) = read_file(path)? else { return Ok(None) };
    let failed = |bad: BadSwitch| Error::new("read", path.display(), bad).kind(ErrorKind::Invalid);
    let text = String::from_utf8(bytes).map_err(|_| failed(BadSwitch(0)))?;
    Switch::parse(&text).map(Some).map_err(failed)
}

/// One step about the switch.
pub fn apply(step: SwitchStep, goal: &DesiredState, dir: &SwitchDir) -> Result<(), Error> {
    let name = goal.wanted.name();
    let wanted = || {
        goal.switch
            .as_ref()
            .ok_or_else(|| Error::new("start", network(name), "it has no switch").kind(ErrorKind::Invalid))
    };
    match step {
        SwitchStep::WriteRecord => write(dir, wanted()?),
        SwitchStep::RemoveRecord => remove(dir),
        SwitchStep::Start => crate::start_switch(dir, wanted()?),
        SwitchStep::Stop(_) => stop_switch(dir),
        SwitchStep::PlugAgain => plug_again(dir, wanted()?),
        SwitchStep::StartPump => crate::start_pump(name, &dir.record(), None),
        SwitchStep::StopPump(_) => crate::stop_pump(&dir.pump()),
    }
}

/// Write its record, beside a directory for the sockets of those who hold ports.
pub fn write(dir: &SwitchDir, switch: &Switch) -> Result<(), Error> {
    let plugs = dir.plugs();
    make_directory(dir.path())?;
    make_plugs(&plugs).map_err(|error| Error::new("make directory", plugs.display(), plain(&error)))?;
    write_file(&dir.record(), &switch.render(), 0o644)
}

fn plug_again(dir: &SwitchDir, switch: &Switch) -> Result<(), Error> {
    // Before: a switch that is started once more meanwhile is another one.
    let life = crate::life(&switch.door.directory);
    let plugs = dir.plugs();
    tidy(dir)?;
    let some = fs::read_dir(&plugs).is_ok_and(|mut names| names.next().is_some());
    if some && let Err(failure) = crate::plug_again(&dir.record(), &plugs) {
        // A holder that cannot be plugged in keeps nobody else from it, and is not tried for ever.
        Log::Background.trouble(&failure.to_string());
        // If it was the pump, the keeper starts another.
        crate::stop_pump(&dir.pump())?;
    }
    crate::remember(dir, life)
}

/// Remove the sockets' names of holders who are gone.
pub fn tidy(dir: &SwitchDir) -> Result<(), Error> {
    let plugs = dir.plugs();
    let tidied = vmnet_vde::held_port::tidy(&plugs);
    tidied.map_err(|error| Error::new("tidy", plugs.display(), plain(&error)))
}

/// Stop a switch and its pump.
pub fn stop(dir: &SwitchDir) -> Result<(), Error> {
    crate::stop_pump(&dir.pump())?;
    stop_switch(dir)
}

/// Stop it, and remove what we made for it elsewhere; what is in the room goes with that.
fn stop_switch(dir: &SwitchDir) -> Result<(), Error> {
    crate::stop_switch(dir)?;
    let Some(switch) = recorded(dir)?.filter(|switch| switch.run.is_some()) else { return Ok(()) };
    let console = switch.console.as_deref().map(Path::new).and_then(Path::parent);
    for path in [Path::new(switch.door.directory.as_str())].into_iter().chain(console) {
        // Under another owner it is not what we made.
        let ours = fs::symlink_metadata(path).is_ok_and(|at| at.is_dir() && at.uid() == switch.door.owner);
        if ours && !path.starts_with(dir.path()) {
            gone(fs::remove_dir_all(path))
                .map_err(|error| Error::new("remove", path.display(), plain(&error)))?;
        }
    }
    Ok(())
}

/// Remove all that is left of a switch.
fn remove(dir: &SwitchDir) -> Result<(), Error> {
    let attempt = || -> std::io::Result<()> {
        for directory in [dir.switch(), dir.console(), dir.plugs()] {
            gone(fs::remove_dir_all(directory))?;
        }
        // The record last: as long as it is there, so may be the rest.
        for file in [dir.pid(), dir.pump(), dir.plugged(), dir.record()] {
            gone(fs::remove_file(file))?;
        }
        Ok(())
    };
    attempt().map_err(|error| Error::new("remove the switch in", dir.path().display(), plain(&error)))
}
