//! `secrets`: the keys that seal what is secret at rest.

use super::{
    Form,
    context::{Context, write_anew, write_new},
    exit::{Exit, Failed},
    keys, print,
};
use crate::{
    admin::Deed,
    config::KeySource,
    model::{KeyId, Sealer},
};
use serde_json::json;
use std::{
    io,
    path::{Path, PathBuf},
};

/// The keys that seal tokens on the disk
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:\n  pushbridge secrets status\n  \
pushbridge secrets new > /etc/pushbridge/secrets.key     then [secrets] key = \"file:/etc/pushbridge/secrets.key\"\n  \
pushbridge secrets rotate\n\n\
A source may hold several keys, the present one first: the first seals, every one opens. At each start what an \
earlier key sealed is sealed anew, so a key from a credential or a variable is rotated by putting the new one in \
front, starting once, and taking the old one out.")]
pub(super) enum Command {
    /// Print a new key of 64 hexadecimal digits
    New,
    /// Say where the keys come from and which they are, by their ids
    Status,
    /// Make a new key in the key file and seal everything anew; the daemon must not run
    Rotate,
}

pub(super) fn run(
    context: impl FnOnce() -> Result<Context, Failed>,
    command: &Command,
    form: Form,
) -> Result<Exit, Failed> {
    match command {
        Command::New => {
            let key = Sealer::new_key();
            match form {
                Form::Json => print::json(&json!({"key": key.expose()}))?,
                Form::Text => print::line(key.expose())?,
            }
        }
        Command::Status => status(&context()?, form)?,
        Command::Rotate => {
            let context = context()?;
            context.audited(Deed::of("secrets rotate"), || rotate(&context, form))?;
        }
    }
    Ok(Exit::Done)
}

fn status(context: &Context, form: Form) -> Result<(), Failed> {
    let sealer = context.sealer()?;
    let source = context.key_source().to_string();
    let earlier: Vec<KeyId> = sealer.key_ids().skip(1).collect();
    if form == Form::Json {
        return print::json(&json!({"source": source, "present": sealer.present(), "earlier": earlier}));
    }
    print::line(&format!("{source}: key {} seals", sealer.present()))?;
    earlier.iter().try_for_each(|key| print::line(&format!("{source}: key {key} still opens what it sealed")))
}

fn rotate(context: &Context, form: Form) -> Result<(), Failed> {
    let source = context.key_source();
    let KeySource::File(path) = &source else {
        return Err(Failed::say(
            Exit::Usage,
            format!(
                "rotate the sealing key {source}: it is not ours to write; put a new key (pushbridge secrets new) in \
                 front of the present one, start pushbridge once, then take the old key out"
            ),
        ));
    };
    // Whoever has the store open may not come to miss a key; opening it also seals everything with the present key.
    drop(context.open_store()?);
    let earlier = context.sealer()?.present();
    let (old, new) = (keys::read(&source)?, Sealer::new_key());
    let unwritable = |error: io::Error| Failed::say(Exit::Unreadable, format!("write {}: {error}", path.display()));
    write_anew(path, format!("{}\n{}", new.expose(), old.expose()).as_bytes()).map_err(unwritable)?;
    drop(context.open_store()?);
    let kept = with_ending(path, &format!(".{earlier}"));
    match write_new(&kept, old.expose().as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unwritable(error)),
        Ok(()) | Err(_) => {}
    }
    write_anew(path, format!("{}\n", new.expose()).as_bytes()).map_err(unwritable)?;
    let present = context.sealer()?.present();
    match form {
        Form::Json => print::json(&json!({"present": present, "earlier": earlier, "earlier_kept": kept})),
        Form::Text => print::line(&format!(
            "key {present} seals from now on, and everything was sealed anew; key {earlier} was put into {}: \
             it opens backups that were made before, remove it when there are none",
            kept.display()
        )),
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
