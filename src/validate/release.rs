//! Recognises files of other releases of FHIR: one finding instead of a hundred.
//!
//! Only files that STU3 refuses are looked at. Two witnesses: fhirbolt, which knows the elements of R4, R4B and R5
//! (it reads no STU3), and a short list of elements that only one release has.
//! Spec: <https://hl7.org/fhir/STU3/history.html>, <https://hl7.org/fhir/R4/diff.html>.

use super::{outcome::Outcome, rules};
use crate::{
    fhir::Document,
    model::{Finding, Severity},
};
use fhirbolt::{FhirRelease, FhirReleases, element::Element, json, serde::DeserializeResource};
use serde::{Deserialize, Serialize};

/// Larger files are judged by the list alone: the other witness reads the whole file again.
const MOST_BYTES: usize = 8 << 20;

/// How many elements a finding names.
const MOST_NAMED: usize = 5;

/// A release of FHIR that is not STU3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OtherRelease {
    /// 1.0
    #[serde(rename = "DSTU2")]
    Dstu2,
    /// 4.0
    R4,
    /// 4.3
    R4B,
    /// 5.0
    R5,
}

impl OtherRelease {
    /// Its name and number.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dstu2 => "DSTU2 (1.0.2)",
            Self::R4 => "R4 (4.0.1)",
            Self::R4B => "R4B (4.3.0)",
            Self::R5 => "R5 (5.0.0)",
        }
    }
}

/// A member or resource type that STU3 does not know.
#[derive(Clone, Debug)]
pub(super) struct Foreign {
    /// The structure that it stands in; empty for a resource type.
    pub(super) structure: &'static str,
    /// Its name.
    pub(super) name: String,
}

impl Foreign {
    fn path(&self) -> String {
        if self.structure.is_empty() { self.name.clone() } else { format!("{}.{}", self.structure, self.name) }
    }
}

/// What only one release has; R4 stands for R4B and R5 too. An element that STU3 has too tells by the kind of its value:
/// R4's `Condition.clinicalStatus` is an object, DSTU2's `Encounter.class` a string.
const TELLING: &[(OtherRelease, &str, &[&str])] = &[
    (
        OtherRelease::Dstu2,
        "",
        &[
            "Conformance",
            "DiagnosticOrder",
            "MedicationOrder",
            "Order",
            "OrderResponse",
            "DeviceUseRequest",
            "ImagingObjectSelection",
        ],
    ),
    (OtherRelease::Dstu2, "Patient", &["careProvider"]),
    (OtherRelease::Dstu2, "Observation", &["comments"]),
    (OtherRelease::Dstu2, "Condition", &["patient", "dateRecorded", "notes"]),
    (OtherRelease::Dstu2, "Procedure", &["notes", "request"]),
    (OtherRelease::Dstu2, "AllergyIntolerance", &["substance", "event"]),
    (OtherRelease::Dstu2, "MedicationStatement", &["patient", "wasNotTaken"]),
    (OtherRelease::Dstu2, "Immunization", &["wasNotGiven", "requester"]),
    (OtherRelease::Dstu2, "Practitioner", &["practitionerRole"]),
    (OtherRelease::Dstu2, "Encounter", &["class", "patient"]),
    (OtherRelease::Dstu2, "MedicationAdministration", &["patient", "practitioner", "wasNotGiven"]),
    (OtherRelease::Dstu2, "MedicationDispense", &["patient", "dispenser"]),
    (OtherRelease::Dstu2, "Questionnaire", &["group", "telecom"]),
    (OtherRelease::Dstu2, "QuestionnaireResponse", &["group"]),
    (OtherRelease::Dstu2, "ValueSet", &["codeSystem", "requirements"]),
    (
        OtherRelease::R4,
        "",
        &[
            "ServiceRequest",
            "MolecularSequence",
            "InsurancePlan",
            "CoverageEligibilityRequest",
            "Invoice",
            "MedicationKnowledge",
        ],
    ),
    (OtherRelease::R4, "Meta", &["source"]),
    (OtherRelease::R4, "Bundle", &["timestamp"]),
    (OtherRelease::R4, "Observation", &["focus", "hasMember", "note"]),
    (OtherRelease::R4, "Condition", &["recorder", "recordedDate", "clinicalStatus", "verificationStatus"]),
    (OtherRelease::R4, "AllergyIntolerance", &["recordedDate", "clinicalStatus", "verificationStatus"]),
    (OtherRelease::R4, "QuestionnaireResponse", &["questionnaire"]),
    (OtherRelease::R4, "Encounter", &["serviceType", "reasonCode", "reasonReference"]),
    (OtherRelease::R4, "Immunization", &["occurrenceDateTime", "occurrenceString", "protocolApplied"]),
    (OtherRelease::R4, "MedicationRequest", &["statusReason", "doNotPerform", "reportedBoolean"]),
    (OtherRelease::R4, "DiagnosticReport", &["resultsInterpreter", "media"]),
    (OtherRelease::R4, "Questionnaire.item", &["answerOption", "enableBehavior"]),
    (
        OtherRelease::R5,
        "",
        &["ActorDefinition", "GenomicStudy", "InventoryItem", "Permission", "RequestOrchestration", "Transport"],
    ),
    (OtherRelease::R5, "Observation", &["triggeredBy", "instantiatesCanonical"]),
    (OtherRelease::R5, "Encounter", &["actualPeriod", "admission"]),
    (OtherRelease::R5, "Condition", &["participant"]),
    (OtherRelease::R5, "Bundle", &["issues"]),
    (OtherRelease::R5, "MedicationRequest", &["medication", "reason"]),
];

