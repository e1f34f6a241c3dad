//! One line to the system log: `<PRI>TAG[PID]: text` to /dev/log (RFC 3164 without the time,
//! which the daemon adds). Control characters are neutralised, and a log that is full or hung
//! costs at most a second.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// Longest line; RFC 3164 allows 1,024 bytes in all.
const LINE_MAX: usize = 900;
/// How long a full log may hold us up.
const PATIENCE: Duration = Duration::from_millis(900);
/// Facility authpriv (10).
const AUTHPRIV: u8 = 10 << 3;
/// Facility daemon (3).
const DAEMON: u8 = 3 << 3;

/// What kind of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Who was let in and who was not: authpriv.notice.
    Access,
    /// What a service did: daemon.info.
    Service,
    /// What a service could not do: daemon.err.
    Trouble,
}

impl Topic {
    fn priority(self) -> u8 {
        match self {
            Self::Access => AUTHPRIV | 5,
            Self::Service => DAEMON | 6,
            Self::Trouble => DAEMON | 3,
        }
    }
}

/// Send one line. A host without a log socket is not an error.
///
/// # Errors
/// There is a log, and it does not take the line in time.
pub fn send(tag: &str, topic: Topic, text: &str) -> io::Result<()> {
    send_to(Path::new("/dev/log"), tag, topic, text)
}

fn send_to(log: &Path, tag: &str, topic: Topic, text: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    match socket.connect(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result?,
    }
    socket.send(&line(tag, topic, text)).map(drop)
}

fn line(tag: &str, topic: Topic, text: &str) -> Vec<u8> {
    let head = format!("<{}>{tag}[{}]: ", topic.priority(), std::process::id());
    let clean = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let line: String = head.chars().chain(clean).collect();
    let mut line = line.into_bytes();
    line.truncate(LINE_MAX);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_callers_newline_cannot_forge_a_log_line() {
        let line = line("t", Topic::Access, "a\nb\x1b[2Jc\u{85}");
        assert_eq!(line, format!("<85>t[{}]: a?b?[2Jc?", std::process::id()).into_bytes());
        assert!(super::line("t", Topic::Access, &"é".repeat(2000)).len() <= LINE_MAX);
    }

    #[test]
    fn a_full_log_costs_less_than_a_second_and_an_absent_one_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert!(send_to(&path, "t", Topic::Access, "x").is_ok());
        let log = UnixDatagram::bind(&path).unwrap();
        let filler = UnixDatagram::unbound().unwrap();
        filler.set_nonblocking(true).unwrap();
        filler.connect(&path).unwrap();
        let filled = (0..100_000).take_while(|_| filler.send(&[b'x'; 800]).is_ok()).count();
        assert!(filled > 0);
        let start = Instant::now();
        assert!(send_to(&path, "t", Topic::Access, "x").is_err());
        assert!(start.elapsed() < Duration::from_secs(1));
        drop(log);
    }
}
