//! Network namespaces by descriptor: what they are, whose (ioctl_ns(2)), and sockets that belong to one
//! of them, through which everything there is done: nobody has to stay in it.

use crate::netlink::Netlink;
use crate::packet::Packets;
use crate::process::Process;
use crate::seqpacket::Channel;
use crate::worker;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

// NSIO is 0xb7 (include/uapi/linux/nsfs.h); none of them carries an argument in its number.
const NS_GET_USERNS: libc::c_ulong = 0xb701;
const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
const NS_GET_OWNER_UID: libc::c_ulong = 0xb704;

/// How long the child may take that makes the sockets.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest host name with its NUL (__NEW_UTS_LEN).
const HOST_NAME_SIZE: usize = 65;
/// How long to wait before a lock is asked for again.
const LOCK_STEP: Duration = Duration::from_millis(5);

/// Is what this descriptor leads to a network namespace?
///
/// # Errors
/// The kernel's answer to something else than a namespace counts as no; any other is an error.
pub fn is_network(descriptor: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: a number and no argument.
    match Errno::result(unsafe { libc::ioctl(descriptor.as_raw_fd(), NS_GET_NSTYPE) }) {
        Ok(kind) => Ok(kind == libc::CLONE_NEWNET),
        Err(Errno::ENOTTY | Errno::EINVAL | Errno::ENODEV) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The user to whom the user namespace belongs that owns a network namespace: whoever made it, and
/// so may do there whatever root may do here.
///
/// # Errors
/// The kernel's: EPERM where that user namespace is none below ours.
pub fn owner(network: BorrowedFd<'_>) -> io::Result<u32> {
    let space = owning(network)?;
    let mut uid: libc::uid_t = u32::MAX;
    // SAFETY: the kernel writes one uid_t.
    Errno::result(unsafe { libc::ioctl(space.as_raw_fd(), NS_GET_OWNER_UID, &raw mut uid) })?;
    Ok(uid)
}

/// The user namespace that owns it.
fn owning(network: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // SAFETY: a number and no argument; the answer is a new descriptor.
    let fd = Errno::result(unsafe { libc::ioctl(network.as_raw_fd(), NS_GET_USERNS) })?;
    // SAFETY: the kernel just gave us this descriptor, close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::from(fd)) })
}

/// Which namespace it is, as long as it is held: no two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// By which numbers a namespace is known: those of its file.
///
/// # Errors
/// fstat(2) failed.
pub fn identity(namespace: BorrowedFd<'_>) -> io::Result<Identity> {
    let status = fstat(namespace)?;
    Ok(Identity { device: status.st_dev, inode: status.st_ino })
}

/// A network namespace that is held open.
#[derive(Debug)]
pub struct Space {
    network: OwnedFd,
    /// The namespace of its process's host name.
    names: Option<OwnedFd>,
}

/// What is needed to work on a namespace's links.
#[derive(Debug)]
pub struct Inside {
    /// A socket of its own for its links, addresses and routes.
    pub netlink: Netlink,
    /// What its process calls the host, where that is another name than ours could be.
    pub host_name: Option<String>,
}

impl Space {
    /// Our own: this thread's.
    ///
    /// # Errors
    /// /proc is not there.
    pub fn own() -> io::Result<Self> {
        Self::at(Path::new("/proc/thread-self/ns/net"))
    }

    /// That of a process. It is this process's, and not one's that has its number by now.
    ///
    /// # Errors
    /// The process has ended, or we may not look at it (ptrace(2), `PTRACE_MODE_READ_FSCREDS`).
    pub fn of(process: &Process) -> io::Result<Self> {
        let directory = format!("/proc/{}/ns", process.pid());
        let network = open_namespace(Path::new(&format!("{directory}/net")))?;
        // Not every kernel has them.
        let names = open_namespace(Path::new(&format!("{directory}/uts"))).ok();
        // It lived until now, so its number was its own.
        if process.has_ended() {
            return Err(Errno::ESRCH.into());
        }
        let ours = open_namespace(Path::new("/proc/self/ns/uts")).ok();
        let which = |names: &Option<OwnedFd>| names.as_ref().and_then(|names| identity(names.as_fd()).ok());
        let others = which(&names) != which(&ours);
        Ok(Self { network, names: names.filter(|_| others) })
    }

    /// The one at this path.
    ///
    /// # Errors
    /// It cannot be opened. [`is_network`] says whether it is one.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { network: open_namespace(path)?, names: None })
    }

    /// Which namespace it is.
    ///
    /// # Errors
    /// fstat(2) failed.
    pub fn identity(&self) -> io::Result<Identity> {
        identity(self.as_fd())
    }

    /// Wait until nobody else of us is at work in it, at most for `limit`: false if somebody still is. A
    /// namespace is locked like a file, and everybody who can open it can; so this is a courtesy between
    /// well-meaning programs, and no more. It lasts as long as this value.
    ///
    /// # Errors
    /// flock(2) failed.
    pub fn take_turn(&self, limit: Duration) -> io::Result<bool> {
        let end = Instant::now() + limit;
        loop {
            match lock(self.as_fd()) {
                Ok(()) => return Ok(true),
                Err(Errno::EWOULDBLOCK) if Instant::now() < end => std::thread::sleep(LOCK_STEP),
                Err(Errno::EWOULDBLOCK) => return Ok(false),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// A socket for its links, and its host name. To be called while there is one thread only.
    ///
    /// # Errors
    /// The kernel's: EPERM where neither our rights nor our user namespaces lead in.
    pub fn inside(&self) -> io::Result<Inside> {
        let netlink = Netlink::of(self.socket(|| Ok(Netlink::open()?.into()))?);
        Ok(Inside { netlink, host_name: self.host_name()? })
    }

    /// A socket for frames, as [`Space::inside`]. It is apart because the kernel takes some milliseconds
    /// to close it (`packet_release` in net/packet/af_packet.c waits for all processors).
    ///
    /// # Errors
    /// As [`Space::inside`].
    pub fn packets(&self) -> io::Result<Packets> {
        self.socket(|| Ok(Packets::open()?.into())).map(Packets::of)
    }

    /// A socket that is made within, where it then belongs. Whose rights are enough goes in and comes
    /// back; others send a child, which cannot.
    fn socket(&self, make: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<OwnedFd> {
        let own = Self::own()?;
        match enter(self.as_fd(), libc::CLONE_NEWNET) {
            Ok(()) => {
                let made = make();
                enter(own.as_fd(), libc::CLONE_NEWNET)?;
                made
            }
            Err(Errno::EPERM) => {
                let (made, _) = by_child(|| {
                    // Who may do anything there may do nothing here: that takes the rights of there.
                    enter(owning(self.as_fd())?.as_fd(), libc::CLONE_NEWUSER)?;
                    enter(self.as_fd(), libc::CLONE_NEWNET)?;
                    Ok((Some(make()?), Vec::new()))
                })?;
                made.ok_or_else(|| io::ErrorKind::InvalidData.into())
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// What its process calls the host; none if we may not know, or it is our own name.
    fn host_name(&self) -> io::Result<Option<String>> {
        let Some(names) = &self.names else { return Ok(None) };
        let (_, name) = by_child(|| {
            let entered = enter(names.as_fd(), libc::CLONE_NEWUTS).or_else(|_| {
                enter(owning(self.as_fd())?.as_fd(), libc::CLONE_NEWUSER)?;
                enter(names.as_fd(), libc::CLONE_NEWUTS)
            });
            let name = nix::sys::utsname::uname()?.nodename().as_encoded_bytes().to_vec();
            Ok((None, if entered.is_ok() { name } else { Vec::new() }))
        })?;
        Ok(String::from_utf8(name).ok().filter(|name| !name.is_empty()))
    }
}

/// A descriptor and some bytes, made by a child of ours.
fn by_child(
    make: impl FnOnce() -> io::Result<(Option<OwnedFd>, Vec<u8>)>,
) -> io::Result<(Option<OwnedFd>, Vec<u8>)> {
    let (ours, theirs) = Channel::pair()?;
    ours.limit_waits(PATIENCE)?;
    let child = worker::start(|| {
        let sent = match make() {
            Ok((made, bytes)) => {
                let descriptors: Vec<BorrowedFd<'_>> = made.iter().map(OwnedFd::as_fd).collect();
                theirs.send(&said(0, &bytes), &descriptors)
            }
            Err(error) => theirs.send(&said(error.raw_os_error().unwrap_or(libc::EIO), &[]), &[]),
        };
        u8::from(sent.is_err())
    })?;
    drop(theirs);
    let message = ours.receive(size_of::<i32>() + HOST_NAME_SIZE, 1);
    child.wait()?;
    let message = message?;
    let (number, bytes) = message.bytes.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
    match i32::from_ne_bytes(*number) {
        0 => Ok((message.descriptors.into_iter().next(), bytes.to_vec())),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

impl AsFd for Space {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.network.as_fd()
    }
}

/// Hold the process of this number.
///
/// # Errors
/// There is none.
pub fn process(pid: u32) -> io::Result<Process> {
    Process::watch(Pid::from_raw(i32::try_from(pid).map_err(|_| Errno::ESRCH)?))
}

fn open_namespace(path: &Path) -> io::Result<OwnedFd> {
    // A path that a user named may be a FIFO that nobody writes to.
    Ok(open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY, Mode::empty())?)
}

fn said(number: i32, name: &[u8]) -> Vec<u8> {
    number.to_ne_bytes().iter().chain(name).copied().collect()
}

fn enter(namespace: BorrowedFd<'_>, kind: libc::c_int) -> Result<(), Errno> {
    // SAFETY: a descriptor and a number.
    Errno::result(unsafe { libc::setns(namespace.as_raw_fd(), kind) }).map(drop)
}

/// Lock it until the open file that this descriptor means is closed.
fn lock(descriptor: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: a descriptor and a number.
    Errno::result(unsafe { libc::flock(descriptor.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }).map(drop)
}

/// Are we in the machine's first user namespace, whose root is root everywhere? It has a number of its own
/// (PROC_USER_INIT_INO in include/linux/proc_ns.h). Where that cannot be seen: no.
#[must_use]
pub fn is_first_of_users() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/user").is_ok_and(|space| space.ino() == 0xefff_fffd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_network_namespace_is_known_and_so_is_its_owner() {
        let net = File::open("/proc/self/ns/net").unwrap();
        assert!(is_network(net.as_fd()).unwrap());
        assert!(!is_network(File::open("/proc/self/ns/mnt").unwrap().as_fd()).unwrap());
        assert!(!is_network(File::open("/dev/null").unwrap().as_fd()).unwrap());
        assert!(owner(net.as_fd()).is_ok_and(|uid| uid != u32::MAX));
    }

    #[test]
    fn a_namespace_is_itself_and_a_process_that_ended_has_none() {
        let own = Space::own().unwrap();
        let process = process(std::process::id()).unwrap();
        assert_eq!(Space::of(&process).unwrap().identity().unwrap(), own.identity().unwrap());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = super::process(child.id()).unwrap();
        child.wait().unwrap();
        assert!(Space::of(&gone).is_err());
    }

    #[test]
    fn only_one_at_a_time_has_its_turn() {
        // The process's own, which no other test locks, would do; but who knows what runs beside.
        let file = tempfile::NamedTempFile::new().unwrap();
        let hold = || Space { network: File::open(file.path()).unwrap().into(), names: None };
        let (one, two) = (hold(), hold());
        assert!(one.take_turn(Duration::ZERO).unwrap());
        assert!(!two.take_turn(Duration::from_millis(20)).unwrap());
        drop(one);
        assert!(two.take_turn(Duration::ZERO).unwrap());
    }
}
