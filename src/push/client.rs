//! The one HTTP client: signs every request anew, follows no redirect, bounds every wait and every answer.

use super::{
    answer::{Answer, Reply, Scope, classify},
    body::{self, Fault, FileBody, Handed, Handover, Progress, Source},
    destination::{Destination, PushError, Timeouts, address},
    library::{self, FileDescriptor},
    outbound::{self, unusable},
    sign::{Claims, Signer},
    verify::{Origins, PublicKey, SignedToken, Untrusted},
};
use crate::{
    faults,
    model::{Attempt, AttemptOutcome, Secret, Timestamp, clock},
    route::{Contents, Parcel},
};
use reqwest::{Identity, Method, RequestBuilder, Response, StatusCode, Url, header};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

/// Bytes of an answer that are kept; the rest is left unread.
const ANSWER_MAX: usize = 64 * 1024;
/// Accounts and key sets may be longer.
const LIST_MAX: usize = 8 * 1024 * 1024;
/// How long a key of the API's key set is believed.
const KEY_KEPT: Duration = Duration::from_secs(3600);
/// A clock is wrong when it differs by more than a request may take.
const SKEW_NOTED: i64 = 2_000;
/// No API refuses a timestamp that is nearer to its own clock.
const SKEW_REFUSED: i64 = 30_000;

/// One contract's way to the API. Cheap to share, never to be made twice: it keeps connections and the parsed key.
pub struct Client {
    http: reqwest::Client,
    signer: Signer,
    client_id: String,
    pub(super) base: Url,
    pub(super) onboard: Url,
    origins: Origins,
    timeouts: Timeouts,
    pub(super) destination: Destination,
    /// The API's clock less ours, in milliseconds, as its last `Date` told.
    skew: AtomicI64,
    key: Mutex<Option<(String, Arc<PublicKey>, Instant)>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// What a push came to.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What follows.
    pub answer: Answer,
    /// What the record keeps.
    pub attempt: Attempt,
}

