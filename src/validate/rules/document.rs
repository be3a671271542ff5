//! A document: a Bundle that begins with a Composition and holds what that refers to.
//! Spec: <https://hl7.org/fhir/STU3/documents.html#bundle>.

use super::reference;
use crate::{
    fhir::{Kind, NodeId},
    validate::{
        context::{BundleScope, Context},
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/documents.html#bundle";

static DATE: Rule = Rule::error("document-date", "required", "https://hl7.org/fhir/STU3/documents.html");

/// "Document Content": the resources that the Composition refers to in [`INCLUDED`] have to be in the Bundle when the
/// document is put together; what those refer to in turn may stay outside.
static REFERENCE: Rule = Rule::error("document-reference", "not-found", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&DATE, &REFERENCE];

/// The Bundle as a whole.
pub(crate) fn check(cx: &Context<'_, '_>, bundle: NodeId, out: &mut Findings<'_>) {
    let meta = cx.document.get(bundle, "meta");
    if meta.is_none_or(|meta| cx.document.get(meta, "lastUpdated").is_none()) {
        let at = meta.map_or(At::here(bundle), |meta| At::below(meta, ".meta"));
        out.add(cx, &DATE, at, "a document says when it was put together: add meta.lastUpdated");
    }
}

/// The elements of a Composition whose targets belong to the document.
const INCLUDED: [&[&str]; 7] = [
    &["subject"],
    &["encounter"],
    &["author"],
    &["custodian"],
    &["attester", "party"],
    &["event", "detail"],
    &["section", "entry"],
];

/// The first entry's resource; the path has reached the entry.
pub(crate) fn composition(cx: &Context<'_, '_>, scope: &BundleScope<'_>, resource: NodeId, out: &mut Findings<'_>) {
    if cx.string(resource, "resourceType").as_deref() == Some("Composition") {
        for path in INCLUDED {
            follow(cx, scope, path, (resource, ".resource".to_owned()), out);
        }
    }
}

/// Goes down a path, through all items and through sections in sections, to the References at its end.
fn follow(
    cx: &Context<'_, '_>,
    scope: &BundleScope<'_>,
    path: &[&str],
    (node, tail): (NodeId, String),
    out: &mut Findings<'_>,
) {
    let document = cx.document;
    let [name, rest @ ..] = path else { return included(cx, scope, node, &tail, out) };
    let Some(member) = document.get(node, name) else { return };
    if document.kind(member) != Kind::Array {
        return follow(cx, scope, rest, (member, format!("{tail}.{name}")), out);
    }
    for (index, item) in document.children(member).enumerate() {
        let tail = format!("{tail}.{name}[{index}]");
        if *name == "section" {
            follow(cx, scope, path, (item, tail.clone()), out);
        }
        follow(cx, scope, rest, (item, tail), out);
    }
}

/// A Reference that leads to an entry; urn references that lead nowhere are another family's finding.
fn included(cx: &Context<'_, '_>, scope: &BundleScope<'_>, node: NodeId, tail: &str, out: &mut Findings<'_>) {
    let (Some(place), Some(reference)) = (cx.document.get(node, "reference"), cx.string(node, "reference")) else {
        return;
    };
    if reference.is_empty() || reference.starts_with(['#']) || reference.starts_with("urn:") {
        return;
    }
    if reference::resolve(cx.document, scope, &reference).is_none() {
        let text = "a document holds what its Composition refers to, and no entry has this address as its fullUrl: \
                    add the resource, or correct the reference";
        out.add(cx, &REFERENCE, At::below(place, format!("{tail}.reference")), text);
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::findings;

    fn document(subject: &str, section: &str) -> String {
        format!(
            r#"{{"resourceType":"Bundle","identifier":{{"system":"http://a.org","value":"1"}},"meta":{{"lastUpdated":"2020-01-01T00:00:00Z"}},
            "type":"document","entry":[{{"fullUrl":"http://a.org/Composition/1","resource":{{"resourceType":"Composition","id":"1",
            "status":"final","type":{{"text":"a"}},"subject":{{"reference":"{subject}"}},"date":"2020","title":"b",
            "author":[{{"reference":"Patient/1"}}],"section":[{{"section":[{{"entry":[{{"reference":"{section}"}}]}}]}}]}}}},
            {{"fullUrl":"http://a.org/Patient/1","resource":{{"resourceType":"Patient","id":"1"}}}}]}}"#
        )
    }

    #[test]
    fn what_a_composition_refers_to_is_there() {
        assert_eq!(findings(&document("Patient/1", "http://a.org/Patient/1")), Vec::<String>::new());
        let expected = [
            "document-reference Bundle.entry[0].resource.subject.reference",
            "document-reference Bundle.entry[0].resource.section[0].section[0].entry[0].reference",
        ];
        assert_eq!(findings(&document("Patient/2", "http://b.org/Patient/1")), expected);
        let version = document("Patient/1/_history/2", "Patient/1/_history/1")
            .replace(r#""Patient","id":"1""#, r#""Patient","id":"1","meta":{"versionId":"1"}"#);
        assert_eq!(findings(&version), ["document-reference Bundle.entry[0].resource.subject.reference"]);
        let nowhere = document("urn:uuid:1", "Patient/1");
        assert_eq!(findings(&nowhere), ["reference-unresolved Bundle.entry[0].resource.subject.reference"]);
    }
}
