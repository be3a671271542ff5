//! The rules, one file per family: what is checked, where the release says so, and the stable keys.

pub(super) mod attachment;
pub(super) mod binding;
pub(super) mod bundle;
pub(super) mod cardinality;
pub(super) mod choice;
pub(super) mod contained;
mod document;
pub(super) mod element_id;
pub(super) mod extension;
mod formatting;
pub(super) mod identifier;
pub(super) mod known_extension;
mod language;
mod media_type;
pub(super) mod meta;
pub(super) mod narrative;
pub(super) mod primitive;
pub(super) mod profile;
pub(super) mod reference;
mod request;
pub(super) mod structure;
mod xhtml;

use super::issue::Rule;

/// A file that the reader refuses; no policy changes it.
pub(super) const UNREADABLE: Rule = Rule::error("unreadable", "structure", "https://hl7.org/fhir/STU3/json.html");

/// A resource where a Bundle is needed; no policy changes it.
pub(super) const NOT_A_BUNDLE: Rule = Rule::error("not-a-bundle", "structure", "https://hl7.org/fhir/STU3/bundle.html");

/// A file of another release.
pub(super) const OTHER_RELEASE: Rule =
    Rule::error("other-release", "not-supported", "https://hl7.org/fhir/STU3/versions.html");

/// All rules, sorted by key.
pub fn all() -> Vec<&'static Rule> {
    let families: [&[&'static Rule]; 19] = [
        &[&UNREADABLE, &NOT_A_BUNDLE, &OTHER_RELEASE],
        structure::RULES,
        cardinality::RULES,
        choice::RULES,
        primitive::RULES,
        binding::RULES,
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
        profile::RULES,
    ];
    let mut rules: Vec<&'static Rule> = families.concat();
    rules.sort_by_key(|rule| rule.key);
    rules
}

/// The rule with this key.
pub fn named(key: &str) -> Option<&'static Rule> {
    all().into_iter().find(|rule| rule.key == key)
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_unique() {
        let rules = super::all();
        assert!(rules.windows(2).all(|pair| pair[0].key < pair[1].key));
        assert_eq!(super::named("bdl-7").unwrap().key, "bdl-7");
    }
}