/// Why a request other than a push has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The API answered, and not with what was asked for.
    #[error("the API answered {status}{}", code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())]
    Status {
        /// HTTP status.
        status: u16,
        /// `error.code`.
        code: Option<String>,
        /// What the API asks to wait.
        after: Option<Duration>,
    },
    /// No connection was made.
    #[error("no connection to the API: {0}")]
    NoConnection(&'static str),
    /// The request left and no answer was read.
    #[error("the API did not answer")]
    NoAnswer,
    /// The answer is not what the API should say.
    #[error("the API's answer is not what it should be: {0}")]
    Unreadable(&'static str),
    /// The answer's signature is not believed.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
}

impl Failure {
    /// Whether the token alone was refused.
    pub fn is_token_stale(&self) -> bool {
        match self {
            Self::Status { status: 401, code, .. } => code.as_deref().is_none_or(|code| code == "InvalidToken"),
            _ => false,
        }
    }

    /// Whether our application, contract or key is refused.
    pub fn is_set_up_refused(&self) -> bool {
        match self {
            Self::Status { status: 300..=399, .. } => true,
            Self::Status { code, .. } => matches!(
                code.as_deref(),
                Some("InvalidClient" | "SDKInvalid" | "SDKVersionInvalid" | "InsufficientScope")
            ),
            _ => false,
        }
    }
}

impl Client {
    /// Checks everything and parses the key, once.
    ///
    /// # Errors
    /// The setting that cannot be used.
    pub fn new(destination: Destination) -> Result<Self, PushError> {
        let base = address("base_url", &destination.base_url)?;
        let onboard = address("onboard_url", &destination.onboard_url)?;
        for (setting, text) in
            [("application_id", &destination.application_id), ("contract_id", &destination.contract_id)]
        {
            if text.trim().is_empty() {
                return Err(PushError::Empty { setting });
            }
        }
        let origins = Origins::new(&destination.jku_origins, &base).map_err(|entry| PushError::Origin { entry })?;
        Ok(Self {
            http: http(&destination)?,
            signer: Signer::from_pem(&destination.key_pem)?,
            client_id: format!("{}_{}", destination.application_id, destination.contract_id),
            base,
            onboard,
            origins,
            timeouts: destination.timeouts,
            destination,
            skew: AtomicI64::new(0),
            key: Mutex::default(),
        })
    }

    /// The API's clock less ours, as far as its answers have told; zero where they hardly differ.
    pub fn clock_skew_millis(&self) -> i64 {
        let skew = self.skew.load(Ordering::Relaxed);
        if skew.abs() > SKEW_NOTED { skew } else { 0 }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millis(Timestamp::now().as_millis().saturating_add(self.clock_skew_millis()))
    }

    /// The claims of a request at this moment; the timestamp is on the API's clock.
    pub(super) fn claims(&self) -> Claims<'_> {
        Claims::new(&self.client_id, self.now())
    }

    pub(super) fn request(&self, method: Method, path: &str, claims: &Claims<'_>) -> RequestBuilder {
        // A path below the base is appended as it is: `h:accountId` must stay literal.
        let url = format!("{}{path}", self.base);
        let token = self.signer.token(claims);
        self.http.request(method, url).header(header::AUTHORIZATION, bearer(&token))
    }

    /// Sends and reads the answer, within the limits.
    pub(super) async fn exchange(&self, request: RequestBuilder, most: usize) -> Result<Reply, Failure> {
        let progress = Progress::new();
        let answered = async {
            let response = request.send().await.map_err(|error| failure(&error))?;
            self.note_clock(&response);
            read(response, most, &progress).await.map_err(|_| Failure::NoAnswer)
        };
        tokio::select! {
            answered = answered => answered,
            () = overdue(&progress, &self.timeouts) => Err(Failure::NoAnswer),
        }
    }

    /// The bodies of a 2xx.
    pub(super) async fn fetch(&self, request: RequestBuilder, most: usize) -> Result<Vec<u8>, Failure> {
        let reply = self.exchange(request, most).await?;
        if (200..300).contains(&reply.status) {
            return Ok(reply.body);
        }
        let code = reply.error().and_then(|error| error.code);
        Err(Failure::Status { status: reply.status, code, after: reply.retry_after(self.now()) })
    }

    pub(super) async fn list(&self, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        self.fetch(request, LIST_MAX).await
    }

    /// Asks by a request that is signed when it leaves. Where the API refuses it and tells that our clock was wrong, it is
    /// signed once more by the right time: a request that was refused has done nothing.
    pub(super) async fn ask(&self, request: impl Fn() -> RequestBuilder) -> Result<Vec<u8>, Failure> {
        let before = self.clock_skew_millis();
        match self.list(request()).await {
            Err(Failure::Status { status: 401, .. }) if self.clock_was_wrong(before) => self.list(request()).await,
            answered => answered,
        }
    }

    /// Whether what was signed with that correction was signed with a wrong time, as is known by now.
    fn clock_was_wrong(&self, signed_with: i64) -> bool {
        (self.clock_skew_millis() - signed_with).abs() > SKEW_REFUSED
    }

    /// The payload of an answer `{"token": "<JWT>"}`, believed only when a configured key set's key has signed it.
    pub(super) async fn believe<T: for<'de> serde::Deserialize<'de>>(&self, body: &[u8]) -> Result<T, Failure> {
        #[derive(serde::Deserialize)]
        struct Enveloped {
            token: Secret<String>,
        }
        let unreadable = |_| Failure::Unreadable("there is no token in it");
        let enveloped: Enveloped = serde_json::from_slice(body).map_err(unreadable)?;
        let token = SignedToken::read(enveloped.token.expose(), &self.origins)?;
        let key = self.key_of(&token).await?;
        token.verify(&key)?;
        Ok(token.payload()?)
    }

    async fn key_of(&self, token: &SignedToken) -> Result<Arc<PublicKey>, Failure> {
        let name = format!("{} {}", token.key_set, token.key_id);
        if let Some((known, key, since)) = &*self.key.lock().unwrap_or_else(PoisonError::into_inner)
            && *known == name
            && clock::now().saturating_duration_since(*since) < KEY_KEPT
        {
            return Ok(key.clone());
        }
        #[derive(serde::Deserialize)]
        struct KeySet {
            keys: Vec<Key>,
        }
        #[derive(serde::Deserialize)]
        struct Key {
            kid: String,
            pem: String,
        }
        let body = self.list(self.http.get(token.key_set.clone())).await?;
        let set: KeySet =
            serde_json::from_slice(&body).map_err(|_| Failure::Unreadable("the key set is not readable"))?;
        let key = set.keys.iter().find(|key| key.kid == token.key_id).ok_or(Untrusted::UnknownKey)?;
        let key = Arc::new(PublicKey::from_pem(&key.pem)?);
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some((name, key.clone(), clock::now()));
        Ok(key)
    }

    fn note_clock(&self, response: &Response) {
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(Timestamp::from_http_date) {
            // A Date has whole seconds: the middle of that second errs least.
            self.skew.store(date.as_millis() + 500 - Timestamp::now().as_millis(), Ordering::Relaxed);
        }
    }
}

