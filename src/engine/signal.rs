//! Whatever happens to the loop, from whoever it comes.

use super::{
    clerk::Placed,
    desk::Asked,
    edition::Edition,
    event::{Effect, Event, Opened, PersonKey},
    judge::Judged,
    vault::Renewal,
};
use crate::{
    intake::Notice,
    model::{ChannelName, Submission, SubmissionId},
    store::{StoreTrouble, Write},
};
use std::sync::mpsc::SyncSender;

/// Whatever happens to the loop.
pub(super) enum Signal {
    Event(Event),
    Claims { submissions: Vec<Submission>, done: SyncSender<()> },
    Recorded { opened: Vec<Opened>, done: SyncSender<()> },
    SourcesGone(Vec<SubmissionId>),
    Notice { channel: ChannelName, notice: Notice },
    Judged(Judged),
    TryAgain(Effect),
    Placed(Vec<Placed>),
    Flushed { id: SubmissionId, then: Vec<Effect> },
    Written(Vec<Write>),
    LetGo,
    Renewed { person: PersonKey, renewal: Option<Renewal> },
    Trouble(StoreTrouble),
    Made(Result<Edition, String>),
    Asked(Asked),
}
