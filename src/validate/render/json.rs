//! One JSON object on one line for each file: the form of `validate --json`.

use crate::validate::outcome::{NotChecked, Outcome};
use serde_json::{Value, json};

/// One file's line, without its end.
///
/// `cut` (how many findings are not listed) and `overridden` (what a policy changed) stand there only where there is
/// something to say.
pub fn json_line(file: &str, outcome: &Outcome) -> String {
    let issues: Vec<Value> = outcome
        .findings
        .iter()
        .map(|finding| {
            json!({
                "severity": finding.severity.as_str(),
                "code": finding.code,
                "key": finding.key,
                "expression": finding.expression,
                "line": finding.line,
                "column": finding.column,
                "profile": finding.profile,
                "text": finding.text,
            })
        })
        .collect();
    let not_checked: Vec<Value> = outcome.not_checked.iter().map(not_checked).collect();
    let mut line = json!({ "file": file, "valid": outcome.valid(), "issues": issues, "not_checked": not_checked });
    if outcome.cut > 0 {
        line["cut"] = json!(outcome.cut);
    }
    if !outcome.overridden.is_empty() {
        line["overridden"] = json!(outcome.overridden);
    }
    line.to_string()
}

fn not_checked(entry: &NotChecked) -> Value {
    json!({
        "key": entry.key,
        "expression": entry.expression,
        "line": entry.line,
        "column": entry.column,
        "system": entry.system,
        "text": entry.text,
    })
}

/// The line of a file that could not be read.
pub fn json_unreadable(file: &str, error: &str) -> String {
    json!({ "file": file, "error": error }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::{Policy, RuleLevel, testing};

    const SOURCE: &str = "{\n  \"resourceType\": \"Patient\",\n  \"gendr\": \"male\"\n}";

    #[test]
    fn a_line_has_the_promised_members() {
        let line: Value = serde_json::from_str(&json_line("a.json", &testing::outcome(SOURCE))).unwrap();
        assert_eq!(line["file"], "a.json");
        assert_eq!(line["valid"], false);
        assert_eq!(line["issues"][0]["key"], "unknown-element");
        assert_eq!((&line["issues"][0]["line"], &line["issues"][0]["column"]), (&json!(3), &json!(4)));
        assert!(line["issues"][0]["profile"].is_null());
        assert_eq!(line["not_checked"], json!([]));
        let mut members: Vec<_> = line.as_object().unwrap().keys().collect();
        members.sort();
        assert_eq!(members, ["file", "issues", "not_checked", "valid"], "nothing else where there is nothing to say");
    }

    #[test]
    fn a_line_says_where_and_for_want_of_which_system_nothing_was_checked() {
        let source = r#"{"resourceType":"Basic","code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]}}"#;
        let line: Value = serde_json::from_str(&json_line("a.json", &testing::outcome(source))).unwrap();
        let said = &line["not_checked"][0];
        assert_eq!(line["valid"], true);
        assert_eq!((&said["key"], &said["system"]), (&json!("code-unknown"), &json!("http://loinc.org")));
        assert_eq!((&said["expression"], &said["line"]), (&json!("Basic.code.coding[0].code"), &json!(1)));
        assert_eq!(said["column"], 73);
    }

    #[test]
    fn what_is_changed_or_left_out_is_said() {
        let mut policy = Policy::default();
        policy.rules.insert("unknown-element".to_owned(), RuleLevel::Off);
        let mut outcome = testing::under(SOURCE, &policy);
        outcome.cut = 7;
        let line: Value = serde_json::from_str(&json_line("a.json", &outcome)).unwrap();
        assert_eq!(line["cut"], 7);
        let overridden = json!([{"key": "unknown-element", "from": "error", "to": "off", "count": 1}]);
        assert_eq!(line["overridden"], overridden);
    }
}
