//! Sets of CPUs.

/// Most CPUs that the kernel uses: one bit each.
pub const MAX_CPUS: usize = 64;

/// A set of CPUs by their numbers, from 0 to [`MAX_CPUS`] - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSet(u64);

impl CpuSet {
    /// All CPUs, whether there are so many or not.
    pub const ALL: Self = Self(u64::MAX);

    /// From a mask, bit 0 for CPU 0.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As a mask.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether a CPU is in it.
    #[must_use]
    pub const fn contains(self, cpu: usize) -> bool {
        cpu < MAX_CPUS && self.0 & 1 << cpu != 0
    }
}

/// The numbers of the bits that are set, the lowest first.
#[cfg(target_os = "none")]
pub(crate) fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(bit)
    })
}
