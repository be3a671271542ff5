//! A package registry on this machine, whose answers the test writes down, and packages to put into it.

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// What a path is answered with.
#[derive(Clone)]
pub(crate) enum Reply {
    /// 200 with these bytes.
    Body(Vec<u8>),
    /// A status with a header line.
    Status(&'static str, String),
    /// 200, and more bytes than anybody wants, without a word on how many.
    Endless,
    /// 200, and the claim of a terabyte.
    Terabyte,
    /// Fewer bytes than were promised.
    CutOff,
}

type Answers = Arc<Mutex<BTreeMap<String, Reply>>>;

/// The registry; its thread ends with the test.
pub(crate) struct Registry {
    pub(crate) url: String,
    answers: Answers,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/npm", listener.local_addr().unwrap());
        let (answers, asked) = (Answers::default(), Arc::<Mutex<Vec<String>>>::default());
        let (known, heard) = (answers.clone(), asked.clone());
        std::thread::spawn(move || {
            for peer in listener.incoming() {
                let (known, heard) = (known.clone(), heard.clone());
                // a peer that went away is the test's own program, which has what it wanted
                std::thread::spawn(move || drop(answer(peer.unwrap(), &known, &heard)));
            }
        });
        Self { url, answers, asked }
    }

    pub(crate) fn says(&self, path: &str, reply: Reply) {
        self.answers.lock().unwrap().insert(format!("/npm/{path}"), reply);
    }

    /// Publishes packages of one name, each with its digests.
    pub(crate) fn publishes(&self, name: &str, versions: &[(&str, &[u8])]) {
        let mut listed = serde_json::Map::new();
        for (version, bytes) in versions {
            let mut sha1 = pushbridge::model::Sha1::new();
            sha1.update(bytes);
            let shasum: String = sha1.finish().iter().map(|byte| format!("{byte:02x}")).collect();
            let tarball = format!("{}/-/{name}-{version}.tgz", self.url);
            let dist = json!({"tarball": tarball, "shasum": shasum});
            listed.insert((*version).to_owned(), json!({"name": name, "version": version, "dist": dist}));
            self.says(&format!("-/{name}-{version}.tgz"), Reply::Body(bytes.to_vec()));
        }
        self.lists(name, &Value::Object(listed));
    }

    pub(crate) fn lists(&self, name: &str, versions: &Value) {
        let listing = json!({"_id": name, "name": name, "dist-tags": {"latest": "9.9.9"}, "versions": versions});
        self.says(name, Reply::Body(listing.to_string().into_bytes()));
    }

    /// The paths that were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut peer: TcpStream, known: &Answers, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(peer.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines.by_ref() {
        let line = line?;
        assert!(!line.to_ascii_lowercase().starts_with("authorization"), "no secret goes to a registry");
        if line.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    heard.lock().unwrap().push(path.clone());
    let reply = known.lock().unwrap().get(&path).cloned();
    match reply.unwrap_or(Reply::Status("404 Not Found", String::new())) {
        Reply::Body(bytes) => {
            write!(peer, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", bytes.len())?;
            peer.write_all(&bytes)
        }
        Reply::Status(status, header) => {
            write!(peer, "HTTP/1.1 {status}\r\n{header}connection: close\r\ncontent-length: 0\r\n\r\n")
        }
        Reply::Endless => {
            write!(peer, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            loop {
                peer.write_all(&[b' '; 65536])?;
            }
        }
        Reply::Terabyte => {
            write!(peer, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1099511627776\r\n\r\n ")
        }
        Reply::CutOff => write!(peer, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{{"),
    }
}

/// A profile on Patient.
pub(crate) fn profile(url: &str, base: &str) -> Value {
    json!({"resourceType": "StructureDefinition", "url": url, "name": "a", "status": "draft", "fhirVersion": "3.0.2",
        "kind": "resource", "abstract": false, "type": "Patient", "derivation": "constraint", "baseDefinition": base,
        "differential": {"element": [{"path": "Patient.name", "min": 1}]}})
}

/// The files of a package with one profile.
pub(crate) fn files(name: &str, version: &str, needs: &Value) -> Vec<(String, String)> {
    let manifest = json!({"name": name, "version": version, "fhirVersions": ["3.0.2"], "dependencies": needs});
    let url = format!("http://example.org/fhir/StructureDefinition/{name}-{version}");
    let base = "http://hl7.org/fhir/StructureDefinition/Patient";
    vec![
        ("package.json".to_owned(), manifest.to_string()),
        ("StructureDefinition-a.json".to_owned(), profile(&url, base).to_string()),
    ]
}

/// A package with one profile.
pub(crate) fn package(name: &str, version: &str, needs: &Value) -> Vec<u8> {
    let files = files(name, version, needs).into_iter().map(|(name, content)| (name, content.into_bytes()));
    pushbridge::stu3::package::pack(&files.collect()).unwrap()
}
