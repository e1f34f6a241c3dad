//! What other people's firewalls hold, and what nft shows of ours.

use crate::first_line;
use vmnet_access::name::{IfName, NetName};
use vmnet_model::bridge_filter::forget;
use vmnet_model::firewall::{essence, forwards_shown, hits};
use vmnet_model::network::HostAccess;
use vmnet_model::other_firewalls::{
    Always, Backend, Base, Family, Guests, Hook, Opening, Place, Rule, SeenChain, is_ours, legacy_removal,
    nft_removal, nft_text, restore_text, survey,
};

/// nft's listing of a table: what stays of it stays, and what is forgotten cannot break out of its set.
#[must_use]
pub fn listing(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let kept = essence(text);
    assert!(kept.len() <= text.len() + 1);
    // nft's lines end with no carriage return, of which each look takes one off.
    assert!(text.contains('\r') || essence(&kept) == kept);
    let (forwards, counters) = (forwards_shown(text), hits(text));
    assert!(forwards.is_sorted() && forwards.iter().all(|comment| comment.starts_with("forward ")));
    let ports: Vec<IfName> = IfName::new(b"vmtap1").into_iter().collect();
    let forgotten = forget("vmnet_lab", text, &ports);
    for line in forgotten.iter().flat_map(|text| text.lines()) {
        assert!(is_of_one_element(line), "{line:?}");
        assert!(!line.contains("\"vmtap1\""), "it is still there");
    }
    forgotten.is_some() || !forwards.is_empty() || !counters.is_empty()
}

/// `add` or `delete element bridge vmnet_lab SET { ELEMENT }` and nothing else.
fn is_of_one_element(line: &str) -> bool {
    let rest = line.strip_prefix("add").or_else(|| line.strip_prefix("delete"));
    let inner = rest.and_then(|rest| rest.strip_prefix(" element bridge vmnet_lab "));
    let inner = inner.and_then(|inner| inner.split_once(" { ")?.1.strip_suffix(" }"));
    let Some(inner) = inner else { return false };
    let mut parts = inner.split('"');
    // Outside of quotes, numbers and addresses; within, a link's name.
    let (before, name, after) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit() || b" .:x".contains(&b));
    let is_name = |name: &str| IfName::new(name.as_bytes()).is_ok() && !name.contains(['\\', '*']);
    plain(before)
        && name.is_none_or(is_name)
        && name.is_some() == (after == Some(""))
        && parts.next().is_none()
}

/// What iptables-save says, behind a line with a network's name: nobody's rules are removed but that network's.
#[must_use]
pub fn saved(bytes: &[u8]) -> bool {
    let (name, text) = first_line(bytes);
    let (Ok(name), Ok(text)) = (std::str::from_utf8(name), std::str::from_utf8(text)) else { return false };
    let Ok(network) = NetName::new(name) else { return false };
    let removal = legacy_removal(&network, text);
    let all_its_own = |change: &str| {
        for rule in change.lines().filter_map(|line| line.strip_prefix("-D ")) {
            // A carriage return at the very end is no end of a line.
            let mut there = text.lines().filter_map(|line| line.trim_end_matches('\r').strip_prefix("-A "));
            assert!(there.any(|line| line == rule.trim_end_matches('\r')), "{rule:?} was not there");
            let comment = rule.split_once("--comment \"").and_then(|(_, rest)| rest.split('"').next());
            assert!(comment.is_some_and(|comment| is_ours(&network, comment)), "{rule:?}");
        }
    };
    all_its_own(&removal);
    assert!(removal.is_empty() || removal.starts_with("*filter\n-D ") && removal.ends_with("\nCOMMIT\n"));
    let place = place(Backend::Legacy, "INPUT");
    let opening = Opening { place, hook: Hook::Input, needs: Vec::new(), has: Vec::new(), open: false };
    all_its_own(&restore_text(&guests(network.clone()), &[opening], Family::Ip, text));
    !removal.is_empty()
}

