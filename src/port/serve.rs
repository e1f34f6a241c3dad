//! One request from beginning to end: whether it may be asked for, what the rules say, the bridge, the
//! port. The setuid helper and the broker's workers do the same here.

use crate::accounts::HostAccounts;
use crate::bridge;
use crate::grant::{Grant, remove};
use crate::policy::{self, RuleFiles};
use crate::refusal::Refusal;
use crate::refusal_special::Unfit;
use crate::vde::OnSwitch;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use vmnet_access::name::IfName;
use vmnet_access::port_record::PortTag;
use vmnet_access::request::{KeptTap, OWN_NAME_PREFIX, PortKind, PortRequest};
use vmnet_access::rules::{Caller, Place, Verdict};
use vmnet_access::vde::MTU_MAX;
use vmnet_sys::netlink::Netlink;
use vmnet_sys::privilege::{self, Privilege};
use vmnet_sys::trust::Reader;
use vmnet_sys::tun::Tap;
use vmnet_sys::{link, namespace};

/// By what right somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// By the access rules.
    Rules,
    /// As root, who makes the rules.
    Root,
}

/// A request, and who makes it.
#[derive(Debug)]
pub struct Request {
    /// The request as it was made.
    pub ask: PortRequest,
    /// The network namespace that came with it.
    pub space: Option<OwnedFd>,
    /// The user who asks, by the kernel's word.
    pub caller: Caller,
    /// For which process.
    pub pid: u32,
    /// By what right.
    pub authority: Authority,
}

/// A request that was served.
#[derive(Debug)]
pub struct Served {
    /// The bridge, by its own name.
    pub bridge: IfName,
    /// The port.
    pub port: IfName,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The port's descriptors.
    pub handed: PortFds,
    /// The line of the rules that let it be.
    pub by: Option<Place>,
}

/// The descriptors that whoever asked is handed.
#[derive(Debug)]
pub enum PortFds {
    /// Nothing: the port stays by itself.
    Nothing,
    /// A TAP, a descriptor a queue.
    Tap(Tap),
    /// A socket for frames on a switch, and the one that keeps the port there.
    Plug([OwnedFd; 2]),
}

impl PortFds {
    /// In the order in which they are handed over.
    #[must_use]
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Tap(tap) => tap.descriptors(),
            Self::Plug(both) => both.iter().map(AsFd::as_fd).collect(),
        }
    }
}

/// What the rules leave to a caller.
struct Allowance {
    by: Option<Place>,
    quota: Option<(u32, Place)>,
}

impl Request {
    /// Serve it. This process has no privilege afterwards.
    ///
    /// # Errors
    /// Why there is no port. Nothing is left behind.
    pub fn serve(&self, privilege: Privilege, accounts: &HostAccounts) -> Result<Served, Refusal> {
        self.check()?;
        let mut netlink = Netlink::open().map_err(Refusal::Links)?;
        if let PortKind::Remove { tap } = &self.ask.wish {
            return self.remove(&mut netlink, tap, privilege);
        }
        let seat = bridge::look_up(&mut netlink, &self.ask.bridge)?;
        let name = seat.name.clone();
        let Allowance { by, quota } = self.judge(&name, privilege, accounts)?;
        if let Privilege::Missing(why) = privilege {
            return Err(Refusal::Unprivileged(why));
        }
        self.check_space()?;
        let held = seat.bridge(&mut netlink, privilege)?;
        let grant = Grant { uid: self.owner(), pid: self.pid, bridge: &held, quota, privilege };
        let (port, mtu, handed) = self.make(&mut netlink, grant)?;
        Ok(Served { bridge: name, port, mtu, handed, by })
    }

    /// The port: its name, its MTU in bytes, and what is handed over.
    fn make(&self, netlink: &mut Netlink, grant: Grant<'_>) -> Result<(IfName, u32, PortFds), Refusal> {
        let mtu = grant.bridge.link.mtu;
        let made = match (&self.ask.wish, &self.space) {
            (PortKind::Tap { vnet_header, queues }, _) => {
                let tap = grant.tap(netlink, *vnet_header, *queues)?;
                (tap.name().clone(), mtu, PortFds::Tap(tap))
            }
            (PortKind::Kept(wanted), _) => (grant.kept_tap(netlink, wanted)?, mtu, PortFds::Nothing),
            (PortKind::Veth { interface, mac }, Some(space)) => {
                (grant.veth(netlink, interface, *mac, space.as_fd())?, mtu, PortFds::Nothing)
            }
            (PortKind::Plug, _) => {
                let OnSwitch { port, descriptors } = grant.plug(netlink, &self.caller)?;
                (port, mtu.min(MTU_MAX), PortFds::Plug(descriptors))
            }
            (PortKind::Veth { .. }, None) => return Err(Unfit::NotASpace.into()),
            (PortKind::Remove { tap }, _) => return Err(Unfit::NotKept(tap.clone()).into()),
        };
        Ok(made)
    }

