//! Independent fits side by side, results in the order of their inputs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Runs `work` on every item on up to `threads` threads. Items are started in order; once `stop` is set no further item
/// is started and its place stays `None`. The result does not depend on the number of threads if `work` does not.
pub fn map<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    stop: &AtomicBool,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let worker = || {
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(item);
            results.lock().expect("a worker panicked")[index] = Some(result);
        }
    };
    pool(threads).scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            scope.spawn(|_| worker());
        }
    });
    results.into_inner().expect("a worker panicked")
}

/// A pool to run fits in. A fit inside a pool shares the pool's threads with its own matrix products; outside one, every
/// large product would be handed to another thread and waited for, which costs a seventh of a step at batch 512.
pub fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build().expect("the system gives threads")
}

/// As many threads as the machine has cores.
pub fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        let stop = AtomicBool::new(false);
        let squares = map(&items, 4, &stop, |&i| i * i);
        assert_eq!(squares, items.iter().map(|&i| Some(i * i)).collect::<Vec<_>>());
        assert!(map(&[] as &[usize], 4, &stop, |&i| i).is_empty());
    }

    #[test]
    fn stop_keeps_what_is_done() {
        let stop = AtomicBool::new(false);
        let results = map(&[0, 1, 2, 3], 1, &stop, |&i| {
            stop.store(i == 1, Ordering::Relaxed);
            i
        });
        assert_eq!(results, [Some(0), Some(1), None, None]);
    }
}
