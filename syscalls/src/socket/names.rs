//! getsockname(2), getpeername(2).

use super::{Open, address};
use crate::args::{Fd, UserPtr};
use crate::task::Task;
use husk_abi::Errno;

/// getsockname(2).
pub(crate) fn getsockname(task: &Task, fd: Fd, addr: u64, len: UserPtr<i32>) -> Result<(), Errno> {
    let open = Open::get(task, fd)?;
    address::write(task, &open.socket().local_address(), addr, len)
}

/// getpeername(2).
pub(crate) fn getpeername(task: &Task, fd: Fd, addr: u64, len: UserPtr<i32>) -> Result<(), Errno> {
    let open = Open::get(task, fd)?;
    address::write(task, &open.socket().peer_address()?, addr, len)
}
