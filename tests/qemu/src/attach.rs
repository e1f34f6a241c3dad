//! Namespaces that `vmnet attach` gives an interface: what it said, and what is seen of it from both sides.

use std::time::Duration;

use serde_json::Value;

use crate::command::Outcome;
use crate::companion::DONE;
use crate::house::House;

/// How long the kernel and those who hear it may take.
const SOON: Duration = Duration::from_secs(10);

/// The network `lab` of [`lab_with`].
pub const LAB: &str = "subnet = \"10.5.0.0/24\"\nsubnet6 = \"fd00:5::/64\"\n";

/// A house that knows a network `lab`, and has namespaces of these names.
#[track_caller]
pub fn lab_with(test: &str, spaces: &[&str]) -> Option<House> {
    let house = House::with_companion(test)?;
    house.describe("lab", LAB);
    spaces.iter().for_each(|space| drop(house.sh(&format!("ip netns add {space}"))));
    Some(house)
}

impl House {
    /// What `vmnet attach` with these words says, which must succeed.
    #[track_caller]
    pub fn attach(&self, words: &[&str]) -> Value {
        let (code, value) = self.json(&[&["attach"], words].concat());
        assert_eq!(code, DONE, "{value}");
        value
    }

    /// The names of the host's ends.
    #[track_caller]
    pub fn veth_ports(&self) -> Vec<String> {
        let links = self.sh("ip -o link show type veth");
        let name = |line: &str| line.split([':', '@']).nth(1).map(|name| name.trim().to_owned());
        links.lines().filter_map(name).filter(|name| name.starts_with("vmveth")).collect()
    }

    /// How many processes renew leases.
    #[track_caller]
    pub fn lease_keepers(&self) -> usize {
        let processes = self.sh("ps -eo args=");
        processes.lines().filter(|line| line.starts_with("/usr/local/sbin/vmnet attach")).count()
    }

    /// Runs a program in a named namespace.
    #[track_caller]
    pub fn within(&self, space: &str, argv: &[&str]) -> Outcome {
        self.run(&[&["ip", "netns", "exec", space], argv].concat())
    }

    /// Fails unless an address answers a named namespace's ping, asked a few times.
    #[track_caller]
    pub fn assert_reaches(&self, space: &str, address: &str) {
        let ping = || self.within(space, &["ping", "-n", "-c", "1", "-W", "1", address]);
        assert!((0..5).any(|_| ping().code() == DONE), "{space} does not reach {address}: {}", ping());
    }

    /// Fails unless it comes to be so.
    #[track_caller]
    pub fn assert_soon(&self, what: &str, done: impl Fn() -> bool) {
        assert!(self.wait_until(SOON, done), "not within {SOON:?}: {what}");
    }

    /// Has a port come and go: with its first one a bridge gets a link-local address, which stays.
    #[track_caller]
    pub fn warm_up(&self, bridge: &str, address: &str) {
        self.sh("ip netns add first");
        self.attach(&[bridge, "--netns", "first", "--address", address]);
        let local = || self.sh(&format!("ip -6 address show dev {bridge} scope link -tentative"));
        self.assert_soon("a link-local address", || !local().is_empty());
        self.vmnet(&["detach", bridge, "--netns", "first"]).success();
        self.sh("ip netns del first");
        // The kernel gets round to it some time after its last port is gone.
        self.assert_soon("no carrier", || self.sh(&format!("ip link show {bridge}")).contains("NO-CARRIER"));
    }
}

/// The first address that `vmnet attach` told.
///
/// # Panics
/// If there is none.
#[track_caller]
pub fn address(attached: &Value) -> String {
    attached["addresses"][0]["address"]
        .as_str()
        .unwrap_or_else(|| panic!("no address: {attached}"))
        .to_owned()
}
