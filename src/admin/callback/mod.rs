//! Where a person's browser comes back to after an authorisation: a small listener that lives as long as the command
//! that waits, and answers with a page for a patient.

mod page;

use crate::{model::Secret, push::Callback};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use page::{Language, page};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// How an authorisation went, for the person in front of the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Given,
    /// The person said no.
    Denied,
    /// The link is not, or no longer, one that is waited for.
    Foreign,
    /// The person did all that was asked, and it did not work on our side.
    Failed,
}

/// A browser that has come back and waits for its page.
#[derive(Debug)]
pub struct Called {
    /// The address that it asks for; it holds a code.
    pub address: Secret<String>,
    answer: oneshot::Sender<Outcome>,
}

impl Called {
    /// Shows the person how it went.
    pub fn answer(self, outcome: Outcome) {
        // A browser that has gone away needs no page.
        self.answer.send(outcome).unwrap_or_default();
    }
}

/// A listener that runs.
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    called: mpsc::Receiver<Called>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
}

#[derive(Clone)]
struct Shared {
    calls: mpsc::Sender<Called>,
    locale: Option<String>,
}

/// Browsers that may wait for a page at once.
const CALLS: usize = 16;
/// How long the last page may take to reach its browser.
const LAST_PAGE: Duration = Duration::from_secs(2);

impl Listener {
    /// Listens; port 0 takes a free one. Pages are in the language of `locale`, or in the browser's.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn start(address: SocketAddr, locale: Option<String>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (calls, called) = mpsc::channel(CALLS);
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().fallback(answer).with_state(Shared { calls, locale });
        let served = tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(async {
                stopped.await.unwrap_or_default();
            });
            served.await
        });
        Ok(Self { address, called, stop, served })
    }

    /// The next browser that comes back with something to read; `None` where the listener has ended.
    pub async fn next(&mut self) -> Option<Called> {
        self.called.recv().await
    }

    /// Ends it, once the last page is on its way.
    pub async fn stop(self) {
        let Self { called, stop, served, .. } = self;
        drop(called);
        stop.send(()).unwrap_or_default();
        let abort = served.abort_handle();
        if tokio::time::timeout(LAST_PAGE, served).await.is_err() {
            abort.abort();
        }
    }
}

/// Any path: what stands between us and the browser may have changed it, and the state alone counts.
async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let language = Language::of(shared.locale.as_deref(), accepted(request.headers()));
    let uri = request.uri().path_and_query().map_or("/", |uri| uri.as_str());
    // A HEAD is somebody looking, and spends nothing.
    if request.method() != Method::GET || Callback::read(uri).is_err() {
        return show(StatusCode::NOT_FOUND, Outcome::Foreign, language);
    }
    let (answer, answered) = oneshot::channel();
    let called = Called { address: Secret::new(uri.to_owned()), answer };
    if shared.calls.send(called).await.is_err() {
        return show(StatusCode::GONE, Outcome::Foreign, language);
    }
    match answered.await {
        Ok(Outcome::Given) => show(StatusCode::OK, Outcome::Given, language),
        Ok(Outcome::Denied) => show(StatusCode::OK, Outcome::Denied, language),
        Ok(Outcome::Failed) => show(StatusCode::BAD_GATEWAY, Outcome::Failed, language),
        Ok(Outcome::Foreign) => show(StatusCode::BAD_REQUEST, Outcome::Foreign, language),
        Err(_) => show(StatusCode::GONE, Outcome::Foreign, language),
    }
}

fn accepted(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok())
}

fn show(status: StatusCode, outcome: Outcome, language: Language) -> Response {
    let policy = format!(
        "default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        page::STYLE_HASH
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        // The page's own address holds a code.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONTENT_LANGUAGE, language.tag()),
        // The command that waits ends with this page.
        (header::CONNECTION, "close"),
    ];
    (status, headers, page(outcome, language)).into_response()
}
