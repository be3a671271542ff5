//! The sandbox' socket: connections that can be cut on order.

use super::{
    connection::{Connection, CuttableListener},
    control,
    faults::{self, Target, Way},
    jwt::PublicKey,
    library, pages, push,
    state::State,
    tokens,
};
use crate::model::Timestamp;
use axum::{
    Router,
    extract::{DefaultBodyLimit, State as Shared},
    http::{HeaderValue, StatusCode, header},
    middleware::{from_fn_with_state, map_response_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// What a sandbox is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// On 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The one application that it knows.
    pub application_id: String,
    /// The one contract.
    pub contract_id: String,
    /// The contract's public key.
    pub public_key: PublicKey,
    /// How long access tokens live.
    pub access_lifetime: Duration,
    /// How long refresh tokens live.
    pub refresh_lifetime: Duration,
}

/// A sandbox that runs.
pub struct Sandbox {
    state: Arc<State>,
    origin: String,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

/// The largest body.
const BODY_MAX: usize = 128 * 1024 * 1024;

/// Starts a sandbox on this machine alone.
///
/// # Errors
/// The port cannot be had.
pub async fn start(options: Options) -> io::Result<Sandbox> {
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let state = Arc::new(State::new(&options, format!("{origin}/v1.7/")));
    let router = router(state.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<Connection>();
        let served = axum::serve(CuttableListener(listener), service).with_graceful_shutdown(async {
            stopped.await.unwrap_or_default();
        });
        if let Err(error) = served.await {
            tracing::error!(%error, "the sandbox ended");
        }
    });
    Ok(Sandbox { state, origin, stop: Some(stop), served })
}

impl Sandbox {
    /// The API's root.
    pub fn base_url(&self) -> String {
        format!("{}/v1.7/", self.origin)
    }

    /// Where a person is sent to authorise.
    pub fn onboard_url(&self) -> String {
        format!("{}/apps/saas/", self.origin)
    }

    /// What it knows and has received.
    pub fn state(&self) -> Arc<State> {
        self.state.clone()
    }

    /// Ends it at once: a connection that hangs on order would never end by itself.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).unwrap_or_default();
        }
        self.served.abort();
        // Cancelled is what was wanted.
        drop(self.served.await);
    }
}

fn router(state: Arc<State>) -> Router {
    let in_the_way = |route, target| {
        let way = Way { state: state.clone(), route, target };
        from_fn_with_state(way, faults::in_the_way)
    };
    Router::new()
        // `h:accountId` stands literally in the path; what else arrives here is refused by the handler.
        .route(
            "/v1.7/permission-access/import/{account}/{standard}/{version}",
            post(push::provider).layer(in_the_way("push", Target::Push)),
        )
        .route("/v1.7/permission-access/import", post(library::library).layer(in_the_way("library", Target::Library)))
        .route("/v1.7/permission-access/accounts", get(push::accounts).layer(in_the_way("accounts", Target::Accounts)))
        .route("/v1.7/permission-access/contract", get(push::contract).layer(in_the_way("contract", Target::Accounts)))
        .route("/v1.7/oauth/authorize", post(tokens::authorize))
        .route("/v1.7/oauth/token", post(tokens::token))
        .route("/v1.7/oauth/token/reference", post(tokens::reference))
        .route("/v1.7/jwks", get(tokens::key_set).layer(in_the_way("key-set", Target::KeySet)))
        .route("/apps/saas/{page}", get(pages::ask).post(pages::answer))
        .route("/sandbox/received", get(control::received))
        .route("/sandbox/received/{number}/body", get(control::body))
        .route("/sandbox/persons", post(control::person))
        .route("/sandbox/faults", post(control::fault))
        .route("/sandbox/expire", post(control::expire))
        .route("/sandbox/stats", get(control::stats))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(map_response_with_state(state.clone(), dated))
        .with_state(state)
}

/// Every answer tells the sandbox' own time.
async fn dated(Shared(state): Shared<Arc<State>>, mut response: Response) -> Response {
    let date = Timestamp::from_millis(state.now()).to_http_date();
    if let Some(date) = date.and_then(|date| HeaderValue::from_str(&date).ok()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// The API's error object; `reference` is what its support would ask for.
pub(super) fn error(state: &State, status: StatusCode, code: &str, message: &str) -> Response {
    *state.lock().stats.refused.entry(code.to_owned()).or_default() += 1;
    let reference = super::state::word("err");
    let body = json!({"error": {"code": code, "message": message, "reference": reference}});
    (status, axum::Json(body)).into_response()
}
