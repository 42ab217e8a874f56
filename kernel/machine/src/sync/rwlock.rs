//! The sleeping reader-writer lock.

use super::level;
use super::spin_lock::SpinLock;
use crate::thread::{self, Thread, Token};
use alloc::collections::VecDeque;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// A lock for many readers or one writer, waited for by sleeping. Not for interrupt handlers.
///
/// A waiting writer holds new readers back, so it is not starved; hence a thread must not take a read lock
/// twice.
pub struct RwLock<T: ?Sized> {
    state: SpinLock<State>,
    value: UnsafeCell<T>,
}

struct State {
    readers: usize,
    writer: bool,
    waiters: VecDeque<Waiter>,
}

struct Waiter {
    thread: Thread,
    writes: bool,
}

// SAFETY: the lock gives `&mut T` to one thread at a time.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: readers on several threads share `&T`, hence `Sync`; writers move it between threads, hence `Send`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

/// Shared access to what a [`RwLock`] guards.
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    _not_send: PhantomData<*const ()>,
}

/// Exclusive access to what a [`RwLock`] guards.
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    _not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard only gives `&T`.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: a shared guard only gives `&T`.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl State {
    /// Takes the lock if the rules allow it. `queued`: the caller waits already, so the writers
    /// behind it do not hold it back.
    fn try_take(&mut self, writes: bool, queued: bool) -> bool {
        if writes {
            let free = self.readers == 0 && !self.writer;
            self.writer |= free;
            return free;
        }
        let free = !self.writer && (queued || !self.waiters.iter().any(|waiter| waiter.writes));
        self.readers += usize::from(free);
        free
    }

    /// Grants the lock to those at the head of the queue that may have it.
    fn grant(&mut self) {
        while let Some(writes) = self.waiters.front().map(|waiter| waiter.writes) {
            if !self.try_take(writes, true) {
                break;
            }
            let waiter = self.waiters.pop_front();
            if let Some(waiter) = waiter {
                waiter.thread.unpark_token(Token::LOCK);
            }
        }
    }
}

impl<T> RwLock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Self {
        let state = State { readers: 0, writer: false, waiters: VecDeque::new() };
        Self { state: SpinLock::with_level(level::WAITERS, state), value: UnsafeCell::new(value) }
    }

    /// The value, when the lock is no longer needed.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    fn take(&self, writes: bool) {
        let mut state = self.state.lock();
        if state.try_take(writes, false) {
            return;
        }
        let me = thread::current();
        let id = me.id();
        state.waiters.push_back(Waiter { thread: me, writes });
        drop(state);
        level::assert_none_held("waiting for an RwLock");
        loop {
            thread::park_token(Token::LOCK, None);
            // Who grants the lock takes the waiter off the queue; anything else was a stale token.
            if !self.state.lock().waiters.iter().any(|waiter| waiter.thread.id() == id) {
                return;
            }
        }
    }

    /// Takes the lock for reading.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.take(false);
        RwLockReadGuard { lock: self, _not_send: PhantomData }
    }

    /// Takes the lock for writing.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.take(true);
        RwLockWriteGuard { lock: self, _not_send: PhantomData }
    }

    /// Takes the lock for reading if that needs no wait.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.state
            .lock()
            .try_take(false, false)
            .then_some(())
            .map(|()| RwLockReadGuard { lock: self, _not_send: PhantomData })
    }

    /// Takes the lock for writing if that needs no wait.
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.state
            .lock()
            .try_take(true, false)
            .then_some(())
            .map(|()| RwLockWriteGuard { lock: self, _not_send: PhantomData })
    }

    /// Access without locking, as nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_read() {
            Some(guard) => f.debug_tuple("RwLock").field(&&*guard).finish(),
            None => f.write_str("RwLock(<locked>)"),
        }
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this guard is one of the readers, so there is no writer.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this guard is the writer, so there is no other access.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the writer and is borrowed mutably, so this is the only reference.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        let mut state = self.lock.state.lock();
        state.readers -= 1;
        state.grant();
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        let mut state = self.lock.state.lock();
        state.writer = false;
        state.grant();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    #[test]
    fn readers_share_and_writers_exclude() {
        let lock = RwLock::new(1);
        let first = lock.read();
        let second = lock.try_read().unwrap();
        assert!(lock.try_write().is_none());
        drop((first, second));
        let writer = lock.try_write().unwrap();
        assert!(lock.try_read().is_none());
        drop(writer);
        assert_eq!(*lock.read(), 1);
    }

    #[test]
    fn readers_never_see_half_a_write() {
        let pair = Arc::new(RwLock::new((0u64, 0u64)));
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let pair = pair.clone();
                std::thread::spawn(move || {
                    for i in 0..2000 {
                        if (i + number) % 4 == 0 {
                            let mut guard = pair.write();
                            guard.0 += 1;
                            std::thread::yield_now();
                            guard.1 += 1;
                        } else {
                            let guard = pair.read();
                            assert_eq!(guard.0, guard.1);
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*pair.read(), (2000, 2000));
    }
}
