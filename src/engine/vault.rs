//! The tokens in use, and their renewal: flushed as `Rotating` before the old pair is spent, and the new
//! pair flushed before its first use.

use super::event::{PersonKey, PersonStanding, RefreshOutcome, TokenTimes};
use crate::{
    faults,
    model::{Person, Secret, Timestamp, TokenPair, TokenState},
    push::{Client, Refreshed},
    store::{Write, Writer},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// Every person's present record.
#[derive(Debug, Default)]
pub(super) struct Vault {
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    persons: BTreeMap<PersonKey, Person>,
    /// Whose new tokens, of an authorisation or an import, are on their way to the disk: a refresh of the old ones
    /// writes nothing about them any more.
    arriving: BTreeSet<PersonKey>,
}

impl Vault {
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record counts from now on; it is on disk.
    pub(super) fn keep(&self, person: Person) -> PersonKey {
        let key = PersonKey { contract: person.contract.clone(), person: person.id.clone() };
        let mut shelves = self.lock();
        shelves.arriving.remove(&key);
        shelves.persons.insert(key.clone(), person);
        key
    }

    pub(super) fn forget(&self, key: &PersonKey) {
        self.lock().persons.remove(key);
    }

    pub(super) fn person(&self, key: &PersonKey) -> Option<Person> {
        self.lock().persons.get(key).cloned()
    }

    /// New tokens of these persons go to the disk by `commit`; nothing older can be written behind them.
    pub(super) fn arrive(&self, persons: impl IntoIterator<Item = PersonKey>, commit: impl FnOnce()) {
        let mut shelves = self.lock();
        shelves.arriving.extend(persons);
        commit();
    }

    /// Lets `write` hand the person's record to the writer unless other tokens have come or are coming; the write is
    /// in the writer's order before any that comes later. `pair` is the one that the change was begun with.
    pub(super) fn write_of(&self, key: &PersonKey, pair: &TokenPair, write: impl FnOnce(&mut Person)) -> bool {
        let mut shelves = self.lock();
        if shelves.arriving.contains(key) {
            return false;
        }
        match shelves.persons.get_mut(key).filter(|person| person.tokens == *pair) {
            Some(person) => {
                write(person);
                true
            }
            None => false,
        }
    }

    /// The access token for a push.
    pub(super) fn access(&self, key: &PersonKey) -> Option<Secret<String>> {
        self.lock().persons.get(key).map(|person| person.tokens.access.value.clone())
    }

    /// A token that some person of the contract can use now, for a probe.
    pub(super) fn any_access(&self, contract: &crate::model::ContractName, now: Timestamp) -> Option<Secret<String>> {
        let shelves = self.lock();
        let usable = shelves.persons.values().find(|person| {
            person.contract == *contract && person.state == TokenState::Fresh && person.tokens.access.expiry > now
        });
        usable.map(|person| person.tokens.access.value.clone())
    }
}

/// How a person's tokens stand now.
pub(super) fn standing(person: &Person, now: Timestamp) -> PersonStanding {
    match person.state {
        TokenState::Fresh => PersonStanding::Fresh(times(person, now)),
        TokenState::Rotating => PersonStanding::Rotating,
        TokenState::Paused { .. } => PersonStanding::Paused,
    }
}

fn times(person: &Person, now: Timestamp) -> TokenTimes {
    let pair = &person.tokens;
    let (access, refresh) = (pair.access.expiry.since(now), pair.refresh.expiry.since(now));
    TokenTimes { access, refresh, age: now.since(person.updated) }
}

/// Hands the writes over; the result resolves with their flush.
pub(super) fn commit(writer: &Writer, writes: Vec<Write>) -> oneshot::Receiver<()> {
    let (done, flushed) = oneshot::channel();
    writer.commit(writes, Box::new(move || done.send(()).unwrap_or_default()));
    flushed
}

/// How a refresh ended, and of which pair that is said.
#[derive(Debug)]
pub(super) struct Renewal {
    pub(super) outcome: RefreshOutcome,
    pub(super) pair: TokenPair,
}

/// Renews one person's tokens; the engine sees to it that no two of these run for one person. `None` where there is
/// nothing to renew, or other tokens came meanwhile.
pub(super) async fn renew(vault: &Vault, writer: &Writer, client: &Arc<Client>, key: &PersonKey) -> Option<Renewal> {
    let person = vault.person(key)?;
    let pair = &person.tokens;
    let mut marked = None;
    vault.write_of(key, pair, |person| {
        let rotating = Person { state: TokenState::Rotating, updated: Timestamp::now(), ..person.clone() };
        marked = Some(commit(writer, vec![Write::Person(rotating)]));
    });
    let ended = |outcome| Some(Renewal { outcome, pair: pair.clone() });
    if marked?.await.is_err() {
        return ended(RefreshOutcome::Later { after: None, why: "the store does not answer".to_owned() });
    }
    faults::pass("refresh.begin");
    let refreshed = client.refresh(pair.refresh.value.clone()).await;
    faults::pass("refresh.answered");
    match refreshed {
        Refreshed::Renewed(tokens) if tokens.person != person.id => ended(RefreshOutcome::Paused {
            why: "the API answered with another person's token, which was not kept".to_owned(),
        }),
        Refreshed::Renewed(tokens) => {
            let now = Timestamp::now();
            let consent_id = tokens.consent_id.or_else(|| person.consent_id.clone());
            let renewed =
                Person { tokens: tokens.pair, state: TokenState::Fresh, consent_id, updated: now, ..person.clone() };
            let mut written = None;
            vault.write_of(key, pair, |_| written = Some(commit(writer, vec![Write::Person(renewed.clone())])));
            if written?.await.is_err() {
                return ended(RefreshOutcome::Lost);
            }
            faults::pass("refresh.kept");
            let renewal =
                Renewal { outcome: RefreshOutcome::Renewed(times(&renewed, now)), pair: renewed.tokens.clone() };
            vault.write_of(key, pair, |person| *person = renewed).then_some(renewal)
        }
        Refreshed::Spent { why } | Refreshed::Untrusted { why } => ended(RefreshOutcome::Paused { why }),
        Refreshed::Later { after, why } => {
            unmark(vault, writer, &person);
            ended(RefreshOutcome::Later { after, why })
        }
        Refreshed::Refused { why } => {
            unmark(vault, writer, &person);
            ended(RefreshOutcome::Refused { why })
        }
        Refreshed::DestinationPaused { why } => {
            unmark(vault, writer, &person);
            ended(RefreshOutcome::DestinationPaused { why })
        }
        Refreshed::Lost => ended(RefreshOutcome::Lost),
    }
}

/// Nothing was spent. Without this write a next start would only try the same pair once.
fn unmark(vault: &Vault, writer: &Writer, person: &Person) {
    let key = PersonKey { contract: person.contract.clone(), person: person.id.clone() };
    let person = Person { state: TokenState::Fresh, ..person.clone() };
    vault.write_of(&key, &person.tokens, |_| writer.commit_lazily(vec![Write::Person(person.clone())]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TokenValue;

    fn person(token: &str) -> Person {
        let value = |kind: &str| TokenValue {
            value: Secret::new(format!("{kind}-{token}")),
            expiry: Timestamp::from_seconds(60),
        };
        Person {
            contract: "main".parse().unwrap(),
            id: "alex".parse().unwrap(),
            tokens: TokenPair { access: value("access"), refresh: value("refresh") },
            state: TokenState::Fresh,
            consent_id: None,
            updated: Timestamp::from_seconds(20),
        }
    }

    #[test]
    fn nothing_is_written_about_a_pair_that_another_has_replaced() {
        let (vault, old, new) = (Vault::default(), person("old"), person("new"));
        let key = vault.keep(old.clone());
        let pause = |person: &mut Person| person.state = TokenState::Rotating;
        let mut handed_over = false;
        vault.arrive([key.clone()], || handed_over = true);
        assert!(handed_over);
        assert!(!vault.write_of(&key, &old.tokens, pause), "the new pair is on its way to the disk");
        assert_eq!(vault.access(&key), Some(old.tokens.access.value.clone()), "a pair is used once it is on disk");
        vault.keep(new.clone());
        assert!(!vault.write_of(&key, &old.tokens, pause));
        assert_eq!(vault.person(&key), Some(new.clone()));
        assert!(vault.write_of(&key, &new.tokens, pause));
        assert_eq!(vault.person(&key).unwrap().state, TokenState::Rotating);
    }

    #[test]
    fn a_pairs_age_is_counted_from_when_it_came() {
        let now = Timestamp::from_seconds(50);
        let PersonStanding::Fresh(times) = standing(&person("x"), now) else { panic!("it is fresh") };
        let seconds = std::time::Duration::from_secs;
        assert_eq!((times.refresh, times.age), (seconds(10), seconds(30)));
    }
}
