//! Processes: ids, groups, sessions; and the calls that would make another process, which a VM of one program refuses.

use crate::args::UserCStr;
use crate::pid;
use crate::process::Process;
use crate::task::Task;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use husk_abi::{Errno, err};
use linux_raw_sys::general as sys;

/// getpid(2).
pub(crate) fn getpid(task: &Task) -> Result<i32, Errno> {
    Ok(task.process().pid())
}

/// gettid(2).
pub(crate) fn gettid(task: &Task) -> Result<i32, Errno> {
    Ok(task.tid())
}

/// getppid(2).
pub(crate) fn getppid(task: &Task) -> Result<i32, Errno> {
    Ok(task.process().parent())
}

/// getpgrp(2).
pub(crate) fn getpgrp(task: &Task) -> Result<i32, Errno> {
    Ok(task.process().group())
}

/// The process that a pid argument names; 0 is the caller.
fn named(task: &Task, pid: i32) -> Result<Arc<Process>, Errno> {
    if pid == 0 {
        return Ok(task.process().clone());
    }
    pid::process(pid).ok_or(Errno::ESRCH.here())
}

/// getpgid(2).
pub(crate) fn getpgid(task: &Task, pid: i32) -> Result<i32, Errno> {
    if pid == pid::KERNEL_PID {
        return Ok(pid::KERNEL_PID);
    }
    named(task, pid).map(|process| process.group())
}

/// getsid(2).
pub(crate) fn getsid(task: &Task, pid: i32) -> Result<i32, Errno> {
    if pid == pid::KERNEL_PID {
        return Ok(pid::KERNEL_PID);
    }
    named(task, pid).map(|process| process.session())
}

/// setpgid(2).
pub(crate) fn setpgid(task: &Task, pid: i32, group: i32) -> Result<(), Errno> {
    let pid = if pid == 0 { task.process().pid() } else { pid };
    let group = if group == 0 { pid } else { group };
    if group < 0 {
        return err!(EINVAL);
    }
    let process = named(task, pid)?;
    if !Arc::ptr_eq(&process, task.process()) {
        // Not a child of the caller.
        return err!(ESRCH);
    }
    if process.session() == process.pid() {
        return err!(EPERM);
    }
    let exists = |other: &Arc<Process>| other.group() == group && other.session() == process.session();
    if group != process.pid() && !pid::processes().iter().any(exists) {
        return err!(EPERM);
    }
    process.set_group(group);
    Ok(())
}

/// setsid(2).
pub(crate) fn setsid(task: &Task) -> Result<i32, Errno> {
    let process = task.process();
    if pid::processes().iter().any(|other| other.group() == process.pid()) {
        return err!(EPERM);
    }
    process.start_session();
    Ok(process.pid())
}

/// set_tid_address(2).
pub(crate) fn set_tid_address(task: &Task, addr: u64) -> Result<i32, Errno> {
    task.clear_child_tid.store(addr, Ordering::Relaxed);
    Ok(task.tid())
}

/// Says once a boot that the program tried to start another one.
pub(super) fn refuse(what: &str) -> Errno {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        log::warn!("{what} is refused: a Husk VM holds one process");
    }
    Errno::EPERM.here()
}

/// fork(2).
pub(crate) fn fork(_task: &Task) -> Result<i32, Errno> {
    Err(refuse("fork"))
}

/// vfork(2).
pub(crate) fn vfork(_task: &Task) -> Result<i32, Errno> {
    Err(refuse("vfork"))
}

/// execve(2).
pub(crate) fn execve(task: &Task, path: UserCStr) -> Result<(), Errno> {
    let path = path.path(task.mm())?;
    Err(refuse(&alloc::format!("execve of {}", String::from_utf8_lossy(&path))))
}

/// execveat(2).
pub(crate) fn execveat(task: &Task, _dir: i32, path: UserCStr) -> Result<(), Errno> {
    execve(task, path)
}

/// wait4(2): there are no children.
pub(crate) fn wait4(_task: &Task, pid: i32, _status: u64, options: u32, _usage: u64) -> Result<i32, Errno> {
    const OPTIONS: u32 =
        sys::WNOHANG | sys::WUNTRACED | sys::WCONTINUED | sys::__WNOTHREAD | sys::__WCLONE | sys::__WALL;
    if options & !OPTIONS != 0 {
        return err!(EINVAL);
    }
    // -INT_MIN is no group.
    if pid == i32::MIN {
        return err!(ESRCH);
    }
    err!(ECHILD)
}

/// waitid(2): there are no children.
pub(crate) fn waitid(_task: &Task, kind: i32, id: i32, _info: u64, options: u32) -> Result<(), Errno> {
    const EVENTS: u32 = sys::WEXITED | sys::WSTOPPED | sys::WCONTINUED;
    const OPTIONS: u32 =
        EVENTS | sys::WNOHANG | sys::WNOWAIT | sys::__WNOTHREAD | sys::__WCLONE | sys::__WALL;
    if options & !OPTIONS != 0 || options & EVENTS == 0 {
        return err!(EINVAL);
    }
    match kind as u32 {
        sys::P_ALL => err!(ECHILD),
        sys::P_PID if id <= 0 => err!(EINVAL),
        sys::P_PGID if id < 0 => err!(EINVAL),
        sys::P_PID | sys::P_PGID => err!(ECHILD),
        sys::P_PIDFD if id < 0 => err!(EINVAL),
        sys::P_PIDFD => err!(EBADF),
        _ => err!(EINVAL),
    }
}

/// personality(2).
pub(crate) fn personality(task: &Task, persona: u32) -> Result<u32, Errno> {
    /// Asks without changing anything.
    const QUERY: u32 = 0xffff_ffff;
    let current = &task.process().personality;
    Ok(if persona == QUERY {
        current.load(Ordering::Relaxed)
    } else {
        current.swap(persona, Ordering::Relaxed)
    })
}
