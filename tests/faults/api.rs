//! The network and the API at their worst: each bad day ends in the state that the table of answers names.
//! The sandbox' record judges what was taken, `queue why` what the program says of it.

use super::{
    many::{Many, PATIENT, Settings, USUAL},
    run::{self, Draws, Length},
    wire::{Act, Door, answer},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How a file must end after one bad answer; the second is a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Expect {
    /// By that very answer.
    Delivered,
    /// By that very answer, with entries that the receiver rejected.
    WithErrors,
    /// The file is at fault.
    Refused,
    /// It keeps its turn; the account wants a new authorisation.
    Blocked,
    /// It was sent again, once.
    Resent,
    /// It was sent again with a new token.
    Renewed,
    /// A person decides: it may have arrived.
    Unknown,
    /// A person decides: the answer is none that we know.
    Held,
}

/// What an answer's body says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    Empty,
    Html,
    /// `{"error": {"code"}}`
    Nested(&'static str),
    /// `{"error": "CODE"}`
    Flat(&'static str),
    /// The API's error object without a code.
    Codeless,
    OperationOutcome,
    /// A batch-response whose last entry is rejected.
    Rejected,
    /// Longer than anybody reads.
    Huge,
    /// JSON that stops.
    Cut,
    NotUtf8,
}

const CODES: [&str; 9] = [
    "InvalidToken",
    "InvalidClient",
    "InvalidRedirectUri",
    "InsufficientScope",
    "SDKInvalid",
    "SDKVersionInvalid",
    "ServiceAuthorizationError",
    "InternalError",
    "Unprocessable",
];

const STATUSES: [u16; 50] = [
    101, 200, 201, 202, 204, 226, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409,
    410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505,
    507, 511, 599, 777,
];

impl Body {
    fn all() -> Vec<Self> {
        let plain = [
            Self::Empty,
            Self::Html,
            Self::Codeless,
            Self::OperationOutcome,
            Self::Rejected,
            Self::Huge,
            Self::Cut,
            Self::NotUtf8,
            Self::Flat("two words"),
        ];
        let coded = CODES.iter().flat_map(|code| [Self::Nested(code), Self::Flat(code)]);
        plain.into_iter().chain(coded).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        let text = match self {
            Self::Empty => String::new(),
            Self::Html => "<html><body>Something went wrong</body></html>".to_owned(),
            Self::Nested(code) => {
                format!(r#"{{"error":{{"code":"{code}","message":"no","reference":"ref-1"}}}}"#)
            }
            Self::Flat(code) => format!(r#"{{"error":"{code}","message":"no"}}"#),
            Self::Codeless => r#"{"error":{"message":"no"}}"#.to_owned(),
            Self::OperationOutcome => {
                r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}"#.to_owned()
            }
            Self::Rejected => r#"{"resourceType":"Bundle","type":"batch-response","entry":[
                {"response":{"status":"201"}},{"response":{"status":"422"}}]}"#
                .to_owned(),
            Self::Huge => format!("[{}1]", "\"0123456789\",".repeat(100_000)),
            Self::Cut => r#"{"error":{"code":"Inval"#.to_owned(),
            Self::NotUtf8 => return vec![0xff, 0xfe, 0, 0x80],
        };
        text.into_bytes()
    }

    /// What the API itself says; a code is one word.
    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Nested(code) | Self::Flat(code) if !code.contains(' ') => Some(code),
            _ => None,
        }
    }
}

/// The table of answers, read from the design and not from the program.
fn expected(status: u16, body: &Body) -> Expect {
    // These carry no body.
    let bodiless = matches!(status, 204 | 304) || status < 200;
    let (body, code) = if bodiless { (&Body::Empty, None) } else { (body, body.code()) };
    let set_up = ["InvalidClient", "SDKInvalid", "SDKVersionInvalid", "InsufficientScope"];
    match status {
        200..300 if *body == Body::Rejected => Expect::WithErrors,
        200..300 => Expect::Delivered,
        300..400 => Expect::Resent,
        400..600 if code.is_some_and(|code| set_up.contains(&code)) => Expect::Resent,
        401 if code.is_none_or(|code| code == "InvalidToken") => Expect::Renewed,
        401 => Expect::Resent,
        403 | 404 | 511 => Expect::Blocked,
        400 | 413 | 422 => Expect::Refused,
        408 | 429 | 503 => Expect::Resent,
        400..500 => Expect::Held,
        500..600 if code.is_some() => Expect::Resent,
        // The last byte was handed over, and no answer came that the table knows.
        _ => Expect::Unknown,
    }
}

/// One bad answer for one file.
struct Case {
    name: String,
    act: Act,
    /// Bytes at the least: a large body does not fit into the connection's buffers.
    size: usize,
    expect: Expect,
    /// How many the sandbox takes by the bad answer itself.
    taken: usize,
}

