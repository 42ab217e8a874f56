//! Entering user mode and coming back, as a function call.
//!
//! `husk_enter_user` pushes the registers that a function must keep, notes the stack pointer in the CPU's block (and as the
//! stack for interrupts from user mode), loads the program's registers and leaves by SYSRET or IRET. Every way back saves
//! the program's registers to the same block and arrives at `husk_leave_user`, which returns.

use alloc::sync::Arc;
use core::arch::global_asm;
use core::sync::atomic::Ordering;

use x86_64::VirtAddr;
use x86_64::addr::VirtAddrNotValid;
use x86_64::instructions::segmentation::{FS, GS, Segment64};
use x86_64::registers::control::Cr2;
use x86_64::registers::model_specific::{FsBase, KernelGsBase};
use x86_64::registers::rflags::RFlags;
use x86_64::structures::idt::PageFaultErrorCode;

use super::fpu::FpState;
use super::gdt::{USER_CS, USER_DS};
use super::idt::vector;
use super::percpu::{self, PerCpu, offset};
use super::{cpu, fpu, irq, syscall};
use crate::frame::OutOfMemory;
use crate::paging::{PageTable, USER_END};
use crate::user::{Access, BadFpState, Trap, UserClock, UserRegs};

/// Flags that a program may have.
const USER_FLAGS: u64 = RFlags::CARRY_FLAG
    .union(RFlags::PARITY_FLAG)
    .union(RFlags::AUXILIARY_CARRY_FLAG)
    .union(RFlags::ZERO_FLAG)
    .union(RFlags::SIGN_FLAG)
    .union(RFlags::TRAP_FLAG)
    .union(RFlags::DIRECTION_FLAG)
    .union(RFlags::OVERFLOW_FLAG)
    .union(RFlags::RESUME_FLAG)
    .union(RFlags::ALIGNMENT_CHECK)
    .union(RFlags::ID)
    .bits();
/// Flags that it always has: interrupts on, and bit 1, which is always set.
const FLAGS_SET: u64 = RFlags::INTERRUPT_FLAG.bits() | 1 << 1;
/// With these, only IRET restores the state exactly (as in Linux).
const FLAGS_NOT_FOR_SYSRET: u64 = RFlags::TRAP_FLAG.union(RFlags::RESUME_FLAG).bits();

global_asm!(
    r#"
    .pushsection .text.husk_user, "ax"
    .p2align 4
    // rdi: the register block; esi: not zero for SYSRET. Returns the vector, or {syscall}, and the error code << 32.
    .global husk_enter_user
husk_enter_user:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rdi, %gs:{context}
    movq %rsp, %gs:{kernel_stack}
    movq %gs:{tss_rsp0}, %rax
    movq %rsp, (%rax)
    testl %esi, %esi
    jnz 1f
    pushq ${user_ds}
    pushq 56(%rdi)
    pushq 136(%rdi)
    pushq ${user_cs}
    pushq 128(%rdi)
    movq 16(%rdi), %rcx
    movq 88(%rdi), %r11
    jmp 2f
1:  movq 128(%rdi), %rcx
    movq 136(%rdi), %r11
2:  movq (%rdi), %rax
    movq 8(%rdi), %rbx
    movq 24(%rdi), %rdx
    movq 48(%rdi), %rbp
    movq 64(%rdi), %r8
    movq 72(%rdi), %r9
    movq 80(%rdi), %r10
    movq 96(%rdi), %r12
    movq 104(%rdi), %r13
    movq 112(%rdi), %r14
    movq 120(%rdi), %r15
    testl %esi, %esi
    movq 32(%rdi), %rsi
    jnz 3f
    movq 40(%rdi), %rdi
    swapgs
    iretq
3:  movq 56(%rdi), %rsp
    movq 40(%rdi), %rdi
    swapgs
    sysretq

    .p2align 4
    .global husk_leave_user
husk_leave_user:
    movq %gs:{kernel_stack}, %rsp
    pushq $2                        // clears direction, alignment check, trap, nested task
    popfq
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .popsection
    "#,
    context = const offset::CONTEXT,
    kernel_stack = const offset::KERNEL_STACK,
    tss_rsp0 = const offset::TSS_RSP0,
    user_ds = const USER_DS.0,
    user_cs = const USER_CS.0,
    syscall = const syscall::SYSCALL,
    options(att_syntax)
);

unsafe extern "C" {
    fn husk_enter_user(regs: *mut UserRegs, sysret: u32) -> u64;
}

/// The registers of a user thread, and running it.
pub struct UserContext {
    /// General registers; free to change while the thread is not in [`run`](Self::run).
    pub regs: UserRegs,
    fp: FpState,
}

impl UserContext {
    /// All registers zero, the floating-point state as at the start of a program, interrupts enabled.
    ///
    /// # Errors
    /// [`OutOfMemory`] if there is none for the floating-point state.
    pub fn new() -> Result<Self, OutOfMemory> {
        let regs = UserRegs { rflags: FLAGS_SET, ..UserRegs::default() };
        Ok(Self { regs, fp: FpState::new()? })
    }

    /// A copy, floating-point state included: for a new thread.
    ///
    /// # Errors
    /// [`OutOfMemory`] if there is none for the floating-point state.
    pub fn try_clone(&mut self) -> Result<Self, OutOfMemory> {
        Ok(Self { regs: self.regs, fp: self.fp.try_clone()? })
    }

