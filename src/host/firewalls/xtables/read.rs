//! The older iptables' table as the kernel hands it out: entries one after the other, each with
//! matches and a target (include/uapi/linux/netfilter/x_tables.h, …/ip_tables.h, …/ip6_tables.h).

use std::collections::BTreeMap;
use vmnet_model::other_firewalls::{Always, Backend, Base, Family, Hook, Place, Rule, SeenChain};
use vmnet_sys::netlink::{u16_at, u32_at};

/// NF_INET_LOCAL_IN, …_FORWARD, …_LOCAL_OUT
const HOOKS: [(usize, Hook, &str); 3] =
    [(1, Hook::Input, "INPUT"), (2, Hook::Forward, "FORWARD"), (3, Hook::Output, "OUTPUT")];
/// NF_IP_PRI_FILTER
const PRIORITY: i32 = 0;
/// IPT_F_GOTO and IP6T_F_GOTO: the target does not come back.
const GOTO: [(usize, u8); 2] = [(82, 0x02), (131, 0x04)];
/// struct xt_entry_match and struct xt_entry_target: length, name, revision.
const NAME: usize = 2;
const DATA: usize = 32;

/// struct ipt_getinfo: where the entries of each hook begin and end.
#[derive(Debug)]
pub struct Info {
    /// Bytes of all entries.
    pub size: usize,
    valid: u32,
    begin: Vec<usize>,
    policy: Vec<usize>,
}

impl Info {
    /// Read the kernel's answer to a question about a table.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| usize::try_from(u32_at(bytes, at)?).ok();
        let five = |at: usize| (0..5_usize).map(|hook| number(at + 4 * hook)).collect::<Option<Vec<_>>>();
        Some(Self { valid: u32_at(bytes, 32)?, begin: five(36)?, policy: five(56)?, size: number(80)? })
    }

    fn base(&self, hook: usize) -> Option<(usize, usize)> {
        let valid = self.valid & (1 << hook) != 0;
        Some((*self.begin.get(hook)?, *self.policy.get(hook)?)).filter(|_| valid)
    }
}

/// One entry; positions are offsets from the first.
struct Entry<'a> {
    at: usize,
    unconditional: bool,
    goto: bool,
    comment: Option<String>,
    target: &'a [u8],
    data: &'a [u8],
    next: usize,
}

/// The chains of a table. What is broken ends the list.
pub fn chains(family: Family, info: &Info, bytes: &[u8]) -> Vec<SeenChain> {
    let mut entries = Vec::new();
    let mut at = 0;
    while let Some(entry) = entry(family, bytes, at) {
        at = entry.next;
        entries.push(entry);
    }
    // A chain of the user's begins with an entry that holds its name; the last such ends the table.
    let named = |entry: &Entry<'_>| (entry.target == b"ERROR").then(|| (entry.next, text(entry.data)));
    let names: BTreeMap<usize, String> = entries.iter().filter_map(named).collect();
    let place = |chain: &str| Place {
        backend: Backend::Legacy,
        family,
        table: "filter".to_owned(),
        chain: chain.to_owned(),
    };
    let mut chains: Vec<SeenChain> = Vec::new();
    let mut ended = false;
    for entry in &entries {
        if let Some((name, base)) = head(info, &entries, &names, entry.at) {
            chains.push(SeenChain { place: place(&name), base, rules: Vec::new() });
            ended = false;
        }
        ended |= entry.target == b"ERROR";
        let policy = HOOKS.iter().any(|(hook, ..)| info.base(*hook).is_some_and(|(_, end)| end == entry.at));
        if let (Some(chain), false, false) = (chains.last_mut(), ended, policy) {
            let handle = chain.rules.len() as u64 + 1;
            let always = verdict(entry, &names);
            chain.rules.push(Rule { handle, comment: entry.comment.clone(), always });
        }
    }
    chains
}

/// The chain that begins at this entry.
fn head(
    info: &Info,
    entries: &[Entry<'_>],
    names: &BTreeMap<usize, String>,
    at: usize,
) -> Option<(String, Option<Base>)> {
    for (number, hook, name) in HOOKS {
        let Some((begin, policy)) = info.base(number) else { continue };
        if begin == at {
            let policy = entries.iter().find(|entry| entry.at == policy);
            let drops = policy.is_some_and(|entry| standard(entry.data) == Some(-1));
            return Some((name.to_owned(), Some(Base { hook, priority: PRIORITY, drops })));
        }
    }
    names.get(&at).map(|name| (name.clone(), None))
}

/// struct ipt_entry or ip6t_entry at this offset.
fn entry(family: Family, bytes: &[u8], at: usize) -> Option<Entry<'_>> {
    let (ip, fields, matches, (flags, goto)) = match family {
        Family::Ip6 => (136, 140, 168, GOTO[1]),
        _ => (84, 88, 112, GOTO[0]),
    };
    let whole = bytes.get(at..)?;
    let (target, next) = (usize::from(u16_at(whole, fields)?), usize::from(u16_at(whole, fields + 2)?));
    let whole = whole.get(..next).filter(|_| next > matches && target >= matches)?;
    let (mut unconditional, mut jumps) = (true, false);
    for (offset, byte) in whole.get(..ip)?.iter().enumerate() {
        let byte = if offset == flags { *byte & !goto } else { *byte };
        unconditional &= byte == 0;
        jumps |= offset == flags && whole.get(offset).is_some_and(|flags| flags & goto != 0);
    }
    let (mut rest, mut comment) = (whole.get(matches..target)?, None);
    while !rest.is_empty() {
        let length = usize::from(u16_at(rest, 0)?);
        let inner = rest.get(..length).filter(|_| length >= DATA)?;
        if inner.get(NAME..DATA - 1).map(until_nul) == Some(b"comment") {
            comment = inner.get(DATA..).map(text);
        } else {
            unconditional = false;
        }
        rest = rest.get(length..)?;
    }
    let target = whole.get(target..)?;
    let (name, data) = (until_nul(target.get(NAME..DATA - 1)?), target.get(DATA..)?);
    Some(Entry { at, unconditional, goto: jumps, comment, target: name, data, next: at + next })
}

fn verdict(entry: &Entry<'_>, names: &BTreeMap<usize, String>) -> Option<Always> {
    let always = match entry.target {
        b"REJECT" => Always::Refuse,
        // XT_STANDARD_TARGET: a negated verdict and one less, or the offset of a chain.
        b"" => match standard(entry.data)? {
            -1 => Always::Refuse,
            -2 => Always::Accept,
            -5 => Always::Return,
            offset => {
                let name = names.get(&usize::try_from(offset).ok()?)?.clone();
                if entry.goto { Always::Goto(name) } else { Always::Jump(name) }
            }
        },
        _ => return None,
    };
    entry.unconditional.then_some(always)
}

fn standard(data: &[u8]) -> Option<i32> {
    u32_at(data, 0).map(u32::cast_signed)
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(until_nul(bytes)).into_owned()
}
