//! Planted words: patients' names, identifiers, tokens and keys, in contents and in the names of files and
//! folders, on good days and on bad ones. Then everything that the program wrote or said is searched for them.
//! (tests/bridge/privacy.rs watches one good day's log; that tokens are sealed in the store is another suite's.)

use super::{
    many::{Many, Settings, link_record},
    run::open_store,
    wire::{Act, Door, answer},
};
use pushbridge::store::{Store, Write};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

/// Stand in contents: only the Bundle itself may hold them.
const CONTENTS: [&str; 9] = [
    "CanaryFamily",
    "CanaryGiven",
    "CANARYNUMBER",
    "CANARYNOTE",
    "CANARYCODE",
    "CANARYURL",
    "CANARYMESSAGE",
    "CANARYDIAGNOSTICS",
    "CANARYSIDECAR",
];
/// Stands for members and elements that no resource has. What is wrong with them is told by their names, where
/// findings are told; a log holds no findings.
const STRUCTURE: &str = "CANARYKEY";
/// Stand in names of files and folders: a record and its report may hold them, a log never.
const NAMES: [&str; 2] = ["canaryfolder", "canaryfile"];

/// A good Bundle of a patient with planted words; `number` makes it unlike any other.
fn planted(number: usize) -> Value {
    json!({
        "resourceType": "Bundle", "type": "transaction", "entry": [
            {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001",
             "resource": {"resourceType": "Patient", "name": [{"family": "CanaryFamily", "given": ["CanaryGiven"]}],
                          "identifier": [{"system": "http://clinic.example/number", "value": "CANARYNUMBER"}]},
             "request": {"method": "POST", "url": "Patient"}},
            {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002",
             "resource": {"resourceType": "Observation", "status": "final", "comment": "CANARYNOTE",
                          "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
                          "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
                          "valueQuantity": {"value": number, "unit": "kg"}},
             "request": {"method": "POST", "url": "Observation"}}]
    })
}

/// Files that are wrong, each with its planted word where the fault is.
fn wrong() -> Vec<Vec<u8>> {
    let change = |edit: &dyn Fn(&mut Value)| {
        let mut bundle = planted(0);
        edit(&mut bundle);
        bundle.to_string().into_bytes()
    };
    let observation = |bundle: &mut Value| bundle["entry"][1]["resource"].take();
    vec![
        change(&|bundle| bundle["entry"][1]["resource"]["status"] = json!("CANARYCODE")),
        change(&|bundle| bundle["entry"][1]["resource"]["CANARYKEY"] = json!("CANARYNOTE")),
        change(&|bundle| bundle["entry"][1]["request"]["method"] = json!("CANARYCODE")),
        change(&|bundle| bundle["entry"][0]["resource"]["birthDate"] = json!("CANARYNUMBER")),
        change(&|bundle| bundle["entry"][0]["fullUrl"] = json!("CANARYURL")),
        change(&|bundle| bundle["entry"][0]["resource"]["managingOrganization"] = json!({"reference": "#CANARYURL"})),
        change(&|bundle| bundle["entry"][0]["resource"]["gender"] = json!("CANARYCODE")),
        change(&|bundle| {
            bundle["entry"][0]["resource"]["extension"] =
                json!([{"url": "http://CANARYURL.example", "valueCANARYKEY": "CANARYNOTE"}]);
        }),
        change(&|bundle| {
            let text = json!({"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><CANARYKEY>CANARYNOTE</CANARYKEY></div>"});
            bundle["entry"][0]["resource"]["text"] = text;
        }),
        change(&|bundle| bundle["resourceType"] = json!("CANARYCODE")),
        change(&|bundle| {
            let mut resource = observation(bundle);
            resource["resourceType"] = json!("CANARYCODE");
            bundle["entry"][1]["resource"] = resource;
        }),
        change(&|bundle| bundle["entry"][1]["resource"]["effectiveDateTime"] = json!("CANARYNUMBER")),
        br#"{"CANARYKEY": "CANARYNOTE", "CANARYKEY": CANARYCODE}"#.to_vec(),
        br#"{"CANARYKEY": "CANARYNOTE\q"}"#.to_vec(),
        b"{\"CANARYKEY\": \"CANARYNOTE\xff\"}".to_vec(),
        b"<Bundle xmlns=\"http://hl7.org/fhir\"><CANARYKEY value=\"CANARYNOTE\"></CANARYCODE></Bundle>".to_vec(),
        b"<Bundle xmlns=\"http://hl7.org/fhir\"><type value=\"CANARYCODE\"/><CANARYKEY value=\"CANARYNOTE\"/></Bundle>"
            .to_vec(),
        b"CanaryFamily;CanaryGiven;CANARYNUMBER\n".to_vec(),
    ]
}

