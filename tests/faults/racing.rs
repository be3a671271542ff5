//! Files that change while they are looked at: swapped for links, replaced, written on; and names that mean
//! something to somebody. What is sent is one of the contents that a careful writer left there, whole.

use super::{
    many::bundle,
    run::{Draws, count},
    stand::{Stand, names},
};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    io::Write,
    os::unix::{ffi::OsStringExt, fs::symlink},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

fn stand() -> Stand {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    for folder in ["alex", "robin"] {
        stand.link_folder(folder, &person.accounts[0].reference);
    }
    fs::create_dir_all(stand.path("inbox/alex")).unwrap();
    fs::create_dir_all(stand.path("inbox/robin")).unwrap();
    stand
}

/// A Bundle that must never leave: it lies outside the inbox.
fn secret() -> Vec<u8> {
    let text = String::from_utf8(bundle(0)).unwrap();
    [text.replace("kg", "kg ").into_bytes(), b" \t\t\t".to_vec()].concat()
}

fn holds_secret(folder: &Path) -> bool {
    let wanted = secret();
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() { holds_secret(&path) } else { fs::read(&path).is_ok_and(|bytes| bytes == wanted) }
    })
}

#[test]
fn a_link_that_takes_a_files_place_leads_nowhere() {
    let mut stand = stand();
    let outside = stand.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret.json"), secret()).unwrap();
    stand.start_daemon();
    let done = AtomicBool::new(false);
    let rounds = count(400, 20_000);
    let inbox = stand.path("inbox");
    let swaps = thread::scope(|scope| {
        // A folder of the inbox is the outside folder for a moment, again and again.
        let folders = scope.spawn(|| {
            let (folder, away) = (inbox.join("robin"), stand.path("away"));
            let mut swaps = 0;
            while !done.load(Ordering::Relaxed) {
                if fs::rename(&folder, &away).is_ok() {
                    symlink(&outside, &folder).unwrap();
                    thread::sleep(Duration::from_millis(2));
                    fs::remove_file(&folder).unwrap();
                    fs::rename(&away, &folder).unwrap();
                    swaps += 1;
                }
                thread::sleep(Duration::from_millis(1));
            }
            swaps
        });
        for round in 0..rounds {
            // A file that came to rest becomes a link in the moment before or after it is opened.
            let (file, link) =
                (inbox.join(format!("alex/{}.json", round % 16)), stand.path(&format!("link{}", round % 16)));
            let draft = stand.path("draft");
            fs::write(&draft, bundle(round % 16)).unwrap();
            fs::rename(&draft, &file).unwrap();
            if round % 16 == 15 {
                thread::sleep(Duration::from_millis(110));
            }
            if round % 3 == 0 && symlink(outside.join("secret.json"), &link).is_ok() {
                fs::rename(&link, &file).unwrap();
            }
        }
        for number in 0..8 {
            stand.drop_file(&format!("alex/good{number}.json"), &bundle(100 + number));
        }
        stand.wait("good files go on", || (0..8).all(|number| stand.received(&bundle(100 + number)).len() == 1));
        done.store(true, Ordering::Relaxed);
        folders.join().unwrap()
    });
    assert!(stand.received(&secret()).is_empty());
    assert!(!holds_secret(&stand.path("channels")), "not even a copy was made");
    assert_eq!(fs::read(outside.join("secret.json")).unwrap(), secret());
    println!(
        "racing: {rounds} files, every third of them swapped for a link; a folder swapped {swaps} times: the secret stayed"
    );
    assert_eq!(stand.stop_daemon(), Some(0));
}

#[test]
fn a_file_with_two_names_loses_the_one_in_the_inbox_alone() {
    let mut stand = stand();
    fs::write(stand.path("kept.json"), bundle(1)).unwrap();
    fs::hard_link(stand.path("kept.json"), stand.path("inbox/alex/linked.json")).unwrap();
    fs::write(stand.path("inbox/alex/one.json"), bundle(2)).unwrap();
    fs::hard_link(stand.path("inbox/alex/one.json"), stand.path("inbox/alex/two.json")).unwrap();
    stand.start_daemon();
    stand.wait("each content was taken", || stand.sandbox.received_count() == 2);
    stand.wait("the inbox is empty", || names(&stand.path("inbox/alex")).is_empty());
    stand.wait("the second name is a repeat", || {
        let stages: BTreeSet<_> = ["alex/one.json", "alex/two.json"].map(|path| stand.stage(path)).into();
        stages == BTreeSet::from(["delivered".to_owned(), "duplicate".to_owned()])
    });
    assert_eq!(fs::read(stand.path("kept.json")).unwrap(), bundle(1));
    assert_eq!((stand.received(&bundle(1)).len(), stand.received(&bundle(2)).len()), (1, 1));
    assert_eq!(stand.stop_daemon(), Some(0));
}

