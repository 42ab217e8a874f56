//! Makes a shared object in memory out of a piece of code: the vDSO that is mapped into every program.
//!
//! Programs find it by AT_SYSINFO_EHDR and read it as they read a library: musl and the Go runtime by hand, glibc by its dynamic
//! loader, unwinders by the program header of `.eh_frame_hdr`. So it has hash tables of both kinds, symbol versions, and says how to unwind.
//! There is one segment, readable and executable, and no relocation.

mod hash;
mod unwind;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Name of the object, as programs know it.
const SONAME: &str = "linux-vdso.so.1";
/// Version of all its symbols.
const VERSION: &str = "LINUX_2.6";
/// Before the names of functions; without it they are there, too, as weak symbols.
const PREFIX: &str = "__vdso_";

// Of the ELF specification and <elf.h>.
const EHDR_SIZE: usize = 64;
const PHDR_SIZE: usize = 56;
const SYM_SIZE: usize = 24;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PF_R: u32 = 4;
const PF_X: u32 = 1;
const DT_NULL: u64 = 0;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_SYMENT: u64 = 11;
const DT_SONAME: u64 = 14;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const DT_VERSYM: u64 = 0x6fff_fff0;
const DT_VERDEF: u64 = 0x6fff_fffc;
const DT_VERDEFNUM: u64 = 0x6fff_fffd;
const STB_GLOBAL: u8 = 1;
const STB_WEAK: u8 = 2;
const STT_FUNC: u8 = 2;
const VER_FLG_BASE: u16 = 1;
/// Index of [`VERSION`] among the versions; 1 is the object itself.
const VERSION_INDEX: u16 = 2;
/// A section that a symbol is in. There are no section headers; but 0 is for symbols that are not defined.
const SOME_SECTION: u16 = 1;

/// Code to be made an object.
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    /// The instructions: functions that use neither the stack nor registers which they would have to restore.
    pub bytes: &'a [u8],
    /// Where in the object they have to start.
    pub offset: usize,
    /// Names and starts of the functions in `bytes`, in ascending order.
    pub functions: &'a [(&'a str, usize)],
}

struct Symbol {
    name: String,
    binding: u8,
    value: u64,
    size: u64,
}

/// The object, which can be mapped at any page. None if the code's offset leaves no room for the tables.
#[must_use]
pub fn build(code: &Code<'_>) -> Option<Vec<u8>> {
    let symbols = hash::sorted(symbols(code));
    let mut strings = Strings(alloc::vec![0]);
    let soname = strings.add(SONAME);
    let version = strings.add(VERSION);
    let names: Vec<u32> = symbols.iter().map(|symbol| strings.add(&symbol.name)).collect();

    let mut object = alloc::vec![0; EHDR_SIZE + 3 * PHDR_SIZE];
    let symbol_names: Vec<&str> = symbols.iter().map(|symbol| symbol.name.as_str()).collect();
    let sysv_hash = append(&mut object, &hash::sysv(&symbol_names));
    let gnu_hash = append(&mut object, &hash::gnu(&symbol_names));
    let symtab = append(&mut object, &symbol_table(&symbols, &names));
    let strtab = append(&mut object, &strings.0);
    // The null symbol is local: version 0.
    let versions: Vec<u16> = core::iter::once(0).chain(names.iter().map(|_| VERSION_INDEX)).collect();
    let versym = append(&mut object, &words16(&versions));
    let verdef = append(&mut object, &version_definitions(soname, version));
    let dynamic_entries = [
        (DT_SONAME, soname.into()),
        (DT_HASH, sysv_hash),
        (DT_GNU_HASH, gnu_hash),
        (DT_STRTAB, strtab),
        (DT_SYMTAB, symtab),
        (DT_STRSZ, strings.0.len() as u64),
        (DT_SYMENT, SYM_SIZE as u64),
        (DT_VERSYM, versym),
        (DT_VERDEF, verdef),
        (DT_VERDEFNUM, 2),
        (DT_NULL, 0),
    ];
    let bytes: Vec<u8> = dynamic_entries.iter().flat_map(|&(tag, value)| words64(&[tag, value])).collect();
    let dynamic = Part { start: append(&mut object, &bytes), len: bytes.len() as u64 };

    let eh_frame_hdr =
        Part { start: append(&mut object, &[0; unwind::HEADER_SIZE]), len: unwind::HEADER_SIZE as u64 };
    let place = object.len().next_multiple_of(ALIGN);
    let frames = unwind::eh_frame(place as u64, code.offset as u64, code.bytes.len() as u64);
    let eh_frame = append(&mut object, &frames.bytes);
    let header =
        unwind::eh_frame_hdr(eh_frame_hdr.start, eh_frame, eh_frame + frames.fde as u64, code.offset as u64);
    object[eh_frame_hdr.start as usize..][..unwind::HEADER_SIZE].copy_from_slice(&header);

    if object.len() > code.offset {
        return None;
    }
    object.resize(code.offset, 0);
    object.extend(code.bytes);
    let all = Part { start: 0, len: object.len() as u64 };
    let headers = [
        program_header(PT_LOAD, PF_R | PF_X, all, 4096),
        program_header(PT_DYNAMIC, PF_R, dynamic, 8),
        program_header(PT_GNU_EH_FRAME, PF_R, eh_frame_hdr, 4),
    ];
    object[..EHDR_SIZE].copy_from_slice(&elf_header(headers.len() as u16));
    object[EHDR_SIZE..][..headers.len() * PHDR_SIZE].copy_from_slice(&headers.concat());
    Some(object)
}

