//! The processes of a network's switch, known by their numbers and by what they are.

use crate::dir::SwitchDir;
use crate::settings::recorded;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use vmnet_sys::claim::{number, processes, stop};
use vmnet_sys::process::{Process, command_line};

/// How often switches are looked for: one that was just started forks.
const LOOKS: usize = 10;

/// The network's VDE switch, if it runs, or what is about to become it.
pub fn switch(dir: &SwitchDir) -> Option<Process> {
    let process = Process::watch(number(&dir.pid())?).ok()?;
    let pid = process.pid().as_raw().unsigned_abs();
    SwitchMarks::of(dir)?.are_of(pid).then_some(process)
}

/// Stop the network's switch, and every one that has not said its number yet, again and again until there
/// is none.
pub fn stop_switches(dir: &SwitchDir) -> std::io::Result<()> {
    let Some(marks) = SwitchMarks::of(dir) else { return Ok(()) };
    for _ in 0..LOOKS {
        let switches = processes(|pid| marks.are_of(pid));
        if switches.is_empty() {
            return Ok(());
        }
        switches.iter().try_for_each(stop)?;
    }
    Err(std::io::ErrorKind::TimedOut.into())
}

/// What a network's switch is known by: it runs as the network's own user, and says where.
struct SwitchMarks {
    user: u32,
    place: [Vec<u8>; 2],
    /// The words of root's process that becomes it.
    before: [Vec<u8>; 4],
}

impl SwitchMarks {
    fn of(dir: &SwitchDir) -> Option<Self> {
        let switch = recorded(dir).ok().flatten()?;
        let words = ["wire", "switch", "--record"].map(|word| word.as_bytes().to_vec());
        let [wire, verb, option] = words;
        Some(Self {
            user: switch.pump,
            place: [b"--sock".to_vec(), switch.door.directory.as_str().into()],
            before: [wire, verb, option, dir.record().into_os_string().into_vec()],
        })
    }

    /// Anybody may call his own program so, but not as that user.
    fn are_of(&self, pid: u32) -> bool {
        let words = command_line(pid);
        let has = |marks: &[Vec<u8>]| words.windows(marks.len()).any(|words| words == marks);
        let user = std::fs::metadata(format!("/proc/{pid}")).map(|meta| meta.uid());
        user.is_ok_and(|user| user == self.user && has(&self.place) || user == 0 && has(&self.before))
    }
}
