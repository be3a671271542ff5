//! Before an answer comes at all: names, certificates, proxies, clocks; and how long the API may ask to wait.

use super::{
    many::{Many, Settings, USUAL},
    stand::Stand,
    wire::{Act, Door, Wire, answer},
};
use pushbridge::model::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer};
use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

#[test]
fn the_wait_that_the_api_asks_for_is_kept() {
    /// Stands for a date in four seconds from the answer on.
    const DATE: &str = "a date";
    // The header, the least wait, and whether it is over soon at all.
    let cases: Vec<(String, u64, bool)> = vec![
        ("2".into(), 2, true),
        (" 3 ".into(), 3, true),
        (DATE.into(), 2, true),
        ("0".into(), 0, true),
        ("Thu, 24 Nov 2016 15:06:40 GMT".into(), 0, true),
        ("-5".into(), 0, true),
        ("soon".into(), 0, true),
        ("1.5".into(), 0, true),
        (String::new(), 0, true),
        ("99999999999999999999999".into(), 0, true),
        ("3600".into(), 0, false),
        ("99999999".into(), 0, false),
        ("Thu, 01 Jan 2099 00:00:00 GMT".into(), 0, false),
    ];
    let object = br#"{"error":{"code":"InternalError"}}"#;
    let kinds: [(u16, &[u8]); 4] = [(429, b""), (503, b"<html>"), (408, b""), (500, object)];
    let all: Vec<_> = kinds.iter().flat_map(|kind| cases.iter().map(move |case| (kind, case))).collect();
    let mut many = Many::new(all.len(), 1, USUAL);
    for (lane, ((status, body), (wait, ..))) in all.iter().enumerate() {
        let (status, body, wait) = (*status, body.to_vec(), wait.clone());
        let act = Act::SayThen(Arc::new(move || {
            let date = Timestamp::now().plus(Duration::from_secs(4)).to_http_date().unwrap();
            answer(status, &[("retry-after", if wait == DATE { &date } else { &wait })], &body)
        }));
        many.wire.order(&many.lanes[lane].name, Door::Push, act);
        many.drop_bundle(lane, 0, &format!("{lane}.json"), lane, 0);
    }
    many.stand.start_daemon();
    let soon = all.iter().filter(|(_, (.., soon))| *soon).count();
    many.stand.wait("those that wait a short time are delivered", || many.stand.sandbox.received_count() == soon);
    for (lane, ((status, _), (wait, least, soon))) in all.iter().enumerate() {
        let pushes = many.wire.seen(&many.lanes[lane].name, Door::Push);
        assert_eq!(pushes.len(), if *soon { 2 } else { 1 }, "{status} {wait:?}");
        if *soon {
            let waited = pushes[1].at - pushes[0].at;
            assert!(waited >= Duration::from_secs(*least), "{status} {wait:?}: {waited:?}");
        }
    }
    println!("network: {} answers with a wait, {} of them over soon", all.len(), soon);
    assert_eq!(many.stand.stop_daemon(), Some(0));
}

#[test]
fn addresses_to_which_tokens_would_travel_in_clear_are_refused() {
    let stand = Stand::by_folder();
    let path = stand.path("pushbridge.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    let line = good.lines().find(|line| line.starts_with("base_url")).unwrap();
    let addresses = [
        "http://api.digi.me/v1.7/",
        "http://10.0.0.1/",
        "http://127.0.0.1.example/",
        "http://127.evil.example/",
        "http://localhost.example/",
        "http://localhost:80@evil.example/",
        "http://[::1].example/",
        "HTTP://api.digi.me/",
        "ftp://127.0.0.1/",
        "//127.0.0.1/",
        "https://user:password@api.digi.me/",
        "https://api.digi.me/?token=x",
        "file:///etc/passwd",
        "",
    ];
    for address in addresses {
        std::fs::write(&path, good.replace(line, &format!("base_url = \"{address}\""))).unwrap();
        let output = stand.run(&["run", "--once", "--max-time", "5s"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{address}: {told}");
        assert!(told.contains("base_url"), "{address}: {told}");
    }
    std::fs::write(&path, good).unwrap();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.drop_file("alex/weight.json", &super::many::bundle(0));
    assert_eq!(stand.once(), 0, "the one that is safe is served");
    println!("network: {} unsafe addresses refused", addresses.len());
}

#[test]
fn a_wrong_clock_is_measured_told_and_corrected() {
    for minutes in [7_i64, -7] {
        let mut stand = Stand::by_folder();
        stand.sandbox.set_clock_ahead(minutes * 60_000);
        // Every command is a process that knows nothing of the clock yet.
        let person = stand.person(&["clinic"]);
        stand.link_folder("alex", &person.accounts[0].reference);
        let doctor = String::from_utf8(stand.run(&["doctor"]).stdout).unwrap();
        assert!(doctor.contains(&format!("our clock is {} s off", minutes * 60)) || doctor.contains("s off the API's"));
        assert!(!doctor.contains("check application_id"), "{doctor}");
        // A refresh and a push, both of them the first request of their process.
        stand.sandbox.expire_access_token(&person.id);
        stand.start_daemon();
        let bytes = super::many::bundle(0);
        stand.drop_file("alex/weight.json", &bytes);
        stand.wait_for_stage("alex/weight.json", "delivered");
        assert_eq!(stand.received(&bytes).len(), 1);
        let attempts = stand.record("alex/weight.json")["submission"]["attempts"].as_array().unwrap().len();
        assert!(attempts <= 3, "by the wrong clock, by the old token, by the new one: {attempts}");
        let log = stand.log();
        assert_eq!(log.matches("clock is ahead of ours").count(), 1, "{log}");
        assert!(!log.contains("destination paused"), "the files' way is not closed by a clock: {log}");
        stand.sandbox.set_clock_ahead(0);
        let bytes = super::many::bundle(1);
        stand.drop_file("alex/again.json", &bytes);
        stand.wait_for_stage("alex/again.json", "delivered");
        stand.wait("it says that they agree", || stand.log().contains("clock and the API's agree again"));
        println!("network: a clock {minutes} minutes off: refusals {:?}", stand.sandbox.stats().refused);
        assert_eq!(stand.stop_daemon(), Some(0));
    }
}

/// A server's certificate and key, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Good,
    OtherName,
    Ended,
    NotYet,
    OtherAuthority,
}

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    foreign: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let make = || {
            let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        Self { issuer: make(), foreign: make() }
    }

    fn show(&self, shown: Shown) -> Arc<ServerConfig> {
        let name = if shown == Shown::OtherName { "elsewhere.example" } else { "localhost" };
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        match shown {
            Shown::Ended => params.not_after = date_time_ymd(2020, 1, 1),
            Shown::NotYet => params.not_before = date_time_ymd(2090, 1, 1),
            _ => {}
        }
        let key = KeyPair::generate().unwrap();
        let issuer = if shown == Shown::OtherAuthority { &self.foreign } else { &self.issuer };
        let certificate = params.signed_by(&key, issuer).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key.into()).unwrap())
    }
}

