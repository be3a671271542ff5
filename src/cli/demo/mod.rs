//! `demo`: the whole way on one's own machine, checked against what the sandbox received.
//!
//! A sandbox in this process, the real daemon as a process of its own, and the samples dropped the way
//! exporters do. Each expectation is stated before anything runs.

mod drops;
mod stage;

use super::{
    Form,
    exit::{Exit, Failed},
    print,
};
use crate::{
    admin::Recorded,
    engine::{outcome, reason},
    model::{Digest, Stage},
    sandbox::Received,
};
use drops::{Expected, FILES};
use serde_json::json;
use stage::Stand;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Show the whole way in a temporary folder, without network and without questions
#[derive(Debug, clap::Args)]
#[command(after_help = "It starts a local sandbox of the API and the daemon, drops the samples the way exporters do\n\
(renamed in, written slowly, in a burst, one twice, one invalid, one for nobody), lets a token expire and the API\n\
answer 503 for a moment, and checks every outcome against what the sandbox received. 0 only if all are as expected.")]
pub(super) struct Args {
    /// Leave the folder, to look at files and reports
    #[arg(long)]
    keep: bool,
}

/// The longest wait for all outcomes.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn run(args: &Args, form: Form) -> Result<Exit, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failed::new(Exit::Internal, error))?.block_on(async {
        let began = Instant::now();
        let mut stand = Stand::set_up(form).await?;
        let played = play(&mut stand, form).await;
        let received = stand.received();
        stand.shut_down().await?;
        let ended = played?;
        let good = report(&ended, &received, form)?;
        let seconds = began.elapsed().as_secs_f32();
        if form == Form::Text {
            print::line(&format!(
                "\n{} in {seconds:.1} s",
                if good { "everything as expected" } else { "NOT as expected" }
            ))?;
        }
        stand.leave(args.keep, form)?;
        Ok(if good { Exit::Done } else { Exit::No })
    })
}

/// Drops the files and follows each until its end.
async fn play(stand: &mut Stand, form: Form) -> Result<Vec<Recorded>, Failed> {
    let mut told = BTreeMap::new();
    let mut dropping = drops::Dropping::new();
    let limit = Instant::now() + LIMIT;
    loop {
        let found = stand.submissions().await?;
        for recorded in &found {
            tell(stand, recorded, &mut told, form)?;
        }
        dropping.go_on(stand, &found, form).await?;
        let settled = found.iter().filter(|recorded| recorded.submission.settled && is_at_end(recorded)).count();
        if (dropping.is_over() && settled == FILES.len()) || Instant::now() >= limit {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const fn is_at_end(recorded: &Recorded) -> bool {
    recorded.submission.stage.is_final()
}

/// Each change of stage, as it happens.
fn tell(
    stand: &Stand,
    recorded: &Recorded,
    told: &mut BTreeMap<crate::model::SubmissionId, String>,
    form: Form,
) -> Result<(), Failed> {
    let submission = &recorded.submission;
    let word = outcome(&submission.stage).to_owned();
    let before = told.insert(submission.id, word.clone());
    if before.as_deref() == Some(&word) || form == Form::Json {
        return Ok(());
    }
    let seconds = stand.elapsed().as_secs_f32();
    let file = submission.origin.path.to_string();
    let why = match &submission.stage {
        Stage::Held(_) | Stage::Refused { .. } | Stage::Duplicate { .. } => {
            format!("  ({})", reason(&submission.stage))
        }
        _ => String::new(),
    };
    print::line(&format!("{seconds:5.1} s  {file:<36} {word}{why}"))
}

/// The table, and whether all is as expected.
fn report(ended: &[Recorded], received: &[Received], form: Form) -> Result<bool, Failed> {
    let mut good = received.len() == FILES.iter().filter(|file| file.expected == Expected::Delivered).count();
    let mut rows = Vec::new();
    for file in &FILES {
        let recorded = ended.iter().find(|recorded| recorded.submission.origin.path.as_str() == Some(file.path));
        let digest = Digest::of(file.bytes);
        let arrived: Vec<_> = received.iter().filter(|push| push.sha256 == digest).collect();
        let (as_expected, row) = match recorded {
            None => (
                false,
                vec![file.path.to_owned(), "-".into(), "never claimed".into(), String::new(), "-".into(), "-".into()],
            ),
            Some(Recorded { submission, report, .. }) => {
                let account = submission.recipient.as_ref();
                let same_bytes = arrived.iter().all(|push| push.body.as_deref() == Some(file.bytes));
                let same_account =
                    arrived.iter().all(|push| account.is_some_and(|to| to.account.as_str() == push.account_id));
                let once = match file.expected {
                    Expected::Delivered | Expected::Duplicate => arrived.len() == 1 && same_bytes && same_account,
                    Expected::Refused => arrived.is_empty(),
                };
                let has_report = report.as_ref().is_some_and(|path| path.exists());
                let as_expected = outcome(&submission.stage) == file.expected.word() && once && has_report;
                let receipt = match &submission.stage {
                    Stage::Delivered { receipt } | Stage::Duplicate { receipt, .. } => receipt.reference.clone(),
                    _ => None,
                };
                let millis = submission.since.since(submission.claimed_at).as_millis();
                let why = reason(&submission.stage);
                let row = vec![
                    file.path.to_owned(),
                    account.map_or_else(|| "-".to_owned(), |to| to.reference.to_string()),
                    outcome(&submission.stage).to_owned(),
                    why,
                    receipt.unwrap_or_else(|| "-".to_owned()),
                    format!("{millis} ms"),
                ];
                (as_expected, row)
            }
        };
        good &= as_expected;
        let mark = if as_expected { "ok" } else { "NO" };
        rows.push([vec![mark.to_owned()], row].concat());
    }
    match form {
        Form::Json => {
            let names = ["as_expected", "file", "account", "outcome", "reason", "receipt", "time"];
            for row in &rows {
                let row: BTreeMap<_, _> = names.iter().zip(row).collect();
                print::json(&row)?;
            }
            print::json(&json!({"all_as_expected": good, "received": received.len()}))?;
        }
        Form::Text => {
            let head = ["", "FILE", "ACCOUNT", "OUTCOME", "REASON", "RECEIPT", "TIME"];
            print::line("")?;
            print::out(&print::table(&head, &rows))?;
            print::line(&format!(
                "\nThe sandbox took {} pushes; each was compared byte for byte with the file that was dropped.",
                received.len()
            ))?;
        }
    }
    Ok(good)
}
