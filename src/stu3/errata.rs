//! Where the release's constraints do not say what its text says: what is evaluated instead, and why.
//!
//! Keys are those of the release; `structure` is where the constraint is stated, because keys are not unique. What
//! is published stands in the table of facts. Constraints that are judged by code of their own are not here.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileErratum {
    /// Canonical URL of the profile that states it.
    pub profile: &'static str,
    /// The constraint's key.
    pub key: &'static str,
    /// What is evaluated instead; `None` where only the severity is another.
    pub evaluated: Option<&'static str>,
    /// It is a warning, whatever is published.
    pub is_warning: bool,
    /// Why.
    pub why: &'static str,
}

/// The erratum of a profile's constraint.
pub fn profile_erratum(profile: &str, key: &str) -> Option<&'static ProfileErratum> {
    PROFILE_ERRATA.iter().find(|erratum| erratum.key == key && erratum.profile == profile)
}

const ANY_CODING: &str =
    "coding.where(system = 'http://hl7.org/fhir/observation-category' and code = 'vital-signs').exists()";

const PROFILE_ERRATA: [ProfileErratum; 5] = [
    ProfileErratum {
        profile: "http://hl7.org/fhir/StructureDefinition/vitalsigns",
        key: "vs-1",
        evaluated: Some("($this is dateTime).not() or $this.toString().length() >= 8"),
        is_warning: false,
        why: "of a Period the expression has no value, and it is about dates alone",
    },
    ProfileErratum {
        profile: "http://hl7.org/fhir/StructureDefinition/vitalsigns",
        key: "vs-4",
        evaluated: Some(ANY_CODING),
        is_warning: false,
        why: "the expression fails where the category has a second coding",
    },
    ProfileErratum {
        profile: "http://nictiz.nl/fhir/StructureDefinition/zib-VitalSigns",
        key: "vs-4",
        evaluated: Some(ANY_CODING),
        is_warning: false,
        why: "the expression fails where the category has a second coding",
    },
    ProfileErratum {
        profile: "http://fhir.nl/fhir/StructureDefinition/nl-core-address",
        key: "nl-postal-code-pattern",
        evaluated: None,
        is_warning: true,
        why: "the expression looks for the country in the postal code, and so refuses every foreign one: it only warns",
    },
    ProfileErratum {
        profile: "http://nictiz.nl/fhir/StructureDefinition/zib-LaboratoryTestResult-Observation",
        key: "zib-LaboratoryTestResult-Observation-1",
        evaluated: Some(
            "coding.where(system = 'http://snomed.info/sct' and (code = '281302008' or code = '281300000' or code = '11896004' or code = '30714006' or code = '131196009')).exists() implies coding.where(system = 'http://hl7.org/fhir/v2/0078').exists()",
        ),
        is_warning: false,
        why: "codes stand in the expression where conditions are needed, so that every code is meant",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_erratum_of_a_profile_can_be_evaluated() {
        for erratum in PROFILE_ERRATA {
            assert_eq!(profile_erratum(erratum.profile, erratum.key), Some(&erratum));
            let text = erratum.evaluated.unwrap_or("true");
            assert!(crate::fhir::path::Expression::parse(text).is_ok(), "{}", erratum.key);
            assert!(erratum.evaluated.is_some() || erratum.is_warning, "{}", erratum.key);
        }
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
