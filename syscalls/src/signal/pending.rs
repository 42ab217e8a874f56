//! Signals that were sent and not yet delivered.

use super::{SigFields, SigInfo, SigSet};
use alloc::collections::VecDeque;

/// A queue of signals, of a thread or of a process.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    set: SigSet,
    queue: VecDeque<SigInfo>,
}

impl Pending {
    /// The signals in it.
    pub(crate) fn set(&self) -> SigSet {
        self.set
    }

    /// How many entries it holds.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Adds a signal. A standard signal that is pending already is not added again, unless it is a timer's: of each timer there is one at most.
    pub(crate) fn push(&mut self, info: SigInfo) {
        let signal = info.signal;
        let of_timer = matches!(info.fields, SigFields::Timer { .. });
        if !signal.is_realtime() && self.set.contains(signal) && !of_timer {
            return;
        }
        self.set.insert(signal);
        self.queue.push_back(info);
    }

    /// Takes the next signal among `wanted`: those of faults first, then by number, then by age.
    pub(crate) fn take(&mut self, wanted: SigSet) -> Option<SigInfo> {
        let ready = self.set & wanted;
        let signal = (ready & SigSet::SYNCHRONOUS).first().or_else(|| ready.first())?;
        let at = self.queue.iter().position(|info| info.signal == signal)?;
        let info = self.queue.remove(at)?;
        if !self.queue.iter().any(|info| info.signal == signal) {
            self.set.remove(signal);
        }
        Some(info)
    }

    /// Whether a signal of this timer is in it.
    pub(crate) fn has_timer(&self, timer: i32) -> bool {
        self.queue.iter().any(|info| matches!(info.fields, SigFields::Timer { id, .. } if id == timer))
    }

    /// Drops all that are in `set`.
    pub(crate) fn discard(&mut self, set: SigSet) {
        self.queue.retain(|info| !set.contains(info.signal));
        self.set = self.set & !set;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Signal;
    use super::*;

    fn taken(pending: &mut Pending) -> Vec<(u8, i32)> {
        core::iter::from_fn(|| pending.take(!SigSet::EMPTY))
            .map(|info| (info.signal.number(), info.code))
            .collect()
    }

    fn info(number: i32, code: i32) -> SigInfo {
        SigInfo { code, ..SigInfo::kernel(Signal::new(number).unwrap()) }
    }

    #[test]
    fn order_is_faults_then_number_then_age() {
        let mut pending = Pending::default();
        for (number, code) in [(40, 1), (10, 2), (34, 3), (34, 4), (11, 5), (1, 6)] {
            pending.push(info(number, code));
        }
        assert_eq!(taken(&mut pending), [(11, 5), (1, 6), (10, 2), (34, 3), (34, 4), (40, 1)]);
        assert!(pending.set().is_empty());
    }

    #[test]
    fn standard_signals_do_not_queue() {
        let mut pending = Pending::default();
        pending.push(info(10, 1));
        pending.push(info(10, 2));
        assert_eq!(taken(&mut pending), [(10, 1)]);
    }

    #[test]
    fn blocked_ones_stay() {
        let mut pending = Pending::default();
        pending.push(info(10, 1));
        pending.push(info(12, 2));
        assert!(pending.take(SigSet::only(Signal::SIGHUP)).is_none());
        assert_eq!(pending.take(SigSet::only(Signal::SIGUSR2)).unwrap().code, 2);
        pending.discard(SigSet::only(Signal::SIGUSR1));
        assert_eq!(pending.len(), 0);
    }
}
