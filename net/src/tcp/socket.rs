//! A TCP socket: names, listening, connecting, closing. Reading and writing are in [`stream`](super::stream).

use super::State;
use super::connection::{Connection, Context};
use super::flows::Flow;
use super::info::{TcpInfo, TcpSummary};
use super::listener::{self, Listener, Verdict};
use super::options::{Options, Shutdown};
use super::receive_queue::Payload;
use super::segment::Segment;
use super::seq::Seq;
use crate::Result;
use crate::addr::{Endpoint, Family, FlowKey, NEVER, Nanos, canonical};
use crate::lock_level;
use crate::notify::{Events, Notify};
use crate::output::Output;
use crate::ports::{Binding, Claim, fits};
use crate::stack::Stack;
use crate::timer::{Timer, TimerKey};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_machine::sync::{Mutex, SpinLock};

/// A TCP socket, in any state. Its methods never wait for the network: what cannot be done now is EAGAIN, and the socket's
/// [`Notify`] tells when to try again. They are called with no lock of the stack held and no spin lock at all.
///
/// Whoever made it calls [`close`](Self::close) when the last descriptor is gone.
pub struct TcpSocket {
    pub(crate) stack: Arc<Stack>,
    me: Weak<TcpSocket>,
    family: Family,
    pub(crate) inner: SpinLock<Inner>,
    /// Held while a program's bytes are taken, so that writes do not mix. Sleeping.
    pub(crate) writer: Mutex<()>,
    /// Held while bytes are given to a program. Sleeping.
    pub(crate) reader: Mutex<()>,
}

pub(crate) struct Inner {
    pub(crate) role: Role,
    pub(crate) options: Options,
    notify: Option<Arc<dyn Notify>>,
    cookie: u64,
    claim: Option<Claim>,
    /// The own address, from bind(2) or the connection.
    local: Option<Endpoint>,
    /// bind(2) named an address.
    addr_bound: bool,
    /// For SO_ERROR.
    error: Option<Errno>,
    /// connect(2) was called and has not said yet that it is done.
    connecting: bool,
    /// A connection was there once.
    was_connected: bool,
    pub(crate) read_shut: bool,
    pub(crate) write_shut: bool,
    /// The program has closed it.
    released: bool,
    /// A program wants to be told when there is room to write.
    pub(crate) wants_room: bool,
    timer: Option<TimerKey>,
}

pub(crate) enum Role {
    Idle,
    Listening(Box<Listener>),
    /// Also after its end, for what has not been read.
    Connected(Box<Connection>),
}

impl Stack {
    /// A new TCP socket. `cookie` is the caller's number for it (the inode), which enumerations give back.
    #[must_use]
    pub fn tcp_socket(
        self: &Arc<Self>,
        family: Family,
        cookie: u64,
        notify: Arc<dyn Notify>,
    ) -> Arc<TcpSocket> {
        TcpSocket::new(self, family, cookie, Some(notify), Options::default(), Role::Idle)
    }
}

