//! A certificate of our own, where the other side asks for one.

use super::stand::Stand;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of that authority and its key.
fn certificate(name: &str, authority: &CertifiedIssuer<'_, KeyPair>) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

/// A server on `localhost` that asks for a certificate of that authority, and whose requests it was shown with.
fn serve(authority: &CertifiedIssuer<'_, KeyPair>) -> (u16, Arc<Mutex<Vec<CertificateDer<'static>>>>) {
    let (shown, key) = certificate("localhost", authority);
    let mut roots = RootCertStore::empty();
    roots.add(authority.as_ref().der().clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![shown.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (config, asked) = (Arc::new(config), Arc::<Mutex<Vec<_>>>::default());
    let kept = asked.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream.unwrap());
            // A client without a certificate that is believed never gets so far.
            if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                kept.lock().unwrap().extend(stream.conn.peer_certificates().map(|shown| shown[0].clone().into_owned()));
                stream
                    .write_all(b"HTTP/1.1 404 no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .unwrap_or_default();
                stream.conn.send_close_notify();
                stream.flush().unwrap_or_default();
            }
        }
    });
    (port, asked)
}

#[test]
fn a_client_certificate_is_shown_to_an_api_that_asks_for_one() {
    let (ours, foreign) = (authority(), authority());
    let (port, asked) = serve(&ours);
    let stand = Stand::by_folder();
    let config = fs::read_to_string(stand.path("pushbridge.toml")).unwrap();
    let base = config.lines().find(|line| line.starts_with("base_url")).unwrap();
    fs::write(stand.path("ca.pem"), ours.pem()).unwrap();
    let with = |keys: &str| {
        let here = format!("base_url = \"https://localhost:{port}/v1.7/\"\nca_file = \"ca.pem\"\n{keys}");
        fs::write(stand.path("pushbridge.toml"), config.replace(base, &here)).unwrap();
        stand.run(&["doctor"])
    };
    let show = |name: &str, authority: &CertifiedIssuer<'_, KeyPair>| {
        let (certificate, key) = certificate(name, authority);
        fs::write(stand.path("client.pem"), certificate.pem()).unwrap();
        fs::write(stand.path("client.key.pem"), key.serialize_pem()).unwrap();
        certificate
    };
    with("");
    assert_eq!(asked.lock().unwrap().len(), 0, "without one no request is read");
    let keys = "client_cert = \"client.pem\"\nclient_key = \"client.key.pem\"";
    show("clinic.example", &foreign);
    with(keys);
    assert_eq!(asked.lock().unwrap().len(), 0, "nor with a foreign one");
    let certificate = show("clinic.example", &ours);
    let output = with(keys);
    assert_eq!(asked.lock().unwrap().first(), Some(certificate.der()), "{}", String::from_utf8_lossy(&output.stdout));
    fs::write(stand.path("client.key.pem"), "no key").unwrap();
    let text = String::from_utf8(with(keys).stdout).unwrap();
    assert!(text.contains("client certificate cannot be used"), "{text}");
}
