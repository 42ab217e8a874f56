//! Round-trip time and retransmission timeout (RFC 6298, with Linux's bounds).

use crate::addr::{MILLISECOND, Nanos, SECOND};

/// The shortest timeout (TCP_RTO_MIN).
pub(crate) const MIN_RTO: Nanos = 200 * MILLISECOND;
/// The longest (TCP_RTO_MAX).
pub(crate) const MAX_RTO: Nanos = 120 * SECOND;
/// Before the first measurement (TCP_TIMEOUT_INIT).
pub(crate) const INITIAL_RTO: Nanos = SECOND;

/// What is known about the path's delay.
#[derive(Debug)]
pub(crate) struct Rtt {
    /// Smoothed, 0 before the first measurement.
    pub(crate) smoothed: Nanos,
    pub(crate) variation: Nanos,
    pub(crate) min: Nanos,
    backoff: u32,
}

impl Default for Rtt {
    fn default() -> Self {
        Self { smoothed: 0, variation: 0, min: Nanos::MAX, backoff: 0 }
    }
}

impl Rtt {
    /// Takes a measurement.
    pub(crate) fn sample(&mut self, rtt: Nanos) {
        let rtt = rtt.max(1);
        self.min = self.min.min(rtt);
        if self.smoothed == 0 {
            self.smoothed = rtt;
            self.variation = rtt / 2;
        } else {
            let difference = self.smoothed.abs_diff(rtt);
            self.variation = (3 * self.variation + difference) / 4;
            self.smoothed = (7 * self.smoothed + rtt) / 8;
        }
    }

    /// The timeout, without what was added for retransmissions without an answer.
    pub(crate) fn base(&self) -> Nanos {
        if self.smoothed == 0 {
            return INITIAL_RTO;
        }
        // Linux keeps the variation's part at its minimum of 200 ms.
        (self.smoothed + (4 * self.variation).max(MIN_RTO)).min(MAX_RTO)
    }

    /// The timeout.
    pub(crate) fn timeout(&self) -> Nanos {
        (self.base() << self.backoff.min(16)).min(MAX_RTO)
    }

    /// A timeout has passed without an answer.
    pub(crate) fn back_off(&mut self) {
        self.backoff += 1;
    }

    /// Something new was acknowledged.
    pub(crate) fn progress(&mut self) {
        self.backoff = 0;
    }

    pub(crate) fn backoff(&self) -> u32 {
        self.backoff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_linux() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(), SECOND);
        rtt.sample(10 * MILLISECOND);
        assert_eq!(rtt.timeout(), 210 * MILLISECOND);
        rtt.back_off();
        assert_eq!(rtt.timeout(), 420 * MILLISECOND);
        for _ in 0..40 {
            rtt.back_off();
        }
        assert_eq!(rtt.timeout(), MAX_RTO);
        rtt.progress();
        (0..100).for_each(|_| rtt.sample(400 * MILLISECOND));
        assert!((599..=640).contains(&(rtt.timeout() / MILLISECOND)));
        assert_eq!(rtt.min, 10 * MILLISECOND);
    }
}
