//! What only XML can say wrongly: namespaces, the order of elements, attributes, text.
//! Spec: <https://hl7.org/fhir/STU3/xml.html>.

use crate::{
    fhir::{Remark, RemarkKind},
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/xml.html";

static NAMESPACE: Rule = Rule::error("xml-namespace", "structure", PAGE);
static ORDER: Rule = Rule::error("xml-order", "structure", PAGE);
static ATTRIBUTE: Rule = Rule::error("xml-attribute", "structure", PAGE);
static TEXT: Rule = Rule::error("xml-text", "structure", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&NAMESPACE, &ORDER, &ATTRIBUTE, &TEXT];

/// What these are about is not in the tree, nor in the JSON that is made of it.
pub(super) static LOST: [&Rule; 3] = [&NAMESPACE, &ATTRIBUTE, &TEXT];

/// What the reader remarked about the node that the walk has reached.
pub(crate) fn check(cx: &Context<'_, '_>, remark: &Remark, out: &mut Findings<'_>) {
    let (rule, text) = match remark.kind {
        RemarkKind::Namespace => (
            &NAMESPACE,
            "this element belongs to another namespace: a resource's elements to http://hl7.org/fhir, \
             a narrative's div to http://www.w3.org/1999/xhtml; declare it",
        ),
        RemarkKind::Order => (
            &ORDER,
            "the elements in here do not stand in the release's order, those of one name side by side: reorder them",
        ),
        RemarkKind::Attribute => {
            (&ATTRIBUTE, "this element has an attribute that FHIR does not give it: remove the attribute")
        }
        RemarkKind::Text => {
            (&TEXT, "text stands between the elements; values belong into the attribute value: remove it")
        }
    };
    out.add(cx, rule, At::here(remark.node), text);
}

#[cfg(test)]
mod tests {
    use crate::{
        fhir::{json::Limits, xml},
        stu3,
        validate::{Policy, Validator},
    };

    fn findings(inner: &str) -> Vec<String> {
        let source = format!("<Patient xmlns=\"http://hl7.org/fhir\">{inner}</Patient>");
        let document = xml::read(source.as_bytes(), &Limits::default(), stu3::release()).unwrap();
        let outcome = Validator::new().resource(&document, &Policy::default());
        outcome
            .findings
            .iter()
            .map(|finding| format!("{} {} {}", finding.key, finding.expression, finding.column))
            .collect()
    }

    #[test]
    fn remarks_are_told_at_their_place() {
        let inner = "<active value=\"true\" lang=\"nl\"/><id value=\"a\"/><name xmlns=\"urn:x\"><text xmlns=\"http://hl7.org/fhir\" value=\"a\"/>b</name>";
        let expected = [
            "xml-order Patient 2",
            "xml-attribute Patient.active 39",
            "xml-namespace Patient.name[0] 86",
            "xml-text Patient.name[0] 86",
        ];
        assert_eq!(findings(inner), expected);
    }

    #[test]
    fn findings_read_like_those_of_json() {
        let inner = "<gender value=\"male\"/><gender value=\"female\"/><birthDate value=\"2020-02-30\"/><pet value=\"a\"/><active value=\"yes\"/><name/>";
        let keys: Vec<String> =
            findings(inner).iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
        let expected = [
            "xml-order Patient",
            "cardinality-max Patient.gender",
            "format-date Patient.birthDate",
            "unknown-element Patient",
            "type-json Patient.active",
            "empty Patient.name[0]",
        ];
        assert_eq!(keys, expected);
    }
}
