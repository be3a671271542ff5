//! Quantities of elements whose type is SimpleQuantity: exact amounts, as in a Range or a dose (sqty-1).
//! Spec: <https://hl7.org/fhir/STU3/datatypes.html#SimpleQuantity>.

use crate::{
    fhir::NodeId,
    stu3::Way,
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

/// The profile that the release names beside the type.
const SIMPLE: &str = "SimpleQuantity";

static SQTY_1: Rule = Rule::error("sqty-1", "invariant", "https://hl7.org/fhir/STU3/datatypes.html#SimpleQuantity");

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&SQTY_1];

/// A Quantity of an element with this type.
pub(crate) fn check(cx: &Context<'_, '_>, way: &Way, quantity: NodeId, out: &mut Findings<'_>) {
    if way.profile != Some(SIMPLE) {
        return;
    }
    if let Some(comparator) = cx.document.get(quantity, "comparator") {
        let text = "this amount is exact, and a comparator (<, <=, >=, >) makes it a limit: remove the comparator";
        out.add(cx, &SQTY_1, At::below(comparator, ".comparator"), text);
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, none, observation};
    use serde_json::json;

    #[test]
    fn an_exact_amount_has_no_comparator() {
        let range = |low: serde_json::Value| findings(&observation(json!({"valueRange": {"low": low}})).to_string());
        assert_eq!(range(json!({"value": 5, "unit": "kg"})), none());
        let expected = ["sqty-1 Observation.value.low.comparator"];
        assert_eq!(range(json!({"value": 5, "unit": "kg", "comparator": "<"})), expected);
        let limit = observation(json!({"valueQuantity": {"value": 5, "comparator": "<"}}));
        assert_eq!(findings(&limit.to_string()), none(), "a Quantity may be a limit");
    }
}
