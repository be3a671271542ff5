//! Tokens: renewal and the exchange of a code, each answered by a signed token of the API.

use super::client::{Client, Failure};
use crate::model::{PersonId, Secret, Timestamp, TokenPair, TokenValue, clock};
use reqwest::Method;
use serde::Deserialize;
use std::time::Duration;

/// A new pair and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Both tokens.
    pub pair: TokenPair,
    /// `sub`
    pub person: PersonId,
    /// `consentid`
    pub consent_id: Option<String>,
}

/// What became of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The old pair is spent; this one counts.
    Renewed(Tokens),
    /// The API says that the refresh token is over.
    Spent {
        /// For people.
        why: String,
    },
    /// The token endpoint refuses, and not in the API's own words: a gateway before it may have spoken, and nothing is
    /// known to be spent.
    Refused {
        /// For people.
        why: String,
    },
    /// Nothing was spent.
    Later {
        /// What the API asked for.
        after: Option<Duration>,
        /// For people.
        why: String,
    },
    /// The request left and no answer was read: the token may be spent.
    Lost,
    /// An answer came that must not be believed; the token is spent.
    Untrusted {
        /// For people.
        why: String,
    },
    /// Our set-up is refused; nothing was spent.
    DestinationPaused {
        /// For people.
        why: String,
    },
}

/// How long the key set is waited for between two tries.
const KEY_SET_WAITS: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

#[derive(Deserialize)]
struct Payload {
    access_token: TokenPayload,
    refresh_token: TokenPayload,
    sub: PersonId,
    consentid: Option<String>,
}

#[derive(Deserialize)]
struct TokenPayload {
    value: Secret<String>,
    /// Seconds since the Unix epoch.
    expires_on: f64,
}

impl From<TokenPayload> for TokenValue {
    fn from(payload: TokenPayload) -> Self {
        Self { value: payload.value, expiry: seconds(payload.expires_on) }
    }
}

/// An instant from seconds since the Unix epoch, as JSON numbers carry them.
#[expect(clippy::cast_possible_truncation, reason = "a float's cast saturates, and no token lives that long")]
pub(super) fn seconds(seconds: f64) -> Timestamp {
    Timestamp::from_seconds(seconds as i64)
}

impl From<Payload> for Tokens {
    fn from(payload: Payload) -> Self {
        let pair = TokenPair { access: payload.access_token.into(), refresh: payload.refresh_token.into() };
        Self { pair, person: payload.sub, consent_id: payload.consentid }
    }
}

impl Client {
    /// Renews a pair. The refresh token is taken by value: it is spent by this, whatever comes back.
    pub async fn refresh(&self, refresh: Secret<String>) -> Refreshed {
        let request = || {
            let mut claims = self.claims();
            claims.grant_type = Some("refresh_token");
            claims.refresh_token = Some(refresh.expose());
            self.request(Method::POST, "oauth/token", &claims).body("")
        };
        let failure = match self.ask(request).await {
            Ok(body) => match self.believe_in_time(&body).await {
                Ok(payload) => return Refreshed::Renewed(payload.into()),
                // The pair came whole, and without the key set it cannot be believed: as good as lost. What is no
                // token at all may be anybody's words, and what became of the old token is to be asked.
                Err(Failure::NoAnswer | Failure::NoConnection(_) | Failure::Status { .. } | Failure::Unreadable(_)) => {
                    return Refreshed::Lost;
                }
                Err(failure) => return Refreshed::Untrusted { why: failure.to_string() },
            },
            Err(failure) => failure,
        };
        let why = failure.to_string();
        match &failure {
            failure if failure.is_set_up_refused() => Refreshed::DestinationPaused { why },
            Failure::Status { status: 408 | 429 | 503, after, .. } => Refreshed::Later { after: *after, why },
            Failure::Status { status: 400..=499, code: None, .. } => Refreshed::Refused {
                why: format!("new tokens are refused without a word on why: {why}; authorise again if this goes on"),
            },
            Failure::Status { status: 400..=499, .. } => {
                Refreshed::Spent { why: format!("the refresh token is over: {why}") }
            }
            Failure::Status { status: 500..=599, code: Some(_), after } => Refreshed::Later { after: *after, why },
            Failure::NoConnection(_) => Refreshed::Later { after: None, why },
            _ => Refreshed::Lost,
        }
    }

    /// A pair that came whole must not be lost because the key set cannot be had at that moment: it is asked for again.
    async fn believe_in_time(&self, body: &[u8]) -> Result<Payload, Failure> {
        for wait in KEY_SET_WAITS {
            match self.believe(body).await {
                Err(Failure::NoAnswer | Failure::NoConnection(_) | Failure::Status { .. }) => {
                    tokio::time::sleep(clock::span(wait)).await;
                }
                believed => return believed,
            }
        }
        self.believe(body).await
    }

    /// Exchanges the code of a callback for the first pair; `verifier` proves that we began the authorisation (RFC 7636).
    ///
    /// # Errors
    /// The API did not give a pair that can be believed.
    pub async fn exchange_code(&self, code: &Secret<String>, verifier: &Secret<String>) -> Result<Tokens, Failure> {
        let request = || {
            let mut claims = self.claims();
            claims.grant_type = Some("authorization_code");
            claims.code = Some(code.expose());
            claims.code_verifier = Some(verifier.expose());
            self.request(Method::POST, "oauth/token", &claims).body("")
        };
        let body = self.ask(request).await?;
        Ok(self.believe::<Payload>(&body).await?.into())
    }
}

/// Tokens as the official client hands them out: `{accessToken: {value, expiry}, refreshToken: {value, expiry},
/// user: {id}, consentid}`, `expiry` in seconds.
#[derive(Debug, Deserialize)]
pub struct OfficialTokens {
    #[serde(rename = "accessToken")]
    access: OfficialToken,
    #[serde(rename = "refreshToken")]
    refresh: OfficialToken,
    user: Option<OfficialUser>,
    consentid: Option<String>,
}

#[derive(Debug, Deserialize)]
struct OfficialToken {
    value: Secret<String>,
    expiry: f64,
}

#[derive(Debug, Deserialize)]
struct OfficialUser {
    id: PersonId,
}

impl OfficialTokens {
    /// The pair, the person where the JSON names one, and the consent.
    pub fn into_parts(self) -> (TokenPair, Option<PersonId>, Option<String>) {
        let value = |token: OfficialToken| TokenValue { value: token.value, expiry: seconds(token.expiry) };
        let pair = TokenPair { access: value(self.access), refresh: value(self.refresh) };
        (pair, self.user.map(|user| user.id), self.consentid)
    }
}
