//! Answers questions from the store, and hands decisions to whoever may carry them out.

use super::{
    audit::{Audit, Begun, Caller, Deed},
    protocol::{
        Answer, ChannelStatus, Decided, LinkView, Obstacle, Question, Recorded, Selector, StageStatus, Status,
        TokenStatus,
    },
    retention::retire,
    select::select,
    sync::Stale,
};
use crate::{
    engine::{Change, EditionFacts, Handle, Hold, Moment, PersonKey, Verb, apply_change, decide, has_its_file},
    intake::{Notice, Spool},
    model::{
        Account, ChannelName, ContractName, EvidenceKind, HashKey, Link, LinkValue, Person, Retention, Sealer, Stage,
        Submission, SubmissionId, Timestamp, TokenState, reauthorize,
    },
    push::Client,
    store::{Source, Store, StoreError, Write, backup, fill_new_file},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// What differs with and without a daemon.
pub trait Hands: Send + Sync {
    /// Writes persons, accounts and links; returns when they are on disk.
    fn write(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), String>> + Send;

    /// A person's decision about each of these submissions; the stage that follows, once it is on the disk.
    fn decide(&self, ids: &[SubmissionId], verb: Verb) -> impl Future<Output = Vec<Result<String, String>>> + Send;

    /// Renews a person's tokens now.
    fn refresh(&self, person: PersonKey) -> impl Future<Output = Result<(), String>> + Send;

    /// Renews a person's tokens and waits for the end of that.
    fn renewed(&self, person: PersonKey) -> impl Future<Output = Result<(), String>> + Send;

    /// Has the paused destination of this contract, or every one, asked now; says which these are.
    fn resume(&self, contract: Option<ContractName>) -> impl Future<Output = Result<Vec<ContractName>, String>> + Send;

    /// What keeps the other side from ending.
    type Hold: Send;

    /// Keeps whoever writes from ending until the result is dropped: tokens that were handed out once must reach the disk.
    fn hold(&self) -> impl Future<Output = Result<Self::Hold, String>> + Send;

    /// Marks submissions that have ended as files that are about to be removed, on the disk; those that may be.
    fn retire(&self, ids: BTreeSet<SubmissionId>) -> impl Future<Output = Result<Vec<SubmissionId>, String>> + Send;

    /// Reads the profiles again; what is in force from then on.
    fn reload(&self) -> impl Future<Output = Result<EditionFacts, String>> + Send;

    /// What only a running engine knows.
    fn status(&self) -> impl Future<Output = Option<crate::engine::StatusFacts>> + Send;
}

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

impl Hands for Handle {
    async fn write(&self, writes: Vec<Write>) -> Result<(), String> {
        match Self::write(self, writes).await {
            Ok(true) => Ok(()),
            Ok(false) => Err("the store ended before it was written".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn decide(&self, ids: &[SubmissionId], verb: Verb) -> Vec<Result<String, String>> {
        let decided = Self::decide(self, ids, verb).await;
        decided.into_iter().map(|decided| decided.map_err(|error| error.to_string())?).collect()
    }

    async fn refresh(&self, person: PersonKey) -> Result<(), String> {
        let remedy = reauthorize(&person.contract, person.person.as_str());
        match Self::refresh(self, person).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("the person has no tokens that could be renewed; {remedy}")),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn renewed(&self, person: PersonKey) -> Result<(), String> {
        Self::renewed(self, person).await.map_err(|error| error.to_string())?
    }

    async fn resume(&self, contract: Option<ContractName>) -> Result<Vec<ContractName>, String> {
        Self::resume(self, contract).await.map_err(|error| error.to_string())
    }

    type Hold = Hold;

    async fn hold(&self) -> Result<Hold, String> {
        Self::hold(self).await.map_err(|error| error.to_string())
    }

    async fn retire(&self, ids: BTreeSet<SubmissionId>) -> Result<Vec<SubmissionId>, String> {
        Self::retire(self, ids).await.map_err(|error| error.to_string())?
    }

    async fn reload(&self) -> Result<EditionFacts, String> {
        let loaded = Self::reload(self).await.map_err(|error| error.to_string())?;
        loaded.map_err(|why| format!("the profiles on the disk cannot be used, and those before stay in force: {why}"))
    }

    async fn status(&self) -> Option<crate::engine::StatusFacts> {
        Self::status(self).await.ok()
    }
}

/// Without a daemon: the store is ours for the moment of the command.
pub struct Offline {
    /// The records.
    pub store: Arc<dyn Store>,
}

impl Offline {
    /// The record as the decision makes it.
    fn decided(&self, id: SubmissionId, verb: Verb) -> Result<Submission, String> {
        let record = self.store.submission(id).map_err(|error| error.to_string())?;
        let mut record = record.ok_or("no such submission")?;
        has_its_file(&record).map_err(|error| error.to_string())?;
        // A daemon that ended while it sent left a Sending behind: nobody is sending now.
        let stage = match record.stage {
            Stage::Sending { attempt } => Stage::Unknown { attempt },
            ref stage => stage.clone(),
        };
        let next = decide(&stage, verb).map_err(|error| error.to_string())?;
        let forced = record.forced || matches!(stage, Stage::Unknown { .. }) || verb == Verb::ForceRelease;
        let goes_on = next == Stage::Claimed;
        let (forced, waited_millis) = (Some(forced && goes_on), goes_on.then_some(0));
        let change = Change { forced, waited_millis, ..Change::to(id, next) };
        apply_change(&mut record, Moment { monotonic: Duration::ZERO, wall: Timestamp::now() }, change);
        Ok(record)
    }
}

impl Hands for Offline {
    async fn write(&self, writes: Vec<Write>) -> Result<(), String> {
        self.store.commit(&writes).map_err(|error| error.to_string())
    }

    async fn decide(&self, ids: &[SubmissionId], verb: Verb) -> Vec<Result<String, String>> {
        let decided: Vec<_> = ids.iter().map(|id| self.decided(*id, verb)).collect();
        let writes = decided.iter().flatten().map(|record| Write::Submission(Box::new(record.clone()))).collect();
        let written = self.write(writes).await;
        let word = |record: Submission| written.clone().map(|()| record.stage.as_str().to_owned());
        decided.into_iter().map(|decided| decided.and_then(word)).collect()
    }

    async fn refresh(&self, _: PersonKey) -> Result<(), String> {
        Err("tokens are renewed by the daemon alone, so that no two do it at once; start it with pushbridge run"
            .to_owned())
    }

    async fn renewed(&self, person: PersonKey) -> Result<(), String> {
        self.refresh(person).await
    }

    async fn resume(&self, _: Option<ContractName>) -> Result<Vec<ContractName>, String> {
        Err("no daemon runs, so nothing is paused: it asks the API when it starts".to_owned())
    }

    type Hold = ();

    async fn hold(&self) -> Result<(), String> {
        Ok(())
    }

    async fn retire(&self, ids: BTreeSet<SubmissionId>) -> Result<Vec<SubmissionId>, String> {
        retire(&self.store, &ids)
    }

    async fn reload(&self) -> Result<EditionFacts, String> {
        Err("no daemon runs here; it reads the profiles when it starts, and pushbridge profiles check looks at them now"
            .to_owned())
    }

    async fn status(&self) -> Option<crate::engine::StatusFacts> {
        None
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

    async fn audited(&self, deed: Deed, question: Question, caller: &Caller) -> Result<Answer, Refusal> {
        let begun = self.record_deeds(caller, vec![deed]).await?;
        let answered = self.try_answer(question, caller).await;
        let outcome = match &answered {
            Ok(Answer::Done { text }) => Ok(text.clone()),
            Ok(Answer::Pruned(pruned)) => {
                let (removed, freed) = pruned.totals();
                Ok(format!("files of {removed} submissions removed, {freed} bytes freed"))
            }
            Ok(Answer::Reloaded(facts)) => Ok(facts.to_string()),
            Ok(_) => Ok("done".to_owned()),
            Err(refusal) => Err(refusal.text.clone()),
        };
        self.record_outcomes(begun.into_iter().map(|begun| (begun, outcome.clone())).collect()).await;
        answered
    }

    async fn record_deeds(&self, caller: &Caller, deeds: Vec<Deed>) -> Result<Vec<Begun>, String> {
        let (audit, caller) = (self.audit.clone(), caller.clone());
        let written = tokio::task::spawn_blocking(move || audit.begin(&caller, deeds)).await;
        written.map_err(|error| error.to_string()).and_then(|begun| begun.map_err(|error| error.to_string())).map_err(
            |error| {
                let path = self.audit.path().display();
                format!("nothing was done, because it cannot be written into the audit log {path}: {error}")
            },
        )
    }

    /// It is done by now: what cannot be written any more is told in the log of the program.
    async fn record_outcomes(&self, ended: Vec<(Begun, Result<String, String>)>) {
        let audit = self.audit.clone();
        let written = tokio::task::spawn_blocking(move || audit.end(ended)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::error!("what became of a decision could not be written into the audit log");
        }
    }

    /// What the audit log says of a question; nothing of those that only look. Decisions have a line for each submission.
    fn deed(&self, question: &Question) -> Option<Deed> {
        let link = |command: &str, channel: &ChannelName, kind: EvidenceKind, system: &Option<String>, value: &str| {
            let parts: Vec<&[u8]> = system.iter().map(String::as_bytes).chain([value.as_bytes()]).collect();
            let value = Some(self.hash_key.evidence(channel, kind, &parts));
            Deed { channel: Some(channel.clone()), kind: Some(kind), value, ..Deed::of(command) }
        };
        let under =
            |command: &str, contract: &ContractName| Deed { contract: Some(contract.clone()), ..Deed::of(command) };
        match question {
            Question::Backup { .. } => Some(Deed::of("store backup")),
            Question::Status
            | Question::Find { .. }
            | Question::Decide { .. }
            | Question::Accounts { .. }
            | Question::Links { .. }
            | Question::Prune { dry_run: true }
            | Question::Tokens => None,
            Question::Prune { dry_run: false } => Some(Deed::of("prune")),
            Question::ReloadProfiles => Some(Deed::of("profiles reload")),
            Question::KeepAccounts { accounts } => Some(Deed {
                accounts: accounts.iter().map(|account| account.reference.clone()).collect(),
                contract: accounts.first().map(|account| account.contract.clone()),
                ..Deed::of("accounts add")
            }),
            Question::RemoveAccount { contract, reference } => {
                Some(Deed { accounts: vec![reference.clone()], ..under("accounts rm", contract) })
            }
            Question::SyncAccounts { contract } => Some(under("accounts sync", contract)),
            Question::AddLink { channel, kind, system, value, account } => {
                Some(Deed { accounts: vec![account.clone()], ..link("links add", channel, *kind, system, value) })
            }
            Question::RemoveLink { channel, kind, system, value } => {
                Some(link("links rm", channel, *kind, system, value))
            }
            Question::ImportTokens { contract, person, .. } => {
                Some(Deed { person: Some(person.clone()), ..under("tokens import", contract) })
            }
            Question::BeginAuthorisation { contract, .. } => Some(under("authorize", contract)),
            Question::BeginReauthorisation { contract, .. } => {
                Some(Deed { contract: contract.clone(), ..Deed::of("reauthorize") })
            }
            Question::FinishAuthorisation { begun, .. } => {
                Some(under("authorize: the person's answer", &begun.contract))
            }
            Question::Resume { contract } => Some(Deed { contract: contract.clone(), ..Deed::of("resume") }),
            Question::RefreshTokens { contract, person } => {
                Some(Deed { person: person.clone(), ..under("tokens refresh", contract) })
            }
        }
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

    async fn refresh(&self, contract: &ContractName, person: Option<crate::model::PersonId>) -> Result<Answer, String> {
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

    fn tokens(&self) -> Result<Vec<TokenStatus>, String> {
        let persons = self.store.persons(None).map_err(text)?;
        let now = Timestamp::now();
        Ok(persons.into_iter().map(|person| self.token_status(person, now)).collect())
    }

    fn token_status(&self, person: Person, now: Timestamp) -> TokenStatus {
        let state = match person.state {
            TokenState::Fresh => "fresh",
            TokenState::Rotating => "rotating",
            TokenState::Paused { .. } => "paused",
        };
        let why = person.paused_because().map(str::to_owned);
        let ends_soon = why.is_none() && self.ends_soon(&person, now);
        TokenStatus {
            state: state.to_owned(),
            ends_soon,
            remedy: (why.is_some() || ends_soon).then(|| person.remedy()),
            why,
            access_expiry: person.tokens.access.expiry,
            refresh_expiry: person.tokens.refresh.expiry,
            contract: person.contract,
            person: person.id,
        }
    }

    /// Whether a person's refresh token nears its end.
    pub(super) fn ends_soon(&self, person: &Person, now: Timestamp) -> bool {
        let warning = self.schedules.get(&person.contract).map_or(Duration::ZERO, |schedule| schedule.token_warning);
        person.tokens.refresh.expiry.since(now) < warning
    }

    async fn status(&self) -> Result<Status, String> {
        let mut status = Status { tokens: self.tokens()?, ..Status::default() };
        for account in self.store.accounts(None).map_err(text)? {
            let why = account.blocked_because().map(|why| format!("{why}; {}", account.remedy()));
            status.blocked.extend(why.map(|why| (account.id, why)));
        }
        let facts = self.hands.status().await;
        status.running = facts.is_some();
        self.count_open(&mut status)?;
        if let Some(facts) = facts {
            status.paused = facts.paused;
            status.profiles = Some(facts.profiles);
            for (channel, notices) in facts.notices {
                status.channels.insert(channel, channel_status(notices));
            }
        }
        Ok(status)
    }

    fn count_open(&self, status: &mut Status) -> Result<(), String> {
        const PAGE: usize = 1_000;
        let mut after = None;
        loop {
            let page = self.store.open_submissions(after, PAGE).map_err(text)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for record in page.iter().filter(|record| !record.stage.is_final()) {
                count(status.stages.entry(record.stage.as_str().to_owned()), record);
                count(status.pushes.entry(record.push.as_str().to_owned()), record);
                if let Some(recipient) = &record.recipient {
                    count(status.accounts.entry(recipient.reference.to_string()), record);
                }
            }
        }
    }
}

fn count(entry: std::collections::btree_map::Entry<'_, String, StageStatus>, record: &Submission) {
    let counted = entry.or_insert(StageStatus { count: 0, oldest: None });
    counted.count += 1;
    counted.oldest = Some(counted.oldest.map_or(record.claimed_at, |oldest| oldest.min(record.claimed_at)));
}

/// What the audit log says of a decision.
fn decision(record: &Submission, verb: Verb) -> Deed {
    let command = match verb {
        Verb::Retry => "queue retry",
        Verb::Hold => "queue hold",
        Verb::Release => "queue release",
        Verb::ForceRelease => "queue release --force",
        Verb::Drop => "queue drop",
    };
    Deed {
        submission: Some(record.id),
        stage: Some(record.stage.as_str().to_owned()),
        channel: Some(record.channel.clone()),
        accounts: record.recipient.iter().map(|recipient| recipient.reference.clone()).collect(),
        ..Deed::of(command)
    }
}

/// What lasts of the edges that were told.
pub fn channel_status(notices: Vec<Notice>) -> ChannelStatus {
    let mut status = ChannelStatus::default();
    let (mut gone, mut full, mut deaf) = (None, false, None);
    for notice in notices {
        match notice {
            Notice::Overlooked { path, reason } => {
                status.overlooked.retain(|(other, _)| *other != path);
                status.overlooked.push((path, reason));
            }
            Notice::InboxGone { why } => gone = Some(why),
            Notice::InboxBack => gone = None,
            Notice::DiskFull => full = true,
            Notice::DiskFree => full = false,
            Notice::EventsMissing { why } => deaf = Some(why),
        }
    }
    status.troubles.extend(gone.map(|why| format!("the inbox cannot be read: {why}")));
    status.troubles.extend(full.then(|| "the disk is full: nothing is claimed".to_owned()));
    status.troubles.extend(deaf.map(|why| format!("no file events, the inbox is polled: {why}")));
    status
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where an error is mapped")]
pub(super) fn text(error: StoreError) -> String {
    error.to_string()
}
