//! What a connection does with a segment that arrives (RFC 9293, section 3.10.7; RFC 5961; RFC 7323; RFC 6675).

use super::State;
use super::connection::{Connection, Context, MIN_MSS, Recovery};
use super::receive_queue::Payload;
use super::segment::{Flags, Segment};
use crate::addr::{Nanos, SECOND};
use crate::notify::Events;
use husk_abi::Errno;

/// A remembered timestamp older than this is not compared with (RFC 7323, section 5.5): 24 days.
const TIMESTAMP_LIFE: Nanos = 24 * 24 * 3600 * SECOND;
/// Least time between two answers to segments that look forged or stray (tcp_invalid_ratelimit).
const CHALLENGE_INTERVAL: Nanos = SECOND / 2;

impl Connection {
    /// Takes a segment and its payload.
    pub(crate) fn input(&mut self, cx: &mut Context<'_>, segment: &Segment, payload: Payload<'_>) {
        self.counters.segments_in += 1;
        match self.state {
            State::Closed | State::Listen | State::TimeWait => {}
            State::SynSent => self.input_syn_sent(cx, segment),
            _ => self.input_synchronized(cx, segment, payload),
        }
    }

    /// RFC 9293, section 3.10.7.3.
    fn input_syn_sent(&mut self, cx: &mut Context<'_>, segment: &Segment) {
        let has_ack = segment.has(Flags::ACK);
        let good_ack = has_ack && segment.ack == self.nxt;
        if has_ack && !good_ack {
            if !segment.has(Flags::RST) {
                cx.stack.send_reset_for(cx.out, self.key, segment);
            }
            return;
        }
        if segment.has(Flags::RST) {
            if good_ack {
                cx.stack.snmp.attempt_failed();
                self.finish(Some(Errno::ECONNREFUSED));
            }
            return;
        }
        if !segment.has(Flags::SYN) {
            return;
        }
        self.irs = segment.seq;
        self.rcv_nxt = segment.seq + 1;
        self.rcv_edge = self.rcv_nxt + super::connection::syn_window(self.rx_limit);
        self.peer_mss = segment.mss.unwrap_or(super::connection::DEFAULT_MSS);
        self.sack &= segment.sack_permitted;
        self.timestamps &= segment.timestamp.is_some();
        if let Some((value, _)) = segment.timestamp {
            self.ts_recent = value;
            self.ts_recent_at = cx.now;
        }
        match segment.window_scale {
            Some(shift) if cx.stack.settings.window_scaling() != 0 => self.tx_shift = shift,
            _ => (self.tx_shift, self.rx_shift) = (0, 0),
        }
        self.set_mss();
        self.congestion = super::congestion::Congestion::new(self.mss);
        self.window = usize::from(segment.window);
        self.max_window = self.window;
        (self.wl1, self.wl2) = (segment.seq, segment.ack);
        self.tuning.mark = self.rcv_nxt + self.rx_limit;
        self.tuning.mark_at = cx.now;
        if good_ack {
            self.acknowledged_syn(cx);
            self.send_ack(cx);
            self.output(cx);
        } else {
            // Both opened at the same time.
            self.state = State::SynReceived;
            self.send_syn(cx);
        }
    }

    /// The peer has the SYN.
    fn acknowledged_syn(&mut self, cx: &mut Context<'_>) {
        self.una = self.iss + 1;
        self.take_round_trip(cx.now);
        self.timeouts = 0;
        self.rtt.progress();
        self.resend_at = crate::addr::NEVER;
        self.state = State::Established;
        self.last_received = cx.now;
        self.set_keepalive(cx);
        self.events |= Events::WRITABLE;
    }

