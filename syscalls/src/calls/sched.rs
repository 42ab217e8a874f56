//! Scheduling: policies, priorities, affinity (sched(7)). What a program sets is kept here, and done by the machine's scheduler.

use crate::args::{UserPtr, UserSlice};
use crate::credentials::Capability;
use crate::limits::Resource;
use crate::mm::PAGE;
use crate::pid;
use crate::task::Task;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, Timespec, err};
use husk_machine::thread::{CpuSet, Scheduling};
use husk_machine::{cpu, thread};
use linux_raw_sys::general as sys;

/// Processors that an affinity mask can name.
const MAX_CPUS: usize = 256;
type CpuMask = [u64; MAX_CPUS / 64];

const RESET_ON_FORK: u32 = 0x4000_0000;

/// What a thread's program has set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes {
    policy: u32,
    priority: i32,
    /// -20 to 19.
    pub(crate) nice: i32,
    reset_on_fork: bool,
    affinity: CpuMask,
}

impl Default for Attributes {
    fn default() -> Self {
        Self { policy: sys::SCHED_NORMAL, priority: 0, nice: 0, reset_on_fork: false, affinity: all_cpus() }
    }
}

impl Attributes {
    /// What a new thread gets: the same, unless SCHED_RESET_ON_FORK says otherwise.
    pub(crate) fn inherited(&self) -> Self {
        if !self.reset_on_fork {
            return *self;
        }
        let policy = if self.is_realtime() { sys::SCHED_NORMAL } else { self.policy };
        let nice = if self.is_realtime() { 0 } else { self.nice.max(0) };
        Self { policy, priority: 0, nice, reset_on_fork: false, ..*self }
    }
}

impl Attributes {
    /// The same for the scheduler.
    pub(crate) fn for_thread(&self) -> thread::Attributes {
        let priority = self.priority as u8;
        let scheduling = match self.policy {
            sys::SCHED_FIFO => Scheduling::Realtime { priority, round_robin: false },
            sys::SCHED_RR => Scheduling::Realtime { priority, round_robin: true },
            sys::SCHED_IDLE => Scheduling::Idle,
            policy => Scheduling::Fair { nice: self.nice as i8, batch: policy == sys::SCHED_BATCH },
        };
        thread::Attributes { affinity: CpuSet::from_bits(self.affinity[0]), scheduling }
    }

    /// The CPUs that the thread may run on, a bit each.
    pub(crate) fn cpus(&self) -> u64 {
        self.affinity[0]
    }

    /// SCHED_OTHER and its relatives.
    pub(crate) fn policy(&self) -> u32 {
        self.policy
    }

    /// 1 to 99 for real-time policies, else 0.
    pub(crate) fn priority(&self) -> i32 {
        self.priority
    }

    fn is_realtime(&self) -> bool {
        matches!(self.policy, sys::SCHED_FIFO | sys::SCHED_RR)
    }
}

impl Task {
    /// Sets what the scheduler does with the thread.
    fn set_sched(&self, change: impl FnOnce(&mut Attributes)) {
        let attributes = {
            let mut attributes = self.sched.lock();
            change(&mut attributes);
            attributes.for_thread()
        };
        // One that has not started yet takes them from the task.
        if let Some(thread) = self.thread() {
            thread.set_scheduling(attributes.scheduling);
            thread.set_affinity(attributes.affinity);
        }
    }
}

fn all_cpus() -> CpuMask {
    let mut mask = CpuMask::default();
    for number in 0..cpu::count().min(MAX_CPUS) {
        mask[number / 64] |= 1 << (number % 64);
    }
    mask
}

/// The thread that a pid argument names; 0 is the caller.
fn with_task<R>(task: &Task, pid: i32, act: impl FnOnce(&Task) -> R) -> Result<R, Errno> {
    if pid < 0 {
        return err!(EINVAL);
    }
    if pid == 0 || pid == task.tid() {
        return Ok(act(task));
    }
    find(pid).map(|other| act(&other)).ok_or(Errno::ESRCH.here())
}

fn find(tid: i32) -> Option<Arc<Task>> {
    pid::processes().iter().find_map(|process| process.thread(tid))
}

/// sched_yield(2).
pub(crate) fn sched_yield(_task: &Task) -> Result<(), Errno> {
    thread::yield_now();
    Ok(())
}

