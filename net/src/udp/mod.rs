//! UDP (RFC 768): which socket gets a datagram, and errors.

mod datagram;
mod groups;
mod options;
mod send;
mod socket;

pub use datagram::{Datagram, SendControl, UdpSummary};
pub use options::UdpOptions;
pub use socket::UdpSocket;

use crate::addr::{Endpoint, FlowKey, Nanos};
use crate::hash::Key;
use crate::icmp::{Error, Reason};
use crate::interface::{Interface, InterfaceIndex};
use crate::ip::{self, Received};
use crate::lock_level;
use crate::output::Output;
use crate::packet::Sum;
use crate::route::AddressKind;
use crate::stack::Stack;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use hashbrown::HashTable;
use husk_machine::sync::SpinLock;

/// Bytes of a header.
pub(crate) const HEADER: usize = 8;

/// All bound sockets.
pub(crate) struct Table {
    key: Key,
    inner: SpinLock<Inner>,
}

#[derive(Default)]
struct Inner {
    bound: BTreeMap<u16, Vec<Entry>>,
    connected: HashTable<(FlowKey, Arc<UdpSocket>)>,
    /// Groups that sockets have joined, and how many.
    groups: BTreeMap<(IpAddr, InterfaceIndex), u32>,
}

/// A bound socket, with what is needed to tell whether a datagram is for it.
struct Entry {
    socket: Arc<UdpSocket>,
    name: Name,
}

/// What a socket is bound and connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    /// The wildcard of its family if it is unspecified.
    pub(crate) local: Endpoint,
    pub(crate) remote: Option<Endpoint>,
    pub(crate) v6_only: bool,
    pub(crate) device: Option<InterfaceIndex>,
    pub(crate) reuse_port: bool,
}

impl Name {
    /// How well a datagram fits; `None` if it does not.
    fn score(&self, key: &FlowKey, interface: InterfaceIndex) -> Option<u8> {
        if self.device.is_some_and(|device| device != interface)
            || self.remote.is_some_and(|remote| remote != key.remote)
        {
            return None;
        }
        let by_addr = if self.local.addr == key.local.addr {
            4
        } else if !self.local.addr.is_unspecified() {
            return None;
        } else {
            match (self.local.addr.is_ipv4(), key.local.addr.is_ipv4()) {
                (own, its) if own == its => 2,
                (false, true) if !self.v6_only => 1,
                _ => return None,
            }
        };
        Some(by_addr + 8 * u8::from(self.device.is_some()) + 16 * u8::from(self.remote.is_some()))
    }
}

impl Table {
    pub(crate) fn new(key: Key) -> Self {
        Self { key, inner: SpinLock::with_level(lock_level::UDP_TABLE, Inner::default()) }
    }

    fn hash(&self, key: &FlowKey) -> u64 {
        self.key.hash(&key.words())
    }

    pub(crate) fn add(&self, socket: Arc<UdpSocket>, name: Name) {
        let mut inner = self.inner.lock();
        if let Some(remote) = name.remote
            && !name.local.addr.is_unspecified()
        {
            // Found at once, however many are bound to the port.
            let key = FlowKey { local: name.local, remote };
            inner.connected.insert_unique(self.hash(&key), (key, socket), |entry| self.hash(&entry.0));
            return;
        }
        inner.bound.entry(name.local.port).or_default().push(Entry { socket, name });
    }

    pub(crate) fn remove(&self, socket: &UdpSocket, name: Name) {
        let is_it = |other: &Arc<UdpSocket>| core::ptr::eq(Arc::as_ptr(other), socket);
        let mut inner = self.inner.lock();
        let removed = if let Some(remote) = name.remote
            && !name.local.addr.is_unspecified()
        {
            let key = FlowKey { local: name.local, remote };
            let found =
                inner.connected.find_entry(self.hash(&key), |entry| entry.0 == key && is_it(&entry.1));
            found.ok().map(|entry| entry.remove().0.1)
        } else {
            let port = name.local.port;
            let entries = inner.bound.get_mut(&port);
            let removed = entries.and_then(|entries| {
                let at = entries.iter().position(|entry| is_it(&entry.socket))?;
                Some(entries.remove(at).socket)
            });
            if inner.bound.get(&port).is_some_and(Vec::is_empty) {
                inner.bound.remove(&port);
            }
            removed
        };
        drop(inner);
        drop(removed);
    }

    /// The socket for a datagram to this machine alone.
    fn find(&self, key: &FlowKey, interface: InterfaceIndex) -> Option<Arc<UdpSocket>> {
        let hash = self.hash(key);
        let inner = self.inner.lock();
        if let Some((_, socket)) = inner.connected.find(hash, |entry| entry.0 == *key) {
            return Some(Arc::clone(socket));
        }
        let entries = inner.bound.get(&key.local.port)?;
        let best = entries.iter().filter_map(|entry| entry.name.score(key, interface)).max()?;
        let equal = || entries.iter().filter(|entry| entry.name.score(key, interface) == Some(best));
        let balanced = equal().all(|entry| entry.name.reuse_port);
        let count = equal().count();
        // SO_REUSEPORT balances; with SO_REUSEADDR the one bound last gets all.
        let chosen = if balanced { (hash >> 8) as usize % count } else { count - 1 };
        equal().nth(chosen).map(|entry| Arc::clone(&entry.socket))
    }

