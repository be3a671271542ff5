//! Questionnaires by themselves, and responses against their Questionnaire, where that is in the Bundle, contained or loaded.
//! Spec: <https://hl7.org/fhir/STU3/questionnaireresponse.html>, <https://hl7.org/fhir/STU3/questionnaire.html>.

mod condition;
mod definition;
mod options;

pub(crate) use definition::check as check_definition;

use crate::{
    fhir::{Document, Kind, NodeId, path::Resolution},
    stu3::package::{Asks, DEEPEST_ITEM, Listed, LooseSet, Question, Questionnaire},
    validate::{
        context::{Context, items},
        issue::{At, Findings, Rule},
        rules::reference,
    },
};
use condition::Answers;
use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

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

/// Questionnaires and value sets of a file, each read once.
#[derive(Debug, Default)]
pub(crate) struct Forms {
    questionnaires: RefCell<HashMap<NodeId, Arc<Questionnaire>>>,
    /// `None` where one is too large to be used.
    value_sets: RefCell<HashMap<NodeId, Option<Rc<LooseSet>>>>,
}

impl Forms {
    fn questionnaire(&self, document: &Document<'_>, node: NodeId) -> Arc<Questionnaire> {
        let read = || Arc::new(Questionnaire::of(document, node));
        self.questionnaires.borrow_mut().entry(node).or_insert_with(read).clone()
    }

    fn value_set(&self, document: &Document<'_>, node: NodeId) -> Option<Rc<LooseSet>> {
        let read = || LooseSet::of(document, node).ok().map(Rc::new);
        self.value_sets.borrow_mut().entry(node).or_insert_with(read).clone()
    }
}

/// What a response is held to.
struct Form {
    questionnaire: Arc<Questionnaire>,
    /// Where it stands, if it is in the file.
    node: Option<NodeId>,
}

/// A QuestionnaireResponse; the path has reached it.
pub(crate) fn check(cx: &Context<'_, '_>, response: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    let Some(named) = document.get(response, "questionnaire") else { return };
    let Some(reference) = cx.string(named, "reference") else { return };
    let form = match reference::lead(cx, &reference) {
        Resolution::Found(node) if cx.string(node, "resourceType").as_deref() == Some("Questionnaire") => {
            Form { questionnaire: cx.forms.questionnaire(document, node), node: Some(node) }
        }
        // A resource of another type is told as a reference.
        Resolution::Found(_) => return,
        _ => match cx.library.questionnaire(&reference) {
            Some(questionnaire) => Form { questionnaire: questionnaire.clone(), node: None },
            None => {
                let text = "the questionnaire is neither contained nor in the Bundle, and none of its name is loaded";
                return out.not_checked(cx, &NOT_HERE, At::below(named, ".questionnaire"), text);
            }
        },
    };
    let is_over = matches!(cx.string(response, "status").as_deref(), Some("completed" | "amended"));
    let judge = Judge { cx, form: &form, is_over, answers: Answers::of(document, response) };
    judge.level(response, "", &form.questionnaire.top, None, 0, out);
}

/// What an answer has to be, for people.
fn wanted(asks: Asks) -> String {
    match asks {
        Asks::For(ending) => format!("value{ending}"),
        Asks::Choice => "valueCoding, or a value of the kind that the options have".to_owned(),
        Asks::OpenChoice => "valueCoding or valueString".to_owned(),
        Asks::Group | Asks::Display | Asks::Unknown => "no answer".to_owned(),
    }
}

struct Judge<'c, 'v, 'd> {
    cx: &'c Context<'v, 'd>,
    form: &'c Form,
    /// Everything that has to be answered is.
    is_over: bool,
    answers: Answers<'d>,
}

