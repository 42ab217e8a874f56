//! Connected sockets of AF_UNIX without names, as socketpair(2) makes them (unix(7)).

use super::common::Direction;
use super::options::{SOL_SOCKET, so};
use super::{Common, Kind, Outgoing, Received, Socket, family, interruption, msg};
use crate::file::anon;
use crate::file::{File, FileDescription, put_int};
use crate::signal::{self, Signal};
use crate::task::Task;
use crate::wait::{self, Events, Waiters};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use husk_abi::{Errno, err};
use husk_fs::{InodeRef, Metadata, Sink, Source};
use husk_machine::sync::{Mutex, Once};
use linux_raw_sys::ioctl::FIONREAD;
use zerocopy::IntoBytes;

const SEND_FLAGS: u32 = msg::DONTWAIT | msg::NOSIGNAL | msg::EOR;
const RECEIVE_FLAGS: u32 =
    msg::DONTWAIT | msg::PEEK | msg::TRUNC | msg::WAITALL | msg::CMSG_CLOEXEC | msg::NOSIGNAL;

/// Most bytes that wait in one direction (Linux's default of `net.core.wmem_default`).
pub(super) const BUFFER_SIZE: usize = 212_992;

/// Bytes of a stream that are sent as one piece.
const PIECE: usize = 32 << 10;

/// Something sent: bytes, and files sent along (SCM_RIGHTS).
struct Message {
    bytes: Vec<u8>,
    /// How many have been received already (streams).
    taken: usize,
    files: Vec<Arc<FileDescription>>,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Nothing more is taken in: shut down for reading.
    shut: bool,
    /// The peer will send nothing more.
    ended: bool,
    /// The peer went away with bytes of ours unread.
    reset: bool,
}

/// One of a pair.
pub(super) struct UnixSocket {
    common: Common,
    kind: Kind,
    received: Mutex<Queue>,
    peer: Once<Weak<Self>>,
    /// Of datagrams: a send has found the peer gone.
    is_alone: AtomicBool,
    /// Credentials of who made the pair: pid, uid, gid.
    peer_credentials: [u32; 3],
}

impl UnixSocket {
    /// Two sockets connected to each other.
    pub(super) fn pair(kind: Kind, credentials: [u32; 3]) -> (Arc<Self>, Arc<Self>) {
        let new = || {
            Arc::new(Self {
                common: Common::new(family::UNIX, kind, 0),
                kind,
                received: Mutex::new(Queue::default()),
                peer: Once::new(),
                is_alone: AtomicBool::new(false),
                peer_credentials: credentials,
            })
        };
        let (a, b) = (new(), new());
        a.peer.call_once(|| Arc::downgrade(&b));
        b.peer.call_once(|| Arc::downgrade(&a));
        (a, b)
    }

    fn peer(&self) -> Option<Arc<Self>> {
        self.peer.get().and_then(Weak::upgrade)
    }

    /// Sends what there is room for (streams) or all of it (messages).
    ///
    /// # Errors
    /// EAGAIN; EPIPE if the peer takes nothing more; EMSGSIZE.
    fn try_send(
        &self,
        source: &mut dyn Source,
        files: &mut Vec<Arc<FileDescription>>,
    ) -> Result<usize, Errno> {
        // Streams tell this only who receives.
        if self.kind != Kind::Stream && core::mem::take(&mut self.received.lock().reset) {
            return err!(ECONNRESET);
        }
        let Some(peer) = self.peer() else {
            return match self.kind {
                // Once it has told that the peer is gone, it has none, and forgets what it got from it.
                Kind::Datagram if self.is_alone.swap(true, Ordering::Relaxed) => err!(ENOTCONN),
                Kind::Datagram => {
                    let mut queue = self.received.lock();
                    let _forgotten = core::mem::take(&mut queue.messages);
                    queue.bytes = 0;
                    drop(queue);
                    err!(ECONNREFUSED)
                }
                _ => err!(EPIPE),
            };
        };
        let wanted = source.remaining();
        if self.kind != Kind::Stream && wanted > BUFFER_SIZE {
            return err!(EMSGSIZE);
        }
        let mut queue = peer.received.lock();
        if queue.shut || queue.ended {
            return err!(EPIPE);
        }
        let room = BUFFER_SIZE.saturating_sub(queue.bytes);
        let len = if self.kind == Kind::Stream { wanted.min(room).min(PIECE) } else { wanted };
        if len > room || (len == 0 && wanted > 0) {
            return err!(EAGAIN);
        }
        if self.kind == Kind::Stream && wanted == 0 && files.is_empty() {
            return Ok(0);
        }
        let mut bytes = vec![0; len];
        let count = if len > 0 { source.pull(&mut bytes)? } else { 0 };
        if count < len && self.kind != Kind::Stream {
            return err!(EFAULT);
        }
        bytes.truncate(count);
        queue.bytes += count;
        queue.messages.push_back(Message { bytes, taken: 0, files: core::mem::take(files) });
        drop(queue);
        peer.common.waiters.wake(Events::READABLE);
        Ok(count)
    }

