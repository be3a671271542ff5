//! What people who integrate ask of the sandbox over HTTP.

use super::{
    faults::{Fault, Target},
    state::State,
};
use axum::{
    Json,
    extract::{Path, State as Shared},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use std::sync::Arc;

/// `GET /sandbox/received`
pub(super) async fn received(Shared(state): Shared<Arc<State>>) -> Response {
    Json(state.received()).into_response()
}

/// `GET /sandbox/received/{number}/body`
pub(super) async fn body(Shared(state): Shared<Arc<State>>, Path(number): Path<usize>) -> Response {
    match state.received().into_iter().nth(number).and_then(|received| received.body) {
        Some(body) => ([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Deserialize)]
pub(super) struct PersonOrder {
    services: Vec<String>,
}

/// `POST /sandbox/persons`
pub(super) async fn person(Shared(state): Shared<Arc<State>>, Json(order): Json<PersonOrder>) -> Response {
    let services: Vec<&str> = order.services.iter().map(String::as_str).collect();
    Json(state.add_person(&services)).into_response()
}

#[derive(Deserialize)]
pub(super) struct FaultOrder {
    target: Target,
    fault: Fault,
    times: Option<usize>,
}

/// `POST /sandbox/faults`
pub(super) async fn fault(Shared(state): Shared<Arc<State>>, Json(order): Json<FaultOrder>) -> Response {
    state.order(order.target, order.fault, order.times.unwrap_or(1).min(1_000_000));
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Deserialize)]
pub(super) struct ExpireOrder {
    person: String,
}

/// `POST /sandbox/expire`
pub(super) async fn expire(Shared(state): Shared<Arc<State>>, Json(order): Json<ExpireOrder>) -> Response {
    state.expire_access_token(&order.person);
    StatusCode::NO_CONTENT.into_response()
}

/// `GET /sandbox/stats`
pub(super) async fn stats(Shared(state): Shared<Arc<State>>) -> Response {
    Json(state.stats()).into_response()
}
