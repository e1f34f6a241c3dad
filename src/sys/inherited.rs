//! Signals as our caller had them, for a program that takes our place. Only a program that becomes
//! another asks for this (feature `inherited`): it must look before `main`, because the language's
//! runtime ignores SIGPIPE and forgets what was.

use nix::sys::signal::{SigHandler, Signal, signal};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// What changes in this program: the runtime ignores the first, [`crate::process::heed_children`]
/// puts the second back to its default.
const CHANGED: [Signal; 2] = [Signal::SIGPIPE, Signal::SIGCHLD];

/// Whether each of them was ignored. A handler is nobody's to inherit (execve(2)).
static WAS_IGNORED: [AtomicBool; CHANGED.len()] = [const { AtomicBool::new(false) }; CHANGED.len()];

/// Run by the C library before `main` (System V ABI, "Initialization and Termination Functions").
#[used]
// SAFETY: the section holds pointers to functions that take nothing and return nothing.
#[unsafe(link_section = ".init_array")]
static LOOK_FIRST: extern "C" fn() = look;

extern "C" fn look() {
    for (signal, was_ignored) in CHANGED.iter().zip(&WAS_IGNORED) {
        // SAFETY: sigaction is plain data for which all zero is a value.
        let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: nothing is set, and `now` is what the call writes.
        let asked = unsafe { libc::sigaction(*signal as libc::c_int, std::ptr::null(), &raw mut now) };
        was_ignored.store(asked == 0 && now.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
    }
}

/// Put them back to what our caller had. For the moment before execve(2): the runtime counts on an
/// ignored SIGPIPE.
///
/// # Errors
/// The kernel refused.
pub fn restore_signals() -> io::Result<()> {
    for (number, was_ignored) in CHANGED.iter().zip(&WAS_IGNORED) {
        let action =
            if was_ignored.load(Ordering::Relaxed) { SigHandler::SigIgn } else { SigHandler::SigDfl };
        // SAFETY: neither action runs code of ours.
        unsafe { signal(*number, action) }?;
    }
    Ok(())
}
