//! References, extensions and what policies say of constraints, each with a small profile of its own.

use crate::validate::testing::{URL, held, none, observation, patient, profile, with};
use serde_json::{Value, json};

/// Profiles of a subject, a performer and what is contained.
fn subject_is(types: Value) -> Value {
    profile("p", "Observation", json!([{"path": "Observation.subject", "type": types}]))
}

fn reference_to(names: &[&str]) -> Value {
    let target = |name: &&str| json!({"code": "Reference", "targetProfile": format!("{URL}{name}")});
    names.iter().map(target).collect()
}

fn active() -> Value {
    profile("active", "Patient", json!([{"path": "Patient.active", "min": 1, "fixedBoolean": true}]))
}

fn bundle_of(patient: Value, subject: &str) -> Value {
    let observation = observation(json!({"subject": {"reference": subject}, "meta": {"profile": [format!("{URL}p")]}}));
    let entry = |url: &str, resource: Value| json!({"fullUrl": url, "resource": resource});
    json!({"resourceType": "Bundle", "type": "collection", "entry": [
        entry("http://example.org/fhir/Patient/1", patient), entry("http://example.org/fhir/Observation/2", observation)]})
}

#[test]
fn references_lead_to_resources_that_meet_their_profile() {
    let p = subject_is(reference_to(&["active"]));
    let active = active();
    let found = |patient: Value, subject: &str| -> Vec<String> {
        let outcome = with(&[&p, &active], &bundle_of(patient, subject));
        outcome.findings.iter().map(|finding| format!("{} {}", finding.key, finding.expression)).collect()
    };
    let there = |active: bool| json!({"resourceType": "Patient", "id": "1", "active": active});
    let at = "profile-target Bundle.entry[1].resource.subject.reference";
    assert_eq!(found(there(true), "Patient/1"), none());
    assert_eq!(found(there(false), "Patient/1"), [at]);
    assert_eq!(found(there(false), "http://example.org/fhir/Patient/1"), [at]);
    assert_eq!(found(there(true), "Device/1"), [at], "only the type is known");
    assert_eq!(found(there(true), "Patient/2"), none());
    let contained = |active: bool| {
        let contained = json!([{"resourceType": "Patient", "id": "c", "active": active}]);
        observation(json!({"contained": contained, "subject": {"reference": "#c"}}))
    };
    assert_eq!(held(&[&p, &active], contained(true)), none());
    assert_eq!(held(&[&p, &active], contained(false)), ["profile-target Observation.subject.reference"]);
    assert_eq!(held(&[&p], contained(true)), ["?profile-target Observation.subject"]);
    // the release refuses this by itself, and once is enough
    let place = observation(json!({"subject": {"reference": "Organization/1"}}));
    assert_eq!(held(&[&p, &active], place), ["reference-target Observation.subject.reference"]);
}

#[test]
fn resources_that_refer_to_each_other_are_tried_once() {
    let link = |name: &str, other: &str| {
        profile(
            name,
            "Patient",
            json!([{"path": "Patient.link.other", "type": reference_to(&[other])}, {"path": "Patient.active", "min": 1}]),
        )
    };
    let p = subject_is(reference_to(&["one"]));
    let (one, other) = (link("one", "other"), link("other", "one"));
    let patient = |id: &str, other: &str, active: Value| {
        json!({"fullUrl": format!("http://example.org/fhir/Patient/{id}"), "resource": {"resourceType": "Patient", "id": id,
            "active": active, "link": [{"other": {"reference": format!("Patient/{other}")}, "type": "seealso"}]}})
    };
    let found = |active: Value| -> Vec<String> {
        let mut bundle = bundle_of(json!({"resourceType": "Patient"}), "Patient/a");
        let entries = bundle["entry"].as_array_mut().unwrap();
        entries[0] = patient("a", "b", json!(true));
        entries.push(patient("b", "a", active));
        let outcome = with(&[&p, &one, &other], &bundle);
        outcome.findings.iter().map(|finding| format!("{} {}", finding.key, finding.expression)).collect()
    };
    assert_eq!(found(json!(true)), none());
    assert_eq!(found(Value::Null)[0], "profile-target Bundle.entry[1].resource.subject.reference");
}

#[test]
fn what_references_lead_to_is_carried_as_the_profile_says() {
    let mut types = reference_to(&["active"]);
    types[0]["aggregation"] = json!(["contained"]);
    let (p, active) = (subject_is(types), active());
    let elsewhere = observation(json!({"subject": {"reference": "Patient/1"}}));
    assert_eq!(
        held(&[&p, &active], elsewhere),
        ["profile-aggregation Observation.subject", "?profile-target Observation.subject"]
    );
    let contained = json!([{"resourceType": "Patient", "id": "c", "active": true}]);
    let inside = observation(json!({"contained": contained, "subject": {"reference": "#c"}}));
    assert_eq!(held(&[&p, &active], inside), none());
}

