//! From text and environment to a checked [`Config`], with all errors at once.

use super::{
    KeySource, library,
    reference::{Table, reference},
    section::{Places, Raw, Reading, Section, join, nearest},
    settings::{
        Alerts, AmbiguousSetting, Channel, Config, Contract, Level, Limits, Log, LogFormat, OrderSetting,
        PollingSetting, Profiles, Route, Terminology, UnloadedSetting,
    },
};
use crate::model::{ChannelName, ContractName, PushType, Retention, Secret};
use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// One thing that is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key's dotted path.
    pub key: String,
    /// `file:line:column`, or the environment variable.
    pub place: String,
    /// What is wrong; the value itself is not repeated.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigErrors {
    /// The file cannot be read.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everything that is wrong in it.
    Wrong(Vec<ConfigError>),
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, source } if source.kind() == io::ErrorKind::NotFound => {
                write!(f, "read the configuration {}: there is no such file; pushbridge init makes one", path.display())
            }
            Self::File { path, source } => write!(f, "read the configuration {}: {source}", path.display()),
            Self::Wrong(errors) => {
                write!(f, "use the configuration: {} to mend", errors.len())?;
                errors.iter().try_for_each(|error| {
                    write!(f, "\n  {}: {}: {}; {}", error.place, error.key, error.what, error.remedy)
                })
            }
        }
    }
}

/// Why the level of a rule cannot be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRefusal {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Says whether a setting may change the rule of a key: this room does not know the rules.
pub type RuleCheck = fn(&str) -> Result<(), RuleRefusal>;

/// The environment variables' beginning; parts are joined by two underscores: `PUSHBRIDGE__LOG__LEVEL`.
const PREFIX: &str = "PUSHBRIDGE";

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

fn table(name: &str) -> &'static Table {
    reference().iter().find(|table| table.name == name).expect("the reference names every table that is read")
}

/// Takes a sub-table out of the values; something else under its name is an error.
fn take(reading: &mut Reading<'_>, path: &str, values: &mut BTreeMap<String, Raw>, key: &str) -> BTreeMap<String, Raw> {
    match values.get(key) {
        None => BTreeMap::new(),
        Some(Raw::Table(table)) => table.clone(),
        Some(_) => {
            reading.fail(&join(path, key), "this is no table", "write it as a [table]");
            BTreeMap::new()
        }
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

fn key_source(section: &mut Section<'_, '_>) -> Option<KeySource> {
    let text = section.text("key")?;
    let name_is_plain = |name: &str| !name.is_empty() && !name.contains(['/', '=', '\0']);
    match text.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Some(KeySource::File(section.resolve(path))),
        Some(("env", name)) if name_is_plain(name) => Some(KeySource::Environment(name.to_owned())),
        Some(("credential", name)) if name_is_plain(name) => Some(KeySource::Credential(name.to_owned())),
        _ => {
            // Somebody may have written the key itself here.
            section.refuse(
                "key",
                "this names no source",
                "write file:PATH, env:NAME or credential:NAME, never the key itself",
            );
            None
        }
    }
}

fn log(section: &mut Section<'_, '_>) -> Option<Log> {
    let levels = [("error", Level::Error), ("warn", Level::Warn), ("info", Level::Info), ("debug", Level::Debug)];
    let level = section.word("level", &levels);
    let format = section.word("format", &[("human", LogFormat::Human), ("json", LogFormat::Json)]);
    Some(Log { level: level?, format: format? })
}

fn limits(section: &mut Section<'_, '_>) -> Limits {
    Limits {
        connections: section.number("connections", 1, 256) as usize,
        judge_threads: section.number("judge_threads", 1, 64) as usize,
        memory: section.size("memory"),
        min_free: section.size("min_free"),
        shutdown_grace: section.duration("shutdown_grace"),
    }
}

/// How long files are kept, and how often that is looked at. The floors are refused here and kept where files go.
fn retention(section: &mut Section<'_, '_>) -> (Retention, Duration) {
    let mut age = |key: &str, least: Duration| {
        if section.text(key).as_deref() == Some("never") {
            return None;
        }
        let age = section.duration(key);
        if age < least {
            let hours = least.as_secs() / 3_600;
            section.refuse(key, "files would go too soon", &format!("write at least {hours}h, or never"));
        }
        Some(age)
    };
    let done = age("done", Retention::LEAST);
    let failed = age("failed", Retention::LEAST_FAILED);
    let duplicates = age("duplicates", Retention::LEAST_FAILED);
    let is_never = section.text("done_size").as_deref() == Some("never");
    let done_size = (!is_never).then(|| section.size("done_size"));
    let every = section.duration("every");
    if every < Duration::from_secs(1) {
        section.refuse("every", "this is too often", "write at least 1s");
    }
    (Retention { done, done_size, failed, duplicates }, every)
}

fn alerts(section: &mut Section<'_, '_>) -> Alerts {
    let mut command = section.list("command");
    // A path is meant from the file's folder; a bare name is looked up in PATH.
    if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
        *program = section.resolve(program).to_string_lossy().into_owned();
    }
    let webhook = section.text("webhook").filter(|address| {
        let is_safe = is_safe(address);
        if !is_safe {
            section.refuse(
                "webhook",
                "alerts would travel in clear",
                "write an https URL (http only to 127.0.0.1 or localhost)",
            );
        }
        is_safe
    });
    Alerts {
        command,
        webhook: webhook.map(Secret::new),
        timeout: section.duration("timeout"),
        gather: section.duration("gather"),
    }
}

