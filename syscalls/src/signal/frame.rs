//! What a signal handler finds on its stack: Linux's `struct rt_sigframe` on x86-64, and the way back from it.

use super::state::SS_AUTODISARM;
use super::{AltStack, SIGINFO_SIZE, SigAction, SigInfo, SigSet};
use crate::args::UserPtr;
use crate::mm::AddressSpace;
use crate::task::Task;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_machine::user::{UserContext, UserRegs, xcr0};
use linux_raw_sys::general as sys;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Bytes below the stack pointer that a function may use without moving it (x86-64 psABI, 3.2.2).
const RED_ZONE: u64 = 128;

/// `uc_flags`: the floating-point state is extended; SS is saved and restored strictly.
const UC_FLAGS: u64 = 1 | 2 | 4;

/// Marks the extended state in the software bytes of the FXSAVE area, and at its end.
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
const FP_XSTATE_MAGIC2: [u8; 4] = 0x4650_5845_u32.to_le_bytes();
/// Size of the FXSAVE area.
const FXSAVE_SIZE: usize = 512;
/// Where its software bytes are.
const SW_BYTES_OFFSET: usize = 464;

/// User code and stack segment selectors on Linux.
const USER_CS: u16 = 0x33;
const USER_SS: u16 = 0x2b;

/// RFLAGS bits that a handler may change for the interrupted code: AC, RF, OF, DF, TF, SF, ZF, AF, PF, CF.
const CHANGEABLE_FLAGS: u64 = 0x0005_0dd5;
/// DF, RF and TF are off when a handler starts.
const CLEARED_FLAGS: u64 = 0x0001_0500;

/// `struct sigcontext_64`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct SigContext {
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    di: u64,
    si: u64,
    bp: u64,
    bx: u64,
    dx: u64,
    ax: u64,
    cx: u64,
    sp: u64,
    ip: u64,
    flags: u64,
    cs: u16,
    gs: u16,
    fs: u16,
    ss: u16,
    err: u64,
    trapno: u64,
    oldmask: u64,
    cr2: u64,
    fpstate: u64,
    reserved: [u64; 8],
}

/// `struct ucontext`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct UContext {
    flags: u64,
    link: u64,
    stack: AltStack,
    mcontext: SigContext,
    sigmask: SigSet,
}

/// `struct rt_sigframe`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Frame {
    return_address: u64,
    context: UContext,
    info: [u8; SIGINFO_SIZE],
}

/// `struct _fpx_sw_bytes`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct SoftwareBytes {
    magic1: u32,
    extended_size: u32,
    features: u64,
    state_size: u32,
    padding: [u32; 7],
}

const _: () = {
    // linux-raw-sys has none of these: the numbers are those of asm/sigcontext.h and asm/ucontext.h.
    assert!(size_of::<SigContext>() == 256);
    assert!(core::mem::offset_of!(SigContext, ip) == 128);
    assert!(core::mem::offset_of!(SigContext, fpstate) == 184);
    assert!(core::mem::offset_of!(UContext, mcontext) == 40);
    assert!(core::mem::offset_of!(UContext, sigmask) == 296);
    assert!(size_of::<UContext>() == 304);
    assert!(core::mem::offset_of!(Frame, info) == 312);
    assert!(size_of::<Frame>() == 440);
    assert!(size_of::<SoftwareBytes>() == FXSAVE_SIZE - SW_BYTES_OFFSET);
};

/// What the last exception was, for `sigcontext`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TrapState {
    /// Exception number.
    pub(crate) number: u64,
    /// Error code.
    pub(crate) error_code: u64,
    /// The address of the last page fault.
    pub(crate) address: u64,
}

/// The largest frame in bytes, with all padding (AT_MINSIGSTKSZ).
pub(crate) fn max_size() -> usize {
    const PADDING: usize = 16 + 8 + 63;
    (size_of::<Frame>() + PADDING + UserContext::fp_len() + 4).next_multiple_of(16)
}

