//! mmap(2), munmap(2), mprotect(2), mremap(2), brk(2), mlock(2) and relatives.

use crate::args::Fd;
use crate::credentials::Capability;
use crate::mm::{Backing, MapRequest, Mappable, Placement, Prot, Remap, VmFlags};
use crate::task::Task;
use husk_abi::{Errno, err};
use linux_raw_sys::general as sys;

const PAGE_MASK: u64 = crate::mm::PAGE - 1;

/// Flags of mmap(2) that mean the same for every file; others are refused with MAP_SHARED_VALIDATE.
const LEGACY_MAP_MASK: u32 = sys::MAP_SHARED
    | sys::MAP_PRIVATE
    | sys::MAP_FIXED
    | sys::MAP_ANONYMOUS
    | sys::MAP_DENYWRITE
    | sys::MAP_EXECUTABLE
    | sys::MAP_UNINITIALIZED
    | sys::MAP_GROWSDOWN
    | sys::MAP_LOCKED
    | sys::MAP_NORESERVE
    | sys::MAP_POPULATE
    | sys::MAP_NONBLOCK
    | sys::MAP_STACK
    | sys::MAP_HUGETLB
    | sys::MAP_32BIT
    | sys::MAP_HUGE_2MB
    | sys::MAP_HUGE_1GB;

/// Private anonymous memory that the kernel may drop (since Linux 6.11); here it never does.
const MAP_DROPPABLE: u32 = 8;
const MAP_TYPE: u32 = 0xf;

/// The bits of PROT_READ, PROT_WRITE and PROT_EXEC; others do not concern pages.
fn protection(bits: u32) -> Prot {
    let names = [(sys::PROT_READ, Prot::READ), (sys::PROT_WRITE, Prot::WRITE), (sys::PROT_EXEC, Prot::EXEC)];
    names.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, prot)| prot).collect()
}

/// mmap(2).
pub(crate) fn mmap(
    task: &Task,
    addr: u64,
    len: u64,
    prot: u32,
    flags: u32,
    fd: Fd,
    offset: u64,
) -> Result<u64, Errno> {
    if offset & PAGE_MASK != 0 {
        return err!(EINVAL);
    }
    let anonymous = flags & sys::MAP_ANONYMOUS != 0;
    let file = if anonymous { None } else { Some(task.files().get(fd)?) };
    if anonymous && flags & sys::MAP_HUGETLB != 0 {
        // There is no pool of huge pages, as on a Linux whose vm.nr_hugepages is 0.
        return err!(ENOMEM);
    }
    if len == 0 {
        return err!(EINVAL);
    }
    let prot = protection(prot);
    let mut request = MapRequest {
        placement: placement(addr, flags),
        len,
        prot,
        max: Prot::all(),
        flags: vm_flags(flags),
        backing: Backing::Anonymous,
        populate: flags & (sys::MAP_POPULATE | sys::MAP_NONBLOCK) == sys::MAP_POPULATE,
        privileged: task.has_capability(Capability::SYS_RAWIO),
    };
    if flags & sys::MAP_LOCKED != 0 {
        let limit = task.process().limit(crate::limits::Resource::MEMLOCK).soft;
        if !task.has_capability(Capability::IPC_LOCK) {
            if limit == 0 {
                return err!(EPERM);
            }
            if task.mm().sizes().locked * crate::mm::PAGE + len > limit {
                return err!(EAGAIN);
            }
        }
    }
    let kind = flags & MAP_TYPE;
    let shared = matches!(kind, sys::MAP_SHARED | sys::MAP_SHARED_VALIDATE);
    match file {
        Some(file) => {
            match kind {
                sys::MAP_SHARED | sys::MAP_SHARED_VALIDATE => {
                    if kind == sys::MAP_SHARED_VALIDATE && flags & !LEGACY_MAP_MASK != 0 {
                        return err!(EOPNOTSUPP);
                    }
                    if prot.contains(Prot::WRITE) && !file.is_writable() {
                        return err!(EACCES);
                    }
                    if !file.is_writable() {
                        request.max -= Prot::WRITE;
                    }
                    if file.inode().is_some_and(|inode| crate::file::memfd::check_write(inode).is_err()) {
                        if prot.contains(Prot::WRITE) {
                            return err!(EPERM);
                        }
                        request.max -= Prot::WRITE;
                    }
                    request.flags |= VmFlags::SHARED;
                }
                sys::MAP_PRIVATE => {}
                _ => return err!(EINVAL),
            }
            if !file.is_readable() {
                return err!(EACCES);
            }
            let noexec = file
                .location()
                .is_some_and(|location| location.mount().flags().contains(husk_fs::MountFlags::NOEXEC));
            if noexec {
                if prot.contains(Prot::EXEC) {
                    return err!(EPERM);
                }
                request.max -= Prot::EXEC;
            }
            request.backing = match file.mappable()? {
                Mappable::Inode(inode) => Backing::file(inode, file.location().cloned(), offset),
                Mappable::Zero if shared => Backing::new_shared(len),
                Mappable::Zero => Backing::Anonymous,
            };
            if flags & sys::MAP_GROWSDOWN != 0 {
                return err!(EINVAL);
            }
        }
        None => match kind {
            sys::MAP_SHARED => {
                if flags & sys::MAP_GROWSDOWN != 0 {
                    return err!(EINVAL);
                }
                request.flags |= VmFlags::SHARED;
                request.backing = Backing::new_shared(len);
            }
            sys::MAP_PRIVATE => {}
            MAP_DROPPABLE => {
                if flags & (sys::MAP_GROWSDOWN | sys::MAP_LOCKED) != 0 {
                    return err!(EINVAL);
                }
                request.flags |= VmFlags::WIPEONFORK | VmFlags::DONTDUMP | VmFlags::NORESERVE;
            }
            _ => return err!(EINVAL),
        },
    }
    task.mm().map(request)
}