impl Judge<'_, '_, '_> {
    /// The items of a response that stand beside each other, against those of the form.
    fn level(
        &self,
        owner: NodeId,
        tail: &str,
        level: &[usize],
        parent: Option<usize>,
        depth: usize,
        out: &mut Findings<'_>,
    ) {
        if depth > DEEPEST_ITEM {
            return;
        }
        let document = self.cx.document;
        let mut count = vec![0_usize; level.len()];
        let mut reached = 0;
        for (number, item) in items(document, owner, "item").enumerate() {
            let tail = format!("{tail}.item[{number}]");
            let link_id = self.cx.string(item, "linkId");
            let listed = link_id.and_then(|link_id| self.form.questionnaire.listed(&link_id));
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
            let (own, question) = (question, &self.form.questionnaire.questions[question]);
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
        for (place, question) in level.iter().enumerate() {
            let question = &self.form.questionnaire.questions[*question];
            if count[place] == 0 && self.is_due(question) {
                let at = At::below(owner, tail.to_owned());
                let text =
                    "the questionnaire requires an item that is missing here: add it, or set status to in-progress";
                out.add(self.cx, &REQUIRED, at, text);
            }
        }
    }

    fn is_due(&self, question: &Question) -> bool {
        self.is_over && question.required && self.answers.enable(self.cx.document, &question.conditions)
    }

    fn item(&self, item: NodeId, tail: &str, own: usize, depth: usize, out: &mut Findings<'_>) {
        let (cx, document, question) = (self.cx, self.cx.document, &self.form.questionnaire.questions[own]);
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
        if answers > 0 && !self.answers.enable(document, &question.conditions) {
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

    fn answer(&self, answer: NodeId, tail: &str, question: &Question, out: &mut Findings<'_>) {
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
                asks => format!("the questionnaire asks for {} here: correct the answer", wanted(asks)),
            };
            return out.add(cx, &ANSWER, at(), text);
        }
        if let Some(most) = question.max_length
            && document.kind(value) == Kind::String
            && document.text(value).is_some_and(|text| text.chars().count() > most as usize)
        {
            let text = format!("the questionnaire takes at most {most} characters here: shorten the answer");
            out.add(cx, &LENGTH, at(), text);
        }
        match options::admits(cx, self.form, question, value, &ending) {
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
    use crate::validate::testing::{findings, outcome, with};

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

    /// What is said of a response with a questionnaire loaded.
    fn judged(form: &str, response: &str) -> Vec<String> {
        let [form, response] = [form, response].map(|text| serde_json::from_str(text).unwrap());
        let outcome = with(&[&form], &response);
        let findings = outcome.findings.iter().map(|finding| format!("{} {}", finding.key, finding.expression));
        let left = outcome.not_checked.iter().filter(|left| left.key.starts_with("questionnaire"));
        findings.chain(left.map(|left| format!("?{}", left.key))).collect()
    }

    #[test]
    fn a_questionnaire_that_is_loaded_will_do() {
        let form = FORM.replace(r#""id":"f""#, r#""id":"f","url":"http://example.org/f""#);
        let form = form.replace(r#""contained":[]"#, &format!(r#""contained":[{SET}]"#));
        let response = |reference: &str, code: &str| {
            format!(
                r#"{{"resourceType":"QuestionnaireResponse","status":"in-progress","questionnaire":{{"reference":"{reference}"}},
                "item":[{NO},{{"linkId":"b","answer":[{{"valueCoding":{{"system":"http://a.example","code":"{code}"}},
                    "item":[{{"linkId":"b1","answer":[{{"valueDecimal":1.5}}]}}]}}]}}]}}"#
            )
        };
        for reference in ["http://example.org/f", "Questionnaire/f"] {
            assert_eq!(judged(&form, &response(reference, "two")), Vec::<String>::new(), "{reference}");
            let expected = ["questionnaire-option QuestionnaireResponse.item[1].answer[0].value"];
            assert_eq!(judged(&form, &response(reference, "three")), expected, "{reference}");
        }
        assert_eq!(judged(&form, &response("http://example.org/g", "three")), ["?questionnaire"]);
    }

    #[test]
    fn a_value_set_that_the_questionnaire_contains_is_its_own() {
        let form = FORM.replace(r#""contained":[]"#, &format!(r#""contained":[{SET}]"#));
        let entry = |url: &str, resource: &str| {
            format!(
                r#"{{"fullUrl":"http://example.org/{url}","resource":{resource},"request":{{"method":"POST","url":"a"}}}}"#
            )
        };
        let response = |code: &str| {
            format!(
                r#"{{"resourceType":"QuestionnaireResponse","status":"in-progress",
                "questionnaire":{{"reference":"http://example.org/Questionnaire/f"}},"item":[{NO},
                {{"linkId":"b","answer":[{{"valueCoding":{{"system":"http://a.example","code":"{code}"}}}}]}}]}}"#
            )
        };
        for (code, expected) in [("one", &[][..]), ("three", &["questionnaire-option"])] {
            let source = format!(
                r#"{{"resourceType":"Bundle","type":"transaction","entry":[{},{}]}}"#,
                entry("Questionnaire/f", &form),
                entry("QuestionnaireResponse/r", &response(code))
            );
            let found = findings(&source);
            let keys: Vec<&str> = found.iter().filter_map(|finding| finding.split(' ').next()).collect();
            let keys: Vec<&str> = keys.into_iter().filter(|key| key.starts_with("questionnaire")).collect();
            assert_eq!(keys, expected, "{code}: {found:?}");
        }
    }
}
