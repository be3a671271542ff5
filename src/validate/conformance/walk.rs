//! From element to element of a profile: how often each stands, and what each value is held to.

use super::{
    DEEPEST, Found, Judge, MAX, MIN, TYPE, TYPE_PROFILE, base_of, called, element::Occurrence, find, is_a, is_type,
};
use crate::{
    stu3::{
        profile::{ElementDefinition, Node, Type},
        type_snapshot,
    },
    validate::issue::At,
};
use std::{borrow::Cow, sync::Arc};

impl<'v> Judge<'_, 'v, '_> {
    /// The element that the profile is a profile of.
    pub(super) fn root(&mut self, at: Occurrence) {
        let base = type_snapshot(&self.snapshot.type_name);
        let snapshot = self.snapshot;
        self.value(&snapshot.root, base.as_ref().map(|base| &base.root), at);
    }

    /// A value, held to what its node says; the path has reached it.
    pub(super) fn value(&mut self, node: &Node, base: Option<&Node>, at: Occurrence) {
        if is_as_released(node, base) {
            return;
        }
        let is_element_released = base.is_some_and(|base| Arc::ptr_eq(&base.element, &node.element));
        if self.depth > DEEPEST {
            return self.not_checked(&TYPE_PROFILE, At::here(at.node), "profiles lie in each other too deep here");
        }
        self.depth += 1;
        let are_types_released =
            is_element_released || base.is_some_and(|base| base.element.types == node.element.types);
        if are_types_released || self.of_type(node, at) {
            if !is_element_released {
                self.element(&node.element, base.map(|base| &*base.element), are_types_released, at);
            }
            self.inside(node, base, at);
        }
        self.depth -= 1;
    }

    /// The value has one of the types that are left; `false` where it does not.
    fn of_type(&mut self, node: &Node, at: Occurrence) -> bool {
        let types = &node.element.types;
        if self.has_type(&node.element, at) {
            return true;
        }
        let mut names: Vec<&str> = types.iter().map(|known| &*known.code).collect();
        names.dedup();
        let text = format!("the profile wants the type {} here: use it", names.join(" or "));
        self.add(&TYPE, At::here(at.node), text);
        false
    }

    /// The value has one of the types of a definition; nested elements have no type that could be another.
    pub(super) fn has_type(&self, element: &ElementDefinition, at: Occurrence) -> bool {
        element.types.is_empty()
            || at.element.is_none()
            || at.type_name.contains('.')
            || element.types.iter().any(|known| is_a(self.cx, at.type_name, &known.code))
    }

    /// Everything that a definition says of a value but its elements.
    fn element(
        &mut self,
        element: &ElementDefinition,
        base: Option<&ElementDefinition>,
        are_types_released: bool,
        at: Occurrence,
    ) {
        self.literal(element, at);
        self.codes(element, base, at);
        self.constraints(element, at);
        if !are_types_released {
            self.targets(element, base, at);
            self.profiles_of_type(element, at);
        }
    }

    /// The profiles of its type: the value meets one of them.
    fn profiles_of_type(&mut self, element: &ElementDefinition, at: Occurrence) {
        // the content of extensions is judged by the walk over the resource itself, whoever asks for them
        if at.type_name == "Extension" && !self.is_trial {
            return;
        }
        let of_value = |known: &&Type| is_a(self.cx, at.type_name, &known.code);
        let mut profiles: Vec<&Arc<str>> = Vec::new();
        for known in element.types.iter().filter(of_value) {
            match &known.profile {
                None => return,
                Some(profile) if is_type(profile) => return,
                Some(profile) if profiles.contains(&profile) => {}
                Some(profile) => profiles.push(profile),
            }
        }
        match profiles[..] {
            [] => {}
            [profile] => match find(self.cx.library, profile) {
                Found::Usable(snapshot) => {
                    let (is_trial, depth) = (self.is_trial, self.depth);
                    let mut inner =
                        Judge { cx: &mut *self.cx, out: &mut *self.out, snapshot: &snapshot, is_trial, depth };
                    inner.root(at);
                }
                Found::Broken | Found::Missing => self.no_type_profile(profile, at),
            },
            _ => self.one_of(&profiles, at),
        }
    }

    fn no_type_profile(&mut self, profile: &str, at: Occurrence) {
        let text = format!("{} of this element's type is not loaded", called(profile));
        self.not_checked(&TYPE_PROFILE, At::here(at.node), text);
    }

    /// Several profiles are allowed, and one has to be met.
    fn one_of(&mut self, profiles: &[&Arc<str>], at: Occurrence) {
        let mut missing = None;
        for profile in profiles {
            match find(self.cx.library, profile) {
                Found::Usable(snapshot) if self.tried(&snapshot, |judge| judge.root(at)) => return,
                Found::Usable(_) => {}
                Found::Broken | Found::Missing => missing = missing.or(Some(*profile)),
            }
        }
        match missing {
            Some(profile) => self.no_type_profile(profile, at),
            None => {
                let names: Vec<Cow<'_, str>> = profiles.iter().map(|profile| called(profile)).collect();
                let text = format!("this meets none of {}: correct it by one of them", names.join(", "));
                self.add(&TYPE_PROFILE, At::here(at.node), text);
            }
        }
    }

