//! Slices, by every way to tell them, and alternatives.

use crate::validate::testing::{URL, held, none, observation, patient, profile, with};
use serde_json::{Value, json};

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
