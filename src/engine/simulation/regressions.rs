//! Faults that the simulation found, each as the small schedule that shows it.

use super::cast::{account_record, cast};
use crate::{
    engine::{
        event::{
            AccountKey, Effect, Event, Inspected, Judgement, Moment, Opened, PersonStanding, RefreshOutcome,
            TokenTimes, Verb, Verdict,
        },
        item::begun,
        step::{Ambiguous, ChannelRules, Engine, Order, Rules},
    },
    model::{Attempt, EvidenceKind, HoldReason, PushType, Receipt, Recipient, Stage, SubmissionId, Timestamp},
    push::{Answer, Scope},
};
use std::time::Duration;

/// An engine whose clock and events a test plays; what is to be done is returned, flushes are the test's.
struct Play {
    engine: Engine,
    seconds: u64,
}

const fn id(number: u64) -> SubmissionId {
    SubmissionId::from_u64(number << 16)
}

impl Play {
    /// All persons have tokens that last a day.
    fn new() -> Self {
        let channel = |(name, contract): &(crate::model::ChannelName, crate::model::ContractName)| {
            let max_age = Duration::from_secs(3600);
            let (order, ambiguous) = (Order::Claim, Ambiguous::Hold);
            (name.clone(), ChannelRules { contract: contract.clone(), order, ambiguous, max_age })
        };
        let channels = cast().channels.iter().map(channel).collect();
        let engine = Engine::new(Rules { channels, connections: 4, parcels: 100, seed: 1 });
        let mut play = Self { engine, seconds: 0 };
        for person in &cast().persons {
            play.step(Event::Person { person: person.clone(), standing: fresh(86_400) });
        }
        play.step(Event::Started);
        play
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        self.engine.step(self.moment(), event, &mut out);
        out
    }

    fn moment(&self) -> Moment {
        let monotonic = Duration::from_secs(self.seconds);
        Moment { monotonic, wall: Timestamp::from_millis(1_480_000_000_000).plus(monotonic) }
    }

    fn claim(&mut self, number: u64, content: usize) -> Vec<Effect> {
        self.step(Event::Claimed(opened(number, content, Stage::Claimed)))
    }

    fn judged(&mut self, number: u64, content: usize, account: usize) -> Vec<Effect> {
        self.step(addressed(number, content, account))
    }

    fn answered(&mut self, number: u64, answer: Answer) -> Vec<Effect> {
        let attempt = Attempt { outcome: answer.outcome(), ..begun(1, recipient(number, 0), self.moment()) };
        self.step(Event::Answered { id: id(number), answer, attempt })
    }

    /// The loop would turn without end where something is due and a tick changes nothing.
    fn assert_rests(&mut self) {
        for _ in 0..3 {
            self.step(Event::Tick);
        }
        let due = self.engine.due();
        assert!(due.is_none_or(|due| due > Duration::from_secs(self.seconds)), "due since {due:?}");
    }
}

fn fresh(seconds: u64) -> PersonStanding {
    let life = Duration::from_secs(seconds);
    PersonStanding::Fresh(TokenTimes { access: life, refresh: life * 50, age: Duration::ZERO })
}

fn opened(number: u64, content: usize, stage: Stage) -> Opened {
    Opened {
        id: id(number),
        channel: cast().channels[0].0.clone(),
        push: PushType::Provider,
        digest: cast().contents[content].digest,
        stage,
        settled: true,
        recipient: None,
        rank: id(number).as_u64(),
        forced: false,
        attempts: 0,
        waited_millis: 0,
        judgings: 0,
        reached: Vec::new(),
    }
}

fn addressed(number: u64, content: usize, account: usize) -> Event {
    let bytes = &cast().contents[content];
    let parcel = cast().parcel(id(number), bytes.digest, bytes.idempotent, &account_record(account));
    let verdict = Verdict::Addressed(parcel);
    Event::Judged { id: id(number), judgement: Judgement { inspected: Inspected::default(), verdict }, earlier: None }
}

