//! Seconds and nanoseconds, as Linux counts time.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A time or a duration: `struct timespec` on x86-64 (16 bytes).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Timespec {
    /// Whole seconds; negative before 1970 for a wall-clock time.
    pub tv_sec: i64,
    /// Nanoseconds, 0 to 999,999,999 in a valid value.
    pub tv_nsec: i64,
}

const NANOS_PER_SEC: u64 = 1_000_000_000;

impl Timespec {
    /// From a count of nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { tv_sec: (nanos / NANOS_PER_SEC) as i64, tv_nsec: (nanos % NANOS_PER_SEC) as i64 }
    }

    /// As a count of nanoseconds, if it is valid (not negative, `tv_nsec` below 1e9). Too large a value saturates.
    #[must_use]
    pub const fn to_nanos(self) -> Option<u64> {
        if self.tv_sec < 0 || self.tv_nsec < 0 || self.tv_nsec >= NANOS_PER_SEC as i64 {
            return None;
        }
        Some((self.tv_sec as u64).saturating_mul(NANOS_PER_SEC).saturating_add(self.tv_nsec as u64))
    }
}

const _: () = assert!(size_of::<Timespec>() == size_of::<linux_raw_sys::general::timespec>());

#[cfg(test)]
mod tests {
    use super::Timespec;

    #[test]
    fn nanoseconds_there_and_back() {
        for nanos in [0, 1, 999_999_999, 1_000_000_000, 1_234_567_890_123] {
            assert_eq!(Timespec::from_nanos(nanos).to_nanos(), Some(nanos));
        }
        assert_eq!(Timespec { tv_sec: 0, tv_nsec: 1_000_000_000 }.to_nanos(), None);
        assert_eq!(Timespec { tv_sec: -1, tv_nsec: 0 }.to_nanos(), None);
    }
}
