//! The kernel half of the address space: direct map, image and device registers.
//!
//! All tables are static.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::VirtAddr;
use x86_64::registers::control::Cr3;
use x86_64::structures::paging::PageTableFlags as Flags;

use super::boot::Range;
use super::cpu;
use super::layout::{DIRECT_MAP, KERNEL_BASE, MMIO_WINDOW, STACK_WINDOW, phys_to_virt};
use crate::sync::SpinLock;

/// The bits of an entry that are an address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// An entry that leads to another table.
const TABLE: Flags = Flags::PRESENT.union(Flags::WRITABLE);

/// One page table.
#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);

impl Table {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 512])
    }

    /// Physical address of a table in the image.
    fn physical(&'static self) -> u64 {
        (&raw const *self) as u64 - KERNEL_BASE
    }

    fn set(&self, index: usize, physical: u64, flags: Flags) {
        self.0[index].store(physical | flags.bits(), Ordering::Relaxed);
    }

    /// Makes an entry lead to another table of the image.
    fn set_table(&self, index: usize, table: &'static Self) {
        self.set(index, table.physical(), TABLE);
    }
}

/// Tables of 4 KiB pages for the image: 8 MiB.
const IMAGE_TABLES: usize = 4;
/// Tables of 4 KiB pages for device registers: 16 MiB.
const MMIO_TABLES: usize = 8;

static ROOT: Table = Table::new();
static DIRECT: Table = Table::new();
/// 2 MiB pages of the direct map, where there are no 1 GiB pages.
static DIRECT_2M: [Table; 16] = [const { Table::new() }; 16];
static IMAGE_1G: Table = Table::new();
static IMAGE_2M: Table = Table::new();
static IMAGE_4K: [Table; IMAGE_TABLES] = [const { Table::new() }; IMAGE_TABLES];
static STACKS_1G: Table = Table::new();
static MMIO_1G: Table = Table::new();
static MMIO_2M: Table = Table::new();
static MMIO_4K: [Table; MMIO_TABLES] = [const { Table::new() }; MMIO_TABLES];
/// Pages given out in the window for device registers.
static MMIO_USED: SpinLock<usize> = SpinLock::new(0);

unsafe extern "C" {
    static husk_image_start: u8;
    static husk_image_end: u8;
    static husk_text_start: u8;
    static husk_text_end: u8;
    static husk_rodata_start: u8;
    static husk_rodata_end: u8;
    static husk_symbols_start: u8;
    static husk_symbols_end: u8;
    static husk_data_start: u8;
    static husk_data_end: u8;
}

/// Physical addresses of the image.
pub(crate) fn image() -> Range {
    let address = |symbol: *const u8| symbol as u64 - KERNEL_BASE;
    Range { start: address(&raw const husk_image_start), end: address(&raw const husk_image_end) }
}

/// Whether an address is in the kernel's code.
pub(crate) fn is_text(address: u64) -> bool {
    (&raw const husk_text_start as u64..&raw const husk_text_end as u64).contains(&address)
}

/// Addresses of the section for symbols.
pub(crate) fn symbols_section() -> (*const u8, usize) {
    let start = &raw const husk_symbols_start;
    (start, (&raw const husk_symbols_end) as usize - start as usize)
}

/// Physical address of the top-level table. Its entries from 256 on are for every address space, and do not change.
pub(crate) fn root() -> u64 {
    ROOT.physical()
}

/// The bit that forbids execution, if the CPU has it.
fn no_execute() -> Flags {
    if cpu::features().no_execute { Flags::NO_EXECUTE } else { Flags::empty() }
}

