//! The rules held against what they mean, over all that can be written.

use super::grammar::{Dialect, Fault, LINE_MAX, Line, Mistake, parse};
use super::*;
use proptest::prelude::*;

const BRIDGES: [&str; 3] = ["br0", "br1", "all"];
const USERS: [(&str, u32); 3] = [("alice", 1), ("bob", 2), ("3", 3)];
const GROUPS: [(&str, u32); 3] = [("staff", 11), ("vm", 12), ("13", 13)];

struct Host;

impl Accounts for Host {
    fn user(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        Ok(USERS.iter().find(|(known, _)| *known == name).map(|(_, uid)| *uid))
    }
    fn group(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        Ok(GROUPS.iter().find(|(known, _)| *known == name).map(|(_, gid)| *gid))
    }
}

/// One that never answers.
struct Silent;

impl Accounts for Silent {
    fn user(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        Err(AccountsDown { name: name.to_owned() })
    }
    fn group(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        Err(AccountsDown { name: name.to_owned() })
    }
}

/// A rule as somebody means it: indices into the tables above.
#[derive(Clone, Debug)]
struct Meant {
    allows: bool,
    bridge: usize,
    users: Vec<usize>,
    groups: Vec<usize>,
    ports: Option<u32>,
}

impl Meant {
    /// As our grammar has it; `gap` stands between words.
    fn written(&self, gap: &str) -> String {
        let list = |key: &str, names: &[(&str, u32)], chosen: &[usize]| {
            let names: Vec<&str> = chosen.iter().map(|at| names[*at].0).collect();
            if names.is_empty() { String::new() } else { format!("{gap}{key}={}", names.join(",")) }
        };
        let ports = self.ports.map(|ports| format!("{gap}ports={ports}")).unwrap_or_default();
        let word = if self.allows { "allow" } else { "deny" };
        let (users, groups) = (list("user", &USERS, &self.users), list("group", &GROUPS, &self.groups));
        format!("{word}{gap}{}{users}{ports}{groups}", BRIDGES[self.bridge])
    }

    fn holds(&self, bridge: &str, caller: &Caller) -> bool {
        let is_one = self.users.iter().any(|at| USERS[*at].1 == caller.uid);
        let of = |gid: u32| caller.gid == gid || caller.groups.contains(&gid);
        let is_in = self.groups.iter().any(|at| of(GROUPS[*at].1));
        let everybody = self.users.is_empty() && self.groups.is_empty();
        ["all", bridge].contains(&BRIDGES[self.bridge]) && (everybody || is_one || is_in)
    }
}

fn meant() -> impl Strategy<Value = Meant> {
    let some = || proptest::collection::vec(0usize..3, 0..3);
    (prop::bool::weighted(0.8), 0usize..3, some(), some(), proptest::option::of(1u32..5)).prop_map(
        |(allows, bridge, users, groups, ports)| Meant {
            allows,
            bridge,
            users,
            groups,
            ports: ports.filter(|_| allows),
        },
    )
}

fn place(line: usize) -> Place {
    Place { file: "f".into(), line }
}

fn read(text: &[u8], dialect: Dialect) -> Result<Vec<Line>, Mistake> {
    parse(text, dialect, &"f".into())
}

fn rules(text: &str) -> Vec<Rule> {
    let rule = |line| if let Line::Rule(rule) = line { rule } else { panic!("{line:?}") };
    read(text.as_bytes(), Dialect::Vmnet).unwrap().into_iter().map(rule).collect()
}

