//! The report that lies beside a file: JSON for programs, a short text for people.
//!
//! It may name the file and its account, because it is 0600 in the channel's own folder; it quotes no
//! value of the Bundle.

use crate::model::{
    AccountId, AccountReference, Attempt, AttemptOutcome, ChannelName, ContractName, Digest, EvidenceKind, Finding,
    ForeignName, FoundBy, HoldReason, PushType, RuleChange, Severity, Stage, Submission, SubmissionId, Timestamp,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write};

/// A report in both forms.
#[derive(Clone, Debug)]
pub struct Report {
    /// JSON, indented.
    pub json: Vec<u8>,
    /// Plain text.
    pub text: Vec<u8>,
}

/// The report of a submission as it stands.
pub fn report(submission: &Submission, now: Timestamp) -> Report {
    let mut json =
        serde_json::to_vec_pretty(&json_report(submission, now)).expect("strings and numbers can be written");
    json.push(b'\n');
    Report { json, text: text_report(submission, now).into_bytes() }
}

/// The outcome in one word, as tables show it.
pub fn outcome(stage: &Stage) -> &'static str {
    match stage {
        Stage::Delivered { receipt } if receipt.rejected_entries > 0 => "delivered with errors",
        stage => stage.as_str(),
    }
}

/// Why it stands where it stands, in one sentence for people.
pub fn reason(stage: &Stage) -> String {
    match stage {
        Stage::Claimed => "it waits to be judged".to_owned(),
        Stage::Ready => "it waits for its turn".to_owned(),
        Stage::Sending { .. } => "it is being sent".to_owned(),
        Stage::Waiting { attempt, until } => format!("attempt {attempt} was put off by the API; next try at {until}"),
        Stage::Unknown { .. } => "it was sent whole and no answer came: it may have arrived".to_owned(),
        Stage::Delivered { receipt } if receipt.rejected_entries > 0 => {
            format!("the API took it and rejected {} of its entries", receipt.rejected_entries)
        }
        Stage::Delivered { .. } => "the API took it".to_owned(),
        Stage::Duplicate { of, .. } => format!("the same bytes were delivered to the same account before, as {of}"),
        Stage::Refused { why } => why.clone(),
        Stage::Dropped => "somebody gave it up".to_owned(),
        Stage::Held(reason) => held(reason),
    }
}

/// Which way it goes and as what, for people.
pub fn describe_push(submission: &Submission) -> String {
    let Some(facts) = &submission.library else { return format!("{} push", submission.push) };
    let mut text = format!("{} push as {}, {}", submission.push, facts.mime_type, facts.found_by.text());
    for (count, one, many) in [(facts.references, "reference", "references"), (facts.tags, "tag", "tags")] {
        if count > 0 {
            write!(text, ", {count} {}", if count == 1 { one } else { many }).expect("text can be written to a string");
        }
    }
    text
}

fn held(reason: &HoldReason) -> String {
    match reason {
        HoldReason::NoEvidence => "nothing says whose it is".to_owned(),
        HoldReason::Unlinked { kind } => format!("its {kind} is linked to no account"),
        HoldReason::Contradiction { kinds } => {
            let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
            format!("its evidence leads to different accounts ({})", kinds.join(", "))
        }
        HoldReason::SeveralPatients => "it speaks of more than one patient".to_owned(),
        HoldReason::SidecarUnreadable => "its sidecar is no JSON object with accountReference or key".to_owned(),
        HoldReason::SidecarLabels { member, what } => format!("its sidecar's {member} cannot be used: {what}"),
        HoldReason::OtherPush { claimed } => {
            format!("it was claimed for a {claimed} push, and its channel has another type now")
        }
        HoldReason::AccountUnknown { reference } => {
            format!("its link names accountReference {reference}, which is not exactly one known account")
        }
        HoldReason::DuplicateOpen { of } => {
            format!("the same bytes for the same account still wait, or may have arrived, as {of}")
        }
        HoldReason::UnexpectedAnswer { status, reference } => match reference {
            Some(reference) => format!("the API answered {status}, reference {reference}"),
            None => format!("the API answered {status}"),
        },
        HoldReason::Expired => "the API put it off for longer than the channel's max_age".to_owned(),
        HoldReason::Damaged => "our copy of it is missing or no longer has its digest".to_owned(),
        HoldReason::Poison => "judging it ended the program several times".to_owned(),
        HoldReason::ProfileNotLoaded => "it claims a profile that is not loaded".to_owned(),
        HoldReason::ByPerson => "somebody holds it".to_owned(),
    }
}

