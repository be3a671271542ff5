//! Crashes: the daemon is killed at each named point and at random moments, while files arrive and tokens rotate,
//! and is started again. What the sandbox took is the judge.

use super::stand::{Stand, names, sample};
use pushbridge::{faults::POINTS, model::Digest, sandbox::NewPerson};
use std::{
    collections::BTreeMap,
    env, fs,
    time::{Duration, Instant},
};

/// Folders of the inbox, an account each.
const FOLDERS: usize = 6;

/// Numbers that follow from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// What was done.
#[derive(Default)]
struct Figures {
    at_points: BTreeMap<&'static str, usize>,
    at_random: usize,
    authorised_again: usize,
    files: usize,
}

struct Run {
    stand: Stand,
    persons: Vec<NewPerson>,
    dice: Dice,
    figures: Figures,
}

impl Run {
    fn new(seed: u64) -> Self {
        let stand = Stand::by_folder();
        let persons = vec![stand.person(&["a", "b", "c", "d"]), stand.person(&["e", "f"])];
        let accounts = persons.iter().flat_map(|person| &person.accounts);
        for (number, account) in accounts.enumerate() {
            stand.link_folder(&number.to_string(), &account.reference);
        }
        Self { stand, persons, dice: Dice(seed), figures: Figures::default() }
    }

    /// Bytes that no other file has.
    fn bytes(number: usize) -> Vec<u8> {
        [sample("valid/weight-batch.json"), vec![b' '; number]].concat()
    }

    fn path(number: usize) -> String {
        format!("{}/{number}.json", number % FOLDERS)
    }

    fn drop_files(&mut self, count: usize) {
        for _ in 0..count {
            self.stand.drop_file(&Self::path(self.figures.files), &Self::bytes(self.figures.files));
            self.figures.files += 1;
        }
    }

    /// One start and one kill: at a point where the program has them, or at a random moment.
    fn round(&mut self, number: usize) {
        self.drop_files(2);
        let point = POINTS[number / 2 % POINTS.len()];
        let named = cfg!(feature = "faults") && number.is_multiple_of(2);
        if self.dice.below(4) == 0 || named && point.starts_with("refresh") {
            let person = usize::try_from(self.dice.below(2)).unwrap();
            self.stand.sandbox.expire_access_token(&self.persons[person].id);
        }
        let times = if point.starts_with("refresh") { 1 } else { 1 + self.dice.below(2) };
        let order = if named { format!("{point} abort {times}\n") } else { String::new() };
        fs::write(self.stand.path("orders"), order).unwrap();
        let lifetime = match named {
            true => Duration::from_secs(2),
            false => Duration::from_millis(20 + self.dice.below(400)),
        };
        self.stand.spawn_daemon(&[("PUSHBRIDGE_FAULT_ORDERS", self.stand.path("orders"))]);
        let limit = Instant::now() + lifetime;
        while Instant::now() < limit && !self.stand.has_ended() {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.stand.has_ended() {
            *self.figures.at_points.entry(point).or_default() += 1;
        } else {
            self.figures.at_random += 1;
        }
        self.stand.kill_daemon();
        // A pair whose answer was not on the disk is spent: that, and only that, can cost a token.
        if point.starts_with("refresh") || number % 10 == 9 {
            self.authorise_paused();
        }
    }

    fn authorise_paused(&mut self) {
        let output = self.stand.run(&["--json", "tokens", "status"]);
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let status: serde_json::Value = serde_json::from_str(line).unwrap();
            if status["state"] == "paused" {
                let tokens = self.stand.path("again.json");
                let person = status["person"].as_str().unwrap();
                fs::write(&tokens, self.stand.sandbox.authorise_again(person).to_string()).unwrap();
                self.stand.ok(&["tokens", "import", "--contract", "main", tokens.to_str().unwrap()]);
                self.figures.authorised_again += 1;
            }
        }
    }

    fn taken(&self) -> BTreeMap<Digest, usize> {
        let mut taken = BTreeMap::new();
        for push in self.stand.sandbox.received() {
            *taken.entry(push.sha256).or_default() += 1;
        }
        taken
    }

