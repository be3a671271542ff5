//! What a policy asks of resources, whatever they claim: to meet each of some profiles, or one of those that are allowed.
//!
//! A profile says itself which resources it is about: those of its type. Of a file that is no such resource, and a Bundle,
//! the resources of its entries are meant.

use super::{
    super::context::Standing, At, Context, Findings, Found, Judge, NOT_ALLOWED, Occurrence, called, find, held, is_a,
    items,
};
use crate::{
    fhir::NodeId,
    stu3::{StructureId, profile::Snapshot},
};
use std::{borrow::Cow, sync::Arc};

/// What is asked of the resource that the path has reached.
pub(super) fn check<'v>(cx: &mut Context<'v, '_>, id: StructureId, node: NodeId, out: &mut Findings<'v>) {
    let policy = cx.policy;
    for url in &policy.require {
        if concerns(cx, id, node, url) {
            held(cx, id, node, url, At::here(node), out);
        }
    }
    if policy.allow.is_empty() {
        return;
    }
    let allowed: Vec<(&str, Arc<Snapshot>)> = policy
        .allow
        .iter()
        .filter(|url| concerns(cx, id, node, url))
        .filter_map(|url| match find(cx.library, url) {
            Found::Usable(snapshot) if is_a(cx, cx.release.structure(id).name, &snapshot.type_name) => {
                Some((url.as_str(), snapshot))
            }
            _ => None,
        })
        .collect();
    match &allowed[..] {
        [] => {}
        [(url, _)] => held(cx, id, node, url, At::here(node), out),
        _ if claims_one(cx, node, &allowed) => {} // and is held to it as to every claim
        _ => one_of(cx, id, node, &allowed, out),
    }
}

/// A profile is about the file's own resource, or else about those of its type that stand by themselves in a Bundle. What
/// else there is to say of one that is not there, or is about another type, is said of the file's own resource.
fn concerns(cx: &Context<'_, '_>, id: StructureId, node: NodeId, url: &str) -> bool {
    let root = cx.document.root();
    let is_bundle = cx.string(root, "resourceType").is_some_and(|name| name == "Bundle");
    let Found::Usable(snapshot) = find(cx.library, url) else { return node == root };
    let is_about_file = !is_bundle || is_a(cx, "Bundle", &snapshot.type_name);
    if node == root || is_about_file {
        return node == root && is_about_file;
    }
    let is_entry = cx.resource.standing == Standing::Independent && cx.resource.outermost == node;
    is_entry && is_a(cx, cx.release.structure(id).name, &snapshot.type_name)
}

fn claims_one(cx: &Context<'_, '_>, node: NodeId, allowed: &[(&str, Arc<Snapshot>)]) -> bool {
    let document = cx.document;
    let claims = document.get(node, "meta").into_iter().flat_map(|meta| items(document, meta, "profile"));
    claims.filter_map(|claim| document.string(claim)).any(|claim| match find(cx.library, &claim) {
        Found::Usable(claimed) => allowed.iter().any(|(_, snapshot)| Arc::ptr_eq(snapshot, &claimed)),
        Found::Broken | Found::Missing => false,
    })
}

fn one_of<'v>(
    cx: &mut Context<'v, '_>,
    id: StructureId,
    node: NodeId,
    allowed: &[(&str, Arc<Snapshot>)],
    out: &mut Findings<'v>,
) {
    let at = Occurrence::resource(node, id, cx.release.structure(id).name);
    for (_, snapshot) in allowed {
        let mut judge = Judge { cx: &mut *cx, out: &mut *out, snapshot, is_trial: false, depth: 0 };
        if judge.tried(snapshot, |judge| judge.root(at)) {
            return out.held_to(&snapshot.url);
        }
    }
    let names: Vec<Cow<'_, str>> = allowed.iter().map(|(url, _)| called(url)).collect();
    let text = format!(
        "this meets none of those that are allowed here ({}), and claims none of them: claim the one that is meant, and what \
         is missing is listed",
        names.join(", ")
    );
    out.add(cx, &NOT_ALLOWED, At::here(node), text);
}