/// An element of this name belongs to another release where its value is of a kind that STU3 does not know.
pub(super) fn tells(structure: &str, name: &str) -> bool {
    TELLING.iter().any(|(_, of, names)| *of == structure && names.contains(&name))
}

/// The outcome of a file of another release; `None` where too little says that it is one.
pub(super) fn recognise(document: &Document<'_>, outcome: &Outcome, foreign: &[Foreign]) -> Option<Outcome> {
    if outcome.valid() || foreign.is_empty() {
        return None;
    }
    let release = if 2 * votes(foreign, OtherRelease::Dstu2) > foreign.len() {
        OtherRelease::Dstu2
    } else {
        by_reading(document).or_else(|| by_list(foreign))?
    };
    let first =
        outcome.findings.iter().find(|finding| rules::structure::TELLING.iter().any(|rule| rule.key == finding.key))?;
    let mut named: Vec<String> = foreign.iter().map(Foreign::path).filter(|path| is_plain(path)).collect();
    named.sort_unstable();
    named.dedup();
    named.truncate(MOST_NAMED);
    let text = format!(
        "this is a file of FHIR {}, and STU3 (3.0.2) is needed: have it exported as STU3 (what tells: {})",
        release.as_str(),
        named.join(", ")
    );
    let finding = Finding {
        severity: Severity::Error,
        code: rules::OTHER_RELEASE.code.to_owned(),
        key: rules::OTHER_RELEASE.key.to_owned(),
        expression: first.expression.clone(),
        line: first.line,
        column: first.column,
        profile: None,
        text,
    };
    Some(Outcome::of_other_release(release, finding))
}

/// Names are the file's own: only those that look like FHIR's are shown.
fn is_plain(path: &str) -> bool {
    path.len() <= 64 && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
}

/// How many of the foreign names the list ascribes to the release.
fn votes(foreign: &[Foreign], release: OtherRelease) -> usize {
    let telling = |foreign: &&Foreign| {
        TELLING.iter().any(|(of, structure, names)| {
            *of == release && *structure == foreign.structure && names.contains(&foreign.name.as_str())
        })
    };
    foreign.iter().filter(telling).count()
}

/// The release that the list names most often, twice at least.
fn by_list(foreign: &[Foreign]) -> Option<OtherRelease> {
    let candidates = [OtherRelease::R4, OtherRelease::R5, OtherRelease::Dstu2];
    let (votes, release) = candidates.map(|release| (votes(foreign, release), release)).into_iter().max()?;
    (votes >= 2).then_some(release)
}

