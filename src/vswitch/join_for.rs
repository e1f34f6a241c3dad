//! Joining a switch on behalf of whoever holds the sockets: in a child that has become the owner of the
//! switch's directory, because a switch answers with a path of its choice, and because what lies in a
//! stranger's queue may keep for ever whoever takes it out.

use std::io::{Read, Write};
use std::time::Duration;
use vmnet_access::port_record::SwitchAccess;
use vmnet_access::rules::Caller;
use vmnet_access::vde_port_tag::VdePortTag;
use vmnet_sys::privilege::become_user;
use vmnet_sys::process::Process;
use vmnet_sys::trust::plain;
use vmnet_sys::worker;
use vmnet_vde::held_port::{ControlSocket, Standing, VdePort};
use vmnet_vde::port::{Absence, JoinError};

/// A switch that says nothing has ended it long before.
const LIMIT: Duration = Duration::from_secs(6);
/// No reason is longer, in bytes.
const REASON_MAX: u64 = 1024;

/// Exit statuses of the child.
const FAILED: u8 = 1;
const SILENT: u8 = 2;

/// Why there is no port.
#[derive(Debug)]
pub struct Refused {
    /// Why the switch refused, in words.
    pub cause: String,
    /// What the refusal means for others.
    pub kind: Kind,
}

/// What one refusal means for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Once,
    /// The switch said nothing: it may say nothing to others either.
    Silent,
    /// The child did not finish, be it by what its holder put in its way.
    Stuck,
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self { cause: plain(&error), kind: Kind::Once }
    }
}

/// Why the child has no port: by the switch's fault or by ours.
type Cause = Result<JoinError, std::io::Error>;

/// Plug it in. To be called while there is one thread, by root.
pub fn join(
    door: &SwitchAccess,
    plug: &VdePort,
    line: ControlSocket,
    tag: VdePortTag,
    absence: Absence,
) -> Result<(), Refused> {
    // The line is the child's: whoever else kept it would keep the port.
    as_owner(door, move || {
        plug.join(line, &door.directory, &tag.description(), absence).map(drop).map_err(Ok)
    })
}

/// The same for one that may have been plugged into a switch that has ended. What is on a living one stays,
/// and who is just joining does it himself.
pub fn join_again(
    door: &SwitchAccess,
    plug: &VdePort,
    line: ControlSocket,
    tag: VdePortTag,
) -> Result<(), Refused> {
    as_owner(door, move || match plug.standing().map_err(Err)? {
        Standing::Coming | Standing::Joined => Ok(()),
        // A switch that ended once more is another one, for which we are called again.
        Standing::Off => {
            plug.join(line, &door.directory, &tag.description(), Absence::Final).map(drop).map_err(Ok)
        }
    })
}

fn as_owner(door: &SwitchAccess, work: impl FnOnce() -> Result<(), Cause>) -> Result<(), Refused> {
    let (reader, writer) = std::io::pipe()?;
    let mut voice = &writer;
    let worker = worker::start(move || {
        let (code, cause) = match become_owner(door).map_err(Err).and_then(|()| work()) {
            Ok(()) => return 0,
            Err(Ok(JoinError::Silent)) => (SILENT, JoinError::Silent.to_string()),
            Err(Ok(error)) => (FAILED, error.to_string()),
            Err(Err(error)) => (FAILED, plain(&error)),
        };
        let _ = voice.write_all(cause.as_bytes());
        code
    })?;
    drop(writer);
    if !Process::watch(worker.pid())?.wait(LIMIT)? {
        // Not waited for: it may be stuck where no signal reaches it.
        worker.kill();
        let cause = format!("it did not finish within {} s", LIMIT.as_secs());
        return Err(Refused { cause, kind: Kind::Stuck });
    }
    let code = worker.wait()?;
    if code == Some(0) {
        return Ok(());
    }
    let mut cause = String::new();
    let _ = reader.take(REASON_MAX).read_to_string(&mut cause);
    if cause.is_empty() {
        "its process was ended".clone_into(&mut cause);
    }
    let kind = if code == Some(SILENT) { Kind::Silent } else { Kind::Once };
    Err(Refused { cause, kind })
}

fn become_owner(door: &SwitchAccess) -> std::io::Result<()> {
    become_user(&Caller { uid: door.owner, gid: door.group, groups: vec![door.group] })
}
