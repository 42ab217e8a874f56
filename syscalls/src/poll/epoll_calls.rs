//! epoll_create(2), epoll_ctl(2), epoll_wait(2) and their relatives.

use super::epoll::{Epoll, FLAGS, Request, as_epoll};
use super::{deadline, with_mask};
use crate::args::{Fd, UserPtr};
use crate::file::{FileDescription, file_limit};
use crate::task::Task;
use crate::wait::{self, Events};
use alloc::sync::Arc;
use husk_abi::{Errno, Timespec, err};
use husk_fs::OpenFlags;
use husk_machine::time::monotonic_ns;
use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct epoll_event`: packed on x86-64.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct EpollEvent {
    events: u32,
    data: [u32; 2],
}

const _: () = assert!(size_of::<EpollEvent>() == 12);

/// Most events that one call may ask for.
const MAX_EVENTS: i32 = i32::MAX / 12;

/// epoll_create(2): the size only has to be positive.
pub(crate) fn epoll_create(task: &Task, size: i32) -> Result<Fd, Errno> {
    if size <= 0 { err!(EINVAL) } else { epoll_create1(task, 0) }
}

/// epoll_create1(2).
pub(crate) fn epoll_create1(task: &Task, flags: u32) -> Result<Fd, Errno> {
    if flags & !raw::EPOLL_CLOEXEC != 0 {
        return err!(EINVAL);
    }
    let description = FileDescription::new(Epoll::new(), OpenFlags::RDWR);
    task.files().install(description, flags & raw::EPOLL_CLOEXEC != 0, file_limit(task))
}

/// epoll_ctl(2).
pub(crate) fn epoll_ctl(
    task: &Task,
    epoll_fd: Fd,
    operation: u32,
    fd: Fd,
    event: UserPtr<EpollEvent>,
) -> Result<(), Errno> {
    let request = if operation == raw::EPOLL_CTL_DEL {
        Request { events: 0, data: 0 }
    } else {
        let event = event.read(task.mm())?;
        let data = u64::from(event.data[0]) | u64::from(event.data[1]) << 32;
        Request { events: event.events, data }
    };
    let files = task.files();
    let instance = files.get(epoll_fd)?;
    let description = files.get(fd)?;
    if !description.file().is_pollable() {
        return err!(EPERM);
    }
    let epoll = as_epoll(&**instance.file()).ok_or(Errno::EINVAL.here())?;
    if Arc::ptr_eq(&instance, &description) {
        return err!(EINVAL);
    }
    if operation != raw::EPOLL_CTL_DEL && request.events & raw::EPOLLEXCLUSIVE != 0 {
        let allowed = raw::EPOLLIN | raw::EPOLLOUT | raw::EPOLLERR | raw::EPOLLHUP;
        if operation == raw::EPOLL_CTL_MOD
            || as_epoll(&**description.file()).is_some()
            || request.events & !(allowed | FLAGS) != 0
            || request.events & raw::EPOLLONESHOT != 0
        {
            return err!(EINVAL);
        }
    }
    match operation {
        raw::EPOLL_CTL_ADD => epoll.add(fd, &description, request),
        raw::EPOLL_CTL_MOD => epoll.modify(fd, &description, request),
        raw::EPOLL_CTL_DEL => epoll.delete(fd, &description),
        _ => err!(EINVAL),
    }
}

/// epoll_wait(2): the time-out is in milliseconds, negative for none.
pub(crate) fn epoll_wait(
    task: &Task,
    fd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout: i32,
) -> Result<usize, Errno> {
    let deadline =
        u64::try_from(timeout).ok().map(|millis| monotonic_ns().saturating_add(millis * 1_000_000));
    wait_until(task, fd, events, max, deadline)
}

/// epoll_pwait(2).
pub(crate) fn epoll_pwait(
    task: &Task,
    fd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout: i32,
    mask: UserPtr<u64>,
    mask_size: usize,
) -> Result<usize, Errno> {
    with_mask(task, mask, mask_size, || epoll_wait(task, fd, events, max, timeout))
}

/// epoll_pwait2(2).
pub(crate) fn epoll_pwait2(
    task: &Task,
    fd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<u64>,
    mask_size: usize,
) -> Result<usize, Errno> {
    let deadline = deadline(task, timeout)?;
    with_mask(task, mask, mask_size, || wait_until(task, fd, events, max, deadline))
}

fn wait_until(
    task: &Task,
    fd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    deadline: Option<u64>,
) -> Result<usize, Errno> {
    if max <= 0 || max > MAX_EVENTS {
        return err!(EINVAL);
    }
    let instance = task.files().get(fd)?;
    let epoll = as_epoll(&**instance.file()).ok_or(Errno::EINVAL.here())?;
    let waiters = crate::file::File::waiters(epoll).ok_or(Errno::EINVAL.here())?;
    let take = || {
        epoll.take(max as usize, |index, ready, data| {
            let event = EpollEvent { events: ready, data: [data as u32, (data >> 32) as u32] };
            events.add(index).write(task.mm(), &event)
        })
    };
    match wait::block_on_in_turn(task, waiters, Events::READABLE, deadline, take, || epoll.may_be_ready()) {
        Err(error) if error == Errno::EAGAIN => Ok(0),
        Err(error) if error == Errno::ERESTARTSYS => err!(EINTR),
        taken => taken,
    }
}
