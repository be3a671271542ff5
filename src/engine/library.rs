//! Looking at a file for the library: its bytes once through, its beginning for the media type, its address.
//!
//! No text of it is read and it is never in memory whole, however large it is.

use super::{
    event::{Inspected, Judgement, Verdict},
    judge::{Failure, Job},
};
use crate::{
    model::{Digest, Digester, HoldReason, LibraryFacts},
    route::{self, Consignment, Directory, Envelope, HEAD, LibraryRules},
};
use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes that are read at once.
pub(super) const BLOCK: usize = 256 * 1024;

/// Finds out what a file goes to the library as, and to whom.
pub(super) fn judge<D: Directory>(
    job: &Job,
    sidecar: Option<&[u8]>,
    rules: &LibraryRules,
    work: &Arc<Path>,
    directory: &D,
) -> Result<Judgement, Failure<D::Error>> {
    let submission = &job.submission;
    if submission.size == 0 {
        let why = "it is empty: there is nothing to send".to_owned();
        return Ok(judgement(None, Verdict::Refused { why }));
    }
    let Some(head) = head_of_claimed(&job.paths, submission.digest) else {
        return Ok(judgement(None, Verdict::Held(HoldReason::Damaged)));
    };
    let media_type = route::media_type(&submission.file_name(), &head);
    let descriptor = match route::describe(media_type, sidecar, rules) {
        Ok(descriptor) => descriptor,
        Err(reason) => return Ok(judgement(Some(media_type.facts()), Verdict::Held(reason))),
    };
    let facts = Some(descriptor.facts());
    let envelope = Envelope { folder: submission.origin.folder.as_ref(), sidecar };
    let addressing = route::address_file(descriptor, envelope, rules, directory).map_err(Failure::Directory)?;
    let verdict = match addressing.outcome {
        Err(reason) => Verdict::Held(reason),
        Ok(addressed) => Verdict::Addressed(Box::new(addressed.parcel(Consignment {
            submission: submission.id,
            folder: work.clone(),
            file: job.work_name.clone(),
            claimed: submission.digest,
            digest: submission.digest,
            size: submission.size,
        }))),
    };
    Ok(judgement(facts, verdict))
}

fn judgement(library: Option<LibraryFacts>, verdict: Verdict) -> Judgement {
    Judgement { inspected: Inspected { library, ..Inspected::default() }, verdict }
}

/// The beginning of the file, where all of it is still what was claimed. It may be moved between two looks.
fn head_of_claimed(paths: &[PathBuf], claimed: Digest) -> Option<Vec<u8>> {
    paths.iter().chain(paths).find_map(|path| match read_through(path) {
        Ok((head, digest)) => (digest == claimed).then_some(head),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(error = %error.kind(), "a file in our own folders could not be read");
            }
            None
        }
    })
}

fn read_through(path: &Path) -> io::Result<(Vec<u8>, Digest)> {
    let mut file = File::open(path)?;
    let (mut digester, mut head, mut block) = (Digester::new(), Vec::new(), vec![0; BLOCK]);
    loop {
        let read = match file.read(&mut block) {
            Ok(0) => return Ok((head, digester.finish())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digester.update(&block[..read]);
        let wanted = (HEAD - head.len()).min(read);
        head.extend_from_slice(&block[..wanted]);
    }
}
