//! Resources are held to profiles: those that they claim in `meta.profile`, and those that are required of them.
//! Spec: <https://hl7.org/fhir/STU3/profiling.html>.
//!
//! A second walk goes over a resource with the tree of the profile's snapshot. What the release itself says is not judged
//! again: parts of the snapshot that are those of the release are passed over. `walk.rs` goes from element to element,
//! `slicing.rs` and `discriminator.rs` sort what repeats into slices; the other files each judge one thing that a profile
//! may ask for. Where something cannot be told, it is said that it was not checked.

mod binding;
mod constraint;
mod discriminator;
mod element;
#[cfg(test)]
mod element_test;
mod extension;
mod required;
mod slicing;
#[cfg(test)]
mod slicing_test;
mod target;
#[cfg(test)]
mod target_test;
#[cfg(test)]
mod terminology_test;
mod value;
mod walk;

use super::{
    context::{Context, items},
    issue::{Asked, At, Findings, Rule},
    policy::Unloaded,
};
use crate::{
    fhir::{Kind, NodeId},
    stu3::{
        StructureId,
        package::Library,
        profile::{Node, RELEASE_URL, Snapshot},
        release,
    },
};
use element::Occurrence;
pub(super) use extension::check as extension;
use std::{borrow::Cow, sync::Arc};

const PAGE: &str = "https://hl7.org/fhir/STU3/profiling.html";
const SLICING: &str = "https://hl7.org/fhir/STU3/profiling.html#slicing";
const ELEMENT: &str = "https://hl7.org/fhir/STU3/elementdefinition.html";
const STRENGTH: &str = "https://hl7.org/fhir/STU3/terminologies.html#strength";

static CLAIMED: Rule =
    Rule::warning("profile", "not-supported", "https://hl7.org/fhir/STU3/resource.html#profile-tags");
static UNLOADED: Rule =
    Rule::error("profile-not-loaded", "not-supported", "https://hl7.org/fhir/STU3/resource.html#profile-tags");
static NOT_ALLOWED: Rule =
    Rule::error("profile-not-allowed", "business-rule", "https://hl7.org/fhir/STU3/profiling.html#mustsupport");
static OTHER_TYPE: Rule = Rule::error("profile-other-type", "structure", PAGE);
static MIN: Rule = Rule::error("profile-min", "required", ELEMENT);
static MAX: Rule = Rule::error("profile-max", "structure", ELEMENT);
static TYPE: Rule = Rule::error("profile-type", "structure", ELEMENT);
static TYPE_PROFILE: Rule = Rule::error("profile-type-profile", "structure", ELEMENT);
static FIXED: Rule = Rule::error("profile-fixed", "value", ELEMENT);
static PATTERN: Rule = Rule::error("profile-pattern", "value", ELEMENT);
static RANGE: Rule = Rule::error("profile-range", "value", ELEMENT);
static LENGTH: Rule = Rule::error("profile-length", "too-long", ELEMENT);
static BINDING: Rule = Rule::error("profile-binding", "code-invalid", STRENGTH);
static EXTENSIBLE: Rule = Rule::warning("profile-binding-extensible", "code-invalid", STRENGTH);
static TARGET: Rule = Rule::error("profile-target", "structure", ELEMENT);
static AGGREGATION: Rule = Rule::error("profile-aggregation", "structure", ELEMENT);
static SLICE: Rule = Rule::error("profile-slice", "structure", SLICING);
static CLOSED: Rule = Rule::error("profile-slice-closed", "structure", SLICING);
static ORDER: Rule = Rule::error("profile-slice-order", "structure", SLICING);
static CONSTRAINT: Rule =
    Rule::error("profile-constraint", "invariant", "https://hl7.org/fhir/STU3/conformance-rules.html#constraints");

/// The keys of this family; constraints of profiles go by their own keys.
pub(super) static RULES: &[&Rule] = &[
    &CLAIMED,
    &UNLOADED,
    &NOT_ALLOWED,
    &OTHER_TYPE,
    &MIN,
    &MAX,
    &TYPE,
    &TYPE_PROFILE,
    &FIXED,
    &PATTERN,
    &RANGE,
    &LENGTH,
    &BINDING,
    &EXTENSIBLE,
    &TARGET,
    &AGGREGATION,
    &SLICE,
    &CLOSED,
    &ORDER,
    &CONSTRAINT,
];

/// Types in each other, profiles of what references lead to and so on: deeper is not followed.
const DEEPEST: usize = 64;

/// Alternatives that are tried in a file.
const MOST_TRIES: u32 = 100_000;

/// A profile and where its findings go.
struct Judge<'j, 'v, 'd> {
    cx: &'j mut Context<'v, 'd>,
    out: &'j mut Findings<'v>,
    /// The profile: its URL, and where elements stand that others refer to.
    snapshot: &'j Snapshot,
    /// Only whether it is met is asked; what the first walk says of extensions is asked too then.
    is_trial: bool,
    depth: usize,
}

impl<'v> Judge<'_, 'v, '_> {
    fn add(&mut self, rule: &'static Rule, at: At<'_>, text: impl Into<String>) {
        let asked = Asked::by(rule, &self.snapshot.url);
        self.out.add_of_profile(self.cx, &asked, at, text.into());
    }

    fn not_checked(&mut self, rule: &'static Rule, at: At<'_>, text: impl Into<String>) {
        let asked = Asked::by(rule, &self.snapshot.url);
        self.out.profile_not_checked(self.cx, &asked, at, text.into());
    }

