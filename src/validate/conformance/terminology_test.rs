//! Bindings to value sets and code systems of packages.

use crate::validate::testing::{URL, held, none, observation, profile, with};
use serde_json::{Value, json};

const SETS: &str = "http://example.org/fhir/ValueSet/";
const SYSTEM: &str = "http://example.org/fhir/CodeSystem/s";

fn value_set(name: &str, compose: Value) -> Value {
    json!({"resourceType": "ValueSet", "url": format!("{SETS}{name}"), "status": "draft", "compose": compose})
}

fn code_system(content: &str) -> Value {
    json!({"resourceType": "CodeSystem", "url": SYSTEM, "status": "draft", "content": content, "caseSensitive": true, "concept": [
        {"code": "a", "concept": [{"code": "a1", "property": [{"code": "kind", "valueString": "leaf"}]}, {"code": "a2"}]}, {"code": "b"}]})
}

/// A profile whose `Observation.code` comes from a value set.
fn bound(strength: &str, set: &str) -> Value {
    let binding = json!({"strength": strength, "valueSetReference": {"reference": set}});
    profile("p", "Observation", json!([{"path": "Observation.code", "binding": binding}]))
}

fn coded(system: &str, code: &str) -> Value {
    observation(json!({"code": {"coding": [{"system": system, "code": code}]}}))
}

#[test]
fn codes_come_from_value_sets_of_packages() {
    let p = bound("required", &format!("{SETS}v"));
    let listed = value_set(
        "v",
        json!({"include": [{"system": "urn:x", "concept": [{"code": "1"}]}, {"system": "urn:y"}],
        "exclude": [{"system": "urn:y", "concept": [{"code": "9"}]}]}),
    );
    assert_eq!(held(&[&p, &listed], coded("urn:x", "1")), none());
    for (system, code) in [("urn:x", "2"), ("urn:z", "1"), ("urn:y", "9")] {
        assert_eq!(held(&[&p, &listed], coded(system, code)), ["profile-binding Observation.code"], "{system} {code}");
    }
    assert_eq!(held(&[&p, &listed], observation(json!({}))), ["profile-binding Observation.code"]);
    let open = with(&[&p, &listed], &{
        let mut resource = coded("urn:y", "1");
        resource["meta"] = json!({"profile": [format!("{URL}p")]});
        resource
    });
    assert!(open.valid());
    assert_eq!(held(&[&p], coded("urn:x", "1")), ["?profile-binding Observation.code"], "no such value set");
    let wanted = bound("extensible", &format!("{SETS}v"));
    let outcome = held(&[&wanted, &listed], coded("urn:x", "2"));
    assert_eq!(outcome, ["profile-binding-extensible Observation.code"]);
    assert_eq!(held(&[&wanted, &listed], observation(json!({}))), none(), "words will do");
}

#[test]
fn expansions_imports_and_filters_decide() {
    let p = bound("required", &format!("{SETS}v"));
    let is_in = |sets: &[&Value], code: &str| {
        let system = code_system("complete");
        let found = held(&[&[&p, &system], sets].concat(), coded(SYSTEM, code));
        assert!(found.is_empty() || found == ["profile-binding Observation.code"], "{found:?}");
        found.is_empty()
    };
    let filter = |property: &str, op: &str, value: &str| {
        value_set(
            "v",
            json!({"include": [{"system": SYSTEM, "filter": [{"property": property, "op": op, "value": value}]}]}),
        )
    };
    let codes = |set: &Value| ["a", "a1", "a2", "b"].into_iter().filter(|code| is_in(&[set], code)).collect::<String>();
    assert_eq!(codes(&filter("concept", "is-a", "a")), "aa1a2");
    assert_eq!(codes(&filter("concept", "descendent-of", "a")), "a1a2");
    assert_eq!(codes(&filter("concept", "is-not-a", "a")), "b");
    assert_eq!(codes(&filter("code", "regex", "a[0-9]")), "a1a2");
    assert_eq!(codes(&filter("code", "in", "a,b")), "ab");
    assert_eq!(codes(&filter("code", "not-in", "a,b")), "a1a2");
    assert_eq!(codes(&filter("kind", "=", "leaf")), "a1");
    assert_eq!(codes(&filter("kind", "exists", "false")), "aa2b");
    assert_eq!(codes(&value_set("v", json!({"include": [{"system": SYSTEM}]}))), "aa1a2b");
    let mut expanded = value_set("v", json!({"include": [{"system": SYSTEM}]}));
    expanded["expansion"] = json!({"timestamp": "2020", "contains": [{"system": SYSTEM, "code": "a", "abstract": true,
        "contains": [{"system": SYSTEM, "code": "a2"}]}]});
    assert_eq!(codes(&expanded), "a2");
    let importing = value_set("v", json!({"include": [{"valueSet": [format!("{SETS}w"), format!("{SETS}x")]}]}));
    let (w, x) = (
        value_set("w", json!({"include": [{"system": SYSTEM, "concept": [{"code": "a"}, {"code": "b"}]}]})),
        value_set("x", json!({"include": [{"system": SYSTEM, "concept": [{"code": "b"}, {"code": "a1"}]}]})),
    );
    assert!(is_in(&[&importing, &w, &x], "b") && !is_in(&[&importing, &w, &x], "a"));
}

