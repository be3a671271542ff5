//! The tokens in use, and their renewal: flushed as `Rotating` before the old pair is spent, and the new
//! pair flushed before its first use.

use super::event::{PersonKey, PersonStanding, RefreshOutcome, TokenTimes};
use crate::{
    model::{Person, Secret, Timestamp, TokenPair, TokenState},
    push::{Client, Refreshed},
    store::{Write, Writer},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// Every person's present record.
#[derive(Debug, Default)]
pub(super) struct Vault {
    persons: Mutex<BTreeMap<PersonKey, Person>>,
}

impl Vault {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PersonKey, Person>> {
        self.persons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self, person: Person) -> PersonKey {
        let key = PersonKey { contract: person.contract.clone(), person: person.id.clone() };
        self.lock().insert(key.clone(), person);
        key
    }

    pub(super) fn forget(&self, key: &PersonKey) {
        self.lock().remove(key);
    }

    pub(super) fn person(&self, key: &PersonKey) -> Option<Person> {
        self.lock().get(key).cloned()
    }

    /// The access token for a push.
    pub(super) fn access(&self, key: &PersonKey) -> Option<Secret<String>> {
        self.lock().get(key).map(|person| person.tokens.access.value.clone())
    }

    /// A token that some person of the contract can use now, for a probe.
    pub(super) fn any_access(&self, contract: &crate::model::ContractName, now: Timestamp) -> Option<Secret<String>> {
        let persons = self.lock();
        let usable = persons.values().find(|person| {
            person.contract == *contract && person.state == TokenState::Fresh && person.tokens.access.expiry > now
        });
        usable.map(|person| person.tokens.access.value.clone())
    }
}

/// How a person's tokens stand now.
pub(super) fn standing(person: &Person, now: Timestamp) -> PersonStanding {
    match person.state {
        TokenState::Fresh => PersonStanding::Fresh(times(&person.tokens, now)),
        TokenState::Rotating => PersonStanding::Rotating,
        TokenState::Paused { .. } => PersonStanding::Paused,
    }
}

fn times(pair: &TokenPair, now: Timestamp) -> TokenTimes {
    TokenTimes { access: pair.access.expiry.since(now), refresh: pair.refresh.expiry.since(now) }
}

/// Writes and waits for the flush; `false` when the store ended before.
pub(super) async fn flushed(writer: &Writer, writes: Vec<Write>) -> bool {
    let (done, flushed) = oneshot::channel();
    writer.commit(writes, Box::new(move || done.send(()).unwrap_or_default()));
    flushed.await.is_ok()
}

/// Renews one person's tokens; the engine sees to it that no two of these run for one person.
pub(super) async fn renew(vault: &Vault, writer: &Writer, client: &Arc<Client>, key: &PersonKey) -> RefreshOutcome {
    let Some(mut person) = vault.person(key) else {
        return RefreshOutcome::Paused { why: "its tokens were removed".to_owned() };
    };
    let later = |why: &str| RefreshOutcome::Later { after: None, why: why.to_owned() };
    person.state = TokenState::Rotating;
    person.updated = Timestamp::now();
    if !flushed(writer, vec![Write::Person(person.clone())]).await {
        return later("the store does not answer");
    }
    let refresh = person.tokens.refresh.value.clone();
    match client.refresh(refresh).await {
        Refreshed::Renewed(tokens) if tokens.person != person.id => RefreshOutcome::Paused {
            why: "the API answered with another person's token, which was not kept".to_owned(),
        },
        Refreshed::Renewed(tokens) => {
            let now = Timestamp::now();
            person.tokens = tokens.pair;
            person.consent_id = tokens.consent_id.or(person.consent_id);
            (person.state, person.updated) = (TokenState::Fresh, now);
            if !flushed(writer, vec![Write::Person(person.clone())]).await {
                return RefreshOutcome::Lost;
            }
            let times = times(&person.tokens, now);
            vault.keep(person);
            RefreshOutcome::Renewed(times)
        }
        Refreshed::Spent { why } => RefreshOutcome::Paused { why },
        Refreshed::Untrusted { why } => RefreshOutcome::Paused { why },
        Refreshed::Later { after, why } => {
            unmark(writer, person);
            RefreshOutcome::Later { after, why }
        }
        Refreshed::Refused { why } => {
            unmark(writer, person);
            RefreshOutcome::Refused { why }
        }
        Refreshed::DestinationPaused { why } => {
            unmark(writer, person);
            RefreshOutcome::DestinationPaused { why }
        }
        Refreshed::Lost => RefreshOutcome::Lost,
    }
}

/// Nothing was spent. Without this write a next start would only try the same pair once.
fn unmark(writer: &Writer, mut person: Person) {
    person.state = TokenState::Fresh;
    writer.commit_lazily(vec![Write::Person(person)]);
}
