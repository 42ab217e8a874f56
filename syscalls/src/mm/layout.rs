//! Where things go in an address space, by Linux's rules for randomising it.

use super::{PAGE, STACK_GUARD_GAP, USER_END, page_down};
use alloc::vec::Vec;
use core::ops::Range;

/// Programs that can go anywhere start here, before randomising, if they have an interpreter (Linux's `ELF_ET_DYN_BASE`).
const PIE_BASE: u64 = USER_END / 3 * 2;

/// Pages by which mappings and position-independent programs are moved at most.
const MMAP_RANDOM_PAGES: u64 = 1 << 28;
/// Pages by which the stack is moved at most.
const STACK_RANDOM_PAGES: u64 = 1 << 22;
/// Bytes by which the heap is moved at most.
const BRK_RANDOM: u64 = 1 << 30;

/// Random numbers for one address space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Randomness {
    mmap: u64,
    pie: u64,
    stack: u64,
    brk: u64,
}

impl Randomness {
    /// From the machine's generator.
    pub(crate) fn draw() -> Self {
        let number = || {
            let mut bytes = [0; 8];
            husk_machine::random::fill(&mut bytes);
            u64::from_le_bytes(bytes)
        };
        Self { mmap: number(), pie: number(), stack: number(), brk: number() }
    }
}

/// What a program's address space looks like; addresses are absolute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    /// Where a search for a free place starts, downwards.
    pub(crate) mmap_top: u64,
    /// First address above the stack.
    pub(crate) stack_top: u64,
    /// RSP at the start.
    pub(crate) stack_start: u64,
    /// Code of the program (proc_pid_stat(5)).
    pub(crate) code: Range<u64>,
    /// Initialised data.
    pub(crate) data: Range<u64>,
    /// Strings of argv.
    pub(crate) args: Range<u64>,
    /// Strings of envp.
    pub(crate) env: Range<u64>,
    /// The auxiliary vector, as bytes.
    pub(crate) auxv: Vec<u8>,
}

impl Layout {
    /// For a program with this stack limit, in bytes.
    pub(crate) fn new(random: &Randomness, stack_limit: u64) -> Self {
        // mmap_base() in arch/x86/mm/mmap.c: room for the stack, for its randomisation, and a guard gap.
        let pad = STACK_RANDOM_PAGES * PAGE + STACK_GUARD_GAP;
        let gap = stack_limit.saturating_add(pad).clamp(128 << 20, USER_END / 6 * 5);
        let moved = random.mmap % MMAP_RANDOM_PAGES * PAGE;
        Self {
            mmap_top: page_down(USER_END - gap - moved),
            stack_top: USER_END - random.stack % STACK_RANDOM_PAGES * PAGE,
            ..Self::default()
        }
    }

    /// Where to load a position-independent program that has an interpreter.
    pub(crate) fn pie_base(random: &Randomness, align: u64) -> u64 {
        (PIE_BASE + random.pie % MMAP_RANDOM_PAGES * PAGE) & !(align - 1)
    }

    /// Where the heap starts, for a program that ends at `end`. A position-independent one without interpreter lies among the mappings,
    /// so its heap goes elsewhere.
    pub(crate) fn heap_start(random: &Randomness, end: u64, among_mappings: bool) -> u64 {
        let from = if among_mappings { PIE_BASE } else { end };
        page_down(from + (PAGE - 1)) + page_down(random.brk % BRK_RANDOM)
    }
}
