//! Equality, equivalence and order (<http://hl7.org/fhirpath/#equality>, <http://hl7.org/fhirpath/#comparison>).

use super::{
    PathError,
    decimal::Decimal,
    evaluate::Evaluator,
    temporal::TemporalKind,
    value::{Collection, Element, Item},
};
use crate::fhir::{Content, Kind, ucum};
use std::{cmp::Ordering, collections::BTreeMap};

/// Whether two items are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Equality {
    Equal,
    Different,
    /// Dates of unlike precision, quantities of unlike units.
    Undecided,
}

impl From<bool> for Equality {
    fn from(equal: bool) -> Self {
        if equal { Self::Equal } else { Self::Different }
    }
}

/// Elements with parts deeper than this are different: no stack grows with the input.
const MOST_DEPTH: u32 = 100;

pub(super) fn equal<'d>(cx: &mut Evaluator<'_, 'd>, left: &Item<'d>, right: &Item<'d>) -> Result<Equality, PathError> {
    equal_at(cx, left, right, 0)
}

fn equal_at<'d>(
    cx: &mut Evaluator<'_, 'd>,
    left: &Item<'d>,
    right: &Item<'d>,
    depth: u32,
) -> Result<Equality, PathError> {
    cx.spend(1)?;
    if let (Item::Element(left), Item::Element(right)) = (left, right) {
        if left.node == right.node {
            return Ok(Equality::Equal);
        }
        let complex = |element: &Element| element.is_twin || cx.environment.document.kind(element.node) == Kind::Object;
        match (complex(left), complex(right)) {
            (true, true) => return same_parts(cx, left, right, depth),
            (false, false) => {}
            _ => return Ok(Equality::Different),
        }
    }
    Ok(match (cx.environment.system(left), cx.environment.system(right)) {
        (Item::Boolean(left), Item::Boolean(right)) => (left == right).into(),
        (Item::Text(left), Item::Text(right)) => (left == right).into(),
        (Item::Temporal(left), Item::Temporal(right)) => match left.compare(&right) {
            Some(order) => (order == Ordering::Equal).into(),
            None if (left.kind == TemporalKind::Time) != (right.kind == TemporalKind::Time) => Equality::Different,
            None => Equality::Undecided,
        },
        (Item::Quantity(left, unit), Item::Quantity(right, other)) => {
            match compare_quantities(left, &unit, right, &other) {
                Some(order) => (order == Ordering::Equal).into(),
                None => Equality::Undecided,
            }
        }
        (Item::Target(left), Item::Target(right)) => (left == right).into(),
        (left, right) => match (number(&left), number(&right)) {
            (Some(left), Some(right)) => (left == right).into(),
            _ => Equality::Different,
        },
    })
}

/// Elements with parts are equal where all parts are, in their order. The type counts only through them.
fn same_parts(cx: &mut Evaluator<'_, '_>, left: &Element, right: &Element, depth: u32) -> Result<Equality, PathError> {
    if depth > MOST_DEPTH {
        return Ok(Equality::Different);
    }
    let (mut of_left, mut of_right) = (Vec::new(), Vec::new());
    cx.children(left, &mut of_left)?;
    cx.children(right, &mut of_right)?;
    if of_left.len() != of_right.len() {
        return Ok(Equality::Different);
    }
    let name = |cx: &Evaluator<'_, '_>, item: &Item<'_>| match item {
        Item::Element(element) => element_name(cx, element).map(str::to_owned),
        _ => None,
    };
    // JSON does not order members: parts are put together by name
    let mut places: Vec<(Option<String>, usize)> =
        of_right.iter().enumerate().map(|(place, item)| (name(cx, item), place)).collect();
    places.sort();
    let mut names: Vec<(Option<String>, usize)> =
        of_left.iter().enumerate().map(|(place, item)| (name(cx, item), place)).collect();
    names.sort();
    for ((name, place), (other_name, other_place)) in names.into_iter().zip(places) {
        if name != other_name {
            return Ok(Equality::Different);
        }
        match equal_at(cx, &of_left[place], &of_right[other_place], depth + 1)? {
            Equality::Equal => {}
            other => return Ok(other),
        }
    }
    Ok(Equality::Equal)
}

