//! A UDP socket.

use super::options::UdpOptions;
use super::{HEADER, Name};
use crate::Result;
use crate::addr::{Endpoint, Family, FlowKey, Nanos, canonical};
use crate::icmp::Error;
use crate::interface::{InterfaceIndex, MAX_PACKET};
use crate::ip::{self, Received};
use crate::lock_level;
use crate::notify::{Events, Notify};
use crate::output::Output;
use crate::ports::{Binding, Claim, fits};
use crate::route::{AddressKind, Path};
use crate::stack::Stack;
use crate::tcp::Shutdown;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use husk_abi::{Errno, err};
use husk_machine::sync::SpinLock;

/// What a waiting datagram costs of the receive buffer beside its bytes, as in Linux (the smallest `truesize` of one).
const OVERHEAD: usize = 512;
/// Groups that one socket may join (net.ipv4.igmp_max_memberships is 20, IPv6 has no limit of its own).
const MAX_GROUPS: usize = 64;

/// A UDP socket. Its methods never wait; the [`Notify`] tells when a datagram or an error has come. They are called with no lock
/// of the stack held and no spin lock at all.
///
/// Whoever made it calls [`close`](Self::close) when the last descriptor is gone.
pub struct UdpSocket {
    stack: Arc<Stack>,
    me: Weak<UdpSocket>,
    family: Family,
    inner: SpinLock<Inner>,
}

struct Inner {
    options: UdpOptions,
    notify: Option<Arc<dyn Notify>>,
    cookie: u64,
    claim: Option<Claim>,
    /// Bound: what the table knows it by.
    name: Option<Name>,
    /// The address given to bind(2), for when a connection ends.
    bound_addr: Option<IpAddr>,
    /// bind(2) named the port.
    port_bound: bool,
    peer: Option<Endpoint>,
    path: Option<Path>,
    queue: VecDeque<Arc<Datagram>>,
    /// What the queue costs of the buffer.
    charged: usize,
    drops: u64,
    error: Option<Errno>,
    read_shut: bool,
    write_shut: bool,
    groups: Vec<(IpAddr, InterfaceIndex)>,
}

/// A received datagram.
pub struct Datagram {
    from: Endpoint,
    /// The address it was sent to, for IP_PKTINFO.
    pub to: IpAddr,
    /// The interface it came by.
    pub interface: InterfaceIndex,
    /// The TTL or hop limit it arrived with.
    pub ttl: u8,
    /// The type of service or traffic class.
    pub tos: u8,
    /// When it came, in monotonic time.
    pub time: Nanos,
    buffer: Vec<u8>,
    start: usize,
}

impl Datagram {
    pub(crate) fn new(
        key: &FlowKey,
        header: &Received,
        interface: InterfaceIndex,
        buffer: Vec<u8>,
        start: usize,
        time: Nanos,
    ) -> Self {
        Self {
            from: key.remote,
            to: key.local.addr,
            interface,
            ttl: header.ttl,
            tos: header.tos,
            time,
            buffer,
            start,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Where it came from, as the program of a socket of `family` sees it.
    #[must_use]
    pub fn from(&self, family: Family) -> SocketAddr {
        self.from.present(family, self.interface)
    }
}

/// What control messages say about a datagram to be sent (IP_PKTINFO, IPV6_PKTINFO, IP_TTL, IP_TOS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendControl {
    /// The source address.
    pub source: Option<IpAddr>,
    /// The interface.
    pub interface: Option<InterfaceIndex>,
    /// The TTL or hop limit.
    pub ttl: Option<u8>,
    /// The type of service or traffic class.
    pub tos: Option<u8>,
}

/// A line of /proc/net/udp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpSummary {
    /// The own end, as the socket's program sees it.
    pub local: SocketAddr,
    /// The peer if it is connected.
    pub remote: Option<SocketAddr>,
    /// What waits to be read costs so much of the buffer.
    pub receive_queue: usize,
    /// Datagrams dropped because the buffer was full.
    pub drops: u64,
    /// The number given at [`Stack::udp_socket`](crate::Stack::udp_socket).
    pub cookie: u64,
}

