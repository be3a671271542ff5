//! Whether a code is in a value set of a package, as far as the packages and the release can tell.
//!
//! An expansion that the package gives decides by itself; so do the codes that a definition lists. Filters look through
//! the code systems of packages; of the release's systems the codes are known and how they stand to each other, and not
//! their other properties.
//! Spec: <https://hl7.org/fhir/STU3/valueset.html#composition>.

use super::{DefinedCodeSystem, DefinedValueSet, Filter, Include, Library, Object};
use crate::{
    fhir::{Document, NodeId},
    stu3::{CodeSystem, Membership, profile::Problem, terminology},
};
use std::{
    cell::RefCell,
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

/// A value set that is no part of a library: one of a document.
#[derive(Debug)]
pub struct LooseSet {
    set: DefinedValueSet,
    listed: Listed,
}

impl LooseSet {
    /// Reads one.
    ///
    /// # Errors
    /// It has more codes than any real one.
    pub fn of(document: &Document<'_>, node: NodeId) -> Result<Self, Problem> {
        let set = DefinedValueSet::contained(Object { document, node }, "".into(), &"".into())?;
        Ok(Self { set, listed: Listed::default() })
    }
}

/// What is asked for.
struct Asked<'a, 'l> {
    system: Option<&'a str>,
    code: &'a str,
    /// What sets that others take in have said: many ways may lead to one.
    told: RefCell<HashMap<usize, Membership<'l>>>,
}

impl<'a> Asked<'a, '_> {
    fn new(system: Option<&'a str>, code: &'a str) -> Self {
        Self { system, code, told: RefCell::default() }
    }
}

impl Library {
    /// Whether a code is in a value set of a package or of the release. Without a system (a value of type `code`) any
    /// system of the set will do.
    pub fn membership(&self, canonical: &str, system: Option<&str>, code: &str) -> Membership<'_> {
        self.member(canonical, &Asked::new(system, code), 0)
    }

    /// The same of a value set that is no part of the library.
    pub fn membership_in<'l>(&'l self, set: &'l LooseSet, system: Option<&str>, code: &str) -> Membership<'l> {
        self.in_set(&set.set, &set.listed, &Asked::new(system, code), 0)
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

    fn member<'l>(&'l self, canonical: &str, asked: &Asked<'_, 'l>, depth: usize) -> Membership<'l> {
        let released = terminology().membership(canonical, asked.system, asked.code);
        if released != Membership::NoValueSet {
            return released;
        }
        let Some(place) = self.value_set_place(canonical).filter(|_| depth < DEEPEST) else {
            return Membership::NoValueSet;
        };
        if let Some(told) = asked.told.borrow().get(&place) {
            return *told;
        }
        let verdict = self.in_set(&self.value_sets()[place], &self.listed[place], asked, depth);
        if depth > 0 {
            asked.told.borrow_mut().insert(place, verdict);
        }
        verdict
    }

    fn in_set<'l>(
        &'l self,
        set: &'l DefinedValueSet,
        listed: &Listed,
        asked: &Asked<'_, 'l>,
        depth: usize,
    ) -> Membership<'l> {
        let lists = listed.codes.get_or_init(|| Lists::of(set));
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
        asked: &Asked<'_, 'l>,
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
        asked: &Asked<'_, 'l>,
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
        let released = terminology().code_system(system);
        let placed = self.placed_system(system).filter(|_| released.is_none());
        let mut verdict = Membership::In;
        for filter in filters {
            let passes = match (released, placed) {
                (Some(released), _) => released_lets_through(released, code, filter),
                (None, Some((place, defined))) => match self.concept(place, code) {
                    Some(concept) => self.lets_through(place, defined, concept, filter),
                    None => return in_system,
                },
                (None, None) => None,
            };
            match passes {
                Some(true) => {}
                Some(false) => return Membership::Out,
                None => verdict = Membership::Open { system },
            }
        }
        verdict
    }

    /// A concept of a code system of the packages; `None` where it cannot be told.
    fn lets_through(&self, place: usize, system: &DefinedCodeSystem, concept: usize, filter: &Filter) -> Option<bool> {
        let is_below = || {
            let top = self.concept(place, &filter.value)?;
            let parent = |at: &usize| system.concepts.get(*at)?.parent.map(|parent| parent as usize);
            Some((std::iter::successors(Some(concept), parent).any(|at| at == top), concept == top))
        };
        let known = &system.concepts[concept];
        let of_property = known.properties.iter().filter(|(name, _)| *name == filter.property);
        let mut values: Vec<&str> = of_property.map(|(_, value)| &**value).collect();
        if values.is_empty() {
            match &*filter.property {
                "code" | "concept" => values.push(&known.concept.code),
                "display" => values.extend(known.concept.display.as_deref()),
                _ => {}
            }
        }
        passes(filter, is_below, Some(&values))
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

/// A code of a system of the release; `None` where it cannot be told.
fn released_lets_through(system: &CodeSystem, code: &str, filter: &Filter) -> Option<bool> {
    let is_below = || Some((system.is_below(code, &filter.value)?, *code == *filter.value));
    match &*filter.property {
        "code" | "concept" => passes(filter, is_below, Some(&[code])),
        _ => passes(filter, is_below, None),
    }
}

/// What a filter says of a concept, by whether it stands below the filter's value and is that itself, and by its values of
/// the filter's property; `None` where that is not known.
/// Spec: <https://hl7.org/fhir/STU3/valueset-filter-operator.html>.
fn passes(filter: &Filter, is_below: impl FnOnce() -> Option<(bool, bool)>, values: Option<&[&str]>) -> Option<bool> {
    let listed = || filter.value.split(',').map(str::trim);
    match &*filter.operator {
        "is-a" => is_below().map(|(is_below, _)| is_below),
        "descendent-of" => is_below().map(|(is_below, is_itself)| is_below && !is_itself),
        "is-not-a" => is_below().map(|(is_below, _)| !is_below),
        "=" => Some(values?.contains(&&*filter.value)),
        "in" => Some(values?.iter().any(|value| listed().any(|one| one == *value))),
        "not-in" => Some(!values?.iter().any(|value| listed().any(|one| one == *value))),
        "exists" => Some(values?.is_empty() != (&*filter.value == "true")),
        "regex" => crate::fhir::path::matches_whole(&filter.value, values?),
        _ => None,
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

fn in_expansion(expansion: &Expansion, asked: &Asked<'_, '_>) -> Membership<'static> {
    let is_meant = |systems: &Vec<Option<Arc<str>>>| {
        systems
            .iter()
            .any(|system| asked.system.is_none_or(|asked| system.as_deref().is_none_or(|known| known == asked)))
    };
    if expansion.get(asked.code).is_some_and(is_meant) { Membership::In } else { Membership::Out }
}
