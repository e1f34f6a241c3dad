//! Every word the helper says: one line on standard error, perhaps a hint below it. Printing never
//! fails loudly.

use crate::args::Misuse;
use std::io::{Write, stderr, stdout};
use std::process::exit;
use vmnet_sys::trust::plain;

/// The program, in its own words and in the log.
pub const NAME: &str = env!("CARGO_PKG_NAME");
const USAGE: &str = "usage: vmnet-bridge-helper [--use-vnet|--vde] --br=BRIDGE --fd=DESCRIPTOR";

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
        --vde            a port on BRIDGE's VDE switch instead: two descriptors are sent\n  \
        --ask            hear the request over the socket: for vmnet itself\n  \
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

/// The system log takes no line. That keeps nobody from their port.
pub fn unlogged(error: &std::io::Error) {
    let text = format!("{NAME}: cannot write to the system log: {}\n", plain(error));
    let _ = stderr().write_all(text.as_bytes());
}
