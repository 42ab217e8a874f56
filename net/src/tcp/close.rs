//! shutdown(2), close(2), and starting over.

use super::State;
use super::connection::Context;
use super::listener::Listener;
use super::options::Shutdown;
use super::socket::{Inner, Role, TcpSocket};
use crate::Result;
use crate::addr::Nanos;
use crate::notify::Events;
use crate::output::Output;
use alloc::boxed::Box;
use core::sync::atomic::Ordering;
use husk_abi::err;

impl TcpSocket {
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
    pub(crate) fn stop_listening(&self, inner: &mut Inner) -> Option<Box<Listener>> {
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
}

/// Resets connections that nobody accepted.
fn abandon(listener: Option<Box<Listener>>, now: Nanos) {
    let Some(listener) = listener else { return };
    for child in listener.queue {
        child.set_options(now, |options| options.linger = Some(0));
        child.close(now);
    }
}
