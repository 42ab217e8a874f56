//! What a connection sends.

use super::connection::{Connection, Context, Recovery, TailProbe, syn_window, window_shift};
use super::segment::{Flags, SackBlocks, Segment};
use super::seq::Seq;
use super::{State, rtt};
use crate::addr::{MILLISECOND, NEVER};
use crate::ip;

/// Segments sent in one go at the most; acknowledgements bring the rest.
const MAX_BURST: usize = 1024;
/// How long an acknowledgement may wait for data to go with (TCP_DELACK_MIN).
pub(crate) const ACK_DELAY: u64 = 40 * MILLISECOND;
/// How long TCP_CORK may hold back an incomplete segment (tcp(7)).
const CORK_DELAY: u64 = 200 * MILLISECOND;

impl Connection {
    /// Sends what may be sent now: what was lost, then what is new, then FIN.
    pub(crate) fn output(&mut self, cx: &mut Context<'_>) {
        if !self.state.may_send() {
            return;
        }
        self.window_limited = false;
        for _ in 0..MAX_BURST {
            if !self.resend_next(cx) && !self.send_next(cx) {
                break;
            }
        }
        self.set_resend_timer(cx);
    }

    /// Bytes that are taken to be in the network (RFC 6675, `pipe`).
    pub(crate) fn pipe(&self) -> usize {
        let mut pipe = self.in_flight().saturating_sub(self.sacked.bytes());
        let from = self.resent_to.max(self.una);
        if from.before(self.lost_to) {
            let lost = self.lost_to.distance(from) - self.sacked.bytes_in(from, self.lost_to);
            pipe = pipe.saturating_sub(lost);
        }
        if !self.sack && self.recovery != Recovery::Open {
            pipe = pipe.saturating_sub(self.dup_acks as usize * self.mss);
        }
        pipe
    }

    /// Sends the next of what was lost, if the congestion window allows.
    fn resend_next(&mut self, cx: &mut Context<'_>) -> bool {
        if self.recovery == Recovery::Open {
            return false;
        }
        let from = self.resent_to.max(self.una);
        let Some((seq, end)) = self.sacked.gap(from, self.lost_to) else { return false };
        if self.pipe() + self.mss > self.congestion.window().max(self.mss) {
            self.window_limited = true;
            return false;
        }
        self.resend(cx, seq, end);
        true
    }

    /// Sends a segment from `seq` on again, up to `end`. Afterwards it counts as sent again.
    pub(crate) fn resend(&mut self, cx: &mut Context<'_>, seq: Seq, end: Seq) {
        let data_end = self.tx_end().min(end);
        let len = data_end.distance(seq).min(self.mss);
        let mut flags = self.flags_for(seq + len);
        let mut next = seq + len;
        if self.fin_sent && next == self.tx_end() {
            flags |= Flags::FIN;
            next = next + 1;
        }
        if next == seq {
            // Nothing of it is left.
            next = end;
        } else {
            self.timed = None;
            self.total_resent += 1;
            self.counters.bytes_resent += len as u64;
            cx.stack.snmp.retransmitted();
            self.send_segment(cx, seq, len, flags);
        }
        self.resent_to = next;
        self.resent_mark = self.nxt;
    }

    /// Sends the next new segment, or FIN.
    fn send_next(&mut self, cx: &mut Context<'_>) -> bool {
        if self.fin_sent {
            return false;
        }
        let available = self.tx_end().distance(self.nxt);
        let edge = self.una + self.window;
        let window = edge.distance(self.nxt);
        let congestion = self.congestion.window().saturating_sub(self.pipe());
        let largest = self.largest_segment();
        let mut len = available.min(window).min(largest);
        if len > congestion {
            // A whole segment or none: small ones would only cost.
            self.window_limited = true;
            len = congestion / self.mss * self.mss;
            if len == 0 && !(self.pipe() == 0 && available > 0 && window > 0) {
                return false;
            }
            if len == 0 {
                len = available.min(window).min(self.mss);
            }
        }
        if len < available && len > self.mss {
            // Cut at a segment's end, so that the last one is not small for nothing.
            len -= len % self.mss;
        }
        let last = len == available;
        if len == 0 && !(last && self.fin_queued) {
            return false;
        }
        if len < self.mss && len > 0 && !self.may_send_small(cx, len, last) {
            return false;
        }
        let seq = self.nxt;
        let mut flags = self.flags_for(seq + len);
        if last && self.fin_queued {
            flags |= Flags::FIN;
            self.fin_sent = true;
        }
        self.nxt = seq + len + usize::from(self.fin_sent);
        if self.timed.is_none() {
            self.timed = Some((self.nxt, cx.now));
        }
        if cx.now < self.last_received + ACK_DELAY {
            self.quick_acks = 0;
            self.ping_pong = true;
        }
        self.send_segment(cx, seq, len, flags);
        true
    }