fn sends(effects: &[Effect]) -> Vec<SubmissionId> {
    let sending = |effect: &Effect| match effect {
        Effect::Log { change, .. } if matches!(change.stage, Stage::Sending { .. }) => Some(change.id),
        _ => None,
    };
    effects.iter().filter_map(sending).collect()
}

fn judges(effects: &[Effect]) -> Vec<SubmissionId> {
    let judging = |effect: &Effect| match effect {
        Effect::Judge { id } => Some(*id),
        _ => None,
    };
    effects.iter().filter_map(judging).collect()
}

#[test]
fn a_renewal_that_is_due_while_the_destination_is_closed_does_not_keep_the_loop_turning() {
    let mut play = Play::new();
    let person = cast().persons[0].clone();
    assert!(play.engine.expire_token(play.moment(), &person));
    assert!(matches!(play.step(Event::Tick).as_slice(), [Effect::Refresh { .. }]));
    let outcome = RefreshOutcome::DestinationPaused { why: String::new() };
    play.step(Event::Refreshed { person, outcome });
    play.seconds = 3600;
    let probes = play.step(Event::Tick);
    assert!(matches!(probes.as_slice(), [Effect::Probe { .. }]));
    play.assert_rests();
    let contract = cast().contracts[0].clone();
    let renews = play.step(Event::Probed { contract, failure: None });
    assert!(
        renews.iter().any(|effect| matches!(effect, Effect::Refresh { .. })),
        "it is renewed once that makes sense"
    );
}

#[test]
fn a_destination_whose_wait_is_over_and_that_nothing_is_sent_to_does_not_keep_the_loop_turning() {
    let mut play = Play::new();
    play.claim(1, 0);
    assert_eq!(sends(&play.judged(1, 0, 0)), [id(1)]);
    play.answered(1, Answer::Later { after: Some(Duration::from_secs(5)), scope: Scope::Destination });
    play.step(Event::Decided { opened: Box::new(opened(1, 0, Stage::Ready)), verb: Verb::Hold });
    play.seconds = 60;
    play.assert_rests();
}

fn holds(effects: &[Effect]) -> Vec<(SubmissionId, HoldReason)> {
    let holding = |effect: &Effect| match effect {
        Effect::Log { change, .. } => match &change.stage {
            Stage::Held(reason) => Some((change.id, reason.clone())),
            _ => None,
        },
        _ => None,
    };
    effects.iter().filter_map(holding).collect()
}

fn unlinked(number: u64) -> Event {
    let verdict = Verdict::Held(HoldReason::Unlinked { kind: EvidenceKind::Folder });
    Event::Judged { id: id(number), judgement: Judgement { inspected: Inspected::default(), verdict }, earlier: None }
}

fn receipt() -> Receipt {
    let (at, body) = (Timestamp::from_millis(0), cast().contents[0].digest);
    Receipt { at, status: 200, reference: None, body, rejected_entries: 0 }
}

fn decided(opened: Opened, verb: Verb) -> Event {
    Event::Decided { opened: Box::new(opened), verb }
}

fn recipient(number: u64, account: usize) -> Recipient {
    let digest = cast().contents[0].digest;
    cast().parcel(id(number), digest, false, &account_record(account)).recipient().clone()
}

/// A record that has an account.
fn of_account(opened: Opened, account: usize) -> Opened {
    Opened { recipient: Some(recipient(1, account)), ..opened }
}

#[test]
fn a_judgement_that_is_older_than_a_change_of_links_sends_nothing() {
    let mut play = Play::new();
    assert_eq!(judges(&play.claim(1, 0)), [id(1)]);
    play.step(Event::MappingsChanged);
    let again = play.judged(1, 0, 0);
    assert_eq!((sends(&again), judges(&again)), (vec![], vec![id(1)]));
    assert_eq!(sends(&play.judged(1, 0, 1)), [id(1)]);
}

#[test]
fn a_judgement_that_waits_for_an_earlier_claim_is_made_anew_when_links_change() {
    let mut play = Play::new();
    play.claim(1, 0);
    play.claim(2, 1);
    play.judged(2, 1, 0);
    play.step(Event::MappingsChanged);
    play.judged(1, 0, 1);
    let both = play.judged(1, 0, 1);
    assert_eq!((sends(&both), judges(&both)), (vec![id(1)], vec![id(2)]));
}

