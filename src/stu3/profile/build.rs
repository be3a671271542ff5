//! The whole of a profile from its differential and what it derives from.
//!
//! Changes are taken in the order of the file. Each names a path from the type on; the part that it has in common with
//! the path before it stays in the slices that the one before it stood in, the rest is looked up. Elements that a type,
//! another profile or another element defines are unfolded where a path walks into them, and nowhere else.
//! Spec: <https://hl7.org/fhir/STU3/profiling.html#snapshot>.

use super::{
    Change, Defect, DiscriminatorKind, Node, Problem, Slicing, Snapshot, StructureDefinition, Type,
    base::{chosen, of_type},
    merge,
    tree::capitalised,
};
use crate::stu3::release;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// Elements in each other; no path of the release has ten.
const DEEPEST: usize = 48;
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
    let root = builder.root;
    if root.size(LARGEST, DEEPEST * 2) > LARGEST {
        tell(None, Defect::TooLarge(LARGEST));
    }
    usable.then(|| Snapshot { url: definition.url.clone(), type_name: definition.type_name.clone(), root })
}

struct Builder<'b> {
    root: Node,
    types: &'b mut dyn Types,
    /// Of all changes.
    stated: Stated,
    /// Of the change at hand.
    chain: Chain,
    /// Elements that a change took away, by id, and how often they might stand before.
    taken_away: HashMap<String, Option<u32>>,
    /// Where the change before stood: names, and places among children.
    at: Vec<(String, usize)>,
    /// Of the change at hand; none of them makes the element's place unknown.
    defects: Vec<Defect>,
}

/// Where a change stands by paths and slice names alone: the path's parts, each with its id.
#[derive(Default)]
struct Chain(Vec<(String, String)>);

impl Chain {
    /// On to the next change; the id of its element, without its own slice.
    fn advance(&mut self, change: &Change) -> String {
        let parts: Vec<&str> = change.path.split('.').take(DEEPEST).collect();
        let outer = &parts[..parts.len() - 1];
        let common = self.0.iter().zip(outer).take_while(|((name, _), part)| name == *part).count();
        self.0.truncate(common);
        for part in &parts[common..] {
            let id = self.0.last().map_or_else(|| (*part).to_owned(), |(_, outer)| format!("{outer}.{part}"));
            self.0.push(((*part).to_owned(), id));
        }
        let element = self.id(parts.len() - 1).to_owned();
        if let (Some(slice), Some((_, id))) = (&change.slice, self.0.last_mut()) {
            *id = format!("{element}:{slice}");
        }
        element
    }

    fn id(&self, place: usize) -> &str {
        self.0.get(place).map(|(_, id)| id.as_str()).unwrap_or_default()
    }
}

/// What can be known of a differential before it is applied.
#[derive(Default)]
struct Stated {
    /// All elements, by [`Chain`].
    elements: HashSet<String>,
    /// How many slices are named for an element.
    slices: HashMap<String, usize>,
}

impl Stated {
    fn of(changes: &[Change]) -> Self {
        let (mut stated, mut chain, mut named) = (Self::default(), Chain::default(), HashSet::new());
        for change in changes {
            let element = chain.advance(change);
            let inner = chain.0.len() - 1;
            stated.elements.extend(chain.0[..inner].iter().map(|(_, id)| id.clone()));
            if change.slice.is_some() && named.insert(chain.id(inner).to_owned()) {
                *stated.slices.entry(element.clone()).or_default() += 1;
            }
            stated.elements.insert(element);
        }
        stated
    }
}

/// What a part of a path is in an element.
enum Found {
    Member(usize),
    /// One type of the choice at this place.
    Choice(usize, Type),
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
                route.push(next);
            }
            route.push(self.target(&route, last, &parents[outer.len()], change)?);
        }
        self.at = parts[1..].iter().map(ToString::to_string).zip(route.iter().copied()).collect();
        let id = self.id(&route);
        let mut defects = std::mem::take(&mut self.defects);
        let element = Arc::make_mut(&mut self.node_mut(&route).element);
        let most = element.max;
        merge::apply(change, element, &mut defects);
        if element.max == Some(0) && most != Some(0) {
            self.taken_away.insert(id.clone(), most);
        }
        self.defects = defects;
        Ok(id)
    }

    fn node(&self, route: &[usize]) -> &Node {
        route.iter().fold(&self.root, |node, place| &node.children[*place])
    }

    fn node_mut(&mut self, route: &[usize]) -> &mut Node {
        route.iter().fold(&mut self.root, |node, place| &mut Arc::make_mut(&mut node.children)[*place])
    }

    fn id(&self, route: &[usize]) -> String {
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
            Found::Choice(place, of_type) => Ok(self.choose(route, place, &of_type, name, parent, None)),
        }
    }
}

