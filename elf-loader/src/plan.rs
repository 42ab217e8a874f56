//! The whole plan: what to map, where to start, what to tell the program in its auxiliary vector.

use crate::error::{ElfError, Part};
use crate::segment::{Protection, Segment};
use crate::{PAGE_SIZE, header};
use alloc::vec::Vec;
use core::ops::Range;
use goblin::elf::header::ET_EXEC;
use goblin::elf::header::header64::Header;
use goblin::elf::program_header::program_header64::ProgramHeader;
use goblin::elf::program_header::{PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD};

/// Where a program may be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ET_EXEC`: at the addresses in the file only.
    Fixed,
    /// `ET_DYN`: a position-independent executable or a loader, at any multiple of [`Plan::align`].
    PositionIndependent,
}

/// A run of bytes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// Where it starts, in bytes from the start of the file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: usize,
}

/// What `PT_GNU_STACK` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackRequest {
    /// Whether the stack has to be executable. Without a `PT_GNU_STACK` it is not, as on Linux for 64-bit programs.
    pub exec: bool,
    /// `p_memsz`: the size in bytes the linker was asked for (`-z stack-size`), 0 for none. Linux ignores it; musl's
    /// loader reads it by itself.
    pub size: u64,
}

/// What to map and what to tell the program. Addresses lack the load bias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Fixed or position-independent.
    pub kind: Kind,
    /// `e_entry`, for AT_ENTRY and, without an interpreter, RIP.
    pub entry: u64,
    /// The segments in the order in which to map them; at least one.
    pub segments: Vec<Segment>,
    /// Where the path of the interpreter stands in the file; see [`interpreter_path`].
    pub interpreter: Option<FileRange>,
    /// What the program asks of its stack.
    pub stack: StackRequest,
    /// Address of the program headers for AT_PHDR: by the segment that holds `e_phoff`. If none does it is 0, to which
    /// Linux adds the load bias as to any other.
    pub phdr_vaddr: u64,
    /// Number of program headers, for AT_PHNUM.
    pub phnum: u16,
    /// Size of a program header in bytes, for AT_PHENT.
    pub phentsize: u16,
    /// From the lowest page of a segment to the end of the highest.
    pub load_range: Range<u64>,
    /// The alignment the load bias needs: the largest `p_align` of the segments that is a power of two, at least a page.
    pub align: u64,
    /// The highest end of a segment, without rounding; the heap of brk(2) starts at the page boundary after it.
    pub brk: u64,
}

impl Plan {
    /// The code as proc_pid_stat(5) shows it (`startcode`, `endcode`): the executable segments' bytes in the file. Empty at
    /// 0 if there are none.
    #[must_use]
    pub fn code(&self) -> Range<u64> {
        let code = || self.segments.iter().filter(|segment| segment.prot.contains(Protection::EXEC));
        let start = code().map(|segment| segment.vaddr).min().unwrap_or(0);
        start..code().map(|segment| segment.vaddr + segment.file_size).max().unwrap_or(0)
    }

    /// The initialised data as proc_pid_stat(5) shows it (`start_data`, `end_data`): from the start of the highest segment to
    /// the highest end of bytes in the file.
    #[must_use]
    pub fn data(&self) -> Range<u64> {
        let start = self.segments.iter().map(|segment| segment.vaddr).max().unwrap_or(0);
        let end = self.segments.iter().map(|segment| segment.vaddr + segment.file_size).max().unwrap_or(0);
        start..end.max(start)
    }
}

