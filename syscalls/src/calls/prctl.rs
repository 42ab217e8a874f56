//! prctl(2).

use crate::args::UserPtr;
use crate::credentials::{CAP_LAST, Capability, Credentials};
use crate::task::{COMM_LEN, Task};
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use linux_raw_sys::prctl as pr;

/// prctl(2).
pub(crate) fn prctl(
    task: &Task,
    option: u32,
    arg2: u64,
    arg3: u64,
    arg4: u64,
    arg5: u64,
) -> Result<u64, Errno> {
    let none_after_2 = arg3 == 0 && arg4 == 0 && arg5 == 0;
    let none = arg2 == 0 && none_after_2;
    match option {
        pr::PR_SET_PDEATHSIG => {
            // 0 switches it off.
            if arg2 > 64 {
                return err!(EINVAL);
            }
            task.parent_death_signal.store(arg2 as u32, Ordering::Relaxed);
        }
        pr::PR_GET_PDEATHSIG => {
            let signal = task.parent_death_signal.load(Ordering::Relaxed);
            UserPtr::new(arg2).write(task.mm(), &signal)?;
        }
        pr::PR_GET_DUMPABLE => return Ok(task.process().dumpable.load(Ordering::Relaxed).into()),
        pr::PR_SET_DUMPABLE => {
            if arg2 > 1 {
                return err!(EINVAL);
            }
            task.process().dumpable.store(arg2 as u32, Ordering::Relaxed);
        }
        pr::PR_SET_NAME => set_name(task, arg2)?,
        pr::PR_GET_NAME => UserPtr::new(arg2).write(task.mm(), &task.comm())?,
        pr::PR_GET_TIMERSLACK => return Ok(task.timer_slack_ns.load(Ordering::Relaxed)),
        pr::PR_SET_TIMERSLACK => {
            const DEFAULT: u64 = 50_000;
            let slack = if arg2 as i64 <= 0 { DEFAULT } else { arg2 };
            task.timer_slack_ns.store(slack, Ordering::Relaxed);
        }
        pr::PR_SET_NO_NEW_PRIVS => {
            if arg2 != 1 || !none_after_2 {
                return err!(EINVAL);
            }
            task.no_new_privs.store(true, Ordering::Relaxed);
        }
        pr::PR_GET_NO_NEW_PRIVS => {
            if !none {
                return err!(EINVAL);
            }
            return Ok(task.no_new_privs.load(Ordering::Relaxed).into());
        }
        pr::PR_SET_CHILD_SUBREAPER => task.process().child_subreaper.store(arg2 != 0, Ordering::Relaxed),
        pr::PR_GET_CHILD_SUBREAPER => {
            let value = i32::from(task.process().child_subreaper.load(Ordering::Relaxed));
            UserPtr::new(arg2).write(task.mm(), &value)?;
        }
        pr::PR_GET_TID_ADDRESS => {
            UserPtr::new(arg2).write(task.mm(), &task.clear_child_tid.load(Ordering::Relaxed))?;
        }
        pr::PR_GET_KEEPCAPS | pr::PR_SET_KEEPCAPS | pr::PR_GET_SECUREBITS | pr::PR_SET_SECUREBITS => {
            return secure_bits(task, option, arg2);
        }
        pr::PR_CAPBSET_READ => {
            let capability = capability(arg2)?;
            return Ok(u64::from(task.credentials().bounding & (1 << capability) != 0));
        }
        pr::PR_CAPBSET_DROP => {
            if !task.has_capability(Capability::SETPCAP) {
                return err!(EPERM);
            }
            let bit = 1 << capability(arg2)?;
            let old = task.credentials();
            task.set_credentials(Credentials { bounding: old.bounding & !bit, ..Credentials::clone(&old) });
        }
        pr::PR_CAP_AMBIENT => {
            if arg4 != 0 || arg5 != 0 {
                return err!(EINVAL);
            }
            return ambient(task, arg2, arg3);
        }
        // Statistical timing is the only one there is.
        pr::PR_GET_TIMING => return Ok(pr::PR_TIMING_STATISTICAL.into()),
        pr::PR_SET_TIMING if arg2 == u64::from(pr::PR_TIMING_STATISTICAL) => {}
        pr::PR_GET_TSC => UserPtr::new(arg2).write(task.mm(), &pr::PR_TSC_ENABLE)?,
        pr::PR_SET_TSC if arg2 == u64::from(pr::PR_TSC_ENABLE) => {}
        pr::PR_SET_THP_DISABLE => {
            if !none_after_2 {
                return err!(EINVAL);
            }
            task.process().thp_disabled.store(arg2 != 0, Ordering::Relaxed);
        }
        pr::PR_GET_THP_DISABLE => {
            if !none {
                return err!(EINVAL);
            }
            return Ok(task.process().thp_disabled.load(Ordering::Relaxed).into());
        }
        // seccomp(2) is not in use.
        pr::PR_GET_SECCOMP => {}
        pr::PR_MCE_KILL_GET => {
            if !none {
                return err!(EINVAL);
            }
            return Ok(pr::PR_MCE_KILL_DEFAULT.into());
        }
        pr::PR_GET_IO_FLUSHER | pr::PR_SET_IO_FLUSHER if !task.has_capability(Capability::SYS_RESOURCE) => {
            return err!(EPERM);
        }
        pr::PR_GET_IO_FLUSHER if none => {}
        // Unknown ones, and those Linux compiles out or x86-64 does not have.
        _ => return err!(EINVAL),
    }
    Ok(0)
}

