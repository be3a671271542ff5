//! Codes are displayed by words that belong to them, where those are known: by the release, by code systems and value sets of
//! packages. Capital and small letters are the same, and so is blank space of any width.
//! Spec: <https://hl7.org/fhir/STU3/datatypes.html#Coding>.

use crate::{
    fhir::NodeId,
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

/// "A representation of the meaning of the code in the system, following the rules of the system."
static DISPLAY: Rule = Rule::warning(
    "code-display",
    "code-invalid",
    "https://hl7.org/fhir/STU3/datatypes-definitions.html#Coding.display",
);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&DISPLAY];

/// A Coding: `display` is one of its code's.
pub(crate) fn check(cx: &Context<'_, '_>, coding: NodeId, out: &mut Findings<'_>) {
    let Some(node) = cx.document.get(coding, "display") else { return };
    let (Some(system), Some(code), Some(display)) =
        (cx.string(coding, "system"), cx.string(coding, "code"), cx.string(coding, "display"))
    else {
        return;
    };
    if cx.library.is_display(&system, &code, &display) == Some(false) {
        // the words that belong to the code are not said: they would give the code away
        let text = "these words are none of those that belong to this code: check that the code is the one that is meant, \
                    and write a display of it";
        out.add(cx, &DISPLAY, At::below(node, ".display"), text);
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, with};
    use serde_json::json;

    fn status(display: &str) -> Vec<String> {
        let coding = format!(r#"{{"system":"http://hl7.org/fhir/v3/MaritalStatus","code":"M","display":"{display}"}}"#);
        findings(&format!(r#"{{"resourceType":"Patient","maritalStatus":{{"coding":[{coding}]}}}}"#))
    }

    #[test]
    fn words_of_the_release_are_compared_without_case_and_width() {
        for good in ["Married", "married", " MARRIED "] {
            assert!(status(good).iter().all(|finding| !finding.starts_with("code-display")), "{good}");
        }
        assert_eq!(status("Bound"), ["code-display Patient.maritalStatus.coding[0].display"]);
    }

    #[test]
    fn words_of_packages_are_compared_and_unknown_ones_are_not() {
        let set = json!({"resourceType": "ValueSet", "url": "http://example.org/v", "status": "draft", "compose": {"include": [
            {"system": "http://example.org/s", "concept": [{"code": "a", "display": "First"}, {"code": "b"}]}]}});
        let judged = |code: &str| {
            let coding = json!({"system": "http://example.org/s", "code": code, "display": "Second"});
            let outcome = with(&[&set], &json!({"resourceType": "Basic", "code": {"coding": [coding]}}));
            assert!(outcome.valid());
            outcome.findings.into_iter().map(|finding| finding.key).collect::<Vec<_>>()
        };
        assert_eq!(judged("a"), ["code-display"]);
        assert!(judged("b").is_empty() && judged("c").is_empty());
    }
}
