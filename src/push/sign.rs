//! Signing requests: PS512 JSON Web Tokens by an RSA key that is parsed once.
//!
//! Header exactly `{"alg":"PS512","typ":"JWT"}`; RSASSA-PSS with SHA-512 and a salt as long as the hash
//! (RFC 7518, section 3.5). Every request needs a signature of its own, because the nonce is new each time:
//! about a quarter of a millisecond with RSA-2048.

use super::pem::{self, KeyKind, PemError};
use crate::model::{Secret, Timestamp, random_bytes};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair,
    signature::{RSA_PSS_SHA512, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

/// Why a key cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not readable as PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The other half of the pair.
    #[error("it is a public key; give the private key of the contract")]
    Public,
    /// EC instead of RSA.
    #[error("it is an elliptic curve key; the contract's key is RSA")]
    EllipticCurve,
    /// Some other PEM: a certificate, an OpenSSH key.
    #[error("it is not an RSA private key (BEGIN RSA PRIVATE KEY or BEGIN PRIVATE KEY)")]
    NotRsa,
    /// It says RSA, and the numbers are not right or too small.
    #[error("its RSA key is damaged or smaller than 2048 bits")]
    Rejected,
}

/// The contract's private key, ready to sign.
pub(super) struct Signer {
    key: KeyPair,
    random: SystemRandom,
}

impl Signer {
    /// From PKCS#1 (`BEGIN RSA PRIVATE KEY`) or PKCS#8 (`BEGIN PRIVATE KEY`).
    pub(super) fn from_pem(text: &Secret<String>) -> Result<Self, KeyError> {
        let pem::Pem { label, der } = pem::read(text.expose())?;
        let der = Secret::new(der);
        let key = match label.as_str() {
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(der.expose()),
            "PRIVATE KEY" => match pem::kind(der.expose()) {
                KeyKind::Rsa => RsaKeyPair::from_pkcs8(der.expose()),
                KeyKind::EllipticCurve => return Err(KeyError::EllipticCurve),
                KeyKind::Other => return Err(KeyError::NotRsa),
            },
            "EC PRIVATE KEY" | "EC PARAMETERS" => return Err(KeyError::EllipticCurve),
            label if label.ends_with("PUBLIC KEY") => return Err(KeyError::Public),
            _ => return Err(KeyError::NotRsa),
        };
        Ok(Self { key: key.map_err(|_| KeyError::Rejected)?, random: SystemRandom::new() })
    }

    /// A signed token of a request's [`Claims`], or of a file's description, in the compact form.
    pub(super) fn token(&self, claims: &impl Serialize) -> Secret<String> {
        /// base64url of `{"alg":"PS512","typ":"JWT"}`.
        const HEADER: &str = "eyJhbGciOiJQUzUxMiIsInR5cCI6IkpXVCJ9";
        let claims =
            Secret::new(serde_json::to_vec(claims).expect("claims are plain texts, lists of them, and one number"));
        let mut signature = vec![0; self.key.public_modulus_len()];
        // Room for everything: a growing text would leave copies of the token behind.
        let mut token = String::with_capacity(HEADER.len() + 2 + (claims.expose().len() + signature.len() + 4) * 4 / 3);
        token.push_str(HEADER);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.expose(), &mut token);
        self.key
            .sign(&RSA_PSS_SHA512, &self.random, token.as_bytes(), &mut signature)
            .expect("a key that was accepted signs");
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Secret::new(token)
    }
}

/// The claims of a request, in the order in which the API's own client writes them (alphabetical).
#[derive(Default, Serialize)]
pub(super) struct Claims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access_token: Option<&'a str>,
    pub(super) client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code_challenge: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code_challenge_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code_verifier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grant_type: Option<&'a str>,
    pub(super) nonce: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redirect_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_mode: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<&'a str>,
    /// Milliseconds since the Unix epoch.
    pub(super) timestamp: i64,
}

impl<'a> Claims<'a> {
    /// The claims that every request has, with a fresh nonce.
    pub(super) fn new(client_id: &'a str, now: Timestamp) -> Self {
        Self { client_id, nonce: alphanumeric(), timestamp: now.as_millis(), ..Self::default() }
    }
}

