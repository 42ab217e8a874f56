//! Taking the next pending signal, to deliver it or for whoever waits for it.

use super::{SigFields, SigInfo, SigSet};
use crate::task::Task;

/// The next of these signals: the thread's own before the process's.
pub(crate) fn take(task: &Task, wanted: SigSet) -> Option<SigInfo> {
    let own = task.pending.lock().take(wanted);
    let mut info = own.or_else(|| task.process().pending.lock().take(wanted))?;
    if let SigFields::Timer { id, overrun, .. } = &mut info.fields {
        *overrun = task.process().timers.posix.overrun_at_delivery(*id, *overrun);
    }
    Some(info)
}
