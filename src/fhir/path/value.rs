//! What flows from step to step: elements of the document, and values of FHIRPath's own types.

use super::{Environment, decimal::Decimal, temporal::Temporal, twins::Twins};
use crate::fhir::{Content, Kind, NodeId, Primitive, StructureId};
use std::borrow::Cow;

/// An element of the document. A primitive is one element with its twin (`_name`), which stands for it alone where it
/// has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// The value; the twin where there is no value.
    pub node: NodeId,
    /// What it is made of; `None` where the schema does not know it. Never [`Content::Resource`].
    pub content: Option<Content>,
    /// The node is the twin of a value that is not there.
    pub is_twin: bool,
}

/// One member of a collection.
#[derive(Clone, Debug)]
pub enum Item<'d> {
    /// An element of the document.
    Element(Element),
    /// The target of a reference of which only the type is known.
    Target(StructureId),
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A decimal.
    #[expect(private_interfaces, reason = "its digits are this room's matter")]
    Decimal(Decimal),
    /// A string.
    Text(Cow<'d, str>),
    /// A date, a date-time or a time.
    #[expect(private_interfaces, reason = "its fields are this room's matter")]
    Temporal(Temporal),
    /// A number and its unit.
    #[expect(private_interfaces, reason = "its digits are this room's matter")]
    Quantity(Decimal, Cow<'d, str>),
}

/// Members in their order.
pub type Collection<'d> = Vec<Item<'d>>;

impl<'d> Environment<'_, 'd> {
    /// The element at a node of this type; a resource tells its own.
    pub(super) fn element(&self, node: NodeId, content: Option<Content>) -> Element {
        let content = match content {
            Some(Content::Resource) => self.resource_type(node).map(Content::Structure),
            other => other,
        };
        Element { node, content, is_twin: false }
    }

    /// The type that a resource names.
    pub(super) fn resource_type(&self, node: NodeId) -> Option<StructureId> {
        let document = self.document;
        if document.kind(node) != Kind::Object {
            return None;
        }
        let name = document.get(node, "resourceType").and_then(|member| document.string(member))?;
        self.schema.resource(&name)
    }

    /// The item as a value of FHIRPath's own types; an element without one stays as it is.
    pub(super) fn system(&self, item: &Item<'d>) -> Item<'d> {
        match item {
            Item::Element(element) => self.value_of(element).unwrap_or_else(|| item.clone()),
            other => other.clone(),
        }
    }

    /// The value of a primitive element, or of a Quantity.
    pub(super) fn value_of(&self, element: &Element) -> Option<Item<'d>> {
        if element.is_twin {
            return None;
        }
        let document = self.document;
        let text = || document.text(element.node);
        match (element.content, document.kind(element.node)) {
            (Some(Content::Structure(id)), Kind::Object) => self.quantity(element.node, id),
            (_, Kind::Object | Kind::Array | Kind::Null) => None,
            (_, Kind::True) => Some(Item::Boolean(true)),
            (_, Kind::False) => Some(Item::Boolean(false)),
            (Some(Content::Primitive(primitive)), kind) => {
                let text = text()?;
                let read = match primitive {
                    Primitive::Date => Temporal::date(&text).map(Item::Temporal),
                    Primitive::DateTime | Primitive::Instant => Temporal::date_time(&text).map(Item::Temporal),
                    Primitive::Time => Temporal::time(&text).map(Item::Temporal),
                    Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => {
                        text.parse().ok().map(Item::Integer)
                    }
                    _ if kind == Kind::Number => Decimal::parse(&text).map(Item::Decimal),
                    _ => None,
                };
                Some(read.unwrap_or(Item::Text(text)))
            }
            (_, Kind::Number) => {
                let text = text()?;
                let whole = text.parse().ok().map(Item::Integer);
                whole.or_else(|| Decimal::parse(&text).map(Item::Decimal)).or(Some(Item::Text(text)))
            }
            (_, Kind::String) => text().map(Item::Text),
        }
    }

    fn quantity(&self, node: NodeId, id: StructureId) -> Option<Item<'d>> {
        if !self.is_kind_of(id, "Quantity") {
            return None;
        }
        let document = self.document;
        let member = |name: &str| document.get(node, name).and_then(|member| document.text(member));
        let number = Decimal::parse(&member("value")?)?;
        let unit = member("code").or_else(|| member("unit")).unwrap_or(Cow::Borrowed("1"));
        Some(Item::Quantity(number, unit))
    }

    /// The type is this one, or is derived from it.
    pub(super) fn is_kind_of(&self, id: StructureId, name: &str) -> bool {
        let mut current = Some(id);
        while let Some(id) = current {
            if self.schema.structure_name(id) == name {
                return true;
            }
            current = self.schema.structure_base(id);
        }
        false
    }

    /// The text of a value as `toString()` gives it; `None` of what has parts.
    pub fn text(&self, item: &Item<'d>) -> Option<Cow<'d, str>> {
        Some(match item {
            // a date or a number as it is written
            Item::Element(element) if matches!(element.content, Some(Content::Primitive(_))) && !element.is_twin => {
                return self.document.text(element.node);
            }
            Item::Element(element) => return self.value_of(element).and_then(|value| self.text(&value)),
            Item::Target(_) => return None,
            Item::Boolean(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Item::Integer(number) => number.to_string().into(),
            Item::Decimal(number) => number.to_string().into(),
            Item::Text(text) => text.clone(),
            Item::Temporal(value) => value.to_string().into(),
            Item::Quantity(number, unit) if super::temporal::Step::named(unit).is_some() && unit.len() > 3 => {
                format!("{number} {unit}").into()
            }
            Item::Quantity(number, unit) => format!("{number} '{unit}'").into(),
        })
    }

    /// The schema's name for what the item is, and whether that is a type of FHIR (else of FHIRPath).
    pub fn type_name(&self, item: &Item<'d>) -> Option<(&'static str, bool)> {
        Some(match item {
            Item::Element(element) => match element.content? {
                Content::Primitive(primitive) => (primitive.name(), true),
                Content::Structure(id) => (self.schema.structure_name(id), true),
                Content::Resource => return None,
            },
            Item::Target(id) => (self.schema.structure_name(*id), true),
            Item::Boolean(_) => ("Boolean", false),
            Item::Integer(_) => ("Integer", false),
            Item::Decimal(_) => ("Decimal", false),
            Item::Text(_) => ("String", false),
            Item::Temporal(value) => match value.kind {
                super::temporal::TemporalKind::Date => ("Date", false),
                super::temporal::TemporalKind::DateTime => ("DateTime", false),
                super::temporal::TemporalKind::Time => ("Time", false),
            },
            Item::Quantity(..) => ("Quantity", false),
        })
    }

    /// Whether the item is of the type, or of one derived from it.
    pub(super) fn is_of(&self, item: &Item<'d>, wanted: &str) -> bool {
        let Some((name, of_fhir)) = self.type_name(item) else { return false };
        if let Some(wanted) = wanted.strip_prefix("System.") {
            return !of_fhir && name == wanted;
        }
        if !of_fhir {
            return name == wanted;
        }
        match item {
            Item::Target(id) | Item::Element(Element { content: Some(Content::Structure(id)), .. }) => {
                self.is_kind_of(*id, wanted) || is_backbone(name, wanted)
            }
            _ => name == wanted || self.schema.structure_named(name).is_some_and(|id| self.is_kind_of(id, wanted)),
        }
    }
}

/// Nested elements have no name of their own in FHIRPath.
fn is_backbone(name: &str, wanted: &str) -> bool {
    name.contains('.') && matches!(wanted, "BackboneElement" | "Element")
}

impl<'d> Environment<'_, 'd> {
    /// The elements of this name; a choice by its name without the type, or written out. Says how many nodes were looked at.
    pub(super) fn members(
        &self,
        element: &Element,
        name: &str,
        twins: &mut Twins<'d>,
        found: &mut Collection<'d>,
    ) -> usize {
        self.each_member(element, twins, found, Some(name))
    }

    /// All elements directly below.
    pub(super) fn children(&self, element: &Element, twins: &mut Twins<'d>, found: &mut Collection<'d>) -> usize {
        self.each_member(element, twins, found, None)
    }

    /// Goes through the members that may be meant; says how many nodes were looked at.
    fn each_member(
        &self,
        element: &Element,
        twins: &mut Twins<'d>,
        found: &mut Collection<'d>,
        wanted: Option<&str>,
    ) -> usize {
        let document = self.document;
        let mut looked = 1;
        let (owner, id) = match element.content {
            // of a primitive only id and extensions are elements: those of its twin
            Some(Content::Primitive(_)) => {
                let twin = if element.is_twin {
                    Some(element.node)
                } else {
                    let (twin, steps) = twins.of(document, element.node);
                    looked += steps;
                    twin
                };
                let Some(twin) = twin else { return looked };
                (twin, self.schema.structure_named("Element"))
            }
            Some(Content::Structure(id)) => (element.node, Some(id)),
            _ => (element.node, None),
        };
        if document.kind(owner) != Kind::Object {
            return looked;
        }
        for child in document.children(owner) {
            looked += 1;
            let Some(name) = document.name(child) else { continue };
            let (stem, is_twin) = name.strip_prefix('_').map_or((&*name, false), |stem| (stem, true));
            // the schema is asked only of members that may be meant
            if wanted.is_some_and(|wanted| !may_be(stem, wanted)) {
                continue;
            }
            let member = id.and_then(|id| self.schema.member_named(id, stem));
            // `Claim.payee` has an element of this name; of a resource it tells the type and is none
            if stem == "resourceType" && member.is_none() {
                continue;
            }
            let is_wanted = wanted.is_none_or(|wanted| {
                stem == wanted || member.is_some_and(|member| member.choice && member.element == wanted)
            });
            if !is_wanted {
                continue;
            }
            let content = member.map(|member| member.content);
            if is_twin {
                looked += self.twins(owner, child, stem, content, found);
            } else {
                looked += self.values(owner, child, stem, content, found);
            }
        }
        looked
    }

    /// A member's value, or the items of its array; a null stands for its twin.
    fn values(
        &self,
        owner: NodeId,
        node: NodeId,
        stem: &str,
        content: Option<Content>,
        found: &mut Collection<'d>,
    ) -> usize {
        let document = self.document;
        if document.kind(node) != Kind::Array {
            found.push(Item::Element(self.element(node, content)));
            return 1;
        }
        let mut looked = 0;
        let mut twins = None;
        for (index, item) in document.children(node).enumerate() {
            looked += 1;
            if document.kind(item) != Kind::Null {
                found.push(Item::Element(self.element(item, content)));
                continue;
            }
            // an object has few members that are known, and may have any number of others
            let twins = twins.get_or_insert_with(|| {
                let twin = content.and_then(|_| document.get(owner, &format!("_{stem}")));
                twin.map(|twin| document.children(twin).collect::<Vec<_>>()).unwrap_or_default()
            });
            if let Some(twin) = twins.get(index).filter(|twin| document.kind(**twin) == Kind::Object) {
                found.push(Item::Element(Element { node: *twin, content, is_twin: true }));
            }
        }
        looked
    }

    /// A twin whose value is not there at all.
    fn twins(
        &self,
        owner: NodeId,
        node: NodeId,
        stem: &str,
        content: Option<Content>,
        found: &mut Collection<'d>,
    ) -> usize {
        let document = self.document;
        // an object has few members that are known, and may have any number of others
        if content.is_some() && document.get(owner, stem).is_some() {
            return 1;
        }
        let twin = |node| Item::Element(Element { node, content, is_twin: true });
        match document.kind(node) {
            Kind::Object => found.push(twin(node)),
            Kind::Array => {
                found.extend(document.children(node).filter(|item| document.kind(*item) == Kind::Object).map(twin));
            }
            _ => {}
        }
        1
    }
}

/// The member's name is this one, or this one and a type.
fn may_be(member: &str, wanted: &str) -> bool {
    member.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.as_bytes()[0].is_ascii_uppercase())
}
