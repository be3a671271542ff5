//! A daemon under siege: files arrive and tokens rotate while it is ended again and again, and in the end what the
//! sandbox took is the judge.

use super::{
    run::Draws,
    stand::{Stand, names, sample},
};
use pushbridge::{model::Digest, sandbox::NewPerson};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{Read, Seek, SeekFrom},
    time::{Duration, Instant},
};

/// Folders of the inbox, an account each.
const FOLDERS: usize = 6;

pub(super) struct Siege {
    pub(super) stand: Stand,
    pub(super) draws: Draws,
    persons: Vec<NewPerson>,
    files: usize,
    authorised_again: usize,
}

/// What the judge found.
pub(super) struct Outcome {
    files: usize,
    /// Unknown: not arrived, and arrived.
    unknown: [usize; 2],
    poison: usize,
    authorised_again: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, unknown: [missing, arrived], poison, authorised_again } = self;
        write!(
            f,
            "{files} files, each taken once; {} were Unknown, {missing} of them had not arrived; {poison} held as poison; \
             {authorised_again} authorisations after a refresh whose answer was not on the disk",
            missing + arrived
        )
    }
}

fn bytes(number: usize) -> Vec<u8> {
    // Bytes that no other file has.
    [sample("valid/weight-batch.json"), vec![b' '; number]].concat()
}

fn name(number: usize) -> String {
    format!("{number}.json")
}

fn path(number: usize) -> String {
    format!("{}/{}", number % FOLDERS, name(number))
}

/// The stage's name; of a hold its reason.
fn stage(record: &Value) -> &str {
    let stage = &record["submission"]["stage"];
    stage["why"].as_str().or(stage["stage"].as_str()).unwrap()
}

fn is_settled_as(record: &Value, stages: &[&str]) -> bool {
    stages.contains(&stage(record)) && record["submission"]["settled"] == true
}

impl Siege {
    /// Folders that are linked to the accounts of two persons.
    pub(super) fn of(stand: Stand, draws: Draws) -> Self {
        let persons = vec![stand.person(&["a", "b", "c", "d"]), stand.person(&["e", "f"])];
        let accounts = persons.iter().flat_map(|person| &person.accounts);
        for (number, account) in accounts.enumerate() {
            stand.link_folder(&number.to_string(), &account.reference);
        }
        Self { stand, draws, persons, files: 0, authorised_again: 0 }
    }

    pub(super) fn drop_files(&mut self, count: usize) {
        for _ in 0..count {
            self.stand.drop_file(&path(self.files), &bytes(self.files));
            self.files += 1;
        }
    }

    pub(super) fn expire_a_token(&mut self) {
        let person = &self.persons[self.draws.below(2)];
        self.stand.sandbox.expire_access_token(&person.id);
    }

    /// A pair whose answer was not on the disk is spent: that, and only that, can cost a person its authorisation.
    pub(super) fn authorise_paused(&mut self) {
        let output = self.stand.run(&["--json", "tokens", "status"]);
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let status: Value = serde_json::from_str(line).unwrap();
            if status["state"] == "paused" {
                let tokens = self.stand.path("again.json");
                let person = status["person"].as_str().unwrap();
                fs::write(&tokens, self.stand.sandbox.authorise_again(person).to_string()).unwrap();
                self.stand.ok(&["tokens", "import", "--contract", "main", tokens.to_str().unwrap()]);
                self.authorised_again += 1;
            }
        }
    }

    /// Whether the daemon has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.stand.daemon.as_mut().is_none_or(|daemon| daemon.try_wait().unwrap().is_some())
    }

    /// How many bytes the log has.
    pub(super) fn log_length(&self) -> u64 {
        fs::metadata(self.stand.path("log")).map_or(0, |log| log.len())
    }

    /// Waits until the daemon says behind these bytes of its log that it has started, or has ended by itself.
    pub(super) fn wait_until_awake(&mut self, behind: u64) {
        let limit = Instant::now() + Duration::from_secs(120);
        let mut said = String::new();
        while !self.has_ended() && !said.contains("started open=") {
            assert!(Instant::now() < limit, "it starts\n{said}");
            std::thread::sleep(Duration::from_millis(5));
            let mut log = fs::File::open(self.stand.path("log")).unwrap();
            log.seek(SeekFrom::Start(behind)).unwrap();
            said.clear();
            log.read_to_string(&mut said).unwrap();
        }
    }

    fn taken(&self) -> BTreeMap<Digest, usize> {
        let mut taken = BTreeMap::new();
        for push in self.stand.sandbox.received() {
            *taken.entry(push.sha256).or_default() += 1;
        }
        taken
    }

    /// Goes on in peace until nothing is left to do; each file's stage, by its path.
    fn settle(&mut self) -> BTreeMap<String, String> {
        self.stand.start_daemon();
        let limit = Instant::now() + Duration::from_secs(240);
        for look in 1.. {
            let records = self.stand.records();
            if records.len() == self.files
                && records.iter().all(|record| is_settled_as(record, &["delivered", "unknown", "poison"]))
            {
                let of = |record: &Value| {
                    let path = record["submission"]["origin"]["path"].as_str().unwrap();
                    (path.to_owned(), stage(record).to_owned())
                };
                let stages: BTreeMap<_, _> = records.iter().map(of).collect();
                assert_eq!(stages.len(), self.files, "each file has one record");
                return stages;
            }
            assert!(Instant::now() < limit, "it settles\n{}", self.stand.log());
            if look % 20 == 0 {
                self.authorise_paused();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        unreachable!("the limit ends it")
    }

    /// In peace everything comes to its end; a person decides what is Unknown, as the receiver says. Then each file was
    /// taken once, and nothing is left anywhere.
    pub(super) fn judge(mut self) -> Outcome {
        self.authorise_paused();
        let stages = self.settle();
        let taken = self.taken();
        let (mut unknown, mut poison) = ([0, 0], 0);
        for number in 0..self.files {
            let (path, name) = (path(number), name(number));
            let times = taken.get(&Digest::of(&bytes(number))).copied().unwrap_or_default();
            match stages[&path].as_str() {
                "delivered" => assert_eq!(times, 1, "{path} is delivered"),
                "poison" => {
                    assert_eq!(times, 0, "{path} was held before it was ever sent");
                    self.stand.ok(&["queue", "release", &name]);
                    poison += 1;
                }
                _ => {
                    assert!(times <= 1, "{path} is Unknown and was taken {times} times");
                    unknown[times] += 1;
                    let decision: &[&str] =
                        if times == 1 { &["queue", "drop", &name] } else { &["queue", "release", "--force", &name] };
                    self.stand.ok(decision);
                }
            }
        }
        self.stand.wait("everything is decided", || {
            self.stand.records().iter().all(|record| is_settled_as(record, &["delivered", "dropped"]))
        });
        let taken = self.taken();
        for number in 0..self.files {
            assert_eq!(taken.get(&Digest::of(&bytes(number))), Some(&1), "{} was taken once", path(number));
        }
        for folder in 0..FOLDERS {
            let inbox = self.stand.path("inbox").join(folder.to_string());
            self.stand.wait("the inbox is empty", || names(&inbox).is_empty());
        }
        assert!(names(&self.stand.path("channels/clinic/work")).is_empty());
        assert_eq!(self.stand.stop_daemon(), Some(0));
        let Self { files, authorised_again, .. } = self;
        Outcome { files, unknown, poison, authorised_again }
    }
}
