//! What a port on a bridge must look like, and the record in which `vmnet up` tells the helper.

use crate::mac::MacAddr;
use crate::name::{IfName, NetName, fnv1a};
use crate::vde::Directory;
use std::fmt;

/// A TAP's name; the kernel fills in the number. The prefix is ours alone, so that NetworkManager and networkd
/// can be told to leave these links alone by name.
pub const TAP_TEMPLATE: &str = "vmtap%d";
/// The name of our end of a veth pair; the kernel fills in the number.
pub const VETH_TEMPLATE: &str = "vmveth%d";

/// The name of what joins a bridge to another wire, its switch or a cable; the kernel fills in the number.
pub const WIRE_TEMPLATE: &str = "vmwire%d";

/// A name that is most likely free and was not just another port's: the template's prefix and the
/// number of the process that makes the link, at most 4,194,304 (PID_MAX_LIMIT in include/linux/threads.h).
#[must_use]
pub fn port_name(template: &str, process: u32) -> String {
    template.replace("%d", &process.to_string())
}

/// A bridge takes so many ports and no more: BR_MAX_PORTS in net/bridge/br_private.h, less port 0.
pub const BRIDGE_PORTS_MAX: usize = 1023;

/// The group of a network's ports (IFLA_GROUP): by it rules know the ports of one bridge from the
/// moment they are there, on any kernel. Above the numbers that people give, never 0, the default.
#[must_use]
pub fn group_of(bridge: &IfName) -> u32 {
    let [.., a, b, c, d] = fnv1a(bridge.as_bytes()).to_be_bytes();
    u32::from_be_bytes([a, b, c, d]) & 0x1fff_ffff | 0x4000_0000
}

/// The group of every bridge of ours, so that rules can tell our networks from the world: "vmnt".
pub const BRIDGES_GROUP: u32 = 0x766d_6e74;

/// What the helper must know of a network: `/run/vmnet/NAME/port`, lines of `key value`, because
/// a setuid program should not parse TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRecord {
    /// The network, which a long name's bridge does not tell.
    pub network: NetName,
    /// The kernel's `isolated` flag on each port: guests cannot reach each other.
    pub isolated: bool,
    /// The kernel's `hairpin` flag: a frame may leave by the port it came from. A forward that
    /// leads a guest to itself needs it where br_netfilter translates on the bridge.
    pub hairpin: bool,
    /// The port's group; 0 under a `vmnet` that did not know of it.
    pub group: u32,
    /// The VDE switch that is one wire with the bridge.
    pub switch: Option<SwitchAccess>,
}

/// Where and as whom ports on a VDE switch are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchAccess {
    /// The switch.
    pub directory: Directory,
    /// The user id of whoever the switch's directory belongs to.
    pub owner: u32,
    /// The group that may join it.
    pub group: u32,
}

/// A port record that cannot be read: the line's number, from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRecord(pub usize);

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is not 'key value' as vmnet writes it", self.0)
    }
}

impl std::error::Error for BadRecord {}

impl PortRecord {
    /// The record as text.
    #[must_use]
    pub fn render(&self) -> String {
        let word = |flag: bool| if flag { "on" } else { "off" };
        let switch = self.switch.as_ref().map(SwitchAccess::render).unwrap_or_default();
        format!(
            "network {}\nisolated {}\nhairpin {}\ngroup {}\n{switch}",
            self.network,
            word(self.isolated),
            word(self.hairpin),
            self.group
        )
    }

    /// The record read back. An unknown key is passed over, so that an older helper works under a
    /// newer `vmnet`; a known key with a bad value, or no network, is refused.
    ///
    /// # Errors
    /// The first bad line, or line 0 when the network is missing.
    pub fn parse(text: &[u8]) -> Result<Self, BadRecord> {
        let text = std::str::from_utf8(text).map_err(|_| BadRecord(0))?;
        let (mut network, mut isolated, mut hairpin, mut group) = (None, false, false, 0);
        let mut door = None;
        for (index, line) in text.lines().enumerate() {
            let bad = BadRecord(index + 1);
            match line.split_once(' ').ok_or(bad)? {
                ("network", name) => network = Some(NetName::new(name).map_err(|_| bad)?),
                ("isolated", word) => isolated = switch(word).ok_or(bad)?,
                ("hairpin", word) => hairpin = switch(word).ok_or(bad)?,
                ("group", digits) => group = number(digits.as_bytes()).ok_or(bad)?,
                ("switch", words) => door = Some(SwitchAccess::parse(words).ok_or(bad)?),
                _ => {}
            }
        }
        Ok(Self { network: network.ok_or(BadRecord(0))?, isolated, hairpin, group, switch: door })
    }
}

