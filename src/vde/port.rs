//! One port on a switch: a datagram socket that carries raw frames, and a control connection that keeps
//! the port for as long as somebody holds it.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vmnet_access::vde::{ANSWER_SIZE, CONTROL, Directory, answer, request};
use vmnet_sys::stream::{connect, unconnected};
use vmnet_sys::trust::plain;

/// How long a switch has for its answer. Debian's gives none at all to a port that it refuses.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks for a switch that is away: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(80)];

/// What it means that nobody listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// There is no switch.
    Final,
    /// Somebody sees to it that there is one: it is waited for, as long as for its answer.
    Passing,
}

/// What is asked of a switch.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The switch.
    pub switch: &'a Directory,
    /// The port's number; 0: any.
    pub port: u32,
    /// Who we are, for those who look at the switch. Text that anybody could write.
    pub description: &'a str,
    /// Where our own socket is to be: a path that is free, in a directory of ours. It stays there for
    /// [`Port::join_again`], and goes with the [`Port`].
    pub own_socket: &'a Path,
    /// The mode of our socket, which the switch must be able to write to.
    pub mode: u32,
}

/// A port. Dropping it leaves the switch, unless another process holds its control connection.
#[derive(Debug)]
pub struct Port {
    data: UnixDatagram,
    control: UnixStream,
    own: OwnSocket,
}

/// A path that is removed with its value.
#[derive(Debug)]
struct OwnSocket(PathBuf);

impl Drop for OwnSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Why there is no port.
#[derive(Debug)]
pub enum JoinError {
    /// Nobody listens in the directory.
    NoSwitch(io::Error),
    /// The switch did not answer: Debian's way to refuse, or it hangs.
    Silent,
    /// The switch closed the connection: another's way to refuse.
    Closed,
    /// The answer is none.
    BadAnswer,
    /// The answer names a socket that is not in the switch's directory.
    ForeignSocket(PathBuf),
    /// Our own socket cannot be made at this path.
    OwnSocket(PathBuf, io::Error),
    /// The kernel refused a step.
    Kernel(io::Error),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSwitch(error) => write!(f, "no switch answers there: {}", plain(error)),
            Self::Silent => write!(
                f,
                "it did not answer within {} s: full, or the port is another user's",
                PATIENCE.as_secs()
            ),
            Self::Closed => f.write_str("it refused the port"),
            Self::BadAnswer => f.write_str("it answered what no switch answers"),
            Self::ForeignSocket(path) => {
                write!(
                    f,
                    "it named a socket outside its directory: {}",
                    path.as_os_str().as_bytes().escape_ascii()
                )
            }
            Self::OwnSocket(path, error) => write!(f, "cannot make {}: {}", path.display(), plain(error)),
            Self::Kernel(error) => f.write_str(&plain(error)),
        }
    }
}

impl std::error::Error for JoinError {}

impl Port {
    /// Join a switch.
    ///
    /// # Errors
    /// Why there is no port; nothing is left behind.
    pub fn join(wish: &Wish<'_>) -> Result<Self, JoinError> {
        let failed = |error| JoinError::OwnSocket(wish.own_socket.to_owned(), error);
        let data = UnixDatagram::bind(wish.own_socket).map_err(failed)?;
        let own = OwnSocket(wish.own_socket.to_owned());
        fs::set_permissions(&own.0, Permissions::from_mode(wish.mode)).map_err(failed)?;
        let line = unconnected().map_err(JoinError::Kernel)?;
        let control = ask(wish, &data, line, Absence::Final)?;
        Ok(Self { data, control, own })
    }

    /// Join anew, after the switch ended or to go to another one. Whoever holds a copy of the data socket,
    /// such as a running VM, notices nothing.
    ///
    /// # Errors
    /// As [`Port::join`]; the port is off its switch then, and may be asked for again.
    pub fn join_again(&mut self, switch: &Directory, port: u32, description: &str) -> Result<(), JoinError> {
        // Else the switch could not connect to us: a connected socket hears only its peer.
        vmnet_sys::datagram::disconnect(self.data.as_fd()).map_err(JoinError::Kernel)?;
        let own_socket = &self.own.0;
        // Its mode was set when it was made.
        let wish = Wish { switch, port, description, own_socket, mode: 0 };
        let line = unconnected().map_err(JoinError::Kernel)?;
        self.control = ask(&wish, &self.data, line, Absence::Final)?;
        Ok(())
    }

