//! Alerts: one when trouble begins and one when it ends, by a command and by a webhook; never patient data.

use super::stand::{Stand, sample};
use pushbridge::sandbox::{Fault, Target};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

const CHANNEL: &str = "[channel.clinic]\ncontract = \"main\"\ninbox = \"inbox\"\nquiet = \"100ms\"\nrescan = \"1s\"\n\
                       [channel.clinic.route]\nfolder = true\n";

/// A stand whose daemon tells a command that appends to `told`.
fn stand(alerts: &str) -> Stand {
    Stand::new(&format!("[alerts]\ngather = \"200ms\"\n{alerts}\n{CHANNEL}"))
}

const APPEND: &str = "command = [\"sh\", \"-c\", \"cat >> told\"]";

fn told(stand: &Stand) -> Vec<Value> {
    let text = fs::read_to_string(stand.path("told")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn kinds(alerts: &[Value]) -> Vec<&str> {
    alerts.iter().map(|alert| alert["alert"].as_str().unwrap()).collect()
}

#[test]
fn an_outage_and_a_person_are_told_at_both_edges_and_files_by_their_ids() {
    let mut stand = stand(APPEND);
    let person = stand.person(&["clinic"]);
    stand.link_folder("canaryfolder", &person.accounts[0].reference);
    let headers = BTreeMap::from([("retry-after".to_owned(), "0".to_owned())]);
    stand.sandbox.order(Target::Push, Fault::Status { status: 503, headers, body: String::new() }, 3);
    stand.start_daemon();
    stand.drop_file("canaryfolder/canaryname.json", &sample("valid/weight-batch.json"));
    stand.wait_for_stage("canaryfolder/canaryname.json", "delivered");
    stand.wait("both edges are told", || told(&stand).len() == 2);
    assert_eq!(kinds(&told(&stand)), ["destination-paused", "destination-open"]);
    assert_eq!((&told(&stand)[0]["edge"], &told(&stand)[1]["edge"]), (&"begins".into(), &"ends".into()));

    for number in 0..5 {
        stand.drop_file(&format!("nobody/{number}.json"), &sample("valid/glucose-batch.json"));
    }
    stand.drop_file("canaryfolder/canarybroken.json", b"{\"resourceType\":\"Canary\"}");
    stand.wait_for_stage("canaryfolder/canarybroken.json", "refused");
    let count = |kind: &str| {
        let of_kind = told(&stand).into_iter().filter(|alert| alert["alert"] == kind);
        of_kind.map(|alert| alert["count"].as_u64().unwrap()).sum::<u64>()
    };
    stand.wait("each file is counted", || (count("held"), count("refused")) == (5, 1));
    assert!(told(&stand).len() < 8, "those that come together are told together");
    let refused = told(&stand).into_iter().find(|alert| alert["alert"] == "refused").unwrap();
    let id = &stand.record("canaryfolder/canarybroken.json")["submission"]["id"];
    assert_eq!((&refused["items"][0]["submission"], &refused["items"][0]["channel"]), (id, &"clinic".into()));

    // Judged again for another link, and held as before: that is no edge.
    let before = told(&stand).len();
    stand.link_folder("elsewhere", &person.accounts[0].reference);
    let spent = r#"{"error":{"code":"InvalidToken"}}"#.to_owned();
    stand.sandbox.order(Target::Refresh, Fault::Status { status: 401, headers: BTreeMap::new(), body: spent }, 1);
    stand.sandbox.expire_access_token(&person.id);
    stand.drop_file("canaryfolder/canarynext.json", &sample("valid/letter-pdf-transaction.json"));
    stand.wait("the person is told", || told(&stand).len() > before);
    stand.wait("that is kept", || fs::read_to_string(stand.path("state/alerts.json")).unwrap().contains("person"));
    stand.wait("its pause is kept", || stand.run(&["tokens", "status"]).status.code() == Some(1));
    stand.kill_daemon();
    stand.start_daemon();
    // The sandbox has spent nothing: the first pair still stands for a new authorisation's.
    let tokens = stand.path("tokens.json");
    stand.ok(&["tokens", "import", "--contract", "main", tokens.to_str().unwrap()]);
    stand.wait_for_stage("canaryfolder/canarynext.json", "delivered");
    stand.wait("its end is told", || told(&stand).len() == before + 2);
    assert_eq!(kinds(&told(&stand)[before..]), ["person-paused", "person-authorised"], "a restart tells neither again");
    assert_eq!(stand.stop_daemon(), Some(0));
    assert_eq!(told(&stand).len(), before + 2, "{:?}\n{}", told(&stand).last(), stand.log());

    let text = fs::read_to_string(stand.path("told")).unwrap();
    let tokens: Value = serde_json::from_str(&fs::read_to_string(stand.path("tokens.json")).unwrap()).unwrap();
    for secret in ["anary", "nobody", tokens["refreshToken"]["value"].as_str().unwrap()] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// What was sent to a local address; the first requests are answered 500.
fn listen(refused: usize) -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook?key=canarysecret", listener.local_addr().unwrap());
    let taken: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = taken.clone();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let status = if number < refused { "500 no" } else { "204 taken" };
            if number >= refused {
                kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, taken)
}

#[test]
fn a_webhook_that_fails_is_tried_again_and_its_address_is_in_no_log() {
    let (address, taken) = listen(1);
    let mut stand = stand(&format!("webhook = \"{address}\""));
    stand.person(&["clinic"]);
    stand.start_daemon();
    stand.drop_file("nobody/weight.json", &sample("valid/weight-batch.json"));
    stand.wait("it is taken at the second try", || !taken.lock().unwrap().is_empty());
    let alert = taken.lock().unwrap()[0].clone();
    assert_eq!((&alert["alert"], &alert["count"]), (&"held".into(), &1.into()));
    assert!(stand.log().contains("it answered 500"), "{}", stand.log());
    assert!(!stand.log().contains("canarysecret"));
    let tested = stand.ok(&["--json", "alerts", "test"]);
    assert_eq!(tested, "{\"by\":\"webhook\",\"taken\":true,\"why\":null}\n");
    assert_eq!(taken.lock().unwrap().last().unwrap()["alert"], "test");
}

#[test]
fn a_command_that_hangs_or_fails_stops_nothing_and_a_test_says_so() {
    let mut stand = stand("timeout = \"300ms\"\ncommand = [\"sleep\", \"600\"]");
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.start_daemon();
    for number in 0..20 {
        stand.drop_file(&format!("nobody/{number}.json"), &sample("valid/glucose-batch.json"));
    }
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    stand.wait_for_stage("alex/weight.json", "delivered");
    stand.wait("it is logged", || stand.log().contains("it did not end in time and was killed"));
    let output = stand.run(&["alerts", "test"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("command: not taken: it did not end in time"));
    let none = Stand::by_folder().run(&["alerts", "test"]);
    assert_eq!(none.status.code(), Some(1));
}

#[test]
fn a_channel_without_files_and_an_inbox_that_goes_are_told_at_both_edges() {
    let alerts = format!("[alerts]\ngather = \"10ms\"\n{APPEND}\n");
    let channel = CHANNEL.replace("rescan", "quiet_alert = \"1500ms\"\nrescan");
    let mut stand = Stand::new(&format!("{alerts}{channel}"));
    stand.person(&["clinic"]);
    stand.start_daemon();
    let has = |stand: &Stand, kind: &str| told(stand).iter().any(|alert| alert["alert"] == kind);
    stand.wait("the silence is told", || has(&stand, "no-files"));
    stand.drop_file("nobody/weight.json", &sample("valid/weight-batch.json"));
    stand.wait("files come again", || has(&stand, "files-again"));
    fs::rename(stand.path("inbox"), stand.path("elsewhere")).unwrap();
    stand.wait("the inbox is gone", || has(&stand, "inbox-gone"));
    fs::rename(stand.path("elsewhere"), stand.path("inbox")).unwrap();
    stand.wait("and back", || has(&stand, "inbox-back"));
    assert_eq!(told(&stand).iter().filter(|alert| alert["alert"] == "inbox-gone").count(), 1);
}

#[test]
fn a_refresh_token_that_nears_its_end_is_told_at_both_edges_and_not_again_after_a_restart() {
    let mut stand = stand(APPEND);
    let warning = |stand: &Stand, from: &str, to: &str| stand.edit_config(|text| text.replace(from, to));
    warning(&stand, "[contract.main]\n", "[contract.main]\ntoken_warning = \"40d\"\n");
    let person = stand.person(&["clinic"]);
    stand.start_daemon();
    stand.wait("its beginning is told", || told(&stand).len() == 1);
    let begins = told(&stand).remove(0);
    assert_eq!((&begins["alert"], &begins["edge"]), (&"token-ending".into(), &"begins".into()));
    assert_eq!(begins["items"][0]["person"], person.id);
    assert!(begins["text"].as_str().unwrap().contains("pushbridge reauthorize"), "{begins}");
    let kept = || fs::read_to_string(stand.path("state/alerts.json")).unwrap_or_default().contains("token");
    stand.wait("that is kept", kept);
    stand.kill_daemon();
    stand.start_daemon();
    stand.wait("it is noticed again", || stand.log().matches("a refresh token ends soon").count() > 0);
    assert_eq!(stand.stop_daemon(), Some(0));
    assert_eq!(told(&stand).len(), 1, "a restart does not tell it again");
    warning(&stand, "token_warning = \"40d\"", "token_warning = \"1d\"");
    stand.start_daemon();
    stand.wait("its end is told", || told(&stand).len() == 2);
    assert_eq!(kinds(&told(&stand)), ["token-ending", "token-renewed"]);
}

#[test]
fn a_day_that_the_api_asks_for_is_told_and_shown_and_ends_when_somebody_says_so() {
    let mut stand = stand(APPEND);
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let headers = BTreeMap::from([("retry-after".to_owned(), "999999".to_owned())]);
    stand.sandbox.order(Target::Push, Fault::Status { status: 503, headers, body: String::new() }, 1);
    stand.start_daemon();
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    stand.wait("both are told", || told(&stand).len() == 2);
    let told_of = told(&stand);
    let parked = told_of.iter().find(|alert| alert["alert"] == "destination-parked").unwrap();
    assert!(told_of.iter().any(|alert| alert["alert"] == "destination-paused"), "{told_of:?}");
    assert!(parked["text"].as_str().unwrap().contains("until 20"), "{parked}");
    let status: Value = serde_json::from_str(&stand.ok(&["status", "--json"])).unwrap();
    let paused = &status["paused"][0];
    assert_eq!((&paused["contract"], &paused["why"]), (&"main".into(), &"the API asks to wait (503)".into()));
    assert!(paused["until"].as_i64().is_some() || paused["until"].as_str().is_some(), "{paused}");
    assert!(stand.ok(&["status"]).contains("or now: pushbridge resume main"));
    assert_eq!(stand.run(&["resume", "nobody"]).status.code(), Some(1), "no such contract");
    assert!(stand.ok(&["resume", "main"]).contains("asking again: main"));
    stand.wait_for_stage("alex/weight.json", "delivered");
    stand.wait("its end is told", || told(&stand).iter().any(|alert| alert["alert"] == "destination-open"));
    assert!(stand.ok(&["resume"]).contains("nothing is paused"));
    assert!(stand.ok(&["audit"]).contains("resume"));
    assert_eq!(stand.stop_daemon(), Some(0));
    assert_ne!(stand.run(&["resume"]).status.code(), Some(0), "no daemon runs");
}
