//! Real files: what is refused, and why that is right.

use pushbridge::{
    fhir::json::{self, Limits},
    validate::{Outcome, Policy, Validator},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The official examples that break the release, with the keys of the rules that they break.
const REFUSED: [(&str, &[&str]); 24] = [
    ("activitydefinition-procedurerequest-example.json", &["txt-2"]),
    ("activitydefinition-supplyrequest-example.json", &["txt-2"]),
    // `kind`, `event` and `severity` are no elements of STU3's AdverseEvent; its code system has `Mild`, no `Non-serious`
    ("adverseevent-example.json", &["code-unknown", "unknown-element"]),
    // a code system that does not exist; the value set takes its codes from ActCode
    ("claim-example-institutional-rich.json", &["binding-required"]),
    // "If condition is abated, then clinicalStatus must be either inactive, resolved, or remission"; it is active
    ("condition-example-f204-renal.json", &["con-4"]),
    // languages by other systems than BCP 47, which the maximum value set asks for
    ("devicecomponent-example-prodspec.json", &["binding-maximum"]),
    ("devicecomponent-example.json", &["binding-maximum"]),
    // the parts of `hla-genotyping-results-glstring` are `url` and `text`, none is called `uri`
    ("diagnosticreport-hla-genetics-results-example.json", &["extension-part"]),
    // an image `#11`, and nothing in the resource has this id
    ("media-example-sound.json", &["narrative-image"]),
    ("media-example.json", &["narrative-image"]),
    // required binding: "the concept in this element SHALL be from the specified value set"; a sibling's kind is told by
    // a code without a system, and nobody can say whose code it is
    ("list-example-double-cousin-relationship-pedigree.json", &["binding-required"]),
    // v3's orderableDrugForm has `TAB`, not `Tab`, and case counts
    ("medicationexample0304.json", &["code-unknown"]),
    ("medicationexample0309.json", &["code-unknown"]),
    ("medicationstatementexample1.json", &["code-unknown"]),
    ("medicationstatementexample2.json", &["code-unknown"]),
    ("medicationstatementexample3.json", &["code-unknown"]),
    // bare OIDs of the system `urn:ietf:rfc:3986`, whose values are whole URIs
    ("organization-example-good-health-care.json", &["identifier-uri"]),
    // "There SHALL be a code if there is a value and it SHALL be an expression of time"; a unit alone is no code
    ("plandefinition-options-example.json", &["drt-1"]),
    ("plandefinition-protocol-example.json", &["drt-1"]),
    ("practitioner-example-f003-mv.json", &["binding-maximum"]),
    ("practitioner-example-f004-rb.json", &["binding-maximum"]),
    ("practitioner-example-f005-al.json", &["binding-maximum"]),
    ("requestgroup-example.json", &["drt-1"]),
    ("structuredefinition-example.json", &["identifier-uri"]),
];

/// `basic-example.json` has modifier extensions of its own.
const PERMITTED: [&str; 3] = ["referredForService", "targetDate", "status"];

/// The folder of development data; `None` (and a word about it) where it is not there.
pub(super) fn corpus(folder: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("PUSHBRIDGE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("corpus").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {folder} is not there (set PUSHBRIDGE_SHARED to the folder with corpus/)");
    None
}

/// The outcomes of all JSON files of a folder, by file name.
fn outcomes(folder: &Path) -> BTreeMap<String, Outcome> {
    let validator = Validator::new();
    let mut policy = Policy::default();
    let base = "http://example.org/do-not-use/fhir-extensions/referral#";
    policy.modifier_extensions.extend(PERMITTED.map(|name| format!("{base}{name}")));
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            let outcome = match json::read(&bytes, &Limits::default()) {
                Ok(document) => validator.resource(&document, &policy),
                Err(error) => Outcome::of_unreadable(&error),
            };
            (path.file_name().unwrap().to_str().unwrap().to_owned(), outcome)
        })
        .collect()
}

fn error_keys(outcome: &Outcome) -> Vec<&str> {
    let errors = outcome.findings.iter().filter(|finding| finding.severity.as_str() == "error");
    let mut keys: Vec<&str> = errors.map(|finding| finding.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[test]
fn real_pushes_are_accepted() {
    let Some(folder) = corpus("medmij-push") else { return };
    let outcomes = outcomes(&folder);
    assert_eq!(outcomes.len(), 18);
    for (file, outcome) in outcomes {
        assert!(outcome.valid(), "{file}: {:#?}", outcome.findings);
    }
}

#[test]
fn official_examples_are_refused_only_where_they_break_the_release() {
    let Some(folder) = corpus("official/json") else { return };
    let outcomes = outcomes(&folder);
    assert_eq!(outcomes.len(), 528);
    let refused: BTreeMap<&str, Vec<&str>> = outcomes
        .iter()
        .filter(|(_, outcome)| !outcome.valid())
        .map(|(file, outcome)| (file.as_str(), error_keys(outcome)))
        .collect();
    let expected = REFUSED.into_iter().map(|(file, keys)| (file, keys.to_vec())).collect();
    for (file, _) in
        refused.iter().filter(|(file, keys)| REFUSED.iter().all(|known| known.0 != **file || known.1 != **keys))
    {
        eprintln!("{file}");
        for finding in &outcomes[*file].findings {
            eprintln!(
                "  {} {} {} {}:{} {}",
                finding.severity.as_str(),
                finding.key,
                finding.expression,
                finding.line,
                finding.column,
                finding.text
            );
        }
    }
    assert_eq!(refused, expected);
}
