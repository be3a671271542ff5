//! Authorising a person: how the first tokens and the accountReference come (authorisation code with PKCE, RFC 7636).

use super::{
    client::{Client, Failure},
    sign::alphanumeric,
};
use crate::model::{AccountReference, Secret};
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, Url};
use serde_json::json;

/// An authorisation that was begun.
#[derive(Debug)]
pub struct Authorisation {
    /// Where to send the person.
    pub url: String,
    /// Proves later that we began it.
    pub verifier: Secret<String>,
    /// Comes back in the callback.
    pub state: String,
}

/// What a callback brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// To be exchanged for tokens.
    pub code: String,
    /// The account that the person chose.
    pub reference: Option<AccountReference>,
}

/// Why a callback brings nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// It is no address with a query.
    #[error("the callback's address has no readable query")]
    Unreadable,
    /// It answers another authorisation.
    #[error("the callback's state is not that of this authorisation; begin again")]
    State,
    /// The person said no, or the API did.
    #[error("the authorisation was not given ({code})")]
    Denied {
        /// `errorCode`
        code: String,
    },
}

impl Client {
    /// Begins the authorisation of a person; `service` names the provider where it is known.
    ///
    /// # Errors
    /// The API did not answer with a code that can be believed.
    pub async fn authorize(&self, callback: &str, service: Option<&str>) -> Result<Authorisation, Failure> {
        #[derive(serde::Deserialize)]
        struct Payload {
            preauthorization_code: String,
        }
        let verifier = Secret::new(URL_SAFE_NO_PAD.encode(alphanumeric()));
        let state = alphanumeric();
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.expose().as_bytes()));
        let mut claims = self.claims();
        claims.code_challenge = Some(&challenge);
        claims.code_challenge_method = Some("S256");
        claims.redirect_uri = Some(callback);
        claims.response_mode = Some("query");
        claims.response_type = Some("code");
        claims.state = Some(&state);
        let agent = &self.destination.agent;
        let body = json!({"agent": {"sdk": {"name": agent.name, "version": agent.version, "meta": {}}}});
        let request = self.request(Method::POST, "oauth/authorize", &claims);
        let request = request.header("Content-Type", "application/json").body(body.to_string());
        let answer = self.list(request).await?;
        let payload: Payload = self.believe(&answer).await?;
        let mut url = self.onboard.clone();
        url.set_path(&format!("{}authorize", self.onboard.path()));
        url.query_pairs_mut().append_pair("code", &payload.preauthorization_code).append_pair("sourceType", "push");
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        Ok(Authorisation { url: url.into(), verifier, state })
    }
}

impl Authorisation {
    /// Reads the address that the person was sent back to.
    ///
    /// # Errors
    /// It is another authorisation's, or the person said no.
    pub fn callback(&self, address: &str) -> Result<Granted, CallbackError> {
        let url = Url::parse(address).map_err(|_| CallbackError::Unreadable)?;
        let query = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        if query("state").as_deref() != Some(&self.state) {
            return Err(CallbackError::State);
        }
        if query("success").as_deref() != Some("true") {
            let code = query("errorCode").filter(|code| code.chars().all(|c| c.is_ascii_alphanumeric()));
            return Err(CallbackError::Denied { code: code.unwrap_or_else(|| "no reason given".to_owned()) });
        }
        let code = query("code").ok_or(CallbackError::Unreadable)?;
        Ok(Granted { code, reference: query("accountReference").and_then(|reference| reference.parse().ok()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Authorisation {
        let verifier = Secret::new("v".to_owned());
        Authorisation { url: String::new(), verifier, state: "s1".to_owned() }
    }

    #[test]
    fn a_callback_must_answer_this_authorisation() {
        let address = "http://127.0.0.1/cb?success=true&state=s1&code=c%2F1&accountReference=ref-1";
        let granted = begun().callback(address).unwrap();
        assert_eq!((granted.code.as_str(), granted.reference.unwrap().as_str()), ("c/1", "ref-1"));
        assert_eq!(begun().callback(&address.replace("s1", "s2")), Err(CallbackError::State));
        let denied = "http://127.0.0.1/cb?success=false&state=s1&errorCode=USER_CANCEL";
        assert!(matches!(begun().callback(denied), Err(CallbackError::Denied { .. })));
        assert_eq!(begun().callback("nonsense"), Err(CallbackError::Unreadable));
    }
}
