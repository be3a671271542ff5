//! What an operator changes about the rules: one false alarm must not stop a clinic.

use super::rules;
use crate::model::Severity;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How a rule is meant to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleLevel {
    /// The file is refused.
    Error,
    /// The file passes, the report says so.
    Warning,
    /// The file passes, the report mentions it.
    Information,
    /// As if the rule did not exist.
    Off,
}

impl RuleLevel {
    /// The severity of a breach; `None` where the rule is off.
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Self::Error => Some(Severity::Error),
            Self::Warning => Some(Severity::Warning),
            Self::Information => Some(Severity::Information),
            Self::Off => None,
        }
    }

    /// The word for it in configuration and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
            Self::Off => "off",
        }
    }
}

impl From<Severity> for RuleLevel {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Error,
            Severity::Warning => Self::Warning,
            Severity::Information => Self::Information,
        }
    }
}

impl std::str::FromStr for RuleLevel {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        [Self::Error, Self::Warning, Self::Information, Self::Off]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or(UnknownLevel)
    }
}

/// A word that is no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rule's level is error, warning, information or off")]
pub struct UnknownLevel;

/// A channel's changes to the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Levels by rule key. The reader's rules (JSON syntax, limits) cannot be changed.
    pub rules: BTreeMap<String, RuleLevel>,
    /// URLs of the modifier extensions, and `implicitRules`, that the channel understands.
    pub modifier_extensions: BTreeSet<String>,
    /// Canonical URLs of profiles that each resource of their type has to meet, whatever it claims: the file's own where it
    /// is of that type, else those of a Bundle's entries.
    #[serde(skip)]
    pub require: BTreeSet<String>,
    /// Canonical URLs of profiles of which each resource of their type has to meet one; other types are free.
    #[serde(skip)]
    pub allow: BTreeSet<String>,
    /// What a claimed profile that is not loaded means.
    #[serde(skip)]
    pub unloaded: Unloaded,
}

/// What it means that a resource claims a profile that is not loaded, or that is unusable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unloaded {
    /// It is said that it was not checked.
    #[default]
    NotChecked,
    /// The claim is an error.
    Refused,
}

/// Why no policy can change the rule of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleRefusal {
    /// No rule has the key.
    #[error("there is no such rule")]
    Unknown {
        /// The key that was meant most likely.
        nearest: Option<String>,
    },
    /// The rule is the reader's, or what it finds leaves nothing else to judge.
    #[error("no setting changes this rule")]
    Fixed,
}

impl RuleRefusal {
    /// What to do.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unknown { nearest: Some(key) } => format!("did you mean {key}?"),
            Self::Unknown { nearest: None } => "pushbridge validate --rules lists all".to_owned(),
            Self::Fixed => "remove it: such a file cannot be judged any further".to_owned(),
        }
    }
}

impl Policy {
    /// Whether a policy may name this key.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(key: &str) -> Result<(), RuleRefusal> {
        match rules::named(key) {
            None => Err(RuleRefusal::Unknown { nearest: rules::nearest(key) }),
            Some(rule) if rules::is_fixed(rule) => Err(RuleRefusal::Fixed),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_fixed_keys_are_refused() {
        assert_eq!(Policy::admits("bdl-7"), Ok(()));
        let unknown = Policy::admits("bdl-77").unwrap_err();
        assert_eq!(unknown.remedy(), "did you mean bdl-7?");
        assert_eq!(Policy::admits("unreadable"), Err(RuleRefusal::Fixed));
    }

    #[test]
    fn levels_have_one_word_each() {
        assert_eq!("off".parse(), Ok(RuleLevel::Off));
        assert_eq!("Off".parse::<RuleLevel>(), Err(UnknownLevel));
    }
}
