//! The bell: edges are filtered and gathered where they are rung; tasks carry them out and keep the rest.

use super::{
    news::{Edge, Kind, News, Topic, Trouble, message},
    outlet::Outlet,
};
use crate::model::{ChannelName, Timestamp, clock};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// News of one kind that an alert names; the rest is counted.
const NAMED: usize = 20;
/// How long after a failed delivery the next ones are tried; then it is given up.
const AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];

/// How long is slept where nothing is due.
const UNCALLED: Duration = Duration::from_secs(3_600);

/// How alerts leave.
#[derive(Debug)]
pub struct Settings {
    /// Every way; none is fine, then only the log tells.
    pub outlets: Vec<Outlet>,
    /// News of one kind that come within this time are one alert.
    pub gather: Duration,
    /// Where it is kept which troubles were told.
    pub state: PathBuf,
    /// Channels that should not be without files for long.
    pub quiet: BTreeMap<ChannelName, Quiet>,
}

/// When a channel without files is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// After so long.
    pub limit: Duration,
    /// How long ago the last file came.
    pub since: Duration,
}

/// The way to the tasks that tell; clones are cheap, and none ever waits.
#[derive(Clone, Debug)]
pub struct Bell {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something is to be delivered, or it ends.
    rung: Vec<Notify>,
    /// What is kept has changed, or it ends.
    changed: Notify,
    gather: Duration,
    file: PathBuf,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    /// Told, and not over.
    open: BTreeSet<Trouble>,
    /// What each outlet has still to tell.
    pending: Vec<BTreeMap<Kind, Gathered>>,
    /// Until when a file must have come.
    quiet: BTreeMap<ChannelName, (Duration, Instant)>,
    closing: bool,
}

#[derive(Clone, Debug)]
struct Gathered {
    first: Instant,
    at: Timestamp,
    count: u64,
    items: Vec<News>,
}

