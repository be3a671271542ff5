//! What the log of the program says of submissions, alerts and tokens: never a name, never a content.

use crate::{
    engine::event::{Alert, RefreshOutcome},
    model::{Submission, account_remedy, reauthorize},
};

/// One line per transition; names and contents never.
pub(super) fn log_stage(record: &Submission) {
    let (id, name, channel) = (record.id, record.name_hash, &record.channel);
    let attempt = record.attempts.last().map(|attempt| attempt.number);
    tracing::info!(%id, %name, %channel, push = %record.push, stage = record.stage.as_str(), attempt, size = record.size, "submission");
}

pub(super) fn log_alert(alert: &Alert) {
    match alert {
        Alert::DestinationPaused { contract, why } => tracing::warn!(%contract, why, "alert: destination paused"),
        Alert::DestinationParked { contract, why, until } => {
            let remedy = format!("pushbridge resume {contract}");
            tracing::warn!(%contract, why, %until, remedy, "alert: destination paused for long");
        }
        Alert::DestinationOpen { contract } => tracing::warn!(%contract, "alert: destination open again"),
        Alert::PersonPaused { person, why } => {
            let remedy = reauthorize(&person.contract, person.person.as_str());
            tracing::warn!(contract = %person.contract, person = %person.person, why, remedy, "alert: person must authorise again");
        }
        Alert::PersonRefused { person, why } => {
            tracing::warn!(contract = %person.contract, person = %person.person, why, "alert: person is not served");
        }
        Alert::PersonServed { person } => {
            tracing::warn!(contract = %person.contract, person = %person.person, "alert: person is served again");
        }
        Alert::AccountBlocked { account, why } => {
            let remedy = account_remedy(&account.contract, account.account.as_str(), why);
            tracing::warn!(contract = %account.contract, account = %account.account, why, remedy, "alert: account blocked");
        }
        Alert::AccountOpen { account } => {
            tracing::warn!(contract = %account.contract, account = %account.account, "alert: account open again");
        }
        Alert::DeliveredWithErrors { id, rejected } => tracing::warn!(%id, rejected, "alert: delivered with errors"),
        Alert::Unknown { id } => tracing::warn!(%id, "alert: a person must decide: it may have arrived"),
    }
}

pub(super) const fn refresh_word(outcome: &RefreshOutcome) -> &'static str {
    match outcome {
        RefreshOutcome::Renewed(_) => "renewed",
        RefreshOutcome::Paused { .. } => "person paused",
        RefreshOutcome::Later { .. } => "later",
        RefreshOutcome::Refused { .. } => "refused",
        RefreshOutcome::Lost => "lost",
        RefreshOutcome::DestinationPaused { .. } => "destination paused",
        RefreshOutcome::Superseded => "authorised again meanwhile",
    }
}
