//! The answers that a choice offers: `option`, or the value set of `options`.

use super::form::{Asks, Question};
use crate::{
    fhir::{Document, Kind, NodeId, path::Resolution},
    validate::{
        context::{Context, items, string},
        rules::{binding, reference},
    },
};

/// Whether the question offers this answer; `None` where its value set is not known here.
pub(super) fn admits(cx: &Context<'_, '_>, question: &Question<'_>, value: NodeId, ending: &str) -> Option<bool> {
    let document = cx.document;
    // Text of one's own is what an open choice is for.
    if !matches!(question.asks, Asks::Choice | Asks::OpenChoice)
        || ending == "String" && question.asks == Asks::OpenChoice
    {
        return Some(true);
    }
    let mut listed = items(document, question.node, "option").peekable();
    if listed.peek().is_some() {
        let name = format!("value{ending}");
        return Some(
            listed.any(|option| document.get(option, &name).is_some_and(|offered| same(document, value, offered))),
        );
    }
    let Some(options) = &question.options else { return Some(true) };
    if ending != "Coding" {
        return Some(false);
    }
    let (system, code) = (string(document, value, "system"), string(document, value, "code")?);
    match reference::lead(cx, options) {
        Resolution::Found(set) => in_value_set(document, set, system.as_deref(), &code),
        _ => binding::has(cx, options, system.as_deref(), &code),
    }
}

/// Whether two values are one: of Codings system and code, of texts and numbers what is written.
pub(super) fn same(document: &Document<'_>, one: NodeId, other: NodeId) -> bool {
    if document.kind(one) != Kind::Object {
        return document.kind(one) == document.kind(other) && document.text(one) == document.text(other);
    }
    ["system", "code", "value", "reference"].iter().all(|name| {
        let text = |of| document.get(of, name).and_then(|node| document.text(node));
        text(one) == text(other)
    })
}

/// Membership of a value set in the file, where its expansion or its listed concepts decide it.
fn in_value_set(document: &Document<'_>, set: NodeId, system: Option<&str>, code: &str) -> Option<bool> {
    let is_it = |concept, of: Option<&str>| {
        string(document, concept, "code").as_deref() == Some(code) && (system.is_none() || of == system)
    };
    if let Some(expansion) = document.get(set, "expansion") {
        let mut waiting: Vec<NodeId> = items(document, expansion, "contains").collect();
        while let Some(concept) = waiting.pop() {
            waiting.extend(items(document, concept, "contains"));
            if is_it(concept, string(document, concept, "system").as_deref()) {
                return Some(true);
            }
        }
        return Some(false);
    }
    let compose = document.get(set, "compose")?;
    if items(document, compose, "exclude").next().is_some() {
        return None;
    }
    let mut is_whole = true;
    for include in items(document, compose, "include") {
        let of = string(document, include, "system");
        let mut concepts = items(document, include, "concept").peekable();
        // A whole system, a filter, or other value sets: not decided by what is written here.
        is_whole &= concepts.peek().is_some() || of.is_some() && of.as_deref() != system;
        if concepts.any(|concept| is_it(concept, of.as_deref())) {
            return Some(true);
        }
    }
    is_whole.then_some(false)
}
