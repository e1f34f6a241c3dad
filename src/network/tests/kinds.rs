//! What sort of failure each refusal is, for programs that go on by it.

#![allow(clippy::unwrap_used, reason = "this file is all test")]

use tempfile::TempDir;
use vmnet_access::name::NetName;
use vmnet_model::error::{Error, ErrorKind};
use vmnet_network::dirs::Dirs;
use vmnet_network::reservations::{self, Asked};
use vmnet_network::{Log, Networks, Start, cables, forwards};

const FILES: [(&str, &str); 6] = [
    ("lab", LAB),
    ("near", "subnet = \"10.231.0.0/16\"\n"),
    ("iso", "mode = \"isolated\"\n"),
    ("wire", "mode = \"vde\"\n"),
    ("alone", "isolated = true\n"),
    ("quiet", "on_demand = false\n"),
];

const LAB: &str = r#"subnet = "10.231.7.0/24"

[[host]]
name = "web"
mac = "02:00:00:00:00:01"
address = "10.231.7.9"

[[forward]]
listen = 18080
to = "web:80"
"#;

struct Lab {
    _at: TempDir,
    dirs: Dirs,
}

impl Lab {
    fn new() -> Self {
        let at = TempDir::new().unwrap();
        let dirs = Dirs::new(&at.path().join("etc"), &at.path().join("lib"), &at.path().join("run"));
        std::fs::create_dir_all(dirs.networks()).unwrap();
        for (network, text) in FILES {
            std::fs::write(dirs.network_file(&name(network)), text).unwrap();
        }
        Self { _at: at, dirs }
    }

    fn reserve(&self, network: &str, host: &str, mac: &str, address: &str) -> Result<(), Error> {
        let asked = Asked {
            name: host.to_owned(),
            mac: mac.parse().unwrap(),
            address: address.parse().ok(),
            address6: None,
            aliases: Vec::new(),
        };
        reservations::add(&self.dirs, &name(network), &asked).map(drop)
    }

    fn forget(&self, network: &str, host: &str) -> Result<(), Error> {
        reservations::remove(&self.dirs, &name(network), &host.parse().unwrap()).map(drop)
    }

    fn forward(&self, network: &str, listen: &str, to: &str) -> Result<(), Error> {
        let (listen, to) = (listen.parse().unwrap(), to.parse().unwrap());
        forwards::add(&self.dirs, &name(network), listen, to, "tcp".parse().unwrap()).map(drop)
    }

    fn close(&self, network: &str, listen: &str) -> Result<(), Error> {
        forwards::remove(&self.dirs, &name(network), listen.parse().unwrap(), None).map(drop)
    }

    fn join(&self, network: &str, to: &str) -> Result<(), Error> {
        cables::add(&self.dirs, &name(network), &to.parse().unwrap()).map(drop)
    }
}

fn name(text: &str) -> NetName {
    NetName::new(text).unwrap()
}

fn assert_kinds(failures: impl IntoIterator<Item = (Result<(), Error>, ErrorKind, &'static str)>) {
    for (failed, kind, words) in failures {
        let failure = failed.unwrap_err();
        assert!(failure.to_string().contains(words), "{failure}");
        assert_eq!(failure.kind, kind, "{failure}");
    }
}

#[test]
fn a_reservation_that_is_refused_says_what_sort_of_refusal_it_is() {
    let lab = Lab::new();
    assert_kinds([
        (lab.reserve("lab", "web", "02:00:00:00:00:02", ""), ErrorKind::Exists, "'web' is reserved already"),
        (lab.reserve("lab", "db", "02:00:00:00:00:01", ""), ErrorKind::Conflict, "is reserved as 'web'"),
        (lab.reserve("lab", "db", "02:00:00:00:00:02", "10.231.7.9"), ErrorKind::Conflict, "is reserved for"),
        (lab.reserve("lab", "db", "02:00:00:00:00:02", "192.0.2.9"), ErrorKind::Invalid, "192.0.2.9"),
        (lab.reserve("wire", "db", "02:00:00:00:00:02", ""), ErrorKind::Invalid, "a wire without the host"),
        (lab.reserve("near", "db", "02:00:00:00:00:02", ""), ErrorKind::Conflict, "overlaps 10.231.7.0/24"),
        (lab.forget("lab", "web"), ErrorKind::Invalid, "it stands in"),
        (lab.forget("lab", "db"), ErrorKind::Invalid, "nothing is reserved"),
    ]);
}

#[test]
fn a_forward_that_is_refused_says_what_sort_of_refusal_it_is() {
    let lab = Lab::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    assert_kinds([
        (lab.forward("lab", "18080", "10.231.7.8:80"), ErrorKind::Exists, "forwards"),
        (lab.forward("lab", &taken, "web:80"), ErrorKind::Conflict, "listens on"),
        (lab.forward("lab", "0", "web"), ErrorKind::Invalid, "port 0 chooses"),
        (lab.forward("lab", "18081", "192.0.2.9:80"), ErrorKind::Invalid, "is no address of a guest"),
        (lab.forward("iso", "18081", "web:80"), ErrorKind::Invalid, "is isolated"),
        (lab.close("lab", "18080"), ErrorKind::Invalid, "it stands in"),
        (lab.close("lab", "18081"), ErrorKind::Invalid, "has none"),
    ]);
}

#[test]
fn a_cable_that_is_refused_says_what_sort_of_refusal_it_is() {
    let lab = Lab::new();
    lab.join("lab", "near").unwrap();
    lab.join("near", "iso").unwrap();
    let none = cables::remove(&lab.dirs, &name("lab"), &"iso".parse().unwrap()).map(drop);
    assert_kinds([
        (lab.join("lab", "near"), ErrorKind::Exists, "they are joined already"),
        (lab.join("iso", "lab"), ErrorKind::Conflict, "they are joined already"),
        (lab.join("lab", "lab"), ErrorKind::Invalid, "both ends are one"),
        (lab.join("lab", "alone"), ErrorKind::Invalid, "cannot join network 'alone'"),
        (none, ErrorKind::Invalid, "no cable between them"),
    ]);
}

#[test]
fn a_network_that_a_guest_may_not_start_denies_it() {
    let lab = Lab::new();
    let started =
        Networks::open(lab.dirs.clone(), Log::Background).get(&name("quiet")).up(Start::OnDemand).map(drop);
    let overlaps = Networks::open(lab.dirs.clone(), Log::Background).get(&name("near")).plan().map(drop);
    assert_kinds([
        (started, ErrorKind::Denied, "its file says on_demand = false"),
        (overlaps, ErrorKind::Conflict, "overlaps 10.231.7.0/24"),
    ]);
}