/// Builds the tables and switches to them.
pub(crate) fn init(memory: &[Range]) {
    let data = Flags::PRESENT | Flags::WRITABLE | Flags::GLOBAL | no_execute();
    map_image();
    let top = memory.iter().map(|range| range.end).max().unwrap_or(0).max(4 << 30);
    let giants = usize::try_from(top.div_ceil(1 << 30)).unwrap_or(512).min(512);
    if cpu::features().gigabyte_pages {
        for giant in 0..giants {
            DIRECT.set(giant, (giant as u64) << 30, Flags::HUGE_PAGE | data);
        }
    } else {
        assert!(
            giants <= DIRECT_2M.len(),
            "more than {} GiB of memory need a CPU with 1 GiB pages",
            DIRECT_2M.len()
        );
        for (giant, table) in DIRECT_2M.iter().take(giants).enumerate() {
            fill_2m(table, giant as u64, data);
            DIRECT.set_table(giant, table);
        }
    }
    for (index, table) in MMIO_4K.iter().enumerate() {
        MMIO_2M.set_table(index, table);
    }
    MMIO_1G.set_table(0, &MMIO_2M);
    let slot = |address| usize::from(VirtAddr::new(address).p4_index());
    ROOT.set_table(slot(DIRECT_MAP), &DIRECT);
    ROOT.set_table(slot(STACK_WINDOW), &STACKS_1G);
    ROOT.set_table(slot(MMIO_WINDOW), &MMIO_1G);
    ROOT.set_table(slot(KERNEL_BASE), &IMAGE_1G);
    // The entry code's tables have no global entries, so nothing of them stays in the TLB.
    // SAFETY: the tables map the running code, its data and stack (in the image) as before.
    unsafe { cpu::load_page_table(root()) };
}

fn fill_2m(table: &Table, giant: u64, data: Flags) {
    for index in 0..512 {
        table.set(index as usize, giant << 30 | index << 21, Flags::HUGE_PAGE | data);
    }
}

/// Maps the image page by page: code executable, constants read-only, data writable.
fn map_image() {
    let code = Flags::PRESENT | Flags::GLOBAL;
    let constants = code | no_execute();
    let data = constants | Flags::WRITABLE;
    let parts = [
        (&raw const husk_text_start, &raw const husk_text_end, code),
        (&raw const husk_rodata_start, &raw const husk_rodata_end, constants),
        (&raw const husk_symbols_start, &raw const husk_symbols_end, constants),
        (&raw const husk_data_start, &raw const husk_data_end, data),
    ];
    for (start, end, flags) in parts {
        let first = (start as u64 - KERNEL_BASE) & !4095;
        let last = (end as u64 - KERNEL_BASE).next_multiple_of(4096);
        assert!(last <= (IMAGE_TABLES as u64) << 21, "the kernel image is larger than its page tables");
        for physical in (first..last).step_by(4096) {
            let page = (physical >> 12) as usize;
            IMAGE_4K[page / 512].set(page % 512, physical, flags);
        }
    }
    for (index, table) in IMAGE_4K.iter().enumerate() {
        IMAGE_2M.set_table(index, table);
    }
    IMAGE_1G.set_table(usize::from(VirtAddr::new(KERNEL_BASE).p3_index()), &IMAGE_2M);
}

/// Maps device registers, uncached, for good. The address returned has the same offset in its page.
///
/// # Panics
/// If 16 MiB of registers are mapped already.
pub(crate) fn map_mmio(physical: u64, len: usize) -> *mut u8 {
    let offset = (physical & 4095) as usize;
    let pages = (offset + len).div_ceil(4096);
    let mut used = MMIO_USED.lock();
    let first = *used;
    assert!(
        first + pages <= MMIO_TABLES * 512,
        "no room to map {len} bytes of device registers at {physical:#x}"
    );
    *used += pages;
    let flags = TABLE | Flags::NO_CACHE | Flags::WRITE_THROUGH | Flags::GLOBAL | no_execute();
    for page in 0..pages {
        let slot = first + page;
        MMIO_4K[slot / 512].set(slot % 512, (physical & !4095) + ((page as u64) << 12), flags);
    }
    (MMIO_WINDOW as usize + (first << 12) + offset) as *mut u8
}

/// The physical address behind a virtual one in the live page tables: for reading memory that may not be there.
pub(crate) fn translate(address: u64) -> Option<u64> {
    let mut table = Cr3::read_raw().0.start_address().as_u64();
    for level in (0..4).rev() {
        let shift = 12 + 9 * level;
        let index = (address >> shift) & 511;
        // SAFETY: live page tables are in RAM, all of which is in the direct map.
        let entry = unsafe { phys_to_virt(table + index * 8).cast::<u64>().read_volatile() };
        let flags = Flags::from_bits_retain(entry);
        if !flags.contains(Flags::PRESENT) {
            return None;
        }
        let inside = (1u64 << shift) - 1;
        if level == 0 || flags.contains(Flags::HUGE_PAGE) {
            return Some((entry & ADDRESS & !inside) | (address & inside));
        }
        table = entry & ADDRESS;
    }
    None
}
