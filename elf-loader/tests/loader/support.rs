//! A small ELF file to change and break.

use husk_elf_loader::{ElfError, Plan, parse, program_headers_at};

/// A program header's fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) vaddr: u64,
    pub(crate) file_size: u64,
    pub(crate) mem_size: u64,
    pub(crate) align: u64,
}

pub(crate) const LOAD: u32 = 1;

/// A `PT_LOAD`, readable and executable.
pub(crate) const fn load(offset: u64, vaddr: u64, file_size: u64, mem_size: u64) -> Entry {
    Entry { kind: LOAD, flags: 5, offset, vaddr, file_size, mem_size, align: 0x1000 }
}

/// An ELF header and the program headers right behind it, padded with zeros to `size`.
pub(crate) fn file(entries: &[Entry], size: usize) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend(3u16.to_le_bytes());
    bytes.extend(62u16.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    for word in [0x1040u64, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    for half in [64u16, 56, entries.len() as u16, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for entry in entries {
        bytes.extend(entry.kind.to_le_bytes());
        bytes.extend(entry.flags.to_le_bytes());
        let Entry { offset, vaddr, file_size, mem_size, align, .. } = *entry;
        for word in [offset, vaddr, vaddr, file_size, mem_size, align] {
            bytes.extend(word.to_le_bytes());
        }
    }
    bytes.resize(size.max(bytes.len()), 0);
    bytes
}

/// The plan of a whole file.
pub(crate) fn plan(file: &[u8]) -> Result<Plan, ElfError> {
    let range = program_headers_at(file, file.len() as u64)?;
    parse(file, &file[range.offset as usize..][..range.len], file.len() as u64)
}
