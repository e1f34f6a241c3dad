//! One line in the system log for each grant and each refusal.

use crate::refusal::Refusal;
use crate::serve::{Request, Served};
use std::io;
use vmnet_access::name::IfName;
use vmnet_access::request::PortKind;
use vmnet_sys::syslog::{self, Topic};

/// A port was granted: who, what, where, which, why. `program` is who says so.
///
/// # Errors
/// The log takes no line.
pub fn granted(program: &str, user: &str, request: &Request, served: &Served) -> io::Result<()> {
    let act = match &request.ask.wish {
        PortKind::Tap { .. } | PortKind::Kept(_) | PortKind::Plug => "granted",
        PortKind::Veth { .. } => "granted to a namespace",
        PortKind::Remove { .. } => "removed",
    };
    let kind = match &request.ask.wish {
        PortKind::Veth { .. } => "veth",
        PortKind::Plug => "vde",
        _ => "tap",
    };
    let rule = served.by.as_ref().map(|place| format!(" rule={place}")).unwrap_or_default();
    let (uid, bridge, port) = (request.caller.uid, &served.bridge, &served.port);
    let line = format!("{act}: user={user} uid={uid} bridge={bridge} {kind}={port}{rule}");
    syslog::send(program, Topic::Access, &line)
}

/// A port was refused: who, where, why.
///
/// # Errors
/// The log takes no line.
pub fn refused(program: &str, user: &str, request: &Request, refusal: &Refusal) -> io::Result<()> {
    let line =
        format!("refused: user={user} uid={} bridge={}: {refusal}", request.caller.uid, request.ask.bridge);
    syslog::send(program, Topic::Access, &line)
}

/// A port, with the word for its kind before it, was taken away from whoever held it. `why` ends the line.
///
/// # Errors
/// The log takes no line.
pub fn revoked(program: &str, user: &str, bridge: &IfName, port: (&str, &str), why: &str) -> io::Result<()> {
    let (kind, port) = port;
    let line = format!("revoked: user={user} bridge={bridge} {kind}={port}: {why}");
    syslog::send(program, Topic::Access, &line)
}

/// A holder went further than the grant. `what` ends the line.
///
/// # Errors
/// The log takes no line.
pub fn exceeded(program: &str, user: &str, bridge: &IfName, port: &str, what: &str) -> io::Result<()> {
    let line = format!("exceeded: user={user} bridge={bridge} port={port}: {what}");
    syslog::send(program, Topic::Access, &line)
}
