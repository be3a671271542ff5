//! The configuration: file and environment become one checked [`Config`], and nobody else reads either.
//!
//! Every key stands once, in [`reference()`]: its type, its default and what it does. From that table come
//! the checks for unknown keys, the commented file that `init` writes and the table in the README. All
//! errors are found in one go; each names the key, its place and the remedy.

mod channel;
mod errors;
mod library;
mod load;
mod places;
mod reference;
mod secrets;
mod section;
mod settings;
mod tables;

pub use errors::{ConfigError, ConfigErrors, RuleCheck, RuleRefusal};
pub use load::load;
pub use reference::{Entry, Table, commented_file, reference, reference_table};
pub use secrets::{KeySource, KeySourceError};
pub use section::{duration, nearest};
pub use settings::{
    Alerts, AmbiguousSetting, Channel, Config, Contract, Level, Limits, Log, LogFormat, OrderSetting, PollingSetting,
    Profiles, Route, Terminology, UnloadedSetting,
};
