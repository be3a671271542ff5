//! Questionnaires by themselves, and responses against their Questionnaire, where that is in the Bundle or contained.
//! Spec: <https://hl7.org/fhir/STU3/questionnaireresponse.html>, <https://hl7.org/fhir/STU3/questionnaire.html>.

mod condition;
mod definition;
mod form;
mod options;

pub(crate) use definition::check as check_definition;
pub(crate) use form::Form;

use crate::{
    fhir::{Kind, NodeId, path::Resolution},
    validate::{
        context::{Context, items},
        issue::{At, Findings, Rule},
        rules::reference,
    },
};
use condition::Answers;
use form::{Asks, Level, Listed, Question};
use std::rc::Rc;

const PAGE: &str = "https://hl7.org/fhir/STU3/questionnaireresponse.html";
const QUESTIONNAIRE: &str = "https://hl7.org/fhir/STU3/questionnaire.html";

static NOT_HERE: Rule = Rule::warning("questionnaire", "not-found", PAGE);
static ITEM: Rule = Rule::error("questionnaire-item", "structure", PAGE);
static ORDER: Rule = Rule::error("questionnaire-order", "structure", PAGE);
static REPEATS: Rule = Rule::error("questionnaire-repeats", "structure", QUESTIONNAIRE);
static REQUIRED: Rule = Rule::error("questionnaire-required", "required", QUESTIONNAIRE);
static ANSWER: Rule = Rule::error("questionnaire-answer", "value", QUESTIONNAIRE);
static OPTION: Rule = Rule::error("questionnaire-option", "code-invalid", QUESTIONNAIRE);
static LENGTH: Rule = Rule::error("questionnaire-length", "too-long", QUESTIONNAIRE);

/// "Should only be enabled when the condition is true": it does not say that a record of an answer is wrong.
static DISABLED: Rule = Rule::warning("questionnaire-disabled", "business-rule", QUESTIONNAIRE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[
    &NOT_HERE,
    &ITEM,
    &ORDER,
    &REPEATS,
    &REQUIRED,
    &ANSWER,
    &OPTION,
    &LENGTH,
    &DISABLED,
    &definition::TYPE,
    &definition::CONDITION,
];

/// Deeper items are not looked at, in step with [`Form`].
const DEEPEST: usize = 50;

/// A QuestionnaireResponse; the path has reached it.
pub(crate) fn check<'d>(cx: &Context<'_, 'd>, response: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    let Some(named) = document.get(response, "questionnaire") else { return };
    let Some(reference) = cx.string(named, "reference") else { return };
    let found = match reference::lead(cx, &reference) {
        Resolution::Found(node) if cx.string(node, "resourceType").as_deref() == Some("Questionnaire") => node,
        // A resource of another type is told as a reference.
        Resolution::Found(_) => return,
        _ => {
            let text = "the questionnaire is neither contained nor in the Bundle";
            return out.not_checked(cx, &NOT_HERE, At::below(named, ".questionnaire"), text);
        }
    };
    let known = cx.forms.borrow().get(&found).cloned();
    let form = known.unwrap_or_else(|| {
        let form = Rc::new(Form::of(document, found));
        cx.forms.borrow_mut().insert(found, form.clone());
        form
    });
    let is_over = matches!(cx.string(response, "status").as_deref(), Some("completed" | "amended"));
    let judge = Judge { cx, form: &form, is_over, answers: Answers::of(document, response) };
    judge.level(response, "", &form.top, None, 0, out);
}

struct Judge<'c, 'v, 'd> {
    cx: &'c Context<'v, 'd>,
    form: &'c Form<'d>,
    /// Everything that has to be answered is.
    is_over: bool,
    answers: Answers<'d>,
}

impl<'d> Judge<'_, '_, 'd> {
    /// The items of a response that stand beside each other, against those of the form.
    fn level(
        &self,
        owner: NodeId,
        tail: &str,
        level: &Level,
        parent: Option<usize>,
        depth: usize,
        out: &mut Findings<'_>,
    ) {
        if depth > DEEPEST {
            return;
        }
        let document = self.cx.document;
        let mut count = vec![0_usize; level.questions.len()];
        let mut reached = 0;
        for (number, item) in items(document, owner, "item").enumerate() {
            let tail = format!("{tail}.item[{number}]");
            let link_id = self.cx.string(item, "linkId");
            let listed = link_id.and_then(|link_id| self.form.by_link_id.get(&link_id).copied());
            let Some(Listed { question, place, .. }) = listed.filter(|listed| listed.parent == parent) else {
                let text = match listed {
                    Some(_) => {
                        "the questionnaire has this linkId elsewhere: put the item below the one that it belongs to"
                    }
                    None => "the questionnaire has no item with this linkId: correct it, or remove the item",
                };
                out.add(self.cx, &ITEM, At::below(item, tail), text);
                continue;
            };
            if place < reached {
                let text = "items stand in the order of the questionnaire: move this one to its place";
                out.add(self.cx, &ORDER, At::below(item, tail.clone()), text);
            }
            reached = reached.max(place);
            count[place] += 1;
            let (own, question) = (question, &self.form.questions[question]);
            // A question repeats by its answers, a group by its items.
            if count[place] == 2 && !(question.repeats && question.asks == Asks::Group) {
                let text = match question.asks {
                    Asks::Group => "this group does not repeat: keep one item of it",
                    _ => "a question stands once, with all its answers: move this answer to the first item",
                };
                out.add(self.cx, &REPEATS, At::below(item, tail.clone()), text);
            }
            self.item(item, &tail, own, depth, out);
        }
        for (place, question) in level.questions.iter().enumerate() {
            let question = &self.form.questions[*question];
            if count[place] == 0 && self.is_due(question) {
                let at = At::below(owner, tail.to_owned());
                let text =
                    "the questionnaire requires an item that is missing here: add it, or set status to in-progress";
                out.add(self.cx, &REQUIRED, at, text);
            }
        }
    }

