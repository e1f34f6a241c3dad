//! Carries frames between a TAP that it makes (`frame-copier IF`) and the datagram socket whose number
//! is in `VMNET_FD`, one by one, as QEMU does for a guest's card: a guest without a kernel of its own.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

fn main() {
    let name = std::env::args().nth(1).expect("usage: frame-copier IF");
    let number = std::env::var("VMNET_FD").ok().and_then(|text| text.parse().ok()).expect("VMNET_FD");
    // SAFETY: whoever started us says that this descriptor is ours.
    let wire = UnixDatagram::from(unsafe { OwnedFd::from_raw_fd(number) });
    let mut tap = OpenOptions::new().read(true).write(true).open("/dev/net/tun").expect("/dev/net/tun");
    // SAFETY: ifreq is plain data for which all zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_TAP | libc::IFF_NO_PI).expect("16 bits of flags");
    // SAFETY: the request is valid for the call.
    let done = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    assert_eq!(done, 0, "TUNSETIFF: {}", std::io::Error::last_os_error());
    println!("ready");
    let mut frame = [0; 2048];
    loop {
        let mut sources =
            [PollFd::new(tap.as_fd(), PollFlags::POLLIN), PollFd::new(wire.as_fd(), PollFlags::POLLIN)];
        poll(&mut sources, PollTimeout::NONE).expect("poll");
        let [from_tap, from_wire] =
            sources.map(|source| source.revents().is_some_and(|events| events.contains(PollFlags::POLLIN)));
        if from_tap {
            let length = tap.read(&mut frame).expect("the TAP is gone");
            // Without a switch there is nobody to take it; with a full queue QEMU would wait, we lose.
            let _ = send_now(&wire, &frame[..length]);
        }
        if from_wire && let Ok(length) = wire.recv(&mut frame) {
            // A TAP that is down takes none.
            let _ = tap.write(&frame[..length]);
        }
    }
}

/// As QEMU sends: a full queue is waited for, a switch that is gone is not.
fn send_now(wire: &UnixDatagram, frame: &[u8]) -> std::io::Result<usize> {
    match wire.send(frame) {
        Err(error) if error.kind() == ErrorKind::Interrupted => wire.send(frame),
        done => done,
    }
}
