//! The initial user stack: arguments, environment and auxiliary vector, laid out as Linux does.

use crate::PAGE_SIZE;
use alloc::vec::Vec;
use core::ops::Range;
use linux_raw_sys::auxvec;
use linux_raw_sys::errno::E2BIG;
use thiserror::Error;

/// Linux's limit for one string of argv or envp, its zero byte included (`MAX_ARG_STRLEN`).
pub const STRING_LIMIT: usize = 32 * PAGE_SIZE as usize;

/// Whatever the stack limit, argv and envp never take more than this (three quarters of Linux's `_STK_LIM`).
pub const TOTAL_LIMIT: u64 = 6 << 20;

/// Whatever the stack limit, argv and envp may take this much (Linux's `ARG_MAX`).
pub const TOTAL_MINIMUM: u64 = 128 << 10;

/// Where AT_PLATFORM points to.
const PLATFORM: &[u8] = b"x86_64";

/// An entry of the auxiliary vector (getauxval(3)) with a value that the caller knows. The builder adds those that
/// point into the stack (AT_RANDOM, AT_EXECFN, AT_PLATFORM) and AT_NULL by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuxEntry {
    /// Address of the vDSO's ELF header (AT_SYSINFO_EHDR).
    SysinfoEhdr(u64),
    /// Processor capabilities: EDX of CPUID leaf 1 on x86-64 (AT_HWCAP).
    Hwcap(u64),
    /// Page size in bytes (AT_PAGESZ).
    PageSize(u64),
    /// Frequency of times(2) in hertz (AT_CLKTCK).
    ClockTicks(u64),
    /// Address of the program headers (AT_PHDR).
    Phdr(u64),
    /// Size of a program header in bytes (AT_PHENT).
    PhdrSize(u64),
    /// Number of program headers (AT_PHNUM).
    PhdrCount(u64),
    /// Load bias of the interpreter, 0 without one (AT_BASE).
    Base(u64),
    /// Flags; 0 on x86-64 (AT_FLAGS).
    Flags(u64),
    /// Entry point of the program (AT_ENTRY).
    Entry(u64),
    /// Real user id (AT_UID).
    Uid(u64),
    /// Effective user id (AT_EUID).
    Euid(u64),
    /// Real group id (AT_GID).
    Gid(u64),
    /// Effective group id (AT_EGID).
    Egid(u64),
    /// Whether the program gained privileges by being started (AT_SECURE).
    Secure(bool),
    /// More processor capabilities (AT_HWCAP2).
    Hwcap2(u64),
    /// Size in bytes of the rseq(2) area that the kernel uses (AT_RSEQ_FEATURE_SIZE).
    RseqFeatureSize(u64),
    /// Alignment in bytes of that area (AT_RSEQ_ALIGN).
    RseqAlign(u64),
    /// Smallest stack for signal delivery in bytes (AT_MINSIGSTKSZ).
    MinSigStackSize(u64),
}

impl AuxEntry {
    /// The entry as the two words of an `Elf64_auxv_t`.
    #[must_use]
    pub const fn words(self) -> (u64, u64) {
        let (kind, value) = match self {
            Self::SysinfoEhdr(value) => (auxvec::AT_SYSINFO_EHDR, value),
            Self::Hwcap(value) => (auxvec::AT_HWCAP, value),
            Self::PageSize(value) => (auxvec::AT_PAGESZ, value),
            Self::ClockTicks(value) => (auxvec::AT_CLKTCK, value),
            Self::Phdr(value) => (auxvec::AT_PHDR, value),
            Self::PhdrSize(value) => (auxvec::AT_PHENT, value),
            Self::PhdrCount(value) => (auxvec::AT_PHNUM, value),
            Self::Base(value) => (auxvec::AT_BASE, value),
            Self::Flags(value) => (auxvec::AT_FLAGS, value),
            Self::Entry(value) => (auxvec::AT_ENTRY, value),
            Self::Uid(value) => (auxvec::AT_UID, value),
            Self::Euid(value) => (auxvec::AT_EUID, value),
            Self::Gid(value) => (auxvec::AT_GID, value),
            Self::Egid(value) => (auxvec::AT_EGID, value),
            Self::Secure(value) => (auxvec::AT_SECURE, value as u64),
            Self::Hwcap2(value) => (auxvec::AT_HWCAP2, value),
            Self::RseqFeatureSize(value) => (auxvec::AT_RSEQ_FEATURE_SIZE, value),
            Self::RseqAlign(value) => (auxvec::AT_RSEQ_ALIGN, value),
            Self::MinSigStackSize(value) => (auxvec::AT_MINSIGSTKSZ, value),
        };
        (kind as u64, value)
    }
}

/// What goes onto the stack.
#[derive(Clone, Copy, Debug)]
pub struct StackContents<'a> {
    /// The arguments, the program's name included; at least one (Linux puts an empty one where there is none).
    pub argv: &'a [&'a [u8]],
    /// The environment, each `NAME=value`.
    pub envp: &'a [&'a [u8]],
    /// Path by which the program was started (AT_EXECFN).
    pub execfn: &'a [u8],
    /// What AT_RANDOM points to.
    pub random: [u8; 16],
    /// The auxiliary vector, in the order wanted.
    pub auxv: &'a [AuxEntry],
}

