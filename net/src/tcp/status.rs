//! What a socket says of itself, and its options.

use super::State;
use super::connection::{Connection, Context};
use super::info::{TcpInfo, TcpSummary};
use super::options::Options;
use super::socket::{Inner, Role, TcpSocket};
use crate::Result;
use crate::addr::{Endpoint, NEVER, Nanos};
use crate::notify::Events;
use crate::output::Output;
use core::net::SocketAddr;
use husk_abi::{Errno, err};

impl TcpSocket {
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

    pub(crate) fn has_room(&self, inner: &Inner, connection: &Connection) -> bool {
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