    /// Sends; a stream goes on until all is sent unless `nonblocking`.
    ///
    /// # Errors
    /// EAGAIN, EPIPE, EMSGSIZE, ECONNRESET; for a signal ERESTARTSYS, or EINTR with SO_SNDTIMEO.
    fn send_all(
        &self,
        task: &Task,
        nonblocking: bool,
        source: &mut dyn Source,
        mut files: Vec<Arc<FileDescription>>,
    ) -> Result<usize, Errno> {
        let deadline = self.common.deadline(Direction::Send);
        let mut done = 0;
        loop {
            let step = if nonblocking {
                self.try_send(source, &mut files)
            } else {
                wait::block_on(task, &self.common.waiters, Events::WRITABLE, deadline, || {
                    self.try_send(source, &mut files)
                })
            };
            match step {
                Ok(count) => {
                    done += count;
                    if self.kind != Kind::Stream || count == 0 || source.remaining() == 0 {
                        return Ok(done);
                    }
                }
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(interruption(error, deadline)),
            }
        }
    }

    /// Receives what is there; `peek` leaves it.
    ///
    /// # Errors
    /// EAGAIN; ECONNRESET.
    fn try_receive(&self, sink: &mut dyn Sink, peek: bool) -> Result<Received, Errno> {
        let mut queue = self.received.lock();
        if queue.messages.is_empty() {
            if core::mem::take(&mut queue.reset) {
                return err!(ECONNRESET);
            }
            if queue.shut || queue.ended {
                return Ok(Received::default());
            }
            return err!(EAGAIN);
        }
        let mut received = Received::default();
        let mut index = 0;
        while let Some(message) = queue.messages.get_mut(index) {
            // Files sent along belong to the bytes they came with: bytes before or after them are received apart.
            if index > 0 && !message.files.is_empty() {
                break;
            }
            let rest = &message.bytes[message.taken..];
            received.full = rest.len();
            let wanted = rest.len().min(sink.remaining());
            let count = match sink.push(&rest[..wanted]) {
                Ok(count) => count,
                Err(_) if received.count > 0 => break,
                Err(error) => return Err(error),
            };
            received.count += count;
            if peek {
                received.files.clone_from(&message.files);
                index += 1;
            } else {
                received.files.append(&mut message.files);
                message.taken += count;
                let whole = self.kind != Kind::Stream || message.taken == message.bytes.len();
                let freed = if self.kind == Kind::Stream { count } else { message.bytes.len() };
                queue.bytes -= freed;
                if whole {
                    queue.messages.pop_front();
                }
            }
            if self.kind != Kind::Stream
                || count < wanted
                || sink.remaining() == 0
                || !received.files.is_empty()
            {
                break;
            }
        }
        drop(queue);
        if !peek && let Some(peer) = self.peer() {
            peer.common.waiters.wake(Events::WRITABLE);
        }
        Ok(received)
    }

