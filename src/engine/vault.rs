//! The tokens in use, and their renewal: flushed as `Rotating` before the old pair is spent, and the new
//! pair flushed before its first use.
//!
//! A refresh, an import and a pause may meet. Every write of a person is asked for under the vault's lock, so that the
//! disk ends with what the vault has; and what a refresh brings for a pair that was replaced meanwhile is not kept.

use super::event::{PersonKey, PersonStanding, RefreshOutcome, TokenTimes};
use crate::{
    faults,
    model::{ContractName, Person, Secret, Timestamp, TokenPair, TokenState, TokenValue},
    push::{Client, Refreshed},
    store::{Write, Writer},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// One person's tokens.
#[derive(Debug)]
struct Kept {
    /// As it was last written.
    person: Person,
    /// The access token of the last pair that is on the disk.
    usable: Option<TokenValue>,
}

/// How a refresh ended.
pub(super) struct Concluded {
    /// To be told once `renewed` is on the disk.
    pub(super) outcome: RefreshOutcome,
    /// The person with the new pair, being written.
    pub(super) renewed: Option<Person>,
}

/// Every person's present record.
#[derive(Debug, Default)]
pub(super) struct Vault {
    persons: Mutex<BTreeMap<PersonKey, Kept>>,
}

impl Vault {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PersonKey, Kept>> {
        self.persons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the store has at the start.
    pub(super) fn keep(&self, person: Person) -> PersonKey {
        let key = key(&person);
        let usable = Some(person.tokens.access.clone());
        self.lock().insert(key.clone(), Kept { person, usable });
        key
    }

    /// Tokens that are imported or removed from now on; `commit` asks for the writes. New ones are used once
    /// [`Vault::flushed`] is told.
    pub(super) fn replace(&self, writes: &[Write], commit: impl FnOnce()) {
        let mut persons = self.lock();
        for write in writes {
            match write {
                Write::Person(person) => {
                    let usable = persons.remove(&key(person)).and_then(|kept| kept.usable);
                    persons.insert(key(person), Kept { person: person.clone(), usable });
                }
                Write::RemovePerson { contract, person } => {
                    persons.remove(&PersonKey { contract: contract.clone(), person: person.clone() });
                }
                _ => {}
            }
        }
        commit();
    }

    /// A pair is on the disk.
    pub(super) fn flushed(&self, person: &Person) {
        if let Some(kept) = self.lock().get_mut(&key(person)).filter(|kept| kept.person.tokens == person.tokens) {
            kept.usable = Some(person.tokens.access.clone());
        }
    }

    /// The access token for a push.
    pub(super) fn access(&self, key: &PersonKey) -> Option<Secret<String>> {
        self.lock().get(key).and_then(|kept| kept.usable.as_ref()).map(|access| access.value.clone())
    }

    /// A token that some person of the contract can use now, for a probe.
    pub(super) fn any_access(&self, contract: &ContractName, now: Timestamp) -> Option<Secret<String>> {
        let persons = self.lock();
        let fresh =
            persons.values().filter(|kept| kept.person.contract == *contract && kept.person.state == TokenState::Fresh);
        fresh
            .filter_map(|kept| kept.usable.as_ref())
            .find(|access| access.expiry > now)
            .map(|access| access.value.clone())
    }

    /// A refresh begins: what is to be flushed before its request leaves.
    pub(super) fn begin(&self, key: &PersonKey, now: Timestamp, write: impl FnOnce(&Person)) -> Option<Person> {
        let persons = self.lock();
        let mut person = persons.get(key)?.person.clone();
        (person.state, person.updated) = (TokenState::Rotating, now);
        write(&person);
        Some(person)
    }

    /// What follows from a refresh's answer; `write` is called where that changes the person's record. What became of
    /// a pair that was replaced meanwhile tells nothing of the person.
    pub(super) fn conclude(
        &self,
        began: &Person,
        refreshed: Refreshed,
        now: Timestamp,
        write: impl FnOnce(&Person),
    ) -> Concluded {
        let mut persons = self.lock();
        let current = persons.get_mut(&key(began)).filter(|kept| kept.person.tokens == began.tokens);
        let outcome = match (refreshed, current) {
            // Nothing was spent. Without these writes a next start would only try the same pair once.
            (Refreshed::Later { after, why }, current) => {
                if let Some(kept) = current {
                    write(&kept.person);
                }
                RefreshOutcome::Later { after, why }
            }
            (Refreshed::DestinationPaused { why }, current) => {
                if let Some(kept) = current {
                    write(&kept.person);
                }
                RefreshOutcome::DestinationPaused { why }
            }
            (_, None) => match persons.get(&key(began)).map(|kept| standing(&kept.person, now)) {
                Some(PersonStanding::Fresh(times)) => RefreshOutcome::Renewed(times),
                _ => RefreshOutcome::Paused { why: "its tokens were removed".to_owned() },
            },
            (Refreshed::Renewed(tokens), Some(_)) if tokens.person != began.id => RefreshOutcome::Paused {
                why: "the API answered with another person's token, which was not kept".to_owned(),
            },
            (Refreshed::Renewed(tokens), Some(kept)) => {
                kept.person.tokens = tokens.pair;
                kept.person.consent_id = tokens.consent_id.or(kept.person.consent_id.take());
                (kept.person.state, kept.person.updated) = (TokenState::Fresh, now);
                write(&kept.person);
                let outcome = RefreshOutcome::Renewed(times(&kept.person.tokens, now));
                return Concluded { outcome, renewed: Some(kept.person.clone()) };
            }
            (Refreshed::Spent { why } | Refreshed::Untrusted { why }, Some(_)) => RefreshOutcome::Paused { why },
            (Refreshed::Lost, Some(_)) => RefreshOutcome::Lost,
        };
        Concluded { outcome, renewed: None }
    }

    /// The person must authorise again, unless somebody has just brought new tokens.
    pub(super) fn pause(&self, key: &PersonKey, why: String, now: Timestamp, write: impl FnOnce(&Person)) {
        let mut persons = self.lock();
        let Some(kept) = persons.get_mut(key) else { return };
        if kept.usable.as_ref() == Some(&kept.person.tokens.access) {
            (kept.person.state, kept.person.updated) = (TokenState::Paused { why, since: now }, now);
            write(&kept.person);
        }
    }
}

fn key(person: &Person) -> PersonKey {
    PersonKey { contract: person.contract.clone(), person: person.id.clone() }
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

/// Renews one person's tokens; the engine sees to it that no two of these run for one person.
pub(super) async fn renew(vault: &Vault, writer: &Writer, client: &Arc<Client>, key: &PersonKey) -> RefreshOutcome {
    let (done, marked) = oneshot::channel();
    let begun = vault.begin(key, Timestamp::now(), |person| commit(writer, person, done));
    let Some(person) = begun else {
        return RefreshOutcome::Paused { why: "its tokens were removed".to_owned() };
    };
    if marked.await.is_err() {
        return RefreshOutcome::Later { after: None, why: "the store does not answer".to_owned() };
    }
    let refresh = person.tokens.refresh.value.clone();
    faults::pass("refresh.begin");
    let refreshed = client.refresh(refresh).await;
    faults::pass("refresh.answered");
    let (done, kept) = oneshot::channel();
    let concluded = vault.conclude(&person, refreshed, Timestamp::now(), |person| commit(writer, person, done));
    if let Some(renewed) = concluded.renewed {
        if kept.await.is_err() {
            return RefreshOutcome::Lost;
        }
        faults::pass("refresh.kept");
        vault.flushed(&renewed);
    }
    concluded.outcome
}

fn commit(writer: &Writer, person: &Person, done: oneshot::Sender<()>) {
    writer.commit(vec![Write::Person(person.clone())], Box::new(move || done.send(()).unwrap_or_default()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::Tokens;

    const NOW: Timestamp = Timestamp::from_millis(1_480_000_000_000);

    fn person(pair: &str) -> Person {
        let token =
            || TokenValue { value: Secret::new(pair.to_owned()), expiry: NOW.plus(std::time::Duration::from_secs(60)) };
        Person {
            contract: "main".parse().unwrap(),
            id: "ann".parse().unwrap(),
            tokens: TokenPair { access: token(), refresh: token() },
            state: TokenState::Fresh,
            consent_id: None,
            updated: NOW,
        }
    }

    fn renewed(pair: &str) -> Refreshed {
        let Person { tokens, id, .. } = person(pair);
        Refreshed::Renewed(Tokens { pair: tokens, person: id, consent_id: None })
    }

    fn access(vault: &Vault) -> String {
        vault.access(&key(&person(""))).unwrap().expose().clone()
    }

    #[test]
    fn new_tokens_are_used_once_they_are_on_the_disk() {
        let vault = Vault::default();
        vault.keep(person("old"));
        vault.replace(&[Write::Person(person("new"))], || {});
        assert_eq!(access(&vault), "old");
        vault.flushed(&person("new"));
        assert_eq!(access(&vault), "new");
    }

    #[test]
    fn what_a_refresh_brings_for_a_pair_that_was_replaced_is_not_kept() {
        for refreshed in [renewed("of the old one"), Refreshed::Spent { why: String::new() }, Refreshed::Lost] {
            let vault = Vault::default();
            let key = vault.keep(person("old"));
            let began = vault.begin(&key, NOW, |_| {}).unwrap();
            vault.replace(&[Write::Person(person("imported"))], || {});
            let concluded = vault.conclude(&began, refreshed, NOW, |_| panic!("the import stands on the disk"));
            assert!(matches!(concluded.outcome, RefreshOutcome::Renewed(_)), "{:?}", concluded.outcome);
            vault.flushed(&person("imported"));
            assert_eq!(access(&vault), "imported");
        }
    }

    #[test]
    fn a_pause_does_not_touch_tokens_that_are_being_imported() {
        let vault = Vault::default();
        let key = vault.keep(person("old"));
        vault.replace(&[Write::Person(person("imported"))], || {});
        vault.pause(&key, String::new(), NOW, |_| panic!("the import stands on the disk"));
        vault.flushed(&person("imported"));
        let mut written = None;
        vault.pause(&key, String::new(), NOW, |person| written = Some(person.clone()));
        assert!(matches!(written.unwrap().state, TokenState::Paused { .. }));
    }
}
