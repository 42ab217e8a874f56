//! getrlimit(2), setrlimit(2), prlimit64(2).

use crate::args::UserPtr;
use crate::credentials::Capability;
use crate::limits::{Limit, NR_OPEN, Resource};
use crate::pid;
use crate::process::Process;
use crate::task::Task;
use crate::time::cpu_limit;
use alloc::sync::Arc;
use husk_abi::{Errno, err};

/// getrlimit(2).
pub(crate) fn getrlimit(task: &Task, resource: u32, limit: UserPtr<Limit>) -> Result<(), Errno> {
    limit.write(task.mm(), &task.process().limit(Resource::new(resource)?))
}

/// setrlimit(2).
pub(crate) fn setrlimit(task: &Task, resource: u32, limit: UserPtr<Limit>) -> Result<(), Errno> {
    let new = limit.read(task.mm())?;
    set(task, task.process(), Resource::new(resource)?, new)
}

/// prlimit64(2).
pub(crate) fn prlimit64(
    task: &Task,
    pid: i32,
    resource: u32,
    new: UserPtr<Limit>,
    old: UserPtr<Limit>,
) -> Result<(), Errno> {
    let resource = Resource::new(resource);
    let new = new.non_null().map(|pointer| pointer.read(task.mm())).transpose()?;
    let process = target(task, pid)?;
    let resource = resource?;
    let before = process.limit(resource);
    if let Some(new) = new {
        set(task, &process, resource, new)?;
    }
    old.write_if_non_null(task.mm(), &before)
}

fn target(task: &Task, pid: i32) -> Result<Arc<Process>, Errno> {
    if pid == 0 || pid == task.tid() {
        return Ok(task.process().clone());
    }
    let found = pid::processes().into_iter().find(|process| process.thread(pid).is_some());
    let process = found.ok_or(Errno::ESRCH.here())?;
    let (mine, theirs) = (task.credentials(), process.threads().first().map(|task| task.credentials()));
    let same = theirs.is_some_and(|theirs| {
        let ids = [theirs.uid.effective, theirs.uid.saved, theirs.uid.real];
        ids.iter().all(|&id| id == mine.uid.real)
    });
    if same || mine.has(Capability::SYS_RESOURCE) { Ok(process) } else { err!(EPERM) }
}

fn set(task: &Task, process: &Arc<Process>, resource: Resource, new: Limit) -> Result<(), Errno> {
    if new.soft > new.hard {
        return err!(EINVAL);
    }
    if resource == Resource::NOFILE && new.hard > NR_OPEN {
        return err!(EPERM);
    }
    if new.hard > process.limit(resource).hard && !task.has_capability(Capability::SYS_RESOURCE) {
        return err!(EPERM);
    }
    process.set_limit(resource, new);
    if resource == Resource::CPU { cpu_limit::changed(process) } else { Ok(()) }
}
