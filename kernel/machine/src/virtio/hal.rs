//! What the crate `virtio-drivers` asks of the kernel.

use crate::arch::memory;
use crate::frame::{Frame, PAGE_SIZE, alloc_contiguous};
use core::ptr::NonNull;
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// Devices see physical memory as it is: there is no IOMMU, and nothing has to be copied.
#[derive(Debug)]
pub(crate) struct KernelHal;

// SAFETY: see each function.
unsafe impl Hal for KernelHal {
    /// Whole pages of zeros that nobody else has, at their place in the direct map. Without memory the address 0, which the
    /// crate takes for an error.
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        match alloc_contiguous(pages) {
            Ok(run) => {
                let place = (run.physical(), run.as_ptr());
                // Given back by `dma_dealloc`.
                core::mem::forget(run);
                place
            }
            Err(_) => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, _vaddr: NonNull<u8>, pages: usize) -> i32 {
        for page in 0..pages {
            // SAFETY: `dma_alloc` gave up its reference to each page of the run, and this is the only call for them.
            drop(unsafe { Frame::from_raw(paddr + (page * PAGE_SIZE) as u64) });
        }
        0
    }

    /// A mapping of its own for each call, which stays for ever.
    unsafe fn mmio_phys_to_virt(paddr: PhysAddr, size: usize) -> NonNull<u8> {
        crate::arch::devices::map(paddr, size)
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        // Only memory of `dma_alloc` and whole frames are given to queues, so it is in the direct map and contiguous.
        memory::physical(buffer.cast())
    }

    unsafe fn unshare(_paddr: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}
