//! What an entry of a batch or transaction asks for, and what an entry of the answer says.
//! Spec: <https://hl7.org/fhir/STU3/http.html#transaction>, <https://hl7.org/fhir/STU3/bundle-definitions.html>.

use crate::{
    fhir::{Kind, NodeId},
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};
use std::borrow::Cow;

const TRANSACTION: &str = "https://hl7.org/fhir/STU3/http.html#transaction";
const ELEMENTS: &str = "https://hl7.org/fhir/STU3/bundle-definitions.html";

/// The elements' definitions lead each condition to one interaction: ifNoneExist to the conditional create, ifNoneMatch
/// and ifModifiedSince to the conditional read, ifMatch to contention between writers. No sentence forbids a condition
/// that its method does not know, so this is a warning.
static CONDITION: Rule = Rule::warning("request-condition", "business-rule", ELEMENTS);

/// "Transaction Processing Rules": a resource stands in a transaction once, by its identity, and a transaction in which
/// DELETE, POST and PUT meet in an identity has to fail. Batches know no such rule.
static DUPLICATE: Rule = Rule::error("request-duplicate", "duplicate", TRANSACTION);

/// The same paragraph counts what a conditional update or delete finds. The same search twice fails where it finds
/// something; where it finds nothing that is not said, so this is a warning.
static DUPLICATE_SEARCH: Rule = Rule::warning("request-duplicate-search", "duplicate", TRANSACTION);

/// An official example writes the whole search, and it is plain what is meant.
static IF_NONE_EXIST: Rule = Rule::warning("request-if-none-exist", "value", ELEMENTS);
static MISSING: Rule = Rule::error("request-missing", "required", TRANSACTION);
static RELATIVE: Rule = Rule::warning("request-relative", "value", ELEMENTS);
static RESOURCE: Rule = Rule::error("request-resource", "required", TRANSACTION);

/// The page wants a resource of POST and PUT, and shows a DELETE without one; it does not forbid more. A server passes
/// over it, so this is a warning.
static SURPLUS: Rule = Rule::warning("request-surplus", "business-rule", TRANSACTION);
static URL: Rule = Rule::error("request-url", "value", TRANSACTION);

/// "Batch/Transaction Response": each entry of the answer has to have a response that tells how its request ended.
static RESPONSE_MISSING: Rule = Rule::error("response-missing", "required", TRANSACTION);
static RESPONSE_STATUS: Rule = Rule::error("response-status", "value", ELEMENTS);
static RESPONSE_VERSION: Rule = Rule::error("response-version", "value", ELEMENTS);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[
    &CONDITION,
    &DUPLICATE,
    &DUPLICATE_SEARCH,
    &IF_NONE_EXIST,
    &MISSING,
    &RELATIVE,
    &RESOURCE,
    &SURPLUS,
    &URL,
    &RESPONSE_MISSING,
    &RESPONSE_STATUS,
    &RESPONSE_VERSION,
];

/// An entry of a batch or transaction; the path has reached it.
pub(crate) fn check(cx: &mut Context<'_, '_>, entry: NodeId, resource: Option<NodeId>, out: &mut Findings<'_>) {
    let document = cx.document;
    let Some(request) = document.get(entry, "request") else {
        let text = "an entry of a batch or transaction says what to do with it: add request with method and url";
        return out.add(cx, &MISSING, At::here(entry), text);
    };
    if document.kind(request) != Kind::Object {
        return;
    }
    let method = cx.string(request, "method").unwrap_or_default();
    conditions(cx, request, &method, out);
    let (Some(place), Some(url)) = (document.get(request, "url"), cx.string(request, "url")) else { return };
    let at = || At::below(place, ".request.url");
    if url.starts_with('/') || url.split('?').next().is_some_and(|path| path.contains("://")) {
        let text = "the url of a request is relative to the address that the Bundle is sent to: \
                    leave out the server and the first slash";
        out.add(cx, &RELATIVE, at(), text);
    }
    address(cx, request, &method, &url, resource, out);
    if matches!(method.as_ref(), "PUT" | "DELETE") && repeats(cx, &url) {
        let (rule, text) = if url.contains('?') {
            let text = "an earlier entry of the transaction writes what the same search finds: \
                        a server refuses both where it finds something, so keep one of them";
            (&DUPLICATE_SEARCH, text)
        } else {
            let text = "an earlier entry of the transaction writes the same resource: \
                        a server refuses both, so keep one of them";
            (&DUPLICATE, text)
        };
        out.add(cx, rule, at(), text);
    }
}

