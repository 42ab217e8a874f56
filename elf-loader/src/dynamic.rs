//! What an ELF file needs of others: its interpreter and the shared libraries of its dynamic section.
//!
//! For the tool that packs a program with its libraries. It reads only the few places that matter, by a
//! function that the caller gives.

use crate::error::ElfError;
use crate::{HEADER_SIZE, header, interpreter_path, parse, program_headers_at};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use goblin::elf::dynamic::{
    DF_1_NODEFLIB, DT_FLAGS_1, DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB,
};
use goblin::elf::program_header::PT_DYNAMIC;
use goblin::elf::program_header::program_header64::ProgramHeader;
use thiserror::Error;

/// Largest dynamic section that is read, in bytes.
const SECTION_LIMIT: u64 = 1 << 20;
/// Longest string that is read, in bytes, the zero byte excluded.
const STRING_LIMIT: usize = 16 << 10;
/// Most libraries that are listed.
const NEEDED_LIMIT: usize = 4096;

/// What a file asks of its loader. Strings are as in the file: `$ORIGIN` is not expanded, lists are not split.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// `PT_INTERP`: the loader. None in libraries and in static programs.
    pub interpreter: Option<Vec<u8>>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<Vec<u8>>,
    /// `DT_RPATH`, which counts only where there is no `DT_RUNPATH`.
    pub rpath: Option<Vec<u8>>,
    /// `DT_RUNPATH`.
    pub runpath: Option<Vec<u8>>,
    /// `DT_SONAME`.
    pub soname: Option<Vec<u8>>,
    /// `DF_1_NODEFLIB`: the loader's default directories are not searched.
    pub no_default_directories: bool,
}

impl fmt::Debug for Dynamic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &Vec<u8>| alloc::string::String::from_utf8_lossy(bytes).into_owned();
        f.debug_struct("Dynamic")
            .field("interpreter", &self.interpreter.as_ref().map(text))
            .field("needed", &self.needed.iter().map(text).collect::<Vec<_>>())
            .field("rpath", &self.rpath.as_ref().map(text))
            .field("runpath", &self.runpath.as_ref().map(text))
            .field("soname", &self.soname.as_ref().map(text))
            .field("no_default_directories", &self.no_default_directories)
            .finish()
    }
}

/// Why the dynamic section could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DynamicError<E: fmt::Debug + fmt::Display> {
    /// The caller's function failed.
    #[error("{0}")]
    Read(E),
    /// The file is no program or library for this machine.
    #[error("{0}")]
    Elf(ElfError),
    /// The dynamic section is too large or not all in the file.
    #[error(
        "PT_DYNAMIC has p_offset {offset:#x} and p_filesz {size:#x}: it is not in the file or above 1 MiB"
    )]
    Section {
        /// `p_offset`.
        offset: u64,
        /// `p_filesz`.
        size: u64,
    },
    /// The string table is not in the file.
    #[error("DT_STRTAB is {address:#x} with DT_STRSZ {size:#x}: no segment has it in the file")]
    Strings {
        /// `DT_STRTAB`.
        address: u64,
        /// `DT_STRSZ`.
        size: u64,
    },
    /// A string is not in the table, not terminated, or too long.
    #[error("{tag}: no string at {offset:#x} of the string table")]
    String {
        /// The tag it belongs to.
        tag: &'static str,
        /// Its offset in the table.
        offset: u64,
    },
    /// There are more DT_NEEDED than any program has.
    #[error("there are more than 4096 DT_NEEDED entries")]
    TooManyNeeded,
}

impl<E: fmt::Debug + fmt::Display> From<ElfError> for DynamicError<E> {
    fn from(error: ElfError) -> Self {
        Self::Elf(error)
    }
}

