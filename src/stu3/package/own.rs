//! The constraint profiles that the release itself defines: there without any package, each made when it is first asked
//! for.
//!
//! `profiles.tsv` is written by the generator in `tests/generate`: a line is a profile's URL, a tab, and the facts of its
//! differential as JSON; `§` stands for the beginning that most URLs of the release have.

use super::{Object, Profile};
use crate::{
    fhir::json::{self, Limits},
    stu3::{
        StructureId,
        profile::{self, Defect, RELEASE_URL, Snapshot, StructureDefinition, Types},
        release,
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

const TABLE: &str = include_str!("../profiles.tsv");
const SHORT: &str = "\u{a7}";

/// The type of the release that a canonical URL names.
pub(super) fn own_type(url: &str) -> Option<StructureId> {
    url.strip_prefix(RELEASE_URL).and_then(|name| release().structure_named(name))
}

/// A line of the table, and what became of it.
struct Own {
    facts: &'static str,
    profile: OnceLock<Option<Profile>>,
}

fn all() -> &'static BTreeMap<&'static str, Own> {
    static ALL: OnceLock<BTreeMap<&'static str, Own>> = OnceLock::new();
    ALL.get_or_init(|| {
        let lines = TABLE.lines().filter_map(|line| line.split_once('\t'));
        lines.map(|(url, facts)| (url, Own { facts, profile: OnceLock::new() })).collect()
    })
}

/// The canonical URLs of the release's own profiles, sorted.
pub(super) fn own_urls() -> impl Iterator<Item = String> {
    all().keys().map(|url| url.replacen(SHORT, RELEASE_URL, 1))
}

/// A canonical URL is that of a profile of the release.
pub(super) fn is_own(url: &str) -> bool {
    line(url).is_some()
}

/// A profile of the release.
pub(super) fn own_profile(url: &str) -> Option<&'static Profile> {
    let (known, own) = line(url)?;
    own.profile.get_or_init(|| made(known, own.facts)).as_ref()
}

fn line(url: &str) -> Option<(&'static str, &'static Own)> {
    let shortened = url.strip_prefix(RELEASE_URL).map(|name| format!("{SHORT}{name}"));
    all().get_key_value(shortened.as_deref().unwrap_or(url)).map(|(known, own)| (*known, own))
}

/// What is wrong with a profile of the release is known and kept in a test; here it has no snapshot then.
fn made(url: &str, facts: &str) -> Option<Profile> {
    let text = facts.replace(SHORT, RELEASE_URL);
    let document = json::read(text.as_bytes(), &Limits::default()).ok()?;
    let file: Arc<str> = format!("the release, {}", url.trim_start_matches(SHORT)).into();
    let definition = StructureDefinition::read(Object::root(&document), &file).ok()?;
    let base = OwnTypes.profile(&definition.base).ok()?;
    let snapshot = profile::build(&definition, &base, &mut OwnTypes, &mut Vec::new()).map(Arc::new);
    Some(Profile { definition: Arc::new(definition), snapshot })
}

/// The release stands on nothing but itself, and not in a circle: a test makes them all.
struct OwnTypes;

impl Types for OwnTypes {
    fn profile(&mut self, url: &str) -> Result<Arc<Snapshot>, Defect> {
        if let Some(id) = own_type(url) {
            return Ok(profile::of_type(id));
        }
        let own = own_profile(url).ok_or_else(|| Defect::NoTypeProfile(url.into()))?;
        own.snapshot.clone().ok_or_else(|| Defect::Unusable(url.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_profiles_of_the_release_are_there_and_one_is_unusable() {
        let unusable: Vec<String> =
            own_urls().filter(|url| own_profile(url).is_none_or(|profile| profile.snapshot.is_none())).collect();
        assert_eq!(unusable, ["http://hl7.org/fhir/StructureDefinition/consentdirective"]);
        assert_eq!(own_urls().count(), 408);
        assert!(own_profile("http://hl7.org/fhir/StructureDefinition/Patient").is_none());
    }
}
