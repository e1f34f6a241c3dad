//! The grammar of QEMU's access file: what both helpers make of the same text, case by case, and over
//! some hundreds of generated files.

use rig::helper::Verdict::{self, Allowed, Broken, Denied};
use rig::helper::{Helper, each};
use rig::house::House;

const RULES: &str = "/etc/qemu/bridge.conf";

/// A house where the verdict comes quickly: no TAP can be made.
fn quick(house: &House) {
    house.remove_tun();
    house.sh("for i in $(seq 2 5); do ip link add br$i type bridge; done");
}

/// Main files that both helpers read alike: what they are about, their text, the verdict on br0.
const ALIKE: &[(&str, &[u8], Verdict)] = &[
    ("nothing at all", b"", Denied),
    ("only comments", b"# allow br0\n  # allow all\n\n \t\r\n", Denied),
    ("an allow", b"allow br0\n", Allowed),
    ("no newline at the end", b"allow br0", Allowed),
    ("another bridge", b"allow br1\n", Denied),
    ("all", b"allow all\n", Allowed),
    ("a deny after an allow", b"allow br0\ndeny br0\n", Denied),
    ("a deny before an allow", b"deny br0\nallow br0\n", Denied),
    ("deny all and allow one", b"deny all\nallow br0\n", Denied),
    ("deny another", b"allow all\ndeny br1\n", Allowed),
    ("case of the name", b"allow BR0\n", Denied),
    ("case of the command", b"Allow br0\n", Broken),
    ("a prefix is not the name", b"allow br\n", Denied),
    ("the name is not a prefix", b"allow br00\n", Denied),
    ("a glob", b"allow br*\n", Denied),
    ("a trailing comment is part of the name", b"allow br0 # x\n", Denied),
    ("two names are one", b"allow br0 br1\n", Denied),
    ("a comma is part of the name", b"allow br0,br1\n", Denied),
    ("blanks around", b"  \t allow   \t br0 \t \n", Allowed),
    ("a carriage return", b"allow br0\r\n", Allowed),
    ("a form feed", b"\x0callow br0\x0c\n", Allowed),
    ("a vertical tab is no blank", b"allow br0\x0b\n", Denied),
    ("a vertical tab in front", b"\x0ballow br0\n", Broken),
    ("a tab between", b"allow\tbr0\n", Allowed),
    ("a tab between and a blank behind", b"allow\tbr0 \n", Broken),
    ("a blank, then a tab", b"allow \tbr0\n", Allowed),
    ("a word alone", b"allow\n", Broken),
    ("a word and blanks", b"allow  \n", Denied),
    ("a word alone behind a good line", b"allow br0\nallow\n", Broken),
    ("an unknown command", b"allow br0\npermit br0\n", Broken),
    ("a byte order mark", b"\xef\xbb\xbfallow br0\n", Broken),
    ("15 bytes", b"allow br0\nallow 123456789012345\n", Allowed),
    ("16 bytes", b"allow br0\nallow 1234567890123456\n", Broken),
    ("16 bytes denied", b"allow br0\ndeny 1234567890123456\n", Broken),
    ("16 bytes in a comment", b"allow br0\n# 1234567890123456\n", Allowed),
    ("16 bytes behind an unknown command", b"permit 1234567890123456\n", Broken),
    ("what follows a NUL does not count", b"allow br0\0 junk\nallow br1\n", Allowed),
    ("a NUL in front", b"\0deny br0\nallow br0\n", Allowed),
    ("bytes that are not UTF-8", b"allow br0\nallow \xff\xfe\n", Allowed),
    ("an include that is missing", b"allow br0\ninclude /etc/qemu/missing.conf\n", Allowed),
    ("an include of one rule", b"include /etc/qemu/allows.conf\n", Allowed),
    ("an included deny", b"include /etc/qemu/denies.conf\nallow br0\n", Denied),
    ("blanks around an include", b"include  \t/etc/qemu/allows.conf \r\n", Allowed),
    ("an include by a long path", b"include /etc/qemu/../qemu/../qemu/allows.conf\n", Allowed),
    ("no blanks behind include", b"include\n", Broken),
    ("a long comment within the limit", LONG_COMMENT, Allowed),
];

const LONG_COMMENT: &[u8] = &{
    let mut text = [b'#'; 4094 + 11];
    let rule = b"\nallow br0\n";
    let mut at = 0;
    while at < rule.len() {
        text[4094 + at] = rule[at];
        at += 1;
    }
    text
};

#[test]
fn both_read_a_main_file_alike() {
    each("both_read_a_main_file_alike", |helper, house| {
        quick(house);
        house.write_file("/etc/qemu/allows.conf", "allow br0\n");
        house.write_file("/etc/qemu/denies.conf", "deny br0\n");
        for (what, text, expected) in ALIKE {
            house.write_file(RULES, text);
            assert_eq!(
                house.verdict(helper, "br0"),
                *expected,
                "{helper:?}: {what}: {}",
                text.escape_ascii()
            );
        }
    });
}

#[test]
fn a_mistake_names_its_file_and_line_in_ours() {
    each("a_mistake_names_its_file_and_line_in_ours", |helper, house| {
        house.write_file(RULES, "allow br0\n\npermit br0\n");
        let caught = house.catch("alice", &[helper.path(), "--br=br0", "--fd={fd}"]);
        let words = caught.refusal();
        assert!(words.contains("permit"), "{words}");
        assert_eq!(words.contains("/etc/qemu/bridge.conf:3"), helper == Helper::Ours, "{words}");
        if helper == Helper::Ours {
            house.write_file(RULES, "allow all\ndeny br0\n");
            let caught = house.catch("alice", &[helper.path(), "--br=br0", "--fd={fd}"]);
            assert!(caught.refusal().contains("/etc/qemu/bridge.conf:2"), "{}", caught.refusal());
        }
    });
}