impl Stack {
    /// A new UDP socket. `cookie` is the caller's number for it (the inode), which enumerations give back.
    #[must_use]
    pub fn udp_socket(
        self: &Arc<Self>,
        family: Family,
        cookie: u64,
        notify: Arc<dyn Notify>,
    ) -> Arc<UdpSocket> {
        Arc::new_cyclic(|me| UdpSocket {
            stack: Arc::clone(self),
            me: Weak::clone(me),
            family,
            inner: SpinLock::with_level(
                lock_level::SOCKET,
                Inner {
                    options: UdpOptions::default(),
                    notify: Some(notify),
                    cookie,
                    claim: None,
                    name: None,
                    bound_addr: None,
                    port_bound: false,
                    peer: None,
                    path: None,
                    queue: VecDeque::new(),
                    charged: 0,
                    drops: 0,
                    error: None,
                    read_shut: false,
                    write_shut: false,
                    groups: Vec::new(),
                },
            ),
        })
    }
}

impl UdpSocket {
    /// The address family it was made with.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// bind(2). `uid` is the user's, for SO_REUSEPORT.
    ///
    /// # Errors
    /// EINVAL if it is bound already; EADDRNOTAVAIL if the address is neither this machine's nor a group's or broadcast; EADDRINUSE;
    /// EAFNOSUPPORT.
    pub fn bind(&self, addr: SocketAddr, uid: u32) -> Result<()> {
        let ip = canonical(addr.ip());
        if !fits(self.family, ip) {
            return err!(EAFNOSUPPORT);
        }
        let mut inner = self.inner.lock();
        if inner.claim.is_some() {
            return err!(EINVAL);
        }
        let usable = ip.is_unspecified() || self.stack.configuration().kind(ip, None) != AddressKind::Other;
        if !usable {
            return err!(EADDRNOTAVAIL);
        }
        self.claim_port(&mut inner, Endpoint::new(ip, addr.port()), uid)?;
        inner.bound_addr = Some(ip);
        inner.port_bound = addr.port() != 0;
        self.enter_table(&mut inner);
        Ok(())
    }

    fn claim_port(&self, inner: &mut Inner, local: Endpoint, uid: u32) -> Result<()> {
        let options = &inner.options;
        let binding = Binding {
            addr: local.addr,
            port: local.port,
            v6_only: options.v6_only,
            device: options.device,
            reuse_addr: options.reuse_addr,
            reuse_port: options.reuse_port,
            uid,
        };
        inner.claim = Some(self.stack.udp_ports.bind(binding, &self.stack.random, &self.stack.settings)?);
        Ok(())
    }

    /// Gives a socket without a port one.
    fn bind_any(&self, inner: &mut Inner) -> Result<()> {
        if inner.claim.is_none() {
            self.claim_port(inner, Endpoint::new(self.family.unspecified(), 0), 0)?;
            self.enter_table(inner);
        }
        Ok(())
    }

    /// Puts the socket into the table under its present name, and takes it out under the one before.
    fn enter_table(&self, inner: &mut Inner) {
        if let Some(name) = inner.name.take() {
            self.stack.udp.remove(self, name);
        }
        let (Some(claim), Some(me)) = (&inner.claim, self.me.upgrade()) else { return };
        let connected_from = inner.path.as_ref().filter(|_| inner.peer.is_some()).map(|path| path.source);
        let addr = inner
            .bound_addr
            .filter(|addr| !addr.is_unspecified())
            .or(connected_from)
            .unwrap_or(self.family.unspecified());
        let name = Name {
            local: Endpoint::new(addr, claim.port()),
            remote: inner.peer,
            v6_only: inner.options.v6_only,
            device: inner.options.device,
            reuse_port: inner.options.reuse_port,
        };
        inner.name = Some(name);
        self.stack.udp.add(me, name);
    }

