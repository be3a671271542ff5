//! Provider pushes, accounts and the contract.

use super::{
    faults::Fault,
    jwt,
    server::error,
    state::{BODY_KEPT, NewAccount, Received, State, now_millis},
};
use crate::model::Digest;
use axum::{
    Extension,
    body::to_bytes,
    extract::{Path, Request, State as Shared},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// A timestamp may be so far from the sandbox' clock; milliseconds of the machine's, whose delays do not go faster with
/// a faster clock.
const CLOCK_TOLERANCE: i64 = 5 * 60 * 1000;
const BODY_MAX: usize = 128 * 1024 * 1024;

/// The claims of a request that this application has signed, freshly.
pub(super) fn authenticate(state: &State, headers: &HeaderMap) -> Result<Value, Box<Response>> {
    let refuse = |message: &str| Box::new(error(state, StatusCode::UNAUTHORIZED, "InvalidClient", message));
    let token = headers.get(header::AUTHORIZATION).and_then(|text| text.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| refuse("no bearer token"))?;
    let claims = jwt::read(token, &state.key).map_err(|refusal| refuse(&format!("{refusal:?}")))?;
    if claims["client_id"] != state.client_id.as_str() {
        return Err(refuse("client_id"));
    }
    let nonce = claims["nonce"].as_str().unwrap_or_default();
    if nonce.len() != 32 || !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(refuse("nonce is not 32 alphanumerics"));
    }
    if !state.lock().nonces.insert(nonce.to_owned()) {
        return Err(refuse("nonce was used before"));
    }
    let timestamp = claims["timestamp"].as_i64().ok_or_else(|| refuse("timestamp"))?;
    if (timestamp - state.now()).abs() > state.span(CLOCK_TOLERANCE) {
        return Err(refuse("timestamp is not the present time in milliseconds"));
    }
    Ok(claims)
}

/// The person whose access token the claims carry.
pub(super) fn person_of(state: &State, claims: &Value) -> Result<String, Box<Response>> {
    let (token, now) = (claims["access_token"].as_str().unwrap_or_default(), state.now());
    let person = state.lock().persons.iter().find_map(|(id, person)| {
        let access = person.access.as_ref()?;
        (access.value == token && access.ends > now).then(|| id.clone())
    });
    person.ok_or_else(|| {
        Box::new(error(state, StatusCode::UNAUTHORIZED, "InvalidToken", "the access token is not valid"))
    })
}

/// `POST permission-access/import/h:accountId/{standard}/{version}`
pub(super) async fn provider(
    Shared(state): Shared<Arc<State>>,
    Path((_, standard, version)): Path<(String, String, String)>,
    fault: Option<Extension<Fault>>,
    request: Request,
) -> Response {
    let raw_is_literal = request.uri().path().contains("/import/h:accountId/");
    let known = standard == "fhir" && (version == "stu3" || version == "3.0.2");
    if !raw_is_literal || !known {
        return error(&state, StatusCode::NOT_FOUND, "NotFound", "no such path");
    }
    let (parts, body) = request.into_parts();
    let checked = check(&state, &parts.headers);
    let bytes = match to_bytes(body, BODY_MAX).await {
        Ok(bytes) => bytes,
        Err(_) => return error(&state, StatusCode::BAD_REQUEST, "InvalidBody", "the body ended early"),
    };
    let (account, person) = match checked {
        Ok(checked) => checked,
        Err(refusal) => return *refusal,
    };
    // A parser may ignore a byte order mark (RFC 8259, section 8.1), and this one does.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if !matches!(serde_json::from_slice(text), Ok(Value::Object(_))) {
        return error(&state, StatusCode::BAD_REQUEST, "InvalidBody", "the body is no JSON object");
    }
    let number = state.take(Received {
        number: 0,
        at: 0,
        kind: "provider",
        account_id: account,
        person_id: person,
        sha256: Digest::of(&bytes),
        size: bytes.len(),
        described: None,
        body: (bytes.len() <= BODY_KEPT).then(|| bytes.to_vec()),
    });
    let answer = match fault {
        Some(Extension(Fault::RejectedEntry)) => json!({
            "resourceType": "Bundle", "type": "batch-response",
            "entry": [{"response": {"status": "201"}}, {"response": {"status": "422"}}],
        }),
        _ => json!({"reference": format!("receipt-{number}")}),
    };
    axum::Json(answer).into_response()
}

/// Everything that a provider push must carry; the account and the person.
fn check(state: &State, headers: &HeaderMap) -> Result<(String, String), Box<Response>> {
    let claims = authenticate(state, headers)?;
    let person = person_of(state, &claims)?;
    let bad = |code: &str, message: &str| Box::new(error(state, StatusCode::BAD_REQUEST, code, message));
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return Err(bad("InvalidContentType", "content-type is not application/json"));
    }
    if !headers.contains_key(header::CONTENT_LENGTH) {
        return Err(bad("InvalidLength", "content-length is missing"));
    }
    let account = headers.get("accountid").and_then(|account| account.to_str().ok()).unwrap_or_default().to_owned();
    check_account(state, &person, &account)?;
    Ok((account, person))
}

/// Whether the person has the account, and its provider takes pushes.
pub(super) fn check_account(state: &State, person: &str, account: &str) -> Result<(), Box<Response>> {
    let known = state.lock().persons.get(person).map(|person| {
        let is_listed = |known: &NewAccount| known.id == account && !person.unlisted.contains(account);
        (person.accounts.iter().any(is_listed), person.unauthorised.contains(account))
    });
    match known {
        Some((true, false)) => Ok(()),
        Some((true, true)) => {
            let status = StatusCode::NETWORK_AUTHENTICATION_REQUIRED;
            Err(Box::new(error(
                state,
                status,
                "ServiceAuthorizationError",
                "the provider asks for a new authorisation",
            )))
        }
        _ => Err(Box::new(error(state, StatusCode::NOT_FOUND, "AccountNotFound", "the token opens no such account"))),
    }
}

/// `GET permission-access/accounts`
pub(super) async fn accounts(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    let person = match authenticate(&state, &headers).and_then(|claims| person_of(&state, &claims)) {
        Ok(person) => person,
        Err(refusal) => return *refusal,
    };
    let inner = state.lock();
    let Some(person) = inner.persons.get(&person) else { return StatusCode::NOT_FOUND.into_response() };
    let list: Vec<_> = person
        .accounts
        .iter()
        .filter(|account| !person.unlisted.contains(&account.id))
        .map(|account| {
            json!({
                "id": account.id, "reference": account.reference, "type": "PUSH", "createdDate": 1_480_000_000_000_i64,
                "updatedDate": 1_480_000_000_000_i64, "serviceGroupId": 2, "serviceGroupName": "Health & Fitness",
                "serviceTypeId": 1, "serviceTypeName": account.service, "serviceTypeReference": account.service,
                "serviceProviderName": account.service, "sourceId": 1,
                "accessTokenStatus": {"authorized": !person.unauthorised.contains(&account.id)},
            })
        })
        .collect();
    axum::Json(list).into_response()
}

/// `GET permission-access/contract`
pub(super) async fn contract(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    if let Err(refusal) = authenticate(&state, &headers) {
        return *refusal;
    }
    let expires = now_millis() + 365 * 24 * 3600 * 1000;
    axum::Json(json!({"id": state.contract_id, "accessType": "w", "type": "user", "expirationDate": expires}))
        .into_response()
}
