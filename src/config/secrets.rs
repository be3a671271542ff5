//! Where the keys come from that seal what is secret at rest.

use crate::model::Secret;
use std::{env, fmt, fs, os::unix::fs::MetadataExt, path::PathBuf};

/// `[secrets] key`: where the sealing keys are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// `file:PATH`, or nothing: a file of the state folder, made at the first start.
    File(PathBuf),
    /// `env:NAME`: an environment variable.
    Environment(String),
    /// `credential:NAME`: a credential of the service manager, a file in `$CREDENTIALS_DIRECTORY` (systemd.exec(5)).
    Credential(String),
}

/// Why the keys cannot be read. Fits after "failed to"; holds nothing of them.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// There is no such file yet.
    #[error("read the sealing key {0}: there is no such file; pushbridge secrets new > FILE makes a key (mode 0600)")]
    Missing(KeySource),
    /// Others may read it.
    #[error("use the sealing key {0}: others may read it; chmod 600 it")]
    Open(KeySource),
    /// The variable is not set.
    #[error("read the sealing key {0}: the variable is not set or is no text")]
    Unset(KeySource),
    /// No credentials were handed to this process.
    #[error(
        "read the sealing key {0}: the service manager handed over no credentials; \
         set LoadCredential= or LoadCredentialEncrypted= in the unit, or run this command as it runs the daemon"
    )]
    NoCredentials(KeySource),
    /// The file system refused.
    #[error("read the sealing key {0}: {1}")]
    Io(KeySource, std::io::Error),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

impl KeySource {
    /// Reads the text of the keys.
    ///
    /// # Errors
    /// It is not there, others may read it, or it cannot be read.
    pub fn read(&self) -> Result<Secret<String>, KeySourceError> {
        match self {
            Self::File(path) => {
                let metadata = fs::metadata(path).map_err(|error| self.failed(error))?;
                if metadata.mode() & 0o077 != 0 {
                    return Err(KeySourceError::Open(self.clone()));
                }
                fs::read_to_string(path).map(Secret::new).map_err(|error| self.failed(error))
            }
            Self::Environment(name) => env::var(name).map(Secret::new).map_err(|_| KeySourceError::Unset(self.clone())),
            Self::Credential(name) => {
                let folder = env::var_os("CREDENTIALS_DIRECTORY");
                let folder = folder.ok_or_else(|| KeySourceError::NoCredentials(self.clone()))?;
                fs::read_to_string(PathBuf::from(folder).join(name))
                    .map(Secret::new)
                    .map_err(|error| self.failed(error))
            }
        }
    }

    fn failed(&self, error: std::io::Error) -> KeySourceError {
        match error.kind() {
            std::io::ErrorKind::NotFound => KeySourceError::Missing(self.clone()),
            _ => KeySourceError::Io(self.clone(), error),
        }
    }
}
