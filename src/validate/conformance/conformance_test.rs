//! Each thing that a profile may ask for, with a small profile of its own.

use crate::validate::testing::{URL, held, profile, with};
use serde_json::{Value, json};

fn none() -> Vec<String> {
    Vec::new()
}

fn observation(members: Value) -> Value {
    let mut resource = json!({"resourceType": "Observation", "status": "final", "code": {"text": "a"}});
    for (name, value) in members.as_object().unwrap() {
        resource[name] = value.clone();
    }
    resource
}

fn patient(members: Value) -> Value {
    let mut resource = members;
    resource["resourceType"] = "Patient".into();
    resource
}

#[test]
fn claims_are_told_where_they_cannot_be_judged() {
    let resource = json!({"resourceType": "Patient", "active": true, "meta": {"profile":
        [format!("{URL}other"), "http://hl7.org/fhir/StructureDefinition/Patient",
         "http://hl7.org/fhir/StructureDefinition/Observation", "urn:a:b%20c"]}});
    let outcome = with(&[], &resource);
    let told: Vec<&str> = outcome.not_checked.iter().map(|left| left.text.as_str()).collect();
    assert_eq!(told, ["the profile other is not loaded", "a profile of this resource is not loaded"]);
    assert_eq!(outcome.not_checked[1].expression, "Patient.meta.profile[3]");
    let found: Vec<_> =
        outcome.findings.iter().map(|finding| (finding.key.as_str(), finding.expression.as_str())).collect();
    assert_eq!(found, [("profile-other-type", "Patient.meta.profile[2]")]);
}

#[test]
fn findings_name_the_profile_and_its_own_rules_are_the_releases() {
    let profile = profile("p", "Patient", json!([{"path": "Patient.name", "min": 1}]));
    let mut resource = patient(json!({"gender": "man"}));
    resource["meta"] = json!({"profile": [format!("{URL}p|1")]});
    assert_eq!(with(&[&profile], &resource).not_checked[0].text, "the profile p|1 is not loaded");
    resource["meta"] = json!({"profile": [format!("{URL}p")]});
    let outcome = with(&[&profile], &resource);
    let found: Vec<_> =
        outcome.findings.iter().map(|finding| (finding.key.as_str(), finding.profile.as_deref())).collect();
    assert_eq!(
        found,
        [("profile-min", Some("http://example.org/fhir/StructureDefinition/p")), ("binding-required", None)]
    );
}

