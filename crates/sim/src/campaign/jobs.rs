//! Work for several threads, whose results come in order.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

/// Does `work` for each number, on so many threads, and gives the results to `take` on this one, in
/// the order of their numbers, until that has enough. What then comes of later numbers is dropped,
/// so that the outcome is the same however many threads there are.
///
/// Results that are early wait: as many as fit into the time of the longest run, since workers do
/// not wait for it.
///
/// # Panics
/// If `work` does.
pub fn in_order<T: Send>(
    numbers: Range<u64>,
    threads: usize,
    work: impl Fn(u64) -> T + Sync,
    mut take: impl FnMut(u64, T) -> ControlFlow<()>,
) {
    // Counted from the first, since threads count on past the end, which may be the largest number.
    let next = AtomicU64::new(0);
    let count = numbers.end.saturating_sub(numbers.start);
    let is_over = AtomicBool::new(false);
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let sender = sender.clone();
            let (next, is_over, work, numbers) = (&next, &is_over, &work, &numbers);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    let number = numbers.start + at;
                    if sender.send((number, work(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut wanted = numbers.start;
        for (number, result) in &results {
            early.insert(number, result);
            while let Some(result) = early.remove(&wanted) {
                if take(wanted, result).is_break() {
                    is_over.store(true, Ordering::Relaxed);
                    return;
                }
                wanted += 1;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_numbers_are_the_last() {
        let mut taken = Vec::new();
        let take = |number, ()| {
            taken.push(number);
            ControlFlow::Continue(())
        };
        in_order(u64::MAX - 2..u64::MAX, 4, |_| (), take);
        assert_eq!(taken, [u64::MAX - 2, u64::MAX - 1]);
    }

    #[test]
    fn results_come_in_order_up_to_the_last_wanted_on_any_number_of_threads() {
        for threads in [0, 1, 3, 8] {
            let mut taken = Vec::new();
            in_order(
                10..200,
                threads,
                |number| number * number,
                |number, square| {
                    taken.push((number, square));
                    if number == 150 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                },
            );
            let expected: Vec<_> = (10..=150).map(|number| (number, number * number)).collect();
            assert_eq!(taken, expected, "{threads} threads");
        }
    }
}
