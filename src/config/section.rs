//! One table of the file: takes keys out of it one by one and notes each fault with its place, so
//! that reading goes on after a mistake.

use crate::keys::Keys;
use crate::mistake::{Fault, Found};
use crate::values::{kind, must_be, section};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What became of one key.
pub(crate) enum Entry<T> {
    /// The file does not have it.
    Absent,
    /// The file has it, with a fault that is already noted.
    Wrong,
    /// Its value, and the byte where that begins.
    Given(T, usize),
}

impl<T> Entry<T> {
    /// The value, if there is a good one.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Given(value, _) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// The value and its place, if there is a good one.
    pub(crate) fn given(&self) -> Option<(&T, usize)> {
        match self {
            Self::Given(value, at) => Some((value, *at)),
            Self::Absent | Self::Wrong => None,
        }
    }

    pub(crate) fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong)
    }
}

/// How one value is read: its key, for messages, and the value.
type Read<T> = fn(&str, &DeValue<'_>) -> Result<T, Fault>;

/// One table, perhaps one that the file does not have.
pub(crate) struct Section<'a, 't> {
    keys: Keys,
    table: Option<&'a DeTable<'t>>,
}

impl<'a, 't> Section<'a, 't> {
    /// The table itself; its unknown keys are noted at once.
    pub(crate) fn new(keys: Keys, table: Option<&'a DeTable<'t>>, found: &mut Vec<Found>) -> Self {
        for (key, _) in table.into_iter().flatten() {
            if !keys.known.contains(&key.get_ref().as_ref()) {
                found.push((key.span().start, keys.stranger(key.get_ref())));
            }
        }
        Self { keys, table }
    }

    /// The table `keys.section` inside this one.
    pub(crate) fn inner(&self, keys: Keys, found: &mut Vec<Found>) -> Self {
        let table = self.get(keys.section).and_then(|value| {
            section(keys.section, value.get_ref())
                .map_err(|fault| found.push((value.span().start, fault)))
                .ok()
        });
        Self::new(keys, table, found)
    }

    /// One value.
    pub(crate) fn one<T>(&self, key: &str, read: Read<T>, found: &mut Vec<Found>) -> Entry<T> {
        let Some(value) = self.get(key) else { return Entry::Absent };
        let at = value.span().start;
        match read(&self.full(key), value.get_ref()) {
            Ok(value) => Entry::Given(value, at),
            Err(fault) => {
                found.push((at, fault));
                Entry::Wrong
            }
        }
    }

    /// A list of texts, each with its own faults.
    pub(crate) fn list<T>(&self, key: &str, read: Read<T>, found: &mut Vec<Found>) -> Entry<Vec<T>> {
        let Some(value) = self.get(key) else { return Entry::Absent };
        let at = value.span().start;
        let name = self.full(key);
        let DeValue::Array(items) = value.get_ref() else {
            found.push((at, must_be(&name, "a list", value.get_ref()).hint("put it in [ ]")));
            return Entry::Wrong;
        };
        let before = found.len();
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let item_value = item.get_ref();
            if !item_value.is_str() {
                let fault = Fault::new(format!("each of '{name}' must be text, not {}", kind(item_value)));
                found.push((item.span().start, fault));
                continue;
            }
            match read(&name, item_value) {
                Ok(value) => values.push(value),
                Err(fault) => found.push((item.span().start, fault)),
            }
        }
        if found.len() == before { Entry::Given(values, at) } else { Entry::Wrong }
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.table?.get(key)
    }

    /// The key with its section, as messages name it.
    fn full(&self, key: &str) -> String {
        if self.keys.section.is_empty() { key.to_owned() } else { format!("{}.{key}", self.keys.section) }
    }
}
