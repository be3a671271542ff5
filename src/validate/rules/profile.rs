//! Profiles that a resource claims. Spec: <https://hl7.org/fhir/STU3/resource.html#profile-tags>.
//!
//! No profile is judged yet: each claim is reported as not checked.

use crate::{
    fhir::{Kind, NodeId},
    validate::{
        context::{Context, items},
        issue::{At, Findings, Rule},
    },
};

static PROFILE: Rule =
    Rule::warning("profile", "not-supported", "https://hl7.org/fhir/STU3/resource.html#profile-tags");

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&PROFILE];

/// `Meta.profile`.
pub(crate) fn check(cx: &Context<'_, '_>, meta: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    let claims = (0_u32..).zip(items(document, meta, "profile"));
    for (number, node) in claims.filter(|(_, item)| document.kind(*item) == Kind::String) {
        let profile = document.text(node).unwrap_or_default();
        let named = profile.rsplit('/').next().filter(|name| {
            !name.is_empty()
                && name.len() <= 64
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
        let text = match named {
            Some(name) => format!("the profile {name} is not loaded"),
            None => "a profile of this resource is not loaded".to_owned(),
        };
        out.not_checked(cx, &PROFILE, At::below(node, format!(".profile[{number}]")), text);
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::outcome;

    #[test]
    fn a_claimed_profile_is_said_to_be_unjudged() {
        let source = r#"{"resourceType":"Patient","meta":{"profile":["http://fhir.nl/fhir/StructureDefinition/nl-core-patient"]}}"#;
        let outcome = outcome(source);
        assert!(outcome.valid());
        assert_eq!(outcome.not_checked[0].text, "the profile nl-core-patient is not loaded");
    }
}
