//! Cases of snapshots: small profiles, and what follows from them.

use super::{Defect, SlicingRules, Snapshot};
use crate::stu3::package::{Library, Shelf};
use serde_json::{Value, json};
use std::sync::Arc;

/// A profile `http://example.org/NAME` of a type, with these changes.
fn profile(name: &str, base: &str, type_name: &str, changes: &Value) -> Value {
    let base =
        if base.contains(':') { base.to_owned() } else { format!("http://hl7.org/fhir/StructureDefinition/{base}") };
    json!({"resourceType": "StructureDefinition", "url": format!("http://example.org/{name}"), "name": name,
        "status": "draft", "kind": "resource", "abstract": false, "type": type_name, "baseDefinition": base,
        "derivation": "constraint", "fhirVersion": "3.0.2", "differential": {"element": changes}})
}

fn library(profiles: &[Value]) -> Library {
    let mut shelf = Shelf::new();
    for (number, profile) in profiles.iter().enumerate() {
        shelf.add_file(&format!("{number}.json"), profile.to_string().as_bytes());
    }
    shelf.library()
}

fn snapshot(library: &Library, name: &str) -> Arc<Snapshot> {
    assert_eq!(library.problems(), [], "{:#?}", library.problems());
    library.profile(&format!("http://example.org/{name}")).unwrap().snapshot.clone().unwrap()
}

/// Elements below a place: id, counts, types.
fn drawn(snapshot: &Snapshot, below: &str) -> Vec<String> {
    let elements = snapshot.elements();
    let drawn = elements.iter().filter(|placed| placed.id.starts_with(below)).map(|placed| {
        let element = &placed.node.element;
        let max = element.max.map_or_else(|| "*".to_owned(), |max| max.to_string());
        let types: Vec<&str> = element.types.iter().map(|known| &*known.code).collect();
        format!("{} {}..{max} {}", placed.id, element.min, types.join(","))
    });
    drawn.collect()
}

fn defects(profiles: &[Value]) -> Vec<(Option<String>, Defect)> {
    let library = library(profiles);
    library
        .problems()
        .iter()
        .map(|problem| (problem.element.as_deref().map(str::to_owned), problem.defect.clone()))
        .collect()
}

#[test]
fn one_type_of_a_choice_takes_its_place() {
    let changes = json!([
        {"path": "Observation.valueQuantity", "min": 1},
        {"path": "Observation.valueQuantity.unit", "min": 1}
    ]);
    let quantity = profile("a", "Observation", "Observation", &changes);
    // what derives from it may call it by either name
    let changes =
        json!([{"path": "Observation.value[x]", "max": "1"}, {"path": "Observation.valueQuantity.code", "min": 1}]);
    let derived = profile("b", "http://example.org/a", "Observation", &changes);
    let library = library(&[derived, quantity]);
    let expected = [
        "Observation.valueQuantity 1..1 Quantity",
        "Observation.valueQuantity.id 0..1 string",
        "Observation.valueQuantity.extension 0..* Extension",
        "Observation.valueQuantity.value 0..1 decimal",
        "Observation.valueQuantity.comparator 0..1 code",
        "Observation.valueQuantity.unit 1..1 string",
        "Observation.valueQuantity.system 0..1 uri",
        "Observation.valueQuantity.code 1..1 code",
    ];
    assert_eq!(drawn(&snapshot(&library, "b"), "Observation.value"), expected);
    assert_eq!(drawn(&snapshot(&library, "a"), "Observation.value")[7], "Observation.valueQuantity.code 0..1 code");
}

