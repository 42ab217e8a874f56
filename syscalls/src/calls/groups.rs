//! getgroups(2), setgroups(2).

use crate::args::UserPtr;
use crate::credentials::{Capability, Credentials};
use crate::task::Task;
use husk_abi::{Errno, err};

/// Most supplementary groups.
const NGROUPS_MAX: usize = 65536;

/// getgroups(2).
pub(crate) fn getgroups(task: &Task, size: i32, list: UserPtr<u32>) -> Result<usize, Errno> {
    let credentials = task.credentials();
    let count = credentials.groups.len();
    let Ok(size) = usize::try_from(size) else { return err!(EINVAL) };
    if size != 0 {
        if size < count {
            return err!(EINVAL);
        }
        list.write_slice(task.mm(), &credentials.groups)?;
    }
    Ok(count)
}

/// setgroups(2).
pub(crate) fn setgroups(task: &Task, size: i32, list: UserPtr<u32>) -> Result<(), Errno> {
    let old = task.credentials();
    if !old.has(Capability::SETGID) {
        return err!(EPERM);
    }
    let size = usize::try_from(size).ok().filter(|&size| size <= NGROUPS_MAX).ok_or(Errno::EINVAL.here())?;
    let mut groups = list.read_array(task.mm(), size)?;
    if groups.contains(&u32::MAX) {
        return err!(EINVAL);
    }
    groups.sort_unstable();
    task.set_credentials(Credentials { groups, ..Credentials::clone(&old) });
    Ok(())
}
