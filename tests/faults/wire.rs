//! The wire between the program and the sandbox, with bad days of its own: what a server, a gateway or a
//! network can do to a connection, to the byte.
//!
//! Each contract under test speaks to it below a path of its own (its lane), so that many go wrong at once
//! without knowing of each other. What is not ordered otherwise is relayed.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Door {
    Push,
    Token,
    Accounts,
    Contract,
    Other,
}

/// What is done to one request.
#[derive(Clone)]
pub(super) enum Act {
    /// The whole request is read and answered so; the sandbox sees nothing of it.
    Say(Vec<u8>),
    /// As [`Act::Say`], by words that are found at that moment.
    SayThen(Arc<dyn Fn() -> Vec<u8> + Send + Sync>),
    /// As [`Act::Say`], and the connection stays for the next request.
    SayAndStay(Vec<u8>),
    /// As soon as its headers are there it is answered so, its body unread.
    SayEarly(Vec<u8>),
    /// The sandbox takes it, and so it is answered.
    TakeAndSay(Vec<u8>),
    /// Reset when its headers are there.
    ResetBefore,
    /// Reset when it was read whole; the sandbox took it or did not.
    Reset { taken: bool },
    /// These bytes of an answer, then a reset.
    ResetIn(Vec<u8>),
    /// Read whole, and no answer ever comes.
    Silence { taken: bool },
    /// Its body is never read, and the connection stands.
    Deaf,
    /// The answer, a byte at a time.
    Drip(Vec<u8>, Duration),
    /// These bytes, and then bytes without an end.
    Endless(Vec<u8>),
    /// Relayed; the answer is changed on its way.
    Change(Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>),
}

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) lane: String,
    pub(super) door: Door,
    pub(super) at: Instant,
}

#[derive(Default)]
struct State {
    orders: BTreeMap<(String, Door), VecDeque<Act>>,
    /// What is done to every request of a lane's door until it is lifted.
    spells: BTreeMap<(String, Door), Act>,
    seen: Vec<Seen>,
}

/// The wire; ends with its process.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) port: u16,
    upstream: String,
    state: Arc<Mutex<State>>,
}

impl Wire {
    /// Between the program and this address (`127.0.0.1:PORT`).
    pub(super) fn to(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Self::of(&listener, upstream);
        let served = wire.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let wire = served.clone();
                // How a connection ends is the program's to judge.
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap_or_default();
                    let raw = stream.try_clone().ok();
                    wire.serve(stream, raw.as_ref()).unwrap_or_default();
                });
            }
        });
        wire
    }

    pub(super) fn of(listener: &TcpListener, upstream: &str) -> Self {
        let port = listener.local_addr().unwrap().port();
        Self { port, upstream: upstream.to_owned(), state: Arc::default() }
    }

    pub(super) fn base_url(&self, lane: &str) -> String {
        format!("http://127.0.0.1:{}/{lane}/v1.7/", self.port)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next request at that door of the lane.
    pub(super) fn order(&self, lane: &str, door: Door, act: Act) {
        self.lock().orders.entry((lane.to_owned(), door)).or_default().push_back(act);
    }

    /// Every request at that door, until it is lifted.
    pub(super) fn cast(&self, lane: &str, door: Door, act: Act) {
        self.lock().spells.insert((lane.to_owned(), door), act);
    }

    pub(super) fn lift(&self) {
        self.lock().spells.clear();
    }

    /// What came at that door of the lane.
    pub(super) fn seen(&self, lane: &str, door: Door) -> Vec<Seen> {
        self.lock().seen.iter().filter(|seen| seen.lane == lane && seen.door == door).cloned().collect()
    }
}

/// A request's head, with the rest of its body still to come.
struct Head {
    lane: String,
    door: Door,
    /// First line and headers as the sandbox is to see them.
    text: String,
    length: usize,
    /// What came of the body with the head.
    begun: Vec<u8>,
}

impl Wire {
    /// Serves the requests of one connection; `raw` is its socket.
    pub(super) fn serve<S: Read + Write>(&self, mut stream: S, raw: Option<&TcpStream>) -> io::Result<()> {
        while let Some(head) = self.head(&mut stream)? {
            let key = (head.lane.clone(), head.door);
            let act = {
                let mut state = self.lock();
                let ordered = state.orders.get_mut(&key).and_then(VecDeque::pop_front);
                ordered.or_else(|| state.spells.get(&key).cloned())
            };
            match act {
                Some(Act::SayEarly(answer)) => {
                    stream.write_all(&answer)?;
                    stream.flush()?;
                    // The client may still be writing; its answer arrives before the door is closed.
                    thread::sleep(Duration::from_millis(200));
                    return Ok(());
                }
                Some(Act::ResetBefore) => return reset(raw),
                Some(Act::Deaf) => thread::sleep(Duration::from_secs(7)),
                act => self.act(act, head, &mut stream, raw)?,
            }
        }
        Ok(())
    }

