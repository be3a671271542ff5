//! Generated worlds: contracts, channels, accounts, links and files with every kind of evidence, right and
//! wrong; and an oracle of its own that says whose a Bundle is. It knows nothing of the program's router.

use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::subsequence,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) const SYSTEMS: [&str; 2] = ["http://clinic.example/number", "http://other.example/number"];

/// What a channel accepts; its contract is 0 or 1.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) contract: usize,
    pub(super) folder: bool,
    pub(super) sidecar: bool,
    pub(super) systems: Vec<&'static str>,
    pub(super) expression: bool,
    /// The account of a channel for one person.
    pub(super) default: Option<usize>,
}

/// Which kind of evidence a link is for, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Folder(&'static str),
    Sidecar(&'static str),
    Patient(&'static str, &'static str),
    Expression(&'static str),
}

/// A link of one channel to the account of that number.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) channel: usize,
    pub(super) key: Key,
    pub(super) leads: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Sidecar {
    Missing,
    Account(usize),
    Key(&'static str),
    Both(usize, &'static str),
    Garbage,
    Empty,
}

/// Whose data an entry holds.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Nobody,
    /// The Bundle's own Patient of that number.
    Own(usize),
    /// By identifier alone.
    Logical(&'static str, &'static str),
    /// The Bundle's own Patient, and an identifier beside it.
    OwnAnd(usize, &'static str, &'static str),
    /// A Patient at the receiver.
    Outside(&'static str),
}

#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) channel: usize,
    pub(super) folder: Option<&'static str>,
    pub(super) sidecar: Sidecar,
    pub(super) patients: Vec<Vec<(&'static str, &'static str)>>,
    pub(super) subjects: Vec<Subject>,
    pub(super) identifier: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) channels: Vec<Channel>,
    /// Of each contract, which account references (by number) it knows, with how many accounts each.
    pub(super) accounts: [Vec<usize>; 2],
    pub(super) links: Vec<Link>,
    pub(super) files: Vec<File>,
}

const FOLDERS: [&str; 3] = ["7", "8", "Jansen"];
const NUMBERS: [&str; 3] = ["1", "2", "3"];
const KEYS: [&str; 2] = ["key-1", "key-2"];
const EXPORTS: [&str; 3] = ["export-1", "export-2", "export-3"];
/// Account references.
pub(super) const REFERENCES: usize = 4;

/// One account is right more often than the others: or hardly any evidence would agree.
fn account() -> impl Strategy<Value = usize> {
    prop_oneof![12 => Just(0), 2 => Just(1), 1 => 0..REFERENCES]
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(words)
}

fn identifier() -> impl Strategy<Value = (&'static str, &'static str)> {
    (one_of(&SYSTEMS), one_of(&NUMBERS))
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        one_of(&FOLDERS).prop_map(Key::Folder),
        one_of(&KEYS).prop_map(Key::Sidecar),
        identifier().prop_map(|(system, value)| Key::Patient(system, value)),
        one_of(&EXPORTS).prop_map(Key::Expression),
    ]
}

fn channel() -> impl Strategy<Value = Channel> {
    let default = option::weighted(0.1, account());
    (
        0..2_usize,
        any::<bool>(),
        proptest::bool::weighted(0.3),
        subsequence(&SYSTEMS[..], 0..=2),
        proptest::bool::weighted(0.4),
        default,
    )
        .prop_map(|(contract, folder, sidecar, systems, expression, default)| Channel {
            contract,
            folder,
            sidecar,
            systems,
            expression,
            default,
        })
}

fn sidecar() -> impl Strategy<Value = Sidecar> {
    prop_oneof![
        1 => Just(Sidecar::Missing),
        6 => account().prop_map(Sidecar::Account),
        2 => one_of(&KEYS).prop_map(Sidecar::Key),
        1 => (0..REFERENCES, one_of(&KEYS)).prop_map(|(account, key)| Sidecar::Both(account, key)),
        1 => Just(Sidecar::Garbage),
        1 => Just(Sidecar::Empty),
    ]
}

