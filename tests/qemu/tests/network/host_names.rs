//! The host finds guests by name, with a real systemd-resolved on a bus of the house's own: it asks the
//! network's server about the network's names, nobody about them but it, and it about nothing else.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rig::command;
use rig::house::{As, House};
use rig::outside::{Outside, ROUTER, SERVER, SERVER_NAME};
use rig::process::Process;
use rig::skip::have;

const LAB: &str = "subnet = \"10.5.0.0/24\"\n";
const PATIENCE: Duration = Duration::from_secs(20);
/// Where resolved listens (systemd-resolved.service(8)).
const STUB: &str = "127.0.0.53";
/// Where its files are in a house.
const PLACE: &str = "/tmp/house/resolved";
const LIBRARY: &str = "LD_LIBRARY_PATH=/tmp/house/resolved";
const POLICY: &str = "org.freedesktop.resolve1.conf";
const BUS: &str = "/run/dbus/system_bus_socket";

/// A house whose names are resolved's business, as on many desktops.
struct Host {
    bus: Option<Process>,
    resolved: Option<Process>,
    _outside: Outside,
    house: House,
}

/// Puts the fetched daemon and its files into the house.
fn bring_resolved(house: &House) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("../../build/resolved");
    let mut fetch = Command::new("sh");
    fetch.arg(here.join("guest/fetch-resolved.sh")).arg(&folder).stdin(Stdio::null());
    command::run(fetch, "fetch-resolved.sh", None, Duration::from_secs(300)).success();
    for entry in std::fs::read_dir(folder.join("files")).expect("fetched files").flatten() {
        let name = entry.file_name().into_string().expect("a plain name");
        let (place, mode) = if name == POLICY { ("/etc/dbus-1/system.d", 0o644) } else { (PLACE, 0o755) };
        house.copy_in(&entry.path(), &format!("{place}/{name}"), mode);
    }
}

impl Host {
    fn new(test: &str) -> Option<Self> {
        if !have(test, &["dbus-daemon", "apt-get", "dpkg-deb", "tcpdump"]) {
            return None;
        }
        let house = House::with_companion(test)?;
        bring_resolved(&house);
        let outside = house.with_outside();
        house.start_syslog();
        house.write_file(
            "/etc/systemd/resolved.conf",
            format!("[Resolve]\nDNS={ROUTER}\nFallbackDNS=\nDNSSEC=no\nLLMNR=no\nMulticastDNS=no\n"),
        );
        house.sh(&format!(
            "getent passwd messagebus || echo messagebus:x:997:65534::/:/bin/false >>/etc/passwd
             getent passwd systemd-resolve || echo systemd-resolve:x:998:998::/:/bin/false >>/etc/passwd
             getent group systemd-resolve || echo systemd-resolve:x:998: >>/etc/group
             mkdir -p /run/dbus /run/systemd
             echo nameserver {STUB} >/etc/resolv.conf"
        ));
        let mut host = Self { bus: None, resolved: None, _outside: outside, house };
        host.start_bus();
        host.start_resolved();
        Some(host)
    }

    fn start_bus(&mut self) {
        let argv = ["dbus-daemon", "--system", "--nofork", "--nopidfile"];
        self.bus = Some(self.house.spawn(As::Root, &argv));
        let there = || self.house.outside_path(BUS).exists();
        assert!(self.house.wait_until(PATIENCE, there), "no bus");
    }

    fn start_resolved(&mut self) {
        let argv = ["env", LIBRARY, &format!("{PLACE}/systemd-resolved")];
        self.resolved = Some(self.house.spawn(As::Root, &argv));
        let answers = || self.resolvectl(&["status"]).is_some();
        assert!(self.house.wait_until(PATIENCE, answers), "no resolved: {}", self.said());
    }

    /// Ends a program at once; it cannot say goodbye.
    fn kill_resolved(&mut self) {
        drop(self.resolved.take());
    }

    fn said(&self) -> String {
        self.resolved.as_ref().map(Process::said).unwrap_or_default()
    }

    fn resolvectl(&self, words: &[&str]) -> Option<String> {
        let program = format!("{PLACE}/resolvectl");
        let mut argv = vec!["env", LIBRARY, &program];
        argv.extend(words);
        let outcome = self.house.run(&argv);
        (outcome.code() == 0).then_some(outcome.stdout)
    }

    /// What the host's own programs find for a name.
    fn resolve(&self, name: &str) -> Option<String> {
        let argv = ["timeout", "5", "busybox", "nslookup", "-type=a", name, STUB];
        let answer = self.house.run(&argv).stdout;
        let found = answer.lines().skip_while(|line| !line.starts_with("Name:")).nth(1)?;
        Some(found.split_once(": ")?.1.trim().to_owned())
    }

