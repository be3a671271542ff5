//! Extensions that a loaded profile defines: what they hold, where they stand, and what must hold there.
//! Spec: <https://hl7.org/fhir/STU3/defining-extensions.html>.

use super::{Judge, element::Occurrence};
use crate::{
    fhir::{Content, NodeId, StructureId, path::Element, primitive::has_scheme},
    stu3::{
        Invariant,
        profile::{Node, StructureDefinition},
    },
    validate::{
        context::{Context, items},
        issue::{Asked, At, Findings},
        rules::{
            invariant,
            known_extension::{CONTEXT, INVARIANT, MODIFIER, PART},
        },
    },
};
use std::sync::Arc;

/// An extension; the path has reached it, and the element that holds it is the context's holder.
pub(in crate::validate) fn check<'v>(
    cx: &mut Context<'v, '_>,
    id: StructureId,
    node: NodeId,
    is_in_modifiers: bool,
    out: &mut Findings<'v>,
) {
    if cx.library.profiles().is_empty() {
        return;
    }
    let Some(url) = cx.string(node, "url") else { return };
    let Some((definition, snapshot)) = cx.library.extension(&url) else { return };
    if cx.release.extension(&url).is_some() {
        return;
    }
    if snapshot.root.element.is_modifier != is_in_modifiers {
        let text = if is_in_modifiers {
            "this extension changes no meaning: move it to extension"
        } else {
            "this extension changes the meaning of what it stands in: move it to modifierExtension"
        };
        out.add_of_profile(cx, &Asked::by(&MODIFIER, &definition.url), At::here(node), text.to_owned());
    }
    place(cx, definition, id, node, out);
    parts(cx, &snapshot.root, &definition.url, node, out);
    let mut at = Occurrence::resource(node, id, "Extension");
    at.content = Content::Structure(id);
    Judge { cx, out, snapshot, is_trial: false, depth: 0 }.root(at);
}

/// Parts that the definition does not know.
fn parts(cx: &Context<'_, '_>, root: &Node, profile: &Arc<str>, node: NodeId, out: &mut Findings<'_>) {
    let Some(member) = root.members().find(|member| &*member.name == "extension") else { return };
    let known: Vec<&str> = root.slices(member).filter_map(part_url).collect();
    if known.is_empty() {
        return;
    }
    for (index, part) in items(cx.document, node, "extension").enumerate() {
        let Some(url) = cx.string(part, "url") else { continue };
        if !has_scheme(&url) && !known.contains(&&*url) {
            let text = "the definition of the extension knows no part of this name: correct its url, or remove it";
            let at = At::below(part, format!(".extension[{index}]"));
            out.add_of_profile(cx, &Asked::by(&PART, profile), at, text.to_owned());
        }
    }
}

fn part_url(slice: &Node) -> Option<&str> {
    let url = slice.members().find(|member| &*member.name == "url")?;
    url.element.fixed.as_ref()?.value.as_str()
}

/// Where it stands.
fn place(
    cx: &Context<'_, '_>,
    definition: &StructureDefinition,
    id: StructureId,
    node: NodeId,
    out: &mut Findings<'_>,
) {
    let asked = Asked::by(&CONTEXT, &definition.url);
    let holder_node = holder(cx, node);
    let is_admitted = |context: &Arc<str>| match definition.context_kind.as_deref() {
        Some("extension") => {
            let url = holder_node.and_then(|holder| cx.string(holder, "url"));
            Some(url.is_some_and(|url| *url == **context))
        }
        _ => cx.release.is_context(context, cx.holder, |wanted| cx.resource.type_name == wanted),
    };
    let places: Vec<Option<bool>> = definition.contexts.iter().map(is_admitted).collect();
    if !places.is_empty() && !places.contains(&Some(true)) {
        if places.contains(&None) {
            let text = "where this extension may stand: its definition names an element that the release does not have";
            out.profile_not_checked(cx, &asked, At::here(node), text.to_owned());
        } else {
            let text = format!(
                "its definition lets this extension stand on {} only: move it there, or remove it",
                definition.contexts.join(", ")
            );
            out.add_of_profile(cx, &asked, At::here(node), text);
        }
    }
    let Some(focus) = holder_node else { return };
    for formula in &definition.context_invariants {
        let element = |node, holds| Element { node, content: Some(Content::Structure(holds)), is_twin: false };
        let asked = Asked::by(&INVARIANT, &definition.url);
        let expression = match formula.expression() {
            Ok(expression) => expression,
            Err(error) => {
                out.profile_not_checked(cx, &asked, At::here(node), error.to_string());
                continue;
            }
        };
        let variables = [(Invariant::VARIABLE, element(node, id))];
        match invariant::holds(cx, expression, element(focus, cx.holder.holds), &variables) {
            Ok(true) => {}
            Ok(false) => {
                let text = format!(
                    "this extension may stand only where this holds of the element around it: {}; \
                     correct the element, or remove the extension",
                    formula.text()
                );
                out.add_of_profile(cx, &asked, At::here(node), text);
            }
            Err(why) => out.profile_not_checked(cx, &asked, At::here(node), why),
        }
    }
}

/// The object that an extension stands in.
fn holder(cx: &Context<'_, '_>, node: NodeId) -> Option<NodeId> {
    let list = cx.document.parent(node)?;
    if cx.document.kind(list) == crate::fhir::Kind::Array { cx.document.parent(list) } else { Some(list) }
}
