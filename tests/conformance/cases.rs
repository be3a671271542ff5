//! The STU3 cases of the HL7 validator's own test suite that need no terminology server: the errors are the same, matched by place and meaning.

use super::corpus::corpus;
use pushbridge::{
    fhir::{self, json::Limits},
    model::Severity,
    stu3::{package::Shelf, release},
    validate::{Outcome, Policy, Validator},
};
use std::{collections::BTreeMap, fs, sync::Arc};

/// File, and how often which rule is broken.
type Case = (&'static str, &'static [(&'static str, usize)]);

/// Set aside: displays of LOINC and SNOMED CT, unknown extensions (information), and what has a profile. `tbl` of
/// bundle-ref-2 is no unit of UCUM, which is a warning.
const CASES: [Case; 15] = [
    ("bundle-documentation-miss-last-updated.json", &[("document-date", 1)]),
    ("bundle-ref-2.xml", &[]),
    ("bundle.document.json", &[("cmp-1", 1), ("document-date", 1), ("document-reference", 68)]),
    ("cs-stds-status.json", &[]),
    ("document-manifest.json", &[]),
    ("ext-ctxt-fixed.xml", &[]),
    ("med-dispense.json", &[("unreadable", 1)]),
    ("med-dispense.xml", &[]),
    ("params-empty.json", &[]),
    ("patient-example-ra3.json", &[]),
    ("patient-id-bad-2.json", &[("format-id", 1)]),
    ("q-coepi.json", &[("extension-context", 18), ("que-2", 1), ("unknown-element", 2)]),
    ("qr-ex.json", &[]),
    ("risk-assessment-probability.json", &[]),
    ("vs-no-system.json", &[("vsd-1", 1), ("vsd-2", 1)]),
];

#[test]
fn the_cases_of_the_hl7_validator_have_the_same_errors() {
    let Some(folder) = corpus("validator-cases") else { return };
    let validator = Validator::new();
    for (file, expected) in CASES {
        let bytes = fs::read(folder.join(file)).unwrap();
        let outcome = match fhir::read(&bytes, &Limits::default(), release()) {
            Ok(document) => validator.resource(&document, &Policy::default()),
            Err(error) => Outcome::of_unreadable(&error),
        };
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in outcome.findings.iter().filter(|finding| finding.severity == Severity::Error) {
            *found.entry(&finding.key).or_default() += 1;
        }
        let found: Vec<(&str, usize)> = found.into_iter().collect();
        assert_eq!(found, expected, "{file}: {:#?}", outcome.findings);
    }
    let place = |file: &str, key: &str| {
        let bytes = fs::read(folder.join(file)).unwrap();
        let document = fhir::read(&bytes, &Limits::default(), release()).unwrap();
        let outcome = validator.resource(&document, &Policy::default());
        outcome.findings.into_iter().find(|finding| finding.key == key).map(|finding| finding.expression)
    };
    let expected = "Bundle.entry[0].resource.section[8].section[2]";
    assert_eq!(place("bundle.document.json", "cmp-1").as_deref(), Some(expected));
    assert_eq!(place("vs-no-system.json", "vsd-2").as_deref(), Some("ValueSet.compose.exclude[0]"));
    assert_eq!(place("q-coepi.json", "que-2").as_deref(), Some("Questionnaire"));
}

/// File, profile, what is loaded beside it, and the errors with their places.
type Held = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// Set aside: displays of LOINC and SNOMED CT; `some-other-extension` of the Dutch patient is unknown, which is information.
const HELD: [Held; 5] = [
    ("bad-display.json", "bad-display-profile.json", &[], &[]),
    (
        "discriminator-type-example-value-bad.xml",
        "discriminator-type-profile-value.xml",
        &[],
        &["profile-min Observation"],
    ),
    (
        "profile-slicing-coding-bad.json",
        "profile-slicing-coding-profile.xml",
        &[],
        &["profile-min Observation.code", "profile-slice-closed Observation.code.coding[0]"],
    ),
    ("valueset-slicing-meds.xml", "valueset-slicing-med-profile.xml", &["valueset-slicing-med-cs.xml"], &[]),
    (
        "nl/nl-core-patient-01.xml",
        "nl/nl-core-patient.1.xml",
        &[
            "nl/nl-core-address.xml",
            "nl/nl-core-address-official.xml",
            "nl/AdresSoortCodelijst-2.16.840.1.113883.2.4.3.11.60.40.2.20.5.3--20171231000000.xml",
            "nl/extension-code-specification.xml",
            "nl/LandGBACodelijst-2.16.840.1.113883.2.4.3.11.60.40.2.20.5.1--20171231000000.xml",
            "nl/LandISOCodelijst-2.16.840.1.113883.2.4.3.11.60.40.2.20.5.2--20171231000000.xml",
            "nl/Codesystem-urnoid2.16.840.1.113883.2.4.4.16.34.xml",
            "nl/Codesystem-urnoid2.16.840.1.113883.2.4.4.16.35.xml",
        ],
        &[],
    ),
];

#[test]
fn the_cases_with_a_profile_have_the_same_errors() {
    let Some(folder) = corpus("validator-cases") else { return };
    for (file, profile, others, expected) in HELD {
        let mut shelf = Shelf::new();
        for name in others.iter().chain([&profile]) {
            shelf.add_file(name, &fs::read(folder.join(name)).unwrap());
        }
        let library = shelf.library();
        let unusable = library.problems().iter().filter(|problem| !problem.defect.is_warning());
        assert_eq!(unusable.count(), 0, "{file}: {:#?}", library.problems());
        let mut policy = Policy::default();
        let held = library.profiles().iter().find(|known| &*known.definition.file == profile).unwrap();
        policy.require.insert(held.definition.url.to_string());
        let bytes = fs::read(folder.join(file)).unwrap();
        let document = fhir::read(&bytes, &Limits::default(), release()).unwrap();
        let outcome = Validator::with(Arc::new(library)).resource(&document, &policy);
        let errors = outcome.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let found: Vec<String> = errors.map(|finding| format!("{} {}", finding.key, finding.expression)).collect();
        assert_eq!(found, expected, "{file}: {:#?}", outcome.findings);
    }
}

/// A response, the questionnaires that are loaded, and the errors with their places.
type Answered = (&'static str, &'static str, &'static [&'static str]);

/// The missing answer is told at the item that it is missing in: below a question that is its answer.
const ANSWERED: [Answered; 3] = [
    ("qr-ex.json", "q-ex.json", &[]),
    (
        "qr-required-missing.json",
        "qr-required-q.json",
        &["questionnaire-required QuestionnaireResponse.item[0].answer[0]"],
    ),
    ("questionnaireResponse-enableWhen-test3.xml", "questionnaire-enableWhen-test3.xml", &[]),
];

#[test]
fn the_cases_with_a_questionnaire_have_the_same_errors() {
    let Some(folder) = corpus("validator-cases") else { return };
    for (file, questionnaire, expected) in ANSWERED {
        let outcome = with_loaded(&folder, file, &[questionnaire]);
        let errors = outcome.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let found: Vec<String> = errors.map(|finding| format!("{} {}", finding.key, finding.expression)).collect();
        assert_eq!(found, expected, "{file}: {:#?}", outcome.findings);
        // one refers to a questionnaire that is not among those given
        let is_left = outcome.not_checked.iter().any(|left| left.key == "questionnaire");
        assert_eq!(is_left, file == "qr-ex.json", "{file}");
    }
}

/// The Java validator makes it an error, which is set aside; its other finding is the same.
#[test]
fn a_bad_display_is_a_warning_at_its_place() {
    let Some(folder) = corpus("validator-cases") else { return };
    let outcome = with_loaded(&folder, "bad-display.json", &[]);
    assert!(outcome.valid());
    let told: Vec<String> =
        outcome.findings.iter().map(|finding| format!("{} {}", finding.key, finding.expression)).collect();
    let expected = [
        "binding-extensible Patient.contact[0].relationship[0]",
        "code-display Patient.contact[0].relationship[0].coding[0].display",
    ];
    assert_eq!(told, expected);
}

/// The outcome of a file with definitions loaded beside it.
fn with_loaded(folder: &std::path::Path, file: &str, definitions: &[&str]) -> Outcome {
    let mut shelf = Shelf::new();
    for name in definitions {
        shelf.add_file(name, &fs::read(folder.join(name)).unwrap());
    }
    let library = shelf.library();
    assert!(library.problems().iter().all(|problem| problem.defect.is_warning()), "{:#?}", library.problems());
    let bytes = fs::read(folder.join(file)).unwrap();
    let document = fhir::read(&bytes, &Limits::default(), release()).unwrap();
    Validator::with(Arc::new(library)).resource(&document, &Policy::default())
}

/// Every case of the manifest is judged here, but for the one that the suite gives a file too few for.
#[test]
fn no_case_is_left_out() {
    let Some(folder) = corpus("validator-cases") else { return };
    let manifest: Vec<serde_json::Value> =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest.len(), 23);
    let judged = CASES.iter().map(|case| case.0).chain(HELD.iter().map(|held| held.0));
    let judged: Vec<&str> = judged.chain(ANSWERED.iter().map(|answered| answered.0)).collect();
    let left_out = manifest.iter().map(|case| case["file"].as_str().unwrap()).filter(|file| !judged.contains(file));
    assert_eq!(left_out.collect::<Vec<_>>(), ["patient-version-range.json"]);
}
