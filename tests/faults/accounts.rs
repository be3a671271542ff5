//! Never the wrong account: a Bundle reaches an account only if every piece of evidence says so.

use super::{
    many,
    run::{Draws, count, either, open_store},
    stand::{Stand, names},
    wire::{Act, Door, Wire, answer},
    world::{Channel, File, Key, Link, World, world},
};
use proptest::{
    prelude::Strategy,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use pushbridge::{
    fhir::{json, path::Expression},
    model::{
        Account, AccountReference, ChannelName, Digest, EvidenceKind, ForeignName, HashKey, KeyedHash, LinkValue,
        Timestamp,
    },
    route::{self, Directory, Envelope},
    store::Store,
    validate::{Policy, Validator},
};
use std::{cell::Cell, convert::Infallible, fs, os::unix::fs::DirBuilderExt};

/// proptest's own draws, from one of our seeds.
fn runner(draws: &mut Draws, cases: usize) -> TestRunner {
    let mut seed = [0; 32];
    seed.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&draws.next().to_be_bytes()));
    let config = Config { cases: u32::try_from(cases).unwrap(), failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

fn name(channel: usize) -> ChannelName {
    format!("channel{channel}").parse().unwrap()
}

fn reference(number: usize) -> String {
    format!("ref-{number}")
}

/// The world's links and accounts, as one channel may see them.
struct Seen<'a> {
    world: &'a World,
    channel: usize,
    key: HashKey,
}

impl Seen<'_> {
    fn value(&self, key: &Key) -> (EvidenceKind, LinkValue) {
        let hashed = |kind, parts: &[&[u8]]| LinkValue::Hashed(self.key.evidence(&name(self.channel), kind, parts));
        match key {
            Key::Folder(value) => (EvidenceKind::Folder, LinkValue::Clear((*value).to_owned())),
            Key::Sidecar(value) => (EvidenceKind::Sidecar, LinkValue::Clear((*value).to_owned())),
            Key::Patient(system, value) => {
                let kind = EvidenceKind::Patient;
                (kind, hashed(kind, &[system.as_bytes(), value.as_bytes()]))
            }
            Key::Expression(value) => {
                let kind = EvidenceKind::Expression;
                (kind, hashed(kind, &[value.as_bytes()]))
            }
        }
    }
}

impl Directory for Seen<'_> {
    type Error = Infallible;

    fn link(&self, kind: EvidenceKind, value: &LinkValue) -> Result<Option<AccountReference>, Infallible> {
        let links = self.world.links.iter().rev().filter(|link| link.channel == self.channel);
        let wanted = (kind, value.clone());
        let found = links.into_iter().find(|link| self.value(&link.key) == wanted);
        Ok(found.map(|link| reference(link.leads).parse().unwrap()))
    }

    fn accounts(&self, reference: &AccountReference) -> Result<Vec<Account>, Infallible> {
        let contract = self.world.channels[self.channel].contract;
        let known = self.world.accounts[contract].iter().enumerate();
        let known = known.filter(|(_, number)| self::reference(**number) == reference.as_str());
        let account = |(place, number): (usize, &usize)| Account {
            contract: format!("contract{contract}").parse().unwrap(),
            person: format!("person-{contract}-{place}").parse().unwrap(),
            id: format!("account-{contract}-{number}").parse().unwrap(),
            reference: reference.clone(),
            service: None,
            authorised: true,
            blocked: None,
            updated: Timestamp::from_millis(0),
        };
        Ok(known.map(account).collect())
    }

    fn hash(&self, kind: EvidenceKind, parts: &[&[u8]]) -> KeyedHash {
        self.key.evidence(&name(self.channel), kind, parts)
    }
}