    /// Whether a segment that is not full may go: the sender's part in avoiding silly windows (RFC 9293, section 3.8.6.2.1),
    /// Nagle's algorithm and TCP_CORK.
    fn may_send_small(&self, cx: &Context<'_>, len: usize, last: bool) -> bool {
        let idle = self.in_flight() == 0;
        if !last {
            // The window is too small for a segment.
            return len >= self.max_window / 2 || (idle && cx.now >= self.probe_at);
        }
        if self.fin_queued {
            return true;
        }
        if cx.options.cork || self.more_until.is_some_and(|until| until == self.tx_end()) {
            return idle && cx.now >= self.probe_at;
        }
        cx.options.no_delay || idle
    }

    /// Bytes of payload of the largest segment: the device may cut it up.
    fn largest_segment(&self) -> usize {
        let offloads = self.path.interface.offloads();
        let v6 = self.key.remote.addr.is_ipv6();
        let limit = if v6 { offloads.tso_v6 } else { offloads.tso_v4 };
        let headers = ip::header_len(self.key.remote.addr) + 60;
        let whole = limit.min(crate::interface::MAX_PACKET).saturating_sub(headers) / self.mss * self.mss;
        if offloads.tx_checksum { whole.max(self.mss) } else { self.mss }
    }

    /// Starts, stops or leaves the timer for sending again or for probing a closed window.
    fn set_resend_timer(&mut self, cx: &Context<'_>) {
        if self.in_flight() > 0 {
            self.probe_at = NEVER;
            if self.resend_at == NEVER {
                self.start_resend_timer(cx);
                self.stuck_since = cx.now;
            }
            return;
        }
        self.resend_at = NEVER;
        let waiting = self.tx_end().after(self.nxt) || (self.fin_queued && !self.fin_sent);
        if !waiting {
            self.probe_at = NEVER;
            self.stuck_since = NEVER;
        } else if self.probe_at == NEVER {
            // The window is closed, too small for a segment, or the socket is corked.
            let corked = cx.options.cork || self.more_until.is_some();
            let fits = self.window >= self.mss.min(self.tx.len());
            self.probe_at = cx.now + if corked && fits { CORK_DELAY } else { self.rtt.timeout() };
            self.stuck_since = self.stuck_since.min(cx.now);
        }
    }

    /// Starts the timer for sending again: first for a probe of the tail, which finds a loss sooner than a timeout.
    pub(crate) fn start_resend_timer(&mut self, cx: &Context<'_>) {
        let timeout = self.rtt.timeout();
        self.resend_at = cx.now + timeout;
        let usable =
            self.sack && self.recovery == Recovery::Open && self.timeouts == 0 && self.rtt.smoothed != 0;
        if !usable || self.tail_probe == TailProbe::Sent {
            return;
        }
        // A single segment's acknowledgement may be delayed.
        let delay = if self.in_flight() <= self.mss { rtt::MIN_RTO } else { 2 * MILLISECOND };
        let probe = 2 * self.rtt.smoothed + delay;
        self.tail_probe = if probe < timeout { TailProbe::Waiting } else { TailProbe::None };
        self.resend_at = cx.now + probe.min(timeout);
    }

    /// Probes the tail: by something new if there is any, else by the last segment again.
    pub(crate) fn probe_tail(&mut self, cx: &mut Context<'_>) {
        self.tail_probe = TailProbe::Sent;
        let before = self.nxt;
        let window = (self.una + self.window).distance(self.nxt);
        let len = self.tx_end().distance(self.nxt).min(self.mss).min(window);
        if len > 0 {
            self.nxt = self.nxt + len;
            self.send_segment(cx, before, len, self.flags_for(before + len));
        } else {
            let (resent_to, mark) = (self.resent_to, self.resent_mark);
            let len = (self.in_flight() - usize::from(self.fin_sent)).min(self.mss);
            self.resend(cx, self.nxt - usize::from(self.fin_sent) - len, self.nxt);
            (self.resent_to, self.resent_mark) = (resent_to, mark);
        }
        self.resend_at = cx.now + self.rtt.timeout();
    }

    /// Sends a SYN or a SYN-ACK, according to the state.
    pub(crate) fn send_syn(&mut self, cx: &mut Context<'_>) {
        let settings = &cx.stack.settings;
        let opening = self.state == State::SynSent;
        let mtu = self.path.interface.packet_limit().min(self.path_mtu);
        let mss = mtu.saturating_sub(ip::header_len(self.key.remote.addr) + 20);
        let mss = if cx.options.max_segment != 0 { mss.min(cx.options.max_segment.into()) } else { mss };
        let scale =
            if opening { settings.window_scaling() != 0 } else { self.rx_shift != 0 || self.tx_shift != 0 };
        let shift = if opening { window_shift(cx) } else { self.rx_shift };
        let window = syn_window(self.rx_limit);
        let segment = Segment {
            from_port: self.key.local.port,
            to_port: self.key.remote.port,
            seq: self.iss,
            ack: self.rcv_nxt,
            flags: if opening { Flags::SYN } else { Flags::SYN | Flags::ACK },
            window: window as u16,
            mss: Some(mss.min(65_535) as u16),
            window_scale: scale.then_some(shift),
            sack_permitted: self.sack,
            timestamp: self.timestamps.then(|| (self.timestamp(cx.now), self.ts_recent)),
            ..Segment::default()
        };
        self.nxt = self.nxt.max(self.iss + 1);
        if self.timed.is_none() && self.timeouts == 0 {
            self.timed = Some((self.nxt, cx.now));
        }
        self.rcv_edge = self.rcv_nxt + window;
        self.transmit(cx, &segment, 0);
    }

