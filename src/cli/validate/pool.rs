//! Work side by side whose results come in the order of the items, with few of them in memory.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// How many results may wait for an earlier one, for each thread.
const WINDOW: u64 = 8;

struct State<I, R> {
    items: I,
    taken: u64,
    given: u64,
    done: BTreeMap<u64, R>,
    over: bool,
}

struct Pool<I, R> {
    state: Mutex<State<I, R>>,
    changed: Condvar,
    window: u64,
}

/// Works on each item on one of `threads` threads, and hands the results to `each` in the order of the items until it
/// says that it is enough. `work` must not panic.
pub(super) fn in_order<I, R, W, E>(threads: usize, items: I, work: W, mut each: E)
where
    I: Iterator + Send,
    R: Send,
    W: Fn(I::Item) -> R + Sync,
    E: FnMut(R) -> ControlFlow<()>,
{
    let threads = threads.max(1);
    let state = State { items, taken: 0, given: 0, done: BTreeMap::new(), over: false };
    let window = WINDOW.saturating_mul(u64::try_from(threads).unwrap_or(u64::MAX));
    let pool = Pool { state: Mutex::new(state), changed: Condvar::new(), window };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((number, item)) = pool.take() {
                    pool.put(number, work(item));
                }
            });
        }
        while let Some(result) = pool.next() {
            if each(result).is_break() {
                break;
            }
        }
        pool.end();
    });
}

impl<I: Iterator, R> Pool<I, R> {
    fn lock(&self) -> MutexGuard<'_, State<I, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next item, as soon as its result would have room.
    fn take(&self) -> Option<(u64, I::Item)> {
        let mut state = self.lock();
        while !state.over && state.taken >= state.given + self.window {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.over {
            return None;
        }
        let Some(item) = state.items.next() else {
            state.over = true;
            drop(state);
            self.changed.notify_all();
            return None;
        };
        state.taken += 1;
        Some((state.taken - 1, item))
    }

    fn put(&self, number: u64, result: R) {
        self.lock().done.insert(number, result);
        self.changed.notify_all();
    }

    /// The next result in the order of the items.
    fn next(&self) -> Option<R> {
        let mut state = self.lock();
        loop {
            let number = state.given;
            if let Some(result) = state.done.remove(&number) {
                state.given += 1;
                drop(state);
                self.changed.notify_all();
                return Some(result);
            }
            if state.over && state.given == state.taken {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        for threads in [1, 2, 7] {
            let mut results = Vec::new();
            let work = |item: u64| {
                if item.is_multiple_of(5) {
                    thread::yield_now();
                }
                item * 2
            };
            in_order(threads, 0..1_000, work, |result| {
                results.push(result);
                ControlFlow::Continue(())
            });
            assert_eq!(results, (0..1_000).map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn it_ends_where_it_is_enough_and_never_runs_far_ahead() {
        let begun = AtomicU64::new(0);
        let mut seen = 0;
        let work = |item: u64| {
            begun.fetch_add(1, Ordering::SeqCst);
            item
        };
        in_order(2, 0.., work, |_| {
            seen += 1;
            assert!(begun.load(Ordering::SeqCst) <= seen + 2 * WINDOW, "no more than the window lies ready");
            if seen == 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(seen, 100);
    }

    #[test]
    fn nothing_to_do_is_done() {
        in_order(3, std::iter::empty::<u8>(), |item| item, |_| panic!("there is no result"));
    }
}
