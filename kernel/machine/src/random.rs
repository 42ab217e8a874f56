//! Random numbers.
//!
//! A ChaCha20 generator with fast key erasure: each call takes a new key for the generator and a key of its own from the
//! stream, so that what was given out cannot be found again from the state. Entropy is mixed in by combining it with the
//! key, which can only add to what the key has: from the CPU (RDSEED, RDRAND) and the clock at the first call, from a
//! virtio entropy device when it answers, from whatever the host tool sends; again after a second, and then every five
//! minutes.

use crate::sync::SpinLock;
use crate::{arch, time};
use alloc::boxed::Box;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

type Key = [u8; 32];

const RESEED_NS: u64 = 300_000_000_000;
const FIRST_RESEED_NS: u64 = 1_000_000_000;

struct Pool {
    key: Key,
    seeded: bool,
    reseed_at: u64,
}

static POOL: SpinLock<Pool> = SpinLock::new(Pool { key: [0; 32], seeded: false, reseed_at: 0 });
/// Asks a device for more entropy; it calls [`add_entropy`] when it has some.
static SOURCE: SpinLock<Option<Box<dyn Fn() + Send + Sync>>> = SpinLock::new(None);

impl Pool {
    fn mix(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(self.key.len()) {
            for (key, byte) in self.key.iter_mut().zip(chunk) {
                *key ^= byte;
            }
            // One way: the old key and the input cannot be found from the new key.
            ChaCha20Rng::from_seed(self.key).fill_bytes(&mut self.key);
        }
    }

    /// Mixes in what the CPU has; true if that is unpredictable by itself.
    fn seed(&mut self) -> bool {
        let mut bytes = [0; 32];
        let full = arch::entropy::hardware(&mut bytes);
        if !full && !self.seeded {
            log::warn!(
                "random: the CPU has no RDSEED or RDRAND; seeded from the clock until a device gives more"
            );
        }
        self.mix(&bytes);
        self.mix(&time::monotonic_ns().to_le_bytes());
        self.mix(&arch::entropy::cycles().to_le_bytes());
        self.seeded = true;
        full
    }

    /// A key nobody else gets.
    fn take_key(&mut self) -> Key {
        let mut stream = ChaCha20Rng::from_seed(self.key);
        let mut taken = [0; 32];
        stream.fill_bytes(&mut self.key);
        stream.fill_bytes(&mut taken);
        taken
    }
}

/// Fills the buffer with random bytes. Never waits.
pub fn fill(buffer: &mut [u8]) {
    let now = time::monotonic_ns();
    let (key, ask) = {
        let mut pool = POOL.lock();
        let first = !pool.seeded;
        let due = first || now >= pool.reseed_at;
        let full = due && pool.seed();
        if due {
            pool.reseed_at = now.saturating_add(if first { FIRST_RESEED_NS } else { RESEED_NS });
        }
        // What the CPU gave is enough to begin with; the device's part comes when the program runs.
        (pool.take_key(), due && !(first && full))
    };
    // The bulk is made without the lock.
    ChaCha20Rng::from_seed(key).fill_bytes(buffer);
    if ask && let Some(source) = &*SOURCE.lock() {
        source();
    }
}

/// Mixes bytes from the host or a device into the state. They need not be secret or random: they never take
/// anything away.
pub fn add_entropy(bytes: &[u8]) {
    POOL.lock().mix(bytes);
}

/// Sets what is asked for more entropy from time to time.
pub fn set_source(source: Box<dyn Fn() + Send + Sync>) {
    *SOURCE.lock() = Some(source);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_differ_from_call_to_call_and_are_balanced() {
        let (mut a, mut b) = ([0; 64], [0; 64]);
        fill(&mut a);
        fill(&mut b);
        assert_ne!(a, b);
        let mut many = vec![0; 100_000];
        fill(&mut many);
        let ones: u32 = many.iter().map(|byte| byte.count_ones()).sum();
        assert!((396_000..404_000).contains(&ones), "{ones} of 800000 bits are set");
    }

    #[test]
    fn mixing_is_not_undone_by_mixing_again() {
        let mut pool = Pool { key: [1; 32], seeded: true, reseed_at: 0 };
        pool.mix(&[5; 40]);
        let once = pool.key;
        pool.mix(&[5; 40]);
        assert_ne!(pool.key, [1; 32]);
        assert_ne!(pool.key, once);
    }

    #[test]
    fn the_key_given_out_is_not_the_state() {
        let mut pool = Pool { key: [7; 32], seeded: true, reseed_at: 0 };
        let first = pool.take_key();
        assert_ne!(first, pool.key);
        assert_ne!(first, pool.take_key());
    }

    #[test]
    fn a_source_is_asked_when_the_state_is_renewed() {
        use core::sync::atomic::{AtomicBool, Ordering};
        static ASKED: AtomicBool = AtomicBool::new(false);
        set_source(Box::new(|| ASKED.store(true, Ordering::Relaxed)));
        fill(&mut [0]);
        POOL.lock().reseed_at = 0;
        fill(&mut [0]);
        assert!(ASKED.load(Ordering::Relaxed));
    }
}