    fn act<S: Read + Write>(
        &self,
        act: Option<Act>,
        head: Head,
        stream: &mut S,
        raw: Option<&TcpStream>,
    ) -> io::Result<()> {
        let (text, mut body, length) = (head.text, head.begun, head.length);
        let begun = body.len();
        body.resize(length, 0);
        stream.read_exact(&mut body[begun..])?;
        let relay = || {
            let mut sandbox = TcpStream::connect(&self.upstream)?;
            sandbox.write_all(text.as_bytes())?;
            sandbox.write_all(&body)?;
            let mut answer = Vec::new();
            sandbox.read_to_end(&mut answer)?;
            io::Result::Ok(answer)
        };
        match act {
            None => stream.write_all(&relay()?)?,
            Some(Act::Change(change)) => stream.write_all(&change(relay()?))?,
            Some(Act::Say(answer)) => stream.write_all(&answer)?,
            Some(Act::SayThen(answer)) => stream.write_all(&answer())?,
            Some(Act::SayAndStay(answer)) => return stream.write_all(&answer),
            Some(Act::TakeAndSay(answer)) => {
                relay()?;
                stream.write_all(&answer)?;
            }
            Some(Act::Reset { taken }) => {
                if taken {
                    relay()?;
                }
                return reset(raw);
            }
            Some(Act::ResetIn(answer)) => {
                stream.write_all(&answer)?;
                stream.flush()?;
                // What was written must have left before the reset may overtake it.
                thread::sleep(Duration::from_millis(50));
                return reset(raw);
            }
            Some(Act::Silence { taken }) => {
                if taken {
                    relay()?;
                }
                // Until the other side gives up.
                while stream.read(&mut [0; 64])? > 0 {}
            }
            Some(Act::Drip(answer, pause)) => {
                for byte in answer {
                    stream.write_all(&[byte])?;
                    stream.flush()?;
                    thread::sleep(pause);
                }
            }
            Some(Act::Endless(answer)) => {
                stream.write_all(&answer)?;
                loop {
                    stream.write_all(&[b'x'; 16 * 1024])?;
                }
            }
            Some(Act::SayEarly(_) | Act::ResetBefore | Act::Deaf) => unreachable!("these do not wait for a body"),
        }
        stream.flush()?;
        // Every answer says `connection: close`, or means it.
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    fn head<S: Read>(&self, stream: &mut S) -> io::Result<Option<Head>> {
        let mut bytes = Vec::new();
        let end = loop {
            let mut piece = [0; 16 * 1024];
            let read = stream.read(&mut piece)?;
            if read == 0 {
                return Ok(None);
            }
            bytes.extend_from_slice(&piece[..read]);
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&bytes[..end]).map_err(|_| io::ErrorKind::InvalidData)?;
        let (line, headers) = text.split_once("\r\n").ok_or(io::ErrorKind::InvalidData)?;
        let length = headers.lines().find_map(|header| {
            let (name, value) = header.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let path = line.split(' ').nth(1).ok_or(io::ErrorKind::InvalidData)?;
        let (lane, rest) = path[1..].split_once('/').ok_or(io::ErrorKind::InvalidData)?;
        let door = match rest {
            "v1.7/oauth/token" => Door::Token,
            "v1.7/permission-access/accounts" => Door::Accounts,
            "v1.7/permission-access/contract" => Door::Contract,
            rest if rest.starts_with("v1.7/permission-access/import") => Door::Push,
            _ => Door::Other,
        };
        let seen = Seen { lane: lane.to_owned(), door, at: Instant::now() };
        self.lock().seen.push(seen);
        Ok(Some(Head {
            lane: lane.to_owned(),
            door,
            text: format!("{}\r\nconnection: close\r\n{headers}", line.replacen(&format!("/{lane}/"), "/", 1)),
            length: length.unwrap_or_default(),
            begun: bytes[end..].to_vec(),
        }))
    }
}

/// Ends a connection by a reset, without a word of goodbye.
fn reset(raw: Option<&TcpStream>) -> io::Result<()> {
    if let Some(raw) = raw {
        rustix::net::sockopt::set_socket_linger(raw, Some(Duration::ZERO))?;
    }
    Err(io::ErrorKind::ConnectionReset.into())
}

/// An answer with a body.
pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Word\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    // These have no body, and so no length.
    if status == 204 || status == 304 || status < 200 {
        return (text + "\r\n").into_bytes();
    }
    [format!("{text}content-length: {}\r\n\r\n", body.len()).into_bytes(), body.to_vec()].concat()
}
