//! One TCP connection: its variables (RFC 9293, section 3.3.1), how it begins, and what a program does to it.
//!
//! What arrives is handled in [`input`](super::input), what is sent in [`output`](super::output), what time does in
//! [`timers`](super::timers).

use super::congestion::Congestion;
use super::ranges::Ranges;
use super::receive_queue::ReceiveQueue;
use super::rtt::Rtt;
use super::segment::{Flags, HEADER, TIMESTAMP_LEN};
use super::send_queue::SendQueue;
use super::seq::Seq;
use super::{Options, State};
use crate::addr::{FlowKey, MILLISECOND, NEVER, Nanos};
use crate::ip;
use crate::notify::Events;
use crate::output::Output;
use crate::route::Path;
use crate::stack::Stack;
use alloc::vec::Vec;
use husk_abi::Errno;

/// The segment size that must work without being told (RFC 9293, section 3.7.1), IPv4.
pub(crate) const DEFAULT_MSS: u16 = 536;
/// The smallest segment size that a peer is believed (TCP_MIN_SND_MSS is 48 with options).
pub(crate) const MIN_MSS: usize = 48;
/// Segments acknowledged at once when a connection is young (TCP_MAX_QUICKACKS).
pub(crate) const QUICK_ACKS: u8 = 16;

/// What a connection needs of its surroundings while something happens to it.
pub(crate) struct Context<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) now: Nanos,
    pub(crate) options: &'a Options,
    pub(crate) out: &'a mut Output,
    /// No program has it open.
    pub(crate) orphan: bool,
}

/// How losses are being repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// They are not.
    Open,
    /// Acknowledgements told of a loss; over when `.0` is acknowledged (RFC 6675).
    Fast(Seq),
    /// A timeout did.
    Loss(Seq),
}

/// The probe of the last segments before a timeout (RFC 8985, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TailProbe {
    None,
    /// The timer is for it.
    Waiting,
    Sent,
}

/// A connection.
pub(crate) struct Connection {
    pub(crate) key: FlowKey,
    pub(crate) state: State,
    pub(crate) path: Path,
    /// What happened since the socket looked last.
    pub(crate) events: Events,
    pub(crate) error: Option<Errno>,
    /// An error that ICMP told and that may pass; reported if the connection times out.
    pub(crate) soft_error: Option<Errno>,

    // Sending.
    pub(crate) iss: Seq,
    /// First not acknowledged.
    pub(crate) una: Seq,
    /// First never sent.
    pub(crate) nxt: Seq,
    /// Of the first byte of `tx`.
    pub(crate) tx_seq: Seq,
    pub(crate) tx: SendQueue,
    /// The program sends no more: FIN comes after what is in `tx`.
    pub(crate) fin_queued: bool,
    pub(crate) fin_sent: bool,
    /// The peer's window from `una` on, in bytes.
    pub(crate) window: usize,
    pub(crate) max_window: usize,
    pub(crate) wl1: Seq,
    pub(crate) wl2: Seq,
    pub(crate) tx_shift: u8,
    pub(crate) peer_mss: u16,
    /// Bytes of payload of a full segment.
    pub(crate) mss: usize,
    /// The path's MTU where it is known to be less than the interface's.
    pub(crate) path_mtu: usize,
    pub(crate) congestion: Congestion,
    pub(crate) window_limited: bool,
    pub(crate) last_sent: Nanos,
    /// More follows soon (MSG_MORE): up to here is only sent in full segments.
    pub(crate) more_until: Option<Seq>,

    // Repairing losses.
    pub(crate) recovery: Recovery,
    pub(crate) sacked: Ranges,
    /// Before this, what is not in `sacked` counts as lost.
    pub(crate) lost_to: Seq,
    /// Before this, what was lost has been sent again.
    pub(crate) resent_to: Seq,
    /// `nxt` when something was sent again last: if what was sent after it arrives, the repair was lost too.
    pub(crate) resent_mark: Seq,
    /// The timer is for a probe of the tail, or that has been sent.
    pub(crate) tail_probe: TailProbe,
    pub(crate) dup_acks: u32,
    pub(crate) rtt: Rtt,
    /// The end of a segment whose round trip is being measured, and when it was sent.
    pub(crate) timed: Option<(Seq, Nanos)>,
    /// Timeouts since something was acknowledged.
    pub(crate) timeouts: u32,
    /// Since when nothing has been acknowledged that should have been.
    pub(crate) stuck_since: Nanos,
    pub(crate) total_resent: u32,

