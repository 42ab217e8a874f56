//! The threads that can run, in the order in which they get the CPU.
//!
//! Each thread has a virtual time: how long it ran, on a clock that all threads of a CPU share. The one that is
//! furthest behind is next, so all get the same share; one that slept comes in a little behind the others, so it soon has
//! its turn, but cannot save up time.

use alloc::collections::BTreeMap;

/// Threads by their virtual time; the id keeps those with the same time apart.
pub(crate) struct Ready<T> {
    threads: BTreeMap<(u64, u64), T>,
    /// The virtual time of those that ran last: where new ones come in.
    now: u64,
}

impl<T> Ready<T> {
    pub(crate) const fn new() -> Self {
        Self { threads: BTreeMap::new(), now: 0 }
    }

    /// The virtual time of a thread that comes from sleep (or is new), given its own and how far it may be behind.
    pub(crate) fn after_sleep(&self, own: u64, credit: u64) -> u64 {
        own.max(self.now.saturating_sub(credit))
    }

    /// Adds a thread.
    pub(crate) fn push(&mut self, virtual_time: u64, id: u64, thread: T) {
        self.threads.insert((virtual_time, id), thread);
    }

    /// Takes out the thread that is furthest behind.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let ((virtual_time, _), thread) = self.threads.pop_first()?;
        self.now = self.now.max(virtual_time);
        Some(thread)
    }

    pub(crate) fn len(&self) -> usize {
        self.threads.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_furthest_behind_is_next() {
        let mut ready = Ready::new();
        for (time, id) in [(30, 1), (10, 2), (10, 3), (20, 4)] {
            ready.push(time, id, id);
        }
        assert_eq!(ready.len(), 4);
        assert_eq!(
            [ready.pop(), ready.pop(), ready.pop(), ready.pop(), ready.pop()],
            [Some(2), Some(3), Some(4), Some(1), None]
        );
    }

    #[test]
    fn shares_are_equal_and_sleep_is_not_saved_up() {
        let mut ready = Ready::new();
        let mut ran = [0u64; 3];
        let mut times = [0u64; 3];
        ready.push(0, 0, 0);
        ready.push(0, 1, 1);
        for turn in 0..1000 {
            if turn == 500 {
                times[2] = ready.after_sleep(0, 5);
                ready.push(times[2], 2, 2);
            }
            let thread = ready.pop().unwrap();
            // Thread 1 runs twice as long whenever it runs.
            let time = if thread == 1 { 20 } else { 10 };
            ran[thread] += time;
            times[thread] += time;
            ready.push(times[thread], thread as u64, thread);
        }
        assert!(ran[0].abs_diff(ran[1]) <= 20, "{ran:?}");
        let late_share = ran[2] as f64 / (ran[0] + ran[1] + ran[2]) as f64;
        assert!((0.15..0.22).contains(&late_share), "the late thread had {late_share} of all");
    }
}