fn rules(channel: &Channel) -> route::Rules {
    let envelope = route::EnvelopeRules {
        contract: format!("contract{}", channel.contract).parse().unwrap(),
        folder: channel.folder,
        sidecar: channel.sidecar,
        default_account: channel.default.map(|number| reference(number).parse().unwrap()),
    };
    route::Rules {
        envelope,
        patient_systems: channel.systems.iter().map(|system| (*system).to_owned()).collect(),
        expression: channel.expression.then(|| Expression::parse("Bundle.identifier.value").unwrap()),
    }
}

#[test]
fn a_parcel_comes_of_agreeing_evidence_alone() {
    let (validator, policy) = (Validator::new(), Policy::default());
    let (judged, addressed, refused) = (Cell::new(0_u64), Cell::new(0_u64), Cell::new(0_u64));
    let cases = count(1_000, 50_000);
    let result = runner(&mut Draws::new("accounts"), cases).run(&world(8), |world| {
        for (number, file) in world.files.iter().enumerate() {
            let bytes = file.bundle(number);
            let document = json::read(&bytes, &json::Limits::default()).unwrap();
            let Ok((bundle, _)) = validator.bundle(&document, &policy) else {
                refused.set(refused.get() + 1);
                continue;
            };
            let channel = &world.channels[file.channel];
            let folder = file.folder.map(ForeignName::new);
            let sidecar = file.sidecar_bytes(reference);
            let envelope = Envelope { folder: folder.as_ref(), sidecar: sidecar.as_deref() };
            let seen = Seen { world: &world, channel: file.channel, key: HashKey::new([7; 32]) };
            let found = route::address(&bundle, envelope, &rules(channel), &seen).unwrap().outcome;
            let expected = world.oracle(file).map(|number| format!("account-{}-{number}", channel.contract));
            let found = found.ok().map(|addressed| addressed.recipient().account.to_string());
            judged.set(judged.get() + 1);
            addressed.set(addressed.get() + u64::from(found.is_some()));
            proptest::prop_assert_eq!(found, expected, "file {} is {:?}", number, file);
        }
        Ok(())
    });
    println!(
        "accounts: {cases} worlds, {} Bundles judged, {} addressed, {} were no valid Bundles",
        judged.get(),
        addressed.get(),
        refused.get()
    );
    result.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(addressed.get() > judged.get() / 50, "too few are addressed to tell anything");
    assert_eq!(refused.get(), 0);
}

/// The world as it is set up for a daemon: a person for each account, and the API between.
struct Staged {
    stand: Stand,
    wire: Wire,
    /// Of each contract: account number, reference, account id, person id.
    accounts: [Vec<(usize, String, String, String)>; 2],
}

impl Staged {
    fn of(world: &World) -> Self {
        let stand = Stand::new("");
        let config = fs::read_to_string(stand.path("pushbridge.toml")).unwrap();
        let origin = config.split('"').find_map(|text| text.strip_suffix("/v1.7/")).unwrap().to_owned();
        let wire = Wire::to(origin.trim_start_matches("http://"));
        let mut writes = Vec::new();
        let accounts = [0, 1].map(|contract: usize| {
            let mut known: Vec<(usize, String, String, String)> = Vec::new();
            for number in &world.accounts[contract] {
                let found = known.iter().find(|(other, ..)| other == number).cloned();
                let (reference, id, person) = match &found {
                    // A second account of that reference: nobody can tell which is meant.
                    Some((_, reference, id, person)) => {
                        (reference.clone(), format!("{id}-{}", writes.len()), person.clone())
                    }
                    None => {
                        let new = stand.sandbox.add_person(&["service"]);
                        writes.push(many::person_record(&format!("contract{contract}"), &new));
                        (new.accounts[0].reference.clone(), new.accounts[0].id.clone(), new.id)
                    }
                };
                writes.push(many::account_record(&format!("contract{contract}"), &person, &id, &reference));
                if found.is_none() {
                    known.push((*number, reference, id, person));
                }
            }
            known
        });
        let staged = Self { stand, wire, accounts };
        staged.configure(world, &origin);
        fs::DirBuilder::new().mode(0o700).create(staged.stand.path("state")).unwrap();
        open_store(&staged.stand).commit(&writes).unwrap();
        staged
    }

