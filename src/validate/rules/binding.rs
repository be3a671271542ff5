//! Codes of bound elements: required value sets, extensible ones, and maximum ones that bound even weaker bindings.
//! Preferred and example bindings are advice and never judged.
//! Spec: <https://hl7.org/fhir/STU3/terminologies.html#strength>.

use super::grammar;
use crate::{
    fhir::{Kind, NodeId},
    stu3::{Binding, Membership, Strength, Way},
    validate::{
        context::{Context, items, members},
        issue::{At, Findings, Rule},
    },
};
use std::{borrow::Cow, fmt};

static REQUIRED: Rule =
    Rule::error("binding-required", "code-invalid", "https://hl7.org/fhir/STU3/terminologies.html#required");
static EXTENSIBLE: Rule =
    Rule::warning("binding-extensible", "code-invalid", "https://hl7.org/fhir/STU3/terminologies.html#extensible");
static MAXIMUM: Rule = Rule::error(
    "binding-maximum",
    "code-invalid",
    "https://hl7.org/fhir/STU3/extension-elementdefinition-maxvalueset.html",
);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&REQUIRED, &EXTENSIBLE, &MAXIMUM];

/// What became of the codes of a value.
pub(in crate::validate) enum Verdict<'d> {
    /// One is in the set, or nothing is there to be judged.
    Sound,
    /// None is in the set.
    Outside,
    /// Nobody here knows the codes of a system, or (without one) of the whole set.
    Unknown(Option<Cow<'d, str>>),
}

impl Verdict<'_> {
    /// Whether it is sound; `None` where nobody here can tell.
    pub(super) const fn decided(&self) -> Option<bool> {
        match self {
            Self::Sound => Some(true),
            Self::Outside => Some(false),
            Self::Unknown(_) => None,
        }
    }
}

/// The value of a bound element.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    node: NodeId,
    way: &'a Way,
    /// From the path's end to the value; printed only when something is found.
    tail: &'a dyn fmt::Display,
}

impl<'a> Value<'a> {
    /// One that the path has reached.
    pub(crate) fn here(node: NodeId, way: &'a Way) -> Self {
        Self { node, way, tail: &"" }
    }

    /// One further down.
    pub(super) fn below(node: NodeId, way: &'a Way, tail: &'a dyn fmt::Display) -> Self {
        Self { node, way, tail }
    }

    fn at(&self) -> At<'static> {
        At::below(self.node, self.tail.to_string())
    }
}

/// The codes of a value.
pub(crate) fn check(cx: &Context<'_, '_>, binding: &Binding, value: &Value<'_>, out: &mut Findings<'_>) {
    if let Some(set) = binding.maximum
        && !is_sound(cx, &MAXIMUM, set, value, out)
    {
        return;
    }
    let Some(set) = binding.value_set else { return };
    match binding.strength {
        Strength::Required => drop(is_sound(cx, &REQUIRED, set, value, out)),
        Strength::Extensible => drop(is_sound(cx, &EXTENSIBLE, set, value, out)),
        Strength::Preferred | Strength::Example => {}
    }
}

/// Judges a value by a set and says what is wrong; `false` where something is.
fn is_sound(
    cx: &Context<'_, '_>,
    rule: &'static Rule,
    set: &'static str,
    value: &Value<'_>,
    out: &mut Findings<'_>,
) -> bool {
    let strength = if rule.key == EXTENSIBLE.key { Strength::Extensible } else { Strength::Required };
    match judge(cx, strength, set, value.way.type_name, value.node) {
        Verdict::Sound => return true,
        Verdict::Outside if rule.key == EXTENSIBLE.key => {
            let text = format!("no code of {set} is here: use one of its codes if one fits what is meant");
            out.add(cx, rule, value.at(), text);
        }
        Verdict::Outside => {
            out.add(cx, rule, value.at(), format!("this is no code of {set}: use one of its codes"));
        }
        Verdict::Unknown(Some(system)) => {
            let text = format!("whether this code of {system} is in {set}: the system's codes are not known here");
            out.system_not_checked(cx, rule, value.at(), &system, text);
            return true;
        }
        Verdict::Unknown(None) => {
            out.not_checked(cx, rule, value.at(), format!("the codes of {set} are not known here"));
            return true;
        }
    }
    false
}

/// The codes of a value of this type, by a value set of the release or of a package.
pub(in crate::validate) fn judge<'d>(
    cx: &Context<'_, 'd>,
    strength: Strength,
    set: &str,
    type_name: &str,
    node: NodeId,
) -> Verdict<'d> {
    let document = cx.document;
    let is_extensible = strength == Strength::Extensible;
    match (type_name, document.kind(node)) {
        ("CodeableConcept", Kind::Object) => {
            let (mut coded, mut unknown) = (false, None);
            for coding in items(document, node, "coding") {
                match coding_verdict(cx, strength, set, coding) {
                    Some(Verdict::Sound) => return Verdict::Sound,
                    Some(Verdict::Unknown(system)) => unknown = unknown.or(Some(system)),
                    Some(Verdict::Outside) => {}
                    None => continue,
                }
                coded = true;
            }
            match unknown {
                Some(system) => Verdict::Unknown(system),
                // words alone will do where no code of an extensible set fits
                None if !coded && is_extensible => Verdict::Sound,
                None => Verdict::Outside,
            }
        }
        ("Coding" | "Quantity" | "Age" | "Count" | "Distance" | "Duration" | "Money", Kind::Object) => {
            coding_verdict(cx, strength, set, node).unwrap_or(if is_extensible || type_name != "Coding" {
                Verdict::Sound
            } else {
                Verdict::Outside
            })
        }
        ("code" | "string" | "uri" | "id", Kind::String) => match document.text(node) {
            Some(code) if !code.is_empty() => code_verdict(cx, set, None, &code),
            _ => Verdict::Sound,
        },
        _ => Verdict::Sound,
    }
}