#[test]
fn the_release_has_profiles_of_its_own() {
    let url = "http://hl7.org/fhir/StructureDefinition/bodyheight";
    let resource = observation(
        json!({"meta": {"profile": [url]}, "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
        "category": [{"coding": [{"system": "http://hl7.org/fhir/observation-category", "code": "vital-signs"}]}],
        "subject": {"reference": "Patient/1"}, "effectiveDateTime": "2020-01-01",
        "valueQuantity": {"value": 180, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"}}),
    );
    let keys = |resource: &Value| -> Vec<String> {
        with(&[], resource).findings.iter().map(|finding| format!("{} {}", finding.key, finding.expression)).collect()
    };
    assert_eq!(keys(&resource), none());
    let mut other = resource.clone();
    other["valueQuantity"]["code"] = "kg".into();
    assert_eq!(keys(&other), ["profile-binding Observation.value.code"]);
    let mut other = resource.clone();
    other.as_object_mut().unwrap().remove("effectiveDateTime");
    other["effectivePeriod"] = json!({"start": "2020"});
    other.as_object_mut().unwrap().remove("subject");
    other["subject"] = json!({"reference": "Device/1"});
    assert_eq!(keys(&other), ["profile-target Observation.subject.reference"]);
    let mut other = resource;
    other.as_object_mut().unwrap().remove("valueQuantity");
    assert_eq!(keys(&other), ["vs-2 Observation"]);
}

#[test]
fn elements_stand_as_often_as_the_profile_says() {
    let p = profile(
        "p",
        "Patient",
        json!([{"path": "Patient.name", "min": 2, "max": "2"}, {"path": "Patient.name.given", "min": 1},
            {"path": "Patient.photo", "max": "0"}, {"path": "Patient.contact.name", "min": 1},
            {"path": "Patient.birthDate.extension", "min": 1}]),
    );
    let name = json!({"given": ["a"]});
    let good = patient(json!({"name": [name, name]}));
    assert_eq!(held(&[&p], good), none());
    let bad = patient(
        json!({"name": [{"family": "a"}], "photo": [{"title": "a"}], "contact": [{"gender": "male"}], "birthDate": "2020"}),
    );
    let expected = [
        "profile-min Patient",
        "profile-min Patient.name[0]",
        "profile-max Patient.photo[0]",
        "profile-min Patient.contact[0]",
        "pat-1 Patient.contact[0]",
        "profile-min Patient.birthDate",
    ];
    let mut found = held(&[&p], bad);
    found.sort_unstable();
    let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(held(&[&p], patient(json!({"name": [name, name, name, name]}))), ["profile-max Patient.name[2]"]);
}

#[test]
fn values_are_fixed_or_have_a_pattern() {
    let p = profile(
        "p",
        "Observation",
        json!([{"path": "Observation.code", "patternCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": "1"}]}},
            {"path": "Observation.valueQuantity"},
            {"path": "Observation.valueQuantity.value", "fixedDecimal": 1.50},
            {"path": "Observation.valueQuantity.code", "fixedCode": "kg"},
            {"path": "Observation.bodySite", "fixedCodeableConcept": {"text": "arm"}}]),
    );
    let resource = |coding: Value, quantity: Value, site: Value| {
        observation(json!({"code": {"coding": coding}, "valueQuantity": quantity, "bodySite": site}))
    };
    let loinc = |code: &str| json!({"system": "http://loinc.org", "code": code, "display": "more"});
    let quantity = json!({"value": 1.5, "system": "http://unitsofmeasure.org", "code": "kg"});
    let good = resource(json!([loinc("2"), loinc("1")]), quantity, json!({"text": "arm"}));
    assert_eq!(held(&[&p], good), none());
    let quantity = json!({"value": 1.51, "system": "http://unitsofmeasure.org", "code": "g"});
    let bad = resource(json!([loinc("2")]), quantity, json!({"text": "arm", "id": "a"}));
    assert_eq!(
        held(&[&p], bad),
        [
            "profile-pattern Observation.code",
            "profile-fixed Observation.value.value",
            "profile-fixed Observation.value.code",
            "profile-fixed Observation.bodySite"
        ]
    );
}

#[test]
fn texts_of_findings_quote_the_profile_and_not_the_file() {
    let p = profile("p", "Patient", json!([{"path": "Patient.gender", "fixedCode": "female"}]));
    let mut resource = patient(json!({"gender": "male"}));
    resource["meta"] = json!({"profile": [format!("{URL}p")]});
    let outcome = with(&[&p], &resource);
    assert_eq!(outcome.findings[0].text, "the profile fixes this value to \"female\": write it so");
}

