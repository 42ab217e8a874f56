//! The spin lock.

use super::level;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use spin::RelaxStrategy;
use spin::mutex::{SpinMutex, SpinMutexGuard};

/// Gives the CPU a chance to do what others wait for while it spins.
pub struct Relax;

impl RelaxStrategy for Relax {
    #[inline]
    fn relax() {
        crate::arch::cpu::relax();
    }
}

/// A lock that is waited for by spinning. Nothing may sleep while holding it.
///
/// It may carry a level; see the crate's page for the order.
pub struct SpinLock<T: ?Sized> {
    level: u8,
    inner: SpinMutex<T, Relax>,
}

/// Access to what a [`SpinLock`] guards; dropping it releases the lock.
pub struct SpinLockGuard<'a, T: ?Sized> {
    level: u8,
    inner: SpinMutexGuard<'a, T, Relax>,
    // Released by the thread (and so on the CPU) that took it.
    _not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard only gives `&T`.
unsafe impl<T: ?Sized + Sync> Sync for SpinLockGuard<'_, T> {}

impl<T> SpinLock<T> {
    /// A lock that takes no part in the order of levels.
    pub const fn new(value: T) -> Self {
        Self::with_level(level::NONE, value)
    }

    /// A lock with a level from 1 (taken first) to 63 (taken last).
    pub const fn with_level(level: u8, value: T) -> Self {
        assert!(level < 64, "lock levels go up to 63");
        Self { level, inner: SpinMutex::new(value) }
    }

    /// The value, when the lock is no longer needed.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Takes the lock.
    ///
    /// # Panics
    /// In debug builds, if a lock of the same or a higher level is held.
    #[inline]
    pub fn lock(&self) -> SpinLockGuard<'_, T> {
        #[cfg(not(target_os = "none"))]
        crate::hosted::model::point();
        level::acquired(self.level, true);
        SpinLockGuard { level: self.level, inner: self.inner.lock(), _not_send: PhantomData }
    }

    /// Takes the lock if it is free.
    #[inline]
    pub fn try_lock(&self) -> Option<SpinLockGuard<'_, T>> {
        let inner = self.inner.try_lock()?;
        level::acquired(self.level, false);
        Some(SpinLockGuard { level: self.level, inner, _not_send: PhantomData })
    }

    /// Access without locking, as nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }
}

impl<T: Default> Default for SpinLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple("SpinLock").field(&&*guard).finish(),
            None => f.write_str("SpinLock(<locked>)"),
        }
    }
}

impl<T: ?Sized> Deref for SpinLockGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for SpinLockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for SpinLockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized> Drop for SpinLockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // The inner guard unlocks just after this; nothing on this CPU runs in between.
        level::released(self.level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excludes_and_reports_order() {
        let low = SpinLock::with_level(10, 1);
        let high = SpinLock::with_level(20, 2);
        {
            let guard = low.lock();
            assert!(low.try_lock().is_none());
            assert_eq!(*guard + *high.lock(), 3);
        }
        let _high = high.lock();
        assert!(low.try_lock().is_some(), "try_lock may break the order");
        if cfg!(debug_assertions) {
            let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(low.lock())));
            assert!(broken.is_err(), "taking level 10 under level 20 must be caught");
        }
    }
}
