//! Every word the helper says: one line on standard error, perhaps a hint below it, and one line
//! in the system log for each grant and each refusal. Printing never fails loudly.

use crate::args::{Ask, Misuse};
use std::io::{Write, stderr, stdout};
use std::process::exit;
use vmnet_model::name::IfName;
use vmnet_model::rules::Verdict;
use vmnet_port::refusal::Refusal;
use vmnet_sys::syslog::{self, Topic};
use vmnet_sys::trust::plain;

const NAME: &str = env!("CARGO_PKG_NAME");
const USAGE: &str = "usage: vmnet-bridge-helper [--use-vnet] --br=BRIDGE --fd=DESCRIPTOR";

/// One sentence, perhaps a hint, and the end.
pub fn fail(sentence: &str, hint: Option<String>) -> ! {
    let hint = hint.map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    let _ = stderr().write_all(format!("{NAME}: {sentence}\n{hint}").as_bytes());
    exit(1)
}

/// What is wrong with the arguments.
pub fn usage(error: &Misuse) -> ! {
    let _ = stderr().write_all(format!("{NAME}: {error}\n{USAGE}\n").as_bytes());
    exit(1)
}

/// `--help`
pub fn help() -> ! {
    let text = "\n\nGives the caller a TAP on BRIDGE: its descriptor is sent over the unix stream socket\n\
        DESCRIPTOR, if the rules allow it. QEMU and libvirt start this program; see\n\
        vmnet-bridge-helper(8) and vmnet-bridge.conf(5).\n\n  \
        --br=BRIDGE      the bridge, or a vmnet network, which is started if it is down\n  \
        --fd=DESCRIPTOR  number of an inherited, connected unix stream socket\n  \
        --use-vnet       a TAP with virtio-net headers\n  \
        --help           print this and exit\n  \
        --version        print the version and exit\n";
    print(&format!("{USAGE}{text}"))
}

/// `--version`
pub fn version() -> ! {
    print(&format!("{NAME} {}\n", env!("CARGO_PKG_VERSION")))
}

fn print(text: &str) -> ! {
    exit(i32::from(stdout().write_all(text.as_bytes()).is_err()))
}

/// A port was granted: who, where, which, why.
pub fn log_grant(user: &str, uid: u32, bridge: &IfName, tap: &IfName, verdict: &Verdict) {
    let by = match verdict {
        Verdict::Allowed { by, .. } => by.to_string(),
        Verdict::Refused { .. } => String::new(),
    };
    log(&format!("granted: user={user} uid={uid} bridge={bridge} tap={tap} rule={by}"));
}

/// A port was refused: who, where, why.
pub fn log_refusal(user: &str, uid: u32, ask: &Ask, refusal: &Refusal) {
    log(&format!("refused: user={user} uid={uid} bridge={}: {refusal}", ask.bridge));
}

fn log(line: &str) {
    if let Err(error) = syslog::send(NAME, Topic::Access, line) {
        let text = format!("{NAME}: cannot write to the system log: {}\n", plain(&error));
        let _ = stderr().write_all(text.as_bytes());
    }
}