    /// And for an address.
    fn name_of(&self, address: &str) -> Option<String> {
        let argv = ["timeout", "5", "busybox", "nslookup", address, STUB];
        let answer = self.house.run(&argv).stdout;
        Some(answer.lines().find_map(|line| line.split_once("name = "))?.1.trim().to_owned())
    }

    #[track_caller]
    fn assert_soon(&self, limit: Duration, done: impl Fn() -> bool) {
        let status = || self.resolvectl(&["status"]).unwrap_or_default();
        assert!(self.house.wait_until(limit, done), "{}\n{}\n{}", status(), self.said(), self.house.log());
    }

    #[track_caller]
    fn assert_registered(&self, limit: Duration) {
        self.assert_soon(limit, || self.resolve("gateway.lab.internal").as_deref() == Some("10.5.0.1"));
    }

    /// Everything that is asked on an interface, for as long as the answer lives.
    fn listen(&self, before: &[&str], interface: &str, filter: &str) -> Process {
        let words = ["tcpdump", "-l", "-n", "-i", interface, filter];
        let wire = self.house.spawn(As::Root, &[before, &words].concat());
        assert!(self.house.wait_until(PATIENCE, || wire.said().contains("listening on")), "{}", wire.said());
        wire
    }
}

#[test]
fn the_host_finds_guests_by_name_and_by_address() {
    let name = "the_host_finds_guests_by_name_and_by_address";
    let Some(host) = Host::new(name) else { return };
    host.house.describe("lab", LAB);
    host.house.up("lab");
    // A bridge without ports has no carrier, and resolved asks nobody on such a link.
    let (_alpha, answer) = host.house.leased_station("alpha", "lab");
    host.assert_registered(PATIENCE);
    assert_eq!(host.resolve("alpha.lab.internal").as_deref(), Some(answer.get("ip")));
    assert_eq!(host.name_of(answer.get("ip")).as_deref(), Some("alpha.lab.internal"));
    assert_eq!(host.name_of("10.5.0.1").as_deref(), Some("gateway.lab.internal"));
    let show = "ip -6 -o address show dev lab scope global | sed 's|.* inet6 \\(.*\\)/.*|\\1|'";
    assert_eq!(host.name_of(host.house.sh(show).trim()).as_deref(), Some("gateway.lab.internal"));
    assert_eq!(host.resolve("nobody.lab.internal"), None);
    // Any guest could call itself so: a name without a domain is not looked for among them.
    assert_eq!(host.resolvectl(&["query", "alpha"]), None);
}

#[test]
fn each_server_is_asked_only_what_is_its_own_and_nothing_goes_in_circles() {
    let name = "each_server_is_asked_only_what_is_its_own_and_nothing_goes_in_circles";
    let Some(host) = Host::new(name) else { return };
    host.house.describe("lab", LAB);
    host.house.up("lab");
    let (alpha, answer) = host.house.leased_station("alpha", "lab");
    host.assert_registered(PATIENCE);
    let outer = host.listen(&["ip", "netns", "exec", "outside"], "wan", "udp port 53");
    let inner = host.listen(&[], "lo", "host 10.5.0.1 and udp port 53");
    assert_eq!(host.resolve(SERVER_NAME).as_deref(), Some(SERVER));
    assert_eq!(host.resolve("canary.lab.internal"), None);
    assert_eq!(host.name_of("10.5.0.222"), None);
    // The guest asks dnsmasq, which asks resolved, which must not ask dnsmasq.
    let (wanted, server) = (Some(SERVER), answer.get("dns"));
    assert_eq!(alpha.resolve(SERVER_NAME, server).as_deref(), wanted);
    for strange in ["nowhere.test", "deep.canary.lab.internal"] {
        assert_eq!(alpha.resolve(strange, server), None);
    }
    assert_eq!(host.resolve("last.test"), None);
    let heard = |wire: &Process, word: &str| wire.said().contains(word);
    assert!(host.house.wait_until(PATIENCE, || heard(&outer, "last.test") && heard(&inner, "222.0.5.10")));
    for leaked in ["canary", "222.0.5.10"] {
        assert!(!heard(&outer, leaked), "{leaked} was asked outside:\n{}", outer.said());
    }
    for strange in [SERVER_NAME, "nowhere", "last.test"] {
        assert!(!heard(&inner, strange), "the network's server was asked for {strange}:\n{}", inner.said());
    }
    assert!(heard(&inner, "canary.lab.internal"), "{}", inner.said());
    // Programs that read this file ask for all names.
    let file = host.house.read_file("/run/systemd/resolve/resolv.conf").unwrap_or_default();
    assert!(file.contains(ROUTER) && !file.contains("10.5.0.1"), "{file}");
}

