//! Whether a code is in a value set of a package, as far as the packages and the release can tell.
//!
//! An expansion that the package gives decides by itself; so do the codes that a definition lists. Filters look through
//! the code systems of packages; of the release's systems only the codes are known, not how they stand to each other.
//! Spec: <https://hl7.org/fhir/STU3/valueset.html#composition>.

use super::{DefinedCodeSystem, DefinedValueSet, Filter, Include, Library};
use crate::stu3::{Membership, terminology};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};

/// Value sets that take in each other; real ones are three deep. Deeper ones are not followed.
const DEEPEST: usize = 16;

/// A value set with its codes by name; made when it is first asked.
#[derive(Debug, Default)]
pub(super) struct Listed {
    codes: OnceLock<Lists>,
}

#[derive(Debug)]
struct Lists {
    include: Vec<HashSet<Arc<str>>>,
    exclude: Vec<HashSet<Arc<str>>>,
    expansion: Option<Expansion>,
}

/// The systems of each code.
type Expansion = HashMap<Arc<str>, Vec<Option<Arc<str>>>>;

/// A code system with the places of its concepts by code; made when it is first asked.
#[derive(Debug, Default)]
pub(super) struct Placed {
    places: OnceLock<HashMap<Box<str>, usize>>,
}

/// What is known of a code of a system that a package defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'l> {
    /// It is one of its codes.
    Code,
    /// It is none; the system is complete and this is its URL.
    NoCode(&'l str),
    /// Only a part of the system's codes is there, and it is none of them.
    Unknown(&'l str),
}

/// What is asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    system: Option<&'a str>,
    code: &'a str,
}

