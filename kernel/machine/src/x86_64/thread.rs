//! The scheduler: per CPU, a queue of threads that can run and the deadlines of those that sleep.
//!
//! A thread belongs to the CPU on which it ran last: whoever wakes it puts it into that CPU's queue. So a thread
//! that is woken while it is still on its way off its stack cannot be started elsewhere.
//!
//! There is no periodic tick. The timer is set for the next deadline, or for the end of the running thread's slice if
//! others wait for the CPU. It may be set earlier than needed, never later.

use super::stack::Stack;
use super::switch::{prepare, switch_stacks};
use super::tlb::MAX_CPUS;
use super::{apic, cpu, fpu, irq, kernel_map, time};
use crate::frame::OutOfMemory;
use crate::paging::PageTable;
use crate::sync::{SpinLock, level};
use crate::thread::deadlines::Deadlines;
use crate::thread::ready::Ready;
use crate::thread::token::{Sleep, Token};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::cell::{Cell, RefCell, UnsafeCell};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use x86_64::instructions::interrupts;

/// How long a thread runs while others wait.
const SLICE_NS: u64 = 4_000_000;
/// How far behind the others a thread comes in that slept.
const SLEEP_CREDIT_NS: u64 = 3_000_000;
/// How far behind the running thread one that wakes has to be to take the CPU before the slice ends.
const WAKE_LEAD_NS: u64 = 1_000_000;

/// What a thread runs.
type Entry = Box<dyn FnOnce() + Send>;
pub(crate) type Handle = Arc<Inner>;

/// One thread.
pub(crate) struct Inner {
    id: u64,
    name: String,
    sleep: SpinLock<Sleep>,
    /// The CPU it belongs to.
    home: AtomicUsize,
    /// How long it ran, up to the last switch away from it.
    ran_ns: AtomicU64,
    /// Its virtual time (see [`Ready`]) at the last look.
    virtual_ns: AtomicU64,
    /// When it was switched to, or last looked at; 0 while it does not run.
    since_ns: AtomicU64,
    own: UnsafeCell<Own>,
}

/// What only the thread itself and the CPU that switches from or to it touch.
struct Own {
    stack_pointer: u64,
    stack: Option<Stack>,
    space: Option<Arc<PageTable>>,
    entry: Option<Entry>,
}

// SAFETY: `own` is only accessed by the CPU that runs the thread or is about to; the queue's lock passes it on.
unsafe impl Sync for Inner {}
// SAFETY: all parts may be dropped on any CPU.
unsafe impl Send for Inner {}

