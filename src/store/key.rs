//! The keys of the one tree: a letter for the kind, then the fields, big-endian where they are numbers.
//!
//! | key | value |
//! |---|---|
//! | `s` id | the submission |
//! | `g` id | what the inspection found in it, where it found anything |
//! | `o` id | nothing: the submission is open |
//! | `d` digest, id | nothing: the submission has these bytes |
//! | `n` name hash, id | nothing: the submission has this file name |
//! | `r` contract, account, digest, id | nothing: this account has the submission's bytes, may have, or might have had |
//! | `f` channel, SHA-256 of the path, id | nothing: the submission's source (or its sidecar's) may stand here |
//! | `a` contract, account | the account |
//! | `b` contract, reference, account | nothing: the account goes by this reference |
//! | `p` contract, person | the person |
//! | `l` channel, kind, value | the link; a value in clear by its SHA-256, because it may be long |
//! | `z` contract | the destination's state |
//! | `#` | the number of the last batch |
//! | `~` length of a key, that key, number | a further piece of that key's value |
//!
//! Texts in the middle of a key end with a zero byte, which no name and no id can hold.

use crate::model::{
    AccountId, AccountReference, ChannelName, ContractName, Digest, EvidenceKind, ForeignName, KeyedHash, LinkValue,
    PersonId, Submission, SubmissionId,
};

pub(super) const SUBMISSION: u8 = b's';
pub(super) const OPEN: u8 = b'o';
pub(super) const ACCOUNT: u8 = b'a';
pub(super) const PERSON: u8 = b'p';
pub(super) const LINK: u8 = b'l';
pub(super) const BATCHES: &[u8] = b"#";
pub(super) const DESTINATION: u8 = b'z';

/// A key, or the beginning of keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

impl Key {
    /// The beginning of every key of a kind.
    pub(super) fn of(kind: u8) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(kind);
        Self(bytes)
    }

    /// A key that was read.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Its bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its bytes, as they are.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// With a submission's id at its end.
    pub(super) fn with_id(self, id: SubmissionId) -> Self {
        self.with_bytes(&id.as_u64().to_be_bytes())
    }

    fn with_text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self
    }

    fn with_bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// The id at the end of a submission's key or of an index' key.
pub(super) fn id_of(key: &[u8]) -> Option<SubmissionId> {
    key.last_chunk::<8>().map(|bytes| SubmissionId::from_u64(u64::from_be_bytes(*bytes)))
}

pub(super) fn submission(id: SubmissionId) -> Key {
    Key::of(SUBMISSION).with_id(id)
}

pub(super) fn findings(id: SubmissionId) -> Key {
    Key::of(b'g').with_id(id)
}

pub(super) fn open(id: SubmissionId) -> Key {
    Key::of(OPEN).with_id(id)
}

pub(super) fn by_digest(digest: &Digest) -> Key {
    Key::of(b'd').with_bytes(digest.as_bytes())
}

pub(super) fn by_name(name: &KeyedHash) -> Key {
    Key::of(b'n').with_bytes(name.as_bytes())
}

pub(super) fn at_account(contract: &ContractName, account: &AccountId, digest: &Digest) -> Key {
    Key::of(b'r').with_text(contract.as_str()).with_text(account.as_str()).with_bytes(digest.as_bytes())
}

/// By the accounts that have it or may have; without its id.
pub(super) fn by_account(submission: &Submission) -> impl Iterator<Item = Key> {
    submission.whereabouts().map(|to| at_account(&to.contract, &to.account, &submission.digest))
}

pub(super) fn by_source(channel: &ChannelName, path: &ForeignName) -> Key {
    Key::of(b'f').with_text(channel.as_str()).with_bytes(Digest::of(path.as_bytes()).as_bytes())
}

pub(super) fn account(contract: &ContractName, account: &AccountId) -> Key {
    of_contract(ACCOUNT, contract).with_text(account.as_str())
}

pub(super) fn by_reference(contract: &ContractName, reference: &AccountReference) -> Key {
    of_contract(b'b', contract).with_text(reference.as_str())
}

pub(super) fn account_by_reference(contract: &ContractName, reference: &AccountReference, account: &AccountId) -> Key {
    by_reference(contract, reference).with_text(account.as_str())
}

pub(super) fn person(contract: &ContractName, person: &PersonId) -> Key {
    of_contract(PERSON, contract).with_text(person.as_str())
}

pub(super) fn destination(contract: &ContractName) -> Key {
    of_contract(DESTINATION, contract)
}

pub(super) fn of_contract(kind: u8, contract: &ContractName) -> Key {
    Key::of(kind).with_text(contract.as_str())
}

pub(super) fn of_channel(channel: &ChannelName) -> Key {
    Key::of(LINK).with_text(channel.as_str())
}

pub(super) fn link(channel: &ChannelName, kind: EvidenceKind, value: &LinkValue) -> Key {
    let key = of_channel(channel).with_text(kind.as_str());
    match value {
        LinkValue::Clear(text) => key.with_bytes(b"c").with_bytes(Digest::of(text.as_bytes()).as_bytes()),
        LinkValue::Hashed(hash) => key.with_bytes(b"h").with_bytes(hash.as_bytes()),
    }
}

/// The key of a value's further piece, counted from 1.
pub(super) fn piece(of: &Key, number: u16) -> Key {
    let length = u16::try_from(of.0.len()).expect("keys are shorter than 64 KiB");
    Key::of(b'~').with_bytes(&length.to_be_bytes()).with_bytes(&of.0).with_bytes(&number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_order_is_key_order() {
        let ids = [1, 255, 256, u64::MAX - 1, u64::MAX].map(SubmissionId::from_u64);
        assert!(ids.map(submission).is_sorted());
        assert_eq!(id_of(submission(ids[2]).as_bytes()), Some(ids[2]));
    }

    #[test]
    fn neighbours_do_not_share_a_beginning() {
        let (short, long): (ContractName, ContractName) = ("a".parse().unwrap(), "ab".parse().unwrap());
        let account: AccountId = "b".parse().unwrap();
        assert!(!super::account(&long, &account).as_bytes().starts_with(of_contract(ACCOUNT, &short).as_bytes()));
        let channel: ChannelName = "in".parse().unwrap();
        let clear = link(&channel, EvidenceKind::Folder, &LinkValue::Clear("x".into()));
        assert_ne!(clear, link(&channel, EvidenceKind::Sidecar, &LinkValue::Clear("x".into())));
    }
}
