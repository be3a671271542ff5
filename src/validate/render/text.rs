//! For people: findings with the line of the source that each is about, as compilers show them.

use super::{not_shown, overridden};
use crate::{
    model::{Finding, Severity},
    validate::outcome::Outcome,
};
use std::fmt::Write;

/// The longest part of a line that an excerpt shows, in characters.
const WIDTH: usize = 100;

/// Whether text has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    #[default]
    Plain,
    /// The colours that every terminal has, by the escapes of ECMA-48.
    Ansi,
}

/// How text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// With colours or without.
    pub colour: Colour,
    /// Findings that are less grave are left out, and where that leaves anything out, what was not checked or was
    /// changed by a policy too.
    pub least: Severity,
}

impl Default for Look {
    fn default() -> Self {
        Self { colour: Colour::Plain, least: Severity::Information }
    }
}

/// What a piece of the text is; each has its colour.
#[derive(Clone, Copy)]
enum Part {
    Grave(Severity),
    Title,
    Margin,
    Good,
}

impl Look {
    fn paint(self, part: Part, text: &str) -> String {
        let code = match part {
            _ if self.colour == Colour::Plain => return text.to_owned(),
            Part::Grave(Severity::Error) => "1;31",
            Part::Grave(Severity::Warning) => "1;33",
            Part::Grave(Severity::Information) => "1;36",
            Part::Title => "1",
            Part::Margin => "1;34",
            Part::Good => "1;32",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// For a person at a terminal: each finding with the line of the source that it is about, the place underlined.
///
/// The excerpts show parts of the file: this is for local output, never for a log.
pub fn text(file: &str, source: &str, outcome: &Outcome) -> String {
    text_in(file, source, outcome, Look::default())
}

/// As [`text`], with a look.
pub fn text_in(file: &str, source: &str, outcome: &Outcome, look: Look) -> String {
    let file = &shown(file);
    let mut out = String::new();
    let mut lines = Lines::new(source);
    for finding in outcome.findings.iter().filter(|finding| finding.severity <= look.least) {
        let grave = Part::Grave(finding.severity);
        let head = look.paint(grave, &format!("{}[{}]", finding.severity.as_str(), finding.key));
        let title = look.paint(Part::Title, &format!(": {}", finding.text));
        let _ = writeln!(out, "{head}{title}");
        let _ = writeln!(out, "  {} {file}:{}:{}", look.paint(Part::Margin, "-->"), finding.line, finding.column);
        let column = usize::try_from(finding.column).unwrap_or(1).max(1) - 1;
        let skipped = column.saturating_sub(WIDTH / 2);
        if let Some(part) = lines.from(finding.line, skipped) {
            excerpt(part, column - skipped, finding, look, &mut out);
        }
        if !finding.expression.is_empty() {
            let _ = writeln!(out, "   {} at {}", look.paint(Part::Margin, "="), finding.expression);
        }
        out.push('\n');
    }
    if let Some(text) = not_shown(outcome.cut) {
        let _ = writeln!(out, "{text}");
    }
    if look.least == Severity::Information {
        for entry in &outcome.not_checked {
            let _ = writeln!(out, "not checked[{}]: {}: {}", entry.key, entry.expression, entry.text);
        }
        for line in overridden(outcome) {
            let _ = writeln!(out, "{line}");
        }
    }
    let verdict = if outcome.valid() {
        look.paint(Part::Good, "valid")
    } else {
        look.paint(Part::Grave(Severity::Error), "not valid")
    };
    let (errors, warnings) = (number(outcome.errors(), "error"), number(outcome.warnings(), "warning"));
    let _ = writeln!(out, "{file}: {verdict} ({errors}, {warnings})");
    out
}

/// A number and what it counts: `1 error`, `2 errors`.
pub fn number(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// Text as a terminal may have it: a control character could move the cursor.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The lines of the source, read forward as far as findings (which are sorted) ask: a line of many megabytes is gone
/// through once, however many findings are in it.
struct Lines<'s> {
    rest: std::str::Lines<'s>,
    number: u32,
    /// What is left of the present line, and how many characters stood before that.
    current: Option<&'s str>,
    passed: usize,
}

impl<'s> Lines<'s> {
    fn new(source: &'s str) -> Self {
        Self { rest: source.lines(), number: 0, current: None, passed: 0 }
    }

    /// The line from a character on; never one before those that were asked for earlier.
    fn from(&mut self, number: u32, skipped: usize) -> Option<&'s str> {
        while self.number < number {
            self.current = self.rest.next();
            self.passed = 0;
            self.number += 1;
        }
        let line = self.current?;
        let more = skipped.saturating_sub(self.passed);
        let start = line.char_indices().nth(more).map_or(line.len(), |(start, _)| start);
        self.passed += more;
        self.current = Some(&line[start..]);
        self.current
    }
}

/// The part of the line around the finding, and a mark under it, so many characters in.
fn excerpt(line: &str, before: usize, finding: &Finding, look: Look, out: &mut String) {
    let part = shown(&line.chars().take(WIDTH).collect::<String>());
    let marked = part.chars().skip(before).take_while(|c| c.is_alphanumeric() || "_-".contains(*c)).count();
    let gutter = finding.line.to_string();
    let blank = " ".repeat(gutter.len());
    let margin = |text: &str| look.paint(Part::Margin, text);
    let before = " ".repeat(before);
    let mark = look.paint(Part::Grave(finding.severity), &"^".repeat(marked.max(1)));
    let _ = writeln!(out, " {}", margin(&format!("{blank} |")));
    let _ = writeln!(out, " {} {part}", margin(&format!("{gutter} |")));
    let _ = writeln!(out, " {} {before}{mark}", margin(&format!("{blank} |")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::testing::outcome;

    const SOURCE: &str = "{\n  \"resourceType\": \"Patient\",\n  \"gendr\": \"male\"\n}";

    #[test]
    fn text_underlines_the_place() {
        let text = text("a.json", SOURCE, &outcome(SOURCE));
        let expected = "error[unknown-element]: Patient has no element \"gendr\": did you mean \"gender\"?\n  \
                        --> a.json:3:4\n   |\n 3 |   \"gendr\": \"male\"\n   |    ^^^^^\n   = at Patient\n\n\
                        a.json: not valid (1 error, 0 warnings)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let look = Look { colour: Colour::Ansi, ..Look::default() };
        let coloured = text_in("a.json", SOURCE, &outcome(SOURCE), look);
        assert!(coloured.starts_with("\u{1b}[1;31merror[unknown-element]\u{1b}[0m"));
        let mut plain = String::new();
        for piece in coloured.split('\u{1b}') {
            plain.push_str(
                piece.strip_prefix('[').and_then(|piece| piece.split_once('m')).map_or(piece, |(_, rest)| rest),
            );
        }
        assert_eq!(plain, text("a.json", SOURCE, &outcome(SOURCE)));
    }

    #[test]
    fn what_does_not_count_can_be_left_out() {
        let source = r#"{"resourceType":"Patient","meta":{"profile":["http://example.org/p"]},
            "identifier":[{"system":"urn:uuid:A"}]}"#;
        let quiet = |least| text_in("a.json", source, &outcome(source), Look { least, ..Look::default() });
        assert_eq!(quiet(Severity::Error), "a.json: valid (0 errors, 1 warning)\n");
        assert!(quiet(Severity::Warning).starts_with("warning[uri-uuid]"));
        assert!(!quiet(Severity::Warning).contains("not checked"));
        assert!(quiet(Severity::Information).contains("not checked[profile]"));
    }

    #[test]
    fn names_and_excerpts_move_no_cursor() {
        let text = text("a\u{1b}[2J.json", SOURCE, &outcome(SOURCE));
        assert!(!text.contains('\u{1b}'));
    }
}
