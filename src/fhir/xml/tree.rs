//! From elements to the tree: a second pass over the tokens, guided by the types.

use super::{
    Remark, RemarkKind,
    tokens::{Element, Failure, Namespace, Span, Tokens},
};
use crate::fhir::{
    Content, Kind, Member, NodeId, Primitive, Schema, StructureId,
    document::{NAMED, Node, PLACED, RAW_XML, RESOURCE_TYPE, TWIN_NAME, XML_ESCAPED},
    json::{Limits, ReadErrorKind, is_number},
};
use std::collections::HashMap;

pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) remarks: Vec<Remark>,
}

pub(super) fn build(source: &str, tokens: &Tokens, limits: &Limits, schema: &dyn Schema) -> Result<Tree, Failure> {
    let tree = Tree { nodes: Vec::with_capacity(tokens.elements.len() * 2), remarks: Vec::new() };
    let mut builder = Builder { source, tokens, limits, schema, element: schema.structure_named("Element"), tree };
    builder.resource(0, Place::ROOT)?;
    builder.tree.remarks.sort_by_key(|remark| remark.node);
    builder.tree.remarks.dedup();
    Ok(builder.tree)
}

struct Builder<'a, 'l> {
    source: &'a str,
    tokens: &'a Tokens,
    limits: &'l Limits,
    schema: &'l dyn Schema,
    /// What the twin of a primitive is.
    element: Option<StructureId>,
    tree: Tree,
}

/// An attribute that XML itself gives a meaning, which says nothing of the resource.
fn is_of_xml(name: &str) -> bool {
    name == "xmlns" || ["xmlns:", "xsi:"].iter().any(|prefix| name.starts_with(prefix))
}

/// How a node is called, and below which it stands.
#[derive(Clone, Copy)]
struct Place {
    parent: u32,
    marks: u16,
}

impl Place {
    const ROOT: Self = Self { parent: 0, marks: PLACED };
}

/// Elements of one name directly in one element.
struct Group {
    /// How many stand side by side, from the first on.
    first: u32,
    count: u32,
    /// Those that stand apart from them.
    apart: Vec<u32>,
}

