//! Threads as the scheduler sees them: making them, sleeping and waking.
//!
//! A thread has a home: the CPU in whose queue it is, or on which it ran last. `on_cpu` says that its stack is in use: from the
//! switch to it until the switch away from it is complete. While it is set, only its home may have it in its queue, and nobody
//! else takes it from there; so a thread that is woken while it is still on its way off its stack is never started elsewhere.

use super::sched::{self, Cpu, cpu_at, here};
use super::stack::Stack;
use super::switch::prepare;
use super::{address_space, apic, cpu, irq, percpu, time};
use crate::frame::OutOfMemory;
use crate::paging::PageTable;
use crate::sync::{SpinLock, level};
use crate::thread::token::{Sleep, Token};
use crate::thread::{Attributes, CpuSet, Scheduling};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// What a thread runs.
type Entry = Box<dyn FnOnce() + Send>;
pub(crate) type Handle = Arc<Inner>;

/// One thread.
pub(crate) struct Inner {
    id: u64,
    name: String,
    /// It runs when its CPU has nothing else.
    is_idle: bool,
    sleep: SpinLock<Sleep>,
    home: AtomicUsize,
    on_cpu: AtomicBool,
    /// The CPUs it may run on, a bit each.
    affinity: AtomicU64,
    /// [`Scheduling`], packed.
    scheduling: AtomicU32,
    run_time: RunTime,
    /// Its virtual time (see [`Ready`](crate::thread::ready::Ready)) at the last look. Written by its home, with the queue's lock
    /// or while it runs there.
    virtual_ns: AtomicU64,
    /// Up to when its virtual time is counted.
    counted_ns: AtomicU64,
    /// How often it was switched away from: because it slept, and because others had their turn.
    switches: [AtomicU64; 2],
    own: UnsafeCell<Own>,
}

/// What only the thread itself and the CPU that switches from or to it touch.
pub(super) struct Own {
    pub(super) stack_pointer: u64,
    pub(super) stack: Option<Stack>,
    pub(super) space: Option<Arc<PageTable>>,
    entry: Option<Entry>,
}

// SAFETY: `own` is only accessed by the CPU that runs the thread or is about to; `on_cpu` and the queue's lock pass it on.
unsafe impl Sync for Inner {}
// SAFETY: all parts may be dropped on any CPU.
unsafe impl Send for Inner {}

/// How long a thread ran: while it does not run, twice the time; while it runs, twice what to add to the clock, plus 1. So one
/// load says it all, and what others read never goes back.
pub(super) struct RunTime(AtomicU64);

impl RunTime {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(super) fn is_running(&self) -> bool {
        self.0.load(Ordering::Relaxed) & 1 != 0
    }

    pub(super) fn get(&self) -> u64 {
        let mut value = self.0.load(Ordering::Acquire);
        loop {
            if value & 1 == 0 {
                return value >> 1;
            }
            let clock = time::monotonic_ns();
            // If it has stopped before we looked at the clock, that is not how long it ran.
            match self.0.load(Ordering::Acquire) {
                // 63 bits.
                same if same == value => return clock.wrapping_add(value >> 1) << 1 >> 1,
                other => value = other,
            }
        }
    }

    pub(super) fn start(&self, now: u64) {
        let ran = self.0.load(Ordering::Relaxed) >> 1;
        self.0.store(ran.wrapping_sub(now) << 1 | 1, Ordering::Release);
    }

    pub(super) fn stop(&self, now: u64) {
        let offset = self.0.load(Ordering::Relaxed) >> 1;
        self.0.store(offset.wrapping_add(now) << 1, Ordering::Release);
    }
}

