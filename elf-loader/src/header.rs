//! The ELF header, and where the program header table lies.

use crate::error::{ElfError, Part};
use crate::plan::FileRange;
use alloc::vec::Vec;
use goblin::elf::header::header64::{Header, SIZEOF_EHDR};
use goblin::elf::header::{
    EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_X86_64, ET_DYN, ET_EXEC, SELFMAG,
};
use goblin::elf::program_header::program_header64::{ProgramHeader, SIZEOF_PHDR};

/// How many bytes of a file's start [`program_headers_at`] and [`parse`](crate::parse) look at.
pub const HEADER_SIZE: usize = SIZEOF_EHDR;

/// The header's bytes where its fields are aligned. The crate's readers for either class and byte order are many times the
/// code, and this kernel has one of each.
#[repr(align(8))]
struct AlignedHeader([u8; HEADER_SIZE]);

/// Linux's limit for the program header table, in bytes.
const TABLE_LIMIT: usize = 65536;

/// Where the program header table lies in the file, from the file's first bytes.
///
/// `head` is the file's first [`HEADER_SIZE`] bytes or more, or all of it if it is shorter; `file_size` is the size of
/// the whole file.
///
/// # Errors
/// Whatever is wrong with the ELF header.
pub fn program_headers_at(head: &[u8], file_size: u64) -> Result<FileRange, ElfError> {
    checked(head, file_size).map(|(_, table)| table)
}

/// The header's fields after all checks of them, and the place of the program header table.
pub(crate) fn checked(head: &[u8], file_size: u64) -> Result<(Header, FileRange), ElfError> {
    if head.get(..SELFMAG) != Some(ELFMAG.as_slice()) {
        return Err(ElfError::NotElf);
    }
    let truncated = ElfError::Truncated { part: Part::Header, end: HEADER_SIZE as u64, file_size };
    let ident = head.first_chunk().ok_or(truncated)?;
    // Before the rest: other classes and byte orders have the other fields elsewhere.
    if ident[EI_CLASS] != ELFCLASS64 {
        return Err(ElfError::Class(ident[EI_CLASS]));
    }
    if ident[EI_DATA] != ELFDATA2LSB {
        return Err(ElfError::ByteOrder(ident[EI_DATA]));
    }
    let header = *Header::from_bytes(&AlignedHeader(*ident).0);
    if header.e_machine != EM_X86_64 {
        return Err(ElfError::Machine(header.e_machine));
    }
    if !matches!(header.e_type, ET_EXEC | ET_DYN) {
        return Err(ElfError::Type(header.e_type));
    }
    if usize::from(header.e_phentsize) != SIZEOF_PHDR {
        return Err(ElfError::ProgramHeaderSize(header.e_phentsize));
    }
    let len = usize::from(header.e_phnum) * SIZEOF_PHDR;
    if len == 0 || len > TABLE_LIMIT {
        return Err(ElfError::ProgramHeaderCount(header.e_phnum));
    }
    let offset = header.e_phoff;
    let end = offset.checked_add(len as u64).ok_or(ElfError::ProgramHeaderOffset(offset))?;
    if end > file_size {
        return Err(ElfError::Truncated { part: Part::ProgramHeaders, end, file_size });
    }
    Ok((header, FileRange { offset, len }))
}

/// The header and the program headers, whose own fields are not checked.
pub(crate) fn with_table(
    head: &[u8],
    table: &[u8],
    file_size: u64,
) -> Result<(Header, Vec<ProgramHeader>), ElfError> {
    let (header, range) = checked(head, file_size)?;
    let short = ElfError::Truncated {
        part: Part::ProgramHeaders,
        end: range.offset + range.len as u64,
        file_size: range.offset + table.len() as u64,
    };
    let table = table.get(..range.len).ok_or(short)?;
    Ok((header, ProgramHeader::from_bytes(table, range.len / SIZEOF_PHDR)))
}
