//! membarrier(2).

use crate::task::Task;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_machine::cpu;
use husk_machine::thread::CpuSet;

const QUERY: u32 = 0;
const GLOBAL: u32 = 1;
const GLOBAL_EXPEDITED: u32 = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: u32 = 1 << 2;
const PRIVATE_EXPEDITED: u32 = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: u32 = 1 << 4;
const SYNC_CORE: u32 = 1 << 5;
const REGISTER_SYNC_CORE: u32 = 1 << 6;
const RSEQ: u32 = 1 << 7;
const REGISTER_RSEQ: u32 = 1 << 8;
const GET_REGISTRATIONS: u32 = 1 << 9;
const SUPPORTED: u32 = 2 * GET_REGISTRATIONS - 1;

/// Kept with the registrations: PRIVATE_EXPEDITED itself was registered. The other two registrations show it too, as on Linux, but do
/// not allow it.
const PRIVATE_READY: u32 = 1 << 31;

/// The barrier is for one CPU only (with [`RSEQ`]).
const FLAG_CPU: u32 = 1;

/// membarrier(2). Each CPU that runs a program's thread is interrupted, which is a barrier, makes it fetch its instructions anew and
/// starts a restartable sequence over. A thread that does not run has passed all that when it was switched away from.
pub(crate) fn membarrier(task: &Task, command: u32, flags: u32, cpu: i32) -> Result<u32, Errno> {
    if flags != 0 && !(command == RSEQ && flags == FLAG_CPU) {
        return err!(EINVAL);
    }
    let registered = &task.process().membarrier;
    match command {
        QUERY => return Ok(SUPPORTED),
        GET_REGISTRATIONS => return Ok(registered.load(Ordering::Relaxed) & SUPPORTED),
        GLOBAL | GLOBAL_EXPEDITED => cpu::barrier(CpuSet::ALL),
        REGISTER_GLOBAL_EXPEDITED | REGISTER_PRIVATE_EXPEDITED | REGISTER_SYNC_CORE | REGISTER_RSEQ => {
            let also = match command {
                REGISTER_GLOBAL_EXPEDITED => 0,
                REGISTER_PRIVATE_EXPEDITED => PRIVATE_READY,
                _ => REGISTER_PRIVATE_EXPEDITED,
            };
            registered.fetch_or(command | also, Ordering::Relaxed);
        }
        PRIVATE_EXPEDITED if registered.load(Ordering::Relaxed) & PRIVATE_READY == 0 => return err!(EPERM),
        // The registration is the next bit.
        SYNC_CORE | RSEQ if registered.load(Ordering::Relaxed) & command << 1 == 0 => return err!(EPERM),
        PRIVATE_EXPEDITED | SYNC_CORE => task.mm().page_table().barrier(CpuSet::ALL),
        RSEQ => {
            let one = u64::try_from(cpu).ok().and_then(|cpu| 1u64.checked_shl(cpu as u32)).unwrap_or(0);
            let cpus = if flags == FLAG_CPU { CpuSet::from_bits(one) } else { CpuSet::ALL };
            task.mm().page_table().barrier(cpus);
        }
        _ => return err!(EINVAL),
    }
    Ok(0)
}
