//! The talk with a DHCP server: what is said again and again until it is answered, within a bound.

use std::fmt;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};
use vmnet_access::mac::MacAddr;
use vmnet_model::dhcp::{Client, Heard, Lease};
use vmnet_sys::address::{self, Address};
use vmnet_sys::netlink::Netlink;
use vmnet_sys::packet::{Awaited, Packets};
use vmnet_sys::random;
use vmnet_sys::trust::plain;

/// How long it may last. A server that is asked by fifty at once answers the last within a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long of that an address that is held is asked for: a server that knows nothing of it may say
/// nothing (RFC 2131, 4.3.2).
const HOLDING: Duration = Duration::from_secs(4);
/// How soon the first question is said again: a port that just came up may lose it.
const FIRST: Duration = Duration::from_millis(20);
/// And the last ones.
const LAST: Duration = Duration::from_secs(2);
/// So often an offer may be taken back: of guests that come at one moment two may be offered one address.
const REFUSALS_MAX: usize = 10;
/// No frame of a server is longer: 1500 and the Ethernet header.
const FRAME_MAX: usize = 1514;

/// Why there is no lease.
#[derive(Debug)]
pub enum NoLease {
    /// Nobody granted one.
    Unanswered,
    /// A server refuses each that it offers.
    Refused,
    /// A signal came.
    Interrupted,
    /// The interface cannot be spoken through.
    Broken(std::io::Error),
}

impl fmt::Display for NoLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered => write!(f, "no DHCP server grants an address within {} s", PATIENCE.as_secs()),
            Self::Refused => f.write_str("the DHCP server takes back what it offers"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Broken(error) => write!(f, "cannot ask for an address: {}", plain(error)),
        }
    }
}

/// What a client of DHCP needs.
#[derive(Clone, Debug)]
pub struct Talk {
    /// Its MAC.
    pub mac: MacAddr,
    /// The interface's number.
    pub index: u32,
    /// The name that the client calls itself by.
    pub name: Option<String>,
}

impl Talk {
    /// Talk until it has an address, which is then on the interface for as long as the lease lasts. One
    /// that it held and may not keep goes.
    pub fn hold(
        &self,
        netlink: &mut Netlink,
        packets: &Packets,
        held: Option<Address>,
        interrupts: Option<BorrowedFd<'_>>,
    ) -> Result<Lease, NoLease> {
        packets.bind(self.index).map_err(NoLease::Broken)?;
        let number = u32::from_ne_bytes(random::bytes().map_err(NoLease::Broken)?);
        let fresh = Client::new(self.mac, number, self.name.clone());
        let kept = match held.as_ref().map(|held| held.address) {
            Some(IpAddr::V4(address)) => Some(fresh.clone().holding(address)),
            _ => None,
        };
        let mut refused = || {
            if let Some(held) = &held {
                let _ = address::remove(netlink, self.index, held);
            }
        };
        let mut talk = |client, limit| obtain(packets, client, interrupts, limit, &mut refused);
        let lease = match kept.map(|kept| talk(kept, HOLDING)) {
            None | Some(Err(NoLease::Unanswered)) => talk(fresh, PATIENCE)?,
            Some(answered) => answered?,
        };
        if held.is_some_and(|held| held.address != lease.address) {
            refused();
        }
        let own = Address { address: lease.address.into(), length: lease.length, left: lease.seconds };
        address::put(netlink, self.index, &own).map_err(NoLease::Broken)?;
        Ok(lease)
    }
}

/// Talk until there is a lease, at most for `limit`. `refused` is told when the address that the client holds is not to be
/// used any more. Whatever makes `interrupts` readable ends it.
fn obtain(
    packets: &Packets,
    mut client: Client,
    interrupts: Option<BorrowedFd<'_>>,
    limit: Duration,
    refused: &mut dyn FnMut(),
) -> Result<Lease, NoLease> {
    let end = Instant::now() + limit;
    let mut run_dir = [0; FRAME_MAX];
    let (mut pause, mut refusals) = (FIRST, 0);
    while Instant::now() < end {
        packets.send(&client.frame()).map_err(NoLease::Broken)?;
        let again = (Instant::now() + pause).min(end);
        pause = (pause * 2).min(LAST);
        loop {
            let left = again.saturating_duration_since(Instant::now());
            match packets.wait(interrupts, left).map_err(NoLease::Broken)? {
                Awaited::Other => return Err(NoLease::Interrupted),
                Awaited::Nothing if left.is_zero() => break,
                Awaited::Nothing | Awaited::Frame => {}
            }
            let Some(frame) = packets.receive(&mut run_dir).map_err(NoLease::Broken)? else { continue };
            match client.hear(frame) {
                Heard::Granted(lease) => return Ok(lease),
                Heard::Nothing => {}
                Heard::GoOn => {
                    pause = FIRST;
                    break;
                }
                Heard::Refused => {
                    refused();
                    refusals += 1;
                    if refusals > REFUSALS_MAX {
                        return Err(NoLease::Refused);
                    }
                    pause = FIRST;
                    break;
                }
            }
        }
    }
    Err(NoLease::Unanswered)
}