/// sched_getaffinity(2): the number of bytes written.
pub(crate) fn sched_getaffinity(task: &Task, pid: i32, len: u32, mask: UserPtr<u8>) -> Result<usize, Errno> {
    if (len as usize).saturating_mul(8) < cpu::count() || !len.is_multiple_of(8) {
        return err!(EINVAL);
    }
    let affinity = with_task(task, pid, |task| task.sched.lock().affinity)?;
    let bytes: Vec<u8> = affinity.iter().flat_map(|word| word.to_le_bytes()).collect();
    // Linux writes as many bytes as its processors need, in words.
    let needed = cpu::count().div_ceil(64) * 8;
    let count = (len as usize).min(needed);
    mask.write_slice(task.mm(), &bytes[..count])?;
    Ok(count)
}

/// sched_setaffinity(2).
pub(crate) fn sched_setaffinity(task: &Task, pid: i32, len: u32, mask: UserPtr<u8>) -> Result<(), Errno> {
    let mut bytes = [0; MAX_CPUS / 8];
    let count = (len as usize).min(bytes.len());
    task.mm().copy_in(&mut bytes[..count], mask.addr())?;
    let mut wanted = CpuMask::default();
    for (word, bytes) in wanted.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    for (word, possible) in wanted.iter_mut().zip(all_cpus()) {
        *word &= possible;
    }
    with_task(task, pid, |_| ())?;
    if wanted.iter().all(|&word| word == 0) {
        return err!(EINVAL);
    }
    with_task(task, pid, |task| task.set_sched(|attributes| attributes.affinity = wanted))
}

/// sched_getscheduler(2).
pub(crate) fn sched_getscheduler(task: &Task, pid: i32) -> Result<u32, Errno> {
    with_task(task, pid, |task| {
        let attributes = task.sched.lock();
        attributes.policy | if attributes.reset_on_fork { RESET_ON_FORK } else { 0 }
    })
}

/// sched_setscheduler(2).
pub(crate) fn sched_setscheduler(
    task: &Task,
    pid: i32,
    policy: i32,
    param: UserPtr<i32>,
) -> Result<(), Errno> {
    if policy < 0 || param.is_null() {
        return err!(EINVAL);
    }
    let priority = param.read(task.mm())?;
    let policy = policy as u32;
    set(task, pid, Some((policy & !RESET_ON_FORK, policy & RESET_ON_FORK != 0)), priority)
}

/// sched_getparam(2).
pub(crate) fn sched_getparam(task: &Task, pid: i32, param: UserPtr<i32>) -> Result<(), Errno> {
    if param.is_null() {
        return err!(EINVAL);
    }
    let priority = with_task(task, pid, |task| task.sched.lock().priority)?;
    param.write(task.mm(), &priority)
}

/// sched_setparam(2).
pub(crate) fn sched_setparam(task: &Task, pid: i32, param: UserPtr<i32>) -> Result<(), Errno> {
    if param.is_null() {
        return err!(EINVAL);
    }
    let priority = param.read(task.mm())?;
    set(task, pid, None, priority)
}

fn range_of(policy: u32) -> Result<(i32, i32), Errno> {
    match policy {
        sys::SCHED_FIFO | sys::SCHED_RR => Ok((1, 99)),
        sys::SCHED_NORMAL | sys::SCHED_BATCH | sys::SCHED_IDLE | sys::SCHED_DEADLINE => Ok((0, 0)),
        _ => err!(EINVAL),
    }
}

fn set(task: &Task, pid: i32, policy: Option<(u32, bool)>, priority: i32) -> Result<(), Errno> {
    let current = with_task(task, pid, |task| *task.sched.lock())?;
    let (policy, reset_on_fork) = policy.unwrap_or((current.policy, current.reset_on_fork));
    // A deadline policy needs sched_setattr(2).
    if policy == sys::SCHED_DEADLINE || !range_contains(range_of(policy)?, priority) {
        return err!(EINVAL);
    }
    change(task, pid, &current, Attributes { policy, priority, reset_on_fork, ..current })
}

/// Gives a thread new attributes, if the caller may.
fn change(task: &Task, pid: i32, current: &Attributes, wanted: Attributes) -> Result<(), Errno> {
    let allowed = task.process().limit(Resource::RTPRIO).soft;
    let too_high = wanted.is_realtime() && wanted.priority as u64 > allowed;
    let too_nice = !wanted.is_realtime() && wanted.nice < current.nice && wanted.nice < nice_floor(task);
    if (too_high || too_nice) && !task.has_capability(Capability::SYS_NICE) {
        return err!(EPERM);
    }
    with_task(task, pid, |task| {
        task.set_sched(|attributes| *attributes = Attributes { affinity: attributes.affinity, ..wanted });
    })
}

