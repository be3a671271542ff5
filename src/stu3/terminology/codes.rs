//! Lists of codes, and things found by their URL.

use super::{CodeSystem, Foreign, ValueSet};
use std::{borrow::Cow, cmp::Ordering, sync::OnceLock};

/// Codes of one system, sorted.
#[derive(Debug)]
pub struct Codes {
    list: OnceLock<Vec<Cow<'static, str>>>,
    /// What the list is made of when first needed: codes in their order, separated by tabs.
    text: &'static str,
    ignore_case: bool,
}

impl Codes {
    /// Of codes in any order.
    pub fn new(codes: impl IntoIterator<Item = String>, ignore_case: bool) -> Self {
        let mut list: Vec<Cow<'static, str>> = codes.into_iter().map(Cow::Owned).collect();
        list.sort_unstable_by(|one, other| compare(one, other, ignore_case));
        Self { list: OnceLock::from(list), text: "", ignore_case }
    }

    /// Of a line of the table: sorted, separated by tabs.
    pub(super) const fn of_line(text: &'static str, ignore_case: bool) -> Self {
        Self { list: OnceLock::new(), text, ignore_case }
    }

    fn list(&self) -> &[Cow<'static, str>] {
        self.list.get_or_init(|| self.text.split('\t').filter(|code| !code.is_empty()).map(Cow::Borrowed).collect())
    }

    /// The code is in the list.
    pub fn has(&self, code: &str) -> bool {
        self.place(code).is_some()
    }

    /// Its place in the list.
    pub(super) fn place(&self, code: &str) -> Option<usize> {
        let list = self.list();
        if self.ignore_case {
            list.binary_search_by(|known| compare(known, code, true)).ok()
        } else {
            list.binary_search_by(|known| (**known).cmp(code)).ok()
        }
    }

    /// Letters match whether they are capital or not.
    pub const fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// All codes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.list().iter().map(|code| &**code)
    }
}

/// By bytes; those of ASCII letters in lower case where case does not count.
fn compare(one: &str, other: &str, ignore_case: bool) -> Ordering {
    if !ignore_case {
        return one.cmp(other);
    }
    let lower = |text: &str, place: usize| text.as_bytes()[place].to_ascii_lowercase();
    let shared = one.len().min(other.len());
    (0..shared)
        .map(|place| lower(one, place).cmp(&lower(other, place)))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| one.len().cmp(&other.len()))
}

/// Something with a canonical URL.
pub(super) trait Canonical {
    fn url(&self) -> &str;
}

impl Canonical for CodeSystem {
    fn url(&self) -> &str {
        &self.url
    }
}

impl Canonical for ValueSet {
    fn url(&self) -> &str {
        &self.url
    }
}

impl Canonical for Foreign {
    fn url(&self) -> &str {
        &self.0
    }
}

/// Things in the order in which they came, found by URL through an open hash table.
#[derive(Debug)]
pub(super) struct ByUrl<T> {
    list: Vec<T>,
    /// Places in the list, plus one; the number of slots is a power of two and at least twice that of the things.
    slots: Vec<u32>,
}

impl<T> Default for ByUrl<T> {
    fn default() -> Self {
        Self { list: Vec::new(), slots: vec![0; 16] }
    }
}

impl<T: Canonical> ByUrl<T> {
    pub(super) fn insert(&mut self, thing: T) {
        if let Some(place) = self.place(thing.url()) {
            self.list[place] = thing;
            return;
        }
        self.list.push(thing);
        if self.list.len() * 2 > self.slots.len() {
            self.slots = vec![0; self.slots.len() * 2];
            for place in 0..self.list.len() {
                self.enter(place);
            }
        } else {
            self.enter(self.list.len() - 1);
        }
    }

    fn enter(&mut self, place: usize) {
        let mask = self.slots.len() - 1;
        let mut slot = hash(self.list[place].url()) & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = u32::try_from(place + 1).expect("a terminology has fewer lists than that");
    }

    fn place(&self, url: &str) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash(url) & mask;
        while self.slots[slot] != 0 {
            let place = self.slots[slot] as usize - 1;
            if self.list[place].url() == url {
                return Some(place);
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    pub(super) fn get(&self, url: &str) -> Option<&T> {
        self.place(url).map(|place| &self.list[place])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.list.iter()
    }
}

/// Of the length and the last 16 bytes: URLs differ at their end, and those that agree there are told apart by comparison.
fn hash(url: &str) -> usize {
    const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
    let bytes = url.as_bytes();
    let mut state = bytes.len() as u64;
    match bytes.last_chunk::<16>() {
        Some(end) => {
            for word in end.as_chunks::<8>().0 {
                state = (state ^ u64::from_le_bytes(*word)).wrapping_mul(MULTIPLIER).rotate_left(29);
            }
        }
        None => state ^= bytes.iter().fold(0, |short: u64, byte| short.rotate_left(8) ^ u64::from(*byte)),
    }
    usize::try_from(state.wrapping_mul(MULTIPLIER) >> 40).expect("24 bits fit")
}
