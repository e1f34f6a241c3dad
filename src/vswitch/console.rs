//! A switch's console: questions and answers, and a feed of who comes and goes. Whoever reaches the console can have the switch run any
//! code, so nobody but us is given it.

use crate::console_text::{COMMAND_MAX, PROMPT, addresses, port, status, switch};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vmnet_access::mac::MacAddr;
use vmnet_sys::process::Process;
use vmnet_sys::stream::{connect_owned, listener_of};

pub use crate::console_text::PortView;
pub use crate::console_text::SwitchView;

/// How long the switch has for a whole conversation.
const PATIENCE: Duration = Duration::from_secs(2);
/// No answer about a port is longer. The switch writes each answer whole, and up to this much comes whole
/// too: so nothing that a client says of itself can pass for the prompt behind it.
const ANSWER_MAX: usize = 64 << 10;
/// More than that, so that one reading takes it all.
const BUFFER: usize = 128 << 10;

/// A console, by its path and whose it must be.
#[derive(Clone, Debug)]
pub struct Console {
    path: PathBuf,
    owner: u32,
}

/// A connection to it. One for many questions: with each that ends, a switch may mislay the port of somebody
/// who is just coming.
#[derive(Debug)]
pub struct Talk {
    stream: UnixStream,
    end: Instant,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ConsoleError {
    /// Nobody listens, or it is not the switch's own.
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
            Self::NoConsole(error) if error.kind() == ErrorKind::PermissionDenied => {
                f.write_str("what is there is not the switch's socket")
            }
            Self::Broken(error) if error.kind() == ErrorKind::TimedOut => f.write_str("it does not answer"),
            Self::Broken(error) if error.kind() == ErrorKind::UnexpectedEof => f.write_str("it hung up"),
            Self::NoConsole(error) | Self::Broken(error) => f.write_str(&vmnet_sys::trust::plain(error)),
            Self::Nonsense => f.write_str("it talks nonsense"),
            Self::Refused(number) => {
                let error = io::Error::from_raw_os_error(i32::try_from(*number).unwrap_or_default());
                f.write_str(&vmnet_sys::trust::plain(&error))
            }
        }
    }
}

impl std::error::Error for ConsoleError {}

impl Console {
    /// The console at this path. Its directory may be the switch's, who may be anybody: what is there must
    /// be a socket of this user's.
    #[must_use]
    pub fn of(path: PathBuf, owner: u32) -> Self {
        Self { path, owner }
    }

    /// Begin to ask.
    ///
    /// # Errors
    /// As [`ConsoleError`] says.
    pub fn talk(&self) -> Result<Talk, ConsoleError> {
        let end = Instant::now() + PATIENCE;
        let stream = connect_owned(&self.path, self.owner, PATIENCE).map_err(ConsoleError::NoConsole)?;
        let mut talk = Talk { stream, end };
        talk.hear()?;
        Ok(talk)
    }

    /// A connection on which the switch tells who comes and goes
    /// ([`crate::console_text::tells_of_a_port`]), for a reader who never waits. It ends with the
    /// switch.
    ///
    /// # Errors
    /// As [`ConsoleError`] says.
    pub fn feed(&self) -> Result<UnixStream, ConsoleError> {
        let mut talk = self.talk()?;
        talk.ask("debug/add port")?;
        talk.stream.set_nonblocking(true).map_err(ConsoleError::Broken)?;
        Ok(talk.stream)
    }
}

impl Talk {
    /// The process that runs the switch, as far as the kernel can say.
    ///
    /// # Errors
    /// The process behind the console is not to be seen.
    pub fn process(&self) -> io::Result<Process> {
        listener_of(&self.stream)
    }

    /// The switch itself.
    ///
    /// # Errors
    /// As [`ConsoleError`] says.
    pub fn switch(&mut self) -> Result<SwitchView, ConsoleError> {
        switch(&self.ask("port/showinfo")?).ok_or(ConsoleError::Nonsense)
    }

    /// One port. Debian's switch aborts over one whose user has no name and a number of six digits or more:
    /// ask only where its user is known.
    ///
    /// # Errors
    /// As [`ConsoleError`] says.
    pub fn port(&mut self, number: u32) -> Result<PortView, ConsoleError> {
        let answer = self.ask(&format!("port/print {number}"))?;
        port(&answer).filter(|port| port.number == number).ok_or(ConsoleError::Nonsense)
    }

    /// Which MAC was last seen at which port.
    ///
    /// # Errors
    /// As [`ConsoleError`] says.
    pub fn addresses(&mut self) -> Result<Vec<(MacAddr, u32)>, ConsoleError> {
        Ok(addresses(&self.ask("hash/print")?))
    }

    /// Take an endpoint off its port.
    ///
    /// # Errors
    /// As [`ConsoleError`] says.
    pub fn close_endpoint(&mut self, port: u32, id: u32) -> Result<(), ConsoleError> {
        self.ask(&format!("port/epclose {port} {id}")).map(drop)
    }

    /// Ask, and hear the answer to its end.
    fn ask(&mut self, command: &str) -> Result<Vec<u8>, ConsoleError> {
        let line = format!("{command}\n");
        if line.len() > COMMAND_MAX || command.contains(['\n', '\0']) {
            return Err(ConsoleError::Broken(ErrorKind::InvalidInput.into()));
        }
        // In one write: what comes in a second one would be lost.
        self.stream.write_all(line.as_bytes()).map_err(ConsoleError::Broken)?;
        let answer = self.hear()?;
        match status(&answer) {
            Some(1000) => Ok(answer),
            Some(number) => Err(ConsoleError::Refused(number - 1000)),
            None => Err(ConsoleError::Nonsense),
        }
    }

    /// Up to the prompt.
    fn hear(&mut self) -> Result<Vec<u8>, ConsoleError> {
        let mut heard = Vec::new();
        let mut buffer = vec![0; BUFFER];
        while !heard.ends_with(PROMPT) {
            let left = self.end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ConsoleError::Broken(ErrorKind::TimedOut.into()));
            }
            self.stream.set_read_timeout(Some(left)).map_err(ConsoleError::Broken)?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ConsoleError::Broken(ErrorKind::UnexpectedEof.into())),
                Ok(count) => heard.extend(buffer.iter().take(count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(ConsoleError::Broken(ErrorKind::TimedOut.into()));
                }
                Err(error) => return Err(ConsoleError::Broken(error)),
            }
            if heard.len() > ANSWER_MAX {
                return Err(ConsoleError::Nonsense);
            }
        }
        Ok(heard)
    }
}
