//! The two helpers under test, QEMU's and ours, each in a house prepared for it, and what they say
//! about a request in terms that both share.

use crate::catch::Caught;
use crate::difference::difference;
use crate::house::{As, HELPER, House, Privilege, QEMU_HELPER, ours_built};
use crate::skip::{present, skip};

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helper {
    /// `/usr/lib/qemu/qemu-bridge-helper`, setuid root, with `/dev/net/tun` at 0666.
    Qemu,
    /// `/usr/local/libexec/vmnet-bridge-helper`, setuid root, with `/dev/net/tun` at 0600.
    Ours,
}

/// What the access rules came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They let the caller in.
    Allowed,
    /// They do not: "access denied by acl file".
    Denied,
    /// They could not be read: "failed to parse default acl file".
    Broken,
    /// The helper died of a signal.
    Crashed,
    /// The helper did not answer in time.
    Hung,
}

impl Helper {
    /// Those that can be tested here; says [`skip`] for each that cannot.
    pub fn all(test: &str) -> Vec<Self> {
        let qemus = present(QEMU_HELPER);
        if !qemus {
            skip(test, &format!("{QEMU_HELPER} is missing"));
        }
        if !ours_built() {
            skip(test, "our programs are not built");
        }
        let mut all = Vec::new();
        all.extend(qemus.then_some(Self::Qemu));
        all.extend(ours_built().then_some(Self::Ours));
        all
    }

    /// The program's place in a house.
    pub fn path(self) -> &'static str {
        match self {
            Self::Qemu => QEMU_HELPER,
            Self::Ours => HELPER,
        }
    }

    /// A house with this helper installed, the bridges br0 (MTU 1400, own MAC, up, 10.7.0.1/24, no IPv6, whose
    /// addresses and routes would come with the first port) and br1 (down), both allowed.
    #[track_caller]
    pub fn house(self) -> House {
        let house = House::new();
        match self {
            Self::Qemu => house.install_qemu_helper(),
            Self::Ours => house.install(),
        }
        house.sh("ip link add br0 address 52:54:00:00:00:01 type bridge
             echo 1 >/proc/sys/net/ipv6/conf/br0/disable_ipv6
             ip link set br0 mtu 1400 up
             ip address add 10.7.0.1/24 dev br0
             ip link add br1 type bridge");
        house.write_file("/etc/qemu/bridge.conf", "allow br0\nallow br1\n");
        house
    }

    /// What to expect where the two are meant to differ.
    ///
    /// # Panics
    /// If the difference is not in the table.
    #[track_caller]
    pub fn differs<T>(self, name: &str, qemu: T, ours: T) -> T {
        let _ = difference(name);
        match self {
            Self::Qemu => qemu,
            Self::Ours => ours,
        }
    }
}

/// Runs a check with each helper in a house of its own.
#[track_caller]
pub fn each(test: &str, check: impl Fn(Helper, &House)) {
    for helper in Helper::all(test) {
        println!("{helper:?}");
        check(helper, &helper.house());
    }
}

/// The same, and once more with ours when it has no rights and a broker is there.
#[track_caller]
pub fn each_way(test: &str, check: impl Fn(Helper, &House)) {
    each(test, &check);
    if ours_built() {
        println!("Ours, by the broker");
        let house = Helper::Ours.house();
        house.install_with(Privilege::None);
        let _broker = house.start_broker();
        check(Helper::Ours, &house);
    }
}

/// What a helper's answer says about the rules.
///
/// # Panics
/// If the answer is neither of the contract's two: granted, or refused in one way.
#[track_caller]
pub fn verdict(caught: &Caught) -> Verdict {
    match caught.signal.as_deref() {
        Some("timeout") => return Verdict::Hung,
        Some(_) => return Verdict::Crashed,
        None => {}
    }
    if caught.granted() {
        return Verdict::Allowed;
    }
    let words = caught.refusal();
    if words.contains("access denied by acl file") {
        Verdict::Denied
    } else if words.contains("failed to parse default acl file") {
        Verdict::Broken
    } else {
        Verdict::Allowed
    }
}

impl House {
    /// What the rules in the house say to alice about a bridge. Quicker with [`House::remove_tun`].
    #[track_caller]
    pub fn verdict(&self, helper: Helper, bridge: &str) -> Verdict {
        self.verdict_for(As::User("alice"), &[], helper, bridge)
    }

    /// The same for any caller, with settings of `src/bin/catch.rs`.
    #[track_caller]
    pub fn verdict_for(&self, who: As<'_>, settings: &[&str], helper: Helper, bridge: &str) -> Verdict {
        let bridge = format!("--br={bridge}");
        verdict(&self.catch_with(who, settings, &[helper.path(), &bridge, "--fd={fd}"]))
    }

    /// Takes `/dev/net/tun` away: who is let in then fails at that, and no TAP has to be made to see it.
    #[track_caller]
    pub fn remove_tun(&self) {
        self.run(&["rm", "/dev/net/tun"]).success();
    }
}
