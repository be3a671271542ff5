//! All definitions that are loaded, each by its canonical URL and version, with a snapshot for every profile.

use super::{
    DefinedCodeSystem, DefinedValueSet, Manifest, Questionnaire, Shelf, circles, correction, display,
    membership::{Listed, Placed},
    own::{is_own, own_profile, own_type, own_urls},
};
use crate::stu3::{
    errata::ProfileErratum,
    profile::{self, Defect, Problem, Snapshot, StructureDefinition, Types},
};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Profiles that stand on each other; real ones are five deep.
const DEEPEST: usize = 40;

/// The names under which the release itself is published as a package.
pub(super) const RELEASE_PACKAGES: [&str; 3] = ["hl7.fhir.r3.core", "hl7.fhir.core", "hl7.fhir.r3.expansions"];

/// Profiles, value sets, code systems and questionnaires. It does not change after it is made, and does not depend on the order of files.
#[derive(Debug, Default)]
pub struct Library {
    packages: Vec<Manifest>,
    profiles: Vec<Profile>,
    /// What a URL without a version asks for, where the release does not define it.
    snapshots: HashMap<Arc<str>, Arc<Snapshot>>,
    value_sets: Vec<Arc<DefinedValueSet>>,
    code_systems: Vec<Arc<DefinedCodeSystem>>,
    questionnaires: Vec<Arc<Questionnaire>>,
    errata: Vec<Arc<ProfileErratum>>,
    problems: Vec<Problem>,
    /// Of each value set.
    pub(super) listed: Vec<Listed>,
    /// Of each code system.
    pub(super) placed: Vec<Placed>,
    pub(super) displays: display::Displays,
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
                let mut moved = self.clone();
                moved.file = file.clone();
                moved
            }
        }
    )*};
}

canonical!(StructureDefinition, DefinedValueSet, DefinedCodeSystem, Questionnaire);

impl Library {
    pub(super) fn new(shelf: Shelf) -> Self {
        let mut problems = shelf.problems;
        let mut definitions = settled(shelf.profiles, &mut problems);
        let errata = correction::applied(shelf.errata, &mut definitions, &mut problems);
        let value_sets = circles::without(settled(shelf.value_sets, &mut problems), &mut problems);
        let code_systems = settled(shelf.code_systems, &mut problems);
        let questionnaires = settled(shelf.questionnaires, &mut problems);
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
        let profiles: Vec<Profile> =
            profiles.map(|(definition, state)| Profile { definition, snapshot: snapshot(state) }).collect();
        let mut packages = shelf.packages;
        problems.extend(missing_packages(&packages));
        problems.sort();
        problems.dedup();
        packages.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
        packages.dedup();
        let listed = value_sets.iter().map(|_| Listed::default()).collect();
        let placed = code_systems.iter().map(|_| Placed::default()).collect();
        let displays = display::Displays::default();
        Self {
            packages,
            snapshots: newest_snapshots(&profiles),
            profiles,
            value_sets,
            code_systems,
            questionnaires,
            errata,
            problems,
            listed,
            placed,
            displays,
        }
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

    /// The questionnaires, by URL and version.
    pub fn questionnaires(&self) -> &[Arc<Questionnaire>] {
        &self.questionnaires
    }

    /// The errata that were loaded, by profile and key; those that the program brings are not among them.
    pub fn errata(&self) -> &[Arc<ProfileErratum>] {
        &self.errata
    }

    /// What is wrong with definitions, by file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The profile of a canonical URL: `url|version`, or `url` for the newest version; the release's own are always there.
    pub fn profile(&self, canonical: &str) -> Option<&Profile> {
        let url = canonical.split_once('|').map_or(canonical, |(url, _)| url);
        own_profile(url).or_else(|| {
            newest(&self.profiles, canonical, |profile| &*profile.definition).map(|place| &self.profiles[place])
        })
    }

    /// The profiles that the release itself defines, by URL.
    pub fn own_profiles() -> impl Iterator<Item = &'static Profile> {
        own_urls().filter_map(|url| own_profile(&url))
    }

