//! Sockets in other processes' hands, by their inodes, and copies of them.

use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use vmnet_access::vde_port_tag::Held;
use vmnet_sys::process::{self, Process};

/// Who holds which socket: a process and its number for it.
#[derive(Debug, Default)]
pub struct Descriptors(BTreeMap<u64, (u32, RawFd)>);

impl Descriptors {
    /// Those of these holders: with the process that each was made for, else with any.
    pub fn of(holders: &[Held]) -> Self {
        let mut found = Self::default();
        for holder in holders {
            found.look_at(holder.tag.pid, |inode| inode == holder.data || inode == holder.hold);
        }
        let wanted: Vec<u64> = holders.iter().flat_map(|holder| [holder.data, holder.hold]).collect();
        if wanted.iter().all(|inode| found.0.contains_key(inode)) {
            return found;
        }
        process::all().for_each(|pid| found.look_at(pid, |inode| wanted.contains(&inode)));
        found
    }

    fn look_at(&mut self, pid: u32, is_wanted: impl Fn(u64) -> bool) {
        for (number, target) in process::descriptors(pid) {
            let inode = target.to_str().and_then(socket_inode);
            if let Some(inode) = inode.filter(|inode| is_wanted(*inode)) {
                self.0.entry(inode).or_insert((pid, number));
            }
        }
    }

    /// A copy of a socket. None if nobody has it any more.
    pub fn copy(&self, inode: u64) -> io::Result<Option<OwnedFd>> {
        let Some((pid, number)) = self.0.get(&inode) else { return Ok(None) };
        let Ok(process) = Process::watch(Pid::from_raw(pid.cast_signed())) else { return Ok(None) };
        let copy = File::from(process.descriptor(*number)?);
        // The holder may have put something else there meanwhile.
        Ok((copy.metadata()?.ino() == inode).then(|| copy.into()))
    }
}

/// `socket:[INODE]` (proc_pid_fd(5)).
fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;
    use vmnet_access::vde_port_tag::VdePortTag;

    fn inode(socket: &UnixDatagram) -> u64 {
        File::from(socket.as_fd().try_clone_to_owned().unwrap()).metadata().unwrap().ino()
    }

    #[test]
    fn a_socket_is_found_with_whoever_has_it() {
        let (one, two) = UnixDatagram::pair().unwrap();
        let (data, hold) = (inode(&one), inode(&two));
        for pid in [std::process::id(), 1] {
            let tag = VdePortTag { uid: 0, pid, token: 0 };
            let found = Descriptors::of(&[Held { tag, data, hold }]);
            let copy = UnixDatagram::from(found.copy(data).unwrap().unwrap());
            assert_eq!(inode(&copy), data, "looked for with process {pid}");
            assert!(found.copy(0).unwrap().is_none());
        }
    }
}