/// 32 random characters of `[A-Za-z0-9]`, each equally likely: 190 bits.
pub(super) fn alphanumeric() -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    /// The largest multiple of 62 in a byte's range: what lies above would favour the alphabet's beginning.
    const FAIR: u8 = 248;
    const LENGTH: usize = 32;
    let mut text = String::with_capacity(LENGTH);
    while text.len() < LENGTH {
        let fair = random_bytes::<48>().into_iter().filter(|byte| *byte < FAIR);
        text.extend(fair.take(LENGTH - text.len()).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::keys_for_tests::{KEY, pem_of, pkcs1_of};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey};

    fn signer() -> Signer {
        Signer::from_pem(&KEY.pkcs8_pem).unwrap()
    }

    #[test]
    fn header_and_claims_are_written_to_the_letter() {
        let mut claims = Claims::new("app_contract", Timestamp::from_millis(1_480_000_000_123));
        claims.access_token = Some("to\"ken");
        let nonce = claims.nonce.clone();
        let token = signer().token(&claims);
        let parts: Vec<&str> = token.expose().split('.').collect();
        let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(text(parts[0]), r#"{"alg":"PS512","typ":"JWT"}"#);
        assert_eq!(
            text(parts[1]),
            format!(
                r#"{{"access_token":"to\"ken","client_id":"app_contract","nonce":"{nonce}","timestamp":1480000000123}}"#
            )
        );
        assert_eq!(parts.len(), 3);
    }

    #[test]
    fn signature_verifies_as_pss_with_sha_512() {
        let token = signer().token(&Claims::new("a_b", Timestamp::from_millis(1)));
        let (message, signature) = token.expose().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA512, KEY.pair.public_key());
        assert!(public.verify(message.as_bytes(), &signature).is_ok());
        assert!(public.verify(b"other", &signature).is_err());
    }

    #[test]
    fn both_forms_of_the_key_are_accepted() {
        let pkcs1 = pem_of("RSA PRIVATE KEY", &pkcs1_of(&KEY.pkcs8_der));
        assert!(Signer::from_pem(&pkcs1).is_ok());
        let with_dos_lines = Secret::new(pkcs1.expose().replace('\n', "\r\n"));
        assert!(Signer::from_pem(&with_dos_lines).is_ok());
    }

    #[test]
    fn other_keys_are_named() {
        let error = |label: &str, der: &[u8]| Signer::from_pem(&pem_of(label, der)).err().unwrap();
        assert_eq!(error("PUBLIC KEY", &[]), KeyError::Public);
        assert_eq!(error("RSA PUBLIC KEY", &[]), KeyError::Public);
        assert_eq!(error("EC PRIVATE KEY", &[]), KeyError::EllipticCurve);
        assert_eq!(error("CERTIFICATE", &[]), KeyError::NotRsa);
        assert_eq!(error("ENCRYPTED PRIVATE KEY", &[]), KeyError::Pem(PemError::Encrypted));
        assert_eq!(error("RSA PRIVATE KEY", &[1, 2, 3]), KeyError::Rejected);
        assert_eq!(error("PRIVATE KEY", &KEY.pkcs8_der[..400]), KeyError::Rejected);
        let elliptic =
            aws_lc_rs::signature::EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING);
        let elliptic = elliptic.unwrap().to_pkcs8v1().unwrap();
        assert_eq!(error("PRIVATE KEY", elliptic.as_ref()), KeyError::EllipticCurve);
    }

    #[test]
    fn nonces_are_fresh_and_fair() {
        let mut counts = [0_u32; 128];
        for _ in 0..2000 {
            let nonce = alphanumeric();
            assert_eq!(nonce.len(), 32);
            nonce.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
        }
        let seen: Vec<u32> = counts.into_iter().filter(|count| *count > 0).collect();
        assert_eq!(seen.len(), 62);
        // 64,000 draws, about 1,032 each with a deviation of 32: a modulo bias would lift eight of them by a quarter.
        assert!(seen.iter().all(|count| (820..=1240).contains(count)), "{seen:?}");
        assert_ne!(alphanumeric(), alphanumeric());
    }
}
