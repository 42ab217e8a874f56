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

mod cpu;
mod placement;
mod statistics;

pub(super) use cpu::{Cpu, cpu_at, here, with_current};
pub(super) use placement::{change_rank, kick, make_ready, placement_changed};
pub(crate) use statistics::{idle_ns, load_averages, running, switches};

use super::percpu::{self, PerCpu};
use super::switch::switch_stacks;
use super::thread::{Handle, Inner};
use super::{fpu, irq, time, tlb};
use crate::thread::ready::End;
use crate::thread::{MAX_CPUS, Scheduling, bits};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use cpu::{SLICE_NS, runs_idle};
use placement::{IDLE, ONLINE, move_to, others_wait, queue_on, steal, wake_idle};
use statistics::LOAD;
use x86_64::instructions::interrupts;

/// The same for real-time threads that take turns (SCHED_RR), as sched_rr_get_interval(2) says.
const ROUND_ROBIN_NS: u64 = 100_000_000;
/// After so many slices that ended with others waiting, the load of the CPUs is compared.
const SLICES_TO_BALANCE: u32 = 8;

/// What becomes of a thread when a CPU leaves it.
enum Left {
    /// It sleeps, or is in the queue already.
    Behind,
    /// It can run, but elsewhere: it is queued once its stack is free.
    Moving,
    Ended,
}

/// Another CPU has sent [`irq::RESCHEDULE`]. Who runs here looks at [`should_yield`] on its way back to user mode.
pub(super) fn reschedule_interrupt() {
    let cpu = here();
    if !runs_idle() {
        cpu.set_timer(time::monotonic_ns());
    }
}

/// The thread that runs here counts as interrupted (see [`interruption_mark`](crate::thread::interruption_mark)).
pub(super) fn disturb() {
    change_mark(percpu::current());
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

/// A value that is never the same again on any CPU.
fn change_mark(block: &PerCpu) {
    block.mark.store(block.mark.load(Ordering::Relaxed) + MAX_CPUS as u64, Ordering::Relaxed);
}

/// Whether this CPU was told to look for another thread since it took this one.
pub(super) fn is_told_to_yield() -> bool {
    here().reschedule.load(Ordering::Relaxed)
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
    cpu.enqueue_after_next(me);
    switch(Left::Behind, now, false);
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
    if next.is_idle() {
        cpu.idle_time.start(now);
    } else if me.is_idle() && cpu.idle_time.is_running() {
        cpu.idle_time.stop(now);
    }
    let block = percpu::current();
    change_mark(block);
    fpu::save_before_switch(block);
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
