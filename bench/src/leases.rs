//! How long a guest waits for its address: DISCOVER to ACK, for one client and for fifty at once.

use crate::chance::Chance;
use crate::dhcp::{self, Answer, Mac, Question};
use crate::host::{self, NETWORK, VMNET};
use crate::numbers::{Sample, time};
use crate::report::Section;
use crate::wire::Wire;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

/// Clients at once.
const CLIENTS: usize = 50;
/// A client that hears nothing asks again after this.
const PATIENCE: Duration = Duration::from_secs(1);
/// A round that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(20);
/// The network namespace that the clients' ends are in.
const NAMESPACE: &str = "clients";

/// A client at its wire.
struct Client {
    wire: Wire,
    mac: Mac,
    transaction: u32,
    started: Instant,
    asked: Instant,
    lease: Option<(Answer, Duration)>,
}

/// What went wrong on the way, in all rounds.
#[derive(Default)]
struct Mishaps {
    naks: usize,
    repeats: usize,
}

/// How a round's clients are called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Macs {
    Random,
    /// As a person numbers the machines of a test.
    Consecutive,
}

/// All of it; leaves the network down.
///
/// # Errors
/// The network did not come up, or a client got no address.
pub fn measure(rounds: usize) -> io::Result<Section> {
    host::run(&[VMNET, "up", NETWORK])?;
    let wires = plug_in();
    let mut section = Section::new(
        "First lease",
        &format!(
            "Clients on cables (veth pairs) to the network speak DHCP through packet sockets; from a client's DISCOVER to its \
             ACK. Every round has new MAC addresses, and all addresses are given back after it. A NAK sends a client \
             back to DISCOVER, with its clock running. {rounds} rounds with {CLIENTS} clients, five times as many with one."
        ),
        &[
            "clients at once",
            "MAC addresses",
            "rapid commit",
            "median",
            "90 % below",
            "longest",
            "NAKs",
            "asked again",
        ],
    );
    let cases = [
        (1, Macs::Random, false),
        (1, Macs::Random, true),
        (CLIENTS, Macs::Random, false),
        (CLIENTS, Macs::Random, true),
        (CLIENTS, Macs::Consecutive, false),
        (CLIENTS, Macs::Consecutive, true),
    ];
    let result = wires.and_then(|mut wires| {
        for (count, macs, rapid) in cases {
            let rounds = if count == 1 { rounds * 5 } else { rounds };
            wires = case(&mut section, wires, rounds, (count, macs, rapid))?;
        }
        Ok(section)
    });
    host::run(&["ip", "netns", "delete", NAMESPACE])?;
    host::run(&[VMNET, "down", NETWORK, "--force"])?;
    result
}

fn case(
    section: &mut Section,
    mut wires: Vec<Wire>,
    rounds: usize,
    (count, macs, rapid): (usize, Macs, bool),
) -> io::Result<Vec<Wire>> {
    let (mut sample, mut mishaps, mut chance) = (Sample::default(), Mishaps::default(), Chance::new());
    let spare = wires.split_off(count);
    for _ in 0..rounds {
        let mut clients = seat(wires, macs, &mut chance);
        serve(&mut clients, rapid, &mut mishaps)?;
        for client in &clients {
            sample.add(client.lease.map_or(LIMIT, |(_, took)| took));
            client.give_back()?;
        }
        wires = clients.into_iter().map(|client| client.wire).collect();
    }
    wires.extend(spare);
    let macs = if macs == Macs::Random { "random" } else { "consecutive" };
    let rapid = if rapid { "yes" } else { "no" };
    let (median, longest) = (time(sample.median()), time(sample.quantile(1.0)));
    let (naks, repeats) = (mishaps.naks.to_string(), mishaps.repeats.to_string());
    section.row(&[
        &count.to_string(),
        macs,
        rapid,
        &median,
        &time(sample.quantile(0.9)),
        &longest,
        &naks,
        &repeats,
    ]);
    section.print(format!(
        "{count} at once, {macs} MACs, rapid commit {rapid}: {median}, longest {longest}, {naks} NAKs"
    ));
    Ok(wires)
}

