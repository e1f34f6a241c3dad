use super::grammar::{Dialect, Fault, Line, parse};
use super::*;
use proptest::prelude::*;

struct Host;

impl Accounts for Host {
    fn user(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        Ok(match name {
            "alice" => Some(1000),
            "bob" => Some(1001),
            _ => None,
        })
    }
    fn group(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        match name {
            "vmusers" => Ok(Some(50)),
            "guests" => Ok(Some(60)),
            "sssd" => Err(AccountsDown { name: name.into() }),
            _ => Ok(None),
        }
    }
}

fn rules(dialect: Dialect, text: &str) -> Vec<Rule> {
    let lines = parse(text.as_bytes(), dialect, &"f".into()).unwrap();
    lines.into_iter().filter_map(|l| if let Line::Rule(r) = l { Some(r) } else { None }).collect()
}

fn ask(dialect: Dialect, text: &str, bridge: &str, uid: u32, groups: &[u32]) -> Verdict {
    let caller = Caller { uid, gid: uid, groups: groups.to_vec() };
    judge(&rules(dialect, text), &IfName::new(bridge.as_bytes()).unwrap(), &caller, &Host).unwrap()
}

fn allowed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Allowed { .. })
}

#[test]
fn qemus_rules_deny_by_default_and_deny_wins() {
    let q = |text| allowed(&ask(Dialect::Qemu, text, "br0", 1000, &[]));
    assert!(!q(""));
    assert!(q("allow br0"));
    assert!(q("allow all"));
    assert!(!q("allow br0\ndeny br0"));
    assert!(!q("deny br0\nallow br0"));
    assert!(!q("deny all\nallow br0"));
    assert!(!q("allow br1"));
}

#[test]
fn qemus_white_space_is_read_as_qemu_reads_it() {
    let q = |text| allowed(&ask(Dialect::Qemu, text, "br0", 1000, &[]));
    assert!(q("allow\tbr0"));
    assert!(q("  allow   br0  \r"));
    assert!(q("allow br0\0 rest"));
    assert!(!q("allow br0 br1"));
    assert!(!q("allow br0,br1"));
    assert!(!q("allow br0 # x"));
    assert!(!q("allow "));
    assert!(!q("# allow br0\n\n   # x"));
}

#[test]
fn a_line_that_qemu_calls_bad_is_bad_here_and_names_its_place() {
    let bad = |text: &str| parse(text.as_bytes(), Dialect::Qemu, &"f".into()).unwrap_err();
    assert_eq!(bad("\nallow").fault, Fault::Invalid("allow".into()));
    assert_eq!(bad("\nallow").to_string(), "f:2: invalid config line: 'allow'");
    assert_eq!(bad("allow\tbr0 ").fault, Fault::UnknownCommand("allow\\tbr0".into()));
    assert_eq!(bad("permit br0").fault, Fault::UnknownCommand("permit".into()));
    assert_eq!(bad("bogus 1234567890123456").fault, Fault::TooLong("1234567890123456".into(), 16));
    assert_eq!(bad("\u{feff}allow br0").fault, Fault::UnknownCommand("\\xef\\xbb\\xbfallow".into()));
    assert_eq!(bad(&format!("#{}", "x".repeat(5000))).fault, Fault::LongLine);
}

#[test]
fn limits_name_users_groups_and_ports() {
    let v = |text, uid, groups: &[u32]| ask(Dialect::Vmnet, text, "lab", uid, groups);
    assert!(allowed(&v("allow lab user=alice,bob", 1001, &[])));
    assert!(!allowed(&v("allow lab user=alice,bob", 1002, &[])));
    assert!(allowed(&v("allow lab user=1002", 1002, &[])));
    assert!(allowed(&v("allow lab group=vmusers # the team", 1002, &[7, 50])));
    assert!(!allowed(&v("allow lab group=nosuch", 1002, &[7, 50])));
    assert!(allowed(&v("allow lab user=bob group=vmusers", 1001, &[])));
    assert!(!allowed(&v("allow all\ndeny all group=guests", 1000, &[60])));
    assert!(allowed(&v("allow all\ndeny all group=guests", 1000, &[])));
}

