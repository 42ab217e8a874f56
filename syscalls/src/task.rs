//! A thread of a process (Linux's task).

use crate::credentials::{Capability, Credentials};
use crate::file::FdTable;
use crate::fs_state::FsState;
use crate::futex;
use crate::mm::AddressSpace;
use crate::pid::Pid;
use crate::process::{CpuTimes, Process};
use crate::signal::{self, Pending, SigSet, Signal, TaskSignals};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use husk_abi::Errno;
use husk_machine::sync::{Once, SpinLock};
use husk_machine::thread::Thread;
use husk_machine::user::UserClock;

/// Longest name of a thread with its zero byte (Linux's `TASK_COMM_LEN`).
pub(crate) const COMM_LEN: usize = 16;

/// What restart_syscall(2) does: the rest of the call that a signal interrupted.
pub(crate) type RestartBlock = Box<dyn FnOnce(&Task) -> Result<u64, Errno> + Send>;

/// A thread.
pub(crate) struct Task {
    tid: Tid,
    process: Arc<Process>,
    mm: Arc<AddressSpace>,
    thread: Once<Thread>,
    files: SpinLock<Arc<FdTable>>,
    fs: SpinLock<Arc<FsState>>,
    credentials: SpinLock<Arc<Credentials>>,
    comm: SpinLock<[u8; COMM_LEN]>,
    /// Signal mask, alternate stack and the like.
    pub(crate) signals: SpinLock<TaskSignals>,
    /// Signals sent to this thread alone.
    pub(crate) pending: SpinLock<Pending>,
    /// Set when the user loop has to look at signals before it enters user mode. Whoever makes a signal deliverable, stops or ends
    /// the process sets it afterwards, so as long as it is not set there is nothing to look for.
    pub(crate) attention: AtomicBool,
    pub(crate) restart: SpinLock<Option<RestartBlock>>,
    /// Where frames for signal handlers are put together.
    pub(crate) signal_frame: SpinLock<Vec<u8>>,
    /// Where the kernel writes 0 and wakes a futex when the thread ends (set_tid_address(2)).
    pub(crate) clear_child_tid: AtomicU64,
    /// Head of the list of robust futexes (set_robust_list(2)).
    pub(crate) robust_list: AtomicU64,
    /// Time in user mode.
    pub(crate) user_clock: UserClock,
    /// Its CPU time when it got the signal of a timer that goes by the process's last.
    pub(crate) profiled_ns: AtomicU64,
    /// A timer that goes by CPU time waits for this thread to run again.
    pub(crate) timers_dormant: AtomicBool,
    /// The locks with priority inheritance that it has and others wait for.
    pub(crate) pi_owner: futex::pi::Owner,
    /// What it waits for futexes with, while it does not.
    pub(crate) futex_waiter: SpinLock<Option<Arc<futex::Waiter>>>,
    /// The area registered by rseq(2).
    pub(crate) rseq: SpinLock<Option<crate::calls::rseq::Area>>,
    /// prctl(2): PR_SET_TIMERSLACK in nanoseconds.
    pub(crate) timer_slack_ns: AtomicU64,
    /// prctl(2): PR_SET_PDEATHSIG.
    pub(crate) parent_death_signal: AtomicU32,
    /// prctl(2): PR_SET_NO_NEW_PRIVS.
    pub(crate) no_new_privs: AtomicBool,
    /// Scheduling policy, priority and nice value as the program set them.
    pub(crate) sched: SpinLock<crate::calls::sched::Attributes>,
    /// set_mempolicy(2).
    pub(crate) memory_policy: AtomicU32,
    /// Set by exit(2).
    pub(crate) exit_status: SpinLock<Option<husk_abi::control::ExitStatus>>,
}

/// The first thread's id is that of its process.
enum Tid {
    Leader,
    Own(Pid),
}

/// What the first thread of a process is made from.
pub(crate) struct TaskParts {
    /// Open files.
    pub(crate) files: Arc<FdTable>,
    /// Root, working directory, umask.
    pub(crate) fs: Arc<FsState>,
    /// Ids and capabilities.
    pub(crate) credentials: Arc<Credentials>,
    /// Name, cut off at 15 bytes.
    pub(crate) comm: Vec<u8>,
}