    /// Receives, waiting for something unless `nonblocking`; with `all`, until a stream has filled the buffer.
    ///
    /// # Errors
    /// EAGAIN, ECONNRESET; for a signal ERESTARTSYS, or EINTR with SO_RCVTIMEO.
    fn receive_some(
        &self,
        task: &Task,
        nonblocking: bool,
        sink: &mut dyn Sink,
        peek: bool,
        all: bool,
    ) -> Result<Received, Errno> {
        let deadline = self.common.deadline(Direction::Receive);
        let mut total = Received::default();
        loop {
            let step = if nonblocking {
                self.try_receive(sink, peek)
            } else {
                wait::block_on(task, &self.common.waiters, Events::READABLE, deadline, || {
                    self.try_receive(sink, peek)
                })
            };
            match step {
                Ok(mut step) => {
                    let ended = step.count == 0;
                    total.count += step.count;
                    total.full = step.full;
                    total.files.append(&mut step.files);
                    let more = all && !peek && self.kind == Kind::Stream && total.files.is_empty();
                    if !more || ended || sink.remaining() == 0 {
                        return Ok(total);
                    }
                }
                Err(_) if total.count > 0 => return Ok(total),
                Err(error) => return Err(interruption(error, deadline)),
            }
        }
    }
}

impl Socket for UnixSocket {
    fn common(&self) -> &Common {
        &self.common
    }

    fn buffer_sizes(&self) -> [usize; 2] {
        [BUFFER_SIZE; 2]
    }

    fn shut_down(&self, read: bool, write: bool) -> Result<(), Errno> {
        if read {
            self.received.lock().shut = true;
        }
        if let Some(peer) = self.peer() {
            if write {
                peer.received.lock().ended = true;
            }
            peer.common.waiters.wake(Events::all());
        }
        self.common.waiters.wake(Events::all());
        Ok(())
    }

    fn local_address(&self) -> Vec<u8> {
        Vec::from(family::UNIX.to_ne_bytes())
    }

    fn peer_address(&self) -> Result<Vec<u8>, Errno> {
        Ok(self.local_address())
    }

    fn send(&self, task: &Task, message: Outgoing<'_>) -> Result<usize, Errno> {
        if message.flags & !SEND_FLAGS != 0 {
            return err!(EOPNOTSUPP);
        }
        if message.to.is_some() && self.kind != Kind::Datagram {
            return err!(EISCONN);
        }
        if !message.control.is_empty() {
            return err!(EINVAL);
        }
        self.send_all(task, message.nonblocking, message.source, message.files)
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
        let (peek, all) = (flags & msg::PEEK != 0, flags & msg::WAITALL != 0);
        let mut received = self.receive_some(task, nonblocking, sink, peek, all)?;
        if self.kind == Kind::Stream {
            // Streams have no messages to cut off.
            received.full = received.count;
        }
        Ok(received)
    }

    fn take_error(&self) -> i32 {
        let reset = core::mem::take(&mut self.received.lock().reset);
        if reset { i32::from(Errno::ECONNRESET.code()) } else { 0 }
    }

    fn option(&self, level: u32, option: u32) -> Result<Vec<u8>, Errno> {
        match (level, option) {
            (SOL_SOCKET, so::PEERCRED) => Ok(Vec::from(self.peer_credentials.as_bytes())),
            (SOL_SOCKET, _) => err!(ENOPROTOOPT),
            _ => err!(EOPNOTSUPP),
        }
    }

    fn set_option(&self, _task: &Task, level: u32, _option: u32, _value: &[u8]) -> Result<(), Errno> {
        if level == SOL_SOCKET { err!(ENOPROTOOPT) } else { err!(EOPNOTSUPP) }
    }
}

