//! sendto(2), recvfrom(2), sendmsg(2), recvmsg(2).

use super::calls::{get, put_unnamed};
use super::{msg, unix};
use crate::args::{Fd, IoVec, UserPtr, UserSlice, read_iovecs};
use crate::file::{FileDescription, file_limit};
use crate::task::Task;
use crate::user_io::{UserSink, UserSource};
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;
/// Most files one message carries.
const SCM_MAX_FD: usize = 253;
/// Longest ancillary data that is looked at.
const CONTROL_MAX: usize = 1 << 16;
/// Size of `struct cmsghdr`.
const HEADER: usize = 16;

/// `struct msghdr`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct MsgHdr {
    name: u64,
    name_len: u32,
    padding: u32,
    iov: u64,
    iov_len: u64,
    control: u64,
    control_len: u64,
    flags: u32,
    padding_end: u32,
}

const SEND_FLAGS: u32 = msg::DONTWAIT | msg::NOSIGNAL | msg::EOR;
const RECEIVE_FLAGS: u32 =
    msg::DONTWAIT | msg::PEEK | msg::TRUNC | msg::WAITALL | msg::CMSG_CLOEXEC | msg::NOSIGNAL;

fn send(
    task: &Task,
    fd: Fd,
    buffers: Vec<UserSlice>,
    flags: u32,
    has_address: bool,
    files: Vec<Arc<FileDescription>>,
) -> Result<usize, Errno> {
    let (socket, description) = get(task, fd)?;
    if flags & !SEND_FLAGS != 0 {
        return err!(EOPNOTSUPP);
    }
    if has_address && socket.kind != unix::Kind::Datagram {
        return err!(EISCONN);
    }
    let nonblocking = flags & msg::DONTWAIT != 0 || description.is_nonblocking();
    let sent = socket.send(task, nonblocking, &mut UserSource::vectored(task.mm(), buffers), files);
    if flags & msg::NOSIGNAL != 0 { sent } else { socket.signal_broken_pipe(task, sent) }
}

/// sendto(2).
pub(crate) fn sendto(
    task: &Task,
    fd: Fd,
    buffer: UserSlice,
    flags: u32,
    addr: u64,
    _addr_len: i32,
) -> Result<usize, Errno> {
    send(task, fd, Vec::from([buffer]), flags, addr != 0, Vec::new())
}

/// recvfrom(2). An unnamed peer has no address.
pub(crate) fn recvfrom(
    task: &Task,
    fd: Fd,
    buffer: UserSlice,
    flags: u32,
    addr: u64,
    addr_len: UserPtr<i32>,
) -> Result<usize, Errno> {
    let received = receive(task, fd, Vec::from([buffer]), flags)?;
    if addr != 0 {
        put_unnamed(task, addr, addr_len)?;
    }
    Ok(if flags & msg::TRUNC != 0 { received.full.max(received.count) } else { received.count })
}

fn receive(task: &Task, fd: Fd, buffers: Vec<UserSlice>, flags: u32) -> Result<unix::Received, Errno> {
    let (socket, description) = get(task, fd)?;
    if flags & !RECEIVE_FLAGS != 0 {
        return err!(EOPNOTSUPP);
    }
    let nonblocking = flags & msg::DONTWAIT != 0 || description.is_nonblocking();
    let (peek, all) = (flags & msg::PEEK != 0, flags & msg::WAITALL != 0);
    let mut received =
        socket.receive(task, nonblocking, &mut UserSink::vectored(task.mm(), buffers), peek, all)?;
    if socket.kind == unix::Kind::Stream {
        // Streams have no messages to cut off.
        received.full = received.count;
    }
    Ok(received)
}

/// sendmsg(2).
pub(crate) fn sendmsg(task: &Task, fd: Fd, header: UserPtr<MsgHdr>, flags: u32) -> Result<usize, Errno> {
    let header = header.read(task.mm())?;
    let buffers = read_iovecs(task.mm(), UserPtr::<IoVec>::new(header.iov), header.iov_len as usize)?;
    let files = sent_files(task, &header)?;
    send(task, fd, buffers, flags, header.name != 0, files)
}

/// The files in the ancillary data.
fn sent_files(task: &Task, header: &MsgHdr) -> Result<Vec<Arc<FileDescription>>, Errno> {
    let mut files = Vec::new();
    if header.control_len > CONTROL_MAX as u64 {
        return err!(ENOBUFS);
    }
    let control = UserSlice { addr: header.control, len: header.control_len as usize }.read(task.mm())?;
    let mut rest = control.as_slice();
    while rest.len() >= HEADER {
        let word = |at: usize| i32::from_ne_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
        let (len, level, kind) = (word(0) as usize, word(8), word(12));
        if len < HEADER || len > rest.len() || word(4) != 0 {
            return err!(EINVAL);
        }
        if (level, kind) != (SOL_SOCKET, SCM_RIGHTS) {
            return err!(EINVAL);
        }
        for number in rest[HEADER..len].chunks_exact(4) {
            let fd = Fd(i32::from_ne_bytes([number[0], number[1], number[2], number[3]]));
            files.push(task.files().get_any(fd)?);
        }
        if files.len() > SCM_MAX_FD {
            return err!(EINVAL);
        }
        rest = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
    }
    Ok(files)
}

/// recvmsg(2).
pub(crate) fn recvmsg(task: &Task, fd: Fd, pointer: UserPtr<MsgHdr>, flags: u32) -> Result<usize, Errno> {
    let mut header = pointer.read(task.mm())?;
    let buffers = read_iovecs(task.mm(), UserPtr::<IoVec>::new(header.iov), header.iov_len as usize)?;
    let received = receive(task, fd, buffers, flags)?;
    header.flags = 0;
    if received.full > received.count {
        header.flags |= msg::TRUNC;
    }
    header.control_len =
        put_files(task, &mut header, &received.files, flags & msg::CMSG_CLOEXEC != 0)? as u64;
    header.name_len = 0;
    pointer.write(task.mm(), &header)?;
    Ok(if flags & msg::TRUNC != 0 { received.full.max(received.count) } else { received.count })
}

/// Opens received files as far as the ancillary buffer has room, and describes them there.
fn put_files(
    task: &Task,
    header: &mut MsgHdr,
    files: &[Arc<FileDescription>],
    close_on_exec: bool,
) -> Result<usize, Errno> {
    if files.is_empty() {
        return Ok(0);
    }
    let room = (header.control_len as usize).saturating_sub(HEADER) / 4;
    if room < files.len() {
        header.flags |= msg::CTRUNC;
    }
    let count = room.min(files.len());
    if count == 0 {
        return Ok(0);
    }
    let table = task.files();
    let mut numbers = Vec::new();
    for file in &files[..count] {
        match table.install(file.clone(), close_on_exec, file_limit(task)) {
            Ok(fd) => numbers.push(fd.0),
            Err(_) => {
                header.flags |= msg::CTRUNC;
                break;
            }
        }
    }
    let len = HEADER + numbers.len() * 4;
    let mut out = Vec::from((len as u64).to_ne_bytes());
    out.extend_from_slice([SOL_SOCKET, SCM_RIGHTS].as_bytes());
    out.extend_from_slice(numbers.as_bytes());
    task.mm().copy_out(header.control, &out)?;
    Ok(len.next_multiple_of(8).min(header.control_len as usize))
}
