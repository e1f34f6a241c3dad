//! The kernel's descriptions of chains and rules, read as far as they matter: numbers in them are
//! big-endian, unlike elsewhere in netlink (include/uapi/linux/netfilter/nf_tables.h).

use super::NFGENMSG;
use vmnet_access::name::fnv1a;
use vmnet_model::other_firewalls::{Always, Backend, Base, Chain, Family, Hook, Place, Rule};
use vmnet_sys::netlink::attributes;

const NFTA_TABLE_OWNER: u16 = 7;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_HANDLE: u16 = 3;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_RULE_USERDATA: u16 = 7;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_IMMEDIATE_DATA: u16 = 2;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;
/// The name of an x_tables match or target, and the match's own data (nf_tables_compat.h).
const NFTA_COMPAT_NAME: u16 = 1;
const NFTA_COMPAT_INFO: u16 = 3;
/// libnftnl's NFTNL_UDATA_RULE_COMMENT.
const COMMENT: u8 = 0;

/// The kernel's number of a family (NFPROTO_…, include/uapi/linux/netfilter.h).
pub fn family_number(family: Family) -> u8 {
    match family {
        Family::Inet => 1,
        Family::Ip => 2,
        Family::Bridge => 7,
        Family::Ip6 => 10,
    }
}

fn family(number: u8) -> Option<Family> {
    [Family::Inet, Family::Ip, Family::Bridge, Family::Ip6].into_iter().find(|f| family_number(*f) == number)
}

/// A chain; none if its family is another.
pub fn chain(payload: &[u8]) -> Option<Chain> {
    let family = family(*payload.first()?)?;
    let mut place = Place { backend: Backend::Nft, family, table: String::new(), chain: String::new() };
    let (mut hook, mut drops, mut filters) = (None, false, false);
    for (kind, value) in attributes(payload.get(NFGENMSG..)?) {
        match kind {
            NFTA_CHAIN_TABLE => place.table = text(value),
            NFTA_CHAIN_NAME => place.chain = text(value),
            NFTA_CHAIN_HOOK => hook = hook_of(value),
            // NF_DROP is zero.
            NFTA_CHAIN_POLICY => drops = number(value) == Some(0),
            NFTA_CHAIN_TYPE => filters = text(value) == "filter",
            _ => {}
        }
    }
    let base = hook.filter(|_| filters).map(|(hook, priority)| Base { hook, priority, drops });
    Some(Chain { place, base })
}

/// A chain of this table, with a mark of its type, hook and policy; none if it is of another.
pub fn chain_mark(payload: &[u8], family: Family, table: &str) -> Option<(String, String)> {
    let mut here = *payload.first()? == family_number(family);
    let (mut name, mut kind_of) = (None, Vec::new());
    for (kind, value) in attributes(payload.get(NFGENMSG..)?) {
        match kind {
            NFTA_CHAIN_TABLE => here &= text(value) == table,
            NFTA_CHAIN_NAME => name = Some(text(value)),
            NFTA_CHAIN_HOOK | NFTA_CHAIN_POLICY | NFTA_CHAIN_TYPE => {
                kind_of.extend_from_slice(&kind.to_ne_bytes());
                kind_of.extend_from_slice(value);
            }
            _ => {}
        }
    }
    here.then_some((name?, format!("type {:016x}", fnv1a(&kind_of))))
}

/// A rule of this table: its chain, and a mark of its expressions with its comment, if it has one.
pub fn rule_mark(payload: &[u8], family: Family, table: &str) -> Option<(String, String)> {
    let mut here = *payload.first()? == family_number(family);
    let (mut chain, mut mark, mut comment) = (None, 0, None);
    for (kind, value) in attributes(payload.get(NFGENMSG..)?) {
        match kind {
            NFTA_RULE_TABLE => here &= text(value) == table,
            NFTA_RULE_CHAIN => chain = Some(text(value)),
            NFTA_RULE_EXPRESSIONS => mark = fnv1a(value),
            NFTA_RULE_USERDATA => comment = userdata_comment(value),
            _ => {}
        }
    }
    let comment = comment.map_or_else(String::new, |comment| format!(" comment \"{comment}\""));
    here.then_some((chain?, format!("{mark:016x}{comment}")))
}

fn hook_of(value: &[u8]) -> Option<(Hook, i32)> {
    let find = |wanted| attributes(value).find(|(kind, _)| *kind == wanted).and_then(|(_, v)| number(v));
    // NF_INET_… and NF_BR_… are the same here.
    let hook = match find(NFTA_HOOK_HOOKNUM)? {
        1 => Hook::Input,
        2 => Hook::Forward,
        3 => Hook::Output,
        _ => return None,
    };
    Some((hook, find(NFTA_HOOK_PRIORITY)?.cast_signed()))
}

