//! What an open file description refers to: the interface of everything that can be read, written or waited for.

use crate::mm::Mappable;
use crate::signal::{self, Signal};
use crate::socket::Socket;
use crate::task::Task;
use crate::wait::{self, Events, Waiters};
use alloc::vec::Vec;
use core::any::Any;
use husk_abi::{Errno, err};
use husk_fs::{InodeRef, Metadata, Sink, Source, WriteAt};

/// An object behind descriptors. Its methods only ever try: they answer EAGAIN where a program would have to wait; the two
/// `wait_…` methods do the waiting on [`waiters`](Self::waiters).
pub(crate) trait File: Any + Send + Sync {
    /// What fstat(2) tells.
    fn metadata(&self) -> Metadata;

    /// The file in a filesystem, if it is one.
    fn inode(&self) -> Option<&InodeRef> {
        None
    }

    /// What readlink of /proc/self/fd/N gives if there is no path: `pipe:[7]`, `anon_inode:[eventfd]`.
    fn name(&self) -> Vec<u8>;

    /// As a socket, if it is one.
    fn as_socket(&self) -> Option<&dyn Socket> {
        None
    }

    /// Whether it has positions: lseek(2), pread(2).
    fn is_seekable(&self) -> bool {
        false
    }

    /// Whether lseek(2) of it succeeds and does nothing, though it has no positions (Linux's `noop_llseek`).
    fn ignores_seeks(&self) -> bool {
        false
    }

    /// Whether epoll(7) takes it.
    fn is_pollable(&self) -> bool {
        true
    }

    /// Reads from something without positions.
    ///
    /// # Errors
    /// EAGAIN if there is nothing yet; EINVAL if it cannot be read.
    fn read(&self, _sink: &mut dyn Sink) -> Result<usize, Errno> {
        err!(EINVAL)
    }

    /// Writes to something without positions, as much as there is room for.
    ///
    /// # Errors
    /// EAGAIN if there is no room; EINVAL if it cannot be written.
    fn write(&self, _source: &mut dyn Source) -> Result<usize, Errno> {
        err!(EINVAL)
    }

    /// Reads at a position.
    ///
    /// # Errors
    /// ESPIPE if it has none.
    fn read_at(&self, _offset: u64, _sink: &mut dyn Sink) -> Result<usize, Errno> {
        err!(ESPIPE)
    }

    /// Writes at a position; the answer is the number of bytes and the position after them.
    ///
    /// # Errors
    /// ESPIPE if it has none.
    fn write_at(&self, _at: WriteAt, _source: &mut dyn Source) -> Result<(usize, u64), Errno> {
        err!(ESPIPE)
    }

    /// What it is ready for now.
    fn poll(&self) -> Events {
        Events::READABLE | Events::WRITABLE
    }

    /// Who is told when that changes; `None` if it never does.
    fn waiters(&self) -> Option<&Waiters> {
        None
    }

    /// Reads, and waits until something can be read unless `nonblocking`.
    ///
    /// # Errors
    /// As [`read`](Self::read); ERESTARTSYS if a signal came first.
    fn wait_read(&self, task: &Task, nonblocking: bool, sink: &mut dyn Sink) -> Result<usize, Errno> {
        match self.waiters() {
            Some(waiters) if !nonblocking => {
                let more = || self.poll().intersects(Events::READABLE);
                wait::block_on_in_turn(task, waiters, Events::READABLE, None, || self.read(sink), more)
            }
            _ => self.read(sink),
        }
    }

    /// Writes, and waits until all is written unless `nonblocking`. Sends SIGPIPE for EPIPE.
    ///
    /// # Errors
    /// As [`write`](Self::write); ERESTARTSYS if a signal came before anything was written.
    fn wait_write(&self, task: &Task, nonblocking: bool, source: &mut dyn Source) -> Result<usize, Errno> {
        let mut done = 0;
        loop {
            let step = match self.waiters() {
                Some(waiters) if !nonblocking => {
                    let more = || self.poll().intersects(Events::WRITABLE);
                    wait::block_on_in_turn(task, waiters, Events::WRITABLE, None, || self.write(source), more)
                }
                _ => self.write(source),
            };
            match step {
                Ok(count) => {
                    done += count;
                    if nonblocking || count == 0 || source.remaining() == 0 {
                        return Ok(done);
                    }
                }
                Err(error) => {
                    // Pipes: also when a part has been written.
                    if error == Errno::EPIPE {
                        signal::raise(task, Signal::SIGPIPE);
                    }
                    return if done > 0 { Ok(done) } else { Err(error) };
                }
            }
        }
    }

    /// Job control: whether this task may read (or write) just now.
    ///
    /// # Errors
    /// EIO, ERESTARTSYS after a stop signal was sent to the caller's process group.
    fn check_job_control(&self, _task: &Task, _write: bool) -> Result<(), Errno> {
        Ok(())
    }

    /// ioctl(2) commands of its own; those common to all files are handled before.
    ///
    /// # Errors
    /// ENOTTY if it does not know the command.
    fn ioctl(&self, _task: &Task, _command: u32, _argument: u64) -> Result<u64, Errno> {
        err!(ENOTTY)
    }

    /// What mmap(2) maps.
    ///
    /// # Errors
    /// ENODEV if it cannot be mapped.
    fn mappable(&self) -> Result<Mappable, Errno> {
        err!(ENODEV)
    }

    /// The lines it adds to /proc/self/fdinfo/N.
    fn fd_info(&self) -> Vec<u8> {
        Vec::new()
    }
}
