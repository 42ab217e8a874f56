//! A listening socket: half-open connections, the queue of those to be accepted, and the table of listeners.

use super::State;
use super::connection::{Connection, Context, DEFAULT_MSS, Handshake, syn_window, window_shift};
use super::cookie;
use super::receive_queue::Payload;
use super::segment::{Flags, Segment};
use super::seq::Seq;
use super::socket::TcpSocket;
use crate::addr::{Endpoint, FlowKey, NEVER, Nanos, SECOND};
use crate::interface::InterfaceIndex;
use crate::lock_level;
use crate::route::Path;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use husk_machine::sync::SpinLock;

/// The protocol half of a listening socket.
pub(crate) struct Listener {
    pub(crate) backlog: usize,
    /// Half-open connections.
    requests: BTreeMap<(Endpoint, IpAddr), Request>,
    /// When each is due to be answered again.
    due: BTreeMap<(Nanos, u64), (Endpoint, IpAddr)>,
    serial: u64,
    /// Connections that wait for accept(2).
    pub(crate) queue: VecDeque<Arc<TcpSocket>>,
    /// Cookies sent until then may still come back.
    cookies_until: Nanos,
}

/// A half-open connection.
struct Request {
    handshake: Handshake,
    path: Path,
    retries: u32,
    due: (Nanos, u64),
    ts_offset: u32,
}

/// What a segment for a listener leads to.
pub(crate) enum Verdict {
    Done,
    /// It is to be answered by a reset.
    Reset,
    /// The handshake is complete.
    Complete(Handshake, Path),
}

impl Listener {
    pub(crate) fn new(backlog: usize) -> Self {
        Self {
            backlog,
            requests: BTreeMap::new(),
            due: BTreeMap::new(),
            serial: 0,
            queue: VecDeque::new(),
            cookies_until: 0,
        }
    }

    /// Takes a segment that belongs to no flow. `least` is what the sequence numbers of a new connection must exceed, if it
    /// takes the place of an old one.
    pub(crate) fn input(
        &mut self,
        cx: &mut Context<'_>,
        key: FlowKey,
        segment: &Segment,
        least: Option<Seq>,
    ) -> Verdict {
        let id = (key.remote, key.local.addr);
        if segment.has(Flags::RST) {
            let hit = self.requests.get(&id).is_some_and(|r| segment.seq == r.handshake.irs + 1);
            if hit {
                self.forget(id);
            }
            return Verdict::Done;
        }
        if segment.has(Flags::SYN) {
            if segment.has(Flags::ACK) {
                return Verdict::Reset;
            }
            self.on_syn(cx, key, segment, least);
            return Verdict::Done;
        }
        if !segment.has(Flags::ACK) {
            return Verdict::Done;
        }
        self.on_ack(cx, key, segment)
    }

    fn on_syn(&mut self, cx: &mut Context<'_>, key: FlowKey, segment: &Segment, least: Option<Seq>) {
        let id = (key.remote, key.local.addr);
        if let Some(request) = self.requests.get(&id) {
            if request.handshake.irs == segment.seq {
                // The answer was lost.
                send_syn_ack(cx, key, &request.path, &request.handshake, request.stamp(cx.now));
                return;
            }
            self.forget(id);
        }
        if self.queue.len() > self.backlog {
            cx.stack.snmp.listen_overflow();
            return;
        }
        let Ok(path) = cx.stack.path(key.remote.addr, cx.options.device, Some(key.local.addr)) else {
            return;
        };
        let settings = &cx.stack.settings;
        let scale = segment.window_scale.filter(|_| settings.window_scaling() != 0);
        let mut handshake = Handshake {
            iss: least.unwrap_or_else(|| cx.stack.initial_sequence(&key, cx.now)),
            irs: segment.seq,
            peer_mss: segment.mss.unwrap_or(DEFAULT_MSS),
            scale: scale.map(|theirs| (theirs, window_shift(cx))),
            sack: segment.sack_permitted && settings.sack() != 0,
            timestamp: segment.timestamp.filter(|_| settings.timestamps() != 0).map(|(value, _)| value),
            sent: Some(cx.now),
        };
        let ts_offset = cx.stack.timestamp_offset(&key);
        let most = self.backlog.max(1).min(settings.max_syn_backlog() as usize);
        if self.requests.len() >= most {
            if settings.syn_cookies() == 0 {
                cx.stack.snmp.listen_drop();
                return;
            }
            // The queue is full: remember nothing.
            handshake.iss = cookie::make(&cx.stack.cookie_key, &key, segment.seq, handshake.peer_mss, cx.now);
            if handshake.timestamp.is_none() {
                (handshake.scale, handshake.sack) = (None, false);
            }
            let theirs = handshake.scale.map(|scale| scale.0);
            let stamp = cookie::stamp(ts_offset, cx.now, theirs, handshake.sack);
            self.cookies_until = cx.now + cookie::LIFE;
            cx.stack.snmp.syn_cookie_sent();
            send_syn_ack(cx, key, &path, &handshake, stamp);
            return;
        }
        let due = (cx.now + SECOND, self.serial);
        self.serial += 1;
        let request = Request { handshake, path, retries: 0, due, ts_offset };
        send_syn_ack(cx, key, &request.path, &handshake, request.stamp(cx.now));
        self.due.insert(due, id);
        self.requests.insert(id, request);
    }

