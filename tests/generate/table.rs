//! The facts of a release as lines of tab-separated text; `src/stu3/table.rs` reads them and says what they mean.
//!
//! Facts only: paths, numbers, names, URLs, codes and expressions; none of the package's prose.

use super::package::{Package, items, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;

const DEFINITION: &str = "http://hl7.org/fhir/StructureDefinition/";
pub(super) const MAXIMUM: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet";

/// The table of a package: types, each after its base, the bases of nested elements first, otherwise by name.
pub(crate) fn table(package: &Package) -> String {
    let mut out = String::new();
    let mut written = BTreeSet::new();
    // nested elements are built on these two, so they stand before any resource
    for name in ["Element", "BackboneElement"].into_iter().chain(package.types.keys().map(String::as_str)) {
        write_type(package, name, &mut written, &mut out);
    }
    out
}

fn write_type<'p>(package: &'p Package, name: &'p str, written: &mut BTreeSet<&'p str>, out: &mut String) {
    let definition = &package.types[name];
    let base = text(definition, "baseDefinition").trim_start_matches(DEFINITION);
    if written.contains(name) {
        return;
    }
    if !base.is_empty() {
        write_type(package, base, written, out);
    }
    written.insert(name);
    let kind = match (text(definition, "kind"), definition["abstract"].as_bool()) {
        ("resource", Some(true)) => "abstract-resource",
        (kind, _) => kind,
    };
    let _ = writeln!(out, "T\t{name}\t{kind}\t{base}");
    let elements = items(&definition["snapshot"], "element");
    write_rules(package, base, &elements[0], out);
    if kind != "primitive-type" {
        write_children(package, base, elements, name, out);
    }
}

/// The elements directly under `path` that its base does not have, then each of those with children of its own.
fn write_children(package: &Package, base: &str, elements: &[Value], path: &str, out: &mut String) {
    let inherited = inherited(package, base);
    let own: Vec<&Value> = elements
        .iter()
        .filter(|element| parent(element) == path && !inherited.contains(last(text(element, "path"))))
        .collect();
    for element in &own {
        write_element(elements, element, out);
        if !has_children(elements, element) {
            write_rules(package, "", element, out);
        }
    }
    for element in own.into_iter().filter(|element| has_children(elements, element)) {
        let nested_base = text(&items(element, "type")[0], "code");
        let _ = writeln!(out, "S\t{}\t{nested_base}", text(element, "path"));
        write_rules(package, nested_base, element, out);
        write_children(package, nested_base, elements, text(element, "path"), out);
    }
}

/// One line: name, min, max, flags, types, binding strength, value set, maximum value set.
fn write_element(elements: &[Value], element: &Value, out: &mut String) {
    let mut flags = String::new();
    if element["isModifier"] == true {
        flags.push('m');
    }
    if items(element, "representation").iter().any(|way| way == "xmlAttr") {
        flags.push('a');
    }
    let (strength, value_set) = binding(element);
    let columns = [
        "E",
        last(text(element, "path")),
        &element["min"].to_string(),
        text(element, "max"),
        &flags,
        &types(elements, element),
        strength,
        value_set,
        maximum(element),
    ];
    let _ = writeln!(out, "{}", columns.join("\t").trim_end());
}

/// Strength and value set of an element's binding; empty where it has none.
pub(super) fn binding(element: &Value) -> (&str, &str) {
    let binding = &element["binding"];
    let value_set = match text(&binding["valueSetReference"], "reference") {
        "" => text(binding, "valueSetUri"),
        reference => reference,
    };
    (text(binding, "strength"), value_set)
}

/// The value set that bounds an element's codes whatever its binding's strength; empty where it has none.
pub(super) fn maximum(element: &Value) -> &str {
    let maximum = items(&element["binding"], "extension").iter().find(|extension| text(extension, "url") == MAXIMUM);
    maximum.map_or("", |extension| text(&extension["valueReference"], "reference"))
}

/// The types by name, separated by spaces; `Reference(A|B)` with its targets, `Quantity{Profile}`,
/// a path for nested elements, `@path` where another element's definition is used.
pub(super) fn types(elements: &[Value], element: &Value) -> String {
    if let Some(path) = element.get("contentReference").and_then(Value::as_str) {
        return format!("@{}", path.trim_start_matches('#'));
    }
    if has_children(elements, element) {
        return text(element, "path").to_owned();
    }
    let mut names: Vec<String> = Vec::new();
    let mut targets: Vec<&str> = Vec::new();
    let mut reference = None;
    for way in items(element, "type") {
        match text(way, "code") {
            "Reference" => {
                let place = *reference.get_or_insert(names.len());
                if place == names.len() {
                    names.push(String::new());
                }
                targets.push(text(way, "targetProfile").trim_start_matches(DEFINITION));
            }
            code => match text(way, "profile").trim_start_matches(DEFINITION) {
                "" => names.push(code.to_owned()),
                profile => names.push(format!("{code}{{{profile}}}")),
            },
        }
    }
    if let Some(place) = reference {
        targets.retain(|target| !target.is_empty());
        names[place] = format!("Reference({})", targets.join("|"));
    }
    names.join(" ")
}

/// The constraints that the base does not state already: key, severity, expression.
fn write_rules(package: &Package, base: &str, element: &Value, out: &mut String) {
    let stated =
        package.types.get(base).map_or(&[][..], |base| items(&items(&base["snapshot"], "element")[0], "constraint"));
    for rule in items(element, "constraint") {
        let inherited = stated.iter().any(|other| {
            text(other, "key") == text(rule, "key") && text(other, "expression") == text(rule, "expression")
        });
        if !inherited {
            let expression = text(rule, "expression").split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(out, "R\t{}\t{}\t{expression}", text(rule, "key"), text(rule, "severity"));
        }
    }
}

/// The names of the elements that a base type has.
fn inherited<'p>(package: &'p Package, base: &str) -> BTreeSet<&'p str> {
    let Some(definition) = package.types.get(base) else { return BTreeSet::new() };
    items(&definition["snapshot"], "element")
        .iter()
        .filter(|element| parent(element) == base)
        .map(|element| last(text(element, "path")))
        .collect()
}

fn has_children(elements: &[Value], element: &Value) -> bool {
    elements.iter().any(|other| parent(other) == text(element, "path"))
}

fn parent(element: &Value) -> &str {
    text(element, "path").rsplit_once('.').map_or("", |(parent, _)| parent)
}

fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, last)| last)
}
