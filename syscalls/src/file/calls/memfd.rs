//! memfd_create(2).

use crate::args::{Fd, UserCStr};
use crate::file::{FileDescription, file_limit, memfd, open_location};
use crate::task::Task;
use alloc::sync::Arc;
use husk_abi::{Errno, err};
use husk_fs::OpenFlags;
use linux_raw_sys::general as raw;

/// Longest name in bytes: NAME_MAX without the prefix `memfd:`.
const NAME_MAX: usize = 249;

/// memfd_create(2).
pub(crate) fn memfd_create(task: &Task, name: UserCStr, flags: u32) -> Result<Fd, Errno> {
    let known = raw::MFD_CLOEXEC | raw::MFD_ALLOW_SEALING | raw::MFD_NOEXEC_SEAL | raw::MFD_EXEC;
    if flags & raw::MFD_HUGETLB != 0 {
        return err!(ENOSYS);
    }
    if flags & !known != 0 || flags & raw::MFD_NOEXEC_SEAL != 0 && flags & raw::MFD_EXEC != 0 {
        return err!(EINVAL);
    }
    let name = name.read(task.mm(), NAME_MAX + 1)?.ok_or(Errno::EINVAL.here())?;
    let files = task.files();
    let reserved = files.reserve(0, file_limit(task))?;
    let (mode, seals) = if flags & raw::MFD_NOEXEC_SEAL != 0 {
        (0o666, raw::F_SEAL_EXEC)
    } else if flags & raw::MFD_ALLOW_SEALING != 0 {
        (0o777, 0)
    } else {
        (0o777, raw::F_SEAL_SEAL)
    };
    let credentials = task.credentials();
    let location = memfd::create(&name, mode, credentials.uid.fs, credentials.gid.fs, seals)?;
    let description: Arc<FileDescription> =
        open_location(task, &location, OpenFlags::RDWR | OpenFlags::LARGEFILE)?;
    Ok(reserved.install(description, flags & raw::MFD_CLOEXEC != 0))
}