    /// What needs no look at the host.
    fn check(&self) -> Result<(), Refusal> {
        let is_root = self.authority == Authority::Root;
        let named = match &self.ask.wish {
            PortKind::Kept(KeptTap { name, owner, .. }) => {
                match owner {
                    None if is_root => return Err(Unfit::NoOwner.into()),
                    Some(uid) if !is_root && *uid != self.caller.uid => {
                        return Err(Unfit::NotTheOwner(*uid).into());
                    }
                    _ => {}
                }
                if let Some(name) = name.as_ref().filter(|name| !name.as_bytes().starts_with(OWN_NAME_PREFIX))
                    && !is_root
                {
                    return Err(Unfit::Reserved(name.clone()).into());
                }
                name.as_ref()
            }
            PortKind::Veth { interface, .. } => Some(interface),
            PortKind::Tap { .. } | PortKind::Remove { .. } | PortKind::Plug => None,
        };
        match named.filter(|name| name.as_bytes().contains(&b'%')) {
            Some(name) => Err(Unfit::Template(name.clone()).into()),
            None => Ok(()),
        }
    }

    /// Whose the port will be.
    fn owner(&self) -> u32 {
        match &self.ask.wish {
            PortKind::Kept(KeptTap { owner: Some(owner), .. }) => *owner,
            _ => self.caller.uid,
        }
    }

    /// By which rule the caller may, and with how many ports.
    fn judge(
        &self,
        bridge: &IfName,
        privilege: Privilege,
        accounts: &HostAccounts,
    ) -> Result<Allowance, Refusal> {
        if self.authority == Authority::Root {
            return Ok(Allowance { by: None, quota: None });
        }
        let reader =
            if privilege == Privilege::Root { Reader::SetuidFor(&self.caller) } else { Reader::Myself };
        match policy::collect(&RuleFiles::of_this_host(), reader)?.judge(bridge, &self.caller, accounts)? {
            Verdict::Allowed { by, ports } => {
                Ok(Allowance { quota: ports.map(|ports| (ports, by.clone())), by: Some(by) })
            }
            Verdict::Refused { by } => Err(Refusal::Denied(bridge.clone(), by)),
        }
    }

    /// An ordinary user gives ports only to namespaces that are theirs: lxc-user-nic's rule.
    fn check_space(&self) -> Result<(), Refusal> {
        let Some(space) = &self.space else { return Ok(()) };
        if !namespace::is_network(space.as_fd()).map_err(Unfit::Space)? {
            return Err(Unfit::NotASpace.into());
        }
        if self.authority == Authority::Root {
            return Ok(());
        }
        let owner = namespace::owner(space.as_fd()).map_err(Unfit::Space)?;
        if owner == self.caller.uid { Ok(()) } else { Err(Unfit::ForeignSpace(owner).into()) }
    }

    /// Take a TAP away that was kept for the caller. No rule is asked: it is theirs.
    fn remove(&self, netlink: &mut Netlink, tap: &IfName, privilege: Privilege) -> Result<Served, Refusal> {
        if let Privilege::Missing(why) = privilege {
            return Err(Refusal::Unprivileged(why));
        }
        let link = link::find(netlink, tap).map_err(Refusal::Links)?;
        let not_kept = || Unfit::NotKept(tap.clone());
        // By its own name only: what is looked at is then what is removed.
        let link = link.filter(|link| link.name == tap.as_bytes()).ok_or_else(not_kept)?;
        let tag =
            link.alias.as_deref().and_then(PortTag::parse).filter(|tag| tag.kept).ok_or_else(not_kept)?;
        if self.authority == Authority::Rules && tag.uid != self.caller.uid {
            return Err(Unfit::NotYours(tap.clone()).into());
        }
        let shed = privilege::shed().map_err(Refusal::Shed)?;
        remove(netlink, tap, link.index, &shed)?;
        shed.drop_all().map_err(Refusal::Shed)?;
        Ok(Served {
            bridge: tag.bridge,
            port: tap.clone(),
            mtu: link.mtu,
            handed: PortFds::Nothing,
            by: None,
        })
    }
}