/// The member's name on the wire, without `_`.
fn element_name<'d>(cx: &Evaluator<'_, 'd>, element: &Element) -> Option<&'d str> {
    let document = cx.environment.document;
    let named = if document.name(element.node).is_some() { element.node } else { document.parent(element.node)? };
    match document.name(named)? {
        std::borrow::Cow::Borrowed(name) => Some(name.strip_prefix('_').unwrap_or(name)),
        std::borrow::Cow::Owned(_) => None,
    }
}

fn number(item: &Item<'_>) -> Option<Decimal> {
    match item {
        Item::Integer(number) => Some(Decimal::whole(*number)),
        Item::Decimal(number) => Some(*number),
        _ => None,
    }
}

/// A calendar word as the UCUM code that it equals; years and months equal none.
fn unit_code(unit: &str) -> &str {
    match unit {
        "week" | "weeks" => "wk",
        "day" | "days" => "d",
        "hour" | "hours" => "h",
        "minute" | "minutes" => "min",
        "second" | "seconds" => "s",
        "millisecond" | "milliseconds" => "ms",
        "years" => "year",
        "months" => "month",
        other => other,
    }
}

fn compare_quantities(left: Decimal, unit: &str, right: Decimal, other: &str) -> Option<Ordering> {
    let (unit, other) = (unit_code(unit), unit_code(other));
    if unit == other {
        return left.partial_cmp(&right);
    }
    ucum::compare(&left.to_string(), unit, &right.to_string(), other)
}

/// Before, equal or after; `None` where that is undecided.
pub(super) fn order(left: &Item<'_>, right: &Item<'_>) -> Result<Option<Ordering>, PathError> {
    const UNLIKE: PathError = PathError::Evaluation("these values have no order among each other");
    match (left, right) {
        (Item::Text(left), Item::Text(right)) => Ok(Some(left.cmp(right))),
        (Item::Temporal(left), Item::Temporal(right)) => {
            if (left.kind == TemporalKind::Time) != (right.kind == TemporalKind::Time) {
                return Err(UNLIKE);
            }
            Ok(left.compare(right))
        }
        // a value that is no date where a date belongs is told elsewhere
        (Item::Text(_), Item::Temporal(_)) | (Item::Temporal(_), Item::Text(_)) => Ok(None),
        (Item::Quantity(left, unit), Item::Quantity(right, other)) => {
            Ok(compare_quantities(*left, unit, *right, other))
        }
        (Item::Element(_), _) | (_, Item::Element(_)) => Ok(None),
        (left, right) => match (number(left), number(right)) {
            (Some(left), Some(right)) => Ok(left.partial_cmp(&right)),
            _ => Err(UNLIKE),
        },
    }
}

/// `~`: texts without regard to case and spaces, numbers to the precision of the less precise; elements with parts where
/// all parts of a name are, in any order. <http://hl7.org/fhirpath/#equivalent>
fn equivalent_at<'d>(
    cx: &mut Evaluator<'_, 'd>,
    left: &Item<'d>,
    right: &Item<'d>,
    depth: u32,
) -> Result<bool, PathError> {
    cx.spend(1)?;
    Ok(match (cx.environment.system(left), cx.environment.system(right)) {
        (Item::Text(left), Item::Text(right)) => folded(&left) == folded(&right),
        (Item::Temporal(left), Item::Temporal(right)) => left.compare(&right) == Some(Ordering::Equal),
        (Item::Quantity(left, unit), Item::Quantity(right, other)) => {
            compare_quantities(left, &unit, right, &other) == Some(Ordering::Equal)
        }
        (Item::Element(left), Item::Element(right)) => equivalent_parts(cx, &left, &right, depth)?,
        (left, right) => match (number(&left), number(&right)) {
            (Some(left), Some(right)) => {
                let scale = left.scale().min(right.scale());
                left.round(scale) == right.round(scale)
            }
            _ => equal(cx, &left, &right)? == Equality::Equal,
        },
    })
}

