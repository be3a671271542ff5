//! `run`: the daemon.

use super::{
    Form,
    context::{Context, runtime},
    exit::{Exit, Failed},
    print,
    profiles::edition::{edition, loader},
    prune, setup,
};
use crate::{
    admin::{self, Answer, Caller, Desk, Question, channel_status},
    config::{Level, LogFormat, duration},
    engine::{self, Mode, Summary},
    store::unconfirmed,
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

/// Watch the inboxes, validate, address and push
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pushbridge run\n  pushbridge run --once --max-time 10m     for cron\n\n\
SIGTERM and Ctrl-C end it: no new claims, pushes under way may end, then it leaves. SIGHUP has it read profiles/ again, as \
pushbridge profiles reload does.\n\
Beside a running daemon it changes nothing and ends with code 5.")]
pub(super) struct Args {
    /// End when nothing is settling or sendable any more
    #[arg(long)]
    once: bool,
    /// With --once: end after so long in any case
    #[arg(long, default_value = "1h", requires = "once", value_parser = parse_duration, value_name = "DURATION")]
    max_time: Duration,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "a duration is a number with ms, s, m, h or d: 10m".to_owned())
}

pub(super) fn run(context: &Context, args: &Args, form: Form) -> Result<Exit, Failed> {
    start_logs(context);
    for warning in &context.config.warnings {
        tracing::warn!("{warning}");
    }
    // One thread: what a push needs of it is the signature and little else, and to hand each push from one thread to
    // another and back costs more than that little. Disks and judging have threads of their own.
    let summary = runtime()?.block_on(daemon(context, args))?;
    if !args.once {
        return Ok(Exit::Done);
    }
    tell(&summary, form)?;
    let needs_somebody = ["held", "unknown", "refused", "delivered with errors"];
    let inboxes: Vec<_> = summary.notices.values().map(|notices| channel_status(notices.clone())).collect();
    Ok(if summary.timed_out {
        Exit::TimedOut
    } else if inboxes.iter().any(|inbox| !inbox.troubles.is_empty()) {
        Exit::Unreadable
    } else if inboxes.iter().any(|inbox| !inbox.overlooked.is_empty())
        || needs_somebody.iter().any(|stage| summary.outcomes.contains_key(stage))
    {
        Exit::No
    } else {
        Exit::Done
    })
}

async fn daemon(context: &Context, args: &Args) -> Result<Summary, Failed> {
    // Whatever it is going to judge by is looked at before anything is touched.
    let server = context.terminology()?;
    let edition = edition(&context.config, server.clone())?;
    tracing::info!(facts = %edition.facts, "profiles loaded");
    let store = context.open_store()?;
    if let Some(pause) = unconfirmed(&*store).map_err(|error| Failed::new(Exit::Unreadable, error))? {
        return Err(Failed::say(
            Exit::No,
            format!(
                "begin to push: these records were {}; see to it that no other machine pushes with them, then: \
                 pushbridge store confirm",
                pause.why
            ),
        ));
    }
    let setup = setup::setup(context, store.clone(), edition, loader(&context.config, server))?;
    let (spools, clients, hash_key) = (context.spools()?, setup.clients.clone(), setup.hash_key.clone());
    let bell = setup.bell.clone();
    let internal = |error: std::io::Error| Failed::new(Exit::Internal, error);
    let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
    let hangups = signal(SignalKind::hangup()).map_err(internal)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    };
    let mode = if args.once { Mode::Once { max_time: args.max_time } } else { Mode::Daemon };
    let sealer = context.sealer()?;
    let (socket, schedules, audit) = (context.socket(), context.schedules(), context.audit());
    let (retention, every) = (context.config.retention, context.config.prune_every);
    let ready = {
        let socket = socket.clone();
        move |hands| {
            tokio::spawn(async move {
                let unusable = BTreeMap::new();
                let desk = Arc::new(Desk {
                    store,
                    hash_key,
                    sealer,
                    spools,
                    clients,
                    unusable,
                    schedules,
                    audit,
                    retention,
                    hands,
                });
                if mode == Mode::Daemon {
                    tokio::spawn(admin::tend(desk.clone(), bell));
                } else {
                    admin::tell_ends(&desk, &bell);
                }
                tokio::spawn(prune::regularly(desk.clone(), every));
                tokio::spawn(reload_by_signal(desk.clone(), hangups));
                if let Err(error) = admin::serve(&socket, desk).await {
                    tracing::error!(%error, "commands cannot reach this daemon: its socket cannot be made");
                }
            });
        }
    };
    let summary = engine::run(setup, mode, stop, ready).await;
    // A socket without a daemon behind it only makes the next command try in vain.
    std::fs::remove_file(&socket).unwrap_or_default();
    let summary = summary.map_err(|error| Failed::new(Exit::Unreadable, error))?;
    tracing::info!(outcomes = ?summary.outcomes, open = ?summary.open, "stopped");
    Ok(summary)
}

/// SIGHUP: the profiles are read again, as `profiles reload` does; the log says what came of it.
async fn reload_by_signal(desk: Arc<Desk<engine::Handle>>, mut hangups: Signal) {
    while hangups.recv().await.is_some() {
        match Caller::of_this_process() {
            Ok(caller) => {
                let caller = Caller { through: "SIGHUP".to_owned(), ..caller };
                if let Answer::Failed { text, .. } = desk.answer(Question::ReloadProfiles, &caller).await {
                    tracing::error!(text, "a reload was asked for by SIGHUP");
                }
            }
            Err(error) => tracing::error!(%error, "SIGHUP: /proc does not say who we are; nothing was reloaded"),
        }
    }
}

fn tell(summary: &Summary, form: Form) -> Result<(), Failed> {
    let inboxes: BTreeMap<_, _> =
        summary.notices.iter().map(|(channel, notices)| (channel, channel_status(notices.clone()))).collect();
    if form == Form::Json {
        return print::json(&json!({
            "outcomes": summary.outcomes, "open": summary.open, "timed_out": summary.timed_out,
            "settling": summary.settling, "inboxes": inboxes,
        }));
    }
    let rows = |counts: &BTreeMap<&'static str, u64>| {
        let rows: Vec<_> = counts.iter().map(|(stage, count)| format!("{count} {stage}")).collect();
        if rows.is_empty() { "nothing".to_owned() } else { rows.join(", ") }
    };
    print::line(&format!("this run: {}", rows(&summary.outcomes)))?;
    print::line(&format!("still open: {}", rows(&summary.open)))?;
    for (channel, names) in &summary.settling {
        for name in names {
            print::line(&format!("channel {channel}: not at rest yet, or cut off: {name}"))?;
        }
    }
    for (channel, inbox) in &inboxes {
        for trouble in &inbox.troubles {
            print::line(&format!("channel {channel}: {trouble}"))?;
        }
        for (path, reason) in &inbox.overlooked {
            print::line(&format!("channel {channel}: left in the inbox: {path}: {}", reason.text()))?;
        }
    }
    Ok(())
}

fn start_logs(context: &Context) {
    let level = match context.config.log.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    let filter = EnvFilter::new(format!("off,pushbridge={level}"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_span_events(FmtSpan::NONE).with_target(false);
    let logs = logs.with_writer(std::io::stderr);
    match context.config.log.format {
        LogFormat::Human => logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}