    /// Enters user mode until something happens. Device and timer interrupts are handled inside; then it returns
    /// [`Trap::Interrupt`], so that the caller can look for signals and give way to other threads. `clock` goes meanwhile.
    ///
    /// Flags that a program must not set are cleared. A `rip`, `fs_base` or `gs_base` that is not canonical gives
    /// [`Trap::Exception`] with a general protection fault, as IRET or the load would.
    pub fn run(&mut self, space: &Arc<PageTable>, clock: &UserClock) -> Trap {
        let regs = &mut self.regs;
        regs.rflags = regs.rflags & USER_FLAGS | FLAGS_SET;
        space.activate();
        let block = percpu::current();
        self.fp.load(block);
        if load_bases(block, regs).is_err() || VirtAddr::try_new(regs.rip).is_err() {
            return Trap::Exception { vector: vector::GENERAL_PROTECTION, error_code: 0 };
        }
        let sysret = regs.rcx == regs.rip
            && regs.r11 == regs.rflags
            && regs.rip < USER_END
            && regs.rflags & FLAGS_NOT_FOR_SYSRET == 0;
        clock.enter();
        // SAFETY: the page table, the floating-point state and the segment bases are this thread's; rip is canonical
        // and the flags are allowed to a program, so neither SYSRET nor IRET can fault in the kernel. The
        // registers live in `self`, which is borrowed until the return.
        let outcome = unsafe { husk_enter_user(regs, u32::from(sysret)) };
        clock.leave();
        save_bases(block, regs);
        if outcome == syscall::SYSCALL {
            return Trap::Syscall;
        }
        let (number, error_code) = (outcome as u8, outcome >> 32);
        match number {
            vector::PAGE_FAULT => Trap::PageFault {
                addr: Cr2::read_raw(),
                access: match PageFaultErrorCode::from_bits_retain(error_code) {
                    code if code.contains(PageFaultErrorCode::INSTRUCTION_FETCH) => Access::Exec,
                    code if code.contains(PageFaultErrorCode::CAUSED_BY_WRITE) => Access::Write,
                    _ => Access::Read,
                },
                present: error_code & PageFaultErrorCode::PROTECTION_VIOLATION.bits() != 0,
            },
            vector::DEBUG => Trap::Exception { vector: number, error_code: cpu::take_debug_status() },
            number if number < vector::FIRST_INTERRUPT => Trap::Exception { vector: number, error_code },
            number => {
                irq::dispatch(number);
                Trap::Interrupt
            }
        }
    }

    /// Bytes that [`fp_save`](Self::fp_save) writes: the XSAVE area in standard format for the features enabled, or
    /// 512 on a CPU that has FXSAVE only.
    #[must_use]
    pub fn fp_len() -> usize {
        fpu::area_len()
    }

    /// Writes the floating-point state in the standard XSAVE format (Intel SDM volume 1, 13.4), components in their
    /// initial state written out.
    ///
    /// # Panics
    /// If `out` is not [`fp_len`](Self::fp_len) bytes long.
    pub fn fp_save(&mut self, out: &mut [u8]) {
        self.fp.save_to(out);
    }

    /// Takes over a state that a program gave. 512 bytes are the x87 and SSE state; the rest is then initial.
    ///
    /// # Errors
    /// [`BadFpState`] if the length is neither that nor [`fp_len`](Self::fp_len), or the CPU would refuse the contents:
    /// reserved bits of MXCSR, features that are not enabled, reserved bytes of the header.
    pub fn fp_restore(&mut self, bytes: &[u8]) -> Result<(), BadFpState> {
        self.fp.restore_from(bytes)
    }

    /// Back to the state at the start of a program.
    pub fn fp_reset(&mut self) {
        self.fp.reset();
    }
}

/// Loads the segment bases that are not loaded already; fails for one that is not canonical. The kernel does not use FS, and has
/// the user's GS base in the other register.
fn load_bases(block: &PerCpu, regs: &UserRegs) -> Result<(), VirtAddrNotValid> {
    if block.user_fs.load(Ordering::Relaxed) != regs.fs_base {
        FsBase::write(VirtAddr::try_new(regs.fs_base)?);
        block.user_fs.store(regs.fs_base, Ordering::Relaxed);
    }
    if block.user_gs.load(Ordering::Relaxed) != regs.gs_base {
        KernelGsBase::write(VirtAddr::try_new(regs.gs_base)?);
        block.user_gs.store(regs.gs_base, Ordering::Relaxed);
    }
    Ok(())
}

/// Where programs can change the bases themselves (FSGSBASE), reads them back.
fn save_bases(block: &PerCpu, regs: &mut UserRegs) {
    if !cpu::features().fsgsbase {
        return;
    }
    regs.fs_base = FS::read_base().as_u64();
    // SAFETY: between the SWAPGSs no memory is reached through GS: `percpu::current`, which does that, is not called, and its
    // instruction is not moved over these. Only traps that do not rely on GS can happen: interrupts are off, and
    // the instructions cannot fault, as CR4.FSGSBASE is on.
    unsafe {
        GS::swap();
        regs.gs_base = GS::read_base().as_u64();
        GS::swap();
    }
    block.user_fs.store(regs.fs_base, Ordering::Relaxed);
    block.user_gs.store(regs.gs_base, Ordering::Relaxed);
}

/// AT_HWCAP: CPUID.1:EDX.
#[must_use]
pub fn hwcap() -> u64 {
    u64::from(cpu::features().leaf1_edx)
}

/// AT_HWCAP2: bit 1 says that programs may use the FSGSBASE instructions.
#[must_use]
pub fn hwcap2() -> u64 {
    u64::from(cpu::features().fsgsbase) << 1
}

/// The state components enabled in XCR0 (x87 and SSE on a CPU without XSAVE).
#[must_use]
pub fn xcr0() -> u64 {
    fpu::enabled()
}
