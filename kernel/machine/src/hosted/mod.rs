//! The machine, simulated inside an ordinary process.
//!
//! - Memory is one block that the host commits as it is touched; frames, reference counts and page tables in it are managed by the same
//!   code as on bare metal.
//! - Copies to and from user memory walk the page table and honour protections.
//! - Threads are the host's, or a model checker's ([`model`]); user programs are closures ([`script`]).
//! - Disks and ports are in memory: [`MemoryDisk`](crate::block::MemoryDisk), [`port_pair`].

pub(crate) mod boot;
#[path = "../x86_64/clock_layout.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "the page is filled on bare metal and in tests"))]
pub(crate) mod clock_layout;
pub(crate) mod cpu;
pub(crate) mod devices;
pub(crate) mod entropy;
#[path = "../x86_64/entry.rs"]
pub(crate) mod entry;
pub(crate) mod memory;
pub mod model;
mod port_pair;
pub(crate) mod power;
pub(crate) mod thread;
pub(crate) mod time;
pub(crate) mod tlb;
pub(crate) mod usage;
pub(crate) mod user;
#[path = "../x86_64/vdso.rs"]
pub(crate) mod vdso;

pub(crate) use crate::paging::walked as uaccess;
pub(crate) use cpu::{cpu_count, cpu_index};
pub use memory::{FrameLimit, limit_frames};
pub use port_pair::{PortEnd, port_pair};
pub use user::{script, script_traps};