    fn reference(&self, world: &World, channel: usize, number: usize) -> String {
        let known = &self.accounts[world.channels[channel].contract];
        let found = known.iter().find(|(other, ..)| *other == number);
        found.map_or_else(|| format!("nobody-{number}"), |(_, reference, ..)| reference.clone())
    }

    fn configure(&self, world: &World, origin: &str) {
        let mut tables = String::new();
        for contract in 0..2 {
            tables.push_str(&format!(
                "[contract.contract{contract}]\napplication_id = \"app\"\ncontract_id = \"contract\"\nkey_file = \"key.pem\"\n\
                 base_url = \"{}\"\njku_origins = [\"{origin}\"]\n",
                self.wire.base_url(&format!("contract{contract}"))
            ));
        }
        for (number, channel) in world.channels.iter().enumerate() {
            fs::create_dir_all(self.stand.path(&format!("inbox/{number}"))).unwrap();
            let default = channel.default.map_or_else(String::new, |account| {
                let reference = self.reference(world, number, account);
                format!("default_account = \"{reference}\"\nsingle_person = true\n")
            });
            let expression = if channel.expression { "expression = \"Bundle.identifier.value\"\n" } else { "" };
            tables.push_str(&format!(
                "[channel.{}]\ncontract = \"contract{}\"\ninbox = \"inbox/{number}\"\nquiet = \"100ms\"\nsidecar = {}\n\
                 [channel.{0}.route]\nfolder = {}\npatient_systems = {:?}\n{expression}{default}",
                name(number),
                channel.contract,
                channel.sidecar,
                channel.folder,
                channel.systems,
            ));
        }
        self.stand.edit_config(|text| text + &tables);
    }

    /// The links of this world, and no others, by the program's own commands.
    fn link(&self, world: &World, before: &[Link]) {
        let command = |verb: &'static str, link: &Link| {
            let channel = name(link.channel).to_string();
            let mut words = vec!["links".to_owned(), verb.to_owned(), channel];
            match link.key {
                Key::Folder(value) => words.extend(["folder".to_owned(), value.to_owned()]),
                Key::Sidecar(value) => words.extend(["sidecar".to_owned(), value.to_owned()]),
                Key::Expression(value) => words.extend(["expression".to_owned(), value.to_owned()]),
                Key::Patient(system, value) => {
                    words.extend(["patient", "--system", system, value].map(str::to_owned));
                }
            }
            words
        };
        let run = |words: Vec<String>| self.stand.ok(&words.iter().map(String::as_str).collect::<Vec<_>>());
        for (place, link) in before.iter().enumerate() {
            let again = before[..place].iter().any(|other| other.channel == link.channel && other.key == link.key);
            if !again && world.leads(link.channel, &link.key).is_none() {
                run(command("rm", link));
            }
        }
        for link in &world.links {
            let mut words = command("add", link);
            words.push(self.reference(world, link.channel, link.leads));
            run(words);
        }
    }

    /// Drops files, sidecars early or late; how many the program can claim.
    fn drop_files(&self, world: &World, files: &[File], first: usize) -> usize {
        let mut claimable = 0;
        let mut late = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let folder = file.folder.map_or_else(String::new, |folder| format!("{folder}/"));
            let path = format!("{}/{folder}{}.json", file.channel, first + number);
            let sidecar = world.channels[file.channel]
                .sidecar
                .then(|| file.sidecar_bytes(|account| self.reference(world, file.channel, account)));
            claimable += usize::from(!matches!(sidecar, Some(None)));
            let sidecar = sidecar.flatten().map(|bytes| (format!("{path}.route.json"), bytes));
            match sidecar {
                Some((path, bytes)) if number % 2 == 0 => self.stand.drop_file(&path, &bytes),
                sidecar => late.extend(sidecar),
            }
            self.stand.drop_file(&path, &file.bundle(first + number));
        }
        for (path, bytes) in late {
            self.stand.drop_file(&path, &bytes);
        }
        claimable
    }
}

