//! The rules, one file per family: what is checked, where the release says so, and the stable keys.

pub(super) mod attachment;
pub(super) mod binding;
pub(super) mod bundle;
pub(super) mod cardinality;
pub(super) mod choice;
pub(super) mod code_system;
pub(super) mod concepts;
pub(super) mod contained;
pub(super) mod display;
mod document;
pub(super) mod element_id;
pub(super) mod extension;
mod formatting;
mod grammar;
pub(super) mod identifier;
pub(super) mod invariant;
pub(super) mod known_extension;
mod language;
mod media_type;
pub(super) mod meta;
pub(super) mod narrative;
pub(super) mod primitive;
pub(super) mod quantity;
pub(super) mod questionnaire;
pub(super) mod range;
pub(super) mod reference;
mod request;
pub(super) mod structure;
mod texts;
mod xhtml;
pub(super) mod xml;

pub use texts::{RuleText, text};

use super::{conformance, issue::Rule};

/// A file that the reader refuses; no policy changes it.
pub(super) const UNREADABLE: Rule = Rule::error("unreadable", "structure", "https://hl7.org/fhir/STU3/json.html");

/// A resource where a Bundle is needed; no policy changes it.
pub(super) const NOT_A_BUNDLE: Rule = Rule::error("not-a-bundle", "structure", "https://hl7.org/fhir/STU3/bundle.html");

/// A file of another release.
pub(super) const OTHER_RELEASE: Rule =
    Rule::error("other-release", "not-supported", "https://hl7.org/fhir/STU3/versions.html");

/// All rules, sorted by key.
pub fn all() -> Vec<&'static Rule> {
    let families: [&[&'static Rule]; 27] = [
        &[&UNREADABLE, &NOT_A_BUNDLE, &OTHER_RELEASE],
        structure::RULES,
        cardinality::RULES,
        choice::RULES,
        primitive::RULES,
        quantity::RULES,
        binding::RULES,
        code_system::RULES,
        display::RULES,
        concepts::RULES,
        bundle::RULES,
        document::RULES,
        request::RULES,
        reference::RULES,
        contained::RULES,
        element_id::RULES,
        attachment::RULES,
        identifier::RULES,
        meta::RULES,
        extension::RULES,
        known_extension::RULES,
        narrative::RULES,
        conformance::RULES,
        questionnaire::RULES,
        invariant::RULES,
        range::RULES,
        xml::RULES,
    ];
    let mut rules: Vec<&'static Rule> = families.concat();
    rules.extend(invariant::rules());
    rules.sort_by_key(|rule| rule.key);
    rules
}

/// The rule with this key.
pub fn named(key: &str) -> Option<&'static Rule> {
    all().into_iter().find(|rule| rule.key == key)
}

/// The key that was most likely meant: a constraint's whose own key several types use, or one with a typing error. Where
/// several types use it they are all named, `Parameters.inv-1 or Task.inv-1`.
pub fn nearest(key: &str) -> Option<String> {
    let of_types = all().into_iter().filter(|rule| rule.key.split_once('.').is_some_and(|(_, own)| own == key));
    let of_types: Vec<&str> = of_types.map(|rule| rule.key).collect();
    if of_types.is_empty() {
        return structure::nearest(key, all().into_iter().map(|rule| rule.key.to_owned()));
    }
    Some(of_types.join(" or "))
}

/// Whether no policy changes the rule: what it says of the file leaves nothing else to judge, or what it is about would
/// be lost when the file is sent as JSON.
pub fn is_fixed(rule: &Rule) -> bool {
    let whole = [&UNREADABLE, &NOT_A_BUNDLE, &OTHER_RELEASE];
    whole.into_iter().chain(xml::LOST).any(|fixed| fixed.key == rule.key)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_key_that_several_types_use_is_answered_by_theirs() {
        let all = "Parameters.inv-1 or Task.inv-1 or TestReport.inv-1 or TestScript.inv-1";
        assert_eq!(super::nearest("inv-1").unwrap(), all);
        assert_eq!(super::nearest("obs-77").unwrap(), "obs-7");
    }

    #[test]
    fn keys_are_unique() {
        let rules = super::all();
        assert!(rules.windows(2).all(|pair| pair[0].key < pair[1].key));
        assert_eq!(super::named("bdl-7").unwrap().key, "bdl-7");
    }

    #[test]
    fn the_nearest_key_is_told() {
        assert_eq!(super::nearest("bdl-77").as_deref(), Some("bdl-7"));
        assert_eq!(super::nearest("unknwon-elemnet").as_deref(), Some("unknown-element"));
        assert_eq!(super::nearest("something-else-entirely"), None);
    }
}
