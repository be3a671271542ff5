//! All definitions that are loaded, each by its canonical URL and version, with a snapshot for every profile.

use super::{
    DefinedCodeSystem, DefinedValueSet, Manifest, Shelf,
    own::{is_own, own_profile, own_type, own_urls},
};
use crate::{
    fhir::path::Expression,
    stu3::profile::{self, Defect, Problem, Snapshot, StructureDefinition, Types},
};
use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

/// Profiles that stand on each other; real ones are five deep.
const DEEPEST: usize = 40;

/// Profiles, value sets and code systems. It does not change after it is made, and does not depend on the order of files.
#[derive(Debug, Default)]
pub struct Library {
    packages: Vec<Manifest>,
    profiles: Vec<Profile>,
    value_sets: Vec<Arc<DefinedValueSet>>,
    code_systems: Vec<Arc<DefinedCodeSystem>>,
    problems: Vec<Problem>,
}

/// A profile and what follows from it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// As stated.
    pub definition: Arc<StructureDefinition>,
    /// The whole; `None` where there is none, and the library's problems say why.
    pub snapshot: Option<Arc<Snapshot>>,
}

/// What has a canonical URL and a version.
trait Canonical: Clone + PartialEq {
    fn url(&self) -> &Arc<str>;
    fn version(&self) -> Option<&Arc<str>>;
    fn file(&self) -> &Arc<str>;
    fn moved_to(&self, file: &Arc<str>) -> Self;
}

macro_rules! canonical {
    ($($kind:ty),*) => {$(
        impl Canonical for $kind {
            fn url(&self) -> &Arc<str> {
                &self.url
            }

            fn version(&self) -> Option<&Arc<str>> {
                self.version.as_ref()
            }

            fn file(&self) -> &Arc<str> {
                &self.file
            }

            fn moved_to(&self, file: &Arc<str>) -> Self {
                Self { file: file.clone(), ..self.clone() }
            }
        }
    )*};
}

canonical!(StructureDefinition, DefinedValueSet, DefinedCodeSystem);

impl Library {
    pub(super) fn new(shelf: Shelf) -> Self {
        let mut problems = shelf.problems;
        let definitions = settled(shelf.profiles, &mut problems);
        let value_sets = settled(shelf.value_sets, &mut problems);
        let code_systems = settled(shelf.code_systems, &mut problems);
        let mut compiler = Compiler {
            states: vec![State::Open; definitions.len()],
            by_url: by_url(&definitions),
            definitions,
            depth: 0,
            problems,
        };
        for place in 0..compiler.definitions.len() {
            let _told = compiler.snapshot(place);
        }
        let Compiler { definitions, states, mut problems, .. } = compiler;
        let snapshot = |state| match state {
            State::Done(snapshot) => snapshot,
            State::Open | State::Begun => None,
        };
        let profiles = definitions.into_iter().zip(states);
        let profiles = profiles.map(|(definition, state)| Profile { definition, snapshot: snapshot(state) }).collect();
        problems.sort();
        problems.dedup();
        let mut packages = shelf.packages;
        packages.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
        packages.dedup();
        Self { packages, profiles, value_sets, code_systems, problems }
    }

    /// The packages, by name and version.
    pub fn packages(&self) -> &[Manifest] {
        &self.packages
    }

    /// The profiles, by URL and version.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// The value sets, by URL and version.
    pub fn value_sets(&self) -> &[Arc<DefinedValueSet>] {
        &self.value_sets
    }

    /// The code systems, by URL and version.
    pub fn code_systems(&self) -> &[Arc<DefinedCodeSystem>] {
        &self.code_systems
    }

    /// What is wrong with definitions, by file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The profile of a canonical URL: `url|version`, or `url` for the newest version; the release's own are always there.
    pub fn profile(&self, canonical: &str) -> Option<&Profile> {
        let url = canonical.split_once('|').map_or(canonical, |(url, _)| url);
        own_profile(url).or_else(|| newest(&self.profiles, canonical, |profile| &*profile.definition))
    }