/// A rule; none if it is not in this chain.
pub fn rule(payload: &[u8], place: &Place) -> Option<Rule> {
    let mut rule = Rule { handle: 0, comment: None, always: None };
    let mut here = family(*payload.first()?) == Some(place.family);
    for (kind, value) in attributes(payload.get(NFGENMSG..)?) {
        match kind {
            NFTA_RULE_TABLE => here &= text(value) == place.table,
            NFTA_RULE_CHAIN => here &= text(value) == place.chain,
            NFTA_RULE_HANDLE => rule.handle = u64::from_be_bytes(value.try_into().ok()?),
            NFTA_RULE_EXPRESSIONS => {
                let (always, comment) = expressions(value);
                rule.always = always;
                rule.comment = rule.comment.or(comment);
            }
            NFTA_RULE_USERDATA => rule.comment = userdata_comment(value).or(rule.comment),
            _ => {}
        }
    }
    here.then_some(rule)
}

/// What a rule's expressions do with every packet, and the comment that iptables' match holds.
fn expressions(value: &[u8]) -> (Option<Always>, Option<String>) {
    let (mut always, mut conditional, mut comment) = (None, false, None);
    for (_, expression) in attributes(value).filter(|(kind, _)| *kind == NFTA_LIST_ELEM) {
        let (mut name, mut data) = (String::new(), &[][..]);
        for (kind, value) in attributes(expression) {
            match kind {
                NFTA_EXPR_NAME => name = text(value),
                NFTA_EXPR_DATA => data = value,
                _ => {}
            }
        }
        match name.as_str() {
            "counter" | "log" => {}
            "immediate" => always = verdict(data),
            "reject" => always = Some(Always::Refuse),
            "match" if compat(data, NFTA_COMPAT_NAME).map(text).as_deref() == Some("comment") => {
                comment = compat(data, NFTA_COMPAT_INFO).map(text);
            }
            "target" => match compat(data, NFTA_COMPAT_NAME).map(text).as_deref() {
                Some("REJECT" | "DROP") => always = Some(Always::Refuse),
                Some("LOG" | "NFLOG") => {}
                _ => conditional = true,
            },
            _ => conditional = true,
        }
    }
    (always.filter(|_| !conditional), comment)
}

fn compat(data: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(data).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

fn verdict(immediate: &[u8]) -> Option<Always> {
    let inner = |bytes, wanted| compat(bytes, wanted);
    let verdict = inner(inner(immediate, NFTA_IMMEDIATE_DATA)?, NFTA_DATA_VERDICT)?;
    let chain = || inner(verdict, NFTA_VERDICT_CHAIN).map(text);
    match number(inner(verdict, NFTA_VERDICT_CODE)?)?.cast_signed() {
        libc::NF_DROP => Some(Always::Refuse),
        libc::NF_ACCEPT => Some(Always::Accept),
        // NFT_JUMP, NFT_GOTO, NFT_RETURN
        -3 => Some(Always::Jump(chain()?)),
        -4 => Some(Always::Goto(chain()?)),
        -5 => Some(Always::Return),
        _ => None,
    }
}

/// libnftnl's own attributes: kind and length of one byte each.
fn userdata_comment(value: &[u8]) -> Option<String> {
    let mut rest = value;
    while let [kind, length, tail @ ..] = rest {
        let inner = tail.get(..usize::from(*length))?;
        if *kind == COMMENT {
            return Some(text(inner));
        }
        rest = tail.get(usize::from(*length)..)?;
    }
    None
}

/// A string up to its NUL; what is not UTF-8 in it is replaced.
fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// A table that only the process may change which made it (NFT_TABLE_F_OWNER); none for others.
pub fn owned_table(payload: &[u8]) -> Option<(Family, String)> {
    attributes(payload.get(NFGENMSG..)?).find(|(kind, _)| *kind == NFTA_TABLE_OWNER)?;
    changed_table(payload)
}

/// The table that a change is about, with its family.
pub fn changed_table(payload: &[u8]) -> Option<(Family, String)> {
    let family = family(*payload.first()?)?;
    // The same number for a table, a chain and a rule.
    let (_, name) = attributes(payload.get(NFGENMSG..)?).find(|(kind, _)| *kind == NFTA_RULE_TABLE)?;
    Some((family, text(name)))
}
