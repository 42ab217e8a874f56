//! sigaltstack(2).

use super::AltStack;
use super::state::SS_AUTODISARM;
use crate::args::UserPtr;
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_machine::user::UserContext;
use linux_raw_sys::general as sys;

/// Replaces the alternate stack of a thread whose stack pointer is `sp`.
///
/// # Errors
/// EPERM while the thread runs on it, EINVAL for unknown flags, ENOMEM if it is too small.
pub(super) fn set(task: &Task, new: AltStack, sp: u64) -> Result<(), Errno> {
    let mut signals = task.signals.lock();
    let old = signals.alt_stack;
    if old.contains(sp) {
        return err!(EPERM);
    }
    let mode = new.flags & !SS_AUTODISARM;
    if !matches!(mode, 0 | sys::SS_DISABLE | sys::SS_ONSTACK) {
        return err!(EINVAL);
    }
    if mode == sys::SS_DISABLE {
        signals.alt_stack = AltStack::new(0, new.flags, 0);
        return Ok(());
    }
    if new.size < MIN_STACK {
        return err!(ENOMEM);
    }
    signals.alt_stack = AltStack::new(new.sp, new.flags, new.size);
    Ok(())
}

/// Linux's lower limit on x86-64 (MINSIGSTKSZ).
const MIN_STACK: u64 = sys::MINSIGSTKSZ as u64;

/// sigaltstack(2).
pub(crate) fn sigaltstack(
    task: &Task,
    context: &mut UserContext,
    new: UserPtr<AltStack>,
    old: UserPtr<AltStack>,
) -> Result<(), Errno> {
    let sp = context.regs.rsp;
    let requested = new.non_null().map(|pointer| pointer.read(task.mm())).transpose()?;
    let current = task.signals.lock().alt_stack;
    if let Some(requested) = requested {
        set(task, requested, sp)?;
    }
    let shown = AltStack::new(current.sp, current.state(sp) | current.flags & SS_AUTODISARM, current.size);
    old.write_if_non_null(task.mm(), &shown)
}
