//! `init`: a commented configuration and the folders that it names.

use super::{
    Form,
    context::{DEFAULT_FILE, make_folder, write_new},
    exit::{Exit, Failed},
    print,
};
use crate::config::commented_file;
use serde_json::json;
use std::{io, path::PathBuf};

/// Write a commented pushbridge.toml and make the folders
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  pushbridge init /srv/pushbridge\n\nNothing that exists is replaced.")]
pub(super) struct Args {
    /// Where
    #[arg(default_value = ".")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args, form: Form) -> Result<Exit, Failed> {
    let inbox = args.dir.join("inbox/clinic");
    for folder in [&args.dir, &inbox, &args.dir.join("state"), &args.dir.join("channels")] {
        make_folder(folder)?;
    }
    let file = args.dir.join(DEFAULT_FILE);
    write_new(&file, commented_file().as_bytes()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failed::say(Exit::No, format!("write {}: there is one already, and it was left as it is", file.display()))
        }
        _ => Failed::say(Exit::Unreadable, format!("write {}: {error}", file.display())),
    })?;
    match form {
        Form::Json => print::json(&json!({"config": file, "inbox": inbox}))?,
        Form::Text => print::out(&format!(
            "Wrote {}.\n\nNext:\n\
             1. Put your application id, contract id and the contract's private key (mode 0600) into [contract.main].\n\
             2. pushbridge authorize   makes a link for a person, waits for the answer, and keeps tokens and account\n\
             3. pushbridge links add clinic folder FOLDER-NAME ACCOUNT-REFERENCE\n\
             4. pushbridge doctor      checks all of it, with what to do\n\
             5. pushbridge run         and drop a Bundle into {}/FOLDER-NAME\n",
            file.display(),
            inbox.display()
        ))?,
    }
    Ok(Exit::Done)
}