    fn input_synchronized(&mut self, cx: &mut Context<'_>, segment: &Segment, payload: Payload<'_>) {
        let simultaneous =
            self.state == State::SynReceived && segment.has(Flags::SYN) && segment.seq == self.irs;
        if !simultaneous && !self.is_acceptable(cx, segment) {
            return;
        }
        if segment.has(Flags::RST) {
            if segment.seq == self.rcv_nxt {
                self.on_reset(cx);
            } else {
                self.challenge(cx);
            }
            return;
        }
        if segment.has(Flags::SYN) && !simultaneous {
            self.challenge(cx);
            return;
        }
        if !segment.has(Flags::ACK) {
            return;
        }
        if self.state == State::SynReceived {
            if !(segment.ack.after(self.una) && segment.ack.at_most(self.nxt)) {
                cx.stack.send_reset_for(cx.out, self.key, segment);
                return;
            }
            let shift = if simultaneous { 0 } else { self.tx_shift };
            self.window = usize::from(segment.window) << shift;
            self.max_window = self.window;
            (self.wl1, self.wl2) = (segment.seq, segment.ack);
            self.acknowledged_syn(cx);
        }
        self.last_received = cx.now;
        self.keepalive_probes = 0;
        if let Some((value, _)) = segment.timestamp
            && segment.seq.at_most(self.rcv_nxt)
            && (value.wrapping_sub(self.ts_recent) as i32) >= 0
        {
            self.ts_recent = value;
            self.ts_recent_at = cx.now;
        }
        if !self.process_ack(cx, segment) {
            return;
        }
        if segment.len > 0 || segment.has(Flags::FIN) {
            self.process_payload(cx, segment, payload);
        }
        if self.state != State::Closed {
            self.output(cx);
        }
    }

    /// Whether the segment is in the window and not a very old one; if not, what that asks for has been done.
    fn is_acceptable(&mut self, cx: &mut Context<'_>, segment: &Segment) -> bool {
        let reset = segment.has(Flags::RST);
        let recent = cx.now < self.ts_recent_at + TIMESTAMP_LIFE;
        if self.timestamps
            && !reset
            && recent
            && segment.timestamp.is_some_and(|(value, _)| (value.wrapping_sub(self.ts_recent) as i32) < 0)
        {
            // Protection against wrapped sequence numbers (RFC 7323, section 5).
            self.answer_stray(cx, segment);
            return false;
        }
        let end = segment.seq + segment.space();
        if end.before(self.rcv_nxt) || segment.seq.after(self.rcv_edge) {
            if !reset {
                self.answer_stray(cx, segment);
            }
            return false;
        }
        if end == self.rcv_nxt && segment.space() > 0 {
            // All of it was here already: the acknowledgement was lost.
            if !reset {
                self.answer_stray(cx, segment);
            }
            // What it acknowledges may be new all the same.
            return reset || !segment.has(Flags::SYN);
        }
        true
    }

    /// Acknowledges a segment that has nothing new; without payload only so often (RFC 5961, section 7).
    fn answer_stray(&mut self, cx: &mut Context<'_>, segment: &Segment) {
        if segment.len > 0 || segment.has(Flags::FIN) {
            self.quick_acks = super::connection::QUICK_ACKS;
            self.send_ack(cx);
        } else {
            self.challenge(cx);
        }
    }

    pub(crate) fn challenge(&mut self, cx: &mut Context<'_>) {
        if cx.now >= self.challenge_at {
            self.challenge_at = cx.now + CHALLENGE_INTERVAL;
            self.send_ack(cx);
        }
    }

    fn on_reset(&mut self, cx: &Context<'_>) {
        match self.state {
            State::SynReceived => cx.stack.snmp.attempt_failed(),
            State::Established | State::CloseWait => cx.stack.snmp.established_reset(),
            _ => {}
        }
        let error = match self.state {
            State::SynReceived => Errno::ECONNREFUSED,
            State::CloseWait => Errno::EPIPE,
            // Nothing was left to be said.
            State::Closing | State::LastAck => return self.finish(None),
            _ => Errno::ECONNRESET,
        };
        self.finish(Some(error));
    }

    pub(crate) fn enter_time_wait(&mut self) {
        // The socket makes a small record of it and forgets the rest.
        self.state = State::TimeWait;
        self.events |= Events::all() - Events::ERROR;
    }

