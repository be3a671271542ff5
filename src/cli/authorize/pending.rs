//! What is kept of an authorisation until the person has answered, so that another command can finish it: a sealed file
//! for us alone, removed when it was used and swept away after a day. Without the code, which only the person's browser gets,
//! and the contract's key it opens nothing.

use super::super::{
    context::{Context, make_folder, write_new},
    exit::{Exit, Failed},
};
use crate::{
    admin::Begun,
    model::{Digest, Purpose, Sealed, Sealer, Secret, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// No link is good for longer than this.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// An authorisation that waits for its person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// What finishes it.
    pub(super) begun: Begun,
    /// The operator's own word for the person.
    pub(super) label: Option<String>,
    /// When it was begun.
    pub(super) made: Timestamp,
}

/// The folder of all that wait.
pub(super) struct Shelf {
    folder: PathBuf,
    sealer: Arc<Sealer>,
}

impl Shelf {
    /// The configuration's; what is too old is thrown away.
    pub(super) fn open(context: &Context) -> Result<Self, Failed> {
        make_folder(&context.config.state)?;
        let shelf = Self { folder: context.config.state.join("authorisations"), sealer: context.sealer()? };
        make_folder(&shelf.folder)?;
        shelf.sweep(Timestamp::now()).map_err(|error| shelf.unreadable(&error))?;
        Ok(shelf)
    }

    /// Nothing that a callback says becomes a path.
    fn path(&self, state: &str) -> PathBuf {
        self.folder.join(format!("{}.sealed", Digest::of(state.as_bytes())))
    }

    fn unreadable(&self, error: &io::Error) -> Failed {
        Failed::say(Exit::Unreadable, format!("use the folder {}: {error}", self.folder.display()))
    }

    pub(super) fn keep(&self, pending: &Pending) -> Result<(), Failed> {
        let bytes = serde_json::to_vec(pending).map_err(|error| Failed::new(Exit::Internal, error))?;
        let path = self.path(&pending.begun.state);
        let sealed = self.sealer.seal(Purpose::Authorisation, &context(&path), Secret::new(bytes).expose());
        write_new(&path, String::from(sealed).as_bytes()).map_err(|error| self.unreadable(&error))
    }

    /// The one that a callback's state answers.
    pub(super) fn find(&self, state: &str) -> Result<Option<Pending>, Failed> {
        let path = self.path(state);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(self.open_sealed(&path, text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    /// It is finished; another command may have been faster.
    pub(super) fn remove(&self, state: &str) -> Result<(), Failed> {
        match fs::remove_file(self.path(state)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.unreadable(&error)),
            _ => Ok(()),
        }
    }

    /// One that cannot be opened is of no use to anybody.
    fn open_sealed(&self, path: &Path, text: String) -> Option<Pending> {
        let sealed = Sealed::try_from(text).ok()?;
        let bytes = self.sealer.open(Purpose::Authorisation, &context(path), &sealed).ok()?;
        serde_json::from_slice(bytes.expose()).ok()
    }

    fn sweep(&self, now: Timestamp) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let made = self.open_sealed(&path, text).map(|pending| pending.made);
            if made.is_none_or(|made| now.since(made) > KEPT) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// Ties what is sealed to its file.
fn context(path: &Path) -> Vec<u8> {
    path.file_name().unwrap_or_default().as_encoded_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Whom;
    use std::os::unix::fs::PermissionsExt;

    fn pending(state: &str, made: Timestamp) -> Pending {
        let (contract, verifier) = ("main".parse().unwrap(), Secret::new("v".to_owned()));
        let begun = Begun { contract, whom: Whom::Anybody, state: state.to_owned(), verifier };
        Pending { begun, label: Some("case 7".to_owned()), made }
    }

    #[test]
    fn it_is_ours_alone_and_gone_after_use_or_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Arc::new(Sealer::from_text(Sealer::new_key().expose()).unwrap());
        let shelf = Shelf { folder: folder.path().to_owned(), sealer };
        let (new, old) = (pending("../new", Timestamp::now()), pending("old", Timestamp::from_millis(0)));
        shelf.keep(&new).unwrap();
        shelf.keep(&old).unwrap();
        assert_eq!(shelf.path("../new").metadata().unwrap().permissions().mode() & 0o777, 0o600);
        shelf.sweep(Timestamp::now()).unwrap();
        assert_eq!(shelf.find("../new").unwrap(), Some(new));
        assert_eq!(shelf.find("old").unwrap(), None);
        shelf.remove("../new").unwrap();
        shelf.remove("../new").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
