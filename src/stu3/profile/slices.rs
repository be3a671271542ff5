//! What a part of a path is in an element, and the slices that begin there.

use super::{
    Change, Defect, DiscriminatorKind, Node, Slicing, SlicingRules, Type, base::chosen, build::Builder,
    tree::capitalised,
};
use std::sync::Arc;

/// What a part of a path is in an element.
pub(super) enum Found {
    Member(usize),
    /// One type of the choice at this place.
    Choice(usize, Type),
}

impl Builder<'_> {
    /// The element or slice that a change is about; a slice that is not there yet begins here.
    pub(super) fn target(
        &mut self,
        route: &[usize],
        name: &str,
        parent: &str,
        change: &Change,
    ) -> Result<usize, Defect> {
        let found = self.find(route, name, parent)?;
        let slice = change.slice.as_ref();
        let place = match (found, slice) {
            (Found::Member(place), None) => return Ok(place),
            (Found::Choice(place, of_type), slice) => {
                return self.choose(route, place, &of_type, name, parent, slice);
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
        let is_only = self.stated.counts.get(&id) == Some(&1) && of_choice(element).is_none();
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
            let is_cut = !slice.contains('/') && self.cut_by_type(route, place, parent);
            if !is_cut {
                self.defects.push(Defect::NoSlicing(slice.clone()));
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
    pub(super) fn find(&mut self, route: &[usize], name: &str, parent: &str) -> Result<Found, Defect> {
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
    pub(super) fn choose(
        &mut self,
        route: &[usize],
        place: usize,
        of_type: &Type,
        name: &str,
        parent: &str,
        slice: Option<&Arc<str>>,
    ) -> Result<usize, Defect> {
        let owner = self.node(route);
        let choice = owner.children[place].clone();
        let is_of_type = |child: &Node| child.element.types.iter().all(|known| known.code == of_type.code);
        let named: &str = slice.map_or(name, |slice| slice);
        let known = match slice_named(owner, &choice.name, named) {
            None if slice.is_none() => owner
                .children
                .iter()
                .position(|child| child.name == choice.name && child.slice.is_some() && is_of_type(child)),
            known => known,
        };
        if let Some(known) = known {
            let fits = is_of_type(&owner.children[known]);
            return if fits { Ok(known) } else { Err(Defect::OtherSlice(named.into())) };
        }
        let only = self.named_types(&choice, parent).iter().all(|known| known.code == of_type.code);
        let mut chosen = choice.clone();
        narrow(&mut chosen, of_type);
        if slice.is_none() && only && choice.element.slicing.is_none() {
            chosen.name = name.into();
            *self.node_mut(&[route, &[place]].concat()) = chosen;
            return Ok(place);
        }
        if choice.element.slicing.is_none() {
            self.cut_by_type(route, place, parent);
        }
        Ok(self.insert_slice(route, chosen, named))
    }

    /// The types of a choice that the differential names in their own right, as `valueQuantity`.
    fn named_types(&self, choice: &Node, parent: &str) -> Vec<Type> {
        let Some(stem) = choice.choice() else { return Vec::new() };
        let is_named = |known: &&Type| {
            let name = format!("{stem}{}", capitalised(&known.code));
            self.stated.elements.contains(&format!("{parent}.{name}"))
                || self.stated.slices.contains(&format!("{parent}.{}:{name}", choice.name))
        };
        choice.element.types.iter().filter(is_named).cloned().collect()
    }

    /// Cuts a choice by type where types are named and nothing says how: the others are taken away. Where there is
    /// nothing to cut by, it stays as it is.
    fn cut_by_type(&mut self, route: &[usize], place: usize, parent: &str) -> bool {
        let route = [route, &[place]].concat();
        let named = self.named_types(self.node(&route), parent);
        if named.is_empty() {
            return false;
        }
        let element = Arc::make_mut(&mut self.node_mut(&route).element);
        let implied = Slicing::implied(DiscriminatorKind::Type, "$this");
        element.slicing = Some(Slicing { rules: SlicingRules::Closed, ..implied });
        element.types = named;
        true
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
