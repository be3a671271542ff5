//! Sealing: what must not lie on a disk in clear is encrypted and authenticated (AES-256-GCM, NIST SP 800-38D).
//!
//! Each purpose has a key of its own, derived from the operator's (HKDF with SHA-256, RFC 5869), so that what was
//! sealed for one purpose opens for no other. Nonces are random, 96 bits: good for 2^32 seals under one key.

use super::{Digest, Secret, random_bytes};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What is sealed; part of the derived key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A person's token pair in the store.
    Tokens,
    /// A person's token pair in the journal.
    Journal,
    /// A block of a backup.
    Backup,
    /// An authorisation that waits for its person.
    Authorisation,
}

impl Purpose {
    const fn info(self) -> &'static [u8] {
        match self {
            Self::Tokens => b"pushbridge 1 tokens",
            Self::Journal => b"pushbridge 1 journal",
            Self::Backup => b"pushbridge 1 backup",
            Self::Authorisation => b"pushbridge 1 authorisation",
        }
    }
}

/// Names a key without telling anything of it: the first bytes of a hash of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyId([u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl FromStr for KeyId {
    type Err = super::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hexadecimal = text.len() == 8 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        match u32::from_str_radix(text, 16) {
            Ok(number) if is_hexadecimal => Ok(Self(number.to_be_bytes())),
            _ => Err(super::InvalidId::new("KeyId")),
        }
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for KeyId {
    type Error = super::InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Why something cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was sealed under a key that is not at hand.
    #[error("it is sealed under key {0}, which is not among the keys at hand")]
    UnknownKey(KeyId),
    /// It was changed, cut, or sealed for something else.
    #[error("its seal is broken")]
    Broken,
}

/// Why a text is no list of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// There is nothing in it.
    #[error("no key is in it")]
    Empty,
    /// A line is something else.
    #[error("line {0} is not a key of 64 hexadecimal digits")]
    Line(usize),
}

struct Key {
    id: KeyId,
    secret: Secret<[u8; 32]>,
}

impl Key {
    fn new(secret: [u8; 32]) -> Self {
        let digest = Digest::of(&[b"pushbridge key id".as_slice(), &secret].concat());
        let mut id = [0; 4];
        id.copy_from_slice(&digest.as_bytes()[..4]);
        Self { id: KeyId(id), secret: Secret::new(secret) }
    }

    fn for_purpose(&self, purpose: Purpose) -> LessSafeKey {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"").extract(self.secret.expose());
        let info = [purpose.info()];
        let derived = extracted.expand(&info, &AES_256_GCM).expect("32 bytes are few enough for HKDF");
        LessSafeKey::new(UnboundKey::from(derived))
    }
}

/// The operator's keys: the first seals, every one opens.
pub struct Sealer {
    keys: Vec<Key>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.key_ids()).finish()
    }
}

impl Sealer {
    /// Keys from a text: one of 64 hexadecimal digits a line or between blanks, the present one first.
    ///
    /// # Errors
    /// Anything else in it; the text itself is never repeated.
    pub fn from_text(text: &str) -> Result<Self, KeysError> {
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            for word in line.split_whitespace() {
                let digest: Digest = word.parse().map_err(|_| KeysError::Line(number))?;
                keys.push(Key::new(*digest.as_bytes()));
            }
        }
        if keys.is_empty() { Err(KeysError::Empty) } else { Ok(Self { keys }) }
    }

    /// The text of a new key.
    pub fn new_key() -> Secret<String> {
        Secret::new(Digest::from_bytes(random_bytes()).to_string())
    }

    /// The key that seals.
    pub fn present(&self) -> KeyId {
        self.keys[0].id
    }

    /// Every key, the present one first.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(|key| key.id)
    }

    /// Seals bytes for a purpose. `context` has to be the same when it is opened: it ties the seal to its place.
    pub fn seal(&self, purpose: Purpose, context: &[u8], clear: &[u8]) -> Sealed {
        let key = &self.keys[0];
        let nonce: [u8; NONCE_LEN] = random_bytes();
        let mut bytes = Vec::with_capacity(NONCE_LEN + clear.len() + AES_256_GCM.tag_len());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(clear);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag =
            key.for_purpose(purpose).seal_in_place_separate_tag(nonce, Aad::from(context), &mut bytes[NONCE_LEN..]);
        bytes.extend_from_slice(tag.expect("far below the 64 GiB of one seal").as_ref());
        Sealed { key: key.id, bytes }
    }

    /// Opens what was sealed for this purpose and context.
    ///
    /// # Errors
    /// The key is missing, or these are not the bytes, the purpose or the context that were sealed.
    pub fn open(&self, purpose: Purpose, context: &[u8], sealed: &Sealed) -> Result<Secret<Vec<u8>>, SealError> {
        let key = self.keys.iter().find(|key| key.id == sealed.key).ok_or(SealError::UnknownKey(sealed.key))?;
        let (nonce, rest) = sealed.bytes.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Broken)?;
        let mut clear = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.for_purpose(purpose).open_in_place(nonce, Aad::from(context), &mut clear);
        let length = opened.map_err(|_| SealError::Broken)?.len();
        clear.truncate(length);
        Ok(Secret::new(clear))
    }
}

