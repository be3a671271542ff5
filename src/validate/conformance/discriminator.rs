//! Which slice a value is of: what discriminators ask, and what a slice answers.
//! Spec: <https://hl7.org/fhir/STU3/profiling.html#discriminator>.
//!
//! A slice answers by what it fixes at the discriminator's path, or anywhere below: profiles name `code` and fix
//! `code.coding.code`.

use super::{
    Found, Judge,
    element::Occurrence,
    find, is_a,
    value::{Extent, is_like},
};
use crate::{
    fhir::path::Resolution,
    stu3::{
        Strength,
        profile::{Discriminator, DiscriminatorKind, Node},
        type_snapshot,
    },
    validate::rules::{
        binding::{self, Verdict},
        reference,
    },
};
use std::sync::Arc;

/// Elements below the end of a path that a slice may fix: real ones are two deep.
const DEEPEST: usize = 6;

/// Whether a value is of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
    /// The slice does not say, or nobody here can tell.
    Open,
}

impl Fit {
    const fn is(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }

    /// One of several: open where none fits and one is open.
    fn any(fits: impl Iterator<Item = Self>) -> Self {
        let mut all = Self::No;
        for fit in fits {
            match fit {
                Self::Yes => return Self::Yes,
                Self::Open => all = Self::Open,
                Self::No => {}
            }
        }
        all
    }
}

/// A discriminator, ready to be followed.
#[derive(Clone, Debug)]
pub(super) struct Way<'p> {
    kind: DiscriminatorKind,
    steps: Vec<Step<'p>>,
}

