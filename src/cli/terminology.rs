//! The terminology server that somebody named: asked about what is not known yet, within a limit, and remembered.
//!
//! The answers lie in `state/codes.jsonl` (0600), a line each: codes and whether they belong, never anything else of a file.
//! While the server is down, or slow, it is left alone for a while, so that judging goes on; those codes are not checked.

use super::exit::{Exit, Failed};
use crate::{
    config::Terminology,
    model::{CodeQuestion, Timestamp, clock},
    push::{TerminologyAddress, TerminologyServer},
    validate::CodeServer,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// The file of the answers, in the state folder.
pub(super) const FILE: &str = "codes.jsonl";

/// Answers that are remembered; with more nothing new is.
const MOST_ANSWERS: usize = 200_000;

/// How long a server that did not answer is left alone.
const REST: Duration = Duration::from_secs(60);

/// A server and what it said.
#[derive(Debug)]
pub(super) struct Asked {
    server: TerminologyServer,
    answers: RwLock<BTreeMap<CodeQuestion, bool>>,
    /// Where they are kept.
    file: Option<PathBuf>,
    /// Since when it does not answer, and why. One asks at a time; the others find what it learnt.
    down: Mutex<Option<(Instant, String)>>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    question: CodeQuestion,
    is_in: bool,
    at: Timestamp,
}

impl Asked {
    /// As configured; connects to nothing. Without a file the answers are forgotten at the end.
    pub(super) fn new(settings: &Terminology, url: &str, file: Option<PathBuf>) -> Result<Self, Failed> {
        let read = |path: &PathBuf| {
            let told = |error| format!("read terminology.ca_file {}: {error}", path.display());
            fs::read_to_string(path).map_err(|error| Failed::say(Exit::Config, told(error)))
        };
        let address = TerminologyAddress {
            url: url.to_owned(),
            authorities_pem: settings.ca_file.as_ref().map(read).transpose()?,
            proxy: settings.proxy.clone(),
            timeout: settings.timeout,
        };
        let server = TerminologyServer::new(&address)
            .map_err(|error| Failed::say(Exit::Config, format!("use the terminology server: {error}")))?;
        let answers = match &file {
            Some(file) => kept(file, settings.keep)
                .map_err(|error| Failed::say(Exit::Unreadable, format!("use {}: {error}", file.display())))?,
            None => BTreeMap::new(),
        };
        Ok(Self { server, answers: RwLock::new(answers), file, down: Mutex::default() })
    }

    /// Why it does not answer, where it does not.
    pub(super) fn trouble(&self) -> Option<String> {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.as_ref().map(|(_, why)| why.clone())
    }

    /// What it says now; judging stands on plain threads, so that this may wait.
    fn ask(&self, questions: &[CodeQuestion]) -> (Vec<Option<bool>>, Option<String>) {
        match super::context::runtime() {
            Ok(runtime) => {
                let (told, error) = runtime.block_on(self.server.ask(questions));
                (told, error.map(|error| error.to_string()))
            }
            Err(failed) => (Vec::new(), Some(failed.text())),
        }
    }

    fn keep(&self, new: &[(CodeQuestion, bool)]) -> io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut text = Vec::new();
        for (question, is_in) in new {
            serde_json::to_writer(
                &mut text,
                &Kept { question: question.clone(), is_in: *is_in, at: Timestamp::now() },
            )?;
            text.push(b'\n');
        }
        OpenOptions::new().append(true).create(true).mode(0o600).open(path)?.write_all(&text)
    }
}

impl CodeServer for Asked {
    fn is_in(&self, question: &CodeQuestion) -> Option<bool> {
        self.answers.read().unwrap_or_else(PoisonError::into_inner).get(question).copied()
    }

    fn learn(&self, questions: &[CodeQuestion]) -> bool {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let open: Vec<CodeQuestion> =
            questions.iter().filter(|question| self.is_in(question).is_none()).cloned().collect();
        // Another may have asked meanwhile.
        let was_learnt = open.len() < questions.len();
        let rests = |since: &Instant| clock::now().saturating_duration_since(*since) < REST;
        if open.is_empty() || down.as_ref().is_some_and(|(since, _)| rests(since)) {
            return was_learnt;
        }
        let (told, error) = self.ask(&open);
        match (&error, &*down) {
            (Some(error), None) => {
                tracing::warn!(error, "codes that only the terminology server knows are not checked")
            }
            (None, Some(_)) => tracing::info!("the terminology server answers again"),
            _ => {}
        }
        *down = error.map(|error| (clock::now(), error));
        let new: Vec<(CodeQuestion, bool)> =
            open.into_iter().zip(told).filter_map(|(question, told)| Some((question, told?))).collect();
        if let Err(error) = self.keep(&new) {
            tracing::warn!(error = %error.kind(), "what the terminology server said is not kept for the next start");
        }
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_ANSWERS.saturating_sub(answers.len());
        let is_new = !new.is_empty() && room > 0;
        answers.extend(new.into_iter().take(room));
        was_learnt || is_new
    }
}

/// What was kept and is not too old. The file is written anew without the rest.
fn kept(path: &Path, age: Duration) -> io::Result<BTreeMap<CodeQuestion, bool>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let now = Timestamp::now();
    let (mut answers, mut text, mut lines) = (BTreeMap::new(), Vec::new(), 0_usize);
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        lines += 1;
        // A line that was cut off is asked again.
        let Ok(kept) = serde_json::from_slice::<Kept>(line) else { continue };
        if now.since(kept.at) < age
            && answers.len() < MOST_ANSWERS
            && answers.insert(kept.question, kept.is_in).is_none()
        {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
    }
    if answers.len() < lines {
        super::context::write_anew(path, &text)?;
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_until_they_are_too_old_and_damaged_lines_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let question = |code: &str| CodeQuestion::new("http://a.example/set", "http://loinc.org", code).unwrap();
        let line = |code: &str, at: Timestamp| {
            serde_json::to_string(&Kept { question: question(code), is_in: true, at }).unwrap()
        };
        let old = Timestamp::from_millis(0);
        fs::write(&path, format!("{}\n{}\n{{\"cut", line("1", Timestamp::now()), line("2", old))).unwrap();
        let answers = kept(&path, Duration::from_secs(3600)).unwrap();
        assert_eq!(answers, BTreeMap::from([(question("1"), true)]));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert_eq!(kept(&folder.path().join("none"), Duration::ZERO).unwrap(), BTreeMap::new());
    }
}
