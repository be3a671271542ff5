//! The keys of an installation: the one of the keyed hashes, and those that seal what is secret at rest.

use super::{
    context::{Context, close_to_others, own_folder, write_new},
    exit::{Exit, Failed},
};
use crate::{
    config::{KeySource, KeySourceError},
    model::{Digest, HashKey, Sealer, Secret, random_bytes},
};
use std::{fs, io, path::PathBuf, sync::Arc};

impl Context {
    fn hash_key_path(&self) -> PathBuf {
        self.config.state.join("links.key")
    }

    /// Keeps a key that comes with restored records; another one must not be there.
    pub(super) fn keep_hash_key(&self, key: &Digest) -> Result<(), Failed> {
        let path = self.hash_key_path();
        match write_new(&path, format!("{key}\n").as_bytes()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if self.hash_key()?.to_text().expose() == &key.to_string() {
                    return Ok(());
                }
                Err(Failed::say(
                    Exit::Unreadable,
                    format!(
                        "keep the key of the keyed hashes: {} is another installation's; remove the state folder and \
                         restore again",
                        path.display()
                    ),
                ))
            }
            Err(error) => Err(Failed::say(Exit::Unreadable, format!("write {}: {error}", path.display()))),
        }
    }

    /// The key of the keyed hashes; made on first use.
    pub(super) fn hash_key(&self) -> Result<Arc<HashKey>, Failed> {
        own_folder(&self.config.state)?;
        let path = self.hash_key_path();
        let unreadable = |error: io::Error| {
            Failed::say(Exit::Unreadable, format!("use the key of the keyed hashes {}: {error}", path.display()))
        };
        if let Ok(metadata) = fs::metadata(&path) {
            close_to_others(&path, &metadata, 0o600).map_err(unreadable)?;
        }
        match fs::read_to_string(&path) {
            Ok(text) => match text.trim().parse::<Digest>() {
                Ok(key) => Ok(Arc::new(HashKey::new(*key.as_bytes()))),
                Err(_) => Err(Failed::say(
                    Exit::Unreadable,
                    format!(
                        "{} is not a key of 64 hexadecimal digits; restore it: without it no link can be found",
                        path.display()
                    ),
                )),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes: [u8; 32] = random_bytes();
                let text = format!("{}\n", Digest::from_bytes(bytes));
                write_new(&path, text.as_bytes()).map_err(unreadable)?;
                Ok(Arc::new(HashKey::new(bytes)))
            }
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Where the sealing keys are.
    pub(super) fn key_source(&self) -> KeySource {
        self.config.secrets.clone().unwrap_or_else(|| KeySource::File(self.config.state.join("secrets.key")))
    }

    /// The sealing keys. The state folder's own file is made on first use; a source that was named must be there.
    pub(super) fn sealer(&self) -> Result<Arc<Sealer>, Failed> {
        own_folder(&self.config.state)?;
        let source = self.key_source();
        let text = match (source.read(), &source) {
            (Err(KeySourceError::Missing(_)), KeySource::File(path)) if self.config.secrets.is_none() => {
                if self.store_folder().join("version").exists() {
                    return Err(Failed::say(
                        Exit::Unreadable,
                        format!(
                            "open the store: its sealing key {} is missing; restore it: without it no token can be \
                             opened, and every person has to authorise again",
                            path.display()
                        ),
                    ));
                }
                let text = Sealer::new_key();
                match write_new(path, format!("{}\n", text.expose()).as_bytes()) {
                    Ok(()) => text,
                    // Another command made it at this very moment.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(&source)?,
                    Err(error) => {
                        return Err(Failed::say(Exit::Unreadable, format!("make the sealing key {source}: {error}")));
                    }
                }
            }
            (text, _) => text.map_err(|error| Failed::new(Exit::Unreadable, error))?,
        };
        let keys = Sealer::from_text(text.expose());
        keys.map(Arc::new)
            .map_err(|error| Failed::say(Exit::Unreadable, format!("use the sealing key {source}: {error}")))
    }
}

pub(super) fn read(source: &KeySource) -> Result<Secret<String>, Failed> {
    source.read().map_err(|error| Failed::new(Exit::Unreadable, error))
}
