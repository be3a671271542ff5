//! The whole of a profile from its differential and what it derives from.
//!
//! Changes are taken in the order of the file. Each names a path from the type on; the part that it has in common with
//! the path before it stays in the slices that the one before it stood in, the rest is looked up. Elements that a type,
//! another profile or another element defines are unfolded where a path walks into them, and nowhere else.
//! Spec: <https://hl7.org/fhir/STU3/profiling.html#snapshot>.

use super::{
    Change, Defect, ElementDefinition, Node, Problem, Snapshot, StructureDefinition, Type, merge,
    share::share,
    slices::Found,
    stated::{Chain, Stated},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Elements in each other; no path of the release has ten.
pub(super) const DEEPEST: usize = 48;
/// Elements with all slices; the largest real profile has a few thousand.
const LARGEST: usize = 200_000;

/// Where the profiles of types are found while a snapshot is made.
pub(in crate::stu3) trait Types {
    /// The snapshot of a profile; the defect says why there is none.
    fn profile(&mut self, url: &str) -> Result<Arc<Snapshot>, Defect>;
}

/// The snapshot of a profile; `None` where it cannot be made, with the problems that say why.
pub(in crate::stu3) fn build(
    definition: &StructureDefinition,
    base: &Snapshot,
    types: &mut dyn Types,
    problems: &mut Vec<Problem>,
) -> Option<Snapshot> {
    let mut builder = Builder {
        root: base.root.clone(),
        base,
        types,
        stated: Stated::of(&definition.changes),
        chain: Chain::default(),
        taken_away: HashMap::new(),
        at: Vec::new(),
        defects: Vec::new(),
    };
    let (mut usable, mut done, mut failed) = (true, BTreeSet::new(), None);
    let mut tell = |change: Option<&Change>, defect: Defect| {
        usable &= defect.is_warning();
        let element = change.map(|change| change.place().into());
        problems.push(Problem { file: definition.file.clone(), url: Some(definition.url.clone()), element, defect });
    };
    for change in &definition.changes {
        // what lies in an element that is not there is not there either, and that is said once
        let inside = |outer: &Arc<str>| change.path.strip_prefix(&**outer).is_some_and(|rest| rest.starts_with('.'));
        if failed.as_ref().is_some_and(inside) {
            continue;
        }
        failed = None;
        match builder.change(change) {
            Ok(id) => {
                if !done.insert(id) {
                    tell(Some(change), Defect::ElementTwice);
                }
            }
            Err(defect) => {
                failed = Some(change.path.clone());
                tell(Some(change), defect);
            }
        }
        builder.defects.drain(..).for_each(|defect| tell(Some(change), defect));
    }
    let mut root = builder.root;
    if root.size(LARGEST, DEEPEST * 2) > LARGEST {
        tell(None, Defect::TooLarge(LARGEST));
    }
    usable.then(|| {
        share(&mut root, &base.root);
        Snapshot { url: definition.url.clone(), type_name: definition.type_name.clone(), root }
    })
}

pub(super) struct Builder<'b> {
    pub(super) root: Node,
    /// What elements that are defined elsewhere in it are taken from.
    pub(super) base: &'b Snapshot,
    pub(super) types: &'b mut dyn Types,
    /// Of all changes.
    pub(super) stated: Stated,
    /// Of the change at hand.
    pub(super) chain: Chain,
    /// Elements that a change took away, by id, and how often they might stand before.
    pub(super) taken_away: HashMap<String, Option<u32>>,
    /// Where the change before stood: names, and places among children.
    at: Vec<(String, usize)>,
    /// Of the change at hand; none of them makes the element's place unknown.
    pub(super) defects: Vec<Defect>,
}

