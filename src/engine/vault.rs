//! The tokens in use, and their renewal: flushed as `Rotating` before the old pair is spent, and the new
//! pair flushed before its first use.
//!
//! A refresh, an import and a pause may meet. Every write of a person is asked for under the vault's lock, so that the
//! disk ends with what the vault has; and what a refresh brings for a pair that was replaced meanwhile is not kept.

use super::event::{PersonKey, PersonStanding, RefreshOutcome, TokenTimes};
use crate::{
    faults,
    model::{ContractName, Person, Secret, Timestamp, TokenPair, TokenState},
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
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    /// As the disk has them.
    persons: BTreeMap<PersonKey, Person>,
    /// Whose tokens a command brings or removes, how often: a refresh of the old ones writes nothing about them any
    /// more.
    arriving: BTreeMap<PersonKey, u32>,
}

impl Shelves {
    fn has_arrived(&mut self, key: &PersonKey) {
        if let Some(count) = self.arriving.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.arriving.remove(key);
            }
        }
    }
}

/// What follows from the answer to a refresh.
pub(super) struct Concluded {
    /// To be told once `renewed` is on the disk.
    pub(super) outcome: RefreshOutcome,
    /// The person with the new pair, being written.
    pub(super) renewed: Option<Person>,
}

/// How a refresh ended, and of which pair that is said.
#[derive(Debug)]
pub(super) struct Renewal {
    pub(super) outcome: RefreshOutcome,
    pub(super) pair: TokenPair,
}

impl Vault {
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the store has at the start.
    pub(super) fn keep(&self, person: Person) -> PersonKey {
        let key = key(&person);
        self.lock().persons.insert(key.clone(), person);
        key
    }

    /// A command brings or removes tokens: its writes go to the disk by `commit`, and nothing older can be written
    /// behind them. The old ones are used until [`Vault::arrived`] or [`Vault::forget`].
    pub(super) fn arrive(&self, writes: &[Write], commit: impl FnOnce()) {
        let mut shelves = self.lock();
        for write in writes {
            let key = match write {
                Write::Person(person) => key(person),
                Write::RemovePerson { contract, person } => {
                    PersonKey { contract: contract.clone(), person: person.clone() }
                }
                _ => continue,
            };
            *shelves.arriving.entry(key).or_default() += 1;
        }
        commit();
    }

    /// A command's tokens are on the disk and count from now on.
    pub(super) fn arrived(&self, person: Person) -> PersonKey {
        let key = key(&person);
        let mut shelves = self.lock();
        shelves.has_arrived(&key);
        shelves.persons.insert(key.clone(), person);
        key
    }

    /// A command's removal is on the disk.
    pub(super) fn forget(&self, key: &PersonKey) {
        let mut shelves = self.lock();
        shelves.has_arrived(key);
        shelves.persons.remove(key);
    }

    fn person(&self, key: &PersonKey) -> Option<Person> {
        self.lock().persons.get(key).cloned()
    }

