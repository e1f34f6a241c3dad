//! Words by which people and programs name things.

use crate::is_one_line;
use std::fmt::{Debug, Display};
use std::path::Path;
use std::str::FromStr;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IF_NAME_MAX, IfName, NET_NAME_MAX, NetName};
use vmnet_access::vde::{DIRECTORY_MAX, Directory};
use vmnet_access::vde_port_tag::VdePortTag;
use vmnet_model::attach::{Cidr, host_name, name_of};
use vmnet_model::cable::End;
use vmnet_model::forward::{Forward, Listen, Ports, Protocol, Target};
use vmnet_model::guest::{Who, is_host_name};
use vmnet_model::prefix6::Prefix6;
use vmnet_model::subnet::Subnet;

/// Addresses, guests, ports and forwards: what is read is read again from what it is shown as.
#[must_use]
pub fn words(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let simple = [
        reads_back::<MacAddr>(text),
        reads_back::<Subnet>(text),
        reads_back::<Prefix6>(text),
        reads_back::<Cidr>(text),
        reads_back::<End>(text),
        reads_back::<Who>(text),
        reads_back::<Ports>(text),
        reads_back::<Listen>(text),
        reads_back::<Target>(text),
    ];
    let forward = forward(text);
    if let Some(forward) = &forward {
        assert_eq!(self::forward(&forward.to_string()).as_ref(), Some(forward));
        assert_eq!(forward.target_ports().count(), forward.listen.ports.count());
        assert!(forward.overlaps(forward));
    }
    simple.contains(&true) || forward.is_some()
}

fn reads_back<T: FromStr + Display + PartialEq + Debug>(text: &str) -> bool {
    let Ok(value) = text.parse::<T>() else { return false };
    let shown = value.to_string();
    assert!(is_one_line(&shown), "{shown:?}");
    assert_eq!(shown.parse::<T>().ok(), Some(value), "{text:?} is shown as {shown:?}");
    true
}

/// `PROTOCOL LISTEN to TARGET`, as a forward is shown.
fn forward(text: &str) -> Option<Forward> {
    let (protocol, rest) = text.split_once(' ')?;
    let (listen, to) = rest.split_once(" to ")?;
    let protocol: Protocol = protocol.parse().ok()?;
    Forward::new(listen.parse().ok()?, to.parse().ok()?, protocol).ok()
}

/// Names of links, networks, hosts, namespaces, switches and sockets.
#[must_use]
pub fn names(bytes: &[u8]) -> bool {
    let mut understood = false;
    if let Ok(name) = IfName::new(bytes) {
        let shown = name.to_string();
        assert!(name.as_bytes() == bytes && bytes.len() <= IF_NAME_MAX);
        assert!(shown.is_ascii() && is_one_line(&shown));
        understood = true;
    }
    let file = NetName::of_file(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return understood };
    let network = NetName::new(text).ok();
    for name in network.iter().chain(&file) {
        assert!(name.as_str().len() <= NET_NAME_MAX && !name.as_str().contains('/'));
        assert!(IfName::new(name.bridge().as_bytes()).is_ok());
        assert!(name.table().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    }
    let host = host_name(text);
    if let Some(host) = &host {
        assert!(is_host_name(host) && host_name(host).as_ref() == Some(host));
    }
    let space = name_of(Path::new(text));
    assert!(space.is_none_or(|name| !name.contains('/') && name != ".." && !name.is_empty()));
    let directory = Directory::new(text).ok();
    if let Some(directory) = &directory {
        let path = directory.as_str();
        assert!(path.starts_with('/') && path.len() <= DIRECTORY_MAX && is_one_line(path));
        assert_eq!(Directory::new(path).as_ref(), Ok(directory));
    }
    let tag = VdePortTag::parse(text);
    assert!(tag.is_none_or(|tag| tag.name() == text));
    let described = VdePortTag::described(text);
    assert!(described.is_none_or(|tag| tag.description() == text));
    let socket = VdePortTag::of_socket(text);
    assert!(socket.is_none_or(|tag| text.starts_with(&tag.name())));
    understood |= network.is_some() || file.is_some() || host.is_some() || space.is_some();
    understood || directory.is_some() || tag.is_some() || described.is_some() || socket.is_some()
}