#[test]
fn an_import_during_a_refresh_begins_no_second_one() {
    let mut play = Play::new();
    let person = cast().persons[0].clone();
    play.engine.expire_token(play.moment(), &person);
    assert!(matches!(play.step(Event::Tick).as_slice(), [Effect::Refresh { .. }]));
    play.step(Event::Person { person: person.clone(), standing: fresh(60) });
    play.engine.expire_token(play.moment(), &person);
    assert!(play.step(Event::Tick).is_empty());
    assert!(play.engine.is_refreshing());
}

#[test]
fn a_person_is_told_once_that_it_must_authorise_again() {
    let mut play = Play::new();
    let person = cast().persons[0].clone();
    let outcome = || RefreshOutcome::Paused { why: String::new() };
    assert_eq!(play.step(Event::Refreshed { person: person.clone(), outcome: outcome() }).len(), 2);
    assert_eq!(play.step(Event::Refreshed { person, outcome: outcome() }).len(), 0);
}

#[test]
fn what_is_held_before_its_turn_to_be_judged_after_a_crash_stays_held() {
    let mut play = Play::new();
    for number in [1, 2, 3] {
        play.step(Event::Opened(opened(number, 0, Stage::Claimed)));
    }
    assert_eq!(play.step(Event::Started).len(), 1);
    assert_eq!(holds(&play.step(decided(opened(2, 0, Stage::Claimed), Verb::Hold))), [(id(2), HoldReason::ByPerson)]);
    let after = play.judged(1, 0, 0);
    let touched = |effect: &Effect| matches!(effect, Effect::Log { change, .. } if change.id == id(2));
    assert!(!after.iter().any(touched), "{after:?}");
}

#[test]
fn a_claim_that_is_given_up_keeps_none_behind_it_waiting() {
    let mut play = Play::new();
    play.claim(1, 0);
    play.claim(2, 1);
    assert_eq!(sends(&play.judged(2, 1, 0)), []);
    assert_eq!(sends(&play.step(decided(opened(1, 0, Stage::Claimed), Verb::Drop))), [id(2)]);
}

#[test]
fn what_was_given_up_before_the_engine_was_told_of_it_is_not_judged() {
    let mut play = Play::new();
    play.step(decided(opened(1, 0, Stage::Claimed), Verb::Drop));
    assert!(play.claim(1, 0).is_empty());
}

#[test]
fn an_account_that_was_blocked_before_its_first_bundle_gets_none() {
    let mut play = Play::new();
    let account: AccountKey = cast().accounts[0].0.clone();
    play.step(Event::Account { account: account.clone(), blocked: Some("no longer authorised".to_owned()) });
    play.claim(1, 0);
    assert_eq!(sends(&play.judged(1, 0, 0)), []);
    assert_eq!(sends(&play.step(Event::Account { account, blocked: None })), [id(1)]);
}

#[test]
fn of_two_held_ones_with_the_same_bytes_one_is_sent_whichever_is_judged_first() {
    let mut play = Play::new();
    for number in [1, 2] {
        play.claim(number, 0);
        play.step(unlinked(number));
        play.step(Event::Placed { id: id(number) });
    }
    play.step(Event::MappingsChanged);
    play.judged(2, 0, 0);
    assert_eq!(sends(&play.step(Event::Placed { id: id(2) })), [id(2)]);
    assert_eq!(holds(&play.judged(1, 0, 0)), [(id(1), HoldReason::DuplicateOpen { of: id(2) })]);
}

#[test]
fn a_queue_whose_first_moves_to_another_account_goes_on() {
    let mut play = Play::new();
    play.claim(1, 0);
    play.judged(1, 0, 0);
    for number in [2, 3] {
        play.claim(number, usize::try_from(number).unwrap());
        play.judged(number, usize::try_from(number).unwrap(), 0);
    }
    play.step(Event::MappingsChanged);
    assert_eq!(judges(&play.answered(1, Answer::Delivered(receipt()))), [id(2)]);
    let moved = play.judged(2, 2, 1);
    assert_eq!((sends(&moved), judges(&moved)), (vec![id(2)], vec![id(3)]));
}

