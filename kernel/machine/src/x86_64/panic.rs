//! When the kernel cannot go on: says why and where, and ends the machine.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use x86_64::instructions::interrupts;
use x86_64::registers::control::{Cr2, Cr3};

use super::idt::vector;
use super::kernel_map;
use super::layout::phys_to_virt;
use super::percpu;
use super::serial::Serial;
use super::smp;
use super::symbols::Symbol;
use super::trap::TrapFrame;
use crate::power::{PANIC_CODE, power_off};

/// Frames that a backtrace shows at most.
const MAX_FRAMES: usize = 40;
/// A frame further away than this is not on the same stack.
const MAX_STACK: u64 = 256 * 1024;

/// Nobody has panicked yet.
static FIRST: AtomicBool = AtomicBool::new(true);

#[panic_handler]
fn panic_handler(info: &PanicInfo<'_>) -> ! {
    let frame_pointer: u64;
    // SAFETY: reading a register has no effect. Every function of the kernel keeps the frame pointer there.
    unsafe {
        core::arch::asm!("mov {}, rbp", out(reg) frame_pointer, options(nomem, nostack, preserves_flags));
    };
    match info.location() {
        Some(location) => die(&format_args!("{}, at {location}", info.message()), None, frame_pointer),
        None => die(&format_args!("{}", info.message()), None, frame_pointer),
    }
}

/// A trap in the kernel that nothing handles.
pub(crate) fn trap(frame: &TrapFrame) -> ! {
    let name = match frame.vector as u8 {
        0 => "division error",
        vector::DEBUG => "debug exception",
        vector::NMI => "non-maskable interrupt",
        vector::BREAKPOINT => "breakpoint",
        6 => "invalid opcode",
        7 => "floating point not available",
        vector::DOUBLE_FAULT => "double fault (kernel stack overflow?)",
        10 => "invalid task state segment",
        11 => "segment not present",
        12 => "stack segment fault",
        vector::GENERAL_PROTECTION => "general protection fault",
        vector::PAGE_FAULT => "page fault",
        16 | 19 => "floating-point exception",
        17 => "alignment check",
        vector::MACHINE_CHECK => "machine check",
        _ => "exception",
    };
    die(
        &format_args!("{name} (vector {}, error code {:#x})", frame.vector, frame.error_code),
        Some(frame),
        frame.rbp,
    )
}

fn die(why: &dyn fmt::Display, frame: Option<&TrapFrame>, frame_pointer: u64) -> ! {
    if percpu::current().panicking.swap(true, Ordering::Relaxed) {
        // A panic while this CPU reports another says the least it can.
        let _ = write!(Serial, "\nHUSK PANIC while reporting a panic\n");
        power_off(PANIC_CODE);
    }
    if !FIRST.swap(false, Ordering::SeqCst) {
        // Another CPU reports a panic, and ends the machine.
        stop()
    }
    smp::stop_others();
    // Writing to the port never fails.
    let _ = write!(Serial, "\nHUSK PANIC: {why}\n");
    if let Some(frame) = frame {
        let _ = write_registers(frame);
    }
    let _ = write_backtrace(frame, frame_pointer);
    power_off(PANIC_CODE)
}

/// What another CPU does when one panics: nothing more.
pub(crate) fn stop() -> ! {
    loop {
        interrupts::disable();
        x86_64::instructions::hlt();
    }
}

/// Whether a panic is being reported.
pub(crate) fn is_reporting() -> bool {
    !FIRST.load(Ordering::SeqCst)
}

fn write_registers(frame: &TrapFrame) -> fmt::Result {
    let registers = [
        ("rax", frame.rax),
        ("rbx", frame.rbx),
        ("rcx", frame.rcx),
        ("rdx", frame.rdx),
        ("rsi", frame.rsi),
        ("rdi", frame.rdi),
        ("rbp", frame.rbp),
        ("rsp", frame.rsp),
        ("r8 ", frame.r8),
        ("r9 ", frame.r9),
        ("r10", frame.r10),
        ("r11", frame.r11),
        ("r12", frame.r12),
        ("r13", frame.r13),
        ("r14", frame.r14),
        ("r15", frame.r15),
        ("rip", frame.rip),
        ("flg", frame.rflags),
        ("cr2", Cr2::read_raw()),
        ("cr3", Cr3::read_raw().0.start_address().as_u64()),
    ];
    for line in registers.chunks(4) {
        for (name, value) in line {
            write!(Serial, "  {name} {value:016x}")?;
        }
        writeln!(Serial)?;
    }
    writeln!(Serial, "  cs {:#x} ss {:#x}", frame.cs, frame.ss)
}

/// Follows the frame pointers: `[rbp]` is the caller's frame pointer, `[rbp + 8]` the return address.
fn write_backtrace(frame: Option<&TrapFrame>, mut frame_pointer: u64) -> fmt::Result {
    writeln!(Serial, "backtrace:")?;
    if let Some(frame) = frame {
        writeln!(Serial, "  {}", Symbol(frame.rip))?;
    }
    for _ in 0..MAX_FRAMES {
        let Some([next, return_address]) = read_frame(frame_pointer) else { break };
        if !kernel_map::is_text(return_address) {
            break;
        }
        // The call is before the address that it returns to; it may be the function's last instruction.
        writeln!(Serial, "  {}", Symbol(return_address - 1))?;
        if next <= frame_pointer || next - frame_pointer > MAX_STACK {
            break;
        }
        frame_pointer = next;
    }
    Ok(())
}

fn read_frame(address: u64) -> Option<[u64; 2]> {
    if !address.is_multiple_of(8) || address < super::layout::DIRECT_MAP {
        return None;
    }
    let read = |address| {
        let physical = kernel_map::translate(address)?;
        // SAFETY: the page is mapped, and aligned words do not cross pages. It may be any memory, but reading has no effect
        // unless it belongs to a device, and a frame pointer does not lead there.
        Some(unsafe { phys_to_virt(physical).cast::<u64>().read_volatile() })
    };
    Some([read(address)?, read(address + 8)?])
}
