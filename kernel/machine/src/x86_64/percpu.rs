//! One block a CPU, which GS points at while the CPU is in the kernel.
//!
//! The first fields are at fixed offsets: the entry code in `trap.rs`, `syscall.rs` and `user.rs` uses them.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use x86_64::VirtAddr;
use x86_64::registers::model_specific::{FsBase, GsBase, KernelGsBase};
use x86_64::structures::tss::TaskStateSegment;

use super::gdt::{self, Gdt};
use super::sched;
use crate::sync::level::Held;

/// Bytes of each stack in the interrupt stack table.
const IST_STACK_LEN: usize = 16 * 1024;

/// The state of one CPU. Only that CPU touches it, except where said.
#[repr(C)]
pub(crate) struct PerCpu {
    /// The register block of the user context that runs or ran last (`*mut UserRegs`).
    pub(crate) context: AtomicU64,
    /// Kernel stack pointer to return to when user mode is left.
    pub(crate) kernel_stack: AtomicU64,
    /// A place for one register in the entry code.
    pub(crate) scratch: AtomicU64,
    /// Address of the stack pointer for ring 0 in the TSS.
    pub(crate) tss_rsp0: AtomicU64,
    /// Address of this block.
    pub(crate) own_address: AtomicPtr<PerCpu>,
    /// Number of the CPU, from 0.
    pub(crate) index: AtomicUsize,
    /// The scheduler's part.
    pub(crate) scheduler: AtomicPtr<sched::Cpu>,
    /// Changes, never to be the same on any CPU again, whenever the thread that runs here was interrupted or is another one.
    pub(crate) mark: AtomicU64,
    /// FS base in the CPU, for user mode.
    pub(crate) user_fs: AtomicU64,
    /// GS base in the CPU, for user mode (in `KernelGsBase` while in the kernel).
    pub(crate) user_gs: AtomicU64,
    /// The save area of the floating-point state that is newer in the CPU's registers than in memory, or null.
    pub(crate) fp_live: AtomicPtr<u8>,
    /// Identity of the floating-point state that the registers hold; 0: of none.
    pub(crate) fp_loaded: AtomicU64,
    /// A panic began on this CPU.
    pub(crate) panicking: AtomicBool,
    held_locks: UnsafeCell<Held>,
    gdt: UnsafeCell<Gdt>,
    tss: UnsafeCell<TaskStateSegment>,
}

// SAFETY: of the fields without interior synchronisation, gdt and tss are written by `init` before the CPU runs
// anything else, and after that only by the CPU itself; held_locks is reached only by `with_held_locks`, on the block's own CPU.
unsafe impl Sync for PerCpu {}

/// A stack for one kind of fault. Its last words hold the address of the CPU's block, because the entry code cannot trust
/// GS then.
#[repr(C, align(16))]
struct IstStack {
    bytes: [u8; IST_STACK_LEN],
    percpu: u64,
    unused: u64,
}

type IstStacks = [IstStack; 4];

/// Offsets for the entry code.
pub(crate) mod offset {
    use super::{PerCpu, offset_of};
    pub(crate) const CONTEXT: usize = offset_of!(PerCpu, context);
    pub(crate) const KERNEL_STACK: usize = offset_of!(PerCpu, kernel_stack);
    pub(crate) const SCRATCH: usize = offset_of!(PerCpu, scratch);
    pub(crate) const TSS_RSP0: usize = offset_of!(PerCpu, tss_rsp0);
    pub(crate) const OWN_ADDRESS: usize = offset_of!(PerCpu, own_address);
}

impl PerCpu {
    const fn new() -> Self {
        Self {
            context: AtomicU64::new(0),
            kernel_stack: AtomicU64::new(0),
            scratch: AtomicU64::new(0),
            tss_rsp0: AtomicU64::new(0),
            own_address: AtomicPtr::new(core::ptr::null_mut()),
            index: AtomicUsize::new(0),
            scheduler: AtomicPtr::new(core::ptr::null_mut()),
            mark: AtomicU64::new(0),
            user_fs: AtomicU64::new(0),
            user_gs: AtomicU64::new(0),
            fp_live: AtomicPtr::new(core::ptr::null_mut()),
            fp_loaded: AtomicU64::new(0),
            panicking: AtomicBool::new(false),
            held_locks: UnsafeCell::new(Held::NONE),
            gdt: UnsafeCell::new(gdt::segments()),
            tss: UnsafeCell::new(TaskStateSegment::new()),
        }
    }
}

