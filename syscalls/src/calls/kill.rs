//! kill(2), tgkill(2), tkill(2), rt_sigqueueinfo(2), rt_tgsigqueueinfo(2).

use crate::args::UserPtr;
use crate::credentials::Capability;
use crate::pid;
use crate::process::Process;
use crate::signal::{self, SIGINFO_SIZE, SigInfo, Signal, code};
use crate::task::Task;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, err};

type RawInfo = [u8; SIGINFO_SIZE];

/// kill(2).
pub(crate) fn kill(task: &Task, pid: i32, signal: i32) -> Result<(), Errno> {
    let info = |signal| SigInfo::user(signal, task.process().pid(), task.credentials().uid.real);
    // Linux looks for the target first: ESRCH comes before EINVAL for one process, not for a group.
    if pid > 0 {
        let target = pid::process(pid).or_else(|| pid::task(pid).map(|task| task.process().clone()));
        // Pid 1 is the kernel: it is there, and takes no signal it has not asked for.
        if target.is_none() && pid == pid::KERNEL_PID {
            Signal::or_none(signal)?;
            return if task.has_capability(Capability::KILL) { Ok(()) } else { err!(EPERM) };
        }
        let target = target.ok_or(Errno::ESRCH.here())?;
        let signal = Signal::or_none(signal)?;
        return send_one(task, &target, signal.map(info));
    }
    if pid == i32::MIN {
        return err!(ESRCH);
    }
    let group = if pid == 0 { task.process().group() } else { -pid };
    let chosen: Vec<Arc<Process>> = pid::processes()
        .into_iter()
        .filter(|process| match pid {
            // All but the caller and pid 1.
            -1 => !Arc::ptr_eq(process, task.process()),
            _ => process.group() == group,
        })
        .collect();
    if chosen.is_empty() {
        return err!(ESRCH);
    }
    let signal = Signal::or_none(signal)?;
    let results: Vec<Result<(), Errno>> =
        chosen.iter().map(|process| send_one(task, process, signal.map(info))).collect();
    results.iter().copied().find(Result::is_ok).unwrap_or(results[0])
}

fn send_one(task: &Task, target: &Arc<Process>, info: Option<SigInfo>) -> Result<(), Errno> {
    check_permission(task, target, info.as_ref().map(|info| info.signal))?;
    info.map_or(Ok(()), |info| signal::send_to_process(target, info))
}

/// check_kill_permission() in Linux.
fn check_permission(task: &Task, target: &Arc<Process>, signal: Option<Signal>) -> Result<(), Errno> {
    if Arc::ptr_eq(task.process(), target) {
        return Ok(());
    }
    let mine = task.credentials();
    let theirs = target.find_thread(|task| Some(task.credentials()));
    let Some(theirs) = theirs else { return Ok(()) };
    let matches = [mine.uid.effective, mine.uid.real]
        .iter()
        .any(|id| *id == theirs.uid.saved || *id == theirs.uid.real);
    let session = signal == Some(Signal::SIGCONT) && task.process().session() == target.session();
    if matches || session || mine.has(Capability::KILL) { Ok(()) } else { err!(EPERM) }
}

/// tgkill(2).
pub(crate) fn tgkill(task: &Task, pid: i32, tid: i32, signal: i32) -> Result<(), Errno> {
    if pid <= 0 || tid <= 0 {
        return err!(EINVAL);
    }
    to_thread(task, Some(pid), tid, signal)
}

/// tkill(2).
pub(crate) fn tkill(task: &Task, tid: i32, signal: i32) -> Result<(), Errno> {
    if tid <= 0 {
        return err!(EINVAL);
    }
    to_thread(task, None, tid, signal)
}

fn to_thread(task: &Task, pid: Option<i32>, tid: i32, signal: i32) -> Result<(), Errno> {
    let info = |signal| SigInfo {
        code: code::SI_TKILL,
        ..SigInfo::user(signal, task.process().pid(), task.credentials().uid.real)
    };
    let target = target(pid, tid)?;
    let signal = Signal::or_none(signal)?;
    check_permission(task, target.process(), signal)?;
    signal.map_or(Ok(()), |signal| signal::send_to_task(&target, info(signal)))
}

fn target(pid: Option<i32>, tid: i32) -> Result<Arc<Task>, Errno> {
    let target = pid::task(tid).ok_or(Errno::ESRCH.here())?;
    if pid.is_some_and(|pid| target.process().pid() != pid) {
        return err!(ESRCH);
    }
    Ok(target)
}

/// Only the kernel and kill(2) may say that they sent a signal, except to oneself.
fn queued_info(
    task: &Task,
    own: bool,
    signal: i32,
    info: UserPtr<RawInfo>,
) -> Result<Option<SigInfo>, Errno> {
    let raw = info.read(task.mm())?;
    let signal = Signal::or_none(signal);
    let code = i32::from_le_bytes([raw[8], raw[9], raw[10], raw[11]]);
    if (code >= 0 || code == code::SI_TKILL) && !own {
        return err!(EPERM);
    }
    Ok(signal?.map(|signal| SigInfo::from_bytes(signal, &raw)))
}

/// rt_sigqueueinfo(2).
pub(crate) fn rt_sigqueueinfo(
    task: &Task,
    pid: i32,
    signal: i32,
    info: UserPtr<RawInfo>,
) -> Result<(), Errno> {
    let info = queued_info(task, pid == task.process().pid(), signal, info)?;
    let target = pid::process(pid).ok_or(Errno::ESRCH.here())?;
    send_one(task, &target, info)
}

/// rt_tgsigqueueinfo(2).
pub(crate) fn rt_tgsigqueueinfo(
    task: &Task,
    pid: i32,
    tid: i32,
    signal: i32,
    info: UserPtr<RawInfo>,
) -> Result<(), Errno> {
    if pid <= 0 || tid <= 0 {
        return err!(EINVAL);
    }
    let info = queued_info(task, tid == task.tid(), signal, info)?;
    let target = target(Some(pid), tid)?;
    check_permission(task, target.process(), info.as_ref().map(|info| info.signal))?;
    info.map_or(Ok(()), |info| signal::send_to_task(&target, info))
}
