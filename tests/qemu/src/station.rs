//! A guest that is only a network namespace: a veth on the bridge and busybox's DHCP client. It starts
//! in milliseconds, so one test can have many; what needs a TAP or a kernel of its own is a
//! [`crate::guest`].

use std::collections::BTreeMap;
use std::time::Duration;

use crate::command::Outcome;
use crate::house::{As, House};
use crate::outside::WHO_AM_I;
use crate::process::Process;

/// The DHCP client's script: takes what the server says and writes it down, one `key=value` a line.
const SCRIPT: &str = r#"#!/bin/sh
case $1 in
bound | renew)
    ip -4 address flush dev "$interface"
    ip address add "$ip/$mask" dev "$interface"
    [ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
    [ -z "$router" ] || ip route replace default via "${router%% *}"
    set | sed -n "s/^\([a-z]*\)='\(.*\)'$/\1=\2/p" >"/tmp/house/lease.$STATION"
    ;;
esac
"#;

/// Where the script is in a house.
const SCRIPT_PLACE: &str = "/tmp/house/station";

/// What a DHCP server said, in udhcpc's words: `ip`, `mask`, `router`, `dns`, `domain`, `mtu`, `lease`,
/// `serverid`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pairs: BTreeMap<String, String>,
}

impl Answer {
    /// A value; empty if the server gave none.
    pub fn get(&self, key: &str) -> &str {
        self.pairs.get(key).map_or("", String::as_str)
    }
}

/// One such guest.
pub struct Station<'a> {
    house: &'a House,
    name: String,
    /// Its MAC.
    pub mac: String,
}

impl House {
    /// Plugs a namespace called `name` into a bridge: its `eth0` has a MAC made of the name, no address.
    #[track_caller]
    pub fn station(&self, name: &str, bridge: &str) -> Station<'_> {
        let mac = crate::guest::mac(name);
        self.write_file_for(SCRIPT_PLACE, 0o755, (0, 0), SCRIPT);
        self.sh(&format!(
            "ip netns add {name}
             ip link add port-{name} type veth peer name eth0 address {mac} netns {name}
             ip link set port-{name} master {bridge} up
             ip -n {name} link set lo up
             ip -n {name} link set eth0 up"
        ));
        Station { house: self, name: name.to_owned(), mac }
    }

    /// Plugs a namespace called `name` into a VDE switch with vde2's own `vde_plug2tap`, which runs until
    /// it is dropped.
    ///
    /// # Panics
    /// If it does not get its port.
    #[track_caller]
    pub fn station_by_plug2tap(&self, name: &str, switch: &str) -> (Station<'_>, Process) {
        let mac = crate::guest::mac(name);
        self.write_file_for(SCRIPT_PLACE, 0o755, (0, 0), SCRIPT);
        self.sh(&format!("ip netns add {name}; ip -n {name} link set lo up"));
        let station = Station { house: self, name: name.to_owned(), mac };
        let plug = station.spawn(&["vde_plug2tap", "-s", switch, "eth0"]);
        let is_there = || self.run(&["ip", "-n", name, "link", "show", "eth0"]).code() == 0;
        assert!(self.wait_until(Duration::from_secs(10), is_there), "{}", plug.said());
        self.sh(&format!("ip -n {name} link set eth0 address {} up", station.mac));
        (station, plug)
    }

    /// The global IPv6 address of a link, once it counts; `place` is for `ip`, empty for the house itself.
    ///
    /// # Panics
    /// If it has none in time.
    #[track_caller]
    pub fn address6(&self, place: &str, link: &str) -> String {
        let shown = || self.sh(&format!("ip {place} -6 -o address show dev {link} scope global -tentative"));
        let found =
            || shown().split_whitespace().find_map(|word| word.strip_suffix("/64").map(str::to_owned));
        assert!(self.wait_until(Duration::from_secs(20), || found().is_some()), "{link}: {}", shown());
        found().expect("an address")
    }

    /// Plugs one in and waits until its port is known as one of the network's.
    ///
    /// # Panics
    /// If the keeper does not see to it.
    #[track_caller]
    pub fn member_station(&self, name: &str, network: &str) -> Station<'_> {
        let station = self.station(name, network);
        let record = self.read_file(&format!("/run/vmnet/{network}/port")).unwrap_or_default();
        let group = record.lines().find_map(|line| line.strip_prefix("group ")).unwrap_or("none").to_owned();
        let place = format!("/sys/class/net/port-{name}/netdev_group");
        let seen = || self.run(&["cat", &place]).stdout.trim().parse() == group.parse::<i64>();
        assert!(self.wait_until(Duration::from_secs(10), seen), "port-{name} is not in group {group}");
        station
    }

    /// Plugs one in that must get a lease.
    #[track_caller]
    pub fn leased_station(&self, name: &str, bridge: &str) -> (Station<'_>, Answer) {
        let station = self.station(name, bridge);
        let answer = station.lease().unwrap_or_else(|| panic!("{name} got no lease on {bridge}"));
        (station, answer)
    }
}

