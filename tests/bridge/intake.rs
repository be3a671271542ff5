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
        status.contains("alex/link.json (not-regular)") && status.contains("alex/pipe.json (not-regular)")
    });
    let left = names(&inbox);
    assert_eq!(
        left,
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
    stand.wait_for_stage("alex/open.json", "delivered");
    assert_eq!(stand.received(&bytes).len(), 1);
}
