//! A view of a document's object by the names of its members.

use crate::fhir::{Document, Kind, NodeId};
use std::{borrow::Cow, sync::Arc};

/// An object of a document.
#[derive(Clone, Copy)]
pub(in crate::stu3) struct Object<'d> {
    pub(in crate::stu3) document: &'d Document<'d>,
    pub(in crate::stu3) node: NodeId,
}

impl<'d> Object<'d> {
    pub(in crate::stu3) fn root(document: &'d Document<'d>) -> Self {
        Self { document, node: document.root() }
    }

    /// A string member as it is, or a number as written.
    pub(in crate::stu3) fn text(self, name: &str) -> Option<Cow<'d, str>> {
        let node = self.document.get(self.node, name)?;
        matches!(self.document.kind(node), Kind::String | Kind::Number).then(|| self.document.text(node))?
    }

    /// A string member to keep.
    pub(in crate::stu3) fn kept(self, name: &str) -> Option<Arc<str>> {
        self.text(name).map(|text| text.as_ref().into())
    }

    /// A number member.
    pub(in crate::stu3) fn number(self, name: &str) -> Option<u32> {
        self.text(name)?.parse().ok()
    }

    /// A boolean member.
    pub(in crate::stu3) fn flag(self, name: &str) -> Option<bool> {
        match self.document.kind(self.document.get(self.node, name)?) {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// A member that is an object.
    pub(in crate::stu3) fn object(self, name: &str) -> Option<Self> {
        let node = self.document.get(self.node, name)?;
        (self.document.kind(node) == Kind::Object).then_some(Self { document: self.document, node })
    }

    /// The objects of a member that is a list; none where there is no such member.
    pub(in crate::stu3) fn objects(self, name: &str) -> impl Iterator<Item = Self> + use<'d> {
        let document = self.document;
        self.list(name)
            .filter(move |node| document.kind(*node) == Kind::Object)
            .map(move |node| Self { document, node })
    }

    /// The strings of a member that is a list.
    pub(in crate::stu3) fn texts(self, name: &str) -> impl Iterator<Item = Arc<str>> + use<'d> {
        let document = self.document;
        self.list(name).filter_map(move |node| document.string(node)).map(|text| text.as_ref().into())
    }

    fn list(self, name: &str) -> impl Iterator<Item = NodeId> + use<'d> {
        let (document, member) = (self.document, self.document.get(self.node, name));
        member
            .filter(|node| document.kind(*node) == Kind::Array)
            .into_iter()
            .flat_map(move |node| document.children(node))
    }

    /// The first member whose name is this prefix and something behind it: that rest, and the member.
    pub(in crate::stu3) fn choice(self, prefix: &str) -> Option<(String, NodeId)> {
        self.document.children(self.node).find_map(|child| {
            let name = self.document.name(child)?;
            let rest = name.strip_prefix(prefix).filter(|rest| !rest.is_empty())?;
            Some((rest.to_owned(), child))
        })
    }
}
