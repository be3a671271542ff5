//! Where the release's constraints do not say what its text says: what is evaluated instead, and why.
//!
//! Keys are those of the release; `structure` is where the constraint is stated, because keys are not unique. What
//! is published stands in the table of facts. Constraints that are judged by code of their own are not here.
//!
//! Errata of profiles have the form of a file: ours, which are built in (`profile.errata.json`), and those that lie beside
//! a package as `NAME.errata.json`.

use crate::fhir::path::Expression;
use serde::Deserialize;
use std::sync::{Arc, LazyLock};

/// A constraint that is not evaluated as published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erratum {
    /// The constraint's key.
    pub key: &'static str,
    /// The structure or element that states it.
    pub structure: &'static str,
    /// What is evaluated instead.
    pub evaluated: &'static str,
    /// Why.
    pub why: &'static str,
}

/// The erratum of a constraint.
pub fn erratum(structure: &str, key: &str) -> Option<&'static Erratum> {
    ERRATA.iter().find(|erratum| erratum.key == key && erratum.structure == structure)
}

/// All errata.
pub const fn errata() -> &'static [Erratum] {
    &ERRATA
}

const BOOLEAN: &str = "an element that is no boolean stands where a boolean is needed";
const PARTIAL: &str = "dates of unlike precision are compared as far as both go; what stays undecided passes";
const ABSENT: &str = "what is absent breaks nothing";
const TEXT: &str = "the expression says something else than its text";

macro_rules! errata {
    ($($structure:literal $key:literal $why:ident $evaluated:literal)*) => {
        const ERRATA: [Erratum; [$($key),*].len()] = [
            $(Erratum { key: $key, structure: $structure, evaluated: $evaluated, why: $why }),*
        ];
    };
}

errata! {
    "Age" "age-1" BOOLEAN
        "(code.exists() or value.empty()) and (system.empty() or system = %ucum) and (value.empty() or value > 0)"
    "CodeSystem" "csd-1" TEXT
        "concept.code.combine(descendants().concept.code).isDistinct()"
    "Condition" "con-4" TEXT
        "abatement.empty() or (abatement is boolean and abatement = false) or clinicalStatus = 'resolved' or clinicalStatus = 'remission' or clinicalStatus = 'inactive'"
    "Count" "cnt-3" BOOLEAN
        "(code.exists() or value.empty()) and (system.empty() or system = %ucum) and (code.empty() or code = '1') and (value.empty() or value.toString().contains('.').not())"
    "Distance" "dis-1" BOOLEAN
        "(code.exists() or value.empty()) and (system.empty() or system = %ucum)"
    "Duration" "drt-1" TEXT
        "(code.exists() or value.empty()) and (system.empty() or system = %ucum)"
    "ElementDefinition" "eld-11" TEXT
        "binding.empty() or type.code.empty() or type.where((code = 'code') or (code = 'Coding') or (code='CodeableConcept') or (code = 'Quantity') or (code = 'Extension') or (code = 'string') or (code = 'uri')).exists()"
    "ElementDefinition.binding" "eld-12" ABSENT
        "valueSet.empty() or valueSet.is(uri).not() or valueSet.as(uri).startsWith('http:') or valueSet.as(uri).startsWith('https') or valueSet.as(uri).startsWith('urn:')"
    "MedicationAdministration" "mad-3" BOOLEAN
        "reasonCode.empty() or notGiven.empty() or notGiven = false"
    "MedicationDispense" "mdd-1" PARTIAL
        "whenHandedOver.empty() or whenPrepared.empty() or iif(whenHandedOver < whenPrepared, false, true)"
    "MessageDefinition.focus" "md-1" ABSENT
        "max.empty() or max = '*' or max.toInteger() > 0"
    "Money" "mny-1" BOOLEAN
        "(code.exists() or value.empty()) and (system.empty() or system = 'urn:iso:std:iso:4217')"
    "NamingSystem" "nsd-1" TEXT
        "kind != 'root' or uniqueId.where(type = 'uuid').empty()"
    "Observation" "obs-7" TEXT
        "value.empty() or component.empty() or (code in component.code).not()"
    "OperationDefinition.parameter" "opd-2" BOOLEAN
        "searchType.exists() implies type = 'string'"
    "Period" "per-1" PARTIAL
        "start.empty() or end.empty() or iif(start > end, false, true)"
    "Questionnaire.item" "que-10" TEXT
        "(type in ('boolean' | 'decimal' | 'integer' | 'string' | 'text' | 'url' | 'open-choice')) or maxLength.empty()"
    "RiskAssessment.prediction" "ras-2" ABSENT
        "probability.empty() or (probability is decimal implies probability.as(decimal) <= 100)"
    "StructureDefinition" "sdf-9" TEXT
        "snapshot.element.where(path.contains('.').not() and (label.exists() or code.exists() or requirements.exists())).empty() and differential.element.where(path.contains('.').not() and (label.exists() or code.exists() or requirements.exists())).empty()"
    "StructureDefinition" "sdf-12" TEXT
        "snapshot.empty() or snapshot.element.base.empty() or baseDefinition.exists()"
    "StructureDefinition.snapshot" "sdf-3" BOOLEAN
        "element.all(definition.exists() and min.exists() and max.exists())"
    "Task" "inv-1" PARTIAL
        "lastModified.empty() or authoredOn.empty() or iif(lastModified < authoredOn, false, true)"
    "Timing.repeat" "tim-9" TEXT
        "offset.empty() or (when.exists() and when.all(($this in ('C' | 'CM' | 'CD' | 'CV')).not()))"
}

