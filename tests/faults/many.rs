//! Many contracts at once, each with a destination, a channel and a person of its own: what goes wrong
//! for one of them is no other's matter, so hundreds of bad days fit into one run of the daemon.

use super::{
    run::{Pace, open_store},
    stand::{Stand, sample},
    wire::{Door, Wire},
};
use pushbridge::{
    model::{
        Account, Digest, EvidenceKind, Link, LinkValue, Person, Secret, Timestamp, TokenPair, TokenState, TokenValue,
    },
    sandbox::NewPerson,
    store::{Store, Write},
};
use serde_json::Value;
use std::{collections::BTreeMap, fs, os::unix::fs::DirBuilderExt, path::PathBuf};

/// The stand, the wire, and a lane for each contract.
pub(super) struct Many {
    pub(super) stand: Stand,
    pub(super) wire: Wire,
    pub(super) lanes: Vec<Lane>,
}

/// One contract, and the person whose accounts its folders lead to: folder `0` to account 0 and so on.
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) person: NewPerson,
}

/// What differs from the usual in the tables of every contract and channel.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) contract: &'static str,
    pub(super) channel: &'static str,
}

/// Short limits: a silence is over after a second. What an account's own answers led to stays so: nobody reads the
/// accounts a minute after the start.
pub(super) const USUAL: Settings = Settings {
    contract: "connect_timeout = \"2s\"\nidle_timeout = \"1s\"\ntotal_timeout = \"4s\"\naccounts_sync = \"0s\"\n",
    channel: "quiet = \"100ms\"\npolling = \"always\"\n",
};

/// Long enough for large bodies on a busy machine.
pub(super) const PATIENT: Settings = Settings {
    contract: "connect_timeout = \"3s\"\nidle_timeout = \"4s\"\ntotal_timeout = \"12s\"\naccounts_sync = \"0s\"\n",
    channel: USUAL.channel,
};

impl Many {
    /// So many lanes of so many accounts.
    pub(super) fn new(lanes: usize, accounts: usize, settings: Settings) -> Self {
        let stand = Stand::new("");
        let config = fs::read_to_string(stand.path("pushbridge.toml")).unwrap();
        let origin = config.split('"').find_map(|text| text.strip_suffix("/v1.7/")).unwrap().to_owned();
        let wire = Wire::to(origin.trim_start_matches("http://"));
        let services: Vec<String> = (0..accounts).map(|number| format!("service {number}")).collect();
        let services: Vec<&str> = services.iter().map(String::as_str).collect();
        let lanes: Vec<Lane> = (0..lanes)
            .map(|number| Lane { name: format!("lane{number}"), person: stand.sandbox.add_person(&services) })
            .collect();
        let mut tables = String::new();
        for Lane { name, .. } in &lanes {
            tables.push_str(&format!(
                "[contract.{name}]\napplication_id = \"app\"\ncontract_id = \"contract\"\nkey_file = \"key.pem\"\n\
                 base_url = \"{}\"\nonboard_url = \"{1}/apps/saas/\"\njku_origins = [\"{1}\"]\n{2}\
                 [channel.{name}]\ncontract = \"{name}\"\ninbox = \"inbox/{name}\"\n{3}[channel.{name}.route]\nfolder = true\n",
                wire.base_url(name),
                origin,
                settings.contract,
                settings.channel,
            ));
            fs::create_dir_all(stand.path("inbox").join(name)).unwrap();
        }
        stand.edit_config(|text| text + &tables);
        fs::DirBuilder::new().mode(0o700).create(stand.path("state")).unwrap();
        let writes: Vec<Write> = lanes.iter().flat_map(|lane| lane.records()).collect();
        open_store(&stand).commit(&writes).unwrap();
        // Its lock may outlive it for a moment, in processes that other tests are just starting.
        stand.wait("the store is let go", || stand.run(&["accounts", "ls"]).status.success());
        Self { stand, wire, lanes }
    }

    /// Drops a Bundle of so many bytes at the least that no other is like; its bytes.
    pub(super) fn drop_bundle(&self, lane: usize, folder: usize, file: &str, number: usize, size: usize) -> Vec<u8> {
        let mut bytes = bundle(number);
        // One byte more for each, so that they differ.
        bytes.resize(bytes.len().max(if size > 0 { size + number } else { 0 }), b' ');
        self.stand.drop_file(&format!("{}/{folder}/{file}", self.lanes[lane].name), &bytes);
        bytes
    }

    /// The lane's destination is at this origin instead of the wire's.
    pub(super) fn move_lane(&self, lane: usize, origin: &str) {
        let (name, old) = (&self.lanes[lane].name, self.wire.base_url(&self.lanes[lane].name));
        self.stand.edit_config(|text| text.replace(&old, &format!("{origin}/{name}/v1.7/")));
    }

    /// What `queue why` tells of every file, by file name.
    pub(super) fn why(&self) -> BTreeMap<String, Value> {
        // It ends with 1 while there is none.
        let text = String::from_utf8(self.stand.run(&["--json", "queue", "why", "ALL"]).stdout).unwrap();
        let told = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        told.map(|why| (why["file"].as_str().unwrap().rsplit('/').next().unwrap().to_owned(), why)).collect()
    }