    fn process_payload(&mut self, cx: &mut Context<'_>, segment: &Segment, payload: Payload<'_>) {
        if !matches!(self.state, State::Established | State::FinWait1 | State::FinWait2) {
            return;
        }
        let data_end = segment.seq + segment.len;
        if cx.orphan && data_end.after(self.rcv_nxt) {
            // Nobody will ever read it.
            self.abort(cx);
            return;
        }
        let skip = self.rcv_nxt.distance(segment.seq);
        let room = self.rcv_edge.distance(segment.seq.max(self.rcv_nxt));
        let cut = payload.len().saturating_sub(skip) > room;
        let payload = payload.trim(skip, room);
        let fin = segment.has(Flags::FIN) && !cut;
        if segment.seq.after(self.rcv_nxt) {
            // A gap: acknowledged at once so that the peer sees it. A FIN beyond it comes again.
            self.rx.push_early(segment.seq, payload);
            self.quick_acks = super::connection::QUICK_ACKS;
            self.send_ack(cx);
            return;
        }
        let len = payload.len();
        if len == 0 && !fin {
            if cut {
                // A probe of a closed window.
                self.send_ack(cx);
            }
            return;
        }
        let had_gap = self.rx.waiting_bytes() > 0;
        self.rx.push(payload);
        let before = self.rcv_nxt;
        self.rcv_nxt = self.rx.advance(before + len);
        let received = self.rcv_nxt.distance(before);
        self.count_received(cx, received, segment.len);
        if fin && self.rcv_nxt == data_end {
            self.on_fin();
            self.send_ack(cx);
            return;
        }
        self.events |= Events::READABLE;
        let enough = self.unacked > self.rx_mss;
        if enough || had_gap || self.quick_acks > 0 || cx.options.quick_ack {
            self.ack_at = cx.now;
        } else {
            self.delay_ack(cx);
        }
        if self.ack_at <= cx.now {
            // With data if there is any; `output` sends it first and clears the debt.
            self.output(cx);
            if self.ack_at <= cx.now && self.state != State::Closed {
                self.send_ack(cx);
            }
        }
    }

    fn count_received(&mut self, cx: &Context<'_>, received: usize, segment_len: usize) {
        self.unacked += received;
        self.counters.bytes_received += received as u64;
        self.counters.data_segments_in += 1;
        let own = self.path.interface.packet_limit().saturating_sub(60).max(MIN_MSS);
        // Smaller only if two are alike: the last of a message is small by chance (Linux: tcp_measure_rcv_mss).
        let smaller =
            segment_len == self.last_len && segment_len >= usize::from(super::connection::DEFAULT_MSS);
        if segment_len >= self.rx_mss || smaller {
            self.rx_mss = segment_len.min(own);
        }
        self.last_len = segment_len;
        if self.tuning.rtt == 0 && self.tuning.since == 0 {
            self.tuning.since = cx.now;
        }
        // A window's worth takes a round trip at least.
        if self.rcv_nxt.at_least(self.tuning.mark) {
            let took = cx.now.saturating_sub(self.tuning.mark_at).max(1);
            self.tuning.rtt = if self.tuning.rtt == 0 { took } else { self.tuning.rtt.min(took) };
            self.tuning.mark = self.rcv_nxt + self.rx_limit;
            self.tuning.mark_at = cx.now;
        }
    }

    fn on_fin(&mut self) {
        self.peer_fin = true;
        self.rcv_nxt = self.rcv_nxt + 1;
        self.rcv_edge = self.rcv_edge.max(self.rcv_nxt);
        self.events |= Events::READABLE | Events::READ_HANGUP;
        match self.state {
            State::Established => self.state = State::CloseWait,
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.enter_time_wait(),
            _ => {}
        }
    }

    /// ICMP says that something is wrong with a segment that was sent.
    pub(crate) fn on_icmp(&mut self, error: Errno) {
        if self.state == State::SynSent {
            self.finish(Some(error));
        } else {
            self.soft_error = Some(error);
        }
    }

    /// ICMP says that packets of the path have at most `mtu` bytes (RFC 1191, RFC 8201).
    pub(crate) fn on_too_big(&mut self, cx: &mut Context<'_>, mtu: usize) {
        let floor = if self.key.remote.addr.is_ipv6() { 1280 } else { 552 };
        let mtu = mtu.max(floor);
        if mtu >= self.path_mtu.min(self.path.interface.mtu()) {
            return;
        }
        self.path_mtu = mtu;
        self.set_mss();
        if self.state.may_send() && self.in_flight() > 0 {
            // All that was too large is gone; it is no sign of congestion.
            self.recovery = Recovery::Loss(self.nxt);
            self.lost_to = self.nxt;
            self.resent_to = self.una;
            self.timed = None;
            self.output(cx);
        }
    }
}
