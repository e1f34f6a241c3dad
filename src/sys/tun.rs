//! Making a TAP. It is not persistent: it lives as long as somebody holds its descriptor.

use crate::privilege::Shed;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use vmnet_access::name::IfName;

nix::ioctl_readwrite_bad!(
    /// Bind the descriptor to an interface (drivers/net/tun.c, `tun_set_iff`).
    tun_set_iff,
    libc::TUNSETIFF,
    libc::ifreq
);
nix::ioctl_read_bad!(
    /// The flags that this kernel offers.
    tun_get_features,
    libc::TUNGETFEATURES,
    libc::c_uint
);

nix::ioctl_read_bad!(
    /// The name and flags of the TAP that a descriptor is bound to.
    tun_get_iff,
    libc::TUNGETIFF,
    libc::ifreq
);
nix::ioctl_write_int_bad!(
    /// Who may open it by name, with CAP_NET_ADMIN beside.
    tun_set_owner,
    libc::TUNSETOWNER
);
nix::ioctl_write_int_bad!(
    /// What whoever reads packets will do to them.
    tun_set_offload,
    libc::TUNSETOFFLOAD
);
nix::ioctl_write_int_bad!(
    /// It stays when its last descriptor goes.
    tun_set_persist,
    libc::TUNSETPERSIST
);

/// `/dev/net/tun`, open but not yet bound. Opened before privileges are shed, because some hosts
/// keep the node at 0600.
#[derive(Debug)]
pub struct TunDevice(File);

/// Open `/dev/net/tun`: blocking, as QEMU's helper hands it over.
///
/// # Errors
/// The node is missing or refused.
pub fn open() -> io::Result<TunDevice> {
    OpenOptions::new().read(true).write(true).open("/dev/net/tun").map(TunDevice)
}

/// One TAP. Dropping it removes it, unless it is kept.
#[derive(Debug)]
pub struct Tap {
    queues: Vec<File>,
    name: IfName,
}

/// What a TAP is to be.
#[derive(Clone, Copy, Debug)]
pub struct TapWish<'a> {
    /// What it is called.
    pub name: TapName<'a>,
    /// With virtio-net headers, where the kernel offers them.
    pub vnet_header: bool,
    /// It may be opened several times, once for each queue.
    pub many_queues: bool,
}

/// What a TAP is called.
#[derive(Clone, Copy, Debug)]
pub enum TapName<'a> {
    /// This, or nothing is made.
    Exactly(&'a IfName),
    /// The first, or, where that is taken, what the kernel makes of the second by putting the lowest
    /// free number for its `%d`. Looking for that number takes the kernel the longer the more links
    /// there are, and a number that was just given back would be given out at once.
    Free(&'a str, &'a str),
}

impl Tap {
    /// The name the kernel chose.
    #[must_use]
    pub fn name(&self) -> &IfName {
        &self.name
    }

