//! The two ends of a Range (rng-2). Spec: <https://hl7.org/fhir/STU3/datatypes.html#Range>.
//!
//! The expression compares the numbers; 500 mg to 1 g is a range all the same, so units are converted by UCUM.

use crate::{
    fhir::{Kind, NodeId, ucum},
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
        rules::invariant,
    },
};
use std::{borrow::Cow, cmp::Ordering};

static RNG_2: Rule = Rule::error("rng-2", "invariant", "https://hl7.org/fhir/STU3/datatypes.html#Range");

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&RNG_2];

struct End<'d> {
    value: Cow<'d, str>,
    unit: Cow<'d, str>,
}

/// A Range.
pub(crate) fn check(cx: &Context<'_, '_>, range: NodeId, out: &mut Findings<'_>) {
    let (Some(low), Some(high)) = (end(cx, range, "low"), end(cx, range, "high")) else { return };
    match ucum::compare(&low.value, &low.unit, &high.value, &high.unit) {
        Some(Ordering::Greater) => {
            out.add(cx, &RNG_2, At::here(range), invariant::explanation("rng-2").unwrap_or_default());
        }
        Some(_) => {}
        None => {
            let text = "low and high have units that cannot be converted into each other here";
            out.not_checked(cx, &RNG_2, At::here(range), text);
        }
    }
}

/// Value and unit: the code, or where there is none the unit as it is written.
fn end<'d>(cx: &Context<'_, 'd>, range: NodeId, name: &str) -> Option<End<'d>> {
    let document = cx.document;
    let quantity = document.get(range, name)?;
    let value = document.get(quantity, "value").filter(|value| document.kind(*value) == Kind::Number)?;
    let unit = cx.string(quantity, "code").or_else(|| cx.string(quantity, "unit")).unwrap_or_default();
    Some(End { value: document.text(value)?, unit })
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, outcome};

    fn range(low: &str, high: &str) -> String {
        format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"text":"a"}},"valueRange":{{"low":{{{low}}},"high":{{{high}}}}}}}"#
        )
    }

    #[test]
    fn ends_are_in_order_whatever_their_units() {
        let ucum = |value: &str, code: &str| {
            format!(r#""value":{value},"system":"http://unitsofmeasure.org","code":"{code}""#)
        };
        assert_eq!(findings(&range(r#""value":2"#, r#""value":1"#)), ["rng-2 Observation.value"]);
        assert_eq!(findings(&range(r#""value":1"#, r#""value":1.0"#)), Vec::<String>::new());
        assert_eq!(findings(&range(&ucum("500", "mg"), &ucum("1", "g"))), Vec::<String>::new());
        assert_eq!(findings(&range(&ucum("500", "g"), &ucum("1", "mg"))), ["rng-2 Observation.value"]);
        let unlike = outcome(&range(&ucum("500", "g"), &ucum("1", "m")));
        assert!(unlike.valid() && unlike.not_checked.iter().any(|entry| entry.key == "rng-2"));
    }
}