#[test]
fn a_daemon_sends_each_bundle_where_the_oracle_says_also_when_links_change_while_it_waits() {
    let (mut draws, files) = (Draws::new("accounts"), count(150, 2_000));
    let mut sent = 0;
    let worlds = either(2, 20);
    for _ in 0..worlds {
        let mut runner = runner(&mut draws, 1);
        let first = loop {
            let world = world(2 * files).new_tree(&mut runner).unwrap().current();
            // A house in which hardly anything is linked tells little.
            if world.files.iter().filter(|file| world.oracle(file).is_some()).count() > files / 4 {
                break world;
            }
        };
        // The same house with other links.
        let links = loop {
            let other = world(0).new_tree(&mut runner).unwrap().current().links;
            let fits = other.iter().all(|link| link.channel < first.channels.len());
            if fits && !other.is_empty() {
                break other;
            }
        };
        let second = World { links, ..first.clone() };
        let mut staged = Staged::of(&first);
        staged.link(&first, &[]);
        staged.stand.start_daemon();
        let mut claimable = staged.drop_files(&first, &first.files[..files], 0);
        let at_rest = |stand: &Stand, claimable: usize, stages: &[&str]| {
            let records = stand.records();
            records.len() == claimable
                && records
                    .iter()
                    .all(|record| stages.contains(&record["submission"]["stage"]["stage"].as_str().unwrap()))
        };
        staged.stand.wait("the first files are over", || at_rest(&staged.stand, claimable, &["delivered", "held"]));
        for contract in ["contract0", "contract1"] {
            staged.wire.cast(contract, Door::Push, Act::Say(answer(503, &[("retry-after", "1")], b"")));
        }
        claimable += staged.drop_files(&first, &first.files[files..], files);
        let judged = ["delivered", "held", "ready", "sending"];
        staged.stand.wait("the others are judged", || at_rest(&staged.stand, claimable, &judged));
        staged.link(&second, &first.links);
        staged.wire.lift();
        staged.stand.wait("all are over", || at_rest(&staged.stand, claimable, &["delivered", "held"]));
        let received = staged.stand.sandbox.received();
        let mut expected_in_all = 0;
        for (number, file) in first.files.iter().enumerate() {
            let early = first.oracle(file).filter(|_| number < files);
            let expected = early.or_else(|| second.oracle(file)).map(|account| {
                let known = &staged.accounts[first.channels[file.channel].contract];
                let (.., id, person) = known.iter().find(|(other, ..)| *other == account).unwrap();
                (id.clone(), person.clone())
            });
            let digest = Digest::of(&file.bundle(number));
            let taken: Vec<_> = received
                .iter()
                .filter(|push| push.sha256 == digest)
                .map(|push| (push.account_id.clone(), push.person_id.clone()))
                .collect();
            expected_in_all += expected.iter().len();
            assert_eq!(
                taken,
                expected.into_iter().collect::<Vec<_>>(),
                "file {number}: {file:?}\n{:?}",
                first.channels[file.channel]
            );
        }
        assert_eq!(received.len(), expected_in_all, "nothing else arrived");
        sent += expected_in_all;
        for (number, channel) in first.channels.iter().enumerate() {
            let left = names(&staged.stand.path(&format!("inbox/{number}")))
                .iter()
                .filter(|name| name.ends_with(".json"))
                .count();
            assert!(channel.sidecar || left == 0, "{left} files are left");
        }
        assert_eq!(staged.stand.stop_daemon(), Some(0));
    }
    println!(
        "accounts: {worlds} houses of {} files: {sent} went to the account that the oracle names, the others nowhere",
        2 * files
    );
}