#[test]
fn the_widest_of_several_limits_holds() {
    let Verdict::Allowed { by, ports } = ask(
        Dialect::Vmnet,
        "allow lab ports=2\nallow lab user=alice ports=8\nallow all ports=1",
        "lab",
        1000,
        &[],
    ) else {
        panic!("refused")
    };
    assert_eq!((by.line, ports), (2, Some(8)));
    let unlimited = ask(Dialect::Vmnet, "allow lab ports=2\nallow lab", "lab", 1000, &[]);
    assert_eq!(unlimited, Verdict::Allowed { by: Place { file: "f".into(), line: 2 }, ports: None });
}

#[test]
fn a_silent_user_database_refuses_rather_than_forgets_a_deny() {
    let rules = rules(Dialect::Vmnet, "allow all\ndeny all group=sssd");
    let caller = Caller { uid: 1000, gid: 1000, groups: vec![] };
    assert!(judge(&rules, &IfName::new(b"lab").unwrap(), &caller, &Host).is_err());
}

#[test]
fn our_grammar_refuses_what_it_does_not_know() {
    let bad = |text: &str| parse(text.as_bytes(), Dialect::Vmnet, &"f".into()).unwrap_err().fault;
    assert_eq!(bad("allow"), Fault::Invalid("allow".into()));
    assert_eq!(bad("include # x"), Fault::Invalid("include".into()));
    assert_eq!(bad("allow br0 br1"), Fault::UnknownLimit("br1".into()));
    assert_eq!(bad("allow br0 users=a"), Fault::UnknownLimit("users=a".into()));
    assert_eq!(bad("allow br0 user="), Fault::BadLimit("user=".into()));
    assert_eq!(bad("allow br0 user=a,,b"), Fault::BadLimit("user=a,,b".into()));
    assert_eq!(bad("allow br0 user=4294967295"), Fault::BadLimit("user=4294967295".into()));
    assert_eq!(bad("allow br0 ports=0"), Fault::BadLimit("ports=0".into()));
    assert_eq!(bad("deny br0 ports=3"), Fault::BadLimit("ports=3".into()));
    assert_eq!(bad("allow br0/with/long/name"), Fault::TooLong("br0/with/long/name".into(), 18));
}

#[test]
fn a_long_network_is_allowed_by_its_name() {
    let name = "a-rather-long-project-name";
    let bridge = crate::name::NetName::new(name).unwrap().bridge().to_string();
    assert!(allowed(&ask(Dialect::Vmnet, &format!("allow {name}"), &bridge, 1000, &[])));
}

#[test]
fn rules_that_can_never_match_are_remarked_on() {
    let remarks = |text: &str| rules(Dialect::Qemu, text).iter().filter(|r| r.remark().is_some()).count();
    assert_eq!(remarks("allow br0\nallow all\ndeny br1"), 0);
    assert_eq!(remarks("allow br0 br1\nallow br0 # x\nallow br0,br1\nallow "), 4);
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_fall_over(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        for dialect in [Dialect::Qemu, Dialect::Vmnet] {
            if let Ok(lines) = parse(&text, dialect, &"f".into()) {
                let count = text.split(|b| *b == b'\n').count();
                prop_assert!(lines.len() <= count);
            }
        }
    }

    #[test]
    fn adding_a_deny_never_lets_anyone_in(
        words in proptest::collection::vec("(allow|deny) (br0|br1|all)", 0..6),
        extra in "deny (br0|br1|all)",
    ) {
        let before = words.join("\n");
        let after = format!("{before}\n{extra}");
        let was = allowed(&ask(Dialect::Qemu, &before, "br0", 1000, &[]));
        let is = allowed(&ask(Dialect::Qemu, &after, "br0", 1000, &[]));
        prop_assert!(was || !is);
    }

    #[test]
    fn both_grammars_agree_on_qemus_plain_lines(
        lines in proptest::collection::vec("(allow|deny) (br0|br1|all)|# x|", 0..8),
    ) {
        let text = lines.join("\n");
        prop_assert_eq!(
            ask(Dialect::Qemu, &text, "br0", 1000, &[]),
            ask(Dialect::Vmnet, &text, "br0", 1000, &[])
        );
    }
}
