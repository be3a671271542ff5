//! Who plays: contracts, channels, persons, accounts, contents. And their parcels, made the only way that there is:
//! by the real inspector and the real sorter.

use crate::{
    engine::event::{AccountKey, PersonKey},
    fhir::json,
    model::{
        Account, AccountReference, ChannelName, ContractName, Digest, EvidenceKind, ForeignName, KeyedHash, Labels,
        LinkValue, PushType, SubmissionId, Timestamp,
    },
    route::{self, Addressed, Consignment, Directory, Envelope, ForProvider, LibraryRules, Parcel},
    validate::{self, Policy, Validator},
};
use std::{
    cell::RefCell,
    collections::HashMap,
    convert::Infallible,
    path::Path,
    sync::{Arc, OnceLock},
};

/// What the bytes of a file are.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) digest: Digest,
    pub(super) valid: bool,
    pub(super) idempotent: bool,
}

#[derive(Debug)]
pub(super) struct Cast {
    /// With the contract of each; the last sends files to the library.
    pub(super) channels: Vec<(ChannelName, ContractName)>,
    pub(super) contracts: Vec<ContractName>,
    pub(super) persons: Vec<PersonKey>,
    /// With the person that owns it and the name in mappings.
    pub(super) accounts: Vec<(AccountKey, PersonKey, AccountReference)>,
    pub(super) contents: Vec<Content>,
    folder: Arc<Path>,
    version: Arc<str>,
}

/// The one cast: the first contract has three channels, three persons and five accounts, the second one of each.
pub(super) fn cast() -> &'static Cast {
    static CAST: OnceLock<Cast> = OnceLock::new();
    CAST.get_or_init(|| {
        let contracts: Vec<ContractName> = ["main", "other"].map(|name| name.parse().unwrap()).to_vec();
        let person = |contract: usize, name: &str| PersonKey {
            contract: contracts[contract].clone(),
            person: name.parse().unwrap(),
        };
        let persons = vec![person(0, "ann"), person(0, "ben"), person(1, "cat"), person(0, "dan")];
        let account = |number: usize, person: usize| {
            let owner = persons[person].clone();
            let contract = owner.contract.clone();
            let key = AccountKey { contract, account: format!("account-{number}").parse().unwrap() };
            (key, owner, format!("reference-{number}").parse().unwrap())
        };
        let content = |number: u8, valid, idempotent| Content { digest: Digest::of(&[number]), valid, idempotent };
        Cast {
            channels: [("a", 0), ("b", 0), ("c", 1), ("l", 0)]
                .map(|(name, contract): (&str, usize)| (name.parse().unwrap(), contracts[contract].clone()))
                .to_vec(),
            accounts: vec![account(0, 0), account(1, 0), account(2, 1), account(3, 1), account(4, 2), account(5, 3)],
            contents: (0..12).map(|number| content(number, number != 11, number >= 9)).collect(),
            contracts,
            persons,
            folder: Path::new("/work").into(),
            version: "stu3".into(),
        }
    })
}

impl Cast {
    pub(super) fn contract_of(&self, channel: &ChannelName) -> &ContractName {
        &self.channels.iter().find(|(name, _)| name == channel).unwrap().1
    }

    /// The few contents of the cast, and as many others as a test wants: valid, each different, none idempotent.
    pub(super) fn content(&self, number: usize) -> Content {
        let other = || Content { digest: Digest::of(&number.to_le_bytes()), valid: true, idempotent: false };
        self.contents.get(number).cloned().unwrap_or_else(other)
    }

    pub(super) fn push_of(&self, channel: &ChannelName) -> PushType {
        let (library, _) = self.channels.last().unwrap();
        if channel == library { PushType::Library } else { PushType::Provider }
    }

    /// The parcel of these bytes for the account as the store knows it.
    pub(super) fn parcel(&self, id: SubmissionId, digest: Digest, idempotent: bool, account: &Account) -> Box<Parcel> {
        let consignment = self.consignment(id, digest);
        Box::new(addressed(account, idempotent).parcel(consignment, self.version.clone()))
    }

