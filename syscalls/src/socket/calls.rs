//! socket(2), socketpair(2), shutdown(2), getsockname(2), getpeername(2), getsockopt(2), setsockopt(2).

use super::AF_UNIX;
use super::unix::{BUFFER_SIZE, Kind, UnixSocket};
use crate::args::{Fd, UserPtr};
use crate::file::{FileDescription, file_limit};
use crate::task::Task;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_fs::OpenFlags;
use linux_raw_sys::general as raw;
use zerocopy::IntoBytes;

const SOCK_TYPE_MASK: u32 = 0xf;
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;
const SOCK_SEQPACKET: u32 = 5;
/// Types from here on do not exist.
const SOCK_MAX: u32 = 11;
const SOL_SOCKET: u32 = 1;

/// Options of the level SOL_SOCKET.
mod so {
    pub(super) const TYPE: u32 = 3;
    pub(super) const ERROR: u32 = 4;
    pub(super) const SNDBUF: u32 = 7;
    pub(super) const RCVBUF: u32 = 8;
    pub(super) const PEERCRED: u32 = 17;
    pub(super) const RCVTIMEO: u32 = 20;
    pub(super) const SNDTIMEO: u32 = 21;
    pub(super) const ACCEPTCONN: u32 = 30;
    pub(super) const PROTOCOL: u32 = 38;
    pub(super) const DOMAIN: u32 = 39;
}

/// socket(2): no address family has sockets with addresses yet.
pub(crate) fn socket(_task: &Task, _domain: u32, kind: u32, _protocol: u32) -> Result<Fd, Errno> {
    if kind & !(SOCK_TYPE_MASK | raw::O_CLOEXEC | raw::O_NONBLOCK) != 0 {
        return err!(EINVAL);
    }
    err!(EAFNOSUPPORT)
}

/// socketpair(2).
pub(crate) fn socketpair(
    task: &Task,
    domain: u32,
    kind: u32,
    protocol: u32,
    fds: UserPtr<[i32; 2]>,
) -> Result<(), Errno> {
    let flags = OpenFlags::from_bits_retain(kind & !SOCK_TYPE_MASK);
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) {
        return err!(EINVAL);
    }
    if domain != AF_UNIX {
        return err!(EAFNOSUPPORT);
    }
    if protocol != 0 && protocol != AF_UNIX {
        return err!(EPROTONOSUPPORT);
    }
    let kind = match kind & SOCK_TYPE_MASK {
        SOCK_STREAM => Kind::Stream,
        // Raw sockets of AF_UNIX are datagram sockets.
        SOCK_DGRAM | SOCK_RAW => Kind::Datagram,
        SOCK_SEQPACKET => Kind::SeqPacket,
        SOCK_MAX.. => return err!(EINVAL),
        _ => return err!(ESOCKTNOSUPPORT),
    };
    let files = task.files();
    let limit = file_limit(task);
    let first = files.reserve(0, limit)?;
    let second = files.reserve(0, limit)?;
    fds.write(task.mm(), &[first.number().0, second.number().0])?;
    let credentials = task.credentials();
    let identity = [task.process().pid() as u32, credentials.uid.effective, credentials.gid.effective];
    let (a, b) = UnixSocket::pair(kind, identity);
    let status = OpenFlags::RDWR | (flags & OpenFlags::NONBLOCK);
    let close_on_exec = flags.contains(OpenFlags::CLOEXEC);
    first.install(FileDescription::new(a, status), close_on_exec);
    second.install(FileDescription::new(b, status), close_on_exec);
    Ok(())
}

/// A descriptor that has to be a socket, with its description.
///
/// # Errors
/// EBADF, ENOTSOCK.
pub(super) fn get(task: &Task, fd: Fd) -> Result<(Arc<UnixSocket>, Arc<FileDescription>), Errno> {
    let description = task.files().get(fd)?;
    let file: Arc<dyn Any + Send + Sync> = description.file().clone();
    let socket = file.downcast().map_err(|_| Errno::ENOTSOCK.here())?;
    Ok((socket, description))
}

