//! Authorising a person: how the first tokens and the accountReference come (authorisation code with PKCE, RFC 7636),
//! and how they come again.

use super::{
    callback::{Callback, CallbackError, Granted},
    client::{Client, Failure},
    sign::alphanumeric,
};
use crate::model::{AccountReference, Secret};
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, Url};
use serde_json::json;

/// What a person is asked, and where they are sent back to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Invitation<'a> {
    /// The address that the person is sent back to.
    pub callback: &'a str,
    /// The provider, where it is known.
    pub service: Option<&'a str>,
    /// The language of the API's pages, `nl` for example.
    pub locale: Option<&'a str>,
}

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

/// Fresh randomness of one authorisation.
struct Proof {
    verifier: Secret<String>,
    challenge: String,
    state: String,
}

impl Proof {
    fn new() -> Self {
        let verifier = Secret::new(URL_SAFE_NO_PAD.encode(alphanumeric()));
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.expose().as_bytes()));
        Self { verifier, challenge, state: alphanumeric() }
    }
}

impl Client {
    /// Begins the authorisation of a person.
    ///
    /// # Errors
    /// The API did not answer with a code that can be believed.
    pub async fn authorize(&self, invitation: &Invitation<'_>) -> Result<Authorisation, Failure> {
        #[derive(serde::Deserialize)]
        struct Payload {
            preauthorization_code: Secret<String>,
        }
        let proof = Proof::new();
        let mut claims = self.claims();
        claims.response_mode = Some("query");
        claims.response_type = Some("code");
        let payload: Payload = self.begin("oauth/authorize", claims, &proof, invitation).await?;
        // Only services that can be pushed to are shown.
        let url = self.page("authorize", &payload.preauthorization_code, invitation, &[("sourceType", "push")]);
        Ok(Authorisation { url, verifier: proof.verifier, state: proof.state })
    }

    /// Begins the new authorisation of a person whose refresh token is over; the access token may have ended.
    ///
    /// # Errors
    /// As for [`Client::authorize`].
    pub async fn reauthorize_person(
        &self,
        invitation: &Invitation<'_>,
        access: &Secret<String>,
    ) -> Result<Authorisation, Failure> {
        self.reauthorize("user-reauth", invitation, access, None).await
    }

    /// Begins the new authorisation of one account at its provider.
    ///
    /// # Errors
    /// As for [`Client::authorize`].
    pub async fn reauthorize_account(
        &self,
        invitation: &Invitation<'_>,
        access: &Secret<String>,
        account: &AccountReference,
    ) -> Result<Authorisation, Failure> {
        self.reauthorize("reauthorize", invitation, access, Some(account)).await
    }

    async fn reauthorize(
        &self,
        page: &str,
        invitation: &Invitation<'_>,
        access: &Secret<String>,
        account: Option<&AccountReference>,
    ) -> Result<Authorisation, Failure> {
        #[derive(serde::Deserialize)]
        struct Payload {
            reference_code: Secret<String>,
        }
        let proof = Proof::new();
        let mut claims = self.claims();
        claims.access_token = Some(access.expose());
        let payload: Payload = self.begin("oauth/token/reference", claims, &proof, invitation).await?;
        let account: Vec<_> = account.iter().map(|account| ("accountRef", account.as_str())).collect();
        let url = self.page(page, &payload.reference_code, invitation, &account);
        Ok(Authorisation { url, verifier: proof.verifier, state: proof.state })
    }

    async fn begin<'a, T: for<'de> serde::Deserialize<'de>>(
        &'a self,
        path: &str,
        mut claims: super::sign::Claims<'a>,
        proof: &'a Proof,
        invitation: &Invitation<'a>,
    ) -> Result<T, Failure> {
        claims.code_challenge = Some(&proof.challenge);
        claims.code_challenge_method = Some("S256");
        claims.redirect_uri = Some(invitation.callback);
        claims.state = Some(&proof.state);
        let agent = &self.destination.agent;
        let body = json!({"agent": {"sdk": {"name": agent.name, "version": agent.version, "meta": {}}}});
        let request = self.request(Method::POST, path, &claims);
        let request = request.header("Content-Type", "application/json").body(body.to_string());
        let answer = self.list(request).await?;
        self.believe(&answer).await
    }

    /// The address of a page that asks the person.
    fn page(&self, page: &str, code: &Secret<String>, invitation: &Invitation<'_>, more: &[(&str, &str)]) -> String {
        let mut url: Url = self.onboard.clone();
        url.set_path(&format!("{}{page}", self.onboard.path()));
        let asked = [("service", invitation.service), ("lng", invitation.locale)];
        let asked = asked.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        url.query_pairs_mut().append_pair("code", code.expose()).extend_pairs(more).extend_pairs(asked);
        url.into()
    }
}

impl Authorisation {
    /// Reads the address that the person was sent back to.
    ///
    /// # Errors
    /// It is another authorisation's, or the person said no.
    pub fn callback(&self, address: &str) -> Result<Granted, CallbackError> {
        Callback::read(address)?.granted(&self.state)
    }
}
