//! Names and ids, each its own type, so that one cannot stand where another belongs.

use super::{Timestamp, random_bytes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr, sync::Arc};

/// A text that is not of the wanted form. The text itself is not repeated: it may be anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}")]
pub struct InvalidId {
    what: &'static str,
}

impl InvalidId {
    /// For a kind of id.
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what }
    }
}

/// A text id: opaque, shared cheaply, never empty, without control characters.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let allowed: fn(char) -> bool = $allowed;
                if text.is_empty() || text.len() > $max || !text.chars().all(allowed) {
                    return Err(InvalidId::new($what));
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

const fn name_character(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_')
}

/// What may travel in an HTTP header and in a key of the store.
const fn visible_ascii(c: char) -> bool {
    c.is_ascii_graphic()
}

text_id!(
    /// A channel's name in the configuration: `[channel.NAME]`.
    ChannelName, "channel name (letters, digits, - and _, at most 40)", 40, name_character
);
text_id!(
    /// A contract's name in the configuration: `[contract.NAME]`.
    ContractName, "contract name (letters, digits, - and _, at most 40)", 40, name_character
);
text_id!(
    /// A person at the API: the user id, `sub` of the tokens.
    PersonId, "person id (visible ASCII, at most 200)", 200, visible_ascii
);
text_id!(
    /// The API's id of an account, sent as header `accountId`.
    AccountId, "account id (visible ASCII, at most 200)", 200, visible_ascii
);
text_id!(
    /// The API's accountReference: given out when a person authorises a service, it names the
    /// account in mappings.
    AccountReference, "accountReference (visible ASCII, at most 200)", 200, visible_ascii
);

/// A submission's id: grows with every claim, so its order is claim order; 13 characters of
/// Crockford's base 32 in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionId(u64);

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl SubmissionId {
    /// The next id: after `last`, and by the clock where that is later, so that ids of two stores
    /// hardly ever meet.
    #[must_use]
    pub fn next(last: Option<Self>, now: Timestamp) -> Self {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let by_clock = (millis << 16) | u64::from(u16::from_be_bytes(random_bytes()));
        Self(last.map_or(by_clock, |last| by_clock.max(last.0 + 1)))
    }

    /// From its number.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// When it was claimed, as its number tells: not later than anything that became of it.
    pub const fn claimed_at(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> 16).cast_signed())
    }

    /// Its number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(13);
        for place in (0..13).rev() {
            text.push(char::from(CROCKFORD[usize::try_from((self.0 >> (5 * place)) & 31).unwrap_or(0)]));
        }
        f.pad(&text)
    }
}

impl fmt::Debug for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SubmissionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId::new("submission id (13 characters)");
        if text.len() != 13 {
            return Err(invalid);
        }
        let mut number: u64 = 0;
        for character in text.to_ascii_lowercase().bytes() {
            let digit = CROCKFORD.iter().position(|c| *c == character).ok_or_else(|| invalid.clone())?;
            number = number.checked_mul(32).ok_or_else(|| invalid.clone())? + u64::try_from(digit).unwrap_or(0);
        }
        Ok(Self(number))
    }
}

impl Serialize for SubmissionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SubmissionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submission_ids_grow_and_survive_text() {
        let first = SubmissionId::next(None, Timestamp::from_millis(1_480_000_000_000));
        let second = SubmissionId::next(Some(first), Timestamp::from_millis(0));
        assert_eq!(second.as_u64(), first.as_u64() + 1);
        assert_eq!(first.to_string().parse(), Ok(first));
        assert_eq!(u64::MAX, SubmissionId::from_u64(u64::MAX).to_string().parse::<SubmissionId>().unwrap().as_u64());
        assert!("zzzzzzzzzzzzz".parse::<SubmissionId>().is_err());
    }

    #[test]
    fn text_ids_refuse_what_a_header_cannot_carry() {
        assert!("1_abc".parse::<AccountId>().is_ok());
        assert!("a\nb".parse::<AccountId>().is_err());
        assert!("".parse::<AccountId>().is_err());
        assert!("../x".parse::<ChannelName>().is_err());
    }
}
