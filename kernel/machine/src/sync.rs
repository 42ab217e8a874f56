//! Locks and waiting.
//!
//! | type | waits by | for |
//! |---|---|---|
//! | [`SpinLock`] | spinning | short sections, and data that interrupt handlers touch |
//! | [`Mutex`] | sleeping | sections that may wait for a disk |
//! | [`RwLock`] | sleeping | the same, with many readers; a waiting writer holds new readers back |
//! | [`WaitQueue`] | sleeping | a condition that another thread or an interrupt makes true |

pub mod level;
mod mutex;
mod rwlock;
mod spin_lock;
mod wait_queue;

pub use mutex::{Mutex, MutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use spin_lock::{SpinLock, SpinLockGuard};
pub use wait_queue::WaitQueue;

use spin_lock::Relax;

/// A value that is set once; who comes while it is being made spins.
pub type Once<T> = spin::once::Once<T, Relax>;
/// A value that is made when it is first used.
pub type Lazy<T, F = fn() -> T> = spin::lazylock::LazyLock<T, F, Relax>;
