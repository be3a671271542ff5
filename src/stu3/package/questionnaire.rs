//! Questionnaires as their responses see them: questions by linkId, level by level.
//!
//! Spec: <https://hl7.org/fhir/STU3/questionnaire.html>.

use super::Object;
use crate::{
    fhir::{Document, NodeId},
    stu3::profile::{Defect, Problem, Value},
};
use std::{collections::HashMap, sync::Arc};

/// Deeper items are not looked at; real questionnaires are a handful deep.
pub const DEEPEST_ITEM: usize = 50;

/// A questionnaire, as stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Questionnaire {
    /// Canonical URL; `Questionnaire/id` where it has none.
    pub url: Arc<str>,
    /// Its version, where it has one.
    pub version: Option<Arc<str>>,
    /// The name for programs.
    pub name: Arc<str>,
    /// Its logical id.
    pub id: Option<Arc<str>>,
    /// All items; one comes before those in it.
    pub questions: Vec<Question>,
    /// Places in `questions` of the items that stand in no other, in order.
    pub top: Vec<usize>,
    /// Of equal linkIds the first.
    by_link_id: HashMap<Arc<str>, Listed>,
    /// Where it was read from.
    pub file: Arc<str>,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What it asks for.
    pub asks: Asks,
    /// It has to be answered.
    pub required: bool,
    /// It may have several answers, or stand several times.
    pub repeats: bool,
    /// The most characters of an answer.
    pub max_length: Option<u32>,
    /// Canonical URL of the value set of its answers.
    pub options: Option<Arc<str>>,
    /// The answers that it offers, where it lists them.
    pub offered: Vec<Answer>,
    /// It is asked where one of these holds; always where there is none.
    pub conditions: Vec<Condition>,
    /// Places of the items in it, in order.
    pub level: Vec<usize>,
}

/// What kind of item it is. <https://hl7.org/fhir/STU3/valueset-item-type.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Holds other items.
    Group,
    /// A text to be read.
    Display,
    /// A question, by the ending of its answer's `value[x]`.
    For(&'static str),
    /// Choice: a Coding of the list.
    Choice,
    /// Open choice: a Coding of the list, or text.
    OpenChoice,
    /// No type of the release.
    Unknown,
}

/// An answer, as `option` or `enableWhen` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The type as names end with it: `Coding` of `valueCoding`.
    pub ending: Arc<str>,
    /// The value.
    pub value: Value,
}

/// A condition of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The linkId of the question that it depends on.
    pub question: Arc<str>,
    /// What that question has to have.
    pub wanted: Wanted,
}

/// What a question has to have for another to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Any answer, or none.
    Answered(bool),
    /// This answer.
    Answer(Answer),
    /// Nothing is said, which is an error of the questionnaire.
    Unstated,
}

/// Where a linkId stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The place of the question.
    pub question: usize,
    /// The place of the question that it stands in.
    pub parent: Option<usize>,
    /// Its place among those beside it.
    pub place: usize,
}

impl Questionnaire {
    /// Reads one that has to be found by its URL later, or by its id.
    ///
    /// # Errors
    /// It has neither.
    pub(super) fn read(object: Object<'_>, file: &Arc<str>) -> Result<Self, Problem> {
        let by_id = || object.kept("id").map(|id| format!("Questionnaire/{id}").into());
        match object.kept("url").or_else(by_id) {
            // its items name the value sets that it contains by `#id`
            Some(url) => Ok(Self::of_object(object, url.clone(), &url, file)),
            None => Err(Problem { file: file.clone(), url: None, element: None, defect: Defect::NoMember("url") }),
        }
    }

    /// Reads one of a document that is judged; value sets that it contains keep their names (`#id`).
    pub fn of(document: &Document<'_>, node: NodeId) -> Self {
        Self::of_object(Object { document, node }, "".into(), "", &"".into())
    }

    fn of_object(object: Object<'_>, url: Arc<str>, contained_in: &str, file: &Arc<str>) -> Self {
        let mut questionnaire = Self {
            url,
            version: object.kept("version"),
            name: object.kept("name").unwrap_or_default(),
            id: object.kept("id"),
            questions: Vec::new(),
            top: Vec::new(),
            by_link_id: HashMap::new(),
            file: file.clone(),
        };
        questionnaire.top = questionnaire.level(object, None, contained_in, 0);
        questionnaire
    }

    fn level(&mut self, object: Object<'_>, parent: Option<usize>, contained_in: &str, depth: usize) -> Vec<usize> {
        let mut level = Vec::new();
        if depth > DEEPEST_ITEM {
            return level;
        }
        for item in object.objects("item") {
            let question = self.questions.len();
            self.questions.push(Question::read(item, contained_in));
            if let Some(link_id) = item.kept("linkId") {
                let place = level.len();
                self.by_link_id.entry(link_id).or_insert(Listed { question, parent, place });
            }
            level.push(question);
            self.questions[question].level = self.level(item, Some(question), contained_in, depth + 1);
        }
        level
    }

    /// Where a linkId stands.
    pub fn listed(&self, link_id: &str) -> Option<Listed> {
        self.by_link_id.get(link_id).copied()
    }
}

