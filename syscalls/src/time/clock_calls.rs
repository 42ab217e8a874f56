//! clock_gettime(2) and its relatives.

use super::clock::Clock;
use super::clock_sets;
use crate::args::UserPtr;
use crate::credentials::Capability;
use crate::process::CpuTimes;
use crate::task::Task;
use husk_abi::{Errno, Timespec, err};
use husk_machine::time;
use linux_raw_sys::general as raw;

/// Ticks a second that times(2) counts in.
const USER_HZ: u64 = 100;
/// Nanoseconds of such a tick.
const TICK_NS: u64 = 1_000_000_000 / USER_HZ;

/// The wall clock cannot be set to this or later: it must be able to go on for thirty years (Linux's `TIME_SETTOD_SEC_MAX`).
const LATEST_NS: u64 = (i64::MAX as u64 / 1_000_000_000 - 30 * 365 * 24 * 3600) * 1_000_000_000;

/// clock_gettime(2).
pub(crate) fn clock_gettime(task: &Task, clock: i32, time: UserPtr<Timespec>) -> Result<(), Errno> {
    let now = Clock::new(task, clock)?.now();
    time.write(task.mm(), &Timespec::from_nanos(now))
}

/// clock_getres(2).
pub(crate) fn clock_getres(task: &Task, clock: i32, resolution: UserPtr<Timespec>) -> Result<(), Errno> {
    let clock = Clock::new(task, clock)?;
    resolution.write_if_non_null(task.mm(), &Timespec::from_nanos(clock.resolution()))
}

/// clock_settime(2).
pub(crate) fn clock_settime(task: &Task, clock: i32, time: UserPtr<Timespec>) -> Result<(), Errno> {
    if clock != raw::CLOCK_REALTIME as i32 {
        Clock::new(task, clock)?;
        // Only the clocks of clock_getcpuclockid(3) say that they are not to be set.
        return if clock < 0 { err!(EPERM) } else { err!(EINVAL) };
    }
    let now = super::read_timespec(task, time)?;
    set_wall_clock(task, now)
}

/// EINVAL for a time that the wall clock cannot be set to: one before the machine was started, or too late a one.
pub(super) fn check_wall_clock(now: u64) -> Result<(), Errno> {
    if (time::monotonic_ns()..LATEST_NS).contains(&now) { Ok(()) } else { err!(EINVAL) }
}

fn set_wall_clock(task: &Task, now: u64) -> Result<(), Errno> {
    if now >= LATEST_NS {
        return err!(EINVAL);
    }
    if !task.has_capability(Capability::SYS_TIME) {
        return err!(EPERM);
    }
    check_wall_clock(now)?;
    clock_sets::set(now);
    Ok(())
}

/// gettimeofday(2). The time zone is UTC, as Linux has it unless told otherwise.
pub(crate) fn gettimeofday(
    task: &Task,
    time: UserPtr<[i64; 2]>,
    zone: UserPtr<[i32; 2]>,
) -> Result<(), Errno> {
    let now = Timespec::from_nanos(time::realtime_ns());
    time.write_if_non_null(task.mm(), &[now.tv_sec, now.tv_nsec / 1000])?;
    zone.write_if_non_null(task.mm(), &[0, 0])
}

/// settimeofday(2).
pub(crate) fn settimeofday(
    task: &Task,
    time: UserPtr<[i64; 2]>,
    zone: UserPtr<[i32; 2]>,
) -> Result<(), Errno> {
    let time = time.non_null().map(|time| time.read(task.mm())).transpose()?;
    let zone = zone.non_null().map(|zone| zone.read(task.mm())).transpose()?;
    if !task.has_capability(Capability::SYS_TIME) {
        return err!(EPERM);
    }
    if zone.is_some_and(|zone| zone != [0, 0]) {
        return err!(EINVAL);
    }
    let Some([seconds, micros]) = time else { return Ok(()) };
    if !(0..1_000_000).contains(&micros) {
        return err!(EINVAL);
    }
    let now = Timespec { tv_sec: seconds, tv_nsec: micros * 1000 }.to_nanos().ok_or(Errno::EINVAL.here())?;
    set_wall_clock(task, now)
}

/// time(2).
pub(crate) fn time(task: &Task, pointer: UserPtr<i64>) -> Result<i64, Errno> {
    let now = Timespec::from_nanos(time::realtime_ns()).tv_sec;
    pointer.write_if_non_null(task.mm(), &now)?;
    Ok(now)
}

/// times(2). There are no children.
pub(crate) fn times(task: &Task, buffer: UserPtr<[i64; 4]>) -> Result<u64, Errno> {
    let CpuTimes { user, system } = task.process().cpu_times();
    let ticks = |nanos: u64| (nanos / TICK_NS) as i64;
    buffer.write_if_non_null(task.mm(), &[ticks(user), ticks(system), 0, 0])?;
    Ok(time::monotonic_ns() / TICK_NS)
}
