//! The body of a push: streams from the file while its digest is taken, and gives out the last block only when the
//! digest is right.
//!
//! Two things hang on the last block. A file that was damaged in our keeping never arrives whole, because its end is
//! withheld. And whether the last block was handed over decides between "it cannot have arrived" (send again) and
//! "nobody can tell" (Unknown). [`Handover`] settles that by one atomic step, so that a body which was given up can
//! not be completed by the connection's own task a moment later.

use crate::model::{Digest, Digester};
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use std::{
    io,
    path::Path,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    fs::File,
    io::{AsyncRead as _, ReadBuf},
    time::Instant,
};

/// Bytes per block; a file of at most one block is read and checked before the request begins.
pub(super) const BLOCK: usize = 64 * 1024;

/// What went wrong with our own copy of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Another digest or another size than recorded, or no file at all.
    #[error("our own copy of the file is damaged")]
    Damaged,
    /// The file system gave an error.
    #[error("our own copy of the file cannot be read ({0})")]
    Unreadable(io::ErrorKind),
    /// The exchange was given up before the last block.
    #[error("the push was given up")]
    GivenUp,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => Self::Damaged,
            kind => Self::Unreadable(kind),
        }
    }
}

/// Whether the API can have the whole body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handed {
    /// The last byte was given to the transport: it may have left.
    Whole,
    /// The last block was not given out and never will be.
    Part,
}

const STREAMING: u8 = 0;
const WHOLE: u8 = 1;
const GIVEN_UP: u8 = 2;

/// What sender and body share.
pub(super) struct Handover {
    state: AtomicU8,
    fault: OnceLock<Fault>,
    /// When a block was last taken or a byte last came.
    pub(super) progress: Progress,
}

impl Handover {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(STREAMING), fault: OnceLock::new(), progress: Progress::new() })
    }

    /// Gives the body up unless it is handed over whole; says which. From here on the answer does not change.
    pub(super) fn close(&self) -> Handed {
        match self.state.compare_exchange(STREAMING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire) {
            Err(WHOLE) => Handed::Whole,
            _ => Handed::Part,
        }
    }

    /// What went wrong with the file, if anything did.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    fn release_last(&self) -> Result<(), Fault> {
        let released = self.state.compare_exchange(STREAMING, WHOLE, Ordering::AcqRel, Ordering::Acquire);
        released.map(drop).map_err(|_| Fault::GivenUp)
    }

    fn fail(&self, fault: Fault) -> Fault {
        *self.fault.get_or_init(|| fault)
    }
}

/// The time since something last moved.
pub(super) struct Progress {
    begun: Instant,
    last_millis: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), last_millis: AtomicU64::new(0) }
    }

    pub(super) fn touch(&self) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_millis.store(millis, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.last_millis.load(Ordering::Relaxed))
    }
}

/// What is to be sent, opened and, where small, already checked.
pub(super) enum Source {
    /// All of it; the digest was right.
    Checked(Bytes),
    /// Open at its beginning; the size was right.
    Open(std::fs::File),
}

/// Opens the file; reads and checks it whole where it is one block at most. Blocking.
pub(super) fn open(path: &Path, size: u64, digest: Digest) -> Result<Source, Fault> {
    use io::Read as _;
    let mut file = std::fs::File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() != size || size == 0 {
        return Err(Fault::Damaged);
    }
    match usize::try_from(size) {
        Ok(length) if length <= BLOCK => {
            let mut bytes = vec![0; length];
            file.read_exact(&mut bytes)?;
            if Digest::of(&bytes) == digest { Ok(Source::Checked(bytes.into())) } else { Err(Fault::Damaged) }
        }
        _ => Ok(Source::Open(file)),
    }
}

/// The request's body.
pub(super) struct FileBody {
    blocks: Blocks,
    /// Bytes not yet given out.
    remaining: u64,
    handover: Arc<Handover>,
}

enum Blocks {
    /// The one block of a small file.
    One(Bytes),
    Stream {
        file: File,
        block: BytesMut,
        filled: usize,
        digester: Option<Box<Digester>>,
        expected: Digest,
    },
}

impl FileBody {
    pub(super) fn new(source: Source, size: u64, digest: Digest, handover: Arc<Handover>) -> Self {
        let blocks = match source {
            Source::Checked(bytes) => Blocks::One(bytes),
            Source::Open(file) => {
                let mut file = File::from_std(file);
                file.set_max_buf_size(BLOCK);
                let digester = Some(Box::new(Digester::new()));
                Blocks::Stream { file, block: BytesMut::new(), filled: 0, digester, expected: digest }
            }
        };
        Self { blocks, remaining: size, handover }
    }