#[test]
fn one_that_waits_and_is_addressed_anew_says_so_in_its_record() {
    let mut play = Play::new();
    play.claim(1, 0);
    play.judged(1, 0, 0);
    play.answered(1, Answer::Later { after: Some(Duration::from_secs(9)), scope: Scope::Submission });
    play.step(Event::MappingsChanged);
    play.seconds = 10;
    assert_eq!(judges(&play.step(Event::Tick)), [id(1)]);
    let other = cast().accounts[1].0.account.clone();
    let effects = play.judged(1, 0, 1);
    let says = |effect: &Effect| matches!(effect, Effect::Log { change, .. } if change.recipient.as_ref().is_some_and(|to| to.account == other));
    assert!(effects.iter().any(says), "{effects:?}");
}

#[test]
fn a_repeat_that_is_judged_while_an_unknown_is_released_does_not_go_in_its_stead() {
    let mut play = Play::new();
    play.claim(1, 0);
    play.judged(1, 0, 0);
    play.answered(1, Answer::Unknown);
    play.claim(2, 0);
    play.step(decided(of_account(opened(1, 0, Stage::Unknown { attempt: 1 }), 0), Verb::Release));
    assert_eq!(holds(&play.judged(2, 0, 0)), [(id(2), HoldReason::DuplicateOpen { of: id(1) })]);
}

#[test]
fn a_repeat_of_one_that_is_sent_once_more_waits_for_it() {
    let mut play = Play::new();
    let delivered = of_account(opened(1, 0, Stage::Delivered { receipt: receipt() }), 0);
    play.step(decided(Opened { reached: vec![recipient(1, 0)], ..delivered }, Verb::ForceRelease));
    play.claim(2, 0);
    assert_eq!(holds(&play.judged(2, 0, 0)), [(id(2), HoldReason::DuplicateOpen { of: id(1) })]);
}

#[test]
fn a_repeat_of_an_unknown_that_was_given_up_is_held_and_not_sent() {
    let mut play = Play::new();
    play.claim(1, 0);
    play.judged(1, 0, 0);
    play.answered(1, Answer::Unknown);
    play.claim(2, 0);
    play.judged(2, 0, 0);
    let dropped = play.step(decided(of_account(opened(1, 0, Stage::Unknown { attempt: 1 }), 0), Verb::Drop));
    assert!(sends(&dropped).is_empty());
    play.step(Event::Placed { id: id(1) });
    let Event::Judged { id: of, judgement, .. } = addressed(2, 0, 0) else { unreachable!() };
    let after = play.step(Event::Judged { id: of, judgement, earlier: Some((id(1), None)) });
    assert!(after.is_empty(), "it stays held: {after:?}");
}

#[test]
fn a_repeat_that_waits_for_an_earlier_claim_hears_of_a_delivery_meanwhile() {
    let mut play = Play::new();
    play.claim(1, 0);
    play.judged(1, 0, 0);
    play.claim(2, 1);
    play.claim(3, 0);
    play.judged(3, 0, 0);
    play.answered(1, Answer::Delivered(receipt()));
    play.step(Event::Placed { id: id(1) });
    let after = play.judged(2, 1, 1);
    let repeat = |effect: &Effect| matches!(effect, Effect::Log { change, .. } if change.id == id(3) && matches!(change.stage, Stage::Duplicate { .. }));
    assert!(after.iter().any(repeat), "{after:?}");
}

