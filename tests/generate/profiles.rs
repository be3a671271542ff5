//! The constraint profiles of a release as lines of text; `src/stu3/package/own.rs` reads them.
//!
//! A line is the profile's URL (its usual beginning as `§`), a tab, and what is left of the `StructureDefinition` without its prose, as JSON: the
//! facts of its differential. Snapshots are not kept, they follow.

use super::package::{Package, items};
use serde_json::{Map, Value};
use std::fmt::Write;

/// Where most URLs begin, and the sign that stands for it in the table.
const DEFINITIONS: &str = "http://hl7.org/fhir/StructureDefinition/";
const SHORT: &str = "\u{a7}";

/// What is kept of a definition, beside its differential.
const DEFINITION: [&str; 7] = ["url", "name", "type", "baseDefinition", "contextType", "context", "contextInvariant"];

/// What is kept of an element; of choices every type.
const ELEMENT: [&str; 10] = [
    "path",
    "sliceName",
    "min",
    "max",
    "contentReference",
    "maxLength",
    "condition",
    "mustSupport",
    "isModifier",
    "type",
];
const CHOICES: [&str; 4] = ["fixed", "pattern", "minValue", "maxValue"];

/// One line for each profile, by URL.
pub(crate) fn table(package: &Package) -> String {
    let mut out = String::new();
    for (url, definition) in &package.profiles {
        let elements = items(&definition["differential"], "element").iter().map(element).filter(|kept| kept.len() > 1);
        let mut kept = picked(definition, &DEFINITION);
        let elements: Vec<Value> = elements.map(Value::Object).collect();
        kept.insert("differential".to_owned(), serde_json::json!({"element": elements}));
        let line = format!("{url}\t{}", Value::Object(kept));
        assert!(!line.contains(SHORT), "{url}: the sign that stands for a URL is taken");
        let _ = writeln!(out, "{}", line.replace(DEFINITIONS, SHORT));
    }
    out
}

fn picked(object: &Value, names: &[&str]) -> Map<String, Value> {
    let members = object.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn element(element: &Value) -> Map<String, Value> {
    let mut kept = picked(element, &ELEMENT);
    for (name, value) in element.as_object().into_iter().flatten() {
        if CHOICES.iter().any(|prefix| name.trim_start_matches('_').starts_with(prefix)) {
            kept.insert(name.clone(), value.clone());
        }
    }
    for (name, parts) in [
        ("constraint", &["key", "severity", "expression"][..]),
        ("type", &["code", "profile", "targetProfile", "aggregation"]),
    ] {
        if let Some(list) = element.get(name).and_then(Value::as_array) {
            kept.insert(name.to_owned(), list.iter().map(|part| Value::Object(picked(part, parts))).collect());
        }
    }
    if let Some(slicing) = element.get("slicing") {
        kept.insert("slicing".to_owned(), Value::Object(picked(slicing, &["discriminator", "ordered", "rules"])));
    }
    if let Some(binding) = element.get("binding") {
        let mut bound = picked(binding, &["strength", "valueSetUri"]);
        if let Some(set) = binding.get("valueSetReference") {
            bound.insert("valueSetReference".to_owned(), Value::Object(picked(set, &["reference"])));
        }
        let maximum: Vec<Value> =
            items(binding, "extension").iter().filter(|part| part["url"] == super::table::MAXIMUM).cloned().collect();
        if !maximum.is_empty() {
            bound.insert("extension".to_owned(), Value::Array(maximum));
        }
        kept.insert("binding".to_owned(), Value::Object(bound));
    }
    kept
}
