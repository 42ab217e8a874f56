//! Where things are in the kernel half of the address space.
//!
//! | top-level entry | address | what |
//! |---|---|---|
//! | 256 | `0xffff_8000_0000_0000` | direct map of physical memory (all RAM, and everything below 4 GiB), no execution |
//! | 508 | `0xffff_fe00_0000_0000` | kernel stacks with guard pages |
//! | 510 | `0xffff_ff00_0000_0000` | device registers, uncached |
//! | 511 | `0xffff_ffff_8000_0000` | the kernel image |

/// Start of the direct map.
pub(crate) const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
/// Bytes of physical address space that the direct map can reach: one table of 512 GiB.
pub(crate) const DIRECT_MAP_LEN: u64 = 512 << 30;
/// Start of the 512 GiB for kernel stacks.
pub(crate) const STACK_WINDOW: u64 = 0xffff_fe00_0000_0000;
/// Start of the 1 GiB for device registers.
pub(crate) const MMIO_WINDOW: u64 = 0xffff_ff00_0000_0000;
/// The kernel is linked at this plus its physical address. The linker script says the same.
pub(crate) const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

/// The address in the direct map of a physical address.
///
/// It may be dereferenced only if there is memory at `physical`, or it lies below 4 GiB.
pub(crate) const fn phys_to_virt(physical: u64) -> *mut u8 {
    (DIRECT_MAP + physical) as *mut u8
}