    /// What a canonical URL asks for: of a type of the release, a profile of it, or one that is loaded; `None` where there
    /// is none, or an unusable one.
    pub fn snapshot(&self, canonical: &str) -> Option<Arc<Snapshot>> {
        if let Some(id) = own_type(canonical) {
            return Some(profile::of_type(id));
        }
        let known = self.snapshots.get(canonical);
        known.or_else(|| self.profile(canonical)?.snapshot.as_ref()).cloned()
    }

    /// The extension that a loaded profile defines, with its snapshot; those of the release are known elsewhere.
    pub fn extension(&self, url: &str) -> Option<(&StructureDefinition, &Arc<Snapshot>)> {
        let place = newest(&self.profiles, url, |profile| &*profile.definition)?;
        let profile = &self.profiles[place];
        let snapshot = profile.snapshot.as_ref().filter(|_| &*profile.definition.type_name == "Extension")?;
        Some((&profile.definition, snapshot))
    }

    /// A profile that is loaded states a constraint with this key.
    pub fn has_constraint(&self, key: &str) -> bool {
        let mut changes = self.profiles.iter().flat_map(|profile| &profile.definition.changes);
        changes.any(|change| change.constraints.iter().any(|constraint| &*constraint.key == key))
    }

    /// The value set of a canonical URL.
    pub fn value_set(&self, canonical: &str) -> Option<&Arc<DefinedValueSet>> {
        self.value_set_place(canonical).map(|place| &self.value_sets[place])
    }

    pub(super) fn value_set_place(&self, canonical: &str) -> Option<usize> {
        newest(&self.value_sets, canonical, |set| &**set)
    }

    /// The code system of a canonical URL.
    pub fn code_system(&self, canonical: &str) -> Option<&Arc<DefinedCodeSystem>> {
        self.code_system_place(canonical).map(|place| &self.code_systems[place])
    }

    /// The questionnaire of a canonical URL, or the only one with the id that a reference (`Questionnaire/1`) names.
    pub fn questionnaire(&self, reference: &str) -> Option<&Arc<Questionnaire>> {
        if let Some(place) = newest(&self.questionnaires, reference, |questionnaire| &**questionnaire) {
            return Some(&self.questionnaires[place]);
        }
        let wanted = reference.strip_prefix("Questionnaire/")?;
        let mut with_id = self.questionnaires.iter().filter(|known| known.id.as_deref() == Some(wanted));
        with_id.next().filter(|_| with_id.next().is_none())
    }

    pub(super) fn code_system_place(&self, canonical: &str) -> Option<usize> {
        newest(&self.code_systems, canonical, |system| &**system)
    }
}

/// What packages need and is not there; the release itself is.
fn missing_packages(packages: &[Manifest]) -> Vec<Problem> {
    let is_there = |name: &str| RELEASE_PACKAGES.contains(&name) || packages.iter().any(|known| known.name == name);
    let mut problems = Vec::new();
    for package in packages {
        let file: Arc<str> = format!("{}#{}/package.json", package.name, package.version).into();
        problems.extend(package.dependencies.iter().filter(|(name, _)| !is_there(name)).map(|(name, version)| {
            Problem {
                file: file.clone(),
                url: None,
                element: None,
                defect: Defect::NoPackage { name: name.clone(), version: version.clone() },
            }
        }));
    }
    problems
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

/// Of each URL the newest profile's, where that is usable; every resource that claims a profile asks.
fn newest_snapshots(profiles: &[Profile]) -> HashMap<Arc<str>, Arc<Snapshot>> {
    let of_url = |one: &Profile, other: &Profile| one.definition.url == other.definition.url;
    let newest = profiles.chunk_by(of_url).filter_map(|same| same.last());
    newest
        .map(|profile| (&profile.definition.url, profile.snapshot.as_ref()))
        .filter(|(url, _)| !url.contains('|') && !is_own(url))
        .filter_map(|(url, snapshot)| Some((url.clone(), snapshot?.clone())))
        .collect()
}

/// In a list by URL and version: the place of the one that a canonical URL means.
fn newest<T, C: Canonical>(list: &[T], canonical: &str, of: impl Fn(&T) -> &C) -> Option<usize> {
    let (url, version) = match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (canonical, None),
    };
    let begin = list.partition_point(|known| &**of(known).url() < url);
    let end = list.partition_point(|known| &**of(known).url() <= url);
    let is_meant =
        |known: &&T| version.is_none_or(|version| of(known).version().is_some_and(|known| **known == *version));
    list[begin..end].iter().rposition(|known| is_meant(&known)).map(|place| begin + place)
}

