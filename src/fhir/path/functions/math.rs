//! <http://hl7.org/fhirpath/#math>

use super::Call;
use crate::fhir::path::{
    PathError,
    ast::Function,
    decimal::Decimal,
    evaluate::Evaluator,
    value::{Collection, Item},
};

pub(super) fn call<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Collection<'d>, PathError> {
    let Some(value) = cx.single(call.items)? else { return Ok(Vec::new()) };
    let number = match value {
        Item::Integer(number) => Decimal::whole(number),
        Item::Decimal(number) => number,
        Item::Quantity(number, unit) if call.function == Function::Abs => {
            return Ok(vec![Item::Quantity(number.abs(), unit)]);
        }
        _ => return Err(PathError::Evaluation("a number is needed here")),
    };
    let is_whole = matches!(value, Item::Integer(_));
    let whole = |number: i128| i64::try_from(number).ok().map(Item::Integer);
    let real = |number: f64| Decimal::from_float(number).map(Item::Decimal);
    let found = match call.function {
        Function::Abs if is_whole => whole(number.abs().truncate()),
        Function::Abs => Some(Item::Decimal(number.abs())),
        Function::Ceiling => whole(number.ceiling()),
        Function::Floor => whole(number.floor()),
        Function::Truncate => whole(number.truncate()),
        Function::Round => {
            let digits = cx.integer_argument(call, 0)?.unwrap_or(0);
            let digits =
                u32::try_from(digits).map_err(|_| PathError::Evaluation("round() takes no negative number"))?;
            Some(Item::Decimal(number.round(digits)))
        }
        Function::Sqrt => real(number.to_float().sqrt()),
        Function::Exp => real(number.to_float().exp()),
        Function::Ln => real(number.to_float().ln()),
        Function::Log => match argument(cx, call)? {
            Some(base) => real(number.to_float().log(base.to_float())),
            None => None,
        },
        _ => match argument(cx, call)? {
            Some(exponent) => power(number, exponent, is_whole),
            None => None,
        },
    };
    Ok(found.into_iter().collect())
}

fn argument<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Option<Decimal>, PathError> {
    let items = cx.argument(call, 0)?.unwrap_or_default();
    match cx.single(&items)? {
        None => Ok(None),
        Some(Item::Integer(number)) => Ok(Some(Decimal::whole(number))),
        Some(Item::Decimal(number)) => Ok(Some(number)),
        Some(_) => Err(PathError::Evaluation("a number is needed here")),
    }
}

/// Exact where the exponent is a small whole number.
fn power<'d>(number: Decimal, exponent: Decimal, is_whole: bool) -> Option<Item<'d>> {
    let Some(times) = exponent.integer().and_then(|times| u32::try_from(times).ok()).filter(|times| *times <= 128)
    else {
        return Decimal::from_float(number.to_float().powf(exponent.to_float())).map(Item::Decimal);
    };
    let mut product = Decimal::whole(1);
    for _ in 0..times {
        product = product.multiply(number)?;
    }
    if is_whole && exponent.scale() == 0 { product.integer().map(Item::Integer) } else { Some(Item::Decimal(product)) }
}
