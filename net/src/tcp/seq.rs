//! Sequence numbers: modulo 2^32, compared by the sign of their distance (RFC 9293, section 3.4).

use core::ops::{Add, Sub};

/// A sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seq(pub(crate) u32);

impl Seq {
    pub(crate) fn before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    pub(crate) fn at_most(self, other: Self) -> bool {
        !other.before(self)
    }

    pub(crate) fn after(self, other: Self) -> bool {
        other.before(self)
    }

    pub(crate) fn at_least(self, other: Self) -> bool {
        !self.before(other)
    }

    pub(crate) fn max(self, other: Self) -> Self {
        if self.before(other) { other } else { self }
    }

    pub(crate) fn min(self, other: Self) -> Self {
        if self.before(other) { self } else { other }
    }

    /// How far this is after `other`; zero if it is before.
    pub(crate) fn distance(self, other: Self) -> usize {
        if self.before(other) { 0 } else { self.0.wrapping_sub(other.0) as usize }
    }
}

impl Add<usize> for Seq {
    type Output = Self;
    fn add(self, count: usize) -> Self {
        Self(self.0.wrapping_add(count as u32))
    }
}

impl Sub<usize> for Seq {
    type Output = Self;
    fn sub(self, count: usize) -> Self {
        Self(self.0.wrapping_sub(count as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps() {
        let high = Seq(u32::MAX - 3);
        assert!(high.before(high + 10) && (high + 10).after(high));
        assert_eq!((high + 10).distance(high), 10);
        assert_eq!(high.distance(high + 10), 0);
        assert_eq!(high.max(high + 1), high + 1);
        assert!(high.at_most(high) && high.at_least(high));
        assert_eq!((high + 10) - 10, high);
    }
}
