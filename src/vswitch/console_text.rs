//! What a vde_switch says on its console. Descriptions of ports are their clients' own words, line
//! ends and all: what stands behind the first of them is believed only where it cannot be theirs.

use vmnet_access::mac::MacAddr;

/// What each answer ends with, and the greeting.
pub const PROMPT: &[u8] = b"\nvde$ ";
/// Longest command with its line's end: Debian's switch cuts a longer one into two.
pub const COMMAND_MAX: usize = 127;

/// One port of a switch, as its console shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortView {
    /// Its number, from 1.
    pub number: u32,
    /// It has an endpoint, or had one that was mislaid.
    pub active: bool,
    /// The VLAN of frames without a tag; 0: none.
    pub vlan: u32,
    /// Whose socket it is; none: an abstract one. Another user may have lent theirs.
    pub user: Option<String>,
    /// Frames and bytes from the port.
    pub came: Traffic,
    /// Frames and bytes to the port, those that were lost on the way included.
    pub went: Traffic,
    /// Its endpoints, with what they say of themselves. Behind the first nothing is certain.
    pub endpoints: Vec<Endpoint>,
}

/// A direction's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many frames.
    pub frames: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// One client of a port, as the console shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The switch's number for it, for `port/epclose`.
    pub id: u32,
    /// Its own words, printable.
    pub description: String,
}

/// The numbered end of an answer: 1000 is success, 1NNN the error NNN (errno(3)). None: it was cut off.
#[must_use]
pub fn status(answer: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(answer);
    let last = text.lines().rev().find(|line| !line.trim().is_empty() && line.trim() != "vde$")?;
    last.split_whitespace().next()?.parse().ok().filter(|number| (1000..2000).contains(number))
}

/// The lines of an answer's data; none where it has no data.
#[must_use]
pub fn data(answer: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answer);
    let lines = text.lines().skip_while(|line| !line.starts_with("0000 DATA END WITH")).skip(1);
    let printable = |line: &str| line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    lines.take_while(|line| *line != ".").map(printable).collect()
}

/// The port in the answer to `port/print N`; none if it is none.
#[must_use]
pub fn port(answer: &[u8]) -> Option<PortView> {
    let lines = data(answer);
    let [head, user, came, went, rest @ ..] = lines.as_slice() else { return None };
    let mut words = head.split_whitespace();
    let number = words.next().filter(|word| *word == "Port").and_then(|_| words.next())?.parse().ok()?;
    let vlan = words.next()?.strip_prefix("untagged_vlan=")?.parse().ok()?;
    let active = words.next()? == "ACTIVE";
    let user = user.trim_start().strip_prefix("Current User: ")?.split(" Access Control:").next()?;
    Some(PortView {
        number,
        active,
        vlan,
        user: (user != "NONE").then(|| user.to_owned()),
        came: traffic(came.trim_start().strip_prefix("IN:")?)?,
        went: traffic(went.trim_start().strip_prefix("OUT:")?)?,
        endpoints: rest.iter().filter_map(|line| endpoint(line)).collect(),
    })
}

fn traffic(words: &str) -> Option<Traffic> {
    let mut words = words.split_whitespace();
    let mut value = |key| words.next().filter(|word| *word == key).and_then(|_| words.next()?.parse().ok());
    Some(Traffic { frames: value("pkts")?, bytes: value("bytes")? })
}

fn endpoint(line: &str) -> Option<Endpoint> {
    let rest = line.trim_start().strip_prefix("-- endpoint ID ")?;
    let (id, rest) = rest.split_once(' ')?;
    let description = rest.split_once(": ").map_or("", |(_, words)| words);
    Some(Endpoint { id: id.parse().ok()?, description: description.to_owned() })
}

/// Which MAC was last seen at which port, from the answer to `hash/print`.
#[must_use]
pub fn addresses(answer: &[u8]) -> Vec<(MacAddr, u32)> {
    let seen = |line: &String| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let behind = |key: &str| words.iter().position(|word| *word == key).and_then(|at| words.get(at + 1));
        Some((behind("Addr:")?.parse().ok()?, behind("port:")?.parse().ok()?))
    };
    data(answer).iter().filter_map(seen).collect()
}

