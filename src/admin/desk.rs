//! Answers questions from the store, and hands decisions to whoever may carry them out.

mod deeds;
mod status;

use super::{
    audit::{Audit, Caller},
    hands::Hands,
    protocol::{Answer, Decided, LinkView, Obstacle, Question, Recorded, Selector},
    select::select,
    sync::Stale,
};
use crate::{
    engine::{PersonKey, Verb},
    intake::Spool,
    model::{
        Account, ChannelName, ContractName, EvidenceKind, HashKey, Link, LinkValue, Person, PersonId, Retention,
        Sealer, Stage, Submission, Timestamp, TokenState,
    },
    push::Client,
    store::{Source, Store, StoreError, Write, backup, fill_new_file},
};
use deeds::decision;
pub use status::channel_status;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// Where questions are answered.
pub struct Desk<H> {
    /// The records.
    pub store: Arc<dyn Store>,
    /// Of names and identifiers.
    pub hash_key: Arc<HashKey>,
    /// Seals backups.
    pub sealer: Arc<Sealer>,
    /// Every channel's folders.
    pub spools: BTreeMap<ChannelName, Spool>,
    /// A client for each contract.
    pub clients: BTreeMap<ContractName, Arc<Client>>,
    /// Contracts that have none, with the reason.
    pub unusable: BTreeMap<ContractName, String>,
    /// What each contract's settings say of its accounts and tokens.
    pub schedules: BTreeMap<ContractName, Schedule>,
    /// Where decisions are written before they are carried out.
    pub audit: Audit,
    /// How long files are kept.
    pub retention: Retention,
    /// Who carries out.
    pub hands: H,
}

/// What is looked after by the clock, for one contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How often accounts are read; never where it is zero.
    pub accounts_sync: Duration,
    /// How long before its end a refresh token is told of.
    pub token_warning: Duration,
}

/// Why a question was not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) text: String,
    /// It was the API.
    pub(super) api: bool,
}

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self { text, api: false }
    }
}

impl<H: Hands> Desk<H> {
    /// Answers one question. Whatever changes something stands in the audit log before it is done.
    pub async fn answer(&self, question: Question, caller: &Caller) -> Answer {
        let answered = match self.deed(&question) {
            None => self.try_answer(question, caller).await,
            Some(deed) => self.audited(deed, question, caller).await,
        };
        answered.unwrap_or_else(|Refusal { text, api }| Answer::Failed { text, api })
    }

