//! A terminology server: whether codes belong to value sets, many in one request. Only codes go there, and no secret.
//!
//! Nothing is asked unless somebody named the server. Its answers are untrusted: no redirect is followed, every answer and
//! every wait is bounded, and what is no clear yes or no counts as none.
//! Spec: <https://hl7.org/fhir/STU3/valueset-operations.html#validate-code>, <https://hl7.org/fhir/STU3/http.html#transaction>.

use super::{
    destination::{PushError, address},
    outbound::{self, Unread},
};
use crate::model::CodeQuestion;
use reqwest::{StatusCode, Url, header};
use serde_json::{Value, json};
use std::time::Duration;

/// Codes in one request.
const BATCH: usize = 100;

/// Bytes of an answer.
const MOST_BYTES: usize = 8 << 20;

const MEDIA_TYPE: &str = "application/fhir+json";

/// Where a terminology server is, the way to it, and how long it is waited for.
#[derive(Clone, Debug)]
pub struct TerminologyAddress {
    /// The root of its FHIR STU3 API: `https`, or `http` to this machine.
    pub url: String,
    /// Certificates (PEM) of the authorities to believe, instead of the system's.
    pub authorities_pem: Option<String>,
    /// A proxy's address.
    pub proxy: Option<String>,
    /// The longest wait for all that is asked at once.
    pub timeout: Duration,
}

/// Why a terminology server gave no answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TerminologyError {
    /// No connection was made.
    #[error("no connection to the terminology server: {0}")]
    NoConnection(&'static str),
    /// The answer did not come in time, or broke off.
    #[error("the terminology server did not answer in time, or its answer broke off")]
    NoAnswer,
    /// Another status than 200.
    #[error("the terminology server answered {0}")]
    Status(u16),
    /// No batch-response with an answer for each question.
    #[error("the terminology server's answer is no batch-response to what was asked; is its address right?")]
    Unreadable,
}

/// A terminology server that somebody named.
#[derive(Debug)]
pub struct TerminologyServer {
    http: reqwest::Client,
    base: Url,
    timeout: Duration,
}

impl TerminologyServer {
    /// Checks the address; connects to nothing.
    ///
    /// # Errors
    /// The setting that cannot be used.
    pub fn new(server: &TerminologyAddress) -> Result<Self, PushError> {
        let builder = outbound::builder(server.proxy.as_deref(), server.authorities_pem.as_deref())?
            .http1_only()
            // Long pauses lie between two questions.
            .pool_max_idle_per_host(0);
        let base = address("the terminology server", &server.url)?;
        Ok(Self { http: builder.build().map_err(outbound::unusable("TLS"))?, base, timeout: server.timeout })
    }

    /// Asks about each code, within the limit for all; an answer is `None` where the server does not know either. What was
    /// answered before an error comes with it.
    pub async fn ask(&self, questions: &[CodeQuestion]) -> (Vec<Option<bool>>, Option<TerminologyError>) {
        let mut told = Vec::with_capacity(questions.len());
        let limit = tokio::time::Instant::now() + self.timeout;
        for some in questions.chunks(BATCH) {
            match tokio::time::timeout_at(limit, self.batch(some)).await {
                Ok(Ok(answers)) => told.extend(answers),
                Ok(Err(error)) => return (told, Some(error)),
                Err(_) => return (told, Some(TerminologyError::NoAnswer)),
            }
        }
        (told, None)
    }

    async fn batch(&self, questions: &[CodeQuestion]) -> Result<Vec<Option<bool>>, TerminologyError> {
        let request = self
            .http
            .post(self.base.clone())
            .header(header::CONTENT_TYPE, MEDIA_TYPE)
            .header(header::ACCEPT, MEDIA_TYPE)
            .body(batch(questions).to_string());
        let mut response = request.send().await.map_err(|error| match super::client::failure(&error) {
            super::Failure::NoConnection(why) => TerminologyError::NoConnection(why),
            _ => TerminologyError::NoAnswer,
        })?;
        if response.status() != StatusCode::OK {
            return Err(TerminologyError::Status(response.status().as_u16()));
        }
        let body = outbound::whole(&mut response, MOST_BYTES).await.map_err(|unread| match unread {
            Unread::Broken => TerminologyError::NoAnswer,
            Unread::TooLong => TerminologyError::Unreadable,
        })?;
        answers(&body, questions.len()).ok_or(TerminologyError::Unreadable)
    }
}

/// A Bundle that asks `ValueSet/$validate-code` for each code.
fn batch(questions: &[CodeQuestion]) -> Value {
    let entry = |question: &CodeQuestion| {
        json!({
            "resource": {"resourceType": "Parameters", "parameter": [
                {"name": "url", "valueUri": question.value_set},
                {"name": "system", "valueUri": question.system},
                {"name": "code", "valueCode": question.code},
            ]},
            "request": {"method": "POST", "url": "ValueSet/$validate-code"},
        })
    };
    json!({"resourceType": "Bundle", "type": "batch", "entry": questions.iter().map(entry).collect::<Vec<_>>()})
}

/// One for each entry, in their order; `None` where it is no batch-response of as many.
fn answers(body: &[u8], count: usize) -> Option<Vec<Option<bool>>> {
    let bundle: Value = serde_json::from_slice(body).ok()?;
    let entries = bundle["entry"].as_array().filter(|entries| entries.len() == count)?;
    (bundle["type"] == "batch-response").then(|| entries.iter().map(answer).collect())
}

fn answer(entry: &Value) -> Option<bool> {
    let is_done = entry["response"]["status"].as_str()?.starts_with("200");
    let parameters = entry["resource"]["parameter"].as_array().filter(|_| is_done)?;
    parameters.iter().find(|parameter| parameter["name"] == "result")?["valueBoolean"].as_bool()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(entries: Value) -> Vec<u8> {
        json!({"resourceType": "Bundle", "type": "batch-response", "entry": entries}).to_string().into_bytes()
    }

    #[test]
    fn only_a_clear_yes_or_no_is_an_answer() {
        let told = |status: &str, parameter: Value| json!({"response": {"status": status}, "resource": {"resourceType": "Parameters", "parameter": [parameter]}});
        let result = |value: Value| json!({"name": "result", "valueBoolean": value});
        let body = response(json!([
            told("200 OK", result(json!(true))),
            told("200", result(json!(false))),
            told("404 Not Found", result(json!(false))),
            told("200", result(json!("true"))),
            {"response": {"status": "422"}},
        ]));
        assert_eq!(answers(&body, 5), Some(vec![Some(true), Some(false), None, None, None]));
        assert_eq!(answers(&body, 4), None, "which answer is whose cannot be told");
        assert_eq!(answers(b"<html>", 1), None);
    }

    #[test]
    fn nothing_but_codes_leaves() {
        let question = CodeQuestion::new("http://a.example/set", "http://loinc.org", "8480-6").unwrap();
        let wanted = concat!(
            r#"{"entry":[{"request":{"method":"POST","url":"ValueSet/$validate-code"},"resource":{"parameter":["#,
            r#"{"name":"url","valueUri":"http://a.example/set"},{"name":"system","valueUri":"http://loinc.org"},"#,
            r#"{"name":"code","valueCode":"8480-6"}],"resourceType":"Parameters"}}],"resourceType":"Bundle","type":"batch"}"#
        );
        assert_eq!(batch(&[question]), serde_json::from_str::<Value>(wanted).unwrap());
    }
}