impl SwitchAccess {
    /// One line: `switch OWNER GROUP DIRECTORY`, the path last because it may hold spaces.
    fn render(&self) -> String {
        format!("switch {} {} {}\n", self.owner, self.group, self.directory)
    }

    fn parse(words: &str) -> Option<Self> {
        let mut words = words.splitn(3, ' ');
        let owner = number(words.next()?.as_bytes())?;
        let group = number(words.next()?.as_bytes())?;
        Some(Self { owner, group, directory: Directory::new(words.next()?).ok()? })
    }
}

fn switch(word: &str) -> Option<bool> {
    match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// What joins a bridge to another wire: written into the alias of its port there. Such a port is nobody's
/// guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UplinkTag {
    /// The bridge.
    pub bridge: IfName,
    /// Where it leads: the network's own switch, or by a cable of this name.
    pub cable: Option<String>,
}

impl UplinkTag {
    /// The alias: `vmnet BRIDGE switch` or `vmnet BRIDGE cable NAME`.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut alias = b"vmnet ".to_vec();
        alias.extend_from_slice(self.bridge.as_bytes());
        match &self.cable {
            None => alias.extend_from_slice(b" switch"),
            Some(name) => alias.extend_from_slice(format!(" cable {name}").as_bytes()),
        }
        alias
    }

    /// The alias read back; none if it is not one of ours.
    #[must_use]
    pub fn parse(alias: &[u8]) -> Option<Self> {
        let mut words = alias.splitn(4, |b| *b == b' ');
        let head = words.next()?;
        let bridge = IfName::new(words.next()?).ok()?;
        let cable = match (words.next()?, words.next()) {
            (b"switch", None) => None,
            (b"cable", Some(name)) => Some(String::from_utf8(name.to_vec()).ok()?),
            _ => return None,
        };
        (head == b"vmnet").then_some(Self { bridge, cable })
    }
}

/// Who holds a port: written into the TAP's alias, read back by `vmnet ports` and by the count
/// for `ports=`. Only CAP_NET_ADMIN can change an alias, so the holder cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortTag {
    /// The bridge it was granted on.
    pub bridge: IfName,
    /// The caller's real user id.
    pub uid: u32,
    /// The process that asked for it: the helper's parent, so the VM.
    pub pid: u32,
    /// It was asked for as one that stays when nobody holds it. Any other that stays was made so by
    /// its holder.
    pub kept: bool,
}

