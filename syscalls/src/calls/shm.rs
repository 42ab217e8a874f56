//! shmget(2), shmat(2), shmdt(2), shmctl(2).

use crate::args::UserPtr;
use crate::credentials::{Capability, Credentials};
use crate::mm::{
    self, Backing, MapRequest, PAGE, Placement, Prot, SharedMemory, SharedPlace, VmFlags, page_up,
};
use crate::shm::{MAX_SEGMENTS, SHM_DEST, SHM_LOCKED, Segment, Segments, segments};
use crate::task::Task;
use alloc::sync::Arc;
use husk_abi::{Errno, err};
use husk_machine::{frame, time};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const IPC_PRIVATE: i32 = 0;
const IPC_CREAT: u32 = 0o1000;
const IPC_EXCL: u32 = 0o2000;
const SHM_HUGETLB: u32 = 0o4000;
const SHM_NORESERVE: u32 = 0o10000;

const SHM_RDONLY: u32 = 0o10000;
const SHM_RND: u32 = 0o20000;
const SHM_REMAP: u32 = 0o40000;
const SHM_EXEC: u32 = 0o100_000;

const IPC_RMID: u32 = 0;
const IPC_SET: u32 = 1;
const IPC_STAT: u32 = 2;
const IPC_INFO: u32 = 3;
const SHM_LOCK: u32 = 11;
const SHM_UNLOCK: u32 = 12;
const SHM_STAT: u32 = 13;
const SHM_INFO: u32 = 14;
const SHM_STAT_ANY: u32 = 15;

/// Linux's SHMMAX and SHMALL.
const UNLIMITED: u64 = u64::MAX - (1 << 24);

/// `struct shmid64_ds` with its `struct ipc64_perm`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct SegmentStatus {
    key: i32,
    uid: u32,
    gid: u32,
    creator_uid: u32,
    creator_gid: u32,
    mode: u32,
    sequence: u16,
    pad: [u16; 3],
    unused: [u64; 2],
    size: u64,
    times: [i64; 3],
    creator_pid: i32,
    last_pid: i32,
    attached: u64,
    unused2: [u64; 2],
}

const _: () = assert!(size_of::<SegmentStatus>() == 112);

fn now() -> i64 {
    (time::realtime_ns() / 1_000_000_000) as i64
}

/// ipcperms() in Linux: whether all of the wanted permission bits (0444, 0222) are granted.
fn permits(credentials: &Credentials, segment: &Segment, wanted: u32) -> bool {
    const IPC_OWNER: Capability = Capability(15);
    let wanted = (wanted >> 6 | wanted >> 3 | wanted) & 0o7;
    let user = credentials.uid.effective;
    let in_group = |gid: u32| credentials.gid.effective == gid || credentials.groups.contains(&gid);
    let granted = if user == segment.creator.0 || user == segment.owner.0 {
        segment.mode >> 6
    } else if in_group(segment.creator.1) || in_group(segment.owner.1) {
        segment.mode >> 3
    } else {
        segment.mode
    };
    wanted & !granted == 0 || credentials.has(IPC_OWNER)
}

/// shmget(2).
pub(crate) fn shmget(task: &Task, key: i32, size: u64, flags: u32) -> Result<i32, Errno> {
    let mut segments = segments();
    if key != IPC_PRIVATE
        && let Some((id, segment)) = segments.by_key(key)
    {
        if flags & (IPC_CREAT | IPC_EXCL) == IPC_CREAT | IPC_EXCL {
            return err!(EEXIST);
        }
        if segment.size < size {
            return err!(EINVAL);
        }
        return if permits(&task.credentials(), segment, flags & 0o777) { Ok(id) } else { err!(EACCES) };
    }
    if key != IPC_PRIVATE && flags & IPC_CREAT == 0 {
        return err!(ENOENT);
    }
    let rounded = page_up(size).filter(|&size| size > 0 && size <= UNLIMITED).ok_or(Errno::EINVAL.here())?;
    if segments.by_id.len() >= MAX_SEGMENTS {
        return err!(ENOSPC);
    }
    let too_much = flags & SHM_NORESERVE == 0 && rounded / PAGE > frame::stats().total as u64;
    if too_much || flags & SHM_HUGETLB != 0 {
        return err!(ENOMEM);
    }
    let credentials = task.credentials();
    let owner = (credentials.uid.effective, credentials.gid.effective);
    Ok(segments.add(Segment {
        key,
        size,
        memory: Arc::new(SharedMemory::for_key(rounded, key)),
        mode: flags & 0o777,
        owner,
        creator: owner,
        pids: (task.process().pid(), 0),
        times: [0, 0, now()],
    }))
}

