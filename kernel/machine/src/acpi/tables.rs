//! RSDP, XSDT or RSDT, MADT, MCFG, FADT.

use super::{ReadMemory, aml};
use alloc::vec::Vec;

const HEADER: usize = 36;
/// Longest table read, in bytes; QEMU's DSDT has about 8 KiB.
const MOST_BYTES: usize = 256 << 10;
/// Most tables looked at.
const MOST_TABLES: usize = 64;
/// Most entries kept of a MADT.
const MOST_ENTRIES: usize = 1024;

/// An ISA interrupt that is not wired to the input of its own number (MADT type 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Override {
    /// The ISA interrupt.
    pub(crate) source: u8,
    /// The interrupt input.
    pub(crate) gsi: u32,
    /// Polarity (bits 0, 1) and trigger mode (bits 2, 3), as in the MPS: 0 is the bus's own, 1 high or edge, 3 low or level.
    pub(crate) flags: u16,
}

/// The interrupt controllers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Madt {
    /// I/O APICs: physical address and first interrupt input.
    pub(crate) io_apics: Vec<(u32, u32)>,
    /// Rewired ISA interrupts.
    pub(crate) overrides: Vec<Override>,
    /// APIC ids of the CPUs that can be used.
    pub(crate) cpus: Vec<u32>,
}

/// What is needed of the fixed hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fadt {
    /// Port of the PM1a control register, or 0.
    pub(crate) pm1a_control: u16,
    /// Physical address of the DSDT.
    pub(crate) dsdt: u64,
    /// There is no CMOS clock.
    pub(crate) no_rtc: bool,
    /// I/O port and value that reset the machine.
    pub(crate) reset: Option<(u16, u8)>,
}

/// What the tables say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Platform {
    /// Interrupt controllers.
    pub(crate) madt: Option<Madt>,
    /// Physical address of the configuration space of bus 0 of PCI segment 0.
    pub(crate) ecam: Option<u64>,
    /// Fixed hardware.
    pub(crate) fadt: Option<Fadt>,
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

/// Looks for the RSDP in the BIOS area, where firmware of a PC leaves it at a multiple of 16.
pub(crate) fn find_rsdp(memory: &ReadMemory) -> Option<u64> {
    let mut page = [0; 4096];
    for start in (0xe_0000..0x10_0000).step_by(page.len()) {
        if !memory(start, &mut page) {
            return None;
        }
        for (offset, chunk) in (0..).step_by(16).zip(page.chunks_exact(16)) {
            if chunk.starts_with(b"RSD PTR ") && root(start + offset, memory).is_some() {
                return Some(start + offset);
            }
        }
    }
    None
}

/// Address of the root table, and the bytes of an entry in it.
fn root(rsdp: u64, memory: &ReadMemory) -> Option<(u64, usize)> {
    let mut bytes = [0; 36];
    // Revision 0 has 20 bytes; the rest is read only if there is more.
    memory(rsdp, &mut bytes[..20]).then_some(())?;
    if !bytes.starts_with(b"RSD PTR ") || !sums_to_zero(&bytes[..20]) {
        return None;
    }
    let rsdt = u64::from(u32_at(&bytes, 16)?);
    if bytes[15] >= 2 && memory(rsdp, &mut bytes) && sums_to_zero(&bytes) {
        let xsdt = u64_at(&bytes, 24)?;
        if xsdt != 0 {
            return Some((xsdt, 8));
        }
    }
    (rsdt != 0).then_some((rsdt, 4))
}

/// Reads a whole table, if its length and checksum are right and `wanted` says yes to its signature.
fn table(address: u64, memory: &ReadMemory, wanted: impl Fn(&[u8; 4]) -> bool) -> Option<Vec<u8>> {
    let mut header = [0; HEADER];
    memory(address, &mut header).then_some(())?;
    let signature = header.first_chunk()?;
    let len = usize::try_from(u32_at(&header, 4)?).ok()?;
    if !wanted(signature) || !(HEADER..=MOST_BYTES).contains(&len) {
        return None;
    }
    let mut bytes = alloc::vec![0; len];
    (memory(address, &mut bytes) && sums_to_zero(&bytes)).then_some(bytes)
}

