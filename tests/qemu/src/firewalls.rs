//! Other people's firewalls in a house, as Debian starts them, and guests that must be served all the
//! same: DHCP, DNS and the Internet.

use std::time::{Duration, Instant};

use crate::house::{As, House};
use crate::outside::{SERVER, SERVER_NAME};
use crate::process::Process;
use crate::station::Station;

/// How long a guest may be cut off when a firewall changes.
pub const A_SECOND: Duration = Duration::from_secs(1);
/// How long a daemon of somebody else's may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which of Debian's two iptables a house uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iptables {
    /// iptables-nft, Debian's default.
    Nft,
    /// iptables-legacy.
    Legacy,
}

impl House {
    /// Has all programs of a house use this iptables, as `update-alternatives` would.
    #[track_caller]
    pub fn choose_iptables(&self, which: Iptables) {
        let ending = if which == Iptables::Nft { "nft" } else { "legacy" };
        self.sh(&format!(
            "for name in iptables ip6tables; do for part in '' -save -restore; do
                 ln -sfn /usr/sbin/$name-{ending}$part /etc/alternatives/$name$part
             done; done"
        ));
    }

    /// Shows bridged frames to the firewalls of IP too, as Docker and Kubernetes have it.
    #[track_caller]
    pub fn enable_br_netfilter(&self) {
        self.sh("sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1");
    }

    /// Starts Debian's dockerd, and waits until it answers.
    #[track_caller]
    pub fn start_dockerd(&self) -> Process {
        self.sh("mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup");
        let socket = "unix:///run/docker.sock";
        let argv =
            ["dockerd", "--data-root=/tmp/house/docker", "--exec-root=/run/docker", "--storage-driver=vfs"];
        let place = ["--pidfile=/run/docker.pid", "-H", socket];
        let dockerd = self.spawn(As::Root, &[&argv[..], &place[..]].concat());
        let answers = || self.run(&["docker", "-H", socket, "version"]).code() == 0;
        assert!(self.wait_until(PATIENCE, answers), "{}", dockerd.said());
        dockerd
    }

    /// Ends it as a service manager would, and waits for its end.
    #[track_caller]
    pub fn stop_dockerd(&self) {
        self.sh("kill $(cat /run/docker.pid)");
        let gone = || !self.outside_path("/run/docker.pid").exists();
        assert!(self.wait_until(PATIENCE, gone), "dockerd does not end");
    }

    /// Starts the system's bus.
    #[track_caller]
    pub fn start_dbus(&self) -> Process {
        self.sh("mkdir -p /run/dbus; [ -e /var/run/dbus ] || ln -s /run /var/run");
        let bus = self.spawn(As::Root, &["dbus-daemon", "--system", "--nofork", "--nopidfile"]);
        let there = || self.outside_path("/run/dbus/system_bus_socket").exists();
        assert!(self.wait_until(PATIENCE, there), "{}", bus.said());
        bus
    }

    /// Starts firewalld on a bus that runs, and waits until it has loaded its rules.
    #[track_caller]
    pub fn start_firewalld(&self) -> Process {
        let firewalld = self.spawn(As::Root, &["firewalld", "--nofork", "--nopid"]);
        let runs = || self.run(&["firewall-cmd", "--state"]).code() == 0;
        assert!(self.wait_until(PATIENCE, runs), "{}", firewalld.said());
        firewalld
    }

    /// Ends it, and waits until its rules are gone.
    #[track_caller]
    pub fn stop_firewalld(&self) {
        self.sh("kill $(pidof -x firewalld)");
        let gone = || self.run(&["nft", "list", "table", "inet", "firewalld"]).code() != 0;
        assert!(self.wait_until(PATIENCE, gone), "firewalld does not end");
    }

