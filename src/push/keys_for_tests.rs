//! RSA keys made for the courier's tests, once per run: no key stands in the repository.

use crate::model::Secret;
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::Engine as _;
use std::sync::LazyLock;

/// A key in the forms that tests need.
pub(super) struct TestKey {
    pub(super) pair: KeyPair,
    pub(super) pkcs8_der: Vec<u8>,
    pub(super) pkcs8_pem: Secret<String>,
}

/// The key of most tests.
pub(super) static KEY: LazyLock<TestKey> = LazyLock::new(generate);
/// A stranger's.
pub(super) static FOREIGN_KEY: LazyLock<TestKey> = LazyLock::new(generate);

fn generate() -> TestKey {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8_der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref().to_vec();
    let pkcs8_pem = pem_of("PRIVATE KEY", &pkcs8_der);
    TestKey { pair, pkcs8_der, pkcs8_pem }
}

/// A PEM text.
pub(super) fn pem_of(label: &str, der: &[u8]) -> Secret<String> {
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    Secret::new(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")))
}

/// The PKCS#1 structure inside a PKCS#8 one of an RSA-2048 key: behind 26 bytes of wrapping.
pub(super) fn pkcs1_of(pkcs8: &[u8]) -> Vec<u8> {
    pkcs8[26..].to_vec()
}

/// The public half as SubjectPublicKeyInfo.
pub(super) fn public_pem(key: &TestKey) -> String {
    use aws_lc_rs::{encoding::PublicKeyX509Der, signature::KeyPair as _};
    let der = AsDer::<PublicKeyX509Der<'_>>::as_der(key.pair.public_key()).unwrap();
    pem_of("PUBLIC KEY", der.as_ref()).expose().clone()
}

/// The public half as PKCS#1, the form that the API's key set may have.
pub(super) fn public_pkcs1_pem(key: &TestKey) -> String {
    use aws_lc_rs::signature::KeyPair as _;
    pem_of("RSA PUBLIC KEY", key.pair.public_key().as_ref()).expose().clone()
}

/// A token as the API signs it, with any header.
pub(super) fn api_token(key: &TestKey, header: &str, payload: &str) -> String {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let mut signature = vec![0; key.pair.public_modulus_len()];
    let random = aws_lc_rs::rand::SystemRandom::new();
    key.pair.sign(&aws_lc_rs::signature::RSA_PSS_SHA512, &random, message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