    /// Starts the daemon, by a clock that goes so many times as fast from now on, for the sandbox too.
    pub(super) fn start_at_pace(&mut self, times: u32) {
        let pace = Pace::of(times);
        let orders = if times == 1 { String::new() } else { pace.order() };
        self.stand.sandbox.set_clock(move |machine| pace.at(machine));
        self.start_with(&orders);
    }

    /// Starts the daemon with these orders.
    pub(super) fn start_with(&mut self, orders: &str) {
        let path = self.stand.path("orders");
        fs::write(&path, orders).unwrap();
        self.stand.start_daemon_with(&[("PUSHBRIDGE_FAULT_ORDERS", path)]);
    }

    /// The folder of a lane's inbox that leads to an account.
    pub(super) fn inbox(&self, lane: &Lane, folder: usize) -> PathBuf {
        self.stand.path("inbox").join(&lane.name).join(folder.to_string())
    }

    /// How many lines of the log say this of a lane.
    pub(super) fn alerts(&self, lane: usize, text: &str) -> usize {
        let of_lane = format!("contract={} ", self.lanes[lane].name);
        let log = self.stand.log();
        log.lines().filter(|line| line.contains(text) && format!("{line} ").contains(&of_lane)).count()
    }

    /// Nothing of a lane was taken twice, and what is delivered came in the order of its account's claims. Its files are
    /// called `LANE-NUMBER.json` and go to the account NUMBER leaves when it is divided; `content` numbers their Bundles.
    pub(super) fn judge_order(
        &self,
        lane: usize,
        accounts: usize,
        why: &BTreeMap<String, Value>,
        content: impl Fn(usize) -> usize,
    ) {
        let name = &self.lanes[lane].name;
        let mut taken: BTreeMap<Digest, usize> = BTreeMap::new();
        for (place, push) in self.stand.sandbox.received().iter().enumerate() {
            assert!(taken.insert(push.sha256, place).is_none(), "{name}: one was taken twice");
        }
        let mut claims: Vec<Vec<(&str, usize)>> = vec![Vec::new(); accounts];
        for (file, why) in why.iter().filter(|(_, why)| why["outcome"] == "delivered") {
            let number = file.strip_prefix(&format!("{lane}-")).and_then(|rest| rest.strip_suffix(".json"));
            let Some(number) = number.map(|number| number.parse::<usize>().unwrap()) else { continue };
            let place = *taken.get(&Digest::of(&bundle(content(number)))).expect("what is delivered was taken");
            claims[number % accounts].push((why["id"].as_str().unwrap(), place));
        }
        for (account, mut claims) in claims.into_iter().enumerate() {
            claims.sort_unstable();
            assert!(claims.is_sorted_by_key(|(_, place)| *place), "{name}: account {account} was served out of order");
        }
    }

    /// How many requests came at a lane's door.
    pub(super) fn seen(&self, lane: usize, door: Door) -> usize {
        self.wire.seen(&self.lanes[lane].name, door).len()
    }
}

impl Lane {
    fn records(&self) -> Vec<Write> {
        let mut writes = vec![person_record(&self.name, &self.person)];
        for (number, account) in self.person.accounts.iter().enumerate() {
            writes.push(account_record(&self.name, &self.person.id, &account.id, &account.reference));
            writes.push(link_record(&self.name, &number.to_string(), &account.reference));
        }
        writes
    }
}

/// A person of the sandbox as the store keeps it.
pub(super) fn person_record(contract: &str, person: &NewPerson) -> Write {
    let token = |name: &str| TokenValue {
        value: Secret::new(person.tokens[name]["value"].as_str().unwrap().to_owned()),
        expiry: Timestamp::from_seconds(person.tokens[name]["expiry"].as_i64().unwrap()),
    };
    Write::Person(Person {
        contract: contract.parse().unwrap(),
        id: person.id.parse().unwrap(),
        tokens: TokenPair { access: token("accessToken"), refresh: token("refreshToken") },
        state: TokenState::Fresh,
        consent_id: None,
        updated: Timestamp::now(),
    })
}

/// An account as the store keeps it.
pub(super) fn account_record(contract: &str, person: &str, id: &str, reference: &str) -> Write {
    Write::Account(Account {
        contract: contract.parse().unwrap(),
        person: person.parse().unwrap(),
        id: id.parse().unwrap(),
        reference: reference.parse().unwrap(),
        service: None,
        authorised: true,
        blocked: None,
        updated: Timestamp::now(),
    })
}

/// A folder's link as the store keeps it.
pub(super) fn link_record(channel: &str, folder: &str, reference: &str) -> Write {
    Write::Link(Link {
        channel: channel.parse().unwrap(),
        kind: EvidenceKind::Folder,
        value: LinkValue::Clear(folder.to_owned()),
        account: reference.parse().unwrap(),
        added: Timestamp::now(),
    })
}

/// The same Bundle with bytes that no other number has.
pub(super) fn bundle(number: usize) -> Vec<u8> {
    let ending = format!("{}{}", " ".repeat(number % 1000), "\n".repeat(number / 1000));
    [sample("valid/weight-batch.json"), ending.into_bytes()].concat()
}
