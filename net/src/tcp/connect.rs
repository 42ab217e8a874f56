//! connect(2).

use super::State;
use super::connection::{Connection, Context};
use super::flows::{Flow, Found};
use super::seq::Seq;
use super::socket::{Inner, Role, TcpSocket};
use crate::Result;
use crate::addr::{Endpoint, FlowKey, Nanos, canonical};
use crate::output::Output;
use crate::ports::{Claim, fits};
use alloc::boxed::Box;
use core::net::SocketAddr;
use husk_abi::{Errno, err};

impl TcpSocket {
    /// connect(2). Calling it again tells how it went, as in Linux: once `Ok`, then EISCONN.
    ///
    /// # Errors
    /// EINPROGRESS the first time: WRITABLE comes when it is decided. EALREADY while it is not. EISCONN if it is connected or listens; what
    /// the network said (ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH); EADDRNOTAVAIL without a free port or address; EAFNOSUPPORT;
    /// EINVAL if it is bound to an address of the other family.
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
            match self.stack.flows.find(&key) {
                Found::Nobody => true,
                Found::TimeWait => {
                    let record = self.stack.flows.with_time_wait(&key, |record| record.may_reuse(now, reuse));
                    least = record.flatten();
                    least.is_some()
                }
                Found::Socket(_) => false,
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