/// Parts between dots as numbers where they are; what has no version comes first, `1.0.0-beta` before `1.0.0`.
pub(super) fn by_version(one: Option<&str>, other: Option<&str>) -> Ordering {
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
        problems.extend(corrected_constraints(&definition));
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

/// A constraint whose expression cannot be read leaves its profile usable; so does a context invariant.
fn unreadable_expressions(definition: &StructureDefinition) -> Vec<Problem> {
    let mut problems = Vec::new();
    let stated = definition.changes.iter().flat_map(|change| {
        change.constraints.iter().filter_map(move |known| Some((Some(change), &known.key, known.expression.as_ref()?)))
    });
    let key: Arc<str> = "contextInvariant".into();
    let of_context = definition.context_invariants.iter().map(|formula| (None, &key, formula));
    for (change, key, formula) in stated.chain(of_context) {
        let Err(error) = formula.expression() else { continue };
        problems.push(Problem {
            file: definition.file.clone(),
            url: Some(definition.url.clone()),
            element: change.map(|change| change.place().into()),
            defect: Defect::Expression { key: key.clone(), text: error.to_string() },
        });
    }
    problems
}

/// Constraints that are not taken as they are published.
fn corrected_constraints(definition: &StructureDefinition) -> impl Iterator<Item = Problem> {
    let stated =
        definition.changes.iter().flat_map(|change| change.constraints.iter().map(move |known| (change, known)));
    stated.filter_map(|(change, constraint)| {
        let correction = constraint.correction.as_ref()?;
        Some(Problem {
            file: definition.file.clone(),
            url: Some(definition.url.clone()),
            element: Some(change.place().into()),
            defect: Defect::Corrected(correction.erratum.clone()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn profile(url: &str, version: Option<&str>, name: &str) -> Value {
        let mut profile = json!({"resourceType": "StructureDefinition", "url": url, "name": name, "status": "draft",
            "kind": "resource", "abstract": false, "type": "Patient", "derivation": "constraint",
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
            "differential": {"element": [{"path": "Patient.name", "min": 1}]}});
        if let Some(version) = version {
            profile["version"] = version.into();
        }
        profile
    }

    fn library(files: &[(&str, Value)]) -> Library {
        let mut shelf = Shelf::new();
        for (name, content) in files {
            shelf.add_file(name, content.to_string().as_bytes());
        }
        shelf.library()
    }

    #[test]
    fn the_order_of_files_changes_nothing() {
        let mut files = [
            ("a.json", profile("http://example.org/a", None, "a")),
            ("b.json", profile("http://example.org/b", Some("1.0.0"), "one")),
            ("c.json", profile("http://example.org/b", Some("1.0.0"), "other")),
            ("d.json", json!({"resourceType": "ValueSet", "url": "http://example.org/v", "status": "draft"})),
            ("e.json", json!({"resourceType": "Patient"})),
        ];
        let one = library(&files);
        files.reverse();
        let other = library(&files);
        assert_eq!(one.problems(), other.problems());
        let urls = |library: &Library| -> Vec<Arc<str>> {
            library.profiles().iter().map(|profile| profile.definition.url.clone()).collect()
        };
        assert_eq!(
            (urls(&one), urls(&other)),
            (vec!["http://example.org/a".into()], vec!["http://example.org/a".into()])
        );
        let told: Vec<String> = one.problems().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3);
        assert!(told[0].starts_with("b.json: it is also in c.json"), "{told:?}");
        assert!(told[1].starts_with("c.json: it is also in b.json"), "{told:?}");
        assert!(told[2].starts_with("e.json: this is no StructureDefinition"), "{told:?}");
    }

    #[test]
    fn the_same_file_twice_is_one() {
        let same = profile("http://example.org/a", None, "a");
        let twice = library(&[("z.json", same.clone()), ("a.json", same)]);
        assert_eq!((twice.profiles().len(), twice.problems()), (1, &[][..]));
        assert_eq!(&*twice.profiles()[0].definition.file, "a.json");
    }

    #[test]
    fn the_newest_version_is_meant_unless_one_is_named() {
        let url = "http://example.org/a";
        let versions = ["1.10.0", "1.9.0", "1.10.0-beta"];
        let files = versions.map(|version| (version, profile(url, Some(version), version)));
        let library = library(&files);
        let name = |canonical: &str| library.profile(canonical).map(|profile| profile.definition.name.to_string());
        assert_eq!(name(url).as_deref(), Some("1.10.0"));
        assert_eq!(name("http://example.org/a|1.9.0").as_deref(), Some("1.9.0"));
        assert_eq!(name("http://example.org/a|2"), None);
        assert_eq!(name("http://hl7.org/fhir/StructureDefinition/bp").as_deref(), Some("Vital Signs Profile"));
    }

    #[test]
    fn files_that_cannot_be_used_are_told() {
        let mut shelf = Shelf::new();
        shelf.add_file("large.json", &vec![b' '; (32 << 20) + 1]);
        shelf.add_file("cut.json", br#"{"resourceType": "StructureDefinition", "#);
        shelf.add_file(
            "release.json",
            br#"{"resourceType":"StructureDefinition","url":"http://example.org/a","fhirVersion":"4.0.1"}"#,
        );
        shelf.add_file(
            "model.json",
            br#"{"resourceType":"StructureDefinition","url":"http://example.org/b","kind":"logical"}"#,
        );
        shelf.add_file(
            "own.json",
            br#"{"resourceType":"StructureDefinition","url":"http://hl7.org/fhir/StructureDefinition/Patient"}"#,
        );
        let xml = "<StructureDefinition xmlns='http://hl7.org/fhir'><url value='http://example.org/x'/><name value='x'/>\
            <kind value='resource'/><type value='Patient'/>\
            <baseDefinition value='http://hl7.org/fhir/StructureDefinition/Patient'/><derivation value='constraint'/>\
            <differential><element><path value='Patient.name'/><min value='1'/></element></differential></StructureDefinition>";
        shelf.add_file("x.xml", xml.as_bytes());
        let library = shelf.library();
        let told: Vec<(&str, &Defect)> = library.problems().iter().map(|known| (&*known.file, &known.defect)).collect();
        assert!(matches!(told[0], ("cut.json", Defect::Unreadable { line: 1, .. })), "{told:?}");
        assert!(matches!(told[1], ("large.json", Defect::FileTooLarge(_))), "{told:?}");
        assert!(matches!(told[2], ("model.json", Defect::NoConstraint)), "{told:?}");
        assert!(matches!(told[3], ("release.json", Defect::OtherRelease(_))), "{told:?}");
        assert_eq!(told.len(), 4);
        let snapshot = library.profile("http://example.org/x").unwrap().snapshot.clone().unwrap();
        assert_eq!(snapshot.root.members().find(|node| &*node.name == "name").unwrap().element.min, 1);
    }

    #[test]
    fn an_expression_that_cannot_be_read_leaves_its_profile() {
        let mut broken = profile("http://example.org/a", None, "a");
        broken["differential"]["element"][0]["constraint"] =
            json!([{"key": "a-1", "severity": "error", "human": "a", "expression": "family.("}]);
        let library = library(&[("a.json", broken)]);
        assert!(library.profiles()[0].snapshot.is_some());
        let problem = &library.problems()[0];
        assert!(matches!(&problem.defect, Defect::Expression { key, .. } if &**key == "a-1"));
        assert_eq!(problem.element.as_deref(), Some("Patient.name"));
        assert!(problem.defect.is_warning());
    }

    #[test]
    fn a_context_invariant_that_cannot_be_read_leaves_its_extension() {
        let mut extension = profile("http://example.org/e", None, "e");
        extension["type"] = "Extension".into();
        extension["baseDefinition"] = "http://hl7.org/fhir/StructureDefinition/Extension".into();
        extension["differential"]["element"] = json!([{"path": "Extension.valueString", "min": 1}]);
        extension["contextInvariant"] = json!(["%extension.exists()", "name.(", "%other.exists()"]);
        let library = library(&[("e.json", extension)]);
        assert!(library.profiles()[0].snapshot.is_some());
        let told: Vec<String> = library.problems().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().all(|text| text.starts_with("e.json: constraint contextInvariant is not checked: ")));
    }

    #[test]
    fn profiles_that_derive_from_each_other_are_told_and_not_used() {
        let of = |url: &str, base: &str| {
            let mut profile = profile(url, None, "a");
            profile["baseDefinition"] = base.into();
            profile
        };
        let [a, b, c] = ["http://example.org/a", "http://example.org/b", "http://example.org/c"];
        let library = library(&[("a.json", of(a, b)), ("b.json", of(b, a)), ("c.json", of(c, c))]);
        assert!(library.profiles().iter().all(|profile| profile.snapshot.is_none()));
        let loops = library.problems().iter().filter(|problem| matches!(problem.defect, Defect::Loop(_)));
        assert_eq!(loops.count(), 2, "{:?}", library.problems());
        assert!(library.problems().iter().any(|problem| &*problem.file == "c.json"));
    }

    #[test]
    fn a_chain_of_profiles_without_end_is_cut() {
        let url = |number: usize| format!("http://example.org/{number:04}");
        let mut shelf = Shelf::new();
        for number in 0..2_000 {
            let mut profile = profile(&url(number), None, "a");
            profile["baseDefinition"] = url(number + 1).into();
            shelf.add_file(&format!("{number:04}.json"), profile.to_string().as_bytes());
        }
        let library = shelf.library();
        assert!(library.profiles().iter().all(|profile| profile.snapshot.is_none()));
        assert!(library.problems().iter().any(|problem| matches!(problem.defect, Defect::TooDeep(_))));
    }

    #[test]
    fn a_million_slices_are_refused_without_being_made() {
        for (count, limit) in [(1_000_000, "no definition needs as many"), (10_001, "more than 10000 elements")] {
            let slices = vec![r#"{"path":"Patient.name","sliceName":"slice"}"#; count];
            let text = format!(
                r#"{{"resourceType":"StructureDefinition","url":"http://example.org/a","name":"a","kind":"resource",
                "type":"Patient","derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
                "differential":{{"element":[{}]}}}}"#,
                slices.join(",")
            );
            let mut shelf = Shelf::new();
            shelf.add_file("a.json", text.as_bytes());
            let library = shelf.library();
            assert!(library.profiles().is_empty(), "{count}");
            assert_eq!(library.problems().len(), 1, "{count}");
            assert!(library.problems()[0].to_string().contains(limit), "{}", library.problems()[0]);
        }
    }

    #[test]
    fn shuffled_files_make_the_same_library() {
        let mut files: Vec<(String, Value)> = (0..12)
            .map(|n| {
                let version = format!("1.{}.0", n % 4);
                let mut profile = profile(&format!("http://example.org/{}", n / 4), Some(&version), "a");
                if n % 3 == 0 {
                    profile["baseDefinition"] = format!("http://example.org/{}", n / 4 + 1).into();
                }
                (format!("{n}.json"), profile)
            })
            .collect();
        files.push((
            "v.json".into(),
            json!({"resourceType": "ValueSet", "url": "http://example.org/v", "status": "draft",
            "compose": {"include": [{"valueSet": ["http://example.org/v"]}]}}),
        ));
        let made = |files: &[(String, Value)]| {
            let mut shelf = Shelf::new();
            files.iter().for_each(|(name, content)| shelf.add_file(name, content.to_string().as_bytes()));
            shelf.library()
        };
        let first = made(&files);
        for round in 1..files.len() {
            // every step takes another file first, and leaves the rest in another order
            files.rotate_left(round);
            files.swap(0, round);
            let other = made(&files);
            assert_eq!(first.problems(), other.problems());
            let whole = |library: &Library| -> Vec<_> {
                let all = library.profiles().iter();
                all.map(|profile| (profile.definition.clone(), profile.snapshot.clone())).collect()
            };
            assert_eq!(whole(&first), whole(&other));
        }
    }
}
