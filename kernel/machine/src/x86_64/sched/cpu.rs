//! What a CPU's scheduler consists of: the queue, the deadlines, the timer, and what only the CPU itself touches.

use super::super::address_space::Spaces;
use super::super::thread::{Handle, Inner, RunTime, time_out};
use super::super::{apic, percpu, time};
use super::Left;
use super::placement::IDLE;
use crate::sync::{SpinLock, level};
use crate::thread::deadlines::Deadlines;
use crate::thread::ready::{End, Rank, Ready};
use crate::thread::{MAX_CPUS, Scheduling};
use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// How long a thread runs while others wait.
pub(super) const SLICE_NS: u64 = 4_000_000;
/// How far behind the others a thread comes in that slept.
pub(super) const SLEEP_CREDIT_NS: u64 = 3_000_000;
/// Of each so many nanoseconds, ...
pub(super) const REALTIME_PERIOD_NS: u64 = 1_000_000_000;
/// ... real-time threads get this many while others wait, so that one that never sleeps does not stop the machine
/// (sched(7), `/proc/sys/kernel/sched_rt_runtime_us`).
pub(super) const REALTIME_BUDGET_NS: u64 = 950_000_000;

pub(super) struct Queue {
    pub(super) ready: Ready<Handle>,
    pub(super) sleepers: Deadlines<Handle>,
}

impl Queue {
    fn push(&mut self, thread: Handle, end: End) -> Rank {
        let rank = match thread.scheduling() {
            Scheduling::Realtime { priority, .. } => Rank::realtime(priority),
            _ => Rank::Fair(thread.virtual_ns()),
        };
        self.ready.push(rank, end, thread);
        rank
    }
}

/// What only the CPU itself touches.
pub(in crate::arch) struct Local {
    pub(super) current: RefCell<Option<Handle>>,
    /// Runs when nobody else does.
    pub(super) idle: RefCell<Option<Handle>>,
    /// Who was left in the switch under way.
    pub(super) left: Cell<Option<(Handle, Left)>>,
    pub(in crate::arch) spaces: Spaces,
    pub(super) slice_end_ns: Cell<u64>,
    pub(super) timer_ns: Cell<u64>,
    /// Slices that ended with others waiting.
    pub(super) slices: Cell<u32>,
    /// When the current period of real-time threads began, and how long they ran in it.
    pub(super) realtime: Cell<(u64, u64)>,
}

pub(crate) struct Cpu {
    pub(super) queue: SpinLock<Queue>,
    /// Length of the queue, to look at without its lock.
    pub(super) ready: AtomicUsize,
    /// The first of the deadlines, likewise.
    pub(super) first_deadline: AtomicU64,
    pub(super) virtual_now: AtomicU64,
    /// Another CPU has queued a thread here that should not wait for the end of the slice.
    pub(super) reschedule: AtomicBool,
    /// How long its idle thread ran.
    pub(super) idle_time: RunTime,
    /// How often it went from one thread to another.
    pub(super) switches: AtomicU64,
    pub(in crate::arch) local: Local,
}

// SAFETY: `local` is only touched by the CPU it belongs to (see `here`); the rest is made for sharing.
unsafe impl Sync for Cpu {}

pub(super) static CPUS: [Cpu; MAX_CPUS] = [const { Cpu::new() }; MAX_CPUS];

/// This CPU. Kernel code is not pre-empted, so it stays so until the thread sleeps.
#[inline]
pub(in crate::arch) fn here() -> &'static Cpu {
    // SAFETY: the block's pointer was set to an element of `CPUS`, which is never moved or freed, before anything used it.
    unsafe { &*percpu::current().scheduler.load(Ordering::Relaxed) }
}

pub(in crate::arch) fn cpu_at(number: usize) -> &'static Cpu {
    &CPUS[number]
}

/// Uses the thread that runs on this CPU.
pub(in crate::arch) fn with_current<R>(f: impl FnOnce(&Handle) -> R) -> R {
    let local = &here().local;
    if let Some(current) = &*local.current.borrow() {
        return f(current);
    }
    // Before its idle loop, what runs is what will be the idle thread: it has its stack already.
    let idle = Inner::idle();
    *local.idle.borrow_mut() = Some(idle.clone());
    *local.current.borrow_mut() = Some(idle.clone());
    f(&idle)
}

pub(super) fn runs_idle() -> bool {
    with_current(|me| me.is_idle())
}

impl Cpu {
    const fn new() -> Self {
        let queue = Queue { ready: Ready::new(), sleepers: Deadlines::new() };
        Self {
            queue: SpinLock::with_level(level::RUN_QUEUE, queue),
            ready: AtomicUsize::new(0),
            first_deadline: AtomicU64::new(u64::MAX),
            virtual_now: AtomicU64::new(0),
            reschedule: AtomicBool::new(false),
            idle_time: RunTime::new(),
            switches: AtomicU64::new(0),
            local: Local {
                current: RefCell::new(None),
                idle: RefCell::new(None),
                left: Cell::new(None),
                spaces: Spaces::new(),
                slice_end_ns: Cell::new(0),
                timer_ns: Cell::new(u64::MAX),
                slices: Cell::new(0),
                realtime: Cell::new((0, 0)),
            },
        }
    }

    /// Changes the queue, and brings what others see of it up to date.
    pub(super) fn with_queue<R>(&self, f: impl FnOnce(&mut Queue) -> R) -> R {
        let mut queue = self.queue.lock();
        let result = f(&mut queue);
        self.ready.store(queue.ready.len(), Ordering::SeqCst);
        self.virtual_now.store(queue.ready.now(), Ordering::Relaxed);
        result
    }

