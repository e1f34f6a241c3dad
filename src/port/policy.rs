//! The rule files of this host become one list of rules, and that list one verdict. An `include`
//! is relative to the file it stands in, never to the caller's directory.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use vmnet_access::name::IfName;
use vmnet_access::paths;
use vmnet_access::rules::grammar::{Dialect, Line, Mistake, parse};
use vmnet_access::rules::{self, Account, Accounts, AccountsDown, Caller, Effect, Place, Rule, Verdict};
use vmnet_sys::trust::{PolicyReader, Reader, Untrusted, plain};

/// How deep files may include each other; a file that includes itself ends here.
const DEPTH_MAX: usize = 8;
/// How many files may be read in all.
const FILES_MAX: usize = 256;

/// Where the two rule files are.
#[derive(Clone, Debug)]
pub struct RuleFiles {
    /// The path of our own rule file.
    pub vmnet: PathBuf,
    /// The path of QEMU's rule file.
    pub qemu: PathBuf,
}

impl RuleFiles {
    /// The rule files at the paths fixed at build time.
    #[must_use]
    pub fn of_this_host() -> Self {
        Self { vmnet: Path::new(paths::CONFIG_DIR).join(paths::RULES_FILE), qemu: paths::QEMU_RULES.into() }
    }
}

/// Every rule that counts for one caller.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// Allow lines of files the caller may read, deny lines of all.
    pub rules: Vec<Rule>,
    /// Files whose allow lines do not count, because the caller may not read them.
    pub withheld: Vec<PathBuf>,
    /// Includes that name no file, with where they stand.
    pub missing: Vec<(Place, PathBuf)>,
}

