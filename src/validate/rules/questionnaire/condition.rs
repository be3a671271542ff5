//! Conditions of items (`enableWhen`): of several one has to hold.
//! Spec: <https://hl7.org/fhir/STU3/questionnaire-definitions.html#Questionnaire.item.enableWhen>.

use super::options::is;
use crate::{
    fhir::{Document, NodeId},
    stu3::package::{Condition, Wanted},
    validate::context::{items, string},
};
use std::{borrow::Cow, collections::HashMap};

/// The answers of a response by the linkId of their question.
pub(super) struct Answers<'d>(HashMap<Cow<'d, str>, Vec<NodeId>>);

impl<'d> Answers<'d> {
    pub(super) fn of(document: &'d Document<'d>, response: NodeId) -> Self {
        let mut answers: HashMap<_, Vec<_>> = HashMap::new();
        let mut waiting: Vec<NodeId> = items(document, response, "item").collect();
        while let Some(item) = waiting.pop() {
            waiting.extend(items(document, item, "item"));
            let link_id = string(document, item, "linkId");
            for answer in items(document, item, "answer") {
                waiting.extend(items(document, answer, "item"));
                if let Some(link_id) = &link_id {
                    answers.entry(link_id.clone()).or_default().push(answer);
                }
            }
        }
        Self(answers)
    }

    /// Whether an item with these conditions is enabled.
    pub(super) fn enable(&self, document: &Document<'_>, conditions: &[Condition]) -> bool {
        conditions.is_empty() || conditions.iter().any(|condition| self.holds(document, condition))
    }

    fn holds(&self, document: &Document<'_>, condition: &Condition) -> bool {
        let given = self.0.get(&*condition.question).map_or(&[][..], Vec::as_slice);
        match &condition.wanted {
            Wanted::Answered(answered) => *answered != given.is_empty(),
            Wanted::Answer(wanted) => given.iter().any(|answer| {
                let value = document.get(*answer, &format!("value{}", wanted.ending));
                value.is_some_and(|value| is(document, value, &wanted.value))
            }),
            Wanted::Unstated => true, // que-7 tells of it
        }
    }
}
