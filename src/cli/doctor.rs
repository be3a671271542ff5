//! `doctor`: looks at everything that a working bridge needs, a line each, with what to do.

use super::{
    Form,
    context::{Context, client, runtime},
    exit::{Exit, Failed},
    print,
    profiles::edition::edition,
    setup,
};
use crate::{
    admin::{Answer, Question, Status},
    config::{Channel, Contract},
    engine::EditionFacts,
    intake::{FileSystem, Space, Spool},
    model::{ChannelName, ContractName, Timestamp},
    push::{Client, ContractFacts, Failure},
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

/// Check configuration, keys, folders, clock, TLS, contract, tokens and mappings
#[derive(Debug, clap::Args)]
#[command(after_help = "Ends with 1 when a check failed; a warning fails nothing.")]
pub(super) struct Args {}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
    Skipped,
}

/// One line.
#[derive(Clone, Debug, serde::Serialize)]
struct Check {
    name: String,
    verdict: Verdict,
    text: String,
    /// What to do.
    remedy: String,
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, name: impl Into<String>, verdict: Verdict, text: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Check { name: name.into(), verdict, text: text.into(), remedy: remedy.into() });
    }

    fn ok(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.add(name, Verdict::Ok, text, "");
    }
}

/// A channel makes three files for a Bundle, and keeps them.
const FILES_LEAST: u64 = 10_000;
/// A clock that is further off than this makes signatures fail one day.
const SKEW_MOST: i64 = 30_000;

pub(super) fn run(file: &Path, form: Form) -> Result<Exit, Failed> {
    let mut checks = Checks::default();
    match Context::load(file) {
        Err(failed) => checks.add("configuration", Verdict::Fail, failed.error.to_string(), "mend what is named"),
        Ok(context) => {
            checks.ok("configuration", format!("{} can be used", context.config.file.display()));
            for warning in &context.config.warnings {
                checks.add("configuration", Verdict::Warn, warning.clone(), "change it if it is not meant");
            }
            check_all(&context, &mut checks);
        }
    }
    for check in &checks.0 {
        if form == Form::Json {
            print::json(check)?;
            continue;
        }
        let word = match check.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
            Verdict::Skipped => "skip",
        };
        let remedy = if check.remedy.is_empty() { String::new() } else { format!("\n      -> {}", check.remedy) };
        print::line(&format!("{word}  {}: {}{remedy}", check.name, check.text))?;
    }
    let failed = checks.0.iter().any(|check| check.verdict == Verdict::Fail);
    Ok(if failed { Exit::No } else { Exit::Done })
}

fn check_all(context: &Context, checks: &mut Checks) {
    check_state(context, checks);
    check_secrets(context, checks);
    let on_disk = check_profiles(context, checks);
    for (name, channel) in &context.config.channels {
        check_channel(context, name, channel, checks);
    }
    for (name, contract) in &context.config.contracts {
        check_contract(context, name, contract, checks);
    }
    match context.ask(Question::Status) {
        Ok(Answer::Status(status)) => {
            check_in_force(on_disk.as_ref(), &status, checks);
            check_records(context, &status, checks);
        }
        Ok(_) => {}
        Err(failed) => {
            checks.add("store", Verdict::Fail, failed.error.to_string(), "see the README: If the store is damaged")
        }
    }
}

fn check_state(context: &Context, checks: &mut Checks) {
    let state = &context.config.state;
    match fs::metadata(state) {
        Err(error) => {
            checks.add(
                "state",
                Verdict::Warn,
                format!("{}: {error}", state.display()),
                "it is made at the first start",
            );
        }
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            checks.add("state", Verdict::Fail, "others may look into it", format!("chmod 700 {}", state.display()));
        }
        Ok(_) => match FileSystem::of(state) {
            Ok(FileSystem::Network) => checks.add(
                "state",
                Verdict::Fail,
                "it lies on a network file system, where locks and syncs cannot be trusted",
                "move it to a local disk",
            ),
            _ => checks.ok("state", format!("{} is local and ours alone", state.display())),
        },
    }
}

fn check_secrets(context: &Context, checks: &mut Checks) {
    let source = context.key_source();
    match context.sealer() {
        Err(failed) => checks.add("secrets", Verdict::Fail, failed.error.to_string(), "see the README: Secrets"),
        Ok(sealer) => {
            checks.ok("secrets", format!("tokens are sealed with key {} of {source}", sealer.present()));
            if context.config.secrets.is_none() {
                checks.add(
                    "secrets",
                    Verdict::Warn,
                    "the sealing key lies beside the store: a copy of the whole state folder opens every token",
                    "keep it elsewhere: [secrets] key = \"credential:NAME\" or \"file:PATH\"",
                );
            }
        }
    }
}

