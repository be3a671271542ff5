//! The way of a claimed source out of the inbox: by a dot name of ours, where it is looked at before it ends.
//!
//! Between a look at a name and the removal of that name another file may take it, or a writer may open it. So the name
//! is given up first, and what has come under ours is compared with what was claimed when nobody finds it any more.

use super::{
    claim::{Recorded, digest_of, identity, open_below},
    settle::SIDECAR,
    spool::{rename_in_folder, rename_to_own_name},
};
use crate::{
    faults,
    model::{Digest, ForeignName, SourceIdentity, SubmissionId},
};
use rustix::{
    fs::{AtFlags, Mode, OFlags, openat, statat, unlinkat},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

/// What every name of ours in an inbox begins with, after the dot of those that are set aside.
const OURS: &str = "pushbridge-";
/// The length of an id as text.
const ID: usize = 13;
/// As much of a name as fits behind an id and before a sidecar's ending.
const KEPT: usize = 255 - OURS.len() - ID - 1 - SIDECAR.len();

/// One of a submission's two sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The file itself.
    File,
    /// Its sidecar.
    Sidecar,
}

impl Part {
    const fn ending(self) -> &'static str {
        match self {
            Self::File => "",
            Self::Sidecar => SIDECAR,
        }
    }
}

/// What became of a source that was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is what was claimed, and is removed; or somebody else removed it.
    Gone,
    /// It is something else: it stands under its name again, or beside the later file that has it.
    Returned,
}

/// The name under which a source is set aside.
fn aside_name(id: SubmissionId, part: Part) -> String {
    format!(".{OURS}{id}{}", part.ending())
}

/// Where a source is set aside in a folder.
pub(super) fn path_in(folder: &Path, id: SubmissionId, part: Part) -> ForeignName {
    ForeignName::new(folder.join(aside_name(id, part)).as_os_str().as_bytes())
}

/// Whose source a name sets aside.
pub(super) fn aside_of(name: &[u8]) -> Option<(SubmissionId, Part)> {
    let (id, ending) = name.strip_prefix(b".")?.strip_prefix(OURS.as_bytes())?.split_at_checked(ID)?;
    let part = [Part::File, Part::Sidecar].into_iter().find(|part| part.ending().as_bytes() == ending)?;
    Some((std::str::from_utf8(id).ok()?.parse().ok()?, part))
}

/// The name under which a source stands where its own was taken: its end is kept, because endings mean something.
fn beside_name(id: SubmissionId, name: &[u8]) -> Vec<u8> {
    let mut start = name.len().saturating_sub(KEPT);
    while name.get(start).is_some_and(|byte| byte & 0xc0 == 0x80) {
        start += 1; // within a character
    }
    [format!("{OURS}{id}-").as_bytes(), &name[start..]].concat()
}

/// The path whose later file stood in the way of this one: it is claimed after it.
pub(super) fn later_of(path: &ForeignName) -> Option<ForeignName> {
    let (folder, name) = split(path.as_bytes());
    let (id, name) = name.strip_prefix(OURS.as_bytes())?.split_at_checked(ID)?;
    std::str::from_utf8(id).ok()?.parse::<SubmissionId>().ok()?;
    Some(ForeignName::new([folder, name.strip_prefix(b"-")?].concat()))
}

/// The folder's part of a path, with its `/`, and the name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1))
}