    /// The virtual time on this CPU.
    pub(in crate::arch) fn virtual_now(&self) -> u64 {
        self.virtual_now.load(Ordering::Relaxed)
    }

    pub(super) fn number(&self) -> usize {
        (core::ptr::from_ref(self).addr() - CPUS.as_ptr().addr()) / size_of::<Self>()
    }

    pub(super) fn bit(&self) -> u64 {
        1 << self.number()
    }

    /// Adds a thread, whose home is this CPU. Gives its rank.
    pub(super) fn enqueue(&self, thread: Handle, slept: bool, end: End) -> Rank {
        self.with_queue(|queue| {
            if slept && thread.scheduling().realtime_priority().is_none() {
                thread.set_virtual_ns(queue.ready.after_sleep(thread.virtual_ns(), SLEEP_CREDIT_NS));
            }
            queue.push(thread, end)
        })
    }

    /// Adds the running thread behind the one that is next.
    pub(super) fn enqueue_after_next(&self, thread: Handle) {
        self.with_queue(|queue| {
            if let Some(Rank::Fair(first)) = queue.ready.next_rank() {
                thread.set_virtual_ns(thread.virtual_ns().max(first + 1));
            }
            queue.push(thread, End::Back)
        });
    }

    pub(super) fn dequeue(&self, now: u64) -> Option<Handle> {
        if !self.has_ready() {
            return None;
        }
        self.with_queue(|queue| {
            if matches!(queue.ready.next_rank(), Some(Rank::Realtime(_)))
                && self.realtime_used_up(now)
                && let Some(fair) = queue.ready.pop_fair()
            {
                return Some(fair);
            }
            queue.ready.pop()
        })
    }

    /// Whether real-time threads have had their part of the period.
    pub(super) fn realtime_used_up(&self, now: u64) -> bool {
        let (start, used) = self.local.realtime.get();
        now.saturating_sub(start) < REALTIME_PERIOD_NS && used >= REALTIME_BUDGET_NS
    }

    /// Notes that a real-time thread ran until `now`.
    pub(super) fn count_realtime(&self, ran: u64, now: u64) {
        let (start, used) = self.local.realtime.get();
        let fresh = now.saturating_sub(start) >= REALTIME_PERIOD_NS;
        self.local.realtime.set(if fresh { (now, ran) } else { (start, used + ran) });
    }

    pub(super) fn has_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst) != 0
    }

    /// Threads that run or can run here.
    pub(super) fn load(&self) -> usize {
        let halted = IDLE.load(Ordering::Relaxed) & self.bit() != 0;
        self.ready.load(Ordering::Relaxed) + usize::from(!halted)
    }

    /// Wakes the thread at a time unless it is taken out before.
    pub(in crate::arch) fn add_sleeper(&self, deadline_ns: u64, thread: &Handle) {
        let mut queue = self.queue.lock();
        queue.sleepers.insert(deadline_ns, thread.id(), thread.clone());
        self.first_deadline.store(queue.sleepers.next().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The thread does not wait for the time any more.
    pub(in crate::arch) fn remove_sleeper(&self, deadline_ns: u64, thread: &Handle) {
        let mut queue = self.queue.lock();
        let removed = queue.sleepers.remove(deadline_ns, thread.id());
        self.first_deadline.store(queue.sleepers.next().unwrap_or(u64::MAX), Ordering::Relaxed);
        drop(queue);
        drop(removed);
    }

    /// Wakes sleepers whose time has come.
    pub(super) fn expire(&self, now: u64) {
        while self.first_deadline.load(Ordering::Relaxed) <= now {
            let sleeper = {
                let mut queue = self.queue.lock();
                let sleeper = queue.sleepers.pop_expired(now);
                self.first_deadline.store(queue.sleepers.next().unwrap_or(u64::MAX), Ordering::Relaxed);
                sleeper
            };
            let Some(sleeper) = sleeper else { return };
            time_out(sleeper);
        }
    }

    /// Sets the timer for what comes next, if it is not set early enough. Only on this CPU itself.
    pub(super) fn set_timer(&self, now: u64) {
        let deadline = self.first_deadline.load(Ordering::Relaxed);
        // A thread beyond its slice is asked to yield at each interrupt; one a millisecond will do.
        let slice = self.local.slice_end_ns.get().max(now + SLICE_NS / 4);
        let slice = if self.has_ready() { slice } else { u64::MAX };
        let next = deadline.min(slice).min(time::refine_deadline());
        let set = self.local.timer_ns.get();
        // One that is over has fired, or is about to.
        if next < set || set <= now && next != u64::MAX {
            self.local.timer_ns.set(next);
            apic::timer_arm(next);
        }
    }

    /// Whether a queued thread should have the CPU now rather than the one that runs.
    pub(super) fn prefers(&self, rank: Rank, running: &Inner, slice_over: bool) -> bool {
        match (rank, running.scheduling()) {
            (Rank::Realtime(_), Scheduling::Realtime { priority, round_robin }) => {
                let own = Rank::realtime(priority);
                rank < own || rank == own && round_robin && slice_over
            }
            (Rank::Realtime(_), _) => true,
            (Rank::Fair(_), Scheduling::Realtime { .. }) => false,
            (Rank::Fair(_), _) => slice_over,
        }
    }
}
