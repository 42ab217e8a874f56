//! Which CPUs use an address space, and making them forget stale translations.
//!
//! A CPU that has changed a page table writes a request into its own slot, sets its bit in the mailbox of each other CPU that has the
//! address space loaded, interrupts them and waits until all have answered. A CPU answers in the interrupt, or, as kernel code runs
//! with interrupts off, wherever it spins for a lock ([`answer`]). So two CPUs that wait for each other, or for a lock that the other
//! holds, both go on.
//!
//! A CPU that halts needs no interrupt: it flushes everything before it uses the address space again. Only where page tables
//! themselves are freed is it told at once, because the hardware may walk them on its own.

use super::{apic, cpu, irq, sched};
use crate::thread::{CpuSet, MAX_CPUS, bits};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use x86_64::VirtAddr;
use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr4, Cr4Flags};

/// Most pages of a request that are flushed one by one.
const MAX_PAGES: usize = 32;

/// The CPUs in whose CR3 an address space is. It may stay there while threads of the kernel run, and while the CPU halts.
pub(crate) struct Active {
    cpus: AtomicU64,
}

/// What to flush.
#[derive(Clone, Copy)]
enum Flush {
    /// So many of the addresses in the slot.
    Pages(usize),
    /// All of user memory.
    All,
    /// The kernel's pages too, which are global.
    Kernel,
    /// Nothing: the interrupt itself is what is asked for.
    Nothing,
}

/// A CPU's part in the exchange.
struct Slot {
    /// CPUs whose requests this one has not answered yet.
    mailbox: AtomicU64,
    /// It halts: it will flush before it uses user memory again if `stale` says so.
    resting: AtomicBool,
    stale: AtomicBool,
    /// CPUs that have not answered this one's request yet.
    unanswered: AtomicU64,
    request: UnsafeCell<(Flush, [u64; MAX_PAGES])>,
}

// SAFETY: `request` is written by its own CPU while nobody has its bit in a mailbox, and read by others only between finding the
// bit in their mailbox and answering, for which the writer waits.
unsafe impl Sync for Slot {}

static SLOTS: [Slot; MAX_CPUS] = [const {
    Slot {
        mailbox: AtomicU64::new(0),
        resting: AtomicBool::new(false),
        stale: AtomicBool::new(false),
        unanswered: AtomicU64::new(0),
        request: UnsafeCell::new((Flush::All, [0; MAX_PAGES])),
    }
}; MAX_CPUS];

fn own_bit() -> u64 {
    1 << cpu::current()
}

impl Active {
    pub(crate) const fn new() -> Self {
        Self { cpus: AtomicU64::new(0) }
    }

    /// Whether it is in this CPU's CR3.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.cpus.load(Ordering::Relaxed) & own_bit() != 0
    }

    /// Notes that it is about to be in this CPU's CR3.
    pub(crate) fn enter(&self) {
        self.cpus.fetch_or(own_bit(), Ordering::SeqCst);
    }

    /// Notes that it is not in this CPU's CR3 any more.
    pub(crate) fn leave(&self) {
        self.cpus.fetch_and(!own_bit(), Ordering::SeqCst);
    }

    /// Flushes what CPUs remember of these pages; `tables` says that page tables are about to be freed.
    pub(crate) fn flush(&self, addresses: &[u64], tables: bool) {
        if addresses.len() > MAX_PAGES {
            self.flush_all(tables);
            return;
        }
        if self.is_here() {
            addresses.iter().copied().for_each(invalidate_page);
        }
        self.tell_others(Flush::Pages(addresses.len()), addresses, tables);
    }

    /// Flushes all that CPUs remember of this address space.
    pub(crate) fn flush_all(&self, tables: bool) {
        if self.is_here() {
            tlb::flush_all();
        }
        self.tell_others(Flush::All, &[], tables);
    }

    /// Interrupts those of these CPUs that use the address space.
    pub(crate) fn barrier(&self, cpus: CpuSet) {
        fence(Ordering::SeqCst);
        ask_for_barrier(self.cpus.load(Ordering::SeqCst) & cpus.bits());
    }

    fn tell_others(&self, flush: Flush, addresses: &[u64], resting_too: bool) {
        // The change of the page table comes before the look at who uses it; who loads it enters itself first.
        fence(Ordering::SeqCst);
        let others = self.cpus.load(Ordering::SeqCst) & !own_bit();
        if others != 0 {
            ask(others, flush, addresses, resting_too);
        }
    }
}

