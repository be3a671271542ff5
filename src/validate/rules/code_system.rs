//! Codes are codes of the system that they name, whatever the element is bound to.
//! Spec: <https://hl7.org/fhir/STU3/codesystem.html>, <https://hl7.org/fhir/STU3/datatypes.html#Coding>.

use super::grammar::{self, Grammar};
use crate::{
    fhir::NodeId,
    stu3::package::Known,
    validate::{
        context::{Context, members},
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/datatypes.html#Coding";

static UNKNOWN: Rule = Rule::error("code-unknown", "code-invalid", PAGE);
static UNKNOWN_EXAMPLE: Rule = Rule::warning("code-unknown-example", "code-invalid", PAGE);
static UNIT: Rule = Rule::warning("ucum-unit", "code-invalid", "https://hl7.org/fhir/STU3/valueset-ucum-units.html");

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&UNKNOWN, &UNKNOWN_EXAMPLE, &UNIT];

/// A Coding or a Quantity: `code` is one of `system`'s.
pub(crate) fn check(cx: &Context<'_, '_>, coding: NodeId, out: &mut Findings<'_>) {
    let [Some(system), Some(node)] = members(cx.document, coding, ["system", "code"]) else { return };
    let (Some(system), Some(code)) = (cx.document.string(system), cx.document.string(node)) else { return };
    if code.is_empty() {
        return;
    }
    let (rule, text) = if let Some(known) = cx.terminology.code_system(&system) {
        if known.codes.has(&code) {
            return;
        }
        let url = &known.url;
        if known.example {
            (&UNKNOWN_EXAMPLE, format!("{url} lists examples, and this code is none of them: check it"))
        } else {
            (
                &UNKNOWN,
                format!("{url} has no such code: use one of its codes, or name the system that the code is from"),
            )
        }
    } else if let Some(known) = cx.library.code(&system, &code) {
        match known {
            Known::Code => return,
            Known::NoCode(url) => (
                &UNKNOWN,
                format!("{url} has no such code: use one of its codes, or name the system that the code is from"),
            ),
            Known::Unknown(url) => {
                return out.system_not_checked_once(cx, &UNKNOWN, At::below(node, ".code"), Some(url), || {
                    format!("only a part of the codes of {url} is known here: others are not checked")
                });
            }
        }
    } else {
        let Some(grammar) = grammar::of(&system) else {
            let foreign = cx.terminology.foreign_system(&system);
            return out.system_not_checked_once(cx, &UNKNOWN, At::below(node, ".code"), foreign, || match foreign {
                Some(url) => format!("the codes of {url} are not known here: none of the file is checked"),
                None => "the codes of systems that the release does not name are not known here: none of the file is checked"
                    .to_owned(),
            });
        };
        if grammar.has(&code) {
            return;
        }
        match grammar {
            Grammar::Units => (
                &UNIT,
                "UCUM has no such unit: write it as UCUM does (\"mm[Hg]\", \"[IU]\", \"meq\", \"{tablet}\") or leave out system and code"
                    .to_owned(),
            ),
            Grammar::Currencies => (&UNKNOWN, "ISO 4217 has no such currency: use its three capital letters".to_owned()),
            Grammar::Languages => (&UNKNOWN, "this is no language tag of BCP 47: write \"nl\" or \"nl-NL\"".to_owned()),
            Grammar::MediaTypes => (&UNKNOWN, "this is no MIME type: write \"application/pdf\"".to_owned()),
        }
    };
    out.add(cx, rule, At::below(node, ".code"), text);
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, outcome};

    fn tagged(system: &str, code: &str) -> Vec<String> {
        findings(&format!(
            r#"{{"resourceType":"Basic","meta":{{"tag":[{{"system":"{system}","code":"{code}"}}]}},"code":{{"text":"a"}}}}"#
        ))
    }

    fn none() -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn complete_systems_have_the_last_word_wherever_the_coding_stands() {
        let system = "http://hl7.org/fhir/observation-category";
        assert_eq!(tagged(system, "vital-signs"), none());
        assert_eq!(tagged(system, "vital-sign"), ["code-unknown Basic.meta.tag[0].code"]);
        assert_eq!(tagged(system, "Vital-Signs"), ["code-unknown Basic.meta.tag[0].code"]);
        assert_eq!(tagged("http://hl7.org/fhir/v2/0203", "mr"), none(), "case does not count in this system");
        assert_eq!(tagged("http://hl7.org/fhir/v3/ActReason", "nope"), ["code-unknown Basic.meta.tag[0].code"]);
    }

    #[test]
    fn examples_and_unknown_systems_do_not_refuse() {
        assert_eq!(tagged("http://hl7.org/fhir/service-type", "a"), ["code-unknown-example Basic.meta.tag[0].code"]);
        assert_eq!(tagged("http://loinc.org", "a"), none());
        assert_eq!(tagged("http://snomed.info/sct", "a"), none());
    }

    #[test]
    fn systems_that_are_not_known_are_said_once() {
        let tag = |system: &str| format!(r#"{{"system":"{system}","code":"a"}}"#);
        let tags = ["http://a.example", "http://loinc.org", "http://b.example", "http://loinc.org"].map(tag).join(",");
        let source = format!(r#"{{"resourceType":"Basic","meta":{{"tag":[{tags}]}},"code":{{"text":"a"}}}}"#);
        let said: Vec<_> =
            outcome(&source).not_checked.iter().map(|entry| (entry.expression.clone(), entry.system.clone())).collect();
        assert_eq!(
            said,
            [
                ("Basic.meta.tag[0].code".to_owned(), None),
                ("Basic.meta.tag[1].code".to_owned(), Some("http://loinc.org".to_owned()))
            ]
        );
    }

    #[test]
    fn systems_with_a_grammar_are_judged_by_it() {
        assert_eq!(tagged("urn:ietf:bcp:47", "nl-NL"), none());
        assert_eq!(tagged("urn:ietf:bcp:47", "nl_NL"), ["code-unknown Basic.meta.tag[0].code"]);
        assert_eq!(tagged("urn:ietf:bcp:13", "pdf"), ["code-unknown Basic.meta.tag[0].code"]);
        assert_eq!(tagged("urn:iso:std:iso:4217", "EUR"), none());
        assert_eq!(tagged("urn:iso:std:iso:4217", "EURO"), ["code-unknown Basic.meta.tag[0].code"]);
    }

    #[test]
    fn quantities_have_units_of_ucum() {
        let dose = |code: &str| {
            findings(&format!(
                r#"{{"resourceType":"SupplyDelivery","suppliedItem":{{"quantity":{{"value":1,"system":"http://unitsofmeasure.org","code":"{code}"}}}}}}"#
            ))
        };
        assert_eq!(dose("[IU]"), none());
        assert_eq!(dose("tbl"), ["ucum-unit SupplyDelivery.suppliedItem.quantity.code"]);
    }
}
