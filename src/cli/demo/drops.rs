//! The files of the demo, what is expected of each, and the ways in which exporters leave them.

use super::{
    super::Form,
    super::exit::{Exit, Failed},
    super::print,
    stage::Stand,
};
use crate::{admin::Recorded, model::Stage};
use std::{fs, io::Write, path::Path, time::Duration};

/// What must become of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Delivered,
    Duplicate,
    Refused,
}

impl Expected {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
        }
    }
}

/// A file to drop.
pub(super) struct File {
    /// Below the inbox.
    pub(super) path: &'static str,
    pub(super) bytes: &'static [u8],
    pub(super) expected: Expected,
}

macro_rules! sample {
    ($path:literal, $expected:ident) => {
        File {
            path: $path,
            bytes: include_bytes!(concat!("../../../samples/demo/", $path)),
            expected: Expected::$expected,
        }
    };
}

pub(super) static FILES: [File; 11] = [
    sample!("alex-home/blood-pressure.json", Delivered),
    sample!("alex-home/weight-and-heart-rate.json", Delivered),
    sample!("alex-home/glucose-day.json", Delivered),
    sample!("alex-home/glucose-day-again.json", Duplicate),
    sample!("alex-home/temperature-30-february.json", Refused),
    sample!("alex-clinic/sleep-questionnaire.json", Delivered),
    sample!("alex-clinic/follow-up-questionnaire.json", Delivered),
    sample!("alex-clinic/letter-with-pdf.json", Delivered),
    sample!("robin/saturation.json", Delivered),
    sample!("robin/weight.json", Delivered),
    sample!("unmapped/steps.json", Delivered),
];

fn bytes(path: &str) -> &'static [u8] {
    FILES.iter().find(|file| file.path == path).map_or(b"", |file| file.bytes)
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    RenameIn,
    WriteSlowly,
    Burst,
    Invalid,
    Again,
    ForNobody,
    AddLink,
    Over,
}

/// The drops in their order; some wait for an outcome.
pub(super) struct Dropping {
    next: Next,
}

impl Dropping {
    pub(super) const fn new() -> Self {
        Self { next: Next::RenameIn }
    }

    pub(super) fn is_over(&self) -> bool {
        self.next == Next::Over
    }

    /// Does what is next, where its time has come.
    pub(super) async fn go_on(&mut self, stand: &Stand, found: &[Recorded], form: Form) -> Result<(), Failed> {
        let delivered = |path: &str| {
            found.iter().any(|recorded| {
                let submission = &recorded.submission;
                submission.origin.path.as_str() == Some(path) && matches!(submission.stage, Stage::Delivered { .. })
            })
        };
        let say = |text: &str| if form == Form::Text { print::line(&format!("         -- {text}")) } else { Ok(()) };
        self.next = match self.next {
            Next::RenameIn => {
                say("an exporter renames a finished file in")?;
                rename_in(stand.inbox(), "alex-home/blood-pressure.json")?;
                Next::WriteSlowly
            }
            Next::WriteSlowly if delivered("alex-home/blood-pressure.json") => {
                say("a slow exporter writes piece by piece; its token expires meanwhile")?;
                stand.expire_token_of_alex();
                write_slowly(stand.inbox(), "alex-home/weight-and-heart-rate.json").await?;
                Next::Burst
            }
            Next::Burst => {
                say("the API answers 503 once, and five files arrive in a burst")?;
                stand.answer_503_once();
                for path in [
                    "alex-home/glucose-day.json",
                    "alex-clinic/sleep-questionnaire.json",
                    "alex-clinic/follow-up-questionnaire.json",
                    "alex-clinic/letter-with-pdf.json",
                    "robin/saturation.json",
                ] {
                    write(stand.inbox(), path)?;
                }
                Next::Invalid
            }
            Next::Invalid => {
                say("a file with the 30th of February, and one more")?;
                write(stand.inbox(), "alex-home/temperature-30-february.json")?;
                write(stand.inbox(), "robin/weight.json")?;
                Next::ForNobody
            }
            Next::ForNobody => {
                say("a file in a folder that no link knows")?;
                write(stand.inbox(), "unmapped/steps.json")?;
                Next::Again
            }
            Next::Again if delivered("alex-home/glucose-day.json") => {
                say("the same bytes once more, under another name")?;
                write(stand.inbox(), "alex-home/glucose-day-again.json")?;
                Next::AddLink
            }
            Next::AddLink if found.iter().any(|recorded| matches!(recorded.submission.stage, Stage::Held(_))) => {
                say("somebody links the folder: pushbridge links add demo folder unmapped ...")?;
                stand.link_unmapped_to_robin().await?;
                Next::Over
            }
            waiting => waiting,
        };
        Ok(())
    }
}

fn unwritable(error: std::io::Error) -> Failed {
    Failed::say(Exit::Unreadable, format!("drop a sample: {error}"))
}

fn write(inbox: &Path, path: &str) -> Result<(), Failed> {
    fs::write(inbox.join(path), bytes(path)).map_err(unwritable)
}

fn rename_in(inbox: &Path, path: &str) -> Result<(), Failed> {
    let draft = inbox.join(format!("{path}.tmp"));
    fs::write(&draft, bytes(path)).and_then(|()| fs::rename(&draft, inbox.join(path))).map_err(unwritable)
}

async fn write_slowly(inbox: &Path, path: &str) -> Result<(), Failed> {
    const PIECES: usize = 8;
    let bytes = bytes(path);
    let mut file = fs::File::create(inbox.join(path)).map_err(unwritable)?;
    for piece in bytes.chunks(bytes.len() / PIECES + 1) {
        file.write_all(piece).and_then(|()| file.sync_all()).map_err(unwritable)?;
        // The pace of the exporter is what is shown here.
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    Ok(())
}
