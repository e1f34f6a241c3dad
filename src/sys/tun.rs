//! Making a TAP. It is not persistent: it lives as long as somebody holds its descriptor.

use crate::privilege::Shed;
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
    /// Make a TAP without packet information; with virtio-net headers if asked and offered. The
    /// kernel puts a number for the `%d` in `template`, which must be shorter than 16 bytes.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn create(self, _root_is_gone: &Shed, template: &str, vnet_header: bool) -> io::Result<Tap> {
        let fd = self.0.as_raw_fd();
        let mut offered: libc::c_uint = 0;
        // SAFETY: the descriptor is open and `offered` is what the ioctl writes.
        unsafe { tun_get_features(fd, &raw mut offered) }?;
        let mut flags = libc::IFF_TAP | libc::IFF_NO_PI;
        if vnet_header && offered & libc::IFF_VNET_HDR.unsigned_abs() != 0 {
            flags |= libc::IFF_VNET_HDR;
        }
        let mut request = blank_request();
        let room = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
        for (to, from) in room.zip(template.bytes()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
        // SAFETY: `request` is a whole ifreq with a NUL-terminated name; the kernel writes the
        // chosen name back into it.
        unsafe { tun_set_iff(fd, &raw mut request) }?;
        let name: Vec<u8> =
            request.ifr_name.iter().map(|c| c.cast_unsigned()).take_while(|b| *b != 0).collect();
        let name = IfName::new(&name).map_err(io::Error::other)?;
        Ok(Tap { file: self.0, name })
    }
}

fn blank_request() -> libc::ifreq {
    // SAFETY: ifreq is plain data for which all zero is a value.
    unsafe { std::mem::zeroed() }
}
