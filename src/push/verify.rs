//! Reading the API's own signed tokens: PS512 and nothing else, from a key set at a configured origin.
//!
//! The key set's address stands in the token itself, so it is believed only where its origin is one that the
//! configuration names. `none`, the HMAC algorithms and the other RSA ones are refused by name before any key is looked at.

use crate::model::Secret;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PSS_2048_8192_SHA512};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;
use serde::Deserialize;

/// Why an answer of the API is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Not three parts of base64url with a JSON header.
    #[error("the API's answer is not a signed token")]
    NotAToken,
    /// `alg` is something other than PS512.
    #[error("the API's token is not signed by PS512")]
    Algorithm,
    /// `jku` is missing or no address.
    #[error("the API's token does not say where its key set is (jku)")]
    NoKeySet,
    /// `jku` is elsewhere.
    #[error("the API's token names a key set at an origin that is not configured (jku_origins)")]
    Origin,
    /// `kid` is missing, or the key set has no such key.
    #[error("the key set has no key of the token's kid")]
    UnknownKey,
    /// The key is no RSA key in PEM.
    #[error("the key set's key is not a usable RSA key")]
    Key,
    /// The signature is not by that key.
    #[error("the signature of the API's token is wrong")]
    Signature,
    /// The signature is right and the contents are not what was asked for.
    #[error("the API's token lacks what it should hold")]
    Contents,
}

/// A token that is read and not yet believed.
pub(super) struct SignedToken {
    /// Header and payload as signed, dot between.
    message: Secret<String>,
    signature: Vec<u8>,
    payload: Secret<Vec<u8>>,
    /// Where its key set is.
    pub(super) key_set: Url,
    /// Which key of the set.
    pub(super) key_id: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    jku: Option<String>,
}

impl SignedToken {
    /// Takes the compact form apart and checks all that needs no key.
    pub(super) fn read(token: &str, origins: &Origins) -> Result<Self, Untrusted> {
        let (message, signature) = token.trim().rsplit_once('.').ok_or(Untrusted::NotAToken)?;
        let (header, payload) = message.split_once('.').ok_or(Untrusted::NotAToken)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Untrusted::NotAToken);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Untrusted::NotAToken)?;
        if header.alg != "PS512" {
            return Err(Untrusted::Algorithm);
        }
        Ok(Self {
            key_set: origins.allowed(&header.jku.ok_or(Untrusted::NoKeySet)?)?,
            key_id: header.kid.ok_or(Untrusted::UnknownKey)?,
            payload: Secret::new(decode(payload)?),
            signature: decode(signature)?,
            message: Secret::new(message.to_owned()),
        })
    }

    /// Whether this key signed it.
    pub(super) fn verify(&self, key: &PublicKey) -> Result<(), Untrusted> {
        key.0.verify_sig(self.message.expose().as_bytes(), &self.signature).map_err(|_| Untrusted::Signature)
    }

    /// What it says. Believe it only after [`SignedToken::verify`].
    pub(super) fn payload<T: for<'de> Deserialize<'de>>(&self) -> Result<T, Untrusted> {
        serde_json::from_slice(self.payload.expose()).map_err(|_| Untrusted::Contents)
    }
}

/// A key of the key set.
pub(super) struct PublicKey(ParsedPublicKey);

impl PublicKey {
    /// From PKCS#1 (`BEGIN RSA PUBLIC KEY`) or SubjectPublicKeyInfo (`BEGIN PUBLIC KEY`).
    pub(super) fn from_pem(text: &str) -> Result<Self, Untrusted> {
        let pem = super::pem::read(text).map_err(|_| Untrusted::Key)?;
        if !pem.label.ends_with("PUBLIC KEY") {
            return Err(Untrusted::Key);
        }
        ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA512, &pem.der).map(Self).map_err(|_| Untrusted::Key)
    }
}

/// Origins that key sets may be read from.
pub(super) struct Origins(Vec<String>);

impl Origins {
    /// These origins (`https://host[:port]`), or the base address' own where none is given. `Err` gives back the first
    /// that is no origin.
    pub(super) fn new(configured: &[String], base: &Url) -> Result<Self, String> {
        if configured.is_empty() {
            return Ok(Self(vec![base.origin().ascii_serialization()]));
        }
        let origin = |text: &String| {
            let url = Url::parse(text).ok().filter(is_safe).filter(|url| matches!(url.path(), "" | "/"));
            url.map(|url| url.origin().ascii_serialization()).ok_or_else(|| text.clone())
        };
        configured.iter().map(origin).collect::<Result<_, _>>().map(Self)
    }

