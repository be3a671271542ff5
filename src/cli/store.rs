//! `store`: everything that is known, as JSON lines.

use super::{
    Form,
    context::{Context, write_new},
    exit::{Exit, Failed},
    print,
};
use crate::{
    admin::Deed,
    store::{Secrets, Store, export, import},
};
use std::{
    fs::File,
    io::{BufReader, Write},
    path::{Path, PathBuf},
};

/// Carry the records to or from JSON lines; the daemon must not run
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:\n  pushbridge store export backup.jsonl\n  pushbridge store import backup.jsonl")]
pub(super) enum Command {
    /// Write every record as a JSON line, without tokens unless asked
    Export {
        /// The file to write, which must not exist; - for standard output
        file: PathBuf,
        /// Tokens too, in clear: keep the file as you keep keys
        #[arg(long)]
        with_secrets: bool,
    },
    /// Read records from JSON lines; those of the same id are replaced
    Import {
        /// The file
        file: PathBuf,
    },
}

pub(super) fn run(context: &Context, command: Command, form: Form) -> Result<Exit, Failed> {
    let store = context.open_store()?;
    match command {
        Command::Export { file, with_secrets: true } => {
            context.audited(Deed::of("store export --with-secrets"), || write(&*store, Secrets::With, &file))
        }
        Command::Export { file, with_secrets: false } => write(&*store, Secrets::Without, &file),
        Command::Import { file } => context.audited(Deed::of("store import"), || read(&*store, &file, form)),
    }
}

fn write(store: &dyn Store, secrets: Secrets, file: &Path) -> Result<Exit, Failed> {
    let failed = |error: crate::store::ExportError| Failed::new(Exit::Unreadable, error);
    if file.as_os_str() == "-" {
        export(store, secrets, &mut std::io::stdout().lock()).map_err(failed)?;
        return Ok(Exit::Done);
    }
    let unwritable = |error| Failed::say(Exit::Unreadable, format!("write {}: {error}", file.display()));
    write_new(file, b"").map_err(unwritable)?;
    let mut out = std::io::BufWriter::new(File::options().append(true).open(file).map_err(unwritable)?);
    export(store, secrets, &mut out).map_err(failed)?;
    out.flush().and_then(|()| out.get_ref().sync_all()).map_err(unwritable)?;
    Ok(Exit::Done)
}

fn read(store: &dyn Store, file: &Path, form: Form) -> Result<Exit, Failed> {
    let opened = File::open(file);
    let opened = opened.map_err(|error| Failed::say(Exit::Unreadable, format!("read {}: {error}", file.display())))?;
    let imported = import(store, &mut BufReader::new(opened)).map_err(|error| Failed::new(Exit::Unreadable, error))?;
    match form {
        Form::Json => print::json(&imported)?,
        Form::Text => print::line(&format!(
            "{} records taken; {} persons came without tokens and must authorise, {} were left as they are",
            imported.records, imported.without_tokens, imported.kept
        ))?,
    }
    Ok(Exit::Done)
}
