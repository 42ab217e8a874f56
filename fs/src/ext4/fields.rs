//! Little-endian numbers in a structure on disk. A field beyond the end of the bytes reads as zero, as the later fields
//! of a structure do that an older mke2fs made shorter.

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |&field| u16::from_le_bytes(field))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |&field| u32::from_le_bytes(field))
}

/// A 64-bit number in two halves, of which the upper has its own place.
pub(super) fn split_u64(bytes: &[u8], low: usize, high: usize) -> u64 {
    u64::from(u32_at(bytes, low)) | u64::from(u32_at(bytes, high)) << 32
}
