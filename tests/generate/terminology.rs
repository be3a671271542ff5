//! The codes of a release as lines of tab-separated text; `src/stu3/terminology/table.rs` reads them and says what they mean.
//!
//! Facts only: URLs, codes and how they stand to each other, and in a table of their own the names of codes. Value sets are expanded as far as the package's own code systems go; what needs another
//! system (LOINC, SNOMED CT) stays open, by its name.

use super::package::{Package, items, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Says which other concepts a concept stands above, where nesting cannot say it.
const SUBSUMES: &str = "http://hl7.org/fhir/StructureDefinition/codesystem-subsumes";

/// Sets that elements are bound to and that are no resources of the package: each is all of one system.
const GRAMMARS: [(&str, &str); 2] =
    [("http://tools.ietf.org/html/bcp47", LANGUAGES), ("http://www.rfc-editor.org/bcp/bcp13.txt", "urn:ietf:bcp:13")];

/// Its tags are the same in capital and small letters.
const LANGUAGES: &str = "urn:ietf:bcp:47";

/// The table of a package: code systems by URL, then value sets by URL.
pub(crate) fn table(package: &Package) -> String {
    let mut out = String::new();
    for (url, system) in &package.code_systems {
        let Some(codes) = all(system) else { continue };
        let mut flags = String::new();
        if ignores_case(package, url) {
            flags.push('i');
        }
        if text(system, "content") == "example" {
            flags.push('x');
        }
        let _ = writeln!(out, "S\t{url}\t{flags}\t{}", sorted(package, url, &codes));
        if let Some(parents) = parents(package, url, system, &codes) {
            let _ = writeln!(out, "H\t{url}\t{parents}");
        }
    }
    for url in package.value_sets.keys() {
        let set = expand(package, url);
        let _ = writeln!(out, "V\t{url}");
        for (system, codes) in set.closed.iter().filter(|(_, codes)| !codes.is_empty()) {
            if package.code_systems.get(*system).and_then(all).is_some_and(|all| all == *codes) {
                let _ = writeln!(out, "A\t{system}");
            } else {
                let _ = writeln!(out, "C\t{system}\t{}", sorted(package, system, codes));
            }
        }
        for (system, excluded) in &set.open {
            let _ = writeln!(out, "O\t{system}\t{}", sorted(package, system, excluded));
        }
    }
    for (url, system) in GRAMMARS {
        let _ = writeln!(out, "V\t{url}\nO\t{system}\t");
    }
    out
}

/// The table of displays: a line for each code system, with the names of each of its codes in the order of the first table.
pub(crate) fn displays(package: &Package) -> String {
    let mut out = String::new();
    for (url, system) in &package.code_systems {
        let Some(codes) = all(system) else { continue };
        let concepts = concepts(system);
        let names = |code: &&str| {
            let concept = concepts[code].concept;
            let designations = items(concept, "designation").iter().map(|designation| text(designation, "value"));
            let mut names: Vec<String> = Vec::new();
            for name in std::iter::once(text(concept, "display")).chain(designations) {
                let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(!name.contains(BETWEEN_NAMES), "{url}: {name}");
                if !name.is_empty() && !names.contains(&name) {
                    names.push(name);
                }
            }
            names.join(BETWEEN_NAMES)
        };
        let columns: Vec<String> = in_order(package, url, &codes).iter().map(names).collect();
        let _ = writeln!(out, "{url}\t{}", columns.join("\t"));
    }
    out
}

const BETWEEN_NAMES: &str = "\u{a6}";

/// For each code the places of those directly above it; `None` where no code has any.
fn parents(package: &Package, url: &str, system: &Value, codes: &BTreeSet<&str>) -> Option<String> {
    let (concepts, order) = (concepts(system), in_order(package, url, codes));
    let mut above: Vec<Vec<String>> = vec![Vec::new(); order.len()];
    for (place, code) in order.iter().enumerate() {
        for child in &concepts[code].children {
            let at = order.iter().position(|known| known == child).expect("a concept below another is a concept");
            above[at].push(place.to_string());
        }
    }
    let columns: Vec<String> = above.iter().map(|places| places.join(",")).collect();
    columns.iter().any(|column| !column.is_empty()).then(|| columns.join("\t"))
}

/// Codes in the order in which they are searched for: that of their bytes, in lower case where case does not count.
fn in_order<'p>(package: &Package, system: &str, codes: &BTreeSet<&'p str>) -> Vec<&'p str> {
    let mut codes: Vec<&str> = codes.iter().copied().collect();
    if ignores_case(package, system) {
        codes.sort_by_key(|code| code.to_ascii_lowercase());
    }
    codes
}

