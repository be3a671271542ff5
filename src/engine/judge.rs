//! Judging: bytes to a verdict, on plain threads, within a budget of bytes. A library file takes a block of it.
//!
//! The event loop never parses. A file is read once; its digest is taken again first, so that what is
//! judged is what was claimed. A panic is our bug: it holds the file and the daemon lives on.

use super::{
    event::{Inspected, Judgement, Verdict},
    library,
};
use crate::{
    faults,
    fhir::{Document, json, write},
    intake::Spool,
    model::{BundleFacts, ContractName, Digest, HoldReason, PushType, RuleChange, Sidecar, Submission, SubmissionId},
    route::{self, Consignment, Directory, Envelope, LibraryRules},
    validate::{self, Outcome, Policy, Validator},
};
use std::{
    collections::VecDeque,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

/// How a channel's files are judged.
#[derive(Debug)]
pub struct Channel {
    /// By what they are.
    pub kind: Kind,
    /// The channel's `work/`.
    pub work: Arc<Path>,
}

/// What a channel's files are, and so by which rules they are judged: never by both.
#[derive(Debug)]
pub enum Kind {
    /// Bundles for the account's provider.
    Bundles(Box<Bundles>),
    /// Any files for the account's library.
    Library(LibraryRules),
}

/// How a channel's Bundles are judged.
#[derive(Debug)]
pub struct Bundles {
    /// What addresses them.
    pub routing: route::Rules,
    /// What the inspection lets pass.
    pub policy: Policy,
    /// A Bundle that claims a profile which is not loaded waits for it.
    pub waits_for_profiles: bool,
    /// What the reader lets pass.
    pub limits: json::Limits,
    /// The most entries that a Bundle may have.
    pub max_entries: u32,
    /// The API's word for the release.
    pub version: Arc<str>,
}

impl Channel {
    /// The contract whose accounts it may push to.
    pub const fn contract(&self) -> &ContractName {
        match &self.kind {
            Kind::Bundles(bundles) => &bundles.routing.envelope.contract,
            Kind::Library(rules) => &rules.envelope.contract,
        }
    }

    const fn push(&self) -> PushType {
        match self.kind {
            Kind::Bundles(_) => PushType::Provider,
            Kind::Library(_) => PushType::Library,
        }
    }
}

/// A file to judge.
#[derive(Debug)]
pub struct Job {
    /// The record.
    pub submission: Submission,
    /// Where its file may be: the place of its stage first.
    pub paths: Vec<PathBuf>,
    /// Where its sidecar may be.
    pub sidecars: Vec<PathBuf>,
    /// The file's name in `work/`.
    pub work_name: String,
}

impl Job {
    /// Bytes that judging takes.
    fn cost(&self) -> u64 {
        match self.submission.push {
            PushType::Provider => self.submission.size.saturating_mul(MEMORY_FACTOR),
            PushType::Library => library::BLOCK as u64,
        }
    }
}

/// Why a file could not be judged at all; it is tried again.
pub type JudgeError = String;

/// What a judge hands back.
#[derive(Debug)]
pub struct Judged {
    /// Of which file.
    pub id: SubmissionId,
    /// The number of the edition of the profiles that it was judged by.
    pub edition: u32,
    /// The judgement.
    pub result: Result<Judgement, JudgeError>,
}

/// Why a file could not be judged now.
#[derive(Debug, thiserror::Error)]
pub enum Failure<E> {
    /// The directory could not be asked.
    #[error("{0}")]
    Directory(E),
    /// The JSON of a Bundle in XML could not be written.
    #[error("write the JSON form into work: {0}")]
    Form(io::Error),
}

/// Judges one file with what its channel says, and by the rules of what it was claimed as. Of a Bundle in XML the JSON that is sent is written into `work/`; it can
/// be made anew at any time, so nothing depends on it after a restart.
///
/// # Errors
/// The directory could not be asked, or the JSON form not be written.
pub fn judge<D: Directory>(
    job: &Job,
    channel: &Channel,
    validator: &Validator,
    directory: &D,
) -> Result<Judgement, Failure<D::Error>> {
    let held = |reason| Judgement { inspected: Inspected::default(), verdict: Verdict::Held(reason) };
    let submission = &job.submission;
    if submission.push != channel.push() {
        return Ok(held(HoldReason::OtherPush { claimed: submission.push }));
    }
    let sidecar = match &submission.sidecar {
        None => None,
        Some(Sidecar { digest, .. }) => {
            match first_readable(&job.sidecars).filter(|bytes| Digest::of(bytes) == *digest) {
                Some(bytes) => Some(bytes),
                None => return Ok(held(HoldReason::Damaged)),
            }
        }
    };
    faults::pass("judge.begin");
    let judged = catch_unwind(AssertUnwindSafe(|| match &channel.kind {
        Kind::Bundles(rules) => judge_bundle(job, sidecar.as_deref(), rules, &channel.work, validator, directory),
        Kind::Library(rules) => library::judge(job, sidecar.as_deref(), rules, &channel.work, directory),
    }));
    faults::pass("judge.done");
    judged.unwrap_or_else(|_| Ok(held(HoldReason::Poison)))
}

fn judge_bundle<D: Directory>(
    job: &Job,
    sidecar: Option<&[u8]>,
    rules: &Bundles,
    work: &Arc<Path>,
    validator: &Validator,
    directory: &D,
) -> Result<Judgement, Failure<D::Error>> {
    let submission = &job.submission;
    let Some(bytes) = first_readable(&job.paths).filter(|bytes| Digest::of(bytes) == submission.digest) else {
        return Ok(Judgement { inspected: Inspected::default(), verdict: Verdict::Held(HoldReason::Damaged) });
    };
    let document = match validate::read(&bytes, &rules.limits) {
        Ok(document) => document,
        Err(error) => return Ok(refused(Outcome::of_unreadable(&error))),
    };
    let (bundle, outcome) = match validator.bundle(&document, &rules.policy) {
        Ok(valid) => valid,
        Err(outcome) => return Ok(refused(outcome)),
    };
    let facts = bundle.facts();
    if rules.waits_for_profiles && outcome.claims_unloaded {
        let verdict = Verdict::Held(HoldReason::ProfileNotLoaded);
        return Ok(Judgement { inspected: inspected(Some(facts), outcome), verdict });
    }
    let entries: u32 = facts.entries.values().sum();
    if entries > rules.max_entries {
        let why = format!("it has {entries} entries, and the channel's max_entries is {}", rules.max_entries);
        return Ok(Judgement { inspected: inspected(Some(facts), outcome), verdict: Verdict::Refused { why } });
    }
    let envelope = Envelope { folder: submission.origin.folder.as_ref(), sidecar };
    let addressing = route::address(&bundle, envelope, &rules.routing, directory).map_err(Failure::Directory)?;
    let verdict = match addressing.outcome {
        Err(reason) => Verdict::Held(reason),
        Ok(addressed) => {
            let (file, digest, size) = if document.is_xml() {
                json_form(&document, work, submission.id).map_err(Failure::Form)?
            } else {
                (job.work_name.clone(), submission.digest, submission.size)
            };
            let consignment = Consignment {
                submission: submission.id,
                folder: work.clone(),
                file,
                claimed: submission.digest,
                digest,
                size,
            };
            Verdict::Addressed(Box::new(addressed.parcel(consignment, rules.version.clone())))
        }
    };
    Ok(Judgement { inspected: inspected(Some(facts), outcome), verdict })
}

/// Writes the document as JSON into `work/`, synced; its name, digest and size. A crash leaves the draft or the whole.
fn json_form(document: &Document<'_>, work: &Path, id: SubmissionId) -> io::Result<(String, Digest, u64)> {
    let mut bytes = Vec::with_capacity(document.source().len());
    write::json(document, &mut bytes)?;
    let name = Spool::work_json_name(id);
    let draft = work.join(format!("{name}.draft"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&bytes)?;
    file.sync_data()?;
    fs::rename(&draft, work.join(&name))?;
    Ok((name, Digest::of(&bytes), bytes.len() as u64))
}

fn refused(outcome: Outcome) -> Judgement {
    let errors = outcome.errors();
    let why = match errors {
        1 => "it is not a valid STU3 Bundle: 1 error".to_owned(),
        errors => format!("it is not a valid STU3 Bundle: {errors} errors"),
    };
    Judgement { inspected: inspected(None, outcome), verdict: Verdict::Refused { why } }
}

/// The gravest findings, as many as a record keeps; a stable sort keeps their order in the file.
fn inspected(bundle: Option<BundleFacts>, outcome: Outcome) -> Inspected {
    let total = u64::try_from(outcome.findings.len()).unwrap_or(u64::MAX).saturating_add(outcome.cut);
    let mut findings = outcome.findings;
    findings.sort_by_key(|finding| finding.severity);
    findings.truncate(Submission::FINDINGS_KEPT);
    let overridden = outcome.overridden.into_iter().map(|rule| RuleChange {
        key: rule.key,
        from: rule.from.as_str().to_owned(),
        to: rule.to.as_str().to_owned(),
        count: rule.count,
    });
    let mut profiles = outcome.profiles.into_vec();
    profiles.truncate(Submission::PROFILES_KEPT);
    Inspected {
        profiles,
        bundle,
        library: None,
        findings: findings.into(),
        findings_total: u32::try_from(total).unwrap_or(u32::MAX),
        overridden: overridden.collect(),
    }
}

/// A file may be moved between two looks: every path is looked at twice.
fn first_readable(paths: &[PathBuf]) -> Option<Vec<u8>> {
    paths.iter().chain(paths).find_map(|path| match fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(error = %error.kind(), "a file in our own folders could not be read");
            }
            None
        }
    })
}