/// Alignment of every table.
const ALIGN: usize = 8;

/// Adds a table; the answer is where it is.
fn append(object: &mut Vec<u8>, bytes: &[u8]) -> u64 {
    object.resize(object.len().next_multiple_of(ALIGN), 0);
    let start = object.len();
    object.extend(bytes);
    start as u64
}

#[derive(Clone, Copy)]
struct Part {
    start: u64,
    len: u64,
}

struct Strings(Vec<u8>);

impl Strings {
    fn add(&mut self, string: &str) -> u32 {
        let at = self.0.len();
        self.0.extend(string.as_bytes());
        self.0.push(0);
        at as u32
    }
}

/// Each function by both its names.
fn symbols(code: &Code<'_>) -> Vec<Symbol> {
    let ends = code.functions.iter().skip(1).map(|&(_, start)| start).chain([code.bytes.len()]);
    let both = code.functions.iter().zip(ends).map(|(&(name, start), end)| {
        let symbol = |name, binding| Symbol {
            name,
            binding,
            value: (code.offset + start) as u64,
            size: end.saturating_sub(start) as u64,
        };
        [symbol(format!("{PREFIX}{name}"), STB_GLOBAL), symbol(name.into(), STB_WEAK)]
    });
    both.flatten().collect()
}

fn symbol_table(symbols: &[Symbol], names: &[u32]) -> Vec<u8> {
    let mut table = alloc::vec![0; SYM_SIZE];
    for (symbol, name) in symbols.iter().zip(names) {
        table.extend(name.to_le_bytes());
        table.extend([symbol.binding << 4 | STT_FUNC, 0]);
        table.extend(SOME_SECTION.to_le_bytes());
        table.extend(words64(&[symbol.value, symbol.size]));
    }
    table
}

/// Two definitions: of the object itself, and of the version of its symbols.
fn version_definitions(soname: u32, version: u32) -> Vec<u8> {
    const VERDEF_SIZE: u32 = 20;
    const VERDAUX_SIZE: u32 = 8;
    let definition = |flags: u16, index: u16, name: &str, at: u32, last: bool| {
        let mut bytes = words16(&[1, flags, index, 1]);
        let next = if last { 0 } else { VERDEF_SIZE + VERDAUX_SIZE };
        bytes.extend(words32(&[hash::sysv_of(name), VERDEF_SIZE, next, at, 0]));
        bytes
    };
    let mut bytes = definition(VER_FLG_BASE, 1, SONAME, soname, false);
    bytes.extend(definition(0, VERSION_INDEX, VERSION, version, true));
    bytes
}

fn elf_header(program_headers: u16) -> Vec<u8> {
    const CLASS_64: u8 = 2;
    const LITTLE_ENDIAN: u8 = 1;
    const ET_DYN: u16 = 3;
    const EM_X86_64: u16 = 62;
    let mut bytes = Vec::from(*b"\x7fELF");
    bytes.extend([CLASS_64, LITTLE_ENDIAN, 1]);
    bytes.resize(16, 0);
    bytes.extend(words16(&[ET_DYN, EM_X86_64]));
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(words64(&[0, EHDR_SIZE as u64, 0]));
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(words16(&[EHDR_SIZE as u16, PHDR_SIZE as u16, program_headers, 64, 0, 0]));
    bytes
}

fn program_header(kind: u32, flags: u32, part: Part, align: u64) -> Vec<u8> {
    let mut bytes = words32(&[kind, flags]);
    bytes.extend(words64(&[part.start, part.start, part.start, part.len, part.len, align]));
    bytes
}

fn words16(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn words32(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn words64(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
