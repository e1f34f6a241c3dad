//! A network's VDE switch with nothing left open: what `vde_switch` is started with, and the record in
//! which `vmnet up` tells the switch's own processes of it.

use crate::network::Vde;
use std::fmt;
use vmnet_access::name::{NetName, fnv1a};
use vmnet_access::port_record::SwitchAccess;
use vmnet_access::vde::Directory;

/// The uids from here on belong to nobody, neither to people and services nor to containers' ranges
/// (systemd's UIDS-GIDS.md; useradd(8)'s SUB_UID_MIN is 100000).
const FIRST_USER: u32 = 65_536;
/// The largest uid that a switch can show of a user whose name it does not find: it has room for five
/// digits, and Debian's is ended by the sixth as soon as anybody asks its console for that port.
pub const USER_MAX: u32 = 99_999;

/// The user, and group, that a network's switch and pump run as: the network's own, in no database.
#[must_use]
pub fn user_of(network: &NetName) -> u32 {
    let [.., a, b, c, d] = fnv1a(network.as_str().as_bytes()).to_be_bytes();
    FIRST_USER + u32::from_be_bytes([a, b, c, d]) % (USER_MAX + 1 - FIRST_USER)
}

/// A VDE switch as a network has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The switch's directory, and as whom its ports are asked for.
    pub door: SwitchAccess,
    /// As whom the pump runs.
    pub pump: u32,
    /// How to run it; none: it is somebody else's.
    pub run: Option<Run>,
    /// Its console.
    pub console: Option<String>,
}

/// How a switch of ours is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The mode of its sockets.
    pub mode: u32,
    /// How many ports the switch has, one of them the pump's.
    pub ports: u32,
    /// Every frame goes to every port.
    pub hub: bool,
    /// The switch looks for loops (fast spanning tree).
    pub fast_spanning_tree: bool,
}

impl Run {
    /// As the network's file has it.
    #[must_use]
    pub fn of(vde: &Vde) -> Self {
        let Vde { mode, ports, hub, fast_spanning_tree, .. } = *vde;
        Self { mode, ports: ports.saturating_add(1), hub, fast_spanning_tree }
    }
}

impl Switch {
    /// The words for `vde_switch`; none where it is somebody else's.
    #[must_use]
    pub fn arguments(&self) -> Option<Vec<String>> {
        let Run { mode, ports, hub, fast_spanning_tree } = self.run?;
        let mut words: Vec<String> = ["--sock", self.door.directory.as_str()].map(str::to_owned).to_vec();
        let mut pair = |option: &str, value: String| words.extend([option.to_owned(), value]);
        pair("--mode", format!("0{mode:o}"));
        // Debian's has ports 1 to N-1, a newer one 1 to N.
        pair("--numports", ports.saturating_add(1).to_string());
        // Else it reads a file of root's or of the system's.
        pair("--rcfile", "/dev/null".to_owned());
        if let Some(console) = &self.console {
            pair("--mgmt", console.clone());
            pair("--mgmtmode", "0600".to_owned());
        }
        words.extend(hub.then(|| "--hub".to_owned()));
        words.extend(fast_spanning_tree.then(|| "--fstp".to_owned()));
        Some(words)
    }

    /// The record as text: lines of `key value`.
    #[must_use]
    pub fn render(&self) -> String {
        let SwitchAccess { directory, owner, group } = &self.door;
        let mut text = format!("directory {directory}\nowner {owner}\ngroup {group}\npump {}\n", self.pump);
        if let Some(console) = &self.console {
            text.push_str(&format!("console {console}\n"));
        }
        if let Some(Run { mode, ports, hub, fast_spanning_tree }) = self.run {
            text.push_str(&format!("run {mode:o} {ports} {hub} {fast_spanning_tree}\n"));
        }
        text
    }

