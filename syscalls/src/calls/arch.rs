//! arch_prctl(2), and calls of x86 that 64-bit programs seldom make.

use crate::args::UserPtr;
use crate::mm::USER_END;
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_machine::user::{UserContext, xcr0};

const ARCH_SET_GS: u32 = 0x1001;
const ARCH_SET_FS: u32 = 0x1002;
const ARCH_GET_FS: u32 = 0x1003;
const ARCH_GET_GS: u32 = 0x1004;
const ARCH_GET_CPUID: u32 = 0x1011;
const ARCH_SET_CPUID: u32 = 0x1012;
const ARCH_GET_XCOMP_SUPP: u32 = 0x1021;
const ARCH_GET_XCOMP_PERM: u32 = 0x1022;
const ARCH_REQ_XCOMP_PERM: u32 = 0x1023;

/// AMX tile data: the one state component that a program has to ask for (Linux's `XFEATURE_XTILE_DATA`).
const XTILE_DATA: u64 = 18;

/// arch_prctl(2).
pub(crate) fn arch_prctl(
    task: &Task,
    context: &mut UserContext,
    option: u32,
    value: u64,
) -> Result<u64, Errno> {
    let out = UserPtr::<u64>::new(value);
    match option {
        ARCH_SET_FS | ARCH_SET_GS => {
            if value >= USER_END {
                return err!(EPERM);
            }
            let base =
                if option == ARCH_SET_FS { &mut context.regs.fs_base } else { &mut context.regs.gs_base };
            *base = value;
        }
        ARCH_GET_FS => out.write(task.mm(), &context.regs.fs_base)?,
        ARCH_GET_GS => out.write(task.mm(), &context.regs.gs_base)?,
        // The CPUID instruction always works.
        ARCH_GET_CPUID => return Ok(1),
        ARCH_SET_CPUID => return err!(ENODEV),
        ARCH_GET_XCOMP_SUPP | ARCH_GET_XCOMP_PERM => out.write(task.mm(), &(xcr0() & !(1 << XTILE_DATA)))?,
        ARCH_REQ_XCOMP_PERM => {
            if value >= 64 {
                return err!(EINVAL);
            }
            if xcr0() & !(1 << XTILE_DATA) & (1 << value) == 0 {
                return err!(EOPNOTSUPP);
            }
        }
        _ => return err!(EINVAL),
    }
    Ok(0)
}
