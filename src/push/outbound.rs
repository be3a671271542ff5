//! What all HTTP clients of this room have in common: nothing but their settings leads them anywhere, and what comes has a
//! limit.

use super::destination::PushError;
use reqwest::{Certificate, Client, ClientBuilder, Proxy, Response, redirect::Policy};

/// Follows no redirect and uses none of the environment's proxies. Authorities (PEM) that are given are believed instead of
/// the system's.
///
/// # Errors
/// The setting that cannot be used.
pub(super) fn builder(proxy: Option<&str>, authorities_pem: Option<&str>) -> Result<ClientBuilder, PushError> {
    let mut builder = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .user_agent(concat!("pushbridge/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = proxy {
        builder = builder.proxy(Proxy::all(proxy).map_err(unusable("proxy"))?);
    }
    if let Some(pem) = authorities_pem {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem.as_bytes()).map_err(unusable("ca_file"))?);
    }
    Ok(builder)
}

/// A setting of the client that the library does not take.
pub(super) fn unusable(setting: &'static str) -> impl Fn(reqwest::Error) -> PushError {
    move |error| PushError::Setting { setting, why: error.to_string() }
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It broke off.
    Broken,
    /// It is longer than the limit.
    TooLong,
}

/// All of a body, which has at most so many bytes.
pub(super) async fn whole(response: &mut Response, most: usize) -> Result<Vec<u8>, Unread> {
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(Unread::TooLong);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Unread::Broken)? {
        if body.len() + chunk.len() > most {
            return Err(Unread::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
