//! `route`: whose a file would be, and by which evidence. Nothing is sent and nothing is kept.

use super::{
    Form,
    context::Context,
    exit::{Exit, Failed},
    print,
    profiles::edition::edition,
    setup,
};
use crate::{
    admin::{Answer, Question},
    engine::{
        judge::{Bundles, Kind},
        reason,
    },
    intake::Spool,
    model::{
        Account, AccountReference, ChannelName, EvidenceKind, ForeignName, HashKey, HoldReason, KeyedHash,
        LibraryFacts, Link, LinkValue, PushType, Stage,
    },
    route::{
        Addressing, Directory, Envelope, HEAD, LibraryRules, MediaType, address, address_file, describe, media_type,
    },
    validate::{self, Outcome, render},
};
use serde_json::json;
use std::{
    convert::Infallible,
    fs::{self, File},
    io::Read as _,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    sync::Arc,
};

/// Which account a file would go to, by which evidence and as what, or why it would be held; nothing is sent
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pushbridge route inbox/clinic/jansen-7/bundle.json\n  \
pushbridge route --channel clinic --folder jansen-7 bundle.json\n  \
pushbridge route --channel letters --folder jansen-7 discharge.pdf")]
pub(super) struct Args {
    /// The file
    path: PathBuf,
    /// The channel; found by the path where it lies in an inbox
    #[arg(long)]
    channel: Option<ChannelName>,
    /// The sub-folder that it would lie in
    #[arg(long)]
    folder: Option<String>,
}

/// What the daemon or the store told, so that one look answers all.
struct Told {
    links: Vec<Link>,
    accounts: Vec<Account>,
    channel: ChannelName,
    hash_key: Arc<HashKey>,
}

impl Directory for Told {
    type Error = Infallible;

    fn link(&self, kind: EvidenceKind, value: &LinkValue) -> Result<Option<AccountReference>, Infallible> {
        let found = self.links.iter().find(|link| link.kind == kind && link.value == *value);
        Ok(found.map(|link| link.account.clone()))
    }

    fn accounts(&self, reference: &AccountReference) -> Result<Vec<Account>, Infallible> {
        Ok(self.accounts.iter().filter(|account| account.reference == *reference).cloned().collect())
    }

    fn hash(&self, kind: EvidenceKind, parts: &[&[u8]]) -> KeyedHash {
        self.hash_key.evidence(&self.channel, kind, parts)
    }
}

pub(super) fn run(context: &Context, args: &Args, form: Form) -> Result<Exit, Failed> {
    let (channel, folder) = place(context, args)?;
    let settings = &context.config.channels[&channel];
    let spool = Spool::open(&settings.folder).map_err(|error| Failed::new(Exit::Unreadable, error))?;
    let judging = setup::judging(&channel, settings, &spool)?;
    let mut sidecar_path = args.path.clone().into_os_string();
    sidecar_path.push(".route.json");
    let sidecar = fs::read(sidecar_path).ok();
    let envelope = Envelope { folder: folder.as_ref(), sidecar: sidecar.as_deref() };
    let file = Asked { args, channel: &channel, envelope };
    match &judging.kind {
        Kind::Bundles(rules) => bundle(context, &file, rules, form),
        Kind::Library(rules) => library(context, &file, rules, form),
    }
}

/// What was asked for.
struct Asked<'a> {
    args: &'a Args,
    channel: &'a ChannelName,
    envelope: Envelope<'a>,
}

impl Asked<'_> {
    fn unreadable(&self, error: &std::io::Error) -> Failed {
        Failed::say(Exit::Unreadable, format!("read {}: {error}", self.args.path.display()))
    }
}

fn bundle(context: &Context, asked: &Asked<'_>, rules: &Bundles, form: Form) -> Result<Exit, Failed> {
    let bytes = fs::read(&asked.args.path).map_err(|error| asked.unreadable(&error))?;
    let document = match validate::read(&bytes, &rules.limits) {
        Ok(document) => document,
        Err(error) => return refused(asked.args, "", &Outcome::of_unreadable(&error), form),
    };
    let validator = edition(&context.config, context.terminology()?)?.validator;
    let (bundle, outcome) = match validator.bundle(&document, &rules.policy) {
        Ok(valid) => valid,
        Err(outcome) => return refused(asked.args, document.source(), &outcome, form),
    };
    let told = told(context, asked.channel)?;
    let Ok(mut addressing) = address(&bundle, asked.envelope, &rules.routing, &told);
    if rules.waits_for_profiles && outcome.claims_unloaded {
        addressing.outcome = Err(HoldReason::ProfileNotLoaded);
    }
    tell(asked, PushType::Provider, None, addressing, form)
}

