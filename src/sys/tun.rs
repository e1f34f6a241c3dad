//! Making a TAP. It is not persistent: it lives as long as somebody holds its descriptor.

use crate::privilege::Shed;
use nix::errno::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use vmnet_model::name::IfName;

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

/// One TAP. Dropping it removes it.
#[derive(Debug)]
pub struct Tap {
    file: File,
    name: IfName,
}

impl Tap {
    /// The name the kernel chose.
    #[must_use]
    pub fn name(&self) -> &IfName {
        &self.name
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl TunDevice {
    /// Make a TAP without packet information; with virtio-net headers if asked and offered. It is
    /// called `name`, or, where that is taken, what the kernel makes of `template` by putting the
    /// lowest free number for its `%d`. Looking for that number takes the kernel the longer the
    /// more links there are, and a number that was just given back would be given out at once.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn create(
        self,
        _root_is_gone: &Shed,
        name: &str,
        template: &str,
        vnet_header: bool,
    ) -> io::Result<Tap> {
        let fd = self.0.as_raw_fd();
        let mut flags = libc::IFF_TAP | libc::IFF_NO_PI;
        if vnet_header && self.offers(libc::IFF_VNET_HDR)? {
            flags |= libc::IFF_VNET_HDR;
        }
        let mut request = request(name, flags | libc::IFF_TUN_EXCL)?;
        // SAFETY: `request` is a whole ifreq with a NUL-terminated name; the kernel writes the
        // chosen name back into it.
        let made = unsafe { tun_set_iff(fd, &raw mut request) };
        if let Err(Errno::EBUSY | Errno::EEXIST) = made {
            request = self::request(template, flags)?;
            // SAFETY: as above.
            unsafe { tun_set_iff(fd, &raw mut request) }?;
        } else {
            made?;
        }
        let name: Vec<u8> =
            request.ifr_name.iter().map(|c| c.cast_unsigned()).take_while(|b| *b != 0).collect();
        let name = IfName::new(&name).map_err(io::Error::other)?;
        Ok(Tap { file: self.0, name })
    }

    fn offers(&self, flag: libc::c_int) -> io::Result<bool> {
        let mut offered: libc::c_uint = 0;
        // SAFETY: the descriptor is open and `offered` is what the ioctl writes.
        unsafe { tun_get_features(self.0.as_raw_fd(), &raw mut offered) }?;
        Ok(offered & flag.unsigned_abs() != 0)
    }
}

/// An ifreq with this name, cut to 15 bytes, and these flags.
fn request(name: &str, flags: libc::c_int) -> io::Result<libc::ifreq> {
    let mut request = blank_request();
    let room = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
    for (to, from) in room.zip(name.bytes()) {
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
