//! A TCP socket: names, listening, connecting, closing. Reading and writing are in [`stream`](super::stream).

use super::State;
use super::connection::Connection;
use super::listener::Listener;
use super::options::Options;
use crate::Result;
use crate::addr::{Endpoint, Family, canonical};
use crate::lock_level;
use crate::notify::Notify;
use crate::ports::{Binding, Claim, fits};
use crate::stack::Stack;
use crate::timer::TimerKey;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::net::SocketAddr;
use husk_abi::{Errno, err};
use husk_machine::sync::{Mutex, SpinLock};

/// A TCP socket, in any state. Its methods never wait for the network: what cannot be done now is EAGAIN, and the socket's
/// [`Notify`] tells when to try again. They are called with no lock of the stack held and no spin lock at all.
///
/// Whoever made it calls [`close`](Self::close) when the last descriptor is gone.
pub struct TcpSocket {
    pub(crate) stack: Arc<Stack>,
    pub(crate) me: Weak<TcpSocket>,
    pub(crate) family: Family,
    pub(crate) inner: SpinLock<Inner>,
    /// Held while a program's bytes are taken, so that writes do not mix. Sleeping.
    pub(crate) writer: Mutex<()>,
    /// Held while bytes are given to a program. Sleeping.
    pub(crate) reader: Mutex<()>,
}

pub(crate) struct Inner {
    pub(crate) role: Role,
    pub(crate) options: Options,
    pub(crate) notify: Option<Arc<dyn Notify>>,
    pub(crate) cookie: u64,
    pub(crate) claim: Option<Claim>,
    /// The own address, from bind(2) or the connection.
    pub(crate) local: Option<Endpoint>,
    /// bind(2) named an address.
    pub(crate) addr_bound: bool,
    /// For SO_ERROR.
    pub(crate) error: Option<Errno>,
    /// connect(2) was called and has not said yet that it is done.
    pub(crate) connecting: bool,
    /// A connection was there once.
    pub(crate) was_connected: bool,
    pub(crate) read_shut: bool,
    pub(crate) write_shut: bool,
    /// The program has closed it.
    pub(crate) released: bool,
    /// A program wants to be told when there is room to write.
    pub(crate) wants_room: bool,
    pub(crate) timer: Option<TimerKey>,
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
    pub(crate) fn new(
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
