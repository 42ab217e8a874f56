//! A TCP socket as a file (tcp(7)).

use super::super::address;
use super::super::common::Direction;
use super::super::{Common, Kind, Outgoing, Received, Socket, family, interruption, msg};
use super::{Waker, directions, events_of, ioctl, tcp_options};
use crate::file::{File, anon};
use crate::signal::{self, Signal};
use crate::task::Task;
use crate::wait::{self, Events, Waiters};
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_fs::{InodeRef, Metadata, Sink, Source};
use husk_machine::time::monotonic_ns;
use husk_net::TcpSocket;
use husk_net::tcp::{RecvFlags, State};

/// Flags of send(2) that are understood. MSG_OOB is refused: there is no urgent data.
const SEND_FLAGS: u32 = msg::DONTWAIT | msg::NOSIGNAL | msg::MORE | msg::EOR;
const RECEIVE_FLAGS: u32 = msg::DONTWAIT
    | msg::PEEK
    | msg::TRUNC
    | msg::WAITALL
    | msg::CMSG_CLOEXEC
    | msg::NOSIGNAL
    | msg::ERRQUEUE
    | msg::OOB;

/// A TCP socket, which is closed with its last descriptor.
pub(super) struct TcpFile {
    common: Arc<Common>,
    pub(super) socket: Arc<TcpSocket>,
}

impl TcpFile {
    pub(super) fn new(common: Arc<Common>, socket: Arc<TcpSocket>) -> Self {
        Self { common, socket }
    }

    fn try_send(&self, source: &mut dyn Source, more: bool) -> Result<usize, Errno> {
        let len = source.remaining();
        self.socket.send(len, more, monotonic_ns(), &mut |buffer| source.pull(buffer))
    }

    fn send_all(
        &self,
        task: &Task,
        nonblocking: bool,
        source: &mut dyn Source,
        more: bool,
    ) -> Result<usize, Errno> {
        let deadline = self.common.deadline(Direction::Send);
        let mut done = 0;
        loop {
            let step = if nonblocking {
                self.try_send(source, more)
            } else {
                let waiters = &self.common.waiters;
                wait::block_on(task, waiters, Events::WRITABLE, deadline, || self.try_send(source, more))
            };
            match step {
                Ok(count) => {
                    done += count;
                    if nonblocking || count == 0 || source.remaining() == 0 {
                        return Ok(done);
                    }
                }
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(interruption(error, deadline)),
            }
        }
    }

    fn try_receive(&self, sink: &mut dyn Sink, flags: RecvFlags) -> Result<usize, Errno> {
        let len = sink.remaining();
        self.socket.recv(len, flags, monotonic_ns(), &mut |bytes| sink.push(bytes))
    }

    fn receive_some(
        &self,
        task: &Task,
        sink: &mut dyn Sink,
        flags: RecvFlags,
        all: bool,
        nonblocking: bool,
    ) -> Result<usize, Errno> {
        let deadline = self.common.deadline(Direction::Receive);
        let mut total = 0;
        loop {
            let step = if nonblocking {
                self.try_receive(sink, flags)
            } else {
                let waiters = &self.common.waiters;
                wait::block_on(task, waiters, Events::READABLE, deadline, || self.try_receive(sink, flags))
            };
            match step {
                Ok(count) => {
                    total += count;
                    let more = all && !flags.intersects(RecvFlags::PEEK | RecvFlags::DISCARD);
                    if !more || count == 0 || sink.remaining() == 0 {
                        return Ok(total);
                    }
                }
                Err(_) if total > 0 => return Ok(total),
                Err(error) => return Err(interruption(error, deadline)),
            }
        }
    }
}

impl Socket for TcpFile {
    fn common(&self) -> &Common {
        &self.common
    }

    fn buffer_sizes(&self) -> [usize; 2] {
        tcp_options::buffer_sizes(&self.socket)
    }

    fn bind(&self, task: &Task, address: &[u8]) -> Result<(), Errno> {
        let address = address::decode_to_bind(self.common.domain, address)?;
        address::check_port(task, address.port())?;
        self.socket.bind(address, task.credentials().uid.effective)
    }

    fn listen(&self, backlog: i32) -> Result<(), Errno> {
        // Negative ones are as good as unbounded: the stack's own limit holds (an unsigned comparison in Linux).
        self.socket.listen(backlog as u32 as usize)
    }

    fn try_accept(&self) -> Result<(Arc<dyn File>, Vec<u8>), Errno> {
        if self.is_listening() && !self.poll().contains(Events::IN) {
            return err!(EAGAIN);
        }
        let common = Arc::new(Common::new(self.common.domain, Kind::Stream, self.common.protocol));
        let (socket, peer) = self.socket.accept(common.inode.ino(), Arc::new(Waker(common.clone())))?;
        Ok((Arc::new(Self::new(common, socket)), address::encode(peer)))
    }

