//! Hostile callers of the broker, many in one process, each in the same way, until standard input is closed.
//!
//! `crowd SOCKET WAY COUNT`

use std::fs::File;
use std::io::{IoSlice, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, setsockopt,
    socket, sockopt,
};

/// How the callers behave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// They connect and say nothing.
    Silent,
    /// They say something that is no request just before they would be sent away.
    Slow,
    /// They say far too much, again and again.
    Large,
    /// They close as soon as they have connected, again and again.
    Closing,
    /// They send as many descriptors as the kernel takes, and close.
    Descriptors,
    /// The same with descriptors that take a minute to close.
    Lingering,
    /// They ask for what will be refused, again and again.
    Asking,
    /// They ask and close without hearing the answer.
    Deaf,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [place, way, count] = words.as_slice() else { panic!("usage: crowd SOCKET WAY COUNT") };
    let way = match way.as_str() {
        "silent" => Way::Silent,
        "slow" => Way::Slow,
        "large" => Way::Large,
        "closing" => Way::Closing,
        "descriptors" => Way::Descriptors,
        "lingering" => Way::Lingering,
        "asking" => Way::Asking,
        "deaf" => Way::Deaf,
        _ => panic!("no such way: {way}"),
    };
    let address = UnixAddr::new(place.as_str()).expect("an address");
    let mut callers: Vec<Option<Caller>> = Vec::new();
    callers.resize_with(count.parse().expect("a number"), || None);
    println!("begun");
    let mut done = 0_u64;
    while !ended() {
        for caller in &mut callers {
            if caller.is_none() {
                *caller = Caller::come(&address, way);
                done += 1;
            }
        }
        // Those who stay wait for news; those who do not come again at once.
        if !matches!(way, Way::Closing | Way::Descriptors | Way::Deaf) {
            wait(&callers);
        }
        callers.iter_mut().for_each(|caller| go_on(caller, way));
    }
    println!("{done} times");
}

struct Caller {
    socket: OwnedFd,
    since: Instant,
    has_spoken: bool,
}

impl Caller {
    /// Connects, if there is room, and says what is to be said at once.
    fn come(address: &UnixAddr, way: Way) -> Option<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).expect("a socket");
        connect(socket.as_raw_fd(), address).ok()?;
        let mut caller = Self { socket, since: Instant::now(), has_spoken: true };
        match way {
            Way::Silent | Way::Closing => {}
            Way::Slow => caller.has_spoken = false,
            Way::Large => caller.say(&[0; 100_000], &[]),
            Way::Descriptors => {
                let null = File::open("/dev/null").expect("/dev/null");
                caller.say(&request(), &[null.as_raw_fd(); 253]);
            }
            Way::Lingering => {
                let stream = lingering();
                caller.say(b"", &[]);
                // From here on the only one is in the broker's queue.
                caller.say(b"", &[stream.as_raw_fd()]);
            }
            Way::Asking | Way::Deaf => caller.say(&request(), &[]),
        }
        Some(caller)
    }

    fn say(&self, bytes: &[u8], descriptors: &[RawFd]) {
        let rights = [ControlMessage::ScmRights(descriptors)];
        let control = if descriptors.is_empty() { &[][..] } else { &rights };
        // Refused, because too many are under way, is as good.
        let parts = [IoSlice::new(bytes)];
        let _ = sendmsg::<()>(self.socket.as_raw_fd(), &parts, control, MsgFlags::MSG_NOSIGNAL, None);
    }
}

/// What becomes of a caller in one round.
fn go_on(place: &mut Option<Caller>, way: Way) {
    let Some(caller) = place else { return };
    let is_over = match way {
        Way::Closing | Way::Descriptors | Way::Lingering | Way::Deaf => true,
        _ => answered(caller),
    };
    if is_over {
        *place = None;
    } else if !caller.has_spoken && caller.since.elapsed() > Duration::from_millis(1900) {
        caller.has_spoken = true;
        caller.say(b"sorry", &[]);
    }
}

fn answered(caller: &Caller) -> bool {
    let mut source = [PollFd::new(caller.socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut source, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

fn wait(callers: &[Option<Caller>]) {
    let source = |caller: &'_ Caller| -> RawFd { caller.socket.as_raw_fd() };
    let numbers: Vec<RawFd> = callers.iter().flatten().map(source).collect();
    let mut sources: Vec<libc::pollfd> =
        numbers.iter().map(|fd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 }).collect();
    let count = sources.len().try_into().expect("a number");
    // SAFETY: the list lives through the call, and has that length.
    unsafe { libc::poll(sources.as_mut_ptr(), count, 20) };
}

/// Has whoever started us let go of our standard input?
fn ended() -> bool {
    let stdin = std::io::stdin();
    let mut source = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut source, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// A well-formed request for a TAP on a bridge that the rules keep us from.
fn request() -> [u8; 64] {
    let mut message = [0; 64];
    message[..4].copy_from_slice(b"vmn\x01");
    // Kind 1, no flags, one queue.
    message[4..7].copy_from_slice(&[1, 0, 1]);
    message[8..15].copy_from_slice(b"denied0");
    message
}

/// A connection with bytes that nobody takes: closing it takes as long as it may linger, a minute.
fn lingering() -> TcpStream {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
    setsockopt(&listener, sockopt::RcvBuf, &2048).expect("SO_RCVBUF");
    let mut stream = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    setsockopt(&stream, sockopt::SndBuf, &2048).expect("SO_SNDBUF");
    stream.set_nonblocking(true).expect("not blocking");
    while stream.write(&[0; 65536]).is_ok() {}
    // Not blocking, it would not wait.
    stream.set_nonblocking(false).expect("blocking");
    setsockopt(&stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 60 }).expect("SO_LINGER");
    // Never closed, so that the other end never hears that nobody reads.
    std::mem::forget(listener);
    stream
}
