//! What a connection does with a segment that arrives (RFC 9293, section 3.10.7; RFC 5961; RFC 7323; RFC 6675).

use super::State;
use super::connection::{Connection, Context, MIN_MSS, Recovery, TailProbe};
use super::receive_queue::Payload;
use super::segment::{Flags, Segment};
use super::seq::Seq;
use crate::addr::{Nanos, SECOND};
use crate::notify::Events;
use husk_abi::Errno;

/// Segments that must have arrived beyond one before it counts as lost.
const DUP_THRESHOLD: usize = 3;
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

    fn challenge(&mut self, cx: &mut Context<'_>) {
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

    /// Takes the acknowledgement. False if the segment is to be dropped.
    fn process_ack(&mut self, cx: &mut Context<'_>, segment: &Segment) -> bool {
        let ack = segment.ack;
        if ack.after(self.nxt) || ack.before(self.una - self.max_window.max(1)) {
            self.challenge(cx);
            return false;
        }
        let sacked = self.process_sack(segment);
        if ack.before(self.una) {
            // Old; its payload may be new.
            return true;
        }
        let acked = ack.distance(self.una);
        let window = usize::from(segment.window) << self.tx_shift;
        let moved = window != self.window;
        if self.wl1.before(segment.seq) || (self.wl1 == segment.seq && self.wl2.at_most(ack)) {
            self.window = window;
            self.max_window = self.max_window.max(window);
            (self.wl1, self.wl2) = (segment.seq, ack);
            if window > 0 && self.in_flight() == 0 {
                // Probing is over.
                self.timeouts = 0;
                self.rtt.progress();
                if self.probe_at != crate::addr::NEVER && !cx.options.cork {
                    self.probe_at = crate::addr::NEVER;
                }
            }
        }
        if acked > 0 {
            self.on_progress(cx, ack, acked);
        } else if self.in_flight() > 0
            && segment.len == 0
            && !segment.has(Flags::FIN)
            && (!moved || sacked > 0)
        {
            self.dup_acks += 1;
        }
        self.detect_loss();
        self.after_ack(cx);
        true
    }

    /// Notes what was acknowledged selectively; the answer is how many bytes are new.
    fn process_sack(&mut self, segment: &Segment) -> usize {
        if !self.sack {
            return 0;
        }
        let floor = self.una.max(segment.ack);
        segment
            .sack
            .as_slice()
            .iter()
            .filter(|(left, right)| left.before(*right) && left.at_least(floor) && right.at_most(self.nxt))
            .map(|&(left, right)| self.sacked.insert(left, right))
            .sum()
    }

    /// Something new was acknowledged.
    fn on_progress(&mut self, cx: &mut Context<'_>, ack: Seq, acked: usize) {
        self.una = ack;
        let data = ack.min(self.tx_end()).distance(self.tx_seq);
        self.tx.advance(data);
        self.tx_seq = self.tx_seq + data;
        self.counters.bytes_acked += data as u64;
        self.sacked.remove_before(ack);
        self.take_round_trip(cx.now);
        self.timeouts = 0;
        self.rtt.progress();
        self.dup_acks = 0;
        match self.recovery {
            Recovery::Open => {
                if self.window_limited {
                    self.congestion.on_ack(acked, self.mss);
                }
            }
            Recovery::Fast(end) | Recovery::Loss(end) if ack.at_least(end) => {
                self.recovery = Recovery::Open;
                self.lost_to = ack;
                self.resent_to = ack;
            }
            Recovery::Fast(_) => {
                if !self.sack {
                    // A partial acknowledgement: the next segment is lost too (RFC 6582).
                    self.resent_to = ack;
                    self.lost_to = (ack + self.mss).min(self.nxt);
                }
            }
            Recovery::Loss(_) => self.congestion.on_ack(acked.min(2 * self.mss), self.mss),
        }
        self.tail_probe = TailProbe::None;
        self.resend_at = crate::addr::NEVER;
        if self.in_flight() > 0 {
            self.start_resend_timer(cx);
        }
        self.stuck_since = if self.in_flight() > 0 { cx.now } else { crate::addr::NEVER };
        if data > 0 {
            self.events |= Events::WRITABLE;
        }
    }

    fn take_round_trip(&mut self, now: Nanos) {
        if let Some((end, sent)) = self.timed
            && self.una.at_least(end)
        {
            self.rtt.sample(now.saturating_sub(sent));
            self.timed = None;
        }
    }

    /// Looks whether acknowledgements tell of a loss.
    fn detect_loss(&mut self) {
        if self.in_flight() == 0 {
            return;
        }
        if self.sack {
            let beyond = (DUP_THRESHOLD - 1) * self.mss + 1;
            // With little under way, fewer must do (RFC 5827).
            let segments = self.in_flight().div_ceil(self.mss);
            let few = (2..=DUP_THRESHOLD).contains(&segments) && self.tx_end().at_most(self.nxt);
            let beyond = if few { (segments - 2) * self.mss + 1 } else { beyond };
            if let Some(edge) = self.sacked.with_bytes_above(beyond)
                && edge.after(self.una)
            {
                self.enter_recovery();
                if matches!(self.recovery, Recovery::Fast(_)) {
                    self.lost_to = self.lost_to.max(edge);
                }
            }
            let all_resent = self.recovery != Recovery::Open && self.resent_to.at_least(self.lost_to);
            let mark = self.resent_mark.max(self.una);
            if all_resent && self.sacked.bytes_in(mark, self.nxt) > (DUP_THRESHOLD - 1) * self.mss {
                // What was sent after the repair has arrived, so the repair was lost as well.
                self.resent_to = self.una;
                self.resent_mark = self.nxt;
            }
        } else if self.recovery == Recovery::Open && self.dup_acks as usize >= DUP_THRESHOLD {
            self.enter_recovery();
            self.lost_to = (self.una + self.mss).min(self.nxt);
        }
    }

    fn enter_recovery(&mut self) {
        if self.recovery != Recovery::Open {
            return;
        }
        self.congestion.on_loss(self.in_flight(), self.mss);
        self.recovery = Recovery::Fast(self.nxt);
        self.resent_to = self.una;
        self.lost_to = self.una;
    }

    /// State changes that an acknowledgement of FIN brings.
    fn after_ack(&mut self, cx: &mut Context<'_>) {
        if !self.is_fin_acked() {
            return;
        }
        match self.state {
            State::FinWait1 => {
                self.state = State::FinWait2;
                self.events |= Events::WRITABLE;
                if cx.orphan {
                    self.close_at = cx.now + cx.options.fin_wait_timeout(&cx.stack.settings);
                }
            }
            State::Closing => self.enter_time_wait(),
            State::LastAck => self.finish(None),
            _ => {}
        }
    }

    fn enter_time_wait(&mut self) {
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
