//! The man page vmnet.toml(5) against the parser: it knows the same keys, and what it shows can be typed.

use crate::keys::TOP;
use crate::read;
use crate::schema::objections;
use toml::de::{DeTable, DeValue};
use vmnet_access::name::NetName;

const PAGE: &str = include_str!("../../man/vmnet.toml.5");

/// Every literal block of the page: each is a whole file.
fn examples() -> Vec<&'static str> {
    let blocks = PAGE.split(".Bd -literal").skip(1);
    blocks.map(|block| block.split_once('\n').unwrap().1.split(".Ed").next().unwrap()).collect()
}

/// The keys that are described, each with the section it stands in.
fn described() -> Vec<(&'static str, &'static str)> {
    let mut section = "";
    let mut keys = Vec::new();
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix(".Ss ") {
            section = heading.trim_matches(['[', ']']);
        }
        let item = line.strip_prefix(".It Cm ").and_then(|rest| rest.split_once(" No = "));
        keys.extend(item.map(|(key, _)| (section, key)));
    }
    keys
}

/// Every key that a table and those in it have.
fn given(section: &str, table: &DeTable<'_>, all: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let key = key.get_ref().to_string();
        match value.get_ref() {
            DeValue::Table(table) => given(&key, table, all),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                items.iter().filter_map(|item| item.get_ref().as_table()).for_each(|t| given(&key, t, all));
            }
            _ => all.push((section.to_owned(), key)),
        }
    }
}

#[test]
fn every_example_of_the_page_is_a_good_file() {
    assert!(examples().len() > 20);
    let name = NetName::new("example").unwrap();
    for example in examples() {
        assert_eq!(read(name.clone(), "vmnet.toml.5", example).err(), None, "{example}");
        assert_eq!(objections(example), [""; 0], "{example}");
    }
}

#[test]
fn every_key_is_described_once_and_shown_in_an_example() {
    let mut known = Vec::new();
    for table in TOP.tables() {
        let plain = table.known.iter().filter(|key| key.form.table().is_none());
        known.extend(plain.map(|key| (table.section, key.name)));
    }
    known.sort_unstable();
    let mut described = described();
    described.sort_unstable();
    assert_eq!(described, known);
    let mut shown = Vec::new();
    for example in examples() {
        given("", DeTable::parse(example).unwrap().get_ref(), &mut shown);
    }
    for (section, key) in known {
        assert!(shown.contains(&(section.to_owned(), key.to_owned())), "no example shows {section} {key}");
    }
}
