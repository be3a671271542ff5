//! `store`: everything that is known, as JSON lines.

use super::{
    Form,
    context::Context,
    exit::{Exit, Failed},
    print,
};
use crate::{
    admin::{Answer, Deed, Question},
    model::Digest,
    store::{Secrets, Source, Store, backup, confirm, export, fill_new_file, import, restore, unconfirmed},
};
use serde_json::json;
use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

/// Back the records up, also while the daemon runs; restore them, or carry them to or from JSON lines
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:\n  pushbridge store backup /backups/pushbridge.sealed\n  \
pushbridge store restore /backups/pushbridge.sealed      then: pushbridge store confirm\n  \
pushbridge store backup --move moving.sealed             this machine pushes no more\n  \
pushbridge store export records.jsonl\n  pushbridge store import records.jsonl\n\n\
A backup is sealed with the key of [secrets]: keep that key elsewhere, or the backup opens nowhere.")]
pub(super) enum Command {
    /// Write every record as a JSON line, without tokens unless asked
    Export {
        /// The file to write, which must not exist; - for standard output
        file: PathBuf,
        /// Tokens too, in clear: keep the file as you keep keys
        #[arg(long)]
        with_secrets: bool,
        /// Retire this machine's store: another one goes on with the file
        #[arg(long = "move", requires = "with_secrets")]
        retire: bool,
    },
    /// Write everything, tokens and the key of the links' hashes too, sealed
    Backup {
        /// The file to write, which must not exist
        file: PathBuf,
        /// Retire this machine's store: another one goes on with the backup
        #[arg(long = "move")]
        retire: bool,
    },
    /// Put a backup into a state folder that has no records yet
    Restore {
        /// The file
        file: PathBuf,
    },
    /// After a restore: nobody else pushes with these records, and pushing may begin
    Confirm,
    /// Read records from JSON lines; those of the same id are replaced
    Import {
        /// The file
        file: PathBuf,
    },
}

pub(super) fn run(context: &Context, command: Command, form: Form) -> Result<Exit, Failed> {
    if let Command::Backup { file, retire: false } = command {
        return back_up(context, &file, form);
    }
    let store = context.open_store()?;
    match command {
        Command::Export { file, with_secrets: true, retire } => {
            let deed = if retire { "store export --with-secrets --move" } else { "store export --with-secrets" };
            context.audited(Deed::of(deed), || {
                write(&*store, Secrets::With, &file)?;
                if retire { retired(&*store, form) } else { Ok(Exit::Done) }
            })
        }
        Command::Backup { file, .. } => context.audited(Deed::of("store backup --move"), || {
            let (sealer, key) = (context.sealer()?, context.hash_key()?);
            fill_new_file(&file, |out| backup(&*store, &key, Source::Retired, &sealer, out)).map_err(unreadable)?;
            retired(&*store, form)
        }),
        Command::Restore { file } => {
            context.audited(Deed::of("store restore"), || restored(context, &*store, &file, form))
        }
        Command::Confirm => context.audited(Deed::of("store confirm"), || confirmed(&*store, form)),
        Command::Export { file, with_secrets: false, .. } => write(&*store, Secrets::Without, &file),
        Command::Import { file } => context.audited(Deed::of("store import"), || read(&*store, &file, form)),
    }
}

fn unreadable(error: impl Into<anyhow::Error>) -> Failed {
    Failed::new(Exit::Unreadable, error)
}

fn write(store: &dyn Store, secrets: Secrets, file: &Path) -> Result<Exit, Failed> {
    if file.as_os_str() == "-" {
        export(store, secrets, &mut std::io::stdout().lock()).map_err(unreadable)?;
    } else {
        fill_new_file(file, |out| export(store, secrets, out))
            .map_err(|error| Failed::say(Exit::Unreadable, format!("write {}: {error}", file.display())))?;
    }
    Ok(Exit::Done)
}

/// Beside a daemon too, which then writes the file.
fn back_up(context: &Context, file: &Path, form: Form) -> Result<Exit, Failed> {
    let absolute = std::path::absolute(file)
        .map_err(|error| Failed::say(Exit::Unreadable, format!("find {}: {error}", file.display())))?;
    match (context.ask(Question::Backup { file: absolute })?, form) {
        (Answer::Done { text }, Form::Json) => print::json(&json!({"backup": file, "text": text}))?,
        (Answer::Done { text }, Form::Text) => print::line(&text)?,
        _ => {}
    }
    Ok(Exit::Done)
}

fn retired(store: &dyn Store, form: Form) -> Result<Exit, Failed> {
    store.retire().map_err(unreadable)?;
    match form {
        Form::Json => print::json(&json!({"moved": true}))?,
        Form::Text => print::line("this machine's store is retired: it pushes no more")?,
    }
    Ok(Exit::Done)
}

fn confirmed(store: &dyn Store, form: Form) -> Result<Exit, Failed> {
    let was = unconfirmed(store).map_err(unreadable)?;
    confirm(store).map_err(unreadable)?;
    match form {
        Form::Json => print::json(&json!({"confirmed": was.is_some()}))?,
        Form::Text if was.is_some() => print::line("confirmed; pushbridge run begins to push")?,
        Form::Text => print::line("there was nothing to confirm")?,
    }
    Ok(Exit::Done)
}

fn restored(context: &Context, store: &dyn Store, file: &Path, form: Form) -> Result<Exit, Failed> {
    let sealer = context.sealer()?;
    let opened =
        File::open(file).map_err(|error| Failed::say(Exit::Unreadable, format!("read {}: {error}", file.display())))?;
    let restored = restore(store, &sealer, &mut BufReader::new(opened)).map_err(unreadable)?;
    let key: Digest = restored.hash_key.expose().trim().parse().map_err(unreadable)?;
    context.keep_hash_key(&key)?;
    match form {
        Form::Json => print::json(&json!({
            "records": restored.imported.records, "made": restored.made, "needs_confirmation": restored.needs_confirmation,
        }))?,
        Form::Text if restored.needs_confirmation => print::line(&format!(
            "{} records restored from a backup of {}. What was unfinished then is Unknown now (queue ls --unknown), and \
             each person's tokens are tried once. See to it that no other machine pushes with these records; then: \
             pushbridge store confirm",
            restored.imported.records, restored.made
        ))?,
        Form::Text => print::line(&format!(
            "{} records restored; the machine that they come from was retired: pushbridge run goes on where it ended",
            restored.imported.records
        ))?,
    }
    Ok(Exit::Done)
}

fn read(store: &dyn Store, file: &Path, form: Form) -> Result<Exit, Failed> {
    let opened = File::open(file);
    let opened = opened.map_err(|error| Failed::say(Exit::Unreadable, format!("read {}: {error}", file.display())))?;
    let imported = import(store, &mut BufReader::new(opened)).map_err(unreadable)?;
    match form {
        Form::Json => print::json(&imported)?,
        Form::Text => print::line(&format!(
            "{} records taken; {} persons came without tokens and must authorise, {} were left as they are",
            imported.records, imported.without_tokens, imported.kept
        ))?,
    }
    Ok(Exit::Done)
}
