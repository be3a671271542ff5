//! Codes of required bindings, and value sets that bound even weaker ones.
//! Spec: <https://hl7.org/fhir/STU3/terminologies.html#required>.

use super::{language, media_type};
use crate::{
    fhir::{Kind, NodeId},
    stu3::{Binding, Strength, ValueSet, Way},
    validate::{
        context::{Context, items},
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/terminologies.html#required";

static REQUIRED: Rule = Rule::error("binding-required", "code-invalid", PAGE);
static MAXIMUM: Rule = Rule::error("binding-maximum", "code-invalid", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&REQUIRED, &MAXIMUM];

/// MIME types are bound to their grammar's page.
const MEDIA_TYPES: &str = "http://www.rfc-editor.org/bcp/bcp13.txt";

/// The system of language tags.
const LANGUAGES: &str = "urn:ietf:bcp:47";

/// What decides whether a code belongs.
enum Judge {
    /// A value set with all its codes.
    Set(&'static ValueSet),
    /// MIME types.
    MediaTypes,
    /// BCP 47.
    Languages,
}

impl Judge {
    fn has(&self, system: Option<&str>, code: &str) -> bool {
        match (self, system) {
            (Self::Set(set), Some(system)) => set.has(system, code),
            (Self::Set(set), None) => set.has_code(code),
            (Self::MediaTypes, _) => media_type::is_valid(code),
            (Self::Languages, None) => language::is_valid(code),
            (Self::Languages, Some(system)) => system == LANGUAGES && language::is_valid(code),
        }
    }
}

/// The value of a bound element: a code, a Coding or a CodeableConcept.
pub(crate) fn check(cx: &Context<'_, '_>, binding: &Binding, way: &Way, node: NodeId, out: &mut Findings<'_>) {
    if binding.strength == Strength::Required {
        let judge = match cx.release.codes(binding) {
            Some(set) => Judge::Set(set),
            None if binding.value_set == Some(MEDIA_TYPES) => Judge::MediaTypes,
            None => {
                let set = binding.value_set.unwrap_or("a value set without a name");
                return out.not_checked(cx, &REQUIRED, format!("the codes of {set} are not known here"));
            }
        };
        judge_value(cx, &REQUIRED, &judge, binding.value_set, way, node, out);
    } else if binding.maximum.is_some() {
        judge_value(cx, &MAXIMUM, &Judge::Languages, binding.maximum, way, node, out);
    }
}

fn judge_value(
    cx: &Context<'_, '_>,
    rule: &'static Rule,
    judge: &Judge,
    set: Option<&str>,
    way: &Way,
    node: NodeId,
    out: &mut Findings<'_>,
) {
    let document = cx.document;
    let sound = match (way.type_name, document.kind(node)) {
        ("CodeableConcept", Kind::Object) => {
            let mut codings = items(document, node, "coding").peekable();
            codings.peek().is_some() && codings.any(|coding| is_coded(cx, judge, coding))
        }
        ("Coding", Kind::Object) => is_coded(cx, judge, node),
        (_, Kind::String) => document.text(node).is_none_or(|code| code.is_empty() || judge.has(None, &code)),
        _ => true,
    };
    if !sound {
        let set = set.unwrap_or_default();
        out.add(cx, rule, At::here(node), format!("this is no code of {set}: use one of its codes"));
    }
}

/// A Coding with system and code of the set.
fn is_coded(cx: &Context<'_, '_>, judge: &Judge, coding: NodeId) -> bool {
    let (system, code) = (cx.string(coding, "system"), cx.string(coding, "code"));
    matches!((system, code), (Some(system), Some(code)) if judge.has(Some(&system), &code))
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, outcome};

    #[test]
    fn codes_belong_to_their_set() {
        let source =
            r#"{"resourceType":"Patient","gender":"man","contact":[{"gender":"female","name":{"use":"Official"}}]}"#;
        assert_eq!(
            findings(source),
            ["binding-required Patient.gender", "binding-required Patient.contact[0].name.use"]
        );
    }

    #[test]
    fn concepts_need_one_coding_of_the_set() {
        let claim = |kind: &str| format!(r#"{{"resourceType":"EnrollmentResponse","outcome":{{{kind}}}}}"#);
        let system = "http://hl7.org/fhir/remittance-outcome";
        assert_eq!(
            findings(&claim(&format!(r#""coding":[{{"system":"{system}","code":"complete"}}]"#))),
            Vec::<String>::new()
        );
        for bad in [
            r#""text":"a""#,
            r#""coding":[{"code":"complete"}]"#,
            r#""coding":[{"system":"http://example.org","code":"complete"}]"#,
        ] {
            assert_eq!(findings(&claim(bad)), ["binding-required EnrollmentResponse.outcome"], "{bad}");
        }
    }

    #[test]
    fn languages_and_media_types_are_judged_by_grammar() {
        let source = r#"{"resourceType":"Binary","language":"en_US","contentType":"pdf","content":"AAAA"}"#;
        assert_eq!(findings(source), ["binding-maximum Binary.language", "binding-required Binary.contentType"]);
    }

    #[test]
    fn what_cannot_be_judged_is_said() {
        let source = r#"{"resourceType":"ExpansionProfile","status":"draft","designation":{"include":{"designation":[
            {"use":{"system":"http://snomed.info/sct","code":"900000000000003001"}}]}}}"#;
        let outcome = outcome(source);
        assert!(outcome.valid(), "{:?}", outcome.findings);
        assert_eq!(outcome.not_checked[0].expression, "ExpansionProfile.designation.include.designation[0].use");
    }
}
