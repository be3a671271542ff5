//! From evidence to one account.

use super::{
    parcel::{Addressed, ForProvider},
    patients::patients,
};
use crate::{
    fhir::path::Expression,
    model::{
        Account, AccountReference, ContractName, Evidence, EvidenceKind, ForeignName, HoldReason, KeyedHash, LinkValue,
        Recipient,
    },
    validate::{Bundle, Valid},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Which evidence from outside the file a channel accepts.
#[derive(Debug)]
pub struct EnvelopeRules {
    /// The contract whose accounts the channel may push to.
    pub contract: ContractName,
    /// The sub-folder's name is evidence.
    pub folder: bool,
    /// Every file has a sidecar, and it is evidence.
    pub sidecar: bool,
    /// The account of a channel for a single person.
    pub default_account: Option<AccountReference>,
}

/// Which evidence a channel for Bundles accepts.
#[derive(Debug)]
pub struct Rules {
    /// From outside the Bundle.
    pub envelope: EnvelopeRules,
    /// Identifiers of these systems are evidence.
    pub patient_systems: Vec<String>,
    /// The values of this expression on the Bundle are evidence.
    pub expression: Option<Expression>,
}

/// What came with the file.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The inbox' sub-folder that held it.
    pub folder: Option<&'a ForeignName>,
    /// Its sidecar's bytes.
    pub sidecar: Option<&'a [u8]>,
}

/// The links of one channel and the accounts of its contract.
pub trait Directory {
    /// Why a look-up could not be done.
    type Error;

    /// Where a link leads.
    ///
    /// # Errors
    /// The look-up could not be done.
    fn link(&self, kind: EvidenceKind, value: &LinkValue) -> Result<Option<AccountReference>, Self::Error>;

    /// The accounts with that reference under the channel's contract.
    ///
    /// # Errors
    /// The look-up could not be done.
    fn accounts(&self, reference: &AccountReference) -> Result<Vec<Account>, Self::Error>;

    /// The keyed hash under which a value that may be patient data is linked.
    fn hash(&self, kind: EvidenceKind, parts: &[&[u8]]) -> KeyedHash;
}

/// What addressing found.
#[derive(Debug)]
pub struct Addressing<P> {
    /// Every piece of evidence that was present, and where it leads.
    pub evidence: Vec<Evidence>,
    /// The account, or why there is none.
    pub outcome: Result<Addressed<P>, HoldReason>,
}

/// Finds the one account that a Bundle belongs to.
///
/// # Errors
/// Only the directory's own: a Bundle that cannot be addressed is a result, not an error.
pub fn address<D: Directory>(
    bundle: &Valid<Bundle<'_>>,
    envelope: Envelope<'_>,
    rules: &Rules,
    directory: &D,
) -> Result<Addressing<ForProvider>, D::Error> {
    let mut found = Vec::new();
    let outcome = match gather(bundle, envelope, rules, directory, &mut found)? {
        Some(reason) => Err(reason),
        None => decide(&rules.envelope.contract, directory, &found)?
            .map(|recipient| Addressed::new(recipient, ForProvider { idempotent: bundle.facts().idempotent })),
    };
    Ok(Addressing { evidence: found, outcome })
}

/// What a sidecar that names neither an account nor a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The file is held: its sidecar is there to say whose it is, and nothing else may say it instead.
    Holds,
    /// It carries labels alone, and is no evidence.
    IsNoEvidence,
}

/// Collects the evidence; says so where the Bundle must be held whatever it leads to.
fn gather<D: Directory>(
    bundle: &Valid<Bundle<'_>>,
    envelope: Envelope<'_>,
    rules: &Rules,
    directory: &D,
    found: &mut Vec<Evidence>,
) -> Result<Option<HoldReason>, D::Error> {
    if let Some(reason) = from_outside(envelope, &rules.envelope, Silence::Holds, directory, found)? {
        return Ok(Some(reason));
    }
    let mut add = |kind: EvidenceKind, account| found.push(Evidence { kind, account });
    let patients = patients(bundle, &rules.patient_systems);
    for system in &rules.patient_systems {
        for value in patients.identifiers.get(system).into_iter().flatten() {
            let hash = directory.hash(EvidenceKind::Patient, &[system.as_bytes(), value.as_bytes()]);
            add(EvidenceKind::Patient, directory.link(EvidenceKind::Patient, &LinkValue::Hashed(hash))?);
        }
    }
    if let Some(expression) = &rules.expression {
        for value in values(expression, bundle) {
            let hash = directory.hash(EvidenceKind::Expression, &[value.as_bytes()]);
            add(EvidenceKind::Expression, directory.link(EvidenceKind::Expression, &LinkValue::Hashed(hash))?);
        }
    }
    sort(found);
    Ok((patients.count > 1).then_some(HoldReason::SeveralPatients))
}

