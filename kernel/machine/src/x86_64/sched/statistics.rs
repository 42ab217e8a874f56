//! What the scheduler has counted.

use super::super::time;
use super::cpu::{CPUS, cpu_at};
use super::placement::ONLINE;
use crate::thread::bits;
use crate::thread::load::Load;
use core::sync::atomic::Ordering;

pub(super) static LOAD: Load = Load::new();

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