/// The switch itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchView {
    /// Its number of ports as it counts them: Debian's numbers them from 1 to one less.
    pub ports: u32,
    /// Every frame goes to every port.
    pub hub: bool,
}

/// The switch, from the answer to `port/showinfo`; none if that is none.
#[must_use]
pub fn switch(answer: &[u8]) -> Option<SwitchView> {
    let lines = data(answer);
    let value = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    Some(SwitchView { ports: value("Numports")?.parse().ok()?, hub: value("HUB")?.parse().ok()? })
}

/// Does a line of the console's feed say that somebody came or went (`debug/add port`: 3021 to 3032)? Where
/// it is a client's own words, it only has somebody look.
#[must_use]
pub fn tells_of_a_port(heard: &[u8]) -> bool {
    let marks: [&[u8]; 4] = [b"3021 ", b"3022 ", b"3031 ", b"3032 "];
    heard.split(|byte| *byte == b'\n').any(|line| marks.iter().any(|mark| line.starts_with(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: &[u8] = b"0000 DATA END WITH '.'\nPort 0002 untagged_vlan=0007 ACTIVE - Unnamed Allocatable\n \
        Current User: alice Access Control: (User: NONE - Group: NONE)\n IN:  pkts          1          bytes                   64\n \
        OUT: pkts          20          bytes                    0\n  -- endpoint ID 0007 module unix prog   : one token=abc\n.\n1000 Success\n\nvde$ ";

    #[test]
    fn a_port_is_read() {
        let view = port(PORT).unwrap();
        assert_eq!((view.number, view.active, view.vlan, view.user.as_deref()), (2, true, 7, Some("alice")));
        assert_eq!(view.came, Traffic { frames: 1, bytes: 64 });
        assert_eq!(view.went, Traffic { frames: 20, bytes: 0 });
        let endpoint = Endpoint { id: 7, description: "one token=abc".to_owned() };
        assert_eq!(view.endpoints, [endpoint]);
        assert_eq!(status(PORT), Some(1000));
    }

    #[test]
    fn what_a_client_says_of_itself_changes_nothing_that_stands_before_it() {
        let text = String::from_utf8_lossy(PORT)
            .replace("one token=abc", "x\n.\n1022 Invalid\n\x1b[2J\nPort 0009 untagged_vlan=0000 ACTIVE");
        let view = port(text.as_bytes()).unwrap();
        assert_eq!((view.number, view.endpoints.len()), (2, 1));
        assert_eq!(status(text.as_bytes()), Some(1000), "the last word is the switch's");
        let text = String::from_utf8_lossy(PORT).replace("one token=abc", "\x07bell");
        assert_eq!(port(text.as_bytes()).unwrap().endpoints[0].description, "?bell");
    }

    #[test]
    fn errors_addresses_and_numbers_are_read() {
        assert_eq!(status(b"1006 No such device or address\n\nvde$ "), Some(1006));
        assert_eq!(status(b"cut off"), None);
        assert_eq!(port(b"1022 Invalid argument\n\nvde$ "), None);
        let hash = b"0000 DATA END WITH '.'\nHash: 0043 Addr: 02:00:00:00:00:01 VLAN 0000 to port: 001  age 0 secs\n.\n1000 Success\n\nvde$ ";
        assert_eq!(addresses(hash), [("02:00:00:00:00:01".parse().unwrap(), 1)]);
        let info = b"0000 DATA END WITH '.'\nNumports=8\nHUB=true\ncounters=true\n.\n1000 Success\n\nvde$ ";
        assert_eq!(switch(info), Some(SwitchView { ports: 8, hub: true }));
        assert_eq!(switch(b"0000 DATA END WITH '.'\nNumports=8\n.\n1000 Success\n\nvde$ "), None);
    }

    #[test]
    fn the_feed_tells_of_who_came_and_went_and_of_nothing_else() {
        assert!(tells_of_a_port(b"3021 port/+ 01\n3031 port/ep/+ Port 01 FD  6\n"));
        assert!(tells_of_a_port(b"x\n3032 port/ep/- Port 01 FD  6\n"));
        assert!(!tells_of_a_port(b"3023 port/descr Port 01 FD  6 -> \"3021 port/+\"\n\nvde$ "));
    }
}