/// What a further thread does not have from its process or inherit.
pub(crate) struct ThreadParts {
    /// Open files.
    pub(crate) files: Arc<FdTable>,
    /// Root, working directory, umask.
    pub(crate) fs: Arc<FsState>,
}

impl Task {
    /// The first thread of a process, registered there. [`start`](Self::start) gives it a kernel thread.
    pub(crate) fn leader(process: &Arc<Process>, parts: TaskParts) -> Arc<Self> {
        let task = Arc::new(Self::build(Tid::Leader, process, parts));
        process.add_thread(&task);
        task
    }

    /// A further thread of this one's process, which inherits what clone(2) says. It is not registered yet.
    pub(crate) fn new_thread(&self, parts: ThreadParts) -> Arc<Self> {
        let ThreadParts { files, fs } = parts;
        let parts = TaskParts { files, fs, credentials: self.credentials(), comm: self.comm().to_vec() };
        let mut task = Self::build(Tid::Own(Pid::alloc()), &self.process, parts);
        task.signals.get_mut().blocked = self.blocked();
        *task.timer_slack_ns.get_mut() = self.timer_slack_ns.load(Ordering::Relaxed);
        *task.no_new_privs.get_mut() = self.no_new_privs.load(Ordering::Relaxed);
        *task.memory_policy.get_mut() = self.memory_policy.load(Ordering::Relaxed);
        *task.sched.get_mut() = self.sched.lock().inherited();
        Arc::new(task)
    }

    fn build(tid: Tid, process: &Arc<Process>, parts: TaskParts) -> Self {
        let number = match &tid {
            Tid::Leader => process.pid(),
            Tid::Own(pid) => pid.number(),
        };
        Self {
            tid,
            mm: process.mm().clone(),
            process: process.clone(),
            thread: Once::new(),
            files: SpinLock::new(parts.files),
            fs: SpinLock::new(parts.fs),
            credentials: SpinLock::new(parts.credentials),
            comm: SpinLock::new(comm(&parts.comm)),
            signals: SpinLock::new(TaskSignals::default()),
            pending: SpinLock::new(Pending::default()),
            // What is pending for the process may be for it; and who wakes it before it is bound to a thread only sets this.
            attention: AtomicBool::new(true),
            restart: SpinLock::new(None),
            signal_frame: SpinLock::new(Vec::new()),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            user_clock: UserClock::default(),
            profiled_ns: AtomicU64::new(0),
            timers_dormant: AtomicBool::new(true),
            pi_owner: futex::pi::Owner::new(number),
            futex_waiter: SpinLock::new(None),
            rseq: SpinLock::new(None),
            timer_slack_ns: AtomicU64::new(50_000),
            parent_death_signal: AtomicU32::new(0),
            no_new_privs: AtomicBool::new(false),
            sched: SpinLock::new(crate::calls::sched::Attributes::default()),
            memory_policy: AtomicU32::new(0),
            exit_status: SpinLock::new(None),
        }
    }

    /// Whether it is the first thread of its process.
    pub(crate) fn is_leader(&self) -> bool {
        matches!(self.tid, Tid::Leader)
    }

    /// Says which kernel thread runs the task; the thread itself does so first of all.
    pub(crate) fn bind(&self, thread: Thread) {
        self.thread.call_once(|| thread);
    }

    /// Thread id.
    pub(crate) fn tid(&self) -> i32 {
        match &self.tid {
            Tid::Leader => self.process.pid(),
            Tid::Own(pid) => pid.number(),
        }
    }

    /// The process it belongs to.
    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Its memory.
    pub(crate) fn mm(&self) -> &AddressSpace {
        &self.mm
    }

    /// Its open files.
    pub(crate) fn files(&self) -> Arc<FdTable> {
        self.files.lock().clone()
    }

    /// Replaces the table of open files (unshare(2), close_range(2) with CLOSE_RANGE_UNSHARE).
    pub(crate) fn set_files(&self, files: Arc<FdTable>) {
        let old = core::mem::replace(&mut *self.files.lock(), files);
        drop(old);
    }

    /// Root directory, working directory, umask.
    pub(crate) fn fs(&self) -> Arc<FsState> {
        self.fs.lock().clone()
    }

