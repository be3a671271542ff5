//! What stands in a document, as profiles see it: elements with the type that their name chose, and their twins.

use crate::{
    fhir::{Content, Kind, NodeId, StructureId},
    stu3::{Element, Most},
    validate::context::Context,
};

/// Elements that an object of the release has; one that stands twice is told elsewhere.
const MOST_NAMES: usize = 128;

/// Most objects have no more members.
const FEW_NAMES: usize = 12;

/// One element in the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occurrence {
    /// Its value; its twin where it has no value.
    pub(super) node: NodeId,
    /// Its value.
    pub(super) value: Option<NodeId>,
    /// Its id and extensions, of a primitive.
    pub(super) twin: Option<NodeId>,
    /// Its place among its like, where it may repeat.
    pub(super) index: Option<u32>,
    /// What the release says of it; `None` of a resource that is judged as a whole.
    pub(super) element: Option<&'static Element>,
    /// Its type.
    pub(super) type_name: &'static str,
    /// What it is made of; of a resource the structure of its type.
    pub(super) content: Content,
}

impl Occurrence {
    /// A resource as a whole.
    pub(super) const fn resource(node: NodeId, id: StructureId, type_name: &'static str) -> Self {
        let content = Content::Structure(id);
        Self { node, value: Some(node), twin: None, index: None, element: None, type_name, content }
    }

    /// The resource at a node; `None` where its type is not known.
    pub(super) fn resource_at(cx: &Context<'_, '_>, node: NodeId) -> Option<Self> {
        let named = cx.string(node, "resourceType")?;
        let id = cx.release.resource(&named)?;
        Some(Self::resource(node, id, cx.release.structure(id).name))
    }

    /// The object whose members are its elements, and its structure.
    pub(super) fn object(&self, cx: &Context<'_, '_>) -> Option<(StructureId, NodeId)> {
        match self.content {
            Content::Structure(id) if cx.document.kind(self.node) == Kind::Object => Some((id, self.node)),
            Content::Primitive(_) => {
                let twin = self.twin?;
                Some((cx.release.structure_named("Element")?, twin))
            }
            _ => None,
        }
    }

    /// The name of its element, without `[x]`.
    pub(super) fn name(&self) -> &'static str {
        self.element.map_or("", |element| element.name)
    }

    /// All elements directly in it, in the order of the source.
    pub(super) fn within(&self, cx: &Context<'_, '_>) -> Vec<Self> {
        self.beginning_with(cx, "")
    }

    /// Those whose name on the wire begins so.
    fn beginning_with(&self, cx: &Context<'_, '_>, beginning: &str) -> Vec<Self> {
        let Some((id, object)) = self.object(cx) else { return Vec::new() };
        let document = cx.document;
        let mut named: Vec<Named> = Vec::with_capacity(FEW_NAMES);
        for node in document.children(object) {
            let Some(name) = document.name(node) else { continue };
            let (stem, is_twin) = name.strip_prefix('_').map_or((&*name, false), |stem| (stem, true));
            if !stem.starts_with(beginning) {
                continue;
            }
            let Some((element, way)) = cx.release.member(id, stem).filter(|(known, _)| known.most != Most::None) else {
                continue;
            };
            let (value, twin) = if is_twin { (None, Some(node)) } else { (Some(node), None) };
            let is_half = |known: &&mut Named| {
                let half = if is_twin { known.twin } else { known.value };
                half.is_none() && known.element.place == element.place && known.type_name == way.type_name
            };
            match named.iter_mut().rev().take(MOST_NAMES).find(is_half) {
                Some(known) if matches!(way.content, Content::Primitive(_)) => {
                    known.value = known.value.or(value);
                    known.twin = known.twin.or(twin);
                }
                _ => named.push(Named { element, type_name: way.type_name, content: way.content, value, twin }),
            }
        }
        let mut all = Vec::with_capacity(named.len());
        named.iter().for_each(|named| named.each(cx, &mut all));
        all
    }

    /// The elements of one name in it.
    pub(super) fn named(&self, cx: &Context<'_, '_>, name: &str) -> Vec<Self> {
        // a choice has the name of a type behind its own
        let mut all = self.beginning_with(cx, name);
        all.retain(|found| found.name() == name);
        all
    }
}

/// A member and its twin, before they are taken apart into items.
struct Named {
    element: &'static Element,
    type_name: &'static str,
    content: Content,
    value: Option<NodeId>,
    twin: Option<NodeId>,
}

impl Named {
    fn each(&self, cx: &Context<'_, '_>, all: &mut Vec<Occurrence>) {
        // the items of an array, or the one value
        let items = |node: Option<NodeId>| {
            let (list, one) = match node {
                Some(node) if cx.document.kind(node) == Kind::Array => (Some(cx.document.children(node)), None),
                one => (None, one),
            };
            list.into_iter().flatten().chain(one)
        };
        let (mut values, mut twins) = (items(self.value), items(self.twin));
        for place in 0.. {
            let (value, twin) = (values.next(), twins.next());
            if value.is_none() && twin.is_none() {
                break;
            }
            let there = |node: Option<NodeId>| node.filter(|node| cx.document.kind(*node) != Kind::Null);
            let (value, twin) = (there(value), there(twin));
            let Some(node) = value.or(twin) else { continue };
            let index = (self.element.most == Most::Many).then_some(place);
            let element = Some(self.element);
            let found =
                Occurrence { node, value, twin, index, element, type_name: self.type_name, content: self.content };
            if self.content != Content::Resource {
                all.push(found);
            } else if let Some(resource) = Occurrence::resource_at(cx, node) {
                all.push(Occurrence { index, element, ..resource });
            }
        }
    }
}