    // Receiving.
    pub(crate) irs: Seq,
    pub(crate) rcv_nxt: Seq,
    /// The end of the window that the peer was told.
    pub(crate) rcv_edge: Seq,
    pub(crate) rx: ReceiveQueue,
    pub(crate) rx_shift: u8,
    pub(crate) peer_fin: bool,
    /// Bytes of payload that may wait for the program.
    pub(crate) rx_limit: usize,
    /// The largest payload seen lately, up to what was offered as segment size.
    pub(crate) rx_mss: usize,
    /// Bytes received since the last acknowledgement was sent.
    pub(crate) unacked: usize,
    pub(crate) quick_acks: u8,
    /// The program answers what it gets: acknowledgements wait to go with the answers.
    pub(crate) ping_pong: bool,
    /// Bytes of payload of the segment before.
    pub(crate) last_len: usize,
    pub(crate) tuning: Tuning,

    // Options that both agreed on.
    pub(crate) sack: bool,
    pub(crate) timestamps: bool,
    pub(crate) ts_offset: u32,
    pub(crate) ts_recent: u32,
    pub(crate) ts_recent_at: Nanos,
    pub(crate) challenge_at: Nanos,

    // Deadlines.
    pub(crate) resend_at: Nanos,
    pub(crate) probe_at: Nanos,
    pub(crate) ack_at: Nanos,
    pub(crate) keepalive_at: Nanos,
    pub(crate) close_at: Nanos,
    pub(crate) last_received: Nanos,
    pub(crate) keepalive_probes: u32,
    pub(crate) counters: Counters,
}

/// How much a program reads in a round trip, by which its buffer grows (Linux's dynamic right-sizing).
#[derive(Debug, Default)]
pub(crate) struct Tuning {
    pub(crate) since: Nanos,
    pub(crate) copied: usize,
    /// A window's worth was received at this sequence number: then a round trip is over.
    pub(crate) mark: Seq,
    pub(crate) mark_at: Nanos,
    pub(crate) rtt: Nanos,
}

/// What TCP_INFO counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) bytes_acked: u64,
    pub(crate) bytes_received: u64,
    pub(crate) segments_out: u32,
    pub(crate) segments_in: u32,
    pub(crate) data_segments_out: u32,
    pub(crate) data_segments_in: u32,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_resent: u64,
}

/// What was agreed when the connection began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handshake {
    pub(crate) iss: Seq,
    pub(crate) irs: Seq,
    pub(crate) peer_mss: u16,
    /// Of the peer's and of the own windows, if both scale them.
    pub(crate) scale: Option<(u8, u8)>,
    pub(crate) sack: bool,
    /// The peer's last value.
    pub(crate) timestamp: Option<u32>,
    /// When the SYN-ACK was sent, if its round trip can be told.
    pub(crate) sent: Option<Nanos>,
}

impl Connection {
    fn new(cx: &Context<'_>, key: FlowKey, path: Path, iss: Seq) -> Self {
        let settings = &cx.stack.settings;
        let rx_limit = cx.options.receive_limit(settings);
        Self {
            key,
            state: State::Closed,
            path,
            events: Events::empty(),
            error: None,
            soft_error: None,
            iss,
            una: iss,
            nxt: iss,
            tx_seq: iss + 1,
            tx: SendQueue::default(),
            fin_queued: false,
            fin_sent: false,
            window: 0,
            max_window: 0,
            wl1: Seq(0),
            wl2: Seq(0),
            tx_shift: 0,
            peer_mss: DEFAULT_MSS,
            mss: usize::from(DEFAULT_MSS),
            path_mtu: usize::MAX,
            congestion: Congestion::new(usize::from(DEFAULT_MSS)),
            window_limited: false,
            last_sent: cx.now,
            more_until: None,
            recovery: Recovery::Open,
            sacked: Ranges::default(),
            lost_to: iss,
            resent_to: iss,
            resent_mark: iss,
            tail_probe: TailProbe::None,
            dup_acks: 0,
            rtt: Rtt::default(),
            timed: None,
            timeouts: 0,
            stuck_since: NEVER,
            total_resent: 0,
            irs: Seq(0),
            rcv_nxt: Seq(0),
            rcv_edge: Seq(0),
            rx: ReceiveQueue::default(),
            rx_shift: 0,
            peer_fin: false,
            rx_limit,
            rx_mss: usize::from(DEFAULT_MSS),
            unacked: 0,
            quick_acks: QUICK_ACKS,
            ping_pong: false,
            last_len: 0,
            tuning: Tuning::default(),
            sack: settings.sack() != 0,
            timestamps: settings.timestamps() != 0,
            ts_offset: cx.stack.timestamp_offset(&key),
            ts_recent: 0,
            ts_recent_at: 0,
            challenge_at: 0,
            resend_at: NEVER,
            probe_at: NEVER,
            ack_at: NEVER,
            keepalive_at: NEVER,
            close_at: NEVER,
            last_received: cx.now,
            keepalive_probes: 0,
            counters: Counters::default(),
        }
    }