/// shmat(2): where it is mapped.
pub(crate) fn shmat(task: &Task, id: i32, addr: u64, flags: u32) -> Result<u64, Errno> {
    let mut placement = Placement::Hint(0);
    if addr != 0 {
        let mut addr = addr;
        if !addr.is_multiple_of(PAGE) {
            if flags & SHM_RND == 0 {
                return err!(EINVAL);
            }
            addr = mm::page_down(addr);
            if addr == 0 && flags & SHM_REMAP != 0 {
                return err!(EINVAL);
            }
        }
        placement =
            if flags & SHM_REMAP != 0 { Placement::Fixed(addr) } else { Placement::FixedNoReplace(addr) };
    } else if flags & SHM_REMAP != 0 {
        return err!(EINVAL);
    }
    let read_only = flags & SHM_RDONLY != 0;
    let mut prot = Prot::READ;
    prot.set(Prot::WRITE, !read_only);
    prot.set(Prot::EXEC, flags & SHM_EXEC != 0);
    let mut segments = segments();
    let segment = segments.by_id.get_mut(&id).ok_or(Errno::EINVAL.here())?;
    let wanted = match (read_only, flags & SHM_EXEC != 0) {
        (true, false) => 0o444,
        (false, false) => 0o666,
        (true, true) => 0o555,
        (false, true) => 0o777,
    };
    if !permits(&task.credentials(), segment, wanted) {
        return err!(EACCES);
    }
    let mut max = Prot::all();
    max.set(Prot::WRITE, !read_only);
    let request = MapRequest {
        placement,
        len: page_up(segment.size).ok_or(Errno::EINVAL.here())?,
        prot,
        max,
        // Counted when the segment was made.
        flags: VmFlags::SHARED | VmFlags::NORESERVE,
        backing: Backing::Shared { memory: segment.memory.clone(), offset: 0 },
        populate: false,
        privileged: task.has_capability(Capability::SYS_RAWIO),
    };
    let at = task.mm().map(request).map_err(|error| match placement {
        // In the way of another mapping.
        Placement::FixedNoReplace(_) if error == Errno::EEXIST => Errno::EINVAL.here(),
        _ => error,
    })?;
    segment.times[0] = now();
    segment.pids.1 = task.process().pid();
    Ok(at)
}

/// shmdt(2).
pub(crate) fn shmdt(task: &Task, addr: u64) -> Result<(), Errno> {
    if !addr.is_multiple_of(PAGE) {
        return err!(EINVAL);
    }
    let place = task.mm().shared_place(addr).map_err(|_| Errno::EINVAL.here())?;
    let Some((SharedPlace::Memory(memory), 0)) = place else { return err!(EINVAL) };
    let mut segments = segments();
    let segment = segments.by_id.values_mut().find(|segment| Arc::ptr_eq(&segment.memory, &memory));
    let segment = segment.ok_or(Errno::EINVAL.here())?;
    if !task.mm().detach(&memory, addr) {
        return err!(EINVAL);
    }
    segment.times[1] = now();
    segment.pids.1 = task.process().pid();
    Ok(())
}