/// Codings by system and code; other elements part by part.
fn equivalent_parts(
    cx: &mut Evaluator<'_, '_>,
    left: &Element,
    right: &Element,
    depth: u32,
) -> Result<bool, PathError> {
    let coded = |element: &Element| match element.content {
        Some(Content::Structure(id)) => cx.environment.is_kind_of(id, "Coding"),
        _ => false,
    };
    if coded(left) && coded(right) {
        return same_coding(cx, left, right);
    }
    let (of_left, of_right) = (named_parts(cx, left)?, named_parts(cx, right)?);
    if depth > MOST_DEPTH || of_left.is_empty() || of_left.len() != of_right.len() {
        return Ok(false);
    }
    for ((name, items), (other_name, others)) in of_left.iter().zip(&of_right) {
        if name != other_name || !all_equivalent(cx, items, others, depth + 1)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The parts of an element by their names, sorted.
fn named_parts<'d>(
    cx: &mut Evaluator<'_, 'd>,
    element: &Element,
) -> Result<BTreeMap<Option<&'d str>, Collection<'d>>, PathError> {
    let mut parts = Vec::new();
    cx.children(element, &mut parts)?;
    let mut named: BTreeMap<_, Collection<'d>> = BTreeMap::new();
    for part in parts {
        let name = match &part {
            Item::Element(element) => element_name(cx, element),
            _ => None,
        };
        named.entry(name).or_default().push(part);
    }
    Ok(named)
}

/// Each item has an equivalent one among the others that no other item has, in any order.
pub(super) fn all_equivalent<'d>(
    cx: &mut Evaluator<'_, 'd>,
    left: &[Item<'d>],
    right: &[Item<'d>],
    depth: u32,
) -> Result<bool, PathError> {
    if left.len() != right.len() {
        return Ok(false);
    }
    let mut rest: Vec<&Item<'d>> = right.iter().collect();
    for item in left {
        let mut place = None;
        for (index, other) in rest.iter().enumerate() {
            cx.spend(1)?;
            if equivalent_at(cx, item, other, depth)? {
                place = Some(index);
                break;
            }
        }
        match place {
            Some(place) => drop(rest.remove(place)),
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// Codings are equivalent by system and code.
fn same_coding(cx: &Evaluator<'_, '_>, left: &Element, right: &Element) -> Result<bool, PathError> {
    let document = cx.environment.document;
    let member = |element: &Element, name| document.get(element.node, name).and_then(|member| document.text(member));
    Ok(["system", "code"].into_iter().all(|name| member(left, name) == member(right, name)))
}

fn folded(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use crate::fhir::{
        json,
        path::{Environment, Expression},
    };

    #[test]
    fn equivalence_compares_parts_of_the_same_name() {
        let source = r#"{"resourceType":"Patient","name":[{"family":"a","given":["b","C"]},
            {"given":["c","B"],"family":"A"},{"given":["a"],"family":"b"},{"family":"a","given":["b"]},
            {"given":["a","b","c"]}],"contact":[{"name":{"family":"a"}},{"name":{"text":"a"}}]}"#;
        let document = json::read(source.as_bytes(), &json::Limits::default()).unwrap();
        let environment = Environment::of(&document, crate::stu3::release());
        let holds = |text: &str| Expression::parse(text).unwrap().holds(&environment, environment.root());
        for (expression, expected) in [
            ("name[0] ~ name[1]", true),
            ("name[2] ~ name[3]", false),
            ("name[0] ~ name[4]", false),
            ("contact[0] ~ contact[1]", false),
            ("contact[0].name ~ contact.name[0]", true),
            ("(name[0] | name[2]) ~ (name[2] | name[1])", true),
            ("$this ~ %resource", true),
        ] {
            assert_eq!(holds(expression), Ok(Some(expected)), "{expression}");
        }
    }
}
