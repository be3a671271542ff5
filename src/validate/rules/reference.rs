//! Where references lead. Spec: <https://hl7.org/fhir/STU3/references.html>,
//! <https://hl7.org/fhir/STU3/bundle.html#references>.

use crate::{
    fhir::{
        Document, NodeId,
        path::Resolution,
        primitive::{has_scheme, is_id},
        scan::until,
    },
    stu3::Way,
    validate::{
        context::{BundleScope, BundleTarget, Context, restful},
        issue::{At, Findings, Rule},
    },
};
use std::borrow::Cow;

const PAGE: &str = "https://hl7.org/fhir/STU3/references.html";
const BUNDLE: &str = "https://hl7.org/fhir/STU3/bundle.html#references";

static REF_1: Rule = Rule::error("ref-1", "invariant", PAGE);
static UNRESOLVED: Rule = Rule::error("reference-unresolved", "not-found", BUNDLE);
static TARGET: Rule = Rule::error("reference-target", "structure", PAGE);

/// "Literal References": a relative reference is relative to the base of a FHIR service (in a Bundle to that of the
/// entry's fullUrl), below which resources lie at type and id; and a reference has to lead to a resource that is there.
/// A type that the release does not have, or an id that cannot be one, leads nowhere.
static RELATIVE: Rule = Rule::error("reference-relative", "value", PAGE);

/// Resources need not lie where a FHIR server puts them.
static FORMAT: Rule = Rule::warning("reference-format", "value", PAGE);

/// "Conditional References": in a transaction, and nowhere else, a search may stand for the address of a resource; it
/// begins with a resource's type.
static CONDITIONAL: Rule =
    Rule::error("reference-conditional", "business-rule", "https://hl7.org/fhir/STU3/http.html#transaction");
static BASE: Rule = Rule::warning("reference-base", "not-found", BUNDLE);
static BATCH: Rule =
    Rule::warning("reference-batch", "business-rule", "https://hl7.org/fhir/STU3/http.html#transaction");

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&REF_1, &UNRESOLVED, &TARGET, &RELATIVE, &FORMAT, &CONDITIONAL, &BASE, &BATCH];

/// A Reference of an element that may lead to these types.
pub(crate) fn check(cx: &Context<'_, '_>, way: &Way, node: NodeId, out: &mut Findings<'_>) {
    let Some(reference) = cx.string(node, "reference") else { return };
    let place = cx.document.get(node, "reference").unwrap_or(node);
    let at = || At::below(place, ".reference");
    if let Some(id) = reference.strip_prefix('#') {
        let Some(target) = cx.resource.contained.get(id) else {
            if !id.is_empty() {
                let text = "no contained resource has this id: add it to contained, or correct the reference";
                out.add(cx, &REF_1, at(), text);
            }
            return;
        };
        return check_type(cx, way, target.resource_type.as_deref(), at(), out);
    }
    if !has_scheme(&reference) {
        relative(cx, &reference, at(), out);
    }
    let target = cx.bundle.as_ref().and_then(|bundle| Some((bundle, resolve(cx.document, bundle, &reference)?)));
    if let Some((bundle, target)) = target {
        check_type(cx, way, target.resource_type.as_deref(), at(), out);
        if bundle.is("batch") && target.entry != bundle.entry {
            let text = "entries of a batch are processed one by one and must not refer to each other: \
                        a receiver may not resolve this; a transaction may hold such references";
            out.add(cx, &BATCH, at(), text);
        }
        return;
    }
    let urn = reference.starts_with("urn:uuid:") || reference.starts_with("urn:oid:");
    if urn && cx.bundle.is_some() {
        let text = "no entry of the Bundle has this fullUrl: add the resource, or correct the reference";
        return out.add(cx, &UNRESOLVED, at(), text);
    }
    let unversioned = unversioned(&reference);
    // what leads to another version than that of the Bundle leads outside
    let missed = |bundle: &BundleScope<'_>| {
        resolve(cx.document, bundle, unversioned).is_none() && bundle.holds(cx.document, unversioned)
    };
    if cx.bundle.as_ref().is_some_and(missed) {
        let text = "an entry has this type and id, but its fullUrl is not what this reference means here \
                    (the base of this entry's fullUrl, and then the reference): refer to the fullUrl, or correct it";
        out.add(cx, &BASE, at(), text);
    }
    check_type(cx, way, named_type(&reference), at(), out);
}

