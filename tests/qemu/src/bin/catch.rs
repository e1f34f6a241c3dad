//! The caller of a bridge helper: starts it as QEMU does, or in a hostile way, receives what it sends,
//! and prints what came and what the TAP is like as one JSON object. Run as the user to be tested.
//!
//! `catch [SETTING…] -- HELPER ARGUMENT…`, where `{fd}` in an argument is the socket's number.

use std::ffi::CString;
use std::fs::File;
use std::io::{IoSliceMut, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, signal, sigprocmask};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, bind, listen,
    recvmsg, socket, socketpair,
};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, execve, fork, pipe};
use serde_json::{Value, json};

/// How the helper is started.
#[derive(Default)]
struct Settings {
    close: Vec<RawFd>,
    block_signals: bool,
    ignore_sigpipe: bool,
    extra_fds: usize,
    environment: Vec<CString>,
    no_arguments: bool,
    kind: String,
    number: Option<RawFd>,
    hold: bool,
    frames: bool,
    persist: bool,
    no_new_privileges: bool,
    file_size: Option<u64>,
    patience: Duration,
}

/// What came over the socket.
#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
    controls: usize,
    ended: bool,
}

fn main() {
    let all: Vec<String> = std::env::args().skip(1).collect();
    let split = all.iter().position(|word| word == "--").expect("usage: catch [SETTING...] -- HELPER...");
    let (before, helper) = (&all[..split], &all[split + 1..]);
    let settings = settings(before);

    let (ours, theirs) = ends(&settings.kind);
    let number = settings.number.unwrap_or(theirs.as_raw_fd());
    let extra: Vec<RawFd> =
        (0..settings.extra_fds).map(|_| File::open("/dev/null").expect("/dev/null").into_raw_fd()).collect();
    for fd in &extra {
        clear_cloexec(*fd);
    }
    let words: Vec<CString> = helper
        .iter()
        .map(|word| CString::new(word.replace("{fd}", &number.to_string())).expect("no NUL in arguments"))
        .collect();
    let mut stdout = tempfile();
    let mut stderr = tempfile();

    let started = Instant::now();
    // SAFETY: this process has one thread.
    let child = match unsafe { fork() }.expect("fork") {
        ForkResult::Child => become_helper(&settings, &words, [&stdout, &stderr], theirs),
        ForkResult::Parent { child } => child,
    };
    drop(theirs);
    let end = started + settings.patience;
    // Datagrams have no end, so there the helper's own end tells that all has come.
    let early = (settings.kind == "datagram").then(|| wait(child, end));
    let until = if early.is_some() { Instant::now() } else { end };
    let received = ours.as_ref().map(|fd| receive(fd.as_fd(), until)).unwrap_or_default();
    let status = early.unwrap_or_else(|| wait(child, end));
    let took = started.elapsed();

    let (exit, killed) = match status {
        Some(WaitStatus::Exited(_, code)) => (json!(code), Value::Null),
        Some(WaitStatus::Signaled(_, signal, _)) => (Value::Null, json!(signal.as_str())),
        _ => (Value::Null, json!("timeout")),
    };
    let report = json!({
        "exit": exit,
        "signal": killed,
        "stdout": text(&mut stdout),
        "stderr": text(&mut stderr),
        "bytes": received.bytes,
        "fds": received.fds.len(),
        "controls": received.controls,
        "ended": received.ended,
        "microseconds": u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "tap": received.fds.first().map(|fd| describe(fd.as_fd())),
    });
    if settings.persist {
        received.fds.iter().for_each(|fd| persist(fd.as_fd()));
    }
    println!("{report}");
    if let Some(tap) = received.fds.first().filter(|_| settings.frames) {
        let tap = tap.try_clone().expect("the TAP again");
        std::thread::spawn(move || tell_frames(File::from(tap)));
    }
    if settings.hold {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    }
}

/// One line for each frame that the host sends to the TAP.
fn tell_frames(mut tap: File) {
    let mut frame = [0; 65536];
    while let Ok(size) = tap.read(&mut frame) {
        println!("frame {size}");
    }
}