fn check_profiles(context: &Context, checks: &mut Checks) -> Option<EditionFacts> {
    match edition(&context.config, None) {
        Ok(edition) => {
            checks.ok("profiles", edition.facts.to_string());
            Some(edition.facts)
        }
        Err(failed) => {
            checks.add(
                "profiles",
                Verdict::Fail,
                failed.text(),
                "mend what is named; pushbridge profiles check looks again",
            );
            None
        }
    }
}

/// A daemon judges by what it loaded last.
fn check_in_force(on_disk: Option<&EditionFacts>, status: &Status, checks: &mut Checks) {
    let Some(in_force) = &status.profiles else { return };
    if on_disk.is_some_and(|on_disk| on_disk.files != in_force.facts.files) {
        checks.add(
            "profiles",
            Verdict::Warn,
            "the daemon judges by other files than those that lie in profiles/ now",
            "pushbridge profiles reload",
        );
    }
}

fn check_channel(context: &Context, name: &ChannelName, channel: &Channel, checks: &mut Checks) {
    let title = format!("channel {name}");
    match fs::read_dir(&channel.inbox) {
        Err(error) => checks.add(
            &title,
            Verdict::Fail,
            format!("the inbox {} cannot be read: {error}", channel.inbox.display()),
            "create or mount it, and let this user read and remove files in it",
        ),
        Ok(_) => {
            let may_remove = rustix::fs::access(&channel.inbox, rustix::fs::Access::WRITE_OK).is_ok();
            match (may_remove, FileSystem::of(&channel.inbox)) {
                (false, _) => checks.add(
                    &title,
                    Verdict::Fail,
                    "files in the inbox cannot be removed: each would be claimed once and left there",
                    "let this user write to the inbox",
                ),
                (true, Ok(FileSystem::Network)) => {
                    checks.ok(&title, "the inbox is on a network file system: it is polled every second");
                }
                _ => checks.ok(&title, "the inbox is local: file events are used"),
            }
        }
    }
    match Spool::open(&channel.folder) {
        Err(error) => checks.add(&title, Verdict::Fail, format!("failed to {error}"), "see the README on folders"),
        Ok(spool) => {
            if let Err(failed) = setup::judging(name, channel, &spool) {
                checks.add(&title, Verdict::Fail, failed.error.to_string(), "mend what is named");
            }
            match Space::at(&channel.folder) {
                Ok(space) if space.bytes < context.config.limits.min_free => checks.add(
                    &title,
                    Verdict::Fail,
                    format!("only {} MB are free: nothing is claimed", space.bytes >> 20),
                    "free some space, or lower limits.min_free",
                ),
                Ok(Space { files: Some(files), .. }) if files < FILES_LEAST => checks.add(
                    &title,
                    Verdict::Fail,
                    format!("only {files} inodes are free: no files can be made although there is space"),
                    "remove files that nobody needs, or use a file system with more inodes",
                ),
                Ok(space) => {
                    checks.ok(&title, format!("its folders are on one file system, {} MB free", space.bytes >> 20));
                    match space.files {
                        Some(files) => checks.ok(&title, format!("{files} inodes are free there")),
                        None => checks.ok(&title, "its file system makes inodes as they are needed"),
                    }
                }
                Err(error) => checks.add(&title, Verdict::Warn, format!("free space is not known: {error}"), ""),
            }
        }
    }
}

fn check_contract(context: &Context, name: &ContractName, contract: &Contract, checks: &mut Checks) {
    let title = format!("contract {name}");
    for key in std::iter::once(&contract.key_file).chain(&contract.client_key) {
        match fs::metadata(key) {
            Err(error) => {
                let text = format!("the key {} cannot be read: {error}", key.display());
                return checks.add(&title, Verdict::Fail, text, "put the private key there, mode 0600");
            }
            Ok(metadata) if metadata.mode() & 0o077 != 0 => checks.add(
                &title,
                Verdict::Fail,
                "others may read the private key",
                format!("chmod 600 {}", key.display()),
            ),
            Ok(_) => {}
        }
    }
    let client = match client(name, contract, context.config.limits.connections) {
        Ok(client) => client,
        Err(failed) => return checks.add(&title, Verdict::Fail, failed.error.to_string(), "mend what is named"),
    };
    checks.ok(&title, "the private key can sign");
    let Ok(runtime) = runtime() else { return };
    let answered = runtime.block_on(client.contract());
    check_answer(&title, &client, answered, checks);
}

