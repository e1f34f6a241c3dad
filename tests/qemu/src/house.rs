//! A house: one throw-away host for a test, with network, mount and process namespaces of its own. It
//! has the machine's programs, its own `/run`, `/dev` and `/tmp`, and memory laid over `/etc`,
//! `/usr/local`, `/usr/lib/qemu` and `/var/lib`, so nothing that happens in it reaches the machine.
//!
//! Process 1 is a bash whose standard input the test holds: however the test ends, the pipe closes,
//! bash exits and the kernel ends everything inside.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::command::{self, Outcome, PATH, PATIENCE, words};
use crate::process::Process;

/// The helper's place in a house.
pub const HELPER: &str = "/usr/local/libexec/vmnet-bridge-helper";
/// The companion's place in a house.
pub const VMNET: &str = "/usr/local/sbin/vmnet";
/// QEMU's own helper (Debian's place); made setuid in a house by [`House::install_qemu_helper`].
pub const QEMU_HELPER: &str = "/usr/lib/qemu/qemu-bridge-helper";
/// The caller of [`crate::catch`], in a house.
pub const CATCH: &str = "/tmp/house/catch";

/// How the helper gets its privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// root:root 4755.
    Setuid,
    /// 0755 and `cap_net_admin+ep` on the file.
    FileCapability,
    /// 0755 and nothing.
    None,
}

/// Who runs a program in a house.
#[derive(Clone, Copy, Debug)]
pub enum As<'a> {
    /// root, with every capability.
    Root,
    /// A user with the groups that `/etc/group` gives.
    User(&'a str),
    /// A user with exactly these supplementary groups (numbers, comma between; may be empty).
    UserWithGroups(&'a str, &'a str),
}

/// One throw-away host. Dropping it ends all that runs in it.
pub struct House {
    unshare: Child,
    door: Option<ChildStdin>,
    init: u32,
}

impl Default for House {
    fn default() -> Self {
        Self::new()
    }
}

impl House {
    /// A fresh host: loopback up, `/dev/net/tun` at 0600, users alice (1000, in vmusers) and bob (1001,
    /// in guests), no forwarding, nothing of ours installed.
    ///
    /// # Panics
    /// If it cannot be set up: not root, or a kernel without namespaces or overlayfs.
    #[track_caller]
    pub fn new() -> Self {
        let flags = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
        let mut errors = tempfile::tempfile().expect("a file for stderr");
        let mut unshare = Command::new("unshare")
            .args(flags)
            .args(["bash", "-c", include_str!("house.sh")])
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().expect("stderr again"))
            .process_group(0)
            .spawn()
            .expect("starting unshare");
        let door = unshare.stdin.take();
        let stdout = unshare.stdout.take().expect("a pipe");
        let mut line = String::new();
        if command::readable(&stdout, PATIENCE) {
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        if line != "ready\n" {
            let _ = unshare.kill();
            let mut said = String::new();
            let _ = std::io::Seek::rewind(&mut errors).and_then(|()| errors.read_to_string(&mut said));
            panic!("cannot build a house (root is needed, and overlayfs): {said}");
        }
        let init = child_of(unshare.id()).expect("the house's process 1");
        Self { unshare, door, init }
    }

    /// The host's process 1, as this side numbers it.
    pub fn init(&self) -> u32 {
        self.init
    }

    /// A program in the house, not yet started: for what [`House::run`] and [`House::spawn`] do not do.
    pub fn command(&self, who: As<'_>, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.init))
            .args(["--mount", "--net", "--pid", "--wd=/", "--"])
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C")
            .env("HOME", "/root");
        let user = match who {
            As::Root => None,
            As::User(user) => Some((user, "--init-groups".to_owned())),
            As::UserWithGroups(user, "") => Some((user, "--clear-groups".to_owned())),
            As::UserWithGroups(user, groups) => Some((user, format!("--groups={groups}"))),
        };
        if let Some((user, groups)) = user {
            command.env("HOME", format!("/tmp/{user}")).env("USER", user);
            command.arg("setpriv").arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
            command.arg(groups).args(["--inh-caps=-all", "--"]);
        }
        command.args(argv);
        command
    }

    /// Runs a program to its end as root.
    #[track_caller]
    pub fn run(&self, argv: &[&str]) -> Outcome {
        self.run_with(As::Root, argv, None, PATIENCE)
    }

    /// Runs a program to its end as a plain user, with the groups that `/etc/group` gives.
    #[track_caller]
    pub fn run_as(&self, user: &str, argv: &[&str]) -> Outcome {
        self.run_with(As::User(user), argv, None, PATIENCE)
    }

    /// Runs a program to its end with everything chosen.
    #[track_caller]
    pub fn run_with(&self, who: As<'_>, argv: &[&str], input: Option<&str>, patience: Duration) -> Outcome {
        command::run(self.command(who, argv), &words(argv), input, patience)
    }

