//! What the kernel itself uses.

pub(crate) use super::sched::{idle_ns, load_averages, running, switches};
use super::{heap, stack};
use crate::usage::KernelMemory;

pub(crate) fn kernel_memory() -> KernelMemory {
    let (heap, heap_mapped) = heap::usage();
    KernelMemory { heap, heap_mapped, stacks: stack::bytes_in_use(), tables: 0 }
}