/// A cable for each client, its far end in a namespace of its own.
fn plug_in() -> io::Result<Vec<Wire>> {
    host::run(&["ip", "netns", "add", NAMESPACE])?;
    host::run(&["ip", "netns", "exec", NAMESPACE, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"])?;
    let mut near = String::new();
    let mut far = String::new();
    for number in 0..CLIENTS {
        near += &format!("link add cable{number} type veth peer name end{number} netns {NAMESPACE}\n");
        near += &format!("link set cable{number} master {NETWORK} up\n");
        far += &format!("link set end{number} up\n");
    }
    host::ip_batch(&[], &near)?;
    host::ip_batch(&["-netns", NAMESPACE], &far)?;
    // A socket belongs to the namespace that it was made in, so we only go there to make them.
    let home = File::open("/proc/self/ns/net")?;
    setns(File::open(format!("/run/netns/{NAMESPACE}"))?, CloneFlags::CLONE_NEWNET)?;
    let wires = (0..CLIENTS).map(|number| Wire::open(&format!("end{number}"))).collect();
    setns(home, CloneFlags::CLONE_NEWNET)?;
    wires
}

fn seat(wires: Vec<Wire>, macs: Macs, chance: &mut Chance) -> Vec<Client> {
    let first = chance.next();
    let client = |(number, wire)| {
        let bits = match macs {
            Macs::Random => chance.next(),
            Macs::Consecutive => first.wrapping_add(number),
        };
        let [_, _, _, a, b, c, d, e] = bits.to_be_bytes();
        let transaction = chance.next() as u32;
        let now = Instant::now();
        // Locally administered, not multicast.
        Client { wire, mac: [0x02, a, b, c, d, e], transaction, started: now, asked: now, lease: None }
    };
    (0..).zip(wires).map(client).collect()
}

/// Let all of them ask at once and wait until each has its lease.
fn serve(clients: &mut [Client], rapid: bool, mishaps: &mut Mishaps) -> io::Result<()> {
    for client in clients.iter_mut() {
        client.started = Instant::now();
        client.ask(dhcp::DISCOVER, rapid, None)?;
    }
    let end = Instant::now() + LIMIT;
    while clients.iter().any(|client| client.lease.is_none()) {
        if Instant::now() > end {
            return Err(io::Error::other(format!("a client got no address within {LIMIT:?}")));
        }
        let mut waiting: Vec<&mut Client> = clients.iter_mut().filter(|c| c.lease.is_none()).collect();
        let ready: Vec<bool> = {
            let mut asked: Vec<PollFd<'_>> =
                waiting.iter().map(|client| PollFd::new(nix_fd(&client.wire), PollFlags::POLLIN)).collect();
            poll(&mut asked, PollTimeout::from(100u8))?;
            asked.iter().map(|fd| fd.any() == Some(true)).collect()
        };
        for (client, ready) in waiting.iter_mut().zip(ready) {
            if ready {
                client.hear(rapid, mishaps)?;
            } else if client.asked.elapsed() > PATIENCE {
                mishaps.repeats += 1;
                client.ask(dhcp::DISCOVER, rapid, None)?;
            }
        }
    }
    Ok(())
}

fn nix_fd(wire: &Wire) -> std::os::fd::BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(wire)
}

impl Client {
    fn ask(
        &mut self,
        kind: u8,
        rapid: bool,
        offer: Option<(dhcp::Address, dhcp::Address)>,
    ) -> io::Result<()> {
        let question = Question { kind, mac: self.mac, transaction: self.transaction, rapid, offer };
        self.asked = Instant::now();
        self.wire.send(&question.frame())
    }

    fn hear(&mut self, rapid: bool, mishaps: &mut Mishaps) -> io::Result<()> {
        let mut buffer = [0; 2048];
        while let Some(frame) = self.wire.receive(&mut buffer)? {
            let Some(answer) = dhcp::read(frame, self.mac) else { continue };
            if answer.transaction != self.transaction || self.lease.is_some() {
                continue;
            }
            match answer.kind {
                dhcp::OFFER => self.ask(dhcp::REQUEST, rapid, Some((answer.address, answer.server)))?,
                dhcp::ACK => self.lease = Some((answer, self.started.elapsed())),
                dhcp::NAK => {
                    mishaps.naks += 1;
                    self.transaction = self.transaction.wrapping_add(1);
                    self.ask(dhcp::DISCOVER, rapid, None)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn give_back(&self) -> io::Result<()> {
        let Some((answer, _)) = self.lease else { return Ok(()) };
        let offer = Some((answer.address, answer.server));
        let (mac, transaction) = (self.mac, self.transaction.wrapping_add(1));
        self.wire.send(&Question { kind: dhcp::RELEASE, mac, transaction, rapid: false, offer }.frame())
    }
}
