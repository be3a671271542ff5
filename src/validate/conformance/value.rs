//! Values that a profile states: fixed ones, patterns, least and greatest values, lengths.
//! Spec: <https://hl7.org/fhir/STU3/elementdefinition-definitions.html#ElementDefinition.fixed_x_>.

use super::{FIXED, Judge, LENGTH, PATTERN, RANGE, element::Occurrence};
use crate::{
    fhir::{Document, Kind, NodeId, path::Decimal, path::order_of_dates, ucum},
    stu3::profile::{ElementDefinition, Typed, Value},
    validate::issue::At,
};
use std::cmp::Ordering;

/// How much of a stated value has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it and nothing else.
    Whole,
    /// All of it; more may stand beside it.
    AtLeast,
}

impl Judge<'_, '_, '_> {
    /// What a definition says of a value by naming values.
    pub(super) fn literal(&mut self, element: &ElementDefinition, at: Occurrence) {
        if let Some(fixed) = &element.fixed
            && !is_like(self.cx.document, at, fixed, Extent::Whole)
        {
            let text = format!("the profile fixes this value to {}: write it so", shown(fixed));
            self.add(&FIXED, At::here(at.node), text);
        }
        if let Some(pattern) = &element.pattern
            && !is_like(self.cx.document, at, pattern, Extent::AtLeast)
        {
            let text = format!("the profile wants this value to have {}: add it", shown(pattern));
            self.add(&PATTERN, At::here(at.node), text);
        }
        if let Some(least) = &element.min_value {
            self.bound(least, Ordering::Less, at);
        }
        if let Some(most) = &element.max_value {
            self.bound(most, Ordering::Greater, at);
        }
        let text = at.value.and_then(|value| self.cx.document.string(value));
        if let (Some(most), Some(text)) = (element.max_length, text)
            && text.chars().count() > most as usize
        {
            self.add(&LENGTH, At::here(at.node), format!("the profile allows {most} characters here: shorten it"));
        }
    }

    /// A least or a greatest value.
    fn bound(&mut self, stated: &Typed, beyond: Ordering, at: Occurrence) {
        let Some(value) = at.value else { return };
        let (word, end) = if beyond == Ordering::Less { ("at least", "raise") } else { ("at most", "lower") };
        match compare(self.cx.document, value, stated) {
            Some(order) if order == beyond => {
                let text = format!("the profile wants {word} {} here: check the value, or {end} it", shown(stated));
                self.add(&RANGE, At::here(at.node), text);
            }
            Some(_) => {}
            None => {
                let text = format!("whether this is {word} {}: they cannot be compared here", shown(stated));
                self.not_checked(&RANGE, At::here(at.node), text);
            }
        }
    }
}

/// A stated value, short enough for one line.
fn shown(stated: &Typed) -> String {
    const WIDEST: usize = 160;
    let text = match &stated.value {
        Value::String(text) => format!("\"{text}\""),
        other => other.to_string(),
    };
    if text.chars().count() <= WIDEST {
        return text;
    }
    text.chars().take(WIDEST).chain(['.', '.', '.']).collect()
}

/// A value in the document is what is stated.
pub(super) fn is_like(document: &Document<'_>, at: Occurrence, stated: &Typed, extent: Extent) -> bool {
    let twin_fits = match (&stated.twin, at.twin) {
        (None, None) => true,
        (None, Some(_)) => extent == Extent::AtLeast,
        (Some(twin), there) => there.is_some_and(|there| same(document, there, twin, extent)),
    };
    twin_fits && at.value.is_some_and(|value| same(document, value, &stated.value, extent))
}

fn same(document: &Document<'_>, node: NodeId, stated: &Value, extent: Extent) -> bool {
    match (document.kind(node), stated) {
        (Kind::Object, Value::Object(members)) => {
            let all = members.iter().all(|(name, stated)| {
                document.get(node, name).is_some_and(|member| same(document, member, stated, extent))
            });
            all && (extent == Extent::AtLeast || document.children(node).count() == members.len())
        }
        (Kind::Array, Value::Array(items)) => match extent {
            Extent::Whole => {
                document.children(node).count() == items.len()
                    && document.children(node).zip(items).all(|(item, stated)| same(document, item, stated, extent))
            }
            Extent::AtLeast => {
                items.iter().all(|stated| document.children(node).any(|item| same(document, item, stated, extent)))
            }
        },
        (Kind::String, Value::String(stated)) => document.string(node).is_some_and(|text| *text == **stated),
        (Kind::Number, Value::Number(stated)) => {
            let text = document.text(node).unwrap_or_default();
            *text == **stated || Decimal::parse(&text).is_some_and(|number| Some(number) == Decimal::parse(stated))
        }
        (Kind::True, Value::Boolean(stated)) => *stated,
        (Kind::False, Value::Boolean(stated)) => !stated,
        (Kind::Null, Value::Null) => true,
        _ => false,
    }
}

/// A value in the document against a stated one; `None` where they cannot be compared.
fn compare(document: &Document<'_>, node: NodeId, stated: &Typed) -> Option<Ordering> {
    match (&stated.value, document.kind(node)) {
        (Value::Number(stated), Kind::Number) => {
            Decimal::parse(&document.text(node)?)?.partial_cmp(&Decimal::parse(stated)?)
        }
        (Value::Object(_), Kind::Object) => {
            let of_node = |name: &str| document.get(node, name).and_then(|member| document.text(member));
            let of_stated = |name: &str| match stated.value.get(name) {
                Some(Value::String(text) | Value::Number(text)) => Some(&**text),
                _ => None,
            };
            let unit = of_node("code").or_else(|| of_node("unit")).unwrap_or_default();
            let stated_unit = of_stated("code").or_else(|| of_stated("unit")).unwrap_or_default();
            let (number, stated) = (of_node("value")?, of_stated("value")?);
            if *unit == *stated_unit {
                return Decimal::parse(&number)?.partial_cmp(&Decimal::parse(stated)?);
            }
            ucum::compare(&number, &unit, stated, stated_unit)
        }
        (Value::String(stated), Kind::String) => order_of_dates(&document.string(node)?, stated),
        _ => None,
    }
}
