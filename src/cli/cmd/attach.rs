//! `vmnet attach NAME`

use crate::args::{AttachWords, SpaceWords};
use crate::exit::Exit;
use crate::say;
use crate::show::leases::duration;
use serde_json::json;
use vmnet_attach;
use vmnet_attach::{AddressChoice, Attached, Attachment, NamespaceRef};
use vmnet_model::attach::Cidr;
use vmnet_model::error::{Error, ErrorKind};
use vmnet_network::dirs::Dirs;

/// Give a namespace its interface, and say what it has.
pub fn run(dirs: &Dirs, words: &AttachWords) -> Result<Exit, Error> {
    let asked = Attachment {
        bridge: words.name.clone(),
        namespace: namespace(&words.space),
        ifname: words.ifname.clone(),
        mac: None,
        hostname: None,
        addresses: addresses(words)?,
    };
    let attached = vmnet_attach::attach(dirs, &asked)?;
    if words.json {
        say_json(&attached)
    } else {
        say_words(&attached)
    }
    Ok(Exit::Done)
}

/// One of both is there, or clap had refused the words.
pub fn namespace(words: &SpaceWords) -> NamespaceRef {
    match words.pid {
        Some(pid) => NamespaceRef::Process(pid),
        None => NamespaceRef::Path(words.netns.clone().unwrap_or_default()),
    }
}

fn addresses(words: &AttachWords) -> Result<AddressChoice, Error> {
    if words.address.is_empty() {
        return Ok(if words.dhcp { AddressChoice::Dhcp } else { AddressChoice::Kept });
    }
    let parse = |text: &String| {
        let failed = |why| Error::new("use", format!("address '{text}'"), why).kind(ErrorKind::Invalid);
        text.parse().map_err(failed)
    };
    words.address.iter().map(parse).collect::<Result<_, _>>().map(AddressChoice::Fixed)
}

fn say_words(attached: &Attached) {
    let Attached { label, bridge, port, .. } = attached;
    let state = if attached.already { "is attached already" } else { "is attached" };
    let addresses: Vec<String> = attached.addresses.iter().map(address).collect();
    let list = if addresses.is_empty() { "no address".to_owned() } else { addresses.join(", ") };
    say::line(&format!("{} of {label} {state} to {bridge} ({port}): {list}", attached.interface));
    if !attached.resolvers.is_empty() {
        let servers: Vec<String> = attached.resolvers.iter().map(ToString::to_string).collect();
        let domain = attached.domain.as_ref().map_or_else(String::new, |domain| format!(", domain {domain}"));
        let place = attached
            .resolver_file
            .as_ref()
            .map_or_else(String::new, |file| format!(", in {}", file.display()));
        say::line(&format!("names: resolver {}{domain}{place}", servers.join(" ")));
    }
    for address in &attached.on_offer {
        say::line(&format!(
            "note: DHCP may give {address} to another guest; 'vmnet host add' reserves it for {}",
            attached.mac
        ));
    }
}

fn address((cidr, left): &(Cidr, Option<u32>)) -> String {
    left.map_or_else(|| cidr.to_string(), |left| format!("{cidr} for {}", duration(left.into())))
}

/// `left` is in seconds, null for ever.
fn say_json(attached: &Attached) {
    let texts = |list: &[std::net::IpAddr]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let addresses: Vec<_> = attached
        .addresses
        .iter()
        .map(|(cidr, left)| json!({ "address": cidr.address.to_string(), "length": cidr.length, "left": left }))
        .collect();
    say::json(&json!({
        "interface": attached.interface.to_string(),
        "already": attached.already,
        "bridge": attached.bridge.to_string(),
        "port": attached.port.to_string(),
        "mac": attached.mac.to_string(),
        "mtu": attached.mtu,
        "addresses": addresses,
        "gateways": texts(&attached.gateways),
        "resolvers": texts(&attached.resolvers),
        "domain": attached.domain,
        "resolver_file": attached.resolver_file,
    }));
}
