//! One table of the file while it is read: knows its keys, remembers what is wrong and where.

use super::{
    errors::{ConfigError, RuleCheck},
    reference::Table,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

/// A value as it was written, whoever wrote it.
#[derive(Clone, Debug)]
pub(super) enum Raw {
    Text(String),
    Number(i64),
    Flag(bool),
    List(Vec<Self>),
    Table(BTreeMap<String, Self>),
}

impl From<config::Value> for Raw {
    fn from(value: config::Value) -> Self {
        use config::ValueKind;
        match value.kind {
            ValueKind::Boolean(flag) => Self::Flag(flag),
            ValueKind::I64(number) => Self::Number(number),
            ValueKind::Table(table) => {
                Self::Table(table.into_iter().map(|(key, value)| (key, Self::from(value))).collect())
            }
            ValueKind::Array(list) => Self::List(list.into_iter().map(Self::from).collect()),
            other => Self::Text(other.to_string()),
        }
    }
}

/// Where keys stand, by their dotted path.
pub(super) type Places = BTreeMap<String, String>;

/// What all sections share.
pub(super) struct Reading<'a> {
    pub(super) folder: &'a Path,
    pub(super) places: &'a Places,
    pub(super) admits_rule: RuleCheck,
    pub(super) errors: Vec<ConfigError>,
}

impl Reading<'_> {
    /// Notes an error at a key, or at the nearest table above it that stands in the file.
    pub(super) fn fail(&mut self, path: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let mut above = path;
        let place = loop {
            if let Some(place) = self.places.get(above) {
                break place.clone();
            }
            match above.rfind('.') {
                Some(end) => above = &above[..end],
                None => break self.places.get("").cloned().unwrap_or_default(),
            }
        };
        self.errors.push(ConfigError { key: path.to_owned(), place, what: what.into(), remedy: remedy.into() });
    }
}

/// Takes a sub-table out of the values; something else under its name is an error.
pub(super) fn take(
    reading: &mut Reading<'_>,
    path: &str,
    values: &mut BTreeMap<String, Raw>,
    key: &str,
) -> BTreeMap<String, Raw> {
    match values.get(key) {
        None => BTreeMap::new(),
        Some(Raw::Table(table)) => table.clone(),
        Some(_) => {
            reading.fail(&join(path, key), "this is no table", "write it as a [table]");
            BTreeMap::new()
        }
    }
}

/// A table being read; every key of it is asked for once.
pub(super) struct Section<'r, 'a> {
    reading: &'r mut Reading<'a>,
    path: String,
    table: &'static Table,
    values: BTreeMap<String, Raw>,
}

impl<'r, 'a> Section<'r, 'a> {
    /// Refuses keys that the reference does not know; `tables` are sub-tables that are read elsewhere.
    pub(super) fn new(
        reading: &'r mut Reading<'a>,
        path: &str,
        table: &'static Table,
        values: BTreeMap<String, Raw>,
        tables: &[&str],
    ) -> Self {
        for key in values.keys() {
            let is_known = table.entries.iter().any(|entry| entry.key == key) || tables.contains(&key.as_str());
            if !is_known {
                let known = table.entries.iter().map(|entry| entry.key).chain(tables.iter().copied());
                let remedy = match nearest(key, known) {
                    Some(known) => format!("did you mean {known}?"),
                    None => "remove it; the README lists all keys".to_owned(),
                };
                reading.fail(&join(path, key), "there is no such key", remedy);
            }
        }
        Self { reading, path: path.to_owned(), table, values }
    }

    fn fail(&mut self, key: &str, what: impl Into<String>) {
        let form = self.table.entries.iter().find(|entry| entry.key == key).map_or("a value", |entry| entry.form);
        let path = join(&self.path, key);
        self.reading.fail(&path, what, format!("write {form}"));
    }

    /// Another error at a key.
    pub(super) fn refuse(&mut self, key: &str, what: &str, remedy: &str) {
        let path = join(&self.path, key);
        self.reading.fail(&path, what, remedy);
    }

    /// The value, or the reference's default.
    fn raw(&self, key: &str) -> Option<Raw> {
        let entry = self.table.entries.iter().find(|entry| entry.key == key);
        let default = || entry.and_then(|entry| entry.default).and_then(literal);
        self.values.get(key).cloned().or_else(default)
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.raw(key)? {
            Raw::Text(text) if !text.trim().is_empty() => Some(text),
            // The environment knows no types.
            Raw::Number(number) => Some(number.to_string()),
            _ => {
                self.fail(key, "this is no text");
                None
            }
        }
    }

