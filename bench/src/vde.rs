//! TCP and small frames through a VDE switch: our pump beside vde2's own ways to give a namespace a port,
//! each on a switch of its own, and two pumps with nothing between them.

use crate::chance::Chance;
use crate::host::{self, VMNET};
use crate::numbers::{Sample, against, time};
use crate::pump::{ADDRESS, SMALL, TRIPS};
use crate::report::Section;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use vmnet_access::vde::Directory;
use vmnet_vde::port::{Port, Wish};

/// How long one stream runs, in seconds.
const SECONDS: &str = "2";
/// Rounds of round trips for each of streams.
const TRIP_ROUNDS: usize = 10;
/// Joins that are timed.
const JOINS: usize = 100;
/// What we aim at: TCP against two `vde_plug2tap`, against two `vde_switch -t`, and over a cable.
const TCP_AIMS: [f64; 3] = [2.3, 1.4, 5.0];
/// Processor time for a gigabit, against `vde_plug2tap`.
const CPU_AIM: f64 = 0.5;
/// A small frame's way and back, against `vde_plug2tap`.
const TRIP_AIM: f64 = 1.1;
/// A join, in microseconds.
const JOIN_AIM: f64 = 1000.0;

/// A program that ends with its value.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How the two namespaces are joined.
#[derive(Clone, Copy)]
enum Way {
    Pumps,
    Plugs,
    Taps,
    Straight,
    Cable,
}

/// Each with the beginning of its namespaces' names, which are its TAPs' too.
const WAYS: [(Way, &str, &str); 5] = [
    (Way::Pumps, "vp", "two pumps, vde_switch"),
    (Way::Plugs, "vb", "two vde_plug2tap, vde_switch"),
    (Way::Taps, "vt", "vde_switch -t, twice"),
    (Way::Straight, "vs", "two pumps, no switch"),
    (Way::Cable, "vc", "two networks, `vmnet cable`"),
];

/// A switch of Debian's, which ends with the value.
struct Switch {
    _process: Kept,
    /// It ends when nobody holds this.
    _input: Option<ChildStdin>,
    directory: String,
}

impl Switch {
    fn start(name: &str, taps: &[String]) -> io::Result<Self> {
        let directory = format!("/tmp/{name}");
        // What a killed one left would look as if it listened.
        let _ = std::fs::remove_dir_all(&directory);
        let mut command = Command::new("vde_switch");
        command.args(["-s", &directory, "-f", "/dev/null"]).args(taps.iter().flat_map(|tap| ["-t", tap]));
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let input = process.stdin.take();
        let switch = Self { _process: Kept(process), _input: input, directory };
        until(|| Path::new(&switch.directory).join("ctl").exists())?;
        Ok(switch)
    }
}

