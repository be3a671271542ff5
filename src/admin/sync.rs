//! Reading persons' accounts from the API: what is new, what changed, what is no longer there.

use super::{
    desk::{Desk, Refusal, text},
    hands::Hands,
    protocol::Answer,
};
use crate::{
    engine::PersonKey,
    model::{Account, AccountId, ContractName, Person, PersonId, Secret, Timestamp},
    push::{ApiAccount, Client},
    store::Write,
};
use std::collections::BTreeMap;

/// A contract's accounts as the records have them while persons are gone through one after another.
#[derive(Debug, Default)]
pub(super) struct Known {
    by_id: BTreeMap<AccountId, Account>,
    by_person: BTreeMap<PersonId, Vec<AccountId>>,
}

impl Known {
    fn new(accounts: Vec<Account>) -> Self {
        let mut known = Self::default();
        for account in accounts {
            known.by_person.entry(account.person.clone()).or_default().push(account.id.clone());
            known.by_id.insert(account.id.clone(), account);
        }
        known
    }

    fn of<'a>(&'a self, person: &'a PersonId) -> impl Iterator<Item = &'a Account> {
        let ids = self.by_person.get(person).into_iter().flatten();
        // One that another person's list has meanwhile is no longer this one's.
        ids.filter_map(|id| self.by_id.get(id)).filter(move |account| account.person == *person)
    }
}

/// What a list of the API changes in the records of one person's accounts.
#[derive(Debug, Default)]
pub(super) struct Synced {
    /// Only what changes.
    pub(super) writes: Vec<Write>,
    /// All that are listed, as they are recorded from now on.
    pub(super) listed: Vec<Account>,
    /// How many are known and no longer listed.
    pub(super) gone: usize,
}

/// Compares the records of a person's accounts with what the API lists.
///
/// An account that is no longer listed keeps its record and is blocked, so that its Bundles wait for it to come back;
/// only where another account has taken its reference it is forgotten, because a reference means one account.
fn compare(known: &Known, listed: Vec<ApiAccount>, person: &Person, now: Timestamp) -> Synced {
    let mut synced = Synced::default();
    for account in known.of(&person.id) {
        if listed.iter().any(|found| found.id == account.id) {
            continue;
        }
        if listed.iter().any(|found| found.reference == account.reference) {
            let (contract, account) = (account.contract.clone(), account.id.clone());
            synced.writes.push(Write::RemoveAccount { contract, account });
            continue;
        }
        synced.gone += 1;
        if account.blocked.as_deref() != Some(Account::NOT_LISTED) {
            let blocked = Some(Account::NOT_LISTED.to_owned());
            synced.writes.push(Write::Account(Account { blocked, updated: now, ..account.clone() }));
        }
    }
    for found in listed {
        let before = known.by_id.get(&found.id);
        let account = Account {
            contract: person.contract.clone(),
            person: person.id.clone(),
            id: found.id,
            reference: found.reference,
            service: found.service,
            authorised: found.authorised,
            blocked: None,
            updated: before.map_or(now, |before| before.updated),
        };
        if before == Some(&account) {
            synced.listed.push(account);
            continue;
        }
        let account = Account { updated: now, ..account };
        synced.writes.push(Write::Account(account.clone()));
        synced.listed.push(account);
    }
    synced
}

/// What is done about a person whose access token is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    /// It is renewed: somebody asked for the accounts.
    Renew,
    /// The person is left out until something else renews it: each refresh whose answer is lost costs the person a
    /// new authorisation, and nobody waits for this.
    Skip,
}

impl<H: Hands> Desk<H> {
    /// Reads the accounts of every person of a contract.
    pub(super) async fn sync_accounts(&self, contract: &ContractName, stale: Stale) -> Result<Answer, Refusal> {
        let client = self.client(contract)?;
        let persons = self.store.persons(Some(contract)).map_err(text)?;
        if persons.is_empty() {
            let remedy = format!("pushbridge authorize --contract {contract} (or tokens import) first");
            return Err(format!("contract {contract} has no persons yet: {remedy}").into());
        }
        let (mut kept, mut gone) = (0, 0);
        let (mut paused, mut failed) = (Vec::new(), Vec::new());
        let now = Timestamp::now();
        let mut known = Known::new(self.store.accounts(Some(contract)).map_err(text)?);
        for person in persons {
            if stale == Stale::Skip && person.tokens.access.expiry <= now {
                continue;
            }
            if person.paused_because().is_some() {
                paused.push(format!("{}: {}", person.id, person.remedy()));
                continue;
            }
            // One person's trouble keeps nobody else's accounts from being read.
            match self.compared(client, &person, stale, &mut known).await {
                Ok(synced) => {
                    kept += synced.listed.len();
                    gone += synced.gone;
                }
                Err(refusal) => failed.push(refusal.text),
            }
        }
        let mut told = format!("{kept} accounts kept, {gone} no longer listed");
        if !paused.is_empty() {
            told = format!("{told}; not read, because these persons must authorise again: {}", paused.join(", "));
        }
        match failed.first() {
            None if kept == 0 && !paused.is_empty() => Err(told.into()),
            None => Ok(Answer::Done { text: told }),
            Some(first) => {
                Err(Refusal { text: format!("{told}; {} persons not read: {first}", failed.len()), api: true })
            }
        }
    }

