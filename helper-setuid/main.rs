//! `vmnet-bridge-helper`: QEMU asks for a port on a bridge and gets a TAP's descriptor back.
//!
//! The whole story is in [`serve`]: look at the request, judge it, make the port, hand it over.
//! Started setuid root (or with CAP_NET_ADMIN) by strangers, so: no thread, no environment, no
//! program but `vmnet`, and nothing that can fail after the descriptor is sent.

#![forbid(unsafe_code)]

mod args;
mod say;

use args::{Ask, Words};
use std::os::fd::OwnedFd;
use vmnet_model::name::IfName;
use vmnet_model::rules::{Caller, Verdict};
use vmnet_port::accounts::HostAccounts;
use vmnet_port::bridge;
use vmnet_port::grant::Grant;
use vmnet_port::policy::{self, RuleFiles};
use vmnet_port::refusal::Refusal;
use vmnet_sys::netlink::Netlink;
use vmnet_sys::privilege::{self, Privilege};
use vmnet_sys::trust::{Reader, plain};
use vmnet_sys::tun::Tap;
use vmnet_sys::{caller, fds, harden};

/// Bound on the whole request, past the ten seconds that a network may take to start.
const DEADLINE: u32 = 15;

fn main() {
    harden::one_line_on_panic("vmnet-bridge-helper: cannot go on: internal error\n");
    if let Err(error) = harden::begin().and_then(|()| harden::deadline(DEADLINE)) {
        say::fail(&format!("cannot set up a safe process: {}", plain(&error)), None);
    }
    let (ask, socket) = request();
    let who = match caller::real() {
        Ok(who) => who,
        Err(error) => say::fail(&format!("cannot learn who calls: {}", plain(&error)), None),
    };
    let privilege = privilege::look();
    let accounts = HostAccounts::new(privilege);
    match serve(&ask, &who, privilege, &accounts) {
        Ok((tap, bridge, verdict)) => {
            say::log_grant(&accounts.name_of(who.uid), who.uid, &bridge, tap.name(), &verdict);
            hand_over(&tap, &socket)
        }
        Err(refusal) => {
            say::log_refusal(&accounts.name_of(who.uid), who.uid, &ask, &refusal);
            say::fail(&refusal.to_string(), refusal.hint());
        }
    }
}

/// The arguments and the socket they name; everything else that was inherited is closed.
fn request() -> (Ask, OwnedFd) {
    let ask = match args::read(std::env::args_os().skip(1)) {
        Ok(Words::Ask(ask)) => ask,
        Ok(Words::Help) => say::help(),
        Ok(Words::Version) => say::version(),
        Err(error) => say::usage(&error),
    };
    if let Err(error) = fds::close_all_but(Some(ask.socket)) {
        say::fail(&format!("cannot close inherited descriptors: {}", plain(&error)), None);
    }
    match fds::adopt_socket(ask.socket) {
        Ok(socket) => (ask, socket),
        Err(why) => {
            let sentence =
                format!("cannot use --fd={}: failed to write fd to unix socket: {why}", ask.socket);
            say::fail(&sentence, None)
        }
    }
}

/// Judge the request and make the port.
fn serve(
    ask: &Ask,
    who: &Caller,
    privilege: Privilege,
    accounts: &HostAccounts,
) -> Result<(Tap, IfName, Verdict), Refusal> {
    let reader = if privilege == Privilege::Root { Reader::SetuidFor(who) } else { Reader::Myself };
    let mut netlink = Netlink::open().map_err(Refusal::Links)?;
    let seat = bridge::look_up(&mut netlink, &ask.bridge)?;
    let name = seat.name.clone();
    let verdict = policy::collect(&RuleFiles::of_this_host(), reader)?.judge(&name, who, accounts)?;
    let quota = match &verdict {
        Verdict::Allowed { by, ports } => ports.map(|ports| (ports, by.clone())),
        Verdict::Refused { by } => return Err(Refusal::Denied(name, by.clone())),
    };
    if let Privilege::Missing(why) = privilege {
        return Err(Refusal::Unprivileged(why));
    }
    let bridge = seat.bridge(&mut netlink, privilege)?;
    let grant =
        Grant { caller: who, pid: caller::parent(), bridge: &bridge, vnet_header: ask.vnet_header, quota };
    let tap = grant.carry_out(&mut netlink, privilege)?;
    Ok((tap, name, verdict))
}

/// The last act. QEMU takes the descriptor first and reads the exit status then, so nothing that
/// can fail may come after the send.
fn hand_over(tap: &Tap, socket: &OwnedFd) -> ! {
    match fds::send(socket, tap) {
        Ok(()) => harden::end(0),
        Err(error) => {
            let sentence =
                format!("cannot hand over the tap: failed to write fd to unix socket: {}", plain(&error));
            say::fail(&sentence, None)
        }
    }
}
