//! `value[x]` stands with one type only. Spec: <https://hl7.org/fhir/STU3/formats.html#choice>.

use crate::{
    fhir::NodeId,
    stu3::{Element, StructureId},
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

static CHOICE: Rule = Rule::error("choice", "structure", "https://hl7.org/fhir/STU3/formats.html#choice");

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&CHOICE];

/// A choice element was seen before this member: only the twin of the same name may be that.
pub(crate) fn check(cx: &Context<'_, '_>, id: StructureId, member: NodeId, element: &Element, out: &mut Findings<'_>) {
    let document = cx.document;
    let Some(owner) = document.parent(member) else { return };
    let stem = stem(document.name(member).unwrap_or_default().as_ref());
    let other = document.children(owner).take_while(|sibling| *sibling != member).any(|sibling| {
        let name = document.name(sibling).unwrap_or_default();
        let name = name.strip_prefix('_').unwrap_or(&name);
        name != stem && cx.release.member(id, name).is_some_and(|(found, _)| found.place == element.place)
    });
    if other {
        let text = format!("\"{}[x]\" stands with one type only: keep one of them", element.name);
        out.add(cx, &CHOICE, At::below(member, format!(".{}", element.name)), text);
    }
}

fn stem(name: &str) -> String {
    name.strip_prefix('_').unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::findings;

    #[test]
    fn one_type_only() {
        let source = r#"{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020","_deceasedBoolean":{"id":"a"}}"#;
        assert_eq!(findings(source), ["choice Patient.deceased", "choice Patient.deceased"]);
    }

    #[test]
    fn value_and_twin_go_together() {
        let source = r#"{"resourceType":"Patient","deceasedBoolean":true,"_deceasedBoolean":{"id":"a"}}"#;
        assert_eq!(findings(source), Vec::<String>::new());
    }
}
