//! The throw-away host that the bench runs in (`bench/run` makes it): programs run as root, the
//! bench itself as a plain user, and the rule files that let that user in.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Our helper.
pub const HELPER: &str = "/usr/local/libexec/vmnet-bridge-helper";
/// The same without any right of its own.
pub const PLAIN_HELPER: &str = "/usr/local/libexec/vmnet-bridge-helper-plain";
/// Our companion.
pub const VMNET: &str = "/usr/local/sbin/vmnet";
/// QEMU's helper, where Debian puts it.
pub const QEMU_HELPER: &str = "/usr/lib/qemu/qemu-bridge-helper";
/// What `floor.c` becomes.
pub const FLOOR: &str = "/usr/local/libexec/vmnet-bench-floor";
/// A bridge that is there, made by hand.
pub const BRIDGE: &str = "br0";
/// The network of ours that is measured: the built-in one.
pub const NETWORK: &str = "brmgr0";
/// A network of ours with every key that makes more work.
pub const FULL: &str = "full";
/// The plain user.
const USER: u32 = 1000;

/// Run a program as root to its end; the time it took.
///
/// # Errors
/// It could not be started or failed; with its words.
pub fn run(words: &[&str]) -> io::Result<Duration> {
    let Some((program, rest)) = words.split_first() else { return Err(io::ErrorKind::InvalidInput.into()) };
    // A file, not a pipe: a daemon that keeps it open must not hold us up.
    let said = Path::new("/tmp/said");
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(said)?);
    let started = Instant::now();
    let status = command.status()?;
    let took = started.elapsed();
    if status.success() {
        return Ok(took);
    }
    let said = std::fs::read_to_string(said).unwrap_or_default();
    Err(io::Error::other(format!("`{}`: {status}: {}", words.join(" "), said.trim_end())))
}

/// Run several commands, a line each.
///
/// # Errors
/// The first that fails.
pub fn script(lines: &str) -> io::Result<()> {
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        run(&line.split_whitespace().collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Run many `ip` commands, a line each, in one process.
///
/// # Errors
/// One fails.
pub fn ip_batch(options: &[&str], lines: &str) -> io::Result<()> {
    std::fs::write("/tmp/batch", lines)?;
    let mut words = vec!["ip"];
    words.extend_from_slice(options);
    words.extend(["-batch", "/tmp/batch"]);
    run(&words).map(drop)
}

/// This program again, as the plain user without groups or rights.
///
/// # Errors
/// It does not know its own path.
pub fn as_user(words: &[String]) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    // With a change of user, std empties the list of groups too.
    command.args(words).env_clear().uid(USER).gid(USER);
    Ok(command)
}

/// Where it listens.
const BROKER_SOCKET: &str = "/run/vmnet/broker.sock";

/// A running `vmnet broker`. Dropping it ends it.
pub struct Broker(Child);

impl Broker {
    /// Start it, and wait until it listens.
    ///
    /// # Errors
    /// It does not.
    pub fn start() -> io::Result<Self> {
        let broker = Self(Command::new(VMNET).arg("broker").stdin(Stdio::null()).spawn()?);
        for _ in 0..500 {
            if Path::new(BROKER_SOCKET).exists() {
                return Ok(broker);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::other("the broker does not listen"))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        // What a killed one leaves; the next one would take it away too.
        let _ = std::fs::remove_file(BROKER_SOCKET);
    }
}

fn full() -> String {
    let mut text = "subnet = \"10.99.0.0/24\"\nmore_subnets = [\"10.98.0.0/24\"]\nisolated = true\nguard = true\n\
        mtu = \"auto\"\nallow_from = [\"brmgr0\"]\nidle = \"1h\"\n[limits]\nfrom_guest = \"1gbit\"\nto_guest = \"1gbit\"\n\
        [[link]]\nfrom = \"g0\"\nto = \"g1\"\nports = [5432]\nalias = \"db\"\n"
        .to_owned();
    for guest in 0..10 {
        text += &format!(
            "[[host]]\nname = \"g{guest}\"\nmac = \"02:00:00:00:99:{guest:02}\"\naddress = \"10.99.0.{}\"\n\
             [[forward]]\nlisten = {}\nto = \"g{guest}:80\"\n",
            10 + guest,
            8100 + guest
        );
    }
    text
}

/// Let the plain user onto both bridges, and make the one that is no network of ours.
///
/// # Errors
/// A step failed.
pub fn prepare() -> io::Result<()> {
    std::fs::create_dir_all("/etc/vmnet")?;
    std::fs::create_dir_all("/etc/qemu")?;
    std::fs::create_dir_all("/etc/vmnet/networks")?;
    std::fs::write(format!("/etc/vmnet/networks/{FULL}.toml"), full())?;
    std::fs::write("/etc/qemu/bridge.conf", format!("allow {BRIDGE}\n"))?;
    std::fs::write("/etc/vmnet/bridge.conf", format!("allow {NETWORK}\n"))?;
    script(&format!(
        "chmod 0666 /dev/net/tun
         chmod 4755 {QEMU_HELPER}
         install -m 0755 {HELPER} {PLAIN_HELPER}
         ip link add {BRIDGE} type bridge
         ip link set {BRIDGE} up
         busybox syslogd -O /dev/null -S"
    ))
}