    /// Lets `write` hand the person's record to the writer unless other tokens have come or are coming; the write is
    /// in the writer's order before any that comes later. `pair` is the one that the change was begun with.
    fn write_of(&self, key: &PersonKey, pair: &TokenPair, write: impl FnOnce(&mut Person)) -> bool {
        let mut shelves = self.lock();
        if shelves.arriving.contains_key(key) {
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
    pub(super) fn any_access(&self, contract: &ContractName, now: Timestamp) -> Option<Secret<String>> {
        let shelves = self.lock();
        let usable = shelves.persons.values().find(|person| {
            person.contract == *contract && person.state == TokenState::Fresh && person.tokens.access.expiry > now
        });
        usable.map(|person| person.tokens.access.value.clone())
    }

    /// A refresh begins: `write` is what is to be flushed before its request leaves. `None` where there is nothing to
    /// renew, or other tokens are coming.
    pub(super) fn begin(&self, key: &PersonKey, now: Timestamp, write: impl FnOnce(&Person)) -> Option<Person> {
        let person = self.person(key)?;
        let rotating = Person { state: TokenState::Rotating, updated: now, ..person.clone() };
        self.write_of(key, &person.tokens, |_| write(&rotating)).then_some(person)
    }

    /// What follows from a refresh's answer; `write` is called where that changes the person's record. `None` where a
    /// new pair came too late: other tokens have come or are coming.
    pub(super) fn conclude(
        &self,
        began: &Person,
        refreshed: Refreshed,
        now: Timestamp,
        write: impl FnOnce(&Person),
    ) -> Option<Concluded> {
        let (outcome, record) = match refreshed {
            Refreshed::Renewed(tokens) if tokens.person != began.id => {
                let why = "the API answered with another person's token, which was not kept".to_owned();
                (RefreshOutcome::Paused { why }, None)
            }
            Refreshed::Renewed(tokens) => {
                let consent_id = tokens.consent_id.or_else(|| began.consent_id.clone());
                let renewed =
                    Person { tokens: tokens.pair, state: TokenState::Fresh, consent_id, updated: now, ..began.clone() };
                let written = self.write_of(&key(began), &began.tokens, |_| write(&renewed));
                let outcome = RefreshOutcome::Renewed(times(&renewed, now));
                return written.then_some(Concluded { outcome, renewed: Some(renewed) });
            }
            Refreshed::Spent { why } | Refreshed::Untrusted { why } => (RefreshOutcome::Paused { why }, None),
            Refreshed::Lost => (RefreshOutcome::Lost, None),
            // Nothing was spent. Without a write a next start would only try the same pair once.
            Refreshed::Later { after, why } => (RefreshOutcome::Later { after, why }, Some(TokenState::Fresh)),
            Refreshed::Refused { why } => (RefreshOutcome::Refused { why }, Some(TokenState::Fresh)),
            Refreshed::DestinationPaused { why } => {
                (RefreshOutcome::DestinationPaused { why }, Some(TokenState::Fresh))
            }
        };
        if let Some(state) = record {
            self.write_of(&key(began), &began.tokens, |_| write(&Person { state, ..began.clone() }));
        }
        Some(Concluded { outcome, renewed: None })
    }

    /// The new pair is on the disk and used from now on, unless other tokens have come or are coming.
    pub(super) fn renewed(&self, began: &Person, renewed: Person) -> bool {
        self.write_of(&key(began), &began.tokens, |person| *person = renewed)
    }

    /// What the engine is told: what became of a pair says nothing of one that has taken its place.
    pub(super) fn outcome(&self, key: &PersonKey, renewal: Option<Renewal>) -> RefreshOutcome {
        let present = renewal.filter(|renewal| self.write_of(key, &renewal.pair, |_| ()));
        present.map_or(RefreshOutcome::Superseded, |renewal| renewal.outcome)
    }

    /// The person must authorise again, unless somebody has just brought new tokens.
    pub(super) fn pause(&self, key: &PersonKey, why: String, now: Timestamp, write: impl FnOnce(&Person)) {
        let Some(person) = self.person(key) else { return };
        self.write_of(key, &person.tokens, |person| {
            (person.state, person.updated) = (TokenState::Paused { why, since: now }, now);
            write(person);
        });
    }
}

fn key(person: &Person) -> PersonKey {
    PersonKey { contract: person.contract.clone(), person: person.id.clone() }
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

/// Renews one person's tokens; the engine sees to it that no two of these run for one person. `None` where there is
/// nothing to renew, or other tokens came meanwhile.
pub(super) async fn renew(vault: &Vault, writer: &Writer, client: &Arc<Client>, key: &PersonKey) -> Option<Renewal> {
    let (done, marked) = oneshot::channel();
    let person = vault.begin(key, Timestamp::now(), |person| commit(writer, person, done))?;
    let ended = |outcome| Some(Renewal { outcome, pair: person.tokens.clone() });
    if marked.await.is_err() {
        return ended(RefreshOutcome::Later { after: None, why: "the store does not answer".to_owned() });
    }
    faults::pass("refresh.begin");
    let refreshed = client.refresh(person.tokens.refresh.value.clone()).await;
    faults::pass("refresh.answered");
    let (done, kept) = oneshot::channel();
    let concluded = vault.conclude(&person, refreshed, Timestamp::now(), |person| commit(writer, person, done))?;
    let Some(renewed) = concluded.renewed else { return ended(concluded.outcome) };
    if kept.await.is_err() {
        return ended(RefreshOutcome::Lost);
    }
    faults::pass("refresh.kept");
    let pair = renewed.tokens.clone();
    vault.renewed(&person, renewed).then_some(Renewal { outcome: concluded.outcome, pair })
}

fn commit(writer: &Writer, person: &Person, done: oneshot::Sender<()>) {
    writer.commit(vec![Write::Person(person.clone())], Box::new(move || done.send(()).unwrap_or_default()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::TokenValue, push::Tokens};

    const NOW: Timestamp = Timestamp::from_millis(50_000);

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

    fn renewed(pair: &str) -> Refreshed {
        let Person { tokens, id, .. } = person(pair);
        Refreshed::Renewed(Tokens { pair: tokens, person: id, consent_id: None })
    }

    fn removal(person: &Person) -> Write {
        Write::RemovePerson { contract: person.contract.clone(), person: person.id.clone() }
    }

    #[test]
    fn nothing_is_written_about_a_pair_that_another_has_replaced() {
        let (vault, old, new) = (Vault::default(), person("old"), person("new"));
        let key = vault.keep(old.clone());
        let pause = |person: &mut Person| person.state = TokenState::Rotating;
        let mut handed_over = false;
        vault.arrive(&[Write::Person(new.clone())], || handed_over = true);
        assert!(handed_over);
        assert!(!vault.write_of(&key, &old.tokens, pause), "the new pair is on its way to the disk");
        assert_eq!(vault.access(&key), Some(old.tokens.access.value.clone()), "a pair is used once it is on disk");
        vault.arrived(new.clone());
        assert!(!vault.write_of(&key, &old.tokens, pause));
        assert_eq!(vault.person(&key), Some(new.clone()));
        assert!(vault.write_of(&key, &new.tokens, pause));
        assert_eq!(vault.person(&key).unwrap().state, TokenState::Rotating);
    }

    #[test]
    fn of_two_commands_on_their_way_the_first_is_not_renewed_before_the_second_is_there() {
        let (vault, first, second) = (Vault::default(), person("first"), person("second"));
        let key = vault.keep(person("old"));
        for person in [&first, &second] {
            vault.arrive(&[Write::Person(person.clone())], || {});
        }
        vault.arrived(first);
        assert_eq!(vault.begin(&key, NOW, |_| panic!("the second is on its way")), None);
        vault.arrived(second.clone());
        assert_eq!(vault.begin(&key, NOW, |_| {}), Some(second));
    }

    #[test]
    fn what_a_refresh_brings_for_a_pair_that_was_replaced_or_removed_is_not_kept() {
        let new = person("imported");
        for command in [Write::Person(new.clone()), removal(&new)] {
            for refreshed in [renewed("of the old one"), Refreshed::Spent { why: String::new() }, Refreshed::Lost] {
                let vault = Vault::default();
                let key = vault.keep(person("old"));
                let began = vault.begin(&key, NOW, |_| {}).unwrap();
                vault.arrive(std::slice::from_ref(&command), || {});
                let concluded = vault.conclude(&began, refreshed, NOW, |_| panic!("the command stands on the disk"));
                let ended = |concluded: Concluded| Renewal { outcome: concluded.outcome, pair: began.tokens.clone() };
                assert_eq!(vault.outcome(&key, concluded.map(ended)), RefreshOutcome::Superseded);
            }
        }
    }

    #[test]
    fn a_pause_does_not_touch_tokens_that_are_being_imported() {
        let vault = Vault::default();
        let key = vault.keep(person("old"));
        vault.arrive(&[Write::Person(person("imported"))], || {});
        vault.pause(&key, String::new(), NOW, |_| panic!("the import stands on the disk"));
        vault.arrived(person("imported"));
        let mut written = None;
        vault.pause(&key, String::new(), NOW, |person| written = Some(person.clone()));
        assert!(matches!(written.unwrap().state, TokenState::Paused { .. }));
    }

    #[test]
    fn a_pairs_age_is_counted_from_when_it_came() {
        let PersonStanding::Fresh(times) = standing(&person("x"), NOW) else { panic!("it is fresh") };
        let seconds = std::time::Duration::from_secs;
        assert_eq!((times.refresh, times.age), (seconds(10), seconds(30)));
    }
}
