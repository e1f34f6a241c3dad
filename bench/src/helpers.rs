//! The helpers side by side, called by a plain user: on a bridge that is there, on one that fills
//! up, and on a network that is down.

use crate::call::call;
use crate::caller::{Errand, PORTS_MAX};
use crate::host::{self, BRIDGE, FLOOR, HELPER, NETWORK, PLAIN_HELPER, QEMU_HELPER, VMNET};
use crate::numbers::{Sample, against, time};
use crate::report::Section;
use std::io::{self, BufRead, BufReader, Read};
use std::process::Stdio;

const NAMES: [&str; 3] = ["vmnet-bridge-helper", "qemu-bridge-helper", "bare C floor"];
/// What DESIGN promises against QEMU's helper, and against the floor.
const AIMS: [f64; 2] = [0.65, 1.35];
/// And for a helper without rights, by way of the broker, against QEMU's with them.
const BROKER_AIM: f64 = 1.0;
/// The group that held TAPs are put into, to be deleted together.
const GROUP: &str = "77";

fn programs() -> Vec<String> {
    [HELPER, QEMU_HELPER, FLOOR].map(str::to_owned).to_vec()
}

/// The samples that a caller wrote, a list of programs for each number of held ports.
fn samples(errand: &Errand, lines: &[String]) -> Vec<Vec<Sample>> {
    let mut all = vec![vec![Sample::default(); errand.programs.len()]; errand.held.len()];
    for line in lines {
        let words: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [held, place, nanoseconds] = words[..] else { continue };
        let level = errand.held.iter().position(|&level| level as u64 == held);
        let sample = level.and_then(|level| all[level].get_mut(place as usize));
        if let Some(sample) = sample {
            sample.add(std::time::Duration::from_nanos(nanoseconds));
        }
    }
    all
}

/// A bridge that is there: ours, QEMU's, and the floor.
///
/// # Errors
/// One of them failed.
pub fn race(rounds: usize) -> io::Result<Section> {
    let mut programs = programs();
    programs.push(PLAIN_HELPER.to_owned());
    let broker = host::Broker::start()?;
    let errand = Errand { bridge: BRIDGE.into(), held: vec![0], rounds, fill: false, programs };
    let mut words = vec!["caller".to_owned()];
    words.extend(errand.words());
    let output = host::as_user(&words)?.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("the caller: {}", output.status)));
    }
    let lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    let all = samples(&errand, &lines);
    drop(broker);
    let [ours, qemu, floor, brokered] = &all[0][..] else { return Err(io::ErrorKind::InvalidData.into()) };
    let mut section = Section::new(
        "Helper, bridge there",
        &format!(
            "A plain user calls each helper, all setuid root but the last, {rounds} times in random order; from \
             posix_spawn to the return of waitpid. The ratio is the median of each round's ratio. A system log is running, \
             which only our helper writes to. The floor (`bench/floor.c`) is static, reads one rule \
             file, makes the TAP a port, sends it, and checks nothing. The last is our helper with no rights at \
             all, which asks `vmnet broker`."
        ),
        &["helper", "median", "90 % below", "ours is … times this"],
    );
    for (name, sample) in NAMES.iter().chain(&["vmnet-bridge-helper, by the broker"]).zip(&all[0]) {
        let ratio = format!("{:.2}", ours.ratio(sample));
        section.row(&[name, &time(sample.median()), &time(sample.quantile(0.9)), &ratio]);
    }
    section.line(format!("against QEMU's helper: {}", against(ours.ratio(qemu), AIMS[0])));
    section.line(format!("against the bare C floor: {}", against(ours.ratio(floor), AIMS[1])));
    let brokered = brokered.ratio(qemu);
    section.line(format!("without rights, by the broker, against QEMU's: {}", against(brokered, BROKER_AIM)));
    Ok(section)
}

/// A bridge that fills up.
///
/// # Errors
/// A helper failed before the bridge was full, or did not afterwards.
pub fn crowd(rounds: usize) -> io::Result<Section> {
    let held = vec![0, 499, 999];
    let errand = Errand { bridge: BRIDGE.into(), held, rounds, fill: true, programs: programs() };
    let mut words = vec!["caller".to_owned()];
    words.extend(errand.words());
    let mut caller =
        host::as_user(&words)?.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdout = caller.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let lines: Vec<String> =
        BufReader::new(stdout).lines().map_while(Result::ok).take_while(|line| line != "full").collect();
    remove_taps()?;
    drop(caller.stdin.take());
    let mut said = String::new();
    caller.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?.read_to_string(&mut said)?;
    if !caller.wait()?.success() {
        return Err(io::Error::other(said.trim_end().to_owned()));
    }
    let all = samples(&errand, &lines);
    let mut section = Section::new(
        "Helper, bridge filling up",
        &format!(
            "As above, {rounds} rounds each, while all ports before this one are held; median. What grows is the \
             kernel's work on each port."
        ),
        &["port number", NAMES[0], NAMES[1], NAMES[2]],
    );
    for (held, programs) in errand.held.iter().zip(&all) {
        let cells: Vec<String> = programs.iter().map(|sample| time(sample.median())).collect();
        section.row(&[&(held + 1).to_string(), &cells[0], &cells[1], &cells[2]]);
    }
    let growth = all[2][0].median() / all[0][0].median();
    section.line(format!("port 1,000 against port 1: {}", against(growth, 3.0)));
    section.line(format!(
        "port {} is refused with: `{}`",
        PORTS_MAX + 1,
        said.lines().next().unwrap_or_default()
    ));
    Ok(section)
}

/// Delete the held TAPs together: one by one, each would wait for an RCU grace period.
fn remove_taps() -> io::Result<()> {
    let names: Vec<String> = std::fs::read_dir(format!("/sys/class/net/{BRIDGE}/brif"))?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let lines: String = names.iter().map(|name| format!("link set dev {name} group {GROUP}\n")).collect();
    host::ip_batch(&[], &lines)?;
    host::run(&["ip", "link", "delete", "group", GROUP]).map(drop)
}

/// A network that is down: the helper brings it up.
///
/// # Errors
/// It did not.
pub fn cold(rounds: usize) -> io::Result<Section> {
    let mut sample = Sample::default();
    for _ in 0..rounds {
        let words = ["cold".to_owned()];
        let output = host::as_user(&words)?.stderr(Stdio::inherit()).output()?;
        let nanoseconds = String::from_utf8_lossy(&output.stdout).trim().parse();
        let nanoseconds = nanoseconds.map_err(|_| io::Error::other("the helper gave no tap"))?;
        sample.add(std::time::Duration::from_nanos(nanoseconds));
        host::run(&[VMNET, "down", NETWORK, "--force"])?;
    }
    let mut section = Section::new(
        "Cold start",
        &format!(
            "Nothing is up. A plain user calls our helper for `{NETWORK}`, which brings up bridge, address, \
             firewall, NAT, DHCP and DNS; until the helper has exited 0 with a TAP. {rounds} rounds."
        ),
        &["", "median", "longest"],
    );
    section.row(&["nothing up → TAP", &time(sample.median()), &time(sample.quantile(1.0))]);
    section.print(format!("from nothing to a port: {}", time(sample.median())));
    Ok(section)
}

/// The plain user's side of [`cold`]: one call, its time in nanoseconds.
///
/// # Errors
/// The helper gave nothing.
pub fn cold_call() -> io::Result<u128> {
    let answer = call(HELPER, NETWORK)?;
    answer.tap.map(|_tap| answer.took.as_nanos()).ok_or_else(|| io::Error::other("no tap"))
}
