//! sendto(2), recvfrom(2), sendmsg(2), recvmsg(2), sendmmsg(2), recvmmsg(2).

use super::{Control, Kind, Open, Outgoing, Received, address, msg};
use crate::args::{Fd, IoVec, UserPtr, UserSlice, read_iovecs};
use crate::file::{FileDescription, file_limit};
use crate::signal::{self, Signal};
use crate::task::Task;
use crate::user_io::{UserSink, UserSource};
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, Timespec, err};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;
/// Most files one message carries.
const SCM_MAX_FD: usize = 253;
/// Longest ancillary data that is looked at.
const CONTROL_MAX: usize = 1 << 16;
/// Most buffers of one message (UIO_MAXIOV), and most messages of one call.
const IOV_MAX: u64 = 1024;
/// Size of `struct sockaddr_storage`.
const NAME_MAX: i32 = 128;
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

/// `struct mmsghdr`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct MMsgHdr {
    header: MsgHdr,
    len: u32,
    padding: u32,
}

/// sendto(2).
pub(crate) fn sendto(
    task: &Task,
    fd: Fd,
    buffer: UserSlice,
    flags: u32,
    addr: u64,
    addr_len: i32,
) -> Result<usize, Errno> {
    let open = Open::get(task, fd)?;
    let to = if addr == 0 { None } else { Some(address::read(task, addr, addr_len)?) };
    let source = &mut UserSource::new(task.mm(), buffer);
    send(task, &open, source, flags, to.as_deref(), Ancillary::default())
}

fn send(
    task: &Task,
    open: &Open,
    source: &mut UserSource<'_>,
    flags: u32,
    to: Option<&[u8]>,
    ancillary: Ancillary,
) -> Result<usize, Errno> {
    let nonblocking = flags & msg::DONTWAIT != 0 || open.is_nonblocking();
    let socket = open.socket();
    let Ancillary { files, control } = ancillary;
    let sent = socket.send(task, Outgoing { source, flags, nonblocking, to, files, control });
    let broken = sent.as_ref().is_err_and(|error| *error == Errno::EPIPE);
    // Only streams do that.
    if broken && flags & msg::NOSIGNAL == 0 && socket.common().kind == Kind::Stream {
        signal::raise(task, Signal::SIGPIPE);
    }
    sent
}

/// recvfrom(2).
pub(crate) fn recvfrom(
    task: &Task,
    fd: Fd,
    buffer: UserSlice,
    flags: u32,
    addr: u64,
    addr_len: UserPtr<i32>,
) -> Result<usize, Errno> {
    let open = Open::get(task, fd)?;
    let received = receive(task, &open, &mut UserSink::new(task.mm(), buffer), flags)?;
    if addr != 0 {
        // What tells no address leaves the length 0.
        address::write(task, received.from.as_deref().unwrap_or_default(), addr, addr_len)?;
    }
    Ok(length(&received, flags))
}

fn receive(task: &Task, open: &Open, sink: &mut UserSink<'_>, flags: u32) -> Result<Received, Errno> {
    let nonblocking = flags & msg::DONTWAIT != 0 || open.is_nonblocking();
    open.socket().receive(task, sink, flags, nonblocking)
}

/// What the call returns.
fn length(received: &Received, flags: u32) -> usize {
    if flags & msg::TRUNC != 0 { received.full.max(received.count) } else { received.count }
}

/// sendmsg(2).
pub(crate) fn sendmsg(task: &Task, fd: Fd, header: UserPtr<MsgHdr>, flags: u32) -> Result<usize, Errno> {
    let open = Open::get(task, fd)?;
    let header = header.read(task.mm())?;
    send_message(task, &open, &header, flags)
}

fn send_message(task: &Task, open: &Open, header: &MsgHdr, flags: u32) -> Result<usize, Errno> {
    let to = match header.name {
        0 => None,
        // As Linux: one that is too long is cut off.
        name => Some(address::read(task, name, (header.name_len as i32).min(NAME_MAX))?),
    };
    if header.iov_len > IOV_MAX {
        return err!(EMSGSIZE);
    }
    let buffers = read_iovecs(task.mm(), UserPtr::<IoVec>::new(header.iov), header.iov_len as usize)?;
    let ancillary = Ancillary::read(task, header)?;
    send(task, open, &mut UserSource::vectored(task.mm(), buffers), flags, to.as_deref(), ancillary)
}