fn status(id: i32, segment: &Segment) -> SegmentStatus {
    SegmentStatus {
        key: segment.key,
        uid: segment.owner.0,
        gid: segment.owner.1,
        creator_uid: segment.creator.0,
        creator_gid: segment.creator.1,
        mode: segment.mode,
        sequence: (id >> 15) as u16,
        size: segment.size,
        times: segment.times,
        creator_pid: segment.pids.0,
        last_pid: segment.pids.1,
        attached: segment.attached() as u64,
        ..SegmentStatus::default()
    }
}

/// shmctl(2).
pub(crate) fn shmctl(task: &Task, id: i32, command: u32, buffer: u64) -> Result<i32, Errno> {
    // IPC_64: the only layout there is on x86-64.
    let command = command & !0x100;
    if id < 0 {
        return err!(EINVAL);
    }
    let mut segments = segments();
    let highest = segments.by_id.keys().next_back().copied().unwrap_or(0);
    match command {
        IPC_INFO => {
            UserPtr::new(buffer).write(
                task.mm(),
                &[UNLIMITED, 1, MAX_SEGMENTS as u64, MAX_SEGMENTS as u64, UNLIMITED, 0, 0, 0, 0],
            )?;
            return Ok(highest);
        }
        SHM_INFO => {
            let pages: u64 = segments.by_id.values().map(|segment| segment.size.div_ceil(PAGE)).sum();
            let resident: u64 = segments.by_id.values().map(|segment| segment.memory.resident()).sum();
            UserPtr::new(buffer)
                .write(task.mm(), &[segments.by_id.len() as u64, pages, resident, 0, 0, 0])?;
            return Ok(highest);
        }
        _ => {}
    }
    let credentials = task.credentials();
    if command == IPC_STAT || command == SHM_STAT || command == SHM_STAT_ANY {
        let segment = segments.by_id.get(&id).ok_or(Errno::EINVAL.here())?;
        if command != SHM_STAT_ANY && !permits(&credentials, segment, 0o444) {
            return err!(EACCES);
        }
        UserPtr::new(buffer).write(task.mm(), &status(id, segment))?;
        return Ok(if command == IPC_STAT { 0 } else { id });
    }
    if !matches!(command, IPC_SET | IPC_RMID | SHM_LOCK | SHM_UNLOCK) {
        return err!(EINVAL);
    }
    let wanted = match command {
        IPC_SET => Some(UserPtr::<SegmentStatus>::new(buffer).read(task.mm())?),
        _ => None,
    };
    change(&credentials, &mut segments, id, command, wanted)?;
    Ok(0)
}

fn change(
    credentials: &Credentials,
    segments: &mut Segments,
    id: i32,
    command: u32,
    wanted: Option<SegmentStatus>,
) -> Result<(), Errno> {
    let segment = segments.by_id.get_mut(&id).ok_or(Errno::EINVAL.here())?;
    let user = credentials.uid.effective;
    let owns = user == segment.owner.0 || user == segment.creator.0;
    let lock = matches!(command, SHM_LOCK | SHM_UNLOCK);
    let allowed = owns || credentials.has(if lock { Capability::IPC_LOCK } else { Capability::SYS_ADMIN });
    if !allowed {
        return err!(EPERM);
    }
    match (command, wanted) {
        (IPC_SET, Some(wanted)) => {
            if wanted.uid == u32::MAX || wanted.gid == u32::MAX {
                return err!(EINVAL);
            }
            segment.owner = (wanted.uid, wanted.gid);
            segment.mode = segment.mode & !0o777 | wanted.mode & 0o777;
            segment.times[2] = now();
        }
        (SHM_LOCK, _) => segment.mode |= SHM_LOCKED,
        (SHM_UNLOCK, _) => segment.mode &= !SHM_LOCKED,
        _ if segment.attached() == 0 => {
            segments.by_id.remove(&id);
        }
        _ => {
            segment.mode |= SHM_DEST;
            segment.key = IPC_PRIVATE;
        }
    }
    Ok(())
}
