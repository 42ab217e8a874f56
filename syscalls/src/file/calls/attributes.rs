//! Changing a file's attributes: chmod, chown, utime and their relatives; umask.

use super::path::{self, At, walk_context};
use crate::args::{Fd, UserCStr, UserPtr};
use crate::task::Task;
use husk_abi::{Errno, Timespec, err};
use husk_fs::ops::{self, SetTime};
use husk_fs::{Location, mode};
use linux_raw_sys::general as raw;

/// The file behind a descriptor; EBADF for one that is none of a filesystem.
fn location_of(task: &Task, fd: Fd) -> Result<Location, Errno> {
    let description = task.files().get(fd)?;
    description.location().cloned().ok_or(Errno::EPERM.here())
}

/// umask(2).
pub(crate) fn umask(task: &Task, mask: u32) -> Result<u32, Errno> {
    Ok(task.fs().set_umask(mask))
}

/// chmod(2).
pub(crate) fn chmod(task: &Task, path: UserCStr, mode: u32) -> Result<(), Errno> {
    fchmodat2(task, Fd::CWD, path, mode, 0)
}

/// fchmodat(2): the call itself takes no flags.
pub(crate) fn fchmodat(task: &Task, dir: Fd, path: UserCStr, mode: u32) -> Result<(), Errno> {
    fchmodat2(task, dir, path, mode, 0)
}

/// fchmodat2(2).
pub(crate) fn fchmodat2(task: &Task, dir: Fd, path: UserCStr, mode: u32, flags: u32) -> Result<(), Errno> {
    if flags & !(raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return err!(EINVAL);
    }
    let at = At::new(task, dir, path)?;
    let location = at.lookup(path::lookup_flags(flags))?;
    ops::chmod(&at.context, &location, mode & mode::PERMISSIONS)
}

/// fchmod(2).
pub(crate) fn fchmod(task: &Task, fd: Fd, mode: u32) -> Result<(), Errno> {
    ops::chmod(&walk_context(task), &location_of(task, fd)?, mode & mode::PERMISSIONS)
}

/// chown(2): -1 keeps an id.
pub(crate) fn chown(task: &Task, path: UserCStr, uid: u32, gid: u32) -> Result<(), Errno> {
    fchownat(task, Fd::CWD, path, uid, gid, 0)
}

/// lchown(2).
pub(crate) fn lchown(task: &Task, path: UserCStr, uid: u32, gid: u32) -> Result<(), Errno> {
    fchownat(task, Fd::CWD, path, uid, gid, raw::AT_SYMLINK_NOFOLLOW)
}

/// fchownat(2).
pub(crate) fn fchownat(
    task: &Task,
    dir: Fd,
    path: UserCStr,
    uid: u32,
    gid: u32,
    flags: u32,
) -> Result<(), Errno> {
    if flags & !(raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return err!(EINVAL);
    }
    let at = At::new(task, dir, path)?;
    let location = at.lookup(path::lookup_flags(flags))?;
    ops::chown(&at.context, &location, given(uid), given(gid))
}

/// fchown(2).
pub(crate) fn fchown(task: &Task, fd: Fd, uid: u32, gid: u32) -> Result<(), Errno> {
    ops::chown(&walk_context(task), &location_of(task, fd)?, given(uid), given(gid))
}

fn given(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

/// The current time, as one to set.
fn now() -> SetTime {
    SetTime::Now(Timespec::from_nanos(husk_machine::time::realtime_ns()))
}

/// One of the two times of utimensat(2).
fn set_time(time: Timespec) -> Result<SetTime, Errno> {
    match time.tv_nsec {
        nsec if nsec == i64::from(raw::UTIME_NOW) => Ok(now()),
        nsec if nsec == i64::from(raw::UTIME_OMIT) => Ok(SetTime::Keep),
        0..=999_999_999 => Ok(SetTime::To(time)),
        _ => err!(EINVAL),
    }
}

/// utimensat(2). A null path means the file of the descriptor itself.
pub(crate) fn utimensat(
    task: &Task,
    dir: Fd,
    path: UserCStr,
    times: UserPtr<[Timespec; 2]>,
    flags: u32,
) -> Result<(), Errno> {
    let (atime, mtime) = match times.non_null() {
        None => (now(), now()),
        Some(times) => {
            let [atime, mtime] = times.read(task.mm())?;
            (set_time(atime)?, set_time(mtime)?)
        }
    };
    if (atime, mtime) == (SetTime::Keep, SetTime::Keep) {
        return Ok(());
    }
    set_times(task, dir, path, atime, mtime, flags)
}

fn set_times(
    task: &Task,
    dir: Fd,
    path: UserCStr,
    atime: SetTime,
    mtime: SetTime,
    flags: u32,
) -> Result<(), Errno> {
    if flags & !(raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return err!(EINVAL);
    }
    if path.is_null() && dir != Fd::CWD {
        if flags != 0 {
            return err!(EINVAL);
        }
        return ops::set_times(&walk_context(task), &location_of(task, dir)?, atime, mtime);
    }
    let at = At::new(task, dir, path)?;
    let location = at.lookup(path::lookup_flags(flags))?;
    ops::set_times(&at.context, &location, atime, mtime)
}

/// futimesat(2): seconds and microseconds.
pub(crate) fn futimesat(
    task: &Task,
    dir: Fd,
    path: UserCStr,
    times: UserPtr<[[i64; 2]; 2]>,
) -> Result<(), Errno> {
    let (atime, mtime) = match times.non_null() {
        None => (now(), now()),
        Some(times) => {
            let [atime, mtime] = times.read(task.mm())?;
            let to = |[seconds, micros]: [i64; 2]| {
                if !(0..1_000_000).contains(&micros) {
                    return err!(EINVAL);
                }
                Ok(SetTime::To(Timespec { tv_sec: seconds, tv_nsec: micros * 1000 }))
            };
            (to(atime)?, to(mtime)?)
        }
    };
    set_times(task, dir, path, atime, mtime, 0)
}

/// utimes(2).
pub(crate) fn utimes(task: &Task, path: UserCStr, times: UserPtr<[[i64; 2]; 2]>) -> Result<(), Errno> {
    futimesat(task, Fd::CWD, path, times)
}

/// utime(2): whole seconds.
pub(crate) fn utime(task: &Task, path: UserCStr, times: UserPtr<[i64; 2]>) -> Result<(), Errno> {
    let (atime, mtime) = match times.non_null() {
        None => (now(), now()),
        Some(times) => {
            let [atime, mtime] = times.read(task.mm())?;
            let to = |seconds| SetTime::To(Timespec { tv_sec: seconds, tv_nsec: 0 });
            (to(atime), to(mtime))
        }
    };
    set_times(task, Fd::CWD, path, atime, mtime, 0)
}
