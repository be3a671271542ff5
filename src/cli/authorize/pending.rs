//! What is kept of an authorisation until the person has answered, so that another command can finish it: a file for us
//! alone, removed when it was used and swept away after a day. Without the code, which only the person's browser gets,
//! and the contract's key it opens nothing.

use super::super::{
    context::{Context, make_folder, write_new},
    exit::{Exit, Failed},
};
use crate::{
    admin::Begun,
    model::{Digest, Secret, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::{fs, io, path::PathBuf, time::Duration};

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
pub(super) struct Shelf(PathBuf);

impl Shelf {
    /// The configuration's; what is too old is thrown away.
    pub(super) fn open(context: &Context) -> Result<Self, Failed> {
        make_folder(&context.config.state)?;
        let shelf = Self(context.config.state.join("authorisations"));
        make_folder(&shelf.0)?;
        shelf.sweep(Timestamp::now()).map_err(|error| shelf.unreadable(&error))?;
        Ok(shelf)
    }

    /// Nothing that a callback says becomes a path.
    fn path(&self, state: &str) -> PathBuf {
        self.0.join(format!("{}.json", Digest::of(state.as_bytes())))
    }

    fn unreadable(&self, error: &io::Error) -> Failed {
        Failed::say(Exit::Unreadable, format!("use the folder {}: {error}", self.0.display()))
    }

    pub(super) fn keep(&self, pending: &Pending) -> Result<(), Failed> {
        let bytes = serde_json::to_vec(pending).map_err(|error| Failed::new(Exit::Internal, error))?;
        let bytes = Secret::new(bytes);
        write_new(&self.path(&pending.begun.state), bytes.expose()).map_err(|error| self.unreadable(&error))
    }

    /// The one that a callback's state answers.
    pub(super) fn find(&self, state: &str) -> Result<Option<Pending>, Failed> {
        match fs::read(self.path(state)).map(Secret::new) {
            Ok(bytes) => Ok(serde_json::from_slice(bytes.expose()).ok()),
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

    fn sweep(&self, now: Timestamp) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            let Ok(bytes) = fs::read(&path).map(Secret::new) else { continue };
            let made = serde_json::from_slice::<Pending>(bytes.expose()).map(|pending| pending.made);
            if made.map_or(true, |made| now.since(made) > KEPT) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
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
        let shelf = Shelf(folder.path().to_owned());
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