fn sorted(package: &Package, system: &str, codes: &BTreeSet<&str>) -> String {
    in_order(package, system, codes).join("\t")
}

fn ignores_case(package: &Package, system: &str) -> bool {
    system == LANGUAGES || package.code_systems.get(system).is_some_and(|system| system["caseSensitive"] == false)
}

/// A value set as far as the package tells it.
#[derive(Clone, Default)]
struct Set<'p> {
    /// Codes that are in it, by system.
    closed: BTreeMap<&'p str, BTreeSet<&'p str>>,
    /// Systems of which more codes are in it than the package tells, with those that are excluded by name.
    open: BTreeMap<&'p str, BTreeSet<&'p str>>,
}

fn expand<'p>(package: &'p Package, url: &str) -> Set<'p> {
    let Some(definition) = package.value_sets.get(url) else { return Set::default() };
    let mut set = Set::default();
    let compose = &definition["compose"];
    for include in items(compose, "include") {
        let part = part(package, include);
        for (system, codes) in part.closed {
            set.closed.entry(system).or_default().extend(codes);
        }
        for (system, excluded) in part.open {
            set.open.entry(system).or_insert(excluded);
        }
    }
    for exclude in items(compose, "exclude") {
        let part = part(package, exclude);
        for (system, excluded) in part.closed {
            if let Some(codes) = set.closed.get_mut(system) {
                codes.retain(|code| !excluded.contains(code));
            }
            if let Some(known) = set.open.get_mut(system) {
                known.extend(excluded);
            }
        }
        // which codes an unknown part takes away is unknown
        for system in part.open.into_keys().filter(|system| set.closed.remove(system).is_some()) {
            set.open.entry(system).or_default();
        }
    }
    let given = items(&definition["expansion"], "contains");
    if set.open.is_empty() || given.is_empty() {
        return set;
    }
    let mut listed = Set::default();
    contained(given, &mut listed);
    listed
}

/// The codes of a given expansion.
fn contained<'p>(entries: &'p [Value], set: &mut Set<'p>) {
    for entry in entries {
        if entry["abstract"] != true && !text(entry, "code").is_empty() {
            set.closed.entry(text(entry, "system")).or_default().insert(text(entry, "code"));
        }
        contained(items(entry, "contains"), set);
    }
}

/// One include or exclude: the intersection of its value sets and its system's part.
fn part<'p>(package: &'p Package, include: &'p Value) -> Set<'p> {
    let own = include.get("system").and_then(Value::as_str).map(|system| from_system(package, include, system));
    let imported = items(include, "valueSet").iter().filter_map(Value::as_str).map(|url| expand(package, url));
    own.into_iter().chain(imported).reduce(|one, other| intersection(&one, &other)).unwrap_or_default()
}

fn intersection<'p>(one: &Set<'p>, other: &Set<'p>) -> Set<'p> {
    let mut set = Set::default();
    for system in one.closed.keys().chain(one.open.keys()) {
        let (left, right) = (one.closed.get(system), other.closed.get(system));
        if one.open.contains_key(system) && (right.is_some() || other.open.contains_key(system))
            || other.open.contains_key(system)
        {
            set.open.insert(system, BTreeSet::new());
        } else if let (Some(left), Some(right)) = (left, right) {
            set.closed.insert(system, left & right);
        }
    }
    set
}