    /// The profiles that the release itself defines, by URL.
    pub fn own_profiles() -> impl Iterator<Item = &'static Profile> {
        own_urls().filter_map(|url| own_profile(&url))
    }

    /// The value set of a canonical URL.
    pub fn value_set(&self, canonical: &str) -> Option<&Arc<DefinedValueSet>> {
        newest(&self.value_sets, canonical, |set| &**set)
    }

    /// The code system of a canonical URL.
    pub fn code_system(&self, canonical: &str) -> Option<&Arc<DefinedCodeSystem>> {
        newest(&self.code_systems, canonical, |system| &**system)
    }
}

/// Sorted by URL and version. The same definition twice is one; another with the same URL and version is a problem of
/// both, and neither is used: which of them counts must not depend on the order of files.
fn settled<T: Canonical>(mut all: Vec<T>, problems: &mut Vec<Problem>) -> Vec<Arc<T>> {
    all.sort_by(|one, other| {
        let key = |of: &T| (of.url().clone(), of.file().clone());
        let versions = by_version(one.version().map(|text| &**text), other.version().map(|text| &**text));
        one.url().cmp(other.url()).then(versions).then_with(|| key(one).cmp(&key(other)))
    });
    let mut kept: Vec<Arc<T>> = Vec::new();
    for same in all.chunk_by(|one, other| one.url() == other.url() && one.version() == other.version()) {
        let (first, rest) = (&same[0], &same[1..]);
        let Some(unlike) = rest.iter().find(|other| other.moved_to(first.file()) != *first) else {
            kept.push(Arc::new(first.clone()));
            continue;
        };
        for (one, other) in std::iter::once((first, unlike)).chain(rest.iter().map(|other| (other, first))) {
            let defect = Defect::Twice(other.file().clone());
            problems.push(Problem { file: one.file().clone(), url: Some(one.url().clone()), element: None, defect });
        }
    }
    kept
}

fn by_url(definitions: &[Arc<StructureDefinition>]) -> BTreeMap<Arc<str>, Vec<usize>> {
    let mut places: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
    for (place, definition) in definitions.iter().enumerate() {
        places.entry(definition.url.clone()).or_default().push(place);
    }
    places
}

/// In a list by URL and version: the one that a canonical URL means.
fn newest<'l, T, C: Canonical>(list: &'l [T], canonical: &str, of: impl Fn(&T) -> &C) -> Option<&'l T> {
    let (url, version) = match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (canonical, None),
    };
    let begin = list.partition_point(|known| &**of(known).url() < url);
    let end = list.partition_point(|known| &**of(known).url() <= url);
    let is_meant =
        |known: &&T| version.is_none_or(|version| of(known).version().is_some_and(|known| **known == *version));
    list[begin..end].iter().rfind(is_meant)
}

/// Parts between dots as numbers where they are; what has no version comes first, `1.0.0-beta` before `1.0.0`.
fn by_version(one: Option<&str>, other: Option<&str>) -> Ordering {
    type Parts<'t> = (Vec<(u64, &'t str)>, bool, &'t str);
    fn parts(text: &str) -> Parts<'_> {
        let (core, rest) = text.split_once('-').unwrap_or((text, ""));
        (core.split('.').map(|part| (part.parse().unwrap_or(u64::MAX), part)).collect(), rest.is_empty(), rest)
    }
    one.map(parts).cmp(&other.map(parts)).then_with(|| one.cmp(&other))
}

#[derive(Clone, Debug)]
enum State {
    Open,
    Begun,
    Done(Option<Arc<Snapshot>>),
}

/// Makes snapshots, each after those that it stands on.
struct Compiler {
    definitions: Vec<Arc<StructureDefinition>>,
    by_url: BTreeMap<Arc<str>, Vec<usize>>,
    states: Vec<State>,
    depth: usize,
    problems: Vec<Problem>,
}