fn check_answer(title: &str, client: &Client, answered: Result<ContractFacts, Failure>, checks: &mut Checks) {
    let now = Timestamp::now();
    match answered {
        Ok(facts) => {
            match facts.access_type.as_str() {
                "w" => checks.ok(title, "the API knows the contract, and it may write"),
                _ => checks.add(title, Verdict::Fail, "the contract may not write", "use a write contract"),
            }
            match facts.expires {
                Some(expires) if expires <= now => {
                    checks.add(title, Verdict::Fail, format!("it expired at {expires}"), "ask for a new contract");
                }
                Some(expires) => checks.ok(title, format!("it is valid until {expires}")),
                None => checks.add(title, Verdict::Warn, "the API does not say how long it is valid", ""),
            }
        }
        Err(failure) if failure.is_set_up_refused() => checks.add(
            title,
            Verdict::Fail,
            failure.to_string(),
            "check application_id, contract_id and that the key belongs to this contract",
        ),
        Err(failure) => checks.add(
            title,
            Verdict::Fail,
            failure.to_string(),
            "check base_url, the network, the proxy and, behind a proxy that reads TLS, ca_file",
        ),
    }
    let skew = client.clock_skew_millis();
    match skew.abs() {
        0..=SKEW_MOST => checks.ok(title, "our clock and the API's agree"),
        _ => checks.add(
            title,
            Verdict::Warn,
            format!("our clock is {} s off the API's; requests are corrected by it", skew / 1000),
            "let this machine's clock follow a time server",
        ),
    }
}

fn check_records(context: &Context, status: &Status, checks: &mut Checks) {
    for name in context.config.contracts.keys() {
        let persons: Vec<_> = status.tokens.iter().filter(|token| token.contract == *name).collect();
        if persons.is_empty() {
            let remedy = format!("pushbridge authorize --contract {name}, or tokens import");
            checks.add("tokens", Verdict::Fail, format!("contract {name} has no persons"), remedy);
        }
        for token in persons {
            let title = format!("tokens of {}", token.person);
            match &token.why {
                Some(why) => {
                    checks.add(title, Verdict::Fail, why.clone(), token.remedy.clone().unwrap_or_default());
                }
                None if token.ends_soon => checks.add(
                    title,
                    Verdict::Warn,
                    format!("the refresh token ends at {}", token.refresh_expiry),
                    format!(
                        "keep the daemon running: it renews it; where it cannot, in time: {}",
                        token.remedy.as_deref().unwrap_or_default()
                    ),
                ),
                None => checks.ok(title, format!("good until {}", token.refresh_expiry)),
            }
        }
    }
    let links = context.ask(Question::Links { channel: None });
    let accounts = context.ask(Question::Accounts { contract: None });
    let (Ok(Answer::Links { links }), Ok(Answer::Accounts { accounts })) = (links, accounts) else {
        return checks.add("mappings", Verdict::Skipped, "they could not be read", "");
    };
    if accounts.is_empty() {
        checks.add(
            "accounts",
            Verdict::Fail,
            "none is known",
            "pushbridge authorize, or pushbridge accounts sync --contract NAME",
        );
    }
    for account in &accounts {
        if let Some(why) = account.blocked_because() {
            let title = format!("account {}", account.reference);
            checks.add(title, Verdict::Fail, format!("its Bundles wait: {why}"), account.remedy());
        }
    }
    for (name, channel) in &context.config.channels {
        let own: Vec<_> = links.iter().filter(|view| view.link.channel == *name).collect();
        let needs_links =
            channel.route.folder || !channel.route.patient_systems.is_empty() || channel.route.expression.is_some();
        if own.is_empty() && needs_links {
            let text = format!("channel {name} has no links: every file is held");
            checks.add(
                "mappings",
                Verdict::Warn,
                text,
                format!("pushbridge links add {name} KIND VALUE ACCOUNT-REFERENCE"),
            );
        }
        for view in &own {
            let known = accounts
                .iter()
                .filter(|account| account.contract == channel.contract && account.reference == view.link.account);
            match known.count() {
                1 => {}
                _ => checks.add(
                    "mappings",
                    Verdict::Fail,
                    format!(
                        "a link of channel {name} leads to {}, which is not exactly one known account",
                        view.link.account
                    ),
                    "pushbridge accounts sync, or correct the link",
                ),
            }
        }
        if !own.is_empty() {
            checks.ok("mappings", format!("channel {name} has {} links", own.len()));
        }
    }
}
