//! Bad days: the daemon is killed in the middle of a burst, over and over.

use super::stand::{Stand, names, sample};
use pushbridge::{
    model::Digest,
    sandbox::{Fault, Target},
};
use std::{collections::BTreeMap, fs};

/// The same Bundle with bytes of its own.
fn bundle(number: usize) -> Vec<u8> {
    [sample("valid/weight-batch.json"), vec![b' '; number]].concat()
}

#[test]
fn a_daemon_that_is_killed_over_and_over_loses_nothing_and_sends_nothing_twice() {
    const FILES: usize = 240;
    let mut stand = Stand::by_folder();
    let person = stand.person(&["a", "b", "c", "d"]);
    for (number, account) in person.accounts.iter().enumerate() {
        stand.link_folder(&number.to_string(), &account.reference);
    }
    for number in 0..FILES {
        stand.drop_file(&format!("{}/{number}.json", number % 4), &bundle(number));
    }
    for kill in 0..8 {
        let before = stand.sandbox.received_count();
        stand.start_daemon();
        // At another moment each time: while it claims, judges, pushes or settles.
        stand.wait("it works on", || {
            let received = stand.sandbox.received_count();
            kill < 2 || received > before + 3 * kill || received >= FILES * 9 / 10
        });
        stand.kill_daemon();
    }
    stand.start_daemon();
    stand.wait("all ended or wait for a person", || {
        stand.records().len() == FILES
            && stand.records().iter().all(|record| {
                ["delivered", "unknown"].contains(&record["submission"]["stage"]["stage"].as_str().unwrap())
                    && record["submission"]["settled"] == true
            })
    });
    let mut taken: BTreeMap<Digest, usize> = BTreeMap::new();
    for push in stand.sandbox.received() {
        *taken.entry(push.sha256).or_default() += 1;
    }
    let records = stand.records();
    for number in 0..FILES {
        let path = format!("{}/{number}.json", number % 4);
        let found: Vec<_> = records.iter().filter(|record| record["submission"]["origin"]["path"] == path).collect();
        assert_eq!(found.len(), 1, "{path} has one record");
        let times = taken.get(&Digest::of(&bundle(number))).copied().unwrap_or_default();
        match found[0]["submission"]["stage"]["stage"].as_str().unwrap() {
            "delivered" => assert_eq!(times, 1, "{path}"),
            _ => assert!(times <= 1, "{path} is Unknown and was taken {times} times"),
        }
    }
    for folder in 0..4 {
        stand.wait("the inbox is empty", || names(&stand.path("inbox").join(folder.to_string())).is_empty());
    }
    assert!(names(&stand.path("channels/clinic/work")).is_empty());
    assert_eq!(stand.stop_daemon(), Some(0));
}

#[test]
fn files_on_their_way_survive_the_loss_of_the_store() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let refusal = Fault::Status {
        status: 503,
        headers: BTreeMap::from([("retry-after".to_owned(), "600".to_owned())]),
        body: String::new(),
    };
    stand.sandbox.order(Target::Push, refusal, 1);
    stand.start_daemon();
    stand.drop_file("alex/weight.json", &bundle(0));
    stand.wait("the API asks to wait", || stand.log().contains("destination paused"));
    stand.kill_daemon();
    std::fs::rename(stand.path("state/store"), stand.path("state/lost")).unwrap();
    stand.start_daemon();
    let held = names(&stand.path("channels/clinic/held"));
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(std::fs::read(stand.path("channels/clinic/held").join(&held[0])).unwrap(), bundle(0));
    assert!(stand.log().contains("drop them into the inbox again"));
}

#[test]
fn what_is_set_aside_and_has_lost_its_record_waits_for_a_person() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let aside = stand.path("inbox/alex/.pushbridge-0010000000000");
    std::fs::create_dir_all(stand.path("inbox/alex")).unwrap();
    std::fs::write(&aside, bundle(0)).unwrap();
    stand.start_daemon();
    stand.wait("it is told", || stand.ok(&["status"]).contains("the record of that is lost"));
    assert_eq!((stand.sandbox.received_count(), std::fs::read(&aside).unwrap()), (0, bundle(0)));
    std::fs::rename(&aside, stand.path("inbox/alex/again.json")).unwrap();
    stand.wait_for_stage("alex/again.json", "delivered");
    assert_eq!(stand.stop_daemon(), Some(0));
}

#[test]
fn a_database_that_is_damaged_is_rebuilt_and_nothing_is_sent_twice() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let (first, second) = (sample("valid/weight-batch.json"), sample("valid/glucose-batch.json"));
    stand.start_daemon();
    stand.drop_file("alex/first.json", &first);
    stand.wait_for_stage("alex/first.json", "delivered");
    stand.drop_file("nobody/held.json", &sample("valid/letter-pdf-transaction.json"));
    stand.wait_for_stage("nobody/held.json", "held");
    stand.kill_daemon();
    let database = stand.path("state/store/sled/db");
    let mut bytes = fs::read(&database).unwrap();
    bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x10);
    fs::write(&database, bytes).unwrap();

    stand.start_daemon();
    // Whoever opens the store first rebuilds it: the daemon, or a command that asks whether it runs.
    let aside = fs::read_dir(stand.path("state/store")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(aside.filter(|name| name.to_string_lossy().starts_with("damaged-")).count(), 1);
    assert_eq!(stand.stage("alex/first.json"), "delivered");
    assert_eq!(stand.stage("nobody/held.json"), "held");
    stand.drop_file("alex/again.json", &first);
    stand.drop_file("alex/second.json", &second);
    stand.wait_for_stage("alex/again.json", "duplicate");
    stand.wait_for_stage("alex/second.json", "delivered");
    stand.link_folder("nobody", &person.accounts[0].reference);
    stand.wait_for_stage("nobody/held.json", "delivered");
    assert_eq!((stand.received(&first).len(), stand.received(&second).len()), (1, 1));
}