#[test]
fn filters_look_through_the_code_systems_of_the_release() {
    let roles = "http://hl7.org/fhir/v3/RoleCode";
    let p = bound("required", &format!("{SETS}v"));
    let judged = |property: &str, op: &str, value: &str, code: &str| {
        let filter = json!({"property": property, "op": op, "value": value});
        let set = value_set("v", json!({"include": [{"system": roles, "filter": [filter]}]}));
        held(&[&p, &set], coded(roles, code))
    };
    let outside = ["profile-binding Observation.code"];
    assert_eq!(judged("concept", "is-a", "PRN", "MTH"), none());
    assert_eq!(judged("concept", "is-a", "MTH", "PRN"), outside);
    assert_eq!(judged("concept", "descendent-of", "MTH", "MTH"), outside);
    assert_eq!(judged("concept", "is-not-a", "PRN", "MTH"), outside);
    assert_eq!(judged("code", "regex", "M.*", "MTH"), none());
    // what the release says of codes beside that is not known here
    assert_eq!(judged("status", "=", "active", "MTH"), ["?profile-binding Observation.code"]);
    assert_eq!(judged("concept", "is-a", "no such", "MTH"), ["?profile-binding Observation.code"]);
}

#[test]
fn complete_code_systems_of_packages_have_the_last_word() {
    let found = |content: &str, code: &str| -> Vec<String> {
        let outcome = with(&[&code_system(content)], &coded(SYSTEM, code));
        outcome.findings.iter().map(|finding| format!("{} {}", finding.key, finding.expression)).collect()
    };
    assert_eq!(found("complete", "a1"), none());
    assert_eq!(found("complete", "c"), ["code-unknown Observation.code.coding[0].code"]);
    assert_eq!(found("fragment", "c"), none());
}

#[test]
fn slices_are_told_by_the_value_sets_that_a_profile_contains() {
    let slice = |name: &str, set: &str| {
        json!({"path": "Observation.code.coding", "sliceName": name, "max": "1",
        "binding": {"strength": "required", "valueSetReference": {"reference": set}}})
    };
    let mut p = profile(
        "p",
        "Observation",
        json!([{"path": "Observation.code.coding", "slicing": {"discriminator": [{"type": "value", "path": "$this"}], "rules": "open"}},
            slice("one", "#v"), slice("other", &format!("{SETS}missing")), slice("two", "#w")]),
    );
    let contained = |id: &str, code: &str| {
        json!({"resourceType": "ValueSet", "id": id, "status": "draft",
        "compose": {"include": [{"system": "urn:x", "concept": [{"code": code}]}]}})
    };
    p["contained"] = json!([contained("v", "1"), contained("w", "2")]);
    let of = |codes: &[&str]| {
        let codings: Vec<Value> = codes.iter().map(|code| json!({"system": "urn:x", "code": code})).collect();
        observation(json!({"code": {"coding": codings}}))
    };
    assert_eq!(held(&[&p], of(&["1", "2"])), none());
    assert_eq!(held(&[&p], of(&["1", "1"])), ["profile-max Observation.code.coding[1]"]);
    assert_eq!(held(&[&p], of(&["3"])), ["?profile-slice Observation.code.coding[0]"]);
}
