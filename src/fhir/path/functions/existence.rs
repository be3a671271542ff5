//! <http://hl7.org/fhirpath/#existence>

use super::Call;
use crate::fhir::path::{
    PathError,
    ast::Function,
    compare::{Equality, equal},
    evaluate::{Evaluator, Scope, boolean, truth},
    value::{Collection, Item},
};
use std::collections::HashSet;

pub(super) fn call<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Collection<'d>, PathError> {
    let items = call.items;
    Ok(match call.function {
        Function::Empty => boolean(items.is_empty()),
        Function::Exists if call.arguments.is_empty() => boolean(!items.is_empty()),
        Function::Exists => {
            for (index, item) in items.iter().enumerate() {
                if cx.truth_of(&call.arguments[0], each(call, item, index))? == Some(true) {
                    return Ok(boolean(true));
                }
            }
            boolean(false)
        }
        Function::Not => truth(cx.environment, items)?.map(|value| Item::Boolean(!value)).into_iter().collect(),
        Function::All => {
            for (index, item) in items.iter().enumerate() {
                if cx.truth_of(&call.arguments[0], each(call, item, index))? != Some(true) {
                    return Ok(boolean(false));
                }
            }
            boolean(true)
        }
        Function::AllTrue => boolean(booleans(cx, items)?.all(|value| value)),
        Function::AnyTrue => boolean(booleans(cx, items)?.any(|value| value)),
        Function::AllFalse => boolean(booleans(cx, items)?.all(|value| !value)),
        Function::AnyFalse => boolean(booleans(cx, items)?.any(|value| !value)),
        Function::SubsetOf => {
            let others = cx.argument(call, 0)?.unwrap_or_default();
            boolean(are_among(cx, items, &others)?)
        }
        Function::SupersetOf => {
            let others = cx.argument(call, 0)?.unwrap_or_default();
            boolean(are_among(cx, &others, items)?)
        }
        Function::Count => vec![Item::Integer(i64::try_from(items.len()).unwrap_or(i64::MAX))],
        Function::Distinct => cx.distinct(items.to_vec())?,
        _ => boolean(cx.distinct(items.to_vec())?.len() == items.len()),
    })
}

/// The scope of an argument that is evaluated for an item.
pub(super) fn each<'c, 'd>(call: Call<'c, 'd>, item: &'c Item<'d>, index: usize) -> Scope<'c, 'd> {
    Scope { this: std::slice::from_ref(item), index: i64::try_from(index).ok(), total: call.scope.total }
}

fn booleans<'d>(cx: &Evaluator<'_, 'd>, items: &[Item<'d>]) -> Result<std::vec::IntoIter<bool>, PathError> {
    let values: Result<Vec<bool>, PathError> = items
        .iter()
        .map(|item| match cx.environment.system(item) {
            Item::Boolean(value) => Ok(value),
            _ => Err(PathError::Evaluation("booleans are needed here")),
        })
        .collect();
    values.map(Vec::into_iter)
}

fn are_among<'d>(cx: &mut Evaluator<'_, 'd>, items: &[Item<'d>], others: &[Item<'d>]) -> Result<bool, PathError> {
    for item in items {
        if !cx.has(others, item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl<'d> Evaluator<'_, 'd> {
    /// Each item once, in order. Texts, the usual case, are compared by hash; anything else with each other.
    pub(crate) fn distinct(&mut self, items: Collection<'d>) -> Result<Collection<'d>, PathError> {
        let mut texts = HashSet::new();
        let mut others: Vec<usize> = Vec::new();
        let mut kept: Collection<'d> = Vec::with_capacity(items.len());
        for item in items {
            self.spend(1)?;
            if let Item::Text(text) = self.environment.system(&item) {
                if texts.insert(text) {
                    kept.push(item);
                }
                continue;
            }
            let mut is_new = true;
            for place in &others {
                if equal(self, &kept[*place], &item)? == Equality::Equal {
                    is_new = false;
                    break;
                }
            }
            if is_new {
                others.push(kept.len());
                kept.push(item);
            }
        }
        Ok(kept)
    }
}