impl Library {
    /// Whether a code is in a value set of a package or of the release. Without a system (a value of type `code`) any
    /// system of the set will do.
    pub fn membership(&self, canonical: &str, system: Option<&str>, code: &str) -> Membership<'_> {
        self.member(canonical, Asked { system, code }, 0)
    }

    /// What a code system of the packages says of a code; `None` where none of them defines the system.
    pub fn code(&self, system: &str, code: &str) -> Option<Known<'_>> {
        let (place, defined) = self.placed_system(system)?;
        Some(if self.concept(place, code).is_some() {
            Known::Code
        } else if &*defined.content == "complete" {
            Known::NoCode(&defined.url)
        } else {
            Known::Unknown(&defined.url)
        })
    }

    fn member(&self, canonical: &str, asked: Asked<'_>, depth: usize) -> Membership<'_> {
        let released = terminology().membership(canonical, asked.system, asked.code);
        if released != Membership::NoValueSet {
            return released;
        }
        let Some(place) = self.value_set_place(canonical).filter(|_| depth < DEEPEST) else {
            return Membership::NoValueSet;
        };
        let set = &self.value_sets()[place];
        let lists = self.listed[place].codes.get_or_init(|| Lists::of(set));
        if let Some(expansion) = &lists.expansion {
            return in_expansion(expansion, asked);
        }
        match self.of_any(&set.include, &lists.include, asked, depth) {
            Membership::Out | Membership::NoValueSet => Membership::Out,
            included => match self.of_any(&set.exclude, &lists.exclude, asked, depth) {
                Membership::In => Membership::Out,
                Membership::Open { system } => Membership::Open { system },
                Membership::Out | Membership::NoValueSet => included,
            },
        }
    }

    /// In one of the parts of a definition.
    fn of_any<'l>(
        &'l self,
        parts: &'l [Include],
        lists: &[HashSet<Arc<str>>],
        asked: Asked<'_>,
        depth: usize,
    ) -> Membership<'l> {
        let mut open = Membership::Out;
        for (part, list) in parts.iter().zip(lists) {
            match self.of_part(part, list, asked, depth) {
                Membership::In => return Membership::In,
                Membership::Out => {}
                other if open == Membership::Out => open = other,
                _ => {}
            }
        }
        open
    }

    /// In a part: of its system, and in all sets that it names.
    fn of_part<'l>(
        &'l self,
        part: &'l Include,
        list: &HashSet<Arc<str>>,
        asked: Asked<'_>,
        depth: usize,
    ) -> Membership<'l> {
        let mut verdict = match part.system.as_deref() {
            Some(system) if asked.system.is_some_and(|asked| asked != system) => return Membership::Out,
            Some(system) if !part.concepts.is_empty() => {
                if list.contains(asked.code) || (ignores_case(self, system) && has_any_case(list, asked.code)) {
                    Membership::In
                } else {
                    return Membership::Out;
                }
            }
            Some(system) if !part.filters.is_empty() => self.filtered(system, &part.filters, asked.code),
            Some(system) => self.in_system(system, asked.code),
            None if part.value_sets.is_empty() => return Membership::Out,
            None => Membership::In,
        };
        for set in &part.value_sets {
            match self.member(set, asked, depth + 1) {
                Membership::In => {}
                Membership::Out => return Membership::Out,
                Membership::NoValueSet if verdict == Membership::In => verdict = Membership::Open { system: set },
                other if verdict == Membership::In => verdict = other,
                _ => {}
            }
        }
        verdict
    }

    /// One of a system's codes.
    fn in_system<'l>(&'l self, system: &'l str, code: &str) -> Membership<'l> {
        if let Some(released) = terminology().code_system(system) {
            return if released.codes.has(code) { Membership::In } else { Membership::Out };
        }
        match self.code(system, code) {
            Some(Known::Code) => Membership::In,
            Some(Known::NoCode(_)) => Membership::Out,
            Some(Known::Unknown(_)) | None => Membership::Open { system },
        }
    }

    /// A code that all filters let through.
    fn filtered<'l>(&'l self, system: &'l str, filters: &[Filter], code: &str) -> Membership<'l> {
        let in_system = self.in_system(system, code);
        if in_system == Membership::Out {
            return Membership::Out;
        }
        let Some((place, defined)) = self.placed_system(system) else { return Membership::Open { system } };
        let Some(concept) = self.concept(place, code) else { return in_system };
        let mut verdict = Membership::In;
        for filter in filters {
            match self.lets_through(place, defined, concept, filter) {
                Some(true) => {}
                Some(false) => return Membership::Out,
                None => verdict = Membership::Open { system },
            }
        }
        verdict
    }

    /// <https://hl7.org/fhir/STU3/valueset-filter-operator.html>; `None` where it cannot be told.
    fn lets_through(&self, place: usize, system: &DefinedCodeSystem, concept: usize, filter: &Filter) -> Option<bool> {
        let is_below = |least: usize| {
            let top = self.concept(place, &filter.value)?;
            let parent = |at: &usize| system.concepts.get(*at)?.parent.map(|parent| parent as usize);
            Some(std::iter::successors(Some(concept), parent).skip(least).any(|at| at == top))
        };
        let known = &system.concepts[concept];
        let code = &known.concept.code;
        let values = || {
            let of_property = known.properties.iter().filter(|(name, _)| *name == filter.property);
            let named: Vec<&str> = of_property.map(|(_, value)| &**value).collect();
            match &*filter.property {
                "code" | "concept" if named.is_empty() => vec![&**code],
                "display" if named.is_empty() => known.concept.display.as_deref().into_iter().collect(),
                _ => named,
            }
        };
        let listed = || filter.value.split(',').map(str::trim);
        match &*filter.operator {
            "is-a" => is_below(0),
            "descendent-of" => is_below(1),
            "is-not-a" => is_below(0).map(|is| !is),
            "=" => Some(values().contains(&&*filter.value)),
            "in" => Some(values().iter().any(|value| listed().any(|one| one == *value))),
            "not-in" => Some(!values().iter().any(|value| listed().any(|one| one == *value))),
            "exists" => Some(values().is_empty() != (&*filter.value == "true")),
            "regex" => crate::fhir::path::matches_whole(&filter.value, &values()),
            _ => None,
        }
    }

    fn placed_system(&self, system: &str) -> Option<(usize, &DefinedCodeSystem)> {
        let place = self.code_system_place(system)?;
        Some((place, &self.code_systems()[place]))
    }

    /// The place of a code among the concepts of the code system at a place.
    fn concept(&self, place: usize, code: &str) -> Option<usize> {
        let system = &self.code_systems()[place];
        let spelled =
            |code: &str| if system.is_case_sensitive { Box::from(code) } else { Box::from(code.to_lowercase()) };
        let places = self.placed[place].places.get_or_init(|| {
            let all = system.concepts.iter().enumerate().rev();
            all.map(|(at, known)| (spelled(&known.concept.code), at)).collect()
        });
        places.get(&spelled(code)).copied()
    }
}

fn ignores_case(library: &Library, system: &str) -> bool {
    match terminology().code_system(system) {
        Some(released) => released.codes.ignores_case(),
        None => library.placed_system(system).is_some_and(|(_, defined)| !defined.is_case_sensitive),
    }
}

fn has_any_case(list: &HashSet<Arc<str>>, code: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(code))
}

impl Lists {
    fn of(set: &DefinedValueSet) -> Self {
        let lists = |parts: &[Include]| {
            parts.iter().map(|part| part.concepts.iter().map(|concept| concept.code.clone()).collect()).collect()
        };
        let expansion = set.expansion.as_ref().map(|expansion| {
            let mut codes = Expansion::new();
            for expanded in expansion.iter().filter(|expanded| !expanded.is_abstract) {
                codes.entry(expanded.concept.code.clone()).or_default().push(expanded.system.clone());
            }
            codes
        });
        Self { include: lists(&set.include), exclude: lists(&set.exclude), expansion }
    }
}

fn in_expansion(expansion: &Expansion, asked: Asked<'_>) -> Membership<'static> {
    let is_meant = |systems: &Vec<Option<Arc<str>>>| {
        systems
            .iter()
            .any(|system| asked.system.is_none_or(|asked| system.as_deref().is_none_or(|known| known == asked)))
    };
    if expansion.get(asked.code).is_some_and(is_meant) { Membership::In } else { Membership::Out }
}
