//! Every host thread counts as running on CPU 0.

use super::model;
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
    match model::active() {
        Some(model) => model.spin(),
        None => std::thread::yield_now(),
    }
}

pub(crate) fn with_held_locks<R>(f: impl FnOnce(&mut Held) -> R) -> R {
    if let Some(model) = model::active() {
        return model::with_held_locks(model, f);
    }
    HELD.with(|cell| {
        let mut held = cell.get();
        let result = f(&mut held);
        cell.set(held);
        result
    })
}
