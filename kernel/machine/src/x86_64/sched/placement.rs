//! Which CPU a thread runs on: placing one that wakes, stealing, moving.

use super::super::thread::{Handle, Inner};
use super::super::{apic, cpu, irq, time};
use super::cpu::{Cpu, cpu_at, here, runs_idle, with_current};
use super::{reschedule, should_yield};
use crate::thread::ready::{End, Rank};
use crate::thread::{Scheduling, bits};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

/// How far behind the running thread one that wakes has to be to take the CPU before the slice ends.
pub(super) const WAKE_LEAD_NS: u64 = 1_000_000;

/// CPUs that halt, or are about to, and that nobody has woken yet.
pub(super) static IDLE: AtomicU64 = AtomicU64::new(0);

/// CPUs that schedule threads.
pub(super) static ONLINE: AtomicU64 = AtomicU64::new(0);

/// Puts a thread that can run, and is in no queue, into that of a CPU, and sees to it that it gets its turn.
pub(in crate::arch) fn make_ready(thread: Handle) {
    let target = choose_cpu(&thread);
    if target != thread.home() {
        move_to(&thread, target);
    }
    queue_on(cpu_at(target), thread, true);
}

pub(super) fn queue_on(target: &Cpu, thread: Handle, slept: bool) {
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
pub(super) fn preempt_here(cpu: &Cpu, rank: Rank, batch: bool) {
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
pub(super) fn wake_idle(affinity: u64) {
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
pub(super) fn choose_cpu(thread: &Inner) -> usize {
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
pub(in crate::arch) fn kick(number: usize) {
    apic::send(number, irq::RESCHEDULE);
}

/// Whether a thread is queued elsewhere that this CPU may run.
pub(super) fn others_wait(cpu: &Cpu) -> bool {
    let others = ONLINE.load(Ordering::Relaxed) & !cpu.bit();
    bits(others).any(|number| cpu_at(number).has_ready() && may_take(cpu_at(number), cpu))
}

pub(super) fn may_take(from: &Cpu, to: &Cpu) -> bool {
    let bit = to.bit();
    from.queue.lock().ready.any(|thread| thread.affinity() & bit != 0 && !thread.is_on_cpu())
}

/// Takes a thread that waits elsewhere, from the longest queue first.
pub(super) fn steal(cpu: &Cpu) -> Option<Handle> {
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
pub(super) fn move_to(thread: &Inner, target: usize) {
    let lag = cpu_at(target).virtual_now().wrapping_sub(cpu_at(thread.home()).virtual_now());
    let moved = (thread.virtual_ns().wrapping_add(lag) as i64).max(0) as u64;
    thread.set_virtual_ns(moved);
    thread.set_home(target);
}

/// A thread may run on other CPUs than before: if it is where it must not be, it goes on elsewhere.
pub(in crate::arch) fn placement_changed(thread: &Handle) {
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
pub(in crate::arch) fn change_rank(thread: &Handle, change: impl FnOnce()) {
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
