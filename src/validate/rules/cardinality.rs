//! How often an element stands. Spec: <https://hl7.org/fhir/STU3/conformance-rules.html#cardinality>.

use crate::{
    fhir::NodeId,
    stu3::{Element, StructureId},
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/conformance-rules.html#cardinality";

static CARDINALITY_MIN: Rule = Rule::error("cardinality-min", "required", PAGE);
static CARDINALITY_MAX: Rule = Rule::error("cardinality-max", "structure", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&CARDINALITY_MIN, &CARDINALITY_MAX];

/// The required elements that were not seen.
pub(crate) fn missing(cx: &Context<'_, '_>, id: StructureId, node: NodeId, seen: u128, out: &mut Findings<'_>) {
    let structure = cx.release.structure(id);
    for element in cx.release.elements(id) {
        if (structure.required() & !seen) >> element.place & 1 == 1 {
            let kind = if element.choice { "[x]" } else { "" };
            let text = format!("{} needs \"{}{kind}\": add it", structure.name, element.name);
            out.add(cx, &CARDINALITY_MIN, At::here(node), text);
        }
    }
}

/// An array where the element stands once.
pub(crate) fn array(cx: &Context<'_, '_>, element: &Element, node: NodeId, out: &mut Findings<'_>) {
    let values = cx.document.children(node).count();
    let text = if cx.document.is_xml() {
        format!("\"{}\" stands at most once, here are {values}: keep one", element.name)
    } else if values > 1 {
        format!("\"{}\" stands at most once, here are {values}: keep one, without [ ]", element.name)
    } else {
        format!("\"{}\" stands at most once and is no array: remove the [ ]", element.name)
    };
    out.add(cx, &CARDINALITY_MAX, At::below(node, format!(".{}", element.name)), text);
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::findings;

    #[test]
    fn missing_elements_report_their_parent() {
        let source = r#"{"resourceType":"Observation","component":[{"valueString":"a"}]}"#;
        let expected =
            ["cardinality-min Observation", "cardinality-min Observation", "cardinality-min Observation.component[0]"];
        assert_eq!(findings(source), expected);
    }

    #[test]
    fn a_twin_stands_for_a_value() {
        let source = r#"{"resourceType":"Observation","_status":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},"code":{"text":"a"}}"#;
        assert_eq!(findings(source), Vec::<String>::new());
    }

    #[test]
    fn single_elements_are_no_arrays() {
        let source = r#"{"resourceType":"Patient","gender":["male"],"maritalStatus":[{"text":"a"},{"text":"b"}]}"#;
        assert_eq!(findings(source), ["cardinality-max Patient.gender", "cardinality-max Patient.maritalStatus"]);
    }
}
