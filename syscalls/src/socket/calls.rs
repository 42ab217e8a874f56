//! socket(2), socketpair(2), bind(2), listen(2), accept(2), connect(2), shutdown(2).

use super::common::Direction;
use super::inet::InetSocket;
use super::unix::UnixSocket;
use super::{Kind, Open, address, family, interruption};
use crate::args::{Fd, UserPtr};
use crate::file::{File, FileDescription, file_limit};
use crate::task::Task;
use crate::wait::{self, Events};
use alloc::sync::Arc;
use husk_abi::{Errno, err};
use husk_fs::OpenFlags;
use linux_raw_sys::general as raw;

const SOCK_TYPE_MASK: u32 = 0xf;
pub(super) const SOCK_STREAM: u32 = 1;
pub(super) const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;
pub(super) const SOCK_SEQPACKET: u32 = 5;
/// Types from here on do not exist.
const SOCK_MAX: u32 = 11;
/// Families from here on do not exist (AF_MAX of Linux 6.1).
const AF_MAX: u32 = 46;

pub(super) const IPPROTO_TCP: u32 = 6;
pub(super) const IPPROTO_UDP: u32 = 17;
/// Protocols from here on do not exist (IPPROTO_MAX).
const IPPROTO_MAX: u32 = 263;

/// socket(2).
pub(crate) fn socket(task: &Task, domain: u32, kind: u32, protocol: u32) -> Result<Fd, Errno> {
    let flags = type_flags(kind)?;
    let kind = kind & SOCK_TYPE_MASK;
    if domain >= AF_MAX {
        return err!(EAFNOSUPPORT);
    }
    if kind >= SOCK_MAX {
        return err!(EINVAL);
    }
    let domain = domain as u16;
    if !matches!(domain, family::INET | family::INET6) {
        return err!(EAFNOSUPPORT);
    }
    if protocol >= IPPROTO_MAX {
        return err!(EINVAL);
    }
    let socket: Arc<dyn File> = match (kind, protocol) {
        (SOCK_STREAM, 0 | IPPROTO_TCP) => InetSocket::stream(domain)?,
        (SOCK_DGRAM, 0 | IPPROTO_UDP) => InetSocket::datagram(domain)?,
        (SOCK_STREAM | SOCK_DGRAM, _) => return err!(EPROTONOSUPPORT),
        // Raw sockets are for the superuser, which is told so first.
        (SOCK_RAW, 0) => return err!(EPROTONOSUPPORT),
        _ => return err!(ESOCKTNOSUPPORT),
    };
    install(task, socket, flags)
}

/// The flags among the type's bits.
fn type_flags(kind: u32) -> Result<OpenFlags, Errno> {
    let flags = OpenFlags::from_bits_retain(kind & !SOCK_TYPE_MASK);
    if (OpenFlags::CLOEXEC | OpenFlags::NONBLOCK).contains(flags) { Ok(flags) } else { err!(EINVAL) }
}

fn install(task: &Task, socket: Arc<dyn File>, flags: OpenFlags) -> Result<Fd, Errno> {
    let status = OpenFlags::RDWR | (flags & OpenFlags::NONBLOCK);
    let description = FileDescription::new(socket, status);
    task.files().install(description, flags.contains(OpenFlags::CLOEXEC), file_limit(task))
}

/// socketpair(2).
pub(crate) fn socketpair(
    task: &Task,
    domain: u32,
    kind: u32,
    protocol: u32,
    fds: UserPtr<[i32; 2]>,
) -> Result<(), Errno> {
    let flags = type_flags(kind)?;
    let unix = u32::from(family::UNIX);
    if domain != unix {
        return if matches!(domain as u16, family::INET | family::INET6) {
            err!(EOPNOTSUPP)
        } else {
            err!(EAFNOSUPPORT)
        };
    }
    if protocol != 0 && protocol != unix {
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

/// bind(2).
pub(crate) fn bind(task: &Task, fd: Fd, addr: u64, len: i32) -> Result<(), Errno> {
    let open = Open::get(task, fd)?;
    let bytes = address::read(task, addr, len)?;
    open.socket().bind(task, &bytes)
}

/// listen(2).
pub(crate) fn listen(task: &Task, fd: Fd, backlog: i32) -> Result<(), Errno> {
    Open::get(task, fd)?.socket().listen(backlog)
}

/// connect(2).
pub(crate) fn connect(task: &Task, fd: Fd, addr: u64, len: i32) -> Result<(), Errno> {
    let open = Open::get(task, fd)?;
    let bytes = address::read(task, addr, len)?;
    open.socket().connect(task, &bytes, open.is_nonblocking())
}

/// accept(2).
pub(crate) fn accept(task: &Task, fd: Fd, addr: u64, len: UserPtr<i32>) -> Result<Fd, Errno> {
    accept4(task, fd, addr, len, 0)
}

/// accept4(2). A connection is lost if its address cannot be written, as on Linux.
pub(crate) fn accept4(task: &Task, fd: Fd, addr: u64, len: UserPtr<i32>, flags: u32) -> Result<Fd, Errno> {
    if flags & !(raw::O_CLOEXEC | raw::O_NONBLOCK) != 0 {
        return err!(EINVAL);
    }
    let open = Open::get(task, fd)?;
    let socket = open.socket();
    let flags = OpenFlags::from_bits_retain(flags);
    let files = task.files();
    let place = files.reserve(0, file_limit(task))?;
    let (accepted, peer) = if open.is_nonblocking() {
        socket.try_accept()?
    } else {
        let deadline = socket.common().deadline(Direction::Receive);
        let more = || socket.poll().intersects(Events::READABLE);
        let waiters = &socket.common().waiters;
        wait::block_on_in_turn(task, waiters, Events::READABLE, deadline, || socket.try_accept(), more)
            .map_err(|error| interruption(error, deadline))?
    };
    if addr != 0 {
        address::write(task, &peer, addr, len)?;
    }
    let number = place.number();
    let status = OpenFlags::RDWR | (flags & OpenFlags::NONBLOCK);
    place.install(FileDescription::new(accepted, status), flags.contains(OpenFlags::CLOEXEC));
    Ok(number)
}

/// shutdown(2): 0 reading, 1 writing, 2 both.
pub(crate) fn shutdown(task: &Task, fd: Fd, how: u32) -> Result<(), Errno> {
    let open = Open::get(task, fd)?;
    if how > 2 {
        return err!(EINVAL);
    }
    open.socket().shut_down(how != 1, how != 0)
}
