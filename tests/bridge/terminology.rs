//! Codes that are not here are asked of a terminology server, if one is named, and of a local stand-in in these tests.

use super::stand::{Stand, sample};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
};

const SYSTEM: &str = "http://clinic.example/codes";
const SET: &str = "http://clinic.example/set";
const PROFILE: &str = "http://clinic.example/coded";

/// Says of the code `good` that it belongs and of every other that it does not; `mute` ones never answer.
struct StandIn {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl StandIn {
    fn start(is_mute: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/fhir", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        std::thread::spawn(move || {
            for peer in listener.incoming() {
                let (heard, peer) = (heard.clone(), peer.unwrap());
                std::thread::spawn(move || serve(peer, is_mute, &heard));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(peer: TcpStream, is_mute: bool, heard: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(peer.try_clone().unwrap());
    loop {
        let (mut length, mut head) = (0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        assert!(head.starts_with("POST /fhir/ HTTP/1.1\r\n"), "{head}");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let batch: Value = serde_json::from_slice(&body).unwrap();
        heard.lock().unwrap().push(batch.clone());
        if is_mute {
            continue;
        }
        let entries = batch["entry"].as_array().unwrap().iter().map(|entry| {
            let is_in = entry["resource"]["parameter"][2]["valueCode"] == "good";
            json!({"response": {"status": "200"}, "resource": {"resourceType": "Parameters",
                "parameter": [{"name": "result", "valueBoolean": is_in}]}})
        });
        let entries: Vec<Value> = entries.collect();
        let answer = json!({"resourceType": "Bundle", "type": "batch-response", "entry": entries}).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        (&peer).write_all(format!("{head}{answer}").as_bytes()).unwrap();
    }
}

/// A profile that binds the code of an Observation to a set of codes that only the system's owner knows.
fn put_profile(stand: &Stand) {
    fs::create_dir_all(stand.path("profiles")).unwrap();
    let profile = json!({"resourceType": "StructureDefinition", "url": PROFILE, "name": "coded", "status": "draft",
        "fhirVersion": "3.0.2", "kind": "resource", "abstract": false, "type": "Observation", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
        "differential": {"element": [{"path": "Observation.code", "binding": {"strength": "required", "valueSetUri": SET}}]}});
    let set = json!({"resourceType": "ValueSet", "url": SET, "status": "draft", "compose": {"include": [{"system": SYSTEM}]}});
    fs::write(stand.path("profiles/coded.json"), profile.to_string()).unwrap();
    fs::write(stand.path("profiles/set.json"), set.to_string()).unwrap();
}

/// A sample whose Observations have this code and claim the profile.
fn bundle(code: &str, number: usize) -> Vec<u8> {
    let mut bundle: Value = serde_json::from_slice(&sample("valid/weight-batch.json")).unwrap();
    let mut count = 0;
    for entry in bundle["entry"].as_array_mut().unwrap() {
        if entry["resource"]["resourceType"] == "Observation" {
            entry["resource"]["code"] =
                json!({"coding": [{"system": SYSTEM, "code": code}], "text": "words of a patient"});
            entry["resource"]["meta"] = json!({"profile": [PROFILE]});
            count += 1;
        }
    }
    assert!(count > 0, "the sample has an Observation");
    format!("{bundle}{}", " ".repeat(number)).into_bytes()
}

#[test]
fn validate_asks_the_server_that_is_named_and_tells_of_its_answers_as_of_its_own() {
    let (stand, server) = (Stand::by_folder(), StandIn::start(false));
    put_profile(&stand);
    fs::write(stand.path("good.json"), bundle("good", 0)).unwrap();
    fs::write(stand.path("bad.json"), bundle("bad", 0)).unwrap();
    let judged = |more: &[&str]| {
        let (good, bad) = (stand.path("good.json"), stand.path("bad.json"));
        let mut arguments = vec!["--json", "validate", good.to_str().unwrap(), bad.to_str().unwrap()];
        arguments.extend(more);
        let output = stand.run(&arguments);
        let told = String::from_utf8(output.stdout).unwrap();
        let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told.len(), 2, "{}", String::from_utf8_lossy(&output.stderr));
        let of_set =
            |items: &Value| items.as_array().unwrap().iter().filter(|item| item["key"] == "profile-binding").count();
        let counts: Vec<_> = told.iter().map(|told| (of_set(&told["issues"]), of_set(&told["not_checked"]))).collect();
        (output.status.code().unwrap(), counts, String::from_utf8(output.stderr).unwrap())
    };
    let (code, counts, _) = judged(&[]);
    assert_eq!((code, counts), (0, vec![(0, 1), (0, 1)]));
    assert!(server.asked().is_empty(), "nobody is asked unless named");

    let (code, counts, _) = judged(&["--terminology", &server.url]);
    assert_eq!((code, counts), (1, vec![(0, 0), (1, 0)]));
    let asked: String = server.asked().iter().map(Value::to_string).collect();
    assert!(asked.contains(r#""valueCode":"good""#) && asked.contains(r#""url":"ValueSet/$validate-code""#), "{asked}");
    for words in ["Alex", "words of a patient", "patient-number", "Observation"] {
        assert!(!asked.contains(words), "{words}: {asked}");
    }

    // A server that is down, and one that never answers, leave it at "not checked", and that is told once.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, counts, told) = judged(&["--terminology", &format!("http://{closed}/fhir")]);
    assert_eq!((code, counts), (0, vec![(0, 1), (0, 1)]));
    assert_eq!(told.matches("no connection to the terminology server").count(), 1, "{told}");
    let mute = StandIn::start(true);
    stand.edit_config(|config| format!("{config}[terminology]\ntimeout = \"200ms\"\n"));
    let (code, counts, told) = judged(&["--terminology", &mute.url, "--jobs", "1"]);
    assert_eq!((code, counts), (0, vec![(0, 1), (0, 1)]));
    assert!(told.contains("did not answer in time"), "{told}");
    assert_eq!(mute.asked().len(), 1, "it is left alone after that");
}

#[test]
fn the_daemon_judges_by_the_servers_answers_keeps_them_and_goes_on_without_it() {
    let mut stand = Stand::by_folder();
    let server = StandIn::start(false);
    put_profile(&stand);
    let with = |stand: &Stand, url: &str| {
        let url = format!("[terminology]\nurl = \"{url}\"\ntimeout = \"200ms\"\n");
        stand.edit_config(|config| format!("{}{url}", config.split("[terminology]").next().unwrap()));
    };
    with(&stand, &server.url);
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.start_daemon();
    stand.drop_file("alex/good.json", &bundle("good", 0));
    stand.drop_file("alex/bad.json", &bundle("bad", 0));
    stand.wait_for_stage("alex/good.json", "delivered");
    stand.wait_for_stage("alex/bad.json", "refused");
    let findings = stand.record("alex/bad.json")["submission"]["findings"].clone();
    assert!(findings.as_array().unwrap().iter().any(|finding| finding["key"] == "profile-binding"), "{findings}");
    let kept = stand.path("state/codes.jsonl");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&kept).unwrap().lines().count(), 2);
    assert_eq!(stand.stop_daemon(), Some(0));

    // With a server that never answers, what is known is judged and all else is not checked; nothing waits for it.
    let mute = StandIn::start(true);
    with(&stand, &mute.url);
    stand.start_daemon();
    stand.drop_file("alex/bad-again.json", &bundle("bad", 1));
    stand.wait_for_stage("alex/bad-again.json", "refused");
    assert!(mute.asked().is_empty(), "it was known");
    stand.drop_file("alex/other.json", &bundle("other", 0));
    stand.wait_for_stage("alex/other.json", "delivered");
    assert_eq!(mute.asked().len(), 1);
    assert!(stand.log().contains("did not answer in time"), "{}", stand.log());
    assert_eq!(stand.stop_daemon(), Some(0));
}
