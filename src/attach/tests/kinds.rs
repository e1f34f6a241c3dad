//! What sort of failure each refusal is, for programs that go on by it.

#![allow(clippy::unwrap_used, reason = "this file is all test")]

use std::path::Path;
use tempfile::TempDir;
use vmnet_access::name::IfName;
use vmnet_attach::{AddressChoice, Attachment, NamespaceRef, attach, check};
use vmnet_model::error::ErrorKind;
use vmnet_network::dirs::Dirs;

#[test]
fn a_namespace_that_is_none_is_an_impossible_request() {
    let at = TempDir::new().unwrap();
    let dirs = Dirs::new(&at.path().join("etc"), &at.path().join("lib"), &at.path().join("run"));
    let no_namespace = |path: &Path| NamespaceRef::Path(path.to_owned());
    std::fs::write(at.path().join("text"), "").unwrap();
    for (namespace, words) in [
        (no_namespace(&at.path().join("absent")), "no such namespace"),
        (no_namespace(&at.path().join("text")), "it is no network namespace"),
        (no_namespace(Path::new("/proc/self/ns/net")), "it is this host's own"),
        (NamespaceRef::Process(u32::MAX >> 1), "no such process"),
    ] {
        let asked = Attachment {
            bridge: IfName::new(b"lab").unwrap(),
            namespace,
            ifname: IfName::new(b"eth0").unwrap(),
            mac: None,
            hostname: None,
            addresses: AddressChoice::Kept,
        };
        for failure in [attach(&dirs, &asked).unwrap_err(), check::check(&dirs, &asked).unwrap_err()] {
            assert!(failure.to_string().ends_with(words), "{failure}");
            assert_eq!(failure.kind, ErrorKind::Invalid, "{failure}");
        }
    }
}