    /// connect(2): the peer from now on.
    ///
    /// # Errors
    /// ENETUNREACH and the like if there is no route; EACCES for broadcast without SO_BROADCAST; EAFNOSUPPORT; EAGAIN without a free port.
    pub fn connect(&self, addr: SocketAddr) -> Result<()> {
        let mut inner = self.inner.lock();
        let to = self.destination(&addr)?;
        let path = self.path_to(&inner, to.addr, &SendControl::default(), crate::tcp::scope_of(&addr))?;
        if self.stack.is_broadcast(to.addr) && !inner.options.broadcast {
            return err!(EACCES);
        }
        if inner.claim.is_none() {
            self.claim_port(&mut inner, Endpoint::new(self.family.unspecified(), 0), 0)?;
        }
        inner.peer = Some(to);
        inner.path = Some(path);
        self.enter_table(&mut inner);
        Ok(())
    }

    /// connect(2) with AF_UNSPEC: no peer any more. A port that the socket got by itself is given back.
    pub fn disconnect(&self) {
        let mut inner = self.inner.lock();
        (inner.peer, inner.path) = (None, None);
        if let Some(name) = inner.name.take() {
            self.stack.udp.remove(self, name);
        }
        if inner.port_bound {
            self.enter_table(&mut inner);
        } else {
            inner.claim = None;
        }
    }

    /// A destination as the stack has it; unspecified means this machine.
    fn destination(&self, addr: &SocketAddr) -> Result<Endpoint> {
        let to = canonical(addr.ip());
        if !fits(self.family, to) {
            return err!(EAFNOSUPPORT);
        }
        let to = match to {
            IpAddr::V4(to) if to.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(to) if to.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            to => to,
        };
        Ok(Endpoint::new(to, addr.port()))
    }

    fn path_to(
        &self,
        inner: &Inner,
        to: IpAddr,
        control: &SendControl,
        scope: Option<InterfaceIndex>,
    ) -> Result<Path> {
        let multicast = to.is_multicast();
        let device = control
            .interface
            .or(inner.options.device)
            .or(scope)
            .or_else(|| inner.options.multicast_interface.filter(|_| multicast));
        let bound = inner.bound_addr.filter(|addr| !addr.is_unspecified() && !addr.is_multicast());
        let bound = bound.filter(|addr| self.stack.is_local(*addr));
        let source =
            control.source.or_else(|| inner.options.multicast_source.filter(|_| multicast)).or(bound);
        if source.is_some_and(|source| source.is_ipv4() != to.is_ipv4()) {
            return err!(ENETUNREACH);
        }
        if let Some(source) = control.source
            && !self.stack.is_local(source)
        {
            return err!(EINVAL);
        }
        self.stack.path(to, device, source)
    }

    /// Sends a datagram of `len` bytes to `to`, or to the peer. `fill` is called with the packet's buffer and fills all of it; no
    /// lock is held then.
    ///
    /// # Errors
    /// EDESTADDRREQ without a destination; EMSGSIZE if it is too large; EPIPE after shutdown; EACCES for broadcast without
    /// SO_BROADCAST; EINVAL for port 0; ENETUNREACH and the like without a route; EAGAIN without a free port; the pending error; what
    /// `fill` says.
    pub fn send(
        &self,
        len: usize,
        to: Option<SocketAddr>,
        control: &SendControl,
        now: Nanos,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        let (path, local, remote, info, flags) = self.prepare(len, to, control)?;
        let from = Endpoint::new(path.source, local);
        let mut packet = ip::packet(from.addr, remote.addr, HEADER + len, 0, &info);
        let at = ip::header_len(remote.addr);
        let bytes = &mut packet.bytes_mut()[at..];
        let filled = fill(&mut bytes[HEADER..])?;
        if filled < len {
            return err!(EFAULT);
        }
        bytes[0..2].copy_from_slice(&from.port.to_be_bytes());
        bytes[2..4].copy_from_slice(&remote.port.to_be_bytes());
        bytes[4..6].copy_from_slice(&((HEADER + len) as u16).to_be_bytes());
        let too_big = packet.len() > path.interface.packet_limit();
        if too_big && flags.no_fragments {
            return err!(EMSGSIZE);
        }
        let mut out = Output::default();
        if flags.loop_back {
            let mut copy = ip::packet(from.addr, remote.addr, 0, HEADER + len, &info);
            ip::write_header(copy.bytes_mut(), from.addr, remote.addr, HEADER + len, &info);
            copy.tail().extend_from_slice(&packet.bytes()[at..]);
            out.local.push((copy, Arc::clone(&path.interface)));
        }
        ip::finish_udp(&mut packet, &path, from.addr, remote.addr, too_big);
        out.send(packet, &path);
        self.stack.snmp.datagram_sent();
        self.stack.finish(out, now);
        Ok(len)
    }

