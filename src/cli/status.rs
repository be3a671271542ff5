//! `status`: how things stand.

use super::{
    Form,
    context::Context,
    exit::{Exit, Failed},
    print, tokens,
};
use crate::{
    admin::{Answer, Question, StageStatus, Status},
    engine::PausedUntil,
    model::{ForeignName, Timestamp},
};
use std::{collections::BTreeMap, ffi::OsStr, fmt::Write, os::unix::ffi::OsStrExt};

/// Counts and oldest age by stage, type of push and account, token ends, paused destinations, troubles of inboxes
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(context: &Context, form: Form) -> Result<Exit, Failed> {
    let Answer::Status(mut status) = context.ask(Question::Status)? else {
        return Err(Failed::say(Exit::Internal, "read the daemon's answer"));
    };
    for (name, channel) in &mut status.channels {
        if let Some(settings) = context.config.channels.get(name) {
            let stands =
                |path: &ForeignName| settings.inbox.join(OsStr::from_bytes(path.as_bytes())).symlink_metadata();
            channel.overlooked.retain(|(path, _)| stands(path).is_ok());
        }
    }
    match form {
        Form::Json => print::json(&*status)?,
        Form::Text => print::out(&text(&status, Timestamp::now()))?,
    }
    Ok(Exit::Done)
}

fn text(status: &Status, now: Timestamp) -> String {
    let mut text = String::new();
    let running = if status.running { "running" } else { "not running" };
    writeln!(text, "daemon: {running}\n").expect("text can be written to a string");
    for (head, counts) in [("STAGE", &status.stages), ("PUSH", &status.pushes), ("ACCOUNT", &status.accounts)] {
        if !counts.is_empty() {
            text.push_str(&counted(head, counts, now));
            text.push('\n');
        }
    }
    if status.stages.is_empty() {
        text.push_str("nothing waits\n\n");
    }
    if let Some(profiles) = &status.profiles {
        let since =
            profiles.facts.loaded.map_or_else(String::new, |loaded| format!(", loaded {} ago", age(now, loaded)));
        writeln!(text, "profiles: {}{since}", profiles.facts).expect("text can be written to a string");
        if let Some(rejected) = &profiles.rejected {
            writeln!(text, "profiles: a reload {} ago was rejected: {}", age(now, rejected.at), rejected.why)
                .expect("text can be written to a string");
        }
    }
    for PausedUntil { contract, why, until } in &status.paused {
        let again =
            until.map_or_else(|| "now".to_owned(), |until| format!("at {until}, or now: pushbridge resume {contract}"));
        writeln!(text, "paused: the API of contract {contract} does not serve us: {why}; it is asked again {again}")
            .expect("text can be written to a string");
    }
    for (account, why) in &status.blocked {
        writeln!(text, "blocked: account {account}: {why}").expect("text can be written to a string");
    }
    for (channel, inbox) in &status.channels {
        for trouble in &inbox.troubles {
            writeln!(text, "channel {channel}: {trouble}").expect("text can be written to a string");
        }
        for (path, reason) in &inbox.overlooked {
            writeln!(text, "channel {channel}: left in the inbox: {path}: {}", reason.text())
                .expect("text can be written to a string");
        }
    }
    if !status.tokens.is_empty() {
        text.push('\n');
        text.push_str(&tokens::table(&status.tokens));
    }
    text
}

fn counted(head: &str, counts: &BTreeMap<String, StageStatus>, now: Timestamp) -> String {
    let rows: Vec<_> = counts
        .iter()
        .map(|(name, counted)| {
            let oldest = counted.oldest.map_or_else(|| "-".to_owned(), |oldest| age(now, oldest));
            vec![name.clone(), counted.count.to_string(), oldest]
        })
        .collect();
    print::table(&[head, "COUNT", "OLDEST"], &rows)
}

fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
