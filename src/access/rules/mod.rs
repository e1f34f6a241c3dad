//! The access rules: who may plug in where. Text becomes rules in [`grammar`]; here rules and a
//! caller become one [`Verdict`]. The same function answers the helper and `vmnet access`.
//!
//! Default deny, and any deny that matches wins over every allow, whatever the order and
//! whichever file it stands in: `main` in QEMU's qemu-bridge-helper.c.

pub mod grammar;

use crate::name::IfName;
use std::fmt;
use std::rc::Rc;

/// Where a rule stands: a file and a line in it, counted from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's path, printable.
    pub file: Rc<str>,
    /// The line.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Lets the caller in, unless some rule denies.
    Allow,
    /// Keeps the caller out.
    Deny,
}

/// Which bridges a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bridges {
    /// The word `all`.
    All,
    /// The bridge of exactly this name. As in QEMU, a name that no interface can have is kept and
    /// matches nothing; [`Rule::remark`] tells.
    Named(Vec<u8>),
}

/// A user or group as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// By number.
    Id(u32),
    /// By name, looked up when the rule is judged.
    Name(String),
}

/// Whom a rule is about. With both lists empty: everybody. Otherwise whoever is in either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// `user=`, compared with the real user id.
    pub users: Vec<Account>,
    /// `group=`, compared with the groups the kernel gave the caller.
    pub groups: Vec<Account>,
}

/// One `allow` or `deny` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Allow or deny.
    pub effect: Effect,
    /// The bridges that the rule is about.
    pub bridges: Bridges,
    /// The users that the rule is about.
    pub who: Who,
    /// `ports=`: how many ports each caller may hold on the bridge at one time.
    pub ports: Option<u32>,
    /// The file and line where the rule stands.
    pub place: Place,
}

impl Rule {
    /// Why this rule can never match, if it cannot: the traps of QEMU's grammar.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let Bridges::Named(name) = &self.bridges else { return None };
        let shown = name.escape_ascii();
        match IfName::new(name) {
            Ok(_) if name.contains(&b',') => {
                Some(format!("'{shown}' is taken as one name; write one rule a line"))
            }
            Ok(_) => None,
            Err(_) if name.contains(&b'#') => Some(format!(
                "'{shown}' is taken as the name; a comment needs a line of its own in this file"
            )),
            Err(why) => Some(format!("no bridge can be called '{shown}' ({why}); one name a line")),
        }
    }
}

/// Who asks: the real user and the groups that the kernel gave them, never what a database says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl Caller {
    fn is_in(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// The host's user database, handed in.
pub trait Accounts {
    /// The number of a user; `Ok(None)` if there is none of that name.
    ///
    /// # Errors
    /// The database could not be asked.
    fn user(&self, name: &str) -> Result<Option<u32>, AccountsDown>;
    /// The number of a group; `Ok(None)` if there is none of that name.
    ///
    /// # Errors
    /// The database could not be asked.
    fn group(&self, name: &str) -> Result<Option<u32>, AccountsDown>;
}

/// The user database did not answer, so a rule that names an account cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountsDown {
    /// The account that was asked for.
    pub name: String,
}

impl fmt::Display for AccountsDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot look up account '{}': the user database does not answer", self.name)
    }
}

impl std::error::Error for AccountsDown {}

/// What the rules say to one caller about one bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Let in.
    Allowed {
        /// By this rule.
        by: Place,
        /// With at most so many ports at one time; none: as many as the bridge has.
        ports: Option<u32>,
    },
    /// Kept out.
    Refused {
        /// By this rule; none: no rule allows it.
        by: Option<Place>,
    },
}

/// The verdict. A caller whom several rules allow gets the widest of their limits.
///
/// # Errors
/// A rule that could decide names an account, and the user database does not answer: the caller
/// of this function must refuse.
pub fn judge(
    rules: &[Rule],
    bridge: &IfName,
    caller: &Caller,
    accounts: &dyn Accounts,
) -> Result<Verdict, AccountsDown> {
    let mut widest: Option<&Rule> = None;
    for rule in rules.iter().filter(|rule| rule.is_about(bridge)) {
        if !rule.who.holds(caller, accounts)? {
            continue;
        }
        if rule.effect == Effect::Deny {
            return Ok(Verdict::Refused { by: Some(rule.place.clone()) });
        }
        if widest.is_none_or(|best| limit(rule) > limit(best)) {
            widest = Some(rule);
        }
    }
    Ok(match widest {
        Some(rule) => Verdict::Allowed { by: rule.place.clone(), ports: rule.ports },
        None => Verdict::Refused { by: None },
    })
}

fn limit(rule: &Rule) -> u64 {
    rule.ports.map_or(u64::MAX, u64::from)
}

impl Rule {
    fn is_about(&self, bridge: &IfName) -> bool {
        match &self.bridges {
            Bridges::All => true,
            Bridges::Named(name) => name == bridge.as_bytes(),
        }
    }
}

impl Who {
    fn holds(&self, caller: &Caller, accounts: &dyn Accounts) -> Result<bool, AccountsDown> {
        if self.users.is_empty() && self.groups.is_empty() {
            return Ok(true);
        }
        for user in &self.users {
            let uid = match user {
                Account::Id(uid) => Some(*uid),
                Account::Name(name) => accounts.user(name)?,
            };
            if uid == Some(caller.uid) {
                return Ok(true);
            }
        }
        for group in &self.groups {
            let gid = match group {
                Account::Id(gid) => Some(*gid),
                Account::Name(name) => accounts.group(name)?,
            };
            if gid.is_some_and(|gid| caller.is_in(gid)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod meaning;
#[cfg(test)]
mod tests;