    /// All sockets for a datagram to a group or to everybody.
    fn find_all(&self, key: &FlowKey, interface: InterfaceIndex) -> Vec<Arc<UdpSocket>> {
        let inner = self.inner.lock();
        let fits = |entry: &&Entry| {
            let local = entry.name.local.addr;
            let own = FlowKey { local: Endpoint::new(key.local.addr, key.local.port), remote: key.remote };
            (local.is_unspecified() || local == key.local.addr) && entry.name.score(&own, interface).is_some()
        };
        inner
            .bound
            .get(&key.local.port)
            .into_iter()
            .flatten()
            .filter(fits)
            .map(|entry| Arc::clone(&entry.socket))
            .collect()
    }

    pub(crate) fn join(&self, group: IpAddr, interface: InterfaceIndex) {
        *self.inner.lock().groups.entry((group, interface)).or_default() += 1;
    }

    pub(crate) fn leave(&self, group: IpAddr, interface: InterfaceIndex) {
        let mut inner = self.inner.lock();
        if let Some(count) = inner.groups.get_mut(&(group, interface)) {
            *count -= 1;
            if *count == 0 {
                inner.groups.remove(&(group, interface));
            }
        }
    }

    /// Whether some socket has joined the group on the interface.
    pub(crate) fn is_member(&self, group: IpAddr, interface: InterfaceIndex) -> bool {
        self.inner.lock().groups.contains_key(&(group, interface))
    }

    pub(crate) fn list(&self) -> Vec<Arc<UdpSocket>> {
        let inner = self.inner.lock();
        let bound = inner.bound.values().flatten().map(|entry| Arc::clone(&entry.socket));
        bound.chain(inner.connected.iter().map(|entry| Arc::clone(&entry.1))).collect()
    }
}

impl Stack {
    #[allow(clippy::too_many_arguments, reason = "what is known of a datagram")]
    pub(crate) fn receive_udp(
        &self,
        interface: &Arc<Interface>,
        packet: ip::Datagram<'_>,
        header: &Received,
        kind: AddressKind,
        trusted: bool,
        now: Nanos,
        out: &mut Output,
    ) {
        let bytes = &packet.bytes()[header.start..header.end];
        let Some(ports) = check(bytes, header, trusted) else {
            self.snmp.datagram_error();
            return;
        };
        let key =
            FlowKey { local: Endpoint::new(header.to, ports.1), remote: Endpoint::new(header.from, ports.0) };
        let end = header.start + usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
        let index = interface.index();
        if kind != AddressKind::Local {
            let member = kind == AddressKind::Broadcast || self.udp.is_member(header.to, index);
            let payload = &packet.bytes()[header.start + HEADER..end];
            for socket in self.udp.find_all(&key, index) {
                if kind == AddressKind::Broadcast || socket.wants_group(header.to, index, member) {
                    let datagram = Datagram::new(&key, header, index, payload.to_vec(), 0, now);
                    self.deliver(&socket, datagram, out);
                }
            }
            return;
        }
        let Some(socket) = self.udp.find(&key, index) else {
            self.snmp.no_port();
            self.send_unreachable(packet.bytes(), header, Reason::Port, now, out);
            return;
        };
        let (buffer, start) = match packet.into_payload(header.start + HEADER, end) {
            crate::tcp::Payload::Borrowed(bytes) => (bytes.to_vec(), 0),
            crate::tcp::Payload::Owned(chunk) => (chunk.buffer, chunk.start),
        };
        self.deliver(&socket, Datagram::new(&key, header, index, buffer, start, now), out);
    }

    fn deliver(&self, socket: &UdpSocket, datagram: Datagram, out: &mut Output) {
        if socket.push(datagram, out) {
            self.snmp.datagram_received();
        } else {
            self.snmp.datagram_dropped();
        }
    }

    /// ICMP says that a datagram did not arrive.
    pub(crate) fn udp_error(&self, key: FlowKey, error: Error, out: &mut Output) {
        // The interface is not known; sockets bound to one are only found if they are connected.
        if let Some(socket) = self.udp.find(&key, 0) {
            socket.on_icmp(key.remote, error, out);
        }
    }

    /// All UDP sockets that are bound, for /proc/net/udp and udp6.
    #[must_use]
    pub fn udp_sockets(&self) -> Vec<UdpSummary> {
        self.udp.list().iter().map(|socket| socket.summary()).collect()
    }
}

/// The ports of a datagram whose length and checksum are right.
fn check(bytes: &[u8], header: &Received, trusted: bool) -> Option<(u16, u16)> {
    let &[a, b, c, d, e, f, g, h] = bytes.first_chunk::<8>()?;
    let len = usize::from(u16::from_be_bytes([e, f]));
    if len < HEADER || len > bytes.len() {
        return None;
    }
    let has_sum = (g, h) != (0, 0);
    if !has_sum && header.to.is_ipv6() && !trusted {
        return None;
    }
    if has_sum && !trusted {
        let sum = Sum::pseudo_header(header.from, header.to, ip::UDP, len).add(&bytes[..len]);
        if sum.complement() != 0 {
            return None;
        }
    }
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}
