//! Ping sockets: ICMP echo without rights of an administrator (icmp(7), `net.ipv4.ping_group_range`).

use crate::Result;
use crate::addr::{Endpoint, Family, FlowKey, Nanos, canonical};
use crate::icmp;
use crate::interface::{InterfaceIndex, MAX_PACKET};
use crate::ip::{self, Received};
use crate::lock_level;
use crate::notify::{Events, Notify};
use crate::output::Output;
use crate::ports::fits;
use crate::stack::Stack;
use crate::tcp::scope_of;
use crate::udp::Datagram;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::net::SocketAddr;
use husk_abi::{Errno, err};
use husk_machine::sync::SpinLock;

/// What a waiting answer costs of the buffer beside its bytes.
const OVERHEAD: usize = 512;
/// Identifiers that are tried before it is said that there is none.
const TRIES: usize = 4096;

/// Ping sockets by family and identifier.
pub(crate) type Table = SpinLock<BTreeMap<(bool, u16), Arc<PingSocket>>>;

/// A ping socket. It has an identifier of its own from the start, which it puts into each request.
pub struct PingSocket {
    stack: Arc<Stack>,
    family: Family,
    identifier: u16,
    inner: SpinLock<Inner>,
}

struct Inner {
    notify: Option<Arc<dyn Notify>>,
    queue: VecDeque<Arc<Datagram>>,
    charged: usize,
    error: Option<Errno>,
}

impl Stack {
    /// A new ping socket.
    ///
    /// # Errors
    /// EAGAIN if no identifier is free.
    pub fn ping_socket(self: &Arc<Self>, family: Family, notify: Arc<dyn Notify>) -> Result<Arc<PingSocket>> {
        let v6 = family == Family::V6;
        let mut table = self.pings.lock();
        let free = (0..TRIES).map(|_| self.random.next() as u16).find(|id| !table.contains_key(&(v6, *id)));
        let Some(identifier) = free else { return err!(EAGAIN) };
        let inner = Inner { notify: Some(notify), queue: VecDeque::new(), charged: 0, error: None };
        let socket = Arc::new(PingSocket {
            stack: Arc::clone(self),
            family,
            identifier,
            inner: SpinLock::with_level(lock_level::SOCKET, inner),
        });
        table.insert((v6, identifier), Arc::clone(&socket));
        Ok(socket)
    }

    fn ping(&self, v6: bool, identifier: [u8; 2]) -> Option<Arc<PingSocket>> {
        self.pings.lock().get(&(v6, u16::from_be_bytes(identifier))).cloned()
    }

    /// An answer to an echo request has come.
    pub(crate) fn receive_echo_reply(
        &self,
        interface: InterfaceIndex,
        header: &Received,
        message: &[u8],
        now: Nanos,
        out: &mut Output,
    ) {
        let Some(socket) = self.ping(header.to.is_ipv6(), [message[4], message[5]]) else { return };
        let key = FlowKey {
            local: Endpoint::new(header.to, socket.identifier),
            remote: Endpoint::new(header.from, 0),
        };
        socket.push(Datagram::new(&key, header, interface, message.to_vec(), 0, now), out);
    }

    /// ICMP says that an echo request, whose beginning is given, did not arrive.
    pub(crate) fn ping_error(&self, v6: bool, request: &[u8], error: icmp::Error, out: &mut Output) {
        let Some(&[_, _, _, _, a, b]) = request.first_chunk::<6>() else { return };
        let icmp::Error::Unreachable { errno, hard: true } = error else { return };
        if let Some(socket) = self.ping(v6, [a, b]) {
            let mut inner = socket.inner.lock();
            inner.error = Some(errno);
            out.notify(inner.notify.as_ref(), Events::ERROR | Events::READABLE);
        }
    }
}

impl PingSocket {
    /// The identifier; getsockname(2) shows it as the port.
    #[must_use]
    pub fn identifier(&self) -> u16 {
        self.identifier
    }

    /// The address family it was made with.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Sends an echo request of `len` bytes, header and all; `fill` writes it, with no lock held. Identifier and checksum are put
    /// in.
    ///
    /// # Errors
    /// EINVAL if it is no echo request; EMSGSIZE; EAFNOSUPPORT; ENETUNREACH and the like; the pending error; what `fill` says.
    pub fn send(
        &self,
        len: usize,
        to: SocketAddr,
        now: Nanos,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        let addr = canonical(to.ip());
        let v6 = self.family == Family::V6;
        if !fits(self.family, addr) || addr.is_ipv6() != v6 {
            return err!(EAFNOSUPPORT);
        }
        if len < icmp::HEADER {
            return err!(EINVAL);
        }
        if len > MAX_PACKET - ip::header_len(addr) {
            return err!(EMSGSIZE);
        }
        let path = self.stack.path(addr, scope_of(&to), None)?;
        let protocol = if v6 { ip::ICMPV6 } else { ip::ICMP };
        let info = ip::Header { protocol, ttl: self.stack.settings.ttl() as u8, tos: 0, flow: 0 };
        let mut packet = ip::packet(path.source, addr, len, 0, &info);
        let at = ip::header_len(addr);
        let message = &mut packet.bytes_mut()[at..];
        if fill(message)? < len {
            return err!(EFAULT);
        }
        let request = if v6 { crate::icmpv6::ECHO_REQUEST } else { icmp::ECHO_REQUEST };
        if message[..2] != [request, 0] {
            return err!(EINVAL);
        }
        message[4..6].copy_from_slice(&self.identifier.to_be_bytes());
        icmp::finish(&mut packet, path.source, addr);
        let mut out = Output::default();
        out.send(packet, &path);
        self.stack.snmp.icmp_sent();
        self.stack.finish(out, now);
        Ok(len)
    }

    /// Takes the oldest answer: the ICMP message. With `peek` it stays.
    ///
    /// # Errors
    /// EAGAIN if there is none; the pending error.
    pub fn recv(&self, peek: bool) -> Result<Arc<Datagram>> {
        let mut inner = self.inner.lock();
        if let Some(error) = inner.error.take() {
            return Err(error);
        }
        let Some(datagram) = inner.queue.pop_front() else { return err!(EAGAIN) };
        if peek {
            inner.queue.push_front(Arc::clone(&datagram));
        } else {
            inner.charged -= datagram.bytes().len() + OVERHEAD;
        }
        Ok(datagram)
    }

    /// What poll(2) says.
    #[must_use]
    pub fn readiness(&self) -> Events {
        let inner = self.inner.lock();
        let mut events = Events::WRITABLE;
        if !inner.queue.is_empty() || inner.error.is_some() {
            events |= Events::READABLE;
        }
        if inner.error.is_some() {
            events |= Events::ERROR;
        }
        events
    }

    /// SO_ERROR: the pending error, which is then no longer pending.
    #[must_use]
    pub fn take_error(&self) -> Option<Errno> {
        self.inner.lock().error.take()
    }

    /// The last descriptor is gone.
    pub fn close(&self) {
        let removed = self.stack.pings.lock().remove(&(self.family == Family::V6, self.identifier));
        let queue = {
            let mut inner = self.inner.lock();
            inner.notify = None;
            core::mem::take(&mut inner.queue)
        };
        drop((removed, queue));
    }

    fn push(&self, datagram: Datagram, out: &mut Output) {
        let mut inner = self.inner.lock();
        if inner.notify.is_none() || inner.charged >= self.stack.settings.rmem_default() {
            return;
        }
        inner.charged += datagram.bytes().len() + OVERHEAD;
        inner.queue.push_back(Arc::new(datagram));
        out.notify(inner.notify.as_ref(), Events::READABLE);
    }
}