/// Puts a frame on the stack and makes the registers enter the handler.
///
/// # Errors
/// EFAULT if the stack cannot be written or the action has no SA_RESTORER; the program gets SIGSEGV.
pub(crate) fn push(
    task: &Task,
    context: &mut UserContext,
    trap: &TrapState,
    info: &SigInfo,
    action: &SigAction,
) -> Result<(), Errno> {
    if !action.has(sys::SA_RESTORER) {
        return err!(EFAULT);
    }
    let (alt_stack, mask) = {
        let signals = task.signals.lock();
        (signals.alt_stack, signals.saved.unwrap_or(signals.blocked))
    };
    let regs = context.regs;
    let mut sp = regs.rsp.wrapping_sub(RED_ZONE);
    let nested = alt_stack.contains(regs.rsp);
    let entering = action.has(sys::SA_ONSTACK) && alt_stack.state(regs.rsp) == 0;
    if entering {
        sp = alt_stack.sp.wrapping_add(alt_stack.size);
    }
    let fp_len = UserContext::fp_len() + FP_XSTATE_MAGIC2.len();
    let fp_addr = sp.wrapping_sub(fp_len as u64) & !63;
    let frame_addr = (fp_addr.wrapping_sub(size_of::<Frame>() as u64) & !15).wrapping_sub(8);
    // On the alternate stack already: rather die than write below it.
    if (nested || entering) && !alt_stack.contains_address(frame_addr) {
        return err!(EFAULT);
    }
    let frame = Frame {
        return_address: action.restorer,
        context: UContext {
            flags: UC_FLAGS,
            link: 0,
            stack: alt_stack,
            mcontext: sig_context(&regs, trap, mask, fp_addr),
            sigmask: mask,
        },
        info: info.to_bytes(),
    };
    let mut bytes = core::mem::take(&mut *task.signal_frame.lock());
    bytes.clear();
    bytes.extend_from_slice(frame.as_bytes());
    let fp_at = fp_addr.wrapping_sub(frame_addr) as usize;
    bytes.resize(fp_at + fp_len, 0);
    fp_state(context, &mut bytes[fp_at..]);
    let copied = task.mm().copy_out(frame_addr, &bytes);
    *task.signal_frame.lock() = bytes;
    copied?;
    let at = |offset: usize| frame_addr.wrapping_add(offset as u64);
    let regs = &mut context.regs;
    regs.rdi = info.signal.number().into();
    regs.rsi = at(core::mem::offset_of!(Frame, info));
    regs.rdx = at(core::mem::offset_of!(Frame, context));
    regs.rax = 0;
    regs.rip = action.handler;
    regs.rsp = frame_addr;
    regs.rflags &= !CLEARED_FLAGS;
    if alt_stack.flags & SS_AUTODISARM != 0 {
        task.signals.lock().alt_stack = AltStack::default();
    }
    Ok(())
}

/// The floating-point state as it goes onto the stack: XSAVE's standard format with Linux's marks.
fn fp_state(context: &mut UserContext, bytes: &mut [u8]) {
    let len = UserContext::fp_len();
    context.fp_save(&mut bytes[..len]);
    let software = SoftwareBytes {
        magic1: FP_XSTATE_MAGIC1,
        extended_size: len as u32 + 4,
        features: xcr0(),
        state_size: len as u32,
        padding: [0; 7],
    };
    bytes[SW_BYTES_OFFSET..FXSAVE_SIZE].copy_from_slice(software.as_bytes());
    bytes[len..].copy_from_slice(&FP_XSTATE_MAGIC2);
}

fn sig_context(regs: &UserRegs, trap: &TrapState, mask: SigSet, fpstate: u64) -> SigContext {
    SigContext {
        r8: regs.r8,
        r9: regs.r9,
        r10: regs.r10,
        r11: regs.r11,
        r12: regs.r12,
        r13: regs.r13,
        r14: regs.r14,
        r15: regs.r15,
        di: regs.rdi,
        si: regs.rsi,
        bp: regs.rbp,
        bx: regs.rbx,
        dx: regs.rdx,
        ax: regs.rax,
        cx: regs.rcx,
        sp: regs.rsp,
        ip: regs.rip,
        flags: regs.rflags,
        cs: USER_CS,
        gs: 0,
        fs: 0,
        ss: USER_SS,
        err: trap.error_code,
        trapno: trap.number,
        oldmask: mask.bits(),
        cr2: trap.address,
        fpstate,
        reserved: [0; 8],
    }
}

