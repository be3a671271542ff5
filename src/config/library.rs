//! `type = "library"`: what such a channel has in place of what is asked of Bundles.

use super::section::{Raw, Reading, Section, join};
use crate::model::{Labels, PushType};
use std::collections::BTreeMap;

type Values = BTreeMap<String, Raw>;

/// The largest file of a library channel that says nothing else.
pub(super) const MAX_SIZE: u64 = 512 << 20;

/// What stands in a channel's tables, before each is read.
pub(super) struct Given<'v> {
    pub(super) channel: &'v Values,
    pub(super) route: &'v Values,
    pub(super) validate: &'v Values,
    pub(super) rules: &'v Values,
    pub(super) library: &'v Values,
}

impl Given<'_> {
    /// Refuses keys that say nothing for this type of channel: who set them expects something of them.
    pub(super) fn check(&self, reading: &mut Reading<'_>, path: &str) {
        let is_library =
            matches!(self.channel.get("type"), Some(Raw::Text(text)) if text == PushType::Library.as_str());
        if !is_library {
            for key in ["reference", "tags"].into_iter().filter(|key| says_something(self.library.get(*key))) {
                let remedy = "remove it, or set type = \"library\"";
                reading.fail(&join(path, &format!("library.{key}")), "Bundles carry no labels", remedy);
            }
            return;
        }
        for key in ["patient_systems", "expression"].into_iter().filter(|key| says_something(self.route.get(*key))) {
            reading.fail(
                &join(path, &format!("route.{key}")),
                "a library channel does not read its files, so nothing in them is evidence",
                "remove it and go by folder, sidecar or default_account",
            );
        }
        let of_bundles = ["version", "max_depth", "max_entries"].into_iter();
        let of_bundles = of_bundles.filter(|key| self.channel.contains_key(*key)).map(str::to_owned);
        let validated = ["require", "allow", "unloaded_profiles", "allow_modifier_extensions"].into_iter();
        let validated = validated.filter(|key| says_something(self.validate.get(*key)));
        let validated = validated.map(|key| format!("validate.{key}"));
        let rules = self.rules.keys().map(|key| format!("validate.rules.{key}"));
        for key in of_bundles.chain(validated).chain(rules) {
            let what = "a library channel does not read its files, so this would change nothing";
            reading.fail(&join(path, &key), what, "remove it, or set type = \"provider\"");
        }
    }
}

fn says_something(value: Option<&Raw>) -> bool {
    value.is_some_and(|value| !matches!(value, Raw::List(items) if items.is_empty()))
}

/// References or tags.
pub(super) fn labels(section: &mut Section<'_, '_>, key: &str) -> Labels {
    Labels::new(section.list(key)).unwrap_or_else(|fault| {
        section.refuse(key, &fault.to_string(), "write a list of short texts: [\"letter\", \"2026\"]");
        Labels::default()
    })
}
