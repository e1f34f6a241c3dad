//! How a program of somebody else's is started, fed, heard and ended. Two threads read what it
//! says while a third feeds it, so a large text in either direction cannot lock both sides up.
//!
//! Its end is told by its closing standard output: a program that ends does so, and so does one
//! that turned itself into a daemon, whose children would keep other descriptors open for ever.

use crate::{ToolError, find};
use std::ffi::OsStr;
use std::io::{self, PipeReader, Read, Write};
use std::mem;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How many bytes are kept of each stream of a program; the rest is read and thrown away.
pub const SPEECH_LIMIT: usize = 1 << 20;
/// The time a program has unless [`Tool::within`] says otherwise.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How long the last words of a program that ended are waited for. They lie in the pipe already;
/// only a daemon that kept its standard error makes this pass.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What every pipe holds: one page (pipe(7)).
const PIPE_LEAST: usize = 4096;

/// A program that may be started.
#[derive(Clone, Debug)]
pub struct Tool {
    program: &'static str,
    path: PathBuf,
    limit: Duration,
}

/// What is done to each program before its start, besides what is done here.
static PREPARE: OnceLock<fn(&mut Command)> = OnceLock::new();

/// Have each program prepared by this function as well: for what the standard library cannot do.
/// Only the first call counts.
pub fn prepare_each_by(prepare: fn(&mut Command)) {
    let _ = PREPARE.set(prepare);
}

/// What a program said that ended with status 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its standard output; what is not UTF-8 is replaced.
    pub stdout: String,
    /// Its standard error, cut at [`SPEECH_LIMIT`]; what is not UTF-8 is replaced.
    pub stderr: String,
}

impl Tool {
    /// The program of this name, from the directories of [`find::PLACES`].
    ///
    /// # Errors
    /// [`ToolError::NotInstalled`].
    pub fn find(program: &'static str) -> Result<Self, ToolError> {
        Ok(Self { program, path: find::program(program)?, limit: TIME_LIMIT })
    }

    /// This program with another time limit.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Runs it to its end, with `input` on its standard input.
    ///
    /// It gets no environment but PATH and LC_ALL, the working directory `/`, and a process group
    /// of its own, so that Ctrl-C at the terminal stops us between two programs, not one of them
    /// half-way.
    ///
    /// # Errors
    /// When it cannot be started, ends with another status than 0, takes too long, or writes
    /// more than [`SPEECH_LIMIT`] on its standard output.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: &[A], input: &str) -> Result<Output, ToolError> {
        let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut command = self.command(arguments, stdin);
        if let Some(prepare) = PREPARE.get() {
            prepare(&mut command);
        }
        let mut child = command.spawn().map_err(|e| self.cannot_start(e))?;
        let fed = self.feed(&mut child, input);
        self.finish(child, fed)
    }

    /// Starts it with its input still to come: much of a small task's time is the loading of the
    /// program, which can go on beside other things. It is not prepared by [`prepare_each_by`], for
    /// which the standard library would have to copy this whole process first; if we are killed, it
    /// finds its input at an end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<A: AsRef<OsStr>>(self, arguments: &[A]) -> Result<Started, ToolError> {
        let mut command = self.command(arguments, Stdio::piped());
        let mut spawn = || {
            let (words, mouth) = io::pipe()?;
            command.stdout(mouth.try_clone()?).stderr(mouth);
            Ok((command.spawn()?, words))
        };
        let (child, words) = spawn().map_err(|e| self.cannot_start(e))?;
        Ok(Started { tool: self, child: Some((child, words)) })
    }

    fn feed(&self, child: &mut Child, input: &str) -> Result<(), ToolError> {
        let pipe = child.stdin.take();
        pipe.map_or(Ok(()), |pipe| feed(pipe, input.to_owned())).map_err(|e| self.cannot_start(e))
    }

    fn finish(&self, mut child: Child, fed: Result<(), ToolError>) -> Result<Output, ToolError> {
        let deadline = Instant::now() + self.limit;
        let finished = fed.and_then(|()| self.hear_out(&mut child, deadline));
        self.conclude(child, finished)
    }

    fn conclude(&self, mut child: Child, finished: Heard) -> Result<Output, ToolError> {
        if finished.is_err() {
            // Nothing to add when it is gone already; without the wait it would stay a zombie.
            let _ = child.kill();
            let _ = child.wait();
        }
        let (status, stdout, stderr) = finished?;
        if !status.success() {
            return Err(ToolError::Failed { program: self.program, status, stderr: stderr.into_text() });
        }
        if stdout.cut {
            return Err(ToolError::SaidTooMuch { program: self.program });
        }
        Ok(Output { stdout: stdout.into_text(), stderr: stderr.into_text() })
    }

    fn command<A: AsRef<OsStr>>(&self, arguments: &[A], stdin: Stdio) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .process_group(0)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn hear_out(
        &self,
        child: &mut Child,
        deadline: Instant,
    ) -> Result<(ExitStatus, Speech, Speech), ToolError> {
        let (stdout, stderr) = (Listener::new(child.stdout.take()), Listener::new(child.stderr.take()));
        let (stdout, stderr) =
            (stdout.map_err(|e| self.cannot_start(e))?, stderr.map_err(|e| self.cannot_start(e))?);
        stdout.wait(deadline.saturating_duration_since(Instant::now()));
        let status = self.reap(child, deadline)?;
        stderr.wait(LAST_WORDS);
        Ok((status, stdout.heard(), stderr.heard()))
    }

    /// The status of a program that has closed its standard output. The kernel closes a dying
    /// process's descriptors microseconds before its status can be fetched, and the standard
    /// library cannot wait for a child with a limit, hence the short pauses.
    fn reap(&self, child: &mut Child, deadline: Instant) -> Result<ExitStatus, ToolError> {
        let mut pause = Duration::from_micros(20);
        loop {
            if let Some(status) = child.try_wait().map_err(|e| self.cannot_start(e))? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(ToolError::TimedOut { program: self.program, limit: self.limit });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }

    fn cannot_start(&self, cause: io::Error) -> ToolError {
        ToolError::CannotStart { program: self.program, cause }
    }
}