fn subject(patients: usize) -> impl Strategy<Value = Subject> {
    let own = 0..patients.max(1);
    prop_oneof![
        3 => Just(Subject::Nobody),
        8 => own.clone().prop_map(move |number| if patients == 0 { Subject::Nobody } else { Subject::Own(number) }),
        1 => identifier().prop_map(|(system, value)| Subject::Logical(system, value)),
        1 => (own, identifier()).prop_map(move |(number, (system, value))| match patients {
            0 => Subject::Logical(system, value),
            _ => Subject::OwnAnd(number, system, value),
        }),
        1 => one_of(&NUMBERS).prop_map(Subject::Outside),
    ]
}

fn file(channels: usize) -> impl Strategy<Value = File> {
    let some = || vec(identifier(), 0..=2);
    let patients = prop_oneof![4 => vec(some(), 0..=1), 1 => vec(some(), 2)];
    let rest = (0..channels, option::weighted(0.9, one_of(&FOLDERS)), sidecar(), option::of(one_of(&EXPORTS)));
    (patients, rest).prop_flat_map(|(patients, (channel, folder, sidecar, identifier))| {
        vec(subject(patients.len()), 1..=2).prop_map(move |subjects| File {
            channel,
            folder,
            sidecar: sidecar.clone(),
            patients: patients.clone(),
            subjects,
            identifier,
        })
    })
}

/// A world with so many files.
pub(super) fn world(files: usize) -> impl Strategy<Value = World> {
    // The account that most evidence leads to is known once, nearly always.
    let accounts = || {
        (vec(1..REFERENCES, 0..=4), 0..10).prop_map(|(others, first)| {
            let first: &[usize] = match first {
                0 => &[],
                1 => &[0, 0],
                _ => &[0],
            };
            [first, &others].concat()
        })
    };
    vec(channel(), 2..=3).prop_flat_map(move |channels| {
        let count = channels.len();
        let link = (0..count, key(), account()).prop_map(|(channel, key, leads)| Link { channel, key, leads });
        (Just(channels), [accounts(), accounts()], vec(link, 0..80), vec(file(count), files))
            .prop_map(|(channels, accounts, links, files)| World { channels, accounts, links, files })
    })
}

impl World {
    /// The account that this key is linked to in this channel; of two links the later one counts.
    pub(super) fn leads(&self, channel: usize, key: &Key) -> Option<usize> {
        self.links.iter().rev().find(|link| link.channel == channel && link.key == *key).map(|link| link.leads)
    }

    /// The number of the one account that all evidence names; `None` where it must not be sent.
    pub(super) fn oracle(&self, file: &File) -> Option<usize> {
        let channel = &self.channels[file.channel];
        let mut named: Vec<Option<usize>> = Vec::new();
        if channel.folder {
            named.extend(file.folder.map(|folder| self.leads(file.channel, &Key::Folder(folder))));
        }
        if channel.sidecar {
            named.push(match file.sidecar {
                Sidecar::Account(account) => Some(account),
                Sidecar::Key(key) => self.leads(file.channel, &Key::Sidecar(key)),
                Sidecar::Missing | Sidecar::Both(..) | Sidecar::Garbage | Sidecar::Empty => None,
            });
        }
        let persons = file.persons();
        for (system, value) in persons.iter().flatten().filter_map(|name| name.split_once('|')) {
            if let Some(system) = channel.systems.iter().find(|known| **known == system) {
                let value = NUMBERS.into_iter().find(|number| *number == value).unwrap();
                named.push(self.leads(file.channel, &Key::Patient(system, value)));
            }
        }
        if channel.expression {
            named.extend(file.identifier.map(|value| self.leads(file.channel, &Key::Expression(value))));
        }
        named.extend(channel.default.map(Some));
        let first = named.first().copied().flatten()?;
        let agreed = named.iter().all(|account| *account == Some(first));
        let known = self.accounts[channel.contract].iter().filter(|account| **account == first).count();
        (agreed && persons.len() <= 1 && known == 1).then_some(first)
    }
}