    /// The output of a shell script run as root, every step of which must succeed.
    ///
    /// # Panics
    /// If one does not.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.run(&["bash", "-euo", "pipefail", "-c", script]).success().to_owned()
    }

    /// Starts a program that goes on running.
    #[track_caller]
    pub fn spawn(&self, who: As<'_>, argv: &[&str]) -> Process {
        Process::start(self.command(who, argv), &words(argv))
    }

    /// A path in the house as this side sees it. Absolute symlinks on the way lead out of the house.
    pub fn outside_path(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(self.init.to_string()).join("root").join(path.trim_start_matches('/'))
    }

    /// Writes a file in the house, folders made as needed (0755), with this mode and owner (uid, gid).
    #[track_caller]
    pub fn write_file_for(&self, path: &str, mode: u32, owner: (u32, u32), text: impl AsRef<[u8]>) {
        let place = self.outside_path(path);
        let write = || {
            fs::create_dir_all(place.parent().unwrap_or(&place))?;
            fs::write(&place, text.as_ref())?;
            chown(&place, Some(owner.0), Some(owner.1))?;
            fs::set_permissions(&place, Permissions::from_mode(mode))
        };
        write().unwrap_or_else(|e| panic!("cannot write {path} in the house: {e}"));
    }

    /// Writes a root-owned 0644 file in the house.
    #[track_caller]
    pub fn write_file(&self, path: &str, text: impl AsRef<[u8]>) {
        self.write_file_for(path, 0o644, (0, 0), text);
    }

    /// A file's text in the house, if there is one.
    pub fn read_file(&self, path: &str) -> Option<String> {
        fs::read(self.outside_path(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Copies a program of this side into the house.
    #[track_caller]
    pub fn copy_in(&self, from: &Path, to: &str, mode: u32) {
        // Not written by this process: while a thread of it forks, the copy would be open for writing in
        // the child, and a program that is open for writing cannot be run.
        let place = self.outside_path(to);
        let draft = self.outside_path(&format!("{to}.{:?}", std::thread::current().id()));
        let mut install = Command::new("install");
        install.args(["-D", "-m", &format!("{mode:o}")]).arg(from).arg(&draft);
        command::run(install, &format!("install {}", from.display()), None, PATIENCE).success();
        // A program that is running cannot be written; replaced, it can.
        fs::rename(draft, place).unwrap_or_else(|e| panic!("cannot put {to} in place: {e}"));
    }

    /// Sets the mode of `/dev/net/tun` (0600 in a fresh house; QEMU's helper needs 0666).
    #[track_caller]
    pub fn set_tun_mode(&self, mode: u32) {
        fs::set_permissions(self.outside_path("/dev/net/tun"), Permissions::from_mode(mode))
            .expect("the mode of /dev/net/tun");
    }

    /// Installs our programs, the helper setuid root.
    #[track_caller]
    pub fn install(&self) {
        self.install_with(Privilege::Setuid);
    }

    /// Installs our programs, the helper with this privilege.
    ///
    /// # Panics
    /// If they are not built (ask [`ours_built`] first).
    #[track_caller]
    pub fn install_with(&self, privilege: Privilege) {
        self.copy_in(&built("vmnet"), VMNET, 0o755);
        let mode = if privilege == Privilege::Setuid { 0o4755 } else { 0o755 };
        self.copy_in(&built("vmnet-bridge-helper"), HELPER, mode);
        if privilege == Privilege::FileCapability {
            self.run(&["setcap", "cap_net_admin+ep", HELPER]).success();
        }
    }

    /// Makes QEMU's own helper setuid root in the house, and `/dev/net/tun` 0666, which it needs.
    #[track_caller]
    pub fn install_qemu_helper(&self) {
        self.run(&["chmod", "4755", QEMU_HELPER]).success();
        self.set_tun_mode(0o666);
    }

    /// Starts a system log on `/dev/log`; [`House::log`] reads it.
    #[track_caller]
    pub fn start_syslog(&self) {
        let argv = ["busybox", "syslogd", "-O", "/tmp/house/log", "-S"];
        self.run(&argv).success();
        let there = self.wait_until(Duration::from_secs(10), || self.outside_path("/dev/log").exists());
        assert!(there, "syslogd made no /dev/log");
    }

    /// What the system log holds so far.
    pub fn log(&self) -> String {
        self.read_file("/tmp/house/log").unwrap_or_default()
    }

    /// Asks again and again until `done` or `patience` is over; answers whether it was.
    pub fn wait_until(&self, patience: Duration, done: impl Fn() -> bool) -> bool {
        let step = Duration::from_millis(20);
        let tries = patience.as_millis() / step.as_millis();
        (0..=tries).any(|_| {
            done() || {
                std::thread::sleep(step);
                false
            }
        })
    }
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.door.take());
        let _ = command::wait(&mut self.unshare, Duration::from_secs(10));
    }
}

/// Where the built programs are: `VMNET_BIN_DIR`, or the project's release folder.
pub fn bin_dir() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release");
    std::env::var_os("VMNET_BIN_DIR").map_or_else(default, PathBuf::from)
}

/// One built program's path on this side.
pub fn built(program: &str) -> PathBuf {
    bin_dir().join(program)
}

/// Whether both of our programs are built.
pub fn ours_built() -> bool {
    built("vmnet").exists() && built("vmnet-bridge-helper").exists()
}

/// A process's only child. Not every kernel has `/proc/PID/task/PID/children`.
fn child_of(parent: u32) -> Option<u32> {
    let parent = parent.to_string();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let after_name = stat.rsplit_once(')')?.1;
        (after_name.split_whitespace().nth(1)? == parent).then_some(id)
    })
}
