//! Holds a TAP and does to it what it is told, as a VMM could: `tap-holder open NAME [many]` opens one by
//! name, `race NAME` one of several queues, again and again until it is let in; `ask HELPER WORD…` gets one from a helper (`{fd}` in a word is the socket's number).
//! Says `holds NAME` or `refused: WHY`, then answers each line of its input with `ok` or `failed: WHY`:
//! `persist 0|1`, `owner UID`, `group GID`, `carrier 0|1`, `mac MAC`, `storm ACT;ACT…` over and over.

use std::fs::OpenOptions;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::{Command, Stdio};

use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair,
};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let tap = match words.as_slice() {
        ["open", name, more @ ..] => open(name, more == ["many"]),
        ["race", name] => loop {
            if let Ok(tap) = open(name, true) {
                break Ok(tap);
            }
        },
        ["ask", helper, more @ ..] => ask(helper, more),
        _ => panic!("usage: tap-holder open NAME [many] | ask HELPER WORD…"),
    };
    let tap = match tap {
        Ok(tap) => tap,
        Err(why) => return println!("refused: {why}"),
    };
    println!("holds {}", name_of(&tap));
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match obey(&tap, &line) {
            Ok(()) => println!("ok"),
            Err(why) => println!("failed: {why}"),
        }
    }
}

/// As Firecracker, kvmtool and QEMU's `ifname=` do.
fn open(name: &str, many: bool) -> Result<OwnedFd, String> {
    let node = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    let tap = OwnedFd::from(node.map_err(|error| format!("/dev/net/tun: {error}"))?);
    let many = if many { libc::IFF_MULTI_QUEUE } else { 0 };
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | many;
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = u16::try_from(flags).expect("16 bits of flags").cast_signed();
    done(ioctl(&tap, libc::TUNSETIFF, &raw mut request)).map(|()| tap)
}

fn ask(helper: &str, words: &[&str]) -> Result<OwnedFd, String> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).expect("socketpair");
    let number = theirs.as_raw_fd().to_string();
    let words = words.iter().map(|word| word.replace("{fd}", &number));
    let child = Command::new(helper).args(words).stdin(Stdio::null()).stdout(Stdio::null()).output();
    drop(theirs);
    let said = child.map_err(|error| error.to_string())?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).trim().replace('\n', " "));
    }
    let mut buffer = [0; 8];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let mut space = nix::cmsg_space!([RawFd; 4]);
    let message = recvmsg::<()>(ours.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_DONTWAIT)
        .map_err(|error| error.to_string())?;
    for control in message.cmsgs().into_iter().flatten() {
        if let ControlMessageOwned::ScmRights(descriptors) = control {
            // SAFETY: the kernel just made them for us.
            let mut owned = descriptors.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
            return owned.next().ok_or_else(|| "no descriptor".to_owned());
        }
    }
    Err("no descriptor".to_owned())
}

fn obey(tap: &OwnedFd, line: &str) -> Result<(), String> {
    let (act, value) = line.split_once(' ').expect("an act and a value");
    let number = || value.parse::<libc::c_ulong>().expect("a number");
    match act {
        "persist" => done(ioctl(tap, libc::TUNSETPERSIST, number())),
        "owner" => done(ioctl(tap, libc::TUNSETOWNER, number())),
        "group" => done(ioctl(tap, libc::TUNSETGROUP, number())),
        "carrier" => {
            let carrier = libc::c_int::from(value == "1");
            done(ioctl(tap, libc::TUNSETCARRIER, &raw const carrier))
        }
        "mac" => {
            let mut request = request(&name_of(tap));
            // SAFETY: the union's address is written before it is read.
            let address = unsafe { &mut request.ifr_ifru.ifru_hwaddr };
            address.sa_family = libc::ARPHRD_ETHER;
            let bytes = value.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a MAC"));
            for (to, from) in address.sa_data.iter_mut().zip(bytes) {
                *to = libc::c_char::from_ne_bytes([from]);
            }
            done(ioctl(tap, libc::SIOCSIFHWADDR, &raw mut request))
        }
        "storm" => loop {
            value.split(';').try_for_each(|act| obey(tap, act))?;
        },
        _ => panic!("no such act: {line}"),
    }
}

fn name_of(tap: &OwnedFd) -> String {
    let mut request = request("");
    done(ioctl(tap, libc::TUNGETIFF, &raw mut request)).expect("the TAP's name");
    let bytes = request.ifr_name.iter().map(|byte| byte.cast_unsigned()).take_while(|byte| *byte != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request
}

fn ioctl<T>(tap: &OwnedFd, act: impl TryInto<libc::Ioctl, Error: std::fmt::Debug>, value: T) -> libc::c_int {
    // SAFETY: a number, or a pointer to what the ioctl reads and writes, alive through the call.
    unsafe { libc::ioctl(tap.as_raw_fd(), act.try_into().expect("a request's number"), value) }
}

fn done(answer: libc::c_int) -> Result<(), String> {
    if answer == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
}