/// What an include takes from its system: the codes it lists, those its filters let through, or all.
fn from_system<'p>(package: &'p Package, include: &'p Value, system: &'p str) -> Set<'p> {
    let listed = items(include, "concept");
    let open = || Set { open: BTreeMap::from([(system, BTreeSet::new())]), ..Set::default() };
    let closed = |codes| Set { closed: BTreeMap::from([(system, codes)]), ..Set::default() };
    if !listed.is_empty() {
        return closed(listed.iter().map(|concept| text(concept, "code")).collect());
    }
    let Some(definition) = package.code_systems.get(system) else { return open() };
    let Some(mut codes) = all(definition) else { return open() };
    for filter in items(include, "filter") {
        let Some(passed) = filtered(definition, filter) else { return open() };
        codes = &codes & &passed;
    }
    let mut set = closed(codes);
    if text(definition, "content") != "complete" {
        set.open.insert(system, BTreeSet::new());
    }
    set
}

/// The codes that pass a filter; `None` for operations that the release does not use on systems it has.
fn filtered<'p>(definition: &'p Value, filter: &Value) -> Option<BTreeSet<&'p str>> {
    let concepts = concepts(definition);
    let (property, value) = (text(filter, "property"), text(filter, "value"));
    let has = |concept: &Value, wanted: &dyn Fn(&str) -> bool| match property {
        "parent" => concepts
            .iter()
            .any(|(parent, children)| wanted(parent) && children.children.contains(text(concept, "code"))),
        "concept" | "code" => wanted(text(concept, "code")),
        _ => items(concept, "property").iter().any(|entry| {
            text(entry, "code") == property
                && ["valueCode", "valueString"]
                    .iter()
                    .any(|name| entry.get(name).is_some_and(|v| wanted(v.as_str().unwrap_or_default())))
        }),
    };
    let with = |wanted: &dyn Fn(&str) -> bool, present: bool| {
        concepts.iter().filter(|(_, entry)| has(entry.concept, wanted) == present).map(|(code, _)| *code).collect()
    };
    let listed: Vec<&str> = value.split(',').map(str::trim).collect();
    match text(filter, "op") {
        "is-a" => Some(below(&concepts, value)),
        "descendent-of" => Some(below(&concepts, value).into_iter().filter(|code| *code != value).collect()),
        "is-not-a" => {
            let below = below(&concepts, value);
            Some(concepts.keys().copied().filter(|code| !below.contains(code)).collect())
        }
        "=" => Some(with(&|found| found == value, true)),
        "in" => Some(with(&|found| listed.contains(&found), true)),
        "not-in" => Some(with(&|found| listed.contains(&found), false)),
        "exists" => Some(with(&|_| true, value == "true")),
        _ => None,
    }
}

struct Concept<'p> {
    concept: &'p Value,
    children: BTreeSet<&'p str>,
}

/// All concepts of a system with those directly below them.
fn concepts(definition: &Value) -> BTreeMap<&str, Concept<'_>> {
    fn gather<'p>(list: &'p [Value], found: &mut BTreeMap<&'p str, Concept<'p>>) {
        for concept in list {
            let nested = items(concept, "concept");
            let further = items(concept, "extension").iter().filter(|extension| text(extension, "url") == SUBSUMES);
            let children = nested
                .iter()
                .map(|child| text(child, "code"))
                .chain(further.map(|extension| text(extension, "valueCode")))
                .collect();
            found.insert(text(concept, "code"), Concept { concept, children });
            gather(nested, found);
        }
    }
    let mut found = BTreeMap::new();
    gather(items(definition, "concept"), &mut found);
    found
}

/// A code and all below it.
fn below<'p>(concepts: &BTreeMap<&'p str, Concept<'p>>, root: &str) -> BTreeSet<&'p str> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<&'p str> = concepts.get_key_value(root).map(|(code, _)| *code).into_iter().collect();
    while let Some(code) = waiting.pop() {
        if found.insert(code) {
            waiting.extend(concepts.get(code).into_iter().flat_map(|concept| concept.children.iter().copied()));
        }
    }
    found
}

/// All codes of a system whose content the package has, examples included; `None` for one that it has not, or in part.
fn all(definition: &Value) -> Option<BTreeSet<&str>> {
    matches!(text(definition, "content"), "complete" | "example").then(|| concepts(definition).into_keys().collect())
}