impl Inner {
    fn new(name: &str, stack_pointer: u64, stack: Option<Stack>, entry: Option<Entry>) -> Handle {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            sleep: SpinLock::with_level(level::THREAD, Sleep::new()),
            home: AtomicUsize::new(cpu::current()),
            ran_ns: AtomicU64::new(0),
            virtual_ns: AtomicU64::new(0),
            since_ns: AtomicU64::new(0),
            own: UnsafeCell::new(Own { stack_pointer, stack, space: None, entry }),
        })
    }

    /// Notes how long it has run, up to now. Only for the thread that runs on this CPU.
    fn account(&self, now: u64) {
        let since = self.since_ns.swap(now, Ordering::Relaxed);
        if since != 0 {
            let ran = now.saturating_sub(since);
            self.ran_ns.fetch_add(ran, Ordering::Relaxed);
            self.virtual_ns.fetch_add(ran, Ordering::Relaxed);
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

struct Queue {
    ready: Ready<Handle>,
    sleepers: Deadlines<Handle>,
}

/// What only the CPU itself touches.
struct Local {
    current: RefCell<Option<Handle>>,
    /// Runs when nobody else does.
    idle: RefCell<Option<Handle>>,
    /// Who was left in the switch under way, and whether it has ended.
    left: Cell<Option<(Handle, bool)>>,
    /// The address space in CR3; `None` is the kernel's own.
    loaded: Cell<Option<Arc<PageTable>>>,
    /// The current thread's address space.
    space: Cell<*const PageTable>,
    slice_end_ns: Cell<u64>,
    timer_ns: Cell<u64>,
}

struct Cpu {
    queue: SpinLock<Queue>,
    /// Length of the queue, to look at without its lock.
    ready: AtomicUsize,
    local: Local,
}

// SAFETY: `local` is only touched by the CPU it belongs to (see `here`); the rest is made for sharing.
unsafe impl Sync for Cpu {}

static CPUS: [Cpu; MAX_CPUS] = [const { Cpu::new() }; MAX_CPUS];

impl Cpu {
    const fn new() -> Self {
        let queue = Queue { ready: Ready::new(), sleepers: Deadlines::new() };
        Self {
            queue: SpinLock::with_level(level::RUN_QUEUE, queue),
            ready: AtomicUsize::new(0),
            local: Local {
                current: RefCell::new(None),
                idle: RefCell::new(None),
                left: Cell::new(None),
                loaded: Cell::new(None),
                space: Cell::new(core::ptr::null()),
                slice_end_ns: Cell::new(0),
                timer_ns: Cell::new(u64::MAX),
            },
        }
    }

    /// Adds a thread that slept, or that goes on when others had their turn. Gives its virtual time.
    fn enqueue(&self, thread: Handle, slept: bool) -> u64 {
        let mut queue = self.queue.lock();
        let mut virtual_ns = thread.virtual_ns.load(Ordering::Relaxed);
        if slept {
            virtual_ns = queue.ready.after_sleep(virtual_ns, SLEEP_CREDIT_NS);
            thread.virtual_ns.store(virtual_ns, Ordering::Relaxed);
        }
        queue.ready.push(virtual_ns, thread.id, thread);
        self.ready.store(queue.ready.len(), Ordering::Relaxed);
        virtual_ns
    }

    fn dequeue(&self) -> Option<Handle> {
        if self.ready.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut queue = self.queue.lock();
        let thread = queue.ready.pop();
        self.ready.store(queue.ready.len(), Ordering::Relaxed);
        thread
    }

    fn has_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) != 0
    }

    /// Wakes sleepers whose time has come.
    fn expire(&self, now: u64) {
        loop {
            let Some(sleeper) = self.queue.lock().sleepers.pop_expired(now) else { return };
            let woken = sleeper.sleep.lock().time_out();
            if woken {
                make_ready(sleeper);
            }
        }
    }

    /// Sets the timer for what comes next, if it is not set early enough.
    fn set_timer(&self, now: u64) {
        let deadline = self.queue.lock().sleepers.next().unwrap_or(u64::MAX);
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
}

/// This CPU. Kernel code is not pre-empted, so it stays so until the thread sleeps.
fn here() -> &'static Cpu {
    &CPUS[cpu::current()]
}

/// Puts a thread that does not sleep any more into its CPU's queue, and sees to it that it gets its turn.
fn make_ready(thread: Handle) {
    let home = &CPUS[thread.home.load(Ordering::Acquire)];
    // Another CPU would have to be told by an interrupt, once others are started.
    assert!(core::ptr::eq(home, here()), "a thread of another CPU is woken, which cannot be told");
    let virtual_ns = home.enqueue(thread, true);
    let Some(running) = &*home.local.current.borrow() else { return };
    if is_idle(running) {
        return;
    }
    let now = time::monotonic_ns();
    running.account(now);
    if virtual_ns + WAKE_LEAD_NS < running.virtual_ns.load(Ordering::Relaxed) {
        home.local.slice_end_ns.set(now);
    }
    home.set_timer(now);
}

pub(crate) fn current() -> Handle {
    let local = &here().local;
    if let Some(current) = &*local.current.borrow() {
        return current.clone();
    }
    // Before `start`, what runs is what will be the idle thread: it has the boot stack already.
    let idle = Inner::new("idle", 0, None, None);
    *local.idle.borrow_mut() = Some(idle.clone());
    *local.current.borrow_mut() = Some(idle.clone());
    idle
}