impl File for UnixSocket {
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
        self.receive_some(task, nonblocking, sink, false, false).map(|received| received.count)
    }

    fn wait_write(&self, task: &Task, nonblocking: bool, source: &mut dyn Source) -> Result<usize, Errno> {
        let sent = self.send_all(task, nonblocking, source, Vec::new());
        if self.kind == Kind::Stream && sent.as_ref().is_err_and(|error| *error == Errno::EPIPE) {
            signal::raise(task, Signal::SIGPIPE);
        }
        sent
    }

    fn poll(&self) -> Events {
        let queue = self.received.lock();
        let mut events = Events::empty();
        let peer_ended = queue.ended;
        events.set(Events::READABLE, !queue.messages.is_empty() || queue.shut || peer_ended);
        events.set(Events::RDHUP, queue.shut || peer_ended);
        events.set(Events::ERR, queue.reset);
        drop(queue);
        match self.peer() {
            None => events |= Events::WRITABLE | Events::HUP,
            Some(peer) => {
                let theirs = peer.received.lock();
                // Linux calls a socket writable while a quarter of its buffer is free.
                events.set(Events::WRITABLE, theirs.bytes * 4 <= BUFFER_SIZE * 3);
                events.set(Events::HUP, peer_ended && theirs.ended);
            }
        }
        events
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.common.waiters)
    }

    fn ioctl(&self, task: &Task, command: u32, argument: u64) -> Result<u64, Errno> {
        if command != FIONREAD {
            return err!(ENOTTY);
        }
        let queue = self.received.lock();
        let len = match self.kind {
            Kind::Stream => queue.bytes,
            _ => queue.messages.front().map_or(0, |message| message.bytes.len()),
        };
        drop(queue);
        put_int(task, argument, len as i32)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let unread = !self.received.get_mut().messages.is_empty();
        if let Some(peer) = self.peer() {
            let mut queue = peer.received.lock();
            queue.ended |= self.kind != Kind::Datagram;
            queue.reset |= unread && self.kind != Kind::Datagram;
            drop(queue);
            peer.common.waiters.wake(Events::all());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use husk_fs::io::{SliceSource, VecSink};

    fn send(socket: &UnixSocket, bytes: &[u8]) -> Result<usize, Errno> {
        socket.try_send(&mut SliceSource::new(bytes), &mut Vec::new())
    }

    fn receive(socket: &UnixSocket, limit: usize) -> Result<(Vec<u8>, usize), Errno> {
        let mut sink = VecSink::new(limit);
        let received = socket.try_receive(&mut sink, false)?;
        Ok((sink.into_bytes(), received.full))
    }

    #[test]
    fn a_stream_joins_and_a_message_does_not() {
        let (a, b) = UnixSocket::pair(Kind::Stream, [0; 3]);
        send(&a, b"one").unwrap();
        send(&a, b"two").unwrap();
        assert_eq!(receive(&b, 4).unwrap().0, b"onet");
        assert_eq!(receive(&b, 10).unwrap().0, b"wo");
        assert_eq!(receive(&b, 10), Err(Errno::EAGAIN));

        let (a, b) = UnixSocket::pair(Kind::SeqPacket, [0; 3]);
        send(&a, b"one").unwrap();
        send(&a, b"two").unwrap();
        assert_eq!(receive(&b, 2).unwrap(), (b"on".to_vec(), 3));
        assert_eq!(receive(&b, 10).unwrap(), (b"two".to_vec(), 3));
    }

    #[test]
    fn closing_ends_resets_and_breaks() {
        let (a, b) = UnixSocket::pair(Kind::Stream, [0; 3]);
        send(&a, b"x").unwrap();
        drop(a);
        assert_eq!(send(&b, b"y"), Err(Errno::EPIPE));
        assert!(b.poll().contains(Events::HUP | Events::IN | Events::RDHUP));
        assert_eq!(receive(&b, 9).unwrap().0, b"x");
        assert_eq!(receive(&b, 9).unwrap().0, b"");

        let (a, b) = UnixSocket::pair(Kind::Stream, [0; 3]);
        send(&a, b"x").unwrap();
        drop(b);
        assert_eq!(receive(&a, 9), Err(Errno::ECONNRESET));
    }

    #[test]
    fn the_buffer_has_an_end() {
        let (a, b) = UnixSocket::pair(Kind::Stream, [0; 3]);
        let mut sent = 0;
        while let Ok(count) = send(&a, &[7; 10_000]) {
            sent += count;
        }
        assert_eq!(sent, BUFFER_SIZE);
        assert!(!a.poll().contains(Events::OUT));
        receive(&b, BUFFER_SIZE).unwrap();
        assert!(a.poll().contains(Events::OUT));
        let (a, _b) = UnixSocket::pair(Kind::Datagram, [0; 3]);
        assert_eq!(send(&a, &[0; BUFFER_SIZE + 1]), Err(Errno::EMSGSIZE));
    }

    #[test]
    fn half_close() {
        let (a, b) = UnixSocket::pair(Kind::Stream, [0; 3]);
        a.shut_down(false, true).unwrap();
        assert_eq!(send(&a, b"x"), Err(Errno::EPIPE));
        assert_eq!(receive(&b, 9).unwrap().0, b"");
        assert_eq!(send(&b, b"x"), Ok(1));
        assert_eq!(b.poll() & (Events::RDHUP | Events::HUP), Events::RDHUP);
    }
}