#[test]
fn values_have_bounds_and_lengths() {
    let p = profile(
        "p",
        "Observation",
        json!([{"path": "Observation.valueQuantity"},
            {"path": "Observation.valueQuantity.value", "minValueDecimal": 0, "maxValueDecimal": 10.5},
            {"path": "Observation.valueQuantity.unit", "maxLength": 2},
            {"path": "Observation.issued", "minValueInstant": "2020-01-01T00:00:00Z"},
            {"path": "Observation.referenceRange.low", "maxValueQuantity": {"value": 1, "code": "kg"}}]),
    );
    let resource = |value: Value, unit: &str, issued: &str, low: Value| {
        observation(
            json!({"valueQuantity": {"value": value, "unit": unit}, "issued": issued, "referenceRange": [{"low": low}]}),
        )
    };
    let good = resource(
        json!(10.50),
        "kg",
        "2020-01-01T01:00:00+01:00",
        json!({"value": 900, "system": "http://unitsofmeasure.org", "code": "g"}),
    );
    assert_eq!(held(&[&p], good), none());
    let bad = resource(
        json!(-0.1),
        "kilo",
        "2019-12-31T23:59:59Z",
        json!({"value": 2000, "system": "http://unitsofmeasure.org", "code": "g"}),
    );
    let mut found = held(&[&p], bad);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "profile-length Observation.value.unit",
            "profile-range Observation.issued",
            "profile-range Observation.referenceRange[0].low",
            "profile-range Observation.value.value"
        ]
    );
    let unlike = resource(
        json!(1),
        "kg",
        "2020-01-02T00:00:00Z",
        json!({"value": 1, "system": "http://unitsofmeasure.org", "code": "m"}),
    );
    assert_eq!(held(&[&p], unlike), ["?profile-range Observation.referenceRange[0].low"]);
}

#[test]
fn choices_are_narrowed() {
    let p = profile(
        "p",
        "Observation",
        json!([{"path": "Observation.value[x]", "type": [{"code": "Quantity"}, {"code": "string"}]},
            {"path": "Observation.effectiveDateTime", "min": 1}]),
    );
    assert_eq!(held(&[&p], observation(json!({"valueString": "a", "effectiveDateTime": "2020"}))), none());
    let bad = observation(json!({"valueBoolean": true, "effectivePeriod": {"start": "2020"}}));
    assert_eq!(held(&[&p], bad), ["profile-type Observation.value", "profile-type Observation.effective"]);
    assert_eq!(held(&[&p], observation(json!({}))), ["profile-min Observation"]);
}

#[test]
fn values_meet_the_profile_of_their_type() {
    let name = profile(
        "name",
        "HumanName",
        json!([{"path": "HumanName.family", "min": 1},
        {"path": "HumanName", "constraint": [{"key": "n-1", "severity": "error", "human": "no text", "expression": "text.empty()"}]}]),
    );
    let other = profile("other", "HumanName", json!([{"path": "HumanName.text", "min": 1}]));
    let of = |names: &[&str]| {
        let types: Vec<Value> =
            names.iter().map(|name| json!({"code": "HumanName", "profile": format!("{URL}{name}")})).collect();
        profile("p", "Patient", json!([{"path": "Patient.name", "type": types}]))
    };
    let resource = |name: Value| patient(json!({"name": [name]}));
    let one = [of(&["name"]), name.clone(), other.clone()];
    assert_eq!(held(&one.each_ref(), resource(json!({"family": "a"}))), none());
    assert_eq!(
        held(&one.each_ref(), resource(json!({"text": "a"}))),
        ["n-1 Patient.name[0]", "profile-min Patient.name[0]"]
    );
    let either = [of(&["name", "other"]), name, other];
    assert_eq!(held(&either.each_ref(), resource(json!({"text": "a"}))), none());
    assert_eq!(held(&either.each_ref(), resource(json!({"use": "old"}))), ["profile-type-profile Patient.name[0]"]);
    assert_eq!(held(&[&of(&["missing"])], resource(json!({"use": "old"}))), ["?profile-type-profile Patient.name[0]"]);
}

#[test]
fn elements_defined_elsewhere_are_held_to_their_definition() {
    let p = profile("p", "Questionnaire", json!([{"path": "Questionnaire.item.text", "min": 1}]));
    let item = |inner: Value| json!({"linkId": "1", "type": "group", "text": "a", "item": [inner]});
    let resource = |inner: Value| json!({"resourceType": "Questionnaire", "status": "draft", "item": [item(inner)]});
    let string = |text: Value| json!({"linkId": "2", "type": "string", "text": text});
    assert_eq!(held(&[&p], resource(string(json!("b")))), none());
    let mut bad = string(json!("b"));
    bad.as_object_mut().unwrap().remove("text");
    assert_eq!(held(&[&p], resource(bad)), ["profile-min Questionnaire.item[0].item[0]"]);
}

