//! What a process does about each signal (sigaction(2)).

use super::{DefaultAction, SigSet, Signal};
use husk_machine::sync::SpinLock;
use linux_raw_sys::general as sys;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Default action.
const SIG_DFL: u64 = 0;
/// Ignored.
const SIG_IGN: u64 = 1;

/// The kernel's `struct sigaction` on x86-64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct SigAction {
    /// Address of the handler, or 0 (default) or 1 (ignore).
    pub(crate) handler: u64,
    /// `SA_*`.
    pub(crate) flags: u64,
    /// Address the handler returns to.
    pub(crate) restorer: u64,
    /// Signals blocked while the handler runs.
    pub(crate) mask: SigSet,
}

const _: () = assert!(size_of::<SigAction>() == size_of::<sys::kernel_sigaction>());

/// Flags that Linux 6.12 knows on x86-64; others are cleared, so that programs can find out (SA_UNSUPPORTED).
const KNOWN_FLAGS: u64 = (sys::SA_NOCLDSTOP
    | sys::SA_NOCLDWAIT
    | sys::SA_SIGINFO
    | sys::SA_ONSTACK
    | sys::SA_RESTART
    | sys::SA_NODEFER
    | sys::SA_RESETHAND
    | sys::SA_EXPOSE_TAGBITS
    | sys::SA_RESTORER) as u64;

impl SigAction {
    /// Whether the flag is set.
    pub(crate) const fn has(&self, flag: u32) -> bool {
        self.flags & flag as u64 != 0
    }

    /// Whether the default action is to be taken.
    pub(crate) const fn is_default(&self) -> bool {
        self.handler == SIG_DFL
    }

    /// Whether the signal has no effect at all with this action.
    pub(crate) fn ignores(&self, signal: Signal) -> bool {
        match self.handler {
            SIG_IGN => true,
            SIG_DFL => signal.default_action() == DefaultAction::Ignore,
            _ => false,
        }
    }
}

/// The actions of all signals.
#[derive(Debug)]
pub(crate) struct SignalHandlers {
    actions: SpinLock<[SigAction; Signal::MAX.number() as usize]>,
}

impl SignalHandlers {
    /// All default.
    pub(crate) fn new() -> Self {
        Self { actions: SpinLock::new([SigAction::default(); Signal::MAX.number() as usize]) }
    }

    /// The action for a signal.
    pub(crate) fn get(&self, signal: Signal) -> SigAction {
        self.actions.lock()[usize::from(signal.number()) - 1]
    }

    /// Replaces the action and returns the old one.
    pub(crate) fn set(&self, signal: Signal, mut action: SigAction) -> SigAction {
        action.flags &= KNOWN_FLAGS;
        action.mask = action.mask.blockable();
        core::mem::replace(&mut self.actions.lock()[usize::from(signal.number()) - 1], action)
    }

    /// The action for a signal about to be handled; SA_RESETHAND puts the default back.
    pub(crate) fn take(&self, signal: Signal) -> SigAction {
        let mut actions = self.actions.lock();
        let action = &mut actions[usize::from(signal.number()) - 1];
        let taken = *action;
        if taken.has(sys::SA_RESETHAND) && taken.handler > SIG_IGN {
            action.handler = SIG_DFL;
        }
        taken
    }

    /// The signals that are ignored by SIG_IGN, and those that have handlers (for /proc/self/status).
    pub(crate) fn ignored_and_caught(&self) -> (SigSet, SigSet) {
        let (mut ignored, mut caught) = (SigSet::EMPTY, SigSet::EMPTY);
        for (action, number) in self.actions.lock().iter().zip(1..) {
            let Ok(signal) = Signal::new(number) else { continue };
            match action.handler {
                SIG_DFL => {}
                SIG_IGN => ignored.insert(signal),
                _ => caught.insert(signal),
            }
        }
        (ignored, caught)
    }
}
