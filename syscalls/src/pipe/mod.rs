//! Pipes and FIFOs (pipe(7), fifo(7)).

mod buffer;
mod calls;
pub(crate) mod splice;

pub(crate) use calls::{pipe, pipe2};

use crate::credentials::Capability;
use crate::file::anon::{self, AnonKind, Reopen};
use crate::file::{File, put_int};
use crate::task::Task;
use crate::wait::{self, Events, Waiters};
use alloc::sync::Arc;
use alloc::vec::Vec;
use buffer::PipeBuffer;
use core::sync::atomic::{AtomicBool, Ordering};
use husk_abi::{Errno, err};
use husk_fs::{InodeRef, Metadata, OpenFlags, Sink, Source};
use husk_machine::frame::PAGE_SIZE;
use husk_machine::sync::Mutex;
use linux_raw_sys::ioctl::FIONREAD;

/// Largest capacity an ordinary user may ask for (/proc/sys/fs/pipe-max-size).
pub(crate) const MAX_SIZE: usize = 1 << 20;

struct State {
    buffer: PipeBuffer,
    readers: usize,
    writers: usize,
    /// How often each side has been opened: an open(2) of a FIFO waits for the other side to be opened once more.
    reader_opens: u64,
    writer_opens: u64,
}

/// What a pipe's ends share.
pub(crate) struct Pipe {
    state: Mutex<State>,
    waiters: Waiters,
}

impl Pipe {
    /// A pipe with no ends yet.
    pub(crate) fn new() -> Arc<Self> {
        let state =
            State { buffer: PipeBuffer::default(), readers: 0, writers: 0, reader_opens: 0, writer_opens: 0 };
        Arc::new(Self { state: Mutex::new(state), waiters: Waiters::new() })
    }

    /// One more end, opened with these flags' access mode; and how often each side had been opened then, readers first.
    ///
    /// # Errors
    /// ENXIO if it is to be written without waiting, `alone` is not allowed, and nobody reads.
    fn end(
        self: &Arc<Self>,
        flags: OpenFlags,
        inode: &InodeRef,
        named: bool,
        alone: bool,
    ) -> Result<(Arc<PipeEnd>, [u64; 2]), Errno> {
        let (reads, writes) = (flags.reads(), flags.writes());
        let mut state = self.state.lock();
        if !alone && writes && !reads && state.readers == 0 {
            return err!(ENXIO);
        }
        state.readers += usize::from(reads);
        state.writers += usize::from(writes);
        state.reader_opens += u64::from(reads);
        state.writer_opens += u64::from(writes);
        let opens = [state.reader_opens, state.writer_opens];
        drop(state);
        self.waiters.wake(Events::READABLE | Events::WRITABLE);
        let packets = AtomicBool::new(!named && flags.contains(OpenFlags::DIRECT));
        let end = PipeEnd { pipe: self.clone(), reads, writes, packets, inode: inode.clone(), named };
        Ok((Arc::new(end), opens))
    }
}

impl Reopen for Pipe {
    /// Opens a FIFO, or a pipe through /proc/self/fd: waits for the other side unless O_NONBLOCK.
    fn open(
        self: Arc<Self>,
        task: &Task,
        inode: &InodeRef,
        flags: OpenFlags,
    ) -> Result<Arc<dyn File>, Errno> {
        let (reads, writes) = (flags.reads(), flags.writes());
        let nonblocking = flags.contains(OpenFlags::NONBLOCK);
        let named = !anon::is_anonymous(inode);
        let (end, [readers_before, writers_before]) = self.end(flags, inode, named, !nonblocking)?;
        wait::block_on(task, &self.waiters, Events::READABLE | Events::WRITABLE, None, || {
            let state = self.state.lock();
            let alone = (reads && !writes && state.writers == 0 && state.writer_opens == writers_before)
                || (writes && !reads && state.readers == 0 && state.reader_opens == readers_before);
            if alone && !nonblocking { err!(EAGAIN) } else { Ok(()) }
        })?;
        Ok(end)
    }
}

/// One end of a pipe, or both (a FIFO opened with O_RDWR).
pub(crate) struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// Packet mode (O_DIRECT).
    packets: AtomicBool,
    inode: InodeRef,
    named: bool,
}

