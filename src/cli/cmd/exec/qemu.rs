//! Which `-netdev` the QEMU that is about to be started knows: it is asked itself, and not waited for long.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use vmnet_model::launch::{PlugForm, has_netdev};
use vmnet_sys::child;
use vmnet_sys::ready::{Heard, hear};

/// How long it may take. One that answers takes a moment.
const PATIENCE: Duration = Duration::from_secs(5);
/// Its list has a dozen short lines.
const WORDS_MAX: usize = 64 << 10;

/// The form for these words, of which the first is the program. Nobody is asked where no word holds the
/// place for it, and where there is nobody to ask, or no answer, it is the one that every QEMU knows.
pub fn form(command: &[OsString]) -> PlugForm {
    if !command.iter().any(|word| has_netdev(word.as_bytes())) {
        return PlugForm::Dgram;
    }
    // Other programs may stand before it, such as setpriv or numactl.
    let qemu = command.iter().find(|word| is_qemu(word) && super::look_for(word).is_ok());
    let backends = qemu.and_then(|qemu| backends(qemu).ok());
    PlugForm::of(&backends.unwrap_or_default())
}

fn is_qemu(word: &OsStr) -> bool {
    let name = Path::new(word).file_name().map(OsStr::as_bytes).unwrap_or_default();
    name.starts_with(b"qemu") || name == b"kvm"
}

fn backends(qemu: &OsStr) -> io::Result<String> {
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(qemu);
    command.args(["-netdev", "help"]).stdin(Stdio::null()).stdout(writer).stderr(Stdio::null());
    child::end_with_us(&mut command);
    let mut child = command.spawn()?;
    // It holds the pipe's other end, which would never close.
    drop(command);
    let heard = hear(reader, Instant::now() + PATIENCE, WORDS_MAX);
    // It has said all that it is asked for, or had its time.
    let _ = child.kill();
    child.wait()?;
    let Heard { words, in_time } = heard?;
    if in_time {
        Ok(String::from_utf8_lossy(&words).into_owned())
    } else {
        Err(io::ErrorKind::TimedOut.into())
    }
}