#[test]
fn what_is_written_around_the_claim_is_sent_whole_or_not_at_all() {
    let mut draws = Draws::new("racing");
    let mut stand = stand();
    stand.start_daemon();
    let files = count(120, 5_000);
    // What a writer left complete at some moment; and what stood there last.
    let (mut complete, mut last) = (BTreeSet::new(), Vec::new());
    let mut kinds = Vec::new();
    for number in 0..files {
        let path = stand.path(&format!("inbox/alex/{number}.json"));
        let (first, second) = (bundle(2 * number), bundle(2 * number + 1));
        let pause = Duration::from_millis(u64::try_from(draws.below(40)).unwrap());
        complete.insert(first.clone());
        let kind = draws.below(4);
        kinds.push((kind, pause));
        match kind {
            // Written in pieces, with pauses about as long as `quiet`.
            0 => {
                let mut file = fs::File::create(&path).unwrap();
                // Within the text, not within the white space after it.
                let cut = 1 + draws.below(2_900);
                file.write_all(&first[..cut]).unwrap();
                thread::sleep(pause * 4);
                file.write_all(&first[cut..]).unwrap();
                last.push((number, first));
            }
            // Replaced by another one, around its claim.
            1 => {
                fs::write(&path, &first).unwrap();
                thread::sleep(pause * 4);
                fs::write(stand.path("draft"), &second).unwrap();
                fs::rename(stand.path("draft"), &path).unwrap();
                complete.insert(second.clone());
                last.push((number, second));
            }
            // Written on through the old descriptor: a complete text, and white space after it.
            2 => {
                let mut file = fs::File::create(&path).unwrap();
                file.write_all(&first).unwrap();
                thread::sleep(pause * 4);
                for length in 1..=3 {
                    file.write_all(b"\n").unwrap();
                    complete.insert([&first[..], &b"\n".repeat(length)].concat());
                    thread::sleep(pause / 4);
                }
            }
            // Rewritten in its place: empty for a moment, then another.
            _ => {
                fs::write(&path, &first).unwrap();
                thread::sleep(pause * 4);
                fs::write(&path, &second).unwrap();
                complete.insert(second.clone());
                last.push((number, second));
            }
        }
    }
    stand.wait("the inbox is empty", || names(&stand.path("inbox/alex")).is_empty());
    stand.wait("all are over", || {
        stand.records().iter().all(|record| record["submission"]["stage"]["stage"] == "delivered")
    });
    let received = stand.sandbox.received();
    for push in &received {
        let body = push.body.as_deref().unwrap();
        assert!(complete.contains(body), "{} bytes that nobody left there as a whole", body.len());
    }
    for (number, bytes) in &last {
        let records: Vec<_> = stand
            .records()
            .into_iter()
            .filter(|record| record["submission"]["origin"]["path"] == format!("alex/{number}.json"))
            .collect();
        assert_eq!(
            stand.received(bytes).len(),
            1,
            "what stood there last is sent once: {number} {:?} {records:?}",
            kinds[*number]
        );
    }
    println!("racing: {files} files written on around their claim: {} contents sent, each whole", received.len());
    assert_eq!(stand.stop_daemon(), Some(0));
}

#[test]
fn names_that_mean_something_to_somebody_mean_nothing_here() {
    let mut stand = stand();
    let strange: Vec<Vec<u8>> = [
        "-rf.json",
        "--help.json",
        "--config=x.json",
        "-.json",
        "%2e%2e%2fup.json",
        "~.json",
        "$(touch pwned).json",
        "`touch pwned`.json",
        "a;touch pwned.json",
        "a|b.json",
        "a&b.json",
        "*.json",
        "?.json",
        "{a,b}.json",
        "\u{1b}[31mred\u{7}.json",
        "new\nline.json",
        "tab\t.json",
        "return\r.json",
        "\u{202e}nosj.json",
        "CON.json",
        " .json",
        "x .json",
        "ALL.json",
        "alex.json.report.json",
        "'quote\".json",
        "back\\slash.json",
        "038gdr5gjmr86.bundle.json",
        "pushbridge.toml.json",
        "nfd-e\u{301}.json",
        "nfc-\u{e9}.json",
    ]
    .into_iter()
    .map(|name| name.as_bytes().to_vec())
    .chain([b"\xff\xfe.json".to_vec(), [vec![b'x'; 250], b".json".to_vec()].concat()])
    .chain(["é".repeat(125).into_bytes()].map(|name| [name, b".json".to_vec()].concat()))
    .collect();
    stand.start_daemon();
    for (number, name) in strange.iter().enumerate() {
        let draft = stand.path("draft");
        fs::write(&draft, bundle(number)).unwrap();
        fs::rename(draft, stand.path("inbox/alex").join(OsString::from_vec(name.clone()))).unwrap();
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        stand.path("inbox/alex/pipe.json"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    // Dot files are left alone, whatever follows the dot.
    for name in ["...json", "....json"] {
        fs::write(stand.path("inbox/alex").join(name), secret()).unwrap();
    }
    stand.wait("all are delivered", || stand.sandbox.received_count() == strange.len());
    for number in 0..strange.len() {
        assert_eq!(stand.received(&bundle(number)).len(), 1);
    }
    stand.wait("all are in their places", || names(&stand.path("channels/clinic/work")).is_empty());
    // A name may be a command's argument and part of its output; it moves no cursor there and is found by itself.
    for arguments in
        [&["queue", "ls", "ALL"][..], &["queue", "why", "ALL"], &["status"], &["--json", "queue", "ls", "ALL"]]
    {
        let told = stand.run(arguments).stdout;
        let control = told.iter().filter(|byte| byte.is_ascii_control() && **byte != b'\n').count();
        assert_eq!(control, 0, "{arguments:?}");
        // What a program reads is exact; what a person reads must not turn around.
        let turns = arguments[0] != "--json" && String::from_utf8(told).unwrap().contains('\u{202e}');
        assert!(!turns, "{arguments:?}: text that turns around");
    }
    assert!(stand.ok(&["queue", "why", "--", "--help.json"]).contains("delivered"));
    assert!(!stand.path("pwned").exists() && !stand.path("inbox/pwned").exists());
    assert_eq!(names(&stand.path("inbox/alex")), ["....json", "...json", "pipe.json"]);
    println!("racing: {} names and a pipe: each delivered once, none believed", strange.len());
    assert_eq!(stand.stop_daemon(), Some(0));
}