/// A PUT or DELETE of this address was seen before in the transaction.
fn repeats(cx: &mut Context<'_, '_>, url: &str) -> bool {
    let scope = cx.bundle.as_mut().filter(|scope| scope.is("transaction"));
    scope.is_some_and(|scope| !scope.written.insert(identity(url)))
}

/// What a request is about, however its url is written: all requests go to the server that the Bundle is sent to, so
/// type and id say it; of a search it is the type and the set of its parameters. Ids tell capitals apart.
fn identity(url: &str) -> String {
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let mut parts = path.rsplit('/').filter(|part| !part.is_empty()).map(unescaped);
    let last = parts.next().unwrap_or_default();
    let Some(query) = query else {
        return parts.next().map_or_else(|| last.to_string(), |before| format!("{before}/{last}"));
    };
    let mut parameters: Vec<Cow<'_, str>> = query.split('&').map(unescaped).collect();
    parameters.sort_unstable();
    format!("{last}?{}", parameters.join("&"))
}

/// With its percent-encoded characters as themselves: <https://www.rfc-editor.org/rfc/rfc3986#section-2.1>.
fn unescaped(text: &str) -> Cow<'_, str> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let code = after.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(byte) = code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return text.into() };
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(byte);
        rest = &after[2..];
    }
    if bytes.is_empty() {
        return text.into();
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_or(text.into(), Cow::Owned)
}

/// Conditions and the methods that know them.
fn conditions(cx: &Context<'_, '_>, request: NodeId, method: &str, out: &mut Findings<'_>) {
    let known: [(&str, &[&str]); 4] = [
        ("ifNoneExist", &["POST"]),
        ("ifMatch", &["PUT", "DELETE"]),
        ("ifNoneMatch", &["GET"]),
        ("ifModifiedSince", &["GET"]),
    ];
    for (name, methods) in known {
        let Some(condition) = cx.document.get(request, name).filter(|_| !method.is_empty()) else { continue };
        if !methods.contains(&method) {
            let text =
                format!("{name} is a condition of {} alone: remove it, or correct the method", methods.join(" and "));
            out.add(cx, &CONDITION, At::below(condition, format!(".request.{name}")), text);
        } else if cx.string(request, name).is_some_and(|query| name == "ifNoneExist" && query.contains('?')) {
            let text = "ifNoneExist is what follows the question mark of a search, as in identifier=system|value: \
                        leave out the rest";
            out.add(cx, &IF_NONE_EXIST, At::below(condition, ".request.ifNoneExist"), text);
        }
    }
}

/// `request.url` fits the method and the resource.
fn address(
    cx: &Context<'_, '_>,
    request: NodeId,
    method: &str,
    url: &str,
    resource: Option<NodeId>,
    out: &mut Findings<'_>,
) {
    // an operation (`$name`) or a search by POST decides itself what it takes
    if url.contains('$') || url.contains("_search") {
        return;
    }
    let place = cx.document.get(request, "url").unwrap_or(request);
    let path = url.split('?').next().unwrap_or_default();
    let mut parts = path.rsplit('/').filter(|part| !part.is_empty());
    let (last, before) = (parts.next().unwrap_or_default(), parts.next());
    let conditional = url.contains('?');
    let (fits, wanted) = match (method, resource) {
        ("POST" | "PUT", None) => {
            let text = "POST and PUT carry a resource: add it to the entry";
            return out.add(cx, &RESOURCE, At::below(request, ".request"), text);
        }
        ("POST", Some(resource)) => (
            cx.string(resource, "resourceType").is_some_and(|own| own == last) && !conditional,
            "the url of a POST is the type of the entry's resource, and nothing else",
        ),
        ("PUT", Some(resource)) => {
            let own_type = cx.string(resource, "resourceType").unwrap_or_default();
            let own_id = cx.document.get(resource, "id");
            if own_id.is_none() && !conditional {
                // "update": a server has to refuse a resource without the id of its url
                let text = "a PUT to Type/id carries a resource with this id: add id to the resource";
                out.add(cx, &URL, At::below(resource, ".resource"), text);
            }
            let fits = if conditional {
                last == own_type
            } else {
                before == Some(&own_type) && cx.string(resource, "id").is_none_or(|id| id == last)
            };
            (
                fits,
                "the url of a PUT is type and id of the entry's resource (Type/id), or a search for it (Type?name=value)",
            )
        }
        ("DELETE", _) => {
            let named = |name: &str| cx.release.resource(name).is_some();
            (
                if conditional { named(last) } else { before.is_some_and(named) },
                "the url of a DELETE is type and id of a resource (Type/id), or a search for it (Type?name=value)",
            )
        }
        _ => (true, ""),
    };
    if !fits {
        out.add(cx, &URL, At::below(place, ".request.url"), format!("{wanted}: correct it"));
    }
    if let Some(resource) = resource.filter(|_| matches!(method, "GET" | "DELETE")) {
        let text = "GET and DELETE carry no resource, and servers pass over it: remove it, or correct the method";
        out.add(cx, &SURPLUS, At::below(resource, ".resource"), text);
    }
}

