//! The chain of calls of a program, as far as frame pointers tell.

use super::symbols;
use crate::mm::{AddressSpace, Prot};
use crate::task::Task;
use alloc::string::String;
use core::fmt::Write;
use husk_machine::user::UserRegs;

/// Frames shown at most.
const MAX_FRAMES: usize = 32;
/// Words of the stack that are looked at where frame pointers end early.
const SCANNED_WORDS: u64 = 512;

/// Appends a line for each frame.
pub(super) fn write(text: &mut String, task: &Task, regs: &UserRegs) {
    let mm = task.mm();
    let mut number = 0;
    let mut line = |address: u64, sure: bool| {
        // A return address belongs to the call before it, which may be the last instruction of its function.
        let back = u64::from(number > 0);
        let mark = if sure { ' ' } else { '?' };
        let _ =
            writeln!(text, "  #{number:<2}{mark}{address:#018x} {}", symbols::describe(task, address, back));
        number += 1;
        number < MAX_FRAMES
    };
    line(regs.rip, true);
    let mut frame = regs.rbp;
    let mut top = regs.rsp;
    let mut chained = 0;
    while frame >= top && frame.is_multiple_of(8) {
        let (Some(next), Some(back)) = (word(mm, frame), word(mm, frame.wrapping_add(8))) else { break };
        if !is_code(mm, back) {
            break;
        }
        chained += 1;
        if !line(back, true) {
            return;
        }
        top = frame.wrapping_add(16);
        frame = next;
    }
    if chained >= 2 {
        return;
    }
    // Built without frame pointers: words on the stack that follow a call instruction are likely return addresses.
    let start = regs.rsp & !7;
    for address in (0..SCANNED_WORDS).map(|index| start.wrapping_add(index * 8)) {
        let Some(value) = word(mm, address) else { return };
        if is_code(mm, value) && follows_call(mm, value) && !line(value, false) {
            return;
        }
    }
}

fn word(mm: &AddressSpace, addr: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    mm.copy_in(&mut bytes, addr).ok()?;
    Some(u64::from_le_bytes(bytes))
}

fn is_code(mm: &AddressSpace, addr: u64) -> bool {
    mm.protection_at(addr).is_some_and(|prot| prot.contains(Prot::EXEC))
}

/// Whether the bytes before an address are a CALL: relative, or indirect through a register or memory.
fn follows_call(mm: &AddressSpace, addr: u64) -> bool {
    let mut bytes = [0; 7];
    if mm.copy_in(&mut bytes, addr.wrapping_sub(7)).is_err() {
        return false;
    }
    const RELATIVE: u8 = 0xe8;
    const INDIRECT: u8 = 0xff;
    let indirect = |at: usize| bytes[at] == INDIRECT && bytes[at + 1] >> 3 & 7 == 2;
    bytes[2] == RELATIVE || indirect(5) || indirect(4) || indirect(1)
}
