//! `links`: which evidence means which account.

use super::{
    Form,
    accounts::done,
    context::Context,
    exit::{Exit, Failed},
    print,
};
use crate::{
    admin::{Answer, LinkView, Question},
    model::{AccountReference, ChannelName, EvidenceKind, LinkValue},
};

/// Mappings: this evidence in this channel means this account
#[derive(Debug, clap::Subcommand)]
#[command(
    after_help = "Kinds: folder (the inbox' sub-folder), sidecar (\"key\" of <file>.route.json), patient (an identifier, \
with --system), expression (a value of the channel's expression). Identifiers and expression values are kept as a keyed hash alone.\n\n\
Examples:\n  pushbridge links add clinic folder jansen-7 REF-1\n  \
pushbridge links add clinic patient --system http://clinic.example/number 4711 REF-1\n  pushbridge links ls"
)]
pub(super) enum Command {
    /// Add a mapping; held Bundles that it answers are released by themselves
    Add {
        /// In this channel
        channel: ChannelName,
        /// folder, sidecar, patient or expression
        #[arg(value_parser = parse_kind)]
        kind: EvidenceKind,
        /// What the evidence says
        value: String,
        /// The accountReference that it means
        account: AccountReference,
        /// For a patient identifier: its system
        #[arg(long)]
        system: Option<String>,
    },
    /// List mappings
    Ls {
        /// Of this channel
        #[arg(long)]
        channel: Option<ChannelName>,
    },
    /// Remove a mapping; Bundles that wait by it are judged again before they are sent
    Rm {
        /// In this channel
        channel: ChannelName,
        /// folder, sidecar, patient or expression
        #[arg(value_parser = parse_kind)]
        kind: EvidenceKind,
        /// What the evidence says
        value: String,
        /// For a patient identifier: its system
        #[arg(long)]
        system: Option<String>,
    },
}

fn parse_kind(text: &str) -> Result<EvidenceKind, String> {
    let kinds = [EvidenceKind::Folder, EvidenceKind::Sidecar, EvidenceKind::Patient, EvidenceKind::Expression];
    let found = kinds.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| "a kind is folder, sidecar, patient or expression".to_owned())
}

pub(super) fn run(context: &Context, command: Command, form: Form) -> Result<Exit, Failed> {
    match command {
        Command::Add { channel, kind, value, account, system } => {
            done(context, Question::AddLink { channel, kind, system, value, account }, form)
        }
        Command::Rm { channel, kind, value, system } => {
            done(context, Question::RemoveLink { channel, kind, system, value }, form)
        }
        Command::Ls { channel } => {
            let Answer::Links { links } = context.ask(Question::Links { channel })? else {
                return Err(Failed::say(Exit::Internal, "read the daemon's answer"));
            };
            list(&links, form)
        }
    }
}

fn list(links: &[LinkView], form: Form) -> Result<Exit, Failed> {
    if form == Form::Json {
        links.iter().try_for_each(print::json)?;
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = links
        .iter()
        .map(|LinkView { link }| {
            let value = match &link.value {
                LinkValue::Clear(value) => value.clone(),
                LinkValue::Hashed(hash) => format!("(hash {hash})"),
            };
            vec![
                link.channel.to_string(),
                link.kind.to_string(),
                value,
                link.account.to_string(),
                link.added.to_string(),
            ]
        })
        .collect();
    print::out(&print::table(&["CHANNEL", "KIND", "VALUE", "ACCOUNT", "ADDED"], &rows))?;
    Ok(Exit::Done)
}
