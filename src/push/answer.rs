//! What the API's answer to a push means: the table of answers, pure.
//!
//! Whether the last byte of the body was handed over decides between "it cannot have arrived" and
//! "nobody can tell". Of the API's own words only `error.code` and `error.reference` are kept: messages
//! may repeat what was sent.

use crate::model::{AttemptOutcome, Digest, Receipt, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// What follows from an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The API took it.
    Delivered(Receipt),
    /// The API will never take this file.
    Refused {
        /// For people.
        why: String,
    },
    /// The access token is over; nothing was taken.
    TokenStale,
    /// Nothing can be sent to this account until somebody authorises it again.
    AccountBlocked {
        /// For people.
        why: String,
    },
    /// Our set-up is refused; nothing was taken.
    DestinationPaused {
        /// For people.
        why: String,
    },
    /// Nothing was taken; try again.
    Later {
        /// What the API asked for.
        after: Option<Duration>,
        /// Who has to wait.
        scope: Scope,
    },
    /// It may have arrived.
    Unknown,
    /// A person must look at it; nothing is known to be taken.
    Unexpected {
        /// HTTP status.
        status: u16,
        /// The API's `error.reference`.
        reference: Option<String>,
    },
    /// Our own copy is not what was judged; it never left whole.
    Damaged,
}

/// Who has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This Bundle alone.
    Submission,
    /// Everything for this destination.
    Destination,
}

impl Answer {
    /// The word for it in records.
    pub const fn outcome(&self) -> AttemptOutcome {
        match self {
            Self::Delivered(_) => AttemptOutcome::Delivered,
            Self::Refused { .. } => AttemptOutcome::Refused,
            Self::TokenStale => AttemptOutcome::TokenStale,
            Self::AccountBlocked { .. } => AttemptOutcome::Blocked,
            Self::DestinationPaused { .. } => AttemptOutcome::DestinationPaused,
            Self::Later { .. } => AttemptOutcome::Later,
            Self::Unknown => AttemptOutcome::Unknown,
            Self::Unexpected { .. } | Self::Damaged => AttemptOutcome::Unexpected,
        }
    }
}

/// An HTTP answer as far as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    /// The body's beginning.
    pub(super) body: Vec<u8>,
}

/// The API's own error object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) code: Option<String>,
    pub(super) reference: Option<String>,
}

/// Longest wait that an API may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Longest code or reference that is kept.
const WORD_MAX: usize = 80;

impl Reply {
    /// `{"error": {"code", "reference"}}` or `{"error": "CODE"}`; `None` where the body is neither.
    pub(super) fn error(&self) -> Option<ApiError> {
        let value: Value = serde_json::from_slice(&self.body).ok()?;
        match value.get("error")? {
            Value::String(code) => {
                Some(ApiError { code: word(code), reference: value.get("reference").and_then(text) })
            }
            Value::Object(error) => {
                let member = |name| error.get(name).and_then(text);
                Some(ApiError { code: member("code"), reference: member("reference") })
            }
            _ => None,
        }
    }

    /// `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3).
    pub(super) fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let text = self.retry_after.as_deref()?.trim();
        let wait = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => Timestamp::from_http_date(text)?.since(now),
        };
        Some(wait.min(LONGEST_WAIT))
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().and_then(word)
}