    pub(super) fn needed(&mut self, key: &str) -> Option<String> {
        if self.raw(key).is_none() {
            self.fail(key, "this key is missing");
        }
        self.text(key)
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        match self.raw(key) {
            Some(Raw::Flag(flag)) => flag,
            Some(Raw::Text(text)) if text == "true" => true,
            Some(Raw::Text(text)) if text == "false" => false,
            None => false,
            Some(_) => {
                self.fail(key, "this is neither true nor false");
                false
            }
        }
    }

    pub(super) fn number(&mut self, key: &str, least: u32, most: u32) -> u32 {
        let number = match self.raw(key) {
            Some(Raw::Number(number)) => Some(number),
            Some(Raw::Text(text)) => text.parse().ok(),
            _ => None,
        };
        let fitting = number.and_then(|number| u32::try_from(number).ok()).filter(|n| (least..=most).contains(n));
        fitting.unwrap_or_else(|| {
            self.fail(key, "this is no whole number of that range");
            least
        })
    }

    pub(super) fn duration(&mut self, key: &str) -> Duration {
        let text = self.text(key).unwrap_or_default();
        duration(&text).unwrap_or_else(|| {
            self.refuse(key, "this is no duration", "write a number with ms, s, m, h or d: 500ms, 2s, 10m, 14d");
            Duration::ZERO
        })
    }

    pub(super) fn size(&mut self, key: &str) -> u64 {
        let text = self.text(key).unwrap_or_default();
        size(&text).unwrap_or_else(|| {
            self.refuse(key, "this is no size", "write a number with B, KB, MB or GB: 64MB");
            0
        })
    }

    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        match self.raw(key) {
            Some(Raw::List(items)) => {
                let texts: Option<Vec<_>> =
                    items.into_iter().map(|item| if let Raw::Text(text) = item { Some(text) } else { None }).collect();
                texts.unwrap_or_else(|| {
                    self.fail(key, "an item of this list is no text");
                    Vec::new()
                })
            }
            // In the environment a list is one text with commas.
            Some(Raw::Text(text)) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            None => Vec::new(),
            Some(_) => {
                self.fail(key, "this is no list");
                Vec::new()
            }
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            self.fail(key, "this word is not known here");
        }
        found
    }

    pub(super) fn parsed<T: FromStr<Err = crate::model::InvalidId>>(&mut self, key: &str) -> Option<T> {
        let text = self.text(key)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(key, error.to_string());
                None
            }
        }
    }

    /// A path, from the file's folder where it is relative.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let text = self.text(key)?;
        Some(self.resolve(&text))
    }

    /// A path that is relative to the file's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.reading.folder.join(path)
    }

    /// A folder beside the file.
    pub(super) fn beside(&self, parent: &str, name: &str) -> PathBuf {
        self.reading.folder.join(parent).join(name)
    }

    pub(super) fn is_given(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A literal of the reference table.
fn literal(text: &str) -> Option<Raw> {
    if let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        return Some(Raw::Text(text.to_owned()));
    }
    match text {
        "[]" => Some(Raw::List(Vec::new())),
        "true" | "false" => Some(Raw::Flag(text == "true")),
        number => number.parse().ok().map(Raw::Number),
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

/// A duration as it is written: a number with ms, s, m, h or d.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

fn size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit {
        "B" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// The known word that a typing error most likely meant.
pub fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|key| (distance(word, key), key))
        .min()
        .filter(|(far, _)| *far <= 2.max(word.len() / 3))
        .map(|(_, key)| key)
}

/// How many letters must be added, removed or changed (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_their_units() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("14d"), Some(Duration::from_secs(14 * 86_400)));
        assert_eq!(duration("10"), None);
        assert_eq!(duration("-1s"), None);
        assert_eq!(size("64MB"), Some(64 << 20));
        assert_eq!(size("99999999999999GB"), None);
    }

    #[test]
    fn the_nearest_word_is_near() {
        assert_eq!(nearest("quite", ["quiet", "rescan"].into_iter()), Some("quiet"));
        assert_eq!(nearest("colour", ["quiet", "rescan"].into_iter()), None);
    }
}
