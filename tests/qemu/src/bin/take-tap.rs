//! Takes over a TAP's inherited descriptors as Cloud Hypervisor (`from_tap_fd` in its net_util/src/tap.rs) and
//! crosvm (`from_raw_descriptor` in its net_util) do, and asks ADDRESS for its MAC through each of them:
//! `take-tap ADDRESS DESCRIPTOR…`, one JSON line for each descriptor.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;

/// The header in front of each frame: struct virtio_net_hdr_v1 (include/uapi/linux/virtio_net.h).
const HEADER: usize = 12;
/// The guest's MAC and address.
const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
const OWN: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 99);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, numbers @ ..] = words.as_slice() else { panic!("usage: take-tap ADDRESS DESCRIPTOR…") };
    let address: Ipv4Addr = address.parse().expect("an address");
    let numbers: Vec<RawFd> = numbers.iter().map(|word| word.parse().expect("a number")).collect();
    // SAFETY: they were inherited, and nothing else here has them.
    let mut queues: Vec<File> = numbers.iter().map(|&fd| unsafe { File::from_raw_fd(fd) }).collect();
    let taken: Vec<_> = queues.iter().map(|queue| take(queue, numbers.len())).collect();
    for (place, said) in taken.into_iter().enumerate() {
        queues[place].write_all(&question(address)).expect("sending a frame");
        let answered = hear(&mut queues, address);
        println!("{}", json!({ "tap": said.0, "flags": said.1, "again": said.2, "answered": answered }));
    }
}

/// Its name, its flags, and how TUNSETIFF on it fails.
fn take(queue: &File, count: usize) -> (String, i16, String) {
    let flags = OFlag::from_bits_retain(fcntl(queue, FcntlArg::F_GETFL).expect("its flags"));
    fcntl(queue, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).expect("without blocking");
    let fd = queue.as_raw_fd();
    // SAFETY: ifreq is plain data for which all zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // SAFETY: `request` is what the call writes.
    assert_eq!(unsafe { libc::ioctl(fd, libc::TUNGETIFF, &raw mut request) }, 0, "TUNGETIFF");
    // SAFETY: the call wrote the flags.
    let has = unsafe { request.ifr_ifru.ifru_flags };
    let name = request.ifr_name.iter().map(|c| c.cast_unsigned()).take_while(|byte| *byte != 0).collect();
    let mut wanted = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    if count > 1 {
        wanted |= libc::IFF_MULTI_QUEUE;
    }
    request.ifr_ifru.ifru_flags = i16::try_from(wanted).expect("flags");
    // SAFETY: a whole ifreq with a NUL-terminated name.
    let again = Errno::result(unsafe { libc::ioctl(fd, libc::TUNSETIFF, &raw mut request) });
    let size = i32::try_from(HEADER).expect("small");
    // SAFETY: the call reads one number.
    assert_eq!(unsafe { libc::ioctl(fd, libc::TUNSETVNETHDRSZ, &raw const size) }, 0, "TUNSETVNETHDRSZ");
    let offload =
        libc::TUN_F_CSUM | libc::TUN_F_UFO | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    // SAFETY: a number.
    assert_eq!(unsafe { libc::ioctl(fd, libc::TUNSETOFFLOAD, offload) }, 0, "TUNSETOFFLOAD");
    (String::from_utf8(name).expect("a name"), has, again.err().map_or("taken", Errno::desc).to_owned())
}

/// An ARP request (RFC 826) with its header.
fn question(address: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0; HEADER];
    frame.extend([0xff; 6]);
    frame.extend(MAC);
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(MAC);
    frame.extend(OWN.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

/// Whether an ARP answer of this address comes in time, on any queue: the kernel chooses.
fn hear(queues: &mut [File], address: Ipv4Addr) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    let mut frame = vec![0; 65_536];
    while Instant::now() < end {
        let mut sources: Vec<PollFd<'_>> =
            queues.iter().map(|queue| PollFd::new(queue.as_fd(), PollFlags::POLLIN)).collect();
        let _ = poll(&mut sources, PollTimeout::from(1000_u16));
        drop(sources);
        for queue in queues.iter_mut() {
            while let Ok(length) = queue.read(&mut frame) {
                let arp = frame.get(HEADER + 12..length.min(HEADER + 42)).unwrap_or_default();
                if arp.starts_with(&[8, 6])
                    && arp.get(9) == Some(&2)
                    && arp.get(16..20) == Some(&address.octets()[..])
                {
                    return true;
                }
            }
        }
    }
    false
}
