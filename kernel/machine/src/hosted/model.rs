//! Where a model checker takes over: it decides at each lock, park and unpark which thread goes on.
//!
//! The code that is checked is the code that runs; only the host's scheduler is replaced. The checker's threads all run on one thread
//! of the host, one at a time, so everything between two such points happens at once, as on a machine whose memory is never out of
//! order.

use super::thread::{Handle, Inner};
use crate::sync::level::Held;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// A model checker.
pub trait Model {
    /// The thread that runs now.
    fn current(&self) -> usize;
    /// Another thread may go on here.
    fn point(&self);
    /// Another thread has to go on here: the current one waits for it without sleeping.
    fn spin(&self);
    /// The current thread goes on only after [`unpark`](Self::unpark), or without reason.
    fn park(&self);
    /// Lets a thread go on that is parked, or its next park return at once.
    fn unpark(&self, thread: usize);
    /// Whether the time for which the current thread wants to sleep at most is over now. It is asked again and again, so at some time
    /// it has to be.
    fn time_is_up(&self) -> bool;
}

std::thread_local! {
    static MODEL: Cell<Option<&'static dyn Model>> = const { Cell::new(None) };
    static THREADS: RefCell<BTreeMap<usize, (Handle, Held)>> = const { RefCell::new(BTreeMap::new()) };
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Runs `f`, which is to be one thread of a model, and forgets all threads of earlier runs. Locks, threads and waits on this thread of
/// the host are in the model's hands until it returns.
pub fn run(model: &'static dyn Model, f: impl FnOnce()) {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            MODEL.set(None);
            THREADS.take();
        }
    }
    THREADS.take();
    NOW.set(1);
    MODEL.set(Some(model));
    let _reset = Reset;
    f();
}

/// The model in whose hands this thread of the host is.
pub(super) fn active() -> Option<&'static dyn Model> {
    MODEL.get()
}

/// The model's time: it only passes when a sleep ends by it.
pub(super) fn monotonic_ns() -> Option<u64> {
    active().map(|_| NOW.get())
}

/// The time for which a thread wanted to sleep at most is over.
pub(super) fn time_passes(until_ns: u64) {
    NOW.set(NOW.get().max(until_ns));
}

/// Another thread of the model, if there is one, may go on here.
pub(crate) fn point() {
    if let Some(model) = active() {
        model.point();
    }
}

fn with_current<R>(model: &dyn Model, f: impl FnOnce(&mut (Handle, Held)) -> R) -> R {
    THREADS.with_borrow_mut(|threads| {
        let id = model.current();
        f(threads.entry(id).or_insert_with(|| (Inner::in_model(id), Held::NONE)))
    })
}

/// The handle of the model's current thread.
pub(super) fn current() -> Option<Handle> {
    active().map(|model| with_current(model, |(handle, _)| handle.clone()))
}

/// Which locks the model's current thread holds.
pub(super) fn with_held_locks<R>(model: &dyn Model, f: impl FnOnce(&mut Held) -> R) -> R {
    with_current(model, |(_, held)| f(held))
}
