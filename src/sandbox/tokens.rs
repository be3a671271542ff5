//! Authorisation and tokens.

use super::{
    connection::Connection,
    faults::{Fault, Target, due},
    push::authenticate,
    server::error,
    state::{Pending, State, word},
};
use aws_lc_rs::digest;
use axum::{
    body::Body,
    extract::{ConnectInfo, State as Shared},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::Arc;

/// `POST oauth/authorize`
pub(super) async fn authorize(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: String) -> Response {
    state.count("authorize");
    let claims = match authenticate(&state, &headers) {
        Ok(claims) => claims,
        Err(refusal) => return *refusal,
    };
    let bad = |message: &str| error(&state, StatusCode::BAD_REQUEST, "InvalidRequest", message);
    let agent = serde_json::from_str::<Value>(&body).unwrap_or_default();
    if agent["agent"]["sdk"]["name"].as_str().is_none() {
        return error(&state, StatusCode::BAD_REQUEST, "SDKInvalid", "agent.sdk is missing");
    }
    let claim = |name: &str| claims[name].as_str().map(str::to_owned);
    let (Some(challenge), Some(callback), Some(state_claim)) =
        (claim("code_challenge"), claim("redirect_uri"), claim("state"))
    else {
        return bad("code_challenge, redirect_uri or state is missing");
    };
    if claims["code_challenge_method"] != "S256" || claims["response_type"] != "code" {
        return bad("code_challenge_method is not S256 or response_type is not code");
    }
    let code = word("pre");
    let pending = Pending { challenge, callback, state: state_claim, person: None };
    state.lock().pending.insert(code.clone(), pending);
    let expiry = super::state::now_millis() + 15 * 60 * 1000;
    let token = signed(&state, &json!({"preauthorization_code": code}));
    axum::Json(json!({"token": token, "session": {"expiry": expiry, "key": word("session")}})).into_response()
}

/// `POST oauth/token/reference`
pub(super) async fn reference(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    state.count("reference");
    let claims = match authenticate(&state, &headers) {
        Ok(claims) => claims,
        Err(refusal) => return *refusal,
    };
    let claim = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let code = word("reference");
    let token = claim("access_token");
    if claims["code_challenge_method"] != "S256" || claim("state").is_empty() || claim("redirect_uri").is_empty() {
        return error(&state, StatusCode::BAD_REQUEST, "InvalidRequest", "code_challenge, redirect_uri or state");
    }
    let mut inner = state.lock();
    // Whoever authorises again may come with a token that has ended: it still says who it is.
    let holds = |person: &super::state::Person| person.access.as_ref().is_some_and(|access| access.value == token);
    let person = inner.persons.iter().find(|(_, person)| holds(person)).map(|(id, _)| id.clone());
    if person.is_none() {
        drop(inner);
        return error(&state, StatusCode::UNAUTHORIZED, "InvalidToken", "the access token is nobody's");
    }
    let pending =
        Pending { challenge: claim("code_challenge"), callback: claim("redirect_uri"), state: claim("state"), person };
    inner.pending.insert(code.clone(), pending);
    drop(inner);
    axum::Json(json!({"token": signed(&state, &json!({"reference_code": code}))})).into_response()
}

/// `POST oauth/token`
pub(super) async fn token(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    headers: HeaderMap,
) -> Response {
    let claims = match authenticate(&state, &headers) {
        Ok(claims) => claims,
        Err(refusal) => return *refusal,
    };
    match claims["grant_type"].as_str() {
        Some("refresh_token") => {
            refresh(&state, &connection, claims["refresh_token"].as_str().unwrap_or_default()).await
        }
        Some("authorization_code") => exchange(&state, &connection, &claims).await,
        _ => error(&state, StatusCode::BAD_REQUEST, "InvalidRequest", "grant_type"),
    }
}

async fn refresh(state: &State, connection: &Connection, token: &str) -> Response {
    state.count("refresh");
    let fault = match due(state, Target::Refresh, connection, &mut Body::empty()).await {
        Ok(fault) => fault,
        Err(answer) => return *answer,
    };
    let now = state.now();
    let person = state.lock().persons.iter().find_map(|(id, person)| {
        let refresh = person.refresh.as_ref()?;
        (refresh.value == token && refresh.ends > now).then(|| id.clone())
    });
    let Some(person) = person else {
        return error(state, StatusCode::UNAUTHORIZED, "InvalidToken", "the refresh token is spent or over");
    };
    // From here on the old pair is spent, whatever becomes of the answer.
    let payload = pair(state, &person);
    state.lock().stats.refreshes += 1;
    match fault {
        Some(Fault::ResetAfter) => connection.cut(),
        Some(Fault::WrongKid) => answer(&state.issuer.sign("no-such-key", &jku(state), &payload)),
        Some(Fault::OtherPerson) => {
            let mut payload = payload;
            payload["sub"] = json!("person-of-somebody-else");
            answer(&signed(state, &payload))
        }
        _ => answer(&signed(state, &payload)),
    }
}

async fn exchange(state: &State, connection: &Connection, claims: &Value) -> Response {
    state.count("exchange");
    if let Err(answer) = due(state, Target::Exchange, connection, &mut Body::empty()).await {
        return *answer;
    }
    let code = claims["code"].as_str().unwrap_or_default();
    let pending = state.lock().codes.remove(code);
    let verifier = claims["code_verifier"].as_str().unwrap_or_default();
    let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
    let person = pending.filter(|pending| pending.challenge == challenge).and_then(|pending| pending.person);
    match person {
        Some(person) => answer(&signed(state, &pair(state, &person))),
        None => error(state, StatusCode::BAD_REQUEST, "InvalidCode", "the code or its verifier is wrong"),
    }
}

/// `GET jwks`
pub(super) async fn key_set(Shared(state): Shared<Arc<State>>) -> Response {
    axum::Json(json!({"keys": [{"kid": state.issuer.kid, "pem": state.issuer.public_pem()}]})).into_response()
}

/// A new pair of a person as the payload of an answer.
fn pair(state: &State, person: &str) -> Value {
    let (access, refresh) = state.renew(person);
    json!({
        "access_token": {"value": access.value, "expires_on": access.expiry},
        "refresh_token": {"value": refresh.value, "expires_on": refresh.expiry},
        "sub": person, "consentid": format!("consent-{person}"),
    })
}

fn jku(state: &State) -> String {
    format!("{}jwks", state.base)
}

fn signed(state: &State, payload: &Value) -> String {
    state.issuer.sign(&state.issuer.kid, &jku(state), payload)
}

fn answer(token: &str) -> Response {
    axum::Json(json!({"token": token})).into_response()
}
