//! One table of the file: takes keys out of it one by one and notes each fault with its place, so
//! that reading goes on after a mistake.

use crate::keys::Keys;
use crate::mistake::{Fault, Found};
use crate::nearest::nearest;
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

impl<T> Entry<Vec<Placed<T>>> {
    /// Each item of a good list, and its place.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Placed<T>> {
        self.given().into_iter().flat_map(|(items, _)| items)
    }

    /// The items of a good list.
    pub(crate) fn values(self) -> Option<Vec<T>> {
        Some(self.value()?.into_iter().map(|(item, _)| item).collect())
    }
}

/// A value out of a list, and the byte where it begins.
pub(crate) type Placed<T> = (T, usize);

/// How one value is read: its key, for messages, and the value.
type Read<T> = fn(&str, &DeValue<'_>) -> Result<T, Fault>;

/// One table, perhaps one that the file does not have.
pub(crate) struct Section<'a, 't> {
    keys: &'static Keys,
    table: Option<&'a DeTable<'t>>,
}

impl<'a, 't> Section<'a, 't> {
    /// The table itself; its unknown keys are noted at once.
    pub(crate) fn new(keys: &'static Keys, table: Option<&'a DeTable<'t>>, found: &mut Vec<Found>) -> Self {
        for (key, _) in table.into_iter().flatten() {
            if !keys.known.iter().any(|known| known.name == key.get_ref().as_ref()) {
                found.push((key.span().start, keys.stranger(key.get_ref())));
            }
        }
        Self { keys, table }
    }

    /// The table `keys.section` inside this one.
    pub(crate) fn inner(&self, keys: &'static Keys, found: &mut Vec<Found>) -> Self {
        let table = self.get(keys.section).and_then(|value| {
            section(keys.section, value.get_ref())
                .map_err(|fault| found.push((value.span().start, fault)))
                .ok()
        });
        Self::new(keys, table, found)
    }

    /// Every table of the list `keys.section` inside this one, and the byte where each begins. What one
    /// needs and does not have is noted.
    pub(crate) fn each(&self, keys: &'static Keys, found: &mut Vec<Found>) -> Vec<Placed<Self>> {
        let name = keys.section;
        let Some(value) = self.get(name) else { return Vec::new() };
        let form = format!("write [[{name}]] on a line of its own, its keys below it, as often as needed");
        let DeValue::Array(items) = value.get_ref() else {
            let fault = Fault::new(match value.get_ref() {
                DeValue::Table(_) => format!("there may be several of '{name}', each with double brackets"),
                value => format!("'{name}' must be a list of sections, not {}", kind(value)),
            });
            found.push((value.span().start, fault.hint(form)));
            return Vec::new();
        };
        let mut sections = Vec::with_capacity(items.len());
        for item in items {
            let at = item.span().start;
            match item.get_ref() {
                DeValue::Table(table) => {
                    let section = Self::new(keys, Some(table), found);
                    section.note_missing(at, found);
                    sections.push((section, at));
                }
                other => {
                    let fault = format!("each of '{name}' must be a section, not {}", kind(other));
                    found.push((at, Fault::new(fault).hint(form.clone())));
                }
            }
        }
        sections
    }

    /// Note each key that must be there and is not, not even misspelt.
    fn note_missing(&self, at: usize, found: &mut Vec<Found>) {
        let names = self.keys.names();
        for missing in self.keys.needed.iter().filter(|key| self.get(key).is_none()) {
            let is_it = |key: &str| !names.contains(&key) && nearest(key, &names) == Some(*missing);
            if !self.table.into_iter().flatten().any(|(key, _)| is_it(key.get_ref())) {
                found.push((at, Fault::new(format!("{} lacks '{missing}'", self.keys.heading()))));
            }
        }
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
    pub(crate) fn list<T>(&self, key: &str, read: Read<T>, found: &mut Vec<Found>) -> Entry<Vec<Placed<T>>> {
        self.items(key, ("text", |item| item.is_str()), read, found)
    }

    /// A list of texts and numbers, each with its own faults.
    pub(crate) fn mixed<T>(&self, key: &str, read: Read<T>, found: &mut Vec<Found>) -> Entry<Vec<Placed<T>>> {
        self.items(key, ("a number or text", |item| item.is_str() || item.is_integer()), read, found)
    }

    /// A list of what is meant by a word and known by a question.
    fn items<T>(
        &self,
        key: &str,
        (what, is_it): (&str, fn(&DeValue<'_>) -> bool),
        read: Read<T>,
        found: &mut Vec<Found>,
    ) -> Entry<Vec<Placed<T>>> {
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
            let (item_value, at) = (item.get_ref(), item.span().start);
            if !is_it(item_value) {
                let fault = Fault::new(format!("each of '{name}' must be {what}, not {}", kind(item_value)));
                found.push((at, fault));
                continue;
            }
            match read(&name, item_value) {
                Ok(value) => values.push((value, at)),
                Err(fault) => found.push((at, fault)),
            }
        }
        if found.len() == before { Entry::Given(values, at) } else { Entry::Wrong }
    }

    /// The byte where the table `keys.section` inside this one begins, if there is one.
    pub(crate) fn begins(&self, keys: &'static Keys) -> Option<usize> {
        self.get(keys.section).filter(|value| value.get_ref().is_table()).map(|value| value.span().start)
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        debug_assert!(self.keys.names().contains(&key), "the table of keys lacks '{key}'");
        self.table?.get(key)
    }

    /// The key with its section, as messages name it.
    fn full(&self, key: &str) -> String {
        if self.keys.section.is_empty() { key.to_owned() } else { format!("{}.{key}", self.keys.section) }
    }
}
