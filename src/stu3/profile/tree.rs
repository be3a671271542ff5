//! The elements of a profile as a tree. Parts that profiles have in common are shared: a profile that derives from
//! another keeps only what it changes.

use super::ElementDefinition;
use std::sync::Arc;

/// A profile with everything that it inherits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Canonical URL of the profile; of a type of the release, that of the type.
    pub url: Arc<str>,
    /// The type that it constrains.
    pub type_name: Arc<str>,
    /// The element that stands for the whole.
    pub root: Node,
}

/// An element, or a slice of one, and the elements in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The last part of its path: `component`, `value[x]`; `valueQuantity` where one type of a choice is left.
    pub name: Arc<str>,
    /// The slice's name; a slice of a slice is `a/b`. Slices follow the element that they are slices of.
    pub slice: Option<Arc<str>>,
    /// Its definition.
    pub element: Arc<ElementDefinition>,
    /// What is in it, in the order of the release; empty where its type says it all.
    pub children: Arc<Vec<Self>>,
}

impl Node {
    pub(super) fn new(name: &str, element: ElementDefinition, children: Vec<Self>) -> Self {
        Self { name: name.into(), slice: None, element: Arc::new(element), children: Arc::new(children) }
    }

    /// The choice that it is, without `[x]`: `value` for `value[x]`, and for `valueQuantity` that is left of it.
    pub fn choice(&self) -> Option<&str> {
        if let Some(stem) = self.name.strip_suffix("[x]") {
            return Some(stem);
        }
        let first = self.element.types.first()?;
        self.name.strip_suffix(&*capitalised(&first.code)).filter(|stem| !stem.is_empty())
    }

    /// The elements in it that are not slices of others.
    pub fn members(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(|child| child.slice.is_none())
    }

    /// The slices of one of its members.
    pub fn slices<'n>(&'n self, member: &'n Self) -> impl Iterator<Item = &'n Self> {
        self.children.iter().filter(move |child| child.slice.is_some() && child.name == member.name)
    }

    /// How many elements there are with it and below, as far as a limit; beyond it where they lie too deep.
    pub(super) fn size(&self, limit: usize, depth: usize) -> usize {
        let mut total = 1;
        for child in self.children.iter() {
            if total > limit || depth == 0 {
                return limit + 1;
            }
            total += child.size(limit - total, depth - 1);
        }
        total
    }
}

/// An element of a snapshot with its place.
#[derive(Clone, Debug)]
pub struct Placed<'s> {
    /// `Observation.component.code`
    pub path: String,
    /// `Observation.component:systolic.code`
    pub id: String,
    /// How many elements it lies in.
    pub depth: usize,
    /// It.
    pub node: &'s Node,
}

impl Snapshot {
    /// All elements in the order of a published snapshot.
    pub fn elements(&self) -> Vec<Placed<'_>> {
        let mut all = Vec::new();
        let root =
            Placed { path: self.root.name.to_string(), id: self.root.name.to_string(), depth: 0, node: &self.root };
        place(root, &mut all);
        all
    }
}

/// Never deeper than paths are, which have a limit.
fn place<'s>(placed: Placed<'s>, all: &mut Vec<Placed<'s>>) {
    let (node, depth) = (placed.node, placed.depth + 1);
    let (path, id) = (placed.path.clone(), placed.id.clone());
    all.push(placed);
    for child in node.children.iter() {
        let slice = child.slice.as_ref().map(|slice| format!(":{slice}")).unwrap_or_default();
        let (path, id) = (format!("{path}.{}", child.name), format!("{id}.{}{slice}", child.name));
        place(Placed { path, id, depth, node: child }, all);
    }
}

/// A type's name as the name of an element of a choice ends.
pub(super) fn capitalised(name: &str) -> String {
    let mut text = name.to_owned();
    if text.is_char_boundary(1) {
        text[..1].make_ascii_uppercase();
    }
    text
}
