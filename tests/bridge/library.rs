//! Library pushes: any file, from the drop folder to the library, with the built program and the sandbox.

use super::stand::{Stand, names};
use pushbridge::{
    model::Digest,
    sandbox::{Fault, NewPerson, Target},
};
use std::{collections::BTreeMap, fs};

const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0";
const STRANGE: &[u8] = b"\x00\x01\x02\xff nobody knows what this is";

/// A library channel `clinic`.
fn stand(settings: &str, route: &str) -> Stand {
    Stand::new(&format!(
        "[channel.clinic]\ntype = \"library\"\ncontract = \"main\"\ninbox = \"inbox\"\nquiet = \"100ms\"\n{settings}\
         [channel.clinic.route]\n{route}"
    ))
}

fn by_folder() -> (Stand, NewPerson) {
    let stand = stand("", "folder = true\n");
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    (stand, person)
}

#[test]
fn any_file_goes_byte_for_byte_with_its_media_type() {
    let (stand, person) = by_folder();
    let table = b"date;value\n2026-11-24;7\n";
    let cut_json = b"{\"resourceType\": \"Bundle\", \"entry\": [";
    let files: [(&str, &[u8], &str); 5] = [
        ("alex/letter.pdf", PDF, "application/pdf"),
        ("alex/scan.jpg", PNG, "image/png"),
        ("alex/values.csv", table, "text/csv"),
        ("alex/strange.bin7", STRANGE, "application/octet-stream"),
        // Nobody reads it: what is no whole JSON is a file like any other.
        ("alex/cut.json", cut_json, "application/json"),
    ];
    for (name, bytes, _) in files {
        stand.drop_file(name, bytes);
    }
    assert_eq!(stand.once(), 0);
    for (name, bytes, mime_type) in files {
        let received = stand.received(bytes);
        assert_eq!(received.len(), 1, "{name}");
        assert_eq!((received[0].kind, received[0].body.as_deref()), ("library", Some(bytes)), "{name}");
        assert_eq!(received[0].account_id, person.accounts[0].id);
        let described = received[0].described.as_ref().unwrap();
        assert_eq!((described.mime_type.as_str(), described.tags.len()), (mime_type, 0), "{name}");
        assert_eq!(described.accounts, [person.accounts[0].id.clone()]);
    }
    let stats = stand.sandbox.stats();
    assert_eq!((stats.requests["library"], stats.requests.get("push"), stats.refused.len()), (5, None, 0));
    assert!(names(&stand.path("inbox/alex")).is_empty() && names(&stand.path("channels/clinic/work")).is_empty());
    let record = stand.record("alex/letter.pdf");
    let report = record["report"].as_str().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!((&json["push"], &json["outcome"]), (&"library".into(), &"delivered".into()));
    let facts = serde_json::json!({"mimeType": "application/pdf", "found_by": "content", "references": 0, "tags": 0});
    assert_eq!(json["library"], facts);
    let text = fs::read_to_string(report.replace(".report.json", ".report.txt")).unwrap();
    assert!(text.contains("push       library push as application/pdf, by its content"), "{text}");
    let why = stand.ok(&["queue", "why", "scan.jpg"]);
    assert!(why.contains("library push as image/png, by its content, claimed"), "{why}");
}