proptest! {
    #[test]
    fn any_deny_wins_else_the_widest_allow_else_nobody_is_let_in(
        all in proptest::collection::vec(meant(), 0..6),
        uid in 0u32..4, gid in 10u32..14, groups in proptest::collection::vec(10u32..14, 0..3),
    ) {
        let text: Vec<String> = all.iter().map(|rule| rule.written("  ")).collect();
        let caller = Caller { uid, gid, groups };
        let verdict = judge(&rules(&text.join("\n")), &IfName::new(b"br0").unwrap(), &caller, &Host).unwrap();
        let held: Vec<(usize, &Meant)> =
            (1..).zip(&all).filter(|(_, rule)| rule.holds("br0", &caller)).collect();
        let denies = held.iter().find(|(_, rule)| !rule.allows);
        // Without a number there is no limit, so that is wider than any.
        let unlimited = held.iter().find(|(_, rule)| rule.ports.is_none());
        let most = held.iter().filter_map(|(_, rule)| rule.ports).max();
        let widest = unlimited.or_else(|| held.iter().find(|(_, rule)| rule.ports == most));
        prop_assert_eq!(verdict, match (denies, widest) {
            (Some((line, _)), _) => Verdict::Refused { by: Some(place(*line)) },
            (None, Some((line, rule))) => Verdict::Allowed { by: place(*line), ports: rule.ports },
            (None, None) => Verdict::Refused { by: None },
        });
    }

    #[test]
    fn white_space_and_comments_between_words_mean_nothing(
        rule in meant(), gap in "[ \t\r\x0c]{1,3}", before in "[ \t]{0,2}", after in "[ \t\r]{0,2}(#[ -~]*)?",
    ) {
        let plain = rules(&rule.written(" "));
        prop_assert_eq!(rules(&format!("{before}{}{after}", rule.written(&gap))), plain);
    }

    #[test]
    fn a_rule_of_qemus_is_one_word_and_one_name(
        allows: bool, name in "[a-z0-9.,#=-]{1,15}", before in "[ \t]{0,2}", after in "[ \t\r]{0,2}",
    ) {
        let word = if allows { "allow" } else { "deny" };
        let lines = read(format!("{before}{word} {name}{after}").as_bytes(), Dialect::Qemu).unwrap();
        let effect = if allows { Effect::Allow } else { Effect::Deny };
        let bridges = if name == "all" { Bridges::All } else { Bridges::Named(name.into_bytes()) };
        let rule = Rule { effect, bridges, who: Who::default(), ports: None, place: place(1) };
        prop_assert_eq!(lines, [Line::Rule(rule)]);
    }
}

#[test]
fn an_include_names_a_path_of_any_length_and_its_place() {
    let long = format!("dir with spaces/{}", "x".repeat(40));
    for dialect in [Dialect::Qemu, Dialect::Vmnet] {
        let lines = read(format!("\n include  {long} \n").as_bytes(), dialect).unwrap();
        assert_eq!(lines, [Line::Include { path: long.clone().into_bytes(), place: place(2) }]);
    }
}

#[test]
fn the_longest_line_and_the_longest_name_are_taken_and_no_longer_one() {
    for dialect in [Dialect::Qemu, Dialect::Vmnet] {
        let comment = |length: usize| format!("#{}", "x".repeat(length - 1));
        assert_eq!(read(comment(LINE_MAX).as_bytes(), dialect), Ok(vec![]));
        let fault = read(comment(LINE_MAX + 1).as_bytes(), dialect).unwrap_err().fault;
        assert_eq!(fault, Fault::LongLine);
        assert!(read(b"allow br0456789012345", dialect).is_ok());
        // A network's name, which ours takes, has no comma.
        let long = "br0456789012345,";
        let fault = read(format!("allow {long}").as_bytes(), dialect).unwrap_err().fault;
        assert_eq!(fault, Fault::TooLong(long.to_owned(), 16));
    }
}

#[test]
fn an_account_is_a_number_or_a_printable_name() {
    let user = |name: &str| rules(&format!("allow lab user={name}"))[0].who.users.clone();
    assert_eq!(user("0"), [Account::Id(0)]);
    assert_eq!(user("4294967294"), [Account::Id(u32::MAX - 1)]);
    for name in ["+5", "1a", "\u{c0}da", "a.b$"] {
        assert_eq!(user(name), [Account::Name(name.to_owned())], "{name}");
    }
    for bad in ["user=a\u{1}", "user=\u{7f}", "group=", "ports=+1", "ports=", "ports=4294967296"] {
        let fault = read(format!("allow lab {bad}").as_bytes(), Dialect::Vmnet).unwrap_err().fault;
        assert_eq!(fault, Fault::BadLimit(bad.as_bytes().escape_ascii().to_string()));
    }
}

