//! Tokens at their worst: what ends, is lost on its way, is spent, or is not the API's at all. The person is
//! paused and told what to do, and what waits goes when new tokens are there; nothing else costs a pair.

use super::{
    many::{Many, Settings, USUAL},
    run::{Draws, count},
    wire::{Act, Door, answer},
};
use aws_lc_rs::{
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PSS_SHA512, RsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use pushbridge::sandbox::{Fault, Target};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
    time::Duration,
};

/// The parts of the signed token in an answer of the sandbox.
struct Token {
    header: Value,
    payload: Value,
    signature: String,
}

impl Token {
    fn of(text: &str) -> Self {
        let parts: Vec<_> = text.split('.').collect();
        let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        Self { header: read(parts[0]), payload: read(parts[1]), signature: parts[2].to_owned() }
    }

    fn message(&self) -> String {
        let write = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        format!("{}.{}", write(&self.header), write(&self.payload))
    }

    fn signed_by(mut self, key: &RsaKeyPair) -> Self {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PSS_SHA512, &SystemRandom::new(), self.message().as_bytes(), &mut signature).unwrap();
        self.signature = URL_SAFE_NO_PAD.encode(signature);
        self
    }

    fn text(&self) -> String {
        format!("{}.{}", self.message(), self.signature)
    }
}

/// Changes the token in an answer on its way.
fn change(edit: impl Fn(Token) -> Token + Send + Sync + 'static) -> Act {
    Act::Change(Arc::new(move |bytes: Vec<u8>| {
        let body = String::from_utf8(bytes).unwrap();
        let (head, body) = body.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{head}");
        let token = serde_json::from_str::<Value>(body).unwrap()["token"].as_str().unwrap().to_owned();
        answer(200, &[], json!({"token": edit(Token::of(&token)).text()}).to_string().as_bytes())
    }))
}

/// A key set that is not the API's, with the key that it was signed by; its address.
fn foreign_key_set(key: &RsaKeyPair) -> String {
    let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()));
    let keys = answer(200, &[], json!({"keys": [{"kid": "sandbox-1", "pem": pem}]}).to_string().as_bytes());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/jwks", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let read = stream.read(&mut [0; 4096]).unwrap_or_default();
            assert_eq!(read, 0, "nobody asks a foreign origin for its keys");
            stream.write_all(&keys).unwrap_or_default();
        }
    });
    address
}