impl TcpSocket {
    fn new(
        stack: &Arc<Stack>,
        family: Family,
        cookie: u64,
        notify: Option<Arc<dyn Notify>>,
        options: Options,
        role: Role,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            stack: Arc::clone(stack),
            me: Weak::clone(me),
            family,
            inner: SpinLock::with_level(
                lock_level::SOCKET,
                Inner {
                    role,
                    options,
                    notify,
                    cookie,
                    claim: None,
                    local: None,
                    addr_bound: false,
                    error: None,
                    connecting: false,
                    was_connected: false,
                    read_shut: false,
                    write_shut: false,
                    released: false,
                    wants_room: false,
                    timer: None,
                },
            ),
            writer: Mutex::new(()),
            reader: Mutex::new(()),
        })
    }

    /// The address family it was made with.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// bind(2). `uid` is the user's, for SO_REUSEPORT.
    ///
    /// # Errors
    /// EINVAL if it is bound already; EADDRNOTAVAIL if this machine does not have the address; EADDRINUSE; EAFNOSUPPORT.
    pub fn bind(&self, addr: SocketAddr, uid: u32) -> Result<()> {
        let ip = canonical(addr.ip());
        if !fits(self.family, ip) {
            return err!(EAFNOSUPPORT);
        }
        let mut inner = self.inner.lock();
        if inner.claim.is_some() || !matches!(inner.role, Role::Idle) {
            return err!(EINVAL);
        }
        if inner.options.v6_only && ip.is_ipv4() && self.family == Family::V6 {
            return err!(EINVAL);
        }
        if !ip.is_unspecified() && !self.stack.is_local(ip) {
            return err!(EADDRNOTAVAIL);
        }
        self.claim_port(&mut inner, Endpoint::new(ip, addr.port()), uid)?;
        inner.addr_bound = !ip.is_unspecified();
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
        let claim = self.stack.tcp_ports.bind(binding, &self.stack.random, &self.stack.settings)?;
        inner.local = Some(Endpoint::new(local.addr, claim.port()));
        inner.claim = Some(claim);
        Ok(())
    }

    /// listen(2). A socket that is not bound gets a port. Called again, it changes the backlog.
    ///
    /// # Errors
    /// EINVAL if it is connected; EADDRINUSE if another socket listens there.
    pub fn listen(&self, backlog: usize) -> Result<()> {
        let backlog = backlog.min(self.stack.settings.somaxconn() as usize);
        let mut inner = self.inner.lock();
        if let Role::Listening(listener) = &mut inner.role {
            listener.backlog = backlog;
            return Ok(());
        }
        if !inner.is_over() {
            return err!(EINVAL);
        }
        if inner.claim.is_none() {
            self.claim_port(&mut inner, Endpoint::new(self.family.unspecified(), 0), 0)?;
        }
        let reuse_port = inner.options.reuse_port;
        if let Some(claim) = &inner.claim {
            claim.listen(reuse_port)?;
        }
        inner.role = Role::Listening(Box::new(Listener::new(backlog)));
        let (Some(local), Some(me)) = (inner.local, self.me.upgrade()) else { return err!(EINVAL) };
        self.stack.listeners.add(local, inner.options.v6_only, inner.options.device, me);
        Ok(())
    }

    /// accept(2): the oldest connection, which gets the cookie and the notification given, and the peer's address.
    ///
    /// # Errors
    /// EAGAIN if there is none; EINVAL if the socket does not listen.
    pub fn accept(&self, cookie: u64, notify: Arc<dyn Notify>) -> Result<(Arc<Self>, SocketAddr)> {
        let child = {
            let mut inner = self.inner.lock();
            let Role::Listening(listener) = &mut inner.role else { return err!(EINVAL) };
            match listener.queue.pop_front() {
                Some(child) => child,
                None => return err!(EAGAIN),
            }
        };
        let peer = {
            let mut inner = child.inner.lock();
            inner.notify = Some(notify);
            inner.cookie = cookie;
            match &inner.role {
                Role::Connected(connection) => {
                    connection.key.remote.present(child.family, connection.path.interface.index())
                }
                _ => SocketAddr::new(child.family.unspecified(), 0),
            }
        };
        Ok((child, peer))
    }

    /// connect(2). Calling it again tells how it went, as in Linux: once `Ok`, then EISCONN.
    ///
    /// # Errors
    /// EINPROGRESS the first time: WRITABLE comes when it is decided. EALREADY while it is not. EISCONN; what the network said
    /// (ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH); EADDRNOTAVAIL without a free port; EOPNOTSUPP... EINVAL while listening.
    pub fn connect(&self, addr: SocketAddr, now: Nanos) -> Result<()> {
        let mut out = Output::default();
        let result = self.connect_with(addr, now, &mut out);
        self.stack.finish(out, now);
        result
    }

    fn connect_with(&self, addr: SocketAddr, now: Nanos, out: &mut Output) -> Result<()> {
        let mut inner = self.inner.lock();
        match &inner.role {
            Role::Listening(_) => return err!(EISCONN),
            Role::Connected(connection) if connection.state == State::SynSent => return err!(EALREADY),
            Role::Connected(_) if inner.connecting => {
                inner.connecting = false;
                if !inner.is_over() {
                    return Ok(());
                }
                let error = inner.error.take().unwrap_or(Errno::ECONNABORTED);
                inner.role = Role::Idle;
                return Err(error);
            }
            Role::Connected(_) if !inner.is_over() => return err!(EISCONN),
            _ => {}
        }
        let mut to = canonical(addr.ip());
        if !fits(self.family, to) {
            return err!(EAFNOSUPPORT);
        }
        if to.is_unspecified() {
            // This machine itself.
            to = match to {
                core::net::IpAddr::V4(_) => core::net::Ipv4Addr::LOCALHOST.into(),
                core::net::IpAddr::V6(_) => core::net::Ipv6Addr::LOCALHOST.into(),
            };
        }
        if to.is_multicast() || self.stack.is_broadcast(to) {
            return err!(ENETUNREACH);
        }
        let device = inner.options.device.or_else(|| scope_of(&addr));
        let source = inner.local.filter(|_| inner.addr_bound).map(|local| local.addr);
        if source.is_some_and(|source| source.is_ipv4() != to.is_ipv4()) {
            return err!(EINVAL);
        }
        let path = self.stack.path(to, device, source)?;
        let remote = Endpoint::new(to, addr.port());
        let (claim, local, least) = self.local_end(&inner, path.source, remote, now)?;
        let key = FlowKey { local, remote };
        let Some(me) = self.me.upgrade() else { return err!(EINVAL) };
        if least.is_some() {
            self.stack.flows.remove(&key, |flow| matches!(flow, Flow::TimeWait(_)));
        }
        if !self.stack.flows.insert(key, Flow::Socket(me)) {
            return err!(EADDRNOTAVAIL);
        }
        let iss = least.unwrap_or_else(|| self.stack.initial_sequence(&key, now));
        let options = inner.options;
        let mut cx = Context { stack: &self.stack, now, options: &options, out, orphan: false };
        let connection = Connection::connect(&mut cx, key, path, iss);
        self.stack.snmp.active_open();
        inner.claim = Some(claim);
        inner.local = Some(local);
        inner.error = None;
        inner.connecting = true;
        (inner.read_shut, inner.write_shut) = (false, false);
        inner.role = Role::Connected(Box::new(connection));
        self.settle(&mut inner, now, out);
        err!(EINPROGRESS)
    }

    /// The own end of a new connection: the bound port, or one that no other connection to the peer has.
    fn local_end(
        &self,
        inner: &Inner,
        source: core::net::IpAddr,
        remote: Endpoint,
        now: Nanos,
    ) -> Result<(Claim, Endpoint, Option<Seq>)> {
        let reuse = match self.stack.settings.time_wait_reuse() {
            0 => false,
            1 => true,
            _ => remote.addr.is_loopback(),
        };
        let mut least = None;
        let mut usable = |port: u16| {
            let key = FlowKey { local: Endpoint::new(source, port), remote };
            least = None;
            if key.local == remote {
                // To itself: only if the program asked for it.
                return false;
            }
            match self.stack.flows.get(&key) {
                None => true,
                Some(Flow::TimeWait(record)) => {
                    least = record.may_reuse(now, reuse);
                    least.is_some()
                }
                Some(Flow::Socket(_)) => false,
            }
        };
        let claim = match &inner.claim {
            Some(claim) => {
                let itself = Endpoint::new(source, claim.port()) == remote;
                if !usable(claim.port()) && !itself {
                    return err!(EADDRNOTAVAIL);
                }
                claim.clone()
            }
            None => self.stack.tcp_ports.connect(&self.stack.random, &self.stack.settings, usable)?,
        };
        let local = Endpoint::new(source, claim.port());
        Ok((claim, local, least))
    }

    /// shutdown(2).
    ///
    /// # Errors
    /// ENOTCONN if it is neither connected nor listening.
    pub fn shutdown(&self, how: Shutdown, now: Nanos) -> Result<()> {
        let mut out = Output::default();
        let queued = {
            let mut inner = self.inner.lock();
            let inner = &mut *inner;
            match &mut inner.role {
                Role::Idle => return err!(ENOTCONN),
                Role::Listening(_) if !how.read() => return Ok(()),
                // Reading is what a listener does: it stops (Linux: tcp_disconnect).
                Role::Listening(_) => {
                    let listener = self.stop_listening(inner);
                    out.notify(inner.notify.as_ref(), Events::all());
                    listener
                }
                Role::Connected(connection) => {
                    if connection.state == State::Closed && connection.error.is_none() && !inner.was_connected
                    {
                        return err!(ENOTCONN);
                    }
                    inner.read_shut |= how.read();
                    inner.write_shut |= how.write();
                    let mut cx = Context {
                        stack: &self.stack,
                        now,
                        options: &inner.options,
                        out: &mut out,
                        orphan: false,
                    };
                    if how.write() {
                        if connection.state == State::SynSent {
                            connection.finish(None);
                        } else {
                            connection.close_send(&mut cx);
                        }
                    }
                    connection.events |=
                        Events::READABLE | Events::WRITABLE | Events::READ_HANGUP | Events::HANGUP;
                    self.settle(inner, now, &mut out);
                    None
                }
            }
        };
        abandon(queued, now);
        self.stack.finish(out, now);
        Ok(())
    }

    /// The last descriptor is gone. A connection sends what is left and ends by itself; unread data resets it.
    pub fn close(&self, now: Nanos) {
        let mut out = Output::default();
        let queued = {
            let mut inner = self.inner.lock();
            let inner = &mut *inner;
            if inner.released {
                return;
            }
            inner.released = true;
            inner.notify = None;
            inner.cookie = 0;
            match &mut inner.role {
                Role::Idle => {
                    inner.claim = None;
                    None
                }
                Role::Listening(_) => self.stop_listening(inner),
                Role::Connected(connection) => {
                    let mut cx = Context {
                        stack: &self.stack,
                        now,
                        options: &inner.options,
                        out: &mut out,
                        orphan: true,
                    };
                    let orphans = self.stack.orphans.fetch_add(1, Ordering::Relaxed);
                    if orphans >= self.stack.settings.max_orphans() {
                        connection.abort(&mut cx);
                    } else {
                        connection.release(&mut cx);
                    }
                    self.settle(inner, now, &mut out);
                    None
                }
            }
        };
        abandon(queued, now);
        self.stack.finish(out, now);
    }

    /// connect(2) with AF_UNSPEC: ends the connection, or the listening, at once. The socket can be used again.
    pub fn disconnect(&self, now: Nanos) {
        let mut out = Output::default();
        let queued = {
            let mut inner = self.inner.lock();
            let inner = &mut *inner;
            let queued = match &mut inner.role {
                Role::Idle => None,
                Role::Listening(_) => self.stop_listening(inner),
                Role::Connected(connection) => {
                    let mut cx = Context {
                        stack: &self.stack,
                        now,
                        options: &inner.options,
                        out: &mut out,
                        orphan: false,
                    };
                    connection.abort(&mut cx);
                    self.settle(inner, now, &mut out);
                    None
                }
            };
            inner.role = Role::Idle;
            inner.error = None;
            (inner.connecting, inner.was_connected) = (false, false);
            if !inner.addr_bound && inner.claim.as_ref().is_none_or(|claim| !claim.is_bound()) {
                (inner.claim, inner.local) = (None, None);
            }
            queued
        };
        abandon(queued, now);
        self.stack.finish(out, now);
    }

    /// Takes the listening half away; the answer are connections that nobody accepted.
    fn stop_listening(&self, inner: &mut Inner) -> Option<Box<Listener>> {
        let Role::Listening(listener) = core::mem::replace(&mut inner.role, Role::Idle) else { return None };
        if let Some(claim) = &inner.claim {
            claim.stop_listening();
            self.stack.listeners.remove(claim.port(), self);
        }
        if inner.released {
            inner.claim = None;
        }
        Some(listener)
    }

    /// What poll(2) says.
    #[must_use]
    pub fn readiness(&self) -> Events {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let mut events = Events::empty();
        if inner.error.is_some() {
            events |= Events::ERROR;
        }
        match &inner.role {
            Role::Idle => events |= Events::WRITABLE | Events::HANGUP,
            Role::Listening(listener) => {
                if !listener.queue.is_empty() {
                    events |= Events::READABLE;
                }
            }
            Role::Connected(connection) => {
                let ended = connection.peer_fin || connection.state == State::Closed;
                if inner.read_shut || ended {
                    events |= Events::READABLE | Events::READ_HANGUP;
                }
                if connection.rx.len() >= inner.options.receive_low_water.max(1) {
                    events |= Events::READABLE;
                }
                if connection.state == State::Closed || (inner.write_shut && (inner.read_shut || ended)) {
                    events |= Events::HANGUP;
                }
                if connection.state != State::SynSent {
                    if inner.write_shut
                        || connection.state == State::Closed
                        || self.has_room(inner, connection)
                    {
                        events |= Events::WRITABLE;
                    } else {
                        inner.wants_room = true;
                    }
                }
            }
        }
        events
    }

    fn has_room(&self, inner: &Inner, connection: &Connection) -> bool {
        let mut out = Output::default();
        let cx =
            Context { stack: &self.stack, now: 0, options: &inner.options, out: &mut out, orphan: false };
        connection.is_writable(&cx)
    }

    /// SO_ERROR: the pending error, which is then no longer pending.
    #[must_use]
    pub fn take_error(&self) -> Option<Errno> {
        self.inner.lock().error.take()
    }

    /// getsockname(2).
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        let inner = self.inner.lock();
        let local = inner.local.unwrap_or(Endpoint::new(self.family.unspecified(), 0));
        let scope = match &inner.role {
            Role::Connected(connection) => connection.path.interface.index(),
            _ => inner.options.device.unwrap_or(0),
        };
        local.present(self.family, scope)
    }

    /// getpeername(2).
    ///
    /// # Errors
    /// ENOTCONN.
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        match &self.inner.lock().role {
            Role::Connected(connection) if !matches!(connection.state, State::SynSent | State::Closed) => {
                Ok(connection.key.remote.present(self.family, connection.path.interface.index()))
            }
            _ => err!(ENOTCONN),
        }
    }

    /// The state; an ended connection is [`State::Closed`].
    #[must_use]
    pub fn state(&self) -> State {
        match &self.inner.lock().role {
            Role::Idle => State::Closed,
            Role::Listening(_) => State::Listen,
            Role::Connected(connection) => connection.state,
        }
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> Options {
        self.inner.lock().options
    }

    /// Changes options, and does what follows: uncorks, starts keepalive, and so on.
    pub fn set_options(&self, now: Nanos, change: impl FnOnce(&mut Options)) {
        let mut out = Output::default();
        {
            let mut inner = self.inner.lock();
            let inner = &mut *inner;
            let before = inner.options;
            change(&mut inner.options);
            if let Some(claim) = &inner.claim
                && before.reuse_addr != inner.options.reuse_addr
            {
                claim.set_reuse_addr(inner.options.reuse_addr);
            }
            if let Role::Connected(connection) = &mut inner.role {
                let options = inner.options;
                let mut cx =
                    Context { stack: &self.stack, now, options: &options, out: &mut out, orphan: false };
                if options.receive_buffer != before.receive_buffer && options.receive_buffer.is_some() {
                    connection.rx_limit = options.receive_limit(&self.stack.settings);
                }
                if options.keepalive != before.keepalive
                    || options.keepalive_idle != before.keepalive_idle
                    || options.keepalive_interval != before.keepalive_interval
                {
                    connection.set_keepalive(&cx);
                }
                if (before.cork && !options.cork) || (!before.no_delay && options.no_delay) {
                    connection.more_until = None;
                    connection.output(&mut cx);
                }
                if options.quick_ack && !before.quick_ack && connection.ack_at != NEVER {
                    connection.send_ack(&mut cx);
                }
                self.settle(inner, now, &mut out);
            }
        }
        self.stack.finish(out, now);
    }

    /// TCP_INFO.
    #[must_use]
    pub fn info(&self, now: Nanos) -> TcpInfo {
        let inner = self.inner.lock();
        match &inner.role {
            Role::Idle => TcpInfo { state: State::Closed as u8, ..TcpInfo::default() },
            Role::Listening(listener) => TcpInfo {
                state: State::Listen as u8,
                unacked: listener.queue.len() as u32,
                sacked: listener.backlog as u32,
                ..TcpInfo::default()
            },
            Role::Connected(connection) => {
                let mut out = Output::default();
                connection.info(&Context {
                    stack: &self.stack,
                    now,
                    options: &inner.options,
                    out: &mut out,
                    orphan: false,
                })
            }
        }
    }

    /// SO_INCOMING_CPU, SO_BINDTODEVICE and the like: the interface that a connection goes by.
    #[must_use]
    pub fn interface(&self) -> Option<crate::InterfaceIndex> {
        match &self.inner.lock().role {
            Role::Connected(connection) => Some(connection.path.interface.index()),
            _ => None,
        }
    }

    /// A socket for a connection that this one's listener has received. `None` if there is one already.
    fn child(
        &self,
        cx: &mut Context<'_>,
        mut connection: Connection,
        claim: Option<Claim>,
    ) -> Option<Arc<Self>> {
        let key = connection.key;
        connection.events = Events::empty();
        let deadline = connection.deadline();
        let role = Role::Connected(Box::new(connection));
        let child = Self::new(&self.stack, self.family, 0, None, *cx.options, role);
        // The parent's lock is held and has the same level, but nobody else knows the child yet.
        if let Some(mut inner) = child.inner.try_lock() {
            inner.local = Some(key.local);
            inner.claim = claim;
            inner.was_connected = true;
            if deadline != NEVER {
                inner.timer = Some(cx.stack.set_timer(deadline, Timer::Tcp(Weak::clone(&child.me)), cx.out));
            }
        }
        let added = cx.stack.flows.insert(key, Flow::Socket(Arc::clone(&child)));
        added.then_some(child)
    }

    /// A segment for it. False if it is to be answered by a reset.
    pub(crate) fn input(
        &self,
        key: FlowKey,
        segment: &Segment,
        payload: Payload<'_>,
        least: Option<Seq>,
        now: Nanos,
        out: &mut Output,
    ) -> bool {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let orphan = inner.released;
        match &mut inner.role {
            Role::Idle => return false,
            Role::Connected(connection) => {
                if connection.key != key || connection.state == State::Closed {
                    return false;
                }
                let mut cx = Context { stack: &self.stack, now, options: &inner.options, out, orphan };
                connection.input(&mut cx, segment, payload);
            }
            Role::Listening(listener) => {
                let mut cx = Context { stack: &self.stack, now, options: &inner.options, out, orphan };
                match listener.input(&mut cx, key, segment, least) {
                    Verdict::Done => {}
                    Verdict::Reset => return false,
                    Verdict::Complete(handshake, path) => {
                        if let Some(connection) =
                            listener::open(&mut cx, key, path, &handshake, segment, payload)
                            && let Some(child) = self.child(&mut cx, connection, inner.claim.clone())
                        {
                            listener.queue.push_back(child);
                            out.notify(inner.notify.as_ref(), Events::READABLE);
                        }
                    }
                }
            }
        }
        self.settle(inner, now, out);
        true
    }

    /// Its timer is due.
    pub(crate) fn expire(&self, timer: TimerKey, now: Nanos, out: &mut Output) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if inner.timer != Some(timer) {
            return;
        }
        inner.timer = None;
        let mut cx =
            Context { stack: &self.stack, now, options: &inner.options, out, orphan: inner.released };
        match &mut inner.role {
            Role::Idle => {}
            Role::Listening(listener) => listener.expire(&mut cx, inner.local.map_or(0, |local| local.port)),
            Role::Connected(connection) => connection.expire(&mut cx),
        }
        self.settle(inner, now, out);
    }

    /// An ICMP error about a segment it sent.
    pub(crate) fn on_icmp(&self, seq: Seq, error: crate::icmp::Error, now: Nanos, out: &mut Output) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let Role::Connected(connection) = &mut inner.role else { return };
        // A forged one would have to guess (RFC 5927).
        if seq.before(connection.una) || seq.at_least(connection.nxt) {
            return;
        }
        let mut cx =
            Context { stack: &self.stack, now, options: &inner.options, out, orphan: inner.released };
        match error {
            crate::icmp::Error::TooBig(mtu) => connection.on_too_big(&mut cx, mtu),
            crate::icmp::Error::Unreachable { errno, .. } => connection.on_icmp(errno),
        }
        self.settle(inner, now, out);
    }

    /// After anything that may have changed the connection: ends, errors, notifications and the timer.
    pub(crate) fn settle(&self, inner: &mut Inner, now: Nanos, out: &mut Output) {
        let deadline = match &mut inner.role {
            Role::Idle => NEVER,
            Role::Listening(listener) => listener.deadline(),
            Role::Connected(_) => self.settle_connection(inner, now, out),
        };
        match inner.timer {
            Some(timer) if deadline == NEVER && inner.is_over() => {
                self.stack.timers.cancel(timer);
                inner.timer = None;
            }
            // Later is looked at when the timer that is set is due: most never get that far.
            Some(timer) if deadline >= timer.0 => {}
            _ if deadline == NEVER => {}
            timer => {
                if let Some(timer) = timer {
                    self.stack.timers.cancel(timer);
                }
                inner.timer = Some(self.stack.set_timer(deadline, Timer::Tcp(Weak::clone(&self.me)), out));
            }
        }
    }

    fn settle_connection(&self, inner: &mut Inner, now: Nanos, out: &mut Output) -> Nanos {
        let room = match &inner.role {
            Role::Connected(connection) => self.has_room(inner, connection),
            _ => return NEVER,
        };
        let Role::Connected(connection) = &mut inner.role else { return NEVER };
        let mut events = core::mem::take(&mut connection.events);
        if connection.state.is_synchronized() {
            inner.was_connected = true;
        }
        if let Some(error) = connection.error.take() {
            inner.error = Some(error);
            events |= Events::ERROR;
        }
        if connection.state == State::TimeWait {
            let claim = inner.claim.clone();
            self.stack.enter_time_wait(self, connection, claim, now, out);
            connection.state = State::Closed;
            connection.peer_fin = true;
            self.forget_connection(inner);
        } else if connection.state == State::Closed {
            let key = connection.key;
            self.stack.flows.remove(&key, |flow| flow.is_socket(self));
            self.forget_connection(inner);
        }
        if events.contains(Events::WRITABLE) && inner.was_connected && !inner.is_over() && !inner.connecting {
            // Only who ran out of room is told that there is some.
            if inner.wants_room && room {
                inner.wants_room = false;
            } else {
                events -= Events::WRITABLE;
            }
        }
        out.notify(inner.notify.as_ref(), events);
        match &inner.role {
            Role::Connected(connection) => connection.deadline(),
            _ => NEVER,
        }
    }

    /// The connection is over: its port is free, and if no program has the socket nothing is left.
    fn forget_connection(&self, inner: &mut Inner) {
        if inner.released {
            self.stack.orphans.fetch_sub(1, Ordering::Relaxed);
            inner.role = Role::Idle;
            inner.claim = None;
        } else if inner.claim.as_ref().is_some_and(|claim| !claim.is_bound()) {
            inner.claim = None;
        }
    }

    /// Its line in /proc/net/tcp.
    pub(crate) fn summary(&self) -> TcpSummary {
        let inner = self.inner.lock();
        let nowhere = Endpoint::new(self.family.unspecified(), 0);
        let scope = inner.options.device.unwrap_or(0);
        let mut summary = TcpSummary {
            local: inner.local.unwrap_or(nowhere).present(self.family, scope),
            remote: nowhere.present(self.family, scope),
            state: State::Closed,
            send_queue: 0,
            receive_queue: 0,
            timer: inner.timer.map(|timer| timer.0),
            retransmits: 0,
            cookie: inner.cookie,
        };
        match &inner.role {
            Role::Idle => {}
            Role::Listening(listener) => {
                summary.state = State::Listen;
                (summary.send_queue, summary.receive_queue) = (listener.backlog, listener.queue.len());
            }
            Role::Connected(connection) => {
                summary.state = connection.state;
                summary.remote = connection.key.remote.present(self.family, scope);
                (summary.send_queue, summary.receive_queue) = (connection.tx.len(), connection.rx.len());
                summary.retransmits = connection.timeouts;
            }
        }
        summary
    }

    /// Half-open connections of a listener, as lines.
    pub(crate) fn half_open(&self) -> alloc::vec::Vec<TcpSummary> {
        let inner = self.inner.lock();
        let Role::Listening(listener) = &inner.role else { return alloc::vec::Vec::new() };
        let port = inner.local.map_or(0, |local| local.port);
        let line = |(remote, addr): (Endpoint, core::net::IpAddr)| TcpSummary {
            local: Endpoint::new(addr, port).present(self.family, 0),
            remote: remote.present(self.family, 0),
            state: State::SynReceived,
            send_queue: 0,
            receive_queue: 0,
            timer: None,
            retransmits: 0,
            cookie: 0,
        };
        listener.half_open().map(line).collect()
    }
}