/// An entry of the answer to a batch or transaction; the path has reached it.
pub(crate) fn check_response(cx: &Context<'_, '_>, entry: NodeId, resource: Option<NodeId>, out: &mut Findings<'_>) {
    let document = cx.document;
    let Some(response) = document.get(entry, "response") else {
        let text = "an entry of an answer says how its request ended: add response with status";
        return out.add(cx, &RESPONSE_MISSING, At::here(entry), text);
    };
    if let (Some(place), Some(status)) = (document.get(response, "status"), cx.string(response, "status")) {
        let digits = status.bytes().take_while(u8::is_ascii_digit).count();
        if !status.is_empty() && (digits != 3 || !status[3..].starts_with(' ') && status.len() > 3) {
            let text = "a status begins with the three digits of HTTP, as in \"201 Created\": correct it";
            out.add(cx, &RESPONSE_STATUS, At::below(place, ".response.status"), text);
        }
    }
    let version =
        resource.and_then(|resource| document.get(resource, "meta")).and_then(|meta| cx.string(meta, "versionId"));
    let (Some(place), Some(tag), Some(version)) =
        (document.get(response, "etag"), cx.string(response, "etag"), version)
    else {
        return;
    };
    if tag.trim_start_matches("W/").trim_matches('"') != version {
        let text = "the etag is the version of the entry's resource: make it agree with meta.versionId";
        out.add(cx, &RESPONSE_VERSION, At::below(place, ".response.etag"), text);
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{bundle, findings};

    const PATIENT: &str = r#""fullUrl":"urn:oid:2.999.1","resource":{"resourceType":"Patient","id":"1"}"#;

    /// An entry with a request; `content` is its resource with a comma, or empty.
    fn entry(content: &str, method: &str, url: &str, rest: &str) -> String {
        let content = if content.is_empty() { String::new() } else { format!("{content},") };
        format!(r#"{{{content}"request":{{"method":"{method}","url":"{url}"{rest}}}}}"#)
    }

    fn found(kind: &str, entries: &[String]) -> Vec<String> {
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        findings(&bundle(kind, &entries))
    }

    #[test]
    fn requests_fit_method_and_resource() {
        for (method, url) in [
            ("POST", "Patient"),
            ("PUT", "Patient?identifier=a"),
            ("POST", "Patient/$match"),
            ("POST", "Patient/_search"),
        ] {
            assert_eq!(found("batch", &[entry(PATIENT, method, url, "")]), Vec::<String>::new(), "{method} {url}");
        }
        for (method, url) in [("POST", "Observation"), ("POST", "Patient/1"), ("PUT", "Patient"), ("PUT", "Patient/2")]
        {
            let expected = ["request-url Bundle.entry[0].request.url"];
            assert_eq!(found("batch", &[entry(PATIENT, method, url, "")]), expected, "{method} {url}");
        }
        let bare = entry("", "POST", "Patient", "");
        let expected = ["request-resource Bundle.entry[0].request", "request-missing Bundle.entry[1]"];
        assert_eq!(found("batch", &[bare, format!("{{{PATIENT}}}")]), expected);
    }

    #[test]
    fn reading_and_deleting_carry_nothing() {
        for (method, url) in [("GET", "Patient/1"), ("DELETE", "Patient/1"), ("DELETE", "Patient?identifier=a")] {
            assert_eq!(found("batch", &[entry("", method, url, "")]), Vec::<String>::new(), "{method} {url}");
            let expected = ["request-surplus Bundle.entry[0].resource"];
            let with_url = r#""fullUrl":"urn:oid:2.999.1","resource":{"resourceType":"Basic","code":{"text":"a"}}"#;
            assert_eq!(found("batch", &[entry(with_url, method, url, "")]), expected, "{method} {url}");
        }
        for url in ["Patient", "1", "Patients/1", "Patients?identifier=a"] {
            let expected = ["request-url Bundle.entry[0].request.url"];
            assert_eq!(found("batch", &[entry("", "DELETE", url, "")]), expected, "{url}");
        }
    }

    #[test]
    fn urls_are_relative() {
        let patient = |url| {
            entry(
                r#""fullUrl":"http://a.org/Patient/1","resource":{"resourceType":"Patient","id":"1"}"#,
                "PUT",
                url,
                "",
            )
        };
        for url in ["/Patient/1", "http://a.org/Patient/1"] {
            assert_eq!(found("batch", &[patient(url)]), ["request-relative Bundle.entry[0].request.url"], "{url}");
        }
        assert_eq!(found("batch", &[patient("Patient/1")]), Vec::<String>::new());
    }

    #[test]
    fn a_transaction_writes_a_resource_once() {
        let put = entry(
            r#""fullUrl":"http://a.org/Patient/1","resource":{"resourceType":"Patient","id":"1"}"#,
            "PUT",
            "Patient/1",
            "",
        );
        let delete = entry("", "DELETE", "Patient/1", "");
        let expected = ["request-duplicate Bundle.entry[1].request.url"];
        assert_eq!(found("transaction", &[put.clone(), delete.clone()]), expected);
        assert_eq!(found("batch", &[put.clone(), delete]), Vec::<String>::new());
        for same in ["/Patient/1", "http://a.org/Patient/1", "Patient/%31", "Patient/1/"] {
            let found = found("transaction", &[put.clone(), entry("", "DELETE", same, "")]);
            assert!(found.contains(&expected[0].to_owned()), "{same}: {found:?}");
        }
        for other in ["Patient/2", "Patient/1a", "Group/1"] {
            assert_eq!(
                found("transaction", &[put.clone(), entry("", "DELETE", other, "")]),
                Vec::<String>::new(),
                "{other}"
            );
        }
        let capital = ["A", "a"].map(|id| entry("", "DELETE", &format!("Patient/{id}"), ""));
        assert_eq!(found("transaction", &capital), Vec::<String>::new(), "ids tell capitals apart");
        // what a search finds is not known before
        let search = entry("", "DELETE", "Patient?identifier=a", "");
        let twice = bundle("transaction", &[&search, &search]);
        assert_eq!(findings(&twice), ["request-duplicate-search Bundle.entry[1].request.url"]);
        assert!(crate::validate::testing::outcome(&twice).valid());
        let searches = ["Patient?identifier=a%7Cb&active=true", "/Patient?active=true&identifier=a|b"];
        let expected = "request-duplicate-search Bundle.entry[1].request.url".to_owned();
        assert!(found("transaction", &searches.map(|url| entry("", "DELETE", url, ""))).contains(&expected));
        let others = ["Patient?identifier=a", "Patient?identifier=A", "Group?identifier=a", "Patient?identifier=100%"];
        assert_eq!(found("transaction", &others.map(|url| entry("", "DELETE", url, ""))), Vec::<String>::new());
    }

    #[test]
    fn a_resource_that_is_put_has_the_id_of_its_url() {
        let put = |url| {
            entry(r#""fullUrl":"urn:oid:2.999.1","resource":{"resourceType":"Patient","active":true}"#, "PUT", url, "")
        };
        assert_eq!(found("batch", &[put("Patient/1")]), ["request-url Bundle.entry[0].resource"]);
        assert_eq!(found("batch", &[put("Patient?identifier=a")]), Vec::<String>::new());
    }

    #[test]
    fn conditions_belong_to_their_method() {
        let post = |rest| found("batch", &[entry(PATIENT, "POST", "Patient", rest)]);
        assert_eq!(post(r#","ifNoneExist":"identifier=a|b""#), Vec::<String>::new());
        assert_eq!(
            post(r#","ifNoneExist":"Patient?identifier=a""#),
            ["request-if-none-exist Bundle.entry[0].request.ifNoneExist"]
        );
        assert_eq!(post(r#","ifMatch":"W/\"1\"""#), ["request-condition Bundle.entry[0].request.ifMatch"]);
    }

    #[test]
    fn answers_say_how_it_ended() {
        let answer = |rest: &str| {
            let patient = r#""resource":{"resourceType":"Patient","id":"1","meta":{"versionId":"2"}}"#;
            findings(&bundle("batch-response", &[&format!("{{{patient}{rest}}}")]))
        };
        assert_eq!(answer(r#","response":{"status":"201 Created","etag":"W/\"2\""}"#), Vec::<String>::new());
        assert_eq!(answer(""), ["response-missing Bundle.entry[0]"]);
        assert_eq!(answer(r#","response":{"status":"Created"}"#), ["response-status Bundle.entry[0].response.status"]);
        let expected = ["response-version Bundle.entry[0].response.etag"];
        assert_eq!(answer(r#","response":{"status":"200","etag":"W/\"3\""}"#), expected);
    }
}