/// What to do about it, for an administrator.
pub fn remedy(submission: &Submission) -> String {
    let id = submission.id;
    let channel = &submission.channel;
    match &submission.stage {
        Stage::Claimed | Stage::Ready | Stage::Sending { .. } | Stage::Waiting { .. } => "nothing".to_owned(),
        Stage::Delivered { receipt } if receipt.rejected_entries > 0 => {
            "ask the receiver about the rejected entries; it is not sent again by itself".to_owned()
        }
        Stage::Delivered { .. } | Stage::Duplicate { .. } => "nothing".to_owned(),
        Stage::Dropped => format!("nothing, or: pushbridge queue release {id}"),
        Stage::Unknown { .. } => format!(
            "ask the receiver whether it arrived; then: pushbridge queue drop {id} (it did) or queue release {id} (send it again)"
        ),
        Stage::Refused { .. } if submission.findings.is_empty() => {
            "mend what the reason names and drop the file in again".to_owned()
        }
        Stage::Refused { .. } => "mend the errors listed below at their source and drop the file in again".to_owned(),
        Stage::Held(reason) => match reason {
            HoldReason::NoEvidence => {
                "put such files into a linked sub-folder, give them a sidecar, or set the channel's routing".to_owned()
            }
            HoldReason::Unlinked { kind: EvidenceKind::Patient } => format!(
                "pushbridge links add {channel} patient --system SYSTEM VALUE ACCOUNT-REFERENCE; it is then released by itself"
            ),
            HoldReason::Unlinked { kind: EvidenceKind::Folder } => {
                let folder = submission.origin.folder.as_ref().map_or_else(String::new, ToString::to_string);
                format!(
                    "pushbridge links add {channel} folder '{folder}' ACCOUNT-REFERENCE; it is then released by itself"
                )
            }
            HoldReason::Unlinked { kind } => {
                format!("pushbridge links add {channel} {kind} VALUE ACCOUNT-REFERENCE; it is then released by itself")
            }
            HoldReason::Contradiction { .. } => {
                "see pushbridge route on the file; correct the link, the folder or the sidecar that is wrong".to_owned()
            }
            HoldReason::SeveralPatients => {
                "one Bundle belongs to one person: export a Bundle for each patient".to_owned()
            }
            HoldReason::SidecarUnreadable => {
                "drop the file in again with a sidecar such as {\"accountReference\": \"...\"}".to_owned()
            }
            HoldReason::SidecarLabels { .. } => {
                "drop the file in again with a sidecar such as {\"accountReference\": \"...\", \"reference\": \"...\", \"tags\": [\"...\"]}"
                    .to_owned()
            }
            HoldReason::OtherPush { claimed } => format!(
                "set channel.{channel}.type = \"{claimed}\" again and pushbridge queue release {id}; or drop the file in again"
            ),
            HoldReason::AccountUnknown { .. } => {
                "pushbridge accounts sync, or correct the link; it is then released by itself".to_owned()
            }
            HoldReason::DuplicateOpen { of } => format!(
                "nothing while {of} has not ended; if that may have arrived here, ask the receiver: pushbridge queue drop {id} (it did) or queue release --force {id} (send this one)"
            ),
            HoldReason::UnexpectedAnswer { .. } => {
                format!("ask the API's support with that reference; then pushbridge queue release {id} or drop {id}")
            }
            HoldReason::Expired => format!("pushbridge status shows whether the API answers; then queue release {id}"),
            HoldReason::Damaged => "check the disk; drop the file in again".to_owned(),
            HoldReason::Poison => {
                format!("report the file's shape to the developers; pushbridge queue release {id} tries again")
            }
            HoldReason::ProfileNotLoaded => "pushbridge validate on the file names the profile; pushbridge profiles add it, then pushbridge profiles reload: it is then released by itself".to_owned(),
            HoldReason::ByPerson => format!("pushbridge queue release {id} when it may go on"),
        },
    }
}

