//! Open files: descriptors, descriptions, and the calls on them.

pub(crate) mod anon;
pub(crate) mod calls;
mod description;
mod devices;
mod inode_file;
pub(crate) mod limits;
pub(crate) mod locks;
pub(crate) mod memfd;
mod object;
mod record_locks;
mod table;

pub(crate) use description::FileDescription;
pub(crate) use devices::open_memory as open_device;
pub(crate) use inode_file::open_location;
pub(crate) use object::File;
pub(crate) use table::FdTable;

use crate::args::UserPtr;
use crate::limits::Resource;
use crate::task::Task;
use husk_abi::Errno;

/// The limit for new descriptors of a task (RLIMIT_NOFILE).
pub(crate) fn file_limit(task: &Task) -> u64 {
    task.process().limit(Resource::NOFILE).soft
}

/// Writes an `int` where an ioctl(2) argument points.
///
/// # Errors
/// EFAULT.
pub(crate) fn put_int(task: &Task, address: u64, value: i32) -> Result<u64, Errno> {
    UserPtr::new(address).write(task.mm(), &value)?;
    Ok(0)
}