/// Answers to a refresh that must not be believed, by name.
fn lies(many: &Many) -> Vec<(&'static str, Act)> {
    let foreign = Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    let by_foreign = foreign.clone();
    let elsewhere = foreign_key_set(&foreign);
    let here = many.wire.base_url("lane0");
    // The API's public key as a shared secret, in every form that a careless reader might take it in.
    let public = {
        let config = fs::read_to_string(many.stand.path("pushbridge.toml")).unwrap();
        let origin = config.split('"').find_map(|text| text.strip_suffix("/v1.7/")).unwrap().to_owned();
        let mut stream = std::net::TcpStream::connect(origin.trim_start_matches("http://")).unwrap();
        stream.write_all(b"GET /v1.7/jwks HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let body = text.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str::<Value>(body).unwrap()["keys"][0]["pem"].as_str().unwrap().to_owned()
    };
    let say = |body: &'static str| Act::Say(answer(200, &[], body.as_bytes()));
    vec![
        (
            "another kid",
            change(|mut token| {
                token.header["kid"] = json!("no-such-key");
                token
            }),
        ),
        (
            "no kid",
            change(|mut token| {
                token.header.as_object_mut().unwrap().remove("kid");
                token
            }),
        ),
        ("a foreign key's signature", change(move |token| token.signed_by(&foreign))),
        (
            "a foreign origin's key set",
            change(move |mut token| {
                token.header["jku"] = json!(elsewhere);
                token.signed_by(&by_foreign)
            }),
        ),
        (
            "the destination's own origin, which is not configured",
            change(move |mut token| {
                token.header["jku"] = json!(format!("{here}jwks"));
                token
            }),
        ),
        (
            "no key set",
            change(|mut token| {
                token.header.as_object_mut().unwrap().remove("jku");
                token
            }),
        ),
        (
            "alg none",
            change(|mut token| {
                token.header["alg"] = json!("none");
                token.signature.clear();
                token
            }),
        ),
        (
            "HS512 by the public key",
            change(move |mut token| {
                token.header["alg"] = json!("HS512");
                let key = hmac::Key::new(hmac::HMAC_SHA512, public.as_bytes());
                token.signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, token.message().as_bytes()));
                token
            }),
        ),
        (
            "RS512 in the header",
            change(|mut token| {
                token.header["alg"] = json!("RS512");
                token
            }),
        ),
        (
            "another person's sub, unsigned",
            change(|mut token| {
                token.payload["sub"] = json!("person-of-somebody-else");
                token
            }),
        ),
        (
            "a longer life, unsigned",
            change(|mut token| {
                token.payload["access_token"]["expires_on"] = json!(4_000_000_000_u64);
                token
            }),
        ),
        (
            "a signature cut off",
            change(|mut token| {
                token.signature.truncate(20);
                token
            }),
        ),
        ("a token that is none", say(r#"{"token": "a.b.c"}"#)),
        ("the API's 401 InvalidToken", Act::Say(answer(401, &[], br#"{"error":{"code":"InvalidToken"}}"#))),
        ("the API's 400 with its word", Act::Say(answer(400, &[], br#"{"error":{"code":"InvalidGrant"}}"#))),
    ]
}

#[test]
fn an_answer_that_is_not_the_apis_pauses_the_person_until_new_tokens_come() {
    // As many lanes as there are lies, and one for the sandbox' own lie of another person.
    const LANES: usize = 16;
    let mut many = Many::new(LANES, 1, USUAL);
    let lies = lies(&many);
    assert_eq!(lies.len() + 1, LANES);
    for (lane, (_, act)) in lies.iter().enumerate() {
        many.wire.order(&many.lanes[lane].name, Door::Token, act.clone());
    }
    let names: Vec<_> = lies.iter().map(|(name, _)| *name).chain(["another person's sub, signed"]).collect();
    for lane in 0..LANES - 1 {
        many.stand.sandbox.expire_access_token(&many.lanes[lane].person.id);
        many.drop_bundle(lane, 0, &format!("{lane}.json"), lane, 0);
    }
    many.stand.start_daemon();
    let paused = |many: &Many| {
        let output = many.stand.run(&["--json", "tokens", "status"]).stdout;
        let told = String::from_utf8(output).unwrap();
        let told = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let paused = told.filter(|status| status["state"] == "paused");
        paused
            .map(|status| (status["contract"].as_str().unwrap().to_owned(), status["why"].clone()))
            .collect::<Vec<_>>()
    };
    many.stand.wait("all but one are paused", || paused(&many).len() == LANES - 1);
    // The sandbox' faults know no lanes: the last one goes alone.
    many.stand.sandbox.order(Target::Refresh, Fault::OtherPerson, 1);
    many.stand.sandbox.expire_access_token(&many.lanes[LANES - 1].person.id);
    many.drop_bundle(LANES - 1, 0, &format!("{}.json", LANES - 1), LANES - 1, 0);
    many.stand.wait("all are paused", || paused(&many).len() == LANES);
    assert_eq!(many.stand.sandbox.received_count(), 0);
    for (lane, name) in names.iter().enumerate() {
        let (told, contract) = (paused(&many), &many.lanes[lane].name);
        let why = told.iter().find(|(paused, _)| paused == contract).unwrap().1.as_str().unwrap();
        assert!(!why.is_empty() && !why.contains("token-"), "{name}: {why}");
        assert_eq!(many.seen(lane, Door::Token), 1, "{name}: one refresh");
        let file = &many.why()[&format!("{lane}.json")];
        assert_eq!(file["outcome"], "ready", "{name}");
    }
    let log = many.stand.log();
    assert_eq!(log.matches("person must authorise again").count(), LANES);
    let doctor = String::from_utf8(many.stand.run(&["doctor"]).stdout).unwrap();
    assert_eq!(doctor.matches("-> pushbridge reauthorize").count(), LANES, "{doctor}");
    // Each authorises again: what waits goes, to the right account, once.
    for lane in 0..LANES {
        let tokens = many.stand.sandbox.authorise_again(&many.lanes[lane].person.id);
        let file = many.stand.path("new.json");
        fs::write(&file, tokens.to_string()).unwrap();
        many.stand.ok(&["tokens", "import", "--contract", &many.lanes[lane].name, file.to_str().unwrap()]);
    }
    many.stand.wait("all go", || many.stand.sandbox.received_count() == LANES);
    for push in many.stand.sandbox.received() {
        assert!(
            many.lanes
                .iter()
                .any(|lane| lane.person.id == push.person_id && lane.person.accounts[0].id == push.account_id)
        );
    }
    println!(
        "tokens: {LANES} answers that are not to be believed: {LANES} persons paused, told, authorised again, served"
    );
    assert_eq!(many.stand.stop_daemon(), Some(0));
}

#[test]
fn tokens_that_end_in_a_burst_are_renewed_once_each_time() {
    let files = count(160, 4_000);
    let mut draws = Draws::new("tokens");
    let mut many = Many::new(2, 4, USUAL);
    many.stand.start_daemon();
    let (mut ends, mut ended): (u64, Option<Vec<u8>>) = (0, None);
    for number in 0..files {
        many.drop_bundle(number % 2, number / 2 % 4, &format!("{number}.json"), number, 0);
        if number == 0 || draws.below(files / 6) == 0 {
            // The next end waits until the last one's new token was taken, or one renewal would serve both.
            many.stand.wait("the last end is over", || {
                ended.as_ref().is_none_or(|bytes| !many.stand.received(bytes).is_empty())
            });
            many.stand.sandbox.expire_access_token(&many.lanes[0].person.id);
            ended = Some(many.drop_bundle(0, 0, &format!("end{ends}.json"), 10_000 + number, 0));
            ends += 1;
        }
    }
    let all = files + usize::try_from(ends).unwrap();
    many.stand.wait("all are delivered", || many.stand.sandbox.received_count() == all);
    many.stand.wait("all are told", || many.why().values().all(|why| why["outcome"] == "delivered"));
    let stats = many.stand.sandbox.stats();
    assert_eq!(stats.refreshes, ends, "one refresh each time the tokens end");
    println!("tokens: {all} files over 8 accounts, {ends} ends of a token: {} refreshes, {:?}", ends, stats.refused);
    assert_eq!(many.stand.stop_daemon(), Some(0));
}

#[test]
fn a_token_that_ends_before_its_first_use_is_renewed_after_a_rest() {
    let mut many = Many::new(1, 1, USUAL);
    let person = many.lanes[0].person.id.clone();
    many.stand.sandbox.expire_access_token(&person);
    // The new token ends while its answer is on its way.
    let state = many.stand.sandbox.clone();
    many.wire.order(
        "lane0",
        Door::Token,
        Act::Change(Arc::new(move |answer| {
            state.expire_access_token(&person);
            answer
        })),
    );
    many.stand.start_daemon();
    let bytes = many.drop_bundle(0, 0, "weight.json", 0, 0);
    many.stand.wait("it goes", || many.stand.received(&bytes).len() == 1);
    assert_eq!(many.seen(0, Door::Token), 2);
    let log = many.stand.log();
    assert_eq!(log.matches("person is not served").count(), 1, "{log}");
    many.stand.wait("its end is told", || many.stand.log().matches("person is served again").count() == 1);
}

#[test]
fn a_refresh_that_is_lost_costs_the_pair_only_where_the_api_spent_it() {
    let lost: [(&str, Act, bool); 7] = [
        ("reset after it was taken", Act::Reset { taken: true }, true),
        ("silence after it was taken", Act::Silence { taken: true }, true),
        ("taken, and a gateway says 502", Act::TakeAndSay(answer(502, &[], b"<html>")), true),
        ("reset before it was taken", Act::Reset { taken: false }, false),
        ("silence", Act::Silence { taken: false }, false),
        ("a gateway's page with 200", Act::Say(answer(200, &[], b"<html>")), false),
        ("a 200 without a token", Act::Say(answer(200, &[], b"{}")), false),
    ];
    let mut many = Many::new(lost.len(), 1, USUAL);
    for (lane, (_, act, _)) in lost.iter().enumerate() {
        many.wire.order(&many.lanes[lane].name, Door::Token, act.clone());
        many.stand.sandbox.expire_access_token(&many.lanes[lane].person.id);
        many.drop_bundle(lane, 0, &format!("{lane}.json"), lane, 0);
    }
    many.stand.start_daemon();
    let spent = lost.iter().filter(|(.., spent)| *spent).count();
    many.stand.wait("those whose token lives go", || many.stand.sandbox.received_count() == lost.len() - spent);
    let paused = || many.stand.log().matches("person must authorise again").count();
    many.stand.wait("the others are paused", || paused() == spent);
    for (lane, (name, _, spent)) in lost.iter().enumerate() {
        let outcome = many.why()[&format!("{lane}.json")]["outcome"].clone();
        assert_eq!(outcome, if *spent { "ready" } else { "delivered" }, "{name}");
        assert_eq!(many.seen(lane, Door::Token), 2, "{name}: the old token is tried once more");
    }
    println!("tokens: {} lost refreshes: {spent} pairs spent by the API and paused, the others live", lost.len());
    assert_eq!(many.stand.stop_daemon(), Some(0));
}

#[test]
fn a_pair_that_came_whole_outlives_a_key_set_that_is_out_of_reach() {
    let mut many = Many::new(1, 1, USUAL);
    let down = Fault::Status { status: 503, headers: std::collections::BTreeMap::new(), body: String::new() };
    many.stand.sandbox.order(Target::KeySet, down, 3);
    many.stand.sandbox.expire_access_token(&many.lanes[0].person.id);
    many.stand.start_daemon();
    let bytes = many.drop_bundle(0, 0, "weight.json", 0, 0);
    many.stand.wait("it goes", || many.stand.received(&bytes).len() == 1);
    assert_eq!(many.seen(0, Door::Token), 1);
    println!("tokens: a key set out of reach 3 times: 1 refresh, no pair lost");
}

#[test]
fn commands_beside_the_daemon_cost_no_pair() {
    let mut many = Many::new(1, 4, USUAL);
    many.stand.start_daemon();
    let files = 60;
    let (stand, done) = (&many.stand, std::sync::atomic::AtomicBool::new(false));
    let commands = thread::scope(|scope| {
        let storm = |arguments: &'static [&'static str], code: i32| {
            let done = &done;
            scope.spawn(move || {
                let mut runs = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(stand.run(arguments).status.code(), Some(code), "{arguments:?}");
                    runs += 1;
                    thread::sleep(Duration::from_millis(100));
                }
                runs
            })
        };
        let storms = [
            storm(&["tokens", "refresh", "--contract", "lane0"], 0),
            storm(&["run", "--once"], 5),
            storm(&["tokens", "status"], 0),
        ];
        for number in 0..files {
            many.drop_bundle(0, number % 4, &format!("{number}.json"), number, 0);
            if number % 20 == 0 {
                many.stand.sandbox.expire_access_token(&many.lanes[0].person.id);
            }
        }
        many.stand.wait("all are delivered", || many.stand.sandbox.received_count() == files);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        storms.map(|storm| storm.join().unwrap())
    });
    let stats = many.stand.sandbox.stats();
    assert_eq!(many.seen(0, Door::Token), usize::try_from(stats.refreshes).unwrap(), "no refresh was refused");
    println!("tokens: {commands:?} commands beside {files} files: {} refreshes, none refused", stats.refreshes);
    assert_eq!(many.stand.stop_daemon(), Some(0));
}

#[test]
fn a_daemon_whose_tokens_and_destination_are_gone_waits_without_a_stir() {
    let mut many = Many::new(1, 1, Settings { contract: USUAL.contract, channel: "quiet = \"100ms\"\n" });
    for door in [Door::Push, Door::Token, Door::Accounts, Door::Contract] {
        many.wire.cast("lane0", door, Act::Reset { taken: false });
    }
    // Its token is over by its own word: a push asks for a new one first.
    many.stand.start_daemon();
    many.drop_bundle(0, 0, "first.json", 0, 0);
    many.stand.wait("the destination is paused", || many.stand.log().contains("destination paused"));
    many.stand.ok(&["tokens", "refresh", "--contract", "lane0"]);
    many.drop_bundle(0, 0, "second.json", 1, 0);
    many.stand.wait("both are known", || many.why().len() == 2);
    let busy = || {
        let stat = fs::read_to_string(many.stand.proc("stat")).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().map(str::to_owned).collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = busy();
    thread::sleep(Duration::from_secs(5));
    // In hundredths of a second, of five hundred.
    let spent = busy() - before;
    assert!(spent < 100, "{spent} hundredths of five seconds");
    println!("tokens: five seconds of waiting took {spent} hundredths of a second of work");
}