fn place(backend: Backend, chain: &str) -> Place {
    Place { backend, family: Family::Ip, table: "filter".to_owned(), chain: chain.to_owned() }
}

fn guests(network: NetName) -> Guests {
    let (bridge, host_access) = (network.bridge(), HostAccess::Services);
    Guests { bridge, network, host_access, dhcp: true, ipv6: true, inward: true, routed: true }
}

/// Chains of others, two bytes a rule: once what is missing was put in, nothing is missing; and once all of
/// it was taken out, nothing of ours is there.
#[must_use]
pub fn chains(bytes: &[u8]) -> bool {
    let Ok(network) = NetName::new("lab") else { return false };
    let (guests, nobody) = (guests(network.clone()), Guests::nobody(&network));
    let mut chains = described(bytes);
    let openings = survey(&guests, &chains);
    for opening in openings.iter().filter(|opening| !opening.open) {
        let chain = chains.iter_mut().find(|chain| chain.place == opening.place);
        assert!(chain.is_some());
        let Some(chain) = chain else { return false };
        chain.rules.retain(|rule| !opening.has.contains(&rule.handle));
        for (number, need) in opening.needs.iter().rev().enumerate() {
            let (handle, comment) = (1_000_000 + number as u64, Some(guests.comment(*need)));
            chain.rules.insert(0, Rule { handle, comment, always: None });
        }
    }
    let after = survey(&guests, &chains);
    assert!(after.iter().all(|opening| opening.open), "{after:?}");
    assert_eq!(nft_text(&guests, &after), "");
    let ours = survey(&nobody, &chains);
    assert_eq!(
        nft_removal(&ours).lines().count(),
        ours.iter().map(|opening| opening.has.len()).sum::<usize>()
    );
    for chain in &mut chains {
        let has = ours.iter().filter(|opening| opening.place == chain.place).flat_map(|opening| &opening.has);
        let has: Vec<u64> = has.copied().collect();
        chain.rules.retain(|rule| !has.contains(&rule.handle));
    }
    assert!(survey(&nobody, &chains).iter().all(|opening| opening.has.is_empty()));
    !openings.is_empty()
}

/// Up to 32 chains: the first three are base chains, the fourth is Docker's for others.
fn described(bytes: &[u8]) -> Vec<SeenChain> {
    let name = |number: u8| match number % 32 {
        0 => "INPUT".to_owned(),
        1 => "FORWARD".to_owned(),
        2 => "OUTPUT".to_owned(),
        3 => "DOCKER-USER".to_owned(),
        other => format!("c{other}"),
    };
    let base = |number: u8, drops| {
        let hook = [Hook::Input, Hook::Forward, Hook::Output].into_iter().nth(usize::from(number))?;
        Some(Base { hook, priority: 0, drops })
    };
    let flags = bytes.first().copied().unwrap_or_default();
    let mut chains: Vec<SeenChain> = (0..32)
        .map(|number| {
            let base = base(number, flags >> number.min(7) & 1 != 0);
            SeenChain { place: place(Backend::Nft, &name(number)), base, rules: Vec::new() }
        })
        .collect();
    let mut at = 0;
    for (handle, [verb, target]) in bytes.get(1..).unwrap_or_default().as_chunks().0.iter().enumerate() {
        let always = match verb % 8 {
            0 => {
                at = usize::from(target % 32);
                continue;
            }
            1 => Some(Always::Accept),
            2 => Some(Always::Refuse),
            3 => Some(Always::Return),
            4 => Some(Always::Jump(name(*target))),
            5 => Some(Always::Goto(name(*target))),
            _ => None,
        };
        let word = ["from", "to", "dhcp", "dns-udp", "icmp"].get(usize::from(target % 8));
        let comment = word.filter(|_| verb % 8 == 7).map(|word| format!("vmnet lab {word}"));
        if let Some(chain) = chains.get_mut(at) {
            chain.rules.push(Rule { handle: handle as u64, comment, always });
        }
    }
    chains
}
