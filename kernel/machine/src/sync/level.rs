//! Lock levels, and the check that locks are taken in their order.

/// Takes no part in the order.
pub const NONE: u8 = 0;
/// The first level that belongs to this crate; the crates above use those below it.
pub const FIRST_OF_MACHINE: u8 = 40;

pub(crate) const WAITERS: u8 = 40;
pub(crate) const PAGE_TABLE: u8 = 44;
#[cfg(target_os = "none")]
pub(crate) const THREAD: u8 = 48;
#[cfg(target_os = "none")]
pub(crate) const RUN_QUEUE: u8 = 52;
#[cfg(target_os = "none")]
pub(crate) const STACKS: u8 = 54;
#[cfg(target_os = "none")]
pub(crate) const HEAP: u8 = 56;
#[cfg(target_os = "none")]
pub(crate) const KERNEL_MAP: u8 = 58;
pub(crate) const FRAMES: u8 = 62;

/// Which spin locks a CPU (hosted: a thread) holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    levels: u64,
    count: u32,
}

impl Held {
    pub(crate) const NONE: Self = Self { levels: 0, count: 0 };

    /// Records a lock about to be taken; `Err` is the held level that forbids it.
    pub(crate) fn acquire(&mut self, level: u8) -> Result<(), u8> {
        if level != NONE {
            let not_below = self.levels >> level;
            if not_below != 0 {
                return Err(level + not_below.trailing_zeros() as u8);
            }
            self.levels |= 1 << level;
        }
        self.count += 1;
        Ok(())
    }

    /// Records a lock released.
    pub(crate) fn release(&mut self, level: u8) {
        if level != NONE {
            self.levels &= !(1 << level);
        }
        self.count -= 1;
    }

    /// How many locks are held.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}

/// Called before a spin lock is taken. Only a `try_lock` may break the order, as it cannot wait.
#[inline]
pub(super) fn acquired(level: u8, may_wait: bool) {
    if cfg!(debug_assertions) {
        crate::arch::cpu::with_held_locks(|held| match held.acquire(level) {
            Ok(()) => {}
            Err(_) if !may_wait => {
                // Counted as unordered; `released` clears the level's bit, which the outer lock then lacks: harmless,
                // the check only gets weaker until that one is released too.
                let _ = held.acquire(NONE);
            }
            Err(other) => panic!("lock order broken: level {level} is taken while level {other} is held"),
        });
    }
}

/// Called after a spin lock is released.
#[inline]
pub(super) fn released(level: u8) {
    if cfg!(debug_assertions) {
        crate::arch::cpu::with_held_locks(|held| held.release(level));
    }
}

/// Checks that a thread holds no spin lock where it is about to sleep.
///
/// # Panics
/// In debug builds, if it holds one.
#[inline]
pub(crate) fn assert_none_held(what: &str) {
    if cfg!(debug_assertions) {
        let count = crate::arch::cpu::with_held_locks(|held| held.count());
        assert!(count == 0, "{what} while holding {count} spin lock(s)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_checked() {
        let mut held = Held::NONE;
        assert_eq!(held.acquire(40), Ok(()));
        assert_eq!(held.acquire(0), Ok(()));
        assert_eq!(held.acquire(63), Ok(()));
        assert_eq!(held.acquire(40), Err(40));
        assert_eq!(held.acquire(50), Err(63));
        held.release(63);
        assert_eq!(held.acquire(50), Ok(()));
        held.release(40);
        held.release(50);
        held.release(0);
        assert_eq!(held, Held::NONE);
    }
}
