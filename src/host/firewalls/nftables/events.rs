//! The kernel's announcements of changed tables, chains and rules: whoever flushes or reloads a
//! firewall is heard at once.

use super::{NFT_MSG_DELRULE, SUBSYSTEM, read};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt, socket, sockopt,
};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use vmnet_model::other_firewalls::Family;
use vmnet_sys::netlink::{HEADER, u16_at, u32_at};

/// NFNLGRP_NFTABLES as a bit (include/uapi/linux/netfilter/nfnetlink.h).
const GROUP: u32 = 1 << 6;
/// Announcements of one transaction come in packets of a page or so.
const PACKET_MAX: usize = 32 * 1024;
/// Room for the announcements of a flush of some thousand rules; beyond it some are dropped, which
/// the kernel tells.
const ROOM: usize = 1 << 20;
/// Most packets taken at one time; the rest is there the next time.
const PACKETS_MAX: usize = 1024;

/// What has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The tables in which something did.
    pub tables: BTreeSet<(Family, String)>,
    /// Some announcements were lost: anything may have.
    pub missed: bool,
}

/// A socket that hears them, readable when there are some. It belongs to the network namespace
/// where it was opened.
#[derive(Debug)]
pub struct Events {
    socket: OwnedFd,
}

impl Events {
    /// Begin to listen. Look after this, not before, and nothing falls between.
    ///
    /// # Errors
    /// The kernel's answer; EPERM for all but root.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)?;
        // Beyond the host's limit for everybody; where root is not root enough, the limit does.
        if setsockopt(&socket, sockopt::RcvBufForce, &ROOM).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &ROOM)?;
        }
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUP))?;
        Ok(Self { socket })
    }

    /// Everything that was announced since the last call, without waiting.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn drain(&self) -> io::Result<Changes> {
        let mut changes = Changes::default();
        let mut buffer = vec![0; PACKET_MAX];
        for _ in 0..PACKETS_MAX {
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut buffer) {
                Ok((length, Some(sender))) if sender.pid() == 0 => {
                    changes.read(buffer.get(..length).unwrap_or_default());
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => changes.missed = true,
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(changes)
    }
}

impl Changes {
    /// Has anything changed?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && !self.missed
    }

    /// The messages of one packet; a broken one counts as one that was lost.
    pub(super) fn read(&mut self, packet: &[u8]) {
        let mut rest = packet;
        while !rest.is_empty() {
            let length = u32_at(rest, 0).and_then(|length| usize::try_from(length).ok());
            let message = length.and_then(|length| Some((length, rest.get(HEADER..length)?)));
            let (Some((length, payload)), Some(kind)) = (message, u16_at(rest, 4)) else {
                self.missed = true;
                return;
            };
            // Elements of sets come and go by the second on some hosts, and concern nobody here.
            if (SUBSYSTEM..=SUBSYSTEM | NFT_MSG_DELRULE).contains(&kind) {
                self.tables.extend(read::changed_table(payload));
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
