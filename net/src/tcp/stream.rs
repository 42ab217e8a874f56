//! Writing to and reading from a TCP socket.
//!
//! A program's memory is touched in the closures only, and no spin lock is held then: they may sleep for a page. What is written is
//! copied once into a buffer that then belongs to the connection; what is read is taken out of the queue,
//! handed over, and the rest put back. Meanwhile packets go on arriving.

use super::State;
use super::connection::Context;
use super::options::Options;
use super::receive_queue::Chunk;
use super::socket::{Inner, Role, TcpSocket};
use crate::Result;
use crate::addr::Nanos;
use crate::output::Output;
use alloc::vec;
use alloc::vec::Vec;
use bitflags::bitflags;
use husk_abi::{Errno, err};

/// Most that is copied from a program in one go.
const COPY: usize = 64 << 10;

bitflags! {
    /// How to read (recv(2)).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RecvFlags: u32 {
        /// MSG_PEEK: what is read stays.
        const PEEK = 1;
        /// MSG_TRUNC: the bytes are thrown away; the closure is not called.
        const DISCARD = 2;
    }
}

impl TcpSocket {
    /// Writes up to `len` bytes. `fill` is called with buffers to be filled from the front and says how many bytes it
    /// put there; fewer than asked for ends the call. `more` is MSG_MORE.
    ///
    /// # Errors
    /// EAGAIN without room or while connecting (WRITABLE comes); EPIPE if it was never connected or writing is shut down; the pending
    /// error of the connection; what `fill` says, if nothing was written before.
    pub fn send(
        &self,
        len: usize,
        more: bool,
        now: Nanos,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        let _writer = self.writer.lock();
        let mut written = 0;
        loop {
            let room = match self.room(now) {
                Ok(room) => room,
                Err(_) if written > 0 => return Ok(written),
                Err(error) => return Err(error),
            };
            let count = room.min(len - written).min(COPY);
            if count == 0 {
                return Ok(written);
            }
            let mut buffer = vec![0; count];
            let filled = match fill(&mut buffer) {
                Ok(filled) => filled.min(count),
                Err(_) if written > 0 => return Ok(written),
                Err(error) => return Err(error),
            };
            buffer.truncate(filled);
            if let Err(error) = self.write(buffer, more || written + filled < len, now) {
                return if written > 0 { Ok(written) } else { Err(error) };
            }
            written += filled;
            if filled < count || written == len {
                if written < len {
                    // The rest does not come: what was held back for it goes.
                    self.push_out(more, now);
                }
                return Ok(written);
            }
        }
    }

    /// How many bytes may be written; at least one.
    fn room(&self, now: Nanos) -> Result<usize> {
        let mut inner = self.inner.lock();
        inner.check_writable()?;
        let inner = &mut *inner;
        let mut out = Output::default();
        let Role::Connected(connection) = &inner.role else { return err!(EPIPE) };
        let cx = Context { stack: &self.stack, now, options: &inner.options, out: &mut out, orphan: false };
        match connection.tx_room(&cx) {
            0 => {
                inner.wants_room = true;
                err!(EAGAIN)
            }
            room => Ok(room),
        }
    }

    fn write(&self, bytes: Vec<u8>, more: bool, now: Nanos) -> Result<()> {
        let mut out = Output::default();
        let result = self.with_connection(now, &mut out, Inner::check_writable, |connection, cx| {
            connection.write(cx, bytes, more);
        });
        self.stack.finish(out, now);
        result
    }

    fn push_out(&self, more: bool, now: Nanos) {
        if more {
            return;
        }
        let mut out = Output::default();
        let _ = self.with_connection(
            now,
            &mut out,
            |_| Ok(()),
            |connection, cx| {
                connection.more_until = None;
                connection.output(cx);
            },
        );
        self.stack.finish(out, now);
    }

