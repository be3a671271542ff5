//! Library pushes: any file's octets, and a signed description of them.
//!
//! The body is read through without keeping it, as large as it may be.

use super::{
    jwt,
    push::{authenticate, check_account, person_of},
    server::error,
    state::{BODY_KEPT, Described, Received, State},
};
use crate::model::{Digest, Digester};
use axum::{
    body::Body,
    extract::{Request, State as Shared},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body::Body as _;
use serde_json::{Value, json};
use std::{future::poll_fn, pin::Pin, sync::Arc};

/// `POST permission-access/import`
pub(super) async fn library(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let checked = check(&state, &parts.headers);
    let Some(read) = read_through(body).await else {
        return error(&state, StatusCode::BAD_REQUEST, "InvalidBody", "the body ended early");
    };
    let (person, described) = match checked {
        Ok(checked) => checked,
        Err(refusal) => return *refusal,
    };
    let number = state.take(Received {
        number: 0,
        at: 0,
        kind: "library",
        account_id: described.accounts.first().cloned().unwrap_or_default(),
        person_id: person,
        sha256: read.sha256,
        size: read.size,
        described: Some(described),
        body: read.body,
    });
    axum::Json(json!({"reference": format!("receipt-{number}")})).into_response()
}

/// Everything that a library push must carry; the person, and what it says of its file.
fn check(state: &State, headers: &HeaderMap) -> Result<(String, Described), Box<Response>> {
    let claims = authenticate(state, headers)?;
    let person = person_of(state, &claims)?;
    let bad = |code: &str, message: &str| Box::new(error(state, StatusCode::BAD_REQUEST, code, message));
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/octet-stream") {
        return Err(bad("InvalidContentType", "content-type is not application/octet-stream"));
    }
    if !headers.contains_key(header::CONTENT_LENGTH) {
        return Err(bad("InvalidLength", "content-length is missing"));
    }
    let descriptor = headers.get("filedescriptor").and_then(|text| text.to_str().ok()).unwrap_or_default();
    let payload = jwt::read(descriptor, &state.key)
        .map_err(|_| bad("InvalidFileDescriptor", "FileDescriptor is not signed by the contract"))?;
    let described = described(&payload).map_err(|message| bad("InvalidFileDescriptor", message))?;
    for account in &described.accounts {
        check_account(state, &person, account)?;
    }
    Ok((person, described))
}

/// `{"metadata": {mimeType, accounts: [{accountId}], reference?: [..], tags?: [..]}}` and nothing else.
fn described(payload: &Value) -> Result<Described, &'static str> {
    let members = payload.as_object().filter(|payload| payload.len() == 1).ok_or("there are other claims")?;
    let metadata = members.get("metadata").and_then(Value::as_object).ok_or("there is no metadata")?;
    if metadata.keys().any(|key| !["mimeType", "accounts", "reference", "tags"].contains(&key.as_str())) {
        return Err("metadata has another member");
    }
    let mime_type = metadata.get("mimeType").and_then(Value::as_str).filter(|text| {
        text.split_once('/').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty() && text.is_ascii())
    });
    let accounts = metadata.get("accounts").and_then(Value::as_array).filter(|accounts| !accounts.is_empty());
    let accounts = accounts.ok_or("there is no account")?.iter().map(|account| {
        let id = account.as_object().filter(|account| account.len() == 1).and_then(|account| account.get("accountId"));
        id.and_then(Value::as_str).map(str::to_owned)
    });
    Ok(Described {
        mime_type: mime_type.ok_or("mimeType is no media type")?.to_owned(),
        accounts: accounts.collect::<Option<_>>().ok_or("an account has no accountId")?,
        reference: texts(metadata.get("reference")).ok_or("reference is no list of texts")?,
        tags: texts(metadata.get("tags")).ok_or("tags is no list of texts")?,
    })
}

/// A list that is there has something in it.
fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    let Some(value) = value else { return Some(Vec::new()) };
    let items = value.as_array().filter(|items| !items.is_empty())?;
    items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

struct Read {
    sha256: Digest,
    size: usize,
    body: Option<Vec<u8>>,
}

/// All of a body, of which only a small one is kept; `None` where it ended early.
async fn read_through(mut body: Body) -> Option<Read> {
    let (mut digester, mut size, mut kept) = (Digester::new(), 0, Some(Vec::new()));
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(block) = frame.ok()?.into_data() else { continue };
        digester.update(&block);
        size += block.len();
        kept = kept.filter(|_| size <= BODY_KEPT);
        if let Some(kept) = &mut kept {
            kept.extend_from_slice(&block);
        }
    }
    Some(Read { sha256: digester.finish(), size, body: kept })
}
