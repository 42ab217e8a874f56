//! What happens to a socket: segments, time, errors of the network; and what follows from it.

use super::State;
use super::connection::{Connection, Context};
use super::flows::Flow;
use super::listener::{self, Verdict};
use super::receive_queue::Payload;
use super::segment::Segment;
use super::seq::Seq;
use super::socket::{Inner, Role, TcpSocket};
use crate::addr::{FlowKey, NEVER, Nanos};
use crate::notify::Events;
use crate::output::Output;
use crate::ports::Claim;
use crate::timer::{Timer, TimerKey};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;

impl TcpSocket {
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
}