pub(crate) fn spawn(name: &str, f: Entry) -> Result<Handle, OutOfMemory> {
    let stack = Stack::new()?;
    // SAFETY: the stack is new.
    let stack_pointer = unsafe { prepare(stack.top(), thread_entry) };
    let thread = Inner::new(name, stack_pointer, Some(stack), Some(f));
    make_ready(thread.clone());
    Ok(thread)
}

/// Where a new thread begins.
extern "sysv64" fn thread_entry() -> ! {
    finish_switch();
    let me = current();
    // SAFETY: this is the thread itself.
    let entry = unsafe { (*me.own.get()).entry.take() };
    drop(me);
    if let Some(entry) = entry {
        entry();
    }
    level::assert_none_held("ending a thread");
    leave_space();
    switch(true);
    unreachable!("a thread that ended runs again");
}

pub(crate) fn park(token: Token, deadline_ns: Option<u64>) -> bool {
    let me = current();
    if is_idle(&me) {
        return park_idle(&me, token, deadline_ns);
    }
    if me.sleep.lock().take_or_sleep(token) {
        return true;
    }
    let home = me.home.load(Ordering::Relaxed);
    if let Some(deadline_ns) = deadline_ns {
        let now = time::monotonic_ns();
        if now >= deadline_ns {
            let mut sleep = me.sleep.lock();
            if sleep.time_out() {
                return sleep.take(token);
            }
            // Somebody has woken us meanwhile and put us into the queue: go through it.
        } else {
            CPUS[home].queue.lock().sleepers.insert(deadline_ns, me.id, me.clone());
        }
    }
    switch(false);
    if let Some(deadline_ns) = deadline_ns {
        drop(CPUS[home].queue.lock().sleepers.remove(deadline_ns, me.id));
    }
    me.sleep.lock().take(token)
}

fn is_idle(thread: &Handle) -> bool {
    here().local.idle.borrow().as_ref().is_some_and(|idle| Arc::ptr_eq(idle, thread))
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
            here().local.timer_ns.set(deadline_ns);
            apic::timer_arm(deadline_ns);
        }
        irq::wait_for_interrupt();
    }
}

pub(crate) fn unpark(thread: &Handle, token: Token) {
    let woken = thread.sleep.lock().give(token);
    if woken {
        make_ready(thread.clone());
    }
}

pub(crate) fn yield_now() {
    interrupt_window();
    let cpu = here();
    if cpu.has_ready() {
        let me = current();
        me.account(time::monotonic_ns());
        cpu.enqueue(me, false);
        switch(false);
    } else {
        cpu.local.slice_end_ns.set(time::monotonic_ns() + SLICE_NS);
    }
}

pub(crate) fn should_yield() -> bool {
    let cpu = here();
    cpu.has_ready() && time::monotonic_ns() >= cpu.local.slice_end_ns.get()
}

pub(crate) fn cpu_time_ns(thread: &Handle) -> u64 {
    let since = thread.since_ns.load(Ordering::Relaxed);
    let running = if since == 0 { 0 } else { time::monotonic_ns().saturating_sub(since) };
    thread.ran_ns.load(Ordering::Relaxed) + running
}

pub(crate) fn start(main: Entry) -> ! {
    // Makes the idle thread, if nobody has asked for it yet.
    drop(current());
    irq::set_timer_callback(timer_interrupt);
    spawn("main", main).expect("no memory for the first thread");
    let cpu = here();
    loop {
        if cpu.has_ready() {
            switch(false);
        } else {
            cpu.set_timer(time::monotonic_ns());
            irq::wait_for_interrupt();
            cpu.expire(time::monotonic_ns());
        }
    }
}

fn timer_interrupt() {
    let cpu = here();
    cpu.local.timer_ns.set(u64::MAX);
    let now = time::monotonic_ns();
    cpu.expire(now);
    cpu.set_timer(now);
}

