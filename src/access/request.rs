//! What a caller asks of whoever may make ports, and what is answered: the messages between `vmnet`
//! or the helper on one side and the broker, or the setuid helper, on the other. Fixed places in a
//! message of fixed size, because strangers write them to a privileged program.

use crate::mac::MacAddr;
use crate::name::IfName;
use std::fmt;

/// Each message begins so; the last byte is the version.
const MAGIC: [u8; 4] = *b"vmn\x01";
/// Every request has this length, in bytes.
pub const ASK_SIZE: usize = 64;
/// No answer is longer, in bytes.
pub const ANSWER_MAX: usize = 2048;
/// Most descriptors of one answer: the kernel's SCM_MAX_FD is 253 (include/net/scm.h), a TAP's
/// queues 256 (MAX_TAP_QUEUES in drivers/net/tun.c). Nobody has a use for more than this.
pub const QUEUES_MAX: u8 = 64;
/// The name of a TAP that an ordinary user chooses begins so: links that network managers are told
/// to leave alone, and that no firewall rule of the host was meant for.
pub const OWN_NAME_PREFIX: &[u8] = b"vmtap";

// Places in a request.
/// The kind, and beside it the flags.
const KIND: usize = 4;
const QUEUES: usize = 6;
const BRIDGE: usize = 8;
const INTERFACE: usize = 24;
const OWNER: usize = 40;
const MAC: usize = 44;
const USED: usize = 50;
/// An interface's name with its NUL.
const NAME_SIZE: usize = 16;

const VNET_HEADER: u8 = 1;
const FOR_ITSELF: u8 = 2;
const NAMED: u8 = 4;
const OWNED: u8 = 8;
const MANY: u8 = 16;

/// One request for a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRequest {
    /// Where: a bridge, or a network's bridge, which is started if it is down.
    pub bridge: IfName,
    /// The port is for the asking process, not for the one that started it as QEMU starts the
    /// helper. Only told to those who look at ports.
    pub for_itself: bool,
    /// What kind of port is asked for.
    pub wish: PortKind,
}

/// The kinds of ports that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// A TAP that lives as long as somebody holds its descriptors, one for each queue.
    Tap {
        /// With virtio-net headers.
        vnet_header: bool,
        /// 1 to [`QUEUES_MAX`].
        queues: u8,
    },
    /// A TAP that stays, to be opened by name. No descriptor is answered.
    Kept(KeptTap),
    /// Remove a TAP that was kept so. The bridge's name does not matter.
    Remove {
        /// Its name.
        tap: IfName,
    },
    /// A veth pair: one end a port, the other in the network namespace whose descriptor comes with
    /// the request.
    Veth {
        /// The name of the other end.
        interface: IfName,
        /// And its MAC.
        mac: MacAddr,
    },
    /// A port on the VDE switch that is one wire with the bridge. Two descriptors are answered: the socket for
    /// frames, and the one that keeps the port.
    Plug,
}

/// A TAP that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptTap {
    /// What it is called; none: any free name.
    pub name: Option<IfName>,
    /// Who may open it: only root may name another than the caller.
    pub owner: Option<u32>,
    /// It may be opened several times, once for each queue.
    pub many_queues: bool,
}

/// A message that is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadMessage {
    /// Not of a request's length, or an answer that ends too early.
    Length(usize),
    /// Another program's, or another version's.
    Magic,
    /// No such kind of request.
    Kind(u8),
    /// A bad value at this place.
    Value(usize),
}

impl fmt::Display for BadMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(bytes) => write!(f, "{bytes} bytes are no message"),
            Self::Magic => f.write_str("a message of another program or version"),
            Self::Kind(kind) => write!(f, "no such kind of request: {kind}"),
            Self::Value(at) => write!(f, "bad value at byte {at}"),
        }
    }
}

impl std::error::Error for BadMessage {}

impl PortRequest {
    /// A TAP as QEMU's helper makes it.
    #[must_use]
    pub fn tap(bridge: IfName, vnet_header: bool) -> Self {
        Self { bridge, for_itself: false, wish: PortKind::Tap { vnet_header, queues: 1 } }
    }

