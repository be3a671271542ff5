//! The seam to a terminology server: what the inspection could not tell of codes is asked elsewhere, and judged again.
//!
//! This room asks nobody by itself: it collects questions while it walks, hands them over once, and walks again with the
//! answers. So findings that rest on an answer have the same keys, places and order as all others.

use crate::model::CodeQuestion;
use std::{cell::RefCell, collections::BTreeSet, fmt};

/// Questions of one file; more are left open.
const MOST_QUESTIONS: usize = 1_000;

/// How often a file is judged again: an answer may open another question, by telling a slice.
pub(super) const ROUNDS: usize = 3;

/// Somebody who knows codes that are not here.
pub trait CodeServer: fmt::Debug + Send + Sync {
    /// What is known of it already; `None` where nothing is.
    fn is_in(&self, question: &CodeQuestion) -> Option<bool>;

    /// Finds out what it can, within a bounded time; `false` where it found out nothing.
    fn learn(&self, questions: &[CodeQuestion]) -> bool;
}

/// What one walk asks.
#[derive(Default)]
pub(super) struct Asking<'v> {
    server: Option<&'v dyn CodeServer>,
    open: RefCell<BTreeSet<CodeQuestion>>,
}

impl<'v> Asking<'v> {
    pub(super) fn of(server: Option<&'v dyn CodeServer>) -> Self {
        Self { server, open: RefCell::default() }
    }

    /// Whether a code is in a value set; `None` where that is open still.
    pub(super) fn is_in(&self, value_set: &str, system: &str, code: &str) -> Option<bool> {
        let server = self.server?;
        let question = CodeQuestion::new(value_set, system, code)?;
        let told = server.is_in(&question);
        let mut open = self.open.borrow_mut();
        if told.is_none() && open.len() < MOST_QUESTIONS {
            open.insert(question);
        }
        told
    }

    pub(super) fn into_open(self) -> Vec<CodeQuestion> {
        self.open.into_inner().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fhir::json::Limits,
        validate::{Policy, Validator, read},
    };
    use std::{
        collections::BTreeMap,
        sync::{Arc, Mutex},
    };

    /// Knows some answers once it has been asked.
    #[derive(Debug, Default)]
    struct Known {
        answers: BTreeMap<String, bool>,
        learnt: Mutex<BTreeMap<CodeQuestion, bool>>,
        asked: Mutex<Vec<CodeQuestion>>,
    }

    impl CodeServer for Known {
        fn is_in(&self, question: &CodeQuestion) -> Option<bool> {
            self.learnt.lock().unwrap().get(question).copied()
        }

        fn learn(&self, questions: &[CodeQuestion]) -> bool {
            self.asked.lock().unwrap().extend(questions.iter().cloned());
            let found =
                questions.iter().filter_map(|question| Some((question.clone(), *self.answers.get(&question.code)?)));
            let found: Vec<_> = found.collect();
            let is_new = !found.is_empty();
            self.learnt.lock().unwrap().extend(found);
            is_new
        }
    }

    fn judged(code: &str, server: &Arc<Known>) -> (Vec<String>, usize) {
        let source = format!(
            r#"{{"resourceType":"ExpansionProfile","status":"draft","designation":{{"include":{{"designation":[{{"use":{{"system":"http://snomed.info/sct","code":"{code}"}}}}]}}}}}}"#
        );
        let document = read(source.as_bytes(), &Limits::default()).unwrap();
        let validator = Validator::new().asking(server.clone());
        let outcome = validator.resource(&document, &Policy::default());
        // That nobody here knows the codes of the system is said beside.
        let open = outcome.not_checked.iter().filter(|left| left.key.starts_with("binding")).count();
        (outcome.findings.into_iter().map(|finding| finding.key).collect(), open)
    }

    #[test]
    fn an_answer_becomes_a_finding_as_if_the_codes_were_here() {
        let server = Arc::new(Known {
            answers: BTreeMap::from([("1".to_owned(), true), ("2".to_owned(), false)]),
            ..Known::default()
        });
        assert_eq!(judged("1", &server), (vec![], 0));
        assert_eq!(judged("2", &server), (vec!["binding-required".to_owned()], 0));
        assert_eq!(judged("3", &server), (vec![], 1), "what it does not know stays open");
        assert_eq!(server.asked.lock().unwrap().len(), 3);
        assert_eq!(judged("2", &server), (vec!["binding-required".to_owned()], 0));
        assert_eq!(server.asked.lock().unwrap().len(), 3, "what is known is not asked again");
    }
}
