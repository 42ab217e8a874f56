//! Waiting for several files at once: poll, select, epoll; and eventfd.

pub(crate) mod epoll;
pub(crate) mod epoll_calls;
pub(crate) mod eventfd;
#[expect(clippy::module_inception, reason = "the call's name")]
pub(crate) mod poll;
pub(crate) mod select;
pub(crate) mod signalfd;

use crate::args::UserPtr;
use crate::file::FileDescription;
use crate::signal::SigSet;
use crate::task::Task;
use crate::wait::{self, Events};
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, Timespec, err};
use husk_machine::time::monotonic_ns;

/// Size of the kernel's `sigset_t` in bytes.
const SIGSET_SIZE: usize = 8;

/// One file that is waited for.
struct Watched {
    description: Arc<FileDescription>,
    interest: Events,
}

/// Registrations with several objects, taken back when dropped.
struct Registrations<'a> {
    keys: Vec<(&'a FileDescription, u64)>,
}

impl<'a> Registrations<'a> {
    fn new(watched: impl Iterator<Item = &'a Watched>) -> Self {
        let mut keys = Vec::new();
        for one in watched {
            if let Some(waiters) = one.description.file().waiters() {
                keys.push((&*one.description, waiters.add_thread(one.interest, false)));
            }
        }
        Self { keys }
    }
}

impl Drop for Registrations<'_> {
    fn drop(&mut self) {
        for (description, key) in &self.keys {
            if let Some(waiters) = description.file().waiters() {
                waiters.remove(*key);
            }
        }
    }
}

/// Asks until some file is ready (`scan` counts them), the deadline has passed (0 files then) or a signal comes.
///
/// # Errors
/// ERESTARTSYS for a signal.
fn wait_for(
    task: &Task,
    watched: &[Option<Watched>],
    deadline: Option<u64>,
    mut scan: impl FnMut(&[Option<Watched>]) -> usize,
) -> Result<usize, Errno> {
    let ready = scan(watched);
    if ready > 0 || deadline.is_some_and(|deadline| deadline <= monotonic_ns()) {
        return Ok(ready);
    }
    let _registrations = Registrations::new(watched.iter().flatten());
    loop {
        let ready = scan(watched);
        if ready > 0 {
            return Ok(ready);
        }
        match wait::sleep(task, deadline) {
            Ok(()) => {}
            Err(error) if error == Errno::EAGAIN => return Ok(0),
            Err(error) => return Err(error),
        }
    }
}

/// Makes a call with the signal mask of ppoll(2) and its relatives in force. Unless a signal has interrupted it, the old mask is back
/// before signals are looked at.
///
/// # Errors
/// EINVAL for a size that is not the kernel's; EFAULT; the call's.
fn with_mask<R>(
    task: &Task,
    mask: UserPtr<u64>,
    size: usize,
    call: impl FnOnce() -> Result<R, Errno>,
) -> Result<R, Errno> {
    let Some(mask) = mask.non_null() else { return call() };
    if size != SIGSET_SIZE {
        return err!(EINVAL);
    }
    task.set_temporary_mask(SigSet::from_bits(mask.read(task.mm())?));
    let result = call();
    let interrupted =
        [Errno::EINTR, Errno::ERESTARTNOHAND].into_iter().any(|code| result.as_ref().err() == Some(&code));
    if !interrupted {
        task.restore_mask();
    }
    result
}

/// When a relative time-out ends, in monotonic nanoseconds; `None` is never.
///
/// # Errors
/// EFAULT, EINVAL.
pub(crate) fn deadline(task: &Task, timeout: UserPtr<Timespec>) -> Result<Option<u64>, Errno> {
    let Some(timeout) = timeout.non_null() else { return Ok(None) };
    Ok(Some(monotonic_ns().saturating_add(crate::time::read_timespec(task, timeout)?)))
}

/// The end of a call that leaves the rest of its time where the time-out was. Where that cannot be written is no error, but then the
/// call cannot go on after a signal: it would begin anew with the whole time.
fn finish<R>(result: Result<R, Errno>, written: Result<(), Errno>) -> Result<R, Errno> {
    match (result, written) {
        (Err(error), Err(_)) if error == Errno::ERESTARTNOHAND => err!(EINTR),
        (result, _) => result,
    }
}

/// What is left of a time-out.
fn left(deadline: u64) -> u64 {
    deadline.saturating_sub(monotonic_ns())
}
