//! `[vde]`: the VDE switch that is one wire with the bridge. One of the network's own is run, or one that
//! is there already is joined.

use crate::keys;
use crate::mistake::{Fault, Found, shown};
use crate::section::{Entry, Section};
use crate::values::{must_be, number, switch, text};
use toml::de::DeValue;
use vmnet_access::vde::{Directory, MTU_MAX};
use vmnet_model::network::{MtuChoice, Vde};

/// Longest path of a socket, in bytes: `sun_path` has 108 with the final NUL (unix(7)).
const SOCKET_MAX: usize = 107;
/// Longest name of a group, in bytes (useradd(8)).
const GROUP_MAX: usize = 32;
/// Read and write for its user: without them the switch could not be reached by us either.
const OWNER: u32 = 0o600;
/// To connect to a socket is to write to it (unix(7)).
const GROUP_WRITES: u32 = 0o020;

/// The section key by key.
pub(crate) struct SwitchEntry {
    at: Option<usize>,
    socket: Entry<Directory>,
    create: Entry<bool>,
    group: Entry<String>,
    mode: Entry<u32>,
    ports: Entry<u32>,
    hub: Entry<bool>,
    mgmt_socket: Entry<String>,
    fast_spanning_tree: Entry<bool>,
}

fn directory(key: &str, value: &DeValue<'_>) -> Result<Directory, Fault> {
    let word = text(key, value)?;
    if word.bytes().all(|byte| byte == b'/') && !word.is_empty() {
        return Err(Fault::new("the root directory cannot be a switch's"));
    }
    Directory::new(word).map_err(|why| {
        Fault::new(format!("'{key}' is '{}', and {why}", shown(word)))
            .hint("write an absolute path, such as \"/run/vde-lab\"")
    })
}

/// The path of the switch's console.
fn socket(key: &str, value: &DeValue<'_>) -> Result<String, Fault> {
    let word = text(key, value)?;
    let wrong = |why: String| {
        Fault::new(format!("'{}' is not the path of a socket: {why}", shown(word)))
            .hint("write an absolute path, such as \"/run/vde-lab-console/mgmt\"")
    };
    if !word.starts_with('/') || word.ends_with('/') {
        return Err(wrong("it begins with '/' and does not end with one".to_owned()));
    }
    if word.len() > SOCKET_MAX {
        return Err(wrong(format!("it has at most {SOCKET_MAX} bytes, this one has {}", word.len())));
    }
    if word.chars().any(char::is_control) {
        return Err(wrong("a control character is in it".to_owned()));
    }
    Ok(word.to_owned())
}

/// A name that /etc/group can have. Whether it does is for `up` to find out.
fn group(key: &str, value: &DeValue<'_>) -> Result<String, Fault> {
    let word = text(key, value)?;
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let legal = (1..=GROUP_MAX).contains(&word.len()) && word.bytes().all(inner) && !word.starts_with('-');
    if legal && !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(word.to_owned());
    }
    Err(Fault::new(format!("'{}' is not a group's name", shown(word)))
        .hint("write up to 32 letters, digits, '_', '.' and '-', not digits alone, such as \"vde2-net\""))
}

/// Permissions of a socket, in octal digits as chmod(1) takes them.
fn mode(key: &str, value: &DeValue<'_>) -> Result<u32, Fault> {
    let form = "write it in quotes, such as \"0660\" or \"0600\"";
    if value.is_integer() {
        return Err(must_be(key, "text", value).hint(form));
    }
    let word = text(key, value)?;
    let wrong = |why: &str| Fault::new(format!("'{}' is not the mode of a socket: {why}", shown(word)));
    let digits = word.bytes().all(|byte| matches!(byte, b'0'..=b'7')) && (3..=4).contains(&word.len());
    match u32::from_str_radix(word, 8).ok().filter(|_| digits) {
        None => Err(wrong("it has three or four octal digits").hint(form)),
        Some(mode) if mode & !0o666 != 0 => Err(wrong("only reading and writing can be granted").hint(form)),
        Some(mode) if mode & OWNER != OWNER => Err(wrong("its owner must read and write").hint(form)),
        Some(mode) => Ok(mode),
    }
}

fn ports(key: &str, value: &DeValue<'_>) -> Result<u32, Fault> {
    number(key, "a whole number", keys::PORTS, value)
}

impl SwitchEntry {
    pub(crate) fn take(top: &Section<'_, '_>, found: &mut Vec<Found>) -> Self {
        let vde = top.inner(&keys::VDE, found);
        Self {
            at: top.begins(&keys::VDE),
            socket: vde.one("socket", directory, found),
            create: vde.one("create", switch, found),
            group: vde.one("group", group, found),
            mode: vde.one("mode", mode, found),
            ports: vde.one("ports", ports, found),
            hub: vde.one("hub", switch, found),
            mgmt_socket: vde.one("mgmt_socket", socket, found),
            fast_spanning_tree: vde.one("fast_spanning_tree", switch, found),
        }
    }

    /// The byte where the section begins, if the file has it.
    pub(crate) fn at(&self) -> Option<usize> {
        self.at
    }

    /// Is the switch the network's own? None where a mistake leaves it open.
    fn is_own(&self) -> Option<bool> {
        match (&self.create, &self.socket) {
            (Entry::Given(create, _), _) => Some(*create),
            (Entry::Wrong, _) => None,
            (Entry::Absent, Entry::Absent) => Some(true),
            (Entry::Absent, Entry::Given(..) | Entry::Wrong) => Some(false),
        }
    }

