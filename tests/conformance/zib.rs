//! Real resources that claim zib2017 profiles, held to the package: the verdict is that of the HL7 Java validator, and
//! each of many single faults is found at its place.

use super::{corpus::corpus, snapshots::package};
use flate2::read::GzDecoder;
use pushbridge::{
    fhir::{self, json::Limits},
    model::Severity,
    stu3::{
        package::{ArchiveLimits, Library, Shelf},
        release,
    },
    validate::{Outcome, Policy, Validator},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::Path,
    sync::Arc,
};

const ZIB: &str = "nictiz.fhir.nl.stu3.zib2017-2.2.18.tgz";

/// Where the Java validator and we mean the same at another place: it names the element that is out of order, we the
/// element that they stand in.
const SAME: [(&str, &str, &str); 1] = [("Validation_VAL_Profile_OutOfOrder", ".masterIdentifier", "xml-order")];

fn validator() -> Option<Validator> {
    let mut shelf = Shelf::new();
    shelf.add_package(&package(ZIB)?, &ArchiveLimits::default()).unwrap();
    Some(Validator::with(Arc::new(shelf.library())))
}

fn judged(validator: &Validator, text: &str) -> Outcome {
    let document = fhir::read(text.as_bytes(), &Limits::default(), release()).unwrap();
    validator.resource(&document, &Policy::default())
}

/// `key expression` of all findings of these severities.
fn told(outcome: &Outcome, least: Severity) -> Vec<String> {
    let counts = outcome.findings.iter().filter(|finding| finding.severity <= least);
    counts.map(|finding| format!("{} {}", finding.key, finding.expression)).collect()
}

/// What the Java validator says of each file, without what is no verdict: codes of systems that it does not know.
fn oracle(folder: &Path, name: &str) -> BTreeMap<String, BTreeSet<String>> {
    let file = File::open(folder.join("../oracle").join(name)).unwrap();
    let text = std::io::read_to_string(GzDecoder::new(file)).unwrap();
    let is_verdict = |issue: &&Value| {
        let text = issue["text"].as_str().unwrap();
        let is_unknown = ["is unknown", "not-present", "could not be found", "Unable to expand", "Failed to expand"]
            .iter()
            .any(|words| text.contains(words));
        // a set that takes codes from such a system
        let is_of_unknown = issue["id"].as_str().unwrap().starts_with("Terminology_TX_NoValid");
        matches!(issue["severity"].as_str(), Some("error" | "fatal")) && !is_unknown && !is_of_unknown
    };
    let line = |line: &str| -> (String, BTreeSet<String>) {
        let told: Value = serde_json::from_str(line).unwrap();
        let errors = told["issues"].as_array().unwrap().iter().filter(is_verdict).map(|issue| {
            let (id, at) = (issue["id"].as_str().unwrap(), issue["at"].as_str().unwrap());
            let same = SAME.iter().find(|(known, tail, _)| *known == id && at.ends_with(tail));
            let (_, tail, key) = same.unwrap_or_else(|| panic!("{}: {id} at {at}", told["file"]));
            format!("{key} {}", at.strip_suffix(tail).unwrap())
        });
        (told["file"].as_str().unwrap().to_owned(), errors.collect())
    };
    text.lines().map(line).collect()
}

#[test]
fn real_resources_have_the_verdict_of_the_java_validator() {
    let (Some(zib), Some(push)) = (corpus("zib2017-examples"), corpus("medmij-push")) else { return };
    let Some(validator) = validator() else { return };
    let mut left = BTreeSet::new();
    for (folder, name, files) in [(zib, "zib2017.jsonl.gz", 104), (push, "medmij-push.jsonl.gz", 36)] {
        let oracle = oracle(&folder, name);
        assert_eq!(oracle.len(), files);
        for (file, expected) in oracle {
            let outcome = judged(&validator, &fs::read_to_string(folder.join(&file)).unwrap());
            let found: BTreeSet<String> = told(&outcome, Severity::Error).into_iter().collect();
            assert_eq!(found, expected, "{file}: {:#?}", outcome.findings);
            // everything that is claimed is there
            assert!(outcome.not_checked.iter().all(|left| left.key != "profile"), "{file}: {:?}", outcome.not_checked);
            left.extend(outcome.not_checked.into_iter().map(|left| (left.key, left.system.is_some())));
        }
    }
    // beside codes of systems that nobody here knows, what references lead to lies outside of the files, and one slice is told
    // by the profile of such a resource
    let expected = [
        ("code-unknown", false),
        ("code-unknown", true),
        ("profile-binding", true),
        ("profile-binding-extensible", true),
        ("profile-slice", false),
        ("profile-target", false),
    ];
    assert_eq!(left, expected.into_iter().map(|(key, system)| (key.to_owned(), system)).collect());
}