/// A small generator of numbers (xorshift64*): the same files on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).expect("an index")]
    }
}

/// One host's rule files.
struct Files {
    main: String,
    included: [String; 3],
    /// A bad line stands in an included file that is read: QEMU goes on, ours must not.
    bad_include: bool,
}

const NAMES: [&str; 14] = [
    "br0", "br0", "br0", "br1", "br2", "all", "br", "br00", "BR0", "br0 br1", "br0 # x", "br0,br1", "tap0",
    "",
];
const COMMANDS: [&str; 10] =
    ["allow", "allow", "allow", "allow", "allow", "deny", "include", "include", "include", "include"];
const GAPS: [&str; 8] = [" ", " ", " ", " ", "  ", "\t", " \t", "\t "];
const FRONTS: [&str; 8] = ["", "", "", "", "", " ", "\t", "\u{c}"];
const ENDS: [&str; 8] = ["\n", "\n", "\n", "\n", "\r\n", " \n", "\t\n", "\n\n"];
const ODD: [&str; 12] = [
    "# allow br0\n",
    "#\n",
    "\n",
    " \t\n",
    "allow\n",
    "permit br0\n",
    "deny br0\0x\n",
    "\0allow br0\n",
    "allow 1234567890123456\n",
    "deny 123456789012345\n",
    "\u{feff}allow br0\n",
    "\u{b}deny br0\n",
];

fn line(dice: &mut Dice, deeper: &[&str]) -> String {
    if dice.below(12) == 0 {
        return dice.pick(&ODD).to_owned();
    }
    let command = dice.pick(&COMMANDS);
    let argument = match command {
        "include" if deeper.is_empty() => "/etc/qemu/missing.conf",
        "include" => dice.pick(deeper),
        _ => dice.pick(&NAMES),
    };
    let (front, gap, end) = (dice.pick(&FRONTS), dice.pick(&GAPS), dice.pick(&ENDS));
    format!("{front}{command}{gap}{argument}{end}")
}

fn files(seed: u64) -> Files {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut text = |deeper: &[&str]| (0..dice.below(6)).map(|_| line(&mut dice, deeper)).collect::<String>();
    let main = text(&["/etc/qemu/0.conf", "/etc/qemu/1.conf", "/etc/qemu/missing.conf"]);
    let included = [text(&["/etc/qemu/1.conf", "/etc/qemu/2.conf"]), text(&["/etc/qemu/2.conf"]), text(&[])];
    let bad_include = reads_a_bad_include(&main, &included);
    Files { main, included, bad_include }
}

/// Whether QEMU's way of reading meets a bad line below the main file, before one in it.
fn reads_a_bad_include(text: &str, included: &[String; 3]) -> bool {
    for line in text.split('\n') {
        let line = line.split('\0').next().unwrap_or_default();
        let line = line.trim_start_matches([' ', '\t', '\r', '\u{c}']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if is_bad(line) {
            return false;
        }
        let place = line.find("/etc/qemu/").and_then(|at| line.get(at + 10..at + 11));
        let file = place.and_then(|digit| digit.parse::<usize>().ok()).and_then(|n| included.get(n));
        if file.is_some_and(|file| file.split('\n').any(is_bad_line) || reads_a_bad_include(file, included)) {
            return true;
        }
    }
    false
}

fn is_bad_line(line: &str) -> bool {
    let line = line.split('\0').next().unwrap_or_default();
    let line = line.trim_start_matches([' ', '\t', '\r', '\u{c}']);
    !line.is_empty() && !line.starts_with('#') && is_bad(line)
}

fn is_bad(line: &str) -> bool {
    let split = line.split_once(' ').or_else(|| line.split_once('\t'));
    let Some((command, argument)) = split else { return true };
    let argument = argument.trim_matches([' ', '\t', '\r', '\u{c}']);
    !["allow", "deny", "include"].contains(&command) || (command != "include" && argument.len() > 15)
}

#[test]
fn both_come_to_the_same_verdict_on_generated_files() {
    let mut helpers = Helper::all("both_come_to_the_same_verdict_on_generated_files");
    helpers.sort_by_key(|helper| *helper == Helper::Ours);
    let houses: Vec<(Helper, House)> = helpers.into_iter().map(|helper| (helper, helper.house())).collect();
    houses.iter().for_each(|(_, house)| quick(house));
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..400 {
        let files = files(seed);
        let verdicts: Vec<Verdict> = houses
            .iter()
            .map(|(helper, house)| {
                for (number, text) in files.included.iter().enumerate() {
                    house.write_file(&format!("/etc/qemu/{number}.conf"), text);
                }
                house.write_file(RULES, &files.main);
                house.verdict(*helper, "br0")
            })
            .collect();
        let told = format!("seed {seed}: main {:?}, included {:?}", files.main, files.included);
        for ((helper, _), verdict) in houses.iter().zip(&verdicts) {
            let qemus = verdicts[0];
            let expected =
                if files.bad_include { helper.differs("bad include", qemus, Broken) } else { qemus };
            assert_eq!(*verdict, expected, "{helper:?} (QEMU: {qemus:?}), {told}");
        }
        *seen.entry(format!("{:?}", verdicts[0])).or_insert(0) += 1;
        *seen.entry(format!("bad include: {}", files.bad_include)).or_insert(0) += 1;
    }
    println!("{seen:?}");
    assert!(seen.len() >= 5 && seen.values().all(|count| *count >= 20), "too much alike: {seen:?}");
}
