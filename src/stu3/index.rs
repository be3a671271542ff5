//! From a structure and a JSON member's name to the element, and from a name to the structure: open hash tables, filled once.

use super::{Element, Release, Structure, StructureId, Way};
use crate::fhir::Word;

/// Where an element and one of its types stand in the release's lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// The member's name; empty where the slot is.
    word: Word,
    structure: StructureId,
    element: u16,
    way: u16,
}

impl Slot {
    pub(super) fn element(self) -> usize {
        usize::from(self.element)
    }

    pub(super) fn way(self) -> usize {
        usize::from(self.way)
    }
}

/// Slots by hash; the size is a power of two and at least twice the number of members.
#[derive(Debug, Default)]
pub(super) struct Index {
    slots: Vec<Slot>,
}

impl Index {
    /// Of every element of every structure, a choice by each of its types.
    pub(super) fn new(release: &Release) -> Self {
        let members: usize = release.elements.iter().map(|element| usize::from(element.ways.length)).sum();
        let empty = Slot { word: Word::default(), structure: StructureId(0), element: 0, way: 0 };
        let mut index = Self { slots: vec![empty; (2 * members).next_power_of_two()] };
        for (structure, facts) in release.structures() {
            for element in facts.elements.start..facts.elements.start + facts.elements.length {
                let ways = release.elements[usize::from(element)].ways;
                for way in ways.start..ways.start + ways.length {
                    index.insert(release, Slot { structure, element, way, ..empty });
                }
            }
        }
        index
    }

    fn insert(&mut self, release: &Release, slot: Slot) {
        let element = &release.elements[slot.element()];
        let mut name = element.name.to_owned();
        if element.choice {
            let (first, rest) = release.ways[slot.way()].type_name.split_at(1);
            name.push_str(&first.to_ascii_uppercase());
            name.push_str(rest);
        }
        let word = Word::of(name.as_bytes());
        let mask = self.slots.len() - 1;
        let mut place = word.hash(slot.structure.0) & mask;
        while !self.slots[place].word.is_empty() {
            place = (place + 1) & mask;
        }
        self.slots[place] = Slot { word, ..slot };
    }

    pub(super) fn find(&self, release: &Release, structure: StructureId, name: &str) -> Option<Slot> {
        let word = Word::of(name.as_bytes());
        let mask = self.slots.len() - 1;
        let mut place = word.hash(structure.0) & mask;
        loop {
            let slot = self.slots[place];
            if slot.word.is_empty() {
                return None;
            }
            let is_same =
                || word.is_whole() || is_named(&release.elements[slot.element()], &release.ways[slot.way()], name);
            if slot.word == word && slot.structure == structure && is_same() {
                return Some(slot);
            }
            place = (place + 1) & mask;
        }
    }
}

/// Structures by name.
#[derive(Debug, Default)]
pub(super) struct Names {
    slots: Vec<Option<StructureId>>,
}

impl Names {
    pub(super) fn new(structures: &[Structure]) -> Self {
        let mut slots = vec![None; (2 * structures.len()).next_power_of_two()];
        for (id, structure) in (0..).map(StructureId).zip(structures) {
            let mut place = Word::of(structure.name.as_bytes()).hash(0) & (slots.len() - 1);
            while slots[place].is_some() {
                place = (place + 1) & (slots.len() - 1);
            }
            slots[place] = Some(id);
        }
        Self { slots }
    }

    pub(super) fn find(&self, structures: &[Structure], name: &str) -> Option<StructureId> {
        let mask = self.slots.len() - 1;
        let mut place = Word::of(name.as_bytes()).hash(0) & mask;
        while let Some(id) = self.slots[place] {
            if structures[id.index()].name == name {
                return Some(id);
            }
            place = (place + 1) & mask;
        }
        None
    }
}

fn is_named(element: &Element, way: &Way, name: &str) -> bool {
    if !element.choice {
        return element.name == name;
    }
    name.strip_prefix(element.name).is_some_and(|suffix| {
        let (written, named) = (suffix.as_bytes(), way.type_name.as_bytes());
        written.len() == named.len() && written[0] == named[0].to_ascii_uppercase() && written[1..] == named[1..]
    })
}
