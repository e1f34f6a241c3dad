//! `vmnet attach` beside the `ip` commands that give a namespace the same interface.

use crate::chance::Chance;
use crate::host::{self, BRIDGE, NETWORK, VMNET};
use crate::numbers::{Sample, against, time};
use crate::report::Section;
use std::io;
use std::time::Duration;

/// What we aim at: our time over theirs.
const AIM: f64 = 0.5;
const SPACE: &str = "bench";

/// The same by hand: a pair with one end inside, a port, up, an address, a way out.
const BY_HAND: [&str; 6] = [
    "ip link add veth-bench type veth peer name eth0 netns bench",
    "ip link set veth-bench master br0 up",
    "ip -n bench link set lo up",
    "ip -n bench address add 10.66.0.9/24 dev eth0",
    "ip -n bench link set eth0 up",
    "ip -n bench route add default via 10.66.0.1",
];

fn by_hand() -> io::Result<Duration> {
    BY_HAND.iter().map(|line| host::run(&line.split(' ').collect::<Vec<_>>())).sum()
}

/// Each `rounds` times in random order, on a bridge that is no network of ours; then with a lease.
///
/// # Errors
/// One of them failed.
pub fn compare(rounds: usize) -> io::Result<Section> {
    let attach = [VMNET, "attach", BRIDGE, "--netns", SPACE, "--address", "10.66.0.9/24"];
    let detach = [VMNET, "detach", BRIDGE, "--netns", SPACE];
    let removal = ["ip", "-n", SPACE, "link", "delete", "eth0"];
    host::script(&format!("ip netns add {SPACE}\nip address add 10.66.0.1/24 dev {BRIDGE}"))?;
    let mut samples = vec![(Sample::default(), Sample::default()); 2];
    let (mut chance, mut order) = (Chance::new(), [0, 1]);
    for _ in 0..rounds {
        chance.shuffle(&mut order);
        for &whose in &order {
            let (up, down) = match whose {
                0 => (host::run(&attach)?, host::run(&detach)?),
                _ => (by_hand()?, host::run(&removal)?),
            };
            samples[whose].0.add(up);
            samples[whose].1.add(down);
        }
    }
    host::script(&format!("ip address delete 10.66.0.1/24 dev {BRIDGE}"))?;
    let leased = leased(rounds)?;
    host::script(&format!("ip netns delete {SPACE}"))?;

    let mut section = Section::new(
        "A namespace attached",
        &format!(
            "`vmnet attach` with an address, from start to exit, {rounds} times beside {} `ip` commands that make the \
             same pair, port, address and route, whose times are added up; then `vmnet detach` beside `ip link \
             delete`. With a lease: the same on {NETWORK}, with an address, route and names by DHCP, and a process \
             that renews it. The ratio is the median of each round's ratio.",
            BY_HAND.len()
        ),
        &["", "vmnet", "ip", "ours is … times theirs"],
    );
    let [(ours, our_end), (theirs, their_end)] = &samples[..] else { return Ok(section) };
    for (act, own, other) in [("attach", ours, theirs), ("detach", our_end, their_end)] {
        let ratio = format!("{:.2}", own.ratio(other));
        section.row(&[act, &time(own.median()), &time(other.median()), &ratio]);
    }
    section.row(&["attach, with a lease", &time(leased.median()), "", ""]);
    section.line(format!(
        "attach against {} ip commands: {}",
        BY_HAND.len(),
        against(ours.ratio(theirs), AIM)
    ));
    Ok(section)
}

fn leased(rounds: usize) -> io::Result<Sample> {
    let mut sample = Sample::default();
    host::run(&[VMNET, "up", NETWORK])?;
    for _ in 0..rounds {
        sample.add(host::run(&[VMNET, "attach", NETWORK, "--netns", SPACE])?);
        host::run(&[VMNET, "detach", NETWORK, "--netns", SPACE])?;
    }
    host::run(&[VMNET, "down", NETWORK])?;
    Ok(sample)
}
