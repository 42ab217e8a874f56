//! Calls on descriptors as such: close(2), close_range(2), dup(2) and its relatives.

use crate::args::Fd;
use crate::file::file_limit;
use crate::task::Task;
use alloc::sync::Arc;
use husk_abi::{Errno, err};
use linux_raw_sys::general as raw;

/// Give the caller a table of its own first.
const CLOSE_RANGE_UNSHARE: u32 = 1 << 1;
/// Only mark the descriptors.
const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

/// close(2).
pub(crate) fn close(task: &Task, fd: Fd) -> Result<(), Errno> {
    let files = task.files();
    let description = files.remove(fd)?;
    description.closed_by(&files);
    Ok(())
}

/// close_range(2).
pub(crate) fn close_range(task: &Task, first: u32, last: u32, flags: u32) -> Result<(), Errno> {
    if flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 || first > last {
        return err!(EINVAL);
    }
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        let own = Arc::new(task.files().duplicate());
        task.set_files(own);
    }
    let files = task.files();
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        files.set_close_on_exec_range(first as usize, last as usize);
        return Ok(());
    }
    for description in files.remove_where(first as usize, last as usize, |_| true) {
        description.closed_by(&files);
    }
    Ok(())
}

/// dup(2).
pub(crate) fn dup(task: &Task, fd: Fd) -> Result<Fd, Errno> {
    let files = task.files();
    files.install(files.get_any(fd)?, false, file_limit(task))
}

/// dup2(2).
pub(crate) fn dup2(task: &Task, old: Fd, new: Fd) -> Result<Fd, Errno> {
    if old == new {
        task.files().get_any(old)?;
        return Ok(new);
    }
    duplicate_to(task, old, new, false)
}

/// dup3(2).
pub(crate) fn dup3(task: &Task, old: Fd, new: Fd, flags: u32) -> Result<Fd, Errno> {
    if flags & !raw::O_CLOEXEC != 0 || old == new {
        return err!(EINVAL);
    }
    duplicate_to(task, old, new, flags & raw::O_CLOEXEC != 0)
}

fn duplicate_to(task: &Task, old: Fd, new: Fd, close_on_exec: bool) -> Result<Fd, Errno> {
    let files = task.files();
    let number = usize::try_from(new.0).ok().filter(|number| (*number as u64) < file_limit(task));
    let number = number.ok_or(Errno::EBADF.here())?;
    let description = files.get_any(old)?;
    if let Some(replaced) = files.replace(number, description, close_on_exec)? {
        replaced.closed_by(&files);
    }
    Ok(new)
}
