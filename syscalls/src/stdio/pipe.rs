//! Standard input, output and error as pipes from and to the host.

use super::output::Output;
use crate::file::anon::{self, AnonKind, Reopen};
use crate::file::{File, put_int};
use crate::task::Task;
use crate::wait::{Events, Waiters};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_abi::{Errno, err};
use husk_fs::{InodeRef, Metadata, OpenFlags, Sink, Source};
use husk_machine::port::Port;
use husk_machine::sync::{Mutex, Once};
use linux_raw_sys::ioctl::FIONREAD;

/// How many bytes are moved at a time.
const CHUNK: usize = 64 << 10;

/// Input from the host.
pub(crate) struct InputPipe {
    port: Arc<dyn Port>,
    /// Read from the port, but not by a program yet.
    buffer: Mutex<Buffer>,
    received: AtomicU64,
    /// How many bytes come in all, once that is known.
    total: AtomicU64,
    waiters: Waiters,
    inode: Once<InodeRef>,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    taken: usize,
}

impl InputPipe {
    /// From this port. The port's listener has to call [`changed`](Self::changed).
    pub(crate) fn new(port: Arc<dyn Port>) -> Arc<Self> {
        let pipe = Arc::new(Self {
            port,
            buffer: Mutex::new(Buffer::default()),
            received: AtomicU64::new(0),
            total: AtomicU64::new(u64::MAX),
            waiters: Waiters::new(),
            inode: Once::new(),
        });
        pipe.inode.call_once(|| anon::inode(AnonKind::Pipe, Some(pipe.clone())));
        pipe
    }

    /// The port has bytes, or its other end was closed. Fine in an interrupt handler.
    pub(crate) fn changed(&self) {
        self.waiters.wake(Events::READABLE | Events::HUP);
    }

    /// The input ends after so many bytes.
    pub(crate) fn ends_after(&self, total: u64) {
        self.total.store(total, Ordering::Release);
        self.changed();
    }

    /// Whether all has been received, if `closed` says whether the other end was closed before the port was last found empty.
    fn at_end(&self, closed: bool) -> bool {
        self.received.load(Ordering::Acquire) >= self.total.load(Ordering::Acquire) || closed
    }

    fn inode_ref(&self) -> &InodeRef {
        self.inode.wait()
    }
}

impl Reopen for InputPipe {
    fn open(
        self: Arc<Self>,
        _task: &Task,
        _inode: &InodeRef,
        flags: OpenFlags,
    ) -> Result<Arc<dyn File>, Errno> {
        // The end to write to is on the host.
        if flags.writes() { err!(EACCES) } else { Ok(self) }
    }
}

impl File for InputPipe {
    fn metadata(&self) -> Metadata {
        self.inode_ref().metadata()
    }

    fn inode(&self) -> Option<&InodeRef> {
        Some(self.inode_ref())
    }

    fn name(&self) -> Vec<u8> {
        anon::name(self.inode_ref())
    }

    fn read(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let mut buffer = self.buffer.lock();
        let closed = self.port.peer_closed();
        let mut done = 0;
        while sink.remaining() > 0 {
            if buffer.taken == buffer.bytes.len() {
                buffer.bytes.resize(CHUNK, 0);
                let count = self.port.read(&mut buffer.bytes);
                buffer.bytes.truncate(count);
                buffer.taken = 0;
                self.received.fetch_add(count as u64, Ordering::AcqRel);
                if count == 0 {
                    break;
                }
            }
            match sink.push(&buffer.bytes[buffer.taken..]) {
                Ok(0) => break,
                Ok(count) => {
                    buffer.taken += count;
                    done += count;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        if done > 0 || sink.remaining() == 0 || self.at_end(closed) { Ok(done) } else { err!(EAGAIN) }
    }

    fn poll(&self) -> Events {
        let buffer = self.buffer.lock();
        let closed = self.port.peer_closed();
        let mut events = Events::empty();
        if buffer.taken < buffer.bytes.len() || self.port.has_input() {
            events |= Events::READABLE;
        } else if self.at_end(closed) {
            events |= Events::HUP;
        }
        events
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.waiters)
    }

    fn ioctl(&self, task: &Task, command: u32, argument: u64) -> Result<u64, Errno> {
        if command != FIONREAD {
            return err!(ENOTTY);
        }
        let mut buffer = self.buffer.lock();
        let Buffer { bytes, taken } = &mut *buffer;
        bytes.drain(..core::mem::take(taken));
        let old = bytes.len();
        if old < CHUNK {
            bytes.resize(CHUNK, 0);
            let count = self.port.read(&mut bytes[old..]);
            bytes.truncate(old + count);
            self.received.fetch_add(count as u64, Ordering::AcqRel);
        }
        let len = bytes.len() as i32;
        drop(buffer);
        put_int(task, argument, len)
    }
}

/// Output to the host.
pub(crate) struct OutputPipe {
    output: Arc<Output>,
    inode: Once<InodeRef>,
}

impl OutputPipe {
    /// Over this port.
    pub(crate) fn new(output: Arc<Output>) -> Arc<Self> {
        let pipe = Arc::new(Self { output, inode: Once::new() });
        pipe.inode.call_once(|| anon::inode(AnonKind::Pipe, Some(pipe.clone())));
        pipe
    }

    fn inode_ref(&self) -> &InodeRef {
        self.inode.wait()
    }
}

impl Reopen for OutputPipe {
    fn open(
        self: Arc<Self>,
        _task: &Task,
        _inode: &InodeRef,
        flags: OpenFlags,
    ) -> Result<Arc<dyn File>, Errno> {
        // The end to read from is on the host.
        if flags.reads() { err!(EACCES) } else { Ok(self) }
    }
}

impl File for OutputPipe {
    fn metadata(&self) -> Metadata {
        self.inode_ref().metadata()
    }

    fn inode(&self) -> Option<&InodeRef> {
        Some(self.inode_ref())
    }

    fn name(&self) -> Vec<u8> {
        anon::name(self.inode_ref())
    }

    fn write(&self, source: &mut dyn Source) -> Result<usize, Errno> {
        let mut done = 0;
        let mut bytes = vec![0; source.remaining().min(CHUNK)];
        while source.remaining() > 0 {
            let room = self.output.room();
            if room == 0 {
                return if done > 0 { Ok(done) } else { err!(EAGAIN) };
            }
            let wanted = source.remaining().min(room).min(bytes.len());
            match source.pull(&mut bytes[..wanted]) {
                Ok(0) => break,
                Ok(count) => {
                    self.output.put(&bytes[..count]);
                    done += count;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn poll(&self) -> Events {
        if self.output.room() > 0 { Events::WRITABLE } else { Events::empty() }
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(self.output.waiters())
    }

    fn ioctl(&self, task: &Task, command: u32, argument: u64) -> Result<u64, Errno> {
        if command != FIONREAD {
            return err!(ENOTTY);
        }
        put_int(task, argument, self.output.pending() as i32)
    }
}