/// The JSON form. It borrows: there may be a hundred findings, and each file that leaves has a report.
#[derive(Serialize)]
struct JsonReport<'r> {
    id: SubmissionId,
    outcome: &'static str,
    reason: String,
    remedy: String,
    stage: &'r Stage,
    since: String,
    written: String,
    file: &'r ForeignName,
    channel: &'r ChannelName,
    sha256: Digest,
    size: u64,
    claimed: String,
    push: PushType,
    library: Option<JsonLibrary<'r>>,
    bundle: Option<JsonBundle<'r>>,
    account: Option<JsonAccount<'r>>,
    attempts: Vec<JsonAttempt<'r>>,
    receipt: Option<JsonReceipt<'r>>,
    findings: &'r [Finding],
    findings_total: u32,
    overridden: &'r [RuleChange],
    profiles: &'r [String],
}

#[derive(Serialize)]
struct JsonLibrary<'r> {
    #[serde(rename = "mimeType")]
    mime_type: &'r str,
    found_by: FoundBy,
    references: u32,
    tags: u32,
}

#[derive(Serialize)]
struct JsonBundle<'r> {
    r#type: &'r str,
    entries: &'r BTreeMap<String, u32>,
    idempotent: bool,
    from_xml: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonAccount<'r> {
    contract: &'r ContractName,
    account_reference: &'r AccountReference,
    account_id: &'r AccountId,
    evidence: &'r [EvidenceKind],
}

#[derive(Serialize)]
struct JsonAttempt<'r> {
    number: u32,
    at: String,
    millis: u64,
    #[serde(rename = "accountReference")]
    account_reference: Option<&'r AccountReference>,
    outcome: AttemptOutcome,
    status: Option<u16>,
    code: Option<&'r str>,
    reference: Option<&'r str>,
    detail: Option<&'r str>,
}

#[derive(Serialize)]
struct JsonReceipt<'r> {
    at: String,
    status: u16,
    reference: Option<&'r str>,
    body_sha256: Digest,
    rejected_entries: u32,
}

fn json_report(submission: &Submission, now: Timestamp) -> JsonReport<'_> {
    let receipt = match &submission.stage {
        Stage::Delivered { receipt } | Stage::Duplicate { receipt, .. } => Some(receipt),
        _ => None,
    };
    JsonReport {
        id: submission.id,
        outcome: outcome(&submission.stage),
        reason: reason(&submission.stage),
        remedy: remedy(submission),
        stage: &submission.stage,
        since: submission.since.to_string(),
        written: now.to_string(),
        file: &submission.origin.path,
        channel: &submission.channel,
        sha256: submission.digest,
        size: submission.size,
        claimed: submission.claimed_at.to_string(),
        push: submission.push,
        library: submission.library.as_ref().map(|facts| JsonLibrary {
            mime_type: &facts.mime_type,
            found_by: facts.found_by,
            references: facts.references,
            tags: facts.tags,
        }),
        bundle: submission.bundle.as_ref().map(|bundle| JsonBundle {
            r#type: &bundle.bundle_type,
            entries: &bundle.entries,
            idempotent: bundle.idempotent,
            from_xml: bundle.from_xml,
        }),
        account: submission.recipient.as_ref().map(|recipient| JsonAccount {
            contract: &recipient.contract,
            account_reference: &recipient.reference,
            account_id: &recipient.account,
            evidence: &recipient.evidence,
        }),
        attempts: submission.attempts.iter().map(|attempt| JsonAttempt::of(submission, attempt)).collect(),
        receipt: receipt.map(|receipt| JsonReceipt {
            at: receipt.at.to_string(),
            status: receipt.status,
            reference: receipt.reference.as_deref(),
            body_sha256: receipt.body,
            rejected_entries: receipt.rejected_entries,
        }),
        findings: &submission.findings,
        findings_total: submission.findings_total,
        overridden: &submission.overridden,
        profiles: &submission.profiles,
    }
}

impl<'r> JsonAttempt<'r> {
    fn of(submission: &'r Submission, attempt: &'r Attempt) -> Self {
        Self {
            number: attempt.number,
            at: attempt.at.to_string(),
            millis: attempt.millis,
            account_reference: submission.recipient_of(attempt).map(|to| &to.reference),
            outcome: attempt.outcome,
            status: attempt.status,
            code: attempt.code.as_deref(),
            reference: attempt.reference.as_deref(),
            detail: attempt.detail.as_deref(),
        }
    }
}