    /// Replaces them (unshare(2)).
    pub(crate) fn set_fs(&self, fs: Arc<FsState>) {
        let old = core::mem::replace(&mut *self.fs.lock(), fs);
        drop(old);
    }

    /// Ids and capabilities.
    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        self.credentials.lock().clone()
    }

    /// Replaces the credentials.
    pub(crate) fn set_credentials(&self, credentials: Credentials) {
        let old = core::mem::replace(&mut *self.credentials.lock(), Arc::new(credentials));
        drop(old);
    }

    /// Whether a capability is in force.
    pub(crate) fn has_capability(&self, capability: Capability) -> bool {
        self.credentials.lock().has(capability)
    }

    /// The credentials as filesystems check them.
    pub(crate) fn fs_credentials(&self) -> husk_fs::Credentials {
        self.credentials().for_files()
    }

    /// The name, zero-terminated.
    pub(crate) fn comm(&self) -> [u8; COMM_LEN] {
        *self.comm.lock()
    }

    /// Replaces the name; what is longer than 15 bytes is cut off.
    pub(crate) fn set_comm(&self, name: &[u8]) {
        *self.comm.lock() = comm(name);
    }

    /// Whether this is the task that the calling kernel thread runs.
    pub(crate) fn is_current_thread(&self) -> bool {
        self.thread.get().is_some_and(|thread| thread.id() == husk_machine::thread::current().id())
    }

    /// CPU time so far; none before it has started.
    pub(crate) fn cpu_times(&self) -> CpuTimes {
        let user = self.user_clock.ns();
        let total = self.cpu_time_ns();
        // The thread may have been in user mode since.
        let user = user.min(total);
        CpuTimes { user, system: total - user }
    }

    /// Lets a sleeping task look again at what it waits for.
    pub(crate) fn wake_sleeper(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// CPU time so far in nanoseconds; 0 before it has started.
    pub(crate) fn cpu_time_ns(&self) -> u64 {
        self.thread.get().map_or(0, Thread::cpu_time_ns)
    }

    /// Voluntary and involuntary context switches so far.
    pub(crate) fn switches(&self) -> [u64; 2] {
        self.thread.get().map_or([0, 0], Thread::switches)
    }

    /// The CPU that it runs on or ran on last.
    pub(crate) fn cpu(&self) -> usize {
        self.thread.get().map_or(0, Thread::cpu)
    }

    /// The kernel thread that runs it, once it has started.
    pub(crate) fn thread(&self) -> Option<&Thread> {
        self.thread.get()
    }

    /// Makes the task look again at what it waits for and at its signals, at once.
    pub(crate) fn wake(&self) {
        self.attention.store(true, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            thread.interrupt();
        }
    }

    /// Whether a wait has to stop: a signal is to be delivered, or the process stops or ends. The interrupted call fails with
    /// ERESTARTSYS or its relatives.
    pub(crate) fn has_pending_signal(&self) -> bool {
        self.attention.load(Ordering::Acquire) && self.has_to_stop()
    }

    fn has_to_stop(&self) -> bool {
        if self.process.ending().is_some() || self.process.is_stopped() {
            return true;
        }
        !(signal::pending(self) & !self.blocked()).is_empty()
    }

    /// Whether it would take this signal: it does not block it, or waits for it.
    pub(crate) fn takes(&self, signal: Signal) -> bool {
        let signals = self.signals.lock();
        !signals.blocked.contains(signal) || signals.awaited.contains(signal)
    }

    /// The blocked signals.
    pub(crate) fn blocked(&self) -> SigSet {
        self.signals.lock().blocked
    }

    /// Says how restart_syscall(2) continues; the call then fails with ERESTART_RESTARTBLOCK.
    pub(crate) fn set_restart(&self, block: RestartBlock) {
        *self.restart.lock() = Some(block);
    }
}

fn comm(name: &[u8]) -> [u8; COMM_LEN] {
    let mut comm = [0; COMM_LEN];
    let len = name.iter().position(|&byte| byte == 0).unwrap_or(name.len()).min(COMM_LEN - 1);
    comm[..len].copy_from_slice(&name[..len]);
    comm
}

impl core::fmt::Debug for Task {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Task({})", self.tid())
    }
}
