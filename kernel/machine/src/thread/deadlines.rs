//! Deadlines in order.

use alloc::collections::BTreeMap;

/// Sleepers by the time at which their sleep ends; each has an id of its own, so that it can leave early.
pub(crate) struct Deadlines<T> {
    entries: BTreeMap<(u64, u64), T>,
}

impl<T> Deadlines<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: BTreeMap::new() }
    }

    /// Adds a sleeper.
    pub(crate) fn insert(&mut self, deadline_ns: u64, id: u64, sleeper: T) {
        self.entries.insert((deadline_ns, id), sleeper);
    }

    /// Takes a sleeper out that was woken before its time.
    pub(crate) fn remove(&mut self, deadline_ns: u64, id: u64) -> Option<T> {
        self.entries.remove(&(deadline_ns, id))
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<u64> {
        self.entries.first_key_value().map(|(&(deadline_ns, _), _)| deadline_ns)
    }

    /// Takes out one sleeper whose time has come.
    pub(crate) fn pop_expired(&mut self, now_ns: u64) -> Option<T> {
        (self.next()? <= now_ns).then(|| self.entries.pop_first().map(|(_, sleeper)| sleeper))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expires_in_order_and_on_time() {
        let mut deadlines = Deadlines::new();
        for (deadline, id) in [(30, 1), (10, 2), (20, 3), (20, 4), (u64::MAX, 5)] {
            deadlines.insert(deadline, id, id);
        }
        assert_eq!(deadlines.next(), Some(10));
        assert_eq!(deadlines.pop_expired(9), None);
        assert_eq!(deadlines.pop_expired(10), Some(2));
        assert_eq!(deadlines.remove(20, 3), Some(3));
        assert_eq!(deadlines.remove(20, 3), None);
        assert_eq!(deadlines.pop_expired(1000), Some(4));
        assert_eq!(deadlines.pop_expired(1000), Some(1));
        assert_eq!(deadlines.pop_expired(1000), None);
        assert_eq!(deadlines.next(), Some(u64::MAX));
    }
}