/// Why there are no rules to judge by.
#[derive(Debug)]
pub enum PolicyError {
    /// Neither file exists.
    NoFile(RuleFiles),
    /// A file does not count.
    Untrusted(PathBuf, Untrusted),
    /// A bad line.
    Mistake(Mistake),
    /// A bad line of a file that the caller may not read: its words stay untold.
    Withheld(Place),
    /// Includes go too deep or in a circle.
    TooDeep(Place),
    /// Too many files.
    TooMany(Place),
    /// The files that a pattern names cannot be listed.
    Unlisted(Place, std::io::Error),
    /// The files cannot be opened as the caller.
    Disguise(std::io::Error),
    /// A rule names an account that cannot be looked up.
    Accounts(AccountsDown),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile(files) => {
                write!(f, "neither {} nor {} exists", files.vmnet.display(), files.qemu.display())
            }
            Self::Untrusted(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Mistake(mistake) => write!(f, "{mistake}"),
            Self::Withheld(place) => write!(f, "{place}: bad line"),
            Self::TooDeep(place) => write!(f, "{place}: includes go deeper than {DEPTH_MAX} files"),
            Self::TooMany(place) => write!(f, "{place}: more than {FILES_MAX} files are included"),
            Self::Unlisted(place, error) => write!(f, "{place}: cannot list the files: {}", plain(error)),
            Self::Disguise(error) => write!(f, "{}", plain(error)),
            Self::Accounts(down) => write!(f, "{down}"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl From<AccountsDown> for PolicyError {
    fn from(down: AccountsDown) -> Self {
        Self::Accounts(down)
    }
}

/// Read both files and all they include.
///
/// # Errors
/// Neither exists, or something in them must not be passed over.
pub fn collect(files: &RuleFiles, reader: Reader<'_>) -> Result<RuleSet, PolicyError> {
    let eyes = PolicyReader::open(reader).map_err(PolicyError::Disguise)?;
    let mut collector = Collector { eyes, set: RuleSet::default(), files: 0 };
    let ours = collector.main_file(&files.vmnet, Dialect::Vmnet)?;
    let theirs = collector.main_file(&files.qemu, Dialect::Qemu)?;
    if ours || theirs { Ok(collector.set) } else { Err(PolicyError::NoFile(files.clone())) }
}

impl RuleSet {
    /// What the rules say to this caller about this bridge.
    ///
    /// # Errors
    /// The user database did not answer.
    pub fn judge(
        &self,
        bridge: &IfName,
        caller: &Caller,
        accounts: &dyn Accounts,
    ) -> Result<Verdict, PolicyError> {
        Ok(rules::judge(&self.rules, bridge, caller, accounts)?)
    }
}

/// The accounts of a rule that are nobody, each with why: `no user is called 'alice'`, or that the user
/// database did not answer.
#[must_use]
pub fn unknown(rule: &Rule, accounts: &dyn Accounts) -> Vec<String> {
    let users = names(&rule.who.users).filter_map(|name| nobody("user", name, accounts.user(name)));
    let groups = names(&rule.who.groups).filter_map(|name| nobody("group", name, accounts.group(name)));
    users.chain(groups).collect()
}

fn names(accounts: &[Account]) -> impl Iterator<Item = &str> {
    accounts.iter().filter_map(|account| match account {
        Account::Name(name) => Some(name.as_str()),
        Account::Id(_) => None,
    })
}

fn nobody(kind: &str, name: &str, found: Result<Option<u32>, AccountsDown>) -> Option<String> {
    match found {
        Ok(Some(_)) => None,
        Ok(None) => Some(format!("no {kind} is called '{}'", name.escape_debug())),
        Err(down) => Some(down.to_string()),
    }
}

struct Collector<'a> {
    eyes: PolicyReader<'a>,
    set: RuleSet,
    files: usize,
}

impl Collector<'_> {
    fn main_file(&mut self, path: &Path, dialect: Dialect) -> Result<bool, PolicyError> {
        match self.file(path, dialect, 0) {
            Ok(()) => Ok(true),
            Err(PolicyError::Untrusted(at, Untrusted::Missing)) if at == path => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn file(&mut self, path: &Path, dialect: Dialect, depth: usize) -> Result<(), PolicyError> {
        self.files += 1;
        let untrusted = |why| PolicyError::Untrusted(path.to_owned(), why);
        let text = self.eyes.read(path).map_err(untrusted)?;
        if !text.readable {
            self.set.withheld.push(path.to_owned());
        }
        let shown: Rc<str> = path.as_os_str().as_bytes().escape_ascii().to_string().into();
        let bad = |mistake: Mistake| {
            if text.readable { PolicyError::Mistake(mistake) } else { PolicyError::Withheld(mistake.place) }
        };
        for line in parse(&text.bytes, dialect, &shown).map_err(bad)? {
            match line {
                Line::Rule(rule) if rule.effect == Effect::Allow && !text.readable => {}
                Line::Rule(rule) => self.set.rules.push(rule),
                Line::Include { path: named, place } => {
                    let base = path.parent().unwrap_or(Path::new("/"));
                    self.include(&base.join(OsStr::from_bytes(&named)), dialect, depth, &place)?;
                }
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        path: &Path,
        dialect: Dialect,
        depth: usize,
        place: &Place,
    ) -> Result<(), PolicyError> {
        if depth + 1 > DEPTH_MAX {
            return Err(PolicyError::TooDeep(place.clone()));
        }
        let pattern = path.file_name().unwrap_or_default().as_bytes();
        if dialect == Dialect::Vmnet && pattern.contains(&b'*') {
            let directory = path.parent().unwrap_or(Path::new("/"));
            let found = self
                .eyes
                .list(directory, &|name| fits(pattern, name))
                .map_err(|error| PolicyError::Unlisted(place.clone(), error))?;
            return found.iter().try_for_each(|path| self.included_file(path, dialect, depth, place));
        }
        self.included_file(path, dialect, depth, place)
    }

    fn included_file(
        &mut self,
        path: &Path,
        dialect: Dialect,
        depth: usize,
        place: &Place,
    ) -> Result<(), PolicyError> {
        if self.files >= FILES_MAX {
            return Err(PolicyError::TooMany(place.clone()));
        }
        match self.file(path, dialect, depth + 1) {
            Err(PolicyError::Untrusted(at, Untrusted::Missing)) if at == path => {
                self.set.missing.push((place.clone(), path.to_owned()));
                Ok(())
            }
            // Without root there is nobody who could read it: passed over, as QEMU does.
            Err(PolicyError::Untrusted(at, Untrusted::Unreadable(error)))
                if at == path
                    && !self.eyes.have_root()
                    && error.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                self.set.withheld.push(path.to_owned());
                Ok(())
            }
            result => result,
        }
    }
}

/// Does a name fit a pattern whose `*` stand for any bytes? As in a shell, they do not stand for
/// a leading dot.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !pattern.starts_with(b".") {
        return false;
    }
    let mut parts = pattern.split(|b| *b == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&[u8]> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = find(rest, part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            ("*.conf", "a.confx", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("*", "x", true),
            ("ab*ba", "aba", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    /// root and wheel exist; whoever is called `silent` cannot be looked up.
    struct Few;

    impl Accounts for Few {
        fn user(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
            if name == "silent" {
                Err(AccountsDown { name: name.to_owned() })
            } else {
                Ok((name == "root").then_some(0))
            }
        }

        fn group(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
            Ok((name == "wheel").then_some(10))
        }
    }

    #[test]
    fn an_account_is_nobody_if_its_name_is_not_found_and_a_number_never() {
        let unknown =
            |line: &str| match parse(line.as_bytes(), Dialect::Vmnet, &"/r".into()).unwrap().remove(0) {
                Line::Rule(rule) => unknown(&rule, &Few),
                Line::Include { .. } => panic!("no rule"),
            };
        assert!(unknown("allow lab").is_empty());
        assert!(unknown("allow lab user=root,4711 group=wheel,4711").is_empty());
        let told = unknown("allow lab user=wheel,root,silent group=root");
        let down = AccountsDown { name: "silent".to_owned() }.to_string();
        assert_eq!(told, ["no user is called 'wheel'", &down, "no group is called 'root'"]);
    }
}
