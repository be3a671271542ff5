//! JUnit's XML, as Jenkins and GitLab read it: a suite, and a case for each file.
//!
//! Readers show one failure of a case, so a file's errors stand in one, a line each.

use super::{not_shown, number, overridden};
use crate::{
    model::{Finding, Severity},
    validate::outcome::Outcome,
};
use std::fmt::Write;

/// The beginning; the numbers of cases, of those that fail, and of those that could not be judged.
pub fn junit_begin(cases: u64, failures: u64, errors: u64) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"pushbridge validate\" \
         tests=\"{cases}\" failures=\"{failures}\" errors=\"{errors}\">\n"
    )
}

/// The end.
pub const JUNIT_END: &str = "</testsuite>\n</testsuites>\n";

/// One file's case: findings as grave as `least` make it fail, all else is output.
pub fn junit_case(file: &str, outcome: &Outcome, least: Severity) -> String {
    let counts = |finding: &&Finding| finding.severity <= least;
    let first = outcome.findings.iter().find(counts);
    let failure = first.map(|first| {
        let mut message = number(outcome.errors(), "error");
        if least >= Severity::Warning {
            let _ = write!(message, ", {}", number(outcome.warnings(), "warning"));
        }
        let mut lines: Vec<String> = outcome.findings.iter().filter(counts).map(line).collect();
        lines.extend(not_shown(outcome.cut));
        format!(
            "<failure message=\"{message}\" type=\"{}\">{}</failure>\n",
            escaped(&first.key),
            content(&lines.join("\n"))
        )
    });
    let mut said: Vec<String> = outcome.findings.iter().filter(|finding| !counts(finding)).map(line).collect();
    if failure.is_none() {
        said.extend(not_shown(outcome.cut));
    }
    let not_checked = outcome.not_checked.iter();
    said.extend(not_checked.map(|entry| format!("not checked[{}]: {}: {}", entry.key, entry.expression, entry.text)));
    said.extend(overridden(outcome));
    let output = (!said.is_empty()).then(|| format!("<system-out>{}</system-out>\n", content(&said.join("\n"))));
    case(file, &(failure.unwrap_or_default() + &output.unwrap_or_default()))
}

/// The case of a file that could not be read.
pub fn junit_unreadable(file: &str, error: &str) -> String {
    case(file, &format!("<error message=\"cannot be read: {}\" type=\"unreadable-file\"/>\n", escaped(error)))
}

fn case(file: &str, content: &str) -> String {
    let name = escaped(file);
    if content.is_empty() {
        format!("<testcase classname=\"pushbridge.validate\" name=\"{name}\"/>\n")
    } else {
        format!("<testcase classname=\"pushbridge.validate\" name=\"{name}\">\n{content}</testcase>\n")
    }
}

fn line(finding: &Finding) -> String {
    let Finding { line, column, severity, key, expression, text, .. } = finding;
    let at = if expression.is_empty() { String::new() } else { format!(" (at {expression})") };
    format!("{line}:{column} {}[{key}]: {text}{at}", severity.as_str())
}

/// Text between tags, where lines may end.
fn content(text: &str) -> String {
    escaped(text).replace("&#10;", "\n")
}

/// Text for attributes; what no XML may hold becomes the replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::testing::outcome;

    #[test]
    fn errors_fail_a_case_and_the_rest_is_its_output() {
        let source = r#"{"resourceType":"Patient","gendr":"male","meta":{"profile":["http://example.org/p"]}}"#;
        let case = junit_case("a&\u{1}.json", &outcome(source), Severity::Error);
        let expected = "<testcase classname=\"pushbridge.validate\" name=\"a&amp;\u{fffd}.json\">\n\
            <failure message=\"1 error\" type=\"unknown-element\">1:28 error[unknown-element]: Patient has no element \
            &quot;gendr&quot;: did you mean &quot;gender&quot;? (at Patient)</failure>\n<system-out>not checked[profile]: ";
        assert!(case.starts_with(expected), "{case}");
        assert!(case.ends_with("</system-out>\n</testcase>\n"), "{case}");
    }

    #[test]
    fn a_good_file_is_an_empty_case_and_a_warning_fails_only_where_it_counts() {
        let good = outcome(r#"{"resourceType":"Patient"}"#);
        let case = junit_case("a.json", &good, Severity::Error);
        assert_eq!(case, "<testcase classname=\"pushbridge.validate\" name=\"a.json\"/>\n");
        let warned = outcome(r#"{"resourceType":"Patient","identifier":[{"system":"urn:uuid:A"}]}"#);
        assert!(junit_case("a.json", &warned, Severity::Error).contains("<system-out>1:"));
        assert!(junit_case("a.json", &warned, Severity::Warning).contains("<failure message=\"0 errors, 1 warning\""));
    }

    #[test]
    fn what_is_left_out_is_said() {
        let mut outcome = outcome(r#"{"resourceType":"Patient","gendr":"male"}"#);
        outcome.cut = 5;
        assert!(junit_case("a.json", &outcome, Severity::Error).contains("5 more findings are not shown</failure>"));
    }
}