    /// Goes on without faults until nothing is left to do; the stages by path.
    fn settle(&mut self) -> BTreeMap<String, String> {
        fs::write(self.stand.path("orders"), "").unwrap();
        self.stand.start_daemon();
        let mut looked = Instant::now();
        loop {
            let records = self.stand.records();
            let stage = |record: &serde_json::Value| {
                let stage = &record["submission"]["stage"];
                stage["why"].as_str().or(stage["stage"].as_str()).unwrap().to_owned()
            };
            let is_over = |record: &serde_json::Value| {
                ["delivered", "unknown", "poison"].contains(&stage(record).as_str())
                    && record["submission"]["settled"] == true
            };
            if records.len() == self.figures.files && records.iter().all(is_over) {
                let path =
                    |record: &serde_json::Value| record["submission"]["origin"]["path"].as_str().unwrap().to_owned();
                let stages: BTreeMap<_, _> = records.iter().map(|record| (path(record), stage(record))).collect();
                assert_eq!(stages.len(), self.figures.files, "each file has one record");
                return stages;
            }
            assert!(looked.elapsed() < Duration::from_secs(240), "it settles\n{}", self.stand.log());
            if looked.elapsed() > Duration::from_secs(5) {
                looked += Duration::from_millis(1);
                self.authorise_paused();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn kills_at_each_point_and_at_random_moments_lose_nothing_and_send_nothing_twice() {
    let is_long = env::var_os("PUSHBRIDGE_FAULTS").is_some_and(|how| how == "long");
    let rounds = if is_long { 10_000 } else { 200 };
    let seed = env::var("PUSHBRIDGE_SEED").map_or(20_261_124, |seed| seed.parse().unwrap());
    let mut run = Run::new(seed);
    (0..rounds).for_each(|number| run.round(number));
    run.authorise_paused();
    let stages = run.settle();
    let taken = run.taken();
    let times = |number| taken.get(&Digest::of(&Run::bytes(number))).copied().unwrap_or_default();
    let (mut unknown, mut poison) = ([0, 0], 0);
    for number in 0..run.figures.files {
        let (path, times) = (Run::path(number), times(number));
        match stages[&path].as_str() {
            "delivered" => assert_eq!(times, 1, "{path}"),
            "poison" => {
                assert_eq!(times, 0, "{path} was held before it was ever sent");
                poison += 1;
            }
            _ => {
                assert!(times <= 1, "{path} is Unknown and was taken {times} times");
                unknown[times] += 1;
                // A person asks the receiver and decides.
                let decision: &[&str] = if times == 1 { &["queue", "drop"] } else { &["queue", "release", "--force"] };
                run.stand.ok(&[decision, &[path.rsplit('/').next().unwrap()]].concat());
            }
        }
        if stages[&path] == "poison" {
            run.stand.ok(&["queue", "release", path.rsplit('/').next().unwrap()]);
        }
    }
    run.stand.wait("everything is decided", || {
        run.stand.records().iter().all(|record| {
            ["delivered", "dropped"].contains(&record["submission"]["stage"]["stage"].as_str().unwrap())
                && record["submission"]["settled"] == true
        })
    });
    let taken = run.taken();
    for number in 0..run.figures.files {
        assert_eq!(taken.get(&Digest::of(&Run::bytes(number))), Some(&1), "{} was taken once", Run::path(number));
    }
    for folder in 0..FOLDERS {
        assert!(names(&run.stand.path("inbox").join(folder.to_string())).is_empty());
    }
    assert!(names(&run.stand.path("channels/clinic/work")).is_empty());
    assert_eq!(run.stand.stop_daemon(), Some(0));
    let Figures { at_points, at_random, authorised_again, files } = &run.figures;
    println!(
        "crash: seed {seed}, {} kills at {} points, {at_random} at random moments; {files} files, all taken once; \
         {} Unknown, {} of them had not arrived, {poison} held as poison; {authorised_again} authorised again",
        at_points.values().sum::<usize>(),
        at_points.len(),
        unknown[0] + unknown[1],
        unknown[0],
    );
    if cfg!(feature = "faults") {
        let missed: Vec<_> = POINTS.iter().filter(|point| !at_points.contains_key(**point)).collect();
        assert!(missed.is_empty(), "never reached: {missed:?}");
    } else {
        println!("crash: SKIPPED the named points: this build has none (cargo test --features faults)");
    }
}

#[test]
fn a_default_build_has_no_faults_to_order() {
    let program = fs::read(env!("CARGO_BIN_EXE_pushbridge")).unwrap();
    let name = b"PUSHBRIDGE_FAULT_ORDERS";
    let has_them = program.windows(name.len()).any(|window| window == name);
    assert_eq!(has_them, cfg!(feature = "faults"));
}