/// shutdown(2): 0 reading, 1 writing, 2 both.
pub(crate) fn shutdown(task: &Task, fd: Fd, how: u32) -> Result<(), Errno> {
    let (socket, _) = get(task, fd)?;
    if how > 2 {
        return err!(EINVAL);
    }
    socket.shut_down(how != 1, how != 0);
    Ok(())
}

/// Writes an unnamed address of AF_UNIX, cut off at the length given, and its full length.
pub(super) fn put_unnamed(task: &Task, addr: u64, len: UserPtr<i32>) -> Result<(), Errno> {
    let room = usize::try_from(len.read(task.mm())?).map_err(|_| Errno::EINVAL.here())?;
    let family = (AF_UNIX as u16).to_ne_bytes();
    task.mm().copy_out(addr, &family[..room.min(family.len())])?;
    len.write(task.mm(), &(family.len() as i32))
}

/// getsockname(2).
pub(crate) fn getsockname(task: &Task, fd: Fd, addr: u64, len: UserPtr<i32>) -> Result<(), Errno> {
    get(task, fd)?;
    put_unnamed(task, addr, len)
}

/// getpeername(2).
pub(crate) fn getpeername(task: &Task, fd: Fd, addr: u64, len: UserPtr<i32>) -> Result<(), Errno> {
    get(task, fd)?;
    put_unnamed(task, addr, len)
}

/// getsockopt(2).
pub(crate) fn getsockopt(
    task: &Task,
    fd: Fd,
    level: u32,
    option: u32,
    value: u64,
    len: UserPtr<i32>,
) -> Result<(), Errno> {
    let (socket, _) = get(task, fd)?;
    if level != SOL_SOCKET {
        return err!(EOPNOTSUPP);
    }
    let room = usize::try_from(len.read(task.mm())?).map_err(|_| Errno::EINVAL.here())?;
    let number = |number: i32| Vec::from(number.to_ne_bytes());
    let time = |index: usize| {
        let nanos = socket.timeouts[index].load(Ordering::Relaxed);
        let parts = [(nanos / 1_000_000_000) as i64, (nanos % 1_000_000_000 / 1000) as i64];
        Vec::from(parts.as_bytes())
    };
    let bytes = match option {
        so::TYPE => number(match socket.kind {
            Kind::Stream => SOCK_STREAM,
            Kind::Datagram => SOCK_DGRAM,
            Kind::SeqPacket => SOCK_SEQPACKET,
        } as i32),
        so::ERROR => number(socket.take_error()),
        so::SNDBUF | so::RCVBUF => number(BUFFER_SIZE as i32),
        so::PEERCRED => Vec::from(socket.peer_credentials.as_bytes()),
        so::RCVTIMEO => time(0),
        so::SNDTIMEO => time(1),
        so::ACCEPTCONN | so::PROTOCOL => number(0),
        so::DOMAIN => number(AF_UNIX as i32),
        _ => return err!(ENOPROTOOPT),
    };
    let count = bytes.len().min(room);
    task.mm().copy_out(value, &bytes[..count])?;
    len.write(task.mm(), &(count as i32))
}

/// setsockopt(2): the time-outs. The size of the buffers stays what it is.
pub(crate) fn setsockopt(
    task: &Task,
    fd: Fd,
    level: u32,
    option: u32,
    value: u64,
    len: i32,
) -> Result<(), Errno> {
    let (socket, _) = get(task, fd)?;
    if level != SOL_SOCKET {
        return err!(EOPNOTSUPP);
    }
    let index = match option {
        so::RCVTIMEO => 0,
        so::SNDTIMEO => 1,
        _ => return err!(ENOPROTOOPT),
    };
    if len < size_of::<[i64; 2]>() as i32 {
        return err!(EINVAL);
    }
    let [seconds, micros]: [i64; 2] = UserPtr::new(value).read(task.mm())?;
    if !(0..1_000_000).contains(&micros) {
        return err!(EDOM);
    }
    // A negative time is none to wait at all.
    let nanos = match u64::try_from(seconds) {
        Ok(seconds) => seconds.saturating_mul(1_000_000_000).saturating_add(micros as u64 * 1000),
        Err(_) => 1,
    };
    socket.timeouts[index].store(nanos, Ordering::Relaxed);
    Ok(())
}
