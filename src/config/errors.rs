//! What may be wrong with a configuration, and who says so of rules.

use std::{fmt, io, path::PathBuf};

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
