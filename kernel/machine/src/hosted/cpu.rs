//! Every host thread counts as running on CPU 0.

use crate::sync::level::Held;
use std::cell::Cell;

std::thread_local! {
    static HELD: Cell<Held> = const { Cell::new(Held::NONE) };
}

pub(crate) fn cpu_count() -> usize {
    1
}

pub(crate) fn cpu_index() -> usize {
    0
}

/// The host may have pre-empted the thread that we spin for.
pub(crate) fn relax() {
    std::thread::yield_now();
}

pub(crate) fn with_held_locks<R>(f: impl FnOnce(&mut Held) -> R) -> R {
    HELD.with(|cell| {
        let mut held = cell.get();
        let result = f(&mut held);
        cell.set(held);
        result
    })
}
