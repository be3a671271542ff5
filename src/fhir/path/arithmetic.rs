//! Calculating with numbers, quantities and dates, and joining texts (<http://hl7.org/fhirpath/#math>).

use super::{
    PathError,
    ast::Operator,
    decimal::Decimal,
    evaluate::Evaluator,
    temporal::Step,
    value::{Collection, Item},
};
use std::borrow::Cow;

impl<'d> Evaluator<'_, 'd> {
    /// Of nothing comes nothing, but for `&`, to which nothing is an empty text.
    pub(super) fn arithmetic(
        &mut self,
        operator: Operator,
        left: &[Item<'d>],
        right: &[Item<'d>],
    ) -> Result<Collection<'d>, PathError> {
        let (left, right) = (self.single(left)?, self.single(right)?);
        if operator == Operator::Concatenate {
            let text = |item: Option<Item<'d>>| match item {
                None => Ok(Cow::Borrowed("")),
                Some(Item::Text(text)) => Ok(text),
                Some(other) => self.environment.text(&other).ok_or(PathError::Evaluation("& joins texts")),
            };
            let (left, right) = (text(left)?, text(right)?);
            self.make_text(left.len() + right.len())?;
            return Ok(vec![Item::Text((left.into_owned() + &*right).into())]);
        }
        let (Some(left), Some(right)) = (left, right) else { return Ok(Vec::new()) };
        if let (Item::Text(left), Item::Text(right)) = (&left, &right) {
            self.make_text(left.len() + right.len())?;
        }
        Ok(calculate(operator, left, right)?.into_iter().collect())
    }
}

fn calculate<'d>(operator: Operator, left: Item<'d>, right: Item<'d>) -> Result<Option<Item<'d>>, PathError> {
    const NO_NUMBERS: PathError = PathError::Evaluation("these values cannot be calculated with");
    Ok(match (operator, left, right) {
        (Operator::Add, Item::Text(left), Item::Text(right)) => Some(Item::Text((left.into_owned() + &*right).into())),
        (Operator::Add | Operator::Subtract, Item::Temporal(value), Item::Quantity(amount, unit)) => {
            let step = Step::named(&unit).ok_or(PathError::Evaluation("a date is moved by calendar units"))?;
            let amount = if operator == Operator::Subtract { amount.negative() } else { amount };
            value.moved(amount, step).map(Item::Temporal)
        }
        (Operator::Add, Item::Quantity(left, unit), Item::Quantity(right, other)) if unit == other => {
            left.add(right).map(|sum| Item::Quantity(sum, unit))
        }
        (Operator::Subtract, Item::Quantity(left, unit), Item::Quantity(right, other)) if unit == other => {
            left.subtract(right).map(|difference| Item::Quantity(difference, unit))
        }
        (operator, Item::Integer(left), Item::Integer(right)) if operator != Operator::Divide => {
            let result = match operator {
                Operator::Add => left.checked_add(right),
                Operator::Subtract => left.checked_sub(right),
                Operator::Multiply => left.checked_mul(right),
                Operator::Div => left.checked_div(right),
                Operator::Mod => left.checked_rem(right),
                _ => return Err(NO_NUMBERS),
            };
            result.map(Item::Integer)
        }
        (operator, left, right) => {
            let number = |item| match item {
                Item::Integer(number) => Ok(Decimal::whole(number)),
                Item::Decimal(number) => Ok(number),
                _ => Err(NO_NUMBERS),
            };
            let (left, right) = (number(left)?, number(right)?);
            match operator {
                Operator::Add => left.add(right).map(Item::Decimal),
                Operator::Subtract => left.subtract(right).map(Item::Decimal),
                Operator::Multiply => left.multiply(right).map(Item::Decimal),
                Operator::Divide => left.divide(right).map(Item::Decimal),
                Operator::Div => {
                    left.divide_whole(right).and_then(|(whole, _)| i64::try_from(whole).ok()).map(Item::Integer)
                }
                Operator::Mod => left.divide_whole(right).map(|(_, rest)| Item::Decimal(rest)),
                _ => return Err(NO_NUMBERS),
            }
        }
    })
}
