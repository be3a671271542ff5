//! What an inspection says: findings, what was not judged, what a policy changed.

use super::{issue::Gathered, policy::RuleLevel, release::OtherRelease, rules};
use crate::{
    fhir::{Document, json::ReadError},
    model::{Finding, Severity},
};
use serde::{Deserialize, Serialize};

/// The result of inspecting one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Sorted by position, severity, key. At most 10,000.
    pub findings: Vec<Finding>,
    /// What could not be judged; never decides [`Outcome::valid`].
    pub not_checked: Vec<NotChecked>,
    /// The rules whose breaches counted otherwise, or not, because a policy says so.
    pub overridden: Vec<Overridden>,
    /// Canonical URLs of the profiles that resources of the file were held to, because they claim them or because a policy
    /// asks for it; sorted.
    #[serde(default)]
    pub profiles: Box<[String]>,
    /// Resources claim profiles that are not loaded, or that are unusable.
    #[serde(default)]
    pub claims_unloaded: bool,
    /// How many findings came after the first 10,000.
    pub cut: u64,
    /// The file is of another release of FHIR.
    pub other_release: Option<OtherRelease>,
    errors: u64,
    warnings: u64,
}

/// A rule that could not be applied at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotChecked {
    /// The rule.
    pub key: String,
    /// FHIRPath of the node.
    pub expression: String,
    /// Line of the node, from 1; 0 in records of earlier versions.
    #[serde(default)]
    pub line: u32,
    /// Column of the node, from 1, in characters; 0 in records of earlier versions.
    #[serde(default)]
    pub column: u32,
    /// The code system whose codes are not known, where that is what is missing.
    #[serde(default)]
    pub system: Option<String>,
    /// What is missing for a judgement.
    pub text: String,
}

/// What a policy made of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overridden {
    /// The rule.
    pub key: String,
    /// What it is by itself.
    pub from: RuleLevel,
    /// What the policy makes of it.
    pub to: RuleLevel,
    /// How many breaches that changed.
    pub count: u64,
}

impl Outcome {
    pub(super) fn new(gathered: Gathered) -> Self {
        Self {
            findings: gathered.findings,
            not_checked: gathered.not_checked,
            overridden: gathered.overridden,
            profiles: gathered.profiles,
            claims_unloaded: gathered.claims_unloaded,
            cut: gathered.cut,
            other_release: None,
            errors: gathered.errors,
            warnings: gathered.warnings,
        }
    }

    /// A resource that is none of the wanted type.
    pub(super) fn refuse_other_resource(&mut self, document: &Document<'_>) {
        let position = document.place(document.root());
        self.errors += 1;
        self.findings.push(Finding {
            severity: Severity::Error,
            code: rules::NOT_A_BUNDLE.code.to_owned(),
            key: rules::NOT_A_BUNDLE.key.to_owned(),
            expression: String::new(),
            line: position.line,
            column: position.column,
            profile: None,
            text: "only Bundles can be pushed: put the resource into an entry of a Bundle".to_owned(),
        });
    }

    pub(super) fn of_other_release(release: OtherRelease, finding: Finding) -> Self {
        Self { findings: vec![finding], other_release: Some(release), errors: 1, ..Self::default() }
    }

    /// Of a file that is no JSON, or breaks a limit: one finding that no policy changes.
    pub fn of_unreadable(error: &ReadError) -> Self {
        let finding = Finding {
            severity: Severity::Error,
            code: rules::UNREADABLE.code.to_owned(),
            key: rules::UNREADABLE.key.to_owned(),
            expression: String::new(),
            line: error.position.line,
            column: error.position.column,
            profile: None,
            text: error.to_string(),
        };
        Self { findings: vec![finding], errors: 1, ..Self::default() }
    }

    /// No finding is an error.
    pub const fn valid(&self) -> bool {
        self.errors == 0
    }

    /// How many errors, those beyond the kept findings included.
    pub const fn errors(&self) -> u64 {
        self.errors
    }

    /// How many warnings, those beyond the kept findings included.
    pub const fn warnings(&self) -> u64 {
        self.warnings
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::{
        Policy, RuleLevel,
        testing::{outcome, under},
    };
    use std::fmt::Write;

    #[test]
    fn policies_change_rules_and_are_reported() {
        let source = r#"{"resourceType":"Patient","gender":"man","active":"yes"}"#;
        let mut policy = Policy::default();
        policy.rules.insert("binding-required".to_owned(), RuleLevel::Warning);
        policy.rules.insert("type-json".to_owned(), RuleLevel::Off);
        let outcome = under(source, &policy);
        assert!(outcome.valid());
        assert_eq!(outcome.findings.len(), 1);
        let overridden: Vec<_> =
            outcome.overridden.iter().map(|rule| (rule.key.as_str(), rule.to, rule.count)).collect();
        assert_eq!(overridden, [("binding-required", RuleLevel::Warning, 1), ("type-json", RuleLevel::Off, 1)]);
    }

    #[test]
    fn a_flood_of_information_leaves_room_for_errors() {
        let unknown = r#"{"url":"http://example.org/e","valueCode":"a"}"#;
        let extensions = vec![unknown; 6_000].join(",");
        let outcome = outcome(&format!(r#"{{"resourceType":"Patient","extension":[{extensions}],"gender":"man"}}"#));
        assert_eq!((outcome.findings.len(), outcome.cut, outcome.errors()), (5_001, 1_000, 1));
        assert_eq!(outcome.findings[5_000].key, "binding-required");
    }

    #[test]
    fn too_many_findings_are_counted() {
        let mut source = r#"{"resourceType":"Patient","name":["#.to_owned();
        for number in 0..12_000 {
            let _ = write!(source, "{}1", if number > 0 { "," } else { "" });
        }
        source.push_str("]}");
        let outcome = outcome(&source);
        assert_eq!((outcome.findings.len(), outcome.cut, outcome.errors()), (10_000, 2_000, 12_000));
        assert_eq!(outcome.findings[9_999].expression, "Patient.name[9999]");
    }
}
