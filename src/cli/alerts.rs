//! `alerts`: who is told of trouble, and whether it arrives.

use super::{
    Form,
    context::{Context, runtime},
    exit::{Exit, Failed},
    print,
};
use crate::{
    alert::{Bell, Kind, News, Outlet, Quiet, Settings},
    config::Channel,
    model::{ChannelName, Timestamp},
    push::Webhook,
    store::{Order, Store},
};
use serde_json::json;
use std::{collections::BTreeMap, path::Path, time::Duration};

/// The command and the webhook of [alerts]
#[derive(Debug, clap::Subcommand)]
#[command(
    after_help = "An alert is a JSON object: {\"alert\", \"edge\": begins|ends|event, \"at\", \"count\", \"text\", \"items\": \
[{channel, contract, person, account, submission, why}]}.\nalert is one of destination-paused, destination-parked, destination-open, \
person-paused, person-authorised, person-refused, person-served, token-ending, token-renewed, account-blocked, account-open, \
held, unknown, refused, delivered-with-errors, disk-full, disk-free, inbox-gone, inbox-back, store-failing, store-works, \
store-rebuilt, no-files, files-again, test.\n\nExamples:\n  \
pushbridge alerts test"
)]
pub(super) enum Command {
    /// Send one alert through each of them now, and say whether it was taken
    Test,
}

pub(super) fn run(context: &Context, command: &Command, form: Form) -> Result<Exit, Failed> {
    let Command::Test = command;
    let outlets = outlets(context)?;
    if outlets.is_empty() {
        return Err(Failed::sentence(Exit::No, "nobody is told: set command or webhook in [alerts]"));
    }
    let runtime = runtime()?;
    let mut exit = Exit::Done;
    for outlet in &outlets {
        let tested = runtime.block_on(outlet.test());
        match form {
            Form::Json => {
                print::json(&json!({"by": outlet.name(), "taken": tested.is_ok(), "why": tested.clone().err()}))?
            }
            Form::Text => {
                let text = tested.as_ref().map_or_else(|why| format!("not taken: {why}"), |()| "taken".to_owned());
                print::line(&format!("{}: {text}", outlet.name()))?;
            }
        }
        if tested.is_err() {
            exit = Exit::No;
        }
    }
    Ok(exit)
}

fn outlets(context: &Context) -> Result<Vec<Outlet>, Failed> {
    let alerts = &context.config.alerts;
    let mut outlets = Vec::new();
    if !alerts.command.is_empty() {
        let folder = context.config.file.parent().unwrap_or(Path::new("/")).to_owned();
        outlets.push(Outlet::Command { argv: alerts.command.clone(), folder, limit: alerts.timeout });
    }
    if let Some(address) = &alerts.webhook {
        let webhook = Webhook::new(address.expose(), alerts.timeout)
            .map_err(|error| Failed::say(Exit::Config, format!("use alerts.webhook: {error}")))?;
        outlets.push(Outlet::Webhook(webhook));
    }
    Ok(outlets)
}

/// The daemon's bell; its tasks begin here.
pub(super) fn bell(context: &Context, store: &dyn Store) -> Result<Bell, Failed> {
    let bell = Bell::start(Settings {
        outlets: outlets(context)?,
        gather: context.config.alerts.gather,
        state: context.config.state.clone(),
        quiet: quiet(&context.config.channels, store)?,
    });
    if let Some(why) = context.rebuilt.get() {
        bell.ring(News::of(Kind::StoreRebuilt).because(why));
    }
    Ok(bell)
}

/// How long each channel that asks for it has been without a file, so that a restart does not begin anew.
fn quiet(channels: &BTreeMap<ChannelName, Channel>, store: &dyn Store) -> Result<BTreeMap<ChannelName, Quiet>, Failed> {
    const LOOKED_AT: usize = 1_000;
    let limits: BTreeMap<_, _> =
        channels.iter().filter_map(|(name, channel)| Some((name, channel.quiet_alert?))).collect();
    if limits.is_empty() {
        return Ok(BTreeMap::new());
    }
    let now = Timestamp::now();
    let newest = store.submissions(Order::NewestFirst, None, LOOKED_AT);
    let newest = newest.map_err(|error| Failed::new(Exit::Unreadable, error))?;
    let since = |name: &ChannelName| {
        let last = newest.iter().find(|record| record.channel == *name);
        // Its last file is older than all these; where there are no others, none ever came.
        let oldest = newest.last().filter(|_| newest.len() == LOOKED_AT);
        last.or(oldest).map_or(Duration::ZERO, |record| now.since(record.claimed_at))
    };
    Ok(limits.into_iter().map(|(name, limit)| (name.clone(), Quiet { limit, since: since(name) })).collect())
}