/// Lets interrupts in that are pending, for a thread of the kernel that never goes to user mode.
fn interrupt_window() {
    // Whoever yields holds no lock that an interrupt handler needs.
    interrupts::enable();
    interrupts::disable();
}

/// Goes on with the next thread that can run, or with the idle thread. Who calls it sleeps, is in the queue, or ends.
fn switch(ends: bool) {
    let cpu = here();
    let local = &cpu.local;
    let now = time::monotonic_ns();
    cpu.expire(now);
    let me = current();
    let next = cpu.dequeue().or_else(|| local.idle.borrow().clone()).expect("start has made the idle thread");
    local.slice_end_ns.set(now + SLICE_NS);
    cpu.set_timer(now);
    if Arc::ptr_eq(&me, &next) {
        return;
    }
    me.account(now);
    me.since_ns.store(0, Ordering::Relaxed);
    next.since_ns.store(now, Ordering::Relaxed);
    next.home.store(cpu::current(), Ordering::Release);
    fpu::save_before_switch();
    // SAFETY: the next thread came off the queue of this CPU (or is its idle thread), so nobody else has it.
    let next_own = next.own.get();
    // SAFETY: as above.
    let (stack_pointer, space) = unsafe { ((*next_own).stack_pointer, (*next_own).space.as_ref()) };
    local.space.set(space.map_or(core::ptr::null(), Arc::as_ptr));
    if let Some(space) = space {
        load_space(local, space);
    }
    let my_own = me.own.get();
    *local.current.borrow_mut() = Some(next);
    local.left.set(Some((me, ends)));
    // SAFETY: `left` keeps this thread's structure until the switch is finished, on the other side, and after
    // that the queue, or who will wake it, does. The next thread's stack pointer was stored by a switch or by `prepare`.
    unsafe { switch_stacks(&raw mut (*my_own).stack_pointer, stack_pointer) };
    finish_switch();
}

/// On the new stack: lets go of the thread that was left.
fn finish_switch() {
    let Some((left, ended)) = here().local.left.take() else { return };
    if ended {
        // SAFETY: it has ended and will never be in a queue again, so this CPU is the last to touch it.
        let stack = unsafe { (*left.own.get()).stack.take() };
        if let Some(stack) = stack {
            // SAFETY: as it has ended, nobody runs on its stack.
            unsafe { stack.free() };
        }
    }
}

/// Puts an address space into CR3, if it is not there.
fn load_space(local: &Local, space: &Arc<PageTable>) {
    let old = local.loaded.take();
    if old.as_ref().is_some_and(|old| Arc::ptr_eq(old, space)) {
        local.loaded.set(old);
        return;
    }
    space.active().enter();
    // SAFETY: every address space shares the kernel's half; `loaded` keeps this one as long as it is in use.
    unsafe { cpu::load_page_table(space.root_address()) };
    local.loaded.set(Some(space.clone()));
    if let Some(old) = old {
        old.active().leave();
    }
}

/// The current thread has no address space any more, and the CPU lets go of the one it uses.
fn leave_space() {
    let local = &here().local;
    let me = current();
    // SAFETY: this is the thread itself.
    let space = unsafe { (*me.own.get()).space.take() };
    local.space.set(core::ptr::null());
    if let Some(loaded) = local.loaded.take() {
        // SAFETY: the kernel's own table has the kernel's half.
        unsafe { cpu::load_page_table(kernel_map::root()) };
        loaded.active().leave();
    }
    drop(space);
}

impl PageTable {
    /// Makes this the current thread's address space, from now on and whenever it runs.
    pub(crate) fn activate(self: &Arc<Self>) {
        let local = &here().local;
        if core::ptr::eq(local.space.get(), Arc::as_ptr(self)) {
            return;
        }
        load_space(local, self);
        local.space.set(Arc::as_ptr(self));
        let me = current();
        // SAFETY: this is the thread itself.
        let old = unsafe { (*me.own.get()).space.replace(self.clone()) };
        drop(old);
    }
}
