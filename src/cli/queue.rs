//! `queue`: what is where, why, and a person's decisions.

use super::{
    Form,
    context::Context,
    exit::{Exit, Failed},
    print,
};
use crate::{
    admin::{Answer, Decided, Obstacle, Question, Recorded, Selector},
    config::duration,
    engine::{Verb, attempt_word, describe_push, outcome, reason, remedy},
    model::{Attempt, ChannelName, ForeignName, Timestamp},
};
use std::{
    fs,
    io::{self, BufRead},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Look at submissions and decide about them
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "A submission is named by its id, its file name, the SHA-256 of its bytes or its account's \
reference; - reads names from standard input; ALL (in capitals) means every one that fits the filters.\n\n\
Examples:\n  pushbridge queue ls\n  pushbridge queue why letter.json\n  pushbridge queue release 0hfz3k9q2m4tx\n  \
pushbridge queue drop ALL --unknown --channel clinic\n  pushbridge queue ls --json --held | jq -r .submission.id | pushbridge queue release -")]
pub(super) enum Command {
    /// List submissions, newest first; those that have not ended where nothing is named
    Ls(Which),
    /// Show whole records
    Show(Which),
    /// What happened to this file?
    Why(Which),
    /// Try again now, or judge again
    Retry(Which),
    /// Stop it before it is sent
    Hold(Which),
    /// Let it go on; an Unknown is sent again by this
    Release {
        #[command(flatten)]
        which: Which,
        /// Send it even where it was delivered, or a copy of it waits
        #[arg(long)]
        force: bool,
    },
    /// Give it up: it is never sent
    Drop(Which),
}

/// Which submissions.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Ids, file names, digests or accountReferences; - for standard input; ALL
    names: Vec<String>,
    /// Only those whose fate is Unknown
    #[arg(long, conflicts_with_all = ["held", "stage"])]
    unknown: bool,
    /// Only held ones
    #[arg(long, conflicts_with = "stage")]
    held: bool,
    /// Only those at this stage
    #[arg(long, value_parser = STAGES)]
    stage: Option<String>,
    /// Only those of this channel
    #[arg(long)]
    channel: Option<ChannelName>,
    /// Only those claimed since: a duration (2h) or a date (2026-11-24T00:00:00Z)
    #[arg(long, value_parser = parse_since)]
    since: Option<Timestamp>,
    /// At most so many
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    limit: usize,
}

/// Findings that are told in a terminal; the report has more.
const FINDINGS_TOLD: usize = 10;

const STAGES: [&str; 10] =
    ["claimed", "ready", "sending", "waiting", "held", "unknown", "delivered", "refused", "duplicate", "dropped"];

/// An instant that is named by how long ago it was, or by its date.
pub(super) fn parse_since(text: &str) -> Result<Timestamp, String> {
    if let Some(ago) = duration(text) {
        let now = Timestamp::now().as_millis();
        return Ok(Timestamp::from_millis(now.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))));
    }
    Timestamp::from_rfc_3339(text).ok_or_else(|| "write a duration (2h) or a date (2026-11-24T00:00:00Z)".to_owned())
}

/// The guard word: nobody means everything by accident.
const ALL: &str = "ALL";

impl Which {
    fn selector(self) -> Result<Selector, Failed> {
        let mut words = Vec::new();
        let mut all = false;
        for name in self.names {
            match name.as_str() {
                ALL => all = true,
                "-" => {
                    for line in io::stdin().lock().lines() {
                        let line = line.map_err(|error| Failed::new(Exit::Unreadable, error))?;
                        words.extend((!line.trim().is_empty()).then(|| line.trim().to_owned()));
                    }
                }
                _ => words.push(name),
            }
        }
        let stage = match (self.unknown, self.held) {
            (true, _) => Some("unknown".to_owned()),
            (_, true) => Some("held".to_owned()),
            _ => self.stage,
        };
        Ok(Selector { words, all, stage, channel: self.channel, since: self.since, open: false, limit: self.limit })
    }

    /// For verbs that need to be told what is meant.
    fn named(self) -> Result<Selector, Failed> {
        let from_input = self.names.iter().any(|name| name == "-");
        let selector = self.selector()?;
        if selector.words.is_empty() && !selector.all && !from_input {
            return Err(Failed::sentence(Exit::Usage, "name submissions, or say ALL with filters"));
        }
        Ok(selector)
    }
}

