//! Which chains refuse, and whether what we put there still opens them.

use super::{Always, Backend, Base, Chain, Family, Guests, Hook, Place, Purpose, Rule, is_ours};
use crate::firewall;
use std::collections::BTreeSet;

/// The chain that Docker keeps for rules of others, asked before its own (docs.docker.com, "Packet
/// filtering and firewalls").
const DOCKER_USER: &str = "DOCKER-USER";

/// A chain with its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenChain {
    /// The chain and its table.
    pub place: Place,
    /// What makes it a base chain.
    pub base: Option<Base>,
    /// Its rules in order.
    pub rules: Vec<Rule>,
}

/// One chain that needs accepts, or has some of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The chain.
    pub place: Place,
    /// Where packets meet it.
    pub hook: Hook,
    /// The accepts it needs; none where it refuses nothing any more.
    pub needs: Vec<Purpose>,
    /// The handles of ours that it has.
    pub has: Vec<u64>,
    /// Our accepts are all there, and nothing is before them that refuses.
    pub open: bool,
}

/// Must this chain's rules be looked at?
#[must_use]
pub fn matters(chain: &Chain) -> bool {
    let own = chain.place.table.starts_with("vmnet_");
    // Ports, not bridges, are the interfaces of a bridge table: nothing there can name a network.
    let known = chain.place.family != Family::Bridge;
    let sayable = is_word(&chain.place.table) && is_word(&chain.place.chain);
    !own && known && sayable && (chain.base.is_some() || chain.place.chain == DOCKER_USER)
}

/// A name as nft's grammar has it (`string` in its scanner.l), which knows no quotes there.
fn is_word(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/' | b'.');
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.bytes().all(inner)
}

/// The chains that a chain asks about every packet; they matter as well.
pub fn followed(chain: &SeenChain) -> impl Iterator<Item = Place> {
    let target = |rule: &Rule| match &rule.always {
        Some(Always::Jump(target) | Always::Goto(target)) => Some(chain.place.beside(target)),
        _ => None,
    };
    chain.rules.iter().filter_map(target)
}

/// Every chain that needs accepts for these guests, or has some of theirs.
#[must_use]
pub fn survey(guests: &Guests, chains: &[SeenChain]) -> Vec<Opening> {
    let nameable = firewall::can_name(&guests.bridge) && !guests.bridge.as_bytes().ends_with(b"+");
    let mut closed: Vec<(&SeenChain, Hook)> = Vec::new();
    for chain in chains.iter().filter(|_| nameable) {
        let Some(base) = chain.base else { continue };
        if refuses(chain, base, chains, guests) {
            closed.push((door(chain, base, chains), base.hook));
        }
    }
    let mut openings = Vec::new();
    for chain in chains {
        let hook = closed.iter().find(|(door, _)| door.place == chain.place).map(|(_, hook)| *hook);
        let needs = hook.map(|hook| guests.needs(hook, &chain.place)).unwrap_or_default();
        let ours = |rule: &&Rule| rule.comment.as_ref().is_some_and(|c| is_ours(&guests.network, c));
        let has: Vec<u64> = chain.rules.iter().filter(ours).map(|rule| rule.handle).collect();
        if needs.is_empty() && has.is_empty() {
            continue;
        }
        let hook = hook.or(chain.base.map(|base| base.hook)).unwrap_or(Hook::Forward);
        let open = has.len() == needs.len() && needs.iter().all(|need| stands(guests, *need, chain, chains));
        openings.push(Opening { place: chain.place.clone(), hook, needs, has, open });
    }
    openings
}

/// Where accepts go for a chain that refuses: into Docker's chain for others, if it is asked.
fn door<'a>(chain: &'a SeenChain, base: Base, chains: &'a [SeenChain]) -> &'a SeenChain {
    let docker = chain.place.beside(DOCKER_USER);
    let asked = base.hook == Hook::Forward && followed(chain).any(|place| place == docker);
    chains.iter().find(|other| asked && other.place == docker).unwrap_or(chain)
}

/// Is this accept there, before anything that decides about every packet?
fn stands(guests: &Guests, need: Purpose, chain: &SeenChain, chains: &[SeenChain]) -> bool {
    let comment = guests.comment(need);
    let mut asked = BTreeSet::from([&chain.place]);
    for rule in &chain.rules {
        if rule.comment.as_ref() == Some(&comment) {
            return true;
        }
        if decides(rule, &chain.place, chains, &mut asked).is_some() || rule.always == Some(Always::Return) {
            return false;
        }
    }
    false
}

/// Does it refuse what no rule of others lets through?
fn refuses(chain: &SeenChain, base: Base, chains: &[SeenChain], guests: &Guests) -> bool {
    let needed = !guests.needs(base.hook, &chain.place).is_empty();
    needed && walk(chain, chains, &mut BTreeSet::new()).unwrap_or(base.drops)
}

/// What becomes of a packet that no conditional rule takes: refused (true), accepted (false), or
/// nothing was decided. A chain that was asked before had no answer and has none the second time, however
/// often it is jumped to.
fn walk<'a>(chain: &'a SeenChain, chains: &'a [SeenChain], asked: &mut BTreeSet<&'a Place>) -> Option<bool> {
    if !asked.insert(&chain.place) {
        return None;
    }
    for rule in &chain.rules {
        if rule.always == Some(Always::Return) {
            return None;
        }
        let decided = decides(rule, &chain.place, chains, asked);
        if decided.is_some() || matches!(rule.always, Some(Always::Goto(_))) {
            return decided;
        }
    }
    None
}

fn decides<'a>(
    rule: &Rule,
    place: &Place,
    chains: &'a [SeenChain],
    asked: &mut BTreeSet<&'a Place>,
) -> Option<bool> {
    match rule.always.as_ref()? {
        Always::Accept => Some(false),
        Always::Refuse => Some(true),
        Always::Return => None,
        Always::Jump(target) | Always::Goto(target) => {
            let target = place.beside(target);
            let next = chains.iter().find(|chain| chain.place == target)?;
            walk(next, chains, asked)
        }
    }
}

impl Opening {
    /// Is it one of an older iptables' tables, of this family?
    #[must_use]
    pub fn is_legacy(&self, family: Family) -> bool {
        self.place.backend == Backend::Legacy && self.place.family == family
    }
}

/// Where accepts of ours should be, in words.
#[must_use]
pub fn wanted(openings: &[Opening]) -> String {
    places(openings.iter().filter(|opening| !opening.needs.is_empty()))
}

/// Where they are, and where some are that should not be.
#[must_use]
pub fn actual(openings: &[Opening]) -> String {
    places(openings.iter().filter(|opening| opening.open || opening.needs.is_empty()))
}

fn places<'a>(openings: impl Iterator<Item = &'a Opening>) -> String {
    let mut names: Vec<String> = openings.map(|opening| opening.place.to_string()).collect();
    names.sort();
    if names.is_empty() { "nothing opened".to_owned() } else { format!("opened in {}", names.join(", ")) }
}
