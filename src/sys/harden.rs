//! The first steps of a privileged program: whatever the caller prepared is put aside before
//! anything else runs. Call these from `main`, before any thread exists.

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::sys::stat::{Mode, umask};
use std::io;

/// Set environment, umask and core limit aside. The kernel made a setuid program undumpable already
/// (`begin_new_exec` in fs/exec.c), and [`crate::privilege::shed`] keeps it so.
///
/// # Errors
/// The kernel refused one of them.
pub fn begin() -> io::Result<()> {
    // SAFETY: main calls this before it starts any thread, so nobody else reads the environment.
    if unsafe { libc::clearenv() } != 0 {
        return Err(io::Error::other("clearenv failed"));
    }
    umask(Mode::from_bits_truncate(0o077));
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    Ok(())
}

/// Replace the panic message, which honours RUST_BACKTRACE and names source files, by one line.
/// With `panic = "abort"` the process would leave a signal behind; it exits 1 instead, as QEMU expects.
pub fn one_line_on_panic(line: &'static str) {
    std::panic::set_hook(Box::new(move |_| leave(line)));
}

/// End at once: nothing is buffered, and nothing of the run-time's need be put in order.
pub fn end(code: u8) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(code.into()) }
}

/// Write one line to standard error and be gone. Async-signal-safe.
fn leave(line: &'static str) -> ! {
    // SAFETY: the buffer is valid for its length; write and _exit may be called from anywhere,
    // a signal handler included. A failed write changes nothing.
    unsafe {
        let _ = libc::write(2, line.as_ptr().cast(), line.len());
        libc::_exit(1)
    }
}

extern "C" fn too_late(_: libc::c_int) {
    leave("vmnet-bridge-helper: cannot finish the request: it took too long\n");
}

/// End the process with one line when `seconds` have gone by: the bound on everything that may
/// hang, the user database included. Alarms and blocked signals are inherited, so both are reset.
///
/// # Errors
/// The kernel refused.
pub fn deadline(seconds: u32) -> io::Result<()> {
    let action = SigAction::new(SigHandler::Handler(too_late), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler calls only write and _exit, which are async-signal-safe.
    unsafe { sigaction(Signal::SIGALRM, &action) }?;
    let mut only = SigSet::empty();
    only.add(Signal::SIGALRM);
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&only), None)?;
    // SAFETY: alarm takes a number and returns one.
    let _ = unsafe { libc::alarm(seconds) };
    Ok(())
}
