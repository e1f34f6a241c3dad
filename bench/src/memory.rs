//! What the programs hold in RAM: the helpers at their largest, the keeper and dnsmasq at rest.

use crate::host::{self, BRIDGE, FLOOR, HELPER, NETWORK, QEMU_HELPER, VMNET};
use crate::numbers::memory;
use crate::report::Section;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Stops after which a traced program is given up.
const STOPS_MAX: usize = 100;

/// The memory of one process in KiB.
#[derive(Clone, Copy, Debug)]
struct Footprint {
    /// The most that was ever resident.
    peak: u64,
    /// Resident now.
    resident: u64,
    /// The same, with shared pages divided among those who share them.
    proportional: u64,
}

/// All of it.
///
/// # Errors
/// A program did not run.
pub fn measure() -> io::Result<Section> {
    let mut section = Section::new(
        "Memory",
        "Resident memory from `/proc/PID`: the helpers as they exit, the keeper and dnsmasq of a network that has just \
         come up. PSS divides shared pages among those who share them.",
        &["", "most resident", "resident", "PSS"],
    );
    let mut helpers = Vec::new();
    for (name, program) in
        [("vmnet-bridge-helper", HELPER), ("qemu-bridge-helper", QEMU_HELPER), ("bare C floor", FLOOR)]
    {
        helpers.push((name, at_exit(program)?));
    }
    host::run(&[VMNET, "up", NETWORK])?;
    let daemons = [("keeper", "keeper"), ("dnsmasq", "dnsmasq.pid")]
        .map(|(name, file)| pid(file).and_then(footprint).map(|footprint| (name, footprint)));
    host::run(&[VMNET, "down", NETWORK])?;
    let [keeper, dnsmasq] = daemons;
    let (keeper, dnsmasq) = (keeper?, dnsmasq?);
    for (name, own) in helpers.iter().chain([&keeper, &dnsmasq]) {
        let cells = [own.peak, own.resident, own.proportional].map(memory);
        section.row(&[name, &cells[0], &cells[1], &cells[2]]);
    }
    section.print(format!(
        "helper at most {}, QEMU's {}",
        memory(helpers[0].1.peak),
        memory(helpers[1].1.peak)
    ));
    section.print(format!(
        "keeper {} PSS, dnsmasq {} PSS",
        memory(keeper.1.proportional),
        memory(dnsmasq.1.proportional)
    ));
    Ok(section)
}

fn pid(file: &str) -> io::Result<i32> {
    let text = std::fs::read_to_string(format!("/run/vmnet/{NETWORK}/{file}"))?;
    text.trim().parse().map_err(io::Error::other)
}

fn footprint(pid: i32) -> io::Result<Footprint> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let field = |text: &str, name: &str| -> io::Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| io::Error::other(format!("no {name} in /proc/{pid}")))
    };
    let (resident, proportional) = (field(&rollup, "Rss")?, field(&rollup, "Pss")?);
    Ok(Footprint { peak: field(&status, "VmHWM")?, resident, proportional })
}

/// A helper, called by root and stopped as it exits: getrusage(2) would count our own pages, too.
fn at_exit(program: &str) -> io::Result<Footprint> {
    let (_ours, theirs) = UnixStream::pair()?;
    nix::fcntl::fcntl(&theirs, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    let mut command = Command::new(program);
    command.args(["--use-vnet", &format!("--br={BRIDGE}"), &format!("--fd={}", theirs.as_raw_fd())]);
    // SAFETY: one system call, which allocates nothing.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(io::Error::from)) };
    let child = command.env_clear().stdin(Stdio::null()).spawn()?;
    let pid = Pid::from_raw(child.id().cast_signed());
    waitpid(pid, None)?;
    ptrace::setoptions(pid, Options::PTRACE_O_TRACEEXIT | Options::PTRACE_O_EXITKILL)?;
    let mut found = None;
    let mut signal = None;
    for _ in 0..STOPS_MAX {
        ptrace::cont(pid, signal)?;
        match waitpid(pid, None)? {
            WaitStatus::PtraceEvent(_, _, event) if event == Event::PTRACE_EVENT_EXIT as i32 => {
                found = Some(footprint(pid.as_raw())?);
            }
            WaitStatus::Stopped(_, other) => signal = Some(other),
            WaitStatus::Exited(_, 0) => return found.ok_or_else(|| io::Error::other("no exit seen")),
            status => return Err(io::Error::other(format!("{program}: {status:?}"))),
        }
    }
    Err(io::Error::other(format!("{program} does not end")))
}
