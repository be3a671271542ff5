//! From text and environment to a checked [`Config`], with all errors at once.

use super::{
    channel::channel,
    errors::{ConfigError, ConfigErrors, RuleCheck},
    places::{PREFIX, places},
    reference::table,
    section::{Raw, Reading, Section, join, nearest, take},
    settings::{Channel, Config, Contract},
    tables::{alerts, contract, key_source, limits, log, profiles, retention, terminology},
};
use crate::model::{ChannelName, ContractName};
use std::{collections::BTreeMap, fs, path::Path};

/// Reads the file and the environment.
///
/// # Errors
/// The file cannot be read, or everything that is wrong in it.
pub fn load(file: &Path, admits_rule: RuleCheck) -> Result<Config, ConfigErrors> {
    let failed = |source| ConfigErrors::File { path: file.to_owned(), source };
    let text = fs::read_to_string(file).map_err(failed)?;
    let file = fs::canonicalize(file).map_err(failed)?;
    let environment = config::Environment::with_prefix(PREFIX).prefix_separator("__").separator("__");
    read(&file, &text, environment, admits_rule)
}

fn read(
    file: &Path,
    text: &str,
    environment: config::Environment,
    admits_rule: RuleCheck,
) -> Result<Config, ConfigErrors> {
    let places = places(file, text).map_err(|error| ConfigErrors::Wrong(vec![error]))?;
    let layers = config::Config::builder()
        .add_source(config::File::from_str(text, config::FileFormat::Toml))
        .add_source(environment)
        .build();
    let values: BTreeMap<String, Raw> = match layers.and_then(config::Config::try_deserialize) {
        Ok(values) => {
            let values: BTreeMap<String, config::Value> = values;
            values.into_iter().map(|(key, value)| (key, Raw::from(value))).collect()
        }
        Err(error) => {
            let error = ConfigError {
                key: "(whole file)".to_owned(),
                place: file.display().to_string(),
                what: error.to_string(),
                remedy: "compare it with what pushbridge init writes".to_owned(),
            };
            return Err(ConfigErrors::Wrong(vec![error]));
        }
    };
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut reading = Reading { folder, places: &places, admits_rule, errors: Vec::new() };
    let config = top(&mut reading, file, values);
    match config {
        Some(config) if reading.errors.is_empty() => Ok(config),
        _ => Err(ConfigErrors::Wrong(reading.errors)),
    }
}

fn top(reading: &mut Reading<'_>, file: &Path, mut values: BTreeMap<String, Raw>) -> Option<Config> {
    let secret_values = take(reading, "", &mut values, "secrets");
    let log_values = take(reading, "", &mut values, "log");
    let limit_values = take(reading, "", &mut values, "limits");
    let profile_values = take(reading, "", &mut values, "profiles");
    let terminology_values = take(reading, "", &mut values, "terminology");
    let alert_values = take(reading, "", &mut values, "alerts");
    let retention_values = take(reading, "", &mut values, "retention");
    let contract_values = take(reading, "", &mut values, "contract");
    let channel_values = take(reading, "", &mut values, "channel");
    let mut section = Section::new(
        reading,
        "",
        table(""),
        values,
        &["secrets", "log", "limits", "retention", "alerts", "profiles", "terminology", "contract", "channel"],
    );
    let state = section.path("state");
    let secrets = key_source(&mut Section::new(reading, "secrets", table("secrets"), secret_values, &[]));
    let log = log(&mut Section::new(reading, "log", table("log"), log_values, &[]));
    let limits = limits(&mut Section::new(reading, "limits", table("limits"), limit_values, &[]));
    let (retention, prune_every) =
        retention(&mut Section::new(reading, "retention", table("retention"), retention_values, &[]));
    let alerts = alerts(&mut Section::new(reading, "alerts", table("alerts"), alert_values, &[]));
    let profiles = profiles(&mut Section::new(reading, "profiles", table("profiles"), profile_values, &[]));
    let terminology =
        terminology(&mut Section::new(reading, "terminology", table("terminology"), terminology_values, &[]));
    let mut contracts = BTreeMap::new();
    for (name, value) in contract_values {
        let path = join("contract", &name);
        let Some((name, values)) = named::<ContractName>(reading, &path, &name, value) else { continue };
        contracts.insert(name, contract(&mut Section::new(reading, &path, table("contract.NAME"), values, &[])));
    }
    let mut channels = BTreeMap::new();
    for (name, value) in channel_values {
        let path = join("channel", &name);
        let Some((name, values)) = named::<ChannelName>(reading, &path, &name, value) else { continue };
        let channel = channel(reading, &path, &name, values);
        channels.insert(name, channel);
    }
    let mut warnings = Vec::new();
    let channels: BTreeMap<_, _> = channels.into_iter().filter_map(|(name, channel)| Some((name, channel?))).collect();
    cross_check(reading, &contracts, &channels, &mut warnings);
    let contracts = contracts.into_iter().filter_map(|(name, contract)| Some((name, contract?))).collect();
    Some(Config {
        file: file.to_owned(),
        state: state?,
        secrets,
        log: log?,
        limits,
        alerts,
        retention,
        prune_every,
        contracts,
        channels,
        profiles,
        terminology,
        warnings,
    })
}

fn named<T: std::str::FromStr<Err = crate::model::InvalidId>>(
    reading: &mut Reading<'_>,
    path: &str,
    name: &str,
    value: Raw,
) -> Option<(T, BTreeMap<String, Raw>)> {
    match (name.parse(), value) {
        (Ok(name), Raw::Table(values)) => Some((name, values)),
        (Err(error), _) => {
            reading.fail(path, error.to_string(), "choose another name");
            None
        }
        (Ok(_), _) => {
            reading.fail(path, "this is no table", "write it as a [table]");
            None
        }
    }
}

/// What no table can see alone.
fn cross_check(
    reading: &mut Reading<'_>,
    contracts: &BTreeMap<ContractName, Option<Contract>>,
    channels: &BTreeMap<ChannelName, Channel>,
    warnings: &mut Vec<String>,
) {
    let mut folders: Vec<(String, &Path)> = Vec::new();
    for (name, channel) in channels {
        let path = format!("channel.{name}");
        if !contracts.contains_key(&channel.contract) {
            let known = nearest(channel.contract.as_str(), contracts.keys().map(ContractName::as_str));
            let remedy = known.map_or_else(
                || format!("add a [contract.{}] table", channel.contract),
                |known| format!("did you mean {known}?"),
            );
            reading.fail(&join(&path, "contract"), "there is no such contract", remedy);
        }
        for (key, folder) in [("inbox", &channel.inbox), ("folder", &channel.folder)] {
            let key = join(&path, key);
            let clash = folders.iter().find(|(_, other)| folder.starts_with(other) || other.starts_with(folder));
            if let Some((other, _)) = clash {
                let what = format!("this folder is, holds or lies in that of {other}");
                reading.fail(&key, what, "give each inbox and each channel a folder of its own, not inside another");
            }
            folders.push((key, folder));
        }
        let route = &channel.route;
        let has_evidence = route.folder
            || channel.sidecar
            || !route.patient_systems.is_empty()
            || route.expression.is_some()
            || route.default_account.is_some();
        if !has_evidence {
            warnings.push(format!("channel.{name} accepts no kind of evidence: every file will be held"));
        }
    }
    for name in contracts.keys() {
        if !channels.values().any(|channel| channel.contract == *name) {
            warnings.push(format!("contract.{name} is used by no channel"));
        }
    }
}

#[cfg(test)]
mod tests;
