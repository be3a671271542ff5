//! `audit`: who decided what.

use super::{
    Form,
    context::Context,
    exit::{Exit, Failed},
    print,
    queue::parse_since,
};
use crate::{admin::Entry, model::Timestamp};

/// Who released, forced, dropped, held, linked, imported or rotated what, oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Every decision is written to state/audit.jsonl before it is carried out; one that cannot be \
written is refused. The file holds no patient data and no tokens, grows by people's actions alone, and is never cut: \
archive it with the state folder.\n\nExamples:\n  pushbridge audit --since 7d\n  \
pushbridge audit --json | jq -r 'select(.command == \"queue release --force\").submission'")]
pub(super) struct Args {
    /// Only what was asked for since: a duration (2h) or a date (2026-11-24T00:00:00Z)
    #[arg(long, value_parser = parse_since)]
    since: Option<Timestamp>,
}

pub(super) fn run(context: &Context, args: &Args, form: Form) -> Result<Exit, Failed> {
    let audit = context.audit();
    let path = audit.path().display();
    let mut found =
        audit.read().map_err(|error| Failed::say(Exit::Unreadable, format!("read the audit log {path}: {error}")))?;
    found.entries.retain(|entry| {
        let at = Timestamp::from_rfc_3339(&entry.at);
        args.since.is_none_or(|since| at.is_none_or(|at| at >= since))
    });
    match form {
        Form::Json => found.entries.iter().try_for_each(print::json)?,
        Form::Text => {
            let rows: Vec<_> = found.entries.iter().map(row).collect();
            print::out(&print::table(&["AT", "WHO", "WHAT", "ABOUT", "CAME TO"], &rows))?;
        }
    }
    if found.unreadable > 0 {
        print::complain(&format!("pushbridge: {} lines of {path} cannot be read: torn, or changed", found.unreadable));
        return Ok(Exit::No);
    }
    Ok(Exit::Done)
}

fn row(entry: &Entry) -> Vec<String> {
    let (caller, deed) = (&entry.caller, &entry.deed);
    let who = caller.user.as_ref().map_or_else(|| format!("uid {}", caller.uid), Clone::clone);
    let mut about = Vec::new();
    about.extend(deed.submission.map(|id| id.to_string()));
    about.extend(deed.stage.as_ref().map(|stage| format!("was {stage}")));
    about.extend(deed.contract.as_ref().map(|contract| format!("contract {contract}")));
    about.extend(deed.channel.as_ref().map(|channel| format!("channel {channel}")));
    about.extend(deed.person.as_ref().map(|person| format!("person {person}")));
    about.extend(deed.kind.as_ref().map(ToString::to_string));
    about.extend(deed.value.map(|hash| format!("(hash {hash})")));
    match &*deed.accounts {
        [] => {}
        [one] => about.push(format!("account {one}")),
        many => about.push(format!("{} accounts", many.len())),
    }
    let outcome = match (entry.done, &entry.text) {
        (None, _) => "not known: the program ended before it could say".to_owned(),
        (Some(true), text) => text.clone().unwrap_or_default(),
        (Some(false), text) => format!("refused: {}", text.as_deref().unwrap_or_default()),
    };
    vec![entry.at.clone(), who, deed.command.clone(), about.join(", "), outcome]
}