/// What the API or a gateway says on a bad day, with the patient's words in it.
fn bad_days() -> Vec<Vec<u8>> {
    let outcome = json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid", "diagnostics": "CANARYDIAGNOSTICS"}]});
    let message = json!({"error": {"code": "Unprocessable", "message": "CANARYMESSAGE of CanaryFamily", "reference": "CANARYMESSAGE in words"}});
    let words = json!({"error": "CANARYMESSAGE in words", "message": "CANARYMESSAGE"});
    let response = json!({"resourceType": "Bundle", "type": "batch-response", "id": "CANARYMESSAGE in words", "entry": [
        {"response": {"status": "422 CANARYMESSAGE", "outcome": outcome}}]});
    let page = b"<html>CANARYMESSAGE</html>".to_vec();
    let location = [("location", "http://CANARYURL.example/CANARYMESSAGE"), ("retry-after", "CANARYMESSAGE")];
    [422, 409, 503, 500, 302, 403, 200]
        .into_iter()
        .flat_map(|status| {
            [
                outcome.to_string().into_bytes(),
                message.to_string().into_bytes(),
                words.to_string().into_bytes(),
                response.to_string().into_bytes(),
                page.clone(),
            ]
            .map(|body| answer(status, &location, &body))
        })
        .collect()
}

/// Every file below a folder with its bytes.
fn files(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

fn holds(bytes: &[u8], word: &str) -> bool {
    memchr::memmem::find(bytes, word.as_bytes()).is_some()
}

/// Secrets in clear: tokens of the sandbox, what requests are signed by, and their signatures.
fn secrets(many: &Many) -> Vec<String> {
    let key = fs::read_to_string(many.stand.path("key.pem")).unwrap();
    let links = fs::read_to_string(many.stand.path("state/links.key")).unwrap();
    let lines = key.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned);
    lines
        .chain(["PRIVATE KEY", "token-", "Bearer", "eyJ"].map(str::to_owned))
        .chain([links.trim().to_owned()])
        .collect()
}

/// The raw answers of the daemon's socket.
fn asked(many: &Many, questions: &[Value]) -> Vec<(String, Vec<u8>)> {
    let mut stream = UnixStream::connect(many.stand.path("state/control.sock")).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let ask = |question: &Value| {
        stream.write_all(format!("{question}\n").as_bytes()).unwrap();
        let mut line = Vec::new();
        answers.read_until(b'\n', &mut line).unwrap();
        (format!("socket {question}"), line)
    };
    questions.iter().map(ask).collect()
}