fn text_report(submission: &Submission, now: Timestamp) -> String {
    let mut text = String::with_capacity(1024);
    let mut line = |label: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "{label:<10} {value}").expect("text can be written to a string");
    };
    line("file", &submission.origin.path);
    line("outcome", &outcome(&submission.stage));
    line("reason", &reason(&submission.stage));
    line("to do", &remedy(submission));
    line("id", &submission.id);
    line("channel", &submission.channel);
    line("sha-256", &submission.digest);
    line("size", &format_args!("{} bytes", submission.size));
    line("claimed", &submission.claimed_at);
    line("written", &now);
    line("push", &describe_push(submission));
    if let Some(bundle) = &submission.bundle {
        let entries: Vec<_> = bundle.entries.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let form = if bundle.from_xml { " (XML, sent as JSON)" } else { "" };
        line("bundle", &format_args!("{}: {}{form}", bundle.bundle_type, entries.join(", ")));
    }
    if let Some(recipient) = &submission.recipient {
        let kinds: Vec<_> = recipient.evidence.iter().map(|kind| kind.as_str()).collect();
        line("account", &format_args!("{} by {}", recipient.reference, kinds.join(", ")));
    }
    if let Stage::Delivered { receipt } | Stage::Duplicate { receipt, .. } = &submission.stage {
        let reference = receipt.reference.as_deref().unwrap_or("none given");
        line("receipt", &format_args!("HTTP {} at {}, reference {reference}", receipt.status, receipt.at));
    }
    for attempt in &submission.attempts {
        let status = attempt.status.map_or_else(String::new, |status| format!(", HTTP {status}"));
        let reference = attempt.reference.as_ref().map_or_else(String::new, |text| format!(", reference {text}"));
        let (number, at, millis) = (attempt.number, attempt.at, attempt.millis);
        let word = attempt_word(attempt.outcome);
        let to = submission.recipient_of(attempt).map_or_else(String::new, |to| format!(" to {}", to.reference));
        line("attempt", &format_args!("{number} at {at}{to}: {word} after {millis} ms{status}{reference}"));
    }
    if submission.findings_total > 0 {
        writeln!(text, "\n{} findings", submission.findings_total).expect("text can be written to a string");
    }
    for finding in &*submission.findings {
        let grave = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Information => "note",
        };
        let profile = finding.profile.as_ref().map_or_else(String::new, |profile| format!(" (profile {profile})"));
        writeln!(
            text,
            "{grave} {}:{} {} [{}] {}{profile}",
            finding.line, finding.column, finding.expression, finding.key, finding.text
        )
        .expect("text can be written to a string");
    }
    let kept = u32::try_from(submission.findings.len()).unwrap_or(u32::MAX);
    if submission.findings_total > kept {
        writeln!(text, "and {} more that are not listed", submission.findings_total - kept)
            .expect("text can be written to a string");
    }
    if !submission.profiles.is_empty() {
        text.push_str("\nheld to the profiles\n");
    }
    for profile in &submission.profiles {
        writeln!(text, "{profile}").expect("text can be written to a string");
    }
    if !submission.overridden.is_empty() {
        writeln!(text, "\nrules changed by [channel.{}.validate.rules]", submission.channel)
            .expect("text can be written to a string");
    }
    for rule in &submission.overridden {
        let RuleChange { key, from, to, count } = rule;
        writeln!(text, "{key}: {from} counts as {to}, {count} found").expect("text can be written to a string");
    }
    text
}

/// The word for an attempt's end.
pub const fn attempt_word(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Open => "under way",
        AttemptOutcome::Delivered => "delivered",
        AttemptOutcome::Refused => "refused",
        AttemptOutcome::TokenStale => "token was stale",
        AttemptOutcome::Blocked => "account is blocked",
        AttemptOutcome::DestinationPaused => "the API refuses our set-up",
        AttemptOutcome::Later => "put off",
        AttemptOutcome::Unknown => "no answer",
        AttemptOutcome::Unexpected => "unexpected answer",
    }
}
