//! Asking for a port on somebody's behalf: as root by a worker of our own, without rules; as anybody else
//! from the broker, and where there is none from the setuid helper.

use crate::answer;
use crate::client;
use crate::serve::{Authority, Request};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use vmnet_access::name::IfName;
use vmnet_access::paths;
use vmnet_access::request::{ASK_SIZE, PortReply, PortRequest};
use vmnet_sys::seqpacket::Channel;
use vmnet_sys::trust::plain;
use vmnet_sys::{caller, privilege, worker};

/// Who says so in the system log.
const PROGRAM: &str = "vmnet";

/// Why there is no port.
#[derive(Debug)]
pub enum NotAcquired {
    /// Whoever was asked refused, in a whole sentence and perhaps with a hint.
    Refused {
        /// The sentence.
        sentence: String,
        /// The next step.
        hint: Option<String>,
    },
    /// Nobody could be asked.
    Unasked(std::io::Error),
}

impl From<std::io::Error> for NotAcquired {
    fn from(error: std::io::Error) -> Self {
        Self::Unasked(error)
    }
}

/// A port that was made for us.
#[derive(Debug)]
pub struct Plugged {
    /// Its name on the host.
    pub port: IfName,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its descriptors, one a queue, close-on-exec; none where it stays without them.
    pub descriptors: Vec<OwnedFd>,
}

/// Ask for a port. `space` is the network namespace that a veth pair's other end goes to. To be called
/// before there is a second thread.
///
/// # Errors
/// It was refused, or nobody could be asked.
pub fn ask(ask: &PortRequest, space: Option<BorrowedFd<'_>>) -> Result<Plugged, NotAcquired> {
    let descriptors: Vec<BorrowedFd<'_>> = space.into_iter().collect();
    let is_root = nix::unistd::getuid().is_root();
    // A container's root is nobody's root here, unless there is no other who could be asked.
    let broker = if is_root && !privilege::may_be_a_containers() { None } else { client::broker()? };
    let answered = match broker {
        Some(broker) => client::ask(&broker, ask, &descriptors),
        None if is_root => ask_ourselves(ask, &descriptors),
        None => ask_helper(ask, &descriptors),
    };
    match answered {
        Ok((PortReply::Done { port, mtu }, descriptors)) => Ok(Plugged { port, mtu, descriptors }),
        Ok((PortReply::Refused { sentence, hint }, _)) => Err(NotAcquired::Refused { sentence, hint }),
        Err(error) => Err(NotAcquired::Unasked(error)),
    }
}

type Answered = std::io::Result<(PortReply, Vec<OwnedFd>)>;

/// In a child, because making a port ends with no rights at all.
fn ask_ourselves(ask: &PortRequest, descriptors: &[BorrowedFd<'_>]) -> Answered {
    let (ours, theirs) = Channel::pair()?;
    let pid = std::process::id();
    let worker = worker::start(|| {
        let heard = theirs.receive(ASK_SIZE, answer::DESCRIPTORS_MAX).ok();
        let Some((ask, space)) = heard.and_then(|message| answer::read(message).ok()) else { return 1 };
        let Ok(caller) = caller::real() else { return 1 };
        let request = Request { ask, space, caller, pid, authority: Authority::Root };
        let told = answer::answer(&theirs, &request, privilege::look(), PROGRAM);
        u8::from(!told.served || told.answer.is_err())
    })?;
    drop(theirs);
    let answered = client::ask(&ours, ask, descriptors);
    worker.wait()?;
    answered
}

/// The helper judges by its real ids, which are ours.
fn ask_helper(ask: &PortRequest, descriptors: &[BorrowedFd<'_>]) -> Answered {
    let (ours, theirs) = Channel::pair()?;
    // The only descriptor that it is to have.
    fcntl(theirs.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut child = Command::new(paths::HELPER)
        .arg("--ask")
        .arg(format!("--fd={}", theirs.as_fd().as_raw_fd()))
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied => std::io::Error::other(format!(
                "no broker answers, and {} cannot be started: {}",
                paths::HELPER,
                plain(&error)
            )),
            _ => error,
        })?;
    drop(theirs);
    let answered = client::ask(&ours, ask, descriptors);
    child.wait()?;
    answered
}
