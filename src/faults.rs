//! Faults to order: only a program built with the feature `faults` has them, for the suites that attack it.
//!
//! `PUSHBRIDGE_FAULT_ORDERS` names a file of orders, a line each, read again at each point and at each look at the wall
//! clock:
//!
//! ```text
//! claim.write abort 3         the program ends without a further step when the point is reached the third time
//! settle.move enospc 1 20     an I/O error from the first to the 20th time: enospc, eio, eacces, erofs or emfile
//! clock ahead -3600           the wall clock is an hour behind the machine's
//! clock pace 120 MILLIS       both clocks go 120 times as fast: the wall clock since that instant (milliseconds since
//!                             the Unix epoch), the waits since the program began; it counts from the start on
//! ```
//!
//! Points are named by the way of a Bundle and what comes next. [`POINTS`] lists them all. What goes faster are the
//! waits of [`crate::model::clock`]; disks, exporters and peers keep the machine's time.

use std::time::{Duration, Instant};

/// Every point, in the order in which a Bundle meets them; then those of the tokens.
pub const POINTS: [&str; 26] = [
    "claim.begin",
    "claim.write",
    "claim.sync",
    "claim.record",
    "claim.recorded",
    "claim.aside",
    "claim.end",
    "claim.removed",
    "judge.begin",
    "judge.done",
    "journal.append",
    "store.apply",
    "journal.sync",
    "store.flush",
    "store.synced",
    "push.begin",
    "push.answered",
    "settle.move",
    "settle.moved",
    "settle.report",
    "settle.rename",
    "settle.sync",
    "settle.synced",
    "refresh.begin",
    "refresh.answered",
    "refresh.kept",
];

/// A point at which the program may end.
#[inline]
pub(crate) fn pass(point: &'static str) {
    // A fault that was ordered for a point that cannot fail is none.
    let _ = reach(point);
}

/// A point at which the program may end, or the next step fail.
///
/// # Errors
/// The one that was ordered.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn reach(_point: &'static str) -> std::io::Result<()> {
    Ok(())
}

/// An instant of the machine's monotonic clock, by the program's.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn monotonic(machine: Instant) -> Instant {
    machine
}

/// Milliseconds of the machine's wall clock, by the program's.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn wall(machine: i64) -> i64 {
    machine
}

/// How long a wait of the program takes the machine.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn wait(program: Duration) -> Duration {
    program
}

#[cfg(feature = "faults")]
pub(crate) use clock::{monotonic, wait, wall};
#[cfg(feature = "faults")]
pub(crate) use ordered::reach;

#[cfg(feature = "faults")]
mod ordered {
    use std::{
        collections::BTreeMap,
        env, fs, io,
        path::PathBuf,
        sync::{LazyLock, Mutex, PoisonError},
    };

    pub(super) static ORDERS: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| env::var_os("PUSHBRIDGE_FAULT_ORDERS").map(PathBuf::from));

    /// How often each point was reached.
    static REACHED: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

    pub(crate) fn reach(point: &'static str) -> io::Result<()> {
        assert!(super::POINTS.contains(&point), "{point} is not on the list");
        let Some(orders) = &*ORDERS else { return Ok(()) };
        let times = {
            let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
            let times = reached.entry(point).or_default();
            *times += 1;
            *times
        };
        let Ok(orders) = fs::read_to_string(orders) else { return Ok(()) };
        match orders.lines().find_map(|order| ordered(order, point, times)) {
            Some(Fault::Abort) => std::process::abort(),
            Some(Fault::Error(number)) => Err(io::Error::from_raw_os_error(number)),
            None => Ok(()),
        }
    }

    enum Fault {
        Abort,
        Error(i32),
    }

    fn ordered(order: &str, point: &str, times: u64) -> Option<Fault> {
        let mut words = order.split_whitespace();
        words.next().filter(|word| *word == point)?;
        let what = words.next()?;
        let mut number = |other| words.next().map_or(other, |word| word.parse().expect("a number of times"));
        let from: u64 = number(1);
        let to = number(from);
        let fault = match what {
            "abort" => Fault::Abort,
            "enospc" => Fault::Error(28),
            "eio" => Fault::Error(5),
            "eacces" => Fault::Error(13),
            "erofs" => Fault::Error(30),
            "emfile" => Fault::Error(24),
            other => panic!("{other} is no fault"),
        };
        (from..=to).contains(&times).then_some(fault)
    }
}

#[cfg(feature = "faults")]
mod clock {
    use super::{Duration, Instant, ordered::ORDERS};
    use std::{fs, sync::LazyLock};

    struct Pace {
        times: u32,
        /// From when on, by the machine's wall clock, and by its monotonic one.
        millis: i64,
        began: Instant,
    }

    static PACE: LazyLock<Pace> = LazyLock::new(|| {
        let given = order("pace")
            .map(|[times, millis]| (u32::try_from(times).expect("the pace of the clock is a number"), millis));
        let (times, millis) = given.unwrap_or((1, 0));
        Pace { times, millis, began: Instant::now() }
    });

    pub(crate) fn monotonic(machine: Instant) -> Instant {
        PACE.began + machine.saturating_duration_since(PACE.began) * PACE.times
    }

    pub(crate) fn wall(machine: i64) -> i64 {
        let [ahead, _] = order("ahead").unwrap_or_default();
        PACE.millis + (machine - PACE.millis) * i64::from(PACE.times) + ahead * 1000
    }

    pub(crate) fn wait(program: Duration) -> Duration {
        program / PACE.times
    }

    /// The numbers of the clock's order of that name; what is not given is 0.
    fn order(name: &str) -> Option<[i64; 2]> {
        let orders = fs::read_to_string(ORDERS.as_ref()?).ok()?;
        let numbers = orders.lines().find_map(|line| line.strip_prefix("clock ")?.strip_prefix(name))?;
        let mut numbers = numbers.split_whitespace().map(|word| word.parse().expect("a number"));
        Some([numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()])
    }
}