#[test]
fn what_lies_outside_of_the_file_is_not_checked_and_that_is_said_once_for_a_profile() {
    let target = json!([{"code": "Reference", "targetProfile": format!("{URL}active")}]);
    let performer = json!([{"code": "Reference", "targetProfile": format!("{URL}other")}]);
    let elements =
        json!([{"path": "Observation.subject", "type": target}, {"path": "Observation.performer", "type": performer}]);
    let (p, active, other) =
        (profile("p", "Observation", elements), active(), profile("other", "Practitioner", json!([])));
    let performers: Vec<Value> = (0..3).map(|n| json!({"reference": format!("Practitioner/{n}")})).collect();
    let resource = observation(json!({"subject": {"reference": "Patient/1"}, "performer": performers,
        "meta": {"profile": [format!("{URL}p")]}}));
    let outcome = with(&[&p, &active, &other], &resource);
    let said: Vec<(&str, &str)> =
        outcome.not_checked.iter().map(|left| (left.expression.as_str(), left.text.as_str())).collect();
    let text = |name: &str| format!("whether what lies outside of the file meets the profile {name}");
    assert_eq!(
        said,
        [
            ("Observation.subject", &*text("active")),
            ("Observation.performer[0]", &*format!("{} (3 places)", text("other")))
        ]
    );
}

#[test]
fn slices_are_told_by_what_a_reference_leads_to() {
    let slicing = |kind: &str, path: &str| json!({"discriminator": [{"type": kind, "path": path}], "rules": "open"});
    let p = profile(
        "p",
        "Observation",
        json!([{"path": "Observation.performer", "slicing": slicing("type", "$this.resolve()")},
            {"path": "Observation.performer", "sliceName": "patient", "max": "1", "type": [{"code": "Reference", "targetProfile": "http://hl7.org/fhir/StructureDefinition/Patient"}]}]),
    );
    let performers = |names: &[&str]| {
        let all: Vec<Value> = names.iter().map(|name| json!({"reference": name})).collect();
        observation(json!({"performer": all}))
    };
    assert_eq!(held(&[&p], performers(&["Patient/1", "Practitioner/1"])), none());
    assert_eq!(
        held(&[&p], performers(&["Patient/1", "Practitioner/1", "Patient/2"])),
        ["profile-max Observation.performer[2]"]
    );
    let by_profile = profile(
        "p",
        "Observation",
        json!([{"path": "Observation.performer", "slicing": slicing("profile", "resolve()")},
            {"path": "Observation.performer", "sliceName": "active", "min": 1, "type": reference_to(&["active"])}]),
    );
    let contained = |active: bool| {
        let mut resource = performers(&["#c"]);
        resource["contained"] = json!([{"resourceType": "Patient", "id": "c", "active": active}]);
        resource
    };
    assert_eq!(held(&[&by_profile, &active()], contained(true)), none());
    assert_eq!(held(&[&by_profile, &active()], contained(false)), ["profile-min Observation"]);
    assert_eq!(
        held(&[&by_profile, &active()], performers(&["Patient/1"])),
        ["?profile-slice Observation.performer[0]"]
    );
}

#[test]
fn extensions_are_judged_by_their_profile_wherever_they_stand() {
    let mut extension = profile(
        "e",
        "Extension",
        json!([{"path": "Extension", "max": "1"}, {"path": "Extension.url", "fixedUri": format!("{URL}e")},
            {"path": "Extension.valueCode", "min": 1, "fixedCode": "a"}]),
    );
    extension["contextType"] = "resource".into();
    extension["context"] = json!(["Patient.name", "Observation"]);
    extension["contextInvariant"] = json!(["family.exists()"]);
    let of = |value: &str| json!([{"url": format!("{URL}e"), "valueCode": value}]);
    let found = |resource: Value| -> Vec<String> {
        let outcome = with(&[&extension], &resource);
        outcome.findings.iter().map(|finding| format!("{} {}", finding.key, finding.expression)).collect()
    };
    assert_eq!(found(patient(json!({"name": [{"family": "a", "extension": of("a")}]}))), none());
    assert_eq!(
        found(patient(json!({"name": [{"family": "a", "extension": of("b")}]}))),
        ["profile-fixed Patient.name[0].extension[0].value"]
    );
    assert_eq!(
        found(patient(json!({"name": [{"text": "a", "extension": of("a")}]}))),
        ["extension-invariant Patient.name[0].extension[0]"]
    );
    assert_eq!(
        found(patient(json!({"contact": [{"name": {"text": "a"}, "extension": of("a")}]})))[0],
        "extension-context Patient.contact[0].extension[0]"
    );
    let p = profile(
        "p",
        "Patient",
        json!([{"path": "Patient.name.extension", "sliceName": "e", "min": 1, "type": [{"code": "Extension", "profile": format!("{URL}e")}]}]),
    );
    let name = |name: Value| patient(json!({"name": [name]}));
    assert_eq!(held(&[&p, &extension], name(json!({"family": "a", "extension": of("a")}))), none());
    assert_eq!(held(&[&p, &extension], name(json!({"family": "a"}))), ["profile-min Patient.name[0]"]);
    let twice = [of("a")[0].clone(), of("a")[0].clone()];
    assert_eq!(
        held(&[&p, &extension], name(json!({"family": "a", "extension": twice}))),
        ["profile-max Patient.name[0].extension[1]"]
    );
}