    /// The parcel of these bytes for the account's library.
    pub(super) fn library_parcel(&self, id: SubmissionId, digest: Digest, account: &Account) -> Box<Parcel> {
        let envelope = envelope_rules(account);
        let rules = LibraryRules { envelope, reference: Labels::default(), tags: Labels::default() };
        let media_type = route::media_type(&ForeignName::new("file"), b"%PDF-1.4");
        let descriptor = route::describe(media_type, None, &rules).unwrap();
        let folder = ForeignName::new("folder");
        let envelope = Envelope { folder: Some(&folder), sidecar: None };
        let Ok(found) = route::address_file(descriptor, envelope, &rules, &Only(account.clone()));
        let addressed = found.outcome.unwrap_or_else(|reason| panic!("{reason:?}"));
        Box::new(addressed.parcel(self.consignment(id, digest)))
    }

    fn consignment(&self, id: SubmissionId, digest: Digest) -> Consignment {
        Consignment {
            submission: id,
            folder: self.folder.clone(),
            file: "file".to_owned(),
            claimed: digest,
            digest,
            size: 1,
        }
    }
}

fn envelope_rules(account: &Account) -> route::EnvelopeRules {
    let contract = account.contract.clone();
    route::EnvelopeRules { contract, folder: true, sidecar: false, default_account: None }
}

type Known = HashMap<(AccountKey, String, bool), Addressed<ForProvider>>;

/// Found once for each account, by a small Bundle in a folder that is linked to it.
fn addressed(account: &Account, idempotent: bool) -> Addressed<ForProvider> {
    thread_local! {
        static KNOWN: RefCell<Known> = RefCell::default();
    }
    let key = AccountKey { contract: account.contract.clone(), account: account.id.clone() };
    let way = format!("{} {}", account.person, account.reference);
    KNOWN.with_borrow_mut(|known| {
        known.entry((key, way, idempotent)).or_insert_with(|| address(account.clone(), idempotent)).clone()
    })
}

fn address(account: Account, idempotent: bool) -> Addressed<ForProvider> {
    let request = if idempotent { r#""method":"PUT","url":"Patient/1""# } else { r#""method":"POST","url":"Patient""# };
    let text = format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"fullUrl":"http://x.example/Patient/1","resource":{{"resourceType":"Patient","id":"1"}},"request":{{{request}}}}}]}}"#
    );
    let document = validate::read(text.as_bytes(), &json::Limits::default()).unwrap();
    let validator = Validator::new();
    let (bundle, _) = validator.bundle(&document, &Policy::default()).unwrap_or_else(|found| panic!("{found:?}"));
    let envelope = envelope_rules(&account);
    let rules = route::Rules { envelope, patient_systems: Vec::new(), expression: None };
    let folder = ForeignName::new("folder");
    let envelope = Envelope { folder: Some(&folder), sidecar: None };
    let Ok(found) = route::address(&bundle, envelope, &rules, &Only(account));
    found.outcome.unwrap_or_else(|reason| panic!("{reason:?}"))
}

/// One folder, one account.
struct Only(Account);

impl Directory for Only {
    type Error = Infallible;

    fn link(&self, _: EvidenceKind, _: &LinkValue) -> Result<Option<AccountReference>, Infallible> {
        Ok(Some(self.0.reference.clone()))
    }

    fn accounts(&self, _: &AccountReference) -> Result<Vec<Account>, Infallible> {
        Ok(vec![self.0.clone()])
    }

    fn hash(&self, _: EvidenceKind, _: &[&[u8]]) -> KeyedHash {
        KeyedHash::from_bytes([0; 16])
    }
}

/// An account of the cast as `accounts sync` first finds it.
pub(super) fn account_record(number: usize) -> Account {
    let (key, owner, reference) = &cast().accounts[number];
    Account {
        contract: key.contract.clone(),
        person: owner.person.clone(),
        id: key.account.clone(),
        reference: reference.clone(),
        service: None,
        authorised: true,
        blocked: None,
        updated: Timestamp::from_millis(0),
    }
}