/// Only the beginning of the file is looked at.
fn library(context: &Context, asked: &Asked<'_>, rules: &LibraryRules, form: Form) -> Result<Exit, Failed> {
    let mut head = Vec::new();
    let read = File::open(&asked.args.path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    read.map_err(|error| asked.unreadable(&error))?;
    if head.is_empty() {
        match form {
            Form::Json => print::json(&json!({"file": asked.args.path, "channel": asked.channel, "refused": "empty"}))?,
            Form::Text => print::line("would be refused: it is empty")?,
        }
        return Ok(Exit::No);
    }
    let name = asked.args.path.file_name().unwrap_or_default();
    let found: MediaType = media_type(&ForeignName::new(name.as_bytes()), &head);
    let (facts, addressing) = match describe(found, asked.envelope.sidecar, rules) {
        Err(reason) => (found.facts(), Addressing { evidence: Vec::new(), outcome: Err(reason) }),
        Ok(descriptor) => {
            let facts = descriptor.facts();
            let Ok(addressing) = address_file(descriptor, asked.envelope, rules, &told(context, asked.channel)?);
            (facts, addressing)
        }
    };
    tell(asked, PushType::Library, Some(&facts), addressing, form)
}

fn tell<P>(
    asked: &Asked<'_>,
    push: PushType,
    library: Option<&LibraryFacts>,
    addressing: Addressing<P>,
    form: Form,
) -> Result<Exit, Failed> {
    let outcome = addressing.outcome.map(|addressed| addressed.recipient().clone());
    if form == Form::Json {
        print::json(&json!({
            "file": asked.args.path, "channel": asked.channel, "push": push, "library": library,
            "evidence": addressing.evidence, "recipient": outcome.as_ref().ok(), "held": outcome.as_ref().err(),
        }))?;
    } else {
        if let Some(facts) = library {
            print::line(&format!("library push as {}, {}", facts.mime_type, facts.found_by.text()))?;
            print::line(&format!("references {}, tags {}", facts.references, facts.tags))?;
        }
        for piece in &addressing.evidence {
            let leads = piece.account.as_ref().map_or_else(|| "linked to no account".to_owned(), ToString::to_string);
            print::line(&format!("evidence {:<10} {leads}", piece.kind))?;
        }
        match &outcome {
            Ok(recipient) => print::line(&format!(
                "would go to account {} ({}) of person {} under contract {}",
                recipient.reference, recipient.account, recipient.person, recipient.contract
            ))?,
            Err(held) => print::line(&format!("would be held: {}", reason(&Stage::Held(held.clone()))))?,
        }
    }
    Ok(if outcome.is_ok() { Exit::Done } else { Exit::No })
}

/// The channel whose inbox holds the file, and the sub-folder, unless both are named.
fn place(context: &Context, args: &Args) -> Result<(ChannelName, Option<ForeignName>), Failed> {
    let named = args.folder.as_ref().map(|folder| ForeignName::new(folder.as_bytes()));
    let path = fs::canonicalize(&args.path).unwrap_or_else(|_| args.path.clone());
    for (name, channel) in &context.config.channels {
        let inbox = fs::canonicalize(&channel.inbox).unwrap_or_else(|_| channel.inbox.clone());
        if let Ok(relative) = path.strip_prefix(&inbox)
            && args.channel.as_ref().is_none_or(|wanted| wanted == name)
        {
            let parent = relative.parent().filter(|parent| !parent.as_os_str().is_empty());
            let found = parent.map(|parent| ForeignName::new(parent.as_os_str().as_bytes()));
            return Ok((name.clone(), named.or(found)));
        }
    }
    let channels = &context.config.channels;
    let only = channels.keys().next().filter(|_| channels.len() == 1);
    match args.channel.as_ref().or(only) {
        Some(channel) if channels.contains_key(channel) => Ok((channel.clone(), named)),
        Some(channel) => Err(Failed::say(Exit::Usage, format!("find channel {channel} in the configuration"))),
        None => Err(Failed::say(Exit::Usage, "know the channel: the file lies in no inbox; say --channel NAME")),
    }
}

fn told(context: &Context, channel: &ChannelName) -> Result<Told, Failed> {
    let strange = || Failed::say(Exit::Internal, "read the daemon's answer");
    let contract = context.config.channels[channel].contract.clone();
    let Answer::Links { links } = context.ask(Question::Links { channel: Some(channel.clone()) })? else {
        return Err(strange());
    };
    let Answer::Accounts { accounts } = context.ask(Question::Accounts { contract: Some(contract) })? else {
        return Err(strange());
    };
    let links = links.into_iter().map(|view| view.link).collect();
    Ok(Told { links, accounts, channel: channel.clone(), hash_key: context.hash_key()? })
}

fn refused(args: &Args, source: &str, outcome: &Outcome, form: Form) -> Result<Exit, Failed> {
    let name = args.path.display().to_string();
    match form {
        Form::Json => print::line(&render::json_line(&name, outcome))?,
        Form::Text => {
            print::out(&render::text(&name, source, outcome))?;
            print::line("would be refused: it is not a valid STU3 Bundle")?;
        }
    }
    Ok(Exit::No)
}
