//! JSON instances as FHIR XML, for tests: elements in the release's order, twins put together with their values.

use pushbridge::{
    fhir::{Content, Schema, StructureId},
    stu3::release,
};
use serde_json::{Map, Value};
use std::fmt::Write;

/// A resource as XML. Members that the release does not know stand last.
pub(super) fn resource(value: &Value) -> String {
    let name = value["resourceType"].as_str().unwrap();
    let mut out = format!("<{name} xmlns=\"http://hl7.org/fhir\">");
    members(release().resource(name), value.as_object().unwrap(), &mut out);
    let _ = write!(out, "</{name}>");
    out
}

fn members(id: Option<StructureId>, object: &Map<String, Value>, out: &mut String) {
    let schema: &dyn Schema = release();
    let mut names: Vec<&str> = object.keys().map(|name| name.trim_start_matches('_')).collect();
    // `Claim.payee.resourceType` is an element
    names.retain(|name| *name != "resourceType" || !object[*name].is_string());
    let known = |name: &str| id.and_then(|id| schema.member_named(id, name));
    names.sort_by_key(|name| known(name).map_or(u8::MAX, |member| member.place));
    names.dedup();
    for name in names {
        let member = known(name);
        if member.is_some_and(|member| member.attribute) {
            continue;
        }
        let content = member.map(|member| member.content);
        let (value, twin) = (object.get(name), object.get(&format!("_{name}")));
        let at = |value: Option<&Value>, index: usize| match value {
            Some(Value::Array(items)) => items.get(index).filter(|item| !item.is_null()).cloned(),
            Some(value) if index == 0 => Some(value.clone()),
            _ => None,
        };
        let length = |value: Option<&Value>| value.map_or(0, |value| value.as_array().map_or(1, Vec::len));
        for index in 0..length(value).max(length(twin)) {
            element(name, content, at(value, index).as_ref(), at(twin, index).as_ref(), out);
        }
    }
}

fn element(name: &str, content: Option<Content>, value: Option<&Value>, twin: Option<&Value>, out: &mut String) {
    match (content, value) {
        (Some(Content::Resource), Some(value)) => {
            let _ =
                write!(out, "<{name}>{}</{name}>", resource(value).replacen(" xmlns=\"http://hl7.org/fhir\"", "", 1));
        }
        (_, Some(Value::Object(object))) => {
            let id = match content {
                Some(Content::Structure(id)) => Some(id),
                _ => None,
            };
            let _ = write!(out, "<{name}{}>", attributes(id, object));
            members(id, object, out);
            let _ = write!(out, "</{name}>");
        }
        (Some(Content::Primitive(pushbridge::fhir::Primitive::Xhtml)), Some(Value::String(text))) => out.push_str(text),
        (_, value) => {
            let text = match value {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            };
            let value = if value.is_some() { format!(" value=\"{}\"", escape(&text)) } else { String::new() };
            let base = release().structure_named("Element");
            let inner = twin.and_then(Value::as_object);
            let id = inner.map(|inner| attributes(base, inner)).unwrap_or_default();
            let _ = write!(out, "<{name}{id}{value}>");
            if let Some(inner) = inner {
                members(base, inner, out);
            }
            let _ = write!(out, "</{name}>");
        }
    }
}

/// ` url="..."` and ` id="..."`, where the structure has them as attributes.
fn attributes(id: Option<StructureId>, object: &Map<String, Value>) -> String {
    let schema: &dyn Schema = release();
    let is_attribute =
        |name: &str| id.and_then(|id| schema.member_named(id, name)).is_some_and(|member| member.attribute);
    object
        .iter()
        .filter(|(name, _)| is_attribute(name))
        .filter_map(|(name, value)| Some(format!(" {name}=\"{}\"", escape(value.as_str()?))))
        .collect()
}

fn escape(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\n' | '\r' | '\t' => format!("&#{};", u32::from(character)),
            other => other.to_string(),
        })
        .collect()
}