impl Bell {
    /// Begins the tasks; needs a running event loop.
    pub fn start(settings: Settings) -> Self {
        let Settings { outlets, gather, state: folder, quiet } = settings;
        let file = folder.join("alerts.json");
        let (now, open) = (clock::now(), read(&file));
        let until = |quiet: Quiet| (quiet.limit, now + quiet.limit.saturating_sub(quiet.since));
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                open: open.clone(),
                pending: vec![BTreeMap::new(); outlets.len()],
                quiet: quiet.into_iter().map(|(channel, quiet)| (channel, until(quiet))).collect(),
                closing: false,
            }),
            rung: outlets.iter().map(|_| Notify::new()).collect(),
            changed: Notify::new(),
            gather,
            file,
            tasks: Mutex::default(),
        });
        let mut tasks = vec![tokio::spawn(keep(shared.clone(), open))];
        for (number, outlet) in outlets.into_iter().enumerate() {
            tasks.push(tokio::spawn(tell(shared.clone(), number, outlet)));
        }
        *shared.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        Self { shared }
    }

    /// Tells it, where it is an edge: what began is not told again before it has ended.
    pub fn ring(&self, news: News) {
        self.shared.ring(&mut self.shared.lock(), news);
    }

    /// Destinations that were told as paused, and not as open again.
    pub fn paused_destinations(&self) -> BTreeSet<String> {
        let state = self.shared.lock();
        let paused = state.open.iter().filter(|trouble| trouble.topic == Topic::Destination);
        paused.map(|trouble| trouble.of.clone()).collect()
    }

    /// A file came through the channel.
    pub fn file_came(&self, channel: &ChannelName) {
        let state = &mut *self.shared.lock();
        let Some((limit, until)) = state.quiet.get_mut(channel) else { return };
        *until = clock::now() + *limit;
        let news = News::in_channel(Kind::FilesAgain, channel);
        if news.trouble().is_some_and(|trouble| state.open.contains(&trouble)) {
            tracing::info!(%channel, "alert: files come again");
            self.shared.ring(state, news);
        }
    }

    /// Tells what waits to be told, at most so long.
    pub async fn close(self, limit: Duration) {
        self.shared.lock().closing = true;
        self.shared.rung.iter().chain([&self.shared.changed]).for_each(Notify::notify_one);
        let tasks = std::mem::take(&mut *self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let until = Instant::now() + limit;
        for mut task in tasks {
            if timeout(until.saturating_duration_since(Instant::now()), &mut task).await.is_err() {
                tracing::warn!("an alert could not be delivered before the end");
                task.abort();
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, state: &mut State, news: News) {
        let is_edge = match (news.kind.edge(), news.trouble()) {
            (Edge::Begins(_), Some(trouble)) => state.open.insert(trouble),
            (Edge::Ends(_), Some(trouble)) => state.open.remove(&trouble),
            _ => true,
        };
        if !is_edge {
            return;
        }
        if news.trouble().is_some() {
            self.changed.notify_one();
        }
        for (pending, rung) in state.pending.iter_mut().zip(&self.rung) {
            let gathered = pending.entry(news.kind).or_insert_with(|| Gathered {
                first: clock::now(),
                at: Timestamp::now(),
                count: 0,
                items: Vec::new(),
            });
            gathered.count += 1;
            if gathered.items.len() < NAMED {
                gathered.items.push(news.clone());
            }
            rung.notify_one();
        }
    }

    /// The oldest that an outlet may tell now, or when it may.
    fn next(&self, number: usize) -> Next {
        let mut state = self.lock();
        let closing = state.closing;
        let Some(pending) = state.pending.get_mut(number) else { return Next::Over };
        let oldest = pending.iter().map(|(kind, gathered)| (gathered.first, *kind)).min();
        match oldest {
            None if closing => Next::Over,
            None => Next::Wait(None),
            Some((first, kind)) if closing || first + self.gather <= clock::now() => match pending.remove(&kind) {
                Some(Gathered { at, count, items, .. }) => Next::Tell(kind, message(kind, at, count, &items)),
                None => Next::Wait(None),
            },
            Some((first, _)) => Next::Wait(Some(first + self.gather)),
        }
    }
}

enum Next {
    Tell(Kind, Value),
    Wait(Option<Instant>),
    Over,
}

/// Tells by one outlet, one alert after another. What comes meanwhile is gathered.
async fn tell(shared: Arc<Shared>, number: usize, outlet: Outlet) {
    let Some(rung) = shared.rung.get(number) else { return };
    loop {
        match shared.next(number) {
            Next::Over => return,
            Next::Wait(None) => rung.notified().await,
            Next::Wait(Some(until)) => tokio::select! {
                () = rung.notified() => {}
                () = sleep(clock::until(until)) => {}
            },
            Next::Tell(kind, message) => deliver(&outlet, kind, &message).await,
        }
    }
}

async fn deliver(outlet: &Outlet, kind: Kind, message: &Value) {
    let (alert, by) = (kind.as_str(), outlet.name());
    let mut waits = AGAIN.iter();
    loop {
        match (outlet.deliver(message).await, waits.next()) {
            (Ok(()), _) => return tracing::debug!(alert, by, "an alert was delivered"),
            (Err(why), Some(wait)) => {
                tracing::warn!(alert, by, why, "an alert could not be delivered; it is tried again");
                sleep(clock::span(*wait)).await;
            }
            (Err(why), None) => {
                return tracing::error!(alert, by, why, "an alert could not be delivered and is given up");
            }
        }
    }
}

/// Keeps what was told, and looks for channels without files.
async fn keep(shared: Arc<Shared>, mut kept: BTreeSet<Trouble>) {
    loop {
        let (open, closing, due) = {
            let mut state = shared.lock();
            let now = clock::now();
            let silent: Vec<_> = state.quiet.iter().filter(|(_, (_, until))| *until <= now).collect();
            let silent: Vec<_> = silent.into_iter().map(|(channel, _)| channel.clone()).collect();
            for channel in silent {
                let news = News::in_channel(Kind::NoFiles, &channel);
                if news.trouble().is_some_and(|trouble| !state.open.contains(&trouble)) {
                    tracing::warn!(%channel, "alert: no file came for longer than quiet_alert");
                    shared.ring(&mut state, news);
                }
            }
            let due = state.quiet.values().map(|(_, until)| *until).filter(|until| *until > now).min();
            (state.open.clone(), state.closing, due)
        };
        if open != kept {
            let file = shared.file.clone();
            let troubles = open.clone();
            match tokio::task::spawn_blocking(move || write(&file, &troubles)).await {
                Ok(Ok(())) => kept = open,
                Ok(Err(error)) => {
                    tracing::warn!(error = %error.kind(), "which alerts were told could not be kept; a restart may tell them again");
                    kept = open;
                }
                Err(_) => return,
            }
        }
        if closing {
            return;
        }
        tokio::select! {
            () = shared.changed.notified() => {}
            () = sleep(due.map_or(UNCALLED, clock::until)) => {}
        }
    }
}

/// What an earlier run told; nothing where it cannot be read: then something is told once more.
fn read(file: &Path) -> BTreeSet<Trouble> {
    fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn write(file: &Path, troubles: &BTreeSet<Trouble>) -> io::Result<()> {
    let draft = file.with_extension("json.new");
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    serde_json::to_writer(&mut out, troubles)?;
    out.write_all(b"\n")?;
    out.sync_all()?;
    fs::rename(&draft, file)?;
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