/// The stack as it has to be when the program starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialStack {
    /// RSP: the address of argc, 16-byte aligned.
    pub sp: u64,
    /// What to write at `sp`; it ends at the top of the stack.
    pub bytes: Vec<u8>,
    /// Where the strings of argv are, for proc_pid_cmdline(5).
    pub args: Range<u64>,
    /// Where the strings of envp are, for proc_pid_environ(5).
    pub env: Range<u64>,
    /// The auxiliary vector with AT_NULL, for proc_pid_auxv(5).
    pub auxv: Vec<u8>,
}

/// Arguments and environment that are too large; execve(2) fails with E2BIG.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StackError {
    /// One string is too long.
    #[error("an argument or environment variable of {0} bytes: the limit is 131072 with its zero byte")]
    StringTooLong(usize),
    /// All together are too long.
    #[error(
        "arguments and environment need {needed} bytes: the limit is {limit}, a quarter of the stack limit"
    )]
    TooLarge {
        /// The bytes of all strings and the pointers to them.
        needed: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A string holds a zero byte, at which it would end.
    #[error("an argument or environment variable has a zero byte in it")]
    ZeroByte,
}

impl StackError {
    /// E2BIG, and EINVAL for what cannot happen with execve(2).
    #[must_use]
    pub const fn errno(&self) -> u16 {
        match self {
            Self::ZeroByte => linux_raw_sys::errno::EINVAL as u16,
            _ => E2BIG as u16,
        }
    }
}

/// Lays out the stack that ends at `top` (a multiple of the page size), with a stack limit (RLIMIT_STACK) of `stack_limit` bytes.
///
/// From the top: 8 zero bytes; the path of the program; the strings of envp and argv; the platform's name; the random bytes;
/// padding; then, upwards from RSP: argc, argv, a null, envp, a null, the auxiliary vector.
///
/// # Errors
/// As [`StackError`] says.
pub fn build(contents: &StackContents<'_>, top: u64, stack_limit: u64) -> Result<InitialStack, StackError> {
    let argv: &[&[u8]] = if contents.argv.is_empty() { &[b""] } else { contents.argv };
    check(argv, contents.envp, contents.execfn, stack_limit)?;

    let strings = |list: &[&[u8]]| list.iter().map(|text| text.len() as u64 + 1).sum::<u64>();
    let execfn = top - 8 - (contents.execfn.len() as u64 + 1);
    let env = execfn - strings(contents.envp)..execfn;
    let args = env.start - strings(argv)..env.start;
    // Linux puts these below the strings, aligned down to 16 first.
    let platform = (args.start & !15) - (PLATFORM.len() as u64 + 1);
    let random = platform - contents.random.len() as u64;

    let mut auxv: Vec<u8> = Vec::new();
    let own = [
        (auxvec::AT_RANDOM, random),
        (auxvec::AT_EXECFN, execfn),
        (auxvec::AT_PLATFORM, platform),
        (auxvec::AT_NULL, 0),
    ];
    let own = own.into_iter().map(|(kind, value)| (u64::from(kind), value));
    for (kind, value) in contents.auxv.iter().map(|entry| entry.words()).chain(own) {
        auxv.extend(kind.to_le_bytes());
        auxv.extend(value.to_le_bytes());
    }

    let words = 1 + argv.len() + 1 + contents.envp.len() + 1;
    let sp = (random - auxv.len() as u64 - words as u64 * 8) & !15;

    let mut bytes = Vec::with_capacity((top - sp) as usize);
    bytes.extend((argv.len() as u64).to_le_bytes());
    pointers(&mut bytes, argv, args.start);
    pointers(&mut bytes, contents.envp, env.start);
    bytes.extend(&auxv);
    bytes.resize((random - sp) as usize, 0);
    bytes.extend(contents.random);
    bytes.extend(PLATFORM);
    bytes.resize((args.start - sp) as usize, 0);
    for text in argv.iter().chain(contents.envp).chain([&contents.execfn]) {
        bytes.extend(*text);
        bytes.push(0);
    }
    bytes.resize((top - sp) as usize, 0);
    Ok(InitialStack { sp, bytes, args, env, auxv })
}

/// Appends the addresses of strings that stand one after another from `start`, and a null.
fn pointers(bytes: &mut Vec<u8>, strings: &[&[u8]], start: u64) {
    let mut address = start;
    for text in strings {
        bytes.extend(address.to_le_bytes());
        address += text.len() as u64 + 1;
    }
    bytes.extend([0; 8]);
}

fn check(argv: &[&[u8]], envp: &[&[u8]], execfn: &[u8], stack_limit: u64) -> Result<(), StackError> {
    let mut needed = (argv.len() + envp.len()) as u64 * 8;
    for text in argv.iter().chain(envp).chain([&execfn]) {
        if text.len() >= STRING_LIMIT {
            return Err(StackError::StringTooLong(text.len()));
        }
        if text.contains(&0) {
            return Err(StackError::ZeroByte);
        }
        needed += text.len() as u64 + 1;
    }
    let limit = (stack_limit / 4).clamp(TOTAL_MINIMUM, TOTAL_LIMIT);
    if needed > limit {
        return Err(StackError::TooLarge { needed, limit });
    }
    Ok(())
}