impl PerCpu {
    /// Changes the record of locks held. `f` must not take a lock itself.
    pub(crate) fn with_held_locks<R>(&self, f: impl FnOnce(&mut Held) -> R) -> R {
        // SAFETY: only this CPU gets here (see `current`), no interrupt comes while the kernel runs, and
        // `f` does not come back here, so the reference is the only one.
        f(unsafe { &mut *self.held_locks.get() })
    }
}

static BOOT_CPU: PerCpu = PerCpu::new();

/// The boot CPU's stacks; those of others are on the heap.
struct BootStacks(UnsafeCell<IstStacks>);

// SAFETY: used by `init_boot_cpu` alone, which is called once.
unsafe impl Sync for BootStacks {}

static BOOT_STACKS: BootStacks =
    BootStacks(UnsafeCell::new([const { IstStack { bytes: [0; IST_STACK_LEN], percpu: 0, unused: 0 } }; 4]));

/// Fills the boot CPU's block and loads GS, GDT and TSS. Nothing that uses [`current`] may run before.
pub(crate) fn init_boot_cpu() {
    // SAFETY: this runs once, so the reference is the only one.
    init(&BOOT_CPU, 0, unsafe { &mut *BOOT_STACKS.0.get() });
}

/// What another CPU needs before it can do anything, not even take a lock: made by the boot CPU.
pub(super) struct OtherCpu {
    block: &'static PerCpu,
    stacks: &'static mut IstStacks,
}

impl OtherCpu {
    /// For one CPU, for good.
    pub(super) fn new() -> Self {
        let mut stacks = Box::<IstStacks>::new_uninit();
        // SAFETY: the box has room for one value, and the stacks are plain bytes and integers, which may be zero.
        let stacks = unsafe {
            stacks.as_mut_ptr().write_bytes(0, 1);
            stacks.assume_init()
        };
        Self { block: Box::leak(Box::new(PerCpu::new())), stacks: Box::leak(stacks) }
    }

    /// Does what [`init_boot_cpu`] does, on the CPU that gets this number.
    pub(super) fn init(self, index: usize) {
        init(self.block, index, self.stacks);
    }
}

fn init(block: &'static PerCpu, index: usize, stacks: &'static mut IstStacks) {
    let address = (&raw const *block) as u64;
    block.index.store(index, Ordering::Relaxed);
    block.scheduler.store((&raw const *sched::cpu_at(index)).cast_mut(), Ordering::Relaxed);
    block.mark.store(index as u64, Ordering::Relaxed);
    block.own_address.store((&raw const *block).cast_mut(), Ordering::Relaxed);
    let tops = stacks.each_mut().map(|stack| {
        stack.percpu = address;
        VirtAddr::from_ptr(&raw const stack.percpu)
    });
    let tss = block.tss.get();
    // SAFETY: as above: nobody else has a reference to the block's GDT and TSS; both are part of the block, which lives for ever.
    unsafe {
        gdt::set_interrupt_stacks(&mut *tss, tops);
        // Where the CPU reads the stack pointer for interrupts from user mode.
        block.tss_rsp0.store((&raw const (*tss).privilege_stack_table) as u64, Ordering::Relaxed);
        gdt::load(&mut *block.gdt.get(), tss);
    }
    // GS then points at the block, as `current` expects; FS and the user's GS are zero, as the block says.
    GsBase::write(VirtAddr::from_ptr(block));
    KernelGsBase::write(VirtAddr::zero());
    FsBase::write(VirtAddr::zero());
}

/// The block of the CPU that this runs on. Kernel code is not pre-empted, so it stays so until the thread sleeps.
pub(crate) fn current() -> &'static PerCpu {
    let address: *const PerCpu;
    // SAFETY: in the kernel GS points at a block that lives for ever, since `init_boot_cpu`; the read has no effect.
    unsafe {
        core::arch::asm!("mov {}, gs:[{}]", out(reg) address, const offset::OWN_ADDRESS,
            options(nostack, preserves_flags, readonly));
        &*address
    }
}
