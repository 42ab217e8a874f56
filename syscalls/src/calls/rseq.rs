//! rseq(2): restartable sequences.

use crate::args::UserPtr;
use crate::mm::USER_END;
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_machine::user::UserContext;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Size of `struct rseq` when the call was introduced; programs may register this much in any case.
const ORIGINAL_SIZE: u32 = 32;
/// Bytes of `struct rseq` that are used (AT_RSEQ_FEATURE_SIZE).
pub(crate) const FEATURE_SIZE: u32 = 28;
/// Alignment of `struct rseq` (AT_RSEQ_ALIGN).
pub(crate) const ALIGN: u32 = 32;

const FLAG_UNREGISTER: u32 = 1;
const CPU_ID_UNINITIALIZED: u32 = u32::MAX;

/// The first fields of `struct rseq`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    cpu_id_start: u32,
    cpu_id: u32,
    rseq_cs: u64,
    flags: u32,
    node_id: u32,
    mm_cid: u32,
    end: u32,
}

/// `struct rseq_cs`: a sequence that is started over if interrupted.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Sequence {
    version: u32,
    flags: u32,
    start_ip: u64,
    post_commit_offset: u64,
    abort_ip: u64,
}

/// The registered area of a thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Area {
    addr: u64,
    len: u32,
    signature: u32,
}

/// rseq(2).
pub(crate) fn rseq(task: &Task, addr: u64, len: u32, flags: u32, signature: u32) -> Result<(), Errno> {
    let registered = *task.rseq.lock();
    if flags & FLAG_UNREGISTER != 0 {
        let Some(area) = registered else { return err!(EINVAL) };
        if flags & !FLAG_UNREGISTER != 0 || area.addr != addr || area.len != len {
            return err!(EINVAL);
        }
        if area.signature != signature {
            return err!(EPERM);
        }
        write_ids(task, addr, 0, CPU_ID_UNINITIALIZED)?;
        *task.rseq.lock() = None;
        return Ok(());
    }
    if flags != 0 {
        return err!(EINVAL);
    }
    if let Some(area) = registered {
        if area.addr != addr || area.len != len {
            return err!(EINVAL);
        }
        return if area.signature == signature { err!(EBUSY) } else { err!(EPERM) };
    }
    let aligned = if len == ORIGINAL_SIZE { ALIGN } else { ALIGN.max(8) };
    if len < ORIGINAL_SIZE || !addr.is_multiple_of(u64::from(aligned)) {
        return err!(EINVAL);
    }
    if addr.checked_add(len.into()).is_none_or(|end| end > USER_END) {
        return err!(EFAULT);
    }
    let cpu = husk_machine::cpu::current() as u32;
    write_ids(task, addr, cpu, cpu)?;
    *task.rseq.lock() = Some(Area { addr, len, signature });
    Ok(())
}

fn write_ids(task: &Task, addr: u64, start: u32, cpu: u32) -> Result<(), Errno> {
    let area = UserPtr::<u32>::new(addr);
    area.write_slice(task.mm(), &[start, cpu])?;
    // node_id and mm_cid: one node; the concurrency id is that of the CPU.
    let cid = if cpu == CPU_ID_UNINITIALIZED { 0 } else { cpu };
    area.add(5).write_slice(task.mm(), &[0, cid])
}

/// To be called when the thread was pre-empted or a handler is about to run: an interrupted sequence goes on at its
/// abort handler, and the CPU's number is brought up to date.
///
/// # Errors
/// EFAULT, EINVAL if the program broke the rules; it gets SIGSEGV.
pub(crate) fn interrupted(task: &Task, context: &mut UserContext) -> Result<(), Errno> {
    let Some(area) = *task.rseq.lock() else { return Ok(()) };
    let header = UserPtr::<Header>::new(area.addr).read(task.mm())?;
    let cpu = husk_machine::cpu::current() as u32;
    if header.cpu_id != cpu {
        write_ids(task, area.addr, cpu, cpu)?;
    }
    if header.rseq_cs == 0 {
        return Ok(());
    }
    let sequence = UserPtr::<Sequence>::new(header.rseq_cs).read(task.mm())?;
    let end = sequence.start_ip.checked_add(sequence.post_commit_offset).ok_or(Errno::EINVAL.here())?;
    let inside = sequence.start_ip..end;
    if sequence.start_ip >= USER_END
        || end >= USER_END
        || sequence.abort_ip >= USER_END
        || sequence.version > 0
        || inside.contains(&sequence.abort_ip)
    {
        return err!(EINVAL);
    }
    let signature = UserPtr::<u32>::new(sequence.abort_ip.wrapping_sub(4)).read(task.mm())?;
    if signature != area.signature {
        return err!(EINVAL);
    }
    UserPtr::<u64>::new(area.addr + 8).write(task.mm(), &0)?;
    if inside.contains(&context.regs.rip) {
        context.regs.rip = sequence.abort_ip;
    }
    Ok(())
}
