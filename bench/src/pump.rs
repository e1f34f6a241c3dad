//! What runs within the namespaces of the VDE part: a pump at a TAP, an echo, and who counts round trips.
//! Each is this program again.

use nix::errno::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vmnet_access::vde::Directory;
use vmnet_sys::stream::listener_of;
use vmnet_vde::port::{Port, Wish};
use vmnet_vswitch::pump::{End, Pump};
use vmnet_vswitch::queue;

/// Round trips of one round.
pub const TRIPS: usize = 500;
/// Payload of a small frame, in bytes.
pub const SMALL: usize = 30;
/// Where the other namespace is, and its echo.
pub const ADDRESS: &str = "10.77.0.2";
const ECHO_PORT: u16 = 7;
/// TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 and TUN_F_TSO_ECN of include/uapi/linux/if_tun.h.
const OFFLOADS: libc::c_ulong = 1 | 2 | 4 | 8;

/// Pump between a new TAP and a switch, or the datagram socket that is standard input, for ever.
///
/// # Errors
/// There is no TAP, no port, or it ended.
pub fn pump(tap: &str, switch: &str) -> io::Result<()> {
    let mut pump = Pump::new(open_tap(tap)?);
    let (stop, _never) = UnixStream::pair()?;
    let end = match switch {
        "-" => {
            let data = UnixDatagram::from(io::stdin().as_fd().try_clone_to_owned()?);
            pump.run(&data, stop.as_fd())?
        }
        switch => {
            let switch = Directory::new(switch).map_err(io::Error::other)?;
            let own_socket = PathBuf::from(format!("/tmp/{tap}.data"));
            let _ = std::fs::remove_file(&own_socket);
            let wish =
                Wish { switch: &switch, port: 0, description: "pump", own_socket: &own_socket, mode: 0o600 };
            let port = Port::join(&wish).map_err(io::Error::other)?;
            // As `vmnet wire pump` does, which is root until then.
            let control = UnixStream::from(port.control().try_clone_to_owned()?);
            queue::fit(Some(&listener_of(&control)?), port.data())?;
            pump.run(port.data(), stop.as_fd())?
        }
    };
    match end {
        End::Told => Ok(()),
        End::Tap(error) => Err(error),
    }
}

fn open_tap(name: &str) -> io::Result<File> {
    let tap =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // SAFETY: plain data, for which all zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
    // SAFETY: a whole ifreq with a NUL-terminated name.
    Errno::result(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    // SAFETY: a TAP's descriptor and a number.
    Errno::result(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETOFFLOAD, OFFLOADS) })?;
    Ok(tap)
}

/// Answer each datagram with itself, for ever.
///
/// # Errors
/// The kernel's.
pub fn echo() -> io::Result<()> {
    let socket = UdpSocket::bind((ADDRESS, ECHO_PORT))?;
    let mut bytes = [0; SMALL];
    loop {
        let (length, from) = socket.recv_from(&mut bytes)?;
        socket.send_to(&bytes[..length], from)?;
    }
}

/// Send small datagrams there, each when the one before is back; half of them took no longer, in nanoseconds.
///
/// # Errors
/// One did not come back.
pub fn trip() -> io::Result<u128> {
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    socket.connect((ADDRESS, ECHO_PORT))?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut took = Vec::with_capacity(TRIPS);
    let mut bytes = [0; SMALL];
    for _ in 0..TRIPS {
        let started = Instant::now();
        socket.send(&bytes)?;
        socket.recv(&mut bytes)?;
        took.push(started.elapsed().as_nanos());
    }
    took.sort_unstable();
    took.get(TRIPS / 2).copied().ok_or_else(|| io::ErrorKind::InvalidData.into())
}