/// Its status, its standard output and its standard error.
type Heard = Result<(ExitStatus, Speech, Speech), ToolError>;

/// A program that waits for its input. One that never gets any is ended.
#[derive(Debug)]
pub struct Started {
    tool: Tool,
    /// It, and whatever it says on either stream.
    child: Option<(Child, PipeReader)>,
}

impl Started {
    /// Gives it all its input. It works on it while we do something else.
    ///
    /// # Errors
    /// When no thread can be had for a large one.
    pub fn feed(&mut self, input: &str) -> Result<(), ToolError> {
        self.child.as_mut().map_or(Ok(()), |(child, _)| self.tool.feed(child, input))
    }

    /// Hears it out; its time begins now. What it said on either stream is one text.
    ///
    /// # Errors
    /// As [`Tool::run`].
    pub fn finish(mut self) -> Result<Output, ToolError> {
        let Some((mut child, words)) = self.child.take() else {
            return Err(self.tool.cannot_start(io::ErrorKind::BrokenPipe.into()));
        };
        let deadline = Instant::now() + self.tool.limit;
        let hear = || {
            let words = Listener::new(Some(words)).map_err(|e| self.tool.cannot_start(e))?;
            words.wait(deadline.saturating_duration_since(Instant::now()));
            let status = self.tool.reap(&mut child, deadline)?;
            let (said, silence) = (words.heard(), Speech::default());
            Ok(if status.success() { (status, said, silence) } else { (status, silence, said) })
        };
        let heard = hear();
        self.tool.conclude(child, heard)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What came out of one stream.
#[derive(Default)]
struct Speech {
    bytes: Vec<u8>,
    cut: bool,
}

impl Speech {
    fn into_text(self) -> String {
        String::from_utf8(self.bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }
}

/// Writes `input` and closes the pipe; what may be more than the pipe holds, from a thread of its own.
/// A program that stops reading is no failure here (the standard library ignores SIGPIPE): its
/// status tells.
fn feed(mut pipe: impl Write + Send + 'static, input: String) -> io::Result<()> {
    let small = input.len() <= PIPE_LEAST;
    let mut feeding = move || {
        let _ = pipe.write_all(input.as_bytes());
    };
    if small {
        feeding();
        return Ok(());
    }
    thread::Builder::new().name("feed".into()).spawn(feeding).map(drop)
}

/// Reads a pipe in a thread of its own, which ends when the pipe does.
struct Listener {
    speech: Arc<Mutex<Speech>>,
    end: Receiver<()>,
}

impl Listener {
    fn new(pipe: Option<impl Read + Send + 'static>) -> io::Result<Self> {
        let (tell, end) = channel();
        let speech = Arc::new(Mutex::new(Speech::default()));
        let page = Arc::clone(&speech);
        let listening = move || {
            if let Some(pipe) = pipe {
                write_down(pipe, &page);
            }
            // Nobody may be waiting any more.
            let _ = tell.send(());
        };
        thread::Builder::new().name("listen".into()).spawn(listening)?;
        Ok(Self { speech, end })
    }

    /// Waits for the pipe's end, at most so long.
    fn wait(&self, limit: Duration) {
        let _ = self.end.recv_timeout(limit);
    }

    /// What has come so far.
    fn heard(&self) -> Speech {
        mem::take(&mut *self.speech.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn write_down(mut pipe: impl Read, page: &Mutex<Speech>) {
    let mut chunk = [0; 8192];
    loop {
        let heard = match pipe.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => chunk.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let mut speech = page.lock().unwrap_or_else(PoisonError::into_inner);
        let room = SPEECH_LIMIT - speech.bytes.len();
        speech.cut |= heard.len() > room;
        speech.bytes.extend(heard.iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn shell(script: &str, input: &str) -> Result<Output, ToolError> {
        Tool::find("sh").unwrap().run(&["-c", script], input)
    }

    #[test]
    fn a_program_gets_no_environment_of_the_callers() {
        assert!(std::env::vars_os().count() > 2);
        let output = Tool::find("env").unwrap().run::<&str>(&[], "").unwrap();
        assert_eq!(output.stdout, "LC_ALL=C\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
        assert_eq!(shell("pwd", "").unwrap().stdout, "/\n");
    }

    #[test]
    fn a_large_text_goes_through_in_both_directions_at_once() {
        let text = "0123456789abcde\n".repeat(SPEECH_LIMIT / 16);
        let output = Tool::find("cat").unwrap().run::<&str>(&[], &text).unwrap();
        assert!(output.stdout == text);
        let error = Tool::find("cat").unwrap().run::<&str>(&[], &(text + "x")).unwrap_err();
        assert!(matches!(error, ToolError::SaidTooMuch { .. }), "{error}");
    }

    #[test]
    fn a_program_that_does_not_read_its_input_is_no_failure() {
        assert_eq!(shell("echo done", &"x".repeat(4 << 20)).unwrap().stdout, "done\n");
    }

    #[test]
    fn a_program_that_was_started_early_works_when_its_input_comes_and_else_ends() {
        let mut started = Tool::find("cat").unwrap().start::<&str>(&[]).unwrap();
        started.feed("late").unwrap();
        assert_eq!(started.finish().unwrap().stdout, "late");
        let unused = Tool::find("cat").unwrap().start::<&str>(&[]).unwrap();
        let pid = unused.child.as_ref().unwrap().0.id().to_string();
        drop(unused);
        assert!(!Path::new("/proc").join(&pid).exists(), "{pid} lives");
    }

    #[test]
    fn a_failure_carries_its_status_and_its_last_words() {
        let error = shell("echo oops >&2; exit 3", "").unwrap_err();
        assert_eq!(error.to_string(), "sh failed: oops");
        let ToolError::Failed { status, .. } = error else { panic!("{error:?}") };
        assert_eq!(status.code(), Some(3));
        assert_eq!(shell("kill -KILL $$", "").unwrap_err().to_string(), "sh failed: signal: 9 (SIGKILL)");
    }

    #[test]
    fn a_flood_on_standard_error_is_cut_and_drained() {
        let error = shell("head -c 3000000 /dev/zero >&2; exit 1", "").unwrap_err();
        let ToolError::Failed { stderr, .. } = error else { panic!("{error:?}") };
        assert_eq!(stderr.len(), SPEECH_LIMIT);
    }

    #[test]
    fn a_program_that_hangs_is_killed_and_leaves_no_zombie() {
        let note = std::env::temp_dir().join(format!("vmnet-tools-{}", std::process::id()));
        for script in ["echo $$ >\"$0\"; exec sleep 60", "echo $$ >\"$0\"; exec >&- 2>&-; exec sleep 60"] {
            let tool = Tool::find("sh").unwrap().within(Duration::from_millis(300));
            let error = tool.run(&["-c".as_ref(), script.as_ref(), note.as_os_str()], "").unwrap_err();
            assert_eq!(error.to_string(), "sh did not finish within 0.3 s");
            let pid = std::fs::read_to_string(&note).unwrap();
            std::fs::remove_file(&note).unwrap();
            assert!(!Path::new("/proc").join(pid.trim()).exists(), "{pid} lives");
        }
    }

    #[test]
    fn a_daemon_that_keeps_standard_error_does_not_hold_us_up() {
        let begin = Instant::now();
        let error = shell("sleep 8 </dev/null >/dev/null & echo oops >&2; exit 1", "").unwrap_err();
        assert_eq!(error.to_string(), "sh failed: oops");
        assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    }
}
