//! The tables of one channel.

use super::{
    errors::RuleRefusal,
    library,
    reference::table,
    section::{Raw, Reading, Section, join, take},
    settings::{AmbiguousSetting, Channel, OrderSetting, PollingSetting, Route, UnloadedSetting},
};
use crate::model::{ChannelName, PushType};
use std::collections::BTreeMap;

pub(super) fn channel(
    reading: &mut Reading<'_>,
    path: &str,
    name: &ChannelName,
    mut values: BTreeMap<String, Raw>,
) -> Option<Channel> {
    let route_values = take(reading, path, &mut values, "route");
    let mut validate_values = take(reading, path, &mut values, "validate");
    let validate_path = join(path, "validate");
    let rule_values = take(reading, &validate_path, &mut validate_values, "rules");
    let library_values = take(reading, path, &mut values, "library");
    let given = library::Given {
        channel: &values,
        route: &route_values,
        validate: &validate_values,
        rules: &rule_values,
        library: &library_values,
    };
    given.check(reading, path);
    let section =
        &mut Section::new(reading, &join(path, "library"), table("channel.NAME.library"), library_values, &[]);
    let (reference, tags) = (library::labels(section, "reference"), library::labels(section, "tags"));
    let route = route(&mut Section::new(reading, &join(path, "route"), table("channel.NAME.route"), route_values, &[]));
    let section =
        &mut Section::new(reading, &validate_path, table("channel.NAME.validate"), validate_values, &["rules"]);
    let allow_modifier_extensions = section.list("allow_modifier_extensions");
    let (require, allow) = (section.list("require"), section.list("allow"));
    let unloaded =
        [("pass", UnloadedSetting::Pass), ("hold", UnloadedSetting::Hold), ("refuse", UnloadedSetting::Refuse)];
    let unloaded_profiles = section.word("unloaded_profiles", &unloaded);
    let rules = rules(reading, &join(&validate_path, "rules"), rule_values);
    let section = &mut Section::new(reading, path, table("channel.NAME"), values, &["route", "validate", "library"]);
    let push = section.word("type", &[("provider", PushType::Provider), ("library", PushType::Library)]);
    section.needed("contract");
    let contract = section.parsed("contract");
    section.needed("inbox");
    let inbox = section.path("inbox");
    let folder = match section.path("folder") {
        Some(folder) => Some(folder),
        None => Some(section.beside("channels", name.as_str())),
    };
    let version = section.word("version", &[("stu3", "stu3"), ("3.0.2", "3.0.2")]);
    let polling = section.word("polling", &[("auto", PollingSetting::Auto), ("always", PollingSetting::Always)]);
    let order = section.word("order", &[("claim", OrderSetting::Claim), ("strict", OrderSetting::Strict)]);
    let ambiguous =
        section.word("ambiguous", &[("hold", AmbiguousSetting::Hold), ("resend", AmbiguousSetting::Resend)]);
    let max_size = match push {
        Some(PushType::Library) if !section.is_given("max_size") => library::MAX_SIZE,
        _ => section.size("max_size"),
    };
    Some(Channel {
        quiet: section.duration("quiet"),
        truncated_limit: section.duration("truncated_limit"),
        rename_in: section.flag("rename_in"),
        done_suffix: section.text("done_suffix"),
        sidecar: section.flag("sidecar"),
        ignore: section.list("ignore"),
        max_size,
        max_depth: section.number("max_depth", 8, 1_000),
        max_entries: section.number("max_entries", 1, 1_000_000),
        rescan: section.duration("rescan"),
        quiet_alert: section.is_given("quiet_alert").then(|| section.duration("quiet_alert")),
        max_age: section.duration("max_age"),
        push: push?,
        contract: contract?,
        inbox: inbox?,
        folder: folder?,
        version: version?.to_owned(),
        polling: polling?,
        order: order?,
        ambiguous: ambiguous?,
        route,
        reference,
        tags,
        allow_modifier_extensions,
        require,
        allow,
        unloaded_profiles: unloaded_profiles?,
        rules,
    })
}

/// The levels of rules, by key.
fn rules(reading: &mut Reading<'_>, path: &str, values: BTreeMap<String, Raw>) -> BTreeMap<String, String> {
    let mut rules = BTreeMap::new();
    for (key, value) in values {
        let path = join(path, &key);
        if let Err(RuleRefusal { what, remedy }) = (reading.admits_rule)(&key) {
            reading.fail(&path, what, remedy);
            continue;
        }
        match value {
            Raw::Text(level) if ["error", "warning", "information", "off"].contains(&level.as_str()) => {
                rules.insert(key, level);
            }
            _ => reading.fail(&path, "this is no level", "write error, warning, information or off"),
        }
    }
    rules
}

fn route(section: &mut Section<'_, '_>) -> Route {
    let single_person = section.flag("single_person");
    if section.is_given("default_account") && !single_person {
        section.refuse(
            "default_account",
            "a default would send another person's file to this account",
            "add single_person = true if every file of this inbox is the same person's, or remove it",
        );
    }
    Route {
        folder: section.flag("folder"),
        patient_systems: section.list("patient_systems"),
        expression: section.text("expression"),
        default_account: section.parsed("default_account"),
    }
}
