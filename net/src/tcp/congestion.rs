//! How much may be under way: slow start and congestion avoidance (RFC 5681, with the counting of bytes of RFC 3465).

/// Segments of the first window (RFC 6928).
const INITIAL_WINDOW: usize = 10;

/// The congestion window, in bytes.
#[derive(Debug)]
pub(crate) struct Congestion {
    window: usize,
    threshold: usize,
    /// Bytes acknowledged since the window grew last.
    acked: usize,
}

impl Congestion {
    pub(crate) fn new(mss: usize) -> Self {
        Self { window: INITIAL_WINDOW * mss, threshold: usize::MAX, acked: 0 }
    }

    pub(crate) fn window(&self) -> usize {
        self.window
    }

    pub(crate) fn threshold(&self) -> usize {
        self.threshold
    }

    /// `acked` bytes arrived, and the window had been used up.
    pub(crate) fn on_ack(&mut self, acked: usize, mss: usize) {
        if self.window < self.threshold {
            let grow = acked.min(self.threshold - self.window);
            self.window += grow;
            return;
        }
        self.acked += acked;
        if self.acked >= self.window {
            self.acked -= self.window;
            self.window += mss;
        }
    }

    /// A segment was lost while others arrived.
    pub(crate) fn on_loss(&mut self, in_flight: usize, mss: usize) {
        self.threshold = (in_flight.min(self.window) / 2).max(2 * mss);
        self.window = self.threshold;
        self.acked = 0;
    }

    /// Nothing arrived for a whole timeout. `first` says that it is the first since something did.
    pub(crate) fn on_timeout(&mut self, in_flight: usize, mss: usize, first: bool) {
        if first {
            self.threshold = (in_flight.min(self.window) / 2).max(2 * mss);
        }
        self.window = mss;
        self.acked = 0;
    }

    /// Nothing was sent for some time (RFC 2861): what was learned about the path is old.
    pub(crate) fn on_idle(&mut self, mss: usize) {
        if self.window > INITIAL_WINDOW * mss {
            self.threshold = self.threshold.max(self.window / 4 * 3);
            self.window = (self.window / 2).max(INITIAL_WINDOW * mss);
        }
    }

    /// The size of segments has changed.
    pub(crate) fn at_least(&mut self, mss: usize) {
        self.window = self.window.max(mss);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_shrinks() {
        let mut congestion = Congestion::new(1000);
        assert_eq!(congestion.window(), 10_000);
        congestion.on_ack(10_000, 1000);
        assert_eq!(congestion.window(), 20_000);
        congestion.on_loss(20_000, 1000);
        assert_eq!((congestion.window(), congestion.threshold()), (10_000, 10_000));
        congestion.on_ack(9_999, 1000);
        assert_eq!(congestion.window(), 10_000);
        congestion.on_ack(1, 1000);
        assert_eq!(congestion.window(), 11_000);
        congestion.on_timeout(11_000, 1000, true);
        assert_eq!((congestion.window(), congestion.threshold()), (1000, 5_500));
        congestion.on_ack(1000, 1000);
        assert_eq!(congestion.window(), 2000);
    }
}
