//! access(2), faccessat(2), faccessat2(2).

use super::path::{self, At};
use crate::args::{Fd, UserCStr};
use crate::credentials::Credentials;
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_fs::{Access, FileKind, MountFlags, ops};
use linux_raw_sys::general as raw;

/// access(2).
pub(crate) fn access(task: &Task, path: UserCStr, mode: u32) -> Result<(), Errno> {
    faccessat2(task, Fd::CWD, path, mode, 0)
}

/// faccessat(2): the call itself takes no flags.
pub(crate) fn faccessat(task: &Task, dir: Fd, path: UserCStr, mode: u32) -> Result<(), Errno> {
    faccessat2(task, dir, path, mode, 0)
}

/// faccessat2(2): checks with the real ids, unless AT_EACCESS.
pub(crate) fn faccessat2(task: &Task, dir: Fd, path: UserCStr, mode: u32, flags: u32) -> Result<(), Errno> {
    let wanted = Access::from_bits(mode).ok_or(Errno::EINVAL.here())?;
    if flags & !(raw::AT_EACCESS | raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return err!(EINVAL);
    }
    let mut at = At::new(task, dir, path)?;
    if flags & raw::AT_EACCESS == 0 {
        at.context.credentials = alloc::sync::Arc::new(with_real_ids(&task.credentials()).for_files());
    }
    let location = at.lookup(path::lookup_flags(flags))?;
    if wanted.contains(Access::EXEC)
        && location.inode().kind() == FileKind::Regular
        && location.mount().flags().contains(MountFlags::NOEXEC)
    {
        return err!(EACCES);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    ops::check_access(&at.context.credentials, &location, wanted)
}

/// The credentials a program that acts for its real user has: the superuser keeps what is permitted, others have no
/// capabilities.
fn with_real_ids(credentials: &Credentials) -> Credentials {
    let mut real = credentials.clone();
    real.uid.fs = real.uid.real;
    real.gid.fs = real.gid.real;
    real.effective = if real.uid.real == 0 { real.permitted } else { 0 };
    real
}
