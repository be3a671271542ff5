//! The XML and the JSON form of a resource are one tree and get one verdict.

use super::{as_xml, corpus::corpus};
use pushbridge::{
    fhir::{
        self, Document, Kind, NodeId,
        json::{self, Limits},
        write, xml,
    },
    stu3::release,
    validate::{Policy, Validator},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Official pairs whose two forms say different things, and where.
const DIFFERENT: [(&str, &str); 13] = [
    // elements that STU3 does not define, so that nothing says which of them repeat
    ("adverseevent-example", ".event.coding"),
    // attributes in another order
    ("basic-example-narrative", ".text.div"),
    // other line breaks
    ("codesystem-list-example-codes", ".text.div"),
    // `<td/>` and `<td></td>`
    ("conceptmap-example", ".text.div"),
    // attributes in another order
    ("consent-example-pkb", ".text.div"),
    ("list-example-familyhistory-genetics-profile-annie", ".text.div"),
    ("media-example", ".text.div"),
    ("media-example-dicom", ".text.div"),
    ("media-example-sound", ".text.div"),
    ("plandefinition-example", ".text.div"),
    // another indentation
    ("plandefinition-example-kdn5-simplified", ".text.div"),
    // attributes in another order
    ("plandefinition-predecessor-example", ".text.div"),
    // other line breaks
    ("valueset-list-example-codes", ".text.div"),
];

/// Pairs of files of the same name, by that name.
fn pairs(json: &Path, xml: &Path) -> BTreeMap<String, (PathBuf, PathBuf)> {
    let mut pairs = BTreeMap::new();
    for entry in fs::read_dir(json).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let other = xml.join(format!("{stem}.xml"));
        if path.extension().is_some_and(|ending| ending == "json") && other.is_file() {
            pairs.insert(stem, (path, other));
        }
    }
    pairs
}

/// The first difference between two trees, as a path. Members of JSON objects have no order.
fn difference(left: &Document<'_>, at: NodeId, right: &Document<'_>, other: NodeId, path: &str) -> Option<String> {
    if left.kind(at) != right.kind(other) {
        return Some(path.to_owned());
    }
    match left.kind(at) {
        Kind::Object => {
            let names = |document: &Document<'_>, node| {
                let mut names: Vec<String> =
                    document.children(node).map(|child| document.name(child).unwrap().into_owned()).collect();
                names.sort_unstable();
                names
            };
            if names(left, at) != names(right, other) {
                return Some(format!("{path}{{}}"));
            }
            left.children(at).find_map(|child| {
                let name = left.name(child).unwrap();
                let twin = right.get(other, &name).unwrap();
                difference(left, child, right, twin, &format!("{path}.{name}"))
            })
        }
        Kind::Array => {
            let (items, others): (Vec<_>, Vec<_>) = (left.children(at).collect(), right.children(other).collect());
            if items.len() != others.len() {
                return Some(format!("{path}[]"));
            }
            let mut both = items.into_iter().zip(others).enumerate();
            both.find_map(|(index, (item, other))| difference(left, item, right, other, &format!("{path}[{index}]")))
        }
        _ => (left.text(at) != right.text(other)).then(|| path.to_owned()),
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[test]
fn both_forms_of_the_official_examples_are_one_tree() {
    let Some(json_folder) = corpus("official/json") else { return };
    let pairs = pairs(&json_folder, &json_folder.with_file_name("xml"));
    assert_eq!(pairs.len(), 528);
    let (validator, policy) = (Validator::new(), Policy::default());
    let mut different = Vec::new();
    let mut verdicts = Vec::new();
    for (stem, (json_path, xml_path)) in &pairs {
        let (of_json, of_xml) = (read(json_path), read(xml_path));
        let json = json::read(&of_json, &Limits::default()).unwrap();
        let xml = xml::read(&of_xml, &Limits::default(), release()).unwrap_or_else(|error| panic!("{stem}: {error}"));
        if let Some(place) = difference(&json, json.root(), &xml, xml.root(), "") {
            different.push((stem.clone(), place));
            continue;
        }
        // what is written is what was read
        let mut written = Vec::new();
        write::json(&xml, &mut written).unwrap();
        let again = json::read(&written, &Limits::default()).unwrap();
        assert_eq!(difference(&json, json.root(), &again, again.root(), ""), None, "{stem}");
        let findings = |document: &Document<'_>| {
            let outcome = validator.resource(document, &policy);
            let mut found: Vec<String> = outcome
                .findings
                .iter()
                .filter(|finding| finding.key != "byte-order-mark")
                .map(|finding| format!("{} {}", finding.key, finding.expression))
                .collect();
            found.sort_unstable();
            found
        };
        let (left, right) = (findings(&json), findings(&xml));
        if left != right {
            let only = |one: &[String], other: &[String]| {
                one.iter().filter(|finding| !other.contains(finding)).cloned().collect::<Vec<_>>()
            };
            verdicts.push(format!("{stem}: json {:?} xml {:?}", only(&left, &right), only(&right, &left)));
        }
    }
    let kept: Vec<(String, String)> =
        DIFFERENT.iter().map(|(stem, place)| ((*stem).to_owned(), (*place).to_owned())).collect();
    for row in &different {
        eprintln!("    {row:?},");
    }
    assert_eq!(verdicts, Vec::<String>::new());
    assert_eq!(different, kept);
}

#[test]
fn both_forms_of_real_pushes_are_one_tree_and_valid() {
    let Some(folder) = corpus("medmij-push") else { return };
    let pairs = pairs(&folder, &folder);
    assert_eq!(pairs.len(), 18);
    for (stem, (json_path, xml_path)) in pairs {
        let (of_json, of_xml) = (read(&json_path), read(&xml_path));
        let json = json::read(&of_json, &Limits::default()).unwrap();
        let xml = fhir::read(&of_xml, &Limits::default(), release()).unwrap();
        assert!(xml.is_xml());
        // the JSON of these was printed anew, `16` as `16.0`
        let found = difference(&json, json.root(), &xml, xml.root(), "");
        assert!(found.as_ref().is_none_or(|place| place.ends_with("valueQuantity.value")), "{stem}: {found:?}");
        let outcome = Validator::new().resource(&xml, &Policy::default());
        assert!(outcome.valid(), "{stem}: {:#?}", outcome.findings);
    }
}

#[test]
fn samples_read_the_same_in_both_forms() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/valid");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let bytes = read(&path);
        let json = json::read(&bytes, &Limits::default()).unwrap();
        let value: Value = serde_json::from_str(json.source()).unwrap();
        let text = as_xml::resource(&value);
        let xml = xml::read(text.as_bytes(), &Limits::default(), release()).unwrap();
        let found = difference(&json, json.root(), &xml, xml.root(), "");
        // serde_json's numbers do not keep how they are written
        let is_number = found.as_deref().is_some_and(|place| place.ends_with("value") || place.ends_with("Decimal"));
        assert!(found.is_none() || is_number, "{}: {found:?}", path.display());
        count += 1;
    }
    assert!(count > 10);
}
