//! SARIF 2.1.0, which code hosts show beside the lines of a change:
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.
//!
//! The log is written in one go from its beginning (tool and rules) over each file's results to its end (what could
//! not be read, what is left out), so that no result has to be kept.

use super::not_shown;
use crate::{
    model::Severity,
    validate::{Policy, RuleLevel, issue::Rule, outcome::Outcome, rules},
};
use serde_json::{Value, json};
use std::fmt::Write;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Notes kept for the end; more are counted only.
const MOST_NOTES: usize = 1_000;

/// The log up to the first result.
pub fn sarif_begin() -> String {
    let rules: Vec<Value> = rules::all().into_iter().map(rule).collect();
    let driver = json!({
        "name": "pushbridge",
        "version": env!("CARGO_PKG_VERSION"),
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "rules": rules,
    });
    format!(
        "{{\"$schema\":\"{SCHEMA}\",\"version\":\"2.1.0\",\"runs\":[{{\"tool\":{{\"driver\":{driver}}},\
         \"columnKind\":\"unicodeCodePoints\",\"results\":["
    )
}

fn rule(rule: &'static Rule) -> Value {
    let mut value = json!({
        "id": rule.key,
        "helpUri": rule.page,
        "defaultConfiguration": { "level": level(rule.severity) },
    });
    if let Some(text) = rules::text(rule.key) {
        value["shortDescription"] = json!({ "text": text.meaning });
        value["help"] = json!({ "text": format!("What to change: {}.", text.remedy) });
    }
    value
}

/// One file's results, a line each and with commas between; empty where there are none.
///
/// What was not checked is a result of the kind `open`: it is not known whether there is a problem.
pub fn sarif_results(uri: &str, outcome: &Outcome) -> String {
    let order = rules::all();
    let index = |key: &str| order.binary_search_by_key(&key, |rule| rule.key).ok();
    let mut results: Vec<String> = Vec::new();
    for finding in &outcome.findings {
        let region = json!({ "startLine": finding.line, "startColumn": finding.column });
        let mut result = json!({
            "ruleId": finding.key,
            "level": level(finding.severity),
            "message": { "text": finding.text },
            "locations": [location(uri, region, &finding.expression)],
        });
        if let Some(index) = index(&finding.key) {
            result["ruleIndex"] = json!(index);
        }
        results.push(result.to_string());
    }
    for entry in &outcome.not_checked {
        let region = json!({ "startLine": entry.line, "startColumn": entry.column });
        let mut result = json!({
            "ruleId": entry.key,
            "kind": "open",
            "level": "none",
            "message": { "text": format!("not checked: {}", entry.text) },
            "locations": [location(uri, region, &entry.expression)],
        });
        if let Some(index) = index(&entry.key) {
            result["ruleIndex"] = json!(index);
        }
        results.push(result.to_string());
    }
    results.join(",\n")
}

fn location(uri: &str, region: Value, expression: &str) -> Value {
    let place = json!({ "artifactLocation": { "uri": uri }, "region": region });
    let mut location = json!({ "physicalLocation": place });
    if !expression.is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": expression }]);
    }
    location
}

/// What the log's end tells of the run.
#[derive(Debug, Default)]
pub struct SarifNotes {
    notes: Vec<Value>,
    more: u64,
    failed: bool,
}

impl SarifNotes {
    /// A file that could not be read.
    pub fn unreadable(&mut self, uri: &str, error: &str) {
        self.failed = true;
        self.add("error", uri, format!("cannot be read: {error}"));
    }

    /// How many of a file's findings its results leave out; see [`Outcome::cut`].
    pub fn left_out(&mut self, uri: &str, cut: u64) {
        if let Some(text) = not_shown(cut) {
            self.add("note", uri, text);
        }
    }

    fn add(&mut self, level: &str, uri: &str, text: String) {
        if self.notes.len() == MOST_NOTES {
            self.more += 1;
            return;
        }
        let locations = json!([{ "physicalLocation": { "artifactLocation": { "uri": uri } } }]);
        self.notes.push(json!({ "level": level, "message": { "text": text }, "locations": locations }));
    }
}

