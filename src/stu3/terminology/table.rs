//! Decodes the table of codes. Lines of tab-separated columns; the first column says what a line is:
//!
//! - `S url flags code code ..`: a code system and all its codes. Flags: `i` case does not count, `x` examples only
//! - `H url parents parents ..`: for each code of the system above the places of those that it stands below, from 0,
//!   separated by commas
//! - `V url`: a value set; its own lines follow
//! - `A system`: all codes of a system that has an `S` line
//! - `C system code code ..`: these codes of a system
//! - `O system code code ..`: more codes of a system than the release tells, but not these
//!
//! Codes are sorted by their bytes, in lower case where the system has the flag `i` or is that of languages. The table is part of the program:
//! a line that cannot be read is a mistake of the generator.

use super::{CodeSystem, Codes, Hierarchy, Part, Terminology, ValueSet};

/// A system that has no `S` line and whose codes are the same in capital and small letters.
const LANGUAGES: &str = "urn:ietf:bcp:47";

pub(super) fn decode(table: &'static str) -> Terminology {
    let mut terminology = Terminology::default();
    let mut set: Option<ValueSet> = None;
    let mut lines = table.lines().peekable();
    while let Some(line) = lines.next() {
        let (kind, rest) = line.split_once('\t').expect("every line has columns");
        let (url, rest) = rest.split_once('\t').unwrap_or((rest, ""));
        let system = url.into();
        let part = match kind {
            "S" => {
                let (flags, text) = rest.split_once('\t').unwrap_or((rest, ""));
                let codes = Codes::of_line(text, flags.contains('i'));
                // the line of its hierarchy follows
                let hierarchy =
                    lines.next_if(|next| next.starts_with("H\t")).and_then(|next| next.splitn(3, '\t').nth(2));
                terminology.add_code_system(CodeSystem {
                    url: system,
                    codes,
                    example: flags.contains('x'),
                    hierarchy: Hierarchy::of_line(hierarchy.unwrap_or_default()),
                });
                continue;
            }
            "V" => {
                if let Some(set) = set.replace(ValueSet { url: system, parts: Vec::new() }) {
                    terminology.add_value_set(set);
                }
                continue;
            }
            "A" => Part::All { system },
            "C" => Part::Listed { codes: codes(&terminology, url, rest), system },
            "O" => Part::Open { excluded: codes(&terminology, url, rest), system },
            _ => unreachable!("the table of codes has no other lines"),
        };
        set.as_mut().expect("parts follow their value set").parts.push(part);
    }
    if let Some(set) = set {
        terminology.add_value_set(set);
    }
    terminology
}

/// Codes of a system that stands above, if at all.
fn codes(terminology: &Terminology, system: &str, text: &'static str) -> Codes {
    let known = terminology.code_system(system).is_some_and(|system| system.codes.ignores_case());
    Codes::of_line(text, known || system == LANGUAGES)
}
