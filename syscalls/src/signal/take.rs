//! Taking the next pending signal, to deliver it or for whoever waits for it.

use super::{SigFields, SigInfo, SigSet, Signal};
use crate::task::Task;

/// The next of these signals: the thread's own before the process's. A timer goes on when its signal is taken.
pub(crate) fn take(task: &Task, wanted: SigSet) -> Option<SigInfo> {
    loop {
        let own = task.pending.lock().take(wanted);
        let mut info = own.or_else(|| task.process().pending.lock().take(wanted))?;
        let timers = &task.process().timers;
        if info.signal == Signal::SIGALRM {
            timers.interval.alarm_taken();
        }
        let SigFields::Timer { id, generation, overrun, .. } = &mut info.fields else { return Some(info) };
        // A timer that has been set anew or deleted since has sent nothing.
        if let Some(missed) = timers.posix.taken(*id, *generation) {
            *overrun = missed;
            return Some(info);
        }
    }
}

/// What is pending for the thread, of its own or of the process's. One queue is locked after the other.
pub(crate) fn pending(task: &Task) -> SigSet {
    let own = task.pending.lock().set();
    own | task.process().pending.lock().set()
}
