//! Why a file is refused.

use core::fmt;
use goblin::elf::header::{
    EM_386, EM_AARCH64, EM_ARM, EM_MIPS, EM_PPC, EM_PPC64, EM_RISCV, EM_S390, EM_SPARCV9, ET_CORE, ET_NONE,
    ET_REL, machine_to_str,
};
use linux_raw_sys::errno::{EINVAL, EIO, ELIBBAD, ENOEXEC};
use thiserror::Error;

/// A part of a file that lies beyond its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The 64 bytes of the ELF header.
    Header,
    /// The program header table.
    ProgramHeaders,
    /// The contents of a segment, by its index among the program headers.
    Segment(usize),
    /// The path of the interpreter.
    Interpreter,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("the ELF header"),
            Self::ProgramHeaders => f.write_str("the program header table"),
            Self::Segment(index) => write!(f, "the contents of program header {index}"),
            Self::Interpreter => f.write_str("the path in PT_INTERP"),
        }
    }
}

/// Why a file is not a program that can be run. The message names the field and its value; `index` counts the
/// program headers from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ElfError {
    /// The file does not start as an ELF file does.
    #[error("the file does not start with \\x7fELF: it is not an ELF program")]
    NotElf,
    /// A part of the file is not there.
    #[error("the file is truncated: {part} would end at byte {end}, the file has {file_size}")]
    Truncated {
        /// What is missing.
        part: Part,
        /// Where the part would end.
        end: u64,
        /// Size of the file in bytes.
        file_size: u64,
    },
    /// `e_ident[EI_CLASS]` is not `ELFCLASS64`.
    #[error("EI_CLASS is {0} ({name}): only 64-bit programs run here", name = class_name(*.0))]
    Class(u8),
    /// `e_ident[EI_DATA]` is not `ELFDATA2LSB`.
    #[error("EI_DATA is {0} ({name}): a program for x86-64 is little-endian", name = data_name(*.0))]
    ByteOrder(u8),
    /// `e_machine` is not `EM_X86_64`.
    #[error("e_machine is {0} ({name}): this is not a program for x86-64", name = machine_name(*.0))]
    Machine(u16),
    /// `e_type` is neither `ET_EXEC` nor `ET_DYN`.
    #[error("e_type is {0} ({name}): this is not an executable", name = type_name(*.0))]
    Type(u16),
    /// `e_phentsize` is not the size of a program header.
    #[error("e_phentsize is {0}: a program header of a 64-bit program has 56 bytes")]
    ProgramHeaderSize(u16),
    /// `e_phnum` is 0, or the table would be larger than the 64 KiB that Linux allows.
    #[error("e_phnum is {0}: a program has between 1 and 1170 program headers")]
    ProgramHeaderCount(u16),
    /// `e_phoff` is so large that the table's end cannot be expressed.
    #[error("e_phoff is {0:#x}: the program header table would end beyond the largest file")]
    ProgramHeaderOffset(u64),
    /// No program header is a `PT_LOAD`.
    #[error("there is no PT_LOAD among the {0} program headers: nothing to map")]
    NoLoad(usize),
    /// `p_filesz` is larger than `p_memsz`.
    #[error("program header {index}: p_filesz {file_size:#x} is larger than p_memsz {mem_size:#x}")]
    FileSize {
        /// Index of the program header.
        index: usize,
        /// `p_filesz`.
        file_size: u64,
        /// `p_memsz`.
        mem_size: u64,
    },
    /// `p_offset + p_filesz` overflows.
    #[error("program header {index}: p_offset {offset:#x} + p_filesz {file_size:#x} overflows")]
    FileRange {
        /// Index of the program header.
        index: usize,
        /// `p_offset`.
        offset: u64,
        /// `p_filesz`.
        file_size: u64,
    },
    /// `p_vaddr + p_memsz` overflows, or leaves the addresses a program may use.
    #[error(
        "program header {index}: p_vaddr {vaddr:#x} with p_memsz {mem_size:#x} is not below 0x7ffffffff000"
    )]
    Address {
        /// Index of the program header.
        index: usize,
        /// `p_vaddr`.
        vaddr: u64,
        /// `p_memsz`.
        mem_size: u64,
    },
    /// `p_offset` and `p_vaddr` differ in their place in a page.
    #[error(
        "program header {index}: p_offset {offset:#x} and p_vaddr {vaddr:#x} differ modulo the page size"
    )]
    Congruence {
        /// Index of the program header.
        index: usize,
        /// `p_offset`.
        offset: u64,
        /// `p_vaddr`.
        vaddr: u64,
    },
    /// Two `PT_LOAD` segments claim the same addresses.
    #[error("program headers {first} and {second}: their segments overlap at address {at:#x}")]
    Overlap {
        /// Index of the one with the lower address.
        first: usize,
        /// Index of the other.
        second: usize,
        /// First address that both claim.
        at: u64,
    },
    /// `p_filesz` of `PT_INTERP` is not the size of a path.
    #[error("program header {index}: PT_INTERP has p_filesz {len}, a path needs 2 to 4096 bytes")]
    InterpreterSize {
        /// Index of the program header.
        index: usize,
        /// `p_filesz`.
        len: u64,
    },
    /// The path in `PT_INTERP` does not end with a zero byte.
    #[error("the path in PT_INTERP does not end with a zero byte")]
    InterpreterNotTerminated,
}

