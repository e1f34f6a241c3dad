//! `vmnet-bridge-helper`: QEMU asks for a port on a bridge and gets a TAP's descriptor back; others may ask
//! for one on its VDE switch.
//!
//! With rights of its own it serves the request itself: look at it, judge it, make the port, hand it
//! over. Without, it asks the broker. Started setuid root (or with CAP_NET_ADMIN) by strangers, so: no
//! thread, no environment, no program but `vmnet`, and nothing that can fail after the descriptor is sent.

#![forbid(unsafe_code)]

mod args;
mod say;

use args::Words;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use vmnet_access::request::{PortKind, PortReply, PortRequest};
use vmnet_port::accounts::HostAccounts;
use vmnet_port::answer::BadRequest;
use vmnet_port::serve::{Authority, Request};
use vmnet_port::{answer, audit, client};
use vmnet_sys::fds::Kind;
use vmnet_sys::privilege::{self, Privilege};
use vmnet_sys::seqpacket::Channel;
use vmnet_sys::trust::plain;
use vmnet_sys::{caller, fds, harden};

/// Bound on the whole request, past the ten seconds that a network may take to start.
const DEADLINE: u32 = 15;

fn main() {
    harden::one_line_on_panic("vmnet-bridge-helper: cannot go on: internal error\n");
    if let Err(error) = harden::begin().and_then(|()| harden::deadline(DEADLINE)) {
        say::fail(&format!("cannot set up a safe process: {}", plain(&error)), None);
    }
    match args::read(std::env::args_os().skip(1)) {
        Ok(Words::Ask(ask)) => {
            let socket = inherited(ask.socket, Kind::Stream);
            give(wanted(ask), &socket)
        }
        Ok(Words::Hear(number)) => hear(&Channel::of(inherited(number, Kind::Messages))),
        Ok(Words::Help) => say::help(),
        Ok(Words::Version) => say::version(),
        Err(error) => say::usage(&error),
    }
}

/// The request in the arguments.
fn wanted(ask: args::Ask) -> PortRequest {
    match ask.kind {
        args::Kind::Vde => PortRequest { bridge: ask.bridge, for_itself: false, wish: PortKind::Plug },
        kind => PortRequest::tap(ask.bridge, kind == args::Kind::VnetHeader),
    }
}

/// The socket that the arguments name; everything else that was inherited is closed.
fn inherited(number: RawFd, kind: Kind) -> OwnedFd {
    if let Err(error) = fds::close_all_but(Some(number)) {
        say::fail(&format!("cannot close inherited descriptors: {}", plain(&error)), None);
    }
    match fds::adopt_socket(number, kind) {
        Ok(socket) => socket,
        Err(why) => {
            let sentence = format!("cannot use --fd={number}: failed to write fd to unix socket: {why}");
            say::fail(&sentence, None)
        }
    }
}

/// Who asks, and for what.
fn request(ask: PortRequest, space: Option<OwnedFd>) -> Request {
    let caller = match caller::real() {
        Ok(caller) => caller,
        Err(error) => say::fail(&format!("cannot learn who calls: {}", plain(&error)), None),
    };
    Request { ask, space, caller, pid: caller::parent(), authority: Authority::Rules }
}

/// QEMU's request, and the descriptor for it.
fn give(ask: PortRequest, socket: &OwnedFd) -> ! {
    let privilege = privilege::look();
    // A file capability makes TAPs, but does not become anybody.
    let too_little = match privilege {
        Privilege::Root => false,
        Privilege::NetAdmin => ask.wish == PortKind::Plug,
        Privilege::Missing(_) => true,
    };
    if (too_little || privilege::may_be_a_containers())
        && let Some(broker) = broker()
    {
        pass_on(&broker, &ask, socket);
    }
    let accounts = HostAccounts::new(privilege);
    let request = request(ask, None);
    let user = accounts.name_of(request.caller.uid);
    match request.serve(privilege, &accounts) {
        Ok(served) => {
            audit::granted(say::NAME, &user, &request, &served).unwrap_or_else(|error| say::unlogged(&error));
            hand_over(&served.handed.descriptors(), &request.ask, socket)
        }
        Err(refusal) => {
            audit::refused(say::NAME, &user, &request, &refusal)
                .unwrap_or_else(|error| say::unlogged(&error));
            say::fail(&refusal.to_string(), refusal.hint())
        }
    }
}

fn broker() -> Option<Channel> {
    match client::broker() {
        Ok(broker) => broker,
        Err(error) => say::fail(&format!("cannot ask the broker: {}", plain(&error)), None),
    }
}

/// The broker's answer is ours.
fn pass_on(broker: &Channel, ask: &PortRequest, socket: &OwnedFd) -> ! {
    match client::ask(broker, ask, &[]) {
        Ok((PortReply::Done { .. }, descriptors)) => {
            let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
            hand_over(&descriptors, ask, socket)
        }
        Ok((PortReply::Refused { sentence, hint }, _)) => say::fail(&sentence, hint),
        Err(error) => say::fail(&format!("cannot ask the broker: {}", plain(&error)), None),
    }
}

/// The last act. QEMU takes the descriptor first and reads the exit status then, so nothing that
/// can fail may come after the send.
fn hand_over(descriptors: &[BorrowedFd<'_>], ask: &PortRequest, socket: &OwnedFd) -> ! {
    let (what, count) = if ask.wish == PortKind::Plug { ("port", 2) } else { ("tap", 1) };
    if descriptors.len() != count {
        say::fail(&format!("cannot hand over the {what}: {} descriptors came", descriptors.len()), None)
    }
    match fds::send(socket, descriptors) {
        Ok(()) => harden::end(0),
        Err(error) => {
            let sentence =
                format!("cannot hand over the {what}: failed to write fd to unix socket: {}", plain(&error));
            say::fail(&sentence, None)
        }
    }
}

/// The request of a `vmnet` that has no rights and found no broker. What comes of it goes over the same
/// socket, for `vmnet` to say.
fn hear(channel: &Channel) -> ! {
    let heard = channel
        .receive(vmnet_access::request::ASK_SIZE, answer::DESCRIPTORS_MAX)
        .map_err(|error| plain(&error))
        .and_then(|message| answer::read(message).map_err(|unheard: BadRequest| unheard.to_string()));
    let (ask, space) = match heard {
        Ok(heard) => heard,
        Err(why) => say::fail(&format!("cannot hear the request: {why}"), None),
    };
    let told = answer::answer(channel, &request(ask, space), privilege::look(), say::NAME);
    told.log.unwrap_or_else(|error| say::unlogged(&error));
    match told.answer {
        Ok(()) => harden::end(u8::from(!told.served)),
        Err(error) => say::fail(&format!("cannot answer: {}", plain(&error)), None),
    }
}