impl Station<'_> {
    /// Runs a program in it.
    #[track_caller]
    pub fn run(&self, argv: &[&str]) -> Outcome {
        self.house.run(&self.words(argv))
    }

    /// Starts a program in it that goes on running.
    #[track_caller]
    pub fn spawn(&self, argv: &[&str]) -> Process {
        self.house.spawn(As::Root, &self.words(argv))
    }

    /// Asks for a lease, some seconds long; uses it if there is one.
    #[track_caller]
    pub fn lease(&self) -> Option<Answer> {
        let place = format!("/tmp/house/lease.{}", self.name);
        let _ = std::fs::remove_file(self.house.outside_path(&place));
        let (name, host) = (format!("STATION={}", self.name), format!("hostname:{}", self.name));
        let mut argv = vec!["env", &name, "busybox", "udhcpc", "-f", "-q", "-n", "-i", "eth0"];
        argv.extend(["-t", "5", "-T", "1", "-O", "mtu", "-O", "search", "-x", &host, "-s", SCRIPT_PLACE]);
        self.run(&argv);
        let text = self.house.read_file(&place)?;
        let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        Some(Answer { pairs: text.lines().filter_map(pair).collect() })
    }

    /// The IPv6 address that it gave itself of the network's prefix, once it counts.
    ///
    /// # Panics
    /// If it has none in time.
    #[track_caller]
    pub fn address6(&self) -> String {
        self.house.address6(&format!("-n {}", self.name), "eth0")
    }

    /// Whether an address answers a ping, asked a few times.
    #[track_caller]
    pub fn reaches(&self, address: &str) -> bool {
        (0..3).any(|_| self.run(&["ping", "-n", "-c", "1", "-W", "1", address]).code() == 0)
    }

    /// Whether a TCP connection can be opened.
    #[track_caller]
    pub fn opens(&self, address: &str, port: u16) -> bool {
        self.run(&opening(address, &port.to_string())).code() == 0
    }

    /// As whom a web server of [`crate::outside`] sees it.
    #[track_caller]
    pub fn seen_as(&self, server: &str) -> Option<String> {
        let script = r#"exec 3<>"/dev/tcp/$0/80"; printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3; cat <&3"#;
        let answer = self.run(&["timeout", "5", "bash", "-c", script, server, WHO_AM_I]);
        let (_, body) = answer.stdout.split_once("\r\n\r\n")?;
        // An IPv6 address stands in brackets there.
        Some(body.trim().trim_start_matches('[').trim_end_matches(']').to_owned())
    }

    /// The address that a DNS server gives for a name.
    #[track_caller]
    pub fn resolve(&self, name: &str, server: &str) -> Option<String> {
        let argv = ["timeout", "5", "busybox", "nslookup", "-type=a", name, server];
        let answer = self.run(&argv).stdout;
        let found = answer.lines().skip_while(|line| !line.starts_with("Name:")).nth(1)?;
        Some(found.split_once(": ")?.1.trim().to_owned())
    }

    /// Starts a web server on port 80.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    pub fn serve(&self) -> Process {
        self.run(&["mkdir", "-p", "/tmp/house/www"]).success();
        let server = self.spawn(&["busybox", "httpd", "-f", "-p", "80", "-h", "/tmp/house/www"]);
        let up = self.house.wait_until(Duration::from_secs(10), || self.opens("127.0.0.1", 80));
        assert!(up, "httpd did not start\n{}", server.said());
        server
    }

    fn words<'a>(&'a self, argv: &[&'a str]) -> Vec<&'a str> {
        let mut words = vec!["ip", "netns", "exec", self.name.as_str()];
        words.extend(argv);
        words
    }
}

/// Words that open a TCP connection and do nothing with it.
pub fn opening<'a>(address: &'a str, port: &'a str) -> [&'a str; 7] {
    ["timeout", "3", "bash", "-c", r#"exec 3<>"/dev/tcp/$0/$1""#, address, port]
}
