//! The shape of a Bundle by its type. Spec: <https://hl7.org/fhir/STU3/bundle.html>.

use super::{document, request};
use crate::{
    fhir::{Kind, NodeId},
    validate::{
        context::{BundleScope, Context, items, restful, string, version},
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/bundle.html";
const FULL_URL: &str = "https://hl7.org/fhir/STU3/bundle-definitions.html#Bundle.entry.fullUrl";

static BDL_1: Rule = Rule::error("bdl-1", "invariant", PAGE);
static BDL_2: Rule = Rule::error("bdl-2", "invariant", PAGE);
static BDL_3: Rule = Rule::error("bdl-3", "invariant", PAGE);
static BDL_4: Rule = Rule::error("bdl-4", "invariant", PAGE);
static BDL_5: Rule = Rule::error("bdl-5", "invariant", PAGE);
static BDL_7: Rule = Rule::error("bdl-7", "invariant", PAGE);
static BDL_8: Rule = Rule::error("bdl-8", "invariant", PAGE);
static BDL_9: Rule = Rule::error("bdl-9", "invariant", PAGE);
static FULL_URL_ID: Rule = Rule::error("full-url-id", "invariant", PAGE);
static FULL_URL_MISSING: Rule = Rule::error("full-url-missing", "required", FULL_URL);

/// The page asks for a fullUrl here too, but hardly a sender writes it, and `request.url` says the same.
static FULL_URL_OF_REQUEST: Rule = Rule::warning("full-url-request", "required", FULL_URL);
static FULL_URL_RELATIVE: Rule = Rule::error("full-url-relative", "value", PAGE);
static DOCUMENT: Rule = Rule::error("document-first", "invariant", "https://hl7.org/fhir/STU3/documents.html");
static TOTAL: Rule =
    Rule::warning("bundle-total", "value", "https://hl7.org/fhir/STU3/bundle-definitions.html#Bundle.total");
static MESSAGE: Rule = Rule::error("message-first", "invariant", "https://hl7.org/fhir/STU3/messaging.html");

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[
    &BDL_1,
    &BDL_2,
    &BDL_3,
    &BDL_4,
    &BDL_5,
    &BDL_7,
    &BDL_8,
    &BDL_9,
    &FULL_URL_ID,
    &FULL_URL_MISSING,
    &FULL_URL_OF_REQUEST,
    &FULL_URL_RELATIVE,
    &DOCUMENT,
    &MESSAGE,
    &TOTAL,
];

/// The Bundle as a whole; its index stands in the context.
pub(crate) fn check(cx: &Context<'_, '_>, bundle: NodeId, out: &mut Findings<'_>) {
    let Some(scope) = &cx.bundle else { return };
    let counted = scope.is("searchset") || scope.is("history");
    if let Some(total) = cx.document.get(bundle, "total").filter(|_| !counted) {
        let text = "total belongs to a Bundle of type searchset or history: remove it";
        out.add(cx, &BDL_1, At::below(total, ".total"), text);
    }
    if scope.is("searchset") {
        total(cx, bundle, out);
    }
    if scope.is("document") {
        identified(cx, bundle, out);
        document::check(cx, bundle, out);
    }
    let opening = match scope.kind.as_deref() {
        Some("document") => Some((&DOCUMENT, "Composition", "document")),
        Some("message") => Some((&MESSAGE, "MessageHeader", "message")),
        _ => None,
    };
    if let Some((rule, wanted, kind)) = opening {
        let first = items(cx.document, bundle, "entry").next();
        let found = first
            .and_then(|entry| cx.document.get(entry, "resource"))
            .and_then(|resource| cx.string(resource, "resourceType"));
        if found.as_deref() != Some(wanted) {
            let at = first.map_or(At::here(bundle), |entry| At::below(entry, ".entry[0]"));
            out.add(cx, rule, at, format!("a {kind} begins with a {wanted}: make it the resource of the first entry"));
        }
    }
}

/// A page of a search holds no more matches than there are in all.
fn total(cx: &Context<'_, '_>, bundle: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    let Some(place) = document.get(bundle, "total").filter(|total| document.kind(*total) == Kind::Number) else {
        return;
    };
    let matches = items(document, bundle, "entry")
        .filter_map(|entry| document.get(entry, "search"))
        .filter(|search| cx.string(*search, "mode").is_some_and(|mode| mode == "match"))
        .count();
    let stated = document.text(place).and_then(|text| text.parse::<usize>().ok());
    if stated.is_some_and(|stated| stated < matches) {
        let text = "total is the number of all matches, and there are more in this page alone: correct it";
        out.add(cx, &TOTAL, At::below(place, ".total"), text);
    }
}

fn identified(cx: &Context<'_, '_>, bundle: NodeId, out: &mut Findings<'_>) {
    let identifier = cx.document.get(bundle, "identifier");
    let has = |name| identifier.is_some_and(|identifier| cx.document.get(identifier, name).is_some());
    if !(has("system") && has("value")) {
        let at = identifier.map_or(At::here(bundle), |identifier| At::below(identifier, ".identifier"));
        out.add(cx, &BDL_9, at, "a document has an identifier with system and value: add them");
    }
}

/// One entry; the path has reached it.
pub(crate) fn entry(cx: &mut Context<'_, '_>, entry: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    // the entry's parts lie in it directly, and a nested Bundle has put its own scope back by now
    let Some(scope) = &mut cx.bundle else { return };
    let repeated = repeats(scope, document, entry);
    let Some(scope) = &cx.bundle else { return };
    let (search, request, response) =
        (document.get(entry, "search"), document.get(entry, "request"), document.get(entry, "response"));
    let resource = document.get(entry, "resource").filter(|resource| document.kind(*resource) == Kind::Object);
    if let Some(search) = search.filter(|_| !scope.is("searchset")) {
        out.add(cx, &BDL_2, At::below(search, ".search"), "search belongs to a Bundle of type searchset: remove it");
    }
    let requested = scope.is("batch") || scope.is("transaction");
    if let Some(request) = request.filter(|_| !(requested || scope.is("history"))) {
        let text = "request belongs to a Bundle of type batch, transaction or history: remove it, or set the type";
        out.add(cx, &BDL_3, At::below(request, ".request"), text);
    }
    let answered = scope.is("batch-response") || scope.is("transaction-response");
    if let Some(response) = response.filter(|_| !answered) {
        let text = "response belongs to a Bundle of type batch-response or transaction-response: remove it";
        out.add(cx, &BDL_4, At::below(response, ".response"), text);
    }
    if document.get(entry, "resource").is_none() && request.is_none() && response.is_none() {
        out.add(
            cx,
            &BDL_5,
            At::here(entry),
            "an entry has a resource, a request or a response: add one, or remove the entry",
        );
    }
    if let Some(full_url) = document.get(entry, "fullUrl") {
        if repeated {
            let text = "an earlier entry has the same fullUrl (and version): give each entry its own";
            out.add(cx, &BDL_7, At::below(full_url, ".fullUrl"), text);
        }
        check_full_url(cx, full_url, resource, out);
    } else if let Some(resource) = resource.filter(|_| !answered) {
        let at = At::below(resource, ".resource");
        let said = |part: Option<NodeId>, name, wanted| {
            part.and_then(|part| cx.string(part, name)).is_some_and(|found| found == wanted)
        };
        // a POST makes a resource that has no address yet; the outcome of a search never has one
        if requested && !said(request, "method", "POST") {
            let text = "an entry has a fullUrl unless it is a POST: write the address of the resource";
            out.add(cx, &FULL_URL_OF_REQUEST, at, text);
        } else if !requested && !said(search, "mode", "outcome") {
            let text = "an entry has a fullUrl: write the address of the resource, or urn:uuid: with a new UUID";
            out.add(cx, &FULL_URL_MISSING, at, text);
        }
    }
    if let Some(composition) = resource.filter(|_| scope.is("document") && scope.entry == 0) {
        document::composition(cx, scope, composition, out);
    }
    if answered {
        request::check_response(cx, entry, resource, out);
    } else if requested {
        request::check(cx, entry, resource, out);
    }
}

/// The entry has fullUrl and version of an earlier one.
fn repeats<'d>(scope: &mut BundleScope<'d>, document: &'d crate::fhir::Document<'d>, entry: NodeId) -> bool {
    let Some(full_url) = string(document, entry, "fullUrl") else { return false };
    let first = scope.at(&full_url).map(|first| first.node);
    let Some(first) = first.filter(|first| *first != entry) else { return false };
    scope.versions.insert((full_url.clone(), version(document, first)));
    !scope.versions.insert((full_url, version(document, entry)))
}

fn check_full_url(cx: &Context<'_, '_>, full_url: NodeId, resource: Option<NodeId>, out: &mut Findings<'_>) {
    let Some(text) = cx.document.text(full_url).filter(|_| cx.document.kind(full_url) == Kind::String) else { return };
    let at = || At::below(full_url, ".fullUrl");
    if text.contains("/_history/") {
        return out.add(cx, &BDL_8, at(), "a fullUrl names no version: remove /_history/ and what follows");
    }
    if !text.is_empty() && !text.contains(':') {
        let text = "a fullUrl is absolute: write the whole URL, or urn:uuid: with a new UUID";
        return out.add(cx, &FULL_URL_RELATIVE, at(), text);
    }
    let (Some((_, resource_type, id)), Some(resource)) = (restful(&text), resource) else { return };
    let (own_type, own_id) = (cx.string(resource, "resourceType"), cx.string(resource, "id"));
    let disagrees = own_type.is_some_and(|own| own != resource_type) || own_id.is_some_and(|own| own != id);
    if disagrees {
        let text = "the fullUrl ends with another type or id than the resource has: make them agree";
        out.add(cx, &FULL_URL_ID, at(), text);
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{bundle, findings};

    const PATIENT: &str = r#""resource":{"resourceType":"Patient","id":"1"}"#;

    fn entry(rest: &str) -> String {
        format!("{{{PATIENT}{rest}}}")
    }

    #[test]
    fn parts_belong_to_their_type_of_bundle() {
        let entry =
            entry(r#","search":{"mode":"match"},"request":{"method":"GET","url":"a"},"response":{"status":"200"}"#);
        let source = bundle("collection", &[&entry, r#"{"fullUrl":"urn:oid:1.2"}"#])
            .replace("\"entry\"", "\"total\":1,\"entry\"");
        let expected = [
            "bdl-1 Bundle.total",
            "full-url-missing Bundle.entry[0].resource",
            "bdl-2 Bundle.entry[0].search",
            "bdl-3 Bundle.entry[0].request",
            "bdl-4 Bundle.entry[0].response",
            "bdl-5 Bundle.entry[1]",
        ];
        assert_eq!(findings(&source), expected);
    }

    #[test]
    fn full_urls_are_unique_absolute_and_agree_with_the_id() {
        let at = |full_url: &str| entry(&format!(r#","fullUrl":"{full_url}""#));
        let urls = [
            "http://a.org/Patient/1",
            "http://a.org/Patient/1",
            "http://a.org/Patient/2",
            "Patient/1",
            "http://a.org/Patient/1/_history/2",
        ];
        let entries: Vec<String> = urls.into_iter().map(at).collect();
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        let expected = [
            "bdl-7 Bundle.entry[1].fullUrl",
            "full-url-id Bundle.entry[2].fullUrl",
            "full-url-relative Bundle.entry[3].fullUrl",
            "bdl-8 Bundle.entry[4].fullUrl",
        ];
        assert_eq!(findings(&bundle("collection", &entries)), expected);
    }

    #[test]
    fn versions_tell_equal_full_urls_apart() {
        let version = |version: &str| {
            format!(
                r#"{{"fullUrl":"http://a.org/Patient/1","resource":{{"resourceType":"Patient","id":"1","meta":{{"versionId":"{version}"}}}}}}"#
            )
        };
        let (one, two) = (version("1"), version("2"));
        assert_eq!(findings(&bundle("collection", &[&one, &two])), Vec::<String>::new());
        assert_eq!(findings(&bundle("collection", &[&one, &two, &two])), ["bdl-7 Bundle.entry[2].fullUrl"]);
    }

    #[test]
    fn a_page_holds_no_more_matches_than_there_are() {
        let page = |total: u32, mode: &str| {
            let entry = entry(&format!(r#","fullUrl":"http://a.org/Patient/1","search":{{"mode":"{mode}"}}"#));
            findings(&bundle("searchset", &[&entry]).replace("\"entry\"", &format!("\"total\":{total},\"entry\"")))
        };
        assert_eq!(page(1, "match"), Vec::<String>::new());
        assert_eq!(page(0, "include"), Vec::<String>::new());
        assert_eq!(page(0, "match"), ["bundle-total Bundle.total"]);
    }

    #[test]
    fn documents_and_messages_have_their_opening() {
        assert_eq!(
            findings(&bundle("document", &[&entry("")])),
            [
                "bdl-9 Bundle",
                "document-date Bundle",
                "document-first Bundle.entry[0]",
                "full-url-missing Bundle.entry[0].resource"
            ]
        );
        assert_eq!(
            findings(&bundle("message", &[&entry("")])),
            ["message-first Bundle.entry[0]", "full-url-missing Bundle.entry[0].resource"]
        );
    }
}