impl Question {
    fn read(item: Object<'_>, contained_in: &str) -> Self {
        let options = item.object("options").and_then(|options| options.kept("reference"));
        let options = options.map(|set| match set.strip_prefix('#') {
            Some(id) => format!("{contained_in}#{id}").into(),
            None => set,
        });
        Self {
            asks: Asks::named(item.text("type").as_deref().unwrap_or_default()),
            required: item.flag("required").unwrap_or(false),
            repeats: item.flag("repeats").unwrap_or(false),
            max_length: item.number("maxLength"),
            options,
            offered: item.objects("option").filter_map(|option| Answer::read(option, "value")).collect(),
            conditions: item.objects("enableWhen").map(Condition::read).collect(),
            level: Vec::new(),
        }
    }
}

impl Answer {
    fn read(object: Object<'_>, prefix: &str) -> Option<Self> {
        let (ending, node) = object.choice(prefix)?;
        Some(Self { ending: ending.into(), value: Value::of(object.document, node) })
    }
}

impl Condition {
    fn read(object: Object<'_>) -> Self {
        let wanted = match object.flag("hasAnswer") {
            Some(has_answer) => Wanted::Answered(has_answer),
            None => Answer::read(object, "answer").map_or(Wanted::Unstated, Wanted::Answer),
        };
        Self { question: object.kept("question").unwrap_or_default(), wanted }
    }
}

impl Asks {
    /// By the code of an item's type.
    pub fn named(code: &str) -> Self {
        match code {
            "group" => Self::Group,
            "display" => Self::Display,
            "boolean" => Self::For("Boolean"),
            "decimal" => Self::For("Decimal"),
            "integer" => Self::For("Integer"),
            "date" => Self::For("Date"),
            "dateTime" => Self::For("DateTime"),
            "time" => Self::For("Time"),
            "string" | "text" => Self::For("String"),
            "url" => Self::For("Uri"),
            "choice" => Self::Choice,
            "open-choice" => Self::OpenChoice,
            "attachment" => Self::For("Attachment"),
            "reference" => Self::For("Reference"),
            "quantity" => Self::For("Quantity"),
            _ => Self::Unknown,
        }
    }

    /// Whether an answer's value may end so.
    pub fn admits(self, ending: &str) -> bool {
        match self {
            Self::For(wanted) => wanted == ending,
            Self::Choice => CHOICES.contains(&ending),
            Self::OpenChoice => ending == "String" || CHOICES.contains(&ending),
            Self::Unknown => true,
            Self::Group | Self::Display => false,
        }
    }
}

/// What the options of a choice may be (`Questionnaire.item.option.value[x]`).
const CHOICES: [&str; 5] = ["Coding", "Integer", "Date", "Time", "String"];

#[cfg(test)]
mod tests {
    use super::super::Shelf;
    use super::*;

    const FORM: &str = r##"{"resourceType":"Questionnaire","id":"f","url":"http://example.org/f","status":"active",
        "contained":[{"resourceType":"ValueSet","id":"s","status":"draft",
            "compose":{"include":[{"system":"http://example.org/s","concept":[{"code":"a"}]}]}}],
        "item":[{"linkId":"1","type":"group","item":[
            {"linkId":"1.1","type":"choice","required":true,"options":{"reference":"#s"}},
            {"linkId":"1.2","type":"open-choice","option":[{"valueCoding":{"code":"x"}}],
             "enableWhen":[{"question":"1.1","hasAnswer":true},{"question":"1.1","answerCoding":{"code":"a"}}]}]}]}"##;

    #[test]
    fn a_questionnaire_is_read_as_stated_with_the_value_sets_that_it_contains() {
        let mut shelf = Shelf::new();
        shelf.add_file("f.json", FORM.as_bytes());
        let library = shelf.library();
        assert_eq!(library.problems(), &[]);
        let form = library.questionnaire("http://example.org/f").unwrap();
        assert_eq!(form.top, [0]);
        assert_eq!(form.questions[0].level, [1, 2]);
        assert_eq!(form.listed("1.2"), Some(Listed { question: 2, parent: Some(0), place: 1 }));
        let [_, choice, open] = &form.questions[..] else { panic!("three items") };
        assert_eq!(
            (choice.asks, choice.required, choice.options.as_deref()),
            (Asks::Choice, true, Some("http://example.org/f#s"))
        );
        assert!(library.value_set("http://example.org/f#s").is_some());
        assert_eq!((&*open.offered[0].ending, open.asks.admits("String")), ("Coding", true));
        assert_eq!(open.conditions[0].wanted, Wanted::Answered(true));
        assert!(matches!(&open.conditions[1].wanted, Wanted::Answer(answer) if &*answer.ending == "Coding"));
    }

    #[test]
    fn a_reference_by_id_finds_the_only_one_that_has_it() {
        let mut shelf = Shelf::new();
        shelf.add_file("f.json", FORM.as_bytes());
        shelf.add_file("g.json", br#"{"resourceType":"Questionnaire","id":"g","status":"active"}"#);
        let library = shelf.library();
        for reference in ["Questionnaire/f", "http://example.org/f", "Questionnaire/g"] {
            assert!(library.questionnaire(reference).is_some(), "{reference}");
        }
        assert!(library.questionnaire("Questionnaire/h").is_none());
        let mut shelf = Shelf::new();
        shelf.add_file("f.json", FORM.as_bytes());
        shelf.add_file("h.json", FORM.replace("example.org/f", "example.org/h").as_bytes());
        assert!(shelf.library().questionnaire("Questionnaire/f").is_none(), "two have this id");
    }
}