/// A part of a discriminator's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step<'p> {
    Member(&'p str),
    Extension(&'p str),
    Resolve,
    OfType(&'p str),
}

impl<'p> Way<'p> {
    /// `None` where the path has anything but names, `$this`, `resolve()`, `extension('url')`, `ofType(Type)`.
    pub(super) fn read(discriminator: &'p Discriminator) -> Option<Self> {
        let parts = split(&discriminator.path)?;
        let steps = parts.into_iter().filter(|part| *part != "$this").map(Step::read).collect::<Option<Vec<_>>>()?;
        Some(Self { kind: discriminator.kind, steps })
    }
}

/// At the points that stand in no parentheses.
fn split(path: &str) -> Option<Vec<&str>> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0_u32);
    for (at, character) in path.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            '.' if depth == 0 => {
                parts.push(&path[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&path[begin..]);
    Some(parts)
}

impl<'p> Step<'p> {
    fn read(part: &'p str) -> Option<Self> {
        if part == "resolve()" {
            return Some(Self::Resolve);
        }
        let argument = |name: &str| part.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')').map(str::trim);
        if let Some(url) = argument("extension") {
            let quoted = |quote: char| url.strip_prefix(quote)?.strip_suffix(quote);
            return quoted('\'').or_else(|| quoted('"')).map(Self::Extension);
        }
        if let Some(name) = argument("ofType").or_else(|| argument("as")) {
            return Some(Self::OfType(name));
        }
        let name = part.strip_suffix("[x]").unwrap_or(part);
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_name.then_some(Self::Member(name))
    }
}

impl Judge<'_, '_, '_> {
    /// A value is of a slice where all discriminators say so.
    pub(super) fn fits_all(&mut self, slice: &Node, ways: &[Way<'_>], at: Occurrence) -> Fit {
        let mut all = Fit::Yes;
        for way in ways {
            match self.fits(slice, way.kind, &way.steps, at) {
                Fit::Yes => {}
                Fit::No => return Fit::No,
                Fit::Open => all = Fit::Open,
            }
        }
        all
    }

    fn fits(&mut self, node: &Node, kind: DiscriminatorKind, steps: &[Step<'_>], at: Occurrence) -> Fit {
        let Some((step, rest)) = steps.split_first() else { return self.fits_here(node, kind, at) };
        match *step {
            Step::Member(name) => {
                if name == "url"
                    && let Some(fit) = self.fits_url(node, at)
                {
                    return fit;
                }
                let values = at.named(self.cx, name);
                self.fits_member(node, (name, None), kind, rest, &values)
            }
            Step::Extension(url) => {
                let mut values = at.named(self.cx, "extension");
                values.retain(|value| self.cx.string(value.node, "url").is_some_and(|known| known == url));
                self.fits_member(node, ("extension", Some(url)), kind, rest, &values)
            }
            Step::OfType(name) if is_a(self.cx, at.type_name, name) => self.fits(node, kind, rest, at),
            Step::OfType(_) => Fit::No,
            Step::Resolve => self.fits_target(node, kind, rest, at),
        }
    }

    /// By the URL of the profile that a slice of extensions names.
    fn fits_url(&self, node: &Node, at: Occurrence) -> Option<Fit> {
        let [of_type] = &node.element.types[..] else { return None };
        let profile = of_type.profile.as_ref().filter(|_| &*of_type.code == "Extension")?;
        let wanted = profile.split_once('|').map_or(&**profile, |(url, _)| url);
        Some(Fit::is(self.cx.string(at.node, "url").is_some_and(|url| *url == *wanted)))
    }

    /// By elements of one name; of extensions with one URL.
    fn fits_member(
        &mut self,
        node: &Node,
        (name, url): (&str, Option<&str>),
        kind: DiscriminatorKind,
        rest: &[Step<'_>],
        values: &[Occurrence],
    ) -> Fit {
        let children = self.children_of(node);
        let is_named = |child: &&Node| {
            child.name.starts_with(name) && (child.name.len() == name.len() || child.choice() == Some(name))
        };
        let named: Vec<&Node> = children.iter().filter(is_named).collect();
        let has_url = |child: &&&Node| match url {
            None => child.slice.is_none(),
            Some(url) => self.url_of(child).is_some_and(|known| *known == *url),
        };
        let Some(defined) = named.iter().find(has_url) else { return Fit::Open };
        if kind == DiscriminatorKind::Exists && rest.is_empty() {
            return match (defined.element.min, defined.element.max) {
                (_, Some(0)) => Fit::is(values.is_empty()),
                (1.., _) => Fit::is(!values.is_empty()),
                _ => Fit::Open,
            };
        }
        let fit = self.any_fits(defined, kind, rest, values);
        if fit != Fit::Open || url.is_some() {
            return fit;
        }
        // the element leaves open what its slices say
        let slices: Vec<&&Node> = named.iter().filter(|child| child.slice.is_some()).collect();
        let fits: Vec<Fit> = slices.iter().map(|slice| self.any_fits(slice, kind, rest, values)).collect();
        if fits.is_empty() { Fit::Open } else { Fit::any(fits.into_iter()) }
    }

    fn any_fits(&mut self, node: &Node, kind: DiscriminatorKind, rest: &[Step<'_>], values: &[Occurrence]) -> Fit {
        let fits: Vec<Fit> = values.iter().map(|value| self.fits(node, kind, rest, *value)).collect();
        Fit::any(fits.into_iter())
    }

    /// By what a reference leads to.
    fn fits_target(&mut self, node: &Node, kind: DiscriminatorKind, rest: &[Step<'_>], at: Occurrence) -> Fit {
        let Some(text) = self.cx.string(at.node, "reference") else { return Fit::Open };
        let lead = reference::lead(self.cx, &text);
        let targets: Vec<Arc<str>> = node.element.types.iter().filter_map(|known| known.target.clone()).collect();
        if targets.is_empty() {
            return Fit::Open;
        }
        let found = match &lead {
            Resolution::Found(found) => Occurrence::resource_at(self.cx, *found),
            Resolution::Type(_) | Resolution::Unknown => None,
        };
        let type_name = match (&lead, &found) {
            (_, Some(found)) => found.type_name,
            (Resolution::Type(name), None) => name,
            _ => return Fit::Open,
        };
        let mut fits = Vec::new();
        for target in &targets {
            let Found::Usable(snapshot) = find(self.cx.library, target) else {
                fits.push(Fit::Open);
                continue;
            };
            let is_of_type = is_a(self.cx, type_name, &snapshot.type_name);
            fits.push(match (kind, &found) {
                (DiscriminatorKind::Type, _) if rest.is_empty() => Fit::is(is_of_type),
                _ if !is_of_type => Fit::No,
                (DiscriminatorKind::Profile, Some(found)) if rest.is_empty() => Fit::is(self.meets(*found, &snapshot)),
                (_, Some(found)) => self.fits(&snapshot.root, kind, rest, *found),
                (_, None) => Fit::Open,
            });
        }
        Fit::any(fits.into_iter())
    }

    /// At the end of a path.
    fn fits_here(&mut self, node: &Node, kind: DiscriminatorKind, at: Occurrence) -> Fit {
        let types = &node.element.types;
        match kind {
            DiscriminatorKind::Exists => Fit::Yes,
            DiscriminatorKind::Value | DiscriminatorKind::Pattern => self.fits_value(node, at, 0),
            DiscriminatorKind::Type if types.is_empty() => Fit::Open,
            DiscriminatorKind::Type => Fit::is(types.iter().any(|known| is_a(self.cx, at.type_name, &known.code))),
            DiscriminatorKind::Profile => {
                let profiles: Vec<Arc<str>> = types.iter().filter_map(|known| known.profile.clone()).collect();
                let mut fits = Vec::new();
                for profile in &profiles {
                    fits.push(match find(self.cx.library, profile) {
                        Found::Usable(snapshot) if !is_a(self.cx, at.type_name, &snapshot.type_name) => Fit::No,
                        Found::Usable(snapshot) => Fit::is(self.tried(&snapshot, |judge| judge.root(at))),
                        Found::Broken | Found::Missing => Fit::Open,
                    });
                }
                if fits.is_empty() { Fit::Open } else { Fit::any(fits.into_iter()) }
            }
        }
    }

    /// By a fixed value, a pattern, a required binding, or any of these below.
    fn fits_value(&mut self, node: &Node, at: Occurrence, depth: usize) -> Fit {
        let (document, element) = (self.cx.document, &node.element);
        if let Some(fixed) = &element.fixed {
            return Fit::is(is_like(document, at, fixed, Extent::Whole));
        }
        if let Some(pattern) = &element.pattern {
            return Fit::is(is_like(document, at, pattern, Extent::AtLeast));
        }
        let mut all = Fit::Open;
        if depth < DEEPEST {
            let children = self.stated_children(node);
            let is_asked = |child: &&Node| child.slice.is_none() || child.element.min > 0;
            let mut within = None;
            for child in children.iter().filter(is_asked).filter(|child| fixes(child, depth)) {
                let name = child.choice().filter(|_| child.name.ends_with("[x]")).unwrap_or(&child.name);
                let within = within.get_or_insert_with(|| at.within(self.cx));
                let is_meant = |value: &&Occurrence| value.name() == name || child.choice() == Some(value.name());
                let values = within.iter().filter(is_meant);
                let fits: Vec<Fit> = values.map(|value| self.fits_value(child, *value, depth + 1)).collect();
                match Fit::any(fits.into_iter()) {
                    Fit::No => return Fit::No,
                    Fit::Yes => all = Fit::Yes,
                    Fit::Open => {}
                }
            }
        }
        let bound = element.binding.as_ref().filter(|bound| bound.strength == Strength::Required);
        match (bound.and_then(|bound| bound.value_set.as_ref()), at.value) {
            (Some(set), Some(value)) if all == Fit::Open => {
                match binding::judge(self.cx, Strength::Required, set, at.type_name, value) {
                    Verdict::Sound => Fit::Yes,
                    Verdict::Outside => Fit::No,
                    Verdict::Unknown(_) => Fit::Open,
                }
            }
            _ => all,
        }
    }

    /// The elements in a node: its own, those of its profile, those of its type.
    fn children_of(&self, node: &Node) -> Arc<Vec<Node>> {
        let stated = self.stated_children(node);
        let code = node.element.types.first().map(|known| &known.code);
        match code {
            Some(code) if stated.is_empty() => {
                type_snapshot(code).map_or(stated, |snapshot| snapshot.root.children.clone())
            }
            _ => stated,
        }
    }

    /// The elements in a node that a profile says something of.
    fn stated_children(&self, node: &Node) -> Arc<Vec<Node>> {
        if !node.children.is_empty() {
            return node.children.clone();
        }
        let profile = match &node.element.types[..] {
            [known] => known.profile.as_ref(),
            _ => None,
        };
        match profile.map(|profile| find(self.cx.library, profile)) {
            Some(Found::Usable(snapshot)) => snapshot.root.children.clone(),
            _ => node.children.clone(),
        }
    }

    /// The URL that a slice of extensions has.
    fn url_of(&self, node: &Node) -> Option<Arc<str>> {
        let profile = node.element.types.first().and_then(|known| known.profile.clone());
        profile.or_else(|| {
            let url = node.members().find(|child| &*child.name == "url")?;
            url.element.fixed.as_ref()?.value.as_str().map(Into::into)
        })
    }
}

/// A value is fixed at a node, or in it.
fn fixes(node: &Node, depth: usize) -> bool {
    let element = &node.element;
    element.fixed.is_some()
        || element.pattern.is_some()
        || (depth < DEEPEST && node.children.iter().any(|child| fixes(child, depth + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<&[Step<'_>]>) {
        let discriminator = Discriminator { kind: DiscriminatorKind::Value, path: path.into() };
        let way = Way::read(&discriminator);
        assert_eq!(way.as_ref().map(|way| &way.steps[..]), expected, "{path}");
    }

    #[test]
    fn paths_are_names_and_a_few_functions() {
        let member = Step::Member;
        check("$this", Some(&[]));
        check("code.coding.code", Some(&[member("code"), member("coding"), member("code")]));
        check("$this.resolve()", Some(&[Step::Resolve]));
        let url = "http://example.org/a.b";
        check(
            &format!("extension('{url}').value.ofType(Quantity)"),
            Some(&[Step::Extension(url), member("value"), Step::OfType("Quantity")]),
        );
        for unusable in ["a..b", "@type", "where(a = 'b')", "a)", ""] {
            check(unusable, None);
        }
    }
}