/// Sealed bytes, and which key opens them. As text: `<key id>.<base64url of nonce, ciphertext and tag>`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Sealed {
    /// The key.
    pub key: KeyId,
    bytes: Vec<u8>,
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> Self {
        format!("{}.{}", sealed.key, URL_SAFE_NO_PAD.encode(&sealed.bytes))
    }
}

impl TryFrom<String> for Sealed {
    type Error = super::InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let invalid = || super::InvalidId::new("Sealed");
        let (key, bytes) = text.split_once('.').ok_or_else(invalid)?;
        Ok(Self { key: key.parse()?, bytes: URL_SAFE_NO_PAD.decode(bytes).map_err(|_| invalid())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(keys: &[u8]) -> Sealer {
        Sealer { keys: keys.iter().map(|byte| Key::new([*byte; 32])).collect() }
    }

    #[test]
    fn what_was_sealed_opens_for_its_purpose_and_context_alone() {
        let keys = sealer(&[1]);
        let sealed = keys.seal(Purpose::Tokens, b"person 1", b"token");
        assert_eq!(keys.open(Purpose::Tokens, b"person 1", &sealed).unwrap().expose(), b"token");
        assert_eq!(keys.open(Purpose::Tokens, b"person 2", &sealed), Err(SealError::Broken));
        assert_eq!(keys.open(Purpose::Journal, b"person 1", &sealed), Err(SealError::Broken));
        assert_eq!(
            sealer(&[2]).open(Purpose::Tokens, b"person 1", &sealed),
            Err(SealError::UnknownKey(keys.present()))
        );
        for place in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[place] ^= 1;
            assert_eq!(keys.open(Purpose::Tokens, b"person 1", &changed), Err(SealError::Broken), "byte {place}");
            changed.bytes.truncate(place);
            assert_eq!(keys.open(Purpose::Tokens, b"person 1", &changed), Err(SealError::Broken), "cut at {place}");
        }
    }

    #[test]
    fn earlier_keys_open_and_the_first_seals() {
        let old = sealer(&[1]).seal(Purpose::Tokens, b"", b"token");
        let rotated = sealer(&[2, 1]);
        assert_eq!(rotated.open(Purpose::Tokens, b"", &old).unwrap().expose(), b"token");
        assert_eq!(rotated.seal(Purpose::Tokens, b"", b"token").key, sealer(&[2]).present());
        assert_ne!(old, sealer(&[1]).seal(Purpose::Tokens, b"", b"token"), "no nonce comes twice");
    }

    #[test]
    fn texts_are_read_back_and_wrong_ones_told_by_their_line() {
        let sealed = sealer(&[1]).seal(Purpose::Tokens, b"", b"token");
        assert_eq!(Sealed::try_from(String::from(sealed.clone())), Ok(sealed));
        let (one, two) = (Sealer::new_key(), Sealer::new_key());
        let keys = Sealer::from_text(&format!("{}\n{}\n", one.expose(), two.expose())).unwrap();
        assert_eq!(keys.key_ids().count(), 2);
        assert_eq!(keys.present(), Sealer::from_text(one.expose()).unwrap().present());
        assert_eq!(Sealer::from_text(&format!("{}\nxyz", one.expose())).unwrap_err(), KeysError::Line(2));
        assert_eq!(Sealer::from_text(" \n").unwrap_err(), KeysError::Empty);
        assert!(!format!("{keys:?}").contains(one.expose().as_str()));
    }
}