    fn is_due(&self, question: &Question<'d>) -> bool {
        self.is_over && question.required && self.answers.enable(self.cx.document, question.node)
    }

    fn item(&self, item: NodeId, tail: &str, own: usize, depth: usize, out: &mut Findings<'_>) {
        let (cx, document, question) = (self.cx, self.cx.document, &self.form.questions[own]);
        let mut answers = 0;
        for (number, answer) in items(document, item, "answer").enumerate() {
            let tail = format!("{tail}.answer[{number}]");
            answers += 1;
            if answers == 2 && !question.repeats {
                let text = "this question has one answer: keep one, or let the questionnaire say that it repeats";
                out.add(cx, &REPEATS, At::below(answer, tail.clone()), text);
            }
            self.answer(answer, &tail, question, out);
            self.level(answer, &tail, &question.level, Some(own), depth + 1, out);
        }
        let is_question = !matches!(question.asks, Asks::Group | Asks::Display | Asks::Unknown);
        if answers > 0 && !self.answers.enable(document, question.node) {
            let text = "this is answered although its condition (enableWhen) does not hold: remove it, or correct the \
                        answer that it depends on";
            out.add(cx, &DISABLED, At::below(item, tail.to_owned()), text);
        }
        if answers == 0 && is_question && self.is_due(question) {
            let text = "the questionnaire requires an answer here: add it, or set status to in-progress";
            out.add(cx, &REQUIRED, At::below(item, tail.to_owned()), text);
        }
        // What is asked below a question stands in its answers.
        if answers == 0 && !is_question {
            self.level(item, tail, &question.level, Some(own), depth + 1, out);
        }
    }

