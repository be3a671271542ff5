//! What references lead to: types and profiles of the resource, and how it is carried.
//! Spec: <https://hl7.org/fhir/STU3/elementdefinition-definitions.html#ElementDefinition.type.targetProfile>.

use super::{AGGREGATION, DEEPEST, Found, Judge, TARGET, called, element::Occurrence, find, is_a, is_type};
use crate::{
    fhir::{NodeId, path::Resolution},
    stu3::profile::{ElementDefinition, Snapshot, Type},
    validate::{
        context::{Context, ResourceScope, Standing, items, restful},
        issue::{Asked, At},
        rules::reference,
    },
};
use std::{borrow::Cow, mem, sync::Arc};

impl<'v> Judge<'_, 'v, '_> {
    /// Where a reference may lead, where the profile names other targets than the release.
    pub(super) fn targets(&mut self, element: &ElementDefinition, base: Option<&ElementDefinition>, at: Occurrence) {
        if at.type_name != "Reference" {
            return;
        }
        let Some(text) = self.cx.string(at.node, "reference") else { return };
        let allowed: Vec<&Type> = element.types.iter().filter(|known| &*known.code == "Reference").collect();
        let lead = reference::lead(self.cx, &text);
        self.carried(&allowed, &text, &lead, at);
        if allowed.is_empty() || allowed.iter().any(|known| known.target.is_none()) {
            return;
        }
        let found = match &lead {
            Resolution::Found(node) => Occurrence::resource_at(self.cx, *node),
            Resolution::Type(_) | Resolution::Unknown => None,
        };
        let type_name: Cow<'_, str> = match (&found, lead) {
            (Some(found), _) => Cow::Borrowed(found.type_name),
            (None, Resolution::Type(name)) => Cow::Owned(name),
            _ => return,
        };
        let targets: Vec<&Arc<str>> = allowed.iter().filter_map(|known| known.target.as_ref()).collect();
        let (fitting, missing) = self.of_type_named(&type_name, &targets);
        if fitting.is_empty() && missing.is_none() {
            // what the release allows nowhere it has said itself
            let released = |known: &Type| {
                known.target.as_ref().is_none_or(|target| {
                    matches!(find(self.cx.library, target), Found::Usable(snapshot)
                        if is_a(self.cx, &type_name, &snapshot.type_name))
                })
            };
            let references = |base: &ElementDefinition| {
                let mut types = base.types.iter().filter(|known| &*known.code == "Reference");
                types.any(released)
            };
            if base.is_none_or(references) {
                let text = format!("this leads to a resource of the wrong type: the profile wants {}", list(&targets));
                self.at_reference(at, text);
            }
            return;
        }
        if fitting.iter().any(|snapshot| is_type(&snapshot.url)) {
            return;
        }
        let Some(found) = found else {
            let profile = fitting.first().map(|snapshot| &snapshot.url).or(missing.as_ref());
            return profile.into_iter().for_each(|profile| self.led_out(profile, at));
        };
        // what a resource claims is told there, once, and not again wherever something leads to it
        let mut claims = claims(self.cx, found.node);
        if claims.any(|claim| fitting.iter().any(|snapshot| *claim == *snapshot.url)) {
            return;
        }
        drop(claims);
        if fitting.iter().any(|snapshot| self.meets(found, snapshot)) {
            return;
        }
        match missing {
            Some(profile) => {
                let text = format!("{} of what this leads to is not loaded", called(&profile));
                self.not_checked(&TARGET, At::here(at.node), text);
            }
            None => {
                let text = format!(
                    "the resource that this leads to does not meet {}: correct that resource, or the reference",
                    list(&targets)
                );
                self.at_reference(at, text);
            }
        }
    }

    /// The type is that of the reference, and whether what it leads to meets a profile cannot be seen.
    fn led_out(&mut self, profile: &Arc<str>, at: Occurrence) {
        let asked = Asked::by(&TARGET, profile);
        self.out.profile_not_checked_once(self.cx, &asked, At::here(at.node), || {
            format!("whether what lies outside of the file meets {}", called(profile))
        });
    }

    fn at_reference(&mut self, at: Occurrence, text: String) {
        let place = self.cx.document.get(at.node, "reference").unwrap_or(at.node);
        self.add(&TARGET, At::below(place, ".reference"), text);
    }

    /// The profiles of this type among the targets, and one that is not loaded.
    fn of_type_named(&self, type_name: &str, targets: &[&Arc<str>]) -> (Vec<Arc<Snapshot>>, Option<Arc<str>>) {
        let (mut fitting, mut missing) = (Vec::new(), None);
        for target in targets {
            match find(self.cx.library, target) {
                Found::Usable(snapshot) if is_a(self.cx, type_name, &snapshot.type_name) => fitting.push(snapshot),
                Found::Usable(_) => {}
                Found::Broken | Found::Missing => missing = missing.or(Some((*target).clone())),
            }
        }
        (fitting, missing)
    }

    /// Contained, in the same Bundle, or elsewhere, where the profile asks for it.
    fn carried(&mut self, allowed: &[&Type], text: &str, lead: &Resolution, at: Occurrence) {
        if allowed.is_empty() || allowed.iter().any(|known| known.aggregation.is_empty()) {
            return;
        }
        let is_allowed = |mode: &str| allowed.iter().any(|known| known.aggregation.iter().any(|one| **one == *mode));
        let is_there = matches!(lead, Resolution::Found(_));
        let fits = if text.starts_with('#') {
            is_allowed("contained")
        } else {
            is_allowed("referenced") || (is_allowed("bundled") && (is_there || self.cx.bundle.is_none()))
        };
        if !fits {
            let mut modes: Vec<&str> =
                allowed.iter().flat_map(|known| known.aggregation.iter().map(|mode| &**mode)).collect();
            modes.sort_unstable();
            modes.dedup();
            let text = format!("the profile wants what this leads to to be {}: put it there", modes.join(" or "));
            self.add(&AGGREGATION, At::here(at.node), text);
        }
    }

    /// A resource meets a profile; each is tried once, and what is being tried counts as met.
    pub(super) fn meets(&mut self, at: Occurrence, snapshot: &Arc<Snapshot>) -> bool {
        let key = (at.node, snapshot.url.clone());
        if let Some(known) = self.cx.trials.get(&key) {
            return *known;
        }
        if self.depth > DEEPEST {
            return true;
        }
        self.cx.trials.insert(key.clone(), true);
        let is_met = self.elsewhere(at, |judge| judge.tried(snapshot, |judge| judge.root(at)));
        self.cx.trials.insert(key, is_met);
        is_met
    }

    /// Judges with another resource around the place where the walk stands.
    fn elsewhere<T>(&mut self, at: Occurrence, judge: impl FnOnce(&mut Judge<'_, 'v, '_>) -> T) -> T {
        let document = self.cx.document;
        let is_inside = document.span(self.cx.resource.outermost).contains(&document.start(at.node));
        let mut scope = if is_inside {
            let outer = self.cx.resource.outermost;
            let mut scope = ResourceScope::new(document, outer);
            if outer != at.node {
                scope.standing = Standing::Contained;
            }
            scope.node = at.node;
            scope
        } else {
            ResourceScope::new(document, at.node)
        };
        scope.type_name = at.type_name;
        let outer = mem::replace(&mut self.cx.resource, scope);
        let entry = document.parent(at.node);
        let base = entry
            .and_then(|entry| self.cx.string(entry, "fullUrl"))
            .and_then(|full_url| restful(&full_url).map(|(base, _, _)| base.to_owned()));
        let outer_base =
            self.cx.bundle.as_mut().filter(|_| !is_inside).map(|bundle| mem::replace(&mut bundle.base, base));
        let result = judge(self);
        if let (Some(bundle), Some(outer_base)) = (self.cx.bundle.as_mut(), outer_base) {
            bundle.base = outer_base;
        }
        self.cx.resource = outer;
        result
    }
}

/// The profiles that a resource claims.
fn claims<'d>(cx: &Context<'_, 'd>, resource: NodeId) -> impl Iterator<Item = Cow<'d, str>> + use<'d> {
    let document = cx.document;
    let meta = document.get(resource, "meta");
    meta.into_iter().flat_map(|meta| items(document, meta, "profile")).filter_map(|claim| document.string(claim))
}

fn list(targets: &[&Arc<str>]) -> String {
    let mut names: Vec<Cow<'_, str>> = targets
        .iter()
        .map(|target| match target.strip_prefix(crate::stu3::profile::RELEASE_URL) {
            Some(name) if is_type(target) => Cow::Borrowed(name),
            _ => called(target),
        })
        .collect();
    names.dedup();
    names.join(" or ")
}
