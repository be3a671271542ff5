//! Resources inside resources. Spec: <https://hl7.org/fhir/STU3/references.html#contained>.

use crate::{
    fhir::NodeId,
    validate::{
        context::{Context, Standing},
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/references.html#contained";

static CONTAINED_ID: Rule = Rule::error("contained-id", "required", PAGE);
static CONTAINED_DUPLICATE: Rule = Rule::error("contained-duplicate", "duplicate", PAGE);
static CONTAINED_NESTED: Rule = Rule::error("dom-2", "invariant", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&CONTAINED_ID, &CONTAINED_DUPLICATE, &CONTAINED_NESTED];

/// A resource in `contained`; the scope is still its container's.
pub(crate) fn check(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    if cx.resource.standing == Standing::Contained {
        let text = "a contained resource holds no contained resources: move this one up to the outer resource";
        return out.add(cx, &CONTAINED_NESTED, At::here(node), text);
    }
    match cx.string(node, "id") {
        None => {
            let text = "a contained resource needs an id, and a reference \"#id\" to it: add both";
            out.add(cx, &CONTAINED_ID, At::here(node), text);
        }
        Some(id) if cx.resource.contained.get(&id).is_some_and(|first| first.node != node) => {
            let text = "an earlier contained resource has the same id: give each its own";
            let place = cx.document.get(node, "id").unwrap_or(node);
            out.add(cx, &CONTAINED_DUPLICATE, At::below(place, ".id"), text);
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::findings;

    #[test]
    fn contained_resources_have_ids_of_their_own_and_contain_nothing() {
        let source = r#"{"resourceType":"Patient","contained":[{"resourceType":"Organization","name":"a"},
            {"resourceType":"Organization","id":"o","name":"b"},{"resourceType":"Organization","id":"o","name":"c",
            "contained":[{"resourceType":"Organization","id":"p","name":"d"}]}]}"#;
        let expected = [
            "contained-id Patient.contained[0]",
            "contained-duplicate Patient.contained[2].id",
            "dom-2 Patient.contained[2].contained[0]",
        ];
        assert_eq!(findings(source), expected);
    }
}
