//! Segments and the task state segment, with the selectors that Linux uses (programs see those of user mode).
//!
//! There is no 32-bit code segment for user mode: loading 0x23 into CS is a general protection fault, so that
//! compatibility mode, and with it the 32-bit system calls, cannot be reached.

use x86_64::PrivilegeLevel::{Ring0, Ring3};
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, FS, GS, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, DescriptorFlags, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

/// Kernel code: 0x10.
pub(crate) const KERNEL_CS: SegmentSelector = SegmentSelector::new(2, Ring0);
/// Kernel data: 0x18.
pub(crate) const KERNEL_DS: SegmentSelector = SegmentSelector::new(3, Ring0);
/// User data: 0x2b.
pub(crate) const USER_DS: SegmentSelector = SegmentSelector::new(5, Ring3);
/// User 64-bit code: 0x33.
pub(crate) const USER_CS: SegmentSelector = SegmentSelector::new(6, Ring3);

/// Numbers in the interrupt stack table, from 0, of the faults that must not trust the stack pointer.
pub(crate) mod ist {
    pub(crate) const DOUBLE_FAULT: u16 = 0;
    pub(crate) const NMI: u16 = 1;
    pub(crate) const MACHINE_CHECK: u16 = 2;
    pub(crate) const DEBUG: u16 = 3;
}

/// The global descriptor table of a CPU: the segments, and room for the task state segment.
pub(crate) type Gdt = GlobalDescriptorTable<10>;

/// The segments.
pub(crate) const fn segments() -> Gdt {
    Gdt::from_raw_entries(&[
        0,
        0,
        DescriptorFlags::KERNEL_CODE64.bits(),
        DescriptorFlags::KERNEL_DATA.bits(),
        0, // 0x20 would be 32-bit user code
        DescriptorFlags::USER_DATA.bits(),
        DescriptorFlags::USER_CODE64.bits(),
        0,
    ])
}

/// Sets the stacks numbered as in [`ist`]: each is the address that the CPU pushes below.
pub(crate) fn set_interrupt_stacks(tss: &mut TaskStateSegment, tops: [VirtAddr; 4]) {
    let mut all = [VirtAddr::zero(); 7];
    all[..4].copy_from_slice(&tops);
    tss.interrupt_stack_table = all;
}

/// Enters the TSS into the table and makes the CPU use both.
///
/// # Safety
/// The two stay where they are for ever, the table without change, and the TSS changed by this CPU only. The table is one of
/// [`segments`].
pub(crate) unsafe fn load(gdt: &mut Gdt, tss: *const TaskStateSegment) {
    // SAFETY: the caller says that the TSS stays. The code and data descriptors are those in use already, so CS and SS stay
    // good; nothing uses the other segments (GS gets its base after this).
    unsafe {
        let tss = gdt.append(Descriptor::tss_segment_unchecked(tss));
        gdt.load_unsafe();
        CS::set_reg(KERNEL_CS);
        SS::set_reg(KERNEL_DS);
        DS::set_reg(SegmentSelector::NULL);
        ES::set_reg(SegmentSelector::NULL);
        FS::set_reg(SegmentSelector::NULL);
        GS::set_reg(SegmentSelector::NULL);
        load_tss(tss);
    }
}
