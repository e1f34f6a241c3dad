//! The older iptables' filter tables, read straight from the kernel, and heard of by the lock file
//! that iptables-legacy(8) takes for each change, because the kernel announces none.

mod read;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use std::fs;
use std::io;
use std::mem::align_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use vmnet_model::other_firewalls::{Family, SeenChain};
use vmnet_sys::sockopt;

/// The names of the tables that exist; reading them makes none (net/netfilter/x_tables.c).
const NAMES: [(Family, &str); 2] =
    [(Family::Ip, "/proc/net/ip_tables_names"), (Family::Ip6, "/proc/net/ip6_tables_names")];
/// The only table of the older iptables that is for refusing.
const TABLE: &[u8] = b"filter";
// include/uapi/linux/netfilter_ipv4/ip_tables.h; the same numbers in ip6_tables.h
const SO_GET_INFO: libc::c_int = 64;
const SO_GET_ENTRIES: libc::c_int = 65;
/// struct ipt_getinfo
const INFO: usize = 84;
/// Larger tables than this are not looked at: ten thousands of rules.
const ENTRIES_MAX: usize = 16 << 20;
/// Somebody may change the table between its two questions; so often they are asked.
const TRIES: usize = 5;

/// Every chain of the older filter tables with its rules; empty where these tables are not in use,
/// and for all but root.
///
/// # Errors
/// The kernel's answer.
pub fn chains() -> io::Result<Vec<SeenChain>> {
    let mut chains = Vec::new();
    for (family, names) in NAMES {
        let names = fs::read(names).unwrap_or_default();
        if names.split(|byte| *byte == b'\n').any(|name| name == TABLE) {
            chains.extend(table(family)?);
        }
    }
    Ok(chains)
}

fn table(family: Family) -> io::Result<Vec<SeenChain>> {
    let (domain, level) = match family {
        Family::Ip6 => (AddressFamily::Inet6, libc::IPPROTO_IPV6),
        _ => (AddressFamily::Inet, libc::IPPROTO_IP),
    };
    let socket = socket(domain, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)?;
    for _ in 0..TRIES {
        let mut info = vec![0; INFO];
        name_in(&mut info);
        sockopt::ask(&socket, level, SO_GET_INFO, &mut info)?;
        let info = read::Info::new(&info).ok_or_else(|| io::Error::other("broken answer of iptables"))?;
        if info.size > ENTRIES_MAX {
            return Err(io::Error::other("iptables' table is too large"));
        }
        // struct ipt_get_entries: name, size, and the entries at their own alignment.
        let start = 36_usize.next_multiple_of(align_of::<u64>());
        let mut entries = vec![0; start + info.size];
        name_in(&mut entries);
        let size = u32::try_from(info.size).map_err(io::Error::other)?;
        if let Some(field) = entries.get_mut(32..36) {
            field.copy_from_slice(&size.to_ne_bytes());
        }
        match sockopt::ask(&socket, level, SO_GET_ENTRIES, &mut entries) {
            // The table has another size by now.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(read::chains(family, &info, entries.get(start..).unwrap_or_default())),
        }
    }
    Err(io::Error::other("iptables' table keeps changing"))
}

fn name_in(buffer: &mut [u8]) {
    if let Some(field) = buffer.get_mut(..TABLE.len()) {
        field.copy_from_slice(TABLE);
    }
}

/// Where iptables-legacy's lock is (`XT_LOCK_NAME` in iptables/xshared.h).
const LOCK_DIRECTORY: &str = "/run";
const LOCK: &str = "xtables.lock";

/// Hears each iptables-legacy(8) that ends, in whichever network namespace it worked; readable when
/// one may have.
#[derive(Debug)]
pub struct Events {
    inotify: Inotify,
}

impl Events {
    /// Begin to listen. Look after this, not before.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn open() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        inotify.add_watch(LOCK_DIRECTORY, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)?;
        let events = Self { inotify };
        events.watch_lock();
        Ok(events)
    }

    /// The file itself, once there is one: /run has many others.
    fn watch_lock(&self) {
        let closed = AddWatchFlags::IN_CLOSE;
        let _ = self.inotify.add_watch(format!("{LOCK_DIRECTORY}/{LOCK}").as_str(), closed);
    }

    /// Has any iptables-legacy ended since the last call? Does not wait.
    ///
    /// # Errors
    /// The descriptor is broken.
    pub fn drain(&self) -> io::Result<bool> {
        let mut heard = false;
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(nix::errno::Errno::EAGAIN) => return Ok(heard),
                Err(errno) => return Err(errno.into()),
            };
            for event in events {
                let made = event.name.as_deref().is_some_and(|name| name == LOCK);
                if made {
                    self.watch_lock();
                }
                heard |= made || event.name.is_none();
            }
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