/// Sends a parcel with a person's access token: the one way that a file leaves.
pub async fn send(client: &Client, parcel: &Parcel, access: &Secret<String>, attempt: u32) -> Sent {
    let (at, begun) = (Timestamp::now(), Instant::now());
    let (answer, status, error) = post(client, parcel, access).await;
    let detail = match (&answer, status) {
        (Answer::Later { .. }, None) => Some("the API could not be reached".to_owned()),
        (Answer::Later { .. }, Some(401)) => Some("our clock was wrong; it is signed again by the API's".to_owned()),
        (Answer::Later { .. }, Some(status)) => Some(format!("the API asks to wait ({status})")),
        (Answer::Unknown, _) => Some("the file left whole and no answer of the API came".to_owned()),
        (Answer::Damaged, _) => Some("our own copy is not what was judged; it did not leave whole".to_owned()),
        (Answer::AccountBlocked { why } | Answer::DestinationPaused { why } | Answer::Refused { why }, _) => {
            Some(why.clone())
        }
        _ => None,
    };
    let attempt = Attempt {
        number: attempt,
        recipient: Some(parcel.recipient().clone()),
        at,
        millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        outcome: answer.outcome(),
        status,
        code: error.code,
        reference: error.reference,
        detail,
    };
    debug_assert!(attempt.outcome != AttemptOutcome::Open, "an answer ends an attempt");
    Sent { answer, attempt }
}

async fn post(
    client: &Client,
    parcel: &Parcel,
    access: &Secret<String>,
) -> (Answer, Option<u16>, super::answer::ApiError) {
    let none = super::answer::ApiError::default;
    let (path, size, digest) = (parcel.path(), parcel.size(), parcel.digest());
    let opened = if size <= body::BLOCK as u64 {
        // A block that was written a moment ago: asking another thread costs more than reading it.
        Ok(body::open(&path, size, digest))
    } else {
        tokio::task::spawn_blocking(move || body::open(&path, size, digest)).await
    };
    let source: Source = match opened {
        Ok(Ok(source)) => source,
        Ok(Err(fault)) => return (faulty(fault), None, none()),
        Err(_) => return (faulty(Fault::GivenUp), None, none()),
    };
    let handover = Handover::new();
    let signed_with = client.clock_skew_millis();
    let body = FileBody::new(source, size, digest, handover.clone());
    let mut claims = client.claims();
    claims.access_token = Some(access.expose());
    let account = &parcel.recipient().account;
    let request = match parcel.contents() {
        Contents::Bundle { version, .. } => {
            let path = format!("permission-access/import/h:accountId/fhir/{version}");
            let request = client.request(Method::POST, &path, &claims);
            request.header(header::CONTENT_TYPE, "application/json").header("accountId", account.as_str())
        }
        Contents::File(descriptor) => {
            let described = client.signer.token(&FileDescriptor::new(descriptor, account));
            let request = client.request(Method::POST, library::PATH, &claims);
            request
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(library::HEADER, sensitive(described.expose()))
        }
    };
    let request = request.header(header::CONTENT_LENGTH, size).body(reqwest::Body::wrap(body));
    faults::pass("push.begin");
    let answered = async {
        let response = request.send().await.map_err(|error| error.is_connect())?;
        client.note_clock(&response);
        handover.progress.touch();
        read(response, ANSWER_MAX, &handover.progress).await.map_err(|_| false)
    };
    let answered = tokio::select! {
        answered = answered => answered,
        () = overdue(&handover.progress, &client.timeouts) => Err(false),
    };
    faults::pass("push.answered");
    // From here on the body is whole or never will be.
    let handed = handover.close();
    if let Some(fault) = handover.fault()
        && handed == Handed::Part
    {
        return (faulty(fault), None, none());
    }
    match answered {
        Ok(reply) => {
            let answer = classify(&reply, client.now());
            // A server may answer before it has read all: then it cannot have taken anything, whatever it says.
            let answer = match (answer, handed) {
                // The API's own time came with the refusal: it is signed again by that.
                _ if reply.status == 401 && client.clock_was_wrong(signed_with) => {
                    Answer::Later { after: Some(Duration::ZERO), scope: Scope::Submission }
                }
                (Answer::Unknown | Answer::Delivered(_), Handed::Part) => {
                    Answer::Later { after: None, scope: Scope::Submission }
                }
                (answer, _) => answer,
            };
            (answer, Some(reply.status), reply.error().unwrap_or_default())
        }
        Err(_) if handed == Handed::Whole => (Answer::Unknown, None, none()),
        Err(_) => (Answer::Later { after: None, scope: Scope::Destination }, None, none()),
    }
}