    fn with_connection(
        &self,
        now: Nanos,
        out: &mut Output,
        check: impl FnOnce(&mut Inner) -> Result<()>,
        act: impl FnOnce(&mut super::connection::Connection, &mut Context<'_>),
    ) -> Result<()> {
        let mut inner = self.inner.lock();
        check(&mut inner)?;
        let inner = &mut *inner;
        let options: Options = inner.options;
        if let Role::Connected(connection) = &mut inner.role {
            let mut cx = Context { stack: &self.stack, now, options: &options, out, orphan: false };
            act(connection, &mut cx);
        }
        self.settle(inner, now, out);
        Ok(())
    }

    /// Reads up to `len` bytes. `sink` is called with pieces in order and says how many bytes it took; fewer than given ends
    /// the call. `Ok(0)` is the end of the stream, if `len` is not zero.
    ///
    /// # Errors
    /// EAGAIN if nothing is there (READABLE comes); ENOTCONN; the pending error of the connection, after all data; what `sink` says, if
    /// nothing was read before.
    pub fn recv(
        &self,
        len: usize,
        flags: RecvFlags,
        now: Nanos,
        sink: &mut dyn FnMut(&[u8]) -> Result<usize>,
    ) -> Result<usize> {
        let _reader = self.reader.lock();
        let mut taken = {
            let mut inner = self.inner.lock();
            let Some(count) = inner.check_readable()? else { return Ok(0) };
            let Role::Connected(connection) = &mut inner.role else { return Ok(0) };
            if len == 0 {
                return Ok(0);
            }
            connection.rx.take(len.min(count))
        };
        let (read, failed) = give(&mut taken, len, flags, sink);
        let consumed = if flags.contains(RecvFlags::PEEK) { 0 } else { read };
        let mut out = Output::default();
        let _ = self.with_connection(
            now,
            &mut out,
            |_| Ok(()),
            |connection, cx| {
                connection.rx.commit(taken, consumed);
                if consumed > 0 {
                    connection.after_read(cx, consumed);
                }
            },
        );
        self.stack.finish(out, now);
        match failed {
            Some(error) if read == 0 => Err(error),
            _ => Ok(read),
        }
    }

    /// Bytes that can be read (FIONREAD).
    #[must_use]
    pub fn unread(&self) -> usize {
        match &self.inner.lock().role {
            Role::Connected(connection) => connection.rx.len(),
            _ => 0,
        }
    }

    /// Bytes written and not acknowledged (SIOCOUTQ), and those of them not even sent (SIOCOUTQNSD).
    #[must_use]
    pub fn unsent(&self) -> (usize, usize) {
        match &self.inner.lock().role {
            Role::Connected(connection) => {
                (connection.tx.len(), connection.tx_end().distance(connection.nxt))
            }
            _ => (0, 0),
        }
    }
}

/// Hands chunks to a reader. The answer is how many bytes it took, and why it took no more if it failed.
fn give(
    chunks: &mut [Chunk],
    len: usize,
    flags: RecvFlags,
    sink: &mut dyn FnMut(&[u8]) -> Result<usize>,
) -> (usize, Option<Errno>) {
    let mut read = 0;
    for chunk in chunks {
        let piece = chunk.as_slice();
        let piece = &piece[..piece.len().min(len - read)];
        let count = if flags.contains(RecvFlags::DISCARD) {
            piece.len()
        } else {
            match sink(piece) {
                Ok(count) => count.min(piece.len()),
                Err(error) => return (read, Some(error)),
            }
        };
        let whole = count == piece.len();
        read += count;
        if !flags.contains(RecvFlags::PEEK) {
            chunk.start += count;
        }
        if !whole || read == len {
            break;
        }
    }
    (read, None)
}

impl Inner {
    fn check_writable(&mut self) -> Result<()> {
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        if self.is_connecting() {
            return err!(EAGAIN);
        }
        if self.write_shut || self.is_over() || matches!(self.role, Role::Listening(_)) {
            return err!(EPIPE);
        }
        Ok(())
    }

    /// How many bytes there are; `None` at the end of the stream.
    fn check_readable(&mut self) -> Result<Option<usize>> {
        let Role::Connected(connection) = &self.role else { return err!(ENOTCONN) };
        let (count, fin, state) = (connection.rx.len(), connection.peer_fin, connection.state);
        if count > 0 {
            return Ok(Some(count));
        }
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        if fin || self.read_shut {
            return Ok(None);
        }
        match state {
            State::Closed if self.was_connected() => Ok(None),
            State::Closed => err!(ENOTCONN),
            _ => err!(EAGAIN),
        }
    }
}
