//! What a profile asks of elements and values: each thing with a small profile of its own.

use crate::validate::testing::{URL, held, none, observation, patient, profile, with};
use serde_json::{Value, json};

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