    /// The next block, the file's last one only after its digest was compared.
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Fault>> {
        let Blocks::Stream { file, block, filled, digester, expected } = &mut self.blocks else {
            let Blocks::One(bytes) = &mut self.blocks else { unreachable!("the other kind was matched above") };
            return Poll::Ready(Ok(std::mem::take(bytes)));
        };
        let wanted = usize::try_from(self.remaining).map_or(BLOCK, |remaining| remaining.min(BLOCK));
        if *filled == 0 {
            block.resize(wanted, 0);
        }
        while *filled < wanted {
            let mut buffer = ReadBuf::new(&mut block[*filled..wanted]);
            ready!(Pin::new(&mut *file).poll_read(cx, &mut buffer))?;
            match buffer.filled().len() {
                0 => return Poll::Ready(Err(Fault::Damaged)),
                read => *filled += read,
            }
        }
        *filled = 0;
        let whole = block.split().freeze();
        let taken = digester.as_mut().map(|digester| digester.update(&whole));
        let last = u64::try_from(wanted).unwrap_or(u64::MAX) == self.remaining;
        if taken.is_none() || (last && digester.take().map(|digester| digester.finish()) != Some(*expected)) {
            return Poll::Ready(Err(Fault::Damaged));
        }
        Poll::Ready(Ok(whole))
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let body = self.get_mut();
        if body.remaining == 0 {
            return Poll::Ready(None);
        }
        let polled = ready!(body.poll_block(cx)).and_then(|block| {
            let after = body.remaining - u64::try_from(block.len()).unwrap_or(body.remaining);
            if after == 0 {
                body.handover.release_last()?;
            }
            body.remaining = after;
            body.handover.progress.touch();
            Ok(Frame::data(block))
        });
        Poll::Ready(Some(polled.map_err(|fault| body.handover.fail(fault))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body as _;
    use std::future::poll_fn;

    async fn read_all(body: &mut FileBody) -> (Vec<u8>, Option<Fault>) {
        let mut bytes = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            match frame {
                Ok(frame) => {
                    let block = frame.into_data().unwrap();
                    assert!(block.len() <= BLOCK);
                    bytes.extend_from_slice(&block);
                }
                Err(fault) => return (bytes, Some(fault)),
            }
        }
        (bytes, None)
    }

    fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn body_of(path: &Path, size: usize, digest: Digest) -> Result<(FileBody, Arc<Handover>), Fault> {
        let handover = Handover::new();
        let size = u64::try_from(size).unwrap();
        Ok((FileBody::new(open(path, size, digest)?, size, digest, handover.clone()), handover))
    }

    #[tokio::test]
    async fn every_size_arrives_byte_for_byte() {
        for size in [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 17] {
            let bytes: Vec<u8> = (0..size).map(|index| u8::try_from(index % 251).unwrap()).collect();
            let file = file_of(&bytes);
            let (mut body, handover) = body_of(file.path(), size, Digest::of(&bytes)).unwrap();
            assert_eq!(body.size_hint().exact(), Some(u64::try_from(size).unwrap()));
            assert_eq!(read_all(&mut body).await, (bytes, None));
            assert!(body.is_end_stream());
            assert_eq!(handover.close(), Handed::Whole);
        }
    }

    #[tokio::test]
    async fn the_last_block_of_a_damaged_file_is_withheld() {
        let bytes = vec![7; 2 * BLOCK + 5];
        let file = file_of(&bytes);
        let (mut body, handover) = body_of(file.path(), bytes.len(), Digest::of(b"other")).unwrap();
        let (sent, fault) = read_all(&mut body).await;
        assert_eq!((sent.len(), fault), (2 * BLOCK, Some(Fault::Damaged)));
        assert_eq!((handover.close(), handover.fault()), (Handed::Part, Some(Fault::Damaged)));
    }

    #[tokio::test]
    async fn a_file_cut_while_it_streams_is_damaged() {
        let bytes = vec![7; 3 * BLOCK];
        let file = file_of(&bytes);
        let (mut body, handover) = body_of(file.path(), bytes.len(), Digest::of(&bytes)).unwrap();
        file.as_file().set_len(u64::try_from(BLOCK).unwrap()).unwrap();
        assert_eq!(read_all(&mut body).await.1, Some(Fault::Damaged));
        assert_eq!(handover.close(), Handed::Part);
    }

    #[tokio::test]
    async fn a_body_given_up_cannot_be_completed() {
        let bytes = vec![7; BLOCK + 1];
        let file = file_of(&bytes);
        let (mut body, handover) = body_of(file.path(), bytes.len(), Digest::of(&bytes)).unwrap();
        assert_eq!(handover.close(), Handed::Part);
        let (sent, fault) = read_all(&mut body).await;
        assert_eq!((sent.len(), fault), (BLOCK, Some(Fault::GivenUp)));
        assert_eq!(handover.close(), Handed::Part);
    }

    #[test]
    fn small_files_are_checked_before_anything_is_sent() {
        let file = file_of(b"{}");
        let digest = Digest::of(b"{}");
        assert!(matches!(open(file.path(), 2, digest), Ok(Source::Checked(_))));
        assert!(matches!(open(file.path(), 2, Digest::of(b"[]")), Err(Fault::Damaged)));
        assert!(matches!(open(file.path(), 3, digest), Err(Fault::Damaged)));
        assert!(matches!(open(&file.path().join("x"), 2, digest), Err(Fault::Unreadable(_))));
        assert!(matches!(open(Path::new("/nowhere/file"), 2, digest), Err(Fault::Damaged)));
        assert!(matches!(open(&std::env::temp_dir(), 2, digest), Err(Fault::Damaged)));
    }
}