/// A code or reference is one short word; anything else may be anything.
fn word(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= WORD_MAX && text.chars().all(|c| c.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

/// The answer to a push that was handed over whole or refused before.
pub(super) fn classify(reply: &Reply, now: Timestamp) -> Answer {
    let error = reply.error();
    let code = error.as_ref().and_then(|error| error.code.as_deref());
    let reference = error.as_ref().and_then(|error| error.reference.clone());
    let told = |what: &str| match (code, &reference) {
        (Some(code), Some(reference)) => format!("{what} ({}, {code}, reference {reference})", reply.status),
        (Some(code), None) => format!("{what} ({}, {code})", reply.status),
        _ => format!("{what} ({})", reply.status),
    };
    match (reply.status, code) {
        (200..=299, _) => Answer::Delivered(receipt(reply, now)),
        (300..=399, _) => {
            Answer::DestinationPaused { why: told("the API's address leads elsewhere; redirects are never followed") }
        }
        (400..=599, Some("InvalidClient" | "SDKInvalid" | "SDKVersionInvalid" | "InsufficientScope")) => {
            Answer::DestinationPaused { why: told("the API refuses our application, contract or key") }
        }
        (401, None | Some("InvalidToken")) => Answer::TokenStale,
        (401, Some(_)) => Answer::DestinationPaused { why: told("the API refuses our authorisation") },
        (403 | 404 | 511, _) => Answer::AccountBlocked {
            why: told("the API does not take data for this account; it must be authorised again"),
        },
        (400 | 413 | 422, _) => Answer::Refused { why: told("the API refuses this file") },
        (408 | 429 | 503, _) => Answer::Later { after: reply.retry_after(now), scope: Scope::Destination },
        (500..=599, Some(_)) => Answer::Later { after: reply.retry_after(now), scope: Scope::Submission },
        (status @ 400..=499, _) => Answer::Unexpected { status, reference },
        // A bare 5xx, a switch of protocols, a number that is no status: nobody says whether it was taken.
        _ => Answer::Unknown,
    }
}

fn receipt(reply: &Reply, now: Timestamp) -> Receipt {
    let value = serde_json::from_slice::<Value>(&reply.body).ok();
    let named = |name| value.as_ref().and_then(|value| value.get(name)).and_then(text);
    Receipt {
        at: now,
        status: reply.status,
        reference: named("reference").or_else(|| named("id")),
        body: Digest::of(&reply.body),
        rejected_entries: value.as_ref().map_or(0, rejected_entries),
    }
}

/// Entries of a FHIR batch-response or transaction-response whose status is not 2xx
/// (<http://hl7.org/fhir/STU3/http.html#transaction-response>).
fn rejected_entries(value: &Value) -> u32 {
    let is_response = value["resourceType"] == "Bundle"
        && matches!(value["type"].as_str(), Some("batch-response" | "transaction-response"));
    let entries = value["entry"].as_array().filter(|_| is_response).map_or(&[][..], Vec::as_slice);
    let rejected = |entry: &&Value| entry["response"]["status"].as_str().is_some_and(|status| !status.starts_with('2'));
    u32::try_from(entries.iter().filter(rejected).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_480_000_000_000);

    fn answer(status: u16, body: &str) -> Answer {
        classify(&Reply { status, retry_after: None, body: body.as_bytes().to_vec() }, NOW)
    }

    fn word(answer: &Answer) -> &'static str {
        match answer {
            Answer::Delivered(_) => "delivered",
            Answer::Refused { .. } => "refused",
            Answer::TokenStale => "stale",
            Answer::AccountBlocked { .. } => "blocked",
            Answer::DestinationPaused { .. } => "paused",
            Answer::Later { scope: Scope::Destination, .. } => "later for all",
            Answer::Later { scope: Scope::Submission, .. } => "later",
            Answer::Unknown => "unknown",
            Answer::Unexpected { .. } => "unexpected",
            Answer::Damaged => "damaged",
        }
    }

    #[test]
    fn the_table_of_answers() {
        let nested = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"m","reference":"r-1"}}}}"#);
        let flat = |code: &str| format!(r#"{{"error":"{code}","message":"m"}}"#);
        for (status, body, expected) in [
            (200, String::new(), "delivered"),
            (204, "no json".to_owned(), "delivered"),
            (302, String::new(), "paused"),
            (303, nested("X"), "paused"),
            (400, String::new(), "refused"),
            (413, nested("TooLarge"), "refused"),
            (422, flat("Bad"), "refused"),
            (400, nested("SDKVersionInvalid"), "paused"),
            (401, nested("InvalidToken"), "stale"),
            (401, flat("InvalidToken"), "stale"),
            (401, String::new(), "stale"),
            (401, "<html>".to_owned(), "stale"),
            (401, nested("InvalidClient"), "paused"),
            (401, nested("Other"), "paused"),
            (403, String::new(), "blocked"),
            (403, nested("InsufficientScope"), "paused"),
            (404, String::new(), "blocked"),
            (511, nested("ServiceAuthorizationError"), "blocked"),
            (408, String::new(), "later for all"),
            (429, String::new(), "later for all"),
            (503, nested("Busy"), "later for all"),
            (500, nested("Internal"), "later"),
            (500, String::new(), "unknown"),
            (502, "<html>".to_owned(), "unknown"),
            (504, String::new(), "unknown"),
            (409, String::new(), "unexpected"),
            (418, nested("Teapot"), "unexpected"),
        ] {
            assert_eq!(word(&answer(status, &body)), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_status_that_http_does_not_know_tells_nothing_of_what_was_taken() {
        for status in [101, 199, 600, 777, 999] {
            assert_eq!(answer(status, r#"{"error":{"code":"SDKInvalid"}}"#), Answer::Unknown, "{status}");
        }
    }

    #[test]
    fn messages_of_the_api_are_not_repeated() {
        let answer = answer(400, r#"{"error":{"code":"Bad Jan Jansen","message":"Jan Jansen","reference":"r 1"}}"#);
        assert_eq!(answer, Answer::Refused { why: "the API refuses this file (400)".to_owned() });
    }

    #[test]
    fn retry_after_comes_in_two_forms() {
        let reply = |text: &str| Reply { status: 503, retry_after: Some(text.to_owned()), body: Vec::new() };
        assert_eq!(reply("7").retry_after(NOW), Some(Duration::from_secs(7)));
        assert_eq!(reply("Thu, 24 Nov 2016 15:07:40 GMT").retry_after(NOW), Some(Duration::from_secs(60)));
        assert_eq!(reply("Thu, 24 Nov 2011 15:07:40 GMT").retry_after(NOW), Some(Duration::ZERO));
        assert_eq!(reply("soon").retry_after(NOW), None);
        assert_eq!(reply("99999999999").retry_after(NOW), Some(LONGEST_WAIT));
    }

    #[test]
    fn rejected_entries_are_counted() {
        let body = r#"{"resourceType":"Bundle","type":"batch-response","id":"b1","entry":[
            {"response":{"status":"201 Created"}},{"response":{"status":"422"}},{"response":{"status":"400 Bad"}}]}"#;
        let Answer::Delivered(receipt) = answer(200, body) else { panic!("a 2xx is delivered") };
        assert_eq!((receipt.rejected_entries, receipt.reference.as_deref()), (2, Some("b1")));
    }
}
