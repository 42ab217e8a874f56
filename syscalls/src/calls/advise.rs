//! madvise(2), mincore(2), msync(2).

use crate::args::UserPtr;
use crate::mm::{Access, Advice, PAGE, USER_END, VmFlags, page_up};
use crate::task::Task;
use husk_abi::{Errno, err};
use linux_raw_sys::general as sys;

/// madvise(2).
pub(crate) fn madvise(task: &Task, addr: u64, len: u64, advice: u32) -> Result<(), Errno> {
    let advice = advice_of(advice)?;
    if !addr.is_multiple_of(PAGE) {
        return err!(EINVAL);
    }
    if len != 0 && page_up(len).is_none_or(|len| len == 0) {
        return err!(EINVAL);
    }
    task.mm().advise(addr, len, advice)
}

fn advice_of(number: u32) -> Result<Advice, Errno> {
    let flags = |set, clear| Advice::Flags { set, clear, anonymous_only: false };
    Ok(match number {
        sys::MADV_NORMAL => flags(VmFlags::empty(), VmFlags::RANDOM | VmFlags::SEQUENTIAL),
        sys::MADV_RANDOM => flags(VmFlags::RANDOM, VmFlags::SEQUENTIAL),
        sys::MADV_SEQUENTIAL => flags(VmFlags::SEQUENTIAL, VmFlags::RANDOM),
        sys::MADV_WILLNEED => Advice::WillNeed,
        sys::MADV_DONTNEED | sys::MADV_DONTNEED_LOCKED => Advice::DontNeed,
        sys::MADV_FREE => Advice::Free,
        sys::MADV_REMOVE => Advice::Remove,
        sys::MADV_DONTFORK => flags(VmFlags::DONTFORK, VmFlags::empty()),
        sys::MADV_DOFORK => flags(VmFlags::empty(), VmFlags::DONTFORK),
        sys::MADV_MERGEABLE => flags(VmFlags::MERGEABLE, VmFlags::empty()),
        sys::MADV_UNMERGEABLE => flags(VmFlags::empty(), VmFlags::MERGEABLE),
        sys::MADV_HUGEPAGE => flags(VmFlags::HUGEPAGE, VmFlags::NOHUGEPAGE),
        sys::MADV_NOHUGEPAGE => flags(VmFlags::NOHUGEPAGE, VmFlags::HUGEPAGE),
        sys::MADV_DONTDUMP => flags(VmFlags::DONTDUMP, VmFlags::empty()),
        sys::MADV_DODUMP => flags(VmFlags::empty(), VmFlags::DONTDUMP),
        sys::MADV_WIPEONFORK => {
            Advice::Flags { set: VmFlags::WIPEONFORK, clear: VmFlags::empty(), anonymous_only: true }
        }
        sys::MADV_KEEPONFORK => flags(VmFlags::empty(), VmFlags::WIPEONFORK),
        sys::MADV_COLD | sys::MADV_PAGEOUT | sys::MADV_COLLAPSE => Advice::Nothing,
        sys::MADV_POPULATE_READ => Advice::Populate(Access::Read),
        sys::MADV_POPULATE_WRITE => Advice::Populate(Access::Write),
        _ => return err!(EINVAL),
    })
}

/// mincore(2).
pub(crate) fn mincore(task: &Task, addr: u64, len: u64, map: UserPtr<u8>) -> Result<(), Errno> {
    if !addr.is_multiple_of(PAGE) {
        return err!(EINVAL);
    }
    let end = addr.checked_add(len).filter(|&end| end <= USER_END).ok_or(Errno::ENOMEM.here())?;
    let pages = (end - addr).div_ceil(PAGE);
    // A part at a time, so that a huge range costs no huge buffer.
    const PART: u64 = 4096;
    for first in (0..pages).step_by(PART as usize) {
        let count = PART.min(pages - first) as usize;
        let part = task.mm().resident_map(addr + first * PAGE, count)?;
        map.add(first as usize).write_slice(task.mm(), &part)?;
    }
    Ok(())
}

/// msync(2).
pub(crate) fn msync(task: &Task, addr: u64, len: u64, flags: u32) -> Result<(), Errno> {
    const BOTH: u32 = sys::MS_ASYNC | sys::MS_SYNC;
    if flags & !(BOTH | sys::MS_INVALIDATE) != 0 || !addr.is_multiple_of(PAGE) || flags & BOTH == BOTH {
        return err!(EINVAL);
    }
    task.mm().sync(addr, len, flags & sys::MS_INVALIDATE != 0, flags & sys::MS_SYNC != 0)
}