impl PipeEnd {
    /// A new pipe's two ends, to be read and to be written.
    pub(crate) fn pair(flags: OpenFlags) -> (Arc<Self>, Arc<Self>) {
        let pipe = Pipe::new();
        let inode = anon::inode(AnonKind::Pipe, Some(pipe.clone()));
        let end = |flags| match pipe.end(flags, &inode, false, true) {
            Ok((end, _)) => end,
            Err(_) => unreachable!("only an end that must not be alone is refused"),
        };
        (end(flags), end(flags | OpenFlags::WRONLY))
    }

    /// F_GETPIPE_SZ.
    pub(crate) fn capacity(&self) -> usize {
        self.pipe.state.lock().buffer.capacity()
    }

    /// F_SETPIPE_SZ: at least so many bytes; the answer is the new capacity.
    ///
    /// # Errors
    /// EINVAL, EPERM above the system's limit, EBUSY if more is in it.
    pub(crate) fn set_capacity(&self, task: &Task, size: u64) -> Result<usize, Errno> {
        if size > u64::from(u32::MAX / 2) + 1 {
            return err!(EINVAL);
        }
        let pages = (size as usize).div_ceil(PAGE_SIZE).max(1).next_power_of_two();
        if pages * PAGE_SIZE > MAX_SIZE && !task.has_capability(Capability::SYS_RESOURCE) {
            return err!(EPERM);
        }
        self.pipe.state.lock().buffer.resize(pages)?;
        self.pipe.waiters.wake(Events::WRITABLE);
        Ok(pages * PAGE_SIZE)
    }

    /// Puts bytes that were read back to the front (at most a page of them).
    ///
    /// # Errors
    /// ENOMEM.
    fn give_back(&self, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.pipe.state.lock().buffer.give_back(bytes)?;
        self.pipe.waiters.wake(Events::READABLE);
        Ok(())
    }

    /// Turns packet mode on or off (F_SETFL with O_DIRECT).
    pub(crate) fn set_packets(&self, on: bool) {
        self.packets.store(on && !self.named, Ordering::Relaxed);
    }
}

impl File for PipeEnd {
    fn metadata(&self) -> Metadata {
        self.inode.metadata()
    }

    fn inode(&self) -> Option<&InodeRef> {
        Some(&self.inode)
    }

    fn name(&self) -> Vec<u8> {
        anon::name(&self.inode)
    }

    fn read(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        let mut state = self.pipe.state.lock();
        if state.buffer.is_empty() {
            return if state.writers == 0 { Ok(0) } else { err!(EAGAIN) };
        }
        let was_full = state.buffer.is_full();
        let count = state.buffer.read(sink)?;
        drop(state);
        if was_full {
            self.pipe.waiters.wake(Events::WRITABLE);
        }
        Ok(count)
    }

    fn write(&self, source: &mut dyn Source) -> Result<usize, Errno> {
        if source.remaining() == 0 {
            return Ok(0);
        }
        let mut state = self.pipe.state.lock();
        if state.readers == 0 {
            return err!(EPIPE);
        }
        let count = state.buffer.write(source, self.packets.load(Ordering::Relaxed))?;
        drop(state);
        // Also when there was something before: an edge for epoll, as on Linux.
        self.pipe.waiters.wake(Events::READABLE);
        Ok(count)
    }

    fn poll(&self) -> Events {
        let state = self.pipe.state.lock();
        let mut events = Events::empty();
        if self.reads {
            events.set(Events::READABLE, !state.buffer.is_empty());
            events.set(Events::HUP, state.writers == 0 && state.writer_opens > 0);
        }
        if self.writes {
            events.set(Events::WRITABLE, !state.buffer.is_full());
            events.set(Events::ERR, state.readers == 0);
        }
        events
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.pipe.waiters)
    }

    fn ioctl(&self, task: &Task, command: u32, argument: u64) -> Result<u64, Errno> {
        if command != FIONREAD {
            return err!(ENOTTY);
        }
        let len = self.pipe.state.lock().buffer.len();
        put_int(task, argument, len as i32)
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let mut state = self.pipe.state.lock();
        state.readers -= usize::from(self.reads);
        state.writers -= usize::from(self.writes);
        if state.readers == 0 && state.writers == 0 {
            state.buffer = PipeBuffer::default();
        }
        drop(state);
        self.pipe.waiters.wake(Events::READABLE | Events::WRITABLE | Events::HUP | Events::ERR);
    }
}
