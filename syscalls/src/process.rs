//! A process: what its threads have in common.

pub(crate) use crate::cpu_times::CpuTimes;
use crate::cpu_times::ProcessTimes;
use crate::limits::{Limit, Limits, Resource};
use crate::mm::AddressSpace;
use crate::pid::{self, Pid};
use crate::signal::{Pending, SigSet, SignalHandlers};
use crate::task::Task;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use husk_abi::control::ExitStatus;
use husk_fs::Location;
use husk_machine::sync::{SpinLock, WaitQueue};

/// A process (Linux's thread group).
pub(crate) struct Process {
    pid: Pid,
    parent: AtomicI32,
    group: AtomicI32,
    session: AtomicI32,
    /// By their ids, the oldest first.
    threads: SpinLock<Vec<(i32, Weak<Task>)>>,
    mm: Arc<AddressSpace>,
    /// Handlers of signals; shared with another process by CLONE_SIGHAND alone.
    pub(crate) handlers: Arc<SignalHandlers>,
    /// Those who wait for signals through descriptors (signalfd(2)).
    pub(crate) signal_waiters: crate::wait::Waiters,
    /// Signals sent to the process as a whole.
    pub(crate) pending: SpinLock<Pending>,
    limits: SpinLock<Limits>,
    /// The program's file, which nobody may write meanwhile.
    exe: SpinLock<Option<ProgramFile>>,
    /// When it started, in nanoseconds since boot.
    pub(crate) start_ns: u64,
    /// personality(2).
    pub(crate) personality: AtomicU32,
    /// PR_SET_DUMPABLE.
    pub(crate) dumpable: AtomicU32,
    /// /proc/self/oom_score_adj.
    pub(crate) oom_score_adj: AtomicI32,
    /// PR_SET_CHILD_SUBREAPER.
    pub(crate) child_subreaper: AtomicBool,
    /// Page faults served from memory, and from disk.
    pub(crate) faults: FaultCounts,
    cpu_times: ProcessTimes,
    /// Context switches of threads that have ended: voluntary and involuntary ones.
    ended_switches: [AtomicU64; 2],
    /// Timers of setitimer(2) and alarm(2).
    pub(crate) timers: crate::time::ProcessTimers,
    /// Commands of membarrier(2) it has registered for.
    pub(crate) membarrier: AtomicU32,
    /// PR_SET_THP_DISABLE.
    pub(crate) thp_disabled: AtomicBool,
    /// Stopped by SIGSTOP. Changes under the lock of `pending`.
    stopped: AtomicBool,
    /// How often SIGCONT was sent: a stop signal taken from the queue before does not stop the process any more.
    continued: AtomicU64,
    /// How the first thread ended: the status of the process, if nothing else decides it.
    pub(crate) leader_status: SpinLock<Option<ExitStatus>>,
    ending: SpinLock<Option<ExitStatus>>,
    ended: SpinLock<Option<ExitStatus>>,
    pub(crate) ended_queue: WaitQueue,
}

/// The file of a running program: opening it for writing is ETXTBSY.
struct ProgramFile {
    location: Location,
    /// Whether writing could be forbidden: the file may have been open for it.
    denied: bool,
}

impl ProgramFile {
    fn new(location: Location) -> Self {
        let denied = location.inode().slot().write_access.deny().is_ok();
        Self { location, denied }
    }
}

impl Drop for ProgramFile {
    fn drop(&mut self) {
        if self.denied {
            self.location.inode().slot().write_access.allow();
        }
    }
}

/// For getrusage(2).
#[derive(Debug, Default)]
pub(crate) struct FaultCounts {
    /// Without input from disk.
    pub(crate) minor: AtomicU64,
    /// With input from disk.
    pub(crate) major: AtomicU64,
}

/// What a process is made from.
pub(crate) struct ProcessParts {
    /// Its memory.
    pub(crate) mm: Arc<AddressSpace>,
    /// Its limits.
    pub(crate) limits: Limits,
    /// The program's file.
    pub(crate) exe: Option<Location>,
}