impl PortTag {
    /// The alias: `vmnet BRIDGE uid=UID pid=PID`, and ` kept`. No interface name holds a space.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut alias = b"vmnet ".to_vec();
        alias.extend_from_slice(self.bridge.as_bytes());
        let kept = if self.kept { " kept" } else { "" };
        alias.extend_from_slice(format!(" uid={} pid={}{kept}", self.uid, self.pid).as_bytes());
        alias
    }

    /// The alias read back; none if it is not one of ours.
    #[must_use]
    pub fn parse(alias: &[u8]) -> Option<Self> {
        let mut words = alias.split(|b| *b == b' ');
        let head = words.next()?;
        let bridge = IfName::new(words.next()?).ok()?;
        let uid = number(words.next()?.strip_prefix(b"uid=")?)?;
        let pid = number(words.next()?.strip_prefix(b"pid=")?)?;
        let kept = match words.next() {
            None => false,
            Some(b"kept") => true,
            Some(_) => return None,
        };
        (head == b"vmnet" && words.next().is_none()).then_some(Self { bridge, uid, pid, kept })
    }

    /// The MAC of this link with this tag: whoever looks at it later knows whether its holder changed it.
    /// The first byte 0xfe keeps a bridge without an own MAC from taking it, where any other port has
    /// a lower one.
    #[must_use]
    pub fn mac(&self, port: &IfName) -> MacAddr {
        let mut seed = self.render();
        seed.push(0);
        seed.extend_from_slice(port.as_bytes());
        let [_, _, _, a, b, c, d, e] = fnv1a(&seed).to_be_bytes();
        MacAddr([0xfe, a, b, c, d, e])
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// What the kernel tells of a TAP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapState {
    /// The TAP stays when nobody holds it (TUNSETPERSIST).
    pub persistent: bool,
    /// Who may open it by name (TUNSETOWNER).
    pub owner: Option<u32>,
    /// Members of which group may (TUNSETGROUP).
    pub group: Option<u32>,
    /// It may be opened several times, once for each queue.
    pub many_queues: bool,
    /// How many queues there are, in use or laid aside; told only of one that may have many.
    pub queues: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_reads_back_and_newer_keys_are_passed_over() {
        let network = NetName::new("lab").unwrap();
        let record = PortRecord { network, isolated: true, hairpin: true, group: 7, switch: None };
        assert_eq!(PortRecord::parse(record.render().as_bytes()), Ok(record.clone()));
        let newer = b"network lab\nisolated on\nhairpin on\ngroup 7\nrate 10\n";
        assert_eq!(PortRecord::parse(newer), Ok(record));
        let older = PortRecord::parse(b"network lab\nisolated on\n").unwrap();
        assert!(older.isolated && !older.hairpin && older.group == 0);
        let door = SwitchAccess { directory: Directory::new("/run/my vde").unwrap(), owner: 5, group: 6 };
        let with_switch = PortRecord { switch: Some(door), ..older };
        assert_eq!(PortRecord::parse(with_switch.render().as_bytes()), Ok(with_switch));
        assert_eq!(PortRecord::parse(b"network lab\nswitch 5 6 here\n"), Err(BadRecord(2)));
        assert_eq!(PortRecord::parse(b"network lab\nisolated maybe\n"), Err(BadRecord(2)));
        assert_eq!(PortRecord::parse(b"isolated on\n"), Err(BadRecord(0)));
        assert_eq!(PortRecord::parse(b"network\n"), Err(BadRecord(1)));
    }

    #[test]
    fn a_wire_is_no_guest() {
        for cable in [None, Some("lab2".to_owned()), Some("vde:///run/my switch".to_owned())] {
            let tag = UplinkTag { bridge: IfName::new(b"lab").unwrap(), cable };
            assert_eq!(UplinkTag::parse(&tag.render()), Some(tag.clone()));
            assert_eq!(PortTag::parse(&tag.render()), None);
        }
        assert_eq!(UplinkTag::parse(b"vmnet lab uid=1 pid=2"), None);
        assert_eq!(UplinkTag::parse(b"vmnet lab switch on"), None);
    }

    proptest! {
        #[test]
        fn a_tag_reads_back(uid: u32, pid: u32, kept: bool, name in "[!-.0-9;-~]{3,15}") {
            let tag = PortTag { bridge: IfName::new(name.as_bytes()).unwrap(), uid, pid, kept };
            prop_assert_eq!(PortTag::parse(&tag.render()), Some(tag));
        }

        #[test]
        fn each_port_has_a_mac_of_its_own(uid: u32, pid: u32, kept: bool, one in "vmtap[0-9]{1,7}", other in "vmtap[0-9]{1,7}") {
            let tag = PortTag { bridge: IfName::new(b"lab").unwrap(), uid, pid, kept };
            let mac = |name: &str| tag.mac(&IfName::new(name.as_bytes()).unwrap());
            prop_assert_eq!(mac(&one) == mac(&other), one == other);
            prop_assert!(mac(&one).is_assignable() && mac(&one).0[0] == 0xfe);
        }

        #[test]
        fn no_alias_makes_the_reader_fall_over(alias in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = PortTag::parse(&alias);
            let _ = PortRecord::parse(&alias);
        }
    }
}