    /// An active opening: sends a SYN.
    pub(crate) fn connect(cx: &mut Context<'_>, key: FlowKey, path: Path, iss: Seq) -> Self {
        let mut connection = Self::new(cx, key, path, iss);
        connection.state = State::SynSent;
        connection.rx_shift = window_shift(cx);
        connection.send_syn(cx);
        connection.resend_at = cx.now + connection.rtt.timeout();
        connection
    }

    /// A passive opening whose handshake is done but for the segment that has the last acknowledgement, which is to be
    /// [given to it](Self::input) next.
    pub(crate) fn accepted(cx: &Context<'_>, key: FlowKey, path: Path, handshake: &Handshake) -> Self {
        let mut connection = Self::new(cx, key, path, handshake.iss);
        connection.state = State::SynReceived;
        connection.nxt = handshake.iss + 1;
        connection.irs = handshake.irs;
        connection.rcv_nxt = handshake.irs + 1;
        connection.peer_mss = handshake.peer_mss;
        (connection.tx_shift, connection.rx_shift) = handshake.scale.unwrap_or((0, 0));
        connection.sack = handshake.sack;
        connection.timestamps = handshake.timestamp.is_some();
        connection.ts_recent = handshake.timestamp.unwrap_or(0);
        connection.ts_recent_at = cx.now;
        connection.timed = handshake.sent.map(|at| (connection.nxt, at));
        connection.wl1 = handshake.irs;
        connection.wl2 = handshake.iss;
        // What the SYN-ACK offered.
        connection.rcv_edge = connection.rcv_nxt + syn_window(connection.rx_limit);
        connection.tuning.mark = connection.rcv_nxt + connection.rx_limit;
        connection.tuning.mark_at = cx.now;
        connection.set_mss();
        connection.congestion = Congestion::new(connection.mss);
        connection
    }

    /// The sequence number after the last byte that was written.
    pub(crate) fn tx_end(&self) -> Seq {
        self.tx_seq + self.tx.len()
    }

    /// Bytes, SYN and FIN sent and not acknowledged.
    pub(crate) fn in_flight(&self) -> usize {
        self.nxt.distance(self.una)
    }

    /// Works out the size of segments from the peer's offer and the path.
    pub(crate) fn set_mss(&mut self) {
        let mtu = self.path.interface.packet_limit().min(self.path_mtu);
        let own = mtu.saturating_sub(ip::header_len(self.key.remote.addr) + HEADER);
        let options = if self.timestamps { TIMESTAMP_LEN } else { 0 };
        self.mss = own.min(self.peer_mss.into()).max(MIN_MSS).saturating_sub(options).max(1);
        self.congestion.at_least(self.mss);
    }

    /// The value of the timestamp option now: milliseconds from a start that is the connection's own.
    pub(crate) fn timestamp(&self, now: Nanos) -> u32 {
        timestamp(self.ts_offset, now)
    }

    /// Bytes of payload that may wait to be acknowledged.
    pub(crate) fn tx_limit(&self, cx: &Context<'_>) -> usize {
        cx.options.send_limit(&cx.stack.settings, self.congestion.window(), self.mss)
    }

    /// Room for more to be written.
    pub(crate) fn tx_room(&self, cx: &Context<'_>) -> usize {
        self.tx_limit(cx).saturating_sub(self.tx.len())
    }

    /// Whether poll(2) says that it can be written to: a third of the buffer is free, as in Linux.
    pub(crate) fn is_writable(&self, cx: &Context<'_>) -> bool {
        let limit = self.tx_limit(cx);
        let used = self.tx.len();
        let not_sent = self.tx_end().distance(self.nxt);
        used + used / 2 < limit && not_sent < cx.options.not_sent_low_water
    }

    /// Takes bytes that a program wrote; the caller has looked at [`tx_room`](Self::tx_room).
    pub(crate) fn write(&mut self, cx: &mut Context<'_>, bytes: Vec<u8>, more: bool) {
        self.tx.push(bytes);
        self.more_until = more.then(|| self.tx_end());
        if self.in_flight() == 0 && cx.now > self.last_sent + self.rtt.timeout() {
            self.congestion.on_idle(self.mss);
        }
        self.output(cx);
    }

