//! The threads that can run on a CPU, in the order in which they get it.
//!
//! Real-time threads come first, by priority, those of one priority in turn. All others have a virtual time: how long they ran,
//! slowed down by their weight, on a clock that the threads of a CPU share. The one that is furthest behind is
//! next, so all get their share; one that slept comes in a little behind the others, so it soon has its turn, but cannot save up time.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// Where a thread stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A real-time thread: how far its priority is below the highest.
    Realtime(u8),
    /// Any other, by its virtual time.
    Fair(u64),
}

impl Rank {
    /// Of a real-time priority, 99 the highest.
    pub(crate) fn realtime(priority: u8) -> Self {
        Self::Realtime(u8::MAX - priority)
    }
}

/// Where among those of its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// One that was pre-empted goes before the others.
    Front,
    Back,
}

struct Entry<T> {
    rank: Rank,
    order: i64,
    thread: T,
}

impl<T> Entry<T> {
    fn key(&self) -> (Rank, i64) {
        (self.rank, self.order)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The standard heap gives the greatest first: that is the one with the least key.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// The queue. Its memory is kept when it becomes empty: in the steady state nothing is allocated.
pub(crate) struct Ready<T> {
    threads: BinaryHeap<Entry<T>>,
    first: i64,
    last: i64,
    /// The virtual time of those that ran last: where new ones come in.
    now: u64,
}

impl<T> Ready<T> {
    pub(crate) const fn new() -> Self {
        Self { threads: BinaryHeap::new(), first: 0, last: 0, now: 0 }
    }

    /// The virtual time of those that ran last.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// The virtual time of a thread that comes from sleep (or is new), given its own and how far it may be behind.
    pub(crate) fn after_sleep(&self, own: u64, credit: u64) -> u64 {
        own.max(self.now.saturating_sub(credit))
    }

    /// Adds a thread.
    pub(crate) fn push(&mut self, rank: Rank, end: End, thread: T) {
        let order = match end {
            End::Front => {
                self.first -= 1;
                self.first
            }
            End::Back => {
                self.last += 1;
                self.last
            }
        };
        self.threads.push(Entry { rank, order, thread });
    }

    /// The rank of the next thread.
    pub(crate) fn next_rank(&self) -> Option<Rank> {
        self.threads.peek().map(|entry| entry.rank)
    }

    /// Takes out the next thread.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let entry = self.threads.pop()?;
        self.note_time(entry.rank);
        Some(entry.thread)
    }

    /// Takes out the next thread that is not a real-time one.
    pub(crate) fn pop_fair(&mut self) -> Option<T> {
        let (rank, thread) = self.take_first(|rank, _| matches!(rank, Rank::Fair(_)))?;
        self.note_time(rank);
        Some(thread)
    }

    /// Takes out the first thread that `wanted` says yes to. Linear.
    pub(crate) fn take_first(&mut self, wanted: impl Fn(Rank, &T) -> bool) -> Option<(Rank, T)> {
        let found =
            self.threads.iter().filter(|entry| wanted(entry.rank, &entry.thread)).map(Entry::key).min()?;
        let mut entries: Vec<_> = core::mem::take(&mut self.threads).into_vec();
        let at = entries.iter().position(|entry| entry.key() == found)?;
        let entry = entries.swap_remove(at);
        self.threads = entries.into();
        Some((entry.rank, entry.thread))
    }

    /// Whether `wanted` says yes to any thread.
    pub(crate) fn any(&self, wanted: impl Fn(&T) -> bool) -> bool {
        self.threads.iter().any(|entry| wanted(&entry.thread))
    }

    pub(crate) fn len(&self) -> usize {
        self.threads.len()
    }

    fn note_time(&mut self, rank: Rank) {
        if let Rank::Fair(virtual_time) = rank {
            self.now = self.now.max(virtual_time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fair(ready: &mut Ready<u64>, virtual_time: u64, thread: u64) {
        ready.push(Rank::Fair(virtual_time), End::Back, thread);
    }

    fn all(ready: &mut Ready<u64>) -> Vec<u64> {
        core::iter::from_fn(|| ready.pop()).collect()
    }

    #[test]
    fn the_one_furthest_behind_is_next() {
        let mut ready = Ready::new();
        for (time, id) in [(30, 1), (10, 2), (10, 3), (20, 4)] {
            fair(&mut ready, time, id);
        }
        assert_eq!((ready.len(), ready.next_rank()), (4, Some(Rank::Fair(10))));
        assert_eq!(all(&mut ready), [2, 3, 4, 1]);
        assert_eq!(ready.now(), 30);
    }

    #[test]
    fn real_time_threads_come_first_by_priority_and_then_in_turn() {
        let mut ready = Ready::new();
        fair(&mut ready, 0, 1);
        for (priority, end, id) in
            [(10, End::Back, 2), (20, End::Back, 3), (20, End::Back, 4), (20, End::Front, 5)]
        {
            ready.push(Rank::realtime(priority), end, id);
        }
        assert_eq!(all(&mut ready), [5, 3, 4, 2, 1]);
    }

    #[test]
    fn threads_are_taken_from_the_middle() {
        let mut ready = Ready::new();
        for id in 0..10 {
            fair(&mut ready, 10 - id, id);
        }
        ready.push(Rank::realtime(1), End::Back, 99);
        assert_eq!(ready.take_first(|_, id| id % 3 == 0 && *id < 99), Some((Rank::Fair(1), 9)));
        assert_eq!(ready.pop_fair(), Some(8));
        assert_eq!(ready.take_first(|_, id| *id == 1000), None);
        assert!(ready.any(|id| *id == 7) && !ready.any(|id| *id == 8));
        assert_eq!(all(&mut ready), [99, 7, 6, 5, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn shares_are_equal_and_sleep_is_not_saved_up() {
        let mut ready = Ready::new();
        let mut ran = [0u64; 3];
        let mut times = [0u64; 3];
        fair(&mut ready, 0, 0);
        fair(&mut ready, 0, 1);
        for turn in 0..1000 {
            if turn == 500 {
                times[2] = ready.after_sleep(0, 5);
                fair(&mut ready, times[2], 2);
            }
            let thread = ready.pop().unwrap();
            // Thread 1 runs twice as long whenever it runs.
            let time = if thread == 1 { 20 } else { 10 };
            ran[thread as usize] += time;
            times[thread as usize] += time;
            fair(&mut ready, times[thread as usize], thread);
        }
        assert!(ran[0].abs_diff(ran[1]) <= 20, "{ran:?}");
        let late_share = ran[2] as f64 / (ran[0] + ran[1] + ran[2]) as f64;
        assert!((0.15..0.22).contains(&late_share), "the late thread had {late_share} of all");
    }
}