#[test]
fn planted_words_are_nowhere_but_where_they_belong() {
    const DEBUG: Settings = Settings {
        contract: "idle_timeout = \"1s\"\ntotal_timeout = \"4s\"\n",
        channel: "quiet = \"100ms\"\npolling = \"always\"\ntruncated_limit = \"1s\"\n",
    };
    let (bad_days, wrong) = (bad_days(), wrong());
    // A lane for each bad day of the API, one for wrong files, one without a link.
    let lanes = bad_days.len() + 2;
    let mut many = Many::new(lanes, 1, DEBUG);
    many.stand.edit_config(|text| format!("[log]\nlevel = \"debug\"\n{text}"));
    let links: Vec<Write> = many.lanes[..lanes - 1]
        .iter()
        .map(|lane| link_record(&lane.name, "canaryfolder", &lane.person.accounts[0].reference))
        .collect();
    open_store(&many.stand).commit(&links).unwrap();
    for (lane, day) in bad_days.iter().enumerate() {
        many.wire.order(&many.lanes[lane].name, Door::Push, Act::Say(day.clone()));
        many.stand
            .drop_file(&format!("lane{lane}/canaryfolder/canaryfile{lane}.json"), planted(lane).to_string().as_bytes());
    }
    // A refresh whose answer is not to be believed, with its tokens in it.
    many.stand.sandbox.expire_access_token(&many.lanes[0].person.id);
    let lie = br#"{"token": "eyJhbGciOiJub25lIn0.eyJ2YWx1ZSI6InRva2VuLSJ9."}"#;
    many.wire.order("lane0", Door::Token, Act::Say(answer(200, &[], lie)));
    let (of_wrong, unlinked) = (lanes - 2, lanes - 1);
    for (number, bytes) in wrong.iter().enumerate() {
        many.stand.drop_file(&format!("lane{of_wrong}/canaryfolder/canaryfile{of_wrong}-{number}.json"), bytes);
    }
    many.stand
        .drop_file(&format!("lane{unlinked}/canaryfolder/canaryfile.json"), planted(lanes).to_string().as_bytes());
    many.stand.start_daemon();
    let total = bad_days.len() + wrong.len() + 1;
    many.stand.wait("all have come to an end", || {
        let why = many.why();
        let ends = |why: &Value| !["claimed", "sending", "waiting"].contains(&why["outcome"].as_str().unwrap());
        // Those whose account or person is blocked stay ready.
        let ready = why.values().filter(|why| why["outcome"] == "ready").count();
        why.len() == total && why.values().all(ends) && ready <= 6
    });
    many.stand.sandbox.expire_access_token(&many.lanes[1].person.id);
    many.stand.ok(&["tokens", "refresh", "--contract", "lane1"]);
    let broken = many.stand.path("broken.json");
    fs::write(&broken, many.lanes[1].person.tokens.to_string().replace("expiry", "expires")).unwrap();
    let one = many.stand.path("inbox/one.json");
    fs::write(&one, &wrong[0]).unwrap();
    let (broken, one) = (broken.display().to_string(), one.display().to_string());
    let commands: Vec<Vec<&str>> = vec![
        vec!["status"],
        vec!["--json", "status"],
        vec!["doctor"],
        vec!["--json", "doctor"],
        vec!["tokens", "status"],
        vec!["--json", "tokens", "status"],
        vec!["tokens", "import", "--contract", "lane1", &broken],
        vec!["accounts", "ls"],
        vec!["accounts", "sync", "--contract", "lane1"],
        vec!["--json", "links", "ls"],
        vec!["queue", "ls", "ALL"],
        vec!["queue", "why", "ALL"],
        vec!["queue", "show", "ALL"],
        vec!["--json", "queue", "ls", "ALL"],
        vec!["--json", "queue", "why", "ALL"],
        vec!["--json", "queue", "show", "ALL"],
        vec!["--json", "validate", &one],
        vec!["route", &one],
        vec!["run", "--once"],
    ];
    let mut said: Vec<(String, Vec<u8>)> = Vec::new();
    for arguments in &commands {
        let output = many.stand.run(arguments);
        said.push((format!("pushbridge {arguments:?}"), [output.stdout, output.stderr].concat()));
    }
    let find = json!({"question": "find", "selector": {"words": [], "all": true, "stage": null, "channel": null, "since": null, "open": false, "limit": 0}});
    said.extend(asked(
        &many,
        &[
            json!({"question": "status"}),
            json!({"question": "tokens"}),
            json!({"question": "accounts", "contract": null}),
            json!({"question": "links", "channel": null}),
            find,
            json!({"question": "CANARYKEY"}),
            json!("CANARYNOTE"),
        ],
    ));
    assert_eq!(many.stand.stop_daemon(), Some(0));
    said.push(("pushbridge store export".to_owned(), many.stand.run(&["store", "export"]).stdout));
    let log = many.stand.log().into_bytes();
    let secrets = secrets(&many);
    let mut leaks = Vec::new();
    let mut search = |place: &str, bytes: &[u8], words: &mut dyn Iterator<Item = &str>| {
        leaks.extend(words.filter(|word| holds(bytes, word)).map(|word| format!("{word} in {place}")));
    };
    let secret = || secrets.iter().map(String::as_str);
    search("the log", &log, &mut secret().chain(CONTENTS).chain(NAMES).chain([STRUCTURE]));
    for (place, bytes) in &said {
        // `validate` in a terminal shows whoever holds a file its own lines; by --json it quotes nothing.
        // The one question that is no question comes back by its kind of fault, never by its words.
        search(place, bytes, &mut secret().chain(CONTENTS));
    }
    let mut found = BTreeMap::new();
    files(&many.stand.path("channels"), &mut found);
    let reports: Vec<_> = found.iter().filter(|(path, _)| path.to_string_lossy().contains(".report.")).collect();
    for (path, bytes) in &reports {
        search(&path.display().to_string(), bytes, &mut secret().chain(CONTENTS));
    }
    let mut state = BTreeMap::new();
    files(&many.stand.path("state"), &mut state);
    for (path, bytes) in state.iter().filter(|(path, _)| !path.ends_with("links.key")) {
        let key = secret().filter(|word| *word != "eyJ");
        search(&path.display().to_string(), bytes, &mut key.chain(CONTENTS));
    }
    assert!(reports.len() > total, "two reports for each file that ended");
    println!(
        "canary: {} words searched for in {} lines of log, {} outputs, {} reports and {} files of the store",
        secrets.len() + CONTENTS.len() + NAMES.len() + 1,
        many.stand.log().lines().count(),
        said.len(),
        reports.len(),
        state.len()
    );
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
