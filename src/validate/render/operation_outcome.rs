//! The outcome as a resource: <https://hl7.org/fhir/STU3/operationoutcome.html>.

use super::{not_shown, overridden};
use crate::validate::outcome::Outcome;
use serde_json::{Value, json};

/// The extension by which HL7's own validator names the file that an outcome is about.
const FILE: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-file";

/// The outcome as a STU3 `OperationOutcome`, which names the file where one is given.
///
/// What was not checked, what a policy changed and what is left out stand as `information`. An outcome without any
/// of these says `informational`, because the resource needs at least one issue.
pub fn operation_outcome(file: Option<&str>, outcome: &Outcome) -> Value {
    let findings = outcome.findings.iter().map(|finding| {
        let line = format!("Line {}, column {}", finding.line, finding.column);
        let mut issue = json!({
            "severity": finding.severity.as_str(),
            "code": finding.code,
            "details": { "coding": [{ "code": finding.key }] },
            "diagnostics": finding.text,
            "location": [line],
        });
        if !finding.expression.is_empty() {
            issue["expression"] = json!([finding.expression]);
        }
        issue
    });
    let not_checked = outcome.not_checked.iter().map(|entry| {
        let mut issue = json!({
            "severity": "information",
            "code": "not-supported",
            "details": { "coding": [{ "code": entry.key }] },
            "diagnostics": format!("not checked: {}", entry.text),
            "location": [format!("Line {}, column {}", entry.line, entry.column)],
        });
        if !entry.expression.is_empty() {
            issue["expression"] = json!([entry.expression]);
        }
        issue
    });
    let said = |text: String| json!({ "severity": "information", "code": "informational", "diagnostics": text });
    let mut issues: Vec<Value> = findings.chain(not_checked).collect();
    issues.extend(overridden(outcome).chain(not_shown(outcome.cut)).map(said));
    if issues.is_empty() {
        issues.push(said("no findings".to_owned()));
    }
    resource(file, &issues)
}

/// Of a file that could not be read.
pub fn operation_outcome_unreadable(file: &str, error: &str) -> Value {
    let text = format!("cannot be read: {error}");
    resource(Some(file), &[json!({ "severity": "fatal", "code": "exception", "diagnostics": text })])
}

fn resource(file: Option<&str>, issues: &[Value]) -> Value {
    let mut resource = json!({ "resourceType": "OperationOutcome", "issue": issues });
    // A string of FHIR has no control characters, and is never empty.
    let name: Option<String> =
        file.map(|file| file.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect());
    if let Some(name) = name.filter(|name| !name.trim().is_empty()) {
        resource["extension"] = json!([{ "url": FILE, "valueString": name }]);
    }
    resource
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::{Policy, RuleLevel, testing};

    fn is_valid(value: &Value) -> bool {
        testing::outcome(&value.to_string()).valid()
    }

    #[test]
    fn it_says_everything_and_is_a_valid_resource_itself() {
        let source = r#"{"resourceType":"Patient","meta":{"profile":["http://example.org/p"]},"gender":"man","x":1}"#;
        let mut policy = Policy::default();
        policy.rules.insert("unknown-element".to_owned(), RuleLevel::Warning);
        let mut outcome = testing::under(source, &policy);
        outcome.cut = 3;
        let value = operation_outcome(Some("a\n.json"), &outcome);
        assert_eq!(value["resourceType"], "OperationOutcome");
        assert_eq!(value["extension"][0]["valueString"], "a\u{fffd}.json");
        let issues = value["issue"].as_array().unwrap();
        let brief: Vec<_> =
            issues.iter().map(|issue| (issue["severity"].as_str().unwrap(), issue["code"].as_str().unwrap())).collect();
        assert_eq!(
            brief,
            [
                ("error", "code-invalid"),
                ("warning", "structure"),
                ("information", "not-supported"),
                ("information", "informational"),
                ("information", "informational"),
            ]
        );
        assert_eq!(issues[0]["expression"][0], "Patient.gender");
        assert_eq!(issues[0]["details"]["coding"][0]["code"], "binding-required");
        assert_eq!(issues[0]["location"][0], "Line 1, column 72");
        assert_eq!(issues[3]["diagnostics"], "overridden[unknown-element]: error counts as warning, 1 time");
        assert_eq!(issues[4]["diagnostics"], "3 more findings are not shown");
        assert!(is_valid(&value));
    }

    #[test]
    fn nothing_found_and_nothing_read_are_valid_resources_too() {
        let value = operation_outcome(None, &testing::outcome(r#"{"resourceType":"Patient"}"#));
        assert_eq!(value["issue"][0]["code"], "informational");
        assert!(is_valid(&value));
        let value = operation_outcome_unreadable("a.json", "permission denied");
        assert_eq!(value["issue"][0]["severity"], "fatal");
        assert!(is_valid(&value));
    }
}
