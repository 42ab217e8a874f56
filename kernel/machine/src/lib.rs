//! Everything that touches hardware: the only crate with `unsafe`.
//!
//! One API, two backends. Bare metal (`x86_64/`) is for `x86_64-unknown-none`; the hosted one (`hosted/`) simulates memory,
//! page tables, threads, disks and ports inside an ordinary process, so that everything above is tested by
//! `cargo test`. Arch-free code lives beside the two folders and reaches them only as `crate::arch`.
//!
//! # Rules of the kernel's world
//!
//! - Kernel mode runs with interrupts off, always; they are on only in user mode and while an idle CPU halts. So a spin
//!   lock needs no saving of the interrupt flag.
//! - An interrupt handler runs with no lock held on its CPU. It may take spin locks and unpark threads; it must not sleep.
//! - Kernel code is never pre-empted: a thread leaves its CPU only where it parks, yields or ends.
//!
//! # Lock order
//!
//! A thread that holds a spin lock of level `n` may take only locks of a higher level; debug builds check this at
//! every lock, and that no spin lock is held where a thread sleeps. Level 0 takes no part in the order: such a lock is a leaf
//! or is ordered by other means. Levels 1 to 39 belong to the crates above; this crate's are (see [`sync::level`]):
//!
//! | level | lock |
//! |---|---|
//! | 40 | waiters of a sleeping lock or of a wait queue |
//! | 44 | a page table |
//! | 48 | a thread's state |
//! | 52 | a CPU's run queue and deadlines |
//! | 54 | kernel stacks |
//! | 56 | the kernel heap |
//! | 58 | the kernel's own pages |
//! | 62 | the frame allocator |
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

#[cfg(target_os = "none")]
#[path = "x86_64/mod.rs"]
mod arch;

#[cfg(not(target_os = "none"))]
pub mod hosted;
#[cfg(not(target_os = "none"))]
use hosted as arch;

// What the drivers share between architectures; on the host only its tests use it.
#[cfg(any(target_os = "none", test))]
mod acpi;
#[cfg(any(target_os = "none", test))]
mod mp_table;
#[cfg(any(target_os = "none", test))]
mod ranges;
#[cfg(any(target_os = "none", test))]
mod rtc;
#[cfg(any(target_os = "none", test))]
#[cfg_attr(
    not(target_os = "none"),
    expect(dead_code, reason = "discovery and transports run on bare metal only")
)]
mod virtio;

pub mod block;
pub mod boot;
pub mod cpu;
pub mod devices;
pub mod frame;
pub mod net;
pub mod paging;
pub mod port;
pub mod power;
pub mod random;
pub mod sync;
pub mod thread;
pub mod time;
pub mod usage;
pub mod user;
pub mod vdso;

pub use boot::{BootInfo, init};
