//! Outcomes for people and for programs: one file per form, each a function of the outcome alone.
//!
//! Whatever the form, a file's part is made without the other files', so that files are judged side by side and
//! nothing has to be kept of them. What is left out because there is too much of it is said in each form.

mod json;
mod junit;
mod operation_outcome;
mod sarif;
mod text;

pub use json::{json_line, json_unreadable};
pub use junit::{JUNIT_END, junit_begin, junit_case, junit_unreadable};
pub use operation_outcome::{operation_outcome, operation_outcome_unreadable};
pub use sarif::{SarifNotes, sarif_begin, sarif_end, sarif_results, sarif_uri};
pub use text::{Colour, Look, number, text, text_in};

use super::outcome::Outcome;

/// How much was found and is not shown; `None` where all is.
fn not_shown(cut: u64) -> Option<String> {
    (cut > 0).then(|| format!("{cut} more findings are not shown"))
}

/// What a policy changed, a line each.
fn overridden(outcome: &Outcome) -> impl Iterator<Item = String> + '_ {
    outcome.overridden.iter().map(|rule| {
        let (from, to) = (rule.from.as_str(), rule.to.as_str());
        format!("overridden[{}]: {from} counts as {to}, {}", rule.key, number(rule.count, "time"))
    })
}
