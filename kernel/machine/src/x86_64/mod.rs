//! x86-64 on bare metal.
//!
//! How the parts hold together:
//!
//! - [`pvh`] is the entry point; [`boot`] reads what the monitor tells and makes the list of usable memory;
//!   [`kernel_map`] builds the kernel half of the address space.
//! - [`percpu`] is one block a CPU, reached through GS while in the kernel. [`gdt`], [`idt`], [`trap`],
//!   [`syscall`] and [`user`] are the ways into and out of user mode.
//! - [`memory`] and [`heap`] give out memory, [`tlb`] and [`uaccess`] use user memory; [`thread`] and [`sched`] schedule;
//!   [`smp`] starts the other CPUs.
//! - [`apic`] and [`irq`] take interrupts; [`tsc`], [`clock_page`], [`kvmclock`], [`pit`] and [`time`] tell the time,
//!   and so does [`vdso`] in user mode.
//!
//! Kernel code runs with interrupts off; they are on in user mode and in [`wait_for_interrupt`] only.

mod address_space;
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
mod heap_cache;
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
mod sched;
pub(crate) mod serial;
mod smp;
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
pub(crate) mod usage;
pub(crate) mod user;
pub(crate) mod vdso;

pub(crate) use cpu::{count as cpu_count, current as cpu_index};