#[test]
fn constraints_go_by_their_own_keys() {
    let constraint = |key: &str, severity: &str, expression: &str| json!({"key": key, "severity": severity, "human": "words", "expression": expression});
    let p = profile(
        "p",
        "Patient",
        json!([{"path": "Patient", "constraint": [constraint("p-1", "error", "name.exists()"),
            constraint("p-2", "warning", "active"), constraint("p-3", "error", "name.("),
            constraint("p-4", "error", "link.all(other.resolve().active)"), constraint("p-5", "error", "%resource.gender.empty()")]},
            {"path": "Patient.birthDate", "constraint": [constraint("p-6", "error", "$this > @2000")]}]),
    );
    let good = patient(json!({"name": [{"text": "a"}], "active": true, "birthDate": "2001-01-01"}));
    assert_eq!(held(&[&p], good), ["?p-3 Patient"]);
    let bad = patient(
        json!({"gender": "male", "birthDate": "1999-01-01", "link": [{"other": {"reference": "urn:a"}, "type": "seealso"}]}),
    );
    assert_eq!(
        held(&[&p], bad.clone()),
        ["p-1 Patient", "p-5 Patient", "p-2 Patient", "p-6 Patient.birthDate", "?p-3 Patient", "?p-4 Patient"]
    );
    let outcome = {
        let mut bad = bad;
        bad["meta"] = json!({"profile": [format!("{URL}p")]});
        with(&[&p], &bad)
    };
    assert_eq!(outcome.findings[0].text, "this breaks the profile's constraint p-1: words");
}

/// Slices of `Observation.component` by a fixed code, `first` from 1 to 1 and `second` at most twice.
fn components(rules: &str, ordered: bool) -> Value {
    profile(
        "p",
        "Observation",
        json!([{"path": "Observation.component", "slicing": {"discriminator": [{"type": "value", "path": "code"}], "rules": rules, "ordered": ordered}},
            {"path": "Observation.component", "sliceName": "first", "min": 1, "max": "1"},
            {"path": "Observation.component.code.coding", "min": 1},
            {"path": "Observation.component.code.coding.code", "min": 1, "fixedCode": "1"},
            {"path": "Observation.component.valueQuantity", "min": 1},
            {"path": "Observation.component", "sliceName": "second", "min": 0, "max": "2"},
            {"path": "Observation.component.code", "patternCodeableConcept": {"coding": [{"code": "2"}]}}]),
    )
}

fn component(code: &str) -> Value {
    let coding =
        json!([{"system": "http://example.org/s", "code": "x"}, {"system": "http://example.org/s", "code": code}]);
    json!({"code": {"coding": coding}, "valueQuantity": {"value": 1}})
}

fn components_held(p: &Value, codes: &[&str]) -> Vec<String> {
    let all: Vec<Value> = codes.iter().map(|code| component(code)).collect();
    held(&[p], observation(json!({"component": all})))
}

#[test]
fn slices_are_told_by_what_they_fix_at_or_below_the_path() {
    let open = components("open", false);
    // the first coding of each is not the one that is fixed
    let fixed = "profile-fixed Observation.component[0].code.coding[0].code";
    assert_eq!(components_held(&open, &["1", "2", "3", "2"]), [fixed]);
    assert_eq!(
        components_held(&open, &["3", "2", "2", "2"]),
        ["profile-min Observation", "profile-max Observation.component[3]"]
    );
    assert_eq!(
        components_held(&open, &["1", "1"])[1..],
        ["profile-max Observation.component[1]", "profile-fixed Observation.component[1].code.coding[0].code"]
    );
    let mut one = component("1");
    one["code"]["coding"] = json!([{"system": "http://example.org/s", "code": "1"}]);
    one.as_object_mut().unwrap().remove("valueQuantity");
    let resource = observation(json!({"component": [component("2"), one]}));
    assert_eq!(held(&[&open], resource), ["profile-min Observation.component[1]"]);
}

