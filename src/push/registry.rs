//! A FHIR package registry: which versions of a package there are, and its bytes. No secret goes there.
//!
//! Nothing is asked for unless somebody named the registry. Its answers are untrusted: no redirect is followed, every
//! answer and every wait is bounded, and a package is what the listing's digest says.
//! Spec: <https://confluence.hl7.org/display/FHIR/NPM+Package+Specification>.

use super::{
    destination::{PushError, address},
    outbound::{self, Unread},
    verify::is_safe,
};
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{StatusCode, Url, header};
use std::{collections::BTreeMap, time::Duration};

/// How much a registry may say, and how slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryLimits {
    /// Bytes of a listing.
    pub listing: usize,
    /// Bytes of a package.
    pub package: usize,
    /// Look-up, TCP and TLS together.
    pub connect: Duration,
    /// Longest time without a byte of the answer.
    pub idle: Duration,
    /// Longest time for one answer.
    pub total: Duration,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self {
            listing: 16 << 20,
            package: 256 << 20,
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(600),
        }
    }
}

/// Where a registry is, and the way to it.
#[derive(Clone, Debug, Default)]
pub struct RegistryAddress {
    /// `https`, or `http` to this machine.
    pub url: String,
    /// Certificates (PEM) of the authorities to believe, instead of the system's.
    pub authorities_pem: Option<String>,
    /// A proxy's address.
    pub proxy: Option<String>,
}

/// Why a registry gave no listing or no package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// It has no such package or version.
    #[error("the registry does not have it")]
    Unknown,
    /// No connection was made.
    #[error("no connection to the registry: {0}")]
    NoConnection(&'static str),
    /// The answer did not come, or broke off.
    #[error("the registry did not answer in time, or its answer broke off")]
    NoAnswer,
    /// It sends us elsewhere.
    #[error("the registry answered with a redirect, and none is followed; configure the address that it leads to")]
    Redirect,
    /// Another status.
    #[error("the registry answered {0}")]
    Status(u16),
    /// More bytes than the limit.
    #[error("the registry's answer has more than {0} bytes; no real one has as many")]
    TooLarge(usize),
    /// No listing of versions.
    #[error("the registry's answer is no list of versions; is its address right?")]
    Unreadable,
    /// The package is not what the listing says.
    #[error("what came is not what the registry's own digest says; nothing of it is used, try again later")]
    Digest,
}

/// The versions of one package.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Listing {
    versions: BTreeMap<String, Version>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
struct Version {
    #[serde(default)]
    dist: Option<Distribution>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
struct Distribution {
    tarball: Option<String>,
    /// SHA-1 in hexadecimal.
    shasum: Option<String>,
    /// Digests as Subresource Integrity writes them.
    integrity: Option<String>,
}

impl Listing {
    /// The versions.
    pub fn versions(&self) -> impl Iterator<Item = &str> {
        self.versions.keys().map(String::as_str)
    }
}

/// A package that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The `.tgz`.
    pub bytes: Vec<u8>,
    /// The listing had a digest, and it is that of the bytes.
    pub is_checked: bool,
}

/// A registry that somebody named.
#[derive(Debug)]
pub struct Registry {
    http: reqwest::Client,
    base: Url,
    limits: RegistryLimits,
}

impl Registry {
    /// Checks the address; connects to nothing.
    ///
    /// # Errors
    /// The setting that cannot be used.
    pub fn new(registry: &RegistryAddress, limits: RegistryLimits) -> Result<Self, PushError> {
        let builder = outbound::builder(registry.proxy.as_deref(), registry.authorities_pem.as_deref())?
            .http1_only()
            .connect_timeout(limits.connect)
            .read_timeout(limits.idle);
        let base = address("the registry", &registry.url)?;
        Ok(Self { http: builder.build().map_err(outbound::unusable("TLS"))?, base, limits })
    }

    /// Its address.
    pub fn address(&self) -> &str {
        self.base.as_str()
    }

    /// The versions of a package.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn listing(&self, name: &str) -> Result<Listing, RegistryError> {
        let body = self.get(self.below(&[name]), self.limits.listing).await?;
        serde_json::from_slice(&body).map_err(|_| RegistryError::Unreadable)
    }

    /// A version's package; its digest is that of the listing, where that has one.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn package(&self, name: &str, version: &str, listing: &Listing) -> Result<Fetched, RegistryError> {
        let listed = listing.versions.get(version).ok_or(RegistryError::Unknown)?;
        let distribution = listed.dist.clone().unwrap_or_default();
        // Other machines are not asked because a listing says so: every registry serves its packages itself too.
        let own = |url: &Url| url.origin() == self.base.origin() && is_safe(url);
        let stated = distribution.tarball.as_deref().and_then(|url| Url::parse(url).ok()).filter(own);
        let bytes = self.get(stated.unwrap_or_else(|| self.below(&[name, version])), self.limits.package).await?;
        let is_checked = distribution.is_checked(&bytes)?;
        Ok(Fetched { bytes, is_checked })
    }

    fn below(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    async fn get(&self, url: Url, most: usize) -> Result<Vec<u8>, RegistryError> {
        let answered = async {
            let request = self.http.get(url).header(header::ACCEPT, "application/json, application/gzip, */*;q=0.5");
            let mut response = request.send().await.map_err(|error| failure(&error))?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND | StatusCode::GONE => return Err(RegistryError::Unknown),
                status if status.is_redirection() => return Err(RegistryError::Redirect),
                status => return Err(RegistryError::Status(status.as_u16())),
            }
            outbound::whole(&mut response, most).await.map_err(|unread| match unread {
                Unread::Broken => RegistryError::NoAnswer,
                Unread::TooLong => RegistryError::TooLarge(most),
            })
        };
        tokio::time::timeout(self.limits.total, answered).await.unwrap_or(Err(RegistryError::NoAnswer))
    }
}

