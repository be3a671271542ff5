//! Outcomes for people and for programs.

use super::outcome::Outcome;
use serde_json::{Value, json};
use std::fmt::Write;

/// The longest part of a line that an excerpt shows, in characters.
const WIDTH: usize = 100;

/// One JSON object on one line: the form of `validate --json`.
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
    let not_checked: Vec<Value> = outcome
        .not_checked
        .iter()
        .map(|entry| {
            json!({
                "key": entry.key,
                "expression": entry.expression,
                "line": entry.line,
                "column": entry.column,
                "system": entry.system,
                "text": entry.text,
            })
        })
        .collect();
    json!({ "file": file, "valid": outcome.valid(), "issues": issues, "not_checked": not_checked }).to_string()
}

/// For a person at a terminal: each finding with the line of the source that it is about, the place underlined.
///
/// The excerpts show parts of the file: this is for local output, never for a log.
pub fn text(file: &str, source: &str, outcome: &Outcome) -> String {
    let mut out = String::new();
    let mut lines = Lines::new(source);
    for finding in &outcome.findings {
        let _ = writeln!(out, "{}[{}]: {}", finding.severity.as_str(), finding.key, finding.text);
        let _ = writeln!(out, "  --> {file}:{}:{}", finding.line, finding.column);
        if let Some(line) = lines.get(finding.line) {
            excerpt(line, finding.line, finding.column, &mut out);
        }
        if !finding.expression.is_empty() {
            let _ = writeln!(out, "   = at {}", finding.expression);
        }
        out.push('\n');
    }
    if outcome.cut > 0 {
        let _ = writeln!(out, "{} more findings are not shown", outcome.cut);
    }
    for entry in &outcome.not_checked {
        let _ = writeln!(out, "not checked[{}]: {}: {}", entry.key, entry.expression, entry.text);
    }
    for rule in &outcome.overridden {
        let (from, to) = (rule.from.as_str(), rule.to.as_str());
        let _ = writeln!(out, "overridden[{}]: {from} counts as {to}, {} times", rule.key, rule.count);
    }
    let verdict = if outcome.valid() { "valid" } else { "not valid" };
    let warnings = outcome.findings.len() as u64 + outcome.cut - outcome.errors();
    let _ = writeln!(out, "{file}: {verdict} ({} errors, {warnings} others)", outcome.errors());
    out
}

/// The lines of the source, read forward as far as findings (which are sorted) ask.
struct Lines<'s> {
    rest: std::str::Lines<'s>,
    number: u32,
    current: Option<&'s str>,
}

impl<'s> Lines<'s> {
    fn new(source: &'s str) -> Self {
        Self { rest: source.lines(), number: 0, current: None }
    }

    fn get(&mut self, number: u32) -> Option<&'s str> {
        while self.number < number {
            self.current = self.rest.next();
            self.number += 1;
        }
        self.current
    }
}

/// The part of the line around the column, and a mark under it.
fn excerpt(line: &str, number: u32, column: u32, out: &mut String) {
    let column = usize::try_from(column).unwrap_or(1).max(1) - 1;
    let skipped = column.saturating_sub(WIDTH / 2);
    let shown = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let part: String = shown(&line.chars().skip(skipped).take(WIDTH).collect::<String>());
    let marked = part.chars().skip(column - skipped).take_while(|c| c.is_alphanumeric() || "_-".contains(*c)).count();
    let gutter = number.to_string();
    let (blank, before) = (" ".repeat(gutter.len()), " ".repeat(column - skipped));
    let _ = writeln!(out, " {blank} |");
    let _ = writeln!(out, " {gutter} | {part}");
    let _ = writeln!(out, " {blank} | {before}{}", "^".repeat(marked.max(1)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fhir::json::{self as reader, Limits},
        validate::{Policy, Validator},
    };

    const SOURCE: &str = "{\n  \"resourceType\": \"Patient\",\n  \"gendr\": \"male\"\n}";

    fn outcome() -> Outcome {
        let document = reader::read(SOURCE.as_bytes(), &Limits::default()).unwrap();
        Validator::new().resource(&document, &Policy::default())
    }

    #[test]
    fn text_underlines_the_place() {
        let text = text("a.json", SOURCE, &outcome());
        let expected = "error[unknown-element]: Patient has no element \"gendr\": did you mean \"gender\"?\n  \
                        --> a.json:3:4\n   |\n 3 |   \"gendr\": \"male\"\n   |    ^^^^^\n   = at Patient\n\n\
                        a.json: not valid (1 errors, 0 others)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn json_line_has_the_promised_members() {
        let line: Value = serde_json::from_str(&json_line("a.json", &outcome())).unwrap();
        assert_eq!(line["file"], "a.json");
        assert_eq!(line["valid"], false);
        assert_eq!(line["issues"][0]["key"], "unknown-element");
        assert_eq!((&line["issues"][0]["line"], &line["issues"][0]["column"]), (&json!(3), &json!(4)));
        assert!(line["issues"][0]["profile"].is_null());
        assert_eq!(line["not_checked"], json!([]));
    }

    #[test]
    fn json_line_says_where_and_for_want_of_which_system_nothing_was_checked() {
        let source = r#"{"resourceType":"Basic","code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]}}"#;
        let document = reader::read(source.as_bytes(), &Limits::default()).unwrap();
        let outcome = Validator::new().resource(&document, &Policy::default());
        let line: Value = serde_json::from_str(&json_line("a.json", &outcome)).unwrap();
        let said = &line["not_checked"][0];
        assert_eq!(line["valid"], true);
        assert_eq!((&said["key"], &said["system"]), (&json!("code-unknown"), &json!("http://loinc.org")));
        assert_eq!((&said["expression"], &said["line"]), (&json!("Basic.code.coding[0].code"), &json!(1)));
        assert_eq!(said["column"], 73);
    }
}
