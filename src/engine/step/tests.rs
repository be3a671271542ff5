//! Orders of events that a running daemon meets seldom, played by hand.

use super::{
    super::event::{Inspected, Opened, Verdict},
    *,
};
use crate::{
    fhir::json,
    model::{
        Account, AccountReference, Digest, EvidenceKind, ForeignName, HashKey, HoldReason, KeyedHash, LinkValue,
        PushType, Stage, Timestamp,
    },
    route::{self, Consignment, Directory, Envelope},
    validate::{Policy, Validator},
};
use std::convert::Infallible;

const fn at(millis: u64) -> Moment {
    Moment { monotonic: Duration::from_millis(millis), wall: Timestamp::from_millis(1_480_000_000_000) }
}

fn engine() -> Engine {
    let rules = ChannelRules {
        contract: "main".parse().unwrap(),
        order: Order::Claim,
        ambiguous: Ambiguous::Hold,
        max_age: Duration::from_secs(60),
    };
    let channels = BTreeMap::from([("clinic".parse().unwrap(), rules)]);
    Engine::new(Rules { channels, connections: 8, parcels: 100, seed: 1 })
}

fn claimed(id: u64) -> Opened {
    Opened {
        id: SubmissionId::from_u64(id),
        channel: "clinic".parse().unwrap(),
        push: PushType::Provider,
        digest: Digest::of(&id.to_be_bytes()),
        stage: Stage::Claimed,
        settled: true,
        recipient: None,
        rank: id,
        forced: false,
        attempts: 0,
        waited_millis: 0,
        judgings: 0,
        reached: Vec::new(),
    }
}

