//! A Questionnaire by itself: the values that it gives are such as its questions ask for.
//! Spec: <https://hl7.org/fhir/STU3/questionnaire-definitions.html>.

use super::wanted;
use crate::{
    fhir::NodeId,
    stu3::package::{Asks, DEEPEST_ITEM, Questionnaire},
    validate::{
        context::{Context, choice_but, items},
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/questionnaire-definitions.html";

/// The definitions of `initial[x]` and `enableWhen.answer[x]`: their types have to be that of the question.
pub(super) static TYPE: Rule = Rule::error("questionnaire-type", "value", PAGE);

/// "The linkId for the question": without one the condition never holds, which the page does not forbid.
pub(super) static CONDITION: Rule = Rule::warning("questionnaire-condition", "not-found", PAGE);

/// A Questionnaire; the path has reached it.
pub(crate) fn check(cx: &Context<'_, '_>, questionnaire: NodeId, out: &mut Findings<'_>) {
    let form = cx.forms.questionnaire(cx.document, questionnaire);
    level(cx, &form, questionnaire, "", 0, out);
}

/// Items that stand beside each other.
fn level(cx: &Context<'_, '_>, form: &Questionnaire, owner: NodeId, tail: &str, depth: usize, out: &mut Findings<'_>) {
    if depth > DEEPEST_ITEM {
        return;
    }
    for (number, item) in items(cx.document, owner, "item").enumerate() {
        let tail = format!("{tail}.item[{number}]");
        let own = Asks::named(cx.string(item, "type").as_deref().unwrap_or_default());
        typed(cx, own, &Given { owner: item, tail: &tail, structure: "Questionnaire.item", stem: "initial" }, out);
        for (number, condition) in items(cx.document, item, "enableWhen").enumerate() {
            let tail = format!("{tail}.enableWhen[{number}]");
            let (Some(place), Some(link_id)) =
                (cx.document.get(condition, "question"), cx.string(condition, "question"))
            else {
                continue;
            };
            if let Some(listed) = form.listed(&link_id) {
                let asks = form.questions[listed.question].asks;
                let structure = "Questionnaire.item.enableWhen";
                typed(cx, asks, &Given { owner: condition, tail: &tail, structure, stem: "answer" }, out);
            } else {
                let text = "no item has this linkId, so this item is never enabled: correct it";
                out.add(cx, &CONDITION, At::below(place, format!("{tail}.question")), text);
            }
        }
        level(cx, form, item, &tail, depth + 1, out);
    }
}

/// A value that a Questionnaire gives.
struct Given<'t> {
    owner: NodeId,
    tail: &'t str,
    /// The owner's structure.
    structure: &'static str,
    /// `initial` of `initialString`.
    stem: &'static str,
}

/// Whether the value is of the type that the question asks for, where it asks for something.
fn typed(cx: &Context<'_, '_>, asks: Asks, given: &Given<'_>, out: &mut Findings<'_>) {
    if matches!(asks, Asks::Group | Asks::Display) {
        return;
    }
    let wrong = choice_but(cx, given.owner, given.structure, given.stem, |ending| asks.admits(ending));
    if let Some(value) = wrong {
        let text = format!("the question asks for {}, and this is of another type: correct it", wanted(asks));
        out.add(cx, &TYPE, At::below(value, format!("{}.{}", given.tail, given.stem)), text);
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, none};
    use serde_json::{Value, json};

    fn found(items: Value) -> Vec<String> {
        findings(&json!({"resourceType": "Questionnaire", "status": "draft", "item": items}).to_string())
    }

    #[test]
    fn initial_values_are_of_the_type_of_the_item() {
        let item = |initial: &str, value: Value| {
            let group = json!([{"linkId": "g", "type": "group", "item": [{"linkId": "1", "type": "integer"}]}]);
            let mut items = group;
            items[0]["item"][0][initial] = value;
            found(items)
        };
        assert_eq!(item("initialInteger", json!(1)), none());
        let expected = ["questionnaire-type Questionnaire.item[0].item[0].initial"];
        assert_eq!(item("initialString", json!("1")), expected);
    }

    #[test]
    fn conditions_compare_with_an_answer_of_the_question() {
        let depends = |condition: Value| {
            found(
                json!([{"linkId": "1", "type": "choice"}, {"linkId": "2", "type": "string", "enableWhen": [condition]}]),
            )
        };
        assert_eq!(depends(json!({"question": "1", "answerCoding": {"code": "a"}})), none());
        assert_eq!(depends(json!({"question": "1", "hasAnswer": true})), none());
        let expected = ["questionnaire-type Questionnaire.item[1].enableWhen[0].answer"];
        assert_eq!(depends(json!({"question": "1", "answerBoolean": true})), expected);
        let expected = ["questionnaire-condition Questionnaire.item[1].enableWhen[0].question"];
        assert_eq!(depends(json!({"question": "3", "hasAnswer": true})), expected);
    }
}