pub(super) fn run(context: &Context, command: Command, form: Form) -> Result<Exit, Failed> {
    match command {
        Command::Ls(which) => {
            let mut selector = which.selector()?;
            if selector.words.is_empty() && !selector.all {
                (selector.all, selector.open) = (true, selector.stage.is_none());
            }
            list(&find(context, selector)?, form)
        }
        Command::Show(which) => show(&find(context, which.named()?)?, form),
        Command::Why(which) => why(context, which.named()?, form),
        Command::Retry(which) => decide(context, which, Verb::Retry, form),
        Command::Hold(which) => decide(context, which, Verb::Hold, form),
        Command::Release { which, force: true } => decide(context, which, Verb::ForceRelease, form),
        Command::Release { which, .. } => decide(context, which, Verb::Release, form),
        Command::Drop(which) => decide(context, which, Verb::Drop, form),
    }
}

fn find(context: &Context, selector: Selector) -> Result<Vec<Recorded>, Failed> {
    match context.ask(Question::Find { selector })? {
        Answer::Submissions { submissions } => Ok(submissions),
        _ => Err(Failed::say(Exit::Internal, "read the daemon's answer")),
    }
}

fn list(found: &[Recorded], form: Form) -> Result<Exit, Failed> {
    if form == Form::Json {
        found.iter().try_for_each(print::json)?;
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = found
        .iter()
        .map(|Recorded { submission, .. }| {
            vec![
                submission.id.to_string(),
                outcome(&submission.stage).to_owned(),
                submission.claimed_at.to_string(),
                submission.channel.to_string(),
                submission.recipient.as_ref().map_or_else(|| "-".to_owned(), |to| to.reference.to_string()),
                submission.origin.path.to_string(),
            ]
        })
        .collect();
    print::out(&print::table(&["ID", "STAGE", "CLAIMED", "CHANNEL", "ACCOUNT", "FILE"], &rows))?;
    Ok(Exit::Done)
}

fn show(found: &[Recorded], form: Form) -> Result<Exit, Failed> {
    for recorded in found {
        if form == Form::Json {
            print::json(recorded)?;
            continue;
        }
        let text = serde_json::to_string_pretty(recorded).map_err(|error| Failed::new(Exit::Internal, error))?;
        print::line(&text)?;
    }
    Ok(if found.is_empty() { Exit::No } else { Exit::Done })
}

fn why(context: &Context, selector: Selector, form: Form) -> Result<Exit, Failed> {
    let mut exit = Exit::Done;
    let words = selector.words.clone();
    if selector.all || words.len() < 2 {
        let found = find(context, selector)?;
        return if found.is_empty() { unclaimed(context, words.first(), form) } else { tell(&found, form) };
    }
    for word in words {
        let found = find(context, Selector { words: vec![word.clone()], ..selector.clone() })?;
        if found.is_empty() {
            exit = unclaimed(context, Some(&word), form)?;
        } else {
            tell(&found, form)?;
        }
    }
    Ok(exit)
}

/// A file that no record speaks of may still be in an inbox.
fn unclaimed(context: &Context, word: Option<&String>, form: Form) -> Result<Exit, Failed> {
    let Some(word) = word else {
        if form == Form::Text {
            print::line("nothing fits")?;
        }
        return Ok(Exit::No);
    };
    let reasons = match context.ask(Question::Status)? {
        Answer::Status(status) => status.channels,
        _ => return Err(Failed::say(Exit::Internal, "read the daemon's answer")),
    };
    let mut told = Vec::new();
    for (name, channel) in &context.config.channels {
        for path in in_inbox(&channel.inbox, word) {
            let left = reasons.get(name).into_iter().flat_map(|status| &status.overlooked);
            let reason = left.rev().find(|(other, _)| other.as_bytes() == path.as_os_str().as_bytes());
            let why = reason.map_or("it has not come to rest yet, or no daemon runs", |(_, reason)| reason.text());
            told.push((name, path, why));
        }
    }
    if form == Form::Json {
        let inboxes: Vec<_> = told
            .iter()
            .map(|(channel, path, why)| {
                serde_json::json!({"channel": channel, "path": path.to_string_lossy(), "reason": why})
            })
            .collect();
        print::json(&serde_json::json!({"file": word, "outcome": "never claimed", "in_inbox": inboxes}))?;
        return Ok(Exit::No);
    }
    for (channel, path, why) in &told {
        let name = ForeignName::new(path.as_os_str().as_bytes());
        print::line(&format!("{name} is in the inbox of channel {channel} and not claimed: {why}"))?;
    }
    if told.is_empty() {
        let name = ForeignName::new(word.as_bytes());
        print::line(&format!("{name}: never claimed, and in no inbox under this name"))?;
    }
    Ok(Exit::No)
}

/// Where a file of this name, or of this path below the inbox, is.
fn in_inbox(inbox: &Path, word: &str) -> Vec<PathBuf> {
    const DEPTH: usize = 8;
    let mut found = Vec::new();
    let mut folders = vec![(PathBuf::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = fs::read_dir(inbox.join(&folder)) else { continue };
        for entry in entries.flatten() {
            let path = folder.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.extend((depth < DEPTH).then(|| (path, depth + 1)));
            } else if path == Path::new(word) || inbox.join(&path) == Path::new(word) || entry.file_name() == *word {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn tell(found: &[Recorded], form: Form) -> Result<Exit, Failed> {
    for recorded in found {
        let submission = &recorded.submission;
        let (reason, remedy) = match &recorded.waits_for {
            Some(Obstacle { why, remedy }) => (format!("it waits for its {why}"), remedy.clone()),
            None => (reason(&submission.stage), remedy(submission)),
        };
        if form == Form::Json {
            let to = |attempt: &Attempt| submission.recipient_of(attempt).cloned();
            let attempts = submission.attempts.iter();
            let attempts: Vec<_> =
                attempts.map(|attempt| Attempt { recipient: to(attempt), ..attempt.clone() }).collect();
            print::json(&serde_json::json!({
                "id": submission.id, "file": submission.origin.path, "outcome": outcome(&submission.stage),
                "push": submission.push, "library": submission.library,
                "reason": reason, "remedy": remedy, "path": recorded.path,
                "report": recorded.report, "pruned": submission.pruned.map(|at| at.to_string()),
                "attempts": attempts, "recipient": submission.recipient,
                "findings": submission.findings, "findings_total": submission.findings_total,
            }))?;
            continue;
        }
        let mut text = format!(
            "{} ({})\n  {}: {}\n  to do: {}\n  {}, claimed {} in channel {}, sha-256 {}\n",
            submission.origin.path,
            submission.id,
            outcome(&submission.stage),
            reason,
            remedy,
            describe_push(submission),
            submission.claimed_at,
            submission.channel,
            submission.digest
        );
        if let Some(at) = submission.pruned {
            text.push_str(&format!("  file and reports were removed by retention at {at}; the record stays\n"));
        }
        if let Some(to) = &submission.recipient {
            let kinds: Vec<_> = to.evidence.iter().map(|kind| kind.as_str()).collect();
            text.push_str(&format!("  account {} by {}\n", to.reference, kinds.join(", ")));
        }
        for attempt in &submission.attempts {
            let status = attempt.status.map_or_else(String::new, |status| format!(", HTTP {status}"));
            let detail = attempt.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
            let to = submission.recipient_of(attempt).map_or_else(String::new, |to| format!(" to {}", to.reference));
            let word = attempt_word(attempt.outcome);
            text.push_str(&format!("  attempt {} at {}{to}: {word}{status}{detail}\n", attempt.number, attempt.at));
        }
        for finding in submission.findings.iter().take(FINDINGS_TOLD) {
            text.push_str(&format!(
                "  {}:{}: {} {} {}: {}\n",
                finding.line,
                finding.column,
                finding.severity.as_str(),
                finding.key,
                finding.expression,
                finding.text
            ));
        }
        let told = submission.findings.len().min(FINDINGS_TOLD);
        let more = usize::try_from(submission.findings_total).unwrap_or(usize::MAX).saturating_sub(told);
        if more > 0 {
            text.push_str(&format!("  and {more} findings more\n"));
        }
        for (label, path) in [("file", &recorded.path), ("report", &recorded.report)] {
            if let Some(path) = path {
                // The file's own name is in it.
                text.push_str(&format!("  {label} {}\n", ForeignName::new(path.as_os_str().as_bytes())));
            }
        }
        print::out(&text)?;
    }
    Ok(Exit::Done)
}

fn decide(context: &Context, which: Which, verb: Verb, form: Form) -> Result<Exit, Failed> {
    let selector = which.named()?;
    let Answer::Decided { decided } = context.ask(Question::Decide { selector, verb })? else {
        return Err(Failed::say(Exit::Internal, "read the daemon's answer"));
    };
    for Decided { id, stage, error } in &decided {
        match (form, stage, error) {
            (Form::Json, ..) => print::json(&serde_json::json!({"id": id, "stage": stage, "error": error}))?,
            (Form::Text, Some(stage), _) => print::line(&format!("{id}: {stage}"))?,
            (Form::Text, None, error) => print::line(&format!("{id}: {}", error.as_deref().unwrap_or_default()))?,
        }
    }
    if decided.is_empty() && form == Form::Text {
        print::line("nothing fits")?;
    }
    let all_done = !decided.is_empty() && decided.iter().all(|decided| decided.error.is_none());
    Ok(if all_done { Exit::Done } else { Exit::No })
}
