//! One file: read, judged, and turned into its part of the output, on whatever thread.

use super::{
    Format,
    files::{Found, Source},
};
use crate::{
    fhir::json::Limits,
    model::Severity,
    validate::{
        self, Outcome, Policy, Validator,
        render::{self, Look},
    },
};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What every file is judged with.
pub(super) struct Judge {
    pub(super) validator: Validator,
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) format: Format,
    pub(super) look: Look,
    /// Findings as grave as this make a file fail.
    pub(super) fail_on: Severity,
    /// Several files are judged, or may be.
    pub(super) several: bool,
}

/// How a file came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Judged {
        valid: bool,
        /// It has findings that make it fail.
        fails: bool,
        warned: bool,
    },
    Unreadable(String),
    /// Judging it panicked.
    Bug,
}

/// How much of a rule was found: the first part says how grave.
pub(super) type Tally = BTreeMap<(Weight, String), u64>;

/// How grave, and what could not be judged after all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    Found(Severity),
    NotChecked,
}

/// All that is kept of a file until its turn to be printed.
pub(super) struct Piece {
    pub(super) name: String,
    pub(super) uri: String,
    /// Its part of the output.
    pub(super) text: String,
    pub(super) verdict: Verdict,
    pub(super) tally: Tally,
    /// How many findings are not kept.
    pub(super) cut: u64,
}

impl Judge {
    pub(super) fn piece(&self, found: Found) -> Piece {
        let (source, error) = match found {
            Ok(source) => (source, None),
            Err((path, error)) => (Source::File(path), Some(error)),
        };
        let bytes = error.map_or_else(|| source.read(self.limits.max_bytes), Err);
        let (name, uri) = (source.name(), render::sarif_uri(source.path_bytes()));
        match bytes {
            Ok(bytes) => {
                let judged = catch_unwind(AssertUnwindSafe(|| self.judged(&name, &uri, &bytes)));
                judged.unwrap_or_else(|_| {
                    let text = "a bug in pushbridge stopped the judging; please report it";
                    self.without_outcome(name, uri, text, Verdict::Bug)
                })
            }
            Err(error) => {
                let error = error.to_string();
                self.without_outcome(name, uri, &error.clone(), Verdict::Unreadable(error))
            }
        }
    }

    fn judged(&self, name: &str, uri: &str, bytes: &[u8]) -> Piece {
        self.inspect(bytes, |source, outcome| Piece {
            text: self.rendered(name, uri, source, outcome),
            verdict: Verdict::Judged {
                valid: outcome.valid(),
                fails: self.fails(outcome),
                warned: outcome.warnings() > 0,
            },
            tally: tally(outcome),
            cut: outcome.cut,
            name: name.to_owned(),
            uri: uri.to_owned(),
        })
    }

    /// The only place that reads and judges: hands on the text, as far as it is one, and the outcome.
    fn inspect<T>(&self, bytes: &[u8], then: impl FnOnce(&str, &Outcome) -> T) -> T {
        match validate::read(bytes, &self.limits) {
            Ok(document) => then(document.source(), &self.validator.resource(&document, &self.policy)),
            Err(error) => {
                let unmarked = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
                then(std::str::from_utf8(unmarked).unwrap_or_default(), &Outcome::of_unreadable(&error))
            }
        }
    }

    fn fails(&self, outcome: &Outcome) -> bool {
        !outcome.valid() || (self.fail_on >= Severity::Warning && outcome.warnings() > 0)
    }

    fn rendered(&self, name: &str, uri: &str, source: &str, outcome: &Outcome) -> String {
        match self.format {
            Format::Text => render::text_in(name, source, outcome, self.look),
            Format::Json => render::json_line(name, outcome) + "\n",
            Format::Outcome => {
                let file = self.several.then_some(name);
                format!("{}\n", render::operation_outcome(file, outcome))
            }
            Format::Junit => render::junit_case(name, outcome, self.fail_on),
            Format::Sarif => render::sarif_results(uri, outcome),
        }
    }

    fn without_outcome(&self, name: String, uri: String, error: &str, verdict: Verdict) -> Piece {
        let text = match self.format {
            // Said on standard error, and in the notes at the log's end.
            Format::Text | Format::Sarif => String::new(),
            Format::Json => render::json_unreadable(&name, error) + "\n",
            Format::Outcome => format!("{}\n", render::operation_outcome_unreadable(&name, error)),
            Format::Junit => render::junit_unreadable(&name, error),
        };
        Piece { name, uri, text, verdict, tally: Tally::new(), cut: 0 }
    }
}

fn tally(outcome: &Outcome) -> Tally {
    let mut tally = Tally::new();
    for finding in &outcome.findings {
        *tally.entry((Weight::Found(finding.severity), finding.key.clone())).or_default() += 1;
    }
    for entry in &outcome.not_checked {
        *tally.entry((Weight::NotChecked, entry.key.clone())).or_default() += 1;
    }
    tally
}