impl Inner {
    fn new(name: &str, stack_pointer: u64, stack: Option<Stack>, entry: Option<Entry>) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            is_idle: false,
            sleep: SpinLock::with_level(level::THREAD, Sleep::new()),
            home: AtomicUsize::new(cpu::current()),
            on_cpu: AtomicBool::new(false),
            affinity: AtomicU64::new(CpuSet::ALL.bits()),
            scheduling: AtomicU32::new(Scheduling::default().pack()),
            run_time: RunTime::new(),
            virtual_ns: AtomicU64::new(0),
            counted_ns: AtomicU64::new(0),
            switches: [const { AtomicU64::new(0) }; 2],
            own: UnsafeCell::new(Own { stack_pointer, stack, space: None, entry }),
        }
    }

    /// The thread that a CPU runs when it has nothing else; it has its stack already.
    pub(super) fn idle() -> Handle {
        Arc::new(Self { is_idle: true, ..Self::new("idle", 0, None, None) })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.is_idle
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn home(&self) -> usize {
        self.home.load(Ordering::Acquire)
    }

    pub(super) fn set_home(&self, cpu: usize) {
        self.home.store(cpu, Ordering::Release);
    }

    pub(super) fn is_on_cpu(&self) -> bool {
        self.on_cpu.load(Ordering::Acquire)
    }

    pub(super) fn affinity(&self) -> u64 {
        self.affinity.load(Ordering::SeqCst)
    }

    pub(super) fn scheduling(&self) -> Scheduling {
        Scheduling::unpack(self.scheduling.load(Ordering::Relaxed))
    }

    pub(super) fn virtual_ns(&self) -> u64 {
        self.virtual_ns.load(Ordering::Relaxed)
    }

    pub(super) fn set_virtual_ns(&self, virtual_ns: u64) {
        self.virtual_ns.store(virtual_ns, Ordering::Relaxed);
    }

    /// A CPU begins to run it.
    pub(super) fn begin(&self, now: u64) {
        self.set_home(cpu::current());
        // Who interrupts a thread looks here after it has left its message; who runs it looks for messages after this.
        self.on_cpu.swap(true, Ordering::SeqCst);
        self.counted_ns.store(now, Ordering::Relaxed);
        self.run_time.start(now);
    }

    /// The CPU leaves it, but is on its stack still. `slept` says that it does so of its own accord.
    pub(super) fn pause(&self, now: u64, slept: bool) {
        self.count(now);
        self.run_time.stop(now);
        self.switches[usize::from(!slept)].fetch_add(1, Ordering::Relaxed);
    }

    /// Its stack is free.
    pub(super) fn end_pause(&self) {
        self.on_cpu.store(false, Ordering::Release);
    }

    /// Brings its virtual time up to date. Only on the CPU that runs it.
    pub(super) fn count(&self, now: u64) {
        let ran = now.saturating_sub(self.counted_ns.swap(now, Ordering::Relaxed));
        let slowed = match self.scheduling().weight() {
            crate::thread::NORMAL_WEIGHT => ran,
            weight => ran.saturating_mul(crate::thread::NORMAL_WEIGHT) / weight,
        };
        self.virtual_ns.fetch_add(slowed, Ordering::Relaxed);
    }

    pub(super) fn own(&self) -> *mut Own {
        self.own.get()
    }
}

pub(crate) fn current() -> Handle {
    sched::with_current(Arc::clone)
}

pub(crate) fn spawn(name: &str, attributes: Attributes, f: Entry) -> Result<Handle, OutOfMemory> {
    let stack = Stack::new()?;
    // SAFETY: the stack is new.
    let stack_pointer = unsafe { prepare(stack.top(), thread_entry) };
    let thread = Arc::new(Inner::new(name, stack_pointer, Some(stack), Some(f)));
    thread.affinity.store(attributes.affinity.bits(), Ordering::Relaxed);
    thread.scheduling.store(attributes.scheduling.pack(), Ordering::Relaxed);
    thread.set_virtual_ns(sched::with_current(|me| me.virtual_ns()));
    sched::make_ready(thread.clone());
    Ok(thread)
}

/// Where a new thread begins.
extern "sysv64" fn thread_entry() -> ! {
    sched::finish_switch();
    // SAFETY: this is the thread itself.
    let entry = sched::with_current(|me| unsafe { (*me.own()).entry.take() });
    if let Some(entry) = entry {
        entry();
    }
    level::assert_none_held("ending a thread");
    address_space::leave();
    sched::end_thread()
}

