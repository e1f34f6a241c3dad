//! What the broker does in children: serve one request as the setuid helper would for the same
//! caller, and close what strangers left behind.

use nix::unistd::alarm;
use std::io::{PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;
use vmnet_access::request::{ASK_SIZE, PortReply, PortRequest};
use vmnet_host::log::Log;
use vmnet_port::answer::{self, DESCRIPTORS_MAX};
use vmnet_port::serve::{Authority, Request};
use vmnet_sys::process::parent_of;
use vmnet_sys::seqpacket::{Channel, Peer};
use vmnet_sys::trust::plain;
use vmnet_sys::worker::{self, Worker};
use vmnet_sys::{harden, privilege};

/// Who says so in the system log.
const PROGRAM: &str = "vmnet-broker";
/// The bound on a worker whose broker was killed, in seconds: past the ten that a network may take to start.
const DEADLINE: u32 = 15;
/// How long an answer may wait for room.
const PATIENCE: Duration = Duration::from_secs(2);

/// A refusal that is none of the rules'.
pub fn refusal(cause: &str) -> Vec<u8> {
    PortReply::Refused { sentence: format!("cannot serve the request: {cause}"), hint: None }.render()
}

/// Serve the request that waits in the channel. Status 0: it was answered.
pub fn serve(channel: &Channel) -> std::io::Result<Worker> {
    worker::start_with_only(channel.as_fd(), || match attend(channel) {
        Ok(code) => code,
        Err(cause) => u8::from(channel.send(&refusal(&cause), &[]).is_err()),
    })
}

fn attend(channel: &Channel) -> Result<u8, String> {
    alarm::set(DEADLINE);
    let told = |error: std::io::Error| plain(&error);
    // As the helper begins: what is in the broker's environment and umask is not for what it starts.
    harden::begin().and_then(|()| channel.limit_waits(PATIENCE)).map_err(told)?;
    let message = channel.take(ASK_SIZE, DESCRIPTORS_MAX).map_err(told)?;
    let (ask, space) = answer::read(message).map_err(|unheard| unheard.to_string())?;
    let peer = channel.peer().map_err(told)?;
    let pid = holder(&ask, &peer);
    worker::stand_in_for(&peer.caller).map_err(told)?;
    let request = Request { ask, space, caller: peer.caller, pid, authority: Authority::Rules };
    let told = answer::answer(channel, &request, privilege::look(), PROGRAM);
    if let Err(error) = told.log {
        Log::Foreground.trouble(&format!("cannot write to the system log: {}", plain(&error)));
    }
    Ok(u8::from(told.answer.is_err()))
}

/// For which process: QEMU, where its helper asks.
fn holder(ask: &PortRequest, peer: &Peer) -> u32 {
    let parent = || parent_of(peer.pid).filter(|pid| *pid > 0);
    if ask.for_itself { peer.pid } else { parent().unwrap_or(peer.pid) }
}

/// Have a child close channels in which descriptors wait: it may be held up as long as it likes.
pub fn close(channels: Vec<Channel>) -> Result<Worker, (std::io::Error, Vec<Channel>)> {
    let attempt = || -> std::io::Result<_> {
        let (reader, writer) = std::io::pipe()?;
        let worker = worker::start(|| {
            worker::go_as_others();
            linger(&reader)
        })?;
        Ok((worker, writer))
    };
    match attempt() {
        Ok((worker, mut writer)) => {
            // Only then the child, so that it is the last who has them.
            drop(channels);
            let _ = writer.write_all(b"x");
            Ok(worker)
        }
        Err(error) => Err((error, channels)),
    }
}

/// Wait until our starter has closed its own. The end of this process closes ours.
fn linger(starter: &PipeReader) -> u8 {
    let mut reader = starter;
    u8::from(reader.read_exact(&mut [0]).is_err())
}
