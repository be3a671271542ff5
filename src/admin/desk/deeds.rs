//! What the audit log says of a question, before it is answered and after.

use super::{Desk, Refusal};
use crate::{
    admin::{
        audit::{Begun, Caller, Deed},
        hands::Hands,
        protocol::{Answer, Question},
    },
    engine::Verb,
    model::{ChannelName, ContractName, EvidenceKind, Submission},
};

impl<H: Hands> Desk<H> {
    pub(super) async fn audited(&self, deed: Deed, question: Question, caller: &Caller) -> Result<Answer, Refusal> {
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

    pub(super) async fn record_deeds(&self, caller: &Caller, deeds: Vec<Deed>) -> Result<Vec<Begun>, String> {
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
    pub(super) async fn record_outcomes(&self, ended: Vec<(Begun, Result<String, String>)>) {
        let audit = self.audit.clone();
        let written = tokio::task::spawn_blocking(move || audit.end(ended)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::error!("what became of a decision could not be written into the audit log");
        }
    }

    /// What the audit log says of a question; nothing of those that only look. Decisions have a line for each submission.
    pub(super) fn deed(&self, question: &Question) -> Option<Deed> {
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
}

/// What the audit log says of a decision.
pub(super) fn decision(record: &Submission, verb: Verb) -> Deed {
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