/// A directory in which every folder leads to one account.
struct Leads(&'static str);

impl Directory for Leads {
    type Error = Infallible;

    fn link(&self, _: EvidenceKind, _: &LinkValue) -> Result<Option<AccountReference>, Infallible> {
        Ok(Some(self.0.parse().unwrap()))
    }

    fn accounts(&self, reference: &AccountReference) -> Result<Vec<Account>, Infallible> {
        Ok(vec![Account {
            contract: "main".parse().unwrap(),
            person: format!("person-{reference}").parse().unwrap(),
            id: format!("account-{reference}").parse().unwrap(),
            reference: reference.clone(),
            service: None,
            authorised: true,
            blocked: None,
            updated: Timestamp::from_millis(0),
        }])
    }

    fn hash(&self, _: EvidenceKind, _: &[&[u8]]) -> KeyedHash {
        HashKey::new([0; 32]).hash("test", &[])
    }
}

/// What judging finds while the folder leads there.
fn addressed(id: u64, leads: &'static str) -> Judgement {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/valid/weight-batch.json"));
    let document = json::read(text.as_bytes(), &json::Limits::default()).unwrap();
    let (bundle, _) = Validator::new().bundle(&document, &Policy::default()).unwrap();
    let contract = "main".parse().unwrap();
    let envelope = route::EnvelopeRules { contract, folder: true, sidecar: false, default_account: None };
    let rules = route::Rules { envelope, patient_systems: Vec::new(), expression: None };
    let folder = ForeignName::new("alex");
    let envelope = Envelope { folder: Some(&folder), sidecar: None };
    let addressing = route::address(&bundle, envelope, &rules, &Leads(leads)).unwrap();
    let consignment = Consignment {
        submission: SubmissionId::from_u64(id),
        folder: std::path::Path::new("/work").into(),
        file: "file".to_owned(),
        claimed: Digest::of(&id.to_be_bytes()),
        digest: Digest::of(&id.to_be_bytes()),
        size: 1,
    };
    let parcel = addressing.outcome.unwrap().parcel(consignment, "stu3".into());
    Judgement { inspected: Inspected::default(), verdict: Verdict::Addressed(Box::new(parcel)) }
}

fn step(engine: &mut Engine, now: u64, event: Event) -> Vec<Effect> {
    let mut out = Vec::new();
    engine.step(at(now), event, &mut out);
    out
}

fn judged(id: u64, judgement: Judgement) -> Event {
    Event::Judged { id: SubmissionId::from_u64(id), judgement, earlier: None }
}

fn knows_persons(engine: &mut Engine) {
    for name in ["old", "new"] {
        let person = PersonKey { contract: "main".parse().unwrap(), person: format!("person-{name}").parse().unwrap() };
        let (access, refresh) = (Duration::from_secs(3600), Duration::from_secs(86_400));
        let times = super::super::event::TokenTimes { access, refresh, age: Duration::ZERO };
        step(engine, 0, Event::Person { person, standing: super::super::event::PersonStanding::Fresh(times) });
    }
}

/// The accounts that pushes are wanted to, and whether something is to be judged.
fn wanted(effects: &[Effect]) -> (Vec<String>, bool) {
    let (mut pushes, mut judges) = (Vec::new(), false);
    for effect in effects {
        match effect {
            Effect::Judge { .. } => judges = true,
            Effect::Push { parcel, .. } => pushes.push(parcel.recipient().account.to_string()),
            Effect::Log { then, .. } => {
                let (more, again) = wanted(then);
                pushes.extend(more);
                judges |= again;
            }
            _ => {}
        }
    }
    (pushes, judges)
}

#[test]
fn a_mapping_that_changes_while_a_file_is_judged_is_judged_again_before_the_send() {
    let mut engine = engine();
    knows_persons(&mut engine);
    step(&mut engine, 1, Event::Claimed(claimed(1)));
    // The judge has looked the old link up; then it changes; then the judge is done.
    step(&mut engine, 2, Event::MappingsChanged);
    let effects = step(&mut engine, 3, judged(1, addressed(1, "old")));
    assert_eq!(wanted(&effects), (vec![], true), "the old account gets nothing");
    let effects = step(&mut engine, 4, judged(1, addressed(1, "new")));
    assert_eq!(wanted(&effects).0, ["account-new"]);
}

#[test]
fn a_mapping_that_comes_while_a_file_is_judged_is_not_forgotten_when_it_is_held() {
    let mut engine = engine();
    knows_persons(&mut engine);
    step(&mut engine, 1, Event::Claimed(claimed(1)));
    step(&mut engine, 2, Event::MappingsChanged);
    let reason = HoldReason::Unlinked { kind: EvidenceKind::Folder };
    let held = Judgement { inspected: Inspected::default(), verdict: Verdict::Held(reason) };
    let effects = step(&mut engine, 3, judged(1, held));
    assert!(wanted(&effects).1, "it is judged again by the mapping that has come");
    let effects = step(&mut engine, 4, judged(1, addressed(1, "new")));
    assert_eq!(wanted(&effects).0, ["account-new"], "it was never held: its file stands where it is sent from");
}

#[test]
fn a_file_that_moves_to_another_account_lets_those_behind_it_go() {
    let mut engine = engine();
    knows_persons(&mut engine);
    // Both wait for one account; when that is free, the first one's link has changed.
    let account = AccountKey { contract: "main".parse().unwrap(), account: "account-old".parse().unwrap() };
    step(&mut engine, 0, Event::Account { account: account.clone(), blocked: Some(String::new()) });
    for id in [1, 2] {
        step(&mut engine, id, Event::Claimed(claimed(id)));
        step(&mut engine, id, judged(id, addressed(id, "old")));
    }
    step(&mut engine, 3, Event::MappingsChanged);
    let effects = step(&mut engine, 4, Event::Account { account, blocked: None });
    assert_eq!(wanted(&effects), (vec![], true), "the first one is judged again");
    let effects = step(&mut engine, 5, judged(1, addressed(1, "new")));
    let (pushes, judges) = wanted(&effects);
    assert_eq!(pushes, ["account-new"]);
    assert!(judges, "the second one is looked at, now that it stands first");
}

#[test]
fn who_asks_for_no_wait_over_and_over_is_spared_all_the_same() {
    let seconds = Duration::from_secs;
    assert_eq!(asked_or_own(Some(seconds(0)), 0, seconds(9)), seconds(0));
    assert_eq!(asked_or_own(Some(seconds(0)), 3, seconds(9)), seconds(9));
    assert_eq!(asked_or_own(Some(seconds(2)), 3, seconds(9)), seconds(2));
    assert_eq!(asked_or_own(None, 0, seconds(9)), seconds(9));
}