    fn prepare(
        &self,
        len: usize,
        to: Option<SocketAddr>,
        control: &SendControl,
    ) -> Result<(Path, u16, Endpoint, ip::Header, SendFlags)> {
        let mut inner = self.inner.lock();
        if let Some(error) = inner.error.take() {
            return Err(error);
        }
        if inner.write_shut {
            return err!(EPIPE);
        }
        let remote = match (&to, inner.peer) {
            (Some(to), _) => self.destination(to)?,
            (None, Some(peer)) => peer,
            (None, None) => return err!(EDESTADDRREQ),
        };
        if remote.port == 0 {
            return err!(EINVAL);
        }
        if inner.options.v6_only && remote.addr.is_ipv4() && self.family == Family::V6 {
            return err!(ENETUNREACH);
        }
        if len > MAX_PACKET - HEADER - ip::header_len(remote.addr) {
            return err!(EMSGSIZE);
        }
        let cached = inner.path.as_ref().filter(|path| {
            to.is_none() && *control == SendControl::default() && path.generation == self.stack.generation()
        });
        let path = match cached.cloned() {
            Some(path) => path,
            None => {
                let path =
                    self.path_to(&inner, remote.addr, control, to.as_ref().and_then(crate::tcp::scope_of))?;
                if to.is_none() && *control == SendControl::default() {
                    inner.path = Some(path.clone());
                }
                path
            }
        };
        let multicast = remote.addr.is_multicast();
        let broadcast = remote.addr.is_ipv4() && !multicast && self.stack.is_broadcast(remote.addr);
        if broadcast && !inner.options.broadcast {
            return err!(EACCES);
        }
        self.bind_any(&mut inner)?;
        let options = &inner.options;
        let usual = if multicast { Some(options.multicast_ttl) } else { options.ttl };
        let info = ip::Header {
            protocol: ip::UDP,
            ttl: control.ttl.or(usual).unwrap_or(self.stack.settings.ttl() as u8),
            tos: control.tos.unwrap_or(options.tos),
            flow: 0,
        };
        let group = multicast && options.multicast_loop && !path.interface.is_loopback();
        let flags = SendFlags {
            no_fragments: options.no_fragments,
            loop_back: group || (broadcast && !path.interface.is_loopback()),
        };
        let local = inner.claim.as_ref().map_or(0, Claim::port);
        Ok((path, local, remote, info, flags))
    }

    /// Takes the oldest datagram; with `peek` it stays.
    ///
    /// # Errors
    /// EAGAIN if there is none (READABLE comes); the pending error.
    pub fn recv(&self, peek: bool) -> Result<Arc<Datagram>> {
        let mut inner = self.inner.lock();
        if let Some(error) = inner.error.take() {
            return Err(error);
        }
        if peek {
            return match inner.queue.front() {
                Some(datagram) => Ok(Arc::clone(datagram)),
                None => err!(EAGAIN),
            };
        }
        match inner.queue.pop_front() {
            Some(datagram) => {
                inner.charged -= datagram.buffer.len() + OVERHEAD;
                if inner.queue.is_empty() {
                    inner.queue = VecDeque::new();
                }
                Ok(datagram)
            }
            None => err!(EAGAIN),
        }
    }

