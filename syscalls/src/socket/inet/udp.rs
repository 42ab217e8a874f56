//! A UDP socket as a file (udp(7)).

use super::super::address;
use super::super::common::Direction;
use super::super::{Common, Outgoing, Received, Socket, family, interruption, msg};
use super::udp_options::{self, Told};
use super::{directions, events_of, ioctl};
use crate::file::{File, anon};
use crate::task::Task;
use crate::wait::{self, Events, Waiters};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use husk_abi::{Errno, err};
use husk_fs::{InodeRef, Metadata, Sink, Source};
use husk_machine::time::monotonic_ns;
use husk_net::UdpSocket;
use husk_net::udp::Datagram;

const SEND_FLAGS: u32 = msg::DONTWAIT | msg::NOSIGNAL | msg::EOR;
const RECEIVE_FLAGS: u32 =
    msg::DONTWAIT | msg::PEEK | msg::TRUNC | msg::WAITALL | msg::CMSG_CLOEXEC | msg::NOSIGNAL | msg::ERRQUEUE;

/// A UDP socket, which is closed with its last descriptor.
pub(super) struct UdpFile {
    common: Arc<Common>,
    pub(super) socket: Arc<UdpSocket>,
    /// What recvmsg(2) tells besides the data.
    pub(super) told: Told,
}

impl UdpFile {
    pub(super) fn new(common: Arc<Common>, socket: Arc<UdpSocket>) -> Self {
        Self { common, socket, told: Told::default() }
    }

    fn try_send(
        &self,
        source: &mut dyn Source,
        to: Option<SocketAddr>,
        control: &husk_net::udp::SendControl,
    ) -> Result<usize, Errno> {
        let len = source.remaining();
        self.socket.send(len, to, control, monotonic_ns(), &mut |buffer| match source.pull(buffer)? {
            count if count < buffer.len() => err!(EFAULT),
            count => Ok(count),
        })
    }

    /// The next datagram; `None` if reading is shut down.
    fn try_receive(&self, peek: bool) -> Result<Option<Arc<Datagram>>, Errno> {
        match self.socket.recv(peek) {
            Err(error) if error == Errno::EAGAIN && self.socket.is_read_shut() => Ok(None),
            Err(error) => Err(error),
            Ok(datagram) => Ok(Some(datagram)),
        }
    }

    fn wait_for_datagram(
        &self,
        task: &Task,
        peek: bool,
        nonblocking: bool,
    ) -> Result<Option<Arc<Datagram>>, Errno> {
        if nonblocking {
            return self.try_receive(peek);
        }
        let deadline = self.common.deadline(Direction::Receive);
        let more = || self.poll().intersects(Events::READABLE);
        let attempt = || self.try_receive(peek);
        wait::block_on_in_turn(task, &self.common.waiters, Events::READABLE, deadline, attempt, more)
            .map_err(|error| interruption(error, deadline))
    }
}

impl Socket for UdpFile {
    fn common(&self) -> &Common {
        &self.common
    }

    fn buffer_sizes(&self) -> [usize; 2] {
        udp_options::buffer_sizes(&self.socket)
    }

    fn bind(&self, task: &Task, address: &[u8]) -> Result<(), Errno> {
        let address = address::decode_to_bind(self.common.domain, address)?;
        address::check_port(task, address.port())?;
        self.socket.bind(address, task.credentials().uid.effective)
    }

    fn connect(&self, _task: &Task, address: &[u8], _nonblocking: bool) -> Result<(), Errno> {
        if address::family_of(address)? == family::UNSPEC {
            self.socket.disconnect();
            return Ok(());
        }
        self.socket.connect(address::decode(self.common.domain, address)?)
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
        if !message.files.is_empty() {
            return err!(EINVAL);
        }
        let to = match message.to {
            None | Some([]) => None,
            Some(address) => Some(address::decode(self.common.domain, address)?),
        };
        let control = udp_options::send_control(&message.control)?;
        if message.nonblocking {
            return self.try_send(message.source, to, &control);
        }
        let deadline = self.common.deadline(Direction::Send);
        let attempt = || self.try_send(message.source, to, &control);
        wait::block_on(task, &self.common.waiters, Events::WRITABLE, deadline, attempt)
            .map_err(|error| interruption(error, deadline))
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
        let Some(datagram) = self.wait_for_datagram(task, flags & msg::PEEK != 0, nonblocking)? else {
            return Ok(Received::default());
        };
        let bytes = datagram.bytes();
        let wanted = bytes.len().min(sink.remaining());
        let count = if wanted == 0 { 0 } else { sink.push(&bytes[..wanted])? };
        if count < wanted {
            return err!(EFAULT);
        }
        let family = self.socket.family();
        Ok(Received {
            count,
            full: bytes.len(),
            from: Some(address::encode(datagram.from(family))),
            control: self.told.control(family, &datagram),
            ..Received::default()
        })
    }

    fn take_error(&self) -> i32 {
        self.socket.take_error().map_or(0, |error| error.code().into())
    }

    fn option(&self, level: u32, option: u32) -> Result<Vec<u8>, Errno> {
        udp_options::get(self, level, option)
    }

    fn set_option(&self, _task: &Task, level: u32, option: u32, value: &[u8]) -> Result<(), Errno> {
        udp_options::set(self, level, option, value)
    }
}

impl File for UdpFile {
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
        self.receive(task, sink, 0, nonblocking).map(|received| received.count)
    }

    fn wait_write(&self, task: &Task, nonblocking: bool, source: &mut dyn Source) -> Result<usize, Errno> {
        let (files, control) = (Vec::new(), Vec::new());
        self.send(task, Outgoing { source, flags: 0, nonblocking, to: None, files, control })
    }

    fn poll(&self) -> Events {
        events_of(self.socket.readiness())
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.common.waiters)
    }

    fn ioctl(&self, task: &Task, command: u32, argument: u64) -> Result<u64, Errno> {
        let queues = ioctl::Queues { unread: Some(self.socket.unread()), unacknowledged: 0, unsent: 0 };
        ioctl::ioctl(task, command, argument, &queues)
    }
}

impl Drop for UdpFile {
    fn drop(&mut self) {
        self.socket.close();
    }
}
