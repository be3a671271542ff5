//! Snapshots: of the release's own constraint profiles, ours from the differential is the published one; of the zib2017
//! package every profile can be used.

use pushbridge::stu3::{
    package::{Archive, ArchiveLimits, Library, Shelf},
    profile::{Constraint, Defect, ElementDefinition, Placed, Typed},
    type_snapshot,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// A package; `None` (and a word about it) where it is not there.
pub(super) fn package(name: &str) -> Option<Vec<u8>> {
    let shared = std::env::var_os("PUSHBRIDGE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let bytes = std::fs::read(shared.join("stu3").join(name)).ok();
    if bytes.is_none() {
        eprintln!("skipped: {name} is not there (set PUSHBRIDGE_SHARED to the folder with stu3/)");
    }
    bytes
}

const CORE: &str = "hl7.fhir.r3.core-3.0.2.tgz";
const ZIB: &str = "nictiz.fhir.nl.stu3.zib2017-2.2.18.tgz";

fn library(packages: &[&[u8]]) -> Library {
    let mut shelf = Shelf::new();
    for bytes in packages {
        shelf.add_package(bytes, &ArchiveLimits::default()).unwrap();
    }
    shelf.library()
}

/// What is compared of an element.
#[derive(Clone, Debug, PartialEq)]
struct Facts {
    id: String,
    counts: String,
    types: BTreeSet<String>,
    fixed: Option<(String, Value)>,
    pattern: Option<(String, Value)>,
    binding: Option<(String, Option<String>)>,
    slicing: Option<Value>,
    keys: BTreeSet<String>,
    content_reference: Option<String>,
    must_support: bool,
    is_modifier: bool,
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Ids from paths and slice names in their order: the published ids have lost their capitals.
fn ids(elements: &[Value]) -> Vec<String> {
    let mut above: Vec<(String, String)> = Vec::new();
    let mut ids = Vec::new();
    for element in elements {
        let parts: Vec<&str> = text(element, "path").unwrap().split('.').collect();
        let common = above.iter().zip(&parts[..parts.len() - 1]).take_while(|((name, _), part)| name == *part).count();
        above.truncate(common);
        for part in &parts[common..] {
            above.push(((*part).to_owned(), (*part).to_owned()));
        }
        // without the element before it that is cut into slices it is only a name
        let element_id = above.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>().join(".");
        if let (Some(slice), Some(last)) = (text(element, "sliceName"), above.last_mut())
            && ids.contains(&element_id)
        {
            last.1 = format!("{}:{slice}", last.0);
        }
        ids.push(above.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>().join("."));
    }
    ids
}

fn typed(element: &Value, prefix: &str) -> Option<(String, Value)> {
    let (name, value) = element.as_object()?.iter().find(|(name, _)| name.starts_with(prefix))?;
    Some((name[prefix.len()..].to_ascii_lowercase(), value.clone()))
}

/// "Extensions are always sliced by (at least) url": published in some places and left out in others.
fn stated_slicing(path: &str, slicing: Value) -> Option<Value> {
    let implied = json!({"by": [["value", "url"]], "rules": "open", "ordered": false});
    let is_extension = path.ends_with("xtension");
    (!(is_extension && slicing == implied)).then_some(slicing)
}

fn published(element: &Value, id: String) -> Facts {
    let binding = element.get("binding").map(|binding| {
        let set = text(&binding["valueSetReference"], "reference").or_else(|| text(binding, "valueSetUri"));
        (text(binding, "strength").unwrap().to_owned(), set.map(str::to_owned))
    });
    let slicing = element.get("slicing").map(|slicing| {
        let by = items(slicing, "discriminator").iter().map(|by| json!([by["type"], by["path"]]));
        json!({"by": by.collect::<Vec<_>>(), "rules": slicing["rules"], "ordered": slicing["ordered"] == true})
    });
    let type_text = |known: &Value| {
        [text(known, "code"), text(known, "profile"), text(known, "targetProfile")]
            .map(Option::unwrap_or_default)
            .join(" ")
    };
    Facts {
        counts: format!("{}..{}", element["min"], text(element, "max").unwrap()),
        types: items(element, "type").iter().map(type_text).collect(),
        fixed: typed(element, "fixed"),
        pattern: typed(element, "pattern"),
        binding,
        slicing: slicing.and_then(|slicing| stated_slicing(text(element, "path").unwrap(), slicing)),
        keys: items(element, "constraint").iter().map(|rule| text(rule, "key").unwrap().to_owned()).collect(),
        content_reference: text(element, "contentReference").map(|path| path.trim_start_matches('#').to_owned()),
        must_support: element["mustSupport"] == true,
        is_modifier: element["isModifier"] == true,
        id,
    }
}

fn value(known: Option<&Typed>) -> Option<(String, Value)> {
    known.map(|known| (known.type_name.to_ascii_lowercase(), serde_json::from_str(&known.value.to_string()).unwrap()))
}

fn ours(placed: &Placed<'_>) -> Facts {
    let element: &ElementDefinition = &placed.node.element;
    let slicing = element.slicing.as_ref().map(|slicing| {
        let by: Vec<_> = slicing.discriminators.iter().map(|by| json!([by.kind.code(), &*by.path])).collect();
        json!({"by": by, "rules": slicing.rules.code(), "ordered": slicing.ordered})
    });
    let max = element.max.map_or_else(|| "*".to_owned(), |max| max.to_string());
    Facts {
        id: placed.id.clone(),
        counts: format!("{}..{max}", element.min),
        types: element
            .types
            .iter()
            .map(|known| {
                let part = |part: &Option<std::sync::Arc<str>>| part.as_deref().unwrap_or_default().to_owned();
                format!("{} {} {}", known.code, part(&known.profile), part(&known.target))
            })
            .collect(),
        fixed: value(element.fixed.as_ref()),
        pattern: value(element.pattern.as_ref()),
        binding: element.binding.as_ref().map(|binding| {
            (format!("{:?}", binding.strength).to_lowercase(), binding.value_set.as_deref().map(str::to_owned))
        }),
        slicing: slicing.and_then(|slicing| stated_slicing(&placed.path, slicing)),
        keys: keys(&element.constraints),
        content_reference: element.content_reference.as_deref().map(str::to_owned),
        must_support: element.must_support,
        is_modifier: element.is_modifier,
    }
}

fn keys(constraints: &[Constraint]) -> BTreeSet<String> {
    constraints.iter().map(|constraint| constraint.key.to_string()).collect()
}

/// The constraints that a value of this type meets whatever the element says.
fn keys_of_type(library: &Library, known: &str) -> BTreeSet<String> {
    let mut parts = known.split(' ');
    let (code, profile) = (parts.next().unwrap(), parts.next().unwrap_or_default());
    let of_profile = library.profile(profile).and_then(|profile| profile.snapshot.clone());
    let snapshot = of_profile.or_else(|| type_snapshot(code));
    snapshot.map(|snapshot| keys(&snapshot.root.element.constraints)).unwrap_or_default()
}

/// Every constraint profile of the release with its published snapshot: name, definition.
fn constraint_profiles(bytes: &[u8]) -> BTreeMap<String, Value> {
    let archive = Archive::read(bytes, &ArchiveLimits::default()).unwrap();
    let definitions = archive.files.iter().filter(|(name, _)| name.starts_with("StructureDefinition-"));
    definitions
        .map(|(name, bytes)| {
            let name = name.trim_start_matches("StructureDefinition-").trim_end_matches(".json");
            (name.to_owned(), serde_json::from_slice::<Value>(bytes).unwrap())
        })
        .filter(|(_, definition)| text(definition, "derivation") == Some("constraint"))
        .collect()
}

/// The differences between a published snapshot and ours.
fn differences(library: &Library, definition: &Value) -> Vec<String> {
    let Some(snapshot) = library.profile(text(definition, "url").unwrap()).and_then(|known| known.snapshot.clone())
    else {
        return vec!["no snapshot".to_owned()];
    };
    let elements = items(&definition["snapshot"], "element");
    let mut theirs: Vec<Facts> =
        elements.iter().zip(ids(elements)).map(|(element, id)| published(element, id)).collect();
    let known: BTreeSet<String> = theirs.iter().map(|facts| facts.id.clone()).collect();
    let mut own: Vec<Facts> = snapshot.elements().iter().map(ours).collect();
    // the publisher leaves out what is in an element that it cuts into slices
    let sliced: Vec<String> = own
        .iter()
        .filter(|facts| {
            own.iter().any(|other| other.id.strip_prefix(&facts.id).is_some_and(|rest| rest.starts_with(':')))
        })
        .map(|facts| format!("{}.", facts.id))
        .filter(|prefix| !known.iter().any(|id| id.starts_with(prefix)))
        .collect();
    own.retain(|facts| !sliced.iter().any(|prefix| facts.id.starts_with(prefix)));
    for facts in own.iter_mut().chain(&mut theirs) {
        let by_type: BTreeSet<String> = facts.types.iter().flat_map(|known| keys_of_type(library, known)).collect();
        facts.keys.retain(|key| !by_type.contains(key));
    }
    let mut told = Vec::new();
    let ids = |list: &[Facts]| list.iter().map(|facts| facts.id.clone()).collect::<Vec<_>>();
    let (own_ids, their_ids) = (ids(&own), ids(&theirs));
    told.extend(own_ids.iter().filter(|id| !their_ids.contains(id)).map(|id| format!("{id}: only ours")));
    told.extend(their_ids.iter().filter(|id| !own_ids.contains(id)).map(|id| format!("{id}: only published")));
    if told.is_empty() && own_ids != their_ids {
        told.push("order".to_owned());
    }
    for facts in &own {
        let Some(other) = theirs.iter().find(|other| other.id == facts.id) else { continue };
        told.extend(compared(facts, other).into_iter().map(|what| format!("{}: {what}", facts.id)));
    }
    told
}

fn compared(own: &Facts, published: &Facts) -> Vec<String> {
    let mut told = Vec::new();
    macro_rules! compare {
        ($($part:ident),*) => {$(
            if own.$part != published.$part {
                told.push(format!("{}: ours {:?}, published {:?}", stringify!($part), own.$part, published.$part));
            }
        )*};
    }
    compare!(counts, types, fixed, pattern, binding, slicing, keys, content_reference, must_support, is_modifier);
    told
}

/// Where the published snapshot is not what follows from the differential, and why.
const DIFFERENT: [(&str, &str); 3] = [
    (
        "consentdirective",
        "constrains Contract.actor, which is no element of STU3; the publisher dropped it, here it is an error",
    ),
    (
        "elementdefinition-de",
        "was published with contents of its extensions that its differential does not walk into, and on a base of 3.0.1 that had eld-10",
    ),
    ("example", "is of DSTU2 and has no differential"),
];

/// "max: 0" of an element that its base cuts into slices, as `extension` of every data type, was lost by the publisher.
/// Profiles say it of `extension` alone.
fn is_lost_zero(difference: &str) -> bool {
    difference.ends_with(r#".extension: counts: ours "0..0", published "0..*""#)
}

#[test]
fn snapshots_of_the_release_are_those_published() {
    let Some(bytes) = package(CORE) else { return };
    let library = library(&[&bytes]);
    let profiles = constraint_profiles(&bytes);
    assert_eq!(profiles.len(), 409);
    let (mut equal, mut unequal) = (BTreeMap::from([(false, 0), (true, 0)]), BTreeMap::new());
    for (name, definition) in &profiles {
        let mut differences = differences(&library, definition);
        let zeros = stated_zeros(definition);
        let lost = differences.iter().filter(|difference| is_lost_zero(difference)).count();
        assert!(lost <= zeros, "{name}: {differences:#?}");
        differences.retain(|difference| !is_lost_zero(difference));
        if differences.is_empty() {
            *equal.entry(lost > 0).or_default() += 1;
        } else {
            unequal.insert(name.as_str(), differences);
        }
    }
    let kept: Vec<&str> = DIFFERENT.iter().map(|(name, _)| *name).collect();
    assert_eq!(unequal.keys().copied().collect::<Vec<_>>(), kept, "{unequal:#?}");
    // equal in everything, and equal but for the zeros that the publisher lost
    assert_eq!((equal[&false], equal[&true]), (30, 376));
}

/// How often a differential takes `extension` away.
fn stated_zeros(definition: &Value) -> usize {
    let elements = items(&definition["differential"], "element").iter();
    elements
        .filter(|element| text(element, "max") == Some("0") && text(element, "path").unwrap().ends_with(".extension"))
        .count()
}

/// Elements where ours is not what is published, and why.
const OTHER_ELEMENTS: [(&str, &[&str]); 2] = [
    // published without the constraint that every element inherits
    ("keys", &["Age", "Count", "Distance", "Duration", "Money"]),
    // how often a resource stands says nothing; published for these alone
    (
        "counts",
        &["CapabilityStatement", "CompartmentDefinition", "ImplementationGuide", "SearchParameter", "StructureMap"],
    ),
];

#[test]
fn types_of_the_release_are_those_published() {
    let Some(bytes) = package(CORE) else { return };
    let archive = Archive::read(&bytes, &ArchiveLimits::default()).unwrap();
    let mut compared_types = 0;
    let mut told = Vec::new();
    for (file, bytes) in archive.files.iter().filter(|(name, _)| name.starts_with("StructureDefinition-")) {
        let definition: Value = serde_json::from_slice(bytes).unwrap();
        let kind = text(&definition, "kind").unwrap();
        if text(&definition, "derivation") == Some("constraint") || !matches!(kind, "resource" | "complex-type") {
            continue;
        }
        let Some(snapshot) = type_snapshot(text(&definition, "name").unwrap()) else { continue };
        compared_types += 1;
        let elements = items(&definition["snapshot"], "element");
        let theirs: Vec<Facts> =
            elements.iter().zip(ids(elements)).map(|(element, id)| published(element, id)).collect();
        let own: Vec<Facts> = snapshot.elements().iter().map(ours).collect();
        let ids = |list: &[Facts]| list.iter().map(|facts| facts.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&own), ids(&theirs), "{file}");
        for (own, theirs) in own.iter().zip(&theirs) {
            told.extend(compared(own, theirs).into_iter().map(|what| format!("{}: {what}", own.id)));
        }
    }
    assert_eq!(compared_types, 154);
    told.retain(|difference| {
        !OTHER_ELEMENTS
            .iter()
            .any(|(what, ids)| ids.iter().any(|id| difference.starts_with(&format!("{id}: {what}: "))))
    });
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn every_zib2017_profile_is_usable() {
    let Some(bytes) = package(ZIB) else { return };
    let library = library(&[&bytes]);
    assert_eq!((library.profiles().len(), library.value_sets().len()), (214, 261));
    let unusable: Vec<_> = library.profiles().iter().filter(|profile| profile.snapshot.is_none()).collect();
    assert!(unusable.is_empty(), "{unusable:#?}");
    // "slice numberOfChildrenLivingAtHomeCode" of a `coding` without slicing; it is the only one, so every coding is meant
    let told: Vec<(&str, &str)> = library
        .problems()
        .iter()
        .filter(|problem| !matches!(problem.defect, Defect::Corrected(_)))
        .map(|problem| (problem.file.rsplit('/').next().unwrap(), problem.element.as_deref().unwrap()))
        .collect();
    let place = "Observation.component:numberOfChildrenLivingAtHome.code.coding:numberOfChildrenLivingAtHomeCode";
    assert_eq!(told, [("StructureDefinition-zib-FamilySituation.json", place)]);
    // with the release's package beside it, in either order, nothing is different
    let Some(core) = package(CORE) else { return };
    let both = [self::library(&[&bytes, &core]), self::library(&[&core, &bytes])];
    for other in &both {
        assert_eq!(other.profiles().len(), 214);
        for (one, other) in library.profiles().iter().zip(other.profiles()) {
            assert_eq!(one.snapshot, other.snapshot, "{}", one.definition.url);
        }
    }
    assert_eq!(both[0].problems(), both[1].problems());
}
