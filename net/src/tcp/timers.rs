//! What time does to a connection.

use super::State;
use super::connection::{Connection, Context, Recovery, TailProbe};
use crate::addr::{NEVER, Nanos, SECOND};
use husk_abi::Errno;

impl Connection {
    /// When something is due next.
    pub(crate) fn deadline(&self) -> Nanos {
        self.resend_at.min(self.probe_at).min(self.ack_at).min(self.keepalive_at).min(self.close_at)
    }

    /// Does what is due.
    pub(crate) fn expire(&mut self, cx: &mut Context<'_>) {
        if cx.now >= self.close_at {
            // FIN-WAIT-2 without a program, for too long (tcp_fin_timeout).
            self.finish(None);
            return;
        }
        if cx.now >= self.ack_at {
            self.ack_at = NEVER;
            // No answer came.
            self.ping_pong = false;
            if self.state.is_synchronized() {
                self.send_ack(cx);
            }
        }
        if cx.now >= self.resend_at {
            self.resend_at = NEVER;
            if self.tail_probe == TailProbe::Waiting {
                self.probe_tail(cx);
            } else {
                self.on_resend_timeout(cx);
            }
        }
        if cx.now >= self.probe_at && self.state != State::Closed {
            self.on_probe_timeout(cx);
        }
        if cx.now >= self.keepalive_at && self.state != State::Closed {
            self.on_keepalive(cx);
        }
    }

    fn on_resend_timeout(&mut self, cx: &mut Context<'_>) {
        let settings = &cx.stack.settings;
        let opening = matches!(self.state, State::SynSent | State::SynReceived);
        let most = match self.state {
            State::SynSent => cx.options.syn_count.map_or(settings.syn_retries(), u32::from),
            State::SynReceived => settings.synack_retries(),
            _ if cx.orphan => settings.orphan_retries(),
            _ => settings.retries2(),
        };
        let first = self.timeouts == 0;
        self.timeouts += 1;
        if self.timeouts > most || self.is_past_user_timeout(cx) {
            self.finish(Some(self.soft_error.unwrap_or(Errno::ETIMEDOUT)));
            return;
        }
        self.rtt.back_off();
        self.timed = None;
        if opening {
            cx.stack.snmp.retransmitted();
            self.total_resent += 1;
            self.send_syn(cx);
            self.resend_at = cx.now + self.rtt.timeout();
            return;
        }
        self.congestion.on_timeout(self.pipe(), self.mss, first);
        if self.timeouts > 1 {
            // A peer may take back what it acknowledged selectively (RFC 2018, section 8).
            self.sacked.clear();
        }
        self.recovery = Recovery::Loss(self.nxt);
        self.lost_to = self.nxt;
        self.resent_to = self.una;
        self.dup_acks = 0;
        let end = self.sacked.gap(self.una, self.nxt).map_or(self.nxt, |gap| gap.1);
        self.resend(cx, self.una, end);
        self.resend_at = cx.now + self.rtt.timeout();
        self.bound_by_user_timeout(cx);
    }

    /// The window is closed, or too small for what there is.
    fn on_probe_timeout(&mut self, cx: &mut Context<'_>) {
        if self.is_past_user_timeout(cx) {
            self.finish(Some(self.soft_error.unwrap_or(Errno::ETIMEDOUT)));
            return;
        }
        // If anything fits it goes now.
        let before = self.nxt;
        self.output(cx);
        if self.nxt != before {
            return;
        }
        let most = if cx.orphan { cx.stack.settings.orphan_retries() } else { cx.stack.settings.retries2() };
        self.timeouts += 1;
        if self.timeouts > most {
            self.finish(Some(self.soft_error.unwrap_or(Errno::ETIMEDOUT)));
            return;
        }
        self.rtt.back_off();
        self.send_probe(cx);
        self.probe_at = cx.now + self.rtt.timeout();
    }

    fn is_past_user_timeout(&self, cx: &Context<'_>) -> bool {
        cx.options.user_timeout != 0 && cx.now >= self.stuck_since.saturating_add(cx.options.user_timeout)
    }

    fn bound_by_user_timeout(&mut self, cx: &Context<'_>) {
        if cx.options.user_timeout != 0 {
            let end = self.stuck_since.saturating_add(cx.options.user_timeout).max(cx.now + 1);
            self.resend_at = self.resend_at.min(end);
        }
    }

    /// Starts or stops keepalive probes, after SO_KEEPALIVE or its times were changed or the connection began.
    pub(crate) fn set_keepalive(&mut self, cx: &Context<'_>) {
        self.keepalive_at = if cx.options.keepalive && self.state.is_synchronized() {
            self.last_received + cx.options.keepalive_time(&cx.stack.settings)
        } else {
            NEVER
        };
    }

    fn on_keepalive(&mut self, cx: &mut Context<'_>) {
        let settings = &cx.stack.settings;
        let time = cx.options.keepalive_time(settings);
        let idle = cx.now - self.last_received;
        if self.in_flight() > 0 || !self.tx.is_empty() {
            // Retransmission finds out by itself.
            self.keepalive_at = cx.now + time;
            return;
        }
        if idle < time {
            self.keepalive_at = self.last_received + time;
            self.keepalive_probes = 0;
            return;
        }
        let gone = match cx.options.user_timeout {
            0 => self.keepalive_probes >= cx.options.keepalive_count(settings),
            timeout => idle >= timeout && self.keepalive_probes > 0,
        };
        if gone {
            self.send_reset(cx);
            self.finish(Some(self.soft_error.unwrap_or(Errno::ETIMEDOUT)));
            return;
        }
        self.keepalive_probes += 1;
        self.send_probe(cx);
        self.keepalive_at = cx.now + cx.options.keepalive_interval(settings).max(SECOND);
    }
}
