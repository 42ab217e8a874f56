//! A keyed hash, and the random numbers made of it.

use core::sync::atomic::{AtomicU64, Ordering};

/// A key for SipHash (Aumasson and Bernstein, 2012): who does not know it can neither find collisions in the tables nor guess
/// sequence numbers and ports.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    k0: u64,
    k1: u64,
}

impl Key {
    /// A key of 16 bytes.
    pub(crate) fn new(bytes: [u8; 16]) -> Self {
        let word = |at: usize| u64::from_le_bytes(core::array::from_fn(|i| bytes[at + i]));
        Self { k0: word(0), k1: word(8) }
    }

    /// SipHash-1-3 of the words: for tables.
    pub(crate) fn hash(&self, words: &[u64]) -> u64 {
        self.sip::<1, 3>(words)
    }

    /// SipHash-2-4 of the words: for what a stranger gets to see.
    pub(crate) fn prf(&self, words: &[u64]) -> u64 {
        self.sip::<2, 4>(words)
    }

    fn sip<const C: usize, const D: usize>(&self, words: &[u64]) -> u64 {
        let mut v = [
            self.k0 ^ 0x736f_6d65_7073_6575,
            self.k1 ^ 0x646f_7261_6e64_6f6d,
            self.k0 ^ 0x6c79_6765_6e65_7261,
            self.k1 ^ 0x7465_6462_7974_6573,
        ];
        for &word in words.iter().chain(&[(words.len() as u64 * 8) << 56]) {
            v[3] ^= word;
            for _ in 0..C {
                round(&mut v);
            }
            v[0] ^= word;
        }
        v[2] ^= 0xff;
        for _ in 0..D {
            round(&mut v);
        }
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

#[inline]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

/// Random numbers: the hash of a counter.
pub(crate) struct Random {
    key: Key,
    count: AtomicU64,
}

impl Random {
    pub(crate) fn new(key: Key) -> Self {
        Self { key, count: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> u64 {
        self.key.prf(&[self.count.fetch_add(1, Ordering::Relaxed)])
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_siphash_2_4() {
        // The vector of the reference implementation for the 8 bytes 00..07 under the key 00..0f.
        let key = Key::new(core::array::from_fn(|i| i as u8));
        assert_eq!(key.prf(&[0x0706_0504_0302_0100]), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn random_numbers_differ() {
        let random = Random::new(Key::new([7; 16]));
        assert_ne!(random.next(), random.next());
        assert!((0..100).all(|_| random.below(3) < 3));
    }
}
