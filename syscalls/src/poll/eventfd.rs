//! eventfd(2).

use crate::args::Fd;
use crate::file::{File, FileDescription, anon, file_limit};
use crate::task::Task;
use crate::wait::{Events, Waiters};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_abi::{Errno, err};
use husk_fs::{Metadata, OpenFlags, Sink, Source};
use husk_machine::sync::SpinLock;
use linux_raw_sys::general as raw;

/// The counter never gets this high by writing.
const LIMIT: u64 = u64::MAX;

/// A counter that can be waited for.
struct EventFd {
    count: SpinLock<u64>,
    semaphore: bool,
    id: u64,
    waiters: Waiters,
}

impl File for EventFd {
    fn metadata(&self) -> Metadata {
        anon::shared_metadata()
    }

    fn ignores_seeks(&self) -> bool {
        true
    }

    fn name(&self) -> Vec<u8> {
        b"anon_inode:[eventfd]".to_vec()
    }

    fn read(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if sink.remaining() < size_of::<u64>() {
            return err!(EINVAL);
        }
        let value = {
            let mut count = self.count.lock();
            if *count == 0 {
                return err!(EAGAIN);
            }
            let value = if self.semaphore { 1 } else { *count };
            *count -= value;
            value
        };
        self.waiters.wake(Events::WRITABLE);
        sink.push(&value.to_ne_bytes())
    }

    fn write(&self, source: &mut dyn Source) -> Result<usize, Errno> {
        if source.remaining() != size_of::<u64>() {
            return err!(EINVAL);
        }
        // Looked at before the value is taken from the source, which cannot be done twice.
        if *self.count.lock() == LIMIT - 1 {
            return err!(EAGAIN);
        }
        let mut bytes = [0; size_of::<u64>()];
        if source.pull(&mut bytes)? < bytes.len() {
            return err!(EFAULT);
        }
        self.add(u64::from_ne_bytes(bytes))?;
        Ok(bytes.len())
    }

    fn wait_write(&self, task: &Task, nonblocking: bool, source: &mut dyn Source) -> Result<usize, Errno> {
        if source.remaining() != size_of::<u64>() {
            return err!(EINVAL);
        }
        let mut bytes = [0; size_of::<u64>()];
        if source.pull(&mut bytes)? < bytes.len() {
            return err!(EFAULT);
        }
        let value = u64::from_ne_bytes(bytes);
        if nonblocking {
            self.add(value)?;
        } else {
            crate::wait::block_on(task, &self.waiters, Events::WRITABLE, None, || self.add(value))?;
        }
        Ok(bytes.len())
    }

    fn poll(&self) -> Events {
        let count = *self.count.lock();
        let mut events = Events::empty();
        // These two only, unlike a pipe (eventfd_poll() in Linux).
        events.set(Events::IN, count > 0);
        events.set(Events::OUT, count < LIMIT - 1);
        events.set(Events::ERR, count == LIMIT);
        events
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.waiters)
    }

    fn fd_info(&self) -> Vec<u8> {
        let count = *self.count.lock();
        format!(
            "eventfd-count: {count:16x}\neventfd-id: {}\neventfd-semaphore: {}\n",
            self.id,
            u8::from(self.semaphore)
        )
        .into_bytes()
    }
}

impl EventFd {
    fn add(&self, value: u64) -> Result<(), Errno> {
        if value == LIMIT {
            return err!(EINVAL);
        }
        {
            let mut count = self.count.lock();
            if LIMIT - *count <= value {
                return err!(EAGAIN);
            }
            *count += value;
        }
        self.waiters.wake(Events::READABLE);
        Ok(())
    }
}

/// eventfd(2).
pub(crate) fn eventfd(task: &Task, initial: u32) -> Result<Fd, Errno> {
    eventfd2(task, initial, 0)
}

/// eventfd2(2).
pub(crate) fn eventfd2(task: &Task, initial: u32, flags: u32) -> Result<Fd, Errno> {
    static NEXT_ID: AtomicU64 = AtomicU64::new(0);
    if flags & !(raw::EFD_SEMAPHORE | raw::EFD_CLOEXEC | raw::EFD_NONBLOCK) != 0 {
        return err!(EINVAL);
    }
    let file = EventFd {
        count: SpinLock::new(u64::from(initial)),
        semaphore: flags & raw::EFD_SEMAPHORE != 0,
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        waiters: Waiters::new(),
    };
    let status = OpenFlags::RDWR | (OpenFlags::from_bits_retain(flags) & OpenFlags::NONBLOCK);
    let description = FileDescription::new(Arc::new(file), status);
    task.files().install(description, flags & raw::EFD_CLOEXEC != 0, file_limit(task))
}

#[cfg(test)]
mod tests {
    use super::*;
    use husk_fs::io::{SliceSource, VecSink};

    fn new(count: u64, semaphore: bool) -> EventFd {
        EventFd { count: SpinLock::new(count), semaphore, id: 0, waiters: Waiters::new() }
    }

    fn read(file: &EventFd) -> Result<u64, Errno> {
        let mut sink = VecSink::new(8);
        file.read(&mut sink)?;
        Ok(u64::from_ne_bytes(sink.into_bytes().try_into().unwrap()))
    }

    fn write(file: &EventFd, value: u64) -> Result<usize, Errno> {
        file.write(&mut SliceSource::new(&value.to_ne_bytes()))
    }

    #[test]
    fn counts_and_empties() {
        let file = new(3, false);
        assert_eq!(write(&file, 4), Ok(8));
        assert_eq!(read(&file), Ok(7));
        assert_eq!(read(&file), Err(Errno::EAGAIN));
        assert_eq!(file.poll(), Events::OUT);
    }

    #[test]
    fn a_semaphore_gives_one_at_a_time() {
        let file = new(2, true);
        assert_eq!((read(&file), read(&file), read(&file)), (Ok(1), Ok(1), Err(Errno::EAGAIN)));
    }

    #[test]
    fn limits() {
        let file = new(0, false);
        assert_eq!(write(&file, u64::MAX), Err(Errno::EINVAL));
        assert_eq!(write(&file, u64::MAX - 1), Ok(8));
        assert_eq!(file.poll(), Events::IN);
        assert_eq!(write(&file, 1), Err(Errno::EAGAIN));
        assert_eq!(file.read(&mut VecSink::new(7)), Err(Errno::EINVAL));
    }
}