    /// The address, where its origin is one of these.
    fn allowed(&self, address: &str) -> Result<Url, Untrusted> {
        let url = Url::parse(address).map_err(|_| Untrusted::NoKeySet)?;
        let known = self.0.contains(&url.origin().ascii_serialization());
        if known && is_safe(&url) { Ok(url) } else { Err(Untrusted::Origin) }
    }
}

/// `https`, or `http` to this machine itself; no user name or password in it.
pub(super) fn is_safe(url: &Url) -> bool {
    let scheme = match url.scheme() {
        "https" => url.host_str().is_some(),
        "http" => is_loopback(url),
        _ => false,
    };
    scheme && url.username().is_empty() && url.password().is_none()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::keys_for_tests::{FOREIGN_KEY, KEY, api_token, public_pem, public_pkcs1_pem};

    const JKU: &str = "http://127.0.0.1:9/keys";

    fn origins() -> Origins {
        Origins::new(&[], &Url::parse("http://127.0.0.1:9/v1.7/").unwrap()).unwrap()
    }

    fn header(alg: &str) -> String {
        format!(r#"{{"alg":"{alg}","jku":"{JKU}","kid":"one","typ":"JWT"}}"#)
    }

    #[test]
    fn a_token_of_the_right_key_is_believed_in_both_encodings_of_the_key() {
        let token = api_token(&KEY, &header("PS512"), r#"{"sub":"p"}"#);
        let token = SignedToken::read(&token, &origins()).unwrap();
        assert_eq!((token.key_set.as_str(), token.key_id.as_str()), (JKU, "one"));
        for pem in [public_pem(&KEY), public_pkcs1_pem(&KEY)] {
            assert_eq!(token.verify(&PublicKey::from_pem(&pem).unwrap()), Ok(()));
        }
        assert_eq!(token.payload::<serde_json::Value>().unwrap()["sub"], "p");
    }

    #[test]
    fn a_foreign_signature_and_a_changed_payload_are_refused() {
        let key = PublicKey::from_pem(&public_pem(&KEY)).unwrap();
        let foreign = api_token(&FOREIGN_KEY, &header("PS512"), "{}");
        assert_eq!(SignedToken::read(&foreign, &origins()).unwrap().verify(&key), Err(Untrusted::Signature));
        let token = api_token(&KEY, &header("PS512"), r#"{"sub":"p"}"#);
        let mut parts: Vec<&str> = token.split('.').collect();
        let other = URL_SAFE_NO_PAD.encode(r#"{"sub":"q"}"#);
        parts[1] = &other;
        let changed = SignedToken::read(&parts.join("."), &origins()).unwrap();
        assert_eq!(changed.verify(&key), Err(Untrusted::Signature));
    }

    #[test]
    fn other_algorithms_are_refused_before_any_key() {
        for alg in ["none", "HS512", "RS512", "PS256", "ps512", ""] {
            let token = api_token(&KEY, &header(alg), "{}");
            assert_eq!(SignedToken::read(&token, &origins()).err(), Some(Untrusted::Algorithm), "{alg}");
        }
    }

    #[test]
    fn key_sets_of_other_origins_are_refused() {
        for jku in [
            "http://127.0.0.1:10/keys",
            "https://127.0.0.1:9/keys",
            "http://evil.example/keys",
            "http://user@127.0.0.1:9/keys",
            "file:///keys",
        ] {
            let token = api_token(&KEY, &format!(r#"{{"alg":"PS512","jku":"{jku}","kid":"one"}}"#), "{}");
            assert_eq!(SignedToken::read(&token, &origins()).err(), Some(Untrusted::Origin), "{jku}");
        }
        let without = api_token(&KEY, r#"{"alg":"PS512","kid":"one"}"#, "{}");
        assert_eq!(SignedToken::read(&without, &origins()).err(), Some(Untrusted::NoKeySet));
    }

    #[test]
    fn configured_origins_replace_the_default() {
        let base = Url::parse("https://api.example/v1/").unwrap();
        let origins = Origins::new(&["https://keys.example".to_owned()], &base).unwrap();
        assert!(origins.allowed("https://keys.example/a/b").is_ok());
        assert!(origins.allowed("https://keys.example:443/a").is_ok());
        assert_eq!(origins.allowed("https://api.example/a"), Err(Untrusted::Origin));
        for wrong in ["keys.example", "http://keys.example", "https://keys.example/path", "https://u:p@keys.example"] {
            assert_eq!(Origins::new(&[wrong.to_owned()], &base).err().as_deref(), Some(wrong));
        }
    }

    #[test]
    fn a_token_in_pieces_is_no_token() {
        for text in ["", "a.b", "a.b.c", "e30.e30.AA", "....."] {
            assert_eq!(SignedToken::read(text, &origins()).err(), Some(Untrusted::NotAToken), "{text}");
        }
    }
}
