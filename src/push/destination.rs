//! Where pushes go: the settings of one contract, checked when a client is made of them.

use super::{sign::KeyError, verify::is_safe};
use crate::model::Secret;
use reqwest::Url;
use std::time::Duration;

/// One contract at one API. Everything is checked by `Client::new`.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The API's root, `https` or `http` to this machine: `https://api.digi.me/v1.7/`.
    pub base_url: String,
    /// Where a person is sent to authorise.
    pub onboard_url: String,
    /// The integrator's application.
    pub application_id: String,
    /// The write contract.
    pub contract_id: String,
    /// The contract's RSA key, PKCS#1 or PKCS#8 in PEM.
    pub key_pem: Secret<String>,
    /// Origins whose key sets are believed; empty means the base address' own.
    pub jku_origins: Vec<String>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Whose certificates are believed, and ours.
    pub trust: Trust,
    /// A proxy's address. Without one, connections are direct: the environment's proxy variables are not read.
    pub proxy: Option<String>,
    /// How many idle connections are kept for the next pushes.
    pub idle_connections: usize,
    /// How we present ourselves when a person authorises.
    pub agent: Agent,
}

/// The limits of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Look-up, TCP and TLS together.
    pub connect: Duration,
    /// Longest time without any progress: no block of the body taken, no byte of the answer come.
    pub idle: Duration,
    /// Longest time for the whole exchange, the body's upload included.
    pub total: Duration,
    /// An unused connection is closed by us after this time. Shorter than servers do it (5 s is usual): a push on a
    /// connection that the server closes at that very moment would end as Unknown.
    pub keep_warm: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(900),
            keep_warm: Duration::from_secs(4),
        }
    }
}

/// TLS beyond the system's own roots.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Certificates (PEM) of the authorities to believe, instead of the system's.
    pub authorities_pem: Option<String>,
    /// Our certificate and its key (PEM, one after the other), where the other side asks for one.
    pub identity_pem: Option<Secret<String>>,
}

/// The name and version that the authorisation's request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// A name that the API knows; it answers `SDKInvalid` to others.
    pub name: String,
    /// A version that the API still accepts; it answers `SDKVersionInvalid` to others.
    pub version: String,
}

impl Default for Agent {
    fn default() -> Self {
        Self { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

impl Destination {
    /// With the public API's addresses and the usual limits.
    pub fn new(application_id: impl Into<String>, contract_id: impl Into<String>, key_pem: Secret<String>) -> Self {
        Self {
            base_url: "https://api.digi.me/v1.7/".to_owned(),
            onboard_url: "https://api.digi.me/apps/saas/".to_owned(),
            application_id: application_id.into(),
            contract_id: contract_id.into(),
            key_pem,
            jku_origins: Vec::new(),
            timeouts: Timeouts::default(),
            trust: Trust::default(),
            proxy: None,
            idle_connections: 32,
            agent: Agent::default(),
        }
    }
}

/// Why no client can be made of a destination.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// `base_url` or `onboard_url`.
    #[error("{setting} must be an https address (http only to this machine), without user, query and fragment")]
    Address {
        /// The setting's name.
        setting: &'static str,
    },
    /// An entry of `jku_origins`.
    #[error("jku_origins: `{entry}` is not an origin such as https://api.example.com")]
    Origin {
        /// The entry.
        entry: String,
    },
    /// `application_id` or `contract_id` is empty.
    #[error("{setting} is empty")]
    Empty {
        /// The setting's name.
        setting: &'static str,
    },
    /// Of the alerts.
    #[error("the webhook must be an https address (http only to this machine), without user and password")]
    Webhook,
    /// The private key.
    #[error("the contract's private key cannot be used: {0}")]
    Key(#[from] KeyError),
    /// Certificates, identity or proxy.
    #[error("{setting} cannot be used: {why}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What the library says.
        why: String,
    },
}

/// An address with exactly one slash at its end.
pub(super) fn address(setting: &'static str, text: &str) -> Result<Url, PushError> {
    let error = || PushError::Address { setting };
    let url = Url::parse(&format!("{}/", text.trim_end_matches('/'))).map_err(|_| error())?;
    let plain = url.query().is_none() && url.fragment().is_none();
    if plain && is_safe(&url) { Ok(url) } else { Err(error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_exactly_one_slash() {
        for text in ["https://api.example/v1.7", "https://api.example/v1.7/", "https://api.example/v1.7//"] {
            assert_eq!(address("base_url", text).unwrap().as_str(), "https://api.example/v1.7/");
        }
        assert_eq!(address("base_url", "http://[::1]:80").unwrap().as_str(), "http://[::1]/");
    }

    #[test]
    fn unsafe_addresses_are_refused() {
        for text in [
            "http://api.example/",
            "http://127.0.0.1.example/",
            "ftp://127.0.0.1/",
            "https://user@api.example/",
            "https://api.example/?x=1",
            "api.example",
            "",
        ] {
            assert!(address("base_url", text).is_err(), "{text}");
        }
    }
}