    /// The program sends no more.
    pub(crate) fn close_send(&mut self, cx: &mut Context<'_>) {
        if self.fin_queued {
            return;
        }
        match self.state {
            State::Established | State::SynReceived => self.state = State::FinWait1,
            State::CloseWait => self.state = State::LastAck,
            _ => return,
        }
        self.fin_queued = true;
        self.more_until = None;
        self.output(cx);
    }

    /// The program has no more use for it. Afterwards the connection goes on by itself if its state is not closed.
    pub(crate) fn release(&mut self, cx: &mut Context<'_>) {
        match self.state {
            State::SynSent => self.finish(None),
            _ if self.rx.len() > 0 || cx.options.linger == Some(0) => self.abort(cx),
            State::FinWait2 => self.close_at = cx.now + cx.options.fin_wait_timeout(&cx.stack.settings),
            _ => self.close_send(cx),
        }
        self.rx.clear();
    }

    /// Ends it with a reset.
    pub(crate) fn abort(&mut self, cx: &mut Context<'_>) {
        if self.state.is_synchronized() && self.state != State::TimeWait {
            self.send_reset(cx);
        }
        self.finish(None);
    }

    /// It is over. The program is told the error, if any.
    pub(crate) fn finish(&mut self, error: Option<Errno>) {
        self.state = State::Closed;
        self.error = self.error.or(error);
        self.tx.clear();
        self.rx.prune();
        self.sacked.clear();
        for deadline in [
            &mut self.resend_at,
            &mut self.probe_at,
            &mut self.ack_at,
            &mut self.keepalive_at,
            &mut self.close_at,
        ] {
            *deadline = NEVER;
        }
        self.events |= Events::all();
    }

    /// The program has read `count` bytes: the window may have opened.
    pub(crate) fn after_read(&mut self, cx: &mut Context<'_>, count: usize) {
        self.tune_receive_buffer(cx, count);
        if !matches!(self.state, State::Established | State::FinWait1 | State::FinWait2) {
            return;
        }
        let offered = self.rcv_edge.distance(self.rcv_nxt);
        let room = self.receive_room();
        // All is read and nothing is going to be answered: there is nothing to wait for (Linux: tcp_cleanup_rbuf).
        if self.ack_at != NEVER && self.rx.len() == 0 && (!self.ping_pong || self.unacked > self.rx_mss) {
            self.send_ack(cx);
            return;
        }
        // Told when the peer gains two segments or a quarter of the buffer, not for every read (RFC 9293, section 3.8.6.2.2).
        let worth = (2 * self.rx_mss).min(self.rx_limit / 4).max(1);
        if room >= offered + worth && (offered < self.rx_limit / 2) {
            self.send_ack(cx);
        }
    }

    /// Room in the receive buffer, as the window counts it.
    pub(crate) fn receive_room(&self) -> usize {
        self.rx_limit.saturating_sub(self.rx.len())
    }

    /// Makes the receive buffer larger if the program reads more than half of it in a round trip.
    fn tune_receive_buffer(&mut self, cx: &Context<'_>, count: usize) {
        self.tuning.copied += count;
        let rtt = if self.rtt.smoothed != 0 { self.rtt.smoothed } else { self.tuning.rtt };
        if rtt == 0 || cx.now < self.tuning.since + rtt {
            return;
        }
        let wanted = 2 * self.tuning.copied;
        if cx.options.receive_buffer.is_none() && wanted > self.rx_limit {
            self.rx_limit = wanted.min(cx.stack.settings.tcp_rmem_max() / 2).max(self.rx_limit);
        }
        self.tuning.copied = 0;
        self.tuning.since = cx.now;
    }

    pub(crate) fn is_fin_acked(&self) -> bool {
        self.fin_sent && self.una == self.nxt
    }

    pub(crate) fn flags_for(&self, end: Seq) -> Flags {
        let mut flags = Flags::ACK;
        if end == self.tx_end() {
            flags |= if end.after(self.tx_seq) { Flags::PSH } else { Flags::empty() };
        }
        flags
    }
}

/// The value of the timestamp option.
pub(crate) fn timestamp(offset: u32, now: Nanos) -> u32 {
    offset.wrapping_add((now / MILLISECOND) as u32)
}

/// The window that a SYN offers: never scaled.
pub(crate) fn syn_window(limit: usize) -> usize {
    limit.min(65_535)
}

/// The shift of the own windows: such that the largest buffer fits.
pub(crate) fn window_shift(cx: &Context<'_>) -> u8 {
    let settings = &cx.stack.settings;
    if settings.window_scaling() == 0 {
        return 0;
    }
    let largest = settings.tcp_rmem_max().max(settings.rmem_max()).max(cx.options.receive_limit(settings));
    (0..14).find(|shift| largest >> shift <= 65_535).unwrap_or(14)
}
