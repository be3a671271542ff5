//! Elements that another definition has: a type, the profile of a type, another element. They are unfolded into a
//! snapshot where a path walks into them.

use super::{Defect, Node, Type, base::of_type, build::Builder};
use crate::stu3::release;
use std::{collections::BTreeSet, sync::Arc};

impl Builder<'_> {
    /// Gives an element the elements of its type, unless it has elements already.
    pub(super) fn unfold(&mut self, route: &[usize], name: &str, parent: &str) -> Result<(), Defect> {
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

    /// The element at a path without slices, as the base has it.
    fn at_path(&self, path: &str) -> Option<&Node> {
        let (root, mut parts) = (&self.base.root, path.split('.'));
        parts.next().filter(|name| *name == &*root.name)?;
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