#[test]
fn what_is_of_no_slice_is_told_where_nothing_else_may_stand() {
    let closed = components("closed", false);
    let found = components_held(&closed, &["1", "3"]);
    assert_eq!(found.last().unwrap(), "profile-slice-closed Observation.component[1]");
    let mut resource = observation(json!({"component": [component("3")]}));
    resource["meta"] = json!({"profile": [format!("{URL}p")]});
    let outcome = with(&[&closed], &resource);
    assert!(outcome.findings[1].text.contains("first, second"), "{:?}", outcome.findings);
}

#[test]
fn slices_stand_in_order_where_the_profile_asks_for_it() {
    let late = |rules: &str, ordered: bool, codes: &[&str]| -> Vec<String> {
        let mut found = components_held(&components(rules, ordered), codes);
        found.retain(|line| line.starts_with("profile-slice"));
        found
    };
    assert_eq!(late("open", true, &["1", "3", "2"]), none());
    assert_eq!(late("open", true, &["2", "1"]), ["profile-slice-order Observation.component[1]"]);
    assert_eq!(late("openAtEnd", false, &["2", "1", "3"]), none());
    assert_eq!(late("openAtEnd", false, &["1", "3", "2"]), ["profile-slice-order Observation.component[2]"]);
}

#[test]
fn slices_are_told_by_type_existence_and_profile() {
    let by_type = profile(
        "p",
        "Observation",
        json!([{"path": "Observation.value[x]", "slicing": {"discriminator": [{"type": "type", "path": "$this"}], "rules": "closed"}},
            {"path": "Observation.valueQuantity", "sliceName": "valueQuantity"},
            {"path": "Observation.valueQuantity.unit", "min": 1},
            {"path": "Observation.valueString", "sliceName": "valueString"}]),
    );
    assert_eq!(held(&[&by_type], observation(json!({"valueString": "a"}))), none());
    let bare = observation(json!({"valueQuantity": {"value": 1}}));
    assert_eq!(held(&[&by_type], bare), ["profile-min Observation.value"]);
    let other = observation(json!({"valueBoolean": true}));
    assert_eq!(held(&[&by_type], other), ["profile-slice-closed Observation.value"]);
    let by_existence = profile(
        "p",
        "Patient",
        json!([{"path": "Patient.name", "slicing": {"discriminator": [{"type": "exists", "path": "period"}], "rules": "open"}},
            {"path": "Patient.name", "sliceName": "dated", "max": "1"}, {"path": "Patient.name.period", "min": 1},
            {"path": "Patient.name", "sliceName": "plain"}, {"path": "Patient.name.period", "max": "0"}, {"path": "Patient.name.family", "min": 1}]),
    );
    let dated = json!({"text": "a", "period": {"start": "2020"}});
    assert_eq!(held(&[&by_existence], patient(json!({"name": [dated, {"family": "a"}]}))), none());
    assert_eq!(
        held(&[&by_existence], patient(json!({"name": [dated, {"text": "a"}, dated]}))),
        ["profile-min Patient.name[1]", "profile-max Patient.name[2]"]
    );
    let of_name = |name: &str| json!([{"code": "HumanName", "profile": format!("{URL}{name}")}]);
    let by_profile = profile(
        "p",
        "Patient",
        json!([{"path": "Patient.name", "slicing": {"discriminator": [{"type": "profile", "path": "$this"}], "rules": "open"}},
            {"path": "Patient.name", "sliceName": "whole", "min": 1, "type": of_name("whole")}]),
    );
    let whole = profile(
        "whole",
        "HumanName",
        json!([{"path": "HumanName.family", "min": 1}, {"path": "HumanName.given", "min": 1}]),
    );
    let name = json!({"family": "a", "given": ["b"]});
    assert_eq!(held(&[&by_profile, &whole], patient(json!({"name": [{"text": "a"}, name]}))), none());
    assert_eq!(held(&[&by_profile, &whole], patient(json!({"name": [{"family": "a"}]}))), ["profile-min Patient"]);
}

