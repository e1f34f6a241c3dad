//! `vmnet hook libvirt`, which libvirt calls as its hook: `qemu|network OBJECT OPERATION SUB-OPERATION
//! EXTRA`, and an XML document on standard input.

use crate::exit::Exit;
use crate::roles::starter_for_others;
use std::ffi::OsString;
use vmnet_libvirt;
use vmnet_libvirt::{Call, HookPhase};
use vmnet_model::error::Error;
use vmnet_network::dirs::Dirs;

/// Answer a call. What is not about a network of ours is none of our business, and never an error.
pub fn run(dirs: &Dirs, words: &[OsString]) -> Result<Exit, Error> {
    // The daemon of a plain user calls the same hooks, and its guests come by the helper.
    if !nix::unistd::geteuid().is_root() {
        return Ok(Exit::Done);
    }
    let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    if let Some(call) = call(&words) {
        starter_for_others();
        vmnet_libvirt::answer(dirs, call, std::io::stdin().lock()).map_err(|mut failure| {
            // libvirt puts what we say into a sentence of its own, which has room for one line.
            failure.hint = None;
            failure
        })?;
    }
    Ok(Exit::Done)
}

/// What the words mean; none where there is nothing for us to do.
fn call<'a>(words: &[&'a str]) -> Option<Call<'a>> {
    match words {
        ["qemu", domain, "prepare", "begin", ..] => Some(Call::Begin(domain, HookPhase::Prepare)),
        ["qemu", domain, "start", "begin", ..] => Some(Call::Begin(domain, HookPhase::Start)),
        ["qemu", _, "release", "end", ..] => Some(Call::Release),
        ["network", _, "port-created", "begin", ..] => Some(Call::Port),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_concerns_us_is_answered() {
        let is_answered = |words: &str| call(&words.split(' ').collect::<Vec<_>>()).is_some();
        for ours in [
            "qemu web prepare begin -",
            "qemu web start begin -",
            "qemu web release end destroyed",
            "network lab port-created begin -",
        ] {
            assert!(is_answered(ours), "{ours}");
        }
        for other in [
            "qemu web started begin -",
            "qemu web stopped end -",
            "qemu web migrate begin -",
            "qemu web restore begin -",
            "qemu web reconnect begin -",
            "qemu web prepare",
            "network lab start begin -",
            "network lab port-deleted begin -",
            "lxc web prepare begin -",
            "daemon - start - start",
            "qemu",
            "",
        ] {
            assert!(!is_answered(other), "{other}");
        }
    }
}
