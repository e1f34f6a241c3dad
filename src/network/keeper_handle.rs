//! Seeing to it that a running network has a keeper: through systemd where it runs and knows the
//! unit, else as a process of our own.

use crate::dirs::{Dirs, RunDir};
use nix::sys::signal::Signal;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use vmnet_access::name::NetName;
use vmnet_access::paths;
use vmnet_host::files::read_file;
use vmnet_model::error::{Error, network};
use vmnet_sys::claim::claimant;
use vmnet_sys::daemon;
use vmnet_sys::lock::Claim;
use vmnet_sys::process::Process;
use vmnet_sys::trust::plain;
use vmnet_tools::Tool;

/// Where a unit may be installed (systemd.unit(5)); the last is our own prefix's.
const UNIT_DIRECTORIES: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// How long a keeper may take to let go.
const PATIENCE: Duration = Duration::from_secs(5);
/// Somebody may start another keeper meanwhile; so often is it asked to leave.
const TRIES: usize = 5;

/// What is added to the keeper's file before it is told to leave: whoever tells it may be killed before it
/// does, and `up` must not take one for a keeper that is on its way out.
const LEAVES: &str = "leaves\n";

/// The network's keeper, if one holds its lock and will go on doing so.
pub fn find(run_dir: &RunDir) -> Option<Process> {
    claimant(&run_dir.keeper()).filter(|_| !leaves(run_dir))
}

/// Has somebody told the network's keeper to leave? It may have left since.
pub fn leaves(run_dir: &RunDir) -> bool {
    read_file(&run_dir.keeper()).is_ok_and(|text| text.is_some_and(|text| text.ends_with(LEAVES.as_bytes())))
}

/// Tell the network's keeper to leave the network as it is; answers who that is. None where nobody keeps it.
pub fn tell_to_leave(run_dir: &RunDir) -> Option<Process> {
    let path = run_dir.keeper();
    claimant(&path)?;
    // Where it cannot be written it is only missing if we are killed now.
    let _ =
        OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(LEAVES.as_bytes()));
    // Looked at again: another one may have begun, and made the file anew.
    let keeper = claimant(&path)?;
    // It may have ended meanwhile.
    let _ = keeper.signal(Signal::SIGUSR2);
    Some(keeper)
}

/// Start a keeper of our own if none is there, and wait until it is ready.
pub fn ensure_keeper(dirs: &Dirs, name: &NetName) -> Result<(), Error> {
    if find(&dirs.run_dir(&name.bridge())).is_some() {
        return Ok(());
    }
    await_leaving_keeper(dirs, name)?;
    start_process(dirs, name)
}

/// A `down` that was killed may have told the keeper to leave: wait until it has.
pub fn await_leaving_keeper(dirs: &Dirs, name: &NetName) -> Result<(), Error> {
    if leaves(&dirs.run_dir(&name.bridge())) {
        send_away(dirs, name)?;
    }
    Ok(())
}

/// Have the network's keeper leave the network as it is, if it has one.
pub fn send_keeper_away(dirs: &Dirs, name: &NetName) -> Result<(), Error> {
    for _ in 0..TRIES {
        if !send_away(dirs, name)? {
            return Ok(());
        }
    }
    Err(not_stopped(name, "it is started again and again"))
}

/// False if there was none.
fn send_away(dirs: &Dirs, name: &NetName) -> Result<bool, Error> {
    let run_dir = dirs.run_dir(&name.bridge());
    let Some(keeper) = tell_to_leave(&run_dir) else { return Ok(false) };
    // Not for its end: what it watched takes the kernel tens of milliseconds to put away.
    match Claim::wait_until_free(&run_dir.keeper(), PATIENCE) {
        Ok(true) => Ok(true),
        Ok(false) => Err(not_stopped(name, format!("process {} does not end", keeper.pid()))),
        Err(error) => Err(not_stopped(name, plain(&error))),
    }
}

fn not_stopped(name: &NetName, cause: impl std::fmt::Display) -> Error {
    Error::new("stop the keeper of", network(name), cause)
}

/// Is systemd to keep the network? Then it also starts it: servers that we started would belong
/// to the caller's session and end with it.
pub fn is_unit(dirs: &Dirs) -> bool {
    is_default(dirs) && systemd_knows_us()
}

/// A unit knows only the directories fixed at build time.
fn is_default(dirs: &Dirs) -> bool {
    dirs.config == Path::new(paths::CONFIG_DIR)
        && dirs.state == Path::new(paths::STATE_DIR)
        && dirs.run == Path::new(paths::RUN_DIR)
}

/// sd_booted(3), and our unit is there.
fn systemd_knows_us() -> bool {
    Path::new("/run/systemd/system").is_dir()
        && UNIT_DIRECTORIES.iter().any(|directory| Path::new(directory).join("vmnet@.service").exists())
}

/// Let systemd start the unit, which is ready when the network is up.
pub fn start_unit(name: &NetName) -> Result<(), Error> {
    let unit = format!("vmnet@{name}.service");
    let failed = |cause: &dyn std::fmt::Display| {
        Error::new("keep", network(name), cause).hint(format!("'journalctl -u {unit}' says more"))
    };
    let systemctl = Tool::find("systemctl").map_err(|error| failed(&error))?;
    systemctl.run(&["start", unit.as_str()], "").map(drop).map_err(|error| failed(&error))
}

/// The same program, in a session of its own, which it makes itself. Its standard output is the
/// pipe on which it says that it is ready.
fn start_process(dirs: &Dirs, name: &NetName) -> Result<(), Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::new("keep", network(name), cause);
    let mut child = daemon::command()
        .map_err(|error| failed(&plain(&error)))?
        .args(["run", name.as_str(), "--background"])
        .arg("--config-dir")
        .arg(&dirs.config)
        .arg("--state-dir")
        .arg(&dirs.state)
        .arg("--run-dir")
        .arg(&dirs.run)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&plain(&error)))?;
    let mut said = Vec::new();
    if let Some(out) = child.stdout.take() {
        // To the end: the keeper closes its end right after the word.
        out.take(64).read_to_end(&mut said).map_err(|error| failed(&plain(&error)))?;
    }
    if said == daemon::READY { Ok(()) } else { Err(failed(&"the keeper ended at once")) }
}