impl Compiler {
    fn snapshot(&mut self, place: usize) -> Result<Arc<Snapshot>, Defect> {
        let definition = self.definitions[place].clone();
        match &self.states[place] {
            State::Done(Some(snapshot)) => return Ok(snapshot.clone()),
            State::Done(None) => return Err(Defect::Unusable(definition.url.clone())),
            State::Begun => return Err(Defect::Loop(definition.url.clone())),
            State::Open if self.depth == DEEPEST => return Err(Defect::TooDeep(DEEPEST)),
            State::Open => {}
        }
        self.states[place] = State::Begun;
        self.depth += 1;
        let mut problems = unreadable_expressions(&definition);
        let snapshot = match self.base(&definition) {
            Ok(base) => profile::build(&definition, &base, self, &mut problems).map(Arc::new),
            Err(defect) => {
                let (file, url) = (definition.file.clone(), Some(definition.url.clone()));
                problems.push(Problem { file, url, element: None, defect });
                None
            }
        };
        self.depth -= 1;
        problems.extend(self.unknown_profiles(&definition));
        self.problems.append(&mut problems);
        self.states[place] = State::Done(snapshot.clone());
        snapshot.ok_or_else(|| Defect::Unusable(definition.url.clone()))
    }

    fn base(&mut self, definition: &StructureDefinition) -> Result<Arc<Snapshot>, Defect> {
        let base = self.named(&definition.base).unwrap_or_else(|| Err(Defect::NoBase(definition.base.clone())))?;
        if base.type_name == definition.type_name {
            return Ok(base);
        }
        Err(Defect::OtherType(definition.type_name.clone(), base.type_name.clone()))
    }

    /// Profiles that types and references are held to and that are not there.
    fn unknown_profiles(&self, definition: &StructureDefinition) -> Vec<Problem> {
        let is_known = |canonical: &str| {
            let url = canonical.split_once('|').map_or(canonical, |(url, _)| url);
            own_type(url).is_some() || is_own(url) || self.by_url.contains_key(url)
        };
        let mut problems = Vec::new();
        for change in &definition.changes {
            let named = change.types.iter().flat_map(|known| [&known.profile, &known.target]).flatten();
            problems.extend(named.filter(|url| !is_known(url)).map(|url| Problem {
                file: definition.file.clone(),
                url: Some(definition.url.clone()),
                element: Some(change.place().into()),
                defect: Defect::NoTypeProfile(url.clone()),
            }));
        }
        problems
    }

    /// A type of the release or a profile.
    fn named(&mut self, canonical: &str) -> Option<Result<Arc<Snapshot>, Defect>> {
        if let Some(id) = own_type(canonical) {
            return Some(Ok(profile::of_type(id)));
        }
        let (url, version) = canonical.split_once('|').map_or((canonical, None), |(url, version)| (url, Some(version)));
        if let Some(own) = own_profile(url) {
            return Some(own.snapshot.clone().ok_or_else(|| Defect::Unusable(url.into())));
        }
        let places = self.by_url.get(url)?;
        let is_meant = |place: &&usize| {
            version.is_none_or(|version| self.definitions[**place].version.as_deref() == Some(version))
        };
        let place = *places.iter().rfind(is_meant)?;
        Some(self.snapshot(place))
    }
}

impl Types for Compiler {
    fn profile(&mut self, url: &str) -> Result<Arc<Snapshot>, Defect> {
        self.named(url).unwrap_or_else(|| Err(Defect::NoTypeProfile(url.into())))
    }
}

/// A constraint whose expression cannot be read leaves its profile usable.
fn unreadable_expressions(definition: &StructureDefinition) -> Vec<Problem> {
    let mut problems = Vec::new();
    let stated = definition
        .changes
        .iter()
        .flat_map(|change| change.constraints.iter().map(move |constraint| (change, constraint)));
    for (change, constraint) in stated {
        let Some(Err(error)) = constraint.expression.as_deref().map(Expression::parse) else { continue };
        problems.push(Problem {
            file: definition.file.clone(),
            url: Some(definition.url.clone()),
            element: Some(change.place().into()),
            defect: Defect::Expression { key: constraint.key.clone(), text: error.to_string() },
        });
    }
    problems
}
