//! The checked settings, as plain data.

use super::KeySource;
use crate::model::{AccountReference, ChannelName, ContractName, Labels, PushType, Retention};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Everything that was configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file that it came from.
    pub file: PathBuf,
    /// Where store, keys and socket live.
    pub state: PathBuf,
    /// Where the sealing keys are; the state folder's own file where it is not said.
    pub secrets: Option<KeySource>,
    /// How logs look.
    pub log: Log,
    /// What the daemon may use.
    pub limits: Limits,
    /// Who is told of trouble.
    pub alerts: Alerts,
    /// How long files of what has ended are kept.
    pub retention: Retention,
    /// How often that is looked at.
    pub prune_every: Duration,
    /// Contracts by name.
    pub contracts: BTreeMap<ContractName, Contract>,
    /// Channels by name.
    pub channels: BTreeMap<ChannelName, Channel>,
    /// Where packages of profiles are looked for.
    pub profiles: Profiles,
    /// Who is asked about codes that are not known here.
    pub terminology: Terminology,
    /// What is allowed and yet probably not meant.
    pub warnings: Vec<String>,
}

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// From which level on.
    pub level: Level,
    /// For whom.
    pub format: LogFormat,
}

/// The least grave level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What does not work.
    Error,
    /// What somebody should look at.
    Warn,
    /// Every transition.
    Info,
    /// For the developers.
    Debug,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// A JSON object a line.
    Json,
}

/// What the daemon may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pushes under way at once to one contract's API.
    pub connections: usize,
    /// Threads that judge.
    pub judge_threads: usize,
    /// Bytes that judging may take at once.
    pub memory: u64,
    /// Below so many free bytes nothing is claimed.
    pub min_free: u64,
    /// How long pushes under way may take to end at shutdown.
    pub shutdown_grace: Duration,
}

/// `[alerts]`: who is told when trouble begins and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// A program and its arguments.
    pub command: Vec<String>,
    /// An address; it may hold a secret.
    pub webhook: Option<crate::model::Secret<String>>,
    /// How long one delivery may take.
    pub timeout: Duration,
    /// What comes within this time is told together.
    pub gather: Duration,
}

/// `[contract.NAME]`: an application's contract with the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The application.
    pub application_id: String,
    /// The contract.
    pub contract_id: String,
    /// The private key's PEM file.
    pub key_file: PathBuf,
    /// The API's root, with one trailing slash.
    pub base_url: String,
    /// Where persons are sent to authorise, with one trailing slash.
    pub onboard_url: String,
    /// Origins that key sets may come from, beside the API's own.
    pub jku_origins: Vec<String>,
    /// A CA to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, where the API asks for one.
    pub client_cert: Option<PathBuf>,
    /// Its private key.
    pub client_key: Option<PathBuf>,
    /// An HTTP proxy.
    pub proxy: Option<String>,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest silence of an open connection.
    pub idle_timeout: Duration,
    /// The longest request.
    pub total_timeout: Duration,
    /// How often accounts are read; never where it is zero.
    pub accounts_sync: Duration,
    /// How long before its end a refresh token is told of.
    pub token_warning: Duration,
}

/// `[channel.NAME]`: an inbox and what becomes of its files.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Where its files go.
    pub push: PushType,
    /// Its contract.
    pub contract: ContractName,
    /// The folder that others drop files into.
    pub inbox: PathBuf,
    /// The channel's own folders' parent.
    pub folder: PathBuf,
    /// The API's word for the release.
    pub version: String,
    /// A file has settled after so long without a change.
    pub quiet: Duration,
    /// How long a file whose JSON is cut off is waited for.
    pub truncated_limit: Duration,
    /// A file that is renamed in is complete at once.
    pub rename_in: bool,
    /// The ending of a done file.
    pub done_suffix: Option<String>,
    /// Every file has a sidecar.
    pub sidecar: bool,
    /// Endings left alone.
    pub ignore: Vec<String>,
    /// The largest file.
    pub max_size: u64,
    /// The deepest JSON.
    pub max_depth: u32,
    /// The most entries.
    pub max_entries: u32,
    /// The longest time between two scans.
    pub rescan: Duration,
    /// Without a file for so long somebody is told.
    pub quiet_alert: Option<Duration>,
    /// Whether events are used.
    pub polling: PollingSetting,
    /// What passes an Unknown.
    pub order: OrderSetting,
    /// What becomes of an Unknown.
    pub ambiguous: AmbiguousSetting,
    /// How long a Bundle is tried.
    pub max_age: Duration,
    /// Which evidence is accepted.
    pub route: Route,
    /// References of library files whose sidecar names none.
    pub reference: Labels,
    /// Tags of library files whose sidecar names none.
    pub tags: Labels,
    /// Modifier extensions that are understood.
    pub allow_modifier_extensions: Vec<String>,
    /// Profiles that each resource of their type has to meet.
    pub require: Vec<String>,
    /// Profiles of which each resource of their type has to meet one.
    pub allow: Vec<String>,
    /// What a claimed profile that is not loaded means.
    pub unloaded_profiles: UnloadedSetting,
    /// Rules whose level is changed: `error`, `warning`, `information` or `off`.
    pub rules: BTreeMap<String, String>,
}

/// `polling`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollingSetting {
    /// Where events do not come.
    Auto,
    /// Everywhere.
    Always,
}

/// `order`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderSetting {
    /// Claim order; an Unknown is passed.
    Claim,
    /// Claim order; nothing passes an Unknown.
    Strict,
}

/// `ambiguous`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmbiguousSetting {
    /// A person decides.
    Hold,
    /// It is sent again.
    Resend,
}

/// `unloaded_profiles`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnloadedSetting {
    /// It was not checked.
    Pass,
    /// The Bundle waits until it is loaded.
    Hold,
    /// The Bundle is refused.
    Refuse,
}

/// `[channel.NAME.route]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The sub-folder's name is evidence.
    pub folder: bool,
    /// Identifiers of these systems are evidence.
    pub patient_systems: Vec<String>,
    /// The values of this FHIRPath expression are evidence.
    pub expression: Option<String>,
    /// The channel's only account.
    pub default_account: Option<AccountReference>,
}

/// `[profiles]`: where packages are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profiles {
    /// The registry; none is asked where it is absent.
    pub registry: Option<String>,
    /// The cache, where it is not the user's own ([`Profiles::cache`]).
    pub cache: Option<PathBuf>,
    /// A CA to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// An HTTP proxy.
    pub proxy: Option<String>,
}

/// `[terminology]`: who is asked about codes that are not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminology {
    /// The server; none is asked where it is absent.
    pub url: Option<String>,
    /// A CA to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// An HTTP proxy.
    pub proxy: Option<String>,
    /// The longest wait for what a file asks.
    pub timeout: Duration,
    /// How long its answers are kept.
    pub keep: Duration,
}

impl Default for Terminology {
    fn default() -> Self {
        let keep = Duration::from_secs(30 * 86_400);
        Self { url: None, ca_file: None, proxy: None, timeout: Duration::from_secs(5), keep }
    }
}

impl Profiles {
    /// The package cache: the one that is set, or the user's own, as the FHIR package cache specification lays it out;
    /// `None` for a user without a home.
    pub fn cache(&self) -> Option<PathBuf> {
        self.cache.clone().or_else(|| Some(std::env::home_dir()?.join(".fhir/packages")))
    }
}
