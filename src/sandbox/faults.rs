//! Bad days to order.

use super::{connection::Connection, state::State};
use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State as Shared},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body::Body as _;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

/// Which requests a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Provider pushes.
    Push,
    /// Library pushes.
    Library,
    /// Refreshes of tokens.
    Refresh,
    /// Exchanges of a code for the first tokens.
    Exchange,
    /// The list of accounts and the contract.
    Accounts,
    /// The key set that answers are verified by.
    KeySet,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// This answer, and nothing is taken.
    Status {
        /// HTTP status.
        status: u16,
        /// Headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// The connection ends before the body is read.
    ResetBefore,
    /// The connection ends after the body was read and taken, without an answer.
    ResetAfter,
    /// The body is read and taken, and no answer ever comes.
    Hang,
    /// The answer comes so many milliseconds late.
    Slow {
        /// Milliseconds.
        millis: u64,
    },
    /// Taken, and answered by a batch-response whose last entry is rejected.
    RejectedEntry,
    /// The answer to a refresh names a key that no key set has.
    WrongKid,
    /// The answer to a refresh is another person's.
    OtherPerson,
}

/// Faults that are due, in order.
#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: BTreeMap<Target, VecDeque<Fault>>,
}

impl Orders {
    pub(super) fn order(&mut self, target: Target, fault: Fault, times: usize) {
        self.waiting.entry(target).or_default().extend(std::iter::repeat_n(fault, times));
    }

    pub(super) fn next(&mut self, target: Target) -> Option<Fault> {
        self.waiting.get_mut(&target)?.pop_front()
    }
}

/// What stands in the way of the requests of one route.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) state: Arc<State>,
    /// The route's name in the counts.
    pub(super) route: &'static str,
    pub(super) target: Target,
}

/// Counts a request, and carries out the fault that is due for it. The handler finds in the request's extensions a
/// fault that only it can carry out.
pub(super) async fn in_the_way(
    Shared(way): Shared<Way>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    way.state.count(way.route);
    let (parts, mut body) = request.into_parts();
    let fault = match due(&way.state, way.target, &connection, &mut body).await {
        Ok(fault) => fault,
        Err(answer) => return *answer,
    };
    let mut request = Request::from_parts(parts, body);
    if let Some(fault) = fault.clone() {
        request.extensions_mut().insert(fault);
    }
    let answer = next.run(request).await;
    match fault {
        Some(Fault::ResetAfter) if answer.status().is_success() => connection.cut(),
        Some(Fault::Hang) if answer.status().is_success() => std::future::pending().await,
        _ => answer,
    }
}

/// What is due for a request: an answer or an end in its place, or a wait, or what is returned and comes with the answer.
pub(super) async fn due(
    state: &State,
    target: Target,
    connection: &Connection,
    body: &mut Body,
) -> Result<Option<Fault>, Box<Response>> {
    let fault = state.lock().orders.next(target);
    match fault {
        Some(Fault::ResetBefore) => Err(Box::new(connection.cut())),
        Some(Fault::Status { status, headers, body: text }) => {
            // What was sent is read, so that the answer is not lost in a reset.
            while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {}
            Err(Box::new(ordered(status, &headers, text)))
        }
        Some(Fault::Slow { millis }) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok(None)
        }
        fault => Ok(fault),
    }
}

fn ordered(status: u16, headers: &BTreeMap<String, String>, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let parsed = headers
        .iter()
        .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?)));
    let mut response = (status, body).into_response();
    response.headers_mut().extend(parsed.collect::<HeaderMap>());
    response
}
