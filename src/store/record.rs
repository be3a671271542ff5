//! How a record looks as bytes: a version, how many further pieces follow, marks, then JSON.
//!
//! The version lets a later pushbridge tell an earlier form from its own. The marks of a submission say which
//! of its index keys stand, so that a new state needs no reading of the old record's JSON, and which findings:
//! those are most of a record, change once, and so have a value of their own.

use super::{
    StoreError, is_open,
    key::{self, Key},
};
use crate::model::{
    ContractName, Digest, Finding, KeyId, Person, PersonId, Purpose, Sealed, Sealer, Secret, Submission, Timestamp,
    TokenPair, TokenState,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// The form of the records that this program writes.
pub(super) const VERSION: u8 = 1;

/// How many bytes one value of the tree holds at most; the rest goes into further pieces.
///
/// sled writes a whole leaf (at most 17 values, 19 for a moment after a merge) as one message, and puts a message
/// above 128 KiB into a file of its own, which it never syncs. 19 pieces of this size stay below that.
pub(super) const PIECE: usize = 4096;

const PIECES: std::ops::Range<usize> = 1..3;
const HEADER: usize = 3;

/// Which index keys of a submission stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) open: bool,
    pub(super) source: bool,
    /// Stands for the accounts that have it or may have; zero where there are none.
    pub(super) accounts: [u8; 16],
    /// Stands for the findings; zero where there are none.
    pub(super) findings: u64,
}

impl Marks {
    /// How many bytes they take.
    pub(super) const LENGTH: usize = 25;

    /// Those that a submission's state asks for.
    pub(super) fn of(submission: &Submission) -> Self {
        let mut accounts = [0; 16];
        let keys: BTreeSet<Key> = key::by_account(submission).collect();
        if !keys.is_empty() {
            let keys: Vec<_> = keys.iter().flat_map(|key| key.as_bytes()).copied().collect();
            accounts.copy_from_slice(&Digest::of(&keys).as_bytes()[..16]);
        }
        let findings = Self::of_findings(&submission.findings);
        Self { open: is_open(submission), source: submission.source_pending, accounts, findings }
    }

    /// What stands for these findings.
    pub(super) fn of_findings(findings: &[Finding]) -> u64 {
        if findings.is_empty() {
            return 0;
        }
        // Another compiler's hash may differ: the findings are written once more then.
        let mut hasher = DefaultHasher::new();
        findings.hash(&mut hasher);
        hasher.finish().max(1)
    }

    /// Those of a stored submission; none where the value is too short to have any.
    pub(super) fn read(value: &[u8]) -> Self {
        let Some(marks) = value.get(HEADER..).and_then(<[u8]>::first_chunk::<{ Self::LENGTH }>) else {
            return Self::default();
        };
        let (mut accounts, mut findings) = ([0; 16], [0; 8]);
        accounts.copy_from_slice(&marks[1..17]);
        findings.copy_from_slice(&marks[17..]);
        let (open, source) = (marks[0] & 1 != 0, marks[0] & 2 != 0);
        Self { open, source, accounts, findings: u64::from_be_bytes(findings) }
    }

    fn bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0] = u8::from(self.open) | u8::from(self.source) << 1;
        bytes[1..17].copy_from_slice(&self.accounts);
        bytes[17..].copy_from_slice(&self.findings.to_be_bytes());
        bytes
    }
}

/// The bytes of a submission with its marks and without its findings; not yet cut into pieces.
pub(super) fn encode_submission(submission: &Submission, marks: Marks) -> Result<Vec<u8>, StoreError> {
    if submission.findings.is_empty() {
        return encode("a submission", &marks.bytes(), submission);
    }
    let bare = Submission { findings: Arc::default(), ..submission.clone() };
    encode("a submission", &marks.bytes(), &bare)
}

/// The bytes of any other record.
pub(super) fn encode_plain<T: Serialize>(what: &str, record: &T) -> Result<Vec<u8>, StoreError> {
    encode(what, &[], record)
}

/// A submission from its bytes, without its findings.
pub(super) fn decode_submission(bytes: &[u8]) -> Result<Submission, StoreError> {
    decode("a submission", Marks::LENGTH, bytes)
}

/// Any other record from its bytes.
pub(super) fn decode_plain<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StoreError> {
    decode(what, 0, bytes)
}

/// A person as it lies in the store: the tokens are sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct PersonRecord {
    pub(super) contract: ContractName,
    pub(super) id: PersonId,
    tokens: Sealed,
    state: TokenState,
    consent_id: Option<String>,
    updated: Timestamp,
}

impl PersonRecord {
    /// Seals a person's tokens.
    pub(super) fn seal(person: &Person, purpose: Purpose, sealer: &Sealer) -> Self {
        let Person { contract, id, tokens, state, consent_id, updated } = person.clone();
        let clear = Secret::new(serde_json::to_vec(&tokens).expect("two texts and two instants are JSON"));
        let tokens = sealer.seal(purpose, &owner(&contract, &id), clear.expose());
        Self { contract, id, tokens, state, consent_id, updated }
    }

    /// The key that its tokens are sealed under.
    pub(super) const fn key(&self) -> KeyId {
        self.tokens.key
    }

    /// Opens the tokens.
    pub(super) fn open(self, purpose: Purpose, sealer: &Sealer) -> Result<Person, StoreError> {
        let Self { contract, id, tokens, state, consent_id, updated } = self;
        let clear = sealer.open(purpose, &owner(&contract, &id), &tokens).map_err(|why| StoreError::Sealed { why })?;
        let tokens: TokenPair = serde_json::from_slice(clear.expose()).map_err(|_| StoreError::Record {
            doing: "read",
            what: "a person".to_owned(),
            why: "what was sealed is no pair of tokens".to_owned(),
        })?;
        Ok(Person { contract, id, tokens, state, consent_id, updated })
    }
}

/// Ties sealed tokens to their person: moved to another record they do not open.
fn owner(contract: &ContractName, person: &PersonId) -> Vec<u8> {
    format!("{contract}/{person}").into_bytes()
}

/// How many further pieces a value has.
pub(super) fn pieces(value: &[u8]) -> u16 {
    value.get(PIECES).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_be_bytes)
}

/// Says in a value how many further pieces it has.
pub(super) fn set_pieces(value: &mut [u8], pieces: u16) {
    value[PIECES].copy_from_slice(&pieces.to_be_bytes());
}

fn encode<T: Serialize>(what: &str, marks: &[u8], record: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(1536);
    bytes.extend_from_slice(&[VERSION, 0, 0]);
    bytes.extend_from_slice(marks);
    serde_json::to_writer(&mut bytes, record).map_err(|error| StoreError::Record {
        doing: "write",
        what: what.to_owned(),
        why: format!("it cannot be put as JSON ({:?})", error.classify()),
    })?;
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(what: &str, marks: usize, bytes: &[u8]) -> Result<T, StoreError> {
    let broken = |why: String| StoreError::Record { doing: "read", what: what.to_owned(), why };
    match bytes.first() {
        Some(&VERSION) => {}
        Some(version) => {
            return Err(broken(format!("its form {version} is unknown, this pushbridge writes {VERSION}")));
        }
        None => return Err(broken("it is empty".to_owned())),
    }
    let json = bytes.get(HEADER + marks..).ok_or_else(|| broken("it is cut short".to_owned()))?;
    // serde_json's own text may quote a value, so only the place is told
    serde_json::from_slice(json).map_err(|error| broken(format!("not of form {VERSION} at byte {}", error.column())))
}