/// What stands between the address of a resource and the version.
const HISTORY: &str = "/_history/";

fn unversioned(reference: &str) -> &str {
    split_version(reference).0
}

/// An address without the version, and the version.
fn split_version(reference: &str) -> (&str, Option<&str>) {
    // hardly one has the character that it begins to look for
    if !holds(reference, [b'_']) {
        return (reference, None);
    }
    reference.split_once(HISTORY).map_or((reference, None), |(unversioned, version)| (unversioned, Some(version)))
}

/// One of these characters of ASCII stands in the text.
fn holds<const N: usize>(text: &str, any: [u8; N]) -> bool {
    until(text.as_bytes(), any) < text.len()
}

/// A reference without a scheme: `Type/id`, with a version or not; in a transaction `Type?name=value` too.
fn relative(cx: &Context<'_, '_>, reference: &str, at: At<'_>, out: &mut Findings<'_>) {
    let known = |name: &str| cx.release.resource(name).is_some();
    let question = until(reference.as_bytes(), [b'?']);
    if question < reference.len() {
        let name = &reference[..question];
        if !cx.bundle.as_ref().is_some_and(|bundle| bundle.is("transaction")) {
            let text = "a reference by search (Type?name=value) is for entries of a transaction alone: \
                        refer to the resource by its address, or send a transaction";
            out.add(cx, &CONDITIONAL, at, text);
        } else if !known(name) {
            let text = "a reference by search begins with the type of a resource (Type?name=value), \
                        and the release has no such type: correct it";
            out.add(cx, &CONDITIONAL, at, text);
        }
        return;
    }
    let mut parts = reference.split('/');
    let (name, id, history, version) = (parts.next().unwrap_or_default(), parts.next(), parts.next(), parts.next());
    let shaped = name.starts_with(|first: char| first.is_ascii_uppercase())
        && id.is_some()
        && matches!(history, None | Some("_history"))
        && parts.next().is_none();
    if !shaped {
        let text = "a relative reference is type and id of a resource (Patient/1): \
                    write it so, or write the absolute address";
        out.add(cx, &FORMAT, at, text);
    } else if !known(name) || !id.is_some_and(is_id) || history.is_some() != version.is_some_and(is_id) {
        let text = "a relative reference is type and id of a resource, as in Patient/1, and this type or id cannot be: \
                    correct it";
        out.add(cx, &RELATIVE, at, text);
    }
}

/// The Reference is known to lead to a resource of none of these types; `Resource` is any.
pub(super) fn leads_elsewhere(cx: &Context<'_, '_>, node: NodeId, targets: &[&str]) -> bool {
    let Some(reference) = cx.string(node, "reference") else { return false };
    if let Some(id) = reference.strip_prefix('#') {
        let target = cx.resource.contained.get(id).and_then(|target| target.resource_type.as_deref());
        return target.is_some_and(|found| !admits(targets, found));
    }
    let entry = cx.bundle.as_ref().and_then(|bundle| resolve(cx.document, bundle, &reference));
    let found = entry.map_or_else(|| named_type(&reference), |entry| entry.resource_type.as_deref());
    found.is_some_and(|found| !admits(targets, found))
}

fn admits(targets: &[&str], found: &str) -> bool {
    targets.is_empty() || targets.iter().any(|target| *target == found || *target == "Resource")
}