    /// Note what its keys have against each other.
    pub(crate) fn contradictions(&self, found: &mut Vec<Found>) {
        if let (Some((false, at)), Entry::Absent) = (self.create.given(), &self.socket) {
            let fault = Fault::new("'vde.create' is false, and no switch to join is named");
            found.push((at, fault.hint("write its directory in 'socket', or leave 'create' out")));
        } else if self.is_own() == Some(false) {
            for (key, at) in self.only_of_own() {
                let fault = Fault::new(format!("'vde.{key}' means nothing for a switch that is joined"));
                found.push((at, fault.hint("leave it out, or set create = true for a switch of its own")));
            }
        } else if let (Some((group, _)), Some((mode, at))) = (self.group.given(), self.mode.given())
            && mode & GROUP_WRITES == 0
        {
            let fault = Fault::new(format!("mode 0{mode:o} keeps group '{group}' out"));
            found.push((at, fault.hint("set mode = \"0660\", or leave 'group' out")));
        }
        if self.is_own() == Some(true)
            && let (Some((socket, _)), Some((console, at))) = (self.socket.given(), self.mgmt_socket.given())
            && console.rsplit_once('/').is_some_and(|(directory, _)| directory == socket.as_str())
        {
            let fault = Fault::new("the switch's console cannot be where its group comes in");
            found
                .push((at, fault.hint(format!("give it a directory of its own: \"{socket}-console/mgmt\""))));
        }
    }

    /// The keys that are about running a switch, and where they are.
    fn only_of_own(&self) -> impl Iterator<Item = (&'static str, usize)> {
        fn place<T>(key: &'static str, entry: &Entry<T>) -> Option<(&'static str, usize)> {
            entry.given().map(|(_, at)| (key, at))
        }
        [
            place("group", &self.group),
            place("mode", &self.mode),
            place("ports", &self.ports),
            place("hub", &self.hub),
            place("fast_spanning_tree", &self.fast_spanning_tree),
        ]
        .into_iter()
        .flatten()
    }

    /// The switch, with the default for each key that is not there; none without the section.
    pub(crate) fn into_vde(self) -> Option<Vde> {
        self.at?;
        let create = self.is_own().unwrap_or(Vde::DEFAULT.create);
        Some(Vde {
            create,
            socket: self.socket.value(),
            group: self.group.value(),
            mode: self.mode.value().unwrap_or(Vde::DEFAULT.mode),
            ports: self.ports.value().unwrap_or(Vde::DEFAULT.ports),
            hub: self.hub.value().unwrap_or(Vde::DEFAULT.hub),
            mgmt_socket: self.mgmt_socket.value(),
            fast_spanning_tree: self.fast_spanning_tree.value().unwrap_or(Vde::DEFAULT.fast_spanning_tree),
        })
    }
}

/// What a network cannot have whose switch begins at byte `there`: the guests behind it have one port of
/// the bridge together.
pub(crate) fn unfit(
    there: usize,
    apart: &Entry<bool>,
    guard: &Entry<bool>,
    rates: [(&'static str, &Entry<u64>); 2],
    mtu: &Entry<MtuChoice>,
    found: &mut Vec<Found>,
) {
    let is_on = |entry: &Entry<bool>| entry.given().filter(|(is, _)| **is).map(|(_, at)| at);
    let one_by_one = [
        is_on(apart).map(|at| ("isolated", "kept apart", at)),
        is_on(guard).map(|at| ("guard", "guarded", at)),
    ];
    let rates =
        rates.into_iter().filter_map(|(key, entry)| entry.given().map(|(_, at)| (key, "limited", at)));
    for (key, what, at) in one_by_one.into_iter().flatten().chain(rates) {
        let fault = Fault::new(format!(
            "guests at a VDE switch share one port of the bridge and cannot be {what} one by one"
        ));
        found.push((at, fault.hint(format!("leave '{key}' out, or do without VDE")).see(there)));
    }
    if let Some((MtuChoice::Fixed(mtu), at)) = mtu.given()
        && *mtu > MTU_MAX
    {
        let fault = Fault::new(format!(
            "an MTU of {mtu} is too large for a VDE switch, which cuts packets off after {MTU_MAX} bytes"
        ));
        found.push((at, fault.hint(format!("set mtu = {MTU_MAX}, or do without VDE")).see(there)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::lab;
    use crate::read;

    fn vde(section: &str) -> Vde {
        read(lab(), "f", &format!("[vde]\n{section}\n")).unwrap().vde.unwrap()
    }

    #[test]
    fn an_empty_section_is_a_switch_of_the_networks_own() {
        assert_eq!(vde(""), Vde::DEFAULT);
        assert_eq!(read(lab(), "f", "").unwrap().vde, None);
    }

    #[test]
    fn a_switch_that_is_named_is_joined_unless_the_file_says_otherwise() {
        let named = vde("socket = '/run/vde/'");
        assert_eq!(named.socket.map(|socket| socket.to_string()).as_deref(), Some("/run/vde"));
        assert!(!named.create);
        assert!(vde("socket = '/run/vde'\ncreate = true").create);
    }

    #[test]
    fn a_mode_is_octal_with_or_without_its_zero() {
        assert_eq!((vde("mode = '660'").mode, vde("mode = '0606'").mode), (0o660, 0o606));
    }

    #[test]
    fn the_names_of_others_lead_to_keys_that_there_are() {
        for (old, ours) in keys::OLD_NAMES {
            assert!(keys::VDE.names().contains(ours), "{ours}");
            let mistakes = read(lab(), "f", &format!("vde.{old} = 1")).unwrap_err();
            let hints: Vec<_> = mistakes.iter().filter_map(|mistake| mistake.hint.as_deref()).collect();
            assert_eq!(hints, [format!("here it is called '{ours}'")], "{old}");
        }
    }
}