    /// The record read back.
    ///
    /// # Errors
    /// The number of the first bad line, from one; 0 where one is missing.
    pub fn parse(text: &str) -> Result<Self, BadSwitch> {
        let (mut directory, mut owner, mut group, mut pump) = (None, None, None, None);
        let (mut console, mut run) = (None, None);
        for (index, line) in text.lines().enumerate() {
            let bad = BadSwitch(index + 1);
            let number = |digits: &str| digits.parse::<u32>().map_err(|_| bad);
            match line.split_once(' ').ok_or(bad)? {
                ("directory", path) => directory = Some(Directory::new(path).map_err(|_| bad)?),
                ("owner", digits) => owner = Some(number(digits)?),
                ("group", digits) => group = Some(number(digits)?),
                ("pump", digits) => pump = Some(number(digits)?),
                // One that could not be read back, or shown.
                ("console", path) if path.chars().any(char::is_control) => return Err(bad),
                ("console", path) => console = Some(path.to_owned()),
                ("run", words) => run = Some(Run::parse(words).ok_or(bad)?),
                _ => return Err(bad),
            }
        }
        let missing = BadSwitch(0);
        let door = SwitchAccess {
            directory: directory.ok_or(missing)?,
            owner: owner.ok_or(missing)?,
            group: group.ok_or(missing)?,
        };
        Ok(Self { door, pump: pump.ok_or(missing)?, console, run })
    }
}

impl Run {
    fn parse(words: &str) -> Option<Self> {
        let mut words = words.split(' ');
        Some(Self {
            mode: u32::from_str_radix(words.next()?, 8).ok()?,
            ports: words.next()?.parse().ok()?,
            hub: words.next()?.parse().ok()?,
            fast_spanning_tree: words.next()?.parse().ok()?,
        })
        .filter(|_| words.next().is_none())
    }
}

/// A record of a switch that cannot be read: the line's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSwitch(pub usize);

impl fmt::Display for BadSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is not 'key value' as vmnet writes it", self.0)
    }
}

impl std::error::Error for BadSwitch {}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch() -> Switch {
        let door =
            SwitchAccess { directory: Directory::new("/run/vmnet/my lab/vde").unwrap(), owner: 7, group: 8 };
        let run = Run::of(&Vde { ports: 30, fast_spanning_tree: true, ..Vde::DEFAULT });
        Switch { door, pump: 7, run: Some(run), console: Some("/run/vmnet/lab/console/mgmt".to_owned()) }
    }

    #[test]
    fn a_switch_is_started_with_room_for_the_pump() {
        let words = switch().arguments().unwrap().join(" ");
        assert_eq!(
            words,
            "--sock /run/vmnet/my lab/vde --mode 0660 --numports 32 --rcfile /dev/null \
             --mgmt /run/vmnet/lab/console/mgmt --mgmtmode 0600 --fstp"
        );
        assert_eq!(Switch { run: None, ..switch() }.arguments(), None);
    }

    #[test]
    fn a_record_reads_back() {
        let joined = Switch { run: None, console: None, ..switch() };
        for switch in [switch(), joined] {
            assert_eq!(Switch::parse(&switch.render()), Ok(switch));
        }
        assert_eq!(Switch::parse("directory /x\nowner 1\nowner\n"), Err(BadSwitch(3)));
        assert_eq!(Switch::parse("directory /x\n"), Err(BadSwitch(0)));
    }

    #[test]
    fn a_record_whose_console_has_control_characters_is_none() {
        let Switch { door, pump, .. } = switch();
        for console in ["/run/\u{9}", "/run/mgmt\r", "/run/\u{7f}mgmt"] {
            let switch = Switch { door: door.clone(), pump, run: None, console: Some(console.to_owned()) };
            assert_eq!(
                Switch::parse(&switch.render().replace('\n', "\r\n")),
                Err(BadSwitch(5)),
                "{console:?}"
            );
        }
    }

    #[test]
    fn each_network_has_a_user_that_nobody_else_is() {
        let user = |name: &str| user_of(&NetName::new(name).unwrap());
        assert_ne!(user("lab"), user("lab2"));
        assert!("abcdefgh".chars().all(|c| (FIRST_USER..=USER_MAX).contains(&user(&c.to_string()))));
    }
}