impl Builder<'_> {
    /// Makes one change, and gives the id of the element that it was made at.
    fn change(&mut self, change: &Change) -> Result<String, Defect> {
        let parts: Vec<&str> = change.path.split('.').collect();
        if parts.len() > DEEPEST {
            return Err(Defect::PathTooDeep(DEEPEST));
        }
        if parts[0] != &*self.root.name {
            let parent = format!("a profile of {}", self.root.name);
            return Err(Defect::NoElement { name: parts[0].to_owned(), parent });
        }
        let hints = hints(change, parts.len());
        self.chain.advance(change);
        let parents: Vec<String> = self.chain.0.iter().map(|(_, id)| id.clone()).collect();
        let before = std::mem::take(&mut self.at);
        let mut route = Vec::with_capacity(parts.len());
        if let Some((last, outer)) = parts[1..].split_last() {
            let mut common = true;
            for (place, part) in outer.iter().enumerate() {
                common &= before.get(place).is_some_and(|(name, _)| name == part);
                let known = if common { Some(before[place].1) } else { None };
                let next = self.step(&route, part, &parents[place], known, hints.get(place + 1).copied().flatten())?;
                common &= known == Some(next);
                route.push(next);
            }
            route.push(self.target(&route, last, &parents[outer.len()], change)?);
        }
        self.at = parts[1..].iter().map(ToString::to_string).zip(route.iter().copied()).collect();
        let id = self.id(&route);
        let extension = self.extension(change);
        let mut defects = std::mem::take(&mut self.defects);
        let element = Arc::make_mut(&mut self.node_mut(&route).element);
        if let Some(extension) = extension {
            merge::apply_extension(change, &extension, element);
        }
        let most = element.max;
        merge::apply(change, element, &mut defects);
        if element.max == Some(0) && most != Some(0) {
            self.taken_away.insert(id.clone(), most);
        }
        self.defects = defects;
        Ok(id)
    }

    /// What an extension says of itself, where a change says that an element is one.
    fn extension(&mut self, change: &Change) -> Option<Arc<ElementDefinition>> {
        let [Type { code, profile: Some(profile), .. }] = &change.types[..] else { return None };
        let snapshot = (**code == *"Extension").then(|| self.types.profile(profile).ok())??;
        Some(snapshot.root.element.clone())
    }

    pub(super) fn node(&self, route: &[usize]) -> &Node {
        route.iter().fold(&self.root, |node, place| &node.children[*place])
    }

    pub(super) fn node_mut(&mut self, route: &[usize]) -> &mut Node {
        route.iter().fold(&mut self.root, |node, place| &mut Arc::make_mut(&mut node.children)[*place])
    }

    pub(super) fn id(&self, route: &[usize]) -> String {
        let (mut node, mut id) = (&self.root, self.root.name.to_string());
        for place in route {
            node = &node.children[*place];
            id.push('.');
            id.push_str(&node.name);
            if let Some(slice) = &node.slice {
                id.push(':');
                id.push_str(slice);
            }
        }
        id
    }

    /// An element that a path leads through: the slice that the change before stood in, the one that the id names, or
    /// the element itself.
    fn step(
        &mut self,
        route: &[usize],
        name: &str,
        parent: &str,
        known: Option<usize>,
        hint: Option<&str>,
    ) -> Result<usize, Defect> {
        let named = |node: &Node, hint: &str| {
            node.children.iter().position(|child| {
                child.slice.as_deref() == Some(hint)
                    && (&*child.name == name || child.choice().is_some_and(|stem| name.starts_with(stem)))
            })
        };
        if let Some(place) = hint.and_then(|hint| named(self.node(route), hint)).or(known) {
            return Ok(place);
        }
        match self.find(route, name, parent)? {
            Found::Member(place) => Ok(place),
            Found::Choice(place, of_type) => self.choose(route, place, &of_type, name, parent, None),
        }
    }
}

/// The slices that an id names for the parts of its path, where it has as many parts.
fn hints(change: &Change, parts: usize) -> Vec<Option<&str>> {
    let id = change.id.as_deref().unwrap_or_default();
    let hints: Vec<_> = id.split('.').map(|part| part.split_once(':').map(|(_, slice)| slice)).collect();
    if hints.len() == parts { hints } else { Vec::new() }
}
