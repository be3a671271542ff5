//! Code systems whose codes are sentences or long lists of others, which the release names and does not hold.

use super::{language, media_type};
use crate::fhir::{currency, ucum};

/// A code system that the validator knows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    /// BCP 47.
    Languages,
    /// BCP 13.
    MediaTypes,
    /// UCUM.
    Units,
    /// ISO 4217.
    Currencies,
}

/// The grammar of a system.
pub(super) fn of(system: &str) -> Option<Grammar> {
    match system {
        "urn:ietf:bcp:47" => Some(Grammar::Languages),
        "urn:ietf:bcp:13" => Some(Grammar::MediaTypes),
        "http://unitsofmeasure.org" => Some(Grammar::Units),
        "urn:iso:std:iso:4217" => Some(Grammar::Currencies),
        _ => None,
    }
}

impl Grammar {
    /// The code is one of the system's.
    pub(super) fn has(self, code: &str) -> bool {
        match self {
            Self::Languages => language::is_valid(code),
            Self::MediaTypes => media_type::is_valid(code),
            Self::Units => ucum::is_valid(code),
            Self::Currencies => currency::is_valid(code),
        }
    }
}