    /// Judges something and keeps nothing of it but whether it found an error. Profiles that allow one of several in one of
    /// several end: beyond any real number of tries nothing is tried any more, and that is said.
    fn tried(&mut self, snapshot: &Snapshot, judge: impl FnOnce(&mut Judge<'_, 'v, '_>)) -> bool {
        if self.cx.tries == MOST_TRIES {
            return true;
        }
        self.cx.tries += 1;
        let mut out = Findings::new(self.cx.policy);
        let mut inner = Judge { cx: &mut *self.cx, out: &mut out, snapshot, is_trial: true, depth: self.depth + 1 };
        judge(&mut inner);
        out.errors() == 0
    }
}

/// The profiles that a resource claims, and those that a policy asks of it; the path has reached it.
pub(super) fn check<'v>(cx: &mut Context<'v, '_>, id: StructureId, node: NodeId, out: &mut Findings<'v>) {
    required::check(cx, id, node, out);
    let document = cx.document;
    let Some(meta) = document.get(node, "meta").filter(|meta| document.kind(*meta) == Kind::Object) else { return };
    for (number, claim) in (0_u32..).zip(items(document, meta, "profile")) {
        if let Some(url) = document.string(claim) {
            held(cx, id, node, &url, At::below(claim, format!(".meta.profile[{number}]")), out);
        }
    }
}

/// Holds a resource to a profile; what is to be said of the profile itself is said where it is named.
fn held<'v>(
    cx: &mut Context<'v, '_>,
    id: StructureId,
    node: NodeId,
    canonical: &str,
    named: At<'_>,
    out: &mut Findings<'v>,
) {
    let snapshot = match find(cx.library, canonical) {
        Found::Usable(snapshot) => snapshot,
        Found::Broken => {
            let text = format!("{} cannot be used: pushbridge profiles check says why", called(canonical));
            return unloaded(cx, named, text, out);
        }
        Found::Missing => return unloaded(cx, named, format!("{} is not loaded", called(canonical)), out),
    };
    let type_name = cx.release.structure(id).name;
    if !is_a(cx, type_name, &snapshot.type_name) {
        let text = format!(
            "a {type_name} cannot meet a profile of {}, which is claimed or asked for here: name another one",
            snapshot.type_name
        );
        let asked = Asked::by(&OTHER_TYPE, &snapshot.url);
        return out.add_of_profile(cx, &asked, named, text);
    }
    let at = Occurrence::resource(node, id, type_name);
    out.held_to(&snapshot.url);
    let mut judge = Judge { cx, out, snapshot: &snapshot, is_trial: false, depth: 0 };
    judge.root(at);
    if cx.tries == MOST_TRIES {
        let text = "there are more alternatives in the profiles than can be tried on a file: not all were";
        let asked = Asked::by(&TYPE_PROFILE, &snapshot.url);
        out.profile_not_checked(cx, &asked, At::here(node), text.to_owned());
    }
}

/// A profile that is claimed or asked for is not there.
fn unloaded(cx: &Context<'_, '_>, named: At<'_>, text: String, out: &mut Findings<'_>) {
    out.claims_unloaded();
    match cx.policy.unloaded {
        Unloaded::NotChecked => out.not_checked(cx, &CLAIMED, named, text),
        Unloaded::Refused => out.add(cx, &UNLOADED, named, format!("{text}: add it, or take the claim out")),
    }
}

/// What a canonical URL leads to.
enum Found {
    Usable(Arc<Snapshot>),
    /// It is loaded, and its snapshot cannot be made.
    Broken,
    Missing,
}

fn find(library: &Library, canonical: &str) -> Found {
    match library.snapshot(canonical) {
        Some(snapshot) => Found::Usable(snapshot),
        None if library.profile(canonical).is_some() => Found::Broken,
        None => Found::Missing,
    }
}

/// The profile in words; the last part of its URL where that is a name and nothing else.
fn called(canonical: &str) -> Cow<'static, str> {
    let named = canonical.rsplit('/').next().filter(|name| {
        !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'|' | b'_'))
    });
    named.map_or(Cow::Borrowed("a profile of this resource"), |name| Cow::Owned(format!("the profile {name}")))
}

/// A type of the release is another one or derives from it.
fn is_a(cx: &Context<'_, '_>, type_name: &str, wanted: &str) -> bool {
    type_name == wanted
        || match (cx.release.structure_named(type_name), cx.release.structure_named(wanted)) {
            (Some(id), Some(wanted)) => cx.release.is_a(id, wanted),
            _ => false,
        }
}

/// The profile is the release's own definition of a type: the first walk has judged by it.
fn is_type(url: &str) -> bool {
    let is_named = |name: &str| !name.contains('.') && release().structure_named(name).is_some();
    url.strip_prefix(RELEASE_URL).is_some_and(is_named)
}

/// The element of the release that a node of a profile is made from: the one at the same place, or one further on.
fn base_of<'b>(base: Option<&'b Node>, node: &Node, place: usize) -> Option<&'b Node> {
    let base = base?;
    // what a profile leaves as it is it shares with the release, names too
    let is_same = |same: &&Node| Arc::ptr_eq(&same.name, &node.name) || same.name == node.name;
    if let Some(same) = base.children.get(place).filter(is_same) {
        return Some(same);
    }
    let mut members = base.members();
    members.find(|member| {
        member.name == node.name || member.name.strip_suffix("[x]").is_some_and(|stem| node.choice() == Some(stem))
    })
}