    fn connect(&self, task: &Task, address: &[u8], nonblocking: bool) -> Result<(), Errno> {
        if address::family_of(address)? == family::UNSPEC {
            self.socket.disconnect(monotonic_ns());
            return Ok(());
        }
        let address = address::decode(self.common.domain, address)?;
        let attempt = || self.socket.connect(address, monotonic_ns());
        if nonblocking {
            return attempt();
        }
        let deadline = self.common.deadline(Direction::Send);
        let attempt = || match attempt() {
            // Somebody has begun it: the end is waited for.
            Err(error) if error == Errno::EINPROGRESS || error == Errno::EALREADY => err!(EAGAIN),
            done => done,
        };
        match wait::block_on(task, &self.common.waiters, Events::WRITABLE, deadline, attempt) {
            Err(error) if error == Errno::EAGAIN => err!(EINPROGRESS),
            result => result.map_err(|error| interruption(error, deadline)),
        }
    }

    fn shut_down(&self, read: bool, write: bool) -> Result<(), Errno> {
        self.socket.shutdown(directions(read, write), monotonic_ns())
    }

    fn local_address(&self) -> Vec<u8> {
        address::encode(self.socket.local_addr())
    }

    fn peer_address(&self) -> Result<Vec<u8>, Errno> {
        self.socket.peer_addr().map(address::encode)
    }

    fn send(&self, task: &Task, message: Outgoing<'_>) -> Result<usize, Errno> {
        if message.flags & !SEND_FLAGS != 0 {
            return err!(EOPNOTSUPP);
        }
        if !message.files.is_empty() || !message.control.is_empty() {
            return err!(EINVAL);
        }
        // An address is ignored, as on Linux.
        let more = message.flags & msg::MORE != 0;
        self.send_all(task, message.nonblocking, message.source, more)
    }

    fn receive(
        &self,
        task: &Task,
        sink: &mut dyn Sink,
        flags: u32,
        nonblocking: bool,
    ) -> Result<Received, Errno> {
        if flags & !RECEIVE_FLAGS != 0 {
            return err!(EOPNOTSUPP);
        }
        if flags & msg::ERRQUEUE != 0 {
            // Nothing is ever put there.
            return err!(EAGAIN);
        }
        if flags & msg::OOB != 0 {
            return err!(EINVAL);
        }
        let mut how = RecvFlags::empty();
        how.set(RecvFlags::PEEK, flags & msg::PEEK != 0);
        how.set(RecvFlags::DISCARD, flags & msg::TRUNC != 0);
        let count = self.receive_some(task, sink, how, flags & msg::WAITALL != 0, nonblocking)?;
        Ok(Received { count, full: count, ..Received::default() })
    }

    fn take_error(&self) -> i32 {
        self.socket.take_error().map_or(0, |error| error.code().into())
    }

    fn is_listening(&self) -> bool {
        self.socket.state() == State::Listen
    }

    fn option(&self, level: u32, option: u32) -> Result<Vec<u8>, Errno> {
        tcp_options::get(self, level, option)
    }

    fn set_option(&self, task: &Task, level: u32, option: u32, value: &[u8]) -> Result<(), Errno> {
        tcp_options::set(self, task, level, option, value)
    }
}

impl File for TcpFile {
    fn as_socket(&self) -> Option<&dyn Socket> {
        Some(self)
    }

    fn metadata(&self) -> Metadata {
        self.common.inode.metadata()
    }

    fn inode(&self) -> Option<&InodeRef> {
        Some(&self.common.inode)
    }

    fn name(&self) -> Vec<u8> {
        anon::name(&self.common.inode)
    }

    fn wait_read(&self, task: &Task, nonblocking: bool, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        self.receive_some(task, sink, RecvFlags::empty(), false, nonblocking)
    }

    fn wait_write(&self, task: &Task, nonblocking: bool, source: &mut dyn Source) -> Result<usize, Errno> {
        let sent = self.send_all(task, nonblocking, source, false);
        if sent.as_ref().is_err_and(|error| *error == Errno::EPIPE) {
            signal::raise(task, Signal::SIGPIPE);
        }
        sent
    }

    fn poll(&self) -> Events {
        events_of(self.socket.readiness())
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.common.waiters)
    }

    fn ioctl(&self, task: &Task, command: u32, argument: u64) -> Result<u64, Errno> {
        let (unacknowledged, unsent) = self.socket.unsent();
        let queues = ioctl::Queues {
            // A listener has nothing to read.
            unread: if self.is_listening() { None } else { Some(self.socket.unread()) },
            unacknowledged,
            unsent,
        };
        ioctl::ioctl(task, command, argument, &queues)
    }
}

impl Drop for TcpFile {
    fn drop(&mut self) {
        self.socket.close(monotonic_ns());
    }
}