impl Builder<'_> {
    /// The element or slice that a change is about; a slice that is not there yet begins here.
    fn target(&mut self, route: &[usize], name: &str, parent: &str, change: &Change) -> Result<usize, Defect> {
        let found = self.find(route, name, parent)?;
        let slice = change.slice.as_ref();
        let place = match (found, slice) {
            (Found::Member(place), None) => return Ok(place),
            (Found::Choice(place, of_type), slice) => {
                return Ok(self.choose(route, place, &of_type, name, parent, slice));
            }
            (Found::Member(place), Some(_)) => place,
        };
        let (owner, slice) = (self.node(route), slice.cloned().unwrap_or_default());
        let element = &owner.children[place];
        if let Some(known) = slice_named(owner, &element.name, &slice) {
            return Ok(known);
        }
        // One type of a choice is left, and carries the name that its slice would have; or the name is only a name:
        // nothing cuts the element, and it is the only one.
        let id = format!("{parent}.{name}");
        let of_choice =
            |element: &Node| element.choice().and_then(|stem| chosen(stem, &slice, &element.element.types)).cloned();
        let is_only = self.stated.slices.get(&id) == Some(&1) && of_choice(element).is_none();
        if element.element.slicing.is_none() && (element.name == slice || is_only) {
            if element.element.max != Some(1) && is_only {
                self.defects.push(Defect::NoSlicing(slice));
            }
            return Ok(place);
        }
        let mut template = element.clone();
        let element_name = element.name.clone();
        if change.max.is_some_and(|max| max != Some(0)) {
            self.give_back(route, place, &mut template);
        }
        let owner = self.node(route);
        if let Some((outer, _)) = slice.rsplit_once('/') {
            let outer_place = slice_named(owner, &element_name, outer);
            template = owner.children[outer_place.ok_or_else(|| Defect::NoSlice(outer.into()))?].clone();
        }
        if template.element.slicing.is_none() {
            match template.choice() {
                Some(_) if !slice.contains('/') => self.imply_slicing(route, place, DiscriminatorKind::Type, "$this"),
                _ => self.defects.push(Defect::NoSlicing(slice.clone())),
            }
        }
        if let Some(of_type) = of_choice(&template).filter(|_| change.types.is_empty()) {
            narrow(&mut template, &of_type);
        }
        Ok(self.insert_slice(route, template, &slice))
    }

    /// An element that was taken away and is cut into slices after that: the slices say that it may stand.
    fn give_back(&mut self, route: &[usize], place: usize, template: &mut Node) {
        let route = [route, &[place]].concat();
        if let Some(most) = self.taken_away.remove(&self.id(&route)) {
            self.defects.push(Defect::TakenAway);
            Arc::make_mut(&mut self.node_mut(&route).element).max = most;
            Arc::make_mut(&mut template.element).max = most;
        }
    }

    /// What a name is in an element: one of its members, or one type of a choice.
    fn find(&mut self, route: &[usize], name: &str, parent: &str) -> Result<Found, Defect> {
        self.unfold(route, name, parent)?;
        let owner = self.node(route);
        let whole = |child: &Node| child.slice.is_none();
        let exact = owner.children.iter().position(|child| whole(child) && &*child.name == name);
        if let Some(place) = exact {
            return Ok(Found::Member(place));
        }
        for (place, child) in owner.children.iter().enumerate().filter(|(_, child)| whole(child)) {
            let Some(stem) = child.choice() else { continue };
            // the choice by its own name, where one type is left
            if name.strip_suffix("[x]") == Some(stem) {
                return Ok(Found::Member(place));
            }
            if let Some(of_type) = chosen(stem, name, &child.element.types).filter(|_| child.name.ends_with("[x]")) {
                return Ok(Found::Choice(place, of_type.clone()));
            }
        }
        Err(Defect::NoElement { name: name.to_owned(), parent: parent.to_owned() })
    }

    /// One type of a choice: the slice that there is, a new one, or what is left of the choice.
    fn choose(
        &mut self,
        route: &[usize],
        place: usize,
        of_type: &Type,
        name: &str,
        parent: &str,
        slice: Option<&Arc<str>>,
    ) -> usize {
        let owner = self.node(route);
        let choice = owner.children[place].clone();
        let is_it = |child: &Node| {
            child.name == choice.name
                && match (&child.slice, slice) {
                    (Some(known), Some(slice)) => known == slice,
                    (Some(_), None) => child.element.types.iter().all(|known| known.code == of_type.code),
                    (None, _) => false,
                }
        };
        if let Some(known) = owner.children.iter().position(is_it) {
            return known;
        }
        let stem = choice.choice().unwrap_or_default();
        let others = choice.element.types.iter().filter(|other| other.code != of_type.code);
        let other_named = others
            .map(|other| format!("{parent}.{stem}{}", capitalised(&other.code)))
            .any(|path| self.stated.elements.contains(&path));
        let mut chosen = choice.clone();
        narrow(&mut chosen, of_type);
        if slice.is_none() && !other_named && choice.element.slicing.is_none() {
            chosen.name = name.into();
            *self.node_mut(&[route, &[place]].concat()) = chosen;
            return place;
        }
        if choice.element.slicing.is_none() {
            self.imply_slicing(route, place, DiscriminatorKind::Type, "$this");
        }
        let slice = slice.map_or(name, |slice| slice);
        self.insert_slice(route, chosen, slice)
    }

    fn imply_slicing(&mut self, route: &[usize], place: usize, kind: DiscriminatorKind, path: &str) {
        let node = self.node_mut(&[route, &[place]].concat());
        Arc::make_mut(&mut node.element).slicing = Some(Slicing::implied(kind, path));
    }

    /// A new slice behind those of its element, or of its slice. How often the element must stand is counted over all
    /// slices, so a slice need not stand unless it is said.
    fn insert_slice(&mut self, route: &[usize], mut slice: Node, name: &str) -> usize {
        let element = Arc::make_mut(&mut slice.element);
        element.min = 0;
        element.slicing = None;
        slice.slice = Some(name.into());
        let children = Arc::make_mut(&mut self.node_mut(route).children);
        let outer = name.rsplit_once('/').map(|(outer, _)| outer);
        let belongs = |child: &Node| {
            child.name == slice.name
                && outer.is_none_or(|outer| {
                    let known = child.slice.as_deref().unwrap_or_default();
                    known.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
        };
        let place = children.iter().rposition(belongs).map_or(children.len(), |last| last + 1);
        children.insert(place, slice);
        place
    }
}

fn narrow(node: &mut Node, of_type: &Type) {
    Arc::make_mut(&mut node.element).types.retain(|known| known.code == of_type.code);
}

fn slice_named(owner: &Node, name: &str, slice: &str) -> Option<usize> {
    owner.children.iter().position(|child| &*child.name == name && child.slice.as_deref() == Some(slice))
}

/// The slices that an id names for the parts of its path, where it has as many parts.
fn hints(change: &Change, parts: usize) -> Vec<Option<&str>> {
    let id = change.id.as_deref().unwrap_or_default();
    let hints: Vec<_> = id.split('.').map(|part| part.split_once(':').map(|(_, slice)| slice)).collect();
    if hints.len() == parts { hints } else { Vec::new() }
}

impl Builder<'_> {
    /// Gives an element the elements of its type, unless it has elements already.
    fn unfold(&mut self, route: &[usize], name: &str, parent: &str) -> Result<(), Defect> {
        let node = self.node(route);
        if !node.children.is_empty() {
            return Ok(());
        }
        let nothing = || Defect::NoElement { name: name.to_owned(), parent: parent.to_owned() };
        let element = node.element.clone();
        let children = if let Some(path) = &element.content_reference {
            self.at_path(path).ok_or_else(nothing)?.children.clone()
        } else {
            let mut codes: Vec<&Arc<str>> = element.types.iter().map(|known| &known.code).collect();
            codes.sort();
            codes.dedup();
            match codes[..] {
                [] => return Err(nothing()),
                [code] => self.elements_of(code, &element.types)?.ok_or_else(nothing)?,
                // every type has these
                _ if matches!(name, "id" | "extension") => self.elements_of("Element", &[])?.ok_or_else(nothing)?,
                _ => return Err(Defect::SeveralTypes(parent.to_owned())),
            }
        };
        self.node_mut(route).children = children;
        Ok(())
    }

    /// The element at a path without slices.
    fn at_path(&self, path: &str) -> Option<&Node> {
        let mut parts = path.split('.');
        let root = parts.next().filter(|name| *name == &*self.root.name).map(|_| &self.root)?;
        parts.try_fold(root, |node, name| node.members().find(|child| &*child.name == name))
    }

    /// The elements of a type, or of its profile where one is named.
    fn elements_of(&mut self, code: &str, types: &[Type]) -> Result<Option<Arc<Vec<Node>>>, Defect> {
        let profiles: BTreeSet<_> = types.iter().filter_map(|known| known.profile.clone()).collect();
        if let (Some(profile), 1) = (profiles.first(), profiles.len()) {
            match self.types.profile(profile) {
                Ok(snapshot) => return Ok(Some(snapshot.root.children.clone())),
                Err(missing) if missing.is_warning() => self.defects.push(missing),
                Err(defect) => return Err(defect),
            }
        }
        Ok(release().structure_named(code).map(|id| of_type(id).root.children.clone()))
    }
}
