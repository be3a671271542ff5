//! <http://hl7.org/fhirpath/#subsetting>, <http://hl7.org/fhirpath/#combining>

use super::Call;
use crate::fhir::path::{PathError, ast::Function, evaluate::Evaluator, value::Collection};

pub(super) fn call<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Collection<'d>, PathError> {
    let items = call.items;
    let number = |number: Option<i64>| usize::try_from(number.unwrap_or(0).max(0)).unwrap_or(usize::MAX);
    Ok(match call.function {
        Function::Single if items.len() > 1 => return Err(PathError::Evaluation("single() found several")),
        Function::Single => items.to_vec(),
        Function::First => items.first().cloned().into_iter().collect(),
        Function::Last => items.last().cloned().into_iter().collect(),
        Function::Tail => items.iter().skip(1).cloned().collect(),
        Function::Skip => {
            let skipped = number(cx.integer_argument(call, 0)?);
            items.iter().skip(skipped).cloned().collect()
        }
        Function::Take => {
            let taken = number(cx.integer_argument(call, 0)?);
            items.iter().take(taken).cloned().collect()
        }
        Function::Intersect | Function::Exclude => {
            let others = cx.argument(call, 0)?.unwrap_or_default();
            let wanted = call.function == Function::Intersect;
            let mut kept = Vec::new();
            for item in items {
                if cx.has(&others, item)? == wanted {
                    kept.push(item.clone());
                }
            }
            if wanted { cx.distinct(kept)? } else { kept }
        }
        Function::Union => {
            let others = cx.argument(call, 0)?.unwrap_or_default();
            cx.make_items(items.len())?;
            cx.union(items.to_vec(), others)?
        }
        _ => {
            cx.make_items(items.len())?;
            let mut all = items.to_vec();
            all.extend(cx.argument(call, 0)?.unwrap_or_default());
            all
        }
    })
}
