//! The operation of FUTEX_WAKE_OP: a change of a word, and a comparison of what it was.

use husk_abi::{Errno, err};
use husk_machine::paging::{PageTable, UserFault};
use linux_raw_sys::general as sys;

/// As packed into the sixth argument (futex(2)).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation(u32);

impl Operation {
    /// From the argument.
    pub(crate) const fn new(packed: u32) -> Self {
        Self(packed)
    }

    /// Bits 12 to 23, with their sign; a shift of 1 by as many if so said.
    fn argument(self) -> u32 {
        let value = ((self.0 << 8) as i32 >> 20) as u32;
        if self.0 >> 28 & sys::FUTEX_OP_OPARG_SHIFT != 0 { 1 << (value & 31) } else { value }
    }

    fn changed(self, old: u32) -> Result<u32, Errno> {
        let argument = self.argument();
        Ok(match self.0 >> 28 & 7 {
            sys::FUTEX_OP_SET => argument,
            sys::FUTEX_OP_ADD => old.wrapping_add(argument),
            sys::FUTEX_OP_OR => old | argument,
            sys::FUTEX_OP_ANDN => old & !argument,
            sys::FUTEX_OP_XOR => old ^ argument,
            _ => return err!(ENOSYS),
        })
    }

    /// Changes the word at an address at once; the answer is what it was.
    ///
    /// # Errors
    /// ENOSYS for an unknown operation. The inner error is a page that is not there.
    pub(super) fn apply(self, memory: &PageTable, addr: u64) -> Result<Result<u32, UserFault>, Errno> {
        let mut old = match memory.load_u32(addr) {
            Ok(old) => old,
            Err(fault) => return Ok(Err(fault)),
        };
        loop {
            match memory.compare_exchange_u32(addr, old, self.changed(old)?) {
                Ok(Ok(old)) => return Ok(Ok(old)),
                Ok(Err(found)) => old = found,
                Err(fault) => return Ok(Err(fault)),
            }
        }
    }

    /// Whether the comparison holds for the old value.
    ///
    /// # Errors
    /// ENOSYS if it is unknown.
    pub(super) fn holds(self, old: u32) -> Result<bool, Errno> {
        let (old, with) = (old as i32, (self.0 << 20) as i32 >> 20);
        Ok(match self.0 >> 24 & 15 {
            sys::FUTEX_OP_CMP_EQ => old == with,
            sys::FUTEX_OP_CMP_NE => old != with,
            sys::FUTEX_OP_CMP_LT => old < with,
            sys::FUTEX_OP_CMP_LE => old <= with,
            sys::FUTEX_OP_CMP_GT => old > with,
            sys::FUTEX_OP_CMP_GE => old >= with,
            _ => return err!(ENOSYS),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(op: u32, argument: i32, compare: u32, with: i32) -> Operation {
        Operation::new(op << 28 | compare << 24 | (argument as u32 & 0xfff) << 12 | with as u32 & 0xfff)
    }

    #[test]
    fn arguments_have_signs() {
        assert_eq!(packed(1, -1, 0, 0).changed(5).unwrap(), 4);
        assert_eq!(packed(8, 4, 0, 0).changed(5).unwrap(), 16);
        assert_eq!(packed(3, 1, 0, 0).changed(5).unwrap(), 4);
        assert!(packed(5, 0, 0, 0).changed(0).is_err());
    }

    #[test]
    fn comparisons_are_signed() {
        assert!(packed(0, 0, 2, 0).holds(u32::MAX).unwrap(), "-1 < 0");
        assert!(packed(0, 0, 0, -3).holds(-3_i32 as u32).unwrap());
        assert!(!packed(0, 0, 4, 7).holds(7).unwrap());
        assert!(packed(0, 0, 6, 0).holds(0).is_err());
    }
}