    /// The elements in a value, where the profile says something of them.
    fn inside(&mut self, node: &Node, base: Option<&Node>, at: Occurrence) {
        if !node.children.is_empty() {
            // where a type was unfolded the release's elements are those of the type
            let unfolded =
                base.is_none_or(|base| base.children.is_empty()).then(|| type_snapshot(at.type_name)).flatten();
            let base = unfolded.as_ref().map_or(base, |snapshot| Some(&snapshot.root));
            return self.members(node, base, at);
        }
        // elements that are defined at another element of the profile
        let Some(path) = &node.element.content_reference else { return };
        let snapshot = self.snapshot;
        let mut parts = path.split('.').skip(1);
        let defined = parts.try_fold(&snapshot.root, |node, name| node.members().find(|child| &*child.name == name));
        let types = type_snapshot(&snapshot.type_name);
        let mut parts = path.split('.').skip(1);
        let released = types.as_ref().and_then(|types| {
            parts.try_fold(&types.root, |node, name| node.members().find(|child| &*child.name == name))
        });
        if let Some(defined) = defined {
            self.inside(defined, released, at);
        }
    }

    fn members(&mut self, node: &Node, base: Option<&Node>, at: Occurrence) {
        let mut found = None;
        let mut rest = &node.children[..];
        let mut place = 0;
        // slices stand behind their element
        while let [member, behind @ ..] = rest {
            let count = behind.iter().take_while(|child| child.slice.is_some() && child.name == member.name).count();
            let slices = &behind[..count];
            rest = &behind[count..];
            let released = base_of(base, member, place);
            place += 1;
            if slices.is_empty() && is_as_released(member, released) {
                continue;
            }
            let stem = match released {
                Some(released) => released.name.strip_suffix("[x]").unwrap_or(&released.name),
                None => &member.name,
            };
            let found = found.get_or_insert_with(|| at.within(self.cx));
            let those: Vec<Occurrence> = found.iter().filter(|known| known.name() == stem).copied().collect();
            self.count(member, released, &those, at);
            for one in &those {
                self.cx.path.push(one.name(), one.index);
                self.value(member, released, *one);
                self.cx.path.pop();
            }
            if !slices.is_empty() {
                self.slices(member, released, slices, &those, at);
            }
        }
    }

    /// How often an element stands; what the release itself asks for has been judged.
    fn count(&mut self, member: &Node, released: Option<&Node>, those: &[Occurrence], owner: Occurrence) {
        let (least, most) = (member.element.min, member.element.max);
        let count = u32::try_from(those.len()).unwrap_or(u32::MAX);
        let name = &member.name;
        if count < least && released.is_none_or(|released| released.element.min < least) {
            self.too_few(&format!("\"{name}\""), least, count, owner);
        }
        if let Some(most) = most.filter(|most| *most < count)
            && released.is_none_or(|released| released.element.max.is_none_or(|known| known > most))
        {
            self.too_many(&format!("\"{name}\""), most, those);
        }
    }

    pub(super) fn too_few(&mut self, what: &str, least: u32, count: u32, owner: Occurrence) {
        let text = match (least, count) {
            (1, _) => format!("the profile needs {what} here: add it"),
            (_, 0) => format!("the profile needs {what} {least} times here, and there is none: add them"),
            _ => format!("the profile needs {what} {least} times here, and there are {count}: add what is missing"),
        };
        self.add(&MIN, At::here(owner.node), text);
    }

    /// Told at the first that is too many.
    pub(super) fn too_many(&mut self, what: &str, most: u32, those: &[Occurrence]) {
        let Some(first) = those.get(most as usize) else { return };
        let text = match most {
            0 => format!("the profile does not allow {what} here: remove it"),
            1 => format!("the profile allows {what} once here, and there are {}: keep one", those.len()),
            _ => {
                format!("the profile allows {what} {most} times here, and there are {}: remove the others", those.len())
            }
        };
        self.cx.path.push(first.name(), first.index);
        self.add(&MAX, At::here(first.node), text);
        self.cx.path.pop();
    }
}

/// Nothing is said of a node that the release does not say; what another element defines may say more there.
fn is_as_released(node: &Node, base: Option<&Node>) -> bool {
    let is_defined_elsewhere = node.children.is_empty() && node.element.content_reference.is_some();
    base.is_some_and(|base| Arc::ptr_eq(&base.element, &node.element) && Arc::ptr_eq(&base.children, &node.children))
        && !is_defined_elsewhere
}
