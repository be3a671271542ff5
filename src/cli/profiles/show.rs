//! `profiles show`: the elements of a profile as a tree for people, or a JSON object on a line for each.

use super::{Exit, Failed, Form, print};
use crate::stu3::{
    Strength,
    package::Library,
    profile::{ElementDefinition, Node, Placed, RELEASE_URL, Slicing, Snapshot, Type, Typed},
    type_snapshot,
};
use std::{fmt::Write, sync::Arc};

pub(super) fn profile(library: &Library, url: &str, form: Form) -> Result<Exit, Failed> {
    let snapshot = found(library, url)?;
    if form == Form::Json {
        snapshot.elements().iter().try_for_each(|placed| print::json(&Row::of(placed)))?;
        return Ok(Exit::Done);
    }
    let mut text = format!("{}\n", snapshot.url);
    let _ = writeln!(text, "{}  {}", snapshot.root.name, facts(&snapshot.root.element));
    draw(&snapshot.root, "", &mut text);
    print::out(&text)?;
    Ok(Exit::Done)
}

/// By canonical URL, or by its last part where that is one profile's alone.
fn found(library: &Library, url: &str) -> Result<Arc<Snapshot>, Failed> {
    let no = |text: String| Failed::sentence(Exit::No, text);
    let mut profile = library.profile(url);
    if profile.is_none() {
        let ends = |known: &str| known.rsplit_once('/').is_some_and(|(_, last)| last == url);
        let mut urls: Vec<&str> = library.profiles().iter().map(|profile| &*profile.definition.url).collect();
        urls.retain(|known| ends(known));
        urls.dedup();
        match urls[..] {
            [] => {}
            [one] => profile = library.profile(one),
            _ => return Err(no(format!("several profiles end with this name; say which: {}", urls.join(", ")))),
        }
    }
    match profile {
        Some(profile) => profile
            .snapshot
            .clone()
            .ok_or_else(|| no(format!("{} is unusable; `pushbridge profiles check` says why", profile.definition.url))),
        None => type_snapshot(url.strip_prefix(RELEASE_URL).unwrap_or(url))
            .ok_or_else(|| no("there is no such profile; `pushbridge profiles ls` lists what is loaded".to_owned())),
    }
}

/// Slices stand one step further in than what they are slices of.
fn draw(node: &Node, margin: &str, text: &mut String) {
    for (place, child) in node.children.iter().enumerate() {
        let rest = &node.children[place + 1..];
        let is_last =
            !rest.iter().any(|other| child.slice.is_none() || other.slice.is_none() || other.name == child.name);
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let name = match &child.slice {
            Some(slice) => format!("{}:{slice}", child.name),
            None => child.name.to_string(),
        };
        let _ = writeln!(text, "{margin}{branch}{name}  {}", facts(&child.element));
        draw(child, &format!("{margin}{below}"), text);
    }
}

/// How often, marks, types, values, codes, slices.
fn facts(element: &ElementDefinition) -> String {
    let mut parts = vec![format!("{}..{}", element.min, most(element))];
    let marks = [(element.must_support, '*'), (element.is_modifier, '!')];
    let marks: String = marks.into_iter().filter(|(is_set, _)| *is_set).map(|(_, mark)| mark).collect();
    parts.push(marks);
    parts.push(types(&element.types));
    parts.push(element.content_reference.as_ref().map(|path| format!("as {path}")).unwrap_or_default());
    let value = |name: &str, value: &Option<Typed>| value.as_ref().map(|known| format!("{name} {}", known.value));
    for (name, stated) in
        [("=", &element.fixed), ("like", &element.pattern), ("from", &element.min_value), ("up to", &element.max_value)]
    {
        parts.extend(value(name, stated));
    }
    parts.extend(element.binding.as_ref().map(|bound| {
        format!("codes: {} ({})", bound.value_set.as_deref().map_or("-", short), strength(bound.strength))
    }));
    parts.extend(element.slicing.as_ref().map(slicing));
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

fn most(element: &ElementDefinition) -> String {
    element.max.map_or_else(|| "*".to_owned(), |most| most.to_string())
}

fn types(types: &[Type]) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut open: Option<&str> = None;
    for known in types {
        let mut text = known.code.to_string();
        if let Some(profile) = &known.profile {
            let _ = write!(text, "<{}>", short(profile));
        }
        match (&known.target, texts.last_mut()) {
            (Some(target), Some(last)) if open == Some(&text) => {
                last.insert_str(last.len() - 1, &format!(" | {}", short(target)));
            }
            (Some(target), _) => texts.push(format!("{text}({})", short(target))),
            (None, _) => texts.push(text),
        }
        open = known.target.is_some().then_some(&*known.code);
    }
    if texts.len() > 12 { format!("any of {} types", texts.len()) } else { texts.join(" | ") }
}