    /// Whether reading is shut down: then [`recv`](Self::recv)'s EAGAIN means the end (0 bytes).
    #[must_use]
    pub fn is_read_shut(&self) -> bool {
        self.inner.lock().read_shut
    }

    /// Bytes of the next datagram (FIONREAD).
    #[must_use]
    pub fn unread(&self) -> usize {
        self.inner.lock().queue.front().map_or(0, |datagram| datagram.bytes().len())
    }

    /// What poll(2) says.
    #[must_use]
    pub fn readiness(&self) -> Events {
        let inner = self.inner.lock();
        let mut events = Events::WRITABLE;
        if !inner.queue.is_empty() || inner.error.is_some() || inner.read_shut {
            events |= Events::READABLE;
        }
        if inner.error.is_some() {
            events |= Events::ERROR;
        }
        if inner.read_shut {
            events |= Events::READ_HANGUP;
            if inner.write_shut {
                events |= Events::HANGUP;
            }
        }
        events
    }

    /// SO_ERROR: the pending error, which is then no longer pending.
    #[must_use]
    pub fn take_error(&self) -> Option<Errno> {
        self.inner.lock().error.take()
    }

    /// shutdown(2).
    ///
    /// # Errors
    /// ENOTCONN if it has no peer (it takes effect all the same, as in Linux).
    pub fn shutdown(&self, how: Shutdown, now: Nanos) -> Result<()> {
        let mut out = Output::default();
        let connected = {
            let mut inner = self.inner.lock();
            inner.read_shut |= how.read();
            inner.write_shut |= how.write();
            out.notify(inner.notify.as_ref(), Events::all() - Events::ERROR);
            inner.peer.is_some()
        };
        self.stack.finish(out, now);
        if connected { Ok(()) } else { err!(ENOTCONN) }
    }

    /// The last descriptor is gone.
    pub fn close(&self) {
        let (claim, queue) = {
            let mut inner = self.inner.lock();
            if let Some(name) = inner.name.take() {
                self.stack.udp.remove(self, name);
            }
            for (group, interface) in core::mem::take(&mut inner.groups) {
                self.stack.udp.leave(group, interface);
            }
            inner.notify = None;
            inner.charged = 0;
            (inner.claim.take(), core::mem::take(&mut inner.queue))
        };
        drop((claim, queue));
    }

