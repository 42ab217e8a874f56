//! What an acknowledgement brings: progress, round-trip times, losses (RFC 6582, RFC 6675), and the end of FIN.

use super::State;
use super::connection::{Connection, Context, Recovery, TailProbe};
use super::segment::{Flags, Segment};
use super::seq::Seq;
use crate::addr::{NEVER, Nanos};
use crate::notify::Events;

/// Segments that must have arrived beyond one before it counts as lost.
const DUP_THRESHOLD: usize = 3;

impl Connection {
    /// Takes the acknowledgement. False if the segment is to be dropped.
    pub(crate) fn process_ack(&mut self, cx: &mut Context<'_>, segment: &Segment) -> bool {
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
                if self.probe_at != NEVER && !cx.options.cork {
                    self.probe_at = NEVER;
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
        self.resend_at = NEVER;
        if self.in_flight() > 0 {
            self.start_resend_timer(cx);
        }
        self.stuck_since = if self.in_flight() > 0 { cx.now } else { NEVER };
        if data > 0 {
            self.events |= Events::WRITABLE;
        }
    }

    pub(crate) fn take_round_trip(&mut self, now: Nanos) {
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
}