/// The last part of a URL says enough where the release or a package is meant.
fn short(url: &str) -> &str {
    url.strip_prefix(RELEASE_URL).unwrap_or_else(|| url.rsplit('/').next().unwrap_or(url))
}

fn slicing(slicing: &Slicing) -> String {
    let by: Vec<String> =
        slicing.discriminators.iter().map(|known| format!("{} of {}", known.kind.code(), known.path)).collect();
    let order = if slicing.ordered { ", ordered" } else { "" };
    format!("sliced by {} ({}{order})", by.join(", "), slicing.rules.code())
}

const fn strength(strength: Strength) -> &'static str {
    match strength {
        Strength::Required => "required",
        Strength::Extensible => "extensible",
        Strength::Preferred => "preferred",
        Strength::Example => "example",
    }
}

/// An element for programs.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'s> {
    id: &'s str,
    path: &'s str,
    slice: Option<&'s str>,
    min: u32,
    max: String,
    types: Vec<RowType<'s>>,
    content_reference: Option<&'s str>,
    fixed: Option<String>,
    pattern: Option<String>,
    min_value: Option<String>,
    max_value: Option<String>,
    max_length: Option<u32>,
    binding: Option<RowBinding<'s>>,
    slicing: Option<RowSlicing<'s>>,
    constraints: Vec<&'s str>,
    must_support: bool,
    is_modifier: bool,
}

#[derive(serde::Serialize)]
struct RowType<'s> {
    code: &'s str,
    profile: Option<&'s str>,
    target: Option<&'s str>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct RowBinding<'s> {
    strength: &'static str,
    value_set: Option<&'s str>,
    maximum: Option<&'s str>,
}

#[derive(serde::Serialize)]
struct RowSlicing<'s> {
    discriminators: Vec<(&'static str, &'s str)>,
    ordered: bool,
    rules: &'static str,
}

impl<'s> Row<'s> {
    fn of(placed: &'s Placed<'s>) -> Self {
        let element = &*placed.node.element;
        let value = |known: &Option<Typed>| known.as_ref().map(|known| known.value.to_string());
        Self {
            id: &placed.id,
            path: &placed.path,
            slice: placed.node.slice.as_deref(),
            min: element.min,
            max: most(element),
            types: element
                .types
                .iter()
                .map(|known| RowType {
                    code: &known.code,
                    profile: known.profile.as_deref(),
                    target: known.target.as_deref(),
                })
                .collect(),
            content_reference: element.content_reference.as_deref(),
            fixed: value(&element.fixed),
            pattern: value(&element.pattern),
            min_value: value(&element.min_value),
            max_value: value(&element.max_value),
            max_length: element.max_length,
            binding: element.binding.as_ref().map(|bound| RowBinding {
                strength: strength(bound.strength),
                value_set: bound.value_set.as_deref(),
                maximum: bound.maximum.as_deref(),
            }),
            slicing: element.slicing.as_ref().map(|known| RowSlicing {
                discriminators: known.discriminators.iter().map(|by| (by.kind.code(), &*by.path)).collect(),
                ordered: known.ordered,
                rules: known.rules.code(),
            }),
            constraints: element.constraints.iter().map(|constraint| &*constraint.key).collect(),
            must_support: element.must_support,
            is_modifier: element.is_modifier,
        }
    }
}
