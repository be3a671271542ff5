//! How files arrive: slowly, cut off, hostile, with strange names.

use super::stand::{Stand, names, sample};
use std::{
    fs,
    io::Write,
    os::unix::ffi::OsStringExt,
    time::{Duration, Instant, SystemTime},
};

#[test]
fn a_file_that_is_written_slowly_is_sent_whole() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.start_daemon();
    let bytes = sample("valid/weight-batch.json");
    fs::create_dir_all(stand.path("inbox/alex")).unwrap();
    let mut file = fs::File::create(stand.path("inbox/alex/slow.json")).unwrap();
    // Pauses longer than `quiet`: the file rests, and its JSON is not whole. The pace is what is tested.
    for piece in bytes.chunks(bytes.len() / 4 + 1) {
        file.write_all(piece).unwrap();
        file.sync_all().unwrap();
        std::thread::sleep(Duration::from_millis(250));
    }
    stand.wait_for_stage("alex/slow.json", "delivered");
    assert_eq!(stand.sandbox.received().len(), 1);
    assert_eq!(stand.received(&bytes).len(), 1);
}

#[test]
fn an_old_modification_time_makes_no_file_complete() {
    let mut stand = Stand::new(
        "[channel.clinic]\ncontract = \"main\"\ninbox = \"inbox\"\nquiet = \"700ms\"\n[channel.clinic.route]\nfolder = true\n",
    );
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.start_daemon();
    fs::create_dir_all(stand.path("inbox/alex")).unwrap();
    let begun = Instant::now();
    let path = stand.path("inbox/alex/old.json");
    fs::write(&path, sample("valid/weight-batch.json")).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    stand.wait_for_stage("alex/old.json", "delivered");
    assert!(begun.elapsed() >= Duration::from_millis(700), "it rests on our own clock");
}

#[test]
fn strange_names_links_and_unfinished_files_do_no_harm() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let inbox = stand.path("inbox/alex");
    fs::create_dir_all(&inbox).unwrap();
    let bytes = sample("valid/weight-batch.json");
    let strange = [
        b"new\nline.json".to_vec(),
        b"not-utf8-\xff.json".to_vec(),
        [vec![b'x'; 250], b".json".to_vec()].concat(),
        b"--force.json".to_vec(),
    ];
    for (number, name) in strange.iter().enumerate() {
        let text = String::from_utf8(bytes.clone()).unwrap().replace("72", &format!("7{number}"));
        fs::write(inbox.join(std::ffi::OsString::from_vec(name.clone())), text).unwrap();
    }
    fs::write(stand.path("secret.json"), &bytes).unwrap();
    std::os::unix::fs::symlink(stand.path("secret.json"), inbox.join("link.json")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        inbox.join("pipe.json"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for ignored in [".hidden.json", "a.json.tmp", "b.part", "c.filepart", "d.crdownload"] {
        fs::write(inbox.join(ignored), &bytes).unwrap();
    }
    fs::write(inbox.join("empty.json"), b"").unwrap();
    stand.start_daemon();
    stand.wait("four are delivered", || stand.sandbox.received().len() == 4);
    stand.wait("the others are told", || {
        let status = stand.ok(&["status"]);
        status.contains("alex/link.json: it is a link") && status.contains("alex/pipe.json: it is a link")
    });
    stand.wait("what was set aside is removed", || !names(&inbox).iter().any(|name| name.starts_with(".pushbridge-")));
    assert_eq!(
        names(&inbox),
        [".hidden.json", "a.json.tmp", "b.part", "c.filepart", "d.crdownload", "empty.json", "link.json", "pipe.json"]
    );
    assert_eq!(stand.sandbox.received().len(), 4);
}

#[test]
fn a_copy_does_not_change_when_the_exporter_goes_on_writing() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let headers = std::collections::BTreeMap::from([("retry-after".to_owned(), "1".to_owned())]);
    let wait = pushbridge::sandbox::Fault::Status { status: 503, headers, body: String::new() };
    stand.sandbox.order(pushbridge::sandbox::Target::Push, wait, 1);
    stand.start_daemon();
    let bytes = sample("valid/weight-batch.json");
    fs::create_dir_all(stand.path("inbox/alex")).unwrap();
    let mut file = fs::File::create(stand.path("inbox/alex/open.json")).unwrap();
    file.write_all(&bytes).unwrap();
    stand.wait("it is claimed", || !stand.records().is_empty());
    file.write_all(b"more").unwrap();
    // More that comes before the claimed file has left the inbox makes it another file, which has a record of its own.
    let digest = pushbridge::model::Digest::of(&bytes).to_string();
    let copy = || stand.records().into_iter().find(|record| record["submission"]["digest"] == digest.as_str()).unwrap();
    stand.wait("the copy is delivered", || copy()["submission"]["stage"]["stage"] == "delivered");
    assert_eq!(stand.received(&bytes).len(), 1);
}

