//! Constraints that profiles state, by their FHIRPath.
//! Spec: <https://hl7.org/fhir/STU3/conformance-rules.html#constraints>.

use super::{CONSTRAINT, Judge, element::Occurrence, is_type};
use crate::{
    fhir::path::Element,
    model::Severity,
    stu3::profile::{Constraint, ElementDefinition},
    validate::{
        issue::{Asked, At},
        rules::invariant,
    },
};
use std::fmt::Write;

/// The longest words of an author that are repeated.
const LONGEST: usize = 400;

impl Judge<'_, '_, '_> {
    /// The constraints of a definition that are not the release's own.
    pub(super) fn constraints(&mut self, element: &ElementDefinition, at: Occurrence) {
        for constraint in element.constraints.iter().filter(|constraint| !is_type(&constraint.source)) {
            self.constraint(constraint, at);
        }
    }

    fn constraint(&mut self, constraint: &Constraint, at: Occurrence) {
        let correction = constraint.correction.as_ref();
        let is_published_as_error = !constraint.is_warning || correction.is_some_and(|known| known.is_softened);
        let asked = Asked {
            rule: &CONSTRAINT,
            constraint: Some(&constraint.key),
            severity: if constraint.is_warning { Severity::Warning } else { Severity::Error },
            published: if is_published_as_error { Severity::Error } else { Severity::Warning },
            profile: &self.snapshot.url,
        };
        let text = match constraint.expression.as_ref().map(|formula| formula.expression()) {
            None => "the constraint is stated in words alone".to_owned(),
            Some(Err(error)) => format!("its expression cannot be read: {error}"),
            Some(Ok(expression)) => {
                let focus = Element { node: at.node, content: Some(at.content), is_twin: at.value.is_none() };
                match invariant::holds(self.cx, expression, focus, &[]) {
                    Ok(true) => return,
                    Ok(false) => {
                        let words: String = constraint.human.chars().take(LONGEST).collect();
                        let mut text = format!("this breaks the profile's constraint {}: {words}", constraint.key);
                        if let Some(known) = correction.filter(|known| known.erratum.expression.is_some()) {
                            let _infallible = write!(text, " (judged as its errata say, {})", known.erratum.file);
                        }
                        return self.out.add_of_profile(self.cx, &asked, At::here(at.node), text);
                    }
                    Err(why) => why,
                }
            }
        };
        self.out.profile_not_checked(self.cx, &asked, At::here(at.node), text);
    }
}
