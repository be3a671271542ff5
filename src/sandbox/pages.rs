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
    /// Of a new authorisation of one account.
    #[serde(rename = "accountRef")]
    account: Option<String>,
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
    let account = asked.account.as_deref().map_or_else(String::new, |account| format!("&accountRef={account}"));
    let form = |say: &str, label: &str| {
        format!(
            "<form method=\"post\" action=\"{}\"><button class=\"{say}\">{label}</button></form>",
            escape(&format!("{page}?code={}&service={service}{account}&say={say}", asked.code))
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
pub(super) async fn answer(
    Shared(state): Shared<Arc<State>>,
    Path(page): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let Some(pending) = state.lock().pending.remove(&asked.code) else { return StatusCode::NOT_FOUND.into_response() };
    let agreed = asked.say.as_deref() == Some("yes");
    Redirect::to(&state.send_back(pending, &page, &asked, agreed)).into_response()
}

impl State {
    /// Says yes where a person would be sent to; the address that the person is sent back to.
    pub fn say_yes(&self, address: &str) -> Option<String> {
        self.say_yes_as(address, None)
    }

    /// Says yes as this person, whoever was meant to; somebody new where it is `None` and nobody was meant.
    pub fn say_yes_as(&self, address: &str, person: Option<&str>) -> Option<String> {
        let (before, query) = address.split_once('?')?;
        let find = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let asked = Asked {
            code: find("code")?.to_owned(),
            service: None,
            account: find("accountRef").map(str::to_owned),
            say: None,
        };
        let mut pending = self.lock().pending.remove(&asked.code)?;
        if let Some(person) = person {
            pending.person = Some(person.to_owned());
        }
        Some(self.send_back(pending, before.rsplit('/').next()?, &asked, true))
    }

    /// The address that a person is sent back to after an answer.
    fn send_back(&self, mut pending: Pending, page: &str, asked: &Asked, agreed: bool) -> String {
        let joined = if pending.callback.contains('?') { '&' } else { '?' };
        let address = format!("{}{joined}state={}", pending.callback, pending.state);
        if !agreed {
            return format!("{address}&success=false&errorCode=UserCancelled");
        }
        let person = pending.person.take().unwrap_or_else(|| word("person"));
        let code = word("code");
        let mut inner = self.lock();
        let known = inner.persons.entry(person.clone()).or_default();
        let reference = match page {
            // Whoever authorises again chooses nothing.
            "user-reauth" => None,
            "reauthorize" => {
                let account = known.accounts.iter().find(|account| Some(&account.reference) == asked.account.as_ref());
                if let Some(account) = account {
                    known.unauthorised.remove(&account.id);
                }
                asked.account.clone()
            }
            _ => {
                let service = asked.service.as_deref().unwrap_or("Sandbox Clinic").to_owned();
                // A service that is authorised once more is the account that it was.
                let account = known.accounts.iter().find(|account| account.service == service).cloned();
                let account = account.unwrap_or_else(|| {
                    let account = NewAccount { id: word("account"), reference: word("ref"), service };
                    known.accounts.push(account.clone());
                    account
                });
                Some(account.reference)
            }
        };
        inner.codes.insert(code.clone(), Pending { person: Some(person), ..pending });
        let reference = reference.map_or_else(String::new, |reference| format!("&accountReference={reference}"));
        format!("{address}&success=true&code={code}{reference}")
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
