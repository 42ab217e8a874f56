//! Reading the battery-backed clock (MC146818).

use crate::rtc::{Registers, decode};
use x86_64::instructions::port::Port;

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const UPDATE_IN_PROGRESS: u8 = 0x80;
const NMI_DISABLED: u8 = 0x80;
/// An update takes at most 2 ms; a read of a port takes about a microsecond or, in a virtual machine, more.
const MOST_POLLS: u32 = 4000;

fn register(number: u8) -> u8 {
    // SAFETY: these ports belong to the clock, and reading its time registers changes nothing.
    unsafe {
        Port::new(INDEX).write(NMI_DISABLED | number);
        Port::new(DATA).read()
    }
}

/// Seconds since 1970; `None` if there is no clock, or it does not settle.
pub(crate) fn seconds() -> Option<u64> {
    let mut polls = 0..MOST_POLLS;
    loop {
        // All ones: nothing is there.
        let status = register(STATUS_A);
        polls.next().filter(|_| status != 0xff)?;
        if status & UPDATE_IN_PROGRESS != 0 {
            continue;
        }
        let registers = Registers {
            second: register(0),
            minute: register(2),
            hour: register(4),
            day: register(7),
            month: register(8),
            year: register(9),
            century: register(0x32),
            mode: register(STATUS_B),
        };
        // No update can have begun before the last register was read if the seconds are still the same.
        if register(STATUS_A) & UPDATE_IN_PROGRESS == 0 && register(0) == registers.second {
            return decode(registers);
        }
    }
}
