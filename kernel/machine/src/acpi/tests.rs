use super::tables::Fadt;
use super::*;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

/// Memory from address 0.
fn reader(memory: &[u8]) -> impl Fn(u64, &mut [u8]) -> bool + '_ {
    |address, buffer| {
        let Ok(start) = usize::try_from(address) else { return false };
        let Some(bytes) = start.checked_add(buffer.len()).and_then(|end| memory.get(start..end)) else {
            return false;
        };
        buffer.copy_from_slice(bytes);
        true
    }
}

fn checksum(bytes: &mut [u8], at: usize) {
    bytes[at] = 0;
    bytes[at] = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
}

fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 36];
    bytes[..4].copy_from_slice(signature);
    bytes[4..8].copy_from_slice(&(36 + body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(body);
    checksum(&mut bytes, 9);
    bytes
}

const RSDP: u64 = 0xf_5a10;

/// A machine like q35: all tables below 1 MiB.
fn machine(xsdt: bool) -> Vec<u8> {
    let mut memory = vec![0; 1 << 20];
    let mut put = |at: usize, bytes: &[u8]| memory[at..at + bytes.len()].copy_from_slice(bytes);

    let mut madt = vec![0, 0, 0xe0, 0xfe, 1, 0, 0, 0];
    madt.extend([0, 8, 0, 0, 1, 0, 0, 0]); // CPU 0
    madt.extend([0, 8, 1, 1, 0, 0, 0, 0]); // CPU 1, not usable
    madt.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
    madt.extend([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]); // timer on input 2
    madt.extend([2, 10, 0, 5, 5, 0, 0, 0, 0x0d, 0]);
    madt.extend([9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]); // x2APIC id 256
    madt.extend([77, 3, 0]); // unknown
    put(0x1000, &table(b"APIC", &madt));

    let mut mcfg = vec![0; 8];
    mcfg.extend(0xb000_0000u64.to_le_bytes());
    mcfg.extend([0, 0, 0, 0xff, 0, 0, 0, 0]);
    put(0x2000, &table(b"MCFG", &mcfg));

    let mut fadt = vec![0; 244 - 36];
    fadt[40 - 36..44 - 36].copy_from_slice(&0x4000u32.to_le_bytes());
    fadt[64 - 36..68 - 36].copy_from_slice(&0x604u32.to_le_bytes());
    fadt[109 - 36] = 1 << 5;
    fadt[113 - 36] = 1 << 2;
    fadt[116 - 36] = 1;
    fadt[120 - 36..128 - 36].copy_from_slice(&0xcf9u64.to_le_bytes());
    fadt[128 - 36] = 0xf;
    put(0x3000, &table(b"FACP", &fadt));
    put(0x4000, &table(b"DSDT", b"junk\x08_S5_\x12\x06\x04\x0a\x05\x00\x00\x00"));
    put(0x5000, &table(b"HPET", &[1, 2, 3]));

    let tables = [0x3000u64, 0x1000, 0x5000, 0x2000];
    let roots: Vec<u8> = if xsdt {
        tables.iter().flat_map(|address| address.to_le_bytes()).collect()
    } else {
        tables.iter().flat_map(|address| (*address as u32).to_le_bytes()).collect()
    };
    put(0x6000, &table(if xsdt { b"XSDT" } else { b"RSDT" }, &roots));

    let mut rsdp = [0; 36];
    rsdp[..8].copy_from_slice(b"RSD PTR ");
    if xsdt {
        rsdp[15] = 2;
        rsdp[24..32].copy_from_slice(&0x6000u64.to_le_bytes());
    } else {
        rsdp[16..20].copy_from_slice(&0x6000u32.to_le_bytes());
    }
    checksum(&mut rsdp[..20], 8);
    checksum(&mut rsdp, 32);
    put(RSDP as usize, &rsdp);
    memory
}

fn expected() -> Platform {
    Platform {
        madt: Some(Madt {
            io_apics: vec![(0xfec0_0000, 0)],
            overrides: vec![
                Override { source: 0, gsi: 2, flags: 0 },
                Override { source: 5, gsi: 5, flags: 0xd },
            ],
            cpus: vec![0, 256],
        }),
        ecam: Some(0xb000_0000),
        fadt: Some(Fadt { pm1a_control: 0x604, dsdt: 0x4000, no_rtc: true, reset: Some((0xcf9, 0xf)) }),
    }
}

#[test]
fn both_kinds_of_root_table_are_read() {
    for xsdt in [false, true] {
        let memory = machine(xsdt);
        assert_eq!(find_rsdp(&reader(&memory)), Some(RSDP));
        let platform = read(RSDP, &reader(&memory));
        assert_eq!(platform, Some(expected()));
        assert_eq!(s5_sleep_type(&platform.unwrap().fadt.unwrap(), &reader(&memory)), Some(5));
    }
}

#[test]
fn damage_hides_only_the_damaged_table() {
    let mut memory = machine(true);
    memory[0x1000 + 50] ^= 1;
    let platform = read(RSDP, &reader(&memory)).unwrap();
    assert_eq!(platform, Platform { madt: None, ..expected() });
    memory[RSDP as usize + 3] ^= 1;
    assert_eq!(find_rsdp(&reader(&memory)), None);
    assert_eq!(read(RSDP, &reader(&memory)), None);
    assert_eq!(read(u64::MAX - 3, &reader(&memory)), None);
}

#[test]
fn s5_in_its_forms() {
    assert_eq!(aml::s5_sleep_type(b"\x08_S5_\x12\x06\x04\x01\x01\x00\x00"), Some(1));
    assert_eq!(aml::s5_sleep_type(b"\x08\\_S5_\x12\x46\x00\x04\x0a\x07"), Some(7));
    assert_eq!(aml::s5_sleep_type(b"\x14_S5_\x12\x06\x04\x01"), None);
    assert_eq!(aml::s5_sleep_type(b"\x08_S5_\x12\xff"), None);
    assert_eq!(aml::s5_sleep_type(b"_S5"), None);
}

proptest! {
    /// Whatever the bytes are, the reader ends without a panic. The checksums are repaired so that damage gets past them.
    #[test]
    fn never_panics(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30), xsdt: bool) {
        let mut memory = machine(xsdt);
        let places: Vec<usize> = [0x1000, 0x2000, 0x3000, 0x4000, 0x6000, RSDP as usize]
            .iter().flat_map(|start| *start..*start + 260).collect();
        for (place, byte) in damage {
            memory[*place.get(&places)] = byte;
        }
        for start in [0x1000, 0x2000, 0x3000, 0x4000, 0x6000] {
            let len = u32::from_le_bytes(memory[start + 4..start + 8].try_into().unwrap()) as usize;
            if (36..4096).contains(&len) {
                checksum(&mut memory[start..start + len], 9);
            }
        }
        checksum(&mut memory[RSDP as usize..RSDP as usize + 20], 8);
        if let Some(Platform { fadt: Some(fadt), .. }) = read(RSDP, &reader(&memory)) {
            let _ = s5_sleep_type(&fadt, &reader(&memory));
        }
        let _ = find_rsdp(&reader(&memory));
    }

    #[test]
    fn aml_never_panics(code in prop::collection::vec(any::<u8>(), 0..64), at in 0usize..60) {
        let mut code = code;
        if at + 6 <= code.len() {
            code[at..at + 6].copy_from_slice(b"\x08_S5_\x12");
        }
        let _ = aml::s5_sleep_type(&code);
    }
}
