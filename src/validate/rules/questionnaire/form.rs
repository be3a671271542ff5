//! A Questionnaire as its responses see it: its questions by linkId, level by level.

use crate::{
    fhir::{Document, Kind, NodeId},
    validate::context::{items, string},
};
use std::{borrow::Cow, collections::HashMap};

/// What kind of item it is. <https://hl7.org/fhir/STU3/valueset-item-type.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
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

/// One item.
#[derive(Debug)]
pub(super) struct Question<'d> {
    pub(super) node: NodeId,
    pub(super) asks: Asks,
    pub(super) required: bool,
    pub(super) repeats: bool,
    pub(super) max_length: Option<usize>,
    /// `options`, or none.
    pub(super) options: Option<Cow<'d, str>>,
    /// The items in it.
    pub(super) level: Level,
}

/// Items that stand beside each other.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// Places in [`Form::questions`], in order.
    pub(super) questions: Vec<usize>,
}

/// All items of a Questionnaire.
#[derive(Debug)]
pub(crate) struct Form<'d> {
    pub(super) questions: Vec<Question<'d>>,
    pub(super) top: Level,
    /// Place and parent's place (none at the top) of each linkId; of equal ones the first.
    pub(super) by_link_id: HashMap<Cow<'d, str>, Listed>,
}

/// Where a linkId stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    pub(super) question: usize,
    pub(super) parent: Option<usize>,
    /// Its place among its siblings.
    pub(super) place: usize,
}

/// Deeper items are not looked at; real questionnaires are a handful deep.
const DEEPEST: usize = 50;

impl<'d> Form<'d> {
    /// Reads a Questionnaire.
    pub(super) fn of(document: &'d Document<'d>, questionnaire: NodeId) -> Self {
        let mut form = Self { questions: Vec::new(), top: Level::default(), by_link_id: HashMap::new() };
        form.top = form.level(document, questionnaire, None, 0);
        form
    }

    fn level(&mut self, document: &'d Document<'d>, node: NodeId, parent: Option<usize>, depth: usize) -> Level {
        let mut level = Level::default();
        if depth > DEEPEST {
            return level;
        }
        for item in items(document, node, "item") {
            let question = self.questions.len();
            let flag = |name| document.get(item, name).is_some_and(|node| document.kind(node) == Kind::True);
            let number = |name| document.get(item, name).and_then(|node| document.text(node)?.parse().ok());
            let options = document.get(item, "options").and_then(|options| string(document, options, "reference"));
            self.questions.push(Question {
                node: item,
                asks: Asks::named(string(document, item, "type").as_deref().unwrap_or_default()),
                required: flag("required"),
                repeats: flag("repeats"),
                max_length: number("maxLength"),
                options,
                level: Level::default(),
            });
            if let Some(link_id) = string(document, item, "linkId") {
                let place = level.questions.len();
                self.by_link_id.entry(link_id).or_insert(Listed { question, parent, place });
            }
            level.questions.push(question);
            self.questions[question].level = self.level(document, item, Some(question), depth + 1);
        }
        level
    }
}

impl Asks {
    pub(super) fn named(code: &str) -> Self {
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
    pub(super) fn admits(self, ending: &str) -> bool {
        match self {
            Self::For(wanted) => wanted == ending,
            Self::Choice => CHOICES.contains(&ending),
            Self::OpenChoice => ending == "String" || CHOICES.contains(&ending),
            Self::Unknown => true,
            Self::Group | Self::Display => false,
        }
    }

    /// What an answer has to be, for people.
    pub(super) fn wanted(self) -> String {
        match self {
            Self::For(ending) => format!("value{ending}"),
            Self::Choice => "valueCoding, or a value of the kind that the options have".to_owned(),
            Self::OpenChoice => "valueCoding or valueString".to_owned(),
            Self::Group | Self::Display | Self::Unknown => "no answer".to_owned(),
        }
    }
}

/// What the options of a choice may be (`Questionnaire.item.option.value[x]`).
const CHOICES: [&str; 5] = ["Coding", "Integer", "Date", "Time", "String"];