/// Serves the wire behind TLS; what it shows can be changed while it runs.
fn tls(wire: &Wire, shows: Arc<Mutex<Arc<ServerConfig>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let wire = wire.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (wire, config) = (wire.clone(), shows.lock().unwrap().clone());
            thread::spawn(move || {
                let raw = stream.try_clone().ok();
                let stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                wire.serve(stream, raw.as_ref()).unwrap_or_default();
            });
        }
    });
    format!("https://localhost:{port}")
}

/// A server that says this to whoever comes and then waits.
fn says(words: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                stream.write_all(words).unwrap_or_default();
                while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
            });
        }
    });
    port
}

#[test]
fn nothing_leaves_to_whoever_is_not_the_api_and_all_goes_when_it_is_back() {
    const SHORT: Settings = Settings {
        contract: "ca_file = \"ca.pem\"\nconnect_timeout = \"1s\"\nidle_timeout = \"3s\"\n",
        channel: USUAL.channel,
    };
    let shown = [Shown::Good, Shown::OtherName, Shown::Ended, Shown::NotYet, Shown::OtherAuthority];
    let mut many = Many::new(shown.len() + 6, 1, SHORT);
    let authority = Authority::new();
    std::fs::write(many.stand.path("ca.pem"), authority.issuer.pem()).unwrap();
    let servers: Vec<_> = shown.iter().map(|shown| Arc::new(Mutex::new(authority.show(*shown)))).collect();
    for (lane, server) in servers.iter().enumerate() {
        many.move_lane(lane, &tls(&many.wire, server.clone()));
    }
    let others = shown.len();
    many.move_lane(others, "https://no-such-host.invalid");
    many.move_lane(others + 1, &format!("https://localhost:{}", says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")));
    many.move_lane(others + 2, &format!("https://localhost:{}", says(b"")));
    many.move_lane(others + 3, "https://localhost:1");
    for (lane, words) in
        [(others + 4, &b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n"[..]), (others + 5, b"")]
    {
        let origin = format!("https://localhost:1/proxied{lane}");
        many.move_lane(lane, &origin);
        let proxy = format!("base_url = \"{origin}/lane{lane}/v1.7/\"\nproxy = \"http://127.0.0.1:{}\"", says(words));
        many.stand.edit_config(|text| text.replace(&format!("base_url = \"{origin}/lane{lane}/v1.7/\""), &proxy));
    }
    let dropped: Vec<_> =
        (0..many.lanes.len()).map(|lane| many.drop_bundle(lane, 0, &format!("{lane}.json"), lane, 0)).collect();
    many.stand.start_daemon();
    many.stand.wait("each has been tried", || {
        let why = many.why();
        why.len() == dropped.len()
            && why.values().all(|why| why["attempts"].as_array().is_some_and(|all| !all.is_empty()))
            && (1..dropped.len())
                .all(|lane| many.stand.log().contains(&format!("destination paused contract=lane{lane} ")))
    });
    let why = many.why();
    for lane in 1..dropped.len() {
        let told = &why[&format!("{lane}.json")];
        assert!(told["outcome"] == "ready" || told["outcome"] == "sending", "lane {lane}: {told}");
        assert_eq!(told["attempts"][0]["detail"], "the API could not be reached", "lane {lane}");
    }
    assert_eq!(many.stand.sandbox.received_count(), 1, "the good one alone");
    let doctor = String::from_utf8(many.stand.run(&["doctor"]).stdout).unwrap();
    assert_eq!(doctor.matches("its certificate is not believed").count(), 4, "{doctor}");
    assert_eq!(doctor.matches("its name cannot be looked up").count(), 1, "{doctor}");
    assert!(doctor.contains("what answers there does not speak TLS"), "{doctor}");
    assert!(doctor.contains("the proxy does not let it through"), "{doctor}");
    // The operators of the other side mend it.
    for server in &servers {
        *server.lock().unwrap() = authority.show(Shown::Good);
    }
    many.stand.wait("the mended ones are served", || many.stand.sandbox.received_count() == shown.len());
    for bytes in &dropped[..others] {
        assert_eq!(many.stand.received(bytes).len(), 1);
    }
    println!(
        "network: {} kinds of nobody: nothing left; {} certificates mended and served",
        dropped.len() - 1,
        others - 1
    );
    assert_eq!(many.stand.stop_daemon(), Some(0));
}
