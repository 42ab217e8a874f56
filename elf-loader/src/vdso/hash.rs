//! The two kinds of hash table by which symbols are found: the ELF specification's and GNU's.

use super::{Symbol, words32, words64};
use alloc::vec::Vec;

/// Buckets of either table.
const BUCKETS: u32 = 7;
/// Index of the first symbol in GNU's table: behind the null symbol.
const FIRST: u32 = 1;
/// Shift of the second bit that a symbol sets in the Bloom filter, which is one word.
const BLOOM_SHIFT: u32 = 6;

/// The ELF specification's hash of a name.
pub(super) fn sysv_of(name: &str) -> u32 {
    name.bytes().fold(0_u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(byte.into());
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

/// GNU's hash of a name.
fn gnu_of(name: &str) -> u32 {
    name.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(byte.into()))
}

/// The symbols in the order that GNU's table wants: by bucket.
pub(super) fn sorted(mut symbols: Vec<Symbol>) -> Vec<Symbol> {
    symbols.sort_by_key(|symbol| gnu_of(&symbol.name) % BUCKETS);
    symbols
}

/// The specification's table for symbols with these names, from index 1 on.
pub(super) fn sysv(names: &[&str]) -> Vec<u8> {
    let mut buckets = [0_u32; BUCKETS as usize];
    let mut chain = alloc::vec![0_u32; names.len() + 1];
    for (index, name) in names.iter().enumerate() {
        let bucket = &mut buckets[(sysv_of(name) % BUCKETS) as usize];
        chain[index + 1] = core::mem::replace(bucket, index as u32 + 1);
    }
    let mut table = words32(&[BUCKETS, chain.len() as u32]);
    table.extend(words32(&buckets));
    table.extend(words32(&chain));
    table
}

/// GNU's table for symbols with these names, which are [`sorted`], from index 1 on.
pub(super) fn gnu(names: &[&str]) -> Vec<u8> {
    let hashes: Vec<u32> = names.iter().map(|name| gnu_of(name)).collect();
    let bloom =
        hashes.iter().fold(0, |bloom, hash| bloom | 1_u64 << (hash % 64) | 1 << ((hash >> BLOOM_SHIFT) % 64));
    let mut buckets = [0_u32; BUCKETS as usize];
    for (index, hash) in hashes.iter().enumerate().rev() {
        buckets[(hash % BUCKETS) as usize] = index as u32 + FIRST;
    }
    // The lowest bit says that a symbol is its bucket's last.
    let last =
        |index: usize| hashes.get(index + 1).is_none_or(|next| next % BUCKETS != hashes[index] % BUCKETS);
    let chain: Vec<u32> =
        hashes.iter().enumerate().map(|(index, hash)| hash & !1 | u32::from(last(index))).collect();
    let mut table = words32(&[BUCKETS, FIRST, 1, BLOOM_SHIFT]);
    table.extend(words64(&[bloom]));
    table.extend(words32(&buckets));
    table.extend(words32(&chain));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        // As the Go runtime has them for what it looks up.
        assert_eq!(sysv_of("LINUX_2.6"), 0x03ae_75f6);
        assert_eq!(
            (sysv_of("__vdso_gettimeofday"), gnu_of("__vdso_gettimeofday")),
            (0x0315_ca59, 0xb01b_ca00)
        );
        assert_eq!(
            (sysv_of("__vdso_clock_gettime"), gnu_of("__vdso_clock_gettime")),
            (0x0d35_ec75, 0x6e43_a318)
        );
    }
}
