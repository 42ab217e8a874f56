//! Memory policies: one node, number 0, as on a Linux machine without NUMA hardware.

use crate::args::UserPtr;
use crate::task::Task;
use husk_abi::{Errno, err};

const MPOL_DEFAULT: u32 = 0;
const MPOL_PREFERRED: u32 = 1;
const MPOL_LOCAL: u32 = 4;
const MPOL_MAX: u32 = 7;
const MPOL_F_NODE: u32 = 1;
const MPOL_F_ADDR: u32 = 2;
const MPOL_F_MEMS_ALLOWED: u32 = 4;
const MODE_FLAGS: u32 = 1 << 15 | 1 << 14 | 1 << 13;

/// The first word of a mask of nodes, of which `max` bits count; EINVAL for a node that does not exist.
fn nodes(task: &Task, mask: UserPtr<u64>, max: u64) -> Result<u64, Errno> {
    // Linux: one less than the number says.
    let bits = max.saturating_sub(1);
    if mask.is_null() || bits == 0 {
        return Ok(0);
    }
    if bits > crate::mm::PAGE * 8 {
        return err!(EINVAL);
    }
    let words = mask.read_array(task.mm(), bits.div_ceil(64) as usize)?;
    let valid = |(index, word): (usize, &u64)| {
        let counted = if (index as u64 + 1) * 64 <= bits { u64::MAX } else { (1 << (bits % 64)) - 1 };
        word & counted & !u64::from(index == 0) == 0
    };
    if words.iter().enumerate().all(valid) { Ok(words[0] & 1) } else { err!(EINVAL) }
}

fn check_mode(task: &Task, mode: u32, mask: UserPtr<u64>, max: u64) -> Result<(), Errno> {
    let kind = mode & !MODE_FLAGS;
    if kind >= MPOL_MAX {
        return err!(EINVAL);
    }
    let set = nodes(task, mask, max)?;
    match kind {
        MPOL_DEFAULT | MPOL_LOCAL if set != 0 => err!(EINVAL),
        MPOL_DEFAULT | MPOL_LOCAL | MPOL_PREFERRED => Ok(()),
        _ if set == 0 => err!(EINVAL),
        _ => Ok(()),
    }
}

/// set_mempolicy(2): with one node every policy has the same effect.
pub(crate) fn set_mempolicy(task: &Task, mode: u32, mask: UserPtr<u64>, max: u64) -> Result<(), Errno> {
    check_mode(task, mode, mask, max)?;
    task.memory_policy.store(mode, core::sync::atomic::Ordering::Relaxed);
    Ok(())
}

/// mbind(2).
pub(crate) fn mbind(
    task: &Task,
    start: u64,
    len: u64,
    mode: u32,
    mask: UserPtr<u64>,
    max: u64,
    flags: u32,
) -> Result<(), Errno> {
    const FLAGS: u32 = 1 | 2 | 4;
    if flags & !FLAGS != 0 || !start.is_multiple_of(crate::mm::PAGE) {
        return err!(EINVAL);
    }
    check_mode(task, mode, mask, max)?;
    let end = crate::mm::page_up(len).and_then(|len| start.checked_add(len)).ok_or(Errno::EINVAL.here())?;
    if task.mm().is_mapped(start..end) { Ok(()) } else { err!(EFAULT) }
}

/// get_mempolicy(2).
pub(crate) fn get_mempolicy(
    task: &Task,
    mode: UserPtr<u32>,
    mask: UserPtr<u64>,
    max: u64,
    addr: u64,
    flags: u32,
) -> Result<(), Errno> {
    if flags & !(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED) != 0 || !mask.is_null() && max < 1 {
        return err!(EINVAL);
    }
    let mut shown = 0;
    let mut set = 0;
    if flags & MPOL_F_MEMS_ALLOWED != 0 {
        if flags & (MPOL_F_NODE | MPOL_F_ADDR) != 0 {
            return err!(EINVAL);
        }
        set = 1;
    } else if flags & MPOL_F_ADDR != 0 {
        if !task.mm().is_mapped(addr..addr.saturating_add(1)) {
            return err!(EFAULT);
        }
        shown = if flags & MPOL_F_NODE != 0 { 0 } else { MPOL_DEFAULT };
    } else if addr != 0 {
        return err!(EINVAL);
    } else if flags & MPOL_F_NODE != 0 {
        // Only an interleaving policy has a next node.
        return err!(EINVAL);
    } else {
        shown = task.memory_policy.load(core::sync::atomic::Ordering::Relaxed);
        let kind = shown & !MODE_FLAGS;
        set = u64::from(!matches!(kind, MPOL_DEFAULT | MPOL_LOCAL));
    }
    mode.write_if_non_null(task.mm(), &shown)?;
    if !mask.is_null() {
        let words = max.div_ceil(64).min(crate::mm::PAGE / 8) as usize;
        let mut copy = alloc::vec![0; words];
        copy[0] = set;
        mask.write_slice(task.mm(), &copy)?;
    }
    Ok(())
}