fn placement(addr: u64, flags: u32) -> Placement {
    if flags & sys::MAP_FIXED_NOREPLACE != 0 {
        Placement::FixedNoReplace(addr)
    } else if flags & sys::MAP_FIXED != 0 {
        Placement::Fixed(addr)
    } else if flags & sys::MAP_32BIT != 0 {
        Placement::Low
    } else if addr == 0 {
        Placement::Hint(0)
    } else {
        // A hint below the lowest address is moved up to it (round_hint_to_min() in Linux).
        Placement::Hint((addr & !PAGE_MASK).max(crate::mm::MMAP_MIN_ADDR))
    }
}

fn vm_flags(flags: u32) -> VmFlags {
    let names = [
        (sys::MAP_GROWSDOWN, VmFlags::GROWSDOWN),
        (sys::MAP_NORESERVE, VmFlags::NORESERVE),
        (sys::MAP_LOCKED, VmFlags::LOCKED),
        // Linux: a thread's stack gets no huge pages.
        (sys::MAP_STACK, VmFlags::NOHUGEPAGE),
    ];
    names.into_iter().filter(|(bit, _)| flags & bit != 0).map(|(_, flag)| flag).collect()
}

/// munmap(2).
pub(crate) fn munmap(task: &Task, addr: u64, len: u64) -> Result<(), Errno> {
    task.mm().unmap(addr, len)
}

/// mprotect(2).
pub(crate) fn mprotect(task: &Task, addr: u64, len: u64, prot: u32) -> Result<(), Errno> {
    const GROWS: u32 = sys::PROT_GROWSDOWN | sys::PROT_GROWSUP;
    let grows = prot & GROWS;
    if grows == GROWS || addr & PAGE_MASK != 0 {
        return err!(EINVAL);
    }
    if len == 0 {
        return Ok(());
    }
    let rest = prot & !GROWS;
    if rest & !(sys::PROT_READ | sys::PROT_WRITE | sys::PROT_EXEC | sys::PROT_SEM) != 0 {
        return err!(EINVAL);
    }
    if grows & sys::PROT_GROWSUP != 0 {
        // No mapping grows up on x86-64.
        return err!(EINVAL);
    }
    task.mm().protect(addr, len, protection(rest), grows != 0)
}

