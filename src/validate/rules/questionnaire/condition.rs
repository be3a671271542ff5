//! Conditions of items (`enableWhen`): of several one has to hold.
//! Spec: <https://hl7.org/fhir/STU3/questionnaire-definitions.html#Questionnaire.item.enableWhen>.

use super::options::same;
use crate::{
    fhir::{Document, Kind, NodeId},
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

    /// Whether an item of the questionnaire is enabled.
    pub(super) fn enable(&self, document: &Document<'_>, item: NodeId) -> bool {
        let mut conditions = items(document, item, "enableWhen").peekable();
        conditions.peek().is_none() || conditions.any(|condition| self.holds(document, condition))
    }

    fn holds(&self, document: &Document<'_>, condition: NodeId) -> bool {
        let question = string(document, condition, "question").unwrap_or_default();
        let given = self.0.get(&question).map_or(&[][..], Vec::as_slice);
        if let Some(has_answer) = document.get(condition, "hasAnswer") {
            return (document.kind(has_answer) == Kind::True) != given.is_empty();
        }
        let wanted = document.children(condition).find_map(|member| {
            let name = document.name(member)?;
            name.strip_prefix("answer").map(|ending| (member, ending.to_owned()))
        });
        let Some((wanted, ending)) = wanted else { return true }; // que-7 tells of it
        given.iter().any(|answer| {
            let value = document.get(*answer, &format!("value{ending}"));
            value.is_some_and(|value| same(document, value, wanted))
        })
    }
}