/// The log from the last result on.
pub fn sarif_end(notes: SarifNotes, policy: &Policy) -> String {
    let SarifNotes { mut notes, more, failed } = notes;
    if more > 0 {
        let text = format!("{more} more notes are not shown");
        notes.push(json!({ "level": "note", "message": { "text": text } }));
    }
    let mut invocation = json!({ "executionSuccessful": !failed });
    if !notes.is_empty() {
        invocation["toolExecutionNotifications"] = Value::Array(notes);
    }
    let changes: Vec<Value> = policy.rules.iter().map(|(key, level)| change(key, *level)).collect();
    if !changes.is_empty() {
        invocation["ruleConfigurationOverrides"] = Value::Array(changes);
    }
    format!("],\n\"invocations\":[{invocation}]}}]}}\n")
}

fn change(key: &str, to: RuleLevel) -> Value {
    let configuration = match to.severity() {
        Some(severity) => json!({ "level": level(severity) }),
        None => json!({ "enabled": false }),
    };
    json!({ "descriptor": { "id": key }, "configuration": configuration })
}

/// SARIF's word.
const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information => "note",
    }
}

/// A path as a URI reference: relative where the path is, each byte that a path segment may not hold encoded.
pub fn sarif_uri(path: &[u8]) -> String {
    let mut path = path;
    while let Some(rest) = path.strip_prefix(b"./") {
        path = rest;
    }
    let mut uri = String::with_capacity(path.len() + 8);
    if path.starts_with(b"/") {
        uri.push_str("file://");
    }
    for byte in path {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(*byte)),
            byte => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::testing::outcome;

    const SOURCE: &str =
        "{\"resourceType\":\"Patient\",\n\"gendr\":\"male\",\"meta\":{\"profile\":[\"http://example.org/p\"]}}";

    #[test]
    fn a_log_has_what_the_standard_requires() {
        let mut found = outcome(SOURCE);
        found.cut = 2;
        let mut notes = SarifNotes::default();
        notes.left_out("a.json", found.cut);
        notes.unreadable("b.json", "permission denied");
        let mut policy = Policy::default();
        policy.rules.insert("bdl-7".to_owned(), RuleLevel::Off);
        policy.rules.insert("bdl-8".to_owned(), RuleLevel::Information);
        let text = sarif_begin() + &sarif_results("a.json", &found) + &sarif_end(notes, &policy);
        let log: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        assert_eq!(run["columnKind"], "unicodeCodePoints");
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        assert_eq!(rules.len(), rules::all().len());
        for rule in rules {
            assert!(rule["id"].is_string() && rule["helpUri"].as_str().unwrap().starts_with("https://"));
            assert!(rule["shortDescription"]["text"].is_string(), "{rule}");
            assert!(["error", "warning", "note"].contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()));
        }
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        assert_eq!(results[0]["level"], "error");
        assert_eq!(results[1]["kind"], "open");
        assert_eq!(results[1]["level"], "none", "which the standard wants of every kind but fail");
        for result in results {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        }
        let place = &results[0]["locations"][0];
        let region = json!({ "startLine": 2, "startColumn": 2 });
        assert_eq!(place["physicalLocation"], json!({ "artifactLocation": { "uri": "a.json" }, "region": region }));
        assert_eq!(place["logicalLocations"][0]["fullyQualifiedName"], "Patient");
        let invocation = &run["invocations"][0];
        assert_eq!(invocation["executionSuccessful"], false);
        assert_eq!(invocation["toolExecutionNotifications"][0]["message"]["text"], "2 more findings are not shown");
        assert_eq!(invocation["toolExecutionNotifications"][1]["level"], "error");
        let changes = &invocation["ruleConfigurationOverrides"];
        assert_eq!(changes[0], json!({ "descriptor": { "id": "bdl-7" }, "configuration": { "enabled": false } }));
        assert_eq!(changes[1]["configuration"]["level"], "note");
    }

    #[test]
    fn paths_become_uris() {
        assert_eq!(sarif_uri(b"./a b/\xc3\xa9:1.json"), "a%20b/%C3%A9%3A1.json");
        assert_eq!(sarif_uri(b"/srv/a#?.json"), "file:///srv/a%23%3F.json");
        assert_eq!(sarif_uri(b"../x.json"), "../x.json");
    }

    #[test]
    fn notes_are_bounded() {
        let mut notes = SarifNotes::default();
        for _ in 0..1_005 {
            notes.unreadable("a", "gone");
        }
        let text = format!("[{}", sarif_end(notes, &Policy::default()));
        assert!(text.contains("5 more notes are not shown"));
    }
}