/// Every file of these cases through one daemon, in rounds of a case a lane; how many ended how.
fn play(cases: &[Case], lanes: usize, settings: Settings) -> BTreeMap<Expect, usize> {
    let rounds = cases.len().div_ceil(lanes);
    let mut many = Many::new(lanes.min(cases.len()), rounds, settings);
    many.stand.start_daemon();
    let (mut counts, mut wrong) = (BTreeMap::new(), Vec::new());
    for (round, cases) in cases.chunks(lanes).enumerate() {
        let mut dropped = Vec::new();
        let tokens_before: Vec<_> = (0..cases.len()).map(|lane| many.seen(lane, Door::Token)).collect();
        for (lane, case) in cases.iter().enumerate() {
            many.wire.order(&many.lanes[lane].name, Door::Push, case.act.clone());
            let file = format!("{round}-{lane}.json");
            dropped.push((file.clone(), many.drop_bundle(lane, round, &file, round * lanes + lane, case.size)));
        }
        let begun = Instant::now();
        let all_there = |why: &BTreeMap<String, Value>| {
            let is_over = |case: &Case, file: &String| {
                why.get(file).is_some_and(|why| case.is_over(why["outcome"].as_str().unwrap(), why))
            };
            cases.iter().zip(&dropped).all(|(case, (file, _))| is_over(case, file))
        };
        let why = loop {
            let why = many.why();
            if all_there(&why) || begun.elapsed() > Duration::from_secs(60) {
                break why;
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        for (lane, (case, (file, bytes))) in cases.iter().zip(&dropped).enumerate() {
            let taken = many.stand.received(bytes);
            let again = usize::from(matches!(case.expect, Expect::Resent | Expect::Renewed));
            let told = why.get(file).map_or(Value::Null, Clone::clone);
            let attempts: Vec<_> = told["attempts"].as_array().into_iter().flatten().map(attempt).collect();
            let name = format!("{} is {}, not {:?}: {attempts:?}", case.name, told["outcome"], case.expect);
            let renewed = many.seen(lane, Door::Token) - tokens_before[lane];
            let account = &many.lanes[lane].person.accounts[round].id;
            let right = case.is_over(told["outcome"].as_str().unwrap_or_default(), &told)
                && taken.len() == case.taken + again
                && taken.iter().all(|push| push.account_id == *account)
                && renewed == usize::from(case.expect == Expect::Renewed)
                && [&told["reason"], &told["remedy"]]
                    .into_iter()
                    .all(|text| text.as_str().is_some_and(|text| !text.is_empty()));
            wrong.extend((!right).then(|| format!("{name}; taken {} times, {renewed} refreshes", taken.len())));
            *counts.entry(case.expect).or_default() += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(many.wire.seen("elsewhere", Door::Token).len(), 0, "a redirect is never followed");
    let blocked = many.stand.ok(&["--json", "accounts", "ls"]);
    let blocked = blocked.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let blocked = blocked.filter(|account| account["blocked"].is_string()).count();
    assert_eq!(blocked, counts.get(&Expect::Blocked).copied().unwrap_or_default());
    assert_eq!(many.stand.stop_daemon(), Some(0));
    counts
}

/// What one attempt came to.
fn attempt(attempt: &Value) -> String {
    format!("{} {} {}", attempt["outcome"], attempt["status"], attempt["detail"])
}

impl Case {
    fn is_over(&self, outcome: &str, why: &Value) -> bool {
        match self.expect {
            Expect::Delivered | Expect::Resent | Expect::Renewed => outcome == "delivered",
            Expect::WithErrors => outcome == "delivered with errors",
            Expect::Refused => outcome == "refused",
            Expect::Unknown => outcome == "unknown",
            Expect::Held => outcome == "held",
            Expect::Blocked => outcome == "ready" && why["attempts"][0]["outcome"] == "blocked",
        }
    }
}

#[test]
fn every_status_with_every_body_ends_as_the_table_says() {
    let mut draws = Draws::new("api");
    let mut cases = Vec::new();
    let begun = Instant::now();
    for status in STATUSES {
        let mut bodies = Body::all();
        // A short run takes a few of them, others each time; statuses that decide by their body take more.
        let most = if [400, 401, 403, 500, 503].contains(&status) { 10 } else { 3 };
        while run::length() == Length::Short && bodies.len() > most {
            bodies.swap_remove(draws.below(bodies.len()));
        }
        for body in bodies {
            let elsewhere = [("location", "/elsewhere/v1.7/oauth/token"), ("content-type", "application/json")];
            let act = Act::Say(answer(status, &elsewhere, &body.bytes()));
            cases.push(Case {
                name: format!("{status} {body:?}"),
                act,
                size: 0,
                expect: expected(status, &body),
                taken: 0,
            });
        }
    }
    let counts = play(&cases, 60, USUAL);
    println!("api: {} answers in {:.1} s: {counts:?}", cases.len(), begun.elapsed().as_secs_f64());
}

#[test]
fn every_end_of_a_connection_ends_as_the_table_says() {
    const LARGE: usize = 8 << 20;
    let ok = answer(200, &[], b"{\"reference\":\"r-1\"}");
    let busy = answer(503, &[], b"busy");
    let half = |bytes: &[u8]| bytes[..bytes.len() - 4].to_vec();
    let surplus = |first: &[u8]| [first, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"].concat();
    let kept = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
    let millis = Duration::from_millis;
    let mut cases = Vec::new();
    let mut add = |name: &str, act: Act, size: usize, expect: Expect, taken: usize| {
        cases.push(Case { name: name.to_owned(), act, size, expect, taken });
    };
    // A small body has left before the reset is seen: nobody can tell.
    add("reset before a small body was read", Act::ResetBefore, 0, Expect::Unknown, 0);
    add("reset before a large body was read", Act::ResetBefore, LARGE, Expect::Resent, 0);
    add("reset after the body", Act::Reset { taken: false }, 0, Expect::Unknown, 0);
    add("reset after it was taken", Act::Reset { taken: true }, 0, Expect::Unknown, 1);
    add("reset after a large one was taken", Act::Reset { taken: true }, LARGE, Expect::Unknown, 1);
    add("half-open, not taken", Act::Silence { taken: false }, 0, Expect::Unknown, 0);
    add("half-open, taken", Act::Silence { taken: true }, 0, Expect::Unknown, 1);
    add("half-open before the body was read", Act::Deaf, LARGE, Expect::Resent, 0);
    add("reset within a 200", Act::ResetIn(half(&ok)), 0, Expect::Delivered, 0);
    add("reset within a 503", Act::ResetIn(half(&busy)), 0, Expect::Resent, 0);
    add("reset within a status line", Act::ResetIn(ok[..11].to_vec()), 0, Expect::Unknown, 0);
    add("a slow answer", Act::Drip(ok.clone(), millis(5)), 0, Expect::Delivered, 0);
    add("an answer slower than anybody waits", Act::Drip(ok.clone(), millis(250)), 0, Expect::Unknown, 0);
    let endless = |status: u16| format!("HTTP/1.1 {status} Word\r\nconnection: close\r\n\r\n").into_bytes();
    add("a 200 without an end", Act::Endless(endless(200)), 0, Expect::Delivered, 0);
    add("a 503 without an end", Act::Endless(endless(503)), 0, Expect::Resent, 0);
    add("a header without an end", Act::Endless(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), 0, Expect::Unknown, 0);
    add("an early 413", Act::SayEarly(answer(413, &[], b"")), LARGE, Expect::Refused, 0);
    add("an early 401", Act::SayEarly(answer(401, &[], b"")), LARGE, Expect::Renewed, 0);
    add("an early 502", Act::SayEarly(answer(502, &[], b"")), LARGE, Expect::Resent, 0);
    add("an early 200", Act::SayEarly(ok.clone()), LARGE, Expect::Resent, 0);
    add("surplus after a 503", Act::SayAndStay(surplus(kept)), 0, Expect::Resent, 0);
    add("taken, and a gateway says 502", Act::TakeAndSay(answer(502, &[], b"<html>")), 0, Expect::Unknown, 1);
    add("taken, and a gateway says 504", Act::TakeAndSay(answer(504, &[], b"")), 0, Expect::Unknown, 1);
    let continued = [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n", &ok[..]].concat();
    add("100 and 103 before a 200", Act::Say(continued), 0, Expect::Delivered, 0);
    for garbage in ["", "\0\0\0\0", "SSH-2.0-server\r\n", "HTTP/1.1 abc\r\n\r\n", "{\"reference\":\"r\"}"] {
        add(&format!("{garbage:?}"), Act::Say(garbage.as_bytes().to_vec()), 0, Expect::Unknown, 0);
    }
    let twice = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nabc";
    add("two lengths", Act::Say(twice.to_vec()), 0, Expect::Unknown, 0);
    let chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    add("a broken chunk in a 200", Act::Say(chunk.to_vec()), 0, Expect::Delivered, 0);
    let (begun, cases_len) = (Instant::now(), cases.len());
    let counts = play(&cases, cases_len, PATIENT);
    println!("api: {cases_len} ends of a connection in {:.1} s: {counts:?}", begun.elapsed().as_secs_f64());
}
