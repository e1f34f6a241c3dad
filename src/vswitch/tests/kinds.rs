//! What sort of failure each refusal is, for programs that go on by it.

#![allow(clippy::unwrap_used, reason = "this file is all test")]

use vmnet_access::name::NetName;
use vmnet_model::error::{Error, ErrorKind};
use vmnet_model::network::{Mode, Network, Vde};
use vmnet_vswitch::dir::SwitchDir;
use vmnet_vswitch::settings::{of_record, settle};

fn settled(dir: &SwitchDir, vde: Vde) -> Error {
    let network =
        Network { mode: Mode::Vde, vde: Some(vde), ..Network::with_defaults(NetName::new("lab").unwrap()) };
    settle(&network, dir).unwrap_err()
}

#[test]
fn a_switch_that_cannot_be_had_says_what_sort_of_failure_it_is() {
    let at = tempfile::tempdir().unwrap();
    let dir = SwitchDir::of_file(&at.path().join("switch"));
    let whole = || Vde { create: true, ..Vde::DEFAULT };
    let group = settled(&dir, Vde { group: Some("no such group".to_owned()), ..whole() });
    assert_eq!(group.kind, ErrorKind::Invalid, "{group}");
    let unnamed = settled(&dir, Vde { create: false, socket: None, ..whole() });
    assert_eq!(unnamed.kind, ErrorKind::Invalid, "{unnamed}");
    std::fs::write(dir.record(), "no record").unwrap();
    assert_eq!(of_record(&dir.record()).unwrap_err().kind, ErrorKind::Invalid);
    std::fs::remove_file(dir.record()).unwrap();
    std::fs::create_dir(dir.record()).unwrap();
    assert_eq!(of_record(&dir.record()).unwrap_err().kind, ErrorKind::Host);
}
