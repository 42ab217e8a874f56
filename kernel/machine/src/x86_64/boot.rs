//! From the entry point to a machine that works: what the monitor tells, and the order in which things start.

use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;

use crate::boot::BootInfo;
pub(crate) use crate::ranges::Range;
use crate::ranges::Ranges;

use super::layout::{DIRECT_MAP_LEN, phys_to_virt};
use super::{cpu, kernel_map, percpu, serial, symbols};

/// `struct hvm_start_info`, version 1 (Xen's `public/arch-x86/hvm/start_info.h`).
#[repr(C)]
#[derive(Clone, Copy)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    nr_modules: u32,
    modlist_paddr: u64,
    cmdline_paddr: u64,
    rsdp_paddr: u64,
    memmap_paddr: u64,
    memmap_entries: u32,
    reserved: u32,
}

/// `struct hvm_modlist_entry`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ModuleEntry {
    paddr: u64,
    size: u64,
    cmdline_paddr: u64,
    reserved: u64,
}

/// `struct hvm_memmap_table_entry`.
#[repr(C)]
#[derive(Clone, Copy)]
struct MemoryMapEntry {
    addr: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

const START_INFO_MAGIC: u32 = 0x336e_c578;
const MEMORY_USABLE: u32 = 1;
/// Entries of the memory map that are looked at.
const MAX_MAP_ENTRIES: u32 = 128;
const MAX_MODULES: usize = 4;
/// Bytes of the command line that are looked at.
const MAX_COMMAND_LINE: u64 = 4096;
/// The first megabyte stays free: the BIOS's data, and start code for other CPUs.
const LOW_MEMORY_END: u64 = 1 << 20;

/// What was found out from the start info; fixed from early boot on.
struct Found {
    usable: Ranges,
    memory_bytes: u64,
    modules: [Range; MAX_MODULES],
    module_count: usize,
    rsdp: u64,
    command_line: Range,
}

static FOUND: Once<Found> = Once::new();
static START_INFO: AtomicU64 = AtomicU64::new(0);

unsafe extern "Rust" {
    /// Defined by `entry!` in the image.
    safe fn husk_main() -> !;
}

/// Called by the entry code, on the boot stack, in long mode, interrupts off.
pub(crate) extern "C" fn rust_entry(start_info: u64) -> ! {
    START_INFO.store(start_info, Ordering::Relaxed);
    husk_main()
}

/// Everything that needs no allocated memory: the CPU's state, traps, the memory map, the kernel's page tables, the clock.
fn init_early() {
    percpu::init_boot_cpu();
    super::idt::init();
    serial::init();
    cpu::init();
    super::time::start();
    let found = FOUND.call_once(|| read_start_info(START_INFO.load(Ordering::Relaxed)));
    serial::init_logger(option(command_line(), "log").and_then(|level| level.parse().ok()).unwrap_or(1));
    kernel_map::init(found.usable.as_slice());
    symbols::init();
    super::fpu::init();
    super::syscall::init();
    super::apic::init();
    super::time::start_apic();
}

/// Everything: the above, then memory and devices.
pub(crate) fn init() -> BootInfo {
    init_early();
    super::memory::init();
    super::clock_page::init();
    let cpus = super::smp::start();
    super::devices::init();
    super::time::finish();
    cpus.finish();
    BootInfo {
        command_line: command_line().into(),
        modules: modules().collect(),
        memory_bytes: memory_bytes(),
    }
}

/// Free physical memory: page aligned, without the kernel image, the boot modules and the first megabyte.
pub(crate) fn usable_memory() -> &'static [Range] {
    FOUND.get().map_or(&[], |found| found.usable.as_slice())
}

/// Bytes of RAM in the machine, used or not.
pub(crate) fn memory_bytes() -> u64 {
    FOUND.get().map_or(0, |found| found.memory_bytes)
}

/// Physical address of ACPI's root pointer, if the monitor gave one.
pub(crate) fn rsdp() -> Option<u64> {
    FOUND.get().map(|found| found.rsdp).filter(|rsdp| *rsdp != 0)
}

