//! clock_gettime(2) and its relatives.

use super::clock::Clock;
use crate::args::UserPtr;
use crate::credentials::Capability;
use crate::task::Task;
use husk_abi::{Errno, Timespec, err};
use husk_machine::time;
use linux_raw_sys::general as raw;

/// Ticks a second that times(2) counts in.
const USER_HZ: u64 = 100;
/// Nanoseconds of such a tick.
const TICK_NS: u64 = 1_000_000_000 / USER_HZ;

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
        return match Clock::new(task, clock)? {
            Clock::Process(_) | Clock::Thread(..) => err!(EPERM),
            _ => err!(EINVAL),
        };
    }
    let now = super::read_timespec(task, time)?;
    set_wall_clock(task, now)
}

fn set_wall_clock(task: &Task, now: u64) -> Result<(), Errno> {
    if !task.has_capability(Capability::SYS_TIME) {
        return err!(EPERM);
    }
    if now < time::monotonic_ns() {
        return err!(EINVAL);
    }
    time::set_realtime_ns(now);
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

/// times(2). All CPU time counts as the program's own: time in the kernel is not told apart. There are no children.
pub(crate) fn times(task: &Task, buffer: UserPtr<[i64; 4]>) -> Result<u64, Errno> {
    let used = (task.process().cpu_time_ns() / TICK_NS) as i64;
    buffer.write_if_non_null(task.mm(), &[used, 0, 0, 0])?;
    Ok(time::monotonic_ns() / TICK_NS)
}
