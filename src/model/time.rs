//! Instants on the wall clock.

use crate::faults;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An instant: milliseconds since the Unix epoch, UTC.
///
/// Waits inside a running process never use this but the monotonic [`clock`](super::clock): a wall clock jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The wall clock's present instant.
    pub fn now() -> Self {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(faults::wall(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)))
    }

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch, the unit of the API's token expiries.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// From an HTTP date such as `Thu, 24 Nov 2016 15:06:40 GMT` (RFC 9110, section 5.6.7).
    pub fn from_http_date(text: &str) -> Option<Self> {
        let instant = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Self(instant.as_millisecond()))
    }

    /// As an HTTP date (RFC 9110, section 5.6.7); `None` for instants that no date can tell.
    pub fn to_http_date(self) -> Option<String> {
        let instant = jiff::Timestamp::from_second(self.0.div_euclid(1000)).ok()?;
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&instant).ok()
    }

    /// From RFC 3339, `2016-11-24T15:06:40Z` for example.
    pub fn from_rfc_3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|instant| Self(instant.as_millisecond()))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant plus a duration.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero where it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::fmt::Display for Timestamp {
    /// RFC 3339 in UTC with seconds: `2026-11-24T02:10:30Z`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_second(self.0.div_euclid(1000)) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339() {
        assert_eq!(Timestamp::from_millis(1_480_000_000_999).to_string(), "2016-11-24T15:06:40Z");
    }

    #[test]
    fn http_dates_go_both_ways() {
        let text = "Thu, 24 Nov 2016 15:06:40 GMT";
        let instant = Timestamp::from_http_date(text).unwrap();
        assert_eq!(instant, Timestamp::from_seconds(1_480_000_000));
        assert_eq!(instant.to_http_date().as_deref(), Some(text));
    }

    #[test]
    fn since_never_is_negative() {
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Duration::ZERO);
    }
}