/// The lowest nice value that RLIMIT_NICE allows.
fn nice_floor(task: &Task) -> i32 {
    20 - task.process().limit(Resource::NICE).soft.min(40) as i32
}

fn range_contains((low, high): (i32, i32), priority: i32) -> bool {
    (low..=high).contains(&priority)
}

/// sched_get_priority_max(2).
pub(crate) fn sched_get_priority_max(_task: &Task, policy: i32) -> Result<i32, Errno> {
    range_of(policy as u32).map(|(_, high)| high)
}

/// sched_get_priority_min(2).
pub(crate) fn sched_get_priority_min(_task: &Task, policy: i32) -> Result<i32, Errno> {
    range_of(policy as u32).map(|(low, _)| low)
}

/// sched_rr_get_interval(2): the time slice.
pub(crate) fn sched_rr_get_interval(task: &Task, pid: i32, slice: UserPtr<Timespec>) -> Result<(), Errno> {
    let policy = with_task(task, pid, |task| task.sched.lock().policy)?;
    let nanos = match policy {
        sys::SCHED_FIFO => 0,
        sys::SCHED_RR => 100_000_000,
        _ => 4_000_000,
    };
    slice.write(task.mm(), &Timespec::from_nanos(nanos))
}

/// getpriority(2): 20 minus the nice value.
pub(crate) fn getpriority(task: &Task, which: i32, who: i32) -> Result<i32, Errno> {
    let tasks = selected(task, which, who)?;
    let own = (tasks.is_empty() && names_caller(task, which, who)).then(|| task.sched.lock().nice);
    let lowest = tasks.iter().map(|task| task.sched.lock().nice).chain(own).min();
    lowest.map(|nice| 20 - nice).ok_or(Errno::ESRCH.here())
}

/// setpriority(2).
pub(crate) fn setpriority(task: &Task, which: i32, who: i32, nice: i32) -> Result<(), Errno> {
    let nice = nice.clamp(-20, 19);
    let tasks = selected(task, which, who)?;
    if tasks.is_empty() {
        return err!(ESRCH);
    }
    let floor = nice_floor(task);
    let privileged = task.has_capability(Capability::SYS_NICE);
    let mut result = Ok(());
    for other in tasks {
        let before = other.sched.lock().nice;
        if nice < before && nice < floor && !privileged {
            result = err!(EACCES);
        } else {
            other.set_sched(|attributes| attributes.nice = nice);
        }
    }
    result
}

fn names_caller(task: &Task, which: i32, who: i32) -> bool {
    which == sys::PRIO_PROCESS as i32 && (who == 0 || who == task.tid())
}

fn selected(task: &Task, which: i32, who: i32) -> Result<Vec<Arc<Task>>, Errno> {
    let uid = if who == 0 { task.credentials().uid.real } else { who as u32 };
    let group = if who == 0 { task.process().group() } else { who };
    let tid = if who == 0 { task.tid() } else { who };
    Ok(match which as u32 {
        sys::PRIO_PROCESS => find(tid).into_iter().collect(),
        sys::PRIO_PGRP => {
            let processes = pid::processes();
            processes
                .iter()
                .filter(|process| process.group() == group)
                .flat_map(|process| process.threads())
                .collect()
        }
        sys::PRIO_USER => {
            let tasks = pid::processes();
            let mut tasks: Vec<_> = tasks.iter().flat_map(|process| process.threads()).collect();
            tasks.retain(|task| task.credentials().uid.real == uid);
            tasks
        }
        _ => return err!(EINVAL),
    })
}

/// getcpu(2).
pub(crate) fn getcpu(task: &Task, cpu: UserPtr<u32>, node: UserPtr<u32>, _unused: u64) -> Result<(), Errno> {
    cpu.write_if_non_null(task.mm(), &(cpu::current() as u32))?;
    node.write_if_non_null(task.mm(), &0)
}

/// `struct sched_attr` in its first version.
const ATTR_SIZE_VER0: u32 = 48;
/// With util_min and util_max.
const ATTR_SIZE_VER1: u32 = 56;