#[test]
fn a_limit_on_ports_is_given_once_and_accounts_add_up() {
    let rule = &rules("allow lab user=a group=g user=b,7 group=8 ports=4294967295")[0];
    let name = |name: &str| Account::Name(name.to_owned());
    assert_eq!(rule.who.users, [name("a"), name("b"), Account::Id(7)]);
    assert_eq!((rule.who.groups.as_slice(), rule.ports), (&[name("g"), Account::Id(8)][..], Some(u32::MAX)));
    let twice = read(b"allow lab ports=1 ports=2", Dialect::Vmnet).unwrap_err().fault;
    assert_eq!(twice, Fault::BadLimit("ports=2".to_owned()));
}

#[test]
fn only_a_rule_that_could_decide_asks_the_user_database() {
    let verdict = |text: &str, uid| {
        let caller = Caller { uid, gid: 50, groups: vec![] };
        judge(&rules(text), &IfName::new(b"lab").unwrap(), &caller, &Silent)
    };
    let down = |name: &str| Err(AccountsDown { name: name.to_owned() });
    assert_eq!(verdict("allow lab user=alice", 7), down("alice"));
    assert_eq!(verdict("allow lab group=staff", 7), down("staff"));
    let allowed = Ok(Verdict::Allowed { by: place(2), ports: None });
    assert_eq!(verdict("allow br0 user=alice\nallow lab group=50", 7), allowed);
    assert_eq!(verdict("\nallow lab user=7,alice", 7), allowed);
    assert_eq!(verdict("deny lab\nallow lab user=alice", 7), Ok(Verdict::Refused { by: Some(place(1)) }));
}

#[test]
fn what_is_wrong_is_said_with_the_words_that_stand_there() {
    let qemu = |text: &str| read(text.as_bytes(), Dialect::Qemu).unwrap_err().to_string();
    let ours = |text: &str| read(text.as_bytes(), Dialect::Vmnet).unwrap_err().to_string();
    assert_eq!(qemu("allow br0\nallow"), "f:2: invalid config line: 'allow'");
    assert_eq!(ours("permit br0"), "f:1: unknown command 'permit'; it is allow, deny or include");
    assert_eq!(qemu("allow 1234567890123456"), "f:1: name '1234567890123456' too long: 16");
    assert_eq!(ours(&"#".repeat(4095)), "f:1: line longer than 4094 bytes");
    assert_eq!(
        ours("deny lab uid=5"),
        "f:1: unknown word 'uid=5'; behind the name stand user=, group= or ports="
    );
    assert_eq!(ours("\n\ndeny lab ports=5"), "f:3: bad value in 'ports=5'");
    let down = AccountsDown { name: "alice".to_owned() };
    assert_eq!(down.to_string(), "cannot look up account 'alice': the user database does not answer");
}

#[test]
fn a_rule_that_can_never_match_says_why() {
    let remark = |name: &[u8]| {
        let bridges = Bridges::Named(name.to_vec());
        Rule { effect: Effect::Allow, bridges, who: Who::default(), ports: None, place: place(1) }.remark()
    };
    assert_eq!(remark(b"br0"), None);
    assert_eq!(remark(b"br#0"), None, "a name like any other");
    assert_eq!(remark(b"a,b").unwrap(), "'a,b' is taken as one name; write one rule a line");
    let comment = "'br0 # x' is taken as the name; a comment needs a line of its own in this file";
    assert_eq!(remark(b"br0 # x").unwrap(), comment);
    assert_eq!(
        remark(b"br0 br1").unwrap(),
        "no bridge can be called 'br0 br1' (' ' may not be in a name); one name a line"
    );
}
