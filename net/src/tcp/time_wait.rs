//! Connections in TIME-WAIT: a record each, for 60 seconds (RFC 9293, section 3.6.1; RFC 6191).

use super::State;
use super::connection::{Connection, timestamp};
use super::flows::{Flow, Flows};
use super::info::TcpSummary;
use super::segment::{Flags, Segment};
use super::seq::Seq;
use crate::addr::{Endpoint, Family, FlowKey, Nanos, SECOND};
use crate::lock_level;
use crate::output::Output;
use crate::ports::Claim;
use crate::stack::Stack;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use husk_machine::sync::SpinLock;

/// How long (TCP_TIMEWAIT_LEN).
pub(crate) const LENGTH: Nanos = 60 * SECOND;

/// What is left of a connection.
#[derive(Clone)]
pub(crate) struct TimeWait {
    pub(crate) key: FlowKey,
    pub(crate) nxt: Seq,
    pub(crate) rcv_nxt: Seq,
    rx_window: u16,
    timestamps: bool,
    ts_recent: u32,
    ts_offset: u32,
    since: Nanos,
    /// Which entry of the queue is its.
    serial: u64,
    /// The port stays taken.
    _claim: Option<Arc<Claim>>,
}

/// The records in the order in which they end.
pub(crate) struct TimeWaits {
    queue: SpinLock<Queue>,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<(Nanos, FlowKey, u64)>,
    serial: u64,
    timer: bool,
}

/// What a segment for a record leads to.
pub(crate) enum Outcome {
    /// Nothing.
    Ignore,
    /// It is answered by an acknowledgement.
    Acknowledge,
    /// It is a reset: the record ends.
    End,
    /// It begins a new connection, whose first sequence number must be larger than this.
    Reopen(Seq),
}

impl TimeWait {
    pub(crate) fn new(connection: &Connection, claim: Option<Claim>, now: Nanos) -> Self {
        Self {
            key: connection.key,
            nxt: connection.nxt,
            rcv_nxt: connection.rcv_nxt,
            rx_window: (connection.rcv_edge.distance(connection.rcv_nxt) >> connection.rx_shift).min(65_535)
                as u16,
            timestamps: connection.timestamps,
            ts_recent: connection.ts_recent,
            ts_offset: connection.ts_offset,
            since: now,
            serial: 0,
            _claim: claim.map(Arc::new),
        }
    }

    pub(crate) fn input(&mut self, segment: &Segment, now: Nanos) -> Outcome {
        let old_timestamp = self.timestamps
            && segment.timestamp.is_some_and(|(value, _)| (value.wrapping_sub(self.ts_recent) as i32) < 0);
        if segment.has(Flags::SYN) && !segment.has(Flags::RST) && !segment.has(Flags::ACK) && !old_timestamp {
            let newer_timestamp = self.timestamps
                && segment
                    .timestamp
                    .is_some_and(|(value, _)| (value.wrapping_sub(self.ts_recent) as i32) > 0);
            if segment.seq.after(self.rcv_nxt) || newer_timestamp {
                return Outcome::Reopen(self.nxt + 65_537);
            }
        }
        if segment.has(Flags::RST) {
            // Only one that is exactly right (RFC 1337 would ignore it; Linux does not by default).
            return if segment.seq == self.rcv_nxt { Outcome::End } else { Outcome::Ignore };
        }
        if segment.has(Flags::FIN) && segment.end() == self.rcv_nxt {
            // The last acknowledgement was lost: wait anew.
            self.since = now;
        }
        if segment.space() > 0 || old_timestamp || segment.has(Flags::SYN) {
            return Outcome::Acknowledge;
        }
        Outcome::Ignore
    }

    /// The acknowledgement that answers for the connection.
    pub(crate) fn acknowledgement(&self, now: Nanos) -> Segment {
        Segment {
            from_port: self.key.local.port,
            to_port: self.key.remote.port,
            seq: self.nxt,
            ack: self.rcv_nxt,
            flags: Flags::ACK,
            window: self.rx_window,
            timestamp: self.timestamps.then(|| (timestamp(self.ts_offset, now), self.ts_recent)),
            ..Segment::default()
        }
    }

