//! What the store is asked while a file is judged: links, accounts, and what the same account has of the same bytes.

use super::{event::Earlier, step::Engine};
use crate::{
    model::{
        Account, AccountReference, ChannelName, ContractName, EvidenceKind, HashKey, KeyedHash, LinkValue, Recipient,
        Stage, Submission,
    },
    route::{Directory, Parcel},
    store::{Store, StoreError},
};

/// The links of a channel and the accounts of its contract, as the store has them.
#[derive(Clone, Copy)]
pub struct ChannelDirectory<'a> {
    /// The records.
    pub store: &'a dyn Store,
    /// Of identifiers.
    pub hash_key: &'a HashKey,
    /// Its links alone.
    pub channel: &'a ChannelName,
    /// Its accounts alone.
    pub contract: &'a ContractName,
}

impl Directory for ChannelDirectory<'_> {
    type Error = StoreError;

    fn link(&self, kind: EvidenceKind, value: &LinkValue) -> Result<Option<AccountReference>, StoreError> {
        Ok(self.store.link(self.channel, kind, value)?.map(|link| link.account))
    }

    fn accounts(&self, reference: &AccountReference) -> Result<Vec<Account>, StoreError> {
        self.store.accounts_by_reference(self.contract, reference)
    }

    fn hash(&self, kind: EvidenceKind, parts: &[&[u8]]) -> KeyedHash {
        self.hash_key.evidence(self.channel, kind, parts)
    }
}

/// The latest submission of the same bytes that the same account has, or may have, as the store tells it. Of those
/// that the engine has open it knows more.
pub(super) fn earlier(store: &dyn Store, engine: &Engine, parcel: &Parcel) -> Result<Option<Earlier>, StoreError> {
    const LOOKED_AT: usize = 64;
    let Recipient { contract, account, .. } = parcel.recipient();
    let mut found = store.latest_at(contract, account, &parcel.claimed(), LOOKED_AT)?;
    found.retain(|record| record.id != parcel.submission() && record.push == parcel.push());
    let stays = |record: &&Submission| record.recipient.as_ref().is_some_and(|to| to.is(contract, account));
    let delivered = found.iter().filter(stays).find_map(|record| match &record.stage {
        Stage::Delivered { receipt } => Some((record.id, Some(receipt.clone()))),
        Stage::Duplicate { of, receipt } => Some((*of, Some(receipt.clone()))),
        _ => None,
    });
    let uncertain = || found.iter().find(|record| !engine.has_open(record.id) && !parcel.idempotent());
    Ok(delivered.or_else(|| uncertain().map(|record| (record.id, None))))
}