    /// Sends an acknowledgement now.
    pub(crate) fn send_ack(&mut self, cx: &mut Context<'_>) {
        self.send_segment(cx, self.nxt, 0, Flags::ACK);
    }

    /// An acknowledgement is owed; it may wait for data to go with it.
    pub(crate) fn delay_ack(&mut self, cx: &Context<'_>) {
        if self.ack_at == NEVER {
            // Linux starts at 40 ms and never waits longer than the round trip's timeout allows.
            self.ack_at = cx.now + ACK_DELAY.min(rtt::MIN_RTO);
        }
    }

    /// A probe: a segment before the window, which the peer answers with an acknowledgement (RFC 9293, section 3.8.4).
    pub(crate) fn send_probe(&mut self, cx: &mut Context<'_>) {
        self.send_segment(cx, self.una - 1, 0, Flags::ACK);
    }

    pub(crate) fn send_reset(&mut self, cx: &mut Context<'_>) {
        self.send_segment(cx, self.nxt, 0, Flags::RST | Flags::ACK);
        cx.stack.snmp.reset_sent();
    }

    fn send_segment(&mut self, cx: &mut Context<'_>, seq: Seq, len: usize, flags: Flags) {
        let mut segment = Segment {
            from_port: self.key.local.port,
            to_port: self.key.remote.port,
            seq,
            ack: self.rcv_nxt,
            flags,
            window: self.next_window(),
            timestamp: self.timestamps.then(|| (self.timestamp(cx.now), self.ts_recent)),
            len,
            ..Segment::default()
        };
        if self.sack && self.rx.waiting_bytes() > 0 {
            let mut blocks = SackBlocks::default();
            self.rx.early().take(4).for_each(|block| blocks.push(block));
            blocks.truncate(if self.timestamps { 3 } else { 4 });
            // With data only if both fit.
            if len == 0 || len + 4 + 8 * blocks.as_slice().len() <= self.mss {
                segment.sack = blocks;
            }
        }
        if len > 0 {
            self.counters.data_segments_out += 1;
            self.counters.bytes_sent += len as u64;
        }
        if segment.space() > 0 {
            self.last_sent = cx.now;
        }
        self.unacked = 0;
        self.ack_at = NEVER;
        self.quick_acks = self.quick_acks.saturating_sub(1);
        self.transmit(cx, &segment, len);
    }

    fn transmit(&mut self, cx: &mut Context<'_>, segment: &Segment, len: usize) {
        self.counters.segments_out += 1;
        self.refresh_path(cx);
        let tcp = segment.header_len();
        let mut packet = ip::packet(
            self.key.local.addr,
            self.key.remote.addr,
            tcp,
            len,
            &ip::Header {
                protocol: ip::TCP,
                ttl: cx.options.ttl(&cx.stack.settings),
                tos: cx.options.tos,
                flow: self.key.local.port,
            },
        );
        let at = ip::header_len(self.key.remote.addr);
        segment.emit(&mut packet.bytes_mut()[at..]);
        if len > 0 {
            self.tx.copy(segment.seq.distance(self.tx_seq), len, packet.tail());
        }
        ip::finish_tcp(&mut packet, &self.path, self.key, (len > self.mss).then_some(self.mss), tcp);
        cx.out.send(packet, &self.path);
        cx.stack.snmp.segment_sent();
    }

    /// Finds the way again after the configuration has changed.
    fn refresh_path(&mut self, cx: &Context<'_>) {
        if self.path.generation == cx.stack.generation() {
            return;
        }
        let found = cx.stack.path(self.key.remote.addr, cx.options.device, Some(self.key.local.addr));
        if let Ok(path) = found {
            self.path = path;
            self.set_mss();
        }
    }

    /// The window for the next segment's header; remembers what it offers.
    fn next_window(&mut self) -> u16 {
        let offered = self.rcv_edge.distance(self.rcv_nxt);
        let room = self.receive_room();
        // The right edge moves only if it moves by something worth it (RFC 9293, section 3.8.6.2.2), and never back.
        let window = if room >= offered + self.rx_mss.min(self.rx_limit / 2) { room } else { offered };
        let unit = 1 << self.rx_shift;
        let field = window.div_ceil(unit).min(65_535);
        // After a finished stream nothing is offered that could come.
        self.rcv_edge = self.rcv_edge.max(self.rcv_nxt + field * unit);
        field as u16
    }
}