/// Whether something that the monitor left lies in a range.
pub(crate) fn is_reserved(range: Range) -> bool {
    FOUND.get().is_some_and(|found| {
        let modules = found.modules[..found.module_count].iter();
        modules.chain([&found.command_line]).any(|other| other.start < range.end && range.start < other.end)
    })
}

/// The kernel's command line. Bytes that are not UTF-8 end it.
pub(crate) fn command_line() -> &'static str {
    let Some(found) = FOUND.get() else { return "" };
    let bytes = bytes(found.command_line);
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
    }
}

/// The value of the last `name=value` in a command line.
pub(crate) fn option<'a>(command_line: &'a str, name: &str) -> Option<&'a str> {
    let mut words = command_line.split_ascii_whitespace().rev();
    words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// The boot modules' bytes.
pub(crate) fn modules() -> impl Iterator<Item = &'static [u8]> {
    let modules = FOUND.get().map_or(&[][..], |found| &found.modules[..found.module_count]);
    modules.iter().map(|range| bytes(*range))
}

/// What the monitor left in a range that was taken out of the usable memory.
fn bytes(range: Range) -> &'static [u8] {
    let len = usize::try_from(range.end - range.start).unwrap_or(0);
    // SAFETY: the range is RAM below 4 GiB, or was checked against the memory map, so it is in the direct map; it is not
    // given out for anything else, so nothing ever writes it.
    unsafe { core::slice::from_raw_parts(phys_to_virt(range.start), len) }
}

/// Reads a plain structure from physical memory.
fn read_physical<T: Copy>(physical: u64) -> T {
    assert!(physical != 0 && physical < 4 << 30, "boot information beyond 4 GiB");
    // SAFETY: the low 4 GiB are mapped since the entry code; T is one of the plain integer structures above, for
    // which any bytes are a value; nothing writes there now.
    unsafe { phys_to_virt(physical).cast::<T>().read_unaligned() }
}

fn read_start_info(physical: u64) -> Found {
    let info: StartInfo = read_physical(physical);
    assert!(info.magic == START_INFO_MAGIC, "not booted by PVH: bad magic {:#x}", info.magic);
    assert!(info.version >= 1, "PVH start info of version 0 has no memory map");
    let mut found = Found {
        usable: Ranges::new(),
        memory_bytes: 0,
        modules: [Range::default(); MAX_MODULES],
        module_count: 0,
        rsdp: info.rsdp_paddr,
        command_line: Range::default(),
    };
    if info.cmdline_paddr != 0 {
        let end = |end: &u64| read_physical::<u8>(*end) == 0;
        let longest = info.cmdline_paddr + MAX_COMMAND_LINE;
        found.command_line.start = info.cmdline_paddr;
        found.command_line.end = (info.cmdline_paddr..longest).find(end).unwrap_or(longest);
    }
    let list = &mut found.usable;
    for index in 0..u64::from(info.memmap_entries.min(MAX_MAP_ENTRIES)) {
        let size = size_of::<MemoryMapEntry>() as u64;
        let entry: MemoryMapEntry = read_physical(info.memmap_paddr + index * size);
        if entry.kind == MEMORY_USABLE {
            found.memory_bytes += entry.size;
            list.add(entry.addr, entry.addr.saturating_add(entry.size));
        }
    }
    for index in 0..info.nr_modules.min(MAX_MODULES as u32) {
        let size = size_of::<ModuleEntry>() as u64;
        let entry: ModuleEntry = read_physical(info.modlist_paddr + u64::from(index) * size);
        let range = Range { start: entry.paddr, end: entry.paddr.saturating_add(entry.size) };
        let in_memory = list.as_slice().iter().any(|r| r.start <= range.start && range.end <= r.end);
        assert!(in_memory, "a boot module lies outside the usable memory");
        found.modules[found.module_count] = range;
        found.module_count += 1;
    }
    for module in &found.modules[..found.module_count] {
        list.remove(module.start, module.end);
    }
    list.remove(found.command_line.start, found.command_line.end);
    list.remove(0, LOW_MEMORY_END);
    let image = kernel_map::image();
    list.remove(image.start, image.end);
    list.remove(DIRECT_MAP_LEN, u64::MAX);
    found
}
