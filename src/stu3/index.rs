//! From a structure and a JSON member's name to the element: an open hash table, filled once.

use super::{Element, Release, StructureId, Way};

/// Where an element and one of its types stand in the release's lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
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
    slots: Vec<Option<Slot>>,
}

impl Index {
    /// Of every element of every structure, a choice by each of its types.
    pub(super) fn new(release: &Release) -> Self {
        let members: usize = release.elements.iter().map(|element| usize::from(element.ways.length)).sum();
        let mut index = Self { slots: vec![None; (2 * members).next_power_of_two()] };
        for (structure, facts) in release.structures() {
            for element in facts.elements.start..facts.elements.start + facts.elements.length {
                let ways = release.elements[usize::from(element)].ways;
                for way in ways.start..ways.start + ways.length {
                    index.insert(release, Slot { structure, element, way });
                }
            }
        }
        index
    }

    fn insert(&mut self, release: &Release, slot: Slot) {
        let element = &release.elements[slot.element()];
        let hash = if element.choice {
            let mut name = element.name.to_owned();
            let (first, rest) = release.ways[slot.way()].type_name.split_at(1);
            name.push_str(&first.to_ascii_uppercase());
            name.push_str(rest);
            hash(slot.structure, &name)
        } else {
            hash(slot.structure, element.name)
        };
        let mask = self.slots.len() - 1;
        let mut place = hash & mask;
        while self.slots[place].is_some() {
            place = (place + 1) & mask;
        }
        self.slots[place] = Some(slot);
    }

    pub(super) fn find(&self, release: &Release, structure: StructureId, name: &str) -> Option<Slot> {
        let mask = self.slots.len() - 1;
        let mut place = hash(structure, name) & mask;
        while let Some(slot) = self.slots[place] {
            if slot.structure == structure
                && is_named(&release.elements[slot.element()], &release.ways[slot.way()], name)
            {
                return Some(slot);
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

/// Of the first and last eight bytes and the length: names that agree in all three are told apart by comparison.
fn hash(structure: StructureId, name: &str) -> usize {
    const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
    let bytes = name.as_bytes();
    let mut state = u64::from(structure.0) << 32 | bytes.len() as u64;
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            state = (state ^ u64::from_le_bytes(*first)).wrapping_mul(MULTIPLIER).rotate_left(29);
            state ^= u64::from_le_bytes(*last);
        }
        _ => {
            let short = bytes.iter().fold(0, |short: u64, byte| short << 8 | u64::from(*byte));
            state = (state.rotate_left(29) ^ short).wrapping_mul(MULTIPLIER).rotate_left(29) ^ short;
        }
    }
    let mixed = state.wrapping_mul(MULTIPLIER);
    usize::try_from(mixed >> 40).expect("24 bits fit")
}
