//! Faults to order: only a program built with the feature `faults` has them, for the suites that attack it.
//!
//! `PUSHBRIDGE_FAULT_ORDERS` names a file of orders, a line each, read again at each point:
//!
//! ```text
//! claim.copied abort 3        the program ends without a further step when the point is reached the third time
//! settle.move enospc 1 20     an I/O error from the first to the 20th time: enospc, eio, eacces, erofs or emfile
//! ```
//!
//! Points are named by the way of a Bundle and what comes next. [`POINTS`] lists them all.

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

    static ORDERS: LazyLock<Option<PathBuf>> =
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