impl Process {
    /// A process without threads yet, leader of its own session and group, child of the kernel. It is registered.
    pub(crate) fn new(parts: ProcessParts) -> Arc<Self> {
        let pid = Pid::alloc();
        let number = pid.number();
        let process = Arc::new(Self {
            pid,
            parent: AtomicI32::new(pid::KERNEL_PID),
            group: AtomicI32::new(number),
            session: AtomicI32::new(number),
            threads: SpinLock::new(Vec::new()),
            mm: parts.mm,
            handlers: Arc::new(SignalHandlers::new()),
            signal_waiters: crate::wait::Waiters::new(),
            pending: SpinLock::new(Pending::default()),
            limits: SpinLock::new(parts.limits),
            exe: SpinLock::new(parts.exe.map(ProgramFile::new)),
            start_ns: husk_machine::time::monotonic_ns(),
            personality: AtomicU32::new(0),
            dumpable: AtomicU32::new(1),
            oom_score_adj: AtomicI32::new(0),
            child_subreaper: AtomicBool::new(false),
            faults: FaultCounts::default(),
            cpu_times: ProcessTimes::default(),
            ended_switches: [const { AtomicU64::new(0) }; 2],
            timers: crate::time::ProcessTimers::default(),
            membarrier: AtomicU32::new(0),
            thp_disabled: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            continued: AtomicU64::new(0),
            leader_status: SpinLock::new(None),
            ending: SpinLock::new(None),
            ended: SpinLock::new(None),
            ended_queue: WaitQueue::new(),
        });
        pid::register(&process);
        process
    }

    /// Process id (Linux's tgid).
    pub(crate) fn pid(&self) -> i32 {
        self.pid.number()
    }

    /// The parent's pid.
    pub(crate) fn parent(&self) -> i32 {
        self.parent.load(Ordering::Relaxed)
    }

    /// Process group id.
    pub(crate) fn group(&self) -> i32 {
        self.group.load(Ordering::Relaxed)
    }

    /// Moves it to a group; the caller has checked the rules of setpgid(2).
    pub(crate) fn set_group(&self, group: i32) {
        self.group.store(group, Ordering::Relaxed);
    }

    /// Session id.
    pub(crate) fn session(&self) -> i32 {
        self.session.load(Ordering::Relaxed)
    }

    /// Makes it the leader of a new session and group.
    pub(crate) fn start_session(&self) {
        self.session.store(self.pid(), Ordering::Relaxed);
        self.group.store(self.pid(), Ordering::Relaxed);
    }

    /// Its memory.
    pub(crate) fn mm(&self) -> &Arc<AddressSpace> {
        &self.mm
    }

    /// Its threads that have not ended, the oldest first.
    pub(crate) fn threads(&self) -> Vec<Arc<Task>> {
        self.threads.lock().iter().filter_map(|(_, task)| task.upgrade()).collect()
    }

    /// How many these are.
    pub(crate) fn thread_count(&self) -> usize {
        self.threads.lock().len()
    }

    /// The thread with this id.
    pub(crate) fn thread(&self, tid: i32) -> Option<Arc<Task>> {
        // Not all of them: the last reference to one must not be dropped under the lock.
        self.threads.lock().iter().find(|(other, _)| *other == tid)?.1.upgrade()
    }

    /// Calls `f` for each of its threads, the oldest first, until that gives something. `f` runs under the lock of the list.
    pub(crate) fn find_thread<R>(&self, mut f: impl FnMut(&Arc<Task>) -> Option<R>) -> Option<R> {
        // A thread in the list lives: whoever holds it takes it off before letting go. So no reference that is dropped here is
        // the last one.
        let threads = self.threads.lock();
        threads.iter().find_map(|(_, task)| f(&task.upgrade()?))
    }

    /// Calls `f` for each of its threads, the oldest first, under the lock of the list.
    pub(crate) fn for_each_thread(&self, mut f: impl FnMut(&Arc<Task>)) {
        self.find_thread(|task| {
            f(task);
            None::<()>
        });
    }

    pub(crate) fn add_thread(&self, task: &Arc<Task>) {
        pid::register_thread(task);
        self.threads.lock().push((task.tid(), Arc::downgrade(task)));
    }

