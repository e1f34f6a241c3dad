//! The names of those who hold ports on a switch: what their sockets are called, and what they are
//! known by at the switch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Who holds a port on a switch that we asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VdePortTag {
    /// The caller's real user id; the pump's own for a pump.
    pub uid: u32,
    /// The process that it was made for.
    pub pid: u32,
    /// What tells two of one process from each other: chosen at random.
    pub token: u32,
}

/// The directory of their sockets, in a network's run directory: root's, so that nobody else removes or
/// renames one.
pub const PLUGS_DIR: &str = "plugs";
/// The ending of the socket that carries frames.
pub const DATA_ENDING: &str = ".data";
/// The ending of the socket that keeps the port.
pub const HOLD_ENDING: &str = ".hold";
/// The ending of the connection that the switch knows the port by, which lies in that socket's queue.
pub const CONTROL_ENDING: &str = ".ctl";

impl VdePortTag {
    /// The first part of all sockets' names: `UID-PID-TOKEN`.
    #[must_use]
    pub fn name(self) -> String {
        format!("{}-{}-{:08x}", self.uid, self.pid, self.token)
    }

    /// The name read back, without its ending.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let tag = Self {
            uid: parts.next()?.parse().ok()?,
            pid: parts.next()?.parse().ok()?,
            token: u32::from_str_radix(parts.next()?, 16).ok()?,
        };
        // One way to write each.
        (tag.name() == name).then_some(tag)
    }

    /// Whose socket has this name: for frames, the one that keeps the port, or the control connection.
    #[must_use]
    pub fn of_socket(name: &str) -> Option<Self> {
        let endings = [DATA_ENDING, HOLD_ENDING, CONTROL_ENDING];
        endings.iter().find_map(|ending| Self::parse(name.strip_suffix(ending)?))
    }

    /// Whose socket for frames is at this path, which must be in this directory.
    #[must_use]
    pub fn of_data_socket(path: &Path, directory: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(DATA_ENDING)?;
        (path.parent() == Some(directory)).then(|| Self::parse(name)).flatten()
    }

    /// Of these, to which a switch's sockets lead by their names, is it for certain a granted port's? Those that
    /// are held are root's; in a mount namespace, others may call a socket of theirs the same.
    #[must_use]
    pub fn is_certain(&self, all: &[Self], held: &BTreeSet<Self>) -> bool {
        held.contains(self) && all.iter().filter(|other| *other == self).count() == 1
    }

    /// What the switch shows of it. Anybody could say the same of himself: it only counts beside the
    /// socket of that name.
    #[must_use]
    pub fn description(self) -> String {
        format!("vmnet {}", self.name())
    }

    /// The description read back.
    #[must_use]
    pub fn described(description: &str) -> Option<Self> {
        Self::parse(description.strip_prefix("vmnet ")?)
    }
}

/// The sockets of one who holds a port, as the kernel knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The user, process and token that hold it.
    pub tag: VdePortTag,
    /// The inode of the socket that carries frames.
    pub data: u64,
    /// The inode of the socket that keeps the port.
    pub hold: u64,
}

/// The names of sockets that are bound in this directory, with their inodes, by the kernel's list of
/// sockets (`/proc/net/unix`: seven columns and the path, `unix_seq_show` in net/unix/af_unix.c).
pub fn bound<'a>(sockets: &'a str, directory: &str) -> impl Iterator<Item = (&'a str, u64)> {
    sockets.lines().filter_map(move |line| {
        let mut columns = line.splitn(8, ' ').skip(6);
        let (inode, path) = line_end(&mut columns)?;
        Some((path.strip_prefix(directory)?.strip_prefix('/')?, inode))
    })
}

/// Those who still hold the socket for frames and the one that keeps the port, by the same list: they can be
/// plugged in again.
#[must_use]
pub fn held(sockets: &str, directory: &str) -> Vec<Held> {
    let (mut data, mut hold) = (BTreeMap::new(), BTreeMap::new());
    for (name, inode) in bound(sockets, directory) {
        for (ending, sockets) in [(DATA_ENDING, &mut data), (HOLD_ENDING, &mut hold)] {
            if let Some(tag) = name.strip_suffix(ending).and_then(VdePortTag::parse) {
                sockets.insert(tag, inode);
            }
        }
    }
    let both =
        |(tag, data): (&VdePortTag, &u64)| Some(Held { tag: *tag, data: *data, hold: *hold.get(tag)? });
    data.iter().filter_map(both).collect()
}

/// Inode and path: the one is set right in five columns, and spaces may be in the other.
fn line_end<'a>(columns: &mut impl Iterator<Item = &'a str>) -> Option<(u64, &'a str)> {
    let first = columns.next()?;
    if !first.is_empty() {
        return Some((first.parse().ok()?, columns.next()?));
    }
    let (inode, path) = columns.next()?.trim_start().split_once(' ')?;
    Some((inode.parse().ok()?, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_holds_a_port_is_in_the_kernels_list() {
        let list = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 80472852 /run/vmnet/lab/vde/ctl\n\
            0000000000000000: 00000003 00000000 00000000 0002 03 80471815 /run/vmnet/lab/plugs/7-8-0000000a.data\n\
            0000000000000000: 00000003 00000000 00000000 0002 03   819 /run/vmnet/lab/plugs/7-8-0000000a.hold\n\
            0000000000000000: 00000003 00000000 00000000 0002 03   820 /run/vmnet/lab/plugs/7-9-0000000a.data\n\
            0000000000000000: 00000003 00000000 00000000 0002 03   821 /elsewhere/plugs/7-9-0000000a.hold\n\
            0000000000000000: 00000003 00000000 00000000 0002 03 80471\n";
        let tag = VdePortTag { uid: 7, pid: 8, token: 10 };
        let expected = [Held { tag, data: 80_471_815, hold: 819 }];
        assert_eq!(held(list, "/run/vmnet/lab/plugs"), expected);
    }

    proptest! {
        #[test]
        fn no_list_makes_the_reader_fall_over(list in "([ -~]{0,60}\n){0,4}") {
            let _ = held(&list, "/run");
        }

        #[test]
        fn a_name_reads_back(uid: u32, pid: u32, token: u32) {
            let tag = VdePortTag { uid, pid, token };
            prop_assert_eq!(VdePortTag::parse(&tag.name()), Some(tag));
            prop_assert_eq!(VdePortTag::described(&tag.description()), Some(tag));
            for ending in [DATA_ENDING, HOLD_ENDING, CONTROL_ENDING] {
                prop_assert_eq!(VdePortTag::of_socket(&(tag.name() + ending)), Some(tag));
            }
            prop_assert_eq!(VdePortTag::of_socket(&tag.name()), None);
        }

        #[test]
        fn no_name_makes_the_reader_fall_over(name in "[ -~]{0,40}") {
            if let Some(tag) = VdePortTag::parse(&name) {
                prop_assert_eq!(tag.name(), name);
            }
        }
    }
}
