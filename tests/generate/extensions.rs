//! The extensions of a release as lines of tab-separated text; `src/stu3/extensions.rs` reads them and says what they
//! mean.

use super::{
    package::{Package, items, text},
    table,
};
use serde_json::Value;
use std::fmt::Write;

/// Every extension by URL, its parts under it.
pub(crate) fn table(package: &Package) -> String {
    let mut out = String::new();
    for (url, definition) in &package.extensions {
        let elements = items(&definition["snapshot"], "element");
        let places = [contexts(definition), invariants(definition)].join("\t");
        write_extension(elements, &elements[0], url, &places, 0, &mut out);
    }
    out
}

/// One line: depth, URL, min, max, flags, types, binding strength, value set, maximum value set, places; then the parts.
fn write_extension(elements: &[Value], element: &Value, url: &str, places: &str, depth: usize, out: &mut String) {
    let id = text(element, "id");
    let value = elements.iter().find(|other| {
        text(other, "id").strip_prefix(id).is_some_and(|rest| rest.starts_with(".value") && !rest[1..].contains('.'))
            && text(other, "max") != "0"
    });
    let mut flags = String::new();
    if element["isModifier"] == true {
        flags.push('m');
    }
    if value.is_some_and(|value| value["min"] != 0) {
        flags.push('v');
    }
    let (strength, value_set) = value.map_or(("", ""), table::binding);
    let columns: [&str; 10] = [
        &depth.to_string(),
        url,
        &element["min"].to_string(),
        text(element, "max"),
        &flags,
        &value.map(|value| table::types(elements, value)).unwrap_or_default(),
        strength,
        value_set,
        value.map_or("", table::maximum),
        places,
    ];
    let _ = writeln!(out, "{}", columns.join("\t").trim_end());
    for part in parts(elements, id) {
        let fixed = format!("{}.url", text(part, "id"));
        let url = elements.iter().find(|other| text(other, "id") == fixed).map_or("", |url| text(url, "fixedUri"));
        write_extension(elements, part, url, "", depth + 1, out);
    }
}

/// The named slices of `extension` directly under an element.
fn parts<'p>(elements: &'p [Value], id: &str) -> impl Iterator<Item = &'p Value> {
    let prefix = format!("{id}.extension:");
    elements
        .iter()
        .filter(move |element| text(element, "id").strip_prefix(&prefix).is_some_and(|name| !name.contains('.')))
}

/// Where it may stand; some definitions write two places as one string.
fn contexts(definition: &Value) -> String {
    let places = items(definition, "context").iter().filter_map(Value::as_str);
    places.flat_map(|place| place.split(',')).map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The conditions on the element that holds it.
fn invariants(definition: &Value) -> String {
    let expressions = items(definition, "contextInvariant").iter().filter_map(Value::as_str);
    expressions.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\t")
}
