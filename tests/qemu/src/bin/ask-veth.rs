//! Asks for a veth pair with one end in a namespace, as `vmnet attach` does but without looking whose
//! it is. Whatever the companion would refuse by itself is left to who makes ports to refuse.
//!
//! `ask-veth BRIDGE PATH_OF_NAMESPACE [HELPER]`: asks the broker, or this helper with `--ask`.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, ExitCode};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recvmsg, sendmsg, socket,
    socketpair,
};

const SOCKET: &str = "/run/vmnet/broker.sock";

fn message(bridge: &str) -> [u8; 64] {
    let mut message = [0; 64];
    let mut put = |at: usize, bytes: &[u8]| message[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"vmn\x01");
    put(4, &[4]);
    put(8, bridge.as_bytes());
    put(24, b"eth0");
    put(44, &[2, 0, 0, 0, 0, 9]);
    message
}

fn channel(helper: Option<&String>) -> std::io::Result<(OwnedFd, Option<std::process::Child>)> {
    let none = SockFlag::empty();
    let Some(helper) = helper else {
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, none, None)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(SOCKET)?)?;
        return Ok((socket, None));
    };
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, none)?;
    fcntl(&ours, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let child = Command::new(helper).arg("--ask").arg(format!("--fd={}", theirs.as_raw_fd())).spawn()?;
    Ok((ours, Some(child)))
}

fn ask(words: &[String]) -> std::io::Result<String> {
    let [bridge, path, rest @ ..] = words else { return Err(std::io::ErrorKind::InvalidInput.into()) };
    let space = File::open(path)?;
    let (channel, child) = channel(rest.first())?;
    let descriptors = [space.as_raw_fd()];
    let control = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(channel.as_raw_fd(), &[IoSlice::new(&message(bridge))], &control, MsgFlags::empty(), None)?;
    let mut answer = [0; 4096];
    let mut room = [IoSliceMut::new(&mut answer)];
    let length = recvmsg::<()>(channel.as_raw_fd(), &mut room, None, MsgFlags::empty())?.bytes;
    if let Some(mut child) = child {
        child.wait()?;
    }
    match answer.get(4..length) {
        Some([0, ..]) => Ok("done".to_owned()),
        Some([1, words @ ..]) => Ok(String::from_utf8_lossy(words).into_owned()),
        _ => Err(std::io::ErrorKind::InvalidData.into()),
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match ask(&words) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ask-veth: {error}");
            ExitCode::FAILURE
        }
    }
}
