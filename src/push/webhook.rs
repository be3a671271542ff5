//! An address of the administrator that is told things by POST: no tokens, no signature, no redirect.

use super::{destination::PushError, outbound, verify::is_safe};
use reqwest::{Client, Url, header};
use std::time::Duration;

/// A webhook. Its address may hold a secret, so nothing prints it.
#[derive(Clone)]
pub struct Webhook {
    http: Client,
    url: Url,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhook")
    }
}

impl Webhook {
    /// `https`, or `http` to this machine; the system's roots are believed, the environment's proxies not used.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn new(address: &str, limit: Duration) -> Result<Self, PushError> {
        let url = Url::parse(address).ok().filter(is_safe).ok_or(PushError::Webhook)?;
        let http = outbound::builder(None, None)?
            .timeout(limit)
            .build()
            .map_err(|error| PushError::Setting { setting: "TLS", why: error.without_url().to_string() })?;
        Ok(Self { http, url })
    }

    /// Sends one JSON object.
    ///
    /// # Errors
    /// It was not taken; the text holds nothing of the address.
    pub async fn post(&self, json: Vec<u8>) -> Result<(), String> {
        let request = self.http.post(self.url.clone()).header(header::CONTENT_TYPE, "application/json").body(json);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("it answered {}", answer.status().as_u16())),
            Err(error) if error.is_timeout() => Err("it did not answer in time".to_owned()),
            Err(error) if error.is_connect() => Err("no connection to it could be made".to_owned()),
            Err(_) => Err("its connection broke off".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_would_tell_in_clear_is_refused_and_none_is_printed() {
        let limit = Duration::from_secs(1);
        for address in ["http://alerts.example/x", "ftp://127.0.0.1/", "https://user:secret@alerts.example/", "", "x"] {
            let error = Webhook::new(address, limit).unwrap_err();
            assert!(!error.to_string().contains("secret"));
        }
        for address in ["https://alerts.example/hook?key=secret", "http://127.0.0.1:9/", "http://localhost:9/x"] {
            let webhook = Webhook::new(address, limit).unwrap();
            assert!(!format!("{webhook:?}").contains("secret"));
        }
    }
}
