//! signalfd(2): signals read from a descriptor.

use crate::args::{Fd, UserPtr};
use crate::file::{File, FileDescription, anon, file_limit};
use crate::process::Process;
use crate::procfs::caller;
use crate::signal::{self, SigFields, SigInfo, SigSet};
use crate::task::Task;
use crate::wait::{self, Events, Waiters};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_abi::{Errno, err};
use husk_fs::{Metadata, OpenFlags, Sink};
use linux_raw_sys::general as raw;
use zerocopy::{FromZeros, Immutable, IntoBytes};

/// `struct signalfd_siginfo`.
#[derive(Clone, Copy, Debug, FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct SignalInfo {
    signal: u32,
    errno: i32,
    code: i32,
    pid: u32,
    uid: u32,
    fd: i32,
    tid: u32,
    band: u32,
    overrun: u32,
    trap: u32,
    status: i32,
    int: i32,
    ptr: u64,
    user_time: u64,
    system_time: u64,
    addr: u64,
    rest: [u8; 48],
}

/// The structure's size is part of what programs rely on.
const _: () = assert!(size_of::<SignalInfo>() == 128);

/// Close the descriptor on execve(2).
const SFD_CLOEXEC: u32 = raw::O_CLOEXEC;
/// Reading does not wait.
const SFD_NONBLOCK: u32 = raw::O_NONBLOCK;

impl From<&SigInfo> for SignalInfo {
    fn from(info: &SigInfo) -> Self {
        let mut to = Self::new_zeroed();
        to.signal = info.signal.number().into();
        to.errno = info.errno;
        to.code = info.code;
        match &info.fields {
            SigFields::Sender { pid, uid } => (to.pid, to.uid) = (*pid as u32, *uid),
            SigFields::Timer { id, overrun, value, .. } => {
                (to.tid, to.overrun) = (*id as u32, *overrun as u32);
                (to.ptr, to.int) = (*value, *value as i32);
            }
            SigFields::Fault { addr } => to.addr = *addr,
            SigFields::Raw(rest) => {
                // The layout of sigqueue(3): pid, uid, value, after the 12 bytes of the head and 4 of padding.
                let word =
                    |at: usize| u32::from_le_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
                (to.pid, to.uid, to.int) = (word(4), word(8), word(12) as i32);
                to.ptr = u64::from(word(12)) | u64::from(word(16)) << 32;
            }
        }
        to
    }
}

/// A set of signals that can be read. Whose signals they are depends on who reads.
struct SignalFd {
    mask: AtomicU64,
    /// The process that made it: who waits is told of its signals.
    process: Arc<Process>,
}

impl SignalFd {
    fn mask(&self) -> SigSet {
        SigSet::from_bits(self.mask.load(Ordering::Acquire))
    }

    fn take(&self, task: &Task, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let mut done = 0;
        while sink.remaining() >= size_of::<SignalInfo>() {
            let Some(info) = signal::take(task, self.mask()) else { break };
            match sink.push(SignalInfo::from(&info).as_bytes()) {
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        if done > 0 { Ok(done) } else { err!(EAGAIN) }
    }
}

impl File for SignalFd {
    fn metadata(&self) -> Metadata {
        anon::shared_metadata()
    }

    fn name(&self) -> Vec<u8> {
        b"anon_inode:[signalfd]".to_vec()
    }

    fn wait_read(&self, task: &Task, nonblocking: bool, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if sink.remaining() < size_of::<SignalInfo>() {
            return err!(EINVAL);
        }
        if nonblocking {
            return self.take(task, sink);
        }
        wait::block_on(task, &self.process.signal_waiters, Events::IN, None, || self.take(task, sink))
    }

    fn poll(&self) -> Events {
        let Some(task) = caller() else { return Events::empty() };
        let pending = signal::pending(&task);
        if (pending & self.mask()).is_empty() { Events::empty() } else { Events::IN }
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.process.signal_waiters)
    }

    fn fd_info(&self) -> Vec<u8> {
        format!("sigmask:\t{:016x}\n", self.mask().bits()).into_bytes()
    }
}

/// signalfd(2).
pub(crate) fn signalfd(task: &Task, fd: Fd, mask: UserPtr<u64>, mask_size: usize) -> Result<Fd, Errno> {
    signalfd4(task, fd, mask, mask_size, 0)
}

/// signalfd4(2): a new descriptor, or another mask for an old one.
pub(crate) fn signalfd4(
    task: &Task,
    fd: Fd,
    mask: UserPtr<u64>,
    mask_size: usize,
    flags: u32,
) -> Result<Fd, Errno> {
    if flags & !(SFD_CLOEXEC | SFD_NONBLOCK) != 0 || mask_size != super::SIGSET_SIZE {
        return err!(EINVAL);
    }
    let mask = SigSet::from_bits(mask.read(task.mm())?).blockable().bits();
    if fd != Fd(-1) {
        let file: Arc<dyn Any + Send + Sync> = task.files().get(fd)?.file().clone();
        let old: Arc<SignalFd> = file.downcast().map_err(|_| Errno::EINVAL.here())?;
        old.mask.store(mask, Ordering::Release);
        task.process().signal_waiters.wake(Events::IN);
        return Ok(fd);
    }
    let file = SignalFd { mask: AtomicU64::new(mask), process: task.process().clone() };
    let status = OpenFlags::RDWR | (OpenFlags::from_bits_retain(flags) & OpenFlags::NONBLOCK);
    let description = FileDescription::new(Arc::new(file), status);
    task.files().install(description, flags & SFD_CLOEXEC != 0, file_limit(task))
}
