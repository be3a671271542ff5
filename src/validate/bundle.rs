//! A Bundle as the rooms after the inspection see it: a view of the document, nothing copied.

use super::context::{items, string};
use crate::{
    fhir::{
        Document, NodeId,
        path::{Expression, PathError},
    },
    model::BundleFacts,
    stu3,
};
use std::borrow::Cow;

/// A Bundle in a document.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'d> {
    document: &'d Document<'d>,
}

/// One entry of a Bundle.
#[derive(Clone, Debug)]
pub struct Entry<'d> {
    /// The entry's object.
    pub node: NodeId,
    /// `fullUrl`.
    pub full_url: Option<Cow<'d, str>>,
    /// The resource's object.
    pub resource: Option<NodeId>,
    /// The resource's type.
    pub resource_type: Option<Cow<'d, str>>,
    /// `request.method`.
    pub method: Option<Cow<'d, str>>,
    /// `request.url`.
    pub url: Option<Cow<'d, str>>,
    /// `request.ifNoneExist`.
    pub if_none_exist: Option<Cow<'d, str>>,
}

impl<'d> Bundle<'d> {
    /// The document's root, where it calls itself a Bundle.
    pub(super) fn of(document: &'d Document<'d>) -> Option<Self> {
        let named = string(document, document.root(), "resourceType");
        (named.as_deref() == Some("Bundle")).then_some(Self { document })
    }

    /// The whole document.
    pub const fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// The Bundle's object.
    pub fn node(&self) -> NodeId {
        self.document.root()
    }

    /// `Bundle.type`; empty where it is missing.
    pub fn bundle_type(&self) -> Cow<'d, str> {
        string(self.document, self.document.root(), "type").unwrap_or_default()
    }

    /// All entries in their order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'d>> + use<'d> {
        let document = self.document;
        items(document, document.root(), "entry").map(move |node| Entry::of(document, node))
    }

    /// The values of an expression on the Bundle, as text.
    ///
    /// # Errors
    /// As [`Expression::texts`].
    pub fn values(&self, expression: &Expression) -> Result<Vec<String>, PathError> {
        expression.texts(self.document, stu3::release())
    }

    /// What reports say of the Bundle's shape.
    pub fn facts(&self) -> BundleFacts {
        let bundle_type = self.bundle_type();
        let mut facts = BundleFacts {
            bundle_type: bundle_type.into_owned(),
            from_xml: self.document.is_xml(),
            ..BundleFacts::default()
        };
        let processed = matches!(facts.bundle_type.as_str(), "batch" | "transaction");
        let (mut entries, mut harmless) = (0_usize, 0_usize);
        for entry in self.entries() {
            entries += 1;
            harmless += usize::from(entry.is_idempotent());
            if let Some(resource_type) = entry.resource_type {
                *facts.entries.entry(resource_type.into_owned()).or_default() += 1;
            }
        }
        facts.idempotent = processed && entries > 0 && harmless == entries;
        facts
    }
}

impl<'d> Entry<'d> {
    fn of(document: &'d Document<'d>, node: NodeId) -> Self {
        let resource = document.get(node, "resource");
        let request = document.get(node, "request");
        let requested = |name| request.and_then(|request| string(document, request, name));
        Self {
            node,
            full_url: string(document, node, "fullUrl"),
            resource,
            resource_type: resource.and_then(|resource| string(document, resource, "resourceType")),
            method: requested("method"),
            url: requested("url"),
            if_none_exist: requested("ifNoneExist"),
        }
    }

    /// Processing the entry twice does what processing it once does: PUT, DELETE, GET, or POST with `ifNoneExist`.
    pub fn is_idempotent(&self) -> bool {
        match self.method.as_deref() {
            Some("PUT" | "DELETE" | "GET") => true,
            Some("POST") => self.if_none_exist.is_some(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        fhir::json::{self, Limits},
        validate::{Policy, Validator, testing::bundle},
    };

    const POST: &str = r#"{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}"#;
    const PUT: &str =
        r#"{"resource":{"resourceType":"Patient","id":"1"},"request":{"method":"PUT","url":"Patient/1"}}"#;

    fn facts(source: &str) -> crate::model::BundleFacts {
        let document = json::read(source.as_bytes(), &Limits::default()).unwrap();
        let (bundle, _) = Validator::new().bundle(&document, &Policy::default()).unwrap();
        bundle.facts()
    }

    #[test]
    fn idempotent_only_where_every_entry_is() {
        let careful = POST.replace("\"method\"", "\"ifNoneExist\":\"identifier=a\",\"method\"");
        assert!(facts(&bundle("batch", &[PUT, &careful])).idempotent);
        let mixed = facts(&bundle("batch", &[PUT, POST]));
        assert!(!mixed.idempotent);
        assert_eq!(mixed.entries["Patient"], 2);
        assert!(!facts(r#"{"resourceType":"Bundle","type":"batch"}"#).idempotent);
        assert!(!facts(r#"{"resourceType":"Bundle","type":"collection"}"#).idempotent);
    }

    #[test]
    fn entries_show_their_request() {
        let source = bundle("batch", &[PUT]);
        let document = json::read(source.as_bytes(), &Limits::default()).unwrap();
        let (bundle, outcome) = Validator::new().bundle(&document, &Policy::default()).unwrap();
        assert!(outcome.valid());
        let entry = bundle.entries().next().unwrap();
        assert_eq!((entry.method.as_deref(), entry.url.as_deref()), (Some("PUT"), Some("Patient/1")));
        assert_eq!(entry.resource_type.as_deref(), Some("Patient"));
    }

    #[test]
    fn other_resources_are_no_bundle() {
        let document = json::read(br#"{"resourceType":"Patient"}"#, &Limits::default()).unwrap();
        let refused = Validator::new().bundle(&document, &Policy::default()).unwrap_err();
        assert_eq!(refused.findings[0].key, "not-a-bundle");
    }
}