/// Reads what a file needs. `read_exact(offset, buffer)` fills the buffer from the file; it is called only for ranges
/// inside `file_size`.
///
/// # Errors
/// What `read_exact` gave, or what is wrong with the file.
pub fn read<E: fmt::Debug + fmt::Display>(
    file_size: u64,
    read_exact: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> Result<Dynamic, DynamicError<E>> {
    let mut source = Source { file_size, read_exact };
    let head = source.bytes(0, file_size.min(HEADER_SIZE as u64) as usize)?;
    let range = program_headers_at(&head, file_size)?;
    let table = source.bytes(range.offset, range.len)?;
    let plan = parse(&head, &table, file_size)?;
    let (_, headers) = header::with_table(&head, &table, file_size)?;

    let mut dynamic = Dynamic::default();
    if let Some(range) = plan.interpreter {
        let bytes = source.bytes(range.offset, range.len)?;
        dynamic.interpreter = Some(interpreter_path(&bytes)?.to_vec());
    }
    let Some(section) = headers.iter().find(|header| header.p_type == PT_DYNAMIC) else {
        return Ok(dynamic);
    };
    let entries = entries(&mut source, section)?;
    let value = |wanted| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
    dynamic.no_default_directories = value(DT_FLAGS_1).is_some_and(|flags| flags & DF_1_NODEFLIB != 0);

    let (address, size) = (value(DT_STRTAB).unwrap_or(0), value(DT_STRSZ).unwrap_or(0));
    let place = plan.segments.iter().find_map(|segment| {
        let start = address.checked_sub(segment.vaddr).filter(|start| *start < segment.file_size)?;
        let available = segment.file_size - start;
        (size <= available).then(|| segment.file_offset + start..segment.file_offset + start + size)
    });
    for (tag, value) in entries {
        let name = match tag {
            DT_NEEDED => "DT_NEEDED",
            DT_RPATH => "DT_RPATH",
            DT_RUNPATH => "DT_RUNPATH",
            DT_SONAME => "DT_SONAME",
            _ => continue,
        };
        let strings = place.clone().ok_or(DynamicError::Strings { address, size })?;
        let text = source.string(strings, value, name)?;
        match tag {
            DT_NEEDED if dynamic.needed.len() == NEEDED_LIMIT => return Err(DynamicError::TooManyNeeded),
            DT_NEEDED => dynamic.needed.push(text),
            DT_RPATH => dynamic.rpath = Some(text),
            DT_RUNPATH => dynamic.runpath = Some(text),
            _ => dynamic.soname = Some(text),
        }
    }
    Ok(dynamic)
}

/// The tags and values before `DT_NULL`.
fn entries<E: fmt::Debug + fmt::Display, F: FnMut(u64, &mut [u8]) -> Result<(), E>>(
    source: &mut Source<F>,
    section: &ProgramHeader,
) -> Result<Vec<(u64, u64)>, DynamicError<E>> {
    let (offset, size) = (section.p_offset, section.p_filesz);
    let end = offset.checked_add(size).filter(|end| *end <= source.file_size && size <= SECTION_LIMIT);
    end.ok_or(DynamicError::Section { offset, size })?;
    let bytes = source.bytes(offset, size as usize)?;
    let (words, _) = bytes.as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    let decoded = pairs.iter().map(|[tag, value]| (u64::from_le_bytes(*tag), u64::from_le_bytes(*value)));
    Ok(decoded.take_while(|(tag, _)| *tag != DT_NULL).collect())
}

/// The file, as the caller reads it.
struct Source<F> {
    file_size: u64,
    read_exact: F,
}

impl<E: fmt::Debug + fmt::Display, F: FnMut(u64, &mut [u8]) -> Result<(), E>> Source<F> {
    /// `len` bytes from `offset`; the caller has checked that they are in the file.
    fn bytes(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, DynamicError<E>> {
        let mut buffer = alloc::vec![0; len];
        (self.read_exact)(offset, &mut buffer).map_err(DynamicError::Read)?;
        Ok(buffer)
    }

    /// The string at `offset` of a table that takes up `table` of the file.
    fn string(
        &mut self,
        table: Range<u64>,
        offset: u64,
        tag: &'static str,
    ) -> Result<Vec<u8>, DynamicError<E>> {
        const STEP: u64 = 256;
        let missing = DynamicError::String { tag, offset };
        let Some(mut at) = table.start.checked_add(offset).filter(|at| *at < table.end) else {
            return Err(missing);
        };
        let mut text = Vec::new();
        while at < table.end && text.len() < STRING_LIMIT {
            let len = (table.end - at).min(STEP);
            let chunk = self.bytes(at, len as usize)?;
            if let Some(zero) = chunk.iter().position(|byte| *byte == 0) {
                text.extend(&chunk[..zero]);
                return Ok(text);
            }
            text.extend(chunk);
            at += len;
        }
        Err(missing)
    }
}