fn profiles(section: &mut Section<'_, '_>) -> Profiles {
    Profiles {
        registry: url(section, "registry", "packages could be changed on their way"),
        cache: section.path("cache"),
        ca_file: section.path("ca_file"),
        proxy: section.text("proxy"),
    }
}

fn terminology(section: &mut Section<'_, '_>) -> Terminology {
    Terminology {
        url: url(section, "url", "codes, and what is said of them, could be read and changed on their way"),
        ca_file: section.path("ca_file"),
        proxy: section.text("proxy"),
        timeout: section.duration("timeout"),
        keep: section.duration("keep"),
    }
}

fn contract(section: &mut Section<'_, '_>) -> Option<Contract> {
    let application_id = section.needed("application_id");
    let contract_id = section.needed("contract_id");
    section.needed("key_file");
    let key_file = section.path("key_file");
    let base_url = url(section, "base_url", IN_CLEAR);
    let onboard_url = url(section, "onboard_url", IN_CLEAR);
    let (client_cert, client_key) = (section.path("client_cert"), section.path("client_key"));
    for (key, other, is_alone) in [
        ("client_cert", "client_key", client_key.is_none() && client_cert.is_some()),
        ("client_key", "client_cert", client_cert.is_none() && client_key.is_some()),
    ] {
        if is_alone {
            section.refuse(key, "a certificate and its key belong together", &format!("add {other}, or remove this"));
        }
    }
    Some(Contract {
        jku_origins: section.list("jku_origins"),
        ca_file: section.path("ca_file"),
        client_cert,
        client_key,
        proxy: section.text("proxy"),
        connect_timeout: section.duration("connect_timeout"),
        idle_timeout: section.duration("idle_timeout"),
        total_timeout: section.duration("total_timeout"),
        accounts_sync: section.duration("accounts_sync"),
        token_warning: section.duration("token_warning"),
        application_id: application_id?,
        contract_id: contract_id?,
        key_file: key_file?,
        base_url: base_url?,
        onboard_url: onboard_url?,
    })
}

const IN_CLEAR: &str = "tokens would travel in clear";

/// An address, with one trailing slash; nothing travels in clear to another machine.
fn url(section: &mut Section<'_, '_>, key: &str, why: &str) -> Option<String> {
    let text = section.text(key)?;
    if !is_safe(&text) {
        section.refuse(key, why, "write an https URL (http only to 127.0.0.1 or localhost)");
        return None;
    }
    Some(format!("{}/", text.trim_end_matches('/')))
}

/// What is sent there does not travel in clear to another machine.
fn is_safe(address: &str) -> bool {
    let is_local = ["http://127.", "http://localhost:", "http://localhost/", "http://[::1]"];
    address.starts_with("https://") || is_local.iter().any(|start| address.starts_with(start))
}

fn channel(
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

/// Where each key stands in the file; the empty path is the file itself.
fn places(file: &Path, text: &str) -> Result<Places, ConfigError> {
    let show = |offset: usize| {
        let before = &text[..offset.min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("{}:{line}:{column}", file.display())
    };
    let document = match toml_edit::Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let place = error.span().map_or_else(|| file.display().to_string(), |span| show(span.start));
            let what = error.message().to_owned();
            let remedy = "mend the TOML there".to_owned();
            return Err(ConfigError { key: "(syntax)".to_owned(), place, what, remedy });
        }
    };
    let mut places = Places::from([(String::new(), file.display().to_string())]);
    note_places(document.as_table(), "", &show, &mut places);
    for (name, _) in std::env::vars_os() {
        let Some(key) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_prefix("__")) else { continue };
        places.insert(key.to_ascii_lowercase().replace("__", "."), format!("${PREFIX}__{key}"));
    }
    Ok(places)
}