    /// getsockname(2).
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        let inner = self.inner.lock();
        let local = inner.name.map_or(Endpoint::new(self.family.unspecified(), 0), |name| name.local);
        local.present(self.family, inner.options.device.unwrap_or(0))
    }

    /// getpeername(2).
    ///
    /// # Errors
    /// ENOTCONN.
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        let inner = self.inner.lock();
        match inner.peer {
            Some(peer) => {
                let scope = inner.path.as_ref().map_or(0, |path| path.interface.index());
                Ok(peer.present(self.family, scope))
            }
            None => err!(ENOTCONN),
        }
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> UdpOptions {
        self.inner.lock().options
    }

    /// Changes options.
    pub fn set_options(&self, change: impl FnOnce(&mut UdpOptions)) {
        let mut inner = self.inner.lock();
        let before = inner.options;
        change(&mut inner.options);
        if let Some(claim) = &inner.claim
            && before.reuse_addr != inner.options.reuse_addr
        {
            claim.set_reuse_addr(inner.options.reuse_addr);
        }
        if inner.claim.is_some()
            && (before.device, before.v6_only, before.reuse_port)
                != (inner.options.device, inner.options.v6_only, inner.options.reuse_port)
        {
            self.enter_table(&mut inner);
        }
    }

    /// IP_ADD_MEMBERSHIP, IPV6_ADD_MEMBERSHIP. Without an interface, the one by which the group is routed.
    ///
    /// # Errors
    /// EINVAL if it is no group; ENODEV without such an interface; EADDRINUSE if it has joined already; ENOBUFS for too many.
    pub fn join(&self, group: IpAddr, interface: Option<InterfaceIndex>) -> Result<()> {
        let mut inner = self.inner.lock();
        let index = self.group_interface(group, interface)?;
        if inner.groups.contains(&(group, index)) {
            return err!(EADDRINUSE);
        }
        if inner.groups.len() >= MAX_GROUPS {
            return err!(ENOBUFS);
        }
        inner.groups.push((group, index));
        self.stack.udp.join(group, index);
        Ok(())
    }

    /// IP_DROP_MEMBERSHIP, IPV6_DROP_MEMBERSHIP.
    ///
    /// # Errors
    /// EADDRNOTAVAIL if it has not joined; EINVAL, ENODEV as [`join`](Self::join).
    pub fn leave(&self, group: IpAddr, interface: Option<InterfaceIndex>) -> Result<()> {
        let mut inner = self.inner.lock();
        let found = inner
            .groups
            .iter()
            .position(|joined| joined.0 == group && interface.is_none_or(|interface| interface == joined.1));
        let Some(at) = found else {
            self.group_interface(group, interface)?;
            return err!(EADDRNOTAVAIL);
        };
        let (group, index) = inner.groups.swap_remove(at);
        self.stack.udp.leave(group, index);
        Ok(())
    }

    fn group_interface(&self, group: IpAddr, interface: Option<InterfaceIndex>) -> Result<InterfaceIndex> {
        if !group.is_multicast() {
            return err!(EINVAL);
        }
        let configuration = self.stack.configuration();
        match interface {
            Some(index) => match configuration.interface(index) {
                Some(_) => Ok(index),
                None => err!(ENODEV),
            },
            None => match configuration.path(group, None, Some(group)) {
                Ok(path) => Ok(path.interface.index()),
                Err(_) => err!(ENODEV),
            },
        }
    }

    /// Whether it takes datagrams to a group. `member` says that some socket has joined on the interface.
    pub(crate) fn wants_group(&self, group: IpAddr, interface: InterfaceIndex, member: bool) -> bool {
        let inner = self.inner.lock();
        inner.groups.contains(&(group, interface)) || (member && inner.options.multicast_all)
    }

    /// Queues a datagram. False if there is no room.
    pub(crate) fn push(&self, datagram: Datagram, out: &mut Output) -> bool {
        let mut inner = self.inner.lock();
        if inner.notify.is_none() {
            return false;
        }
        let limit = inner.options.receive_buffer.unwrap_or(self.stack.settings.rmem_default());
        // One always fits, as in Linux.
        if inner.charged >= limit {
            inner.drops += 1;
            return false;
        }
        inner.charged += datagram.buffer.len() + OVERHEAD;
        inner.queue.push_back(Arc::new(datagram));
        out.notify(inner.notify.as_ref(), Events::READABLE);
        true
    }

    /// ICMP says that a datagram to `remote` did not arrive: a connected socket is told, others only if they asked for it.
    pub(crate) fn on_icmp(&self, remote: Endpoint, error: Error, out: &mut Output) {
        let mut inner = self.inner.lock();
        let connected = inner.peer == Some(remote);
        let errno = match error {
            Error::TooBig(_) if inner.options.no_fragments => Errno::EMSGSIZE,
            Error::TooBig(_) => return,
            Error::Unreachable { errno, hard } if hard || inner.options.receive_errors => errno,
            Error::Unreachable { .. } => return,
        };
        if connected || inner.options.receive_errors {
            inner.error = Some(errno);
            out.notify(inner.notify.as_ref(), Events::ERROR | Events::READABLE);
        }
    }

    pub(crate) fn summary(&self) -> UdpSummary {
        let inner = self.inner.lock();
        let local = inner.name.map_or(Endpoint::new(self.family.unspecified(), 0), |name| name.local);
        UdpSummary {
            local: local.present(self.family, 0),
            remote: inner.peer.map(|peer| peer.present(self.family, 0)),
            receive_queue: inner.charged,
            drops: inner.drops,
            cookie: inner.cookie,
        }
    }
}

struct SendFlags {
    no_fragments: bool,
    /// The sender's own interface receives it too.
    loop_back: bool,
}