    /// Leave the switch, whoever else holds a copy, and wait until it has noticed.
    ///
    /// # Errors
    /// It did not notice in time.
    pub fn leave(self) -> io::Result<()> {
        leave(self.control)
    }

    /// The socket for frames: one datagram each, no header, of 14 (an Ethernet header) to
    /// 1518 bytes. An empty one must never be sent to a VM.
    #[must_use]
    pub fn data(&self) -> &UnixDatagram {
        &self.data
    }

    /// The connection that keeps the port, and ends with the switch.
    #[must_use]
    pub fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

/// Ask for the port, by a socket that is not connected yet, and connect the data socket to it. The connection
/// that keeps it is answered.
pub(crate) fn ask(
    wish: &Wish<'_>,
    data: &UnixDatagram,
    line: UnixStream,
    absence: Absence,
) -> Result<UnixStream, JoinError> {
    let own = wish.own_socket.as_os_str().as_bytes();
    let too_long = || JoinError::OwnSocket(wish.own_socket.to_owned(), ErrorKind::InvalidInput.into());
    let request = request(own, wish.port, wish.description).ok_or_else(too_long)?;
    let directory = Path::new(wish.switch.as_str());
    // Back to back: a connection that asks late, after another one went, becomes a port that never goes.
    let mut control = line;
    connect_soon(&control, &directory.join(CONTROL), absence)?;
    control.set_read_timeout(Some(PATIENCE)).map_err(JoinError::Kernel)?;
    control.set_write_timeout(Some(PATIENCE)).map_err(JoinError::Kernel)?;
    // The whole request in one write: what came in a second one would be taken for another request.
    match control.write(&request) {
        Ok(sent) if sent == request.len() => {}
        Ok(_) => return Err(JoinError::Kernel(ErrorKind::WriteZero.into())),
        Err(error) if is_closed(&error) => return Err(JoinError::Closed),
        Err(error) => return Err(JoinError::Kernel(error)),
    }
    let mut bytes = [0; ANSWER_SIZE];
    match control.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) => {
            return Err(match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => JoinError::Silent,
                ErrorKind::UnexpectedEof => JoinError::Closed,
                _ if is_closed(&error) => JoinError::Closed,
                _ => JoinError::Kernel(error),
            });
        }
    }
    let path = answer(&bytes).ok_or(JoinError::BadAnswer)?;
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    if !is_in(path, directory) {
        return Err(JoinError::ForeignSocket(path.to_owned()));
    }
    data.connect(path).map_err(JoinError::Kernel)?;
    Ok(control)
}

/// End a connection, and wait until the switch has noticed: one that finds a leave and a new connection together
/// mislays the port of one of them, for ever.
pub(crate) fn leave(mut control: UnixStream) -> io::Result<()> {
    control.shutdown(Shutdown::Write)?;
    control.set_read_timeout(Some(PATIENCE))?;
    let mut rest = [0; 64];
    while control.read(&mut rest)? > 0 {}
    Ok(())
}

/// Connect, within [`PATIENCE`] in all.
fn connect_soon(line: &UnixStream, path: &Path, absence: Absence) -> Result<(), JoinError> {
    let end = Instant::now() + PATIENCE;
    let [mut pause, most] = PAUSES;
    let left = || end.saturating_duration_since(Instant::now());
    loop {
        // No time at all would be no limit.
        let error = match connect(line, path, left().max(pause)) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(JoinError::Silent),
            Err(error) => error,
        };
        let is_away = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
        if !is_away || absence == Absence::Final || left().is_zero() {
            return Err(JoinError::NoSwitch(error));
        }
        // Nobody tells a plain caller when somebody begins to listen.
        std::thread::sleep(pause.min(left()));
        pause = (pause * 2).min(most);
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// Is the socket right in the directory? A switch may know its directory by another name than we.
fn is_in(path: &Path, directory: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let is_name = path.file_name().is_some() && !path.as_os_str().as_bytes().ends_with(b"/..");
    let parent = path.parent().and_then(real);
    // A link in the directory would lead out of it again.
    let is_link = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_symlink());
    is_name && !is_link && parent.is_some() && parent == real(directory)
}