pub(crate) fn park(token: Token, deadline_ns: Option<u64>) -> bool {
    let me = current();
    if me.is_idle() {
        return park_idle(&me, token, deadline_ns);
    }
    loop {
        if me.sleep.lock().take_or_sleep(token) {
            return true;
        }
        let Some(deadline_ns) = deadline_ns else {
            sched::sleep();
            continue;
        };
        let now = time::monotonic_ns();
        if now >= deadline_ns {
            let mut sleep = me.sleep.lock();
            if sleep.time_out() {
                return sleep.take(token);
            }
            drop(sleep);
            // Somebody has woken us meanwhile and put us into the queue: go through it.
            sched::sleep();
        } else {
            // The timer may find this entry when a later sleep has begun: that one then looks at its own deadline.
            let timers: &Cpu = here();
            timers.add_sleeper(deadline_ns, &me);
            sched::sleep();
            timers.remove_sleeper(deadline_ns, &me);
        }
        if me.sleep.lock().take(token) {
            return true;
        }
        if time::monotonic_ns() >= deadline_ns {
            return false;
        }
    }
}

/// How the boot code waits before there are threads: it halts.
fn park_idle(me: &Handle, token: Token, deadline_ns: Option<u64>) -> bool {
    loop {
        if me.sleep.lock().take(token) {
            return true;
        }
        if let Some(deadline_ns) = deadline_ns {
            if time::monotonic_ns() >= deadline_ns {
                return false;
            }
            apic::timer_arm(deadline_ns);
        }
        irq::wait_for_interrupt();
    }
}

pub(crate) fn unpark(thread: &Handle, token: Token) {
    let woken = thread.sleep.lock().give(token);
    if woken {
        sched::make_ready(thread.clone());
    }
}

/// A sleeper's time has come.
pub(super) fn time_out(thread: Handle) {
    let woken = thread.sleep.lock().time_out();
    if woken {
        sched::make_ready(thread);
    }
}

pub(crate) fn interrupt(thread: &Handle) {
    unpark(thread, Token::PUBLIC);
    // Against the swap in `begin`: either it sees what the caller has left for it, or we see that it runs.
    fence(Ordering::SeqCst);
    if thread.is_on_cpu() {
        let home = thread.home();
        if home != cpu::current() {
            sched::kick(home);
        }
    }
}

pub(crate) fn yield_now() {
    sched::yield_to_others();
}

pub(crate) fn reschedule() {
    sched::reschedule();
}

pub(crate) fn should_yield() -> bool {
    sched::should_yield()
}

pub(crate) fn cpu_time_ns(thread: &Handle) -> u64 {
    thread.run_time.get()
}

pub(crate) fn switches(thread: &Handle) -> [u64; 2] {
    thread.switches.each_ref().map(|count| count.load(Ordering::Relaxed))
}

#[inline]
pub(crate) fn interruption_mark() -> u64 {
    percpu::current().mark.load(Ordering::Relaxed)
}

pub(crate) fn is_told_to_yield() -> bool {
    sched::is_told_to_yield()
}

pub(crate) fn is_asleep(thread: &Handle) -> bool {
    thread.sleep.lock().is_asleep()
}

pub(crate) fn cpu_of(thread: &Handle) -> usize {
    thread.home()
}

pub(crate) fn set_affinity(thread: &Handle, cpus: CpuSet) {
    thread.affinity.store(cpus.bits(), Ordering::SeqCst);
    sched::placement_changed(thread);
}

pub(crate) fn set_scheduling(thread: &Handle, scheduling: Scheduling) {
    sched::change_rank(thread, || {
        if thread.scheduling().realtime_priority().is_some() {
            // What it ran meanwhile does not count.
            thread.set_virtual_ns(cpu_at(thread.home()).virtual_now());
        }
        thread.scheduling.store(scheduling.pack(), Ordering::Relaxed);
    });
}

pub(crate) fn start(main: Entry) -> ! {
    irq::set_timer_callback(sched::timer_interrupt);
    spawn("main", Attributes::default(), main).expect("no memory for the first thread");
    sched::idle_loop()
}
