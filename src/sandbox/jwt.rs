//! JSON Web Tokens as the sandbox reads and writes them: a second reading of the protocol, kept apart
//! from the courier's so that a mistake there is not repeated here.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA512, RsaKeyPair, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;

/// An application's registered public key.
#[derive(Clone, Debug)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// From PEM: a private key (PKCS#1 or PKCS#8) or a public one.
    pub fn from_pem(pem: &str) -> Option<Self> {
        let label = pem.lines().find_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"))?;
        let text: String = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(text).ok()?;
        let pair = match label {
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der).ok()?,
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).ok()?,
            _ => return Some(Self(der)),
        };
        Some(Self(pair.public_key().as_ref().to_vec()))
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA512, &self.0).verify(message, signature).is_ok()
    }
}

/// A new RSA-2048 private key, PKCS#8 in PEM.
///
/// # Panics
/// Where the machine has no randomness to give.
pub fn generate_key_pem() -> String {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key of a known size can be made");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("a key that was just made can be written");
    pem("PRIVATE KEY", der.as_ref())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Why a request's token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no token of three parts.
    Shape,
    /// Its header is not exactly the one that is agreed on.
    Header,
    /// It is not signed by the application's key.
    Signature,
}

/// The claims of a token that the key has signed.
pub(super) fn read(token: &str, key: &PublicKey) -> Result<Value, Refusal> {
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Shape);
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Shape);
    if decode(header)? != br#"{"alg":"PS512","typ":"JWT"}"# {
        return Err(Refusal::Header);
    }
    if !key.has_signed(format!("{header}.{claims}").as_bytes(), &decode(signature)?) {
        return Err(Refusal::Signature);
    }
    serde_json::from_slice(&decode(claims)?).map_err(|_| Refusal::Shape)
}

/// The key that signs the sandbox' answers.
pub(super) struct Issuer {
    pair: RsaKeyPair,
    pub(super) kid: String,
}

impl Issuer {
    pub(super) fn new() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key of a known size can be made");
        Self { pair, kid: "sandbox-1".to_owned() }
    }

    /// The public key, as key sets carry it.
    pub(super) fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().expect("a public key can be written");
        pem("PUBLIC KEY", der.as_ref())
    }

    /// A signed answer; `kid` and `jku` tell where its key is.
    pub(super) fn sign(&self, kid: &str, jku: &str, payload: &Value) -> String {
        let header = serde_json::json!({"alg": "PS512", "typ": "JWT", "kid": kid, "jku": jku});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(payload));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PSS_SHA512, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .expect("a key that was just made signs");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
