//! What every extension has to be, and what changes the meaning of the data without being understood here.
//! What the release's own extensions say is judged in `known_extension`.
//! Spec: <https://hl7.org/fhir/STU3/extensibility.html>.

use crate::{
    fhir::{Kind, NodeId},
    stu3::Element,
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/extensibility.html";

static EXT_1: Rule = Rule::error("ext-1", "invariant", PAGE);
static MODIFIER_EXTENSION: Rule = Rule::error("modifier-extension", "extension", PAGE);
static IMPLICIT_RULES: Rule =
    Rule::error("implicit-rules", "not-supported", "https://hl7.org/fhir/STU3/resource.html#implicitRules");

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&EXT_1, &MODIFIER_EXTENSION, &IMPLICIT_RULES];

/// An extension has a value or extensions of its own, never both, never neither.
pub(crate) fn check(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    let (mut value, mut nested) = (false, false);
    for member in document.children(node) {
        let name = document.name(member).unwrap_or_default();
        nested |= name == "extension";
        value |= name.trim_start_matches('_').starts_with("value");
    }
    if value == nested {
        let text = if value {
            "an extension has a value or extensions of its own, not both: keep one"
        } else {
            "an extension needs a value or extensions of its own: add one, or remove the extension"
        };
        out.add(cx, &EXT_1, At::here(node), text);
    }
}

/// `modifierExtension` and `implicitRules` change what the data means: only known ones may stand.
pub(crate) fn modifier(cx: &Context<'_, '_>, element: &Element, node: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    match (element.name, document.kind(node)) {
        ("implicitRules", Kind::String) => {
            let rules = document.text(node).unwrap_or_default();
            if !cx.policy.modifier_extensions.contains(rules.as_ref()) {
                let text = "implicitRules change the meaning of the resource and are not known here: \
                            remove them, or permit their URL for the channel";
                out.add(cx, &IMPLICIT_RULES, At::below(node, ".implicitRules"), text);
            }
        }
        ("modifierExtension", Kind::Array) => {
            for (index, item) in document.children(node).enumerate() {
                // what is no object is told as that
                let object = document.kind(item) == Kind::Object;
                if object && !cx.string(item, "url").is_some_and(|url| is_known(cx, &url)) {
                    let text = "a modifier extension changes the meaning of the data and this one is not known here: \
                                remove it, or permit its URL for the channel";
                    out.add(cx, &MODIFIER_EXTENSION, At::below(item, format!(".modifierExtension[{index}]")), text);
                }
            }
        }
        _ => {}
    }
}

/// The release or a loaded profile defines the extension, or the channel permits it.
fn is_known(cx: &Context<'_, '_>, url: &str) -> bool {
    cx.policy.modifier_extensions.contains(url)
        || cx.release.extension(url).is_some()
        || cx.library.extension(url).is_some_and(|(_, snapshot)| snapshot.root.element.is_modifier)
}

#[cfg(test)]
mod tests {
    use crate::validate::{
        Policy,
        testing::{findings, outcome, under},
    };

    #[test]
    fn an_extension_says_one_thing() {
        let source = r#"{"resourceType":"Patient","extension":[{"url":"http://example.org/a"},
            {"url":"http://example.org/a","valueCode":"a","extension":[{"url":"b","valueCode":"c"}]},{"valueCode":"a"}]}"#;
        let errors: Vec<String> =
            findings(source).into_iter().filter(|finding| !finding.starts_with("extension-unknown")).collect();
        let expected =
            ["ext-1 Patient.extension[0]", "ext-1 Patient.extension[1]", "cardinality-min Patient.extension[2]"];
        assert_eq!(errors, expected);
    }

    #[test]
    fn modifiers_are_known_or_permitted() {
        let source = r#"{"resourceType":"DiagnosticReport","status":"final","code":{"text":"a"},"implicitRules":"http://example.org/rules",
            "modifierExtension":[{"url":"http://example.org/m","valueCode":"a"},
            {"url":"http://hl7.org/fhir/StructureDefinition/event-notDone","valueBoolean":true}]}"#;
        assert_eq!(
            findings(source),
            [
                "implicit-rules DiagnosticReport.implicitRules",
                "modifier-extension DiagnosticReport.modifierExtension[0]"
            ]
        );
        let mut policy = Policy::default();
        policy.modifier_extensions.insert("http://example.org/rules".to_owned());
        policy.modifier_extensions.insert("http://example.org/m".to_owned());
        assert!(!outcome(source).valid());
        assert!(under(source, &policy).valid());
    }
}