/// How often the daemon's threads of this name have gone to sleep so far.
fn waits_of_threads(stand: &Stand, name: &str) -> u64 {
    let tasks = fs::read_dir(stand.proc("task")).unwrap().map(|task| task.unwrap().path());
    let named = tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name));
    let waits = named.map(|task| {
        let status = fs::read_to_string(task.join("status")).unwrap();
        let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        waits.trim().parse::<u64>().unwrap()
    });
    waits.sum()
}

#[test]
fn an_idle_daemon_does_not_scan_itself_awake() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.start_daemon();
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    stand.wait_for_stage("alex/weight.json", "delivered");
    // What the delivery left to do is done a moment later; then nothing but a rescan every ten seconds is.
    let busiest = || {
        let before = waits_of_threads(&stand, "inbox-clinic");
        std::thread::sleep(std::time::Duration::from_secs(1));
        waits_of_threads(&stand, "inbox-clinic") - before
    };
    let quiet = (0..5).map(|_| busiest()).min().unwrap();
    assert!(quiet <= 3, "its inbox' thread woke {quiet} times in a second of rest");
}

#[test]
fn once_names_the_files_that_have_not_come_to_rest_when_the_time_is_up() {
    let stand = Stand::by_folder();
    stand.drop_file("alex/cut.json", br#"{"resourceType": "Bundle", "type": "#);
    let output = stand.run(&["--json", "run", "--once", "--max-time", "1s"]);
    assert_eq!(output.status.code(), Some(7));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["settling"]["clinic"], serde_json::json!(["alex/cut.json"]));
    assert!(stand.path("inbox/alex/cut.json").exists());
}

#[test]
fn once_says_what_it_leaves_in_the_inbox_and_by_its_code_that_it_could_not_look() {
    let stand = Stand::by_folder();
    std::fs::create_dir_all(stand.path("inbox/alex")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", stand.path("inbox/alex/link.json")).unwrap();
    let output = stand.run(&["run", "--once", "--max-time", "30s"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("left in the inbox: alex/link.json: it is a link"), "{told}");
    let why = stand.run(&["queue", "why", "link.json"]);
    assert_eq!(why.status.code(), Some(1));
    assert!(String::from_utf8(why.stdout).unwrap().contains("alex/link.json is in the inbox of channel clinic"));

    std::fs::rename(stand.path("inbox"), stand.path("elsewhere")).unwrap();
    let output = stand.run(&["run", "--once", "--max-time", "30s"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stdout).unwrap().contains("the inbox cannot be read"));
}

#[test]
fn an_inbox_that_goes_and_comes_back_is_watched_again() {
    // Events alone can tell of the files: the next rescan is an hour away.
    let mut stand = Stand::new(
        "[channel.clinic]\ncontract = \"main\"\ninbox = \"inbox\"\nquiet = \"100ms\"\nrescan = \"1h\"\n\
         [channel.clinic.route]\nfolder = true\n",
    );
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.start_daemon();
    for name in ["first", "second"] {
        stand.drop_file(
            &format!("alex/{name}.json"),
            &sample(&format!("valid/{}.json", if name == "first" { "weight-batch" } else { "glucose-batch" })),
        );
        stand.wait_for_stage(&format!("alex/{name}.json"), "delivered");
        std::fs::rename(stand.path("inbox"), stand.path(name)).unwrap();
        stand.wait("the daemon says that the inbox is gone", || {
            stand.ok(&["status"]).contains("the inbox cannot be read")
        });
        std::fs::create_dir(stand.path("inbox")).unwrap();
        stand.wait("the daemon finds the inbox again", || !stand.ok(&["status"]).contains("the inbox cannot be read"));
    }
}

#[test]
fn what_had_to_give_way_to_a_later_file_of_its_name_is_claimed_before_it() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let inbox = stand.path("inbox/alex");
    fs::create_dir_all(&inbox).unwrap();
    let numbered = |number: usize| [sample("valid/weight-batch.json"), vec![b' '; number]].concat();
    for number in 1..=4 {
        fs::write(inbox.join(format!("{number}.json")), numbered(number)).unwrap();
        fs::write(inbox.join(format!("pushbridge-0010000000000-{number}.json")), numbered(10 + number)).unwrap();
    }
    stand.start_daemon();
    stand.wait("all are delivered", || stand.sandbox.received_count() == 8);
    stand.wait("the inbox is empty", || names(&inbox).is_empty());
    let id = |path: &str| stand.record(path)["submission"]["id"].as_str().unwrap().to_owned();
    for number in 1..=4 {
        let earlier = id(&format!("alex/pushbridge-0010000000000-{number}.json"));
        assert!(earlier < id(&format!("alex/{number}.json")), "the one that stood there first was claimed first");
    }
    assert_eq!(stand.stop_daemon(), Some(0));
}
