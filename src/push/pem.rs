//! PEM and just enough DER to tell one key from another, so that a wrong file is named for what it is.

use base64::Engine as _;

/// What a PEM text holds.
pub(super) struct Pem {
    /// The words after `BEGIN`: `RSA PRIVATE KEY` for example.
    pub(super) label: String,
    /// The decoded contents.
    pub(super) der: Vec<u8>,
}

/// Why a text is not the PEM that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No `-----BEGIN ...-----` with its end.
    #[error("there is no PEM block in it (-----BEGIN ...----- to -----END ...-----)")]
    NoBlock,
    /// Between the lines there is something other than base64.
    #[error("its PEM block is not base64; was the file cut or its lines joined?")]
    NotBase64,
    /// A pass phrase would be needed.
    #[error("the key is encrypted with a pass phrase; write it without one: `openssl rsa -in KEY -out KEY.plain`")]
    Encrypted,
}

/// The first block of a PEM text; text before and after it is left alone (RFC 7468, section 2).
pub(super) fn read(text: &str) -> Result<Pem, PemError> {
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(PemError::NoBlock)?;
    let (label, rest) = rest.split_once("-----").ok_or(PemError::NoBlock)?;
    let (inside, _) = rest.split_once(&format!("-----END {label}-----")).ok_or(PemError::NoBlock)?;
    if label == "ENCRYPTED PRIVATE KEY" || inside.contains("Proc-Type:") {
        return Err(PemError::Encrypted);
    }
    let mut base64: Vec<u8> = inside.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(&base64);
    base64.fill(0);
    Ok(Pem { label: label.to_owned(), der: der.map_err(|_| PemError::NotBase64)? })
}

/// The kind of key inside a PKCS#8 or SubjectPublicKeyInfo structure, by its algorithm's object identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// `rsaEncryption`.
    Rsa,
    /// `id-ecPublicKey`.
    EllipticCurve,
    /// Anything else.
    Other,
}

/// Looks for the algorithm's identifier at the structure's beginning, where both structures have it.
pub(super) fn kind(der: &[u8]) -> KeyKind {
    const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const ELLIPTIC_CURVE: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    let beginning = &der[..der.len().min(32)];
    let holds = |identifier: &[u8]| beginning.windows(identifier.len()).any(|window| window == identifier);
    if holds(RSA) {
        KeyKind::Rsa
    } else if holds(ELLIPTIC_CURVE) {
        KeyKind::EllipticCurve
    } else {
        KeyKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_first_block_among_other_text() {
        let pem = read("subject: x\r\n-----BEGIN A KEY-----\r\nAQID\r\nBA==\r\n-----END A KEY-----\r\n").unwrap();
        assert_eq!((pem.label.as_str(), pem.der.as_slice()), ("A KEY", &[1, 2, 3, 4][..]));
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |text| read(text).err().unwrap();
        assert_eq!(error("hello"), PemError::NoBlock);
        assert_eq!(error("-----BEGIN A-----\nAQID\n"), PemError::NoBlock);
        assert_eq!(error("-----BEGIN A-----\nAQ.D\n-----END A-----"), PemError::NotBase64);
        assert_eq!(
            error("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAQID\n-----END RSA PRIVATE KEY-----"),
            PemError::Encrypted
        );
    }
}
