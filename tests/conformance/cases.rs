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

/// Set aside: displays of LOINC and SNOMED CT; `bad-display` is about a display of the release's code system, whose displays
/// are not known here; `some-other-extension` of the Dutch patient is unknown, which is information.
const HELD: [Held; 4] = [
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