fn settings(words: &[String]) -> Settings {
    let inherited = std::env::vars().map(|(key, value)| format!("{key}={value}"));
    let mut settings = Settings {
        environment: inherited.filter_map(|pair| CString::new(pair).ok()).collect(),
        kind: "stream".to_owned(),
        patience: Duration::from_secs(20),
        ..Settings::default()
    };
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "--close" => settings.close = value.split(',').map(|n| n.parse().expect("a number")).collect(),
            "--block-signals" => settings.block_signals = true,
            "--ignore-sigpipe" => settings.ignore_sigpipe = true,
            "--extra-fds" => settings.extra_fds = value.parse().expect("a number"),
            "--env" => settings.environment.push(CString::new(value).expect("no NUL")),
            "--clear-env" => settings.environment.clear(),
            "--no-arguments" => settings.no_arguments = true,
            "--kind" => settings.kind = value.to_owned(),
            "--number" => settings.number = Some(value.parse().expect("a number")),
            "--hold" => settings.hold = true,
            "--frames" => settings.frames = true,
            "--persist" => settings.persist = true,
            "--no-new-privileges" => settings.no_new_privileges = true,
            "--file-size" => settings.file_size = Some(value.parse().expect("a number")),
            "--patience" => settings.patience = Duration::from_secs(value.parse().expect("seconds")),
            "--cwd" => std::env::set_current_dir(value).expect("that folder"),
            _ => panic!("no such setting: {word}"),
        }
    }
    settings
}

/// Our end and the helper's end of something that is, or is not, what a helper wants.
fn ends(kind: &str) -> (Option<OwnedFd>, OwnedFd) {
    let pair = |kind| socketpair(AddressFamily::Unix, kind, None, SockFlag::empty()).expect("socketpair");
    let some = |(ours, theirs)| (Some(ours), theirs);
    match kind {
        "stream" => some(pair(SockType::Stream)),
        "datagram" => some(pair(SockType::Datagram)),
        "seqpacket" => some(pair(SockType::SeqPacket)),
        "deaf" => (None, pair(SockType::Stream).1),
        "pipe" => some(pipe().expect("pipe")),
        "file" => (None, File::open("/dev/null").expect("/dev/null").into()),
        "inet" => (None, plain_socket(AddressFamily::Inet)),
        "unconnected" => (None, plain_socket(AddressFamily::Unix)),
        "listening" => {
            let fd = plain_socket(AddressFamily::Unix);
            bind(fd.as_raw_fd(), &UnixAddr::new_unnamed()).expect("bind");
            listen(&fd, Backlog::MAXCONN).expect("listen");
            (None, fd)
        }
        _ => panic!("no such kind: {kind}"),
    }
}

fn plain_socket(family: AddressFamily) -> OwnedFd {
    socket(family, SockType::Stream, SockFlag::empty(), None).expect("socket")
}

fn clear_cloexec(fd: RawFd) {
    // SAFETY: no pointers.
    unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
}

fn become_helper(settings: &Settings, words: &[CString], output: [&File; 2], theirs: OwnedFd) -> ! {
    // SAFETY: no pointers; whatever had that number is given up on purpose.
    let onto = |fd: RawFd, number: RawFd| unsafe { libc::dup2(fd, number) };
    onto(File::open("/dev/null").expect("/dev/null").into_raw_fd(), 0);
    onto(output[0].as_raw_fd(), 1);
    onto(output[1].as_raw_fd(), 2);
    match settings.number {
        None => clear_cloexec(theirs.into_raw_fd()),
        // The original closes itself: it must be inherited once.
        Some(number) => drop((onto(theirs.as_raw_fd(), number), theirs)),
    }
    for fd in &settings.close {
        // SAFETY: no pointers; nothing of ours is used after.
        unsafe { libc::close(*fd) };
    }
    // SAFETY: no handler is installed, only the two standard ones.
    let _ = unsafe {
        let handler = if settings.ignore_sigpipe { SigHandler::SigIgn } else { SigHandler::SigDfl };
        signal(Signal::SIGPIPE, handler)
    };
    if settings.block_signals {
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), None);
    }
    if settings.no_new_privileges {
        // SAFETY: no pointers.
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    }
    if let Some(size) = settings.file_size {
        let limit = libc::rlimit { rlim_cur: size, rlim_max: size };
        // SAFETY: the limit lives through the call.
        unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
    }
    let arguments = if settings.no_arguments { &[] } else { words };
    let error = execve(&words[0], arguments, &settings.environment);
    eprintln!("catch: cannot run the helper: {error:?}");
    // SAFETY: ends this copy of the process without running anything twice.
    unsafe { libc::_exit(126) }
}