/// Flushes what this CPU remembers of a page, global pages too.
pub(crate) fn invalidate_page(va: u64) {
    tlb::flush(VirtAddr::new(va));
}

/// Flushes what all CPUs remember of pages of the kernel.
pub(super) fn flush_kernel() {
    flush_here(Flush::Kernel, &[]);
    let others = super::smp::running() & !own_bit();
    if others != 0 {
        ask(others, Flush::Kernel, &[], true);
    }
}

/// Interrupts these CPUs.
pub(crate) fn barrier(cpus: CpuSet) {
    ask_for_barrier(super::smp::running() & cpus.bits());
}

fn ask_for_barrier(cpus: u64) {
    if cpus & own_bit() != 0 {
        sched::disturb();
    }
    let others = cpus & !own_bit();
    if others != 0 {
        // One that rests passes barriers before and after.
        ask(others, Flush::Nothing, &[], false);
    }
    fence(Ordering::SeqCst);
}

/// Asks other CPUs to flush, and waits until they have.
fn ask(others: u64, flush: Flush, addresses: &[u64], resting_too: bool) {
    let mut asked = 0;
    for number in bits(others) {
        let slot = &SLOTS[number];
        if !resting_too && slot.resting.load(Ordering::SeqCst) {
            slot.stale.store(true, Ordering::SeqCst);
            // If it rests still, it will see the mark when it gets up.
            if slot.resting.load(Ordering::SeqCst) {
                continue;
            }
        }
        asked |= 1 << number;
    }
    if asked == 0 {
        return;
    }
    let mine = &SLOTS[cpu::current()];
    // SAFETY: all have answered the last request, so nobody reads this one.
    let request = unsafe { &mut *mine.request.get() };
    request.0 = flush;
    request.1[..addresses.len()].copy_from_slice(addresses);
    mine.unanswered.store(asked, Ordering::Release);
    for number in bits(asked) {
        SLOTS[number].mailbox.fetch_or(own_bit(), Ordering::SeqCst);
        apic::send(number, irq::FLUSH);
    }
    // Bounded by the longest stretch of kernel code.
    while mine.unanswered.load(Ordering::Acquire) != 0 {
        core::hint::spin_loop();
        answer();
    }
}

/// Does what other CPUs have asked this one for. Called in the interrupt, and wherever this CPU spins.
pub(crate) fn answer() {
    let own = cpu::current();
    let mailbox = &SLOTS[own].mailbox;
    if mailbox.load(Ordering::Relaxed) == 0 {
        return;
    }
    for asker in bits(mailbox.swap(0, Ordering::SeqCst)) {
        let slot = &SLOTS[asker];
        // SAFETY: the asker waits for the answer below before it writes again.
        let (flush, addresses) = unsafe { &*slot.request.get() };
        flush_here(*flush, addresses);
        slot.unanswered.fetch_and(!(1 << own), Ordering::Release);
    }
}

fn flush_here(flush: Flush, addresses: &[u64]) {
    match flush {
        Flush::Pages(count) => addresses[..count].iter().copied().for_each(invalidate_page),
        Flush::All => tlb::flush_all(),
        Flush::Nothing => sched::disturb(),
        Flush::Kernel => {
            let cr4 = Cr4::read();
            // SAFETY: without global pages for a moment the CPU forgets them; nothing else changes.
            unsafe {
                Cr4::write(cr4 - Cr4Flags::PAGE_GLOBAL);
                Cr4::write(cr4);
            }
        }
    }
}

/// This CPU is about to halt: it uses no user memory until [`resume`].
pub(super) fn rest() {
    SLOTS[cpu::current()].resting.store(true, Ordering::SeqCst);
}

/// The end of [`rest`].
pub(super) fn resume() {
    let slot = &SLOTS[cpu::current()];
    slot.resting.store(false, Ordering::SeqCst);
    if slot.stale.swap(false, Ordering::SeqCst) {
        tlb::flush_all();
    }
}
