//! The scheduler: per CPU, a queue of threads that can run and the deadlines of those that sleep.
//!
//! Who wakes a thread chooses its CPU: the one it ran on if that is idle, else an idle one, else its old one. A CPU that has
//! nothing to run takes a thread from the longest queue of the others, and halts only when there is none. A CPU that
//! others fall behind passes a thread on now and then.
//!
//! There is no periodic tick. The timer is set for the next deadline, or for the end of the running thread's slice if
//! others wait for the CPU. It may be set earlier than needed, never later.
//!
//! Between a CPU about to halt and one that queues a thread: the first announces itself in [`IDLE`] and then looks at the queues, the
//! second fills a queue and then looks at [`IDLE`]. At least one sees the other.

use super::address_space::Spaces;
use super::switch::switch_stacks;
use super::thread::{Handle, Inner, RunTime, time_out};
use super::{apic, cpu, fpu, irq, time, tlb};
use crate::sync::{SpinLock, level};
use crate::thread::deadlines::Deadlines;
use crate::thread::load::Load;
use crate::thread::ready::{End, Rank, Ready};
use crate::thread::{MAX_CPUS, Scheduling, bits};
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use x86_64::instructions::interrupts;

/// How long a thread runs while others wait.
const SLICE_NS: u64 = 4_000_000;
/// The same for real-time threads that take turns (SCHED_RR), as sched_rr_get_interval(2) says.
const ROUND_ROBIN_NS: u64 = 100_000_000;
/// How far behind the others a thread comes in that slept.
const SLEEP_CREDIT_NS: u64 = 3_000_000;
/// How far behind the running thread one that wakes has to be to take the CPU before the slice ends.
const WAKE_LEAD_NS: u64 = 1_000_000;
/// After so many slices that ended with others waiting, the load of the CPUs is compared.
const SLICES_TO_BALANCE: u32 = 8;
/// Of each so many nanoseconds, ...
const REALTIME_PERIOD_NS: u64 = 1_000_000_000;
/// ... real-time threads get this many while others wait, so that one that never sleeps does not stop the machine
/// (sched(7), `/proc/sys/kernel/sched_rt_runtime_us`).
const REALTIME_BUDGET_NS: u64 = 950_000_000;

struct Queue {
    ready: Ready<Handle>,
    sleepers: Deadlines<Handle>,
}

/// What becomes of a thread when a CPU leaves it.
enum Left {
    /// It sleeps, or is in the queue already.
    Behind,
    /// It can run, but elsewhere: it is queued once its stack is free.
    Moving,
    Ended,
}

/// What only the CPU itself touches.
pub(super) struct Local {
    current: RefCell<Option<Handle>>,
    /// Runs when nobody else does.
    idle: RefCell<Option<Handle>>,
    /// Who was left in the switch under way.
    left: Cell<Option<(Handle, Left)>>,
    pub(super) spaces: Spaces,
    slice_end_ns: Cell<u64>,
    timer_ns: Cell<u64>,
    /// Slices that ended with others waiting.
    slices: Cell<u32>,
    /// When the current period of real-time threads began, and how long they ran in it.
    realtime: Cell<(u64, u64)>,
}

pub(super) struct Cpu {
    queue: SpinLock<Queue>,
    /// Length of the queue, to look at without its lock.
    ready: AtomicUsize,
    /// The first of the deadlines, likewise.
    first_deadline: AtomicU64,
    virtual_now: AtomicU64,
    /// Another CPU has queued a thread here that should not wait for the end of the slice.
    reschedule: AtomicBool,
    /// How long its idle thread ran.
    idle_time: RunTime,
    /// How often it went from one thread to another.
    switches: AtomicU64,
    pub(super) local: Local,
}

// SAFETY: `local` is only touched by the CPU it belongs to (see `here`); the rest is made for sharing.
unsafe impl Sync for Cpu {}

static CPUS: [Cpu; MAX_CPUS] = [const { Cpu::new() }; MAX_CPUS];

/// CPUs that halt, or are about to, and that nobody has woken yet.
static IDLE: AtomicU64 = AtomicU64::new(0);

static LOAD: Load = Load::new();

/// CPUs that schedule threads.
static ONLINE: AtomicU64 = AtomicU64::new(0);