/// Single faults, each with all that is found beyond what the file has already. All but these were confirmed with the Java
/// validator, which finds nothing where a reference names a type that the profile does not allow and leads out of the file,
/// and refuses every postal code that is not Dutch (a warning here); codes outside an extensible set are warnings to both.
#[test]
fn single_faults_are_found_at_their_place() {
    let (Some(zib), Some(push)) = (corpus("zib2017-examples"), corpus("medmij-push")) else { return };
    let Some(validator) = validator() else { return };
    let mut count = 0;
    for line in include_str!("zib_faults.tsv").lines().filter(|line| !line.starts_with('#')) {
        let [file, from, to, replacement, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("five columns: {line}");
        };
        let folder = if file.starts_with("selfmeasurements") { &push } else { &zib };
        let source = fs::read_to_string(folder.join(file)).unwrap();
        let begin = source.find(from).unwrap_or_else(|| panic!("{file} has {from}"));
        let behind = begin + from.len();
        let end = behind + source[behind..].find(to).unwrap() + to.len();
        let faulty = format!("{}{replacement}{}", &source[..begin], &source[end..]);
        let before: BTreeSet<String> = told(&judged(&validator, &source), Severity::Warning).into_iter().collect();
        let mut found: Vec<String> = told(&judged(&validator, &faulty), Severity::Warning);
        found.retain(|line| !before.contains(line));
        let mut expected: Vec<&str> = expected.split("; ").collect();
        // the displays that stand beside codes are not what these faults are about
        found.retain(|line| !line.starts_with("code-display "));
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{file}: {from} -> {replacement}");
        count += 1;
    }
    assert!(count >= 55, "{count}");
}

/// Where real files display a code by words that neither its system nor a value set has for it: a mother by the code of a
/// first contact, other words for unrest at a ventilator, an average loss of weight by the code of a high one.
const STRANGE: [(&str, &str); 3] = [
    ("zib-AbilityToPerformNursingActivities-Mother-01.xml", "RelatedPerson.extension[0].value.coding[0].display"),
    ("zib-ComfortScale-01.xml", "Observation.component[2].value.coding[0].display"),
    ("zib-SNAQScore-01.xml", "Observation.component[0].value.coding[0].display"),
];

#[test]
fn real_displays_are_those_of_their_codes() {
    let (Some(zib), Some(push)) = (corpus("zib2017-examples"), corpus("medmij-push")) else { return };
    let Some(validator) = validator() else { return };
    let mut strange = BTreeSet::new();
    for folder in [zib, push] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let outcome = judged(&validator, &fs::read_to_string(&path).unwrap());
            let file = path.file_name().unwrap().to_str().unwrap();
            let places = outcome.findings.iter().filter(|finding| finding.key == "code-display");
            strange.extend(places.map(|place| (file.to_owned(), place.expression.clone())));
        }
    }
    let expected = STRANGE.map(|(file, place)| (file.to_owned(), place.to_owned()));
    assert_eq!(strange, BTreeSet::from(expected));
}

#[test]
fn constraints_that_are_known_to_be_defective_are_told() {
    let Some(bytes) = package(ZIB) else { return };
    let mut shelf = Shelf::new();
    shelf.add_package(&bytes, &ArchiveLimits::default()).unwrap();
    let library: Library = shelf.library();
    let told: Vec<String> = library
        .problems()
        .iter()
        .map(ToString::to_string)
        .filter(|text| text.contains("not taken as it is published"))
        .collect();
    let keys = ["nl-postal-code-pattern", "zib-LaboratoryTestResult-Observation-1", "vs-4"];
    assert_eq!(told.len(), keys.len(), "{told:?}");
    for key in keys {
        assert!(told.iter().any(|text| text.contains(&format!("constraint {key} "))), "{key}: {told:?}");
    }
}
