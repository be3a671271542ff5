//! What a differential says of an element, laid over what the element inherits.

use super::{Binding, Change, Defect, ElementDefinition, StatedBinding, Type, base::is_a};
use crate::stu3::Strength;

/// Lays a change over a definition; what does not fit is told, and the narrower of two limits holds.
pub(super) fn apply(change: &Change, element: &mut ElementDefinition, defects: &mut Vec<Defect>) {
    counts(change, element, defects);
    if !change.types.is_empty() {
        let allowed = |wanted: &Type| element.types.iter().any(|known| is_a(&wanted.code, &known.code));
        if !element.types.is_empty()
            && let Some(other) = change.types.iter().find(|wanted| !allowed(wanted))
        {
            defects.push(Defect::TypeNotAllowed(other.code.clone()));
        }
        element.types.clone_from(&change.types);
    }
    for (stated, kept) in [
        (&change.fixed, &mut element.fixed),
        (&change.pattern, &mut element.pattern),
        (&change.min_value, &mut element.min_value),
        (&change.max_value, &mut element.max_value),
    ] {
        if stated.is_some() {
            kept.clone_from(stated);
        }
    }
    if change.content_reference.is_some() {
        element.content_reference.clone_from(&change.content_reference);
    }
    element.max_length = change.max_length.or(element.max_length);
    if let Some(stated) = &change.binding {
        element.binding = Some(bound(stated, element.binding.as_ref()));
    }
    for constraint in &change.constraints {
        match element.constraints.iter_mut().find(|known| known.key == constraint.key) {
            Some(known) => known.clone_from(constraint),
            None => element.constraints.push(constraint.clone()),
        }
    }
    for condition in &change.conditions {
        if !element.conditions.contains(condition) {
            element.conditions.push(condition.clone());
        }
    }
    if change.slicing.is_some() {
        element.slicing.clone_from(&change.slicing);
    }
    element.must_support |= change.must_support.unwrap_or(false);
    element.is_modifier = change.is_modifier.unwrap_or(element.is_modifier);
}

/// How often an extension may stand at most, and whether it modifies, its definition says where the profile says nothing.
pub(super) fn apply_extension(change: &Change, extension: &ElementDefinition, element: &mut ElementDefinition) {
    if change.max.is_none() {
        element.max = match (element.max, extension.max) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    element.is_modifier |= extension.is_modifier;
}

/// A profile may only narrow; where it widens, the base's limit holds.
fn counts(change: &Change, element: &mut ElementDefinition, defects: &mut Vec<Defect>) {
    let (least, most) = (element.min, element.max);
    element.min = change.min.unwrap_or(least);
    element.max = change.max.unwrap_or(most);
    let wider = most.is_some_and(|most| element.max.is_none_or(|max| max > most));
    if wider {
        element.max = most;
    }
    if element.min < least {
        element.min = least;
    }
    if wider || change.min.is_some_and(|min| min < least) {
        defects.push(Defect::Wider);
    }
    if let Some(max) = element.max.filter(|max| *max < element.min) {
        // taken away altogether: how often it would have to stand is no longer asked
        if max == 0 && change.min.is_none_or(|min| min == 0) {
            element.min = 0;
        } else {
            defects.push(Defect::MinAboveMax { min: element.min, max });
        }
    }
}

/// What is not stated is inherited.
fn bound(stated: &StatedBinding, inherited: Option<&Binding>) -> Binding {
    Binding {
        strength: stated.strength.or(inherited.map(|known| known.strength)).unwrap_or(Strength::Example),
        value_set: stated.value_set.clone().or_else(|| inherited?.value_set.clone()),
        maximum: stated.maximum.clone().or_else(|| inherited?.maximum.clone()),
    }
}