/// The first release that knows every element of the file.
fn by_reading(document: &Document<'_>) -> Option<OtherRelease> {
    let source = document.source();
    if source.len() > MOST_BYTES {
        return None;
    }
    if reads::<{ FhirReleases::R4 }>(source) {
        Some(OtherRelease::R4)
    } else if reads::<{ FhirReleases::R4B }>(source) {
        Some(OtherRelease::R4B)
    } else if reads::<{ FhirReleases::R5 }>(source) {
        Some(OtherRelease::R5)
    } else {
        None
    }
}

/// Every member of the file is one that this release has.
fn reads<const RELEASE: FhirRelease>(source: &str) -> bool
where
    for<'s> Element<RELEASE>: DeserializeResource<'s>,
{
    json::from_str::<Element<RELEASE>>(source, None).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fhir::json::{self as reader, Limits},
        validate::{Policy, Validator},
    };

    fn outcome(source: &str) -> Outcome {
        let document = reader::read(source.as_bytes(), &Limits::default()).unwrap();
        Validator::new().resource(&document, &Policy::default())
    }

    #[test]
    fn r4_is_one_finding_that_names_what_tells() {
        let outcome = outcome(
            r#"{"resourceType":"Bundle","type":"batch","timestamp":"2020-01-01T00:00:00Z","entry":[
            {"resource":{"resourceType":"Observation","status":"final","code":{"text":"a"},"encounter":{"reference":"Encounter/1"},
             "note":[{"text":"b"}]},"request":{"method":"POST","url":"Observation"}}]}"#,
        );
        assert_eq!(outcome.other_release, Some(OtherRelease::R4));
        assert_eq!(outcome.findings.len(), 1);
        assert_eq!(outcome.findings[0].key, "other-release");
        assert_eq!((outcome.findings[0].expression.as_str(), outcome.findings[0].line), ("Bundle", 1));
        assert!(outcome.findings[0].text.contains("Bundle.timestamp, Observation.encounter, Observation.note"));
        assert!(!outcome.valid());
    }

    #[test]
    fn r5_and_dstu2_are_told_apart() {
        let five = outcome(
            r#"{"resourceType":"Encounter","status":"completed","actualPeriod":{"start":"2020-01-01"},"class":[{"text":"a"}]}"#,
        );
        assert_eq!(five.other_release, Some(OtherRelease::R5));
        let two =
            outcome(r#"{"resourceType":"MedicationOrder","status":"active","patient":{"reference":"Patient/1"}}"#);
        assert_eq!(two.other_release, Some(OtherRelease::Dstu2));
    }

    #[test]
    fn values_of_another_kind_tell_too() {
        let four = outcome(
            r#"{"resourceType":"Condition","clinicalStatus":{"text":"active"},"code":{"text":"a"},"subject":{"reference":"Patient/1"}}"#,
        );
        assert_eq!(four.other_release, Some(OtherRelease::R4));
        assert!(four.findings[0].text.contains("Condition.clinicalStatus"));
        let two = outcome(
            r#"{"resourceType":"Encounter","status":"finished","class":"inpatient","patient":{"reference":"Patient/1"}}"#,
        );
        assert_eq!(two.other_release, Some(OtherRelease::Dstu2));
    }

    #[test]
    fn r4b_is_named_by_its_resources() {
        let outcome = outcome(
            r#"{"resourceType":"Ingredient","status":"active","role":{"text":"a"},"substance":{"code":{"concept":{"text":"b"}}}}"#,
        );
        assert_eq!(outcome.other_release, Some(OtherRelease::R4B));
        assert_eq!(outcome.findings.len(), 1);
    }

    #[test]
    fn mistakes_in_stu3_stay_mistakes() {
        let outcome = outcome(r#"{"resourceType":"Patient","gendr":"male","active":[]}"#);
        assert_eq!(outcome.other_release, None);
        assert!(outcome.findings.len() > 1);
    }
}
