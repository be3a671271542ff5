//! <http://hl7.org/fhirpath/#filtering-and-projection>, <http://hl7.org/fhirpath/#aggregates>,
//! <http://hl7.org/fhirpath/#tree-navigation>

use super::{Call, existence::each};
use crate::fhir::path::{
    PathError,
    ast::Function,
    evaluate::{Evaluator, Scope},
    value::{Collection, Item},
};

pub(super) fn call<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Collection<'d>, PathError> {
    let items = call.items;
    match call.function {
        Function::Where => {
            let mut kept = Vec::new();
            for (index, item) in items.iter().enumerate() {
                if cx.truth_of(&call.arguments[0], each(call, item, index))? == Some(true) {
                    kept.push(item.clone());
                }
            }
            Ok(kept)
        }
        Function::Select => {
            let mut found = Vec::new();
            for (index, item) in items.iter().enumerate() {
                found.extend(cx.of(&call.arguments[0], each(call, item, index))?);
            }
            Ok(found)
        }
        Function::Repeat => repeat(cx, call),
        Function::Aggregate => {
            let mut total = cx.argument(call, 1)?.unwrap_or_default();
            for (index, item) in items.iter().enumerate() {
                let scope = Scope { total: Some(&total), ..each(call, item, index) };
                total = cx.of(&call.arguments[0], scope)?;
            }
            Ok(total)
        }
        Function::Children => children(cx, items),
        _ => {
            let mut found = Vec::new();
            let mut level = children(cx, items)?;
            while !level.is_empty() {
                let below = children(cx, &level)?;
                found.append(&mut level);
                level = below;
            }
            Ok(found)
        }
    }
}

fn children<'d>(cx: &mut Evaluator<'_, 'd>, items: &[Item<'d>]) -> Result<Collection<'d>, PathError> {
    let mut found = Vec::new();
    for item in items {
        if let Item::Element(element) = item {
            cx.children(element, &mut found)?;
        }
    }
    Ok(found)
}

/// Until nothing new is found.
fn repeat<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Collection<'d>, PathError> {
    let mut found: Collection<'d> = Vec::new();
    let mut level = call.items.to_vec();
    while !level.is_empty() {
        let mut below = Vec::new();
        for (index, item) in level.iter().enumerate() {
            for new in cx.of(&call.arguments[0], each(call, item, index))? {
                let known = cx.has(&found, &new)? || cx.has(&below, &new)?;
                if !known {
                    below.push(new);
                }
            }
        }
        found.extend(below.iter().cloned());
        level = below;
    }
    Ok(found)
}