    /// Disturbs a network while its keeper is held: fails unless a guest is cut off by that, and served
    /// again within a second once the keeper goes on.
    ///
    /// # Panics
    /// If the guest is not cut off, or for longer.
    #[track_caller]
    pub fn assert_regained<T>(
        &self,
        station: &Station<'_>,
        network: &str,
        event: &str,
        disturb: impl FnOnce() -> T,
    ) -> T {
        let keeper = self.keeper(network);
        self.sh(&format!("kill -STOP {keeper}"));
        let done = disturb();
        assert!(!station.opens_at_once(SERVER, 80), "{event} cuts nobody off: {}", self.rules());
        let since = Instant::now();
        self.sh(&format!("kill -CONT {keeper}"));
        self.assert_served_since(station, since, event);
        done
    }

    /// Fails if a guest is not served within a second from `since` on: the Internet, DNS, and DHCP.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn assert_served_since(&self, station: &Station<'_>, since: Instant, event: &str) {
        let open = self.wait_until(PATIENCE, || station.opens_at_once(SERVER, 80));
        let took = since.elapsed();
        assert!(open, "no Internet after {event}: {}", self.rules());
        println!("after {event}: {took:?}");
        assert!(took < A_SECOND, "the Internet took {took:?} after {event}");
        self.assert_served(station, event);
    }

    /// Fails if a guest is not served: a lease, the name of a host outside, a connection to it, a ping of
    /// its router, and the same of IPv6, from whose router it must have an address.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn assert_served(&self, station: &Station<'_>, event: &str) {
        let answer = station.lease().unwrap_or_else(|| panic!("no lease after {event}: {}", self.rules()));
        let found = station.resolve(SERVER_NAME, answer.get("dns"));
        assert_eq!(found.as_deref(), Some(SERVER), "no DNS after {event}: {}", self.rules());
        assert!(station.opens(SERVER, 80), "no Internet after {event}: {}", self.rules());
        assert!(station.reaches(answer.get("router")), "no ping after {event}: {}", self.rules());
        let asks = || station.router6().is_some_and(|router| station.reaches(&router));
        assert!(self.wait_until(PATIENCE, asks), "no IPv6 router after {event}: {}", self.rules());
    }

    /// All rules of both kinds, without counters.
    #[track_caller]
    pub fn rules(&self) -> String {
        self.sh("nft -s list ruleset
             for name in ip ip6; do
                 ! grep -qs . /proc/net/${name}_tables_names || ${name}tables-legacy-save | grep -v '^#'
             done | sed 's/\\[[0-9:]*\\]//'")
    }

    /// All rules but those of our own tables: what is somebody else's.
    #[track_caller]
    pub fn foreign_rules(&self) -> String {
        let rules = self.rules();
        let mut own = false;
        let foreign = |line: &&str| {
            if line.starts_with("table ") {
                own = line.contains(" vmnet_");
            }
            !own
        };
        rules.lines().filter(foreign).collect::<Vec<_>>().join("\n")
    }

    /// The row of `status` that tells of other firewalls.
    #[track_caller]
    pub fn opened(&self, network: &str) -> String {
        let (_, value) = self.json(&["status", network]);
        let aspects = value["networks"][0]["aspects"].as_array().cloned().unwrap_or_default();
        let row = aspects.iter().find(|aspect| aspect["what"] == "other firewalls");
        row.and_then(|row| row["actual"].as_str()).unwrap_or_default().to_owned()
    }
}

impl Station<'_> {
    /// The IPv6 router that gave it an address, with its interface, if there is one yet.
    #[track_caller]
    fn router6(&self) -> Option<String> {
        let addresses =
            self.run(&["ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "global", "-tentative"]);
        let routes = self.run(&["ip", "-6", "route", "show", "default"]).stdout;
        let router = routes.split(' ').skip_while(|word| *word != "via").nth(1)?;
        (!addresses.stdout.is_empty()).then(|| format!("{router}%eth0"))
    }

    /// Whether a TCP connection can be opened, without patience: for asking again and again.
    #[track_caller]
    pub fn opens_at_once(&self, address: &str, port: u16) -> bool {
        let script = format!(r#"exec 3<>"/dev/tcp/{address}/{port}""#);
        self.run(&["timeout", "0.1", "bash", "-c", &script]).code() == 0
    }
}