/// A constraint of a profile that is not evaluated as published, or counts less.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProfileErratum {
    /// Canonical URL of the profile that states it.
    pub profile: Arc<str>,
    /// The constraint's key.
    pub key: Arc<str>,
    /// What is evaluated instead; `None` where only the severity is another.
    pub expression: Option<Arc<str>>,
    /// It is a warning, whatever is published.
    pub is_warning: bool,
    /// Why.
    pub reason: Arc<str>,
    /// The file that says so; [`BUILT_IN`] where that is this program.
    pub file: Arc<str>,
}

/// How the names of files of errata end.
pub const ENDING: &str = ".errata.json";

/// In the place of a file: errata that the program brings.
pub const BUILT_IN: &str = "built in";

/// A file of errata.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    errata: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    profile: String,
    key: String,
    expression: Option<String>,
    severity: Option<Severity>,
    reason: String,
}

/// A constraint can be made to count less, never more.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Warning,
}

/// Reads a file of errata; that what it names is there is seen when everything is.
///
/// # Errors
/// What is wrong with it, for people.
pub(in crate::stu3) fn read(file: &Arc<str>, bytes: &[u8]) -> Result<Vec<ProfileErratum>, String> {
    let read: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    read.errata.into_iter().map(|entry| entry.erratum(file)).collect()
}

impl Entry {
    fn erratum(self, file: &Arc<str>) -> Result<ProfileErratum, String> {
        let key = &self.key;
        if self.reason.trim().is_empty() {
            return Err(format!("the erratum of {key} gives no reason: write why"));
        }
        match &self.expression {
            None if self.severity.is_none() => {
                return Err(format!(
                    r#"the erratum of {key} changes nothing: give it an expression, or severity "warning""#
                ));
            }
            Some(text) => {
                let parsed = Expression::parse(text);
                parsed.map_err(|error| format!("the expression for {key} cannot be read: {error}"))?;
            }
            None => {}
        }
        Ok(ProfileErratum {
            profile: self.profile.into(),
            key: self.key.into(),
            expression: self.expression.map(Into::into),
            is_warning: self.severity.is_some(),
            reason: self.reason.into(),
            file: file.clone(),
        })
    }
}

/// The erratum of a profile's constraint that the program brings.
pub(in crate::stu3) fn profile_erratum(profile: &str, key: &str) -> Option<&'static Arc<ProfileErratum>> {
    built_in().iter().find(|erratum| *erratum.key == *key && *erratum.profile == *profile)
}

/// The errata of profiles that the program brings: of the release and of zib2017.
pub fn built_in() -> &'static [Arc<ProfileErratum>] {
    static ERRATA: LazyLock<Vec<Arc<ProfileErratum>>> = LazyLock::new(|| {
        // a test reads it
        let read = read(&BUILT_IN.into(), include_bytes!("profile.errata.json")).unwrap_or_default();
        read.into_iter().map(Arc::new).collect()
    });
    &ERRATA
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errata_of_profiles_that_are_built_in_can_be_read() {
        let text = include_bytes!("profile.errata.json");
        assert_eq!(read(&BUILT_IN.into(), text).map(|errata| errata.len()), Ok(5));
        for erratum in built_in() {
            assert_eq!(profile_erratum(&erratum.profile, &erratum.key), Some(erratum));
        }
    }

    #[test]
    fn files_of_errata_say_what_is_wrong_with_them() {
        let refused = |entry: &str| {
            let text = format!(r#"{{"errata":[{{"profile":"http://example.org/a","key":"a-1",{entry}}}]}}"#);
            read(&"a.errata.json".into(), text.as_bytes()).unwrap_err()
        };
        assert!(refused(r#""reason":"r""#).contains("changes nothing"));
        assert!(refused(r#""severity":"warning","reason":" ""#).contains("no reason"));
        assert!(refused(r#""expression":"a.(","reason":"r""#).contains("the expression for a-1 cannot be read"));
        assert!(refused(r#""severity":"error","reason":"r""#).contains("unknown variant `error`"));
        assert!(refused(r#""severty":"warning","reason":"r""#).contains("unknown field `severty`"));
    }

    #[test]
    fn every_erratum_belongs_to_a_constraint_and_changes_it() {
        let release = super::super::release();
        for erratum in errata() {
            let id = release.structure_named(erratum.structure).unwrap();
            let rule = release.structure_rules(id).iter().find(|rule| rule.key == erratum.key).unwrap();
            assert_ne!(rule.expression, erratum.evaluated, "{}", erratum.key);
        }
    }
}