#[test]
fn a_sidecar_of_labels_alone_leaves_the_account_to_other_evidence() {
    let stand = stand("sidecar = true\n[channel.clinic.library]\ntags = [\"letter\"]\n", "folder = true\n");
    let person = stand.person(&["clinic", "other"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let other = format!(r#"{{"accountReference": "{}", "tags": ["x-ray"]}}"#, person.accounts[1].reference);
    let both = format!(r#"{{"accountReference": "{}", "key": "k"}}"#, person.accounts[0].reference);
    let labels = r#"{"tags": ["x-ray"]}"#.to_owned();
    let files = [
        ("alex/labels.pdf", labels.clone(), "delivered"),
        ("alex/nothing.pdf", "{}".to_owned(), "delivered"),
        ("nobody/labels.pdf", labels.clone(), "unlinked"),
        ("labels.pdf", labels, "no-evidence"),
        ("alex/contradiction.pdf", other, "contradiction"),
        ("alex/both.pdf", both, "sidecar-unreadable"),
        ("alex/odd.pdf", r#"{"accountReference": 7}"#.to_owned(), "sidecar-unreadable"),
    ];
    let bytes = |name: &str| [PDF, name.as_bytes()].concat();
    for (name, sidecar, _) in &files {
        stand.drop_file(name, &bytes(name));
        stand.drop_file(&format!("{name}.route.json"), sidecar.as_bytes());
    }
    assert_eq!(stand.once(), 1);
    for (name, _, wanted) in &files {
        let stage = stand.record(name)["submission"]["stage"].clone();
        assert_eq!(stage["why"].as_str().or(stage["stage"].as_str()), Some(*wanted), "{name}");
    }
    let tags = |name: &str| {
        let received = stand.received(&bytes(name));
        assert_eq!((received.len(), &received[0].account_id), (1, &person.accounts[0].id), "{name}");
        received[0].described.clone().unwrap().tags
    };
    assert_eq!((tags("alex/labels.pdf"), tags("alex/nothing.pdf")), (vec!["x-ray".into()], vec!["letter".into()]));
    assert_eq!(stand.sandbox.received_count(), 2);
}

#[test]
fn a_sidecar_gives_account_reference_and_tags_and_the_channel_the_rest() {
    let settings =
        "sidecar = true\n[channel.clinic.library]\nreference = [\"ward-7\"]\ntags = [\"letter\", \"2026\"]\n";
    let stand = stand(settings, "");
    let person = stand.person(&["clinic"]);
    let reference = &person.accounts[0].reference;
    let sidecars = [
        ("own.pdf", format!(r#"{{"accountReference": "{reference}", "reference": "case-9", "tags": ["x-ray"]}}"#)),
        ("channels.pdf", format!(r#"{{"accountReference": "{reference}"}}"#)),
        ("none.pdf", format!(r#"{{"accountReference": "{reference}", "tags": []}}"#)),
        ("wrong.pdf", format!(r#"{{"accountReference": "{reference}", "tags": "letter"}}"#)),
        ("long.pdf", format!(r#"{{"accountReference": "{reference}", "reference": ["{}"]}}"#, "x".repeat(129))),
        ("nobody.pdf", r#"{"tags": ["letter"]}"#.to_owned()),
        ("unread.pdf", "no JSON".to_owned()),
    ];
    let bytes = |name: &str| [PDF, name.as_bytes()].concat();
    for (name, sidecar) in &sidecars {
        stand.drop_file(name, &bytes(name));
        stand.drop_file(&format!("{name}.route.json"), sidecar.as_bytes());
    }
    assert_eq!(stand.once(), 1);
    let described = |name: &str| {
        let received = stand.received(&bytes(name));
        assert_eq!(received.len(), 1, "{name}");
        let described = received[0].described.clone().unwrap();
        (described.reference.join(" "), described.tags.join(" "))
    };
    assert_eq!(described("own.pdf"), ("case-9".to_owned(), "x-ray".to_owned()));
    assert_eq!(described("channels.pdf"), ("ward-7".to_owned(), "letter 2026".to_owned()));
    assert_eq!(described("none.pdf"), ("ward-7".to_owned(), String::new()));
    let stage = |name: &str| stand.record(name)["submission"]["stage"].clone();
    assert_eq!((&stage("wrong.pdf")["why"], &stage("wrong.pdf")["member"]), (&"sidecar-labels".into(), &"tags".into()));
    assert_eq!(stage("long.pdf")["what"], "one of them is longer than 128 bytes");
    assert_eq!(stage("nobody.pdf")["why"], "no-evidence");
    assert_eq!(stage("unread.pdf")["why"], "sidecar-unreadable");
    assert_eq!(stand.sandbox.received_count(), 3);
    let why = stand.ok(&["queue", "why", "wrong.pdf"]);
    assert!(why.contains("its sidecar's tags cannot be used: this is no list of texts"), "{why}");
    assert!(stand.ok(&["queue", "why", "own.pdf"]).contains(", 1 reference, 1 tag, claimed"));
}

#[test]
fn the_same_bytes_again_are_a_duplicate_but_not_of_a_provider_push() {
    let other = "[channel.bundles]\ncontract = \"main\"\ninbox = \"bundles\"\nquiet = \"100ms\"\n[channel.bundles.route]\nfolder = true\n";
    let stand = stand("", &format!("folder = true\n{other}"));
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.ok(&["links", "add", "bundles", "folder", "alex", &person.accounts[0].reference]);
    let bundle = super::stand::sample("valid/weight-batch.json");
    fs::create_dir_all(stand.path("bundles/alex")).unwrap();
    // Both at once, then each again.
    fs::write(stand.path("bundles/alex/weight.json"), &bundle).unwrap();
    stand.drop_file("alex/letter.json", &bundle);
    assert_eq!(stand.once(), 0);
    fs::write(stand.path("bundles/alex/again.json"), &bundle).unwrap();
    stand.drop_file("alex/once-more.json", &bundle);
    assert_eq!(stand.once(), 0);
    let mut kinds: Vec<_> = stand.received(&bundle).iter().map(|push| push.kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["library", "provider"]);
    for (first, again) in [("alex/weight.json", "alex/again.json"), ("alex/letter.json", "alex/once-more.json")] {
        let (first, again) = (stand.record(first), stand.record(again));
        assert_eq!(again["submission"]["stage"]["of"], first["submission"]["id"]);
    }
    assert_eq!(names(&stand.path("channels/clinic/duplicates")).len(), 3);
}

#[test]
fn trouble_before_an_answer_costs_nothing() {
    let (mut stand, _) = by_folder();
    let headers = BTreeMap::from([("retry-after".to_owned(), "0".to_owned())]);
    stand.sandbox.order(Target::Library, Fault::Status { status: 503, headers, body: String::new() }, 2);
    stand.start_daemon();
    stand.drop_file("alex/letter.pdf", PDF);
    stand.wait_for_stage("alex/letter.pdf", "delivered");
    assert_eq!(stand.received(PDF).len(), 1);
    assert_eq!(stand.log().matches("destination paused").count(), 1);
    assert!(!stand.log().contains("letter"), "no file's name in the log: {}", stand.log());
}

#[test]
fn silence_is_unknown_and_nothing_is_sent_twice_by_itself() {
    let (mut stand, _) = by_folder();
    stand.sandbox.order(Target::Library, Fault::Hang, 1);
    stand.start_daemon();
    stand.drop_file("alex/letter.pdf", PDF);
    stand.wait_for_stage("alex/letter.pdf", "unknown");
    // The destination opens by a probe, and the next file goes.
    stand.drop_file("alex/scan.png", PNG);
    stand.wait_for_stage("alex/scan.png", "delivered");
    assert_eq!((stand.received(PDF).len(), stand.stage("alex/letter.pdf").as_str()), (1, "unknown"));
    stand.ok(&["queue", "release", "letter.pdf"]);
    stand.wait_for_stage("alex/letter.pdf", "delivered");
    assert_eq!(stand.received(PDF).len(), 2);
}

#[test]
fn a_stale_token_is_renewed_and_the_file_is_sent_once_more() {
    let (stand, person) = by_folder();
    stand.sandbox.expire_access_token(&person.id);
    stand.drop_file("alex/letter.pdf", PDF);
    assert_eq!(stand.once(), 0);
    assert_eq!((stand.received(PDF).len(), stand.sandbox.stats().refreshes), (1, 1));
}

#[test]
fn a_large_file_is_streamed_within_little_memory() {
    const SIZE: usize = 64 << 20;
    // A few blocks of each copy, and what allocators keep: a quarter of the file at most.
    const MOST: u64 = 16;
    let (mut stand, _) = by_folder();
    let mut bytes = b"II*\0".to_vec();
    bytes.extend((0..SIZE).map(|index| (index % 251) as u8));
    stand.start_daemon();
    stand.drop_file("alex/letter.pdf", PDF);
    stand.wait_for_stage("alex/letter.pdf", "delivered");
    let before = stand.peak_megabytes();
    stand.drop_file("alex/scan.dat", &bytes);
    stand.wait_for_stage("alex/scan.dat", "delivered");
    let received = stand.received(&bytes);
    assert_eq!((received.len(), received[0].size), (1, bytes.len()));
    assert_eq!(received[0].described.as_ref().unwrap().mime_type, "image/tiff");
    let peak = stand.peak_megabytes();
    println!("{before} MB with a small file, {peak} MB with a large one");
    assert!(peak <= before + MOST, "{before} MB, then {peak} MB");
}

#[test]
fn a_file_that_would_take_the_disk_s_reserve_stays_and_smaller_ones_go() {
    let (stand, _) = by_folder();
    let disk = rustix::fs::statvfs(stand.folder.path()).unwrap();
    let free = disk.f_bavail * disk.f_frsize;
    // Others use this disk too: wide margins.
    let config = fs::read_to_string(stand.path("pushbridge.toml")).unwrap();
    let config = config.replace("min_free = \"1MB\"", &format!("min_free = \"{}B\"", free / 10 * 9));
    fs::write(stand.path("pushbridge.toml"), config.replace("quiet", "max_size = \"999999GB\"\nquiet")).unwrap();
    stand.drop_file("alex/large.bin", b"x");
    // Without bytes of its own on the disk.
    let large = fs::File::options().write(true).open(stand.path("inbox/alex/large.bin")).unwrap();
    large.set_len(free / 5).unwrap();
    stand.drop_file("alex/letter.pdf", PDF);
    let mut stand = stand;
    stand.start_daemon();
    stand.wait_for_stage("alex/letter.pdf", "delivered");
    let told = "left in the inbox: alex/large.bin: there is not enough free disk";
    stand.wait("it is told", || stand.ok(&["status"]).contains(told));
    // Shorter now, it fits.
    large.set_len(1).unwrap();
    stand.wait_for_stage("alex/large.bin", "delivered");
}

#[test]
fn hostile_names_arrive_and_stay_in_their_folders() {
    use std::os::unix::ffi::OsStringExt as _;
    let (stand, _) = by_folder();
    let long = [vec![b'n'; 240], b".pdf".to_vec()].concat();
    let strange: [&[u8]; 7] = [
        b"-rf.pdf",
        b"a\nb\"c'$(reboot).pdf",
        b"up\\..\\..\\up.pdf",
        b"\xff\xfe\x80.pdf",
        b"two.pdf.exe",
        b"FileDescriptor: x\r\nHost: other.pdf",
        &long,
    ];
    fs::create_dir_all(stand.path("inbox/alex")).unwrap();
    let bytes = |number: usize| [PDF, number.to_string().as_bytes()].concat();
    for (number, name) in strange.iter().enumerate() {
        let name = std::ffi::OsString::from_vec(name.to_vec());
        fs::write(stand.path("inbox/alex").join(name), bytes(number)).unwrap();
    }
    assert_eq!(stand.once(), 0);
    for number in 0..strange.len() {
        let received = stand.received(&bytes(number));
        assert_eq!(
            (received.len(), received[0].described.as_ref().unwrap().mime_type.as_str()),
            (1, "application/pdf")
        );
    }
    assert_eq!(names(&stand.path("channels/clinic/done")).len(), 3 * strange.len());
    assert!(names(&stand.path("inbox/alex")).is_empty());
}

#[test]
fn an_empty_file_is_waited_for_and_refused_with_the_reason() {
    let stand = stand("truncated_limit = \"300ms\"\n", "folder = true\n");
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.drop_file("alex/empty.pdf", b"");
    stand.drop_file("alex/blank.txt", b" \n");
    assert_eq!(stand.once(), 1);
    assert_eq!(stand.record("alex/empty.pdf")["submission"]["stage"]["why"], "it is empty: there is nothing to send");
    assert_eq!(stand.stage("alex/blank.txt"), "delivered");
    assert_eq!(stand.sandbox.received_count(), 1);
}

#[test]
fn a_channel_that_changes_its_type_sends_nothing_that_it_claimed_before() {
    let stand = stand("", "folder = true\n");
    let config = stand.path("pushbridge.toml");
    let library = fs::read_to_string(&config).unwrap();
    let bundles = library.replace("type = \"library\"", "type = \"provider\"");
    let person = stand.person(&["clinic"]);
    // A Bundle that is held until its folder is linked; by then the channel is for the library.
    fs::write(&config, bundles).unwrap();
    let bundle = super::stand::sample("invalid/binding/gender.json");
    let valid = super::stand::sample("valid/weight-batch.json");
    stand.drop_file("alex/weight.json", &valid);
    stand.drop_file("alex/gender.json", &bundle);
    assert_eq!(stand.once(), 1);
    assert_eq!(stand.stage("alex/gender.json"), "refused");
    fs::write(&config, &library).unwrap();
    stand.link_folder("alex", &person.accounts[0].reference);
    assert_eq!(stand.once(), 1);
    let stage = stand.record("alex/weight.json")["submission"]["stage"].clone();
    assert_eq!((&stage["why"], &stage["claimed"]), (&"other-push".into(), &"provider".into()));
    let why = stand.ok(&["queue", "why", "weight.json"]);
    assert!(why.contains("channel.clinic.type = \"provider\" again"), "{why}");
    assert_eq!(stand.sandbox.received_count(), 0);
}

#[test]
fn route_and_status_name_the_type_of_push() {
    let (stand, person) = by_folder();
    stand.drop_file("alex/letter.pdf", PDF);
    stand.drop_file("robin/letter.pdf", STRANGE);
    let file = |folder: &str| stand.path("inbox").join(folder).join("letter.pdf").display().to_string();
    let told = stand.ok(&["route", &file("alex")]);
    assert!(told.contains("library push as application/pdf, by its content"), "{told}");
    assert!(told.contains(&format!("would go to account {}", person.accounts[0].reference)), "{told}");
    let held = stand.run(&["--json", "route", &file("robin")]);
    assert_eq!(held.status.code(), Some(1));
    let held: serde_json::Value = serde_json::from_slice(&held.stdout).unwrap();
    assert_eq!((&held["push"], &held["held"]["why"]), (&"library".into(), &"unlinked".into()));
    assert_eq!(held["library"]["mime_type"], "application/octet-stream", "it has a PDF's name and is none");
    assert!(stand.sandbox.received().is_empty() && stand.records().is_empty());
    assert_eq!(stand.once(), 1);
    let status = stand.ok(&["status"]);
    assert!(status.lines().any(|line| line.starts_with("library") && line.contains('1')), "{status}");
    assert_eq!(stand.received(PDF)[0].sha256, Digest::of(PDF));
}