/// Collects the evidence that needs no look into the file; says so where it must be held whatever that leads to.
pub(super) fn from_outside<D: Directory>(
    envelope: Envelope<'_>,
    rules: &EnvelopeRules,
    silence: Silence,
    directory: &D,
    found: &mut Vec<Evidence>,
) -> Result<Option<HoldReason>, D::Error> {
    let mut add = |kind: EvidenceKind, account| found.push(Evidence { kind, account });
    if let Some(folder) = envelope.folder.filter(|_| rules.folder) {
        let value = LinkValue::Clear(folder.to_string());
        add(EvidenceKind::Folder, directory.link(EvidenceKind::Folder, &value)?);
    }
    if rules.sidecar {
        match envelope.sidecar.and_then(read_sidecar) {
            Some(SidecarSays::Account(reference)) => add(EvidenceKind::Sidecar, Some(reference)),
            Some(SidecarSays::Key(key)) => {
                add(EvidenceKind::Sidecar, directory.link(EvidenceKind::Sidecar, &LinkValue::Clear(key))?);
            }
            Some(SidecarSays::Nothing) if silence == Silence::IsNoEvidence => {}
            Some(SidecarSays::Nothing) | None => return Ok(Some(HoldReason::SidecarUnreadable)),
        }
    }
    if let Some(account) = &rules.default_account {
        add(EvidenceKind::Default, Some(account.clone()));
    }
    Ok(None)
}

/// In one order, each piece once.
pub(super) fn sort(found: &mut Vec<Evidence>) {
    found.sort_by(|left, right| (left.kind, &left.account).cmp(&(right.kind, &right.account)));
    found.dedup();
}

/// The one account that all evidence leads to, as the contract has it.
pub(super) fn decide<D: Directory>(
    contract: &ContractName,
    directory: &D,
    evidence: &[Evidence],
) -> Result<Result<Recipient, HoldReason>, D::Error> {
    let kinds: BTreeSet<_> = evidence.iter().map(|piece| piece.kind).collect();
    let accounts: BTreeSet<_> = evidence.iter().filter_map(|piece| piece.account.as_ref()).collect();
    if accounts.len() > 1 {
        return Ok(Err(HoldReason::Contradiction { kinds: kinds.into_iter().collect() }));
    }
    if let Some(unlinked) = evidence.iter().find(|piece| piece.account.is_none()) {
        return Ok(Err(HoldReason::Unlinked { kind: unlinked.kind }));
    }
    let Some(reference) = accounts.first().copied() else { return Ok(Err(HoldReason::NoEvidence)) };
    let mut candidates = directory.accounts(reference)?;
    let (Some(account), true) = (candidates.pop(), candidates.is_empty()) else {
        return Ok(Err(HoldReason::AccountUnknown { reference: reference.clone() }));
    };
    Ok(Ok(Recipient {
        contract: contract.clone(),
        person: account.person,
        account: account.id,
        reference: account.reference,
        evidence: kinds.into_iter().collect(),
    }))
}

/// What a sidecar `{"accountReference": ..}` or `{"key": ..}` says.
enum SidecarSays {
    Account(AccountReference),
    Key(String),
    Nothing,
}

/// At most one of both: a sidecar with two answers is no answer.
fn read_sidecar(bytes: &[u8]) -> Option<SidecarSays> {
    let Value::Object(members) = serde_json::from_slice(bytes).ok()? else { return None };
    match (members.get("accountReference"), members.get("key")) {
        (Some(Value::String(reference)), None) => Some(SidecarSays::Account(reference.parse().ok()?)),
        (None, Some(Value::String(key))) if !key.is_empty() => Some(SidecarSays::Key(key.clone())),
        (None, None) => Some(SidecarSays::Nothing),
        _ => None,
    }
}

/// The expression's values as text. What is no text or number is evidence too: one that no link can answer.
fn values(expression: &Expression, bundle: &Bundle<'_>) -> BTreeSet<String> {
    match bundle.values(expression) {
        Ok(values) => values.into_iter().collect(),
        Err(_) => BTreeSet::from([String::new()]),
    }
}
