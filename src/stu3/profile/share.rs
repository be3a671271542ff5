//! What a profile restates without a change it shares with what it derives from: less memory, and where something is
//! shared with the release nothing is left to be judged.

use super::{Node, Type, base::of_type};
use crate::stu3::release;
use std::sync::Arc;

/// Shares what is equal in a node and in the one that it was made from.
pub(super) fn share(node: &mut Node, base: &Node) {
    if node.element == base.element {
        node.element = base.element.clone();
    }
    if Arc::ptr_eq(&node.children, &base.children) {
        return;
    }
    // the elements of a type that was unfolded
    let of_type = match &base.element.types[..] {
        [Type { code, profile: None, .. }] if base.children.is_empty() => release().structure_named(code).map(of_type),
        _ => None,
    };
    let from = of_type.as_ref().map_or(&base.children, |snapshot| &snapshot.root.children);
    // what others have too has been changed by nobody
    let Some(children) = Arc::get_mut(&mut node.children) else { return };
    let mut rest = &from[..];
    for child in children.iter_mut() {
        let is_origin =
            |known: &Node| known.name == child.name && (known.slice == child.slice || known.slice.is_none());
        let Some(place) = rest.iter().position(is_origin) else { continue };
        // slices that are new here are made from the element that they stand behind
        rest = &rest[place..];
        let same = rest.iter().take_while(|known| known.name == child.name).find(|known| known.slice == child.slice);
        share(child, same.unwrap_or(&rest[0]));
    }
    if children.len() == from.len() && children.iter().zip(from.iter()).all(|(child, known)| is_shared(child, known)) {
        node.children = from.clone();
    }
}

fn is_shared(node: &Node, base: &Node) -> bool {
    node.name == base.name
        && node.slice == base.slice
        && Arc::ptr_eq(&node.element, &base.element)
        && Arc::ptr_eq(&node.children, &base.children)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stu3::type_snapshot;

    fn member<'n>(node: &'n mut Node, name: &str) -> &'n mut Node {
        let mut children = Arc::make_mut(&mut node.children).iter_mut();
        children.find(|child| &*child.name == name).unwrap()
    }

    #[test]
    fn what_is_restated_is_shared_and_what_is_changed_is_not() {
        let base = &type_snapshot("Observation").unwrap().root;
        let mut node = base.clone();
        let status = member(&mut node, "status");
        Arc::make_mut(&mut status.element).conditions.clear();
        // unfolded, as by a path that leads into it
        let code = member(&mut node, "code");
        code.children = type_snapshot("CodeableConcept").unwrap().root.children.clone();
        Arc::make_mut(&mut member(code, "text").element).min = 1;
        let identifier = member(&mut node, "identifier");
        identifier.children = type_snapshot("Identifier").unwrap().root.children.clone();
        Arc::make_mut(&mut member(identifier, "value").element).must_support = false;
        share(&mut node, base);
        let same = |name: &str| {
            let of = |node: &Node| node.members().find(|child| &*child.name == name).unwrap().element.clone();
            Arc::ptr_eq(&of(&node), &of(base))
        };
        assert!(same("status") && same("code") && same("identifier"));
        let children = |name: &str| node.members().find(|child| &*child.name == name).unwrap().children.clone();
        assert!(Arc::ptr_eq(&children("identifier"), &type_snapshot("Identifier").unwrap().root.children));
        let text = children("code").iter().find(|child| &*child.name == "text").unwrap().element.min;
        assert_eq!(text, 1);
    }

    #[test]
    fn a_whole_that_is_only_restated_is_the_base_itself() {
        let base = &type_snapshot("Patient").unwrap().root;
        let mut node = base.clone();
        Arc::make_mut(&mut member(&mut node, "contact").element).conditions.clear();
        share(&mut node, base);
        assert!(is_shared(&node, base));
    }
}
