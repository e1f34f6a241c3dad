//! `[limits]`: what a port sends and gets each second. Measured with TCP, which has to live with it.

use std::time::{Duration, Instant};

use rig::house::{As, House};
use rig::process::Process;
use rig::skip::have;
use rig::station::Station;

/// How long a transfer runs, and what is over at its end besides what the limit lets through: the
/// bucket is full in the beginning, with a second's worth and 128 KiB.
const SECONDS: u64 = 10;
const BUCKET_BYTES: u64 = 131_072;

fn house_with(test: &str, limits: &str) -> Option<House> {
    if !have(test, &["busybox", "ping"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.describe("lab", &format!("subnet = \"10.5.0.0/24\"\nhost_access = \"all\"\n[limits]\n{limits}"));
    house.up("lab");
    Some(house)
}

fn receiver(house: &House, within: &[&str]) -> Process {
    let argv = ["bash", "-c", "busybox nc -l -p 9 | wc -c"];
    let receiver = house.spawn(As::Root, &[within, &argv[..]].concat());
    let listens = [within, &["grep", "-q", ":0009 .* 0A ", "/proc/net/tcp", "/proc/net/tcp6"]].concat();
    let there = || house.run(&listens).code() == 0;
    assert!(house.wait_until(Duration::from_secs(10), there), "nobody listens");
    receiver
}

/// Bytes per second of a TCP transfer, but for what the full bucket gave in the beginning.
fn rate(house: &House, from: &[&str], to: &[&str], address: &str, limit: u64) -> u64 {
    let receiver = receiver(house, to);
    let script = r#"cat /dev/zero >"/dev/tcp/$0/9""#;
    let seconds = SECONDS.to_string();
    let started = Instant::now();
    house.run_with(
        As::Root,
        &[from, &["timeout", &seconds, "bash", "-c", script, address]].concat(),
        None,
        Duration::from_secs(60),
    );
    let line = receiver.line(Duration::from_secs(60), |_| true).unwrap_or_else(|e| panic!("{e}"));
    let bytes: u64 = line.trim().parse().unwrap_or_else(|_| panic!("{line:?}"));
    let rate = bytes.saturating_sub(limit + BUCKET_BYTES) * 1000
        / u64::try_from(started.elapsed().as_millis()).expect("seconds");
    println!("{bytes} bytes: {} % of {limit} bytes/s", rate * 100 / limit);
    rate
}

fn enter(guest: &str) -> [&str; 4] {
    ["ip", "netns", "exec", guest]
}

fn two<'a>(house: &'a House) -> (Station<'a>, Station<'a>) {
    let (alpha, beta) = (house.member_station("alpha", "lab"), house.member_station("beta", "lab"));
    house.sh("ip -n alpha address add 10.5.0.200/24 dev eth0; ip -n beta address add 10.5.0.201/24 dev eth0");
    assert!(alpha.reaches("10.5.0.201"));
    (alpha, beta)
}

fn assert_close(rate: u64, limit: u64) {
    assert!(rate * 100 >= limit * 80 && rate * 100 <= limit * 110, "{rate} bytes/s under a limit of {limit}");
}

#[test]
fn what_a_guest_sends_is_limited_and_what_it_gets_is_not() {
    let name = "what_a_guest_sends_is_limited_and_what_it_gets_is_not";
    let Some(house) = house_with(name, "from_guest = \"10mbit\"\n") else { return };
    let _guests = two(&house);
    let limit = 1_250_000;
    assert_close(rate(&house, &enter("alpha"), &enter("beta"), "10.5.0.201", limit), limit);
    assert_close(rate(&house, &enter("beta"), &[], "10.5.0.1", limit), limit);
    assert!(rate(&house, &[], &enter("alpha"), "10.5.0.200", limit) > 3 * limit);
}

#[test]
fn what_a_guest_gets_is_limited_and_what_it_sends_is_not() {
    let name = "what_a_guest_gets_is_limited_and_what_it_sends_is_not";
    let Some(house) = house_with(name, "to_guest = \"40mbit\"\n") else { return };
    let _guests = two(&house);
    let limit = 5_000_000;
    assert_close(rate(&house, &enter("alpha"), &enter("beta"), "10.5.0.201", limit), limit);
    assert_close(rate(&house, &[], &enter("alpha"), "10.5.0.200", limit), limit);
    assert!(rate(&house, &enter("beta"), &[], "10.5.0.1", limit) > 3 * limit);
}

#[test]
fn even_a_slow_port_gets_whole_frames() {
    let name = "even_a_slow_port_gets_whole_frames";
    let Some(house) = house_with(name, "from_guest = \"256kbit\"\n") else { return };
    let _guests = two(&house);
    let limit = 32_000;
    let rate = rate(&house, &enter("alpha"), &enter("beta"), "10.5.0.201", limit);
    assert!(rate * 100 >= limit * 50 && rate * 100 <= limit * 120, "{rate} bytes/s");
}

#[test]
fn one_port_has_no_part_in_anothers_limit() {
    let name = "one_port_has_no_part_in_anothers_limit";
    let Some(house) = house_with(name, "from_guest = \"1mbit\"\n") else { return };
    let (alpha, beta) = two(&house);
    let _receiver = receiver(&house, &enter("beta"));
    let _flood = alpha.spawn(&["bash", "-c", r#"cat /dev/zero >"/dev/tcp/10.5.0.201/9""#]);
    let dropped = || house.sh("nft list set bridge vmnet_lab sent").contains("port-alpha");
    assert!(house.wait_until(Duration::from_secs(10), dropped));
    let ping = beta.run(&["ping", "-n", "-q", "-c", "20", "-i", "0.1", "-W", "1", "10.5.0.1"]);
    assert!(ping.stdout.contains(" 0% packet loss"), "{ping}");
}
