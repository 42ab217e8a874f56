//! splice(2), tee(2), vmsplice(2): moving bytes to and from a pipe inside the kernel.
//!
//! The bytes are copied, not the pages moved; a program cannot tell.

use super::PipeEnd;
use crate::args::{Fd, IoVec, MAX_RW_COUNT, UserPtr, read_iovecs};
use crate::file::{File, FileDescription};
use crate::signal::{self, Signal};
use crate::task::Task;
use crate::user_io::{UserSink, UserSource};
use crate::wait::{self, Events};
use core::any::Any;
use husk_abi::{Errno, err};
use husk_fs::io::{SliceSource, VecSink};
use husk_fs::{OpenFlags, WriteAt};
use linux_raw_sys::general as raw;

const FLAGS: u32 = raw::SPLICE_F_MOVE | raw::SPLICE_F_NONBLOCK | raw::SPLICE_F_MORE | raw::SPLICE_F_GIFT;

/// Most bytes moved at a time: what a page takes, so that a pipe takes all or nothing.
const CHUNK: usize = husk_machine::frame::PAGE_SIZE;

fn pipe(description: &FileDescription) -> Option<&PipeEnd> {
    let any: &dyn Any = &**description.file();
    any.downcast_ref()
}

fn offset(task: &Task, pointer: UserPtr<i64>) -> Result<Option<u64>, Errno> {
    let Some(pointer) = pointer.non_null() else { return Ok(None) };
    u64::try_from(pointer.read(task.mm())?).map(Some).map_err(|_| Errno::EINVAL.here())
}

/// Waits until a pipe has something to take (or room, if `room`), unless told not to.
fn wait_for(task: &Task, end: &PipeEnd, room: bool, nonblocking: bool) -> Result<(), Errno> {
    let interest = if room { Events::WRITABLE } else { Events::READABLE };
    let ready = || if end.poll().intersects(interest | Events::ALWAYS) { Ok(()) } else { err!(EAGAIN) };
    if nonblocking {
        return ready();
    }
    wait::block_on(task, &end.pipe.waiters, interest, None, ready)
}

/// splice(2).
pub(crate) fn splice(
    task: &Task,
    input: Fd,
    input_offset: UserPtr<i64>,
    out: Fd,
    out_offset: UserPtr<i64>,
    len: usize,
    flags: u32,
) -> Result<usize, Errno> {
    if len == 0 {
        return Ok(0);
    }
    if flags & !FLAGS != 0 {
        return err!(EINVAL);
    }
    let from = task.files().get(input)?;
    let to = task.files().get(out)?;
    if !from.is_readable() || !to.is_writable() {
        return err!(EBADF);
    }
    let (from_pipe, to_pipe) = (pipe(&from), pipe(&to));
    if (from_pipe.is_some() && !input_offset.is_null()) || (to_pipe.is_some() && !out_offset.is_null()) {
        return err!(ESPIPE);
    }
    if from_pipe.is_none() && to_pipe.is_none() {
        return err!(EINVAL);
    }
    if let (Some(a), Some(b)) = (from_pipe, to_pipe)
        && core::ptr::eq(&*a.pipe, &*b.pipe)
    {
        return err!(EINVAL);
    }
    if to.flags().contains(OpenFlags::APPEND) {
        return err!(EINVAL);
    }
    let mut places = (offset(task, input_offset)?, offset(task, out_offset)?);
    let len = len.min(MAX_RW_COUNT);
    let nonblocking = flags & raw::SPLICE_F_NONBLOCK != 0;
    let mut done = 0;
    let result = loop {
        if done == len {
            break Ok(());
        }
        // Only the first piece is waited for: then what is there is moved.
        let nonblocking = nonblocking || done > 0;
        let step = step(task, &from, &to, &mut places, (len - done).min(CHUNK), nonblocking);
        match step {
            Ok(0) => break Ok(()),
            Ok(count) => done += count,
            Err(error) => break Err(error),
        }
    };
    if done == 0 {
        result?;
    }
    for (place, pointer) in [(places.0, input_offset), (places.1, out_offset)] {
        if let Some(place) = place {
            pointer.write(task.mm(), &(place as i64))?;
        }
    }
    Ok(done)
}

