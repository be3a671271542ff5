//! Digests of contents, and keyed hashes of names and identifiers.

use super::Secret;
use aws_lc_rs::{digest, hmac, rand};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The SHA-256 of a file's bytes; prints as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut digester = Digester::new();
        digester.update(bytes);
        digester.finish()
    }

    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Takes a digest while bytes pass by.
pub struct Digester(digest::Context);

impl Digester {
    /// With nothing seen yet.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Sees more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes seen.
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest(bytes)
    }
}

impl Default for Digester {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes a SHA-1 while bytes pass by: FHIR writes the hash of an attachment with it. It proves nothing against an
/// attacker and is used for nothing else.
pub struct Sha1(digest::Context);

impl Sha1 {
    /// With nothing seen yet.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY))
    }

    /// Sees more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes seen.
    pub fn finish(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes.copy_from_slice(self.0.finish().as_ref());
        bytes
    }
}

impl Default for Sha1 {
    fn default() -> Self {
        Self::new()
    }
}

/// A keyed hash (HMAC-SHA-256 cut to 128 bits): stands for a file name or a patient identifier
/// where the value itself must not appear. Prints as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyedHash([u8; 16]);

impl KeyedHash {
    /// From its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The key of the keyed hashes: without it a hash cannot be tried against a list of identifiers.
#[derive(Clone, Debug)]
pub struct HashKey(Secret<[u8; 32]>);

impl HashKey {
    /// From 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// As its file and a backup have it: 64 hexadecimal digits.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(Digest::from_bytes(*self.0.expose()).to_string())
    }

    /// The hash that stands for a file name in logs and look-ups.
    pub fn name(&self, name: &super::ForeignName) -> KeyedHash {
        self.hash("name", &[name.as_bytes()])
    }

    /// The hash that a piece of evidence is linked by; links of two channels never meet.
    pub fn evidence(&self, channel: &super::ChannelName, kind: super::EvidenceKind, parts: &[&[u8]]) -> KeyedHash {
        let mut all = vec![channel.as_str().as_bytes(), kind.as_str().as_bytes()];
        all.extend_from_slice(parts);
        self.hash("evidence", &all)
    }

    /// The hash of `parts` within a `domain`, so that equal values of two domains do not meet.
    /// Each part's length is hashed too: `("ab", "c")` and `("a", "bc")` differ.
    pub fn hash(&self, domain: &str, parts: &[&[u8]]) -> KeyedHash {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose());
        let mut context = hmac::Context::with_key(&key);
        for part in std::iter::once(&domain.as_bytes()).chain(parts) {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&context.sign().as_ref()[..16]);
        KeyedHash(bytes)
    }
}

/// Random bytes from the operating system's generator.
///
/// # Panics
/// Where the operating system has no randomness to give; nothing can be signed then.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Text forms of fixed byte arrays: hexadecimal in `Display`, `FromStr` and serde.
macro_rules! hexadecimal {
    ($name:ident, $length:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = super::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let invalid = || super::InvalidId::new(stringify!($name));
                let mut bytes = [0; $length];
                if text.len() != 2 * $length || !text.is_ascii() {
                    return Err(invalid());
                }
                for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
                    if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                        return Err(invalid());
                    }
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
                }
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hexadecimal!(Digest, 32);
hexadecimal!(KeyedHash, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_sha_256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), expected);
        assert_eq!(expected.parse::<Digest>().unwrap(), Digest::of(b"abc"));
        assert!("+a".repeat(32).parse::<Digest>().is_err());
    }

    #[test]
    fn keyed_hash_keeps_parts_and_domains_apart() {
        let key = HashKey::new([7; 32]);
        assert_ne!(key.hash("a", &[b"b", b"c"]), key.hash("a", &[b"bc"]));
        assert_ne!(key.hash("a", &[b"b"]), key.hash("b", &[b"b"]));
        assert_ne!(key.hash("a", &[b"b"]), HashKey::new([8; 32]).hash("a", &[b"b"]));
    }
}
