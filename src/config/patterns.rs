//! Regular expressions of what the values look like, for the schema (those of ECMA-262, as JSON Schema
//! wants them). They promise only to match all that the reader of a key takes; the reader is stricter.

use vmnet_model::forward::Protocol;

const BYTE: &str = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const IPV6: &str = "[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*";
const LABEL: &str = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const PORTS: &str = "[0-9]+(-[0-9]+)?";
const GUEST: &str = "[A-Za-z0-9:.-]+";

fn dotted() -> String {
    format!(r"({BYTE}\.){{3}}{BYTE}")
}

pub(crate) fn ipv4() -> String {
    format!("^{}$", dotted())
}

pub(crate) fn ipv6() -> String {
    format!("^{IPV6}$")
}

pub(crate) fn subnet() -> String {
    format!("^{}/0*([89]|[12][0-9])$", dotted())
}

pub(crate) fn prefix6() -> String {
    format!("^{IPV6}/0*64$")
}

pub(crate) fn range() -> String {
    format!("^{0} *- *{0}$", dotted())
}

pub(crate) fn server() -> String {
    format!("^({}|{IPV6})$", dotted())
}

pub(crate) fn mac() -> String {
    "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$".to_owned()
}

pub(crate) fn network() -> String {
    "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$".to_owned()
}

/// Printable, and neither `"`, `*`, `/`, `:` nor `\`.
pub(crate) fn interface() -> String {
    r"^[!#-)+-.0-9;-\[\]-~]{1,15}$".to_owned()
}

pub(crate) fn host() -> String {
    format!("^(?![0-9]+$){LABEL}$")
}

pub(crate) fn domain() -> String {
    format!(r"^{LABEL}(\.{LABEL})*$")
}

pub(crate) fn dhcp_option() -> String {
    "^(option:[a-z0-9-]+|[0-9]+)(,[ -~]*)?$".to_owned()
}

pub(crate) fn listen() -> String {
    format!(r"^(({}|\[{IPV6}\]):)?{PORTS}$", dotted())
}

pub(crate) fn guest() -> String {
    format!("^{GUEST}$")
}

pub(crate) fn target() -> String {
    format!(r"^({GUEST}|\[{IPV6}\]:{PORTS})$")
}

pub(crate) fn link_ports() -> String {
    let words = Protocol::ALL.map(|protocol| protocol.as_str().replace('+', r"\+"));
    format!("^{PORTS}(/({}))?$", words.join("|"))
}

/// Absolute, and of one line.
pub(crate) fn path() -> String {
    r"^/[^\x00-\x1f]+$".to_owned()
}

pub(crate) fn group() -> String {
    "^(?![0-9]+$)[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}$".to_owned()
}

/// Read and write for its owner and, perhaps, for others.
pub(crate) fn socket_mode() -> String {
    "^0?6[0246][0246]$".to_owned()
}