impl<'a> Builder<'a, '_> {
    fn token(&self, element: u32) -> &'a Element {
        &self.tokens.elements[element as usize]
    }

    fn children(&self, element: u32) -> impl Iterator<Item = u32> + use<'a> {
        let (tokens, behind) = (self.tokens, self.token(element).behind);
        std::iter::successors(Some(element + 1).filter(|child| *child < behind), move |child| {
            Some(tokens.elements[*child as usize].behind).filter(|next| *next < behind)
        })
    }

    fn attribute(&self, element: u32, name: &str) -> Option<(Span, bool)> {
        let (first, last) = self.token(element).attributes;
        let all = &self.tokens.attributes[first as usize..last as usize];
        all.iter().find(|attribute| attribute.name.of(self.source) == name).map(|found| (found.value, found.escaped))
    }

    fn remark(&mut self, node: u32, kind: RemarkKind) {
        self.tree.remarks.push(Remark { node: NodeId(node), kind });
    }

    /// A node named by an element; its end is set by those that have parts.
    fn push(&mut self, kind: Kind, name: Span, value: Span, place: Place) -> Result<u32, Failure> {
        let id = u32::try_from(self.tree.nodes.len()).unwrap_or(u32::MAX);
        if id >= self.limits.max_nodes {
            return Err((ReadErrorKind::TooManyNodes(self.limits.max_nodes), name.start as usize));
        }
        self.tree.nodes.push(Node {
            name_start: name.start,
            name_length: name.end - name.start,
            start: value.start,
            end: value.end,
            behind: id + 1,
            parent: place.parent,
            kind,
            marks: place.marks,
        });
        Ok(id)
    }

    fn end(&mut self, node: u32) {
        let behind = u32::try_from(self.tree.nodes.len()).unwrap_or(u32::MAX);
        self.tree.nodes[node as usize].behind = behind;
    }

    /// The resource that an element is; the node is placed at the element.
    fn resource(&mut self, element: u32, place: Place) -> Result<(), Failure> {
        let token = self.token(element);
        let id = self.schema.resource(token.name.of(self.source));
        let node = self.push(Kind::Object, token.name, token.whole, place)?;
        self.push(Kind::String, token.name, token.name, Place { parent: node, marks: NAMED | RESOURCE_TYPE })?;
        self.parts(element, id, node)
    }

    /// The members of an object whose node is there.
    fn parts(&mut self, element: u32, id: Option<StructureId>, node: u32) -> Result<(), Failure> {
        let token = self.token(element);
        if token.namespace != Namespace::Fhir {
            self.remark(node, RemarkKind::Namespace);
        }
        if token.has_text {
            self.remark(node, RemarkKind::Text);
        }
        self.attributes(element, id, node, None)?;
        self.members(element, id, node)?;
        self.end(node);
        Ok(())
    }

    /// Attributes that are members; `value` is one of a primitive alone.
    fn attributes(
        &mut self,
        element: u32,
        id: Option<StructureId>,
        node: u32,
        value: Option<&str>,
    ) -> Result<(), Failure> {
        let (first, last) = self.token(element).attributes;
        for attribute in &self.tokens.attributes[first as usize..last as usize] {
            let name = attribute.name.of(self.source);
            if is_of_xml(name) || value == Some(name) {
                continue;
            }
            let known = id.and_then(|id| self.schema.member_named(id, name)).is_some_and(|member| member.attribute);
            if !known {
                self.remark(node, RemarkKind::Attribute);
                continue;
            }
            let escaped = if attribute.escaped { XML_ESCAPED } else { 0 };
            self.push(Kind::String, attribute.name, attribute.value, Place { parent: node, marks: NAMED | escaped })?;
        }
        Ok(())
    }

    fn members(&mut self, element: u32, id: Option<StructureId>, node: u32) -> Result<(), Failure> {
        for group in self.groups(element, id, node) {
            let name = self.token(group.first).name.of(self.source);
            let member = id.and_then(|id| self.schema.member_named(id, name));
            self.distinct(group.first, name, member, node)?;
            if !group.apart.is_empty() {
                self.remark(node, RemarkKind::Order);
            }
            let together = std::iter::successors(Some(group.first), |child| Some(self.token(*child).behind));
            let siblings: Vec<u32> = together.take(group.count as usize).chain(group.apart).collect();
            self.member(member, &siblings, node)?;
        }
        Ok(())
    }

    /// What the JSON form would have twice is refused: nobody could tell which is meant.
    fn distinct(&self, element: u32, name: &str, member: Option<Member>, owner: u32) -> Result<(), Failure> {
        let told = self.tree.nodes.get(owner as usize + 1).is_some_and(|node| node.marks & RESOURCE_TYPE != 0);
        let what = if member.is_some_and(|member| member.attribute) {
            "this is an attribute, not an element"
        } else if name.starts_with('_') || (name == "resourceType" && told) {
            "no element of FHIR has this name"
        } else {
            return Ok(());
        };
        Err((ReadErrorKind::XmlSyntax(what), self.token(element).name.start as usize))
    }

    /// Children by name in the order of their first; notes where they are not in the release's order.
    fn groups(&mut self, element: u32, id: Option<StructureId>, node: u32) -> Vec<Group> {
        let mut order = 0;
        let mut groups: Vec<Group> = Vec::new();
        let mut by_name: HashMap<&str, usize> = HashMap::new();
        let mut last = "";
        for child in self.children(element) {
            let name = self.token(child).name.of(self.source);
            if name == last
                && let Some(group) = groups.last_mut()
            {
                group.count += 1;
                continue;
            }
            last = name;
            // few names are compared, many are hashed
            let known = if groups.len() < 8 {
                groups.iter().position(|group| self.token(group.first).name.of(self.source) == name)
            } else {
                if by_name.is_empty() {
                    by_name.extend(
                        groups.iter().enumerate().map(|(at, group)| (self.token(group.first).name.of(self.source), at)),
                    );
                }
                by_name.get(name).copied()
            };
            if let Some(known) = known {
                groups[known].apart.push(child);
                last = "";
                continue;
            }
            if !by_name.is_empty() {
                by_name.insert(name, groups.len());
            }
            let place = id.and_then(|id| self.schema.member_named(id, name)).map(|member| member.place);
            if let Some(place) = place {
                if place < order {
                    self.remark(node, RemarkKind::Order);
                }
                order = place.max(order);
            }
            groups.push(Group { first: child, count: 1, apart: Vec::new() });
        }
        groups
    }

    fn member(&mut self, member: Option<Member>, elements: &[u32], owner: u32) -> Result<(), Failure> {
        let is_list = member.is_some_and(|member| member.repeats) || elements.len() > 1;
        match member.map(|member| member.content) {
            Some(Content::Primitive(Primitive::Xhtml)) => self.each(elements, is_list, owner, 0, Self::xhtml),
            Some(Content::Primitive(primitive)) => self.primitives(Some(primitive), elements, is_list, owner),
            Some(Content::Structure(id)) => self
                .each(elements, is_list, owner, 0, |builder, element, place| builder.object(element, Some(id), place)),
            Some(Content::Resource) => self.resources(elements, is_list, owner),
            None if elements.iter().all(|element| self.is_value(*element)) => {
                self.primitives(None, elements, is_list, owner)
            }
            None => {
                self.each(elements, is_list, owner, 0, |builder, element, place| builder.object(element, None, place))
            }
        }
    }

    /// An unknown element that looks like a primitive.
    fn is_value(&self, element: u32) -> bool {
        self.attribute(element, "value").is_some() && self.children(element).next().is_none()
    }

    /// An array of what `make` makes of each element, or that itself.
    fn each(
        &mut self,
        elements: &[u32],
        is_list: bool,
        owner: u32,
        marks: u16,
        make: impl Fn(&mut Self, u32, Place) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !is_list {
            return elements
                .iter()
                .try_for_each(|element| make(self, *element, Place { parent: owner, marks: NAMED | marks }));
        }
        let array = self.array(elements, owner, marks)?;
        for element in elements {
            make(self, *element, Place { parent: array, marks: PLACED })?;
        }
        self.end(array);
        Ok(())
    }

    fn array(&mut self, elements: &[u32], owner: u32, marks: u16) -> Result<u32, Failure> {
        let first = self.token(elements[0]);
        let whole =
            Span { start: first.whole.start, end: elements.last().map_or(first, |last| self.token(*last)).whole.end };
        self.push(Kind::Array, first.name, whole, Place { parent: owner, marks: NAMED | marks })
    }

    fn object(&mut self, element: u32, id: Option<StructureId>, place: Place) -> Result<(), Failure> {
        let token = self.token(element);
        let node = self.push(Kind::Object, token.name, token.whole, place)?;
        self.parts(element, id, node)
    }

    /// `div` as it is written.
    fn xhtml(&mut self, element: u32, place: Place) -> Result<(), Failure> {
        let token = self.token(element);
        let node = self.push(Kind::String, token.name, token.whole, Place { marks: place.marks | RAW_XML, ..place })?;
        if token.namespace != Namespace::Xhtml {
            self.remark(node, RemarkKind::Namespace);
        }
        Ok(())
    }

    /// The resources inside elements that hold one each.
    fn resources(&mut self, elements: &[u32], is_list: bool, owner: u32) -> Result<(), Failure> {
        let inner: Vec<u32> = elements.iter().flat_map(|element| self.children(*element)).collect();
        if inner.is_empty() {
            return self
                .each(elements, is_list, owner, 0, |builder, element, place| builder.object(element, None, place));
        }
        let is_list = is_list || inner.len() > 1;
        let outer = self.token(elements[0]).name;
        if !is_list {
            let place = Place { parent: owner, marks: NAMED };
            return self.held(inner[0], outer, place);
        }
        let array = self.array(elements, owner, 0)?;
        for element in &inner {
            let name = self.token(*element).name;
            self.held(*element, name, Place { parent: array, marks: PLACED })?;
        }
        self.end(array);
        if elements.iter().any(|element| self.token(*element).has_text) {
            self.remark(array, RemarkKind::Text);
        }
        Ok(())
    }

    /// A resource that goes by the name of what holds it.
    fn held(&mut self, element: u32, name: Span, place: Place) -> Result<(), Failure> {
        let node = self.tree.nodes.len();
        self.resource(element, place)?;
        let node = &mut self.tree.nodes[node];
        (node.name_start, node.name_length) = (name.start, name.end - name.start);
        Ok(())
    }

    /// Values, and beside them their twins.
    fn primitives(
        &mut self,
        primitive: Option<Primitive>,
        elements: &[u32],
        is_list: bool,
        owner: u32,
    ) -> Result<(), Failure> {
        let has_twin = |builder: &Self, element: u32| {
            builder.attribute(element, "id").is_some() || builder.children(element).next().is_some()
        };
        let twinned = elements.iter().any(|element| has_twin(self, *element));
        let valued = elements.iter().any(|element| self.attribute(*element, "value").is_some());
        if valued || !twinned {
            self.each(elements, is_list, owner, 0, |builder, element, place| {
                let is_twin = has_twin(builder, element);
                builder.value(primitive, element, is_twin, place)
            })?;
        }
        if !twinned {
            return Ok(());
        }
        self.each(elements, is_list, owner, TWIN_NAME, |builder, element, place| {
            let token = builder.token(element);
            if !has_twin(builder, element) {
                let nothing = Span { start: token.name.start, end: token.name.start };
                return builder.push(Kind::Null, token.name, nothing, place).map(drop);
            }
            let node = builder.push(Kind::Object, token.name, token.whole, place)?;
            builder.attributes(element, builder.element, node, Some("value"))?;
            builder.members(element, builder.element, node)?;
            builder.end(node);
            Ok(())
        })
    }

    fn value(
        &mut self,
        primitive: Option<Primitive>,
        element: u32,
        is_twin: bool,
        place: Place,
    ) -> Result<(), Failure> {
        let token = self.token(element);
        let nothing = Span { start: token.name.end, end: token.name.end };
        let (value, escaped) = match self.attribute(element, "value") {
            Some(found) => found,
            None if is_twin => return self.push(Kind::Null, token.name, nothing, place).map(drop),
            None => (nothing, false),
        };
        let text = value.of(self.source);
        let kind = match primitive {
            _ if escaped => Kind::String,
            Some(Primitive::Boolean) if text == "true" => Kind::True,
            Some(Primitive::Boolean) if text == "false" => Kind::False,
            Some(Primitive::Integer | Primitive::Decimal | Primitive::PositiveInt | Primitive::UnsignedInt)
                if is_number(text) =>
            {
                Kind::Number
            }
            _ => Kind::String,
        };
        let marks = place.marks | if escaped { XML_ESCAPED } else { 0 };
        let node = self.push(kind, token.name, value, Place { marks, ..place })?;
        if token.namespace != Namespace::Fhir {
            self.remark(node, RemarkKind::Namespace);
        }
        if token.has_text {
            self.remark(node, RemarkKind::Text);
        }
        if !is_twin {
            // with a twin they are told there
            self.foreign_attributes(element, node);
        }
        Ok(())
    }

    fn foreign_attributes(&mut self, element: u32, node: u32) {
        let (first, last) = self.token(element).attributes;
        let foreign = self.tokens.attributes[first as usize..last as usize].iter().any(|attribute| {
            let name = attribute.name.of(self.source);
            !matches!(name, "value" | "id") && !is_of_xml(name)
        });
        if foreign {
            self.remark(node, RemarkKind::Attribute);
        }
    }
}
