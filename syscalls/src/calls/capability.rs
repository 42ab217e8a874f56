//! capget(2), capset(2).

use crate::args::UserPtr;
use crate::credentials::{CAP_ALL, Capability, Credentials};
use crate::pid;
use crate::task::Task;
use alloc::sync::Arc;
use husk_abi::{Errno, err};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `_LINUX_CAPABILITY_VERSION_1`, with 32 capabilities.
const VERSION_1: u32 = 0x1998_0330;
/// `_LINUX_CAPABILITY_VERSION_2`, the same as 3 for programs.
const VERSION_2: u32 = 0x2007_1026;
/// `_LINUX_CAPABILITY_VERSION_3`.
const VERSION_3: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: 32 capabilities.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// How many [`Data`] the version has; an unknown one is answered with the newest.
fn words(task: &Task, header: UserPtr<Header>) -> Result<(usize, Header), Errno> {
    let read = header.read(task.mm())?;
    match read.version {
        VERSION_1 => Ok((1, read)),
        VERSION_2 | VERSION_3 => Ok((2, read)),
        _ => {
            header.cast::<u32>().write(task.mm(), &VERSION_3)?;
            err!(EINVAL)
        }
    }
}

/// capget(2).
pub(crate) fn capget(task: &Task, header: UserPtr<Header>, data: UserPtr<Data>) -> Result<(), Errno> {
    let (count, header) = match words(task, header) {
        // Asking for the version only.
        Err(error) if error == Errno::EINVAL && data.is_null() => return Ok(()),
        other => other?,
    };
    if header.pid < 0 {
        return err!(EINVAL);
    }
    let credentials = credentials_of(task, header.pid)?;
    if data.is_null() {
        return Ok(());
    }
    let part = |index: usize| {
        let half = |set: u64| (set >> (32 * index)) as u32;
        Data {
            effective: half(credentials.effective),
            permitted: half(credentials.permitted),
            inheritable: half(credentials.inheritable),
        }
    };
    data.write_slice(task.mm(), &[part(0), part(1)][..count])
}

fn credentials_of(task: &Task, pid: i32) -> Result<Arc<Credentials>, Errno> {
    if pid == 0 || pid == task.tid() {
        return Ok(task.credentials());
    }
    let found = pid::processes().iter().find_map(|process| process.thread(pid));
    found.map(|task| task.credentials()).ok_or(Errno::ESRCH.here())
}

/// capset(2).
pub(crate) fn capset(task: &Task, header: UserPtr<Header>, data: UserPtr<Data>) -> Result<(), Errno> {
    let (count, header) = words(task, header)?;
    if header.pid != 0 && header.pid != task.tid() {
        return err!(EPERM);
    }
    let parts = data.read_array(task.mm(), count)?;
    let whole = |get: fn(&Data) -> u32| {
        parts.iter().enumerate().map(|(index, part)| u64::from(get(part)) << (32 * index)).sum::<u64>()
            & CAP_ALL
    };
    let (effective, permitted, inheritable) =
        (whole(|part| part.effective), whole(|part| part.permitted), whole(|part| part.inheritable));
    let old = task.credentials();
    let within = |set: u64, limit: u64| set & !limit == 0;
    let may_inherit = old.has(Capability::SETPCAP) || within(inheritable, old.inheritable | old.permitted);
    if !may_inherit
        || !within(inheritable, old.inheritable | old.bounding)
        || !within(permitted, old.permitted)
        || !within(effective, permitted)
    {
        return err!(EPERM);
    }
    let ambient = old.ambient & permitted & inheritable;
    task.set_credentials(Credentials {
        effective,
        permitted,
        inheritable,
        ambient,
        ..Credentials::clone(&old)
    });
    Ok(())
}
