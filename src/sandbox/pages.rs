//! The pages on which a person says yes or no.

use super::state::{NewAccount, Pending, State, word};
use axum::{
    extract::{Path, Query, State as Shared},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use std::sync::Arc;

/// Whether an account's provider accepts pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// It does.
    Given,
    /// It must be authorised again.
    Withdrawn,
}

/// The query of a page.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    code: String,
    service: Option<String>,
    /// `yes` or `no`, in the answer.
    say: Option<String>,
}

/// `GET authorize`, `user-reauth` and `reauthorize`: asks.
pub(super) async fn ask(
    Shared(state): Shared<Arc<State>>,
    Path(page): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    if !state.lock().pending.contains_key(&asked.code) {
        return (StatusCode::NOT_FOUND, Html(document("This link is no longer valid", "<p>Ask for a new one.</p>")))
            .into_response();
    }
    let service = asked.service.as_deref().unwrap_or("Sandbox Clinic");
    let again = if page == "authorize" { "" } else { " again" };
    let form = |say: &str, label: &str| {
        format!(
            "<form method=\"post\" action=\"{}?code={}&amp;service={}&amp;say={say}\"><button class=\"{say}\">{label}</button></form>",
            escape(&page),
            escape(&asked.code),
            escape(service)
        )
    };
    let body = format!(
        "<p><strong>{}</strong> would like to send your health data to your personal account{again}.</p>\
         <p>Nothing is sent without your consent.</p><div class=\"choice\">{}{}</div>\
         <p class=\"note\">This is a sandbox: nobody real is asked and no real data is sent.</p>",
        escape(service),
        form("yes", "Yes, I agree"),
        form("no", "No")
    );
    Html(document("Do you agree?", &body)).into_response()
}

/// `POST`: answers, and sends the person back.
pub(super) async fn answer(Shared(state): Shared<Arc<State>>, Query(asked): Query<Asked>) -> Response {
    let Some(pending) = state.lock().pending.remove(&asked.code) else { return StatusCode::NOT_FOUND.into_response() };
    let joined = if pending.callback.contains('?') { '&' } else { '?' };
    let address = format!("{}{joined}state={}", pending.callback, pending.state);
    if asked.say.as_deref() != Some("yes") {
        return Redirect::to(&format!("{address}&success=false&errorCode=UserCancelled")).into_response();
    }
    let (code, reference) = state.agree(pending, asked.service.as_deref().unwrap_or("Sandbox Clinic"));
    Redirect::to(&format!("{address}&success=true&code={code}&accountReference={reference}")).into_response()
}

impl State {
    /// Says yes where a person would be sent to; the address that the person is sent back to.
    pub fn say_yes(&self, address: &str) -> Option<String> {
        let code = address.split(['?', '&']).find_map(|part| part.strip_prefix("code="))?;
        let pending = self.lock().pending.remove(code)?;
        let (callback, state) = (pending.callback.clone(), pending.state.clone());
        let (code, reference) = self.agree(pending, "Sandbox Clinic");
        Some(format!("{callback}?state={state}&success=true&code={code}&accountReference={reference}"))
    }

    /// The person agrees: the code for the callback and the reference of the account that was made.
    fn agree(&self, mut pending: Pending, service: &str) -> (String, String) {
        let person = pending.person.take().unwrap_or_else(|| word("person"));
        let account = NewAccount { id: word("account"), reference: word("ref"), service: service.to_owned() };
        let (code, reference) = (word("code"), account.reference.clone());
        let mut inner = self.lock();
        inner.persons.entry(person.clone()).or_default().accounts.push(account);
        inner.codes.insert(code.clone(), Pending { person: Some(person), ..pending });
        (code, reference)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>\
         body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:10vh auto;padding:0 1rem;color:#1d2733}}\
         .choice{{display:flex;gap:1rem;margin:2rem 0}}button{{font:inherit;padding:.6rem 1.4rem;border-radius:.4rem;\
         border:1px solid #1a5fb4;background:#fff;color:#1a5fb4;cursor:pointer}}.yes{{background:#1a5fb4;color:#fff}}\
         .note{{color:#5a6675;font-size:.9rem}}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"
    )
}