    /// Takes a thread off the list; true if it was the last. From now on its CPU time counts as that of one that has ended.
    pub(crate) fn remove_thread(&self, task: &Task) -> bool {
        let ran = task.cpu_times();
        pid::forget_thread(task.tid());
        let mut threads = self.threads.lock();
        threads.retain(|(tid, _)| *tid != task.tid());
        self.cpu_times.add_ended(ran);
        for (ended, own) in self.ended_switches.iter().zip(task.switches()) {
            ended.fetch_add(own, Ordering::Relaxed);
        }
        threads.is_empty()
    }

    /// The program's file.
    pub(crate) fn exe(&self) -> Option<Location> {
        self.exe.lock().as_ref().map(|file| file.location.clone())
    }

    /// A resource limit.
    pub(crate) fn limit(&self, resource: Resource) -> Limit {
        self.limits.lock().get(resource)
    }

    /// Replaces a limit; the caller has checked that it may be.
    pub(crate) fn set_limit(&self, resource: Resource, limit: Limit) {
        let mut limits = self.limits.lock();
        limits.set(resource, limit);
        // Under the lock, so that the last one to set it counts for both.
        self.mm.limits_changed(resource, limit.soft);
    }

    /// CPU time of all its threads so far. It never goes back.
    pub(crate) fn cpu_times(&self) -> CpuTimes {
        self.cpu_times.now(|| {
            let threads = self.threads.lock();
            // As in `find_thread`: no reference that is dropped here is the last one.
            let living = threads.iter().filter_map(|(_, task)| task.upgrade());
            living.fold(self.cpu_times.ended(), |sum, task| sum + task.cpu_times())
        })
    }

    /// Raises the soft limit of CPU time by a second; the answer is the new limit.
    pub(crate) fn raise_cpu_limit(&self) -> Limit {
        let mut limits = self.limits.lock();
        let limit = limits.get(Resource::CPU);
        let raised = Limit { soft: limit.soft.saturating_add(1), ..limit };
        limits.set(Resource::CPU, raised);
        raised
    }

    /// Voluntary and involuntary context switches of all its threads so far.
    pub(crate) fn switches(&self) -> [u64; 2] {
        let mut sum = self.ended_switches.each_ref().map(|count| count.load(Ordering::Relaxed));
        for task in self.threads() {
            let own = task.switches();
            sum[0] += own[0];
            sum[1] += own[1];
        }
        sum
    }

    /// How the process will end, once that is decided (exit_group(2), a fatal signal).
    pub(crate) fn ending(&self) -> Option<ExitStatus> {
        *self.ending.lock()
    }

    /// Decides how the process ends, unless that is decided (then it is false), and tells all threads to end.
    pub(crate) fn end(&self, status: ExitStatus) -> bool {
        let decided = {
            let mut ending = self.ending.lock();
            let undecided = ending.is_none();
            ending.get_or_insert(status);
            undecided
        };
        self.wake_threads();
        decided
    }

    /// Makes all threads look at their signals and at what the process is about to do.
    pub(crate) fn wake_threads(&self) {
        self.for_each_thread(|task| task.wake());
    }

    /// Whether it is stopped by SIGSTOP.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// How often it was told to continue, for [`stop`](Self::stop).
    pub(crate) fn times_continued(&self) -> u64 {
        self.continued.load(Ordering::Acquire)
    }

    /// Stops it, unless it was told to continue since `times_continued` was asked for.
    pub(crate) fn stop(&self, times_continued: u64) {
        {
            let _pending = self.pending.lock();
            if self.times_continued() != times_continued {
                return;
            }
            self.stopped.store(true, Ordering::Release);
        }
        self.wake_threads();
    }

    /// Lets it go on if it is stopped, and takes back signals that would stop it.
    pub(crate) fn go_on(&self) {
        let was_stopped = {
            let mut pending = self.pending.lock();
            pending.discard(SigSet::STOP);
            self.continued.fetch_add(1, Ordering::AcqRel);
            self.stopped.swap(false, Ordering::AcqRel)
        };
        if was_stopped {
            self.wake_threads();
        }
    }

    /// Called by the last thread when it has ended.
    pub(crate) fn finish(&self, status: ExitStatus) {
        *self.ended.lock() = Some(self.ending().unwrap_or(status));
        self.ended_queue.wake_all();
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        *self.ended.lock()
    }
}

impl core::fmt::Debug for Process {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Process({})", self.pid())
    }
}