#[test]
fn when_the_network_is_down_resolved_has_forgotten_it() {
    let name = "when_the_network_is_down_resolved_has_forgotten_it";
    let Some(host) = Host::new(name) else { return };
    host.house.describe("lab", LAB);
    let links = || host.house.sh("ls /run/systemd/resolve/netif 2>/dev/null || true");
    let before = links();
    host.house.up("lab");
    let (_alpha, _) = host.house.leased_station("alpha", "lab");
    host.assert_registered(PATIENCE);
    assert_ne!(links(), before);
    host.house.sh("ip link delete port-alpha");
    host.house.down("lab");
    host.assert_soon(PATIENCE, || links() == before);
    let domains = host.resolvectl(&["domain"]).expect("an answer");
    assert!(!domains.contains("lab.internal") && !domains.contains("in-addr"), "{domains}");
    assert_eq!(host.resolve("gateway.lab.internal"), None);
}

/// Without a carrier resolved asks nobody on a link, but lists its server for all names.
#[test]
fn a_network_without_guests_leaves_no_server_in_resolveds_file() {
    let name = "a_network_without_guests_leaves_no_server_in_resolveds_file";
    let Some(host) = Host::new(name) else { return };
    host.house.describe("lab", LAB);
    host.house.up("lab");
    let file = || host.house.read_file("/run/systemd/resolve/resolv.conf").unwrap_or_default();
    let (_alpha, _) = host.house.leased_station("alpha", "lab");
    host.assert_registered(PATIENCE);
    assert!(!file().contains("10.5.0.1"), "{}", file());
    host.house.sh("ip link delete port-alpha");
    let domains = || host.resolvectl(&["domain"]).expect("an answer");
    host.assert_soon(PATIENCE, || !domains().contains("lab.internal"));
    assert!(!file().contains("10.5.0.1"), "{}", file());
    let (_beta, _) = host.house.leased_station("beta", "lab");
    host.assert_registered(PATIENCE);
}

#[test]
fn a_resolved_that_starts_anew_is_told_again_within_a_second() {
    let name = "a_resolved_that_starts_anew_is_told_again_within_a_second";
    let Some(mut host) = Host::new(name) else { return };
    host.house.describe("lab", LAB);
    host.house.up("lab");
    let (_alpha, _) = host.house.leased_station("alpha", "lab");
    host.assert_registered(PATIENCE);
    host.kill_resolved();
    // It keeps what it was told over a restart; not so over an upgrade that clears this, or a crash.
    host.house.sh("rm -r /run/systemd/resolve");
    host.start_resolved();
    let started = Instant::now();
    host.assert_registered(Duration::from_secs(1));
    println!("told again {:?} after it answered", started.elapsed());
    // The bus too may be another.
    host.kill_resolved();
    drop(host.bus.take());
    host.house.sh("rm -rf /run/systemd/resolve /run/dbus/*");
    host.start_bus();
    host.start_resolved();
    host.assert_registered(Duration::from_secs(5));
}

#[test]
fn a_resolved_that_comes_later_is_told_too() {
    let name = "a_resolved_that_comes_later_is_told_too";
    let Some(mut host) = Host::new(name) else { return };
    host.kill_resolved();
    host.house.describe("lab", LAB);
    host.house.up("lab");
    let (_alpha, _) = host.house.leased_station("alpha", "lab");
    host.start_resolved();
    host.assert_registered(PATIENCE);
}

#[test]
fn a_file_that_does_not_want_it_is_heeded() {
    let name = "a_file_that_does_not_want_it_is_heeded";
    let Some(host) = Host::new(name) else { return };
    host.house.describe("lab", LAB);
    host.house.up("lab");
    let (_alpha, _) = host.house.leased_station("alpha", "lab");
    host.assert_registered(PATIENCE);
    host.house.describe("lab", &format!("{LAB}[dns]\nregister = false\n"));
    let keeper = host.house.keeper("lab").to_string();
    host.house.run(&["kill", "-HUP", &keeper]).success();
    let domains = || host.resolvectl(&["domain"]).expect("an answer");
    host.assert_soon(PATIENCE, || !domains().contains("lab.internal"));
    host.house.describe("lab", LAB);
    host.house.run(&["kill", "-HUP", &keeper]).success();
    host.assert_registered(PATIENCE);
}

/// A host without D-Bus lacks nothing, and is told nothing.
#[test]
fn without_a_bus_there_is_no_complaint() {
    let name = "without_a_bus_there_is_no_complaint";
    let Some(house) = House::with_companion(name) else { return };
    house.start_syslog();
    house.describe("lab", LAB);
    house.up("lab");
    house.leased_station("alpha", "lab");
    house.sh("ip link delete port-alpha");
    house.down("lab");
    let log = house.log();
    assert!(!log.contains("cannot") && !log.contains("resolve1") && !log.contains("D-Bus is"), "{log}");
}
