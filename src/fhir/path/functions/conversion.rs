//! <http://hl7.org/fhirpath/#conversion>

use super::Call;
use crate::fhir::path::{
    PathError,
    ast::Function,
    decimal::Decimal,
    evaluate::{Evaluator, Scope, boolean},
    temporal::{Temporal, TemporalKind},
    value::{Collection, Item},
};
use crate::fhir::ucum;

pub(super) fn call<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Collection<'d>, PathError> {
    if call.function == Function::Iif {
        return iif(cx, call);
    }
    let Some(value) = cx.single(call.items)? else { return Ok(Vec::new()) };
    let unit = cx.text_argument(call, 0)?;
    let (converted, asked) = match call.function {
        Function::ToBoolean => (to_boolean(&value), false),
        Function::ConvertsToBoolean => (to_boolean(&value), true),
        Function::ToInteger => (to_integer(&value), false),
        Function::ConvertsToInteger => (to_integer(&value), true),
        Function::ToDecimal => (to_decimal(&value).map(Item::Decimal), false),
        Function::ConvertsToDecimal => (to_decimal(&value).map(Item::Decimal), true),
        Function::ToDate => (to_date(&value), false),
        Function::ConvertsToDate => (to_date(&value), true),
        Function::ToDateTime => (to_date_time(&value), false),
        Function::ConvertsToDateTime => (to_date_time(&value), true),
        Function::ToTime => (to_time(&value), false),
        Function::ConvertsToTime => (to_time(&value), true),
        Function::ToQuantity => (to_quantity(value, unit.as_deref()), false),
        Function::ConvertsToQuantity => (to_quantity(value, unit.as_deref()), true),
        Function::ConvertsToText => (cx.environment.text(&call.items[0]).map(Item::Text), true),
        _ => (cx.environment.text(&call.items[0]).map(Item::Text), false),
    };
    Ok(if asked { boolean(converted.is_some()) } else { converted.into_iter().collect() })
}

/// Only the chosen branch is evaluated.
fn iif<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Collection<'d>, PathError> {
    let scope = match call.items {
        [] => call.scope,
        [_] => Scope { this: call.items, ..call.scope },
        _ => return Err(PathError::Evaluation("iif() needs a single item")),
    };
    let chosen = if cx.truth_of(&call.arguments[0], scope)? == Some(true) { 1 } else { 2 };
    call.arguments.get(chosen).map_or(Ok(Vec::new()), |branch| cx.of(branch, scope))
}

fn to_boolean<'d>(value: &Item<'d>) -> Option<Item<'d>> {
    let found = match value {
        Item::Boolean(value) => Some(*value),
        Item::Integer(number) => as_truth(Decimal::whole(*number)),
        Item::Decimal(number) => as_truth(*number),
        Item::Text(text) => match text.to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    found.map(Item::Boolean)
}

fn as_truth(number: Decimal) -> Option<bool> {
    match number.integer() {
        Some(0) => Some(false),
        Some(1) => Some(true),
        _ => None,
    }
}

fn to_integer<'d>(value: &Item<'d>) -> Option<Item<'d>> {
    let number = match value {
        Item::Integer(number) => Some(*number),
        Item::Boolean(value) => Some(i64::from(*value)),
        Item::Text(text) => text.strip_prefix('+').unwrap_or(text).parse::<i32>().ok().map(i64::from),
        _ => None,
    };
    number.map(Item::Integer)
}

fn to_decimal(value: &Item<'_>) -> Option<Decimal> {
    match value {
        Item::Integer(number) => Some(Decimal::whole(*number)),
        Item::Decimal(number) => Some(*number),
        Item::Boolean(value) => Some(Decimal::whole(i64::from(*value))),
        Item::Text(text) => Decimal::parse(text),
        _ => None,
    }
}

fn to_date<'d>(value: &Item<'d>) -> Option<Item<'d>> {
    let date = match value {
        Item::Temporal(value) if value.kind != TemporalKind::Time => Some(value.as_date()),
        Item::Text(text) => Temporal::date_time(text).map(Temporal::as_date),
        _ => None,
    };
    date.map(Item::Temporal)
}

fn to_date_time<'d>(value: &Item<'d>) -> Option<Item<'d>> {
    let value = match value {
        Item::Temporal(value) if value.kind != TemporalKind::Time => Some(value.as_date_time()),
        Item::Text(text) => Temporal::date_time(text),
        _ => None,
    };
    value.map(Item::Temporal)
}

fn to_time<'d>(value: &Item<'d>) -> Option<Item<'d>> {
    let time = match value {
        Item::Temporal(value) if value.kind == TemporalKind::Time => Some(*value),
        Item::Text(text) => Temporal::time(text.strip_prefix('T').unwrap_or(text)),
        _ => None,
    };
    time.map(Item::Temporal)
}

fn to_quantity<'d>(value: Item<'d>, wanted: Option<&str>) -> Option<Item<'d>> {
    let (number, unit) = match value {
        Item::Quantity(number, unit) => (number, unit.into_owned()),
        Item::Text(text) => {
            let text = text.trim();
            let end = text.find([' ', '\'']).unwrap_or(text.len());
            let unit = text[end..].trim();
            let unit = match unit.strip_prefix('\'') {
                Some(code) => code.strip_suffix('\'').filter(|code| !code.is_empty())?,
                None if unit.is_empty() => "1",
                None => {
                    unit.bytes().all(|byte| byte.is_ascii_lowercase()).then_some(unit).filter(|unit| unit.len() > 2)?
                }
            };
            (Decimal::parse(&text[..end])?, unit.to_owned())
        }
        other => (to_decimal(&other)?, "1".to_owned()),
    };
    let fits = wanted.is_none_or(|wanted| wanted == unit || ucum::comparable(wanted, &unit));
    fits.then(|| Item::Quantity(number, unit.into()))
}