#[test]
fn policies_know_constraints_of_profiles() {
    use crate::{
        fhir::json::{Limits, read},
        stu3::package::Shelf,
        validate::{Policy, RuleLevel, Validator},
    };
    let constraint = json!([{"key": "p-1", "severity": "error", "human": "words", "expression": "name.exists()"}]);
    let mut shelf = Shelf::new();
    let p = profile(
        "p",
        "Patient",
        json!([{"path": "Patient", "constraint": constraint}, {"path": "Patient.gender", "min": 1}]),
    );
    shelf.add_file("p.json", p.to_string().as_bytes());
    let validator = Validator::with(std::sync::Arc::new(shelf.library()));
    let mut policy = Policy::default();
    policy.require.insert(format!("{URL}p"));
    policy.rules.insert("p-1".to_owned(), RuleLevel::Warning);
    policy.rules.insert("profile-min".to_owned(), RuleLevel::Off);
    let document = read(br#"{"resourceType":"Patient","active":true}"#, &Limits::default()).unwrap();
    let outcome = validator.resource(&document, &policy);
    assert!(outcome.valid());
    assert_eq!(outcome.findings.iter().map(|finding| finding.key.as_str()).collect::<Vec<_>>(), ["p-1"]);
    let changed: Vec<_> = outcome.overridden.iter().map(|rule| (rule.key.as_str(), rule.to, rule.count)).collect();
    assert_eq!(changed, [("p-1", RuleLevel::Warning, 1), ("profile-min", RuleLevel::Off, 1)]);
}

#[test]
fn errata_change_constraints_and_outcomes_say_so() {
    use crate::{
        fhir::json::{Limits, read},
        model::Severity,
        stu3::package::Shelf,
        validate::{Policy, RuleLevel, Validator},
    };
    let constraint =
        |key: &str| json!({"key": key, "severity": "error", "human": "words", "expression": "name.exists()"});
    let elements =
        json!([{"path": "Patient", "constraint": [constraint("p-1"), constraint("p-2"), constraint("p-3")]}]);
    let errata = json!({"errata": [
        {"profile": format!("{URL}p"), "key": "p-1", "severity": "warning", "reason": "too strict"},
        {"profile": format!("{URL}p"), "key": "p-2", "expression": "gender.exists()", "reason": "means another element"},
        {"profile": format!("{URL}p"), "key": "p-3", "expression": "active", "reason": "means another element"}]});
    let mut shelf = Shelf::new();
    shelf.add_file("p.json", profile("p", "Patient", elements).to_string().as_bytes());
    shelf.add_file("p.errata.json", errata.to_string().as_bytes());
    let validator = Validator::with(std::sync::Arc::new(shelf.library()));
    let mut policy = Policy::default();
    policy.require.insert(format!("{URL}p"));
    let document = read(br#"{"resourceType":"Patient","active":true}"#, &Limits::default()).unwrap();
    let outcome = validator.resource(&document, &policy);
    let told: Vec<_> = outcome.findings.iter().map(|finding| (finding.key.as_str(), finding.severity)).collect();
    assert_eq!(told, [("p-2", Severity::Error), ("p-1", Severity::Warning)]);
    let text = "this breaks the profile's constraint p-2: words (judged as its errata say, p.errata.json)";
    assert_eq!(outcome.findings[0].text, text);
    let changed = |outcome: &crate::validate::Outcome| -> Vec<_> {
        outcome.overridden.iter().map(|rule| (rule.key.clone(), rule.from, rule.to, rule.count)).collect()
    };
    assert_eq!(changed(&outcome), [("p-1".to_owned(), RuleLevel::Error, RuleLevel::Warning, 1)]);
    // a policy has the last word
    policy.rules.insert("p-1".to_owned(), RuleLevel::Off);
    let outcome = validator.resource(&document, &policy);
    assert_eq!(changed(&outcome), [("p-1".to_owned(), RuleLevel::Error, RuleLevel::Off, 1)]);
}