/// All that comes until the other side is closed or `end` is reached.
fn receive(fd: BorrowedFd<'_>, end: Instant) -> Received {
    let mut received = Received::default();
    while ready(fd, end) {
        let mut buffer = [0; 64];
        let mut iov = [IoSliceMut::new(&mut buffer)];
        let mut space = nix::cmsg_space!([RawFd; 16]);
        let Ok(message) = recvmsg::<()>(fd.as_raw_fd(), &mut iov, Some(&mut space), MsgFlags::MSG_DONTWAIT)
        else {
            break;
        };
        for control in message.cmsgs().into_iter().flatten() {
            received.controls += 1;
            if let ControlMessageOwned::ScmRights(fds) = control {
                // SAFETY: the kernel just made them for us.
                received.fds.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        let count = message.bytes;
        received.bytes.extend_from_slice(&buffer[..count]);
        if count == 0 {
            received.ended = true;
            break;
        }
    }
    received
}

fn ready(fd: BorrowedFd<'_>, end: Instant) -> bool {
    let left = end.saturating_duration_since(Instant::now());
    let mut wanted = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut wanted, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)).is_ok_and(|n| n > 0)
}

/// The helper's end, or `None` if it had to be killed.
fn wait(child: Pid, end: Instant) -> Option<WaitStatus> {
    while Instant::now() < end {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(1)),
            Ok(status) => return Some(status),
            Err(_) => return None,
        }
    }
    // A setuid program cannot be killed by its caller once it is root; then its house ends it.
    let _ = kill(child, Signal::SIGKILL);
    None
}

/// Makes a TAP outlive its descriptors, which its holder may.
fn persist(fd: BorrowedFd<'_>) {
    // SAFETY: the argument is a number.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETPERSIST as libc::Ioctl, 1) };
    assert_eq!(done, 0, "TUNSETPERSIST: {}", std::io::Error::last_os_error());
}

/// What kind of TAP a descriptor is, as far as a plain user can see.
fn describe(fd: BorrowedFd<'_>) -> Value {
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // SAFETY: the request lives through the call and is of the size that the kernel writes.
    if unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNGETIFF as libc::Ioctl, &raw mut request) } != 0 {
        return json!({"error": std::io::Error::last_os_error().to_string()});
    }
    let name: Vec<u8> =
        request.ifr_name.iter().take_while(|byte| **byte != 0).map(|byte| byte.cast_unsigned()).collect();
    let name = String::from_utf8_lossy(&name).into_owned();
    // SAFETY: TUNGETIFF wrote the flags.
    let flags = unsafe { request.ifr_ifru.ifru_flags }.cast_unsigned();
    let mut header: libc::c_int = 0;
    // SAFETY: the number lives through the call.
    unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNGETVNETHDRSZ as libc::Ioctl, &raw mut header) };
    // SAFETY: no pointers.
    let status = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    let sys = |file: &str| {
        let text = std::fs::read_to_string(format!("/sys/class/net/{name}/{file}")).unwrap_or_default();
        text.trim().to_owned()
    };
    let up = i64::from_str_radix(sys("flags").trim_start_matches("0x"), 16).unwrap_or(0) & 1 == 1;
    let master = std::fs::read_link(format!("/sys/class/net/{name}/master")).ok();
    let master = master.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    json!({
        "flags": flags, "header": header, "mtu": sys("mtu"), "mac": sys("address"), "up": up,
        "master": master, "alias": sys("ifalias"), "nonblocking": status & libc::O_NONBLOCK != 0,
        "read_write": status & libc::O_ACCMODE == libc::O_RDWR, "name": name,
    })
}

fn tempfile() -> File {
    // SAFETY: the name is a C string; the answer is a new descriptor or -1.
    let fd = unsafe { libc::memfd_create(c"output".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "memfd_create: {}", std::io::Error::last_os_error());
    // SAFETY: just made, and ours alone.
    unsafe { File::from_raw_fd(fd) }
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("reading output");
    String::from_utf8_lossy(&bytes).into_owned()
}