/// Of a Coding, or a Quantity's unit; `None` where it has neither system nor code.
fn coding_verdict<'d>(cx: &Context<'_, 'd>, strength: Strength, set: &str, coding: NodeId) -> Option<Verdict<'d>> {
    let [system, code] = members(cx.document, coding, ["system", "code"]);
    let string = |member: Option<NodeId>| member.and_then(|member| cx.document.string(member));
    match (string(system), string(code)) {
        (Some(system), Some(code)) => Some(code_verdict(cx, set, Some(&system), &code)),
        (None, None) => None,
        // a system alone says nothing that an extensible set could miss
        (Some(_), None) if strength == Strength::Extensible => None,
        _ => Some(Verdict::Outside),
    }
}

/// Whether a value set has a code; `None` where nobody here can tell.
pub(super) fn has(cx: &Context<'_, '_>, set: &str, system: Option<&str>, code: &str) -> Option<bool> {
    code_verdict(cx, set, system, code).decided()
}

fn code_verdict<'d>(cx: &Context<'_, 'd>, set: &str, system: Option<&str>, code: &str) -> Verdict<'d> {
    verdict(cx, cx.membership(set, system, code), Some(set), (system, code))
}

/// What membership means: of systems with a grammar that decides, and of what nobody here can tell a terminology server,
/// where the set has a name that it may know.
pub(super) fn verdict<'d>(
    cx: &Context<'_, 'd>,
    membership: Membership<'_>,
    set: Option<&str>,
    (system, code): (Option<&str>, &str),
) -> Verdict<'d> {
    let asked = |system: &str| asked(cx, set?, system, code);
    match membership {
        Membership::In => Verdict::Sound,
        Membership::Out => Verdict::Outside,
        Membership::Open { system } => match grammar::of(system) {
            Some(grammar) if grammar.has(code) => Verdict::Sound,
            Some(_) => Verdict::Outside,
            None => asked(system).unwrap_or_else(|| Verdict::Unknown(Some(Cow::Owned(system.to_owned())))),
        },
        Membership::NoValueSet => system.and_then(asked).unwrap_or(Verdict::Unknown(None)),
    }
}

/// What a terminology server says, where there is one.
fn asked<'d>(cx: &Context<'_, 'd>, set: &str, system: &str, code: &str) -> Option<Verdict<'d>> {
    cx.asking.is_in(set, system, code).map(|is_in| if is_in { Verdict::Sound } else { Verdict::Outside })
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, outcome};

    #[test]
    fn codes_of_extensions_belong_to_the_set_of_their_definition() {
        let absent = |code: &str| {
            format!(
                r#"{{"resourceType":"Patient","_birthDate":{{"extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"{code}"}}]}}}}"#
            )
        };
        assert_eq!(findings(&absent("masked")), Vec::<String>::new());
        assert_eq!(findings(&absent("secret")), ["binding-required Patient.birthDate.extension[0].value"]);
    }

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
    fn extensible_sets_warn_about_other_codes_but_not_about_words() {
        let patient = |kind: &str| format!(r#"{{"resourceType":"Patient","maritalStatus":{{{kind}}}}}"#);
        for good in [
            r#""coding":[{"system":"http://hl7.org/fhir/v3/MaritalStatus","code":"M"}]"#,
            r#""coding":[{"system":"http://example.org","code":"a"},{"system":"http://hl7.org/fhir/v3/MaritalStatus","code":"M"}]"#,
            r#""coding":[{"display":"a"}],"text":"a""#,
            r#""text":"a""#,
        ] {
            assert_eq!(findings(&patient(good)), Vec::<String>::new(), "{good}");
        }
        let other = outcome(&patient(r#""coding":[{"system":"http://example.org","code":"a"}]"#));
        assert!(other.valid());
        assert_eq!(
            (other.findings[0].key.as_str(), other.findings[0].expression.as_str()),
            ("binding-extensible", "Patient.maritalStatus")
        );
    }

    #[test]
    fn languages_and_media_types_are_judged_by_grammar() {
        let source = r#"{"resourceType":"Binary","language":"en_US","contentType":"pdf","content":"AAAA"}"#;
        assert_eq!(findings(source), ["binding-maximum Binary.language", "binding-required Binary.contentType"]);
        let language = |tag: &str| format!(r#"{{"resourceType":"Basic","code":{{"text":"a"}},"language":"{tag}"}}"#);
        assert_eq!(findings(&language("nl-NL")), Vec::<String>::new());
        assert_eq!(findings(&language("sl-rozaj")), ["binding-extensible Basic.language"]);
    }

    #[test]
    fn what_cannot_be_judged_is_said_with_its_system_and_place() {
        let source = r#"{"resourceType":"ExpansionProfile","status":"draft","designation":{"include":{"designation":[
            {"use":{"system":"http://snomed.info/sct","code":"900000000000003001"}}]}}}"#;
        let outcome = outcome(source);
        assert!(outcome.valid(), "{:?}", outcome.findings);
        let said = &outcome.not_checked[0];
        assert_eq!(said.expression, "ExpansionProfile.designation.include.designation[0].use");
        assert_eq!((said.line, said.column, said.system.as_deref()), (2, 15, Some("http://snomed.info/sct")));
    }
}
