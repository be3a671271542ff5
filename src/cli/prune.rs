//! `prune`: files that have had their time.

use super::{
    Form,
    context::Context,
    exit::{Exit, Failed},
    print,
};
use crate::{
    admin::{Answer, Desk, Hands, Pruned, Question},
    model::{Timestamp, clock},
};
use std::{sync::Arc, time::Duration};

/// Remove the files that have had their time ([retention]), with their reports; the daemon does it by itself
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is open is never touched, nor anything younger than 24h, nor refused, dropped and repeated \
files younger than 14d, nor a file that is not pushbridge's own. Records stay: a repeat is still known by its bytes.\n\n\
Examples:\n  pushbridge prune --dry-run\n  pushbridge prune --json"
)]
pub(super) struct Args {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(context: &Context, args: &Args, form: Form) -> Result<Exit, Failed> {
    let Answer::Pruned(pruned) = context.ask(Question::Prune { dry_run: args.dry_run })? else {
        return Err(Failed::say(Exit::Internal, "read the daemon's answer"));
    };
    match form {
        Form::Json => print::json(&pruned)?,
        Form::Text => print::out(&text(&pruned))?,
    }
    for trouble in &pruned.troubles {
        print::complain(&format!("pushbridge: {trouble}"));
    }
    Ok(if pruned.troubles.is_empty() { Exit::Done } else { Exit::Unreadable })
}

fn text(pruned: &Pruned) -> String {
    let rows: Vec<_> = pruned
        .places
        .iter()
        .map(|place| {
            let (channel, folder) = (place.channel.to_string(), format!("{}/", place.place.folder()));
            let (removed, kept) = (place.removed.to_string(), place.kept.to_string());
            vec![channel, folder, removed, megabytes(place.freed), kept, megabytes(place.kept_bytes)]
        })
        .collect();
    let (removed, freed) = pruned.totals();
    let head = if pruned.dry_run { "WOULD GO" } else { "REMOVED" };
    let verb = if pruned.dry_run { "would be removed" } else { "removed" };
    let table = print::table(&["CHANNEL", "FOLDER", head, "FREED", "KEPT", "TAKES"], &rows);
    format!("{table}\nfiles of {removed} submissions {verb}, {freed} bytes on the disk\n")
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

/// The daemon's own look, at its start and then regularly.
pub(super) async fn regularly<H: Hands>(desk: Arc<Desk<H>>, every: Duration) {
    loop {
        let pruned = desk.prune(Timestamp::now(), false).await;
        let (removed, freed) = pruned.totals();
        if removed > 0 {
            tracing::info!(removed, freed, "retention removed files that have had their time");
        }
        if !pruned.troubles.is_empty() {
            tracing::warn!(
                count = pruned.troubles.len(),
                "retention could not look at all folders: pushbridge prune says why"
            );
        }
        tokio::time::sleep(clock::span(every)).await;
    }
}