/// The entry that a reference leads to: by fullUrl, or relative to the base of the entry's own fullUrl; and by version,
/// where it names one.
pub(super) fn resolve<'b, 'd>(
    document: &Document<'_>,
    bundle: &'b BundleScope<'d>,
    reference: &str,
) -> Option<&'b BundleTarget<'d>> {
    let (unversioned, version) = split_version(reference);
    let full_url = if holds(unversioned, [b':']) {
        Cow::Borrowed(unversioned)
    } else {
        let base = bundle.base.as_deref()?;
        Cow::Owned(format!("{base}{unversioned}"))
    };
    match version {
        Some(version) => bundle.at_version(document, &full_url, version),
        None => bundle.at(&full_url),
    }
}

/// The resource type that a literal reference names itself: `Patient/1`, `http://server/Patient/1`.
fn named_type(reference: &str) -> Option<&str> {
    let unversioned = unversioned(reference);
    if holds(unversioned, [b':']) {
        return restful(unversioned).map(|(_, resource_type, _)| resource_type);
    }
    let end = until(unversioned.as_bytes(), [b'/', b'?']);
    Some(&unversioned[..end])
        .filter(|name| name.len() < unversioned.len())
        .filter(|name| crate::stu3::release().resource(name).is_some())
}

/// Where a literal reference leads, for FHIRPath's `resolve()`.
pub(crate) fn lead(cx: &Context<'_, '_>, reference: &str) -> Resolution {
    if let Some(id) = reference.strip_prefix('#') {
        let found = if id.is_empty() {
            Some(cx.resource.outermost)
        } else {
            cx.resource.contained.get(id).map(|target| target.node)
        };
        return found.map_or(Resolution::Unknown, Resolution::Found);
    }
    let entry = cx.bundle.as_ref().and_then(|bundle| resolve(cx.document, bundle, reference)).map(|target| target.node);
    match entry.and_then(|entry| cx.document.get(entry, "resource")) {
        Some(resource) => Resolution::Found(resource),
        None => named_type(reference).map_or(Resolution::Unknown, |name| Resolution::Type(name.to_owned())),
    }
}