#[test]
fn slices_of_slices_and_slices_that_nothing_tells_apart() {
    let slicing = |path: &str| json!({"discriminator": [{"type": "value", "path": path}], "rules": "open"});
    let p = profile(
        "p",
        "Patient",
        json!([{"path": "Patient.telecom", "slicing": slicing("system")},
            {"path": "Patient.telecom", "sliceName": "phone", "slicing": slicing("use")},
            {"path": "Patient.telecom.system", "fixedCode": "phone"},
            {"path": "Patient.telecom", "sliceName": "phone/home", "min": 1, "max": "1"},
            {"path": "Patient.telecom.use", "fixedCode": "home"}]),
    );
    let phone = |kind: &str| json!({"system": "phone", "value": "1", "use": kind});
    assert_eq!(held(&[&p], patient(json!({"telecom": [phone("work"), phone("home")]}))), none());
    let email = json!({"system": "email", "value": "1", "use": "home"});
    assert_eq!(held(&[&p], patient(json!({"telecom": [phone("work"), email]}))), ["profile-min Patient"]);
    assert_eq!(
        held(&[&p], patient(json!({"telecom": [phone("home"), phone("home")]}))),
        ["profile-max Patient.telecom[1]"]
    );
    let vague = profile(
        "p",
        "Patient",
        json!([{"path": "Patient.name", "slicing": {"rules": "open"}}, {"path": "Patient.name", "sliceName": "a", "min": 1},
            {"path": "Patient.telecom", "slicing": slicing("value")}, {"path": "Patient.telecom", "sliceName": "b", "min": 1}]),
    );
    assert_eq!(
        held(&[&vague], patient(json!({"name": [{"text": "a"}], "telecom": [phone("home")]}))),
        ["?profile-slice Patient.name[0]", "?profile-slice Patient.telecom[0]"]
    );
}

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
    assert_eq!(held(&[&p, &active], elsewhere), ["profile-aggregation Observation.subject"]);
    let contained = json!([{"resourceType": "Patient", "id": "c", "active": true}]);
    let inside = observation(json!({"contained": contained, "subject": {"reference": "#c"}}));
    assert_eq!(held(&[&p, &active], inside), none());
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
fn value_sets_that_take_in_each_other_end() {
    let p = bound("required", &format!("{SETS}v"));
    let v = value_set("v", json!({"include": [{"valueSet": [format!("{SETS}w")]}]}));
    let w = value_set("w", json!({"include": [{"valueSet": [format!("{SETS}v")]}]}));
    let outcome = held(&[&p, &v, &w], coded("urn:x", "1"));
    assert_eq!(outcome.len(), 1);
    assert!(outcome[0].starts_with("?profile-binding "), "{outcome:?}");
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

#[test]
fn alternatives_in_alternatives_end() {
    let of = |code: &str, names: &[&str]| -> Value {
        names.iter().map(|name| json!({"code": code, "profile": format!("{URL}{name}")})).collect()
    };
    let p = profile("p", "Patient", json!([{"path": "Patient.name", "type": of("HumanName", &["n", "m"])}]));
    let name = |name: &str| {
        profile(name, "HumanName", json!([{"path": "HumanName.extension", "type": of("Extension", &["e", "f"])}]))
    };
    let extension = |name: &str| {
        profile(
            name,
            "Extension",
            json!([{"path": "Extension.id", "min": 1}, {"path": "Extension.extension", "type": of("Extension", &["e", "f"])}]),
        )
    };
    let mut nested = json!({"url": "http://example.org/x", "valueCode": "a"});
    for _ in 0..20 {
        nested = json!({"url": "http://example.org/x", "extension": [nested]});
    }
    let definitions = [p, name("n"), name("m"), extension("e"), extension("f")];
    let found = held(&definitions.each_ref(), patient(json!({"name": [{"extension": [nested]}]})));
    assert!(found.contains(&"?profile-type-profile Patient".to_owned()), "{found:?}");
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