    async fn try_answer(&self, question: Question, caller: &Caller) -> Result<Answer, Refusal> {
        match question {
            Question::Backup { file } => Ok(self.back_up(file).await?),
            Question::Status => Ok(Answer::Status(Box::new(self.status().await?))),
            Question::Find { selector } => {
                let found = self.select(&selector)?;
                let submissions = found.into_iter().map(|record| self.recorded(record)).collect::<Result<_, _>>()?;
                Ok(Answer::Submissions { submissions })
            }
            Question::Decide { selector, verb } => Ok(self.decide(&selector, verb, caller).await?),
            Question::Accounts { contract } => {
                Ok(Answer::Accounts { accounts: self.store.accounts(contract.as_ref()).map_err(text)? })
            }
            Question::KeepAccounts { accounts } => {
                let count = accounts.len();
                self.hands.write(accounts.into_iter().map(Write::Account).collect()).await?;
                Ok(Answer::Done { text: format!("{count} accounts kept") })
            }
            Question::RemoveAccount { contract, reference } => {
                let found = self.store.accounts_by_reference(&contract, &reference).map_err(text)?;
                if found.is_empty() {
                    return Err(format!("contract {contract} has no account {reference}").into());
                }
                let remove =
                    |account: Account| Write::RemoveAccount { contract: account.contract, account: account.id };
                self.hands.write(found.into_iter().map(remove).collect()).await?;
                Ok(Answer::Done { text: format!("account {reference} removed; its Bundles are held from now on") })
            }
            Question::SyncAccounts { contract } => self.sync_accounts(&contract, Stale::Renew).await,
            Question::Links { channel } => {
                let links = self.store.links(channel.as_ref()).map_err(text)?;
                Ok(Answer::Links { links: links.into_iter().map(|link| LinkView { link }).collect() })
            }
            Question::AddLink { channel, kind, system, value, account } => {
                self.known_channel(&channel)?;
                let value = self.link_value(&channel, kind, system.as_deref(), &value)?;
                let link = Link { channel, kind, value, account, added: Timestamp::now() };
                self.hands.write(vec![Write::Link(link)]).await?;
                Ok(Answer::Done {
                    text: "link added; held Bundles that it answers are released by themselves".to_owned(),
                })
            }
            Question::RemoveLink { channel, kind, system, value } => {
                let value = self.link_value(&channel, kind, system.as_deref(), &value)?;
                if self.store.link(&channel, kind, &value).map_err(text)?.is_none() {
                    return Err("there is no such link".to_owned().into());
                }
                self.hands.write(vec![Write::RemoveLink { channel, kind, value }]).await?;
                Ok(Answer::Done {
                    text: "link removed; Bundles that wait by it are judged again before they are sent".to_owned(),
                })
            }
            Question::Tokens => Ok(Answer::Tokens { tokens: self.tokens()? }),
            Question::ImportTokens { contract, person, tokens, consent_id } => {
                let (state, updated) = (TokenState::Fresh, Timestamp::now());
                let text = format!("tokens of {person} kept under contract {contract}");
                let person = Person { contract, id: person, tokens, state, consent_id, updated };
                self.hands.write(vec![Write::Person(person)]).await?;
                Ok(Answer::Done { text })
            }
            Question::BeginAuthorisation { contract, invite } => self.begin(contract, &invite).await,
            Question::BeginReauthorisation { word, contract, invite } => {
                self.begin_again(&word, contract.as_ref(), &invite).await
            }
            Question::FinishAuthorisation { begun, callback } => self.finish(&begun, &callback).await,
            Question::Prune { dry_run } => Ok(Answer::Pruned(self.prune(Timestamp::now(), dry_run).await)),
            Question::Resume { contract } => Ok(Answer::Done { text: self.resume(contract).await? }),
            Question::ReloadProfiles => Ok(Answer::Reloaded(self.hands.reload().await?)),
            Question::RefreshTokens { contract, person } => Ok(self.refresh(&contract, person).await?),
        }
    }

    /// Reads the whole store while others write to it.
    async fn back_up(&self, file: PathBuf) -> Result<Answer, String> {
        let (store, key, sealer) = (self.store.clone(), self.hash_key.clone(), self.sealer.clone());
        let text = format!("backup written to {}", file.display());
        let written = tokio::task::spawn_blocking(move || {
            fill_new_file(&file, |out| backup(&*store, &key, Source::GoesOn, &sealer, out))
                .map_err(|error| format!("failed to write the backup {}: {error}", file.display()))
        });
        written.await.map_err(|error| error.to_string())??;
        Ok(Answer::Done { text })
    }

    fn select(&self, selector: &Selector) -> Result<Vec<Submission>, String> {
        select(&*self.store, &self.hash_key, selector).map_err(text)
    }

    fn recorded(&self, submission: Submission) -> Result<Recorded, String> {
        let spool = self.spools.get(&submission.channel).filter(|_| submission.pruned.is_none());
        Ok(Recorded {
            path: spool.map(|spool| spool.path(submission.stage.place(), &submission)),
            report: spool.and_then(|spool| spool.report_path(&submission)),
            waits_for: self.waits_for(&submission)?,
            submission,
        })
    }

    /// What keeps a submission from being sent that is otherwise ready.
    fn waits_for(&self, submission: &Submission) -> Result<Option<Obstacle>, String> {
        let Some(to) = &submission.recipient else { return Ok(None) };
        if !matches!(submission.stage, Stage::Ready | Stage::Waiting { .. }) {
            return Ok(None);
        }
        let account = self.store.account(&to.contract, &to.account).map_err(text)?;
        if let Some(account) = account
            && let Some(why) = account.blocked_because()
        {
            let why = format!("account {}: {why}", account.reference);
            return Ok(Some(Obstacle { why, remedy: account.remedy() }));
        }
        Ok(match self.store.person(&to.contract, &to.person).map_err(text)? {
            None => Some(Obstacle {
                why: format!("person {}: no tokens are known", to.person),
                remedy: format!("pushbridge authorize --contract {}", to.contract),
            }),
            Some(person) => person
                .paused_because()
                .map(|why| Obstacle { why: format!("person {}: {why}", person.id), remedy: person.remedy() }),
        })
    }