/// Reads the tables. What is damaged is as if it were not there.
pub(crate) fn read(rsdp: u64, memory: &ReadMemory) -> Option<Platform> {
    let (address, entry) = root(rsdp, memory)?;
    let root = table(address, memory, |signature| matches!(signature, b"XSDT" | b"RSDT"))?;
    let mut platform = Platform::default();
    for entry in root[HEADER..].chunks_exact(entry).take(MOST_TABLES) {
        let address = if entry.len() == 8 { u64_at(entry, 0) } else { u32_at(entry, 0).map(u64::from) }?;
        let interesting = |signature: &[u8; 4]| matches!(signature, b"APIC" | b"MCFG" | b"FACP");
        let Some(bytes) = table(address, memory, interesting) else { continue };
        match bytes.first_chunk() {
            Some(b"APIC") => platform.madt = Some(madt(&bytes)),
            Some(b"MCFG") => platform.ecam = mcfg(&bytes),
            Some(b"FACP") => platform.fadt = fadt(&bytes),
            _ => {}
        }
    }
    Some(platform)
}

/// Section 5.2.12.
fn madt(bytes: &[u8]) -> Madt {
    let mut madt = Madt::default();
    let mut rest = bytes.get(44..).unwrap_or_default();
    for _ in 0..MOST_ENTRIES {
        let [kind, len, ..] = *rest else { break };
        let Some((entry, after)) = rest.split_at_checked(usize::from(len)).filter(|_| len >= 2) else {
            break;
        };
        rest = after;
        // An entry too short for its type is skipped.
        let _ = entry_of_madt(&mut madt, kind, entry);
    }
    madt
}

fn entry_of_madt(madt: &mut Madt, kind: u8, entry: &[u8]) -> Option<()> {
    match kind {
        // Bit 0: usable now. (Bit 1 would be "can be plugged in later".)
        0 if u32_at(entry, 4)? & 1 != 0 => madt.cpus.push(u32::from(*entry.get(3)?)),
        1 => madt.io_apics.push((u32_at(entry, 4)?, u32_at(entry, 8)?)),
        2 => madt.overrides.push(Override {
            source: *entry.get(3)?,
            gsi: u32_at(entry, 4)?,
            flags: u16_at(entry, 8)?,
        }),
        9 if u32_at(entry, 8)? & 1 != 0 => madt.cpus.push(u32_at(entry, 4)?),
        _ => {}
    }
    Some(())
}

/// PCI Firmware Specification 3.3, section 4.1.2: entries of 16 bytes.
fn mcfg(bytes: &[u8]) -> Option<u64> {
    bytes.get(44..)?.chunks_exact(16).take(MOST_ENTRIES).find_map(|entry| {
        let (base, segment, first_bus) = (u64_at(entry, 0)?, u16_at(entry, 8)?, *entry.get(10)?);
        // The address is that of bus 0 even if the first bus is another; then bus 0 is not reachable.
        (segment == 0 && first_bus == 0 && base != 0 && base % (1 << 20) == 0).then_some(base)
    })
}

/// Section 5.2.9.
fn fadt(bytes: &[u8]) -> Option<Fadt> {
    let x_dsdt = u64_at(bytes, 140).filter(|address| *address != 0);
    let dsdt = match x_dsdt {
        Some(address) => address,
        None => u64::from(u32_at(bytes, 40)?),
    };
    let reset_supported = u32_at(bytes, 112)? & 1 << 10 != 0;
    let reset = || {
        // Generic address: space 1 is I/O ports.
        let (space, port, value) = (*bytes.get(116)?, u64_at(bytes, 120)?, *bytes.get(128)?);
        (space == 1).then_some((u16::try_from(port).ok()?, value))
    };
    Some(Fadt {
        pm1a_control: u16::try_from(u32_at(bytes, 64)?).unwrap_or(0),
        dsdt,
        // IAPC_BOOT_ARCH, bit 5.
        no_rtc: u16_at(bytes, 109)? & 1 << 5 != 0,
        reset: if reset_supported { reset() } else { None },
    })
}

/// The value of SLP_TYPa that switches the machine off, from the DSDT (a long table: ask only when it is needed).
pub(crate) fn s5_sleep_type(fadt: &Fadt, memory: &ReadMemory) -> Option<u8> {
    let dsdt = table(fadt.dsdt, memory, |signature| signature == b"DSDT")?;
    aml::s5_sleep_type(&dsdt[HEADER..])
}