    fn on_ack(&mut self, cx: &mut Context<'_>, key: FlowKey, segment: &Segment) -> Verdict {
        let id = (key.remote, key.local.addr);
        let Some(request) = self.requests.get(&id) else { return self.on_cookie(cx, key, segment) };
        let mut handshake = request.handshake;
        if segment.ack != handshake.iss + 1 {
            return Verdict::Reset;
        }
        if segment.seq.before(handshake.irs + 1) || segment.seq.after(handshake.irs + 1 + 65_535) {
            return Verdict::Done;
        }
        if self.queue.len() > self.backlog {
            // The peer believes it is connected; it will send again, or answer the SYN-ACK that comes again.
            cx.stack.snmp.listen_overflow();
            return Verdict::Done;
        }
        let waited =
            cx.options.defer_accept != 0 && request.retries <= defer_retries(cx.options.defer_accept);
        if waited && segment.len == 0 && !segment.has(Flags::FIN) {
            // TCP_DEFER_ACCEPT: a connection counts when data comes.
            return Verdict::Done;
        }
        if request.retries > 0 {
            // It cannot be told which of them is answered.
            handshake.sent = None;
        }
        let path = request.path.clone();
        self.forget(id);
        Verdict::Complete(handshake, path)
    }

    fn on_cookie(&mut self, cx: &mut Context<'_>, key: FlowKey, segment: &Segment) -> Verdict {
        if cx.now >= self.cookies_until {
            return Verdict::Reset;
        }
        let (irs, iss) = (segment.seq - 1, segment.ack - 1);
        let Some(peer_mss) = cookie::check(&cx.stack.cookie_key, &key, irs, iss, cx.now) else {
            cx.stack.snmp.syn_cookie_failed();
            return Verdict::Reset;
        };
        if self.queue.len() > self.backlog {
            cx.stack.snmp.listen_overflow();
            return Verdict::Done;
        }
        let Ok(path) = cx.stack.path(key.remote.addr, cx.options.device, Some(key.local.addr)) else {
            return Verdict::Done;
        };
        cx.stack.snmp.syn_cookie_received();
        let (shift, sack) = match segment.timestamp {
            Some((_, echo)) => cookie::options(cx.stack.timestamp_offset(&key), echo),
            None => (None, false),
        };
        let scale = shift.map(|theirs| (theirs, window_shift(cx)));
        let timestamp = segment.timestamp.map(|(value, _)| value);
        Verdict::Complete(Handshake { iss, irs, peer_mss, scale, sack, timestamp, sent: None }, path)
    }

    fn forget(&mut self, id: (Endpoint, IpAddr)) {
        if let Some(request) = self.requests.remove(&id) {
            self.due.remove(&request.due);
        }
    }

    /// When the next SYN-ACK is to be sent again.
    pub(crate) fn deadline(&self) -> Nanos {
        self.due.first_key_value().map_or(NEVER, |(key, _)| key.0)
    }

    /// Sends SYN-ACKs again that are due, and gives up those that were sent often enough.
    pub(crate) fn expire(&mut self, cx: &mut Context<'_>, local_port: u16) {
        let most = cx.stack.settings.synack_retries();
        while let Some((&due, &id)) = self.due.first_key_value() {
            if due.0 > cx.now {
                return;
            }
            self.due.remove(&due);
            let Some(request) = self.requests.get_mut(&id) else { continue };
            request.retries += 1;
            if request.retries > most {
                self.requests.remove(&id);
                continue;
            }
            request.due = (cx.now + (SECOND << request.retries.min(6)), due.1);
            self.due.insert(request.due, id);
            let key = FlowKey { local: Endpoint::new(id.1, local_port), remote: id.0 };
            cx.stack.snmp.retransmitted();
            send_syn_ack(cx, key, &request.path, &request.handshake, request.stamp(cx.now));
        }
    }

    /// Half-open connections: the other end, and the own address.
    pub(crate) fn half_open(&self) -> impl Iterator<Item = (Endpoint, IpAddr)> + '_ {
        self.requests.keys().copied()
    }
}

impl Request {
    fn stamp(&self, now: Nanos) -> u32 {
        super::connection::timestamp(self.ts_offset, now)
    }
}

