//! What the host's hash seeds and clock give.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Fills the buffer; true if all of it is unpredictable.
pub(crate) fn hardware(buffer: &mut [u8; 32]) -> bool {
    for chunk in buffer.chunks_mut(8) {
        // Each state has keys of its own, which come from the host's random numbers.
        chunk.copy_from_slice(&RandomState::new().build_hasher().finish().to_le_bytes());
    }
    true
}

/// A fine-grained counter.
pub(crate) fn cycles() -> u64 {
    super::time::monotonic_ns()
}
