//! Who asks for a port, and what is kept and told of them.

use crate::{first_line, is_one_line};
use vmnet_access::accounts::{name_of, number_of};
use vmnet_access::port_record::{PortRecord, PortTag, UplinkTag};
use vmnet_access::request::{ANSWER_MAX, PortReply, PortRequest};
use vmnet_model::attach::Mark;
use vmnet_port::answer::foresee;
use vmnet_sys::netlink::{HEADER, Request, attributes};
use vmnet_sys::seqpacket::Glance;

/// A request: there is one way to write each, and the broker foresees what the worker will read.
#[must_use]
pub fn port_request(bytes: &[u8]) -> bool {
    let seen = Glance { bytes: bytes.to_vec(), with_descriptors: false, is_end: false };
    let foreseen = foresee(&seen).ok();
    let Ok(request) = PortRequest::parse(bytes) else {
        assert_eq!(foreseen, None);
        return false;
    };
    assert_eq!(request.render(), bytes);
    assert_eq!(foreseen, (request.descriptors() == 0).then_some(request));
    true
}

/// A reply: bounded, printable, and what is sent on says the same.
#[must_use]
pub fn port_reply(bytes: &[u8]) -> bool {
    let Ok(reply) = PortReply::parse(bytes) else { return false };
    assert!(bytes.len() <= ANSWER_MAX);
    if let PortReply::Refused { sentence, hint } = &reply {
        assert!(is_one_line(sentence) && hint.as_deref().is_none_or(is_one_line), "{reply:?}");
    }
    let again = reply.render();
    assert!(again.len() <= ANSWER_MAX);
    // Long words are cut the first time, and no further.
    let cut = PortReply::parse(&again);
    assert_eq!(cut.as_ref().map(PortReply::render), Ok(again));
    if matches!(reply, PortReply::Done { .. }) {
        assert_eq!(cut, Ok(reply));
    }
    true
}

/// The record of a network for the helper: what is read is what would be written.
#[must_use]
pub fn port_record(bytes: &[u8]) -> bool {
    let Ok(record) = PortRecord::parse(bytes) else { return false };
    assert_eq!(PortRecord::parse(record.render().as_bytes()), Ok(record));
    true
}

/// A link's alias says at most one thing: a port's holder, another wire, or a namespace's interface.
#[must_use]
pub fn port_tag(bytes: &[u8]) -> bool {
    let (port, wire, mark) = (PortTag::parse(bytes), UplinkTag::parse(bytes), Mark::parse(bytes));
    let understood = [port.is_some(), wire.is_some(), mark.is_some()];
    assert!(understood.iter().filter(|one| **one).count() <= 1, "{port:?} {wire:?} {mark:?}");
    if let Some(tag) = port {
        assert_eq!(PortTag::parse(&tag.render()), Some(tag));
    }
    if let Some(tag) = wire {
        assert_eq!(UplinkTag::parse(&tag.render()), Some(tag));
    }
    if let Some(mark) = mark {
        assert_eq!(Mark::parse(&mark.render()), Some(mark));
    }
    understood.contains(&true)
}

/// /etc/passwd and /etc/group, behind a line with the name that is looked for: who is found is on a line that
/// begins so, and is the first with that name.
#[must_use]
pub fn accounts(bytes: &[u8]) -> bool {
    let (name, file) = first_line(bytes);
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let Some(number) = number_of(file, name) else { return false };
    assert!(!name.is_empty() && !name.starts_with(['+', '-']) && !name.contains(':'));
    let begins = format!("{name}:");
    let line = file.split(|byte| *byte == b'\n').find(|line| line.starts_with(begins.as_bytes()));
    assert!(line.is_some());
    let shown = name_of(file, number);
    assert!(shown.is_some_and(|shown| !shown.is_empty() && shown.is_ascii() && is_one_line(&shown)));
    true
}

/// Netlink's attributes lie within the message one behind the other, and are read back as they are written.
#[must_use]
pub fn netlink(bytes: &[u8]) -> bool {
    let read: Vec<(u16, &[u8])> = attributes(bytes).collect();
    let whole: usize = read.iter().map(|(_, value)| 4 + value.len()).sum();
    assert!(whole <= bytes.len() && read.len() <= bytes.len() / 4);
    let mut request = Request::new(0, 0, &[]);
    for (kind, value) in &read {
        request.attribute(*kind, value);
    }
    let written = request.finish(1);
    let again: Vec<(u16, &[u8])> = attributes(written.get(HEADER..).unwrap_or_default()).collect();
    assert_eq!(again, read);
    !read.is_empty()
}