    /// Reads one person's accounts and keeps what changed.
    pub(super) async fn sync_person(&self, client: &Client, person: &Person) -> Result<Synced, Refusal> {
        let mut known = Known::new(self.store.accounts(Some(&person.contract)).map_err(text)?);
        self.compared(client, person, Stale::Renew, &mut known).await
    }

    async fn compared(
        &self,
        client: &Client,
        person: &Person,
        stale: Stale,
        known: &mut Known,
    ) -> Result<Synced, Refusal> {
        let listed = self.list_accounts(client, person, stale).await?;
        let mut synced = compare(known, listed, person, Timestamp::now());
        if !synced.writes.is_empty() {
            self.hands.write(std::mem::take(&mut synced.writes)).await?;
        }
        for account in &synced.listed {
            known.by_id.insert(account.id.clone(), account.clone());
        }
        Ok(synced)
    }

    async fn list_accounts(&self, client: &Client, person: &Person, stale: Stale) -> Result<Vec<ApiAccount>, Refusal> {
        let refused = |why: &str, remedy: &str| Refusal {
            text: format!("the accounts of {} could not be read: {why}{remedy}", person.id),
            api: true,
        };
        match client.accounts(&person.tokens.access.value).await {
            Ok(listed) => Ok(listed),
            Err(failure) if failure.is_token_stale() && stale == Stale::Renew => {
                let access = self.renewed_access(person).await;
                let access = access.map_err(|why| refused(&failure.to_string(), &format!("; {why}")))?;
                client.accounts(&access).await.map_err(|failure| refused(&failure.to_string(), ""))
            }
            Err(failure) => Err(refused(&failure.to_string(), "")),
        }
    }

    /// The access token that follows one which the API no longer takes.
    pub(super) async fn renewed_access(&self, person: &Person) -> Result<Secret<String>, String> {
        let key = PersonKey { contract: person.contract.clone(), person: person.id.clone() };
        self.hands.renewed(key).await?;
        let person = self.store.person(&person.contract, &person.id).map_err(text)?;
        let person = person.ok_or("its tokens were removed")?;
        match person.paused_because() {
            Some(why) => Err(format!("{why}; {}", person.remedy())),
            None => Ok(person.tokens.access.value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TokenPair, TokenState, TokenValue};

    const NOW: Timestamp = Timestamp::from_millis(9);

    fn person() -> Person {
        let token = TokenValue { value: Secret::new("t".to_owned()), expiry: NOW };
        Person {
            contract: "main".parse().unwrap(),
            id: "alex".parse().unwrap(),
            tokens: TokenPair { access: token.clone(), refresh: token },
            state: TokenState::Fresh,
            consent_id: None,
            updated: NOW,
        }
    }

    fn listed(id: &str, reference: &str) -> ApiAccount {
        let (id, reference) = (id.parse().unwrap(), reference.parse().unwrap());
        ApiAccount { id, reference, service: None, authorised: true }
    }

    fn known(id: &str, reference: &str) -> Account {
        compare(&Known::default(), vec![listed(id, reference)], &person(), Timestamp::from_millis(1)).listed.remove(0)
    }

    fn sync(known: Vec<Account>, listed: Vec<ApiAccount>) -> Synced {
        compare(&Known::new(known), listed, &person(), NOW)
    }

    #[test]
    fn what_did_not_change_is_not_written() {
        let synced = sync(vec![known("1", "r1")], vec![listed("1", "r1")]);
        assert!(synced.writes.is_empty());
        assert_eq!(synced.listed, [known("1", "r1")]);
    }

    #[test]
    fn an_account_that_vanishes_is_blocked_once_and_free_when_it_is_back() {
        let synced = sync(vec![known("1", "r1"), known("2", "r2")], vec![listed("2", "r2")]);
        let [Write::Account(gone)] = &synced.writes[..] else { panic!("one write: {:?}", synced.writes) };
        assert_eq!((synced.gone, gone.id.as_str(), gone.blocked_because()), (1, "1", Some(Account::NOT_LISTED)));
        let again = sync(vec![gone.clone()], Vec::new());
        assert!(again.writes.is_empty() && again.gone == 1);
        let back = sync(vec![gone.clone()], vec![listed("1", "r1")]);
        let [Write::Account(back)] = &back.writes[..] else { panic!("one write: {:?}", back.writes) };
        assert_eq!(back.blocked_because(), None);
    }

    #[test]
    fn a_reference_that_moves_to_another_account_never_means_two() {
        let synced = sync(vec![known("1", "r1")], vec![listed("7", "r1")]);
        assert!(matches!(&synced.writes[0], Write::RemoveAccount { account, .. } if account.as_str() == "1"));
        assert!(matches!(&synced.writes[1], Write::Account(account) if account.id.as_str() == "7"));
    }

    #[test]
    fn another_persons_accounts_are_left_alone() {
        let other = Account { person: "robin".parse().unwrap(), ..known("1", "r1") };
        let synced = sync(vec![other.clone()], vec![listed("2", "r2")]);
        assert_eq!((synced.writes.len(), synced.gone), (1, 0));
        // It was this person's when all began, and the other's list has it since.
        let mut moved = Known::new(vec![known("1", "r1")]);
        moved.by_id.insert(other.id.clone(), other);
        let synced = compare(&moved, Vec::new(), &person(), NOW);
        assert_eq!((synced.writes.len(), synced.gone), (0, 0));
    }
}