fn note_places(table: &dyn toml_edit::TableLike, path: &str, show: &dyn Fn(usize) -> String, places: &mut Places) {
    for (name, item) in table.iter() {
        let path = join(path, name);
        let key_span = table.key(name).and_then(toml_edit::Key::span);
        if let Some(span) = item.as_value().and_then(toml_edit::Value::span).or(key_span).or_else(|| item.span()) {
            places.insert(path.clone(), show(span.start));
        }
        if let Some(table) = item.as_table_like() {
            note_places(table, &path, show, places);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[contract.main]
application_id = "app"
contract_id = "con"
key_file = "key.pem"
base_url = "http://127.0.0.1:1/v1.7"
[channel.clinic]
contract = "main"
inbox = "inbox"
[channel.clinic.route]
folder = true
"#;

    fn read_text(text: &str) -> Result<Config, Vec<ConfigError>> {
        let environment = config::Environment::with_prefix("PUSHBRIDGE_TEST_NOTHING");
        let admits_rule = |key: &str| match key {
            "bdl-7" | "format-dateTime" => Ok(()),
            _ => {
                Err(RuleRefusal { what: "there is no such rule".to_owned(), remedy: "did you mean bdl-7?".to_owned() })
            }
        };
        match read(Path::new("/etc/pushbridge.toml"), text, environment, admits_rule) {
            Ok(config) => Ok(config),
            Err(ConfigErrors::Wrong(errors)) => Err(errors),
            Err(ConfigErrors::File { .. }) => unreachable!("no file is read here"),
        }
    }

    fn errors(text: &str) -> Vec<String> {
        let errors = read_text(text).unwrap_err();
        errors
            .into_iter()
            .map(|error| format!("{} {} {}; {}", error.place, error.key, error.what, error.remedy))
            .collect()
    }

    #[test]
    fn a_sealing_key_is_named_and_never_written_into_the_file() {
        let with = |key: &str| format!("[secrets]\nkey = \"{key}\"\n{GOOD}");
        let source = |key: &str| read_text(&with(key)).unwrap().secrets.unwrap();
        assert_eq!(source("file:keys/one"), KeySource::File("/etc/keys/one".into()));
        assert_eq!(source("env:SEALING"), KeySource::Environment("SEALING".to_owned()));
        assert_eq!(source("credential:seal"), KeySource::Credential("seal".to_owned()));
        for wrong in ["ab".repeat(32), "credential:../x".to_owned(), "env:".to_owned(), "vault:x".to_owned()] {
            let told = errors(&with(&wrong));
            assert!(told[0].contains("secrets.key this names no source"), "{told:?}");
            assert!(!told[0].contains(&"ab".repeat(8)), "{told:?}");
        }
    }

    #[test]
    fn a_short_file_is_enough() {
        let config = read_text(GOOD).unwrap();
        let channel = &config.channels[&"clinic".parse().unwrap()];
        assert_eq!(channel.quiet, std::time::Duration::from_secs(2));
        assert_eq!(channel.max_size, 64 << 20);
        assert_eq!(channel.inbox, Path::new("/etc/inbox"));
        assert_eq!(channel.folder, Path::new("/etc/channels/clinic"));
        assert_eq!(config.contracts[&"main".parse().unwrap()].base_url, "http://127.0.0.1:1/v1.7/");
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }

    #[test]
    fn a_registry_is_asked_only_where_it_is_named_and_never_in_clear() {
        assert_eq!(read_text(GOOD).unwrap().profiles, Profiles::default());
        let with = |profiles: &str| format!("{GOOD}\n[profiles]\n{profiles}\n");
        let config = read_text(&with("registry = \"https://packages.example/npm\"\ncache = \"packages\"")).unwrap();
        assert_eq!(config.profiles.registry.as_deref(), Some("https://packages.example/npm/"));
        assert_eq!(config.profiles.cache(), Some("/etc/packages".into()));
        let found = errors(&with("registry = \"http://packages.example\""));
        assert!(found[0].contains("profiles.registry packages could be changed on their way"), "{found:?}");
    }

    #[test]
    fn the_file_that_init_writes_can_be_read_as_it_is_and_with_every_default_written_out() {
        let file = super::super::commented_file();
        let plain = read_text(&file).unwrap();
        let without_default = [
            "key = ",
            "ca_file",
            "client_",
            "proxy",
            "folder",
            "done_suffix",
            "expression",
            "default_account",
            "webhook",
            "quiet_alert",
            "registry",
            "cache",
            "url",
        ];
        let all: String = file
            .lines()
            .map(|line| match line.strip_prefix("# ").filter(|line| line.contains(" = ")) {
                Some(entry) if !without_default.iter().any(|key| entry.starts_with(key)) && !entry.contains("KEY") => {
                    entry
                }
                _ => line,
            })
            .fold(String::new(), |text, line| text + line + "\n");
        assert_eq!(read_text(&all).unwrap(), plain, "what is documented as a default is the default");
    }

    #[test]
    fn all_errors_come_at_once_with_their_places() {
        let text = GOOD
            .replace("inbox = \"inbox\"", "inbox = \"inbox\"\nquite = \"2s\"\nmax_size = 64\nrescan = \"often\"")
            .replace("contract = \"main\"", "contract = \"mian\"");
        assert_eq!(
            errors(&text),
            [
                "/etc/pushbridge.toml:10:9 channel.clinic.quite there is no such key; did you mean quiet?",
                "/etc/pushbridge.toml:11:12 channel.clinic.max_size this is no size; write a number with B, KB, MB or GB: 64MB",
                "/etc/pushbridge.toml:12:10 channel.clinic.rescan this is no duration; write a number with ms, s, m, h or d: 500ms, 2s, 10m, 14d",
                "/etc/pushbridge.toml:8:12 channel.clinic.contract there is no such contract; did you mean main?",
            ]
        );
    }

    #[test]
    fn folders_of_two_channels_never_meet() {
        let text = format!(
            "{GOOD}[channel.other]\ncontract = \"main\"\ninbox = \"inbox/sub\"\n[channel.other.route]\nfolder = true\n"
        );
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("channel.other.inbox this folder is, holds or lies in that of channel.clinic.inbox"));
    }

    #[test]
    fn a_default_account_needs_a_person_of_its_own() {
        let text = GOOD.replace("folder = true", "default_account = \"ref-1\"");
        assert!(errors(&text)[0].contains("single_person = true"));
        assert!(
            read_text(&text.replace("[channel.clinic.route]", "[channel.clinic.route]\nsingle_person = true")).is_ok()
        );
    }

    #[test]
    fn a_library_channel_has_labels_and_a_larger_limit() {
        let library =
            format!("{GOOD}[channel.clinic.library]\nreference = [\"case\"]\ntags = [\"letter\", \"2026\"]\n")
                .replace("inbox = \"inbox\"", "inbox = \"inbox\"\ntype = \"library\"");
        let channel = |text: &str| read_text(text).unwrap().channels.remove(&"clinic".parse().unwrap()).unwrap();
        let read = channel(&library);
        assert_eq!((read.push, read.max_size), (PushType::Library, 512 << 20));
        assert_eq!((read.reference.count(), read.tags.texts().join(" ").as_str()), (1, "letter 2026"));
        assert_eq!(channel(&library.replace("type =", "max_size = \"1GB\"\ntype =")).max_size, 1 << 30);
        assert_eq!((channel(GOOD).push, channel(GOOD).max_size), (PushType::Provider, 64 << 20));
        let found = errors(&library.replace("\"2026\"", "\"a\\nb\""));
        assert!(found[0].contains("channel.clinic.library.tags one of them has a control character"), "{found:?}");
    }

    #[test]
    fn what_only_the_other_type_of_channel_has_is_refused_where_it_stands() {
        let library = GOOD.replace("inbox = \"inbox\"", "inbox = \"inbox\"\ntype = \"library\"\nmax_depth = 9");
        let library = format!(
            "{library}patient_systems = [\"http://x.example\"]\nexpression = \"Bundle.id\"\n[channel.clinic.validate.rules]\nbdl-7 = \"off\"\n"
        );
        let found = errors(&library);
        let keys: Vec<_> = found.iter().map(|error| error.split(' ').nth(1).unwrap()).collect();
        let wanted = ["route.patient_systems", "route.expression", "max_depth", "validate.rules.bdl-7"];
        assert_eq!(keys, wanted.map(|key| format!("channel.clinic.{key}")), "{found:?}");
        assert!(found[0].contains("go by folder, sidecar or default_account"), "{found:?}");
        let provider = format!("{GOOD}[channel.clinic.library]\ntags = [\"letter\"]\n");
        assert!(errors(&provider)[0].contains("channel.clinic.library.tags Bundles carry no labels"));
        assert!(errors(&GOOD.replace("inbox =", "type = \"both\"\ninbox ="))[0].contains("provider|library"));
    }

    #[test]
    fn tokens_never_travel_in_clear() {
        let found = errors(&GOOD.replace("http://127.0.0.1:1/", "http://api.example/"));
        assert!(found[0].contains("contract.main.base_url tokens would travel in clear"), "{found:?}");
        assert!(errors(&GOOD.replace("http://127.0.0.1:1/", "http://localhost.example/"))[0].contains("in clear"));
    }

    #[test]
    fn alerts_never_travel_in_clear_and_their_address_is_never_shown() {
        let with = |alerts: &str| format!("[alerts]\n{alerts}\n{GOOD}");
        let config =
            read_text(&with("command = [\"bin/page\", \"bin/x\"]\nwebhook = \"https://a.example/secret\"")).unwrap();
        assert_eq!(config.alerts.command, ["/etc/bin/page", "bin/x"]);
        assert!(!format!("{config:?}").contains("secret\""));
        let found = errors(&with("webhook = \"http://a.example/secret\""));
        assert!(found[0].contains("alerts.webhook alerts would travel in clear") && !found[0].contains("a.example"));
        assert_eq!(read_text(GOOD).unwrap().alerts.webhook, None);
    }

    #[test]
    fn retention_has_floors() {
        let with = |retention: &str| format!("[retention]\n{retention}\n{GOOD}");
        let config = read_text(&with("done = \"24h\"\nfailed = \"never\"\ndone_size = \"never\"")).unwrap();
        let retention = config.retention;
        assert_eq!((retention.done, retention.failed), (Some(Retention::LEAST), None));
        assert_eq!((retention.done_size, retention.duplicates), (None, Some(Duration::from_secs(90 * 86_400))));
        let found = errors(&with("done = \"23h\"\nfailed = \"13d\"\nduplicates = \"1d\"\nevery = \"1ms\""));
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[1].contains("retention.failed files would go too soon; write at least 336h, or never"));
    }

    #[test]
    fn a_client_certificate_has_its_key() {
        let with = |keys: &str| GOOD.replace("key_file", &format!("{keys}\nkey_file"));
        let config = read_text(&with("client_cert = \"c.pem\"\nclient_key = \"c.key\"")).unwrap();
        let contract = &config.contracts[&"main".parse().unwrap()];
        assert_eq!(contract.client_key.as_deref(), Some(Path::new("/etc/c.key")));
        for (alone, other) in [("client_cert", "client_key"), ("client_key", "client_cert")] {
            let found = errors(&with(&format!("{alone} = \"c.pem\"")));
            assert!(found.len() == 1 && found[0].contains(&format!("add {other}")), "{found:?}");
        }
    }

    #[test]
    fn levels_of_rules_are_read_in_both_forms_and_unknown_ones_are_placed() {
        let table = format!("{GOOD}[channel.clinic.validate.rules]\nformat-dateTime = \"warning\"\nbdl-7 = \"off\"\n");
        let inline =
            format!("{GOOD}[channel.clinic.validate]\nrules = {{ bdl-7 = \"off\", format-dateTime = \"warning\" }}\n");
        for text in [&table, &inline] {
            let config = read_text(text).unwrap();
            let rules = &config.channels[&"clinic".parse().unwrap()].rules;
            let rules: Vec<_> = rules.iter().map(|(key, level)| (key.as_str(), level.as_str())).collect();
            assert_eq!(rules, [("bdl-7", "off"), ("format-dateTime", "warning")]);
        }
        let wrong = table.replace("bdl-7 = \"off\"", "bdl-77 = \"off\"").replace("warning", "warn");
        assert_eq!(
            errors(&wrong),
            [
                "/etc/pushbridge.toml:14:10 channel.clinic.validate.rules.bdl-77 there is no such rule; did you mean bdl-7?",
                "/etc/pushbridge.toml:13:19 channel.clinic.validate.rules.format-dateTime this is no level; write error, warning, information or off",
            ]
        );
    }

    #[test]
    fn broken_toml_is_placed() {
        assert!(errors("[log\nlevel = 1").first().unwrap().starts_with("/etc/pushbridge.toml:1:5 (syntax)"));
    }
}
