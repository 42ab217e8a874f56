//! A thread's signal mask and alternate stack.

use super::SigSet;
use crate::task::Task;
use linux_raw_sys::general as sys;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What a thread keeps about signals.
#[derive(Debug, Default)]
pub(crate) struct TaskSignals {
    /// Blocked signals.
    pub(crate) blocked: SigSet,
    /// The mask to go back to after a call that replaced it for its duration (ppoll(2), sigsuspend(2)).
    pub(crate) saved: Option<SigSet>,
    /// What sigtimedwait(2) waits for: though blocked, such a signal may be sent to this thread.
    pub(crate) awaited: SigSet,
    /// The alternate stack.
    pub(crate) alt_stack: AltStack,
}

/// `stack_t` as sigaltstack(2) set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct AltStack {
    /// Lowest address.
    pub(crate) sp: u64,
    /// `SS_*`.
    pub(crate) flags: u32,
    pad: u32,
    /// Length in bytes.
    pub(crate) size: u64,
}

const _: () = assert!(size_of::<AltStack>() == size_of::<sys::stack_t>());

impl Default for AltStack {
    fn default() -> Self {
        Self::new(0, sys::SS_DISABLE, 0)
    }
}

impl AltStack {
    /// From its fields.
    pub(crate) const fn new(sp: u64, flags: u32, size: u64) -> Self {
        Self { sp, flags, pad: 0, size }
    }

    /// Whether a stack pointer is on it. With SS_AUTODISARM it never is, as it is disarmed while in use.
    pub(crate) const fn contains(&self, sp: u64) -> bool {
        self.flags & SS_AUTODISARM == 0 && self.contains_address(sp)
    }

    /// Whether an address is on it, whatever its flags.
    pub(crate) const fn contains_address(&self, addr: u64) -> bool {
        addr > self.sp && addr - self.sp <= self.size
    }

    /// `SS_ONSTACK`, `SS_DISABLE` or 0, for a thread with this stack pointer.
    pub(crate) const fn state(&self, sp: u64) -> u32 {
        if self.size == 0 {
            sys::SS_DISABLE
        } else if self.contains(sp) {
            sys::SS_ONSTACK
        } else {
            0
        }
    }
}

/// Disarm the stack while a handler runs on it.
pub(crate) const SS_AUTODISARM: u32 = 1 << 31;

impl Task {
    /// Replaces the signal mask; SIGKILL and SIGSTOP are left out of it.
    pub(crate) fn set_blocked(&self, mask: SigSet) {
        let mask = mask.blockable();
        let old = core::mem::replace(&mut self.signals.lock().blocked, mask);
        self.attention.store(true, core::sync::atomic::Ordering::Release);
        super::retarget(self, mask & !old);
    }

    /// Replaces the signal mask for the duration of the current system call. If the call was interrupted, the old mask comes
    /// back once handlers have been entered, or when they return; else [`restore_mask`](Self::restore_mask) has to be called.
    pub(crate) fn set_temporary_mask(&self, mask: SigSet) {
        let mut signals = self.signals.lock();
        let old = core::mem::replace(&mut signals.blocked, mask.blockable());
        signals.saved.get_or_insert(old);
        drop(signals);
        self.attention.store(true, core::sync::atomic::Ordering::Release);
        super::retarget(self, mask.blockable() & !old);
    }

    /// Puts back the mask that [`set_temporary_mask`](Self::set_temporary_mask) replaced, if it has not been done yet; says
    /// whether there was one.
    pub(crate) fn restore_mask(&self) -> bool {
        let saved = self.signals.lock().saved.take();
        if let Some(saved) = saved {
            self.set_blocked(saved);
        }
        saved.is_some()
    }
}