#[test]
fn several_types_of_a_choice_are_slices() {
    let changes =
        json!([{"path": "Observation.valueQuantity", "min": 0}, {"path": "Observation.valueString", "max": "0"}]);
    let library = library(&[profile("a", "Observation", "Observation", &changes)]);
    let expected = ["Observation.value[x]:valueQuantity 0..1 Quantity", "Observation.value[x]:valueString 0..0 string"];
    assert_eq!(drawn(&snapshot(&library, "a"), "Observation.value[x]:"), expected);
    let all = snapshot(&library, "a");
    let choice = all.root.members().find(|node| node.choice() == Some("value")).unwrap();
    // the types that are not named are taken away
    let slicing = choice.element.slicing.as_ref().unwrap();
    assert_eq!((&*slicing.discriminators[0].path, slicing.rules), ("$this", SlicingRules::Closed));
    assert_eq!(choice.element.types.iter().map(|known| &*known.code).collect::<Vec<_>>(), ["Quantity", "string"]);
    assert_eq!(all.root.slices(choice).count(), 2);
}

const BY_SYSTEM: &str = r#"{"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}"#;

fn by_system() -> Value {
    serde_json::from_str(BY_SYSTEM).unwrap()
}

#[test]
fn slices_are_inherited_and_sliced_once_more() {
    let changes = json!([
        {"path": "Patient.identifier", "min": 2, "slicing": by_system()},
        {"path": "Patient.identifier", "sliceName": "bsn", "max": "1"},
        {"path": "Patient.identifier.system", "min": 1, "fixedUri": "http://example.org/bsn"},
        {"path": "Patient.identifier", "sliceName": "local"}
    ]);
    let outer = profile("a", "Patient", "Patient", &changes);
    let changes = json!([
        {"path": "Patient.identifier", "sliceName": "bsn", "min": 1},
        {"path": "Patient.identifier", "sliceName": "local", "slicing": by_system()},
        {"path": "Patient.identifier", "sliceName": "local/ward", "max": "3"},
        {"path": "Patient.identifier.value", "min": 1},
        // the id alone says that this is in the first slice
        {"path": "Patient.identifier.use", "id": "Patient.identifier:bsn.use", "max": "0"},
        {"path": "Patient.identifier", "sliceName": "other"}
    ]);
    let inner = profile("b", "http://example.org/a", "Patient", &changes);
    let library = library(&[outer, inner]);
    let all = drawn(&snapshot(&library, "b"), "Patient.identifier");
    let slices: Vec<&str> = all.iter().map(String::as_str).filter(|line| line.ends_with(" Identifier")).collect();
    let expected = [
        "Patient.identifier 2..* Identifier",
        "Patient.identifier:bsn 1..1 Identifier",
        "Patient.identifier:local 0..* Identifier",
        "Patient.identifier:local/ward 0..3 Identifier",
        "Patient.identifier:other 0..* Identifier",
    ];
    assert_eq!(slices, expected);
    for line in ["bsn.system 1..1 uri", "bsn.use 0..0 code", "local/ward.value 1..1 string"] {
        assert!(all.contains(&format!("Patient.identifier:{line}")), "{line}: {all:#?}");
    }
    assert!(!all.iter().any(|line| line.starts_with("Patient.identifier:local.")), "{all:#?}");
}

#[test]
fn elements_of_other_elements_are_unfolded_where_a_path_leads() {
    let changes = json!([{"path": "Questionnaire.item.item.item.linkId", "fixedString": "a"}]);
    let library = library(&[profile("a", "Questionnaire", "Questionnaire", &changes)]);
    let all = snapshot(&library, "a");
    let elements = all.elements();
    let found = elements.iter().find(|placed| placed.id == "Questionnaire.item.item.item.linkId").unwrap();
    assert_eq!(found.node.element.fixed.as_ref().unwrap().value.as_str(), Some("a"));
    assert!(elements.iter().all(|placed| placed.depth < 6));
}