/// Threads that judge, and the queue before them.
pub(super) struct Judges {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Bytes that may be in judging at once; one file alone may exceed it.
    budget: u64,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: u64,
    closed: bool,
}

/// A document takes a few times its file's size in memory.
const MEMORY_FACTOR: u64 = 3;

impl Judges {
    /// Starts `threads` of them.
    pub(super) fn start<F>(threads: usize, budget: u64, work: F) -> io::Result<Self>
    where
        F: Fn(Job) + Send + Sync + 'static,
    {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), budget });
        let work = Arc::new(work);
        let threads = (0..threads.max(1))
            .map(|number| {
                let (shared, work) = (shared.clone(), work.clone());
                thread::Builder::new().name(format!("judge-{number}")).spawn(move || {
                    while let Some((job, bytes)) = shared.take() {
                        work(job);
                        shared.give_back(bytes);
                    }
                })
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { shared, threads })
    }

    pub(super) fn submit(&self, job: Job) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).jobs.push_back(job);
        self.shared.changed.notify_one();
    }

    /// Lets those under way end; what waits is found again at the next start.
    pub(super) fn stop(self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a judging thread had ended by a panic");
            }
        }
    }
}

impl Shared {
    fn take(&self) -> Option<(Job, u64)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.closed {
                return None;
            }
            let cost = state.jobs.front().map(Job::cost);
            if let Some(cost) = cost
                && (state.bytes == 0 || state.bytes + cost <= self.budget)
                && let Some(job) = state.jobs.pop_front()
            {
                state.bytes += cost;
                return Some((job, cost));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, bytes: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).bytes -= bytes;
        self.changed.notify_all();
    }
}
