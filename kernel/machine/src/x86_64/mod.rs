//! x86-64 on bare metal.
//!
//! How the parts hold together:
//!
//! - [`pvh`] is the entry point; [`boot`] reads what the monitor tells and makes the list of usable memory;
//!   [`kernel_map`] builds the kernel half of the address space.
//! - [`percpu`] is one block a CPU, reached through GS while in the kernel. [`gdt`], [`idt`], [`trap`],
//!   [`syscall`] and [`user`] are the ways into and out of user mode.
//! - [`memory`] and [`heap`] give out memory, [`tlb`] and [`uaccess`] use user memory; [`thread`] schedules.
//! - [`apic`] and [`irq`] take interrupts; [`tsc`], [`clock_page`], [`kvmclock`], [`pit`] and [`time`] tell the time,
//!   and so does [`vdso`] in user mode.
//!
//! Kernel code runs with interrupts off; they are on in user mode and in [`wait_for_interrupt`] only.

pub(crate) mod apic;
pub(crate) mod boot;
pub(crate) mod clock_layout;
pub(crate) mod clock_page;
pub(crate) mod cpu;
pub(crate) mod devices;
pub(crate) mod entropy;
pub(crate) mod entry;
pub(crate) mod fpu;
pub(crate) mod gdt;
mod heap;
pub(crate) mod idt;
pub(crate) mod irq;
pub(crate) mod kernel_map;
mod kernel_pages;
pub(crate) mod kvmclock;
pub(crate) mod layout;
pub(crate) mod memory;
pub(crate) mod panic;
pub(crate) mod percpu;
pub(crate) mod pit;
pub(crate) mod power;
pub(crate) mod pvh;
pub(crate) mod serial;
mod stack;
mod switch;
pub(crate) mod symbols;
pub(crate) mod syscall;
pub(crate) mod thread;
pub(crate) mod time;
pub(crate) mod tlb;
pub(crate) mod trap;
pub(crate) mod tsc;
pub(crate) mod uaccess;
pub(crate) mod user;
pub(crate) mod vdso;

pub(crate) use cpu::{count as cpu_count, current as cpu_index};

// The interface between the parts of this folder.
//
// boot::usable_memory() -> &'static [boot::Range]      free physical memory, page aligned, before any allocation
// boot::modules(), boot::rsdp() -> Option<u64>, boot::command_line() -> &'static str
// layout::phys_to_virt(pa) -> *mut u8                   the direct map (all memory, and everything below 4 GiB)
// layout::{DIRECT_MAP, STACK_WINDOW, MMIO_WINDOW}       the kernel half
// kernel_map::root() -> u64                             physical address of the kernel's top-level table; entries
//                                                       256..512 are complete and fixed before the first PageTable
// kernel_map::map_mmio(pa, len) -> *mut u8              uncached
// percpu::current() -> &'static PerCpu                  percpu.thread: AtomicPtr<()> is for the scheduler
// irq::register(handler: Box<dyn Fn() + Send + Sync>) -> Option<u8>   vector; handler runs with interrupts off; EOI by us
// apic::id() -> u32                                     of this CPU
// apic::timer_arm(deadline_ns: u64)                     one shot; u64::MAX disarms; a past deadline fires at once;
//                                                       may fire early (long deadlines): re-arm from the callback
// irq::set_timer_callback(fn())                         runs in interrupt context
// irq::wait_for_interrupt()                             sti; hlt; cli, handlers have run when it returns
// fpu::save_before_switch()                             the scheduler calls it before it leaves a thread
//
// Wanted from memory: crate::arch::uaccess::fixup(rip: u64) -> Option<u64>, Arc<PageTable>::activate().
