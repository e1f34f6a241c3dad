//! A switch's console: one question, one answer. Whoever reaches the console can have the switch run any
//! code, so nobody but us is given it.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vmnet_model::mac::MacAddr;
use vmnet_model::vde::console::{COMMAND_MAX, PROMPT, addresses, port, ports_max, status};
use vmnet_sys::ready::{Source, wait};

pub use vmnet_model::vde::console::PortView;

/// How long the switch has for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// No answer is longer: each of a thousand ports takes some 300 bytes.
const ANSWER_MAX: usize = 1 << 20;

/// A console, by its path. Each question has a connection of its own: what a client said of itself, prompt
/// and all, and what came behind it, ends with the answer in which it stood.
#[derive(Clone, Debug)]
pub struct Console(PathBuf);

/// Why there is no answer.
#[derive(Debug)]
pub enum ConsoleError {
    /// Nobody listens.
    NoConsole(io::Error),
    /// The switch does not answer, or is gone.
    Broken(io::Error),
    /// It answers nonsense.
    Nonsense,
    /// It says that it cannot, with errno's number.
    Refused(u32),
}

impl fmt::Display for ConsoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConsole(error) | Self::Broken(error) => f.write_str(&vmnet_sys::trust::plain(error)),
            Self::Nonsense => f.write_str("the console talks nonsense"),
            Self::Refused(number) => {
                let error = io::Error::from_raw_os_error(i32::try_from(*number).unwrap_or_default());
                f.write_str(&vmnet_sys::trust::plain(&error))
            }
        }
    }
}

impl std::error::Error for ConsoleError {}

impl Console {
    /// The console at this path.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The ports that there are.
    ///
    /// # Errors
    /// As [`ConsoleError`] says.
    pub fn ports(&self) -> Result<Vec<PortView>, ConsoleError> {
        let most = ports_max(&self.ask("port/showinfo")?).ok_or(ConsoleError::Nonsense)?;
        let mut ports = Vec::new();
        // One by one: in a list of all, a client's words about itself could be taken for the next port.
        for number in 1..=most {
            match self.ask(&format!("port/print {number}")) {
                Ok(answer) => ports.extend(port(&answer).filter(|port| port.number == number)),
                // No such port.
                Err(ConsoleError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ports)
    }

    /// Which MAC was last seen at which port.
    ///
    /// # Errors
    /// As [`ConsoleError`] says.
    pub fn addresses(&self) -> Result<Vec<(MacAddr, u32)>, ConsoleError> {
        Ok(addresses(&self.ask("hash/print")?))
    }

    /// Take an endpoint off its port.
    ///
    /// # Errors
    /// As [`ConsoleError`] says.
    pub fn close_endpoint(&self, port: u32, id: u32) -> Result<(), ConsoleError> {
        self.ask(&format!("port/epclose {port} {id}")).map(drop)
    }

    /// Ask, and hear the answer to its end.
    fn ask(&self, command: &str) -> Result<Vec<u8>, ConsoleError> {
        let line = format!("{command}\n");
        if line.len() > COMMAND_MAX || command.contains(['\n', '\0']) {
            return Err(ConsoleError::Broken(ErrorKind::InvalidInput.into()));
        }
        let mut stream = UnixStream::connect(&self.0).map_err(ConsoleError::NoConsole)?;
        hear(&mut stream)?;
        // In one write: what comes in a second one would be lost.
        stream.write_all(line.as_bytes()).map_err(ConsoleError::Broken)?;
        let answer = hear(&mut stream)?;
        match status(&answer) {
            Some(1000) => Ok(answer),
            Some(number) => Err(ConsoleError::Refused(number - 1000)),
            None => Err(ConsoleError::Nonsense),
        }
    }
}

/// Up to the prompt. A client may have said it of itself; what follows is then in the queue, or comes too
/// late for anybody.
fn hear(stream: &mut UnixStream) -> Result<Vec<u8>, ConsoleError> {
    let (mut heard, end) = (Vec::new(), Instant::now() + PATIENCE);
    let mut buffer = [0; 8192];
    while !(heard.ends_with(PROMPT) && is_quiet(stream)) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || heard.len() > ANSWER_MAX {
            return Err(ConsoleError::Broken(ErrorKind::TimedOut.into()));
        }
        stream.set_read_timeout(Some(left)).map_err(ConsoleError::Broken)?;
        match stream.read(&mut buffer) {
            Ok(0) => return Err(ConsoleError::Broken(ErrorKind::UnexpectedEof.into())),
            Ok(count) => heard.extend(buffer.iter().take(count)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(ConsoleError::Broken(error)),
        }
    }
    Ok(heard)
}

/// Is nothing left to be read?
fn is_quiet(stream: &UnixStream) -> bool {
    let source = Source { descriptor: stream.as_fd(), read: true, write: false };
    wait([source], Some(Duration::ZERO)).is_ok_and(|[ready]| !ready.read)
}