#[test]
fn what_waits_behind_a_forced_one_of_the_same_bytes_is_judged_again_before_it_is_sent() {
    let mut play = Play::new();
    let account = cast().accounts[0].0.clone();
    let forced = of_account(opened(2, 0, Stage::Ready), 0);
    play.step(Event::Account { account: account.clone(), blocked: Some(String::new()) });
    play.step(Event::Opened(Opened { forced: true, rank: 0, ..forced }));
    play.step(Event::Opened(of_account(opened(1, 0, Stage::Ready), 0)));
    play.step(decided(of_account(opened(2, 0, Stage::Ready), 0), Verb::Retry));
    play.step(Event::Account { account, blocked: None });
    assert_eq!(judges(&play.judged(1, 0, 0)), [id(1)], "nobody had asked by the mappings of this run");
    play.judged(1, 0, 0);
    assert_eq!(sends(&play.judged(2, 0, 0)), [id(2)]);
    let after = play.answered(2, Answer::Delivered(receipt()));
    assert_eq!((sends(&after), judges(&after)), (vec![], vec![id(1)]));
}

#[test]
fn a_repeat_whose_first_ended_just_before_a_crash_is_judged_at_the_start() {
    let mut play = Play::new();
    play.step(Event::Opened(opened(2, 0, Stage::Held(HoldReason::DuplicateOpen { of: id(1) }))));
    assert_eq!(judges(&play.step(Event::Started)), [id(2)]);
}

#[test]
fn a_late_delivery_does_not_cut_short_what_the_api_asked_to_wait() {
    let mut play = Play::new();
    for number in [1, 2] {
        let content = usize::try_from(number).unwrap();
        play.claim(number, content);
        play.judged(number, content, content);
    }
    play.answered(1, Answer::Later { after: Some(Duration::from_secs(60)), scope: Scope::Destination });
    play.claim(3, 3);
    play.judged(3, 3, 3);
    assert!(sends(&play.answered(2, Answer::Delivered(receipt()))).is_empty());
}

#[test]
fn a_released_bundle_keeps_its_later_turn_through_a_crash() {
    let mut play = Play::new();
    play.step(Event::Opened(of_account(opened(1, 0, Stage::Held(HoldReason::ByPerson)), 0)));
    play.step(Event::Opened(of_account(opened(2, 1, Stage::Held(HoldReason::ByPerson)), 0)));
    let released = play.step(decided(of_account(opened(1, 0, Stage::Held(HoldReason::ByPerson)), 0), Verb::Release));
    let rank = released.iter().find_map(|effect| match effect {
        Effect::Log { change, .. } => change.rank,
        _ => None,
    });
    assert!(rank > Some(id(2).as_u64()), "{rank:?}");
}

/// One of the bytes may be at account 0: it went there, nobody knows how that ended, a person let it go on, and then it
/// went to account 1.
fn gone_elsewhere() -> Play {
    let mut play = Play::new();
    play.claim(1, 0);
    assert_eq!(sends(&play.judged(1, 0, 0)), [id(1)]);
    play.answered(1, Answer::Unknown);
    let contract = cast().contracts[0].clone();
    play.seconds = 60;
    play.step(Event::Tick);
    play.step(Event::Probed { contract, failure: None });
    play.step(decided(of_account(opened(1, 0, Stage::Unknown { attempt: 1 }), 0), Verb::Release));
    play.step(Event::Placed { id: id(1) });
    play.judged(1, 0, 1);
    play
}

#[test]
fn a_repeat_for_an_account_where_one_may_be_that_went_elsewhere_is_held() {
    let mut play = gone_elsewhere();
    play.claim(2, 0);
    assert_eq!(holds(&play.judged(2, 0, 0)), [(id(2), HoldReason::DuplicateOpen { of: id(1) })]);
    play.claim(3, 0);
    assert_eq!(
        holds(&play.judged(3, 0, 1)),
        [(id(3), HoldReason::DuplicateOpen { of: id(1) })],
        "it is on its way there"
    );
    play.claim(4, 0);
    assert_eq!(holds(&play.judged(4, 0, 2)), [], "nothing of it was ever sent there");
}

#[test]
fn a_repeat_that_waits_for_an_earlier_claim_hears_where_one_may_be_that_ended_elsewhere() {
    let mut play = gone_elsewhere();
    play.claim(2, 1);
    play.claim(3, 0);
    play.judged(3, 0, 0);
    play.step(decided(of_account(opened(1, 0, Stage::Ready), 1), Verb::Drop));
    play.step(Event::Placed { id: id(1) });
    let after = play.judged(2, 1, 2);
    assert_eq!(holds(&after), [(id(3), HoldReason::DuplicateOpen { of: id(1) })]);
}

