//! Randomness from the CPU.

use super::cpu::{cpuid, rdtsc};
use core::arch::x86_64::_rdseed64_step;
use x86_64::instructions::random::RdRand;

/// RDSEED may have to wait for new entropy; Intel advises to try for a while and then to take RDRAND.
const SEED_TRIES: u32 = 64;
/// RDRAND fails ten times in a row only if it is broken (Intel's Digital Random Number Generator guide, section 5.2.1).
const RANDOM_TRIES: u32 = 10;

/// Fills the buffer; true if all of it is unpredictable.
pub(crate) fn hardware(buffer: &mut [u8; 32]) -> bool {
    let generator = RdRand::new();
    let has_seed = cpuid(7, 0).ebx & 1 << 18 != 0;
    let mut full = true;
    for chunk in buffer.chunks_mut(8) {
        // SAFETY: CPUID says that the CPU has the instruction.
        let seed = || has_seed.then(|| unsafe { seed() }).flatten();
        let value = seed().or_else(|| random(generator?)).unwrap_or_else(|| {
            full = false;
            rdtsc()
        });
        chunk.copy_from_slice(&value.to_le_bytes());
    }
    full
}

/// A fine-grained counter.
pub(crate) fn cycles() -> u64 {
    rdtsc()
}

/// The crate does not know RDSEED.
///
/// # Safety
/// The CPU has it.
#[target_feature(enable = "rdseed")]
unsafe fn seed() -> Option<u64> {
    let mut value = 0;
    (0..SEED_TRIES).any(|_| _rdseed64_step(&mut value) == 1).then_some(value)
}

fn random(generator: RdRand) -> Option<u64> {
    // Some CPUs came back from sleep with all ones for ever.
    (0..RANDOM_TRIES).filter_map(|_| generator.get_u64()).find(|value| *value != u64::MAX)
}