/// rt_sigreturn(2): takes registers, floating-point state, mask and alternate stack from the frame that the stack pointer has just
/// left. The result is the restored RAX.
///
/// # Errors
/// EFAULT if the frame cannot be read or the CPU would refuse the state; the program gets SIGSEGV.
pub(crate) fn pop(task: &Task, context: &mut UserContext) -> Result<u64, Errno> {
    let frame = UserPtr::<Frame>::new(context.regs.rsp.wrapping_sub(8)).read(task.mm())?;
    let saved = &frame.context.mcontext;
    let mut bytes = core::mem::take(&mut *task.signal_frame.lock());
    let restored = restore_fp(task.mm(), context, saved.fpstate, &mut bytes);
    *task.signal_frame.lock() = bytes;
    restored?;
    let regs = &mut context.regs;
    *regs = UserRegs {
        rax: saved.ax,
        rbx: saved.bx,
        rcx: saved.cx,
        rdx: saved.dx,
        rsi: saved.si,
        rdi: saved.di,
        rbp: saved.bp,
        rsp: saved.sp,
        r8: saved.r8,
        r9: saved.r9,
        r10: saved.r10,
        r11: saved.r11,
        r12: saved.r12,
        r13: saved.r13,
        r14: saved.r14,
        r15: saved.r15,
        rip: saved.ip,
        rflags: (regs.rflags & !CHANGEABLE_FLAGS) | (saved.flags & CHANGEABLE_FLAGS),
        fs_base: regs.fs_base,
        gs_base: regs.gs_base,
    };
    task.set_blocked(frame.context.sigmask);
    // As on Linux, an alternate stack that sigaltstack(2) would refuse is not an error here.
    let _ = super::alt_stack::set(task, frame.context.stack, saved.sp);
    Ok(saved.ax)
}

fn restore_fp(
    mm: &AddressSpace,
    context: &mut UserContext,
    addr: u64,
    bytes: &mut Vec<u8>,
) -> Result<(), Errno> {
    if addr == 0 {
        context.fp_reset();
        return Ok(());
    }
    let len = UserContext::fp_len();
    bytes.clear();
    bytes.resize(len, 0);
    let (legacy, extended) = bytes.split_at_mut(FXSAVE_SIZE.min(len));
    mm.copy_in(legacy, addr)?;
    let software =
        SoftwareBytes::read_from_bytes(&legacy[SW_BYTES_OFFSET..]).map_err(|_| Errno::EFAULT.here())?;
    let size = software.state_size as usize;
    let whole = software.magic1 == FP_XSTATE_MAGIC1
        && (FXSAVE_SIZE + 64..=len).contains(&size)
        && software.extended_size >= software.state_size
        && UserPtr::<[u8; 4]>::new(addr.wrapping_add(size as u64)).read(mm)? == FP_XSTATE_MAGIC2;
    if whole {
        mm.copy_in(&mut extended[..size - FXSAVE_SIZE], addr.wrapping_add(FXSAVE_SIZE as u64))?;
        // Only what the software bytes announce counts.
        let announced = software.features.to_le_bytes();
        for (bits, announced) in extended[..8].iter_mut().zip(announced) {
            *bits &= announced;
        }
    } else {
        // An FXSAVE image: x87 and SSE only, the rest in its initial state.
        // There is none on a CPU without XSAVE.
        if let Some(features) = extended.first_mut() {
            *features = 3;
        }
    }
    bytes[SW_BYTES_OFFSET..FXSAVE_SIZE].fill(0);
    context.fp_restore(bytes).map_err(|_| Errno::EFAULT.here())
}
