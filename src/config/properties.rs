//! Properties over generated files: whatever the text, reading ends with places that are in it; and
//! whatever the network, writing it down and reading it again gives the same one.

use crate::generated::{lab, networks};
use crate::read;
use crate::written::written;
use proptest::collection::vec;
use proptest::prelude::*;

/// Words and signs of a network's file, and noise.
const WORDS: &[&str] = &[
    "mode",
    "subnet",
    "address",
    "mac",
    "mtu",
    "range",
    "options",
    "upstream",
    "domain",
    "lease_time",
    "forward",
    "host",
    "link",
    "limits",
    "name",
    "listen",
    "to",
    "ports",
    "subnet6",
    "idle",
    "mtuu",
    "source",
    "uplink",
    "vde",
    "socket",
    "create",
    "group",
    "hub",
    "dhcp",
    "dns",
    "nat",
    "=",
    " = ",
    "\n",
    "\n",
    "\r\n",
    "[",
    "]",
    "[[",
    "]]",
    ".",
    ",",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "#",
    "\"nat\"",
    "nat",
    "true",
    "yes",
    "1500",
    "-1",
    "0xff",
    "1e9",
    "99999999999999999999999",
    "10.0.1.0/24",
    "\"10.0.1.0/24\"",
    "\"10.0.1.1\"",
    "1979-05-27",
    "\"1h\"",
    "\"web:80\"",
    "\"vde\"",
    "\"/run/vde\"",
    "\"0660\"",
    "\"fd00::1/48\"",
    "\"0x1mbit\"",
    "\\",
    "\u{feff}",
    "é",
    "\u{202e}",
    "\0",
    "\x1b",
    "\t",
];

/// Text that is nearly a network's file: its words in any order, and noise.
fn nearly_a_file() -> impl Strategy<Value = String> {
    prop_oneof![
        vec(prop::sample::select(WORDS), 0..40).prop_map(|words| words.concat()),
        any::<String>(),
        "(\\PC|[\n\r\t=\"'\\[\\]#])*",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_the_text_each_mistake_lies_in_it_and_is_one_clean_line(text in nearly_a_file()) {
        let lines: Vec<_> = text.split('\n').collect();
        let mistakes = read(lab(), "f", &text).err();
        prop_assert!(mistakes.as_ref().is_none_or(|m| !m.is_empty()));
        let mut before = (0, 0);
        for mistake in mistakes.into_iter().flatten() {
            prop_assert!((1..=lines.len()).contains(&mistake.line), "{}", mistake);
            let width = lines[mistake.line - 1].chars().count();
            prop_assert!((1..=width + 1).contains(&mistake.column), "{}", mistake);
            prop_assert!(before <= (mistake.line, mistake.column), "out of order: {}", mistake);
            before = (mistake.line, mistake.column);
            let printed = format!("{mistake}{}", mistake.hint.as_deref().unwrap_or_default());
            prop_assert!(!printed.contains(|c: char| c.is_control() || c == '\u{202e}'), "{:?}", printed);
        }
    }
}

#[test]
fn a_long_hostile_file_is_answered_too() {
    let hostile = [
        "a=\n",
        "[x]\n",
        "[[host]]\n",
        "[[host]]\nname='a'\n",
        "[[forward]]\nlisten=1\nto='a'\n",
        "[[link]]\nfrom='a'\nto='b'\nalias='c'\n",
        "[[host]]\naddress='10.9.9.9'\n",
        "[",
        "{",
        "\"\n",
        "x=[1.1,",
        "a.",
        "mtu = 1 1\n",
        "1.1.1,",
        " [x]\n",
        "k",
    ];
    for text in hostile.map(|piece| piece.repeat(65536 / piece.len())) {
        for start in ["", "x = ["] {
            assert!(read(lab(), "f", &format!("{start}{text}")).is_err());
        }
    }
}

proptest! {
    #[test]
    fn a_network_written_down_reads_back_as_the_same(network in networks()) {
        let text = written(&network);
        prop_assert_eq!(read(lab(), "f", &text), Ok(network), "{}", text);
    }
}
