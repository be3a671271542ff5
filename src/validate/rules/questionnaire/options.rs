//! The answers that a choice offers: `option`, or the value set of `options`.

use super::Form;
use crate::{
    fhir::{Document, Kind, NodeId, path::Resolution},
    stu3::{
        package::{Asks, Question},
        profile::Value,
    },
    validate::{
        context::{Context, items, string},
        rules::{binding, reference},
    },
};

/// Whether the question offers this answer; `None` where its value set is not known here.
pub(super) fn admits(
    cx: &Context<'_, '_>,
    form: &Form,
    question: &Question,
    value: NodeId,
    ending: &str,
) -> Option<bool> {
    let document = cx.document;
    // Text of one's own is what an open choice is for.
    if !matches!(question.asks, Asks::Choice | Asks::OpenChoice)
        || ending == "String" && question.asks == Asks::OpenChoice
    {
        return Some(true);
    }
    if !question.offered.is_empty() {
        let mut offered = question.offered.iter().filter(|offered| *offered.ending == *ending);
        return Some(offered.any(|offered| is(document, value, &offered.value)));
    }
    let Some(options) = &question.options else { return Some(true) };
    if ending != "Coding" {
        return Some(false);
    }
    let (system, code) = (string(document, value, "system"), string(document, value, "code")?);
    let Some(node) = value_set(cx, form, options) else {
        return binding::has(cx, options, system.as_deref(), &code);
    };
    let set = cx.forms.value_set(document, node)?;
    let membership = cx.library.membership_in(&set, system.as_deref(), &code);
    binding::verdict(cx, membership, None, (system.as_deref(), &code)).decided()
}

/// The value set in the file that a question names: what its questionnaire contains comes first.
fn value_set(cx: &Context<'_, '_>, form: &Form, options: &str) -> Option<NodeId> {
    let named = |node: &NodeId| {
        options.strip_prefix('#').is_some_and(|id| cx.string(*node, "id").is_some_and(|known| known == id))
    };
    if let Some(node) = form.node
        && let Some(found) = items(cx.document, node, "contained").find(named)
    {
        return Some(found);
    }
    match reference::lead(cx, options) {
        Resolution::Found(node) => Some(node),
        Resolution::Type(_) | Resolution::Unknown => None,
    }
}

/// Whether a value is a stated one: of Codings system and code, of texts and numbers what is written.
pub(super) fn is(document: &Document<'_>, node: NodeId, stated: &Value) -> bool {
    let text = |node: NodeId| document.text(node);
    match (stated, document.kind(node)) {
        (Value::Object(_), Kind::Object) => ["system", "code", "value", "reference"].iter().all(|name| {
            let wanted = match stated.get(name) {
                Some(Value::String(text) | Value::Number(text)) => Some(&**text),
                _ => None,
            };
            document.get(node, name).and_then(text).as_deref() == wanted
        }),
        (Value::String(stated), Kind::String) | (Value::Number(stated), Kind::Number) => {
            text(node).is_some_and(|text| *text == **stated)
        }
        (Value::Boolean(stated), Kind::True) => *stated,
        (Value::Boolean(stated), Kind::False) => !stated,
        _ => false,
    }
}