/// Moves one piece. A pipe gets back what the other side did not take.
fn step(
    task: &Task,
    from: &FileDescription,
    to: &FileDescription,
    places: &mut (Option<u64>, Option<u64>),
    len: usize,
    nonblocking: bool,
) -> Result<usize, Errno> {
    let from_waits_not = nonblocking || from.is_nonblocking();
    let mut to_waits_not = to.is_nonblocking();
    if let Some(end) = pipe(from) {
        wait_for(task, end, false, from_waits_not)?;
    }
    if let Some(end) = pipe(to) {
        to_waits_not |= nonblocking;
        wait_for(task, end, true, to_waits_not)?;
        // Seen before anything is taken: a position would have moved.
        if end.poll().contains(Events::ERR) {
            signal::raise(task, Signal::SIGPIPE);
            return err!(EPIPE);
        }
    }
    let mut sink = VecSink::new(len);
    match places.0 {
        Some(place) => from.read_at(place, &mut sink)?,
        None => from.read(task, from_waits_not, &mut sink)?,
    };
    let bytes = sink.into_bytes();
    if bytes.is_empty() {
        return Ok(0);
    }
    let mut source = SliceSource::new(&bytes);
    let written = match places.1 {
        Some(place) => to.write_at(task, WriteAt::Offset(place), &mut source),
        None => to.write(task, to_waits_not, &mut source),
    };
    if let Some(end) = pipe(from) {
        let taken = *written.as_ref().unwrap_or(&0);
        end.give_back(&bytes[taken..])?;
    }
    let written = written?;
    for place in [&mut places.0, &mut places.1].into_iter().flatten() {
        *place += written as u64;
    }
    Ok(written)
}

/// tee(2): copies what is in one pipe to another and leaves it there.
pub(crate) fn tee(task: &Task, input: Fd, out: Fd, len: usize, flags: u32) -> Result<usize, Errno> {
    if flags & !FLAGS != 0 {
        return err!(EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    let from = task.files().get(input)?;
    let to = task.files().get(out)?;
    if !from.is_readable() || !to.is_writable() {
        return err!(EBADF);
    }
    let (Some(from_pipe), Some(to_pipe)) = (pipe(&from), pipe(&to)) else { return err!(EINVAL) };
    if core::ptr::eq(&*from_pipe.pipe, &*to_pipe.pipe) {
        return err!(EINVAL);
    }
    let nonblocking = flags & raw::SPLICE_F_NONBLOCK != 0;
    wait_for(task, from_pipe, false, nonblocking || from.is_nonblocking())?;
    wait_for(task, to_pipe, true, nonblocking || to.is_nonblocking())?;
    let bytes = from_pipe.pipe.state.lock().buffer.peek(len.min(MAX_RW_COUNT));
    to_pipe.wait_write(task, true, &mut SliceSource::new(&bytes))
}

/// vmsplice(2): a program's memory into a pipe, or a pipe's bytes into its memory.
pub(crate) fn vmsplice(
    task: &Task,
    fd: Fd,
    vector: UserPtr<IoVec>,
    count: usize,
    flags: u32,
) -> Result<usize, Errno> {
    if flags & !FLAGS != 0 {
        return err!(EINVAL);
    }
    let description = task.files().get(fd)?;
    if pipe(&description).is_none() {
        return err!(EBADF);
    }
    let buffers = read_iovecs(task.mm(), vector, count)?;
    let nonblocking = flags & raw::SPLICE_F_NONBLOCK != 0 || description.is_nonblocking();
    if description.is_writable() {
        description.write(task, nonblocking, &mut UserSource::vectored(task.mm(), buffers))
    } else {
        description.read(task, nonblocking, &mut UserSink::vectored(task.mm(), buffers))
    }
}
