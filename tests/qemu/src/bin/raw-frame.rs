//! Sends frames just as they are given, as only a guest that means harm would: `raw-frame INTERFACE
//! HEX…`, one frame a word, with its Ethernet header.

use std::fs::File;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [interface, frames @ ..] = words.as_slice() else { panic!("usage: raw-frame INTERFACE HEX…") };
    let mut wire = wire(interface);
    for frame in frames {
        wire.write_all(&bytes(frame)).expect("sending a frame");
    }
}

fn wire(interface: &str) -> File {
    // SAFETY: no pointers; the answer is a new descriptor or -1.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0, "a packet socket: {}", std::io::Error::last_os_error());
    // SAFETY: just made, and ours alone.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all-zero is a valid address.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).expect("a family");
    let index = nix::net::if_::if_nametoindex(interface).expect("that interface");
    address.sll_ifindex = index.cast_signed();
    let length = libc::socklen_t::try_from(size_of_val(&address)).expect("a length");
    // SAFETY: the address lives through the call, and the length is its size.
    let bound = unsafe { libc::bind(fd, (&raw const address).cast(), length) };
    assert_eq!(bound, 0, "bind: {}", std::io::Error::last_os_error());
    File::from(socket)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| b.is_ascii_hexdigit()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
    digits.chunks(2).map(byte).collect()
}
