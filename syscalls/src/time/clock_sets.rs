//! Setting the wall clock, and who is told of it.
//!
//! Timers that go by the wall clock are in a map of their own in the [queues](super::queue). Threads that sleep until a time of the wall clock are
//! woken, whatever they sleep for: each looks again at how long is left. That costs sleepers nothing, and it is rare.

use super::{adjtime, queue};
use crate::pid;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_machine::sync::SpinLock;
use husk_machine::time;

/// Something that is told when the wall clock is set.
pub(super) trait Told: Send + Sync + 'static {
    /// It has been set.
    fn clock_was_set(&self);
}

static COUNT: AtomicU64 = AtomicU64::new(0);
static TOLD: SpinLock<Vec<Weak<dyn Told>>> = SpinLock::new(Vec::new());

/// How often it has been set.
pub(super) fn count() -> u64 {
    COUNT.load(Ordering::Acquire)
}

/// Tells `object` from now on, as long as it is there.
pub(super) fn tell<T: Told>(object: &Arc<T>) {
    let new: Weak<dyn Told> = Arc::<T>::downgrade(object);
    let mut gone = Vec::new();
    let mut told = TOLD.lock();
    if told.iter().any(|known| known.ptr_eq(&new)) {
        return;
    }
    if told.len() == told.capacity() {
        // The list does not grow by those that have gone.
        gone.extend(told.extract_if(.., |known| known.strong_count() == 0));
    }
    told.push(new);
    drop(told);
    drop(gone);
}

/// Sets the wall clock.
pub(super) fn set(realtime_ns: u64) {
    time::set_realtime_ns(realtime_ns);
    adjtime::clock_was_set();
    changed();
}

/// The wall clock, or its distance from atomic time, has been set.
pub(super) fn changed() {
    COUNT.fetch_add(1, Ordering::AcqRel);
    queue::clock_was_set();
    for process in pid::processes() {
        process.for_each_thread(|task| task.wake_sleeper());
    }
    let told: Vec<_> = TOLD.lock().iter().filter_map(Weak::upgrade).collect();
    for object in told {
        object.clock_was_set();
    }
}
