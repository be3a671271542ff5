//! What an expression is evaluated in: the document and its types, and whom to ask what neither tells.

use super::Element;
use crate::fhir::{Document, NodeId, Schema};

/// Where a reference leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// A resource of the document.
    Found(NodeId),
    /// A resource that is not here; the reference names its type.
    Type(String),
    /// It cannot be told.
    Unknown,
}

/// Finds what references lead to.
pub trait Resolve {
    /// Where a literal reference leads: `Patient/1`, `#p`, `urn:uuid:..`.
    fn resolve(&self, reference: &str) -> Resolution;
}

/// Nothing is found.
#[derive(Clone, Copy, Debug)]
pub struct Unresolving;

impl Resolve for Unresolving {
    fn resolve(&self, _: &str) -> Resolution {
        Resolution::Unknown
    }
}

/// Knows which codes value sets have.
pub trait ValueSets {
    /// Whether the value set with this canonical URL has a code; a `code` element names no system. `None` where that
    /// cannot be told.
    fn has(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool>;
}

/// No value set is known.
#[derive(Clone, Copy, Debug)]
pub struct NoValueSets;

impl ValueSets for NoValueSets {
    fn has(&self, _: &str, _: Option<&str>, _: &str) -> Option<bool> {
        None
    }
}

/// What an expression is evaluated in.
#[derive(Clone, Copy)]
pub struct Environment<'e, 'd> {
    /// The document.
    pub document: &'d Document<'d>,
    /// Its types.
    pub schema: &'e dyn Schema,
    /// `%resource`: the resource around the focus.
    pub resource: NodeId,
    /// `%rootResource`: the resource around that, where it is contained.
    pub root_resource: NodeId,
    /// For `resolve()`.
    pub resolver: &'e dyn Resolve,
    /// For `memberOf()`.
    pub value_sets: &'e dyn ValueSets,
    /// For `now()` and `today()`: a dateTime; without one they have no value, because this room reads no clock.
    pub now: Option<&'e str>,
    /// Variables that only some expressions know, by their names without `%`.
    pub variables: &'e [(&'e str, Element)],
}

impl<'e, 'd> Environment<'e, 'd> {
    /// For expressions on the whole document.
    pub fn of(document: &'d Document<'d>, schema: &'e dyn Schema) -> Self {
        let root = document.root();
        Self {
            document,
            schema,
            resource: root,
            root_resource: root,
            resolver: &Unresolving,
            value_sets: &NoValueSets,
            now: None,
            variables: &[],
        }
    }

    /// The document's root as an element.
    pub fn root(&self) -> Element {
        self.element(self.document.root(), Some(crate::fhir::Content::Resource))
    }
}