/// mremap(2).
pub(crate) fn mremap(
    task: &Task,
    addr: u64,
    old_len: u64,
    new_len: u64,
    flags: u32,
    new_addr: u64,
) -> Result<u64, Errno> {
    if flags & !(sys::MREMAP_FIXED | sys::MREMAP_MAYMOVE | sys::MREMAP_DONTUNMAP) != 0 {
        return err!(EINVAL);
    }
    let (may_move, fixed) = (flags & sys::MREMAP_MAYMOVE != 0, flags & sys::MREMAP_FIXED != 0);
    let keep_old = flags & sys::MREMAP_DONTUNMAP != 0;
    if fixed && !may_move || keep_old && (!may_move || old_len != new_len) {
        return err!(EINVAL);
    }
    task.mm().remap(Remap { addr, old_len, new_len, may_move, fixed: fixed.then_some(new_addr), keep_old })
}

/// brk(2).
pub(crate) fn brk(task: &Task, end: u64) -> Result<u64, Errno> {
    Ok(task.mm().brk(end))
}

/// mlock(2).
pub(crate) fn mlock(task: &Task, addr: u64, len: u64) -> Result<(), Errno> {
    mlock2(task, addr, len, 0)
}

/// mlock2(2).
pub(crate) fn mlock2(task: &Task, addr: u64, len: u64, flags: u32) -> Result<(), Errno> {
    let flags = match flags {
        0 => VmFlags::LOCKED,
        sys::MLOCK_ONFAULT => VmFlags::LOCKED | VmFlags::LOCKONFAULT,
        _ => return err!(EINVAL),
    };
    task.mm().lock(addr, len, flags, task.has_capability(Capability::IPC_LOCK))
}

/// munlock(2).
pub(crate) fn munlock(task: &Task, addr: u64, len: u64) -> Result<(), Errno> {
    task.mm().lock(addr, len, VmFlags::empty(), true)
}

/// mlockall(2).
pub(crate) fn mlockall(task: &Task, flags: u32) -> Result<(), Errno> {
    if flags == 0
        || flags & !(sys::MCL_CURRENT | sys::MCL_FUTURE | sys::MCL_ONFAULT) != 0
        || flags == sys::MCL_ONFAULT
    {
        return err!(EINVAL);
    }
    let lock =
        if flags & sys::MCL_ONFAULT != 0 { VmFlags::LOCKED | VmFlags::LOCKONFAULT } else { VmFlags::LOCKED };
    let future = if flags & sys::MCL_FUTURE != 0 { lock } else { VmFlags::empty() };
    let current = (flags & sys::MCL_CURRENT != 0).then_some(lock);
    task.mm().lock_all(current, future, task.has_capability(Capability::IPC_LOCK))
}

/// munlockall(2).
pub(crate) fn munlockall(task: &Task) -> Result<(), Errno> {
    task.mm().lock_all(Some(VmFlags::empty()), VmFlags::empty(), true)
}

/// pkey_mprotect(2): without protection keys it takes key -1 only, and is mprotect(2) then.
pub(crate) fn pkey_mprotect(task: &Task, addr: u64, len: u64, prot: u32, key: i32) -> Result<(), Errno> {
    if key != -1 {
        return err!(EINVAL);
    }
    mprotect(task, addr, len, prot)
}

/// pkey_alloc(2): as on a processor without protection keys.
pub(crate) fn pkey_alloc(_task: &Task, flags: u64, rights: u64) -> Result<i32, Errno> {
    if flags != 0 || rights & !u64::from(sys::PKEY_DISABLE_ACCESS | sys::PKEY_DISABLE_WRITE) != 0 {
        return err!(EINVAL);
    }
    err!(ENOSPC)
}

/// pkey_free(2): as on a processor without protection keys.
pub(crate) fn pkey_free(_task: &Task, _key: i32) -> Result<(), Errno> {
    err!(EINVAL)
}