#[test]
fn extensions_bring_their_elements_and_how_often_they_stand() {
    let changes = json!([
        {"path": "Extension", "min": 1, "max": "2"},
        {"path": "Extension.url", "fixedUri": "http://example.org/e"},
        {"path": "Extension.valueCoding", "min": 1}
    ]);
    let extension = profile("e", "Extension", "Extension", &changes);
    let of_type = json!([{"code": "Extension", "profile": "http://example.org/e"}]);
    let changes = json!([
        {"path": "Patient.extension", "sliceName": "one", "type": of_type},
        {"path": "Patient.extension.valueCoding.code", "fixedCode": "a"},
        {"path": "Patient.birthDate.extension", "sliceName": "two", "min": 0, "type": of_type}
    ]);
    let library = library(&[profile("p", "Patient", "Patient", &changes), extension]);
    let all = drawn(&snapshot(&library, "p"), "Patient");
    for line in [
        "extension:one 0..2 Extension",
        "extension:one.url 1..1 uri",
        "extension:one.valueCoding 1..1 Coding",
        "extension:one.valueCoding.code 0..1 code",
        "birthDate.extension:two 0..2 Extension",
    ] {
        assert!(all.contains(&format!("Patient.{line}")), "{line}: {all:#?}");
    }
}

#[test]
fn what_is_not_said_is_inherited() {
    let changes = json!([
        {"path": "Observation.code", "patternCodeableConcept": {"coding": [{"code": "a"}]},
         "binding": {"strength": "required"}, "mustSupport": true,
         "constraint": [{"key": "x-1", "severity": "error", "human": "a", "expression": "text.exists()"}]}
    ]);
    let outer = profile("a", "Observation", "Observation", &changes);
    let changes = json!([{"path": "Observation.code",
        "constraint": [{"key": "x-2", "severity": "warning", "human": "b", "expression": "text.length() > 2"}]}]);
    let library = library(&[outer, profile("b", "http://example.org/a", "Observation", &changes)]);
    let all = snapshot(&library, "b");
    let code = all.root.members().find(|node| &*node.name == "code").unwrap();
    let binding = code.element.binding.as_ref().unwrap();
    assert_eq!(binding.value_set.as_deref(), Some("http://hl7.org/fhir/ValueSet/observation-codes"));
    assert_eq!(binding.strength, crate::stu3::Strength::Required);
    let keys: Vec<&str> = code.element.constraints.iter().map(|constraint| &*constraint.key).collect();
    assert_eq!(keys, ["x-1", "x-2"]);
    assert_eq!(code.element.pattern.as_ref().unwrap().value.to_string(), r#"{"coding":[{"code":"a"}]}"#);
    assert!(code.element.must_support);
}

#[test]
fn broken_profiles_are_told_with_their_element() {
    let of = |changes: Value| defects(&[profile("a", "Patient", "Patient", &changes)]);
    let at = |element: &str, defect: Defect| vec![(Some(element.to_owned()), defect)];
    let none = |name: &str, parent: &str| Defect::NoElement { name: name.to_owned(), parent: parent.to_owned() };
    // what lies in an element that is not there is not told once more
    let changes = json!([{"path": "Patient.pet"}, {"path": "Patient.pet.name"}]);
    assert_eq!(of(changes), at("Patient.pet", none("pet", "Patient")));
    let changes = json!([{"path": "Observation.code"}]);
    assert_eq!(of(changes), at("Observation.code", none("Observation", "a profile of Patient")));
    let changes = json!([{"path": "Patient.deceased[x].value"}]);
    assert_eq!(of(changes), at("Patient.deceased[x].value", Defect::SeveralTypes("Patient.deceased[x]".to_owned())));
    let changes = json!([{"path": "Patient.name", "min": 3, "max": "2"}]);
    assert_eq!(of(changes), at("Patient.name", Defect::MinAboveMax { min: 3, max: 2 }));
    let changes = json!([{"path": "Patient.gender", "type": [{"code": "Coding"}]}]);
    assert_eq!(of(changes), at("Patient.gender", Defect::TypeNotAllowed("Coding".into())));
    let changes = json!([{"path": "Patient.name"}, {"path": "Patient.name"}]);
    assert_eq!(of(changes), at("Patient.name", Defect::ElementTwice));
    let changes = json!([{"path": "Patient.name", "sliceName": "a/b"}, {"path": "Patient.name", "sliceName": "a"}]);
    assert!(of(changes).contains(&(Some("Patient.name".to_owned()), Defect::NoSlice("a".into()))));
    let changes = json!([{"path": "Patient.name", "max": "many"}]);
    assert_eq!(of(changes), at("Patient.name", Defect::Code("max")));
    let changes = json!([{"path": format!("Patient{}", ".contact".repeat(60))}]);
    assert!(matches!(of(changes)[0].1, Defect::PathTooDeep(_)));
    // these leave it usable
    let changes = json!([{"path": "Patient.gender", "max": "4"}]);
    let library = library(&[profile("a", "Patient", "Patient", &changes)]);
    assert_eq!(library.problems()[0].defect, Defect::Wider);
    assert_eq!(
        library.profiles()[0].snapshot.as_ref().unwrap().root.members().filter(|node| &*node.name == "gender").count(),
        1
    );
}

#[test]
fn bases_that_are_missing_broken_or_go_in_a_circle_are_told() {
    let none = json!([]);
    let of = |name: &str, base: &str| profile(name, &format!("http://example.org/{base}"), "Patient", &none);
    let url = |name: &str| -> Arc<str> { format!("http://example.org/{name}").into() };
    let told = |profiles: &[Value]| defects(profiles).into_iter().map(|(_, defect)| defect).collect::<Vec<_>>();
    assert_eq!(told(&[of("a", "z")]), [Defect::NoBase(url("z"))]);
    assert_eq!(told(&[of("a", "z"), of("b", "a")]), [Defect::NoBase(url("z")), Defect::Unusable(url("a"))]);
    let circle = told(&[of("a", "b"), of("b", "c"), of("c", "a")]);
    assert_eq!(circle, [Defect::Unusable(url("b")), Defect::Unusable(url("c")), Defect::Loop(url("a"))]);
    let other = profile("a", "Observation", "Patient", &none);
    assert_eq!(told(&[other]), [Defect::OtherType("Patient".into(), "Observation".into())]);
    let chain: Vec<Value> =
        (0..100).map(|number| of(&format!("p{number:03}"), &format!("p{:03}", number + 1))).collect();
    assert!(told(&chain).iter().any(|defect| matches!(defect, Defect::TooDeep(_))));
    // an extension whose elements are its own
    let of_type = json!([{"code": "Extension", "profile": "http://example.org/a"}]);
    let changes = json!([{"path": "Extension.extension", "sliceName": "x", "type": of_type}, {"path": "Extension.extension.url"}]);
    assert_eq!(told(&[profile("a", "Extension", "Extension", &changes)]), [Defect::Loop(url("a"))]);
}

#[test]
fn slices_of_slices_of_slices_are_counted() {
    let mut profiles = Vec::new();
    let parts = [
        "Questionnaire.item.item.item.item.code",
        "Questionnaire.item.item.item.item",
        "Questionnaire.item.item.item",
        "Questionnaire.item.item",
        "Questionnaire.item",
    ];
    for (number, path) in parts.into_iter().enumerate() {
        let mut changes = vec![
            json!({"path": path, "slicing": {"rules": "open", "discriminator": [{"type": "value", "path": "linkId"}]}}),
        ];
        changes.extend((0..30).map(|slice| json!({"path": path, "sliceName": format!("s{slice}")})));
        let base = if number == 0 { "Questionnaire".to_owned() } else { format!("http://example.org/p{}", number - 1) };
        profiles.push(profile(&format!("p{number}"), &base, "Questionnaire", &Value::Array(changes)));
    }
    let told = defects(&profiles);
    assert!(told.iter().any(|(_, defect)| matches!(defect, Defect::TooLarge(_))), "{told:?}");
}

#[test]
fn more_elements_than_any_profile_needs_are_refused() {
    let slice = |number: usize| json!({"path": "Patient.identifier", "sliceName": format!("s{number}")});
    let many = |count: usize| Value::Array((0..count).map(slice).collect());
    let told = defects(&[profile("a", "Patient", "Patient", &many(20_000))]);
    assert_eq!(told, [(None, Defect::TooManyElements(10_000))]);
    // as many as may be are slices that nothing tells apart
    let told = defects(&[profile("a", "Patient", "Patient", &many(10_000))]);
    assert_eq!(told.len(), 10_000);
    assert!(told.iter().all(|(_, defect)| matches!(defect, Defect::NoSlicing(_))));
}

mod whatever_is_stated {
    use super::{library, profile};
    use crate::stu3::profile::Node;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Paths that lead somewhere, and a few that do not.
    const PATHS: [&str; 18] = [
        "",
        "code",
        "code.coding",
        "code.coding.system",
        "code.coding.extension",
        "value[x]",
        "valueQuantity",
        "valueQuantity.code",
        "valueString",
        "value\u{e9}",
        "extension",
        "extension.url",
        "extension.valueQuantity.unit",
        "component",
        "component.value[x]",
        "component.valueString",
        "component.referenceRange.low",
        "component.",
    ];
    const SLICES: [Option<&str>; 6] = [None, None, Some("a"), Some("b"), Some("a/b"), Some("valueQuantity")];

    fn change() -> impl Strategy<Value = Value> {
        let path = (prop::sample::select(&PATHS[..]), prop::collection::vec(prop::sample::select(&SLICES[..]), 4));
        let slice = prop::sample::select(&SLICES[..]);
        let types = prop::sample::select(vec![
            json!(null),
            json!([{"code": "Quantity"}]),
            json!([{"code": "\u{e9}"}]),
            json!([{"code": "Extension", "profile": "http://example.org/p1"}]),
        ]);
        (path, slice, types, 0..2u32, prop::option::weighted(0.3, 0..4u32), any::<[bool; 3]>()).prop_map(
            |(path, slice, types, min, max, [has_id, is_sliced, has_min])| {
                let (path, slices) = path;
                let names: Vec<&str> =
                    std::iter::once("Observation").chain(path.split('.').filter(|_| !path.is_empty())).collect();
                let ids = names.iter().skip(1).zip(slices).map(|(name, slice)| match slice {
                    Some(slice) => format!("{name}:{slice}"),
                    None => (*name).to_owned(),
                });
                let mut change = json!({"path": names.join(".")});
                if has_id {
                    change["id"] =
                        std::iter::once("Observation".to_owned()).chain(ids).collect::<Vec<_>>().join(".").into();
                }
                if is_sliced {
                    change["slicing"] = json!({"discriminator": [{"type": "value", "path": "url"}], "rules": "open"});
                }
                if let Some(slice) = slice {
                    change["sliceName"] = slice.into();
                }
                if has_min {
                    change["min"] = min.into();
                }
                if let Some(max) = max {
                    change["max"] = max.to_string().into();
                }
                if !types.is_null() {
                    change["type"] = types;
                }
                change
            },
        )
    }

    /// Slices stand behind the element that they are slices of, each name once, and nothing stands less often than never.
    fn is_sound(node: &Node) -> bool {
        node.children.iter().enumerate().all(|(place, child)| {
            let before = &node.children[..place];
            let has_element = before.iter().any(|other| other.name == child.name && other.slice.is_none());
            let is_new = !before.iter().any(|other| other.name == child.name && other.slice == child.slice);
            let counts = child.element.max.is_none_or(|max| child.element.min <= max);
            is_new && counts && has_element == child.slice.is_some() && is_sound(child)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn it_is_a_sound_snapshot_or_a_word_on_why_not(
            first in prop::collection::vec(change(), 0..6),
            second in prop::collection::vec(change(), 0..6),
        ) {
            let outer = profile("p1", "Observation", "Observation", &Value::Array(first));
            let inner = profile("p2", "http://example.org/p1", "Observation", &Value::Array(second));
            let (one, other) = (library(&[outer.clone(), inner.clone()]), library(&[inner, outer]));
            for (profile, same) in one.profiles().iter().zip(other.profiles()) {
                prop_assert_eq!(&profile.snapshot, &same.snapshot);
                match &profile.snapshot {
                    Some(snapshot) => prop_assert!(is_sound(&snapshot.root), "{:#?}", snapshot.root),
                    None => prop_assert!(one.problems().iter().any(|problem| !problem.defect.is_warning())),
                }
            }
        }
    }
}