impl Distribution {
    /// Whether there is a digest to check by.
    fn is_checked(&self, bytes: &[u8]) -> Result<bool, RegistryError> {
        let told = |is_met: bool| if is_met { Ok(true) } else { Err(RegistryError::Digest) };
        // The strongest kind counts, and one of its digests has to be met.
        let kinds = [("sha512-", &digest::SHA512), ("sha384-", &digest::SHA384), ("sha256-", &digest::SHA256)];
        for (kind, algorithm) in kinds {
            let stated = self.integrity.iter().flat_map(|text| text.split_ascii_whitespace());
            let mut stated = stated.filter_map(|text| text.strip_prefix(kind)).peekable();
            if stated.peek().is_some() {
                let ours = STANDARD.encode(digest::digest(algorithm, bytes));
                return told(stated.any(|text| text.split('?').next() == Some(ours.as_str())));
            }
        }
        let Some(stated) = self.shasum.as_deref().filter(|text| !text.is_empty()) else { return Ok(false) };
        let mut sha1 = crate::model::Sha1::new();
        sha1.update(bytes);
        let ours: String = sha1.finish().iter().map(|byte| format!("{byte:02x}")).collect();
        told(stated.eq_ignore_ascii_case(&ours))
    }
}

fn failure(error: &reqwest::Error) -> RegistryError {
    match super::client::failure(error) {
        super::Failure::NoConnection(why) => RegistryError::NoConnection(why),
        _ => RegistryError::NoAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };

    fn stated(shasum: Option<&str>, integrity: Option<&str>) -> Result<bool, RegistryError> {
        let [shasum, integrity] = [shasum, integrity].map(|text| text.map(str::to_owned));
        Distribution { tarball: None, shasum, integrity }.is_checked(b"abc")
    }

    #[test]
    fn the_strongest_digest_counts() {
        let sha1 = "A9993E364706816ABA3E25717850C26C9CD0D89D";
        let sha256 = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        assert_eq!(stated(None, None), Ok(false));
        assert_eq!(stated(Some(sha1), None), Ok(true));
        assert_eq!(stated(Some("abc"), None), Err(RegistryError::Digest));
        assert_eq!(stated(Some("abc"), Some(&format!("sha256-AAAA {sha256}?x"))), Ok(true));
        assert_eq!(stated(Some(sha1), Some("sha512-AAAA")), Err(RegistryError::Digest));
        assert_eq!(stated(Some(sha1), Some(&format!("sha512-AAAA {sha256}"))), Err(RegistryError::Digest));
        assert_eq!(stated(Some(sha1), Some("md5-AAAA")), Ok(true), "an unknown kind says nothing");
    }

    #[test]
    fn addresses_that_leak_are_refused() {
        let new = |url: &str| {
            let address = RegistryAddress { url: url.to_owned(), ..RegistryAddress::default() };
            Registry::new(&address, RegistryLimits::default())
        };
        for url in ["http://packages.example", "https://a:b@packages.example", "ftp://127.0.0.1", "packages.example"] {
            assert!(new(url).is_err(), "{url}");
        }
        assert_eq!(new("https://packages.example/npm").unwrap().address(), "https://packages.example/npm/");
        let below = new("https://packages.example/npm").unwrap().below(&["a.b", "1.0.0+x"]);
        assert_eq!(below.as_str(), "https://packages.example/npm/a.b/1.0.0+x");
    }

    #[test]
    fn a_registry_that_never_ends_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = peer.read(&mut request).unwrap();
            peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").unwrap();
            // until the other side gives up
            let _ = peer.read(&mut request);
        });
        let limits = RegistryLimits { total: Duration::from_millis(200), ..RegistryLimits::default() };
        let registry = RegistryAddress { url: format!("http://{address}"), ..RegistryAddress::default() };
        let registry = Registry::new(&registry, limits).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(registry.listing("a")), Err(RegistryError::NoAnswer));
        // with the runtime goes the connection
        drop(runtime);
        server.join().unwrap();
    }
}