/// After how many SYN-ACKs a connection without data counts all the same (Linux turns the seconds into retries).
fn defer_retries(seconds: u32) -> u32 {
    let (mut retries, mut total, mut step) = (1, 1, 1);
    while total < seconds && retries < 30 {
        step = (step * 2).min(64);
        total += step;
        retries += 1;
    }
    retries
}

fn send_syn_ack(cx: &mut Context<'_>, key: FlowKey, path: &Path, handshake: &Handshake, stamp: u32) {
    let mtu = path.interface.packet_limit();
    let own = mtu.saturating_sub(crate::ip::header_len(key.remote.addr) + 20).min(65_535) as u16;
    let mss = if cx.options.max_segment != 0 { own.min(cx.options.max_segment) } else { own };
    let segment = Segment {
        from_port: key.local.port,
        to_port: key.remote.port,
        seq: handshake.iss,
        ack: handshake.irs + 1,
        flags: Flags::SYN | Flags::ACK,
        window: syn_window(cx.options.receive_limit(&cx.stack.settings)) as u16,
        mss: Some(mss),
        window_scale: handshake.scale.map(|scale| scale.1),
        sack_permitted: handshake.sack,
        timestamp: handshake.timestamp.map(|theirs| (stamp, theirs)),
        ..Segment::default()
    };
    cx.stack.send_segment(cx.out, key, path, &segment);
}

/// Makes a connection of a finished handshake and gives it the segment that finished it.
pub(crate) fn open(
    cx: &mut Context<'_>,
    key: FlowKey,
    path: Path,
    handshake: &Handshake,
    segment: &Segment,
    payload: Payload<'_>,
) -> Option<Connection> {
    let mut connection = Connection::accepted(cx, key, path, handshake);
    connection.input(cx, segment, payload);
    if connection.state == State::Closed {
        return None;
    }
    cx.stack.snmp.passive_open();
    Some(connection)
}

/// Who listens where.
pub(crate) struct Listeners {
    table: SpinLock<BTreeMap<u16, Vec<Entry>>>,
}

struct Entry {
    /// The wildcard of its family if it is unspecified.
    addr: IpAddr,
    v6_only: bool,
    device: Option<InterfaceIndex>,
    socket: Arc<TcpSocket>,
}

impl Listeners {
    pub(crate) fn new() -> Self {
        Self { table: SpinLock::with_level(lock_level::LISTENERS, BTreeMap::new()) }
    }

    pub(crate) fn add(
        &self,
        local: Endpoint,
        v6_only: bool,
        device: Option<InterfaceIndex>,
        socket: Arc<TcpSocket>,
    ) {
        let entry = Entry { addr: local.addr, v6_only, device, socket };
        self.table.lock().entry(local.port).or_default().push(entry);
    }

    pub(crate) fn remove(&self, port: u16, socket: &TcpSocket) {
        let mut table = self.table.lock();
        let Some(entries) = table.get_mut(&port) else { return };
        let at = entries.iter().position(|entry| core::ptr::eq(Arc::as_ptr(&entry.socket), socket));
        let removed = at.map(|at| entries.remove(at));
        if entries.is_empty() {
            table.remove(&port);
        }
        drop(table);
        drop(removed);
    }

    /// The listener for a segment: the most specific one, and of several equal ones (SO_REUSEPORT) the one that `hash` chooses.
    pub(crate) fn find(
        &self,
        local: Endpoint,
        interface: InterfaceIndex,
        hash: u64,
    ) -> Option<Arc<TcpSocket>> {
        let table = self.table.lock();
        let entries = table.get(&local.port)?;
        let best = entries.iter().filter_map(|entry| entry.score(local.addr, interface)).max()?;
        let equal = || entries.iter().filter(|entry| entry.score(local.addr, interface) == Some(best));
        let count = equal().count();
        equal().nth((hash >> 8) as usize % count).map(|entry| Arc::clone(&entry.socket))
    }

    pub(crate) fn list(&self) -> Vec<Arc<TcpSocket>> {
        self.table.lock().values().flatten().map(|entry| Arc::clone(&entry.socket)).collect()
    }
}

impl Entry {
    fn score(&self, addr: IpAddr, interface: InterfaceIndex) -> Option<u8> {
        if self.device.is_some_and(|device| device != interface) {
            return None;
        }
        let device = u8::from(self.device.is_some());
        let by_addr = if self.addr == addr {
            4
        } else if !self.addr.is_unspecified() || (self.addr.is_ipv4() && addr.is_ipv6()) {
            return None;
        } else if self.addr.is_ipv4() == addr.is_ipv4() {
            2
        } else if self.v6_only {
            return None;
        } else {
            0
        };
        Some(8 * device + by_addr)
    }
}