#[test]
fn a_start_knows_where_one_may_be_that_went_elsewhere() {
    let mut play = Play::new();
    let moved = of_account(opened(1, 0, Stage::Held(HoldReason::ByPerson)), 1);
    play.step(Event::Opened(Opened { reached: vec![recipient(1, 0)], ..moved }));
    play.claim(2, 0);
    assert_eq!(holds(&play.judged(2, 0, 0)), [(id(2), HoldReason::DuplicateOpen { of: id(1) })]);
}

/// Who releases an Unknown decides that its account may get it twice, and says nothing of another account.
#[test]
fn who_lets_an_unknown_go_on_decides_for_the_account_that_it_had() {
    let mut play = Play::new();
    play.claim(1, 0);
    play.judged(1, 0, 0);
    play.answered(1, Answer::Unknown);
    play.claim(2, 0);
    play.judged(2, 0, 1);
    play.step(decided(of_account(opened(1, 0, Stage::Unknown { attempt: 1 }), 0), Verb::Release));
    play.step(Event::Placed { id: id(1) });
    assert_eq!(holds(&play.judged(1, 0, 1)), [(id(1), HoldReason::DuplicateOpen { of: id(2) })]);
}

#[test]
fn what_was_resent_by_itself_and_was_given_up_may_be_there_all_the_same() {
    let mut play = Play::new();
    let channel = cast().channels[0].0.clone();
    play.engine.rules.channels.get_mut(&channel).unwrap().ambiguous = Ambiguous::Resend;
    play.claim(1, 0);
    play.judged(1, 0, 0);
    play.answered(1, Answer::Unknown);
    play.claim(2, 1);
    play.claim(3, 0);
    play.judged(3, 0, 0);
    play.step(decided(of_account(opened(1, 0, Stage::Ready), 0), Verb::Drop));
    play.step(Event::Placed { id: id(1) });
    assert_eq!(holds(&play.judged(2, 1, 2)), [(id(3), HoldReason::DuplicateOpen { of: id(1) })]);
}

/// Its account is in the record, also where the reason stays the same.
#[test]
fn a_repeat_that_is_addressed_anew_and_stays_held_says_so_in_its_record() {
    let mut play = Play::new();
    let first = of_account(opened(1, 0, Stage::Held(HoldReason::ByPerson)), 1);
    play.step(Event::Opened(Opened { reached: vec![recipient(1, 0)], ..first }));
    play.claim(2, 0);
    play.judged(2, 0, 0);
    play.step(Event::Placed { id: id(2) });
    let again = play.judged(2, 0, 1);
    let says =
        |effect: &Effect| matches!(effect, Effect::Log { change, .. } if change.recipient == Some(recipient(2, 1)));
    assert!(again.iter().any(says), "{again:?}");
}

/// Seed 71583: it was held for longer than the maximum age, released, and expired at the first answer to wait.
#[test]
fn time_that_a_file_is_held_does_not_count_to_its_age() {
    let mut play = Play::new();
    play.claim(1, 0);
    play.judged(1, 0, 0);
    let later = || Answer::Later { after: Some(Duration::from_secs(5)), scope: Scope::Submission };
    play.answered(1, later());
    play.seconds = 10;
    assert_eq!(judges(&play.step(Event::Tick)), [id(1)]);
    assert_eq!(sends(&play.judged(1, 0, 0)), [id(1)]);
    play.answered(1, Answer::Unexpected { status: 409, reference: None });
    play.step(Event::Placed { id: id(1) });
    play.seconds = 8_000;
    let held = HoldReason::UnexpectedAnswer { status: 409, reference: None };
    play.step(decided(of_account(opened(1, 0, Stage::Held(held)), 0), Verb::Release));
    play.step(Event::Placed { id: id(1) });
    assert_eq!(sends(&play.judged(1, 0, 0)), [id(1)]);
    assert_eq!(holds(&play.answered(1, later())), []);
}
