//! Authorising a person, in two questions: one makes the link, the other takes the address that the person was sent
//! back to. Between them nothing is kept here: whoever asks keeps what [`Begun`] says.

use super::{
    desk::{Desk, Refusal, text},
    hands::Hands,
    protocol::{Answer, Authorised, Begun, Invite, Whom},
};
use crate::{
    model::{Account, ContractName, Person, PersonId, Secret, Timestamp, TokenState},
    push::{Authorisation, Callback, Client, Failure, Granted, Invitation},
    store::Write,
};

/// Whom a word names.
enum Named {
    Person(Person),
    Account(Account, Person),
}

impl<H: Hands> Desk<H> {
    /// Makes the link of a first authorisation, or of one more service.
    pub(super) async fn begin(&self, contract: ContractName, invite: &Invite) -> Result<Answer, Refusal> {
        let begun = self.client(&contract)?.authorize(&invitation(invite)).await.map_err(|failure| api(&failure))?;
        Ok(answer(contract, Whom::Anybody, begun, None))
    }

    /// Makes the link by which a person, or one account, is authorised again.
    pub(super) async fn begin_again(
        &self,
        word: &str,
        contract: Option<&ContractName>,
        invite: &Invite,
    ) -> Result<Answer, Refusal> {
        match self.named(word, contract)? {
            Named::Person(person) => self.person_again(person, None, invite).await,
            Named::Account(_, person) if person.paused_because().is_some() => {
                let note = "its person's tokens are over, so the person authorises again first".to_owned();
                self.person_again(person, Some(note), invite).await
            }
            Named::Account(account, person) => self.account_again(account, &person, invite).await,
        }
    }

    async fn person_again(&self, person: Person, note: Option<String>, invite: &Invite) -> Result<Answer, Refusal> {
        let client = self.client(&person.contract)?;
        let whom = Whom::Person { person: person.id.clone() };
        match client.reauthorize_person(&invitation(invite), &person.tokens.access.value).await {
            Ok(begun) => Ok(answer(person.contract, whom, begun, note)),
            // It does not know the person by that token any more: it is asked as for the first time, and the answer
            // must be this person's all the same.
            Err(failure) if failure.is_token_stale() => {
                let begun = client.authorize(&invitation(invite)).await.map_err(|failure| api(&failure))?;
                let note = "the API no longer knows the person by the old token: the link asks as for the first time, \
                            and the person chooses the same service again"
                    .to_owned();
                Ok(answer(person.contract, whom, begun, Some(note)))
            }
            Err(failure) => Err(api(&failure)),
        }
    }

    async fn account_again(&self, account: Account, person: &Person, invite: &Invite) -> Result<Answer, Refusal> {
        let client = self.client(&person.contract)?;
        let (invitation, reference) = (invitation(invite), &account.reference);
        let access = &person.tokens.access.value;
        let begun = match client.reauthorize_account(&invitation, access, reference).await {
            Err(failure) if failure.is_token_stale() => {
                let access = self.renewed_access(person).await;
                let access = access.map_err(|why| Refusal { text: format!("{failure}; {why}"), api: true })?;
                client.reauthorize_account(&invitation, &access, reference).await
            }
            begun => begun,
        };
        let whom = Whom::Account { person: account.person, reference: account.reference };
        Ok(answer(account.contract, whom, begun.map_err(|failure| api(&failure))?, None))
    }

    /// The one person or account that goes by this word.
    fn named(&self, word: &str, contract: Option<&ContractName>) -> Result<Named, Refusal> {
        let several = || format!("{word} is known under several contracts: say which by --contract");
        let mut persons = self.store.persons(contract).map_err(text)?;
        persons.retain(|person| person.id.as_str() == word);
        match (persons.pop(), persons.is_empty()) {
            (Some(person), true) => return Ok(Named::Person(person)),
            (Some(_), false) => return Err(several().into()),
            (None, _) => {}
        }
        let mut accounts = self.store.accounts(contract).map_err(text)?;
        accounts.retain(|account| account.reference.as_str() == word || account.id.as_str() == word);
        match (accounts.pop(), accounts.is_empty()) {
            (Some(account), true) => {
                let person = self.store.person(&account.contract, &account.person).map_err(text)?;
                let person = person.ok_or_else(|| {
                    format!(
                        "no tokens of the account's person are known; begin with pushbridge authorize --contract {}",
                        account.contract
                    )
                })?;
                Ok(Named::Account(account, person))
            }
            (Some(_), false) => Err(several().into()),
            (None, _) => Err("no person and no account is called that; pushbridge tokens status and pushbridge \
                              accounts ls list them"
                .to_owned()
                .into()),
        }
    }