/// This CPU. Kernel code is not pre-empted, so it stays so until the thread sleeps.
pub(super) fn here() -> &'static Cpu {
    &CPUS[cpu::current()]
}

pub(super) fn cpu_at(number: usize) -> &'static Cpu {
    &CPUS[number]
}

/// Uses the thread that runs on this CPU.
pub(super) fn with_current<R>(f: impl FnOnce(&Handle) -> R) -> R {
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

pub(super) fn is_idle(thread: &Handle) -> bool {
    here().local.idle.borrow().as_ref().is_some_and(|idle| Arc::ptr_eq(idle, thread))
}

fn runs_idle() -> bool {
    let local = &here().local;
    match (&*local.current.borrow(), &*local.idle.borrow()) {
        (Some(current), Some(idle)) => Arc::ptr_eq(current, idle),
        _ => true,
    }
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
    fn with_queue<R>(&self, f: impl FnOnce(&mut Queue) -> R) -> R {
        let mut queue = self.queue.lock();
        let result = f(&mut queue);
        self.ready.store(queue.ready.len(), Ordering::SeqCst);
        self.virtual_now.store(queue.ready.now(), Ordering::Relaxed);
        result
    }

    /// The virtual time on this CPU.
    pub(super) fn virtual_now(&self) -> u64 {
        self.virtual_now.load(Ordering::Relaxed)
    }

    fn number(&self) -> usize {
        (core::ptr::from_ref(self).addr() - CPUS.as_ptr().addr()) / size_of::<Self>()
    }

    fn bit(&self) -> u64 {
        1 << self.number()
    }

    /// Adds a thread, whose home is this CPU. Gives its rank.
    fn enqueue(&self, thread: Handle, slept: bool, end: End) -> Rank {
        self.with_queue(|queue| {
            let rank = match thread.scheduling() {
                Scheduling::Realtime { priority, .. } => Rank::realtime(priority),
                _ => {
                    let mut virtual_ns = thread.virtual_ns();
                    if slept {
                        virtual_ns = queue.ready.after_sleep(virtual_ns, SLEEP_CREDIT_NS);
                        thread.set_virtual_ns(virtual_ns);
                    }
                    Rank::Fair(virtual_ns)
                }
            };
            queue.ready.push(rank, end, thread);
            rank
        })
    }

    fn dequeue(&self, now: u64) -> Option<Handle> {
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
    fn realtime_used_up(&self, now: u64) -> bool {
        let (start, used) = self.local.realtime.get();
        now.saturating_sub(start) < REALTIME_PERIOD_NS && used >= REALTIME_BUDGET_NS
    }

    /// Notes that a real-time thread ran until `now`.
    fn count_realtime(&self, ran: u64, now: u64) {
        let (start, used) = self.local.realtime.get();
        let fresh = now.saturating_sub(start) >= REALTIME_PERIOD_NS;
        self.local.realtime.set(if fresh { (now, ran) } else { (start, used + ran) });
    }

    fn has_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst) != 0
    }

    /// Threads that run or can run here.
    fn load(&self) -> usize {
        let halted = IDLE.load(Ordering::Relaxed) & self.bit() != 0;
        self.ready.load(Ordering::Relaxed) + usize::from(!halted)
    }

    /// Wakes the thread at a time unless it is taken out before.
    pub(super) fn add_sleeper(&self, deadline_ns: u64, thread: &Handle) {
        let mut queue = self.queue.lock();
        queue.sleepers.insert(deadline_ns, thread.id(), thread.clone());
        self.first_deadline.store(queue.sleepers.next().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The thread does not wait for the time any more.
    pub(super) fn remove_sleeper(&self, deadline_ns: u64, thread: &Handle) {
        let mut queue = self.queue.lock();
        let removed = queue.sleepers.remove(deadline_ns, thread.id());
        self.first_deadline.store(queue.sleepers.next().unwrap_or(u64::MAX), Ordering::Relaxed);
        drop(queue);
        drop(removed);
    }

    /// Wakes sleepers whose time has come.
    fn expire(&self, now: u64) {
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
    fn set_timer(&self, now: u64) {
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
    fn prefers(&self, rank: Rank, running: &Inner, slice_over: bool) -> bool {
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

/// Puts a thread that can run, and is in no queue, into that of a CPU, and sees to it that it gets its turn.
pub(super) fn make_ready(thread: Handle) {
    let target = choose_cpu(&thread);
    if target != thread.home() {
        move_to(&thread, target);
    }
    queue_on(cpu_at(target), thread, true);
}

fn queue_on(target: &Cpu, thread: Handle, slept: bool) {
    let movable = !thread.is_on_cpu();
    let batch = matches!(thread.scheduling(), Scheduling::Fair { batch: true, .. } | Scheduling::Idle);
    let affinity = thread.affinity();
    let had_others = target.has_ready();
    let rank = target.enqueue(thread, slept, End::Back);
    if core::ptr::eq(target, here()) {
        if runs_idle() {
            return;
        }
        preempt_here(target, rank, batch);
    } else if IDLE.fetch_and(!target.bit(), Ordering::SeqCst) & target.bit() != 0 {
        apic::send(target.number(), irq::RESCHEDULE);
        return;
    } else {
        // It looks who should run, and sets its timer if nobody had waited there.
        let urgent = !batch && !target.reschedule.swap(true, Ordering::SeqCst);
        if urgent || !had_others {
            apic::send(target.number(), irq::RESCHEDULE);
        }
    }
    if movable {
        // One that went idle meanwhile can have it.
        wake_idle(affinity & !target.bit());
    }
}

/// A thread was queued on this CPU: it may take the CPU from the one that runs.
fn preempt_here(cpu: &Cpu, rank: Rank, batch: bool) {
    let now = time::monotonic_ns();
    with_current(|running| {
        running.count(now);
        let ahead = match rank {
            Rank::Fair(virtual_ns) => !batch && virtual_ns + WAKE_LEAD_NS < running.virtual_ns(),
            Rank::Realtime(_) => false,
        };
        if cpu.prefers(rank, running, ahead) {
            cpu.reschedule.store(true, Ordering::Relaxed);
        }
    });
    cpu.set_timer(now);
}

/// Lets one idle CPU of a set look for work.
fn wake_idle(affinity: u64) {
    for candidate in bits(IDLE.load(Ordering::SeqCst) & affinity) {
        let bit = 1 << candidate;
        if IDLE.fetch_and(!bit, Ordering::SeqCst) & bit != 0 {
            if candidate == cpu::current() {
                // Its own idle loop, in an interrupt: it looks again anyway.
                continue;
            }
            apic::send(candidate, irq::RESCHEDULE);
            return;
        }
    }
}

/// The CPU for a thread that wakes.
fn choose_cpu(thread: &Inner) -> usize {
    let home = thread.home();
    if thread.is_on_cpu() {
        return home;
    }
    let online = ONLINE.load(Ordering::Relaxed);
    let allowed = match thread.affinity() & online {
        0 => online,
        allowed => allowed,
    };
    let idle = IDLE.load(Ordering::SeqCst) & allowed;
    let own = cpu::current();
    // An interrupt has woken this CPU anyway; another would have to be woken.
    if allowed & 1 << own != 0 && runs_idle() && !here().has_ready() {
        return own;
    }
    if idle & 1 << home != 0 {
        return home;
    }
    if idle != 0 {
        return idle.trailing_zeros() as usize;
    }
    let load = |number: usize| cpu_at(number).load();
    let least = bits(allowed).min_by_key(|number| load(*number)).unwrap_or(own);
    if allowed & 1 << home != 0 && load(home) <= load(least) + 1 { home } else { least }
}

/// Asks a CPU to look at its queue and at what its thread has been told.
pub(super) fn kick(number: usize) {
    apic::send(number, irq::RESCHEDULE);
}

/// Another CPU has sent [`irq::RESCHEDULE`]. Who runs here looks at [`should_yield`] on its way back to user mode.
pub(super) fn reschedule_interrupt() {
    let cpu = here();
    if !runs_idle() {
        cpu.set_timer(time::monotonic_ns());
    }
}

/// The thread that runs here counts as interrupted (see [`own_switches`](crate::thread::own_switches)).
pub(super) fn disturb() {
    with_current(|me| me.disturb());
}

pub(super) fn timer_interrupt() {
    let cpu = here();
    cpu.local.timer_ns.set(u64::MAX);
    let now = time::monotonic_ns();
    cpu.expire(now);
    cpu.set_timer(now);
}

pub(super) fn should_yield() -> bool {
    let cpu = here();
    let told = cpu.reschedule.load(Ordering::Relaxed);
    if !told && !cpu.has_ready() {
        return false;
    }
    let now = time::monotonic_ns();
    let Some(rank) = cpu.queue.lock().ready.next_rank() else {
        // Nobody waits any more; the mark may still mean that this thread should go elsewhere.
        return told;
    };
    with_current(|running| {
        let slice_over = told || now >= cpu.local.slice_end_ns.get();
        let throttled = running.scheduling().realtime_priority().is_some() && {
            running_realtime(cpu, running, now);
            cpu.realtime_used_up(now)
        };
        throttled || told || cpu.prefers(rank, running, slice_over)
    })
}

/// Counts what a real-time thread has used since the last look.
fn running_realtime(cpu: &Cpu, running: &Inner, now: u64) {
    let before = running.virtual_ns();
    running.count(now);
    cpu.count_realtime(running.virtual_ns() - before, now);
}

/// Lets others run: sched_yield(2).
pub(super) fn yield_to_others() {
    interrupt_window();
    let cpu = here();
    let now = time::monotonic_ns();
    if !cpu.has_ready() {
        cpu.local.slice_end_ns.set(now + SLICE_NS);
        return;
    }
    let me = with_current(Arc::clone);
    me.count(now);
    if let Some(Rank::Fair(first)) = cpu.queue.lock().ready.next_rank() {
        // Behind the one that is next.
        me.set_virtual_ns(me.virtual_ns().max(first + 1));
    }
    go_behind(cpu, me, now, End::Back);
}

/// The running thread has used up its slice, is to be pre-empted, or may not run on this CPU any more.
pub(super) fn reschedule() {
    let cpu = here();
    cpu.reschedule.store(false, Ordering::Relaxed);
    let now = time::monotonic_ns();
    let me = with_current(Arc::clone);
    me.count(now);
    let allowed = me.affinity() & ONLINE.load(Ordering::Relaxed);
    if allowed != 0 && allowed & cpu.bit() == 0 {
        switch(Left::Moving, now, false);
        return;
    }
    if !cpu.has_ready() {
        return;
    }
    let slice_over = now >= cpu.local.slice_end_ns.get();
    let round = cpu.local.slices.get() + u32::from(slice_over);
    cpu.local.slices.set(round);
    if slice_over && round.is_multiple_of(SLICES_TO_BALANCE) && me.scheduling().realtime_priority().is_none()
    {
        let others = allowed & !cpu.bit();
        if bits(others).any(|number| cpu_at(number).load() < cpu.load()) {
            switch(Left::Moving, now, false);
            return;
        }
    }
    let end = match me.scheduling() {
        Scheduling::Realtime { round_robin, .. } if !(round_robin && slice_over) => End::Front,
        _ => End::Back,
    };
    // More than one CPU should have for itself.
    wake_idle(ONLINE.load(Ordering::Relaxed) & !cpu.bit());
    go_behind(cpu, me, now, end);
}

fn go_behind(cpu: &Cpu, me: Handle, now: u64, end: End) {
    cpu.enqueue(me, false, end);
    switch(Left::Behind, now, false);
}

/// Leaves the CPU: the running thread sleeps, unless it is in the queue again already.
pub(super) fn sleep() {
    switch(Left::Behind, time::monotonic_ns(), true);
}

/// Leaves the running thread for good.
pub(super) fn end_thread() -> ! {
    switch(Left::Ended, time::monotonic_ns(), true);
    unreachable!("a thread that ended runs again");
}

/// What a CPU does that has no thread to run.
pub(super) fn idle_loop() -> ! {
    // Makes the idle thread, if nobody has asked for it yet.
    with_current(|_| ());
    let cpu = here();
    ONLINE.fetch_or(cpu.bit(), Ordering::SeqCst);
    cpu.idle_time.start(time::monotonic_ns());
    loop {
        // Comes back when there is nothing to run.
        switch(Left::Behind, time::monotonic_ns(), true);
        IDLE.fetch_or(cpu.bit(), Ordering::SeqCst);
        if cpu.has_ready() || others_wait(cpu) {
            IDLE.fetch_and(!cpu.bit(), Ordering::SeqCst);
            continue;
        }
        tlb::rest();
        irq::wait_for_interrupt();
        tlb::resume();
        IDLE.fetch_and(!cpu.bit(), Ordering::SeqCst);
    }
}

/// Whether a thread is queued elsewhere that this CPU may run.
fn others_wait(cpu: &Cpu) -> bool {
    let others = ONLINE.load(Ordering::Relaxed) & !cpu.bit();
    bits(others).any(|number| cpu_at(number).has_ready() && may_take(cpu_at(number), cpu))
}

fn may_take(from: &Cpu, to: &Cpu) -> bool {
    let bit = to.bit();
    from.queue.lock().ready.any(|thread| thread.affinity() & bit != 0 && !thread.is_on_cpu())
}

/// Takes a thread that waits elsewhere, from the longest queue first.
fn steal(cpu: &Cpu) -> Option<Handle> {
    let mut others = ONLINE.load(Ordering::Relaxed) & !cpu.bit();
    let bit = cpu.bit();
    loop {
        let number = bits(others)
            .filter(|number| cpu_at(*number).has_ready())
            .max_by_key(|number| cpu_at(*number).ready.load(Ordering::Relaxed))?;
        let taken = cpu_at(number).with_queue(|queue| {
            queue.ready.take_first(|_, thread| thread.affinity() & bit != 0 && !thread.is_on_cpu())
        });
        if let Some((_, thread)) = taken {
            move_to(&thread, cpu.number());
            return Some(thread);
        }
        // All that wait there have to stay.
        others &= !(1 << number);
    }
}

/// Changes the home of a thread that is in no queue and on no CPU. Its virtual time is relative to that of its CPU.
fn move_to(thread: &Inner, target: usize) {
    let lag = cpu_at(target).virtual_now().wrapping_sub(cpu_at(thread.home()).virtual_now());
    let moved = (thread.virtual_ns().wrapping_add(lag) as i64).max(0) as u64;
    thread.set_virtual_ns(moved);
    thread.set_home(target);
}

/// A thread may run on other CPUs than before: if it is where it must not be, it goes on elsewhere.
pub(super) fn placement_changed(thread: &Handle) {
    let home = thread.home();
    if thread.affinity() & 1 << home != 0 {
        return;
    }
    let is_me = with_current(|me| Arc::ptr_eq(me, thread));
    if is_me {
        reschedule();
        return;
    }
    let queued =
        cpu_at(home).with_queue(|queue| queue.ready.take_first(|_, other| Arc::ptr_eq(other, thread)));
    if let Some((_, thread)) = queued {
        if thread.is_on_cpu() {
            // On its way out there: it will be moved when it has its turn.
            cpu_at(home).enqueue(thread, false, End::Back);
        } else {
            make_ready(thread);
            return;
        }
    }
    // As on Linux, it has left when this returns. The other may want to move this thread at the same time, which goes then.
    let mut rounds = 0u32;
    while thread.is_on_cpu() {
        let home = thread.home();
        let allowed = thread.affinity() & ONLINE.load(Ordering::Relaxed);
        if allowed == 0 || allowed & 1 << home != 0 {
            return;
        }
        // Again and again: it may yield just then, which forgets that it was told.
        if rounds.is_multiple_of(1024) {
            cpu_at(home).reschedule.store(true, Ordering::SeqCst);
            kick(home);
        }
        rounds = rounds.wrapping_add(1);
        cpu::relax();
        if should_yield() {
            reschedule();
        }
    }
}

/// Changes what a thread's rank depends on; if it is in a queue, it is entered there anew.
pub(super) fn change_rank(thread: &Handle, change: impl FnOnce()) {
    let home = cpu_at(thread.home());
    let queued = home.with_queue(|queue| queue.ready.take_first(|_, other| Arc::ptr_eq(other, thread)));
    change();
    match queued {
        Some((_, queued)) => queue_on(home, queued, true),
        None if thread.is_on_cpu() => {
            home.reschedule.store(true, Ordering::SeqCst);
            if !core::ptr::eq(home, here()) {
                kick(home.number());
            }
        }
        None => {}
    }
}

/// Lets interrupts in that are pending, for a thread of the kernel that never goes to user mode.
fn interrupt_window() {
    // Whoever yields holds no lock that an interrupt handler needs.
    interrupts::enable();
    interrupts::disable();
}

/// Goes on with the next thread that can run, or with the idle thread.
fn switch(left: Left, now: u64, slept: bool) {
    let cpu = here();
    let local = &cpu.local;
    LOAD.update(now, running);
    cpu.expire(now);
    cpu.reschedule.store(false, Ordering::Relaxed);
    let me = with_current(Arc::clone);
    let next = next_thread(cpu, now);
    let slice = match next.scheduling() {
        Scheduling::Realtime { .. } => ROUND_ROBIN_NS,
        _ => SLICE_NS,
    };
    local.slice_end_ns.set(now + slice);
    cpu.set_timer(now);
    if Arc::ptr_eq(&me, &next) {
        return;
    }
    if me.scheduling().realtime_priority().is_some() {
        running_realtime(cpu, &me, now);
    }
    me.pause(now, slept);
    next.begin(now);
    if next.affinity() & cpu.bit() == 0 {
        // Changed since it was chosen, perhaps: its way to user mode leads through `reschedule`.
        cpu.reschedule.store(true, Ordering::Relaxed);
    }
    cpu.switches.store(cpu.switches.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    if is_idle(&next) {
        cpu.idle_time.start(now);
    } else if is_idle(&me) && cpu.idle_time.is_running() {
        cpu.idle_time.stop(now);
    }
    fpu::save_before_switch();
    let next_own = next.own();
    // SAFETY: the next thread came off a queue (or is this CPU's idle thread) and its stack is free, so nobody else has it.
    let (stack_pointer, space) = unsafe { ((*next_own).stack_pointer, (*next_own).space.as_ref()) };
    local.spaces.switch_to(space);
    let my_own = me.own();
    *local.current.borrow_mut() = Some(next);
    local.left.set(Some((me, left)));
    // SAFETY: `left` keeps this thread's structure until the switch is finished, on the other side, and after
    // that the queue, or who will wake it, does. The next thread's stack pointer was stored by a switch or by `prepare`.
    unsafe { switch_stacks(&raw mut (*my_own).stack_pointer, stack_pointer) };
    finish_switch();
}

/// The next thread for this CPU.
fn next_thread(cpu: &Cpu, now: u64) -> Handle {
    loop {
        let Some(next) = cpu.dequeue(now).or_else(|| steal(cpu)) else {
            let idle = cpu.local.idle.borrow().clone();
            return idle.expect("every CPU makes its idle thread before it switches");
        };
        let allowed = next.affinity() & ONLINE.load(Ordering::Relaxed);
        if allowed == 0 || allowed & cpu.bit() != 0 || next.is_on_cpu() {
            return next;
        }
        make_ready(next);
    }
}

/// On the new stack: lets go of the thread that was left.
pub(super) fn finish_switch() {
    let Some((thread, left)) = here().local.left.take() else { return };
    match left {
        Left::Behind => thread.end_pause(),
        Left::Moving => {
            thread.end_pause();
            let others = thread.affinity() & ONLINE.load(Ordering::Relaxed) & !here().bit();
            match bits(others).min_by_key(|number| cpu_at(*number).load()) {
                Some(target) => {
                    move_to(&thread, target);
                    queue_on(cpu_at(target), thread, false);
                }
                None => make_ready(thread),
            }
        }
        Left::Ended => {
            // SAFETY: it has ended and will never be in a queue again, so this CPU is the last to touch it.
            let stack = unsafe { (*thread.own()).stack.take() };
            thread.end_pause();
            if let Some(stack) = stack {
                // SAFETY: as it has ended, nobody runs on its stack.
                unsafe { stack.free() };
            }
        }
    }
}

/// How long a CPU has had nothing to do since boot.
pub(crate) fn idle_ns(number: usize) -> u64 {
    CPUS.get(number).map_or(0, |cpu| cpu.idle_time.get())
}

/// Switches of all CPUs since boot.
pub(crate) fn switches() -> u64 {
    CPUS.iter().map(|cpu| cpu.switches.load(Ordering::Relaxed)).sum()
}

/// Threads that run or can run.
pub(crate) fn running() -> usize {
    let online = ONLINE.load(Ordering::Relaxed);
    let busy = bits(online).filter(|number| !cpu_at(*number).idle_time.is_running()).count();
    busy + bits(online).map(|number| cpu_at(number).ready.load(Ordering::Relaxed)).sum::<usize>()
}

/// How many threads ran or could run, on average.
pub(crate) fn load_averages() -> [u64; 3] {
    LOAD.update(time::monotonic_ns(), running);
    LOAD.averages()
}