impl Inner {
    /// There is no connection, or it has ended.
    pub(crate) fn is_over(&self) -> bool {
        match &self.role {
            Role::Idle => true,
            Role::Listening(_) => false,
            Role::Connected(connection) => connection.state == State::Closed,
        }
    }

    /// The pending error, for the call that finds it.
    pub(crate) fn take_error(&mut self) -> Option<Errno> {
        self.error.take()
    }

    pub(crate) fn is_connecting(&self) -> bool {
        matches!(&self.role, Role::Connected(connection) if connection.state == State::SynSent)
    }

    pub(crate) fn was_connected(&self) -> bool {
        self.was_connected
    }
}

/// Resets connections that nobody accepted.
fn abandon(listener: Option<Box<Listener>>, now: Nanos) {
    let Some(listener) = listener else { return };
    for child in listener.queue {
        child.set_options(now, |options| options.linger = Some(0));
        child.close(now);
    }
}

/// The interface that a link-local address names.
pub(crate) fn scope_of(addr: &SocketAddr) -> Option<crate::InterfaceIndex> {
    match addr {
        SocketAddr::V6(addr) if addr.scope_id() != 0 && crate::addr::is_link_local((*addr.ip()).into()) => {
            Some(addr.scope_id())
        }
        _ => None,
    }
}