impl File {
    /// The different persons that it speaks of, each with all names that it goes by.
    fn persons(&self) -> Vec<BTreeSet<String>> {
        let mut persons: Vec<BTreeSet<String>> = Vec::new();
        let mut meet = |names: BTreeSet<String>| {
            // All that share a name with it become one.
            let (mut same, others): (Vec<_>, Vec<_>) =
                std::mem::take(&mut persons).into_iter().partition(|known| !known.is_disjoint(&names));
            same.push(names);
            persons = others;
            persons.push(same.into_iter().flatten().collect());
        };
        let own = |number: usize| format!("own {number}");
        for (number, identifiers) in self.patients.iter().enumerate() {
            let names = identifiers.iter().map(|(system, value)| format!("{system}|{value}"));
            meet(names.chain([own(number)]).collect());
        }
        for subject in &self.subjects {
            match subject {
                Subject::Nobody => {}
                Subject::Own(number) => meet([own(*number)].into()),
                Subject::Logical(system, value) => meet([format!("{system}|{value}")].into()),
                Subject::Outside(id) => meet([format!("Patient/{id}")].into()),
                Subject::OwnAnd(number, system, value) => {
                    let logical = format!("{system}|{value}");
                    // Who has other numbers of that kind, and not this one, is somebody else.
                    let person = self.with_all_names(*number);
                    let others = person.iter().any(|name| name.starts_with(&format!("{system}|")));
                    if others && !person.contains(&logical) {
                        meet([own(*number)].into());
                        meet([logical].into());
                    } else {
                        meet([own(*number), logical].into());
                    }
                }
            }
        }
        persons
    }

    /// The Patient's own names, with those of Patients that share one of them.
    fn with_all_names(&self, number: usize) -> BTreeSet<String> {
        let names = |patient: &Vec<(&str, &str)>| -> BTreeSet<String> {
            patient.iter().map(|(system, value)| format!("{system}|{value}")).collect()
        };
        let mut all = names(&self.patients[number]);
        for patient in &self.patients {
            if !names(patient).is_disjoint(&all) {
                all.extend(names(patient));
            }
        }
        all
    }

    /// The Bundle; `number` makes it unlike any other.
    pub(super) fn bundle(&self, number: usize) -> Vec<u8> {
        let url = |kind: u32, of: usize| format!("urn:uuid:00000000-0000-4000-8000-{kind:04x}{of:08x}");
        let identifier = |(system, value): (&str, &str)| json!({"system": system, "value": value});
        let mut entries: Vec<Value> = Vec::new();
        for (index, patient) in self.patients.iter().enumerate() {
            let mut resource = json!({"resourceType": "Patient", "active": true});
            if !patient.is_empty() {
                resource["identifier"] = patient.iter().copied().map(identifier).collect();
            }
            let request = json!({"method": "POST", "url": "Patient"});
            entries.push(json!({"fullUrl": url(1, index), "resource": resource, "request": request}));
        }
        for (index, subject) in self.subjects.iter().enumerate() {
            let mut resource = json!({
                "resourceType": "Observation", "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
                "valueQuantity": {"value": number, "unit": "kg"},
            });
            match subject {
                Subject::Nobody => {}
                Subject::Own(patient) => resource["subject"] = json!({"reference": url(1, *patient)}),
                Subject::Logical(system, value) => {
                    resource["subject"] = json!({"identifier": identifier((*system, *value))});
                }
                Subject::OwnAnd(patient, system, value) => {
                    let identifier = identifier((*system, *value));
                    resource["subject"] = json!({"reference": url(1, *patient), "identifier": identifier});
                }
                Subject::Outside(id) => resource["subject"] = json!({"reference": format!("Patient/{id}")}),
            }
            let request = json!({"method": "POST", "url": "Observation"});
            entries.push(json!({"fullUrl": url(2, index), "resource": resource, "request": request}));
        }
        let mut bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
        if let Some(value) = self.identifier {
            bundle["identifier"] = json!({"system": "http://app.example/export", "value": value});
        }
        bundle.to_string().into_bytes()
    }

    /// The sidecar's bytes; `name` gives the reference of an account.
    pub(super) fn sidecar_bytes(&self, name: impl Fn(usize) -> String) -> Option<Vec<u8>> {
        let text = match &self.sidecar {
            Sidecar::Missing => return None,
            Sidecar::Account(account) => json!({"accountReference": name(*account)}).to_string(),
            Sidecar::Key(key) => json!({"key": key}).to_string(),
            Sidecar::Both(account, key) => json!({"accountReference": name(*account), "key": key}).to_string(),
            Sidecar::Garbage => "accountReference: somebody".to_owned(),
            Sidecar::Empty => "{}".to_owned(),
        };
        Some(text.into_bytes())
    }
}