    /// The client of a contract, or why there is none.
    pub(super) fn client(&self, contract: &ContractName) -> Result<&Client, String> {
        match (self.clients.get(contract), self.unusable.get(contract)) {
            (Some(client), _) => Ok(client),
            (None, Some(why)) => Err(why.clone()),
            (None, None) => Err(format!("the configuration has no contract {contract}")),
        }
    }

    async fn decide(&self, selector: &Selector, verb: Verb, caller: &Caller) -> Result<Answer, String> {
        /// Decisions that share one sync of the audit log.
        const SHARED: usize = 256;
        let mut found = self.select(selector)?;
        found.sort_by_key(|record| record.id);
        let mut decided = Vec::with_capacity(found.len());
        for some in found.chunks(SHARED) {
            let begun =
                match self.record_deeds(caller, some.iter().map(|record| decision(record, verb)).collect()).await {
                    Ok(begun) => begun,
                    // Those before these are done and written.
                    Err(why) if !decided.is_empty() => {
                        let refused =
                            |record: &Submission| Decided { id: record.id, stage: None, error: Some(why.clone()) };
                        decided.extend(found[decided.len()..].iter().map(refused));
                        break;
                    }
                    Err(why) => return Err(why),
                };
            let mut ended = Vec::with_capacity(begun.len());
            let ids: Vec<_> = some.iter().map(|record| record.id).collect();
            let outcomes = self.hands.decide(&ids, verb).await;
            for ((record, begun), outcome) in some.iter().zip(begun).zip(outcomes) {
                let (stage, error) = (outcome.clone().ok(), outcome.clone().err());
                decided.push(Decided { id: record.id, stage, error });
                ended.push((begun, outcome));
            }
            self.record_outcomes(ended).await;
        }
        Ok(Answer::Decided { decided })
    }

    fn known_channel(&self, channel: &ChannelName) -> Result<(), String> {
        if self.spools.contains_key(channel) {
            Ok(())
        } else {
            Err(format!("the configuration has no channel {channel}"))
        }
    }

    /// The form in which a piece of evidence is linked; it must be the same that the router looks for.
    fn link_value(
        &self,
        channel: &ChannelName,
        kind: EvidenceKind,
        system: Option<&str>,
        value: &str,
    ) -> Result<LinkValue, String> {
        let hashed = |parts: &[&[u8]]| Ok(LinkValue::Hashed(self.hash_key.evidence(channel, kind, parts)));
        match (kind, system) {
            (EvidenceKind::Folder | EvidenceKind::Sidecar, None) => Ok(LinkValue::Clear(value.to_owned())),
            (EvidenceKind::Expression, None) => hashed(&[value.as_bytes()]),
            (EvidenceKind::Patient, Some(system)) => hashed(&[system.as_bytes(), value.as_bytes()]),
            (EvidenceKind::Patient, None) => Err("a patient identifier has a system: say --system URI".to_owned()),
            (EvidenceKind::Default, _) => {
                Err("a default account is set in the configuration, not by a link".to_owned())
            }
            (_, Some(_)) => Err("only a patient identifier has a system".to_owned()),
        }
    }

    async fn refresh(&self, contract: &ContractName, person: Option<PersonId>) -> Result<Answer, String> {
        let persons = match person {
            Some(person) => vec![person],
            None => self.store.persons(Some(contract)).map_err(text)?.into_iter().map(|person| person.id).collect(),
        };
        let count = persons.len();
        for person in persons {
            self.hands.refresh(PersonKey { contract: contract.clone(), person }).await?;
        }
        Ok(Answer::Done {
            text: format!("asked for new tokens of {count} persons; pushbridge tokens status shows them"),
        })
    }

    async fn resume(&self, contract: Option<ContractName>) -> Result<String, String> {
        if let Some(contract) = &contract {
            self.client(contract)?;
        }
        let asked = self.hands.resume(contract).await?;
        let asked: Vec<_> = asked.iter().map(ContractName::as_str).collect();
        Ok(match asked.as_slice() {
            [] => "nothing is paused".to_owned(),
            asked => format!("asking again: {}; pushbridge status shows what the API says", asked.join(", ")),
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where an error is mapped")]
pub(super) fn text(error: StoreError) -> String {
    error.to_string()
}