    /// Takes the address that the person was sent back to: tokens first, on disk before their first use, then accounts.
    /// A refusal means that the same address may work later.
    pub(super) async fn finish(&self, begun: &Begun, callback: &Secret<String>) -> Result<Answer, Refusal> {
        let client = self.client(&begun.contract)?;
        let granted = Callback::read(callback.expose()).and_then(|callback| callback.granted(&begun.state));
        let granted = match granted {
            Ok(granted) => granted,
            Err(error) => return Ok(Answer::NotAuthorised { text: error.to_string(), api: false }),
        };
        let person = match self.tokens_of(client, begun, &granted).await? {
            Ok(person) => person,
            Err(Refusal { text, api }) => return Ok(Answer::NotAuthorised { text, api }),
        };
        let mut authorised = Authorised {
            contract: person.contract.clone(),
            person: person.id.clone(),
            account: None,
            accounts: Vec::new(),
            trouble: None,
        };
        match self.sync_person(client, &person).await {
            Ok(synced) => {
                let meant = match &begun.whom {
                    Whom::Account { reference, .. } => Some(reference),
                    Whom::Anybody | Whom::Person { .. } => granted.reference.as_ref(),
                };
                let is_meant = |account: &&Account| Some(&account.reference) == meant;
                authorised.account = synced.listed.iter().find(is_meant).cloned();
                authorised.trouble = match (meant, &authorised.account) {
                    (Some(reference), None) => Some(format!(
                        "the API does not list the account {reference} yet; in a moment: pushbridge accounts sync \
                         --contract {}",
                        person.contract
                    )),
                    (_, Some(account)) => {
                        account.blocked_because().map(|why| format!("the account {}: {why}", account.reference))
                    }
                    (None, None) => None,
                };
                authorised.accounts = synced.listed;
            }
            Err(refusal) => {
                let contract = &person.contract;
                authorised.trouble = Some(format!(
                    "the tokens are kept, and {}; when the API answers: pushbridge accounts sync --contract {contract}",
                    refusal.text
                ));
            }
        }
        Ok(Answer::Authorised(Box::new(authorised)))
    }

    /// Exchanges the code and keeps the tokens, if they are the right person's. The inner error is the last word: the
    /// code is spent.
    async fn tokens_of(
        &self,
        client: &Client,
        begun: &Begun,
        granted: &Granted,
    ) -> Result<Result<Person, Refusal>, Refusal> {
        let known = |person: &PersonId| self.store.person(&begun.contract, person).map_err(text);
        let Some(code) = &granted.code else {
            // One account at its provider: the person's own tokens stay as they are.
            let person = if let Whom::Account { person, .. } = &begun.whom { known(person)? } else { None };
            return Ok(person.ok_or_else(|| "the callback has no code; begin again".to_owned().into()));
        };
        // From the answer on, only we have these tokens.
        let hold = self.hands.hold().await?;
        let tokens = match client.exchange_code(code, &begun.verifier).await {
            Ok(tokens) => tokens,
            Err(failure) if may_work_later(&failure) => return Err(api(&failure)),
            Err(failure) => return Ok(Err(api(&failure))),
        };
        if begun.whom.person().is_some_and(|expected| *expected != tokens.person) {
            let text = "somebody else has answered: these are another person's tokens, and they were not kept; begin \
                        again, and let the right person sign in";
            return Ok(Err(text.to_owned().into()));
        }
        let person = Person {
            contract: begun.contract.clone(),
            id: tokens.person,
            tokens: tokens.pair,
            state: TokenState::Fresh,
            consent_id: tokens.consent_id,
            updated: Timestamp::now(),
        };
        let kept = self.hands.write(vec![Write::Person(person.clone())]).await;
        drop(hold);
        Ok(match kept {
            Ok(()) => Ok(person),
            Err(why) => Err(format!("the tokens could not be kept: {why}; begin again").into()),
        })
    }
}

/// Whether the code is still good after this: it never got there, or the API says that it is busy.
fn may_work_later(failure: &Failure) -> bool {
    match failure {
        Failure::NoConnection(_) => true,
        Failure::Status { status: 408 | 429 | 503, .. } => true,
        failure => failure.is_set_up_refused(),
    }
}

fn invitation(invite: &Invite) -> Invitation<'_> {
    Invitation { callback: &invite.callback, service: invite.service.as_deref(), locale: invite.locale.as_deref() }
}

fn answer(contract: ContractName, whom: Whom, begun: Authorisation, note: Option<String>) -> Answer {
    let Authorisation { url, verifier, state } = begun;
    Answer::Begun { url, begun: Box::new(Begun { contract, whom, state, verifier }), note }
}

fn api(failure: &Failure) -> Refusal {
    let remedy = match failure {
        Failure::Status { code: Some(code), .. } if code == "InvalidRedirectUri" => {
            "; the contract does not allow this callback address: choose one that it allows, by --listen and --public-url"
        }
        Failure::Status { code: Some(code), .. } if code == "InvalidCode" => "; the code is used or over: begin again",
        _ => "",
    };
    Refusal { text: format!("the authorisation could not go on: {failure}{remedy}"), api: true }
}