fn name(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A folder of the inbox that was opened without following links: what is renamed and removed there is nothing else's.
struct Folder(OwnedFd);

impl Folder {
    fn open(inbox: &File, path: &Path) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Ok(Self(open_below(inbox, path, OFlags::DIRECTORY)?))
    }

    fn has(&self, wanted: &Path) -> io::Result<bool> {
        match statat(&self.0, wanted, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn remove(&self, wanted: &Path) -> io::Result<()> {
        match unlinkat(&self.0, wanted, AtFlags::empty()) {
            Err(Errno::NOENT) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A descriptor of the plain file of this name; an open asks a share for what it knows now.
    fn look(&self, wanted: &Path) -> io::Result<Look> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&self.0, wanted, flags, Mode::empty()) {
            Ok(file) => Ok(Look::File(File::from(file))),
            Err(Errno::NOENT) => Ok(Look::Nothing),
            Err(Errno::LOOP | Errno::NXIO) => Ok(Look::Other),
            Err(error) => Err(error.into()),
        }
    }
}

enum Look {
    Nothing,
    File(File),
    Other,
}

/// What a claim took from one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The source as it was.
    pub identity: SourceIdentity,
    /// SHA-256 of the copy.
    pub digest: Digest,
}

impl Taken {
    /// Whether this is what was taken. Bytes are compared too: where modification times count in whole seconds, or
    /// come when a file is closed, another content of the same size would not show.
    fn is(&self, file: File, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let facts = file.metadata()?;
        Ok(facts.is_file() && identity(&facts) == self.identity && digest_of(file, buffer)? == self.digest)
    }
}

/// Sets what still stands of a claim's sources aside; what is not what was claimed is given back at once.
///
/// # Errors
/// Something still stands under its name.
pub(super) fn set_aside(inbox: &File, claim: &Recorded) -> io::Result<()> {
    let (folder_path, file_name) = split(claim.path.as_bytes());
    let folder = match Folder::open(inbox, name(folder_path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()), // its files went with it
        other => other?,
    };
    // The sidecar last: without it the Bundle would wait for another one.
    for (part, taken) in claim.parts() {
        let own = [file_name, part.ending().as_bytes()].concat();
        let aside = aside_name(claim.id, part);
        let is_it = statat(&folder.0, name(&own), AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|facts| super::claim::is_identity(&facts, &taken.identity));
        if !is_it {
            continue;
        }
        match rename_to_own_name(&folder.0, name(&own), Path::new(&aside)) {
            Ok(()) => faults::pass("claim.aside"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
        let Look::File(file) = folder.look(Path::new(&aside))? else { continue };
        if identity(&file.metadata()?) != taken.identity {
            give_back(&folder, claim, part)?;
        }
    }
    Ok(())
}

/// Removes a file of the inbox, if it is there.
///
/// # Errors
/// It stands.
pub(super) fn remove(inbox: &File, path: &ForeignName) -> io::Result<()> {
    let (folder, file_name) = split(path.as_bytes());
    Folder::open(inbox, name(folder))?.remove(name(file_name))
}

/// Ends what is set aside of a claim.
///
/// # Errors
/// Something is still set aside.
pub(super) fn end(inbox: &File, claim: &Recorded, buffer: &mut Vec<u8>) -> io::Result<()> {
    let (folder, _) = split(claim.path.as_bytes());
    for (part, _) in claim.parts() {
        end_part(inbox, name(folder), claim, part, buffer)?;
    }
    Ok(())
}

/// Ends one source that is set aside in this folder: removes it if it is what was claimed, else gives it back.
///
/// # Errors
/// It is still set aside.
pub(super) fn end_part(
    inbox: &File,
    folder: &Path,
    claim: &Recorded,
    part: Part,
    buffer: &mut Vec<u8>,
) -> io::Result<Ended> {
    let folder = match Folder::open(inbox, folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ended::Gone),
        other => other?,
    };
    let aside = PathBuf::from(aside_name(claim.id, part));
    let taken = claim.parts().find(|(of, _)| *of == part).map(|(_, taken)| taken);
    let is_claimed = match (folder.look(&aside)?, taken) {
        (Look::Nothing, _) => return Ok(Ended::Gone),
        (Look::File(file), Some(taken)) => taken.is(file, buffer)?,
        (Look::File(_) | Look::Other, _) => false,
    };
    if is_claimed {
        faults::reach("claim.end")?;
        folder.remove(&aside)?;
        return Ok(Ended::Gone);
    }
    give_back(&folder, claim, part)?;
    Ok(Ended::Returned)
}

/// Gives what is set aside its name back; where a later file has it, a name beside it.
fn give_back(folder: &Folder, claim: &Recorded, part: Part) -> io::Result<()> {
    let aside = PathBuf::from(aside_name(claim.id, part));
    let (_, file_name) = split(claim.path.as_bytes());
    let beside = |part: Part| [&beside_name(claim.id, file_name), part.ending().as_bytes()].concat();
    // A sidecar never speaks for a later file.
    let follows = part == Part::Sidecar && folder.has(name(&beside(Part::File)))?;
    if !follows {
        let own = [file_name, part.ending().as_bytes()].concat();
        match rename_in_folder(&folder.0, &aside, name(&own)) {
            Ok(()) => return Ok(()),
            Err(_) if is_same_file(folder, &aside, name(&own)) => return folder.remove(&aside),
            Err(error) => tracing::debug!(error = %error.kind(), "a file cannot have its name back in the inbox"),
        }
    }
    rename_to_own_name(&folder.0, &aside, name(&beside(part)))
}

/// Whether both are names of one file, as after a crash between a link and the end of the other name.
fn is_same_file(folder: &Folder, one: &Path, other: &Path) -> bool {
    let look = |path| statat(&folder.0, path, AtFlags::SYMLINK_NOFOLLOW).map(|facts| (facts.st_dev, facts.st_ino));
    matches!((look(one), look(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        io::{Read as _, Seek, Write},
        os::unix::fs::symlink,
    };

    const ID: SubmissionId = SubmissionId::from_u64(1 << 40);

    struct Inbox {
        folder: tempfile::TempDir,
        handle: File,
    }

    impl Inbox {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("alex")).unwrap();
            let handle = File::open(folder.path()).unwrap();
            Self { folder, handle }
        }

        fn path(&self, path: &str) -> PathBuf {
            self.folder.path().join(path)
        }

        fn put(&self, path: &str, text: &str) -> Taken {
            fs::write(self.path(path), text).unwrap();
            let identity = identity(&fs::metadata(self.path(path)).unwrap());
            Taken { identity, digest: Digest::of(text.as_bytes()) }
        }

        /// Puts a file and its sidecar there, and claims both.
        fn claim(&self, sidecar: bool) -> Recorded {
            let path = ForeignName::new("alex/a.json");
            let file = self.put("alex/a.json", "first");
            Recorded { id: ID, path, file, sidecar: sidecar.then(|| self.put("alex/a.json.route.json", "its own")) }
        }

        fn set_aside(&self, claim: &Recorded) {
            set_aside(&self.handle, claim).unwrap();
        }

        fn end(&self, claim: &Recorded) {
            end(&self.handle, claim, &mut Vec::new()).unwrap();
        }

        /// Names and texts of the folder's files.
        fn files(&self) -> Vec<(String, String)> {
            let mut files: Vec<_> = fs::read_dir(self.path("alex"))
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
                .collect();
            files.sort();
            files
        }
    }

    fn file(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn names_of_ours_are_told_from_others_and_fit_whatever_they_are_made_from() {
        for part in [Part::File, Part::Sidecar] {
            assert_eq!(aside_of(aside_name(ID, part).as_bytes()), Some((ID, part)));
        }
        for other in
            ["a.json", ".pushbridge-", ".pushbridge-notanid", "pushbridge-0010000000000", ".pushbridge-0010000000000.x"]
        {
            assert_eq!(aside_of(other.as_bytes()), None, "{other}");
        }
        for long in [[vec![b'x'; 250], b".json".to_vec()].concat(), "\u{e9}".repeat(125).into_bytes(), vec![0xff; 255]]
        {
            let beside = beside_name(ID, &long);
            assert!(beside.len() + SIDECAR.len() <= 255);
            assert!(long.ends_with(&beside[beside.len() - 100..]), "its ending is kept");
            assert_eq!(std::str::from_utf8(&long).is_ok(), std::str::from_utf8(&beside).is_ok());
        }
        let beside = ForeignName::new([b"alex/".to_vec(), beside_name(ID, b"a.json")].concat());
        assert_eq!(later_of(&beside), Some(ForeignName::new("alex/a.json")));
        for other in ["alex/a.json", "pushbridge-a.json", "pushbridge-0010000000000"] {
            assert_eq!(later_of(&ForeignName::new(other)), None, "{other}");
        }
    }

    #[test]
    fn what_was_claimed_is_removed_and_what_came_later_under_its_name_stays() {
        let inbox = Inbox::new();
        let claim = inbox.claim(true);
        inbox.set_aside(&claim);
        assert!(inbox.files().iter().all(|(name, _)| aside_of(name.as_bytes()).is_some()), "{:?}", inbox.files());
        inbox.put("alex/a.json", "later");
        inbox.end(&claim);
        assert_eq!(inbox.files(), [file("a.json", "later")]);
        inbox.set_aside(&claim);
        inbox.end(&claim);
        assert_eq!(inbox.files(), [file("a.json", "later")], "doing it again takes nothing that came later");
    }

    #[test]
    fn what_took_the_name_in_the_moment_before_the_rename_gets_it_back() {
        let inbox = Inbox::new();
        let claim = inbox.claim(false);
        inbox.put("alex/draft", "later");
        fs::rename(inbox.path("alex/draft"), inbox.path("alex/a.json")).unwrap();
        // As if the look before the rename had seen the earlier one.
        fs::rename(inbox.path("alex/a.json"), inbox.path("alex").join(aside_name(ID, Part::File))).unwrap();
        inbox.end(&claim);
        assert_eq!(inbox.files(), [file("a.json", "later")]);
    }

    #[test]
    fn another_content_of_the_same_size_and_time_is_found() {
        let inbox = Inbox::new();
        let claim = inbox.claim(false);
        let modified = fs::metadata(inbox.path("alex/a.json")).unwrap().modified().unwrap();
        let mut writer = fs::OpenOptions::new().read(true).write(true).open(inbox.path("alex/a.json")).unwrap();
        inbox.set_aside(&claim);
        writer.write_all(b"FIRST").unwrap();
        writer.set_modified(modified).unwrap();
        inbox.end(&claim);
        assert_eq!(inbox.files(), [file("a.json", "FIRST")]);
        // The writer goes on, in the file that it knows.
        writer.write_all(b" and more").unwrap();
        writer.rewind().unwrap();
        let mut text = String::new();
        writer.read_to_string(&mut text).unwrap();
        assert_eq!(inbox.files(), [file("a.json", &text)]);
    }

    #[test]
    fn where_a_later_file_has_the_name_both_stay_and_no_sidecar_changes_sides() {
        let inbox = Inbox::new();
        let claim = inbox.claim(true);
        let open = |path| fs::OpenOptions::new().append(true).open(inbox.path(path)).unwrap();
        let (mut bundle, mut sidecar) = (open("alex/a.json"), open("alex/a.json.route.json"));
        inbox.set_aside(&claim);
        inbox.put("alex/a.json", "later");
        bundle.write_all(b" written on").unwrap();
        sidecar.write_all(b" written on").unwrap();
        inbox.end(&claim);
        let beside = format!("pushbridge-{ID}-a.json");
        let wanted = [
            file("a.json", "later"),
            file(&beside, "first written on"),
            file(&format!("{beside}.route.json"), "its own written on"),
        ];
        assert_eq!(inbox.files(), wanted);
    }

    #[test]
    fn a_crash_between_a_link_and_the_end_of_the_other_name_leaves_one_file() {
        let inbox = Inbox::new();
        let claim = inbox.claim(false);
        inbox.set_aside(&claim);
        let aside = inbox.path("alex").join(aside_name(ID, Part::File));
        fs::OpenOptions::new().append(true).open(&aside).unwrap().write_all(b" written on").unwrap();
        fs::hard_link(&aside, inbox.path("alex/a.json")).unwrap();
        inbox.end(&claim);
        assert_eq!(inbox.files(), [file("a.json", "first written on")]);
    }

    #[test]
    fn nothing_is_renamed_or_removed_behind_a_link() {
        let inbox = Inbox::new();
        let claim = inbox.claim(true);
        let outside = tempfile::tempdir().unwrap();
        fs::rename(inbox.path("alex"), outside.path().join("alex")).unwrap();
        symlink(outside.path().join("alex"), inbox.path("alex")).unwrap();
        assert!(set_aside(&inbox.handle, &claim).is_err());
        assert!(remove(&inbox.handle, &claim.path).is_err());
        assert_eq!(fs::read_dir(outside.path().join("alex")).unwrap().count(), 2);
        assert_eq!(inbox.files(), [file("a.json", "first"), file("a.json.route.json", "its own")]);
    }
}
