//! poll(2), ppoll(2).

use super::{Watched, deadline, finish, left, wait_for, with_mask};
use crate::args::{Fd, UserPtr};
use crate::file::file_limit;
use crate::task::Task;
use crate::wait::Events;
use alloc::boxed::Box;
use alloc::vec::Vec;
use husk_abi::{Errno, Timespec, err};
use husk_machine::time::monotonic_ns;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct pollfd`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct PollFd {
    fd: i32,
    events: u16,
    revents: u16,
}

const _: () = assert!(size_of::<PollFd>() == size_of::<linux_raw_sys::general::pollfd>());

/// poll(2): the time-out is in milliseconds, negative for none.
pub(crate) fn poll(task: &Task, fds: UserPtr<PollFd>, count: u32, timeout: i32) -> Result<u64, Errno> {
    let deadline =
        u64::try_from(timeout).ok().map(|millis| monotonic_ns().saturating_add(millis * 1_000_000));
    poll_until(task, fds, count, deadline)
}

fn poll_until(task: &Task, fds: UserPtr<PollFd>, count: u32, deadline: Option<u64>) -> Result<u64, Errno> {
    match poll_once(task, fds, count, deadline) {
        Err(error) if error == Errno::ERESTARTSYS => {
            task.set_restart(Box::new(move |task| poll_until(task, fds, count, deadline)));
            err!(ERESTART_RESTARTBLOCK)
        }
        done => done,
    }
}

/// ppoll(2): leaves the rest of the time at `timeout`.
pub(crate) fn ppoll(
    task: &Task,
    fds: UserPtr<PollFd>,
    count: u32,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<u64>,
    mask_size: usize,
) -> Result<u64, Errno> {
    let deadline = deadline(task, timeout)?;
    let result = with_mask(task, mask, mask_size, || match poll_once(task, fds, count, deadline) {
        Err(error) if error == Errno::ERESTARTSYS => err!(ERESTARTNOHAND),
        done => done,
    });
    match deadline {
        None => result,
        Some(deadline) => finish(result, timeout.write(task.mm(), &Timespec::from_nanos(left(deadline)))),
    }
}

fn poll_once(task: &Task, fds: UserPtr<PollFd>, count: u32, deadline: Option<u64>) -> Result<u64, Errno> {
    if u64::from(count) > file_limit(task) {
        return err!(EINVAL);
    }
    let mut list = fds.read_array(task.mm(), count as usize)?;
    let files = task.files();
    let watched: Vec<Option<Watched>> = list
        .iter()
        .map(|entry| {
            let interest = Events::from_bits_truncate(u32::from(entry.events)) | Events::ALWAYS;
            files.get(Fd(entry.fd)).ok().map(|description| Watched { description, interest })
        })
        .collect();
    let ready = wait_for(task, &watched, deadline, |watched| {
        let mut ready = 0;
        for (entry, one) in list.iter_mut().zip(watched) {
            let events = match one {
                Some(one) => one.description.file().poll() & one.interest,
                None if entry.fd < 0 => Events::empty(),
                None => Events::NVAL,
            };
            entry.revents = events.bits() as u16;
            ready += usize::from(!events.is_empty());
        }
        ready
    })?;
    for (index, entry) in list.iter().enumerate() {
        let revents = fds.add(index).cast::<[u16; 4]>().addr() + 6;
        UserPtr::new(revents).write(task.mm(), &entry.revents)?;
    }
    Ok(ready as u64)
}
