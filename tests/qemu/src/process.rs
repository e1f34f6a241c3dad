//! A program that goes on running in a house while the test looks: its standard output is read line by
//! line with a time limit, its input can be written, and dropping it kills it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::command;

/// A running program.
pub struct Process {
    words: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Arc<Mutex<String>>,
    /// Hung up when both outputs were read to their ends.
    reading: Receiver<()>,
}

/// How long an output is waited for after its program's end: somebody else may hold it open.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Process {
    /// Starts `command`, called `words` in messages.
    #[track_caller]
    pub fn start(mut command: Command, words: &str) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start `{words}`: {e}"));
        let said = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("a pipe");
        let stderr = child.stderr.take().expect("a pipe");
        let (reads, reading) = channel();
        collect(stdout, Arc::clone(&said), Some(sender), reads.clone());
        collect(stderr, Arc::clone(&said), None, reads);
        Self { words: words.to_owned(), stdin: child.stdin.take(), child, lines, said, reading }
    }

    /// The next line of standard output for which `wanted` holds (others are dropped), or why there is
    /// none: the program ended, or `patience` was over.
    pub fn line(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> Result<String, String> {
        let end = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if wanted(&line) => return Ok(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!(
                        "`{}`: no such line within {patience:?}\n{}",
                        self.words,
                        self.said()
                    ));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("`{}` ended without such a line\n{}", self.words, self.said()));
                }
            }
        }
    }

    /// Writes one line to standard input.
    #[track_caller]
    pub fn write_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("input is still open");
        let write = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        write.unwrap_or_else(|e| panic!("cannot write to `{}`: {e}", self.words));
    }

    /// Closes standard input.
    pub fn close_input(&mut self) {
        drop(self.stdin.take());
    }

    /// All that the program said so far, both outputs as they came.
    pub fn said(&self) -> String {
        self.said.lock().map(|text| text.clone()).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end, and for its last words; kills and fails after `patience`.
    #[track_caller]
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let status = command::wait(&mut self.child, patience);
        let _ = self.reading.recv_timeout(LAST_WORDS);
        status.unwrap_or_else(|| panic!("`{}` did not end within {patience:?}\n{}", self.words, self.said()))
    }

    /// Sends a signal to the program and what it started (its process group).
    pub fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        let _ = killpg(group, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

fn collect(
    from: impl std::io::Read + Send + 'static,
    said: Arc<Mutex<String>>,
    lines: Option<std::sync::mpsc::Sender<String>>,
    reads: std::sync::mpsc::Sender<()>,
) {
    std::thread::spawn(move || {
        let _reads = reads;
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if let Ok(mut said) = said.lock() {
                said.push_str(&line);
                said.push('\n');
            }
            if let Some(lines) = &lines {
                let _ = lines.send(line);
            }
        }
    });
}
