//! The ids of elements are unique in their resource. Spec: <https://hl7.org/fhir/STU3/element.html#id>.

use crate::{
    fhir::NodeId,
    stu3::Primitive,
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

static ELEMENT_ID: Rule = Rule::error("element-id", "duplicate", "https://hl7.org/fhir/STU3/element.html#id");

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&ELEMENT_ID];

/// An `id`; a resource's own (type `id`) is no element's.
pub(crate) fn check(cx: &mut Context<'_, '_>, primitive: Primitive, node: NodeId, out: &mut Findings<'_>) {
    if primitive != Primitive::String {
        return;
    }
    if is_of_definition(cx, node) {
        return;
    }
    let Some(id) = cx.document.text(node) else { return };
    if !cx.resource.element_ids.insert(id) {
        let text = "another element of this resource has the same id: give each its own";
        out.add(cx, &ELEMENT_ID, At::here(node), text);
    }
}

/// Snapshot and differential of a definition have elements of the same ids; each view is judged by sdf-16 and sdf-17.
fn is_of_definition(cx: &Context<'_, '_>, node: NodeId) -> bool {
    let document = cx.document;
    let mut above = std::iter::successors(Some(node), |node| document.parent(*node)).skip(2);
    let (list, view) = (above.next(), above.next());
    let named = |node: Option<NodeId>, names: &[&str]| {
        node.is_some_and(|node| names.iter().any(|name| document.is_named(node, name)))
    };
    named(list, &["element"]) && named(view, &["snapshot", "differential"])
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::findings;

    #[test]
    fn ids_of_elements_are_unique_in_their_resource_alone() {
        let source = r##"{"resourceType":"Patient","id":"a","managingOrganization":{"reference":"#o"},"contained":[{"resourceType":"Organization","id":"o","name":"b",
            "telecom":[{"id":"a","system":"phone","value":"1"}]}],"name":[{"id":"a","text":"c"},{"id":"a","text":"d"}]}"##;
        assert_eq!(findings(source), ["element-id Patient.name[1].id"]);
    }
}