/// sendmmsg(2): each message that went has its length stored; an error counts only at the first.
pub(crate) fn sendmmsg(
    task: &Task,
    fd: Fd,
    messages: UserPtr<MMsgHdr>,
    count: u32,
    flags: u32,
) -> Result<usize, Errno> {
    let open = Open::get(task, fd)?;
    let mut done = 0;
    while done < (count as usize).min(IOV_MAX as usize) {
        let place = messages.add(done);
        let step = (|| {
            let mut message = place.read(task.mm())?;
            message.len = send_message(task, &open, &message.header, flags)? as u32;
            place.write(task.mm(), &message)
        })();
        match step {
            Ok(()) => done += 1,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// What goes along with a message.
#[derive(Default)]
struct Ancillary {
    files: Vec<Arc<FileDescription>>,
    control: Vec<Control>,
}

impl Ancillary {
    fn read(task: &Task, header: &MsgHdr) -> Result<Self, Errno> {
        let mut ancillary = Self::default();
        if header.control == 0 || header.control_len == 0 {
            return Ok(ancillary);
        }
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
            let data = &rest[HEADER..len];
            if (level, kind) == (SOL_SOCKET, SCM_RIGHTS) {
                for number in data.chunks_exact(4) {
                    let fd = Fd(i32::from_ne_bytes([number[0], number[1], number[2], number[3]]));
                    ancillary.files.push(task.files().get_any(fd)?);
                }
                if ancillary.files.len() > SCM_MAX_FD {
                    return err!(EINVAL);
                }
            } else {
                ancillary.control.push(Control { level, kind, data: Vec::from(data) });
            }
            rest = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
        }
        Ok(ancillary)
    }
}

/// recvmsg(2).
pub(crate) fn recvmsg(task: &Task, fd: Fd, pointer: UserPtr<MsgHdr>, flags: u32) -> Result<usize, Errno> {
    let open = Open::get(task, fd)?;
    let mut header = pointer.read(task.mm())?;
    let count = receive_message(task, &open, &mut header, flags)?;
    pointer.write(task.mm(), &header)?;
    Ok(count)
}

fn receive_message(task: &Task, open: &Open, header: &mut MsgHdr, flags: u32) -> Result<usize, Errno> {
    if header.iov_len > IOV_MAX {
        return err!(EMSGSIZE);
    }
    let buffers = read_iovecs(task.mm(), UserPtr::<IoVec>::new(header.iov), header.iov_len as usize)?;
    let received = receive(task, open, &mut UserSink::vectored(task.mm(), buffers), flags)?;
    header.flags = 0;
    if received.full > received.count {
        header.flags |= msg::TRUNC;
    }
    let from = received.from.as_deref().unwrap_or_default();
    if header.name != 0 {
        task.mm().copy_out(header.name, &from[..from.len().min(header.name_len as usize)])?;
    }
    header.name_len = from.len() as u32;
    let mut room = ControlRoom { at: header.control, left: header.control_len as usize };
    for control in &received.control {
        if !room.put(task, control.level, control.kind, &control.data)? {
            header.flags |= msg::CTRUNC;
        }
    }
    if !put_files(task, &mut room, &received.files, flags & msg::CMSG_CLOEXEC != 0)? {
        header.flags |= msg::CTRUNC;
    }
    header.control_len = room.at - header.control;
    Ok(length(&received, flags))
}

/// recvmmsg(2). The time-out is looked at after each message only, as on Linux.
pub(crate) fn recvmmsg(
    task: &Task,
    fd: Fd,
    messages: UserPtr<MMsgHdr>,
    count: u32,
    flags: u32,
    timeout: UserPtr<Timespec>,
) -> Result<usize, Errno> {
    let deadline = crate::poll::deadline(task, timeout)?;
    let open = Open::get(task, fd)?;
    let (mut done, mut flags) = (0, flags);
    while done < (count as usize).min(IOV_MAX as usize) {
        let place = messages.add(done);
        let step = (|| {
            let mut message = place.read(task.mm())?;
            message.len = receive_message(task, &open, &mut message.header, flags & !msg::WAITFORONE)? as u32;
            place.write(task.mm(), &message)
        })();
        match step {
            Ok(()) => done += 1,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
        if flags & msg::WAITFORONE != 0 {
            flags |= msg::DONTWAIT;
        }
        if deadline.is_some_and(|deadline| husk_machine::time::monotonic_ns() >= deadline) {
            break;
        }
    }
    Ok(done)
}

/// What is left of a program's buffer for ancillary data.
struct ControlRoom {
    at: u64,
    left: usize,
}

impl ControlRoom {
    /// Adds a piece; false if it did not fit, in which case it is cut off or missing.
    fn put(&mut self, task: &Task, level: i32, kind: i32, data: &[u8]) -> Result<bool, Errno> {
        if self.left < HEADER {
            return Ok(false);
        }
        let len = (HEADER + data.len()).min(self.left);
        let mut out = Vec::from((len as u64).to_ne_bytes());
        out.extend_from_slice([level, kind].as_bytes());
        out.extend_from_slice(&data[..len - HEADER]);
        task.mm().copy_out(self.at, &out)?;
        let used = len.next_multiple_of(8).min(self.left);
        self.at += used as u64;
        self.left -= used;
        Ok(len == HEADER + data.len())
    }
}

/// Opens received files as far as there is room to describe them; false if not all could be.
fn put_files(
    task: &Task,
    room: &mut ControlRoom,
    files: &[Arc<FileDescription>],
    close_on_exec: bool,
) -> Result<bool, Errno> {
    if files.is_empty() {
        return Ok(true);
    }
    let count = (room.left.saturating_sub(HEADER) / 4).min(files.len());
    let table = task.files();
    let mut numbers = Vec::new();
    for file in &files[..count] {
        match table.install(file.clone(), close_on_exec, file_limit(task)) {
            Ok(fd) => numbers.push(fd.0),
            Err(_) => break,
        }
    }
    if !numbers.is_empty() {
        room.put(task, SOL_SOCKET, SCM_RIGHTS, numbers.as_bytes())?;
    }
    Ok(numbers.len() == files.len())
}
