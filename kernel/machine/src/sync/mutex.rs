//! The sleeping mutex.

use super::level;
use super::spin_lock::SpinLock;
use crate::thread::{self, Thread, Token};
use alloc::collections::VecDeque;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU8, Ordering};

const FREE: u8 = 0;
const LOCKED: u8 = 1;
/// Locked, and somebody may be waiting.
const CONTENDED: u8 = 2;

/// A lock that is waited for by sleeping; it may be held across disk reads. Not for interrupt handlers.
pub struct Mutex<T: ?Sized> {
    state: AtomicU8,
    waiters: SpinLock<VecDeque<Thread>>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands `&mut T` to one thread at a time, so sharing the mutex only moves `T` between threads.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

/// Access to what a [`Mutex`] guards; dropping it releases the lock.
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    _not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard only gives `&T`.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T> Mutex<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            state: AtomicU8::new(FREE),
            waiters: SpinLock::with_level(level::WAITERS, VecDeque::new()),
            value: UnsafeCell::new(value),
        }
    }

    /// The value, when the lock is no longer needed.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock, sleeping until it is free.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        if self.state.compare_exchange(FREE, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_slow();
        }
        MutexGuard { mutex: self, _not_send: PhantomData }
    }

    #[cold]
    fn lock_slow(&self) {
        level::assert_none_held("waiting for a Mutex");
        let me = thread::current();
        loop {
            {
                let mut waiters = self.waiters.lock();
                if !waiters.iter().any(|waiter| waiter.id() == me.id()) {
                    waiters.push_back(me.clone());
                }
                // Under the waiters' lock: an unlock that sees CONTENDED finds us in the queue.
                if self.state.swap(CONTENDED, Ordering::Acquire) == FREE {
                    waiters.retain(|waiter| waiter.id() != me.id());
                    // CONTENDED stays: others may be queued, and one needless look by unlock is harmless.
                    return;
                }
            }
            thread::park_token(Token::LOCK, None);
        }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.state
            .compare_exchange(FREE, LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then_some(MutexGuard { mutex: self, _not_send: PhantomData })
    }

    /// Access without locking, as nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    fn unlock(&self) {
        if self.state.swap(FREE, Ordering::Release) == CONTENDED {
            let next = self.waiters.lock().pop_front();
            if let Some(next) = next {
                next.unpark_token(Token::LOCK);
            }
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple("Mutex").field(&&*guard).finish(),
            None => f.write_str("Mutex(<locked>)"),
        }
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this guard holds the lock, so no `&mut T` exists elsewhere.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard holds the lock and is borrowed mutably, so this is the only reference.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    #[test]
    fn counts_without_loss_under_contention() {
        let counter = Arc::new(Mutex::new(0u64));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let counter = counter.clone();
                std::thread::spawn(move || {
                    for i in 0..5000 {
                        let mut value = counter.lock();
                        let old = *value;
                        if i % 64 == 0 {
                            std::thread::yield_now();
                        }
                        *value = old + 1;
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*counter.lock(), 20_000);
        assert!(counter.waiters.lock().is_empty());
    }

    #[test]
    fn try_lock_and_into_inner() {
        let mutex = Mutex::new(3);
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
        drop(guard);
        *mutex.try_lock().unwrap() += 1;
        assert_eq!(mutex.into_inner(), 4);
    }
}