    /// Its descriptors, one a queue.
    #[must_use]
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.queues.iter().map(AsFd::as_fd).collect()
    }

    /// One more queue, of a TAP that was made to have many.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn add_queue(&mut self, device: TunDevice) -> io::Result<()> {
        let mut request = request(self.name.as_bytes(), self.flags()?)?;
        // SAFETY: `request` is a whole ifreq with a NUL-terminated name.
        unsafe { tun_set_iff(device.0.as_raw_fd(), &raw mut request) }?;
        self.queues.push(device.0);
        Ok(())
    }

    /// The flags that TUNSETIFF took, as the kernel tells them.
    fn flags(&self) -> io::Result<libc::c_int> {
        let queue = self.queues.first().ok_or(io::ErrorKind::NotFound)?;
        let mut request = blank_request();
        // SAFETY: the descriptor is a TAP's and `request` is what the ioctl writes.
        unsafe { tun_get_iff(queue.as_raw_fd(), &raw mut request) }?;
        // SAFETY: TUNGETIFF fills in the flags.
        let flags = libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags }.cast_unsigned());
        Ok(flags & (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_MULTI_QUEUE))
    }

    /// Whose processes may open it by name; others need CAP_NET_ADMIN. One that has no owner is
    /// anybody's who can open /dev/net/tun, where it has room: when it may have many queues, or when it
    /// stays and nobody holds it.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn give_to(&self, owner: u32) -> io::Result<()> {
        let queue = self.queues.first().ok_or(io::ErrorKind::NotFound)?;
        // SAFETY: a TAP's descriptor and a number.
        unsafe { tun_set_owner(queue.as_raw_fd(), owner.cast_signed()) }?;
        Ok(())
    }

    /// For a program that carries its packets itself: it never waits, and gets large packets and those without
    /// a checksum as they are. For a TAP of one queue, with virtio-net headers.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn for_pump(mut self) -> io::Result<File> {
        let queue = self.queues.pop().ok_or(io::ErrorKind::NotFound)?;
        let taken = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        // SAFETY: a TAP's descriptor and a number.
        unsafe { tun_set_offload(queue.as_raw_fd(), taken.cast_signed()) }?;
        fcntl(&queue, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(queue)
    }

    /// Let it stay when nobody holds it. Give it an owner before.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn keep(&self) -> io::Result<()> {
        let queue = self.queues.first().ok_or(io::ErrorKind::NotFound)?;
        // SAFETY: a TAP's descriptor and a number.
        unsafe { tun_set_persist(queue.as_raw_fd(), 1) }?;
        Ok(())
    }
}

impl TunDevice {
    /// Make a TAP without packet information.
    ///
    /// # Errors
    /// The kernel refused: `EBUSY` or `EEXIST` where an exact name is taken.
    pub fn create(self, _root_is_gone: &Shed, wish: &TapWish<'_>) -> io::Result<Tap> {
        let mut flags = libc::IFF_TAP | libc::IFF_NO_PI;
        if wish.vnet_header && self.offers(libc::IFF_VNET_HDR)? {
            flags |= libc::IFF_VNET_HDR;
        }
        if wish.many_queues {
            flags |= libc::IFF_MULTI_QUEUE;
        }
        let request = match wish.name {
            TapName::Exactly(name) => self.set(name.as_bytes(), flags | libc::IFF_TUN_EXCL)?,
            TapName::Free(name, template) => match self.set(name.as_bytes(), flags | libc::IFF_TUN_EXCL) {
                Err(Errno::EBUSY | Errno::EEXIST) => self.set(template.as_bytes(), flags)?,
                made => made?,
            },
        };
        let name: Vec<u8> =
            request.ifr_name.iter().map(|c| c.cast_unsigned()).take_while(|b| *b != 0).collect();
        let name = IfName::new(&name).map_err(io::Error::other)?;
        Ok(Tap { queues: vec![self.0], name })
    }

    fn set(&self, name: &[u8], flags: libc::c_int) -> Result<libc::ifreq, Errno> {
        let mut request = request(name, flags).map_err(|_| Errno::EINVAL)?;
        // SAFETY: `request` is a whole ifreq with a NUL-terminated name; the kernel writes the
        // chosen name back into it.
        unsafe { tun_set_iff(self.0.as_raw_fd(), &raw mut request) }?;
        Ok(request)
    }

    fn offers(&self, flag: libc::c_int) -> io::Result<bool> {
        let mut offered: libc::c_uint = 0;
        // SAFETY: the descriptor is open and `offered` is what the ioctl writes.
        unsafe { tun_get_features(self.0.as_raw_fd(), &raw mut offered) }?;
        Ok(offered & flag.unsigned_abs() != 0)
    }
}

/// An ifreq with this name, cut to 15 bytes, and these flags.
fn request(name: &[u8], flags: libc::c_int) -> io::Result<libc::ifreq> {
    let mut request = blank_request();
    let room = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
    for (to, from) in room.zip(name) {
        *to = from.cast_signed();
    }
    // IFF_TUN_EXCL is the field's sign bit.
    request.ifr_ifru.ifru_flags = u16::try_from(flags).map_err(io::Error::other)?.cast_signed();
    Ok(request)
}

fn blank_request() -> libc::ifreq {
    // SAFETY: ifreq is plain data for which all zero is a value.
    unsafe { std::mem::zeroed() }
}