fn set_name(task: &Task, addr: u64) -> Result<(), Errno> {
    let mut name = [0; COMM_LEN];
    // A string that ends before is not read beyond its end: it may be the last thing in a page.
    let len = task.mm().string_length(addr, COMM_LEN - 1)?;
    task.mm().copy_in(&mut name[..len], addr)?;
    task.set_comm(&name[..len]);
    Ok(())
}

fn capability(number: u64) -> Result<u32, Errno> {
    u32::try_from(number).ok().filter(|&number| number <= CAP_LAST).ok_or(Errno::EINVAL.here())
}

/// `SECBIT_*` come in pairs: the bit, and a lock on it.
const KEEP_CAPS: u32 = 1 << 4;
const KEEP_CAPS_LOCKED: u32 = 1 << 5;
const ALL_BITS: u32 = 0b0101_0101;
const ALL_LOCKS: u32 = ALL_BITS << 1;

fn secure_bits(task: &Task, option: u32, value: u64) -> Result<u64, Errno> {
    let old = task.credentials();
    let bits = old.securebits;
    let new = match option {
        pr::PR_GET_KEEPCAPS => return Ok(u64::from(bits & KEEP_CAPS != 0)),
        pr::PR_GET_SECUREBITS => return Ok(bits.into()),
        pr::PR_SET_KEEPCAPS => match value {
            _ if value > 1 => return err!(EINVAL),
            _ if bits & KEEP_CAPS_LOCKED != 0 => return err!(EPERM),
            0 => bits & !KEEP_CAPS,
            _ => bits | KEEP_CAPS,
        },
        _ => {
            let wanted = value as u32;
            let locked = (bits & ALL_LOCKS) >> 1;
            if locked & (bits ^ wanted) != 0
                || bits & ALL_LOCKS & !wanted != 0
                || value & !u64::from(ALL_BITS | ALL_LOCKS) != 0
                || !old.has(Capability::SETPCAP)
            {
                return err!(EPERM);
            }
            wanted
        }
    };
    task.set_credentials(Credentials { securebits: new, ..Credentials::clone(&old) });
    Ok(0)
}

fn ambient(task: &Task, operation: u64, number: u64) -> Result<u64, Errno> {
    let old = task.credentials();
    let operation = operation as u32;
    if operation == pr::PR_CAP_AMBIENT_CLEAR_ALL {
        if number != 0 {
            return err!(EINVAL);
        }
        task.set_credentials(Credentials { ambient: 0, ..Credentials::clone(&old) });
        return Ok(0);
    }
    let bit = 1 << capability(number)?;
    let ambient = match operation {
        pr::PR_CAP_AMBIENT_IS_SET => return Ok(u64::from(old.ambient & bit != 0)),
        pr::PR_CAP_AMBIENT_LOWER => old.ambient & !bit,
        pr::PR_CAP_AMBIENT_RAISE => {
            const NO_RAISE: u32 = 1 << 6;
            if old.permitted & bit == 0 || old.inheritable & bit == 0 || old.securebits & NO_RAISE != 0 {
                return err!(EPERM);
            }
            old.ambient | bit
        }
        _ => return err!(EINVAL),
    };
    task.set_credentials(Credentials { ambient, ..Credentials::clone(&old) });
    Ok(0)
}