    /// How many descriptors must come with the request.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        usize::from(matches!(self.wish, PortKind::Veth { .. }))
    }

    /// As a message.
    #[must_use]
    pub fn render(&self) -> [u8; ASK_SIZE] {
        let mut message = [0; ASK_SIZE];
        let mut flags = if self.for_itself { FOR_ITSELF } else { 0 };
        put(&mut message, 0, &MAGIC);
        put(&mut message, BRIDGE, self.bridge.as_bytes());
        let kind = match &self.wish {
            PortKind::Tap { vnet_header, queues } => {
                flags |= if *vnet_header { VNET_HEADER } else { 0 };
                put(&mut message, QUEUES, &[*queues]);
                1
            }
            PortKind::Kept(KeptTap { name, owner, many_queues }) => {
                flags |= if *many_queues { MANY } else { 0 };
                if let Some(name) = name {
                    flags |= NAMED;
                    put(&mut message, INTERFACE, name.as_bytes());
                }
                if let Some(owner) = owner {
                    flags |= OWNED;
                    put(&mut message, OWNER, &owner.to_le_bytes());
                }
                2
            }
            PortKind::Remove { tap } => {
                put(&mut message, INTERFACE, tap.as_bytes());
                3
            }
            PortKind::Veth { interface, mac } => {
                put(&mut message, INTERFACE, interface.as_bytes());
                put(&mut message, MAC, &mac.0);
                4
            }
            PortKind::Plug => 5,
        };
        put(&mut message, KIND, &[kind, flags]);
        message
    }

    /// A message read back.
    ///
    /// # Errors
    /// The message is no request; bytes that mean nothing here must be zero, so that they can mean something
    /// later.
    pub fn parse(message: &[u8]) -> Result<Self, BadMessage> {
        let message: &[u8; ASK_SIZE] = message.try_into().map_err(|_| BadMessage::Length(message.len()))?;
        if !message.starts_with(&MAGIC) {
            return Err(BadMessage::Magic);
        }
        let [kind, flags, queues] = part(message, KIND);
        let name = |at| name_at(message, at).ok_or(BadMessage::Value(at));
        let wish = match kind {
            1 if queues == 0 || queues > QUEUES_MAX => return Err(BadMessage::Value(QUEUES)),
            1 => PortKind::Tap { vnet_header: flags & VNET_HEADER != 0, queues },
            2 => PortKind::Kept(KeptTap {
                name: if flags & NAMED != 0 { Some(name(INTERFACE)?) } else { None },
                owner: (flags & OWNED != 0).then(|| u32::from_le_bytes(part(message, OWNER))),
                many_queues: flags & MANY != 0,
            }),
            3 => PortKind::Remove { tap: name(INTERFACE)? },
            4 => {
                let mac = MacAddr(part(message, MAC));
                if !mac.is_assignable() {
                    return Err(BadMessage::Value(MAC));
                }
                PortKind::Veth { interface: name(INTERFACE)?, mac }
            }
            5 => PortKind::Plug,
            other => return Err(BadMessage::Kind(other)),
        };
        let ask = Self { bridge: name(BRIDGE)?, for_itself: flags & FOR_ITSELF != 0, wish };
        // One way to write each request: whatever is not understood differs from what we would write.
        match ask.render().iter().zip(message).position(|(ours, theirs)| ours != theirs) {
            Some(at) => Err(BadMessage::Value(at.min(USED))),
            None => Ok(ask),
        }
    }
}

/// What is answered. Descriptors, if any, come beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortReply {
    /// It is done.
    Done {
        /// The port.
        port: IfName,
        /// Its MTU in bytes.
        mtu: u32,
    },
    /// There is no port.
    Refused {
        /// Why, in one line.
        sentence: String,
        /// What would help.
        hint: Option<String>,
    },
}

/// Most bytes of a sentence and of a hint.
const WORDS_MAX: usize = 960;

impl PortReply {
    /// As a message.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut message = MAGIC.to_vec();
        match self {
            Self::Done { port, mtu } => {
                message.push(0);
                message.extend_from_slice(&mtu.to_le_bytes());
                message.extend_from_slice(port.as_bytes());
            }
            Self::Refused { sentence, hint } => {
                message.push(1);
                message.extend(cut(sentence).bytes());
                if let Some(hint) = hint {
                    message.push(b'\n');
                    message.extend(cut(hint).bytes());
                }
            }
        }
        message
    }

    /// A message read back. What will be shown to a person is made printable.
    ///
    /// # Errors
    /// The message is no answer.
    pub fn parse(message: &[u8]) -> Result<Self, BadMessage> {
        let short = BadMessage::Length(message.len());
        if message.len() > ANSWER_MAX {
            return Err(short);
        }
        let rest = message.strip_prefix(&MAGIC).ok_or(BadMessage::Magic)?;
        match rest.split_first() {
            Some((0, rest)) => {
                let (mtu, port) = rest.split_first_chunk().ok_or(short)?;
                let port = IfName::new(port).map_err(|_| BadMessage::Value(9))?;
                Ok(Self::Done { port, mtu: u32::from_le_bytes(*mtu) })
            }
            Some((1, words)) => {
                let words = String::from_utf8_lossy(words);
                let mut lines = words.splitn(2, '\n').map(printable);
                let sentence = lines.next().unwrap_or_default();
                Ok(Self::Refused { sentence, hint: lines.next() })
            }
            _ => Err(short),
        }
    }
}

/// The words up to the limit, at a character's end, in one line.
fn cut(words: &str) -> String {
    let mut left = WORDS_MAX;
    let fits = |c: &char| {
        let fits = c.len_utf8() <= left;
        left = left.saturating_sub(if fits { c.len_utf8() } else { left });
        fits
    };
    words.chars().map(|c| if c.is_control() { '?' } else { c }).take_while(fits).collect()
}

fn printable(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn put(message: &mut [u8; ASK_SIZE], at: usize, bytes: &[u8]) {
    for (to, from) in message.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

fn part<const N: usize>(message: &[u8; ASK_SIZE], at: usize) -> [u8; N] {
    let mut part = [0; N];
    for (to, from) in part.iter_mut().zip(message.iter().skip(at)) {
        *to = *from;
    }
    part
}

fn name_at(message: &[u8; ASK_SIZE], at: usize) -> Option<IfName> {
    let bytes: [u8; NAME_SIZE] = part(message, at);
    let length = bytes.iter().position(|byte| *byte == 0)?;
    IfName::new(bytes.get(..length)?).ok()
}

#[cfg(test)]
mod tests;