    /// Its line in /proc/net/tcp.
    pub(crate) fn summary(&self) -> TcpSummary {
        let present =
            |end: Endpoint| end.present(if end.addr.is_ipv4() { Family::V4 } else { Family::V6 }, 0);
        TcpSummary {
            local: present(self.key.local),
            remote: present(self.key.remote),
            state: State::TimeWait,
            send_queue: 0,
            receive_queue: 0,
            timer: Some(self.end()),
            retransmits: 0,
            cookie: 0,
        }
    }

    /// When it ends.
    pub(crate) fn end(&self) -> Nanos {
        self.since + LENGTH
    }

    /// Whether a new connection of this machine may take its place (tcp_tw_reuse): a second later, by its timestamps.
    pub(crate) fn may_reuse(&self, now: Nanos, allowed: bool) -> Option<Seq> {
        (allowed && self.timestamps && now > self.since + SECOND).then(|| self.nxt + 65_537)
    }
}

impl TimeWaits {
    pub(crate) fn new() -> Self {
        Self { queue: SpinLock::with_level(lock_level::TIME_WAIT, Queue::default()) }
    }

    /// Counts a record in. The answer is the number it gets and whether a timer is needed, or nothing if there are
    /// too many.
    pub(crate) fn admit(&self, key: FlowKey, now: Nanos, most: usize) -> Option<(u64, bool)> {
        let mut queue = self.queue.lock();
        if queue.entries.len() >= most {
            return None;
        }
        queue.serial += 1;
        let serial = queue.serial;
        queue.entries.push_back((now + LENGTH, key, serial));
        let needs_timer = !core::mem::replace(&mut queue.timer, true);
        Some((serial, needs_timer))
    }

    /// Ends those whose time is over. The answer is when the next does.
    pub(crate) fn expire(&self, flows: &Flows, now: Nanos) -> Option<Nanos> {
        loop {
            let (end, key, serial) = {
                let mut queue = self.queue.lock();
                match queue.entries.front() {
                    Some(&(end, ..)) if end > now => return Some(end),
                    Some(_) => {}
                    None => {
                        queue.timer = false;
                        queue.entries = VecDeque::new();
                        return None;
                    }
                }
                queue.entries.pop_front()?
            };
            // It may have been answered since, and then waits anew; or it is not there any more.
            let later = flows
                .with_time_wait(&key, |record| (record.serial == serial).then(|| record.end()))
                .flatten();
            match later {
                Some(later) if later > end => {
                    let mut queue = self.queue.lock();
                    // Sorted: a few at the end may be earlier than this one, which only makes them late.
                    queue.entries.push_back((later.max(now + 1), key, serial));
                }
                Some(_) => {
                    flows.remove(
                        &key,
                        |flow| matches!(flow, Flow::TimeWait(record) if record.serial == serial),
                    );
                }
                None => {}
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.lock().entries.len()
    }
}

impl Stack {
    /// Puts a connection that has just come to TIME-WAIT aside.
    pub(crate) fn enter_time_wait(
        &self,
        socket: &super::TcpSocket,
        connection: &Connection,
        claim: Option<Claim>,
        now: Nanos,
        out: &mut Output,
    ) {
        let most = self.settings.max_time_wait() as usize;
        let Some((serial, needs_timer)) = self.time_waits.admit(connection.key, now, most) else {
            self.flows.remove(&connection.key, |flow| flow.is_socket(socket));
            return;
        };
        let record = TimeWait { serial, ..TimeWait::new(connection, claim, now) };
        self.flows.replace(&connection.key, socket, alloc::boxed::Box::new(record));
        if needs_timer {
            self.set_timer(now + LENGTH, crate::timer::Timer::TimeWait, out);
        }
    }
}
