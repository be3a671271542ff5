//! What an operator changes about the rules: one false alarm must not stop a clinic.

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
}

impl Policy {
    /// The keys among [`Policy::rules`] that no rule has.
    pub fn unknown_rules(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(String::as_str).filter(|key| super::rules::named(key).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_told() {
        let mut policy = Policy::default();
        policy.rules.insert("bdl-7".to_owned(), RuleLevel::Warning);
        policy.rules.insert("bdl-77".to_owned(), RuleLevel::Off);
        assert_eq!(policy.unknown_rules().collect::<Vec<_>>(), ["bdl-77"]);
    }

    #[test]
    fn levels_have_one_word_each() {
        assert_eq!("off".parse(), Ok(RuleLevel::Off));
        assert_eq!("Off".parse::<RuleLevel>(), Err(UnknownLevel));
    }
}