impl ElfError {
    /// What execve(2) fails with when the program itself is so: ENOEXEC for headers, EINVAL for what
    /// mapping a segment would have failed with.
    #[must_use]
    pub const fn errno(&self) -> u16 {
        match self.segment() {
            true => EINVAL as u16,
            false => ENOEXEC as u16,
        }
    }

    /// What execve(2) fails with when the program's interpreter is so: EIO for one too short to have a header,
    /// ELIBBAD for bad headers, EINVAL for what mapping a segment would have failed with.
    #[must_use]
    pub const fn interpreter_errno(&self) -> u16 {
        match self {
            Self::Truncated { part: Part::Header, .. } => EIO as u16,
            _ if self.segment() => EINVAL as u16,
            _ => ELIBBAD as u16,
        }
    }

    /// Whether Linux would notice only on mapping the segments.
    const fn segment(&self) -> bool {
        matches!(
            self,
            Self::NoLoad(_)
                | Self::FileSize { .. }
                | Self::FileRange { .. }
                | Self::Address { .. }
                | Self::Congruence { .. }
                | Self::Overlap { .. }
        )
    }
}

fn class_name(class: u8) -> &'static str {
    match class {
        1 => "32-bit",
        2 => "64-bit",
        _ => "no known class",
    }
}

fn data_name(data: u8) -> &'static str {
    match data {
        1 => "little-endian",
        2 => "big-endian",
        _ => "no known byte order",
    }
}

fn type_name(kind: u16) -> &'static str {
    match kind {
        ET_NONE => "ET_NONE",
        ET_REL => "ET_REL, an object file to be linked",
        ET_CORE => "ET_CORE, a core dump",
        _ => "unknown",
    }
}

/// The names people use; goblin's are those of the constants.
fn machine_name(machine: u16) -> &'static str {
    const EM_LOONGARCH: u16 = 258;
    match machine {
        EM_386 => "x86, 32-bit",
        EM_ARM => "ARM, 32-bit",
        EM_AARCH64 => "AArch64",
        EM_RISCV => "RISC-V",
        EM_PPC => "PowerPC",
        EM_PPC64 => "PowerPC, 64-bit",
        EM_S390 => "S/390",
        EM_MIPS => "MIPS",
        EM_SPARCV9 => "SPARC, 64-bit",
        EM_LOONGARCH => "LoongArch",
        other => machine_to_str(other),
    }
}
