//! For the tests of the rules: a file in, what is found as short lines.

use super::{Outcome, Policy, Validator};
use crate::{
    fhir::json::{self, Limits},
    stu3::package::Shelf,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Where the profiles of the tests are: `profile` makes `URL` and a name.
pub(super) const URL: &str = "http://example.org/fhir/StructureDefinition/";

/// A profile of a type by the elements that it changes.
pub(super) fn profile(name: &str, of_type: &str, elements: Value) -> Value {
    let kind = if of_type.ends_with("Extension") || of_type == "HumanName" { "complex-type" } else { "resource" };
    json!({"resourceType": "StructureDefinition", "url": format!("{URL}{name}"), "name": name, "status": "draft",
        "kind": kind, "abstract": false, "type": of_type, "derivation": "constraint",
        "baseDefinition": format!("http://hl7.org/fhir/StructureDefinition/{of_type}"),
        "differential": {"element": elements}})
}

/// The outcome of a resource with these definitions loaded.
pub(super) fn with(definitions: &[&Value], resource: &Value) -> Outcome {
    let mut shelf = Shelf::new();
    for (number, definition) in definitions.iter().enumerate() {
        shelf.add_file(&format!("{number}.json"), definition.to_string().as_bytes());
    }
    let library = shelf.library();
    let unusable = library.problems().iter().filter(|problem| !problem.defect.is_warning());
    assert_eq!(unusable.map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    let source = resource.to_string();
    let document = json::read(source.as_bytes(), &Limits::default()).unwrap();
    Validator::with(Arc::new(library)).resource(&document, &Policy::default())
}

/// `key expression` of each finding and, with `?` before it, of each thing that was not checked; of a resource that claims
/// the profile `p` among these definitions.
pub(super) fn held(definitions: &[&Value], mut resource: Value) -> Vec<String> {
    resource["meta"]["profile"] = json!([format!("{URL}p")]);
    let outcome = with(definitions, &resource);
    let findings = outcome.findings.iter().map(|finding| format!("{} {}", finding.key, finding.expression));
    let not_checked = outcome.not_checked.iter().filter(|left| left.key != "code-unknown");
    findings.chain(not_checked.map(|left| format!("?{} {}", left.key, left.expression))).collect()
}

/// The outcome of a file under no policy.
pub(super) fn outcome(source: &str) -> Outcome {
    under(source, &Policy::default())
}

/// The outcome of a file under a policy.
pub(super) fn under(source: &str, policy: &Policy) -> Outcome {
    let document = json::read(source.as_bytes(), &Limits::default()).unwrap();
    Validator::new().resource(&document, policy)
}

/// `key expression` of each finding in its order.
pub(super) fn findings(source: &str) -> Vec<String> {
    outcome(source).findings.iter().map(|finding| format!("{} {}", finding.key, finding.expression)).collect()
}

/// A Bundle of a type with these entries.
pub(super) fn bundle(kind: &str, entries: &[&str]) -> String {
    format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#, entries.join(","))
}

/// Nothing was found.
pub(super) fn none() -> Vec<String> {
    Vec::new()
}

/// A valid Observation with these members.
pub(super) fn observation(members: Value) -> Value {
    let mut resource = json!({"resourceType": "Observation", "status": "final", "code": {"text": "a"}});
    for (name, value) in members.as_object().unwrap() {
        resource[name] = value.clone();
    }
    resource
}

/// A Patient with these members.
pub(super) fn patient(members: Value) -> Value {
    let mut resource = members;
    resource["resourceType"] = "Patient".into();
    resource
}
