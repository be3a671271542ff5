//! The STU3 cases of the HL7 validator's own test suite that need neither a profile nor a terminology server: the errors
//! are the same, matched by place and meaning.

use super::corpus::corpus;
use pushbridge::{
    fhir::{self, json::Limits},
    model::Severity,
    stu3::release,
    validate::{Outcome, Policy, Validator},
};
use std::{collections::BTreeMap, fs};

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
