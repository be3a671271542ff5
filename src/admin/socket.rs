//! The local socket: one JSON object a line each way, for this user alone.

use super::{
    audit::Caller,
    desk::Desk,
    hands::Hands,
    protocol::{Answer, Question},
};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

/// The longest question; answers are as long as they are.
const QUESTION_MAX: u64 = 16 * 1024 * 1024;

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No daemon listens there.
    #[error("reach the daemon: none is running")]
    NotRunning,
    /// It was reached, and the talk broke off.
    #[error("talk to the daemon over {}: {source}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A socket's address has room for 107 bytes; a folder that is open has a short path of its own.
struct Short {
    path: PathBuf,
    _folder: Option<fs::File>,
}

fn short(path: &Path) -> io::Result<Short> {
    use std::os::fd::AsRawFd;
    const ROOM: usize = 100;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if path.as_os_str().len() <= ROOM {
        return Ok(Short { path: path.to_owned(), _folder: None });
    }
    let folder = fs::File::open(folder)?;
    Ok(Short {
        path: Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name),
        _folder: Some(folder),
    })
}

/// Listens until dropped. A socket that a crash left behind is replaced: whoever has the store is the daemon.
///
/// # Errors
/// The socket cannot be made.
pub async fn serve<H: Hands + 'static>(path: &Path, desk: Arc<Desk<H>>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(short(path)?.path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    loop {
        let (stream, _) = listener.accept().await?;
        let desk = desk.clone();
        tokio::spawn(async move {
            if let Err(error) = talk(stream, &desk).await {
                tracing::debug!(error = %error.kind(), "a talk over the socket broke off");
            }
        });
    }
}

async fn talk<H: Hands>(stream: UnixStream, desk: &Desk<H>) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let caller = Caller::at_the_socket(peer.uid(), peer.pid());
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading.take(QUESTION_MAX)).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match serde_json::from_str::<Question>(&line) {
            Ok(question) => desk.answer(question, &caller).await,
            Err(_) => Answer::Failed {
                text: "this daemon does not know the question; are both of one version?".to_owned(),
                api: false,
            },
        };
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        writing.write_all(&line).await?;
    }
    Ok(())
}

/// Whether a daemon listens there.
pub fn is_running(path: &Path) -> bool {
    short(path).is_ok_and(|short| std::os::unix::net::UnixStream::connect(short.path).is_ok())
}

/// Asks the daemon one question.
///
/// # Errors
/// None is running, or the talk broke off.
pub async fn call(path: &Path, question: &Question) -> Result<Answer, CallError> {
    let Ok(address) = short(path) else { return Err(CallError::NotRunning) };
    let Ok(stream) = UnixStream::connect(&address.path).await else { return Err(CallError::NotRunning) };
    let broken = |source: io::Error| CallError::Broken { path: path.to_owned(), source };
    let (reading, mut writing) = stream.into_split();
    let mut line = serde_json::to_vec(question).map_err(|error| broken(error.into()))?;
    line.push(b'\n');
    writing.write_all(&line).await.map_err(broken)?;
    let answer = BufReader::new(reading).lines().next_line().await.map_err(broken)?;
    let answer = answer.ok_or_else(|| broken(io::ErrorKind::UnexpectedEof.into()))?;
    serde_json::from_str(&answer).map_err(|error| broken(error.into()))
}
