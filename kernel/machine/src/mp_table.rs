//! The MultiProcessor Specification's table (version 1.4, chapter 4), by which monitors without ACPI tables say which CPUs
//! there are (QEMU's microvm, Firecracker).
//!
//! Trusts nothing it reads, and never loops or allocates without a bound.

use crate::acpi::ReadMemory;
use alloc::vec::Vec;

/// Where the floating pointer may be: the last KiB of base memory, and the BIOS's read-only memory.
const PLACES: [core::ops::Range<u64>; 2] = [0x9_fc00..0xa_0000, 0xf_0000..0x10_0000];
const HEADER: usize = 44;
const CPU_ENTRY: usize = 20;
const OTHER_ENTRY: usize = 8;
const ENABLED: u8 = 1;

/// The APIC ids of the CPUs that can be used; `None` if there is no valid table.
pub(crate) fn apic_ids(memory: &ReadMemory) -> Option<Vec<u32>> {
    let table = find(memory)?;
    let mut header = [0; HEADER];
    memory(table, &mut header).then_some(())?;
    let len = usize::from(u16::from_le_bytes([header[4], header[5]]));
    if !header.starts_with(b"PCMP") || len < HEADER {
        return None;
    }
    let mut bytes = alloc::vec![0; len];
    (memory(table, &mut bytes) && sums_to_zero(&bytes)).then_some(())?;
    let mut ids = Vec::new();
    let mut rest = &bytes[HEADER..];
    // To the end of the table, as Linux reads it: QEMU's firmware leaves the number of entries 0.
    while !rest.is_empty() {
        let entry = rest.get(..if *rest.first()? == 0 { CPU_ENTRY } else { OTHER_ENTRY })?;
        if entry[0] == 0 && entry[3] & ENABLED != 0 {
            ids.push(u32::from(entry[1]));
        }
        rest = &rest[entry.len()..];
    }
    Some(ids)
}

/// The address of the table that the floating pointer leads to.
fn find(memory: &ReadMemory) -> Option<u64> {
    for address in PLACES.into_iter().flat_map(|place| place.step_by(16)) {
        let mut pointer = [0; 16];
        // Most places have no signature: the rest is read only after it.
        if !memory(address, &mut pointer[..4]) || !pointer.starts_with(b"_MP_") {
            continue;
        }
        if memory(address, &mut pointer) && pointer[8] == 1 && sums_to_zero(&pointer) {
            let table = u32::from_le_bytes([pointer[4], pointer[5], pointer[6], pointer[7]]);
            return (table != 0).then_some(u64::from(table));
        }
    }
    None
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: usize = 0xf_1000;

    fn fix_sum(bytes: &mut [u8], at: usize) {
        bytes[at] = 0;
        bytes[at] = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    }

    /// A megabyte with a table of these CPUs (APIC id, flags) and a bus.
    fn machine(cpus: &[(u8, u8)]) -> Vec<u8> {
        let mut memory = alloc::vec![0; 1 << 20];
        let mut table = alloc::vec![0; HEADER];
        table[..4].copy_from_slice(b"PCMP");
        for &(id, flags) in cpus {
            let mut entry = [0; CPU_ENTRY];
            (entry[1], entry[3]) = (id, flags);
            table.extend(entry);
        }
        table.extend([1, 0, b'I', b'S', b'A', b' ', b' ', b' ']);
        let len = table.len() as u16;
        table[4..6].copy_from_slice(&len.to_le_bytes());
        fix_sum(&mut table, 7);
        memory[TABLE..TABLE + table.len()].copy_from_slice(&table);
        let mut pointer = [0; 16];
        pointer[..4].copy_from_slice(b"_MP_");
        pointer[4..8].copy_from_slice(&(TABLE as u32).to_le_bytes());
        (pointer[8], pointer[9]) = (1, 4);
        fix_sum(&mut pointer, 10);
        memory[0xf_0010..0xf_0020].copy_from_slice(&pointer);
        memory
    }

    fn ids(machine: &[u8]) -> Option<Vec<u32>> {
        apic_ids(&|address, buffer| {
            let start = address as usize;
            machine.get(start..start + buffer.len()).map(|bytes| buffer.copy_from_slice(bytes)).is_some()
        })
    }

    #[test]
    fn cpus_that_are_enabled() {
        let machine = machine(&[(0, 3), (1, 1), (2, 0), (7, 1)]);
        assert_eq!(ids(&machine), Some(alloc::vec![0, 1, 7]));
    }

    #[test]
    fn damage_is_noticed() {
        let mut machine = machine(&[(0, 3), (1, 1)]);
        machine[TABLE + HEADER + 1] ^= 4;
        assert_eq!(ids(&machine), None);
        assert_eq!(ids(&alloc::vec![0; 1 << 20]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut machine = machine(&[(0, 3)]);
            let end = TABLE + HEADER + bytes.len();
            machine[TABLE + HEADER..end].copy_from_slice(&bytes);
            let len = ((HEADER + bytes.len()) as u16).to_le_bytes();
            machine[TABLE + 4..TABLE + 6].copy_from_slice(&len);
            fix_sum(&mut machine[TABLE..end], 7);
            if let Some(ids) = ids(&machine) {
                prop_assert!(ids.len() <= bytes.len() / CPU_ENTRY + 1);
            }
        }
    }
}
