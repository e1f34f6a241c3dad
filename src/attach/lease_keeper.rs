//! The process that renews the lease of a namespace's interface. It holds nothing of the namespace
//! while it sleeps, so that the namespace can go; the port goes with it, and that is heard on the host.

use super::dhcp_client::Talk;
use super::namespace::{NamespacePath, Target};
use super::resolv_conf;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use vmnet_access::name::IfName;
use vmnet_model::dhcp::Lease;
use vmnet_sys::address::{self, Address};
use vmnet_sys::link::gone::Watched;
use vmnet_sys::namespace::Identity;
use vmnet_sys::{process, worker};

/// Not sooner than this after a talk that led to nothing (RFC 2131, 4.4.5).
const AGAIN: Duration = Duration::from_secs(60);

/// A lease that is to be renewed, and what it is for.
#[derive(Clone, Debug)]
pub struct LeaseJob {
    /// The client whose lease it is.
    pub talk: Talk,
    /// The number of its port on the host.
    pub port: u32,
    /// The lease.
    pub lease: Lease,
}

/// Where it is found again, without holding it.
struct Whereabouts<'a> {
    way: &'a NamespacePath,
    identity: Identity,
    name: Option<&'a str>,
    bridge: &'a IfName,
    interface: &'a IfName,
}

/// Is the process of this number, begun at this moment, still there?
pub fn is_at_work((pid, began): (u32, u64)) -> bool {
    process::began(pid) == Some(began)
}

/// Start it. Its number and the moment when it began are answered.
pub fn start(
    charge: LeaseJob,
    target: &Target,
    bridge: &IfName,
    interface: &IfName,
) -> std::io::Result<Option<(u32, u64)>> {
    let identity = target.space.identity()?;
    let kept = match &target.way {
        NamespacePath::Process(process) => Some(process.as_fd()),
        NamespacePath::Path(_) => None,
    };
    let place = Whereabouts { way: &target.way, identity, name: target.name.as_deref(), bridge, interface };
    let pid = worker::leave(kept, || place.keep(charge))?.as_raw().unsigned_abs();
    Ok(process::began(pid).map(|began| (pid, began)))
}

impl Whereabouts<'_> {
    fn keep(&self, mut charge: LeaseJob) {
        let Ok(Some(port)) = Watched::new(charge.port) else { return };
        let mut granted = Instant::now();
        while let Some(renewal) = charge.lease.renewal {
            let mut pause = Duration::from_secs(renewal.into());
            loop {
                match port.wait(pause) {
                    Ok(false) => {}
                    Ok(true) => return self.tidy(),
                    Err(_) => return,
                }
                match self.renew(&charge, granted) {
                    Renewed::Granted(lease) => {
                        charge.lease = lease;
                        granted = Instant::now();
                        break;
                    }
                    Renewed::Unanswered => pause = AGAIN,
                    Renewed::Over => return,
                }
            }
        }
    }

    fn renew(&self, charge: &LeaseJob, granted: Instant) -> Renewed {
        let Some(space) = self.way.same(self.identity) else { return Renewed::Over };
        let (Ok(mut inside), Ok(packets)) = (space.inside(), space.packets()) else {
            return Renewed::Unanswered;
        };
        let lasts = charge.lease.seconds.map(|seconds| Duration::from_secs(seconds.into()));
        let held = lasts.is_none_or(|lasts| granted.elapsed() < lasts).then(|| Address {
            address: charge.lease.address.into(),
            length: charge.lease.length,
            left: None,
        });
        match charge.talk.hold(&mut inside.netlink, &packets, held, None) {
            Ok(lease) => {
                if let Some(gateway) = lease.gateway {
                    let _ = address::route_by(&mut inside.netlink, charge.talk.index, gateway.into());
                }
                Renewed::Granted(lease)
            }
            Err(_) => Renewed::Unanswered,
        }
    }

    /// What lies outside the namespace, when that is gone.
    fn tidy(&self) {
        if let (Some(name), None) = (self.name, self.way.same(self.identity)) {
            let _ = resolv_conf::remove(name, self.bridge, self.interface);
        }
    }
}

/// What came of a talk.
enum Renewed {
    Granted(Lease),
    Unanswered,
    /// There is nobody to keep it for.
    Over,
}
