//! A UDP socket.

use super::Name;
use super::datagram::{Datagram, SendControl, UdpSummary};
use super::options::UdpOptions;
use crate::Result;
use crate::addr::{Endpoint, Family, Nanos, canonical};
use crate::icmp::Error;
use crate::interface::InterfaceIndex;
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
use core::net::{IpAddr, SocketAddr};
use husk_abi::{Errno, err};
use husk_machine::sync::SpinLock;

/// What a waiting datagram costs of the receive buffer beside its bytes, as in Linux (the smallest `truesize` of one).
const OVERHEAD: usize = 512;

/// A UDP socket. Its methods never wait; the [`Notify`] tells when a datagram or an error has come. They are called with no lock
/// of the stack held and no spin lock at all.
///
/// Whoever made it calls [`close`](Self::close) when the last descriptor is gone.
pub struct UdpSocket {
    pub(crate) stack: Arc<Stack>,
    me: Weak<UdpSocket>,
    pub(crate) family: Family,
    pub(crate) inner: SpinLock<Inner>,
}

pub(crate) struct Inner {
    pub(crate) options: UdpOptions,
    pub(crate) notify: Option<Arc<dyn Notify>>,
    pub(crate) cookie: u64,
    pub(crate) claim: Option<Claim>,
    /// Bound: what the table knows it by.
    pub(crate) name: Option<Name>,
    /// The address given to bind(2), for when a connection ends.
    pub(crate) bound_addr: Option<IpAddr>,
    /// bind(2) named the port.
    pub(crate) port_bound: bool,
    pub(crate) peer: Option<Endpoint>,
    pub(crate) path: Option<Path>,
    pub(crate) queue: VecDeque<Arc<Datagram>>,
    /// What the queue costs of the buffer.
    pub(crate) charged: usize,
    pub(crate) drops: u64,
    pub(crate) error: Option<Errno>,
    pub(crate) read_shut: bool,
    pub(crate) write_shut: bool,
    pub(crate) groups: Vec<(IpAddr, InterfaceIndex)>,
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
    pub(crate) fn bind_any(&self, inner: &mut Inner) -> Result<()> {
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