const fn faulty(fault: Fault) -> Answer {
    match fault {
        Fault::Damaged => Answer::Damaged,
        Fault::Unreadable(_) | Fault::GivenUp => Answer::Later { after: None, scope: Scope::Submission },
    }
}

/// Reads an answer, at most so much of it. A status line that came is an answer whatever becomes of its body.
async fn read(mut response: Response, most: usize, progress: &Progress) -> Result<Reply, reqwest::Error> {
    let status = response.status();
    let mut reply = Reply {
        status: status.as_u16(),
        retry_after: response.headers().get(header::RETRY_AFTER).and_then(|text| text.to_str().ok()).map(str::to_owned),
        body: Vec::new(),
    };
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if reply.body.len() < most => {
                let room = (most - reply.body.len()).min(chunk.len());
                reply.body.extend_from_slice(&chunk[..room]);
                progress.touch();
            }
            Ok(_) => return Ok(reply),
            Err(_) if status != StatusCode::OK && !status.is_success() => return Ok(reply),
            Err(_) if reply.status != 0 && status.is_success() => return Ok(reply),
            Err(error) => return Err(error),
        }
    }
}

/// Ends when nothing has moved for too long, or all of it takes too long.
async fn overdue(progress: &Progress, timeouts: &Timeouts) {
    let total = tokio::time::Instant::now() + timeouts.total;
    loop {
        let idle = progress.last() + timeouts.idle;
        let until = idle.min(total);
        tokio::time::sleep_until(until).await;
        if tokio::time::Instant::now() >= total || progress.last() + timeouts.idle <= tokio::time::Instant::now() {
            return;
        }
    }
}

pub(super) fn failure(error: &reqwest::Error) -> Failure {
    if error.is_connect() {
        let text = format!("{error:?}");
        // A certificate's error may name a DNS name: it is looked for first.
        let why = if text.contains("ertificate") {
            "its certificate is not believed"
        } else if text.contains("InvalidMessage") {
            "what answers there does not speak TLS"
        } else if text.contains("Proxy") || text.contains("unnel") {
            "the proxy does not let it through"
        } else if text.contains("dns") || text.contains("Dns") {
            "its name cannot be looked up"
        } else {
            "nothing listens there, or the network is down"
        };
        return Failure::NoConnection(why);
    }
    Failure::NoAnswer
}

fn bearer(token: &Secret<String>) -> header::HeaderValue {
    sensitive(Secret::new(format!("Bearer {}", token.expose())).expose())
}

/// A token as a header that no log shows.
fn sensitive(token: &str) -> header::HeaderValue {
    let mut value = header::HeaderValue::from_str(token).expect("base64url and dots are a header's text");
    value.set_sensitive(true);
    value
}

fn http(destination: &Destination) -> Result<reqwest::Client, PushError> {
    let trust = &destination.trust;
    let mut builder = outbound::builder(destination.proxy.as_deref(), trust.authorities_pem.as_deref())?
        .http1_only()
        .connect_timeout(destination.timeouts.connect)
        .pool_idle_timeout(destination.timeouts.keep_warm)
        .pool_max_idle_per_host(destination.idle_connections)
        .tcp_nodelay(true);
    if let Some(pem) = &trust.identity_pem {
        let identity = Identity::from_pem(pem.expose().as_bytes());
        builder = builder.identity(identity.map_err(unusable("client certificate"))?);
    }
    builder.build().map_err(unusable("TLS"))
}