fn check_type(cx: &Context<'_, '_>, way: &Way, found: Option<&str>, at: At<'_>, out: &mut Findings<'_>) {
    let Some(found) = found else { return };
    let targets = cx.release.targets(way);
    if admits(targets, found) {
        return;
    }
    let wanted: Cow<'_, str> = targets.join(", ").into();
    out.add(cx, &TARGET, at, format!("this leads to a resource of the wrong type: it has to be one of {wanted}"));
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{bundle, findings};

    const PATIENT: &str =
        r#"{"fullUrl":"http://example.org/fhir/Patient/1","resource":{"resourceType":"Patient","id":"1"}}"#;

    fn observation(full_url: &str, subject: &str) -> String {
        format!(
            r#"{{"fullUrl":"{full_url}","resource":{{"resourceType":"Observation","status":"final","code":{{"text":"a"}},"subject":{{"reference":"{subject}"}}}}}}"#
        )
    }

    fn found(subject: &str) -> Vec<String> {
        findings(&bundle("collection", &[PATIENT, &observation("http://example.org/fhir/Observation/2", subject)]))
    }

    #[test]
    fn fragments_lead_to_contained_resources() {
        let source = r##"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a"}],
            "managingOrganization":{"reference":"#o"},"generalPractitioner":[{"reference":"#p"}],
            "link":[{"other":{"reference":"#o"},"type":"refer"}]}"##;
        let expected =
            ["ref-1 Patient.generalPractitioner[0].reference", "reference-target Patient.link[0].other.reference"];
        assert_eq!(findings(source), expected);
    }

    #[test]
    fn references_resolve_inside_the_bundle() {
        assert_eq!(found("http://example.org/fhir/Patient/1"), Vec::<String>::new());
        assert_eq!(found("Patient/1/_history/3"), Vec::<String>::new());
        assert_eq!(found("Patient/9"), Vec::<String>::new(), "not here, and nothing says that it has to be");
        assert_eq!(found("urn:uuid:1"), ["reference-unresolved Bundle.entry[1].resource.subject.reference"]);
    }

    #[test]
    fn a_reference_to_a_version_leads_to_that_version() {
        let version = |kind: &str, version: &str| {
            format!(
                r#"{{"fullUrl":"http://example.org/fhir/Patient/1","resource":{{"resourceType":"{kind}","id":"1","meta":{{"versionId":"{version}"}}}}}}"#
            )
        };
        // the second is of another type, so that it is seen which one was meant
        let (patient, other) = (version("Patient", "1"), version("Practitioner", "2"));
        let found = |subject: &str| {
            let observation = observation("http://example.org/fhir/Observation/2", subject);
            let found = findings(&bundle("collection", &[&patient, &other, &observation]));
            found.into_iter().filter(|finding| finding.starts_with("reference")).collect::<Vec<_>>()
        };
        assert_eq!(found("Patient/1/_history/1"), Vec::<String>::new());
        let expected = ["reference-target Bundle.entry[2].resource.subject.reference"];
        assert_eq!(found("http://example.org/fhir/Patient/1/_history/2"), expected);
        assert_eq!(found("Patient/1/_history/3"), Vec::<String>::new(), "it lies elsewhere");
    }

    #[test]
    fn an_entry_that_is_meant_but_not_reached_is_told() {
        let other = observation("urn:oid:2.999.1", "Patient/1");
        let expected = ["reference-base Bundle.entry[1].resource.subject.reference"];
        assert_eq!(findings(&bundle("collection", &[PATIENT, &other])), expected);
    }

    #[test]
    fn types_are_judged_where_they_are_known() {
        let expected = ["reference-target Bundle.entry[1].resource.subject.reference"];
        assert_eq!(found("Observation/2"), expected);
        assert_eq!(found("Practitioner/1"), expected);
        assert_eq!(found("http://other.example.org/Practitioner/1"), expected);
    }

    #[test]
    fn relative_references_are_type_and_id() {
        let at = |key: &str| [format!("{key} Bundle.entry[1].resource.subject.reference")];
        for good in ["Patient/1", "Patient/1/_history/2", "Group/a.b-C"] {
            assert_eq!(found(good), Vec::<String>::new(), "{good}");
        }
        for bad in ["Patients/1", "Patient/a_b", "Patient/", "Patient/1/_history/", "Patient/1/_history"] {
            assert_eq!(found(bad), at("reference-relative"), "{bad}");
        }
        for odd in ["12345", "fhir/Patient/1", "../Patient/1", "Patient/1/2"] {
            assert_eq!(found(odd), at("reference-format"), "{odd}");
        }
    }

    #[test]
    fn searches_are_for_transactions() {
        let at = ["reference-conditional Bundle.entry[1].resource.subject.reference"];
        assert_eq!(found("Patient?identifier=a"), at);
        let request = r#","request":{"method":"POST","url":"Observation"}}"#;
        let other = observation("http://example.org/fhir/Observation/2", "Patient?identifier=http://a.org|b");
        let other = format!("{}{request}", other.strip_suffix('}').unwrap());
        assert_eq!(findings(&bundle("transaction", &[&other])), Vec::<String>::new());
        let unknown = other.replace("Patient?", "Patients?");
        assert_eq!(
            findings(&bundle("transaction", &[&unknown])),
            ["reference-conditional Bundle.entry[0].resource.subject.reference"]
        );
    }

    #[test]
    fn entries_of_a_batch_that_need_each_other_are_a_warning() {
        let request = r#","request":{"method":"POST","url":"X"}}"#;
        let patient = PATIENT.replace("\"}}", &format!("\"}}{}", request.replace('X', "Patient")));
        let other = observation("http://example.org/fhir/Observation/2", "Patient/1");
        let other = format!("{}{}", other.strip_suffix('}').unwrap(), request.replace('X', "Observation"));
        let source = bundle("batch", &[&patient, &other]);
        assert_eq!(findings(&source), ["reference-batch Bundle.entry[1].resource.subject.reference"]);
        assert_eq!(findings(&source.replace("batch", "transaction")), Vec::<String>::new());
    }
}
