//! Hours of trouble with a thousand files, and turns among accounts: what such an hour may cost, in figures.

use super::{
    api::Mode,
    cast::cast,
    world::{File, Happening, World},
};
use crate::{
    engine::event::Alert,
    model::{Stage, Submission},
    store::{Order, Store},
};
use std::time::Duration;

const FILES: usize = 1_000;
const HOUR: Duration = Duration::from_secs(3600);

/// A thousand different files for four accounts; the API of all is in `mode` for an hour, then well.
fn an_hour_of(mode: Mode) -> World {
    let mut world = World::plain(7, 2);
    world.start();
    for number in 0..FILES {
        let content = 100 + number;
        world.files.push(File { channel: 0, folder: (number % 4) as u64, content, in_inbox: false });
        world.at(2_000 + number as u64 * 20, Happening::Arrives(number));
    }
    world.note_routes();
    world.api.modes.insert(cast().contracts[0].clone(), mode);
    world.run_for(HOUR);
    let failed = records(&world).iter().filter(|record| record.stage.place() == crate::model::Place::Failed).count();
    // Until a third account is refused in the same way it may be the files.
    assert!(failed <= if matches!(mode, Mode::Picky(_)) { 3 } else { 0 }, "{failed} failed");
    world.api.modes.insert(cast().contracts[0].clone(), Mode::Healthy);
    world.run_for(HOUR);
    world
}

fn records(world: &World) -> Vec<Submission> {
    world.store.submissions(Order::OldestFirst, None, usize::MAX).unwrap()
}

fn count(world: &World, wanted: fn(&Stage) -> bool) -> usize {
    records(world).iter().filter(|record| wanted(&record.stage)).count()
}

fn alerts(world: &World, wanted: fn(&Alert) -> bool) -> usize {
    world.alerts.iter().filter(|alert| wanted(alert)).count()
}

/// One alert in, one out, and whatever is not Unknown is delivered in the order of claims.
fn assert_recovered(world: &World, unknown_at_most: usize) {
    assert_eq!(alerts(world, |alert| matches!(alert, Alert::DestinationPaused { .. })), 1);
    assert_eq!(alerts(world, |alert| matches!(alert, Alert::DestinationOpen { .. })), 1);
    assert_in_order(world, unknown_at_most);
}

fn assert_in_order(world: &World, unknown_at_most: usize) {
    let unknown = count(world, |stage| matches!(stage, Stage::Unknown { .. }));
    let delivered = count(world, |stage| matches!(stage, Stage::Delivered { .. }));
    assert!(unknown <= unknown_at_most, "{unknown} are Unknown");
    assert_eq!(unknown + delivered, FILES);
    let unknown = |id| matches!(world.store.submission(id).unwrap().unwrap().stage, Stage::Unknown { .. });
    for (account, ..) in &cast().accounts {
        let taken = world.api.taken.iter().filter(|(to, _, id)| to == account && !unknown(*id)).map(|(.., id)| *id);
        assert!(taken.is_sorted(), "{} has them in order", account.account);
    }
}

#[test]
fn an_hour_of_503_costs_no_file_and_two_alerts() {
    assert_recovered(&an_hour_of(Mode::Busy(None)), 0);
    assert_recovered(&an_hour_of(Mode::Busy(Some(30))), 0);
}

#[test]
fn an_hour_without_connections_costs_no_file_and_two_alerts() {
    assert_recovered(&an_hour_of(Mode::Unreachable), 0);
}

#[test]
fn an_hour_of_refused_set_up_costs_no_file_and_two_alerts() {
    assert_recovered(&an_hour_of(Mode::Refusing), 0);
}

/// One for each connection; probes are not answered, so no push tries.
#[test]
fn an_hour_of_silence_leaves_one_unknown_a_connection() {
    assert_recovered(&an_hour_of(Mode::Silent), 2);
}

/// Tokens that are refused without a word on why cost nobody its authorisation: one alert in and one out for each of the
/// two persons, and none else.
#[test]
fn an_hour_of_401_pauses_no_person_and_costs_no_file() {
    let world = an_hour_of(Mode::Unauthorised);
    assert_in_order(&world, 0);
    assert_eq!(alerts(&world, |alert| matches!(alert, Alert::PersonRefused { .. })), 2);
    assert_eq!(alerts(&world, |alert| matches!(alert, Alert::PersonServed { .. })), 2);
    assert_eq!(alerts(&world, |alert| !matches!(alert, Alert::DeliveredWithErrors { .. })), 4);
}

/// An hour in which every push is answered by the same 4xx costs the first accounts a file each, not the queue: the third
/// account shows that it is not the files.
#[test]
fn an_hour_of_the_same_4xx_for_everybody_costs_two_files() {
    let world = an_hour_of(Mode::Picky(400));
    let refused = count(&world, |stage| matches!(stage, Stage::Refused { .. }));
    assert!((1..=3).contains(&refused), "{refused} were refused");
    assert_eq!(refused + count(&world, |stage| matches!(stage, Stage::Delivered { .. })), FILES);
    assert_eq!(alerts(&world, |alert| matches!(alert, Alert::DestinationPaused { .. })), 1);
    assert_eq!(alerts(&world, |alert| matches!(alert, Alert::DestinationOpen { .. })), 1);
}

/// Each account that waits has its turn before any other has two more.
#[test]
fn a_long_queue_keeps_no_other_account_waiting() {
    let mut world = World::plain(3, 1);
    world.start();
    for number in 0..400 {
        let folder = if number % 40 == 39 { 1 } else { 0 };
        world.files.push(File { channel: 0, folder, content: 100 + number, in_inbox: false });
        world.at(2_000 + number as u64, Happening::Arrives(number));
    }
    world.note_routes();
    world.run_for(HOUR);
    assert_eq!(world.api.taken.len(), 400);
    let few = &cast().accounts[1].0;
    let places: Vec<_> = (0..400).filter(|place| world.api.taken[*place].0 == *few).collect();
    assert_eq!(places.len(), 10);
    assert!(places[9] < 60, "the ten files of the short queue went at {places:?}");
}
