//! unshare(2): parts that a thread stops sharing with the others.

use crate::task::Task;
use alloc::sync::Arc;
use husk_abi::{Errno, err};
use linux_raw_sys::general as sys;

/// Needs a process of one thread.
const ALONE: u32 = sys::CLONE_THREAD | sys::CLONE_SIGHAND | sys::CLONE_VM;
/// There is one namespace of each kind, as in a kernel built without them.
const NAMESPACES: u32 = sys::CLONE_NEWNS
    | sys::CLONE_NEWUTS
    | sys::CLONE_NEWIPC
    | sys::CLONE_NEWNET
    | sys::CLONE_NEWUSER
    | sys::CLONE_NEWPID
    | sys::CLONE_NEWCGROUP
    | sys::CLONE_NEWTIME;

/// unshare(2).
pub(crate) fn unshare(task: &Task, flags: u64) -> Result<(), Errno> {
    // There are no System V semaphores whose undo lists could be shared.
    const KNOWN: u32 = ALONE | NAMESPACES | sys::CLONE_FS | sys::CLONE_FILES | sys::CLONE_SYSVSEM;
    let has = |flag: u32| flags & u64::from(flag) != 0;
    if flags & !u64::from(KNOWN) != 0 || has(NAMESPACES) {
        return err!(EINVAL);
    }
    if has(ALONE) && task.process().thread_count() > 1 {
        return err!(EINVAL);
    }
    if has(sys::CLONE_FS) {
        task.set_fs(Arc::new(task.fs().duplicate()));
    }
    if has(sys::CLONE_FILES) {
        task.set_files(Arc::new(task.files().duplicate()));
    }
    Ok(())
}