/// Checks a program's headers and plans its mapping.
///
/// `head` is as for [`program_headers_at`](crate::program_headers_at), `table` the bytes that function pointed to, `file_size` the size of
/// the whole file. It serves for interpreters as well.
///
/// # Errors
/// The first thing that is wrong, in the order of the file.
pub fn parse(head: &[u8], table: &[u8], file_size: u64) -> Result<Plan, ElfError> {
    let (header, headers) = header::with_table(head, table, file_size)?;
    let mut segments: Vec<(usize, Segment)> = Vec::new();
    for (index, entry) in headers.iter().enumerate().filter(|(_, entry)| entry.p_type == PT_LOAD) {
        segments.extend(Segment::new(index, entry, file_size)?.map(|segment| (index, segment)));
    }
    refuse_overlap(&segments)?;
    let segments: Vec<Segment> = segments.into_iter().map(|(_, segment)| segment).collect();
    let none = ElfError::NoLoad(headers.len());
    let low = segments.iter().map(|segment| segment.map_start).min().ok_or(none)?;
    let high = segments.iter().map(|segment| segment.pages().end).max().ok_or(none)?;
    Ok(Plan {
        kind: if header.e_type == ET_EXEC { Kind::Fixed } else { Kind::PositionIndependent },
        entry: header.e_entry,
        interpreter: interpreter(&headers, file_size)?,
        stack: stack(&headers),
        phdr_vaddr: phdr_vaddr(&header, &segments),
        phnum: header.e_phnum,
        phentsize: header.e_phentsize,
        load_range: low..high,
        align: alignment(&headers),
        brk: segments.iter().map(|segment| segment.range().end).max().ok_or(none)?,
        segments,
    })
}

/// The path in the bytes of a `PT_INTERP` (those of [`Plan::interpreter`]).
///
/// # Errors
/// [`ElfError::InterpreterNotTerminated`] if the last byte is not zero.
pub fn interpreter_path(bytes: &[u8]) -> Result<&[u8], ElfError> {
    match bytes.last() {
        // As for a C string, the path ends at the first zero.
        Some(0) => Ok(bytes.split(|&byte| byte == 0).next().unwrap_or_default()),
        _ => Err(ElfError::InterpreterNotTerminated),
    }
}

fn refuse_overlap(segments: &[(usize, Segment)]) -> Result<(), ElfError> {
    let mut sorted: Vec<_> = segments.iter().map(|(index, segment)| (segment.range(), *index)).collect();
    sorted.sort_by_key(|(range, _)| range.start);
    let overlap = sorted.windows(2).find(|pair| pair[1].0.start < pair[0].0.end);
    match overlap {
        None => Ok(()),
        Some(pair) => Err(ElfError::Overlap { first: pair[0].1, second: pair[1].1, at: pair[1].0.start }),
    }
}

/// The first `PT_INTERP` counts, as on Linux.
fn interpreter(headers: &[ProgramHeader], file_size: u64) -> Result<Option<FileRange>, ElfError> {
    let Some((index, entry)) = headers.iter().enumerate().find(|(_, entry)| entry.p_type == PT_INTERP) else {
        return Ok(None);
    };
    let ProgramHeader { p_offset: offset, p_filesz: size, .. } = *entry;
    let len = usize::try_from(size)
        .ok()
        .filter(|len| (2..=linux_raw_sys::general::PATH_MAX as usize).contains(len))
        .ok_or(ElfError::InterpreterSize { index, len: size })?;
    let overflow = ElfError::FileRange { index, offset, file_size: size };
    let end = offset.checked_add(size).ok_or(overflow)?;
    if end > file_size {
        return Err(ElfError::Truncated { part: Part::Interpreter, end, file_size });
    }
    Ok(Some(FileRange { offset, len }))
}

/// The last `PT_GNU_STACK` counts, as on Linux.
fn stack(headers: &[ProgramHeader]) -> StackRequest {
    let entry = headers.iter().rfind(|entry| entry.p_type == PT_GNU_STACK);
    entry.map_or_else(StackRequest::default, |entry| StackRequest {
        exec: entry.p_flags & PF_X != 0,
        size: entry.p_memsz,
    })
}

fn phdr_vaddr(header: &Header, segments: &[Segment]) -> u64 {
    let holds = |segment: &&Segment| {
        (segment.file_offset..segment.file_offset + segment.file_size).contains(&header.e_phoff)
    };
    let segment = segments.iter().rfind(holds);
    segment.map_or(0, |segment| header.e_phoff - segment.file_offset + segment.vaddr)
}

/// Linux ignores a `p_align` that is no power of two.
fn alignment(headers: &[ProgramHeader]) -> u64 {
    let loads = headers.iter().filter(|entry| entry.p_type == PT_LOAD);
    loads.map(|entry| entry.p_align).filter(|align| align.is_power_of_two()).fold(PAGE_SIZE, u64::max)
}
