//! Sockets: what the calls of socket(7) ask of each kind.
//!
//! [`Socket`] is the interface; [`unix`] and [`inet`] are what is behind it. An address is here as it is in memory: bytes that begin with
//! the family.

pub(crate) mod address;
pub(crate) mod calls;
mod common;
mod inet;
pub(crate) mod messages;
pub(crate) mod names;
pub(crate) mod options;
mod unix;

use crate::args::Fd;
use crate::file::{File, FileDescription};
use crate::task::Task;
use alloc::sync::Arc;
use alloc::vec::Vec;
pub(crate) use common::Common;
use husk_abi::{Errno, err};
use husk_fs::{Sink, Source};

/// Address families (socket(2)).
mod family {
    pub(super) const UNSPEC: u16 = 0;
    pub(super) const UNIX: u16 = 1;
    pub(super) const INET: u16 = 2;
    pub(super) const INET6: u16 = 10;
}

/// Flags of send(2) and recv(2).
mod msg {
    pub(super) const OOB: u32 = 0x1;
    pub(super) const PEEK: u32 = 0x2;
    pub(super) const CTRUNC: u32 = 0x8;
    pub(super) const TRUNC: u32 = 0x20;
    pub(super) const DONTWAIT: u32 = 0x40;
    pub(super) const EOR: u32 = 0x80;
    pub(super) const WAITALL: u32 = 0x100;
    pub(super) const ERRQUEUE: u32 = 0x2000;
    pub(super) const NOSIGNAL: u32 = 0x4000;
    pub(super) const MORE: u32 = 0x8000;
    pub(super) const WAITFORONE: u32 = 0x1_0000;
    pub(super) const CMSG_CLOEXEC: u32 = 0x4000_0000;
}

/// The type of a socket (socket(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SOCK_STREAM: bytes.
    Stream,
    /// SOCK_DGRAM: messages.
    Datagram,
    /// SOCK_SEQPACKET: messages on a connection.
    SeqPacket,
}

/// One piece of ancillary data (cmsg(3)), decoded.
pub(crate) struct Control {
    pub(crate) level: i32,
    pub(crate) kind: i32,
    pub(crate) data: Vec<u8>,
}

/// A message to be sent.
pub(crate) struct Outgoing<'a> {
    /// Its bytes.
    pub(crate) source: &'a mut dyn Source,
    /// Of send(2).
    pub(crate) flags: u32,
    /// MSG_DONTWAIT or O_NONBLOCK.
    pub(crate) nonblocking: bool,
    /// Where to, if the caller says so.
    pub(crate) to: Option<&'a [u8]>,
    /// SCM_RIGHTS.
    pub(crate) files: Vec<Arc<FileDescription>>,
    /// All other ancillary data.
    pub(crate) control: Vec<Control>,
}

/// What one receive got.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) count: usize,
    /// Length of the message before it was cut off; of a stream the same as `count`.
    pub(crate) full: usize,
    /// Where it came from, if the kind of socket tells.
    pub(crate) from: Option<Vec<u8>>,
    /// SCM_RIGHTS.
    pub(crate) files: Vec<Arc<FileDescription>>,
    /// All other ancillary data.
    pub(crate) control: Vec<Control>,
}

/// A socket.
pub(crate) trait Socket: File {
    /// What all kinds have.
    fn common(&self) -> &Common;

    /// Most that waits to be sent and to be read, in bytes: SO_SNDBUF, SO_RCVBUF.
    fn buffer_sizes(&self) -> [usize; 2];

    /// bind(2).
    ///
    /// # Errors
    /// EOPNOTSUPP, or what the kind says.
    fn bind(&self, _task: &Task, _address: &[u8]) -> Result<(), Errno> {
        err!(EOPNOTSUPP)
    }

    /// listen(2).
    ///
    /// # Errors
    /// EOPNOTSUPP, or what the kind says.
    fn listen(&self, _backlog: i32) -> Result<(), Errno> {
        err!(EOPNOTSUPP)
    }

    /// Takes a connection that waits; gives the socket and its peer's address.
    ///
    /// # Errors
    /// EOPNOTSUPP; EAGAIN if none waits.
    fn try_accept(&self) -> Result<(Arc<dyn File>, Vec<u8>), Errno> {
        err!(EOPNOTSUPP)
    }

    /// connect(2).
    ///
    /// # Errors
    /// EOPNOTSUPP, or what the kind says.
    fn connect(&self, _task: &Task, _address: &[u8], _nonblocking: bool) -> Result<(), Errno> {
        err!(EOPNOTSUPP)
    }

    /// shutdown(2).
    ///
    /// # Errors
    /// ENOTCONN.
    fn shut_down(&self, read: bool, write: bool) -> Result<(), Errno>;

    /// getsockname(2).
    fn local_address(&self) -> Vec<u8>;

    /// getpeername(2).
    ///
    /// # Errors
    /// ENOTCONN.
    fn peer_address(&self) -> Result<Vec<u8>, Errno>;

    /// Sends, and waits as send(2) does. Does not send SIGPIPE.
    ///
    /// # Errors
    /// Those of send(2); ERESTARTSYS if a signal came first.
    fn send(&self, task: &Task, message: Outgoing<'_>) -> Result<usize, Errno>;

    /// Receives, and waits as recv(2) does. `flags` are those of recv(2).
    ///
    /// # Errors
    /// Those of recv(2); ERESTARTSYS if a signal came first.
    fn receive(
        &self,
        task: &Task,
        sink: &mut dyn Sink,
        flags: u32,
        nonblocking: bool,
    ) -> Result<Received, Errno>;

    /// SO_ERROR: the pending error's number, which is forgotten.
    fn take_error(&self) -> i32;

    /// SO_ACCEPTCONN.
    fn is_listening(&self) -> bool {
        false
    }

    /// getsockopt(2), for what is not common to all kinds.
    ///
    /// # Errors
    /// ENOPROTOOPT; EOPNOTSUPP for a level that it does not have.
    fn option(&self, level: u32, option: u32) -> Result<Vec<u8>, Errno>;

    /// setsockopt(2), for what is not common to all kinds.
    ///
    /// # Errors
    /// As [`option`](Self::option); EINVAL, EDOM for a bad value.
    fn set_option(&self, task: &Task, level: u32, option: u32, value: &[u8]) -> Result<(), Errno>;
}

/// An open descriptor that is a socket.
pub(super) struct Open(Arc<FileDescription>);

impl Open {
    /// # Errors
    /// EBADF, ENOTSOCK.
    pub(super) fn get(task: &Task, fd: Fd) -> Result<Self, Errno> {
        let description = task.files().get(fd)?;
        if description.file().as_socket().is_none() {
            return err!(ENOTSOCK);
        }
        Ok(Self(description))
    }

    pub(super) fn socket(&self) -> &dyn Socket {
        self.0.file().as_socket().expect("`get` has looked")
    }

    pub(super) fn is_nonblocking(&self) -> bool {
        self.0.is_nonblocking()
    }
}

/// A wait with a timeout does not begin anew after a signal (signal(7)).
pub(super) fn interruption(error: Errno, deadline: Option<u64>) -> Errno {
    if error == Errno::ERESTARTSYS && deadline.is_some() { Errno::EINTR.here() } else { error }
}