/// Two networks that a cable joins, down again with the value.
struct Networks([&'static str; 2]);

impl Networks {
    /// Each with one of these namespaces on it.
    fn start(spaces: &[String; 2]) -> io::Result<Self> {
        let networks = Self(["vcone", "vctwo"]);
        std::fs::create_dir_all("/etc/vmnet/networks")?;
        for (name, space) in networks.0.iter().zip(spaces) {
            std::fs::write(file(name), "subnet6 = \"none\"\n[dhcp]\nenabled = false\n")?;
            host::script(&format!(
                "{VMNET} up {name}
                 ip link add {space} type veth peer name {name}port
                 ip link set {name}port master {name} up
                 ip link set {space} netns {space}"
            ))?;
        }
        let [one, two] = networks.0;
        host::run(&[VMNET, "cable", one, two])?;
        Ok(networks)
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        let [one, two] = self.0;
        let _ = host::run(&[VMNET, "cable", one, two, "--remove"]);
        for name in self.0 {
            let _ = host::run(&[VMNET, "down", name, "--force"]);
            let _ = std::fs::remove_file(file(name));
        }
    }
}

fn file(network: &str) -> String {
    format!("/etc/vmnet/networks/{network}.toml")
}

/// Two namespaces that hear each other.
struct Course {
    title: &'static str,
    spaces: [String; 2],
    _kept: Vec<Kept>,
    _cable: Option<Networks>,
    switch: Option<Switch>,
    found: Found,
}

#[derive(Default)]
struct Found {
    /// Gbit/s
    speed: Sample,
    /// Seconds of all processors for a gigabit.
    cost: Sample,
    /// Segments that were sent again, in a thousand.
    again: Sample,
    trip: Sample,
}

impl Course {
    fn prepare(way: Way, name: &str, title: &'static str) -> io::Result<Self> {
        let spaces = ["1", "2"].map(|number| format!("{name}{number}"));
        for space in &spaces {
            host::script(&format!("ip netns add {space}\nip -n {space} link set lo up"))?;
        }
        let switch = match way {
            Way::Straight | Way::Cable => None,
            Way::Taps => Some(Switch::start(name, &spaces)?),
            Way::Pumps | Way::Plugs => Some(Switch::start(name, &[])?),
        };
        let directory = switch.as_ref().map(|switch| switch.directory.clone()).unwrap_or_default();
        let cable = if matches!(way, Way::Cable) { Some(Networks::start(&spaces)?) } else { None };
        let (one, two) = UnixDatagram::pair()?;
        let mut kept = Vec::new();
        for (space, end) in spaces.iter().zip([one, two]) {
            let mut command = match way {
                Way::Taps => {
                    host::script(&format!("ip link set {space} netns {space}"))?;
                    continue;
                }
                Way::Plugs => within(space, &["vde_plug2tap", "-s", &directory, space]),
                Way::Pumps => within(space, &[&ourselves()?, "pump", space, &directory]),
                Way::Straight => within(space, &[&ourselves()?, "pump", space, "-"]),
                Way::Cable => continue,
            };
            kept.push(Kept(command.stdin(OwnedFd::from(end)).stdout(Stdio::null()).spawn()?));
        }
        for (space, address) in spaces.iter().zip(["10.77.0.1", ADDRESS]) {
            until(|| host::run(&["ip", "-n", space, "link", "set", space, "up"]).is_ok())?;
            host::run(&["ip", "-n", space, "address", "add", &format!("{address}/24"), "dev", space])?;
        }
        let servers = [within(&spaces[1], &["iperf3", "-s"]), within(&spaces[1], &[&ourselves()?, "echo"])];
        for mut server in servers {
            kept.push(Kept(server.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?));
        }
        let ping = ["nsenter", &net(&spaces[0]), "busybox", "ping", "-c", "1", "-w", "1", ADDRESS];
        until(|| host::run(&ping).is_ok())?;
        Ok(Self { title, spaces, _kept: kept, _cable: cable, switch, found: Found::default() })
    }

    /// One stream.
    fn stream(&mut self) -> io::Result<()> {
        let words = ["iperf3", "-J", "-c", ADDRESS, "-t", SECONDS];
        let before = busy()?;
        let said = output(&mut within(&self.spaces[0], &words))?;
        let busy = busy()? - before;
        let number = |keys: &[&str]| {
            number(&said, keys).ok_or_else(|| io::Error::other(format!("iperf3 said: {said}")))
        };
        let bits = number(&["\"end\"", "\"sum_received\"", "\"bits_per_second\""])?;
        let bytes = number(&["\"end\"", "\"sum_received\"", "\"bytes\""])?;
        let again = number(&["\"end\"", "\"sum_sent\"", "\"retransmits\""])?;
        self.found.speed.add_number(bits / 1e9);
        self.found.cost.add_number(busy / (bytes * 8.0 / 1e9));
        self.found.again.add_number(again * 1000.0 / (bytes / SEGMENT));
        Ok(())
    }

    /// Small frames there and back.
    fn trip(&mut self) -> io::Result<()> {
        let said = output(&mut within(&self.spaces[0], &[&ourselves()?, "trip"]))?;
        let took = said.trim().parse().map_err(io::Error::other)?;
        self.found.trip.add(Duration::from_nanos(took));
        Ok(())
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        for space in &self.spaces {
            let _ = host::run(&["ip", "netns", "delete", space]);
        }
    }
}

/// Payload of a full segment with timestamps, in bytes.
const SEGMENT: f64 = 1448.0;

/// Try for some seconds.
fn until(mut is_so: impl FnMut() -> bool) -> io::Result<()> {
    for _ in 0..250 {
        if is_so() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn net(space: &str) -> String {
    format!("--net=/run/netns/{space}")
}

fn within(space: &str, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(net(space)).args(words);
    command
}

fn ourselves() -> io::Result<String> {
    std::env::current_exe()?.into_os_string().into_string().map_err(|_| io::ErrorKind::InvalidData.into())
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// The number behind these words, found one after the other.
fn number(text: &str, keys: &[&str]) -> Option<f64> {
    let rest = keys.iter().try_fold(text, |rest, key| Some(rest.split_once(key)?.1))?;
    let rest = rest.trim_start_matches([':', ' ', '\t']);
    rest.split(|c: char| !(c.is_ascii_digit() || ".e+-".contains(c))).next()?.parse().ok()
}

/// Seconds that all processors worked, since the machine began (proc_stat(5)).
fn busy() -> io::Result<f64> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; a guest's time is in the first two.
    let busy: f64 = [0, 1, 2, 5, 6].iter().filter_map(|&at| ticks.get(at)).sum();
    // SAFETY: a number.
    Ok(busy / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64)
}

/// Each way `rounds` times in random order.
///
/// # Errors
/// One of them does not work.
pub fn compare(rounds: usize) -> io::Result<Section> {
    let mut courses = WAYS
        .iter()
        .map(|(way, name, title)| Course::prepare(*way, name, title))
        .collect::<io::Result<Vec<_>>>()?;
    let (mut chance, mut order) = (Chance::new(), [0, 1, 2, 3, 4]);
    for _ in 0..rounds {
        chance.shuffle(&mut order);
        for &at in &order {
            courses[at].stream()?;
        }
    }
    // By themselves, so that what is compared is near in time.
    for _ in 0..rounds * TRIP_ROUNDS {
        chance.shuffle(&mut order);
        for &at in &order {
            courses[at].trip()?;
        }
    }
    let joins = joins(&courses)?;
    Ok(section(rounds, &courses, &joins))
}

/// How long a port takes on the switch of the pumps.
fn joins(courses: &[Course]) -> io::Result<Sample> {
    let mut sample = Sample::default();
    let switch = courses.iter().find_map(|course| course.switch.as_ref()).ok_or(io::ErrorKind::NotFound)?;
    let switch = Directory::new(&switch.directory).map_err(io::Error::other)?;
    for _ in 0..JOINS {
        let own_socket = Path::new("/tmp/bench-port");
        let wish = Wish { switch: &switch, port: 0, description: "bench", own_socket, mode: 0o600 };
        let started = Instant::now();
        let port = Port::join(&wish).map_err(io::Error::other)?;
        sample.add(started.elapsed());
        port.leave()?;
    }
    Ok(sample)
}

fn section(rounds: usize, courses: &[Course], joins: &Sample) -> Section {
    let mut section = Section::new(
        "VDE",
        &format!(
            "Two network namespaces on a switch of Debian's vde2, each with a TAP that carries frames to a port: with our \
             pump, for which more frames may wait at the switch, with vde2's `vde_plug2tap`, and with TAPs of the switch's \
             own; two pumps joined by a pair of datagram sockets; and two networks that `vmnet cable` joins, whose frames \
             go through the kernel. One TCP stream for {SECONDS} s (iperf3), {rounds} rounds in random order, and then {TRIPS} round \
             trips of a UDP datagram of {SMALL} bytes, {} rounds; medians, and the median of each round's ratio. \
             Processor time is that of the whole machine; sent again is what the sender's TCP had to repeat, which is what was \
             lost on the way as far as it matters.",
            rounds * TRIP_ROUNDS
        ),
        &["", "TCP", "CPU for a gigabit", "sent again", "round trip"],
    );
    for Course { title, found, .. } in courses {
        section.row(&[
            title,
            &format!("{:.2} Gbit/s", found.speed.median()),
            &format!("{:.2} s", found.cost.median()),
            &format!("{:.1} ‰", found.again.median()),
            &time(found.trip.median()),
        ]);
    }
    let [ours, plugs, taps, _straight, cable] = courses else { return section };
    let of = |course: &Course| course.found.speed.ratio(&plugs.found.speed);
    let [two, three, straight] = TCP_AIMS;
    section.line(format!("TCP against vde_plug2tap: {}", at_least(of(ours), two)));
    let ratio = ours.found.speed.ratio(&taps.found.speed);
    section.line(format!("TCP against vde_switch -t: {}", at_least(ratio, three)));
    section.line(format!(
        "TCP over a cable between two networks, against vde_plug2tap: {}",
        at_least(of(cable), straight)
    ));
    let ratio = ours.found.cost.ratio(&plugs.found.cost);
    section.line(format!("processor time for a gigabit against vde_plug2tap: {}", against(ratio, CPU_AIM)));
    let (own, other) = (ours.found.again.median(), plugs.found.again.median());
    let word = if own <= other { "met" } else { "MISSED" };
    section.line(format!("sent again: {own:.1} ‰ (aim ≤ vde_plug2tap's {other:.1} ‰: {word})"));
    let ratio = ours.found.trip.ratio(&plugs.found.trip);
    section.line(format!("a small frame there and back against vde_plug2tap: {}", against(ratio, TRIP_AIM)));
    let (join, longest) = (joins.median(), joins.quantile(0.99));
    let word = if join <= JOIN_AIM { "met" } else { "MISSED" };
    section.line(format!(
        "a port on the switch, from nothing: {}, 99 % below {} (aim ≤ {}: {word})",
        time(join),
        time(longest),
        time(JOIN_AIM)
    ));
    section
}

fn at_least(ratio: f64, aim: f64) -> String {
    let word = if ratio >= aim { "met" } else { "MISSED" };
    format!("{ratio:.2} (aim ≥ {aim:.2}: {word})")
}