    fn answer(&self, answer: NodeId, tail: &str, question: &Question<'d>, out: &mut Findings<'_>) {
        let (cx, document) = (self.cx, self.cx.document);
        let named = document.children(answer).find_map(|member| {
            let name = document.name(member)?;
            name.strip_prefix("value").map(|ending| (member, ending.to_owned()))
        });
        let Some((value, ending)) = named else { return };
        let at = || At::below(value, format!("{tail}.value"));
        if !question.asks.admits(&ending) {
            let text = match question.asks {
                Asks::Group | Asks::Display => {
                    "this item of the questionnaire asks nothing: remove the answer, or correct the linkId".to_owned()
                }
                asks => format!("the questionnaire asks for {} here: correct the answer", asks.wanted()),
            };
            return out.add(cx, &ANSWER, at(), text);
        }
        if let Some(most) = question.max_length
            && document.kind(value) == Kind::String
            && document.text(value).is_some_and(|text| text.chars().count() > most)
        {
            let text = format!("the questionnaire takes at most {most} characters here: shorten the answer");
            out.add(cx, &LENGTH, at(), text);
        }
        match options::admits(cx, question, value, &ending) {
            Some(true) => {}
            Some(false) => {
                let text = "the questionnaire does not offer this answer: choose one of its options";
                out.add(cx, &OPTION, at(), text);
            }
            None => out.not_checked(cx, &OPTION, at(), "the options of this question are not known here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, outcome};

    const FORM: &str = r##"{"resourceType":"Questionnaire","id":"f","status":"active","contained":[],"item":[
        {"linkId":"a","type":"boolean"},
        {"linkId":"b","type":"choice","repeats":true,"options":{"reference":"#set"},"item":[{"linkId":"b1","type":"decimal","required":true}]},
        {"linkId":"c","type":"open-choice","option":[{"valueCoding":{"code":"x"}}]},
        {"linkId":"g","type":"group","repeats":true,"enableWhen":[{"question":"a","answerBoolean":true}],"item":[
            {"linkId":"g1","type":"text","required":true},{"linkId":"g2","type":"display"}]},
        {"linkId":"h","type":"date","required":true,"enableWhen":[{"question":"a","hasAnswer":false},{"question":"c","hasAnswer":true}]}]}"##;
    const SET: &str = r#"{"resourceType":"ValueSet","id":"set","status":"active","compose":{"include":[
        {"system":"http://a.example","concept":[{"code":"one"},{"code":"two"}]}]}}"#;

    fn response(status: &str, items: &str) -> String {
        let form = FORM.replace(r#""contained":[],"#, "");
        format!(
            r##"{{"resourceType":"QuestionnaireResponse","status":"{status}","contained":[{form},{SET}],
            "questionnaire":{{"reference":"#f"}},"item":[{items}]}}"##
        )
    }

    fn found(status: &str, items: &str) -> Vec<String> {
        let found = findings(&response(status, items)).into_iter();
        found
            .filter(|finding| finding.starts_with("questionnaire"))
            .map(|finding| finding.replace("questionnaire-", "").replace("QuestionnaireResponse", ""))
            .collect()
    }

    const YES: &str = r#"{"linkId":"a","answer":[{"valueBoolean":true}]}"#;
    const NO: &str = r#"{"linkId":"a","answer":[{"valueBoolean":false}]}"#;

    #[test]
    fn what_is_required_is_so_where_its_conditions_hold_and_the_response_is_over() {
        assert_eq!(found("completed", ""), ["required "], "h, as a has no answer");
        assert_eq!(found("completed", NO), Vec::<String>::new());
        assert_eq!(found("in-progress", ""), Vec::<String>::new());
        let group = format!(r#"{YES},{{"linkId":"g","item":[{{"linkId":"g2"}}]}}"#);
        assert_eq!(found("completed", &group), ["required .item[1]"]);
        let open = format!(r#"{NO},{{"linkId":"c","answer":[{{"valueString":"mine"}}]}}"#);
        assert_eq!(found("amended", &open), ["required "], "h, as c has an answer");
        assert_eq!(
            found("completed", &format!(r#"{NO},{{"linkId":"h","answer":[{{"valueDate":"2026"}}]}}"#)),
            ["disabled .item[1]"]
        );
    }

    #[test]
    fn choices_are_those_of_the_value_set_or_the_options() {
        let b = |code: &str| {
            format!(
                r#"{NO},{{"linkId":"b","answer":[{{"valueCoding":{{"system":"http://a.example","code":"{code}"}},"item":[{{"linkId":"b1","answer":[{{"valueDecimal":1.5}}]}}]}}]}}"#
            )
        };
        assert_eq!(found("completed", &b("two")), Vec::<String>::new());
        assert_eq!(found("completed", &b("three")), ["option .item[1].answer[0].value"]);
        let c = |value: &str| {
            format!(
                r#"{NO},{{"linkId":"c","answer":[{{{value}}}]}},{{"linkId":"h","answer":[{{"valueDate":"2026"}}]}}"#
            )
        };
        assert_eq!(found("completed", &c(r#""valueCoding":{"code":"x"}"#)), Vec::<String>::new());
        assert_eq!(found("completed", &c(r#""valueCoding":{"code":"y"}"#)), ["option .item[1].answer[0].value"]);
        assert_eq!(found("completed", &c(r#""valueInteger":1"#)), ["option .item[1].answer[0].value"]);
        assert_eq!(found("completed", &c(r#""valueDecimal":1.5"#)), ["answer .item[1].answer[0].value"]);
    }

    #[test]
    fn items_stand_where_the_questionnaire_has_them_and_as_often_as_it_says() {
        let answered = r#""answer":[{"valueString":"t"}]"#;
        let group = format!(r#"{{"linkId":"g","item":[{{"linkId":"g1",{answered}}}]}}"#);
        assert_eq!(found("completed", &format!("{YES},{group},{group}")), Vec::<String>::new());
        assert_eq!(found("completed", &format!("{YES},{YES}")), ["repeats .item[1]"]);
        assert_eq!(
            found("completed", &format!(r#"{YES},{{"linkId":"g1",{answered}}}"#)),
            ["item .item[1]"],
            "it belongs to g"
        );
        let below = format!(
            r#"{YES},{{"linkId":"g","item":[{{"linkId":"g1","answer":[{{"valueString":"t","item":[{{"linkId":"b1"}}]}}]}}]}}"#
        );
        assert_eq!(found("completed", &below), ["item .item[1].item[0].answer[0].item[0]"]);
        let answered_group = format!(r#"{YES},{{"linkId":"g","answer":[{{"valueString":"t"}}]}}"#);
        assert!(found("completed", &answered_group).contains(&"answer .item[1].answer[0].value".to_owned()));
        let missing = format!(
            r#"{NO},{{"linkId":"b","answer":[{{"valueCoding":{{"system":"http://a.example","code":"one"}}}}]}}"#
        );
        assert_eq!(found("completed", &missing), ["required .item[1].answer[0]"], "b1 is asked below each answer");
    }

    #[test]
    fn a_questionnaire_that_is_not_here_is_told_and_nothing_else() {
        let source = r#"{"resourceType":"QuestionnaireResponse","status":"completed","questionnaire":{"reference":"Questionnaire/1"},
            "item":[{"linkId":"a"}]}"#;
        let outcome = outcome(source);
        assert!(outcome.valid());
        assert_eq!(outcome.not_checked[0].key, "questionnaire");
    }
}
