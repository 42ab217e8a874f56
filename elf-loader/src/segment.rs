//! A `PT_LOAD` program header as pages to map.

use crate::error::{ElfError, Part};
use crate::{PAGE_SIZE, USER_END, page_down, page_up};
use bitflags::bitflags;
use core::ops::Range;
use goblin::elf::program_header::program_header64::ProgramHeader;
use goblin::elf::program_header::{PF_R, PF_W, PF_X};

bitflags! {
    /// What a program may do with the pages of a segment. The bits are those of mmap(2)'s PROT_READ, PROT_WRITE
    /// and PROT_EXEC.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Protection: u32 {
        /// Read.
        const READ = linux_raw_sys::general::PROT_READ;
        /// Write.
        const WRITE = linux_raw_sys::general::PROT_WRITE;
        /// Execute.
        const EXEC = linux_raw_sys::general::PROT_EXEC;
    }
}

/// A segment to map. It consists of a private mapping of the file (`map_start`, `map_len`, `map_file_offset`), whose last page is
/// zeroed from where the file's bytes end (`zero`), and of anonymous pages behind it (`anonymous`).
///
/// Addresses lack the load bias. Segments are to be mapped in the order of the plan, each over what is there, since two
/// may share a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `p_vaddr`.
    pub vaddr: u64,
    /// `p_memsz`, in bytes.
    pub mem_size: u64,
    /// `p_offset`, in bytes.
    pub file_offset: u64,
    /// `p_filesz`, in bytes.
    pub file_size: u64,
    /// `p_flags`.
    pub prot: Protection,
    /// Where the mapping of the file starts; page-aligned.
    pub map_start: u64,
    /// Length of the mapping of the file in bytes, a multiple of the page size; 0 if nothing of the file is mapped.
    pub map_len: u64,
    /// Where in the file the mapping starts; page-aligned.
    pub map_file_offset: u64,
    /// The bytes of the file mapping's last page that have to be zero as they are .bss; empty if there are none. Linux ignores
    /// a failure to zero them in a segment without `WRITE`.
    pub zero: Range<u64>,
    /// The zero-filled pages that follow; page-aligned, empty if there are none.
    pub anonymous: Range<u64>,
}

impl Segment {
    /// Checks a `PT_LOAD`. One without memory gives none.
    pub(crate) fn new(
        index: usize,
        header: &ProgramHeader,
        file_size: u64,
    ) -> Result<Option<Self>, ElfError> {
        let ProgramHeader { p_vaddr, p_offset, p_filesz, p_memsz, .. } = *header;
        if p_filesz > p_memsz {
            return Err(ElfError::FileSize { index, file_size: p_filesz, mem_size: p_memsz });
        }
        let overflow = ElfError::FileRange { index, offset: p_offset, file_size: p_filesz };
        let file_end = p_offset.checked_add(p_filesz).ok_or(overflow)?;
        let outside = ElfError::Address { index, vaddr: p_vaddr, mem_size: p_memsz };
        let end = p_vaddr.checked_add(p_memsz).filter(|&end| end <= USER_END).ok_or(outside)?;
        if p_memsz == 0 {
            return Ok(None);
        }
        let map_start = page_down(p_vaddr);
        let data_end = p_vaddr + p_filesz;
        let memory_end = page_up(end);
        let mut segment = Self {
            vaddr: p_vaddr,
            mem_size: p_memsz,
            file_offset: p_offset,
            file_size: p_filesz,
            prot: protection(header.p_flags),
            map_start,
            map_len: 0,
            map_file_offset: 0,
            zero: data_end..data_end,
            anonymous: map_start..memory_end,
        };
        if p_filesz > 0 {
            if p_offset % PAGE_SIZE != p_vaddr % PAGE_SIZE {
                return Err(ElfError::Congruence { index, offset: p_offset, vaddr: p_vaddr });
            }
            if file_end > file_size {
                return Err(ElfError::Truncated { part: Part::Segment(index), end: file_end, file_size });
            }
            let map_end = page_up(data_end);
            segment.map_len = map_end - map_start;
            segment.map_file_offset = page_down(p_offset);
            segment.anonymous = map_end..memory_end;
            if p_memsz > p_filesz {
                segment.zero = data_end..map_end;
            }
        }
        Ok(Some(segment))
    }

    /// The segment's bytes, without rounding to pages.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.vaddr..self.vaddr + self.mem_size
    }

    /// The pages of the segment, both file mapping and anonymous memory.
    #[must_use]
    pub fn pages(&self) -> Range<u64> {
        self.map_start..self.anonymous.end
    }
}

fn protection(flags: u32) -> Protection {
    [(PF_R, Protection::READ), (PF_W, Protection::WRITE), (PF_X, Protection::EXEC)]
        .into_iter()
        .filter(|(flag, _)| flags & flag != 0)
        .fold(Protection::empty(), |all, (_, one)| all | one)
}