const FLAG_RESET_ON_FORK: u64 = 1;
const FLAG_KEEP_POLICY: u64 = 8;
const FLAG_KEEP_PARAMS: u64 = 0x10;
const FLAGS_UTIL_CLAMP: u64 = 0x60;
const FLAGS_KNOWN: u64 = 0x7f;

/// sched_setattr(2). SCHED_DEADLINE is refused like an unknown policy.
pub(crate) fn sched_setattr(task: &Task, pid: i32, attr: UserPtr<u8>, flags: u32) -> Result<(), Errno> {
    if attr.is_null() || pid < 0 || flags != 0 {
        return err!(EINVAL);
    }
    let bytes = read_attr(task, attr)?;
    let word = |at: usize| bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
    let (policy, nice, priority) = (word(4), word(16) as i32, word(20) as i32);
    let flags = u64::from(word(8)) | u64::from(word(12)) << 32;
    if (policy as i32) < 0 {
        return err!(EINVAL);
    }
    let current = with_task(task, pid, |task| *task.sched.lock())?;
    let mut wanted = current;
    if flags & FLAG_KEEP_POLICY == 0 {
        wanted.policy = policy;
    }
    let keep = flags & FLAG_KEEP_PARAMS != 0;
    // What is kept is what counts for the current policy.
    wanted.priority = if keep && current.is_realtime() { current.priority } else { priority };
    if flags & !FLAGS_KNOWN != 0
        || wanted.policy == sys::SCHED_DEADLINE
        || !range_contains(range_of(wanted.policy)?, wanted.priority)
    {
        return err!(EINVAL);
    }
    if flags & FLAGS_UTIL_CLAMP != 0 {
        return err!(EOPNOTSUPP);
    }
    wanted.reset_on_fork = flags & FLAG_RESET_ON_FORK != 0;
    if (!keep || current.is_realtime()) && matches!(wanted.policy, sys::SCHED_NORMAL | sys::SCHED_BATCH) {
        wanted.nice = nice.clamp(-20, 19);
    }
    change(task, pid, &current, wanted)
}

/// Reads the structure in any version; what this kernel does not know must be 0.
///
/// # Errors
/// EFAULT; E2BIG if it is shorter than the first version or has more in it than is known; the size known is then stored in it.
fn read_attr(task: &Task, attr: UserPtr<u8>) -> Result<[u8; ATTR_SIZE_VER1 as usize], Errno> {
    let size = match attr.cast::<u32>().read(task.mm())? {
        0 => ATTR_SIZE_VER0,
        size => size,
    };
    let mut bytes = [0; ATTR_SIZE_VER1 as usize];
    let mut fits = (ATTR_SIZE_VER0..=PAGE as u32).contains(&size);
    if fits {
        let known = size.min(ATTR_SIZE_VER1);
        task.mm().copy_in(&mut bytes[..known as usize], attr.addr())?;
        let mut rest = alloc::vec![0; (size - known) as usize];
        task.mm().copy_in(&mut rest, attr.addr() + u64::from(known))?;
        fits = rest.iter().all(|byte| *byte == 0);
    }
    if fits {
        return Ok(bytes);
    }
    attr.cast::<u32>().write(task.mm(), &ATTR_SIZE_VER1)?;
    err!(E2BIG)
}

/// sched_getattr(2).
pub(crate) fn sched_getattr(task: &Task, pid: i32, buffer: UserSlice, flags: u32) -> Result<(), Errno> {
    // The third argument is 32 bits wide.
    let size = buffer.len as u32;
    if buffer.addr == 0 || !(ATTR_SIZE_VER0..=4096).contains(&size) || flags != 0 {
        return err!(EINVAL);
    }
    let attributes = with_task(task, pid, |task| *task.sched.lock())?;
    let mut bytes = [0; 56];
    bytes[..4].copy_from_slice(&size.min(56).to_le_bytes());
    bytes[4..8].copy_from_slice(&attributes.policy.to_le_bytes());
    bytes[8..16].copy_from_slice(&u64::from(attributes.reset_on_fork).to_le_bytes());
    bytes[16..20].copy_from_slice(&attributes.nice.to_le_bytes());
    bytes[20..24].copy_from_slice(&(attributes.priority as u32).to_le_bytes());
    buffer.truncated(size as usize).write(task.mm(), &bytes)?;
    Ok(())
}
