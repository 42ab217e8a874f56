//! adjtimex(2) and clock_adjtime(2).
//!
//! The wall clock can be moved, and what programs say about its quality is kept for others to read. The clock's rate is the host's affair:
//! calls that would change it are refused.

use super::clock::Clock;
use super::clock_sets;
use crate::args::UserPtr;
use crate::credentials::Capability;
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_machine::sync::SpinLock;
use husk_machine::time;
use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes};

const SECOND_NS: i64 = 1_000_000_000;

/// `struct timex`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Timex {
    modes: u32,
    pad0: u32,
    offset: i64,
    freq: i64,
    maxerror: i64,
    esterror: i64,
    status: i32,
    pad1: u32,
    constant: i64,
    precision: i64,
    tolerance: i64,
    /// Seconds, and microseconds or nanoseconds.
    time: [i64; 2],
    tick: i64,
    /// Of a pulse a second, which there is not.
    pps: [i64; 8],
    tai: i32,
    pad2: [u32; 11],
}

const _: () = assert!(size_of::<Timex>() == 208);

/// `ADJ_*` of <sys/timex.h>.
mod adj {
    pub(super) const OFFSET: u32 = 0x1;
    pub(super) const FREQUENCY: u32 = 0x2;
    pub(super) const MAXERROR: u32 = 0x4;
    pub(super) const ESTERROR: u32 = 0x8;
    pub(super) const STATUS: u32 = 0x10;
    pub(super) const TIMECONST: u32 = 0x20;
    pub(super) const TAI: u32 = 0x80;
    pub(super) const SETOFFSET: u32 = 0x100;
    pub(super) const MICRO: u32 = 0x1000;
    pub(super) const NANO: u32 = 0x2000;
    pub(super) const TICK: u32 = 0x4000;
    /// The old adjtime(3).
    pub(super) const ADJTIME: u32 = 0x8000;
    /// It only asks.
    pub(super) const READONLY: u32 = 0x2000;
}

/// `STA_*`.
mod sta {
    pub(super) const INS: i32 = 0x10;
    pub(super) const DEL: i32 = 0x20;
    pub(super) const UNSYNC: i32 = 0x40;
    pub(super) const CLOCKERR: i32 = 0x1000;
    pub(super) const NANO: i32 = 0x2000;
    /// What programs cannot change.
    pub(super) const READ_ONLY: i32 = 0xff00;
}

/// What the call gives: the clock is in order, or nobody vouches for it.
const TIME_OK: i32 = 0;
const TIME_ERROR: i32 = 5;

/// Error of a clock that nobody vouches for, in microseconds (`NTP_PHASE_LIMIT`).
const MOST_ERROR: i64 = 16_000_000;
/// What is added to the error each second, in microseconds: 500 parts in a million.
const ERROR_PER_SECOND: i64 = 500;
/// Microseconds of a tick of times(2).
const TICK_US: i64 = 10_000;
/// The most by which a clock's rate could be wrong, in units of 2^-16 parts in a million.
const TOLERANCE: i64 = 500 << 16;
const MOST_TIME_CONSTANT: i64 = 10;
const MOST_TAI_OFFSET: i64 = 100_000;

/// What programs have said about the wall clock.
struct Quality {
    status: i32,
    maxerror: i64,
    esterror: i64,
    constant: i64,
    /// When `maxerror` was set, in monotonic nanoseconds.
    since: u64,
}

static QUALITY: SpinLock<Quality> = SpinLock::new(Quality {
    status: sta::UNSYNC,
    maxerror: MOST_ERROR,
    esterror: MOST_ERROR,
    constant: 2,
    since: 0,
});

impl Quality {
    /// The error grows until somebody says again how large it is.
    fn age(&mut self) {
        let now = time::monotonic_ns();
        let seconds = (now.saturating_sub(self.since) / SECOND_NS as u64) as i64;
        self.since += (seconds * SECOND_NS) as u64;
        self.maxerror = self.maxerror.saturating_add(seconds.saturating_mul(ERROR_PER_SECOND));
        if self.maxerror > MOST_ERROR {
            self.maxerror = MOST_ERROR;
            self.status |= sta::UNSYNC;
        }
    }

    fn change(&mut self, timex: &Timex) {
        let has = |mode| timex.modes & mode != 0;
        if has(adj::STATUS) {
            self.status = self.status & sta::READ_ONLY | timex.status & !sta::READ_ONLY;
        }
        if has(adj::NANO) {
            self.status |= sta::NANO;
        }
        if has(adj::MICRO) {
            self.status &= !sta::NANO;
        }
        if has(adj::MAXERROR) {
            self.maxerror = timex.maxerror.clamp(0, MOST_ERROR);
            self.since = time::monotonic_ns();
        }
        if has(adj::ESTERROR) {
            self.esterror = timex.esterror.clamp(0, MOST_ERROR);
        }
        if has(adj::TIMECONST) {
            let shift = if self.status & sta::NANO == 0 { 4 } else { 0 };
            self.constant =
                (timex.constant.clamp(0, MOST_TIME_CONSTANT) + shift).clamp(0, MOST_TIME_CONSTANT);
        }
    }
}

/// The wall clock has been set: nobody vouches for it.
pub(super) fn clock_was_set() {
    let mut quality = QUALITY.lock();
    quality.status |= sta::UNSYNC;
    (quality.maxerror, quality.esterror) = (MOST_ERROR, MOST_ERROR);
}

/// adjtimex(2).
pub(crate) fn adjtimex(task: &Task, pointer: UserPtr<Timex>) -> Result<i32, Errno> {
    let mut timex = pointer.read(task.mm())?;
    let state = adjust(task, &mut timex)?;
    pointer.write(task.mm(), &timex)?;
    Ok(state)
}

/// clock_adjtime(2).
pub(crate) fn clock_adjtime(task: &Task, clock: i32, pointer: UserPtr<Timex>) -> Result<i32, Errno> {
    let mut timex = pointer.read(task.mm())?;
    let known = Clock::new(task, clock)?;
    if !matches!(known, Clock::Realtime { coarse: false }) || clock != raw::CLOCK_REALTIME as i32 {
        return err!(EOPNOTSUPP);
    }
    let state = adjust(task, &mut timex)?;
    pointer.write(task.mm(), &timex)?;
    Ok(state)
}

fn adjust(task: &Task, timex: &mut Timex) -> Result<i32, Errno> {
    check(timex, task.has_capability(Capability::SYS_TIME))?;
    let old = timex.modes & adj::ADJTIME != 0;
    if !old && timex.modes & adj::SETOFFSET != 0 {
        move_clock(timex)?;
    }
    if !old && timex.modes & adj::TAI != 0 && (0..=MOST_TAI_OFFSET).contains(&timex.constant) {
        time::set_tai_offset_ns(timex.constant * SECOND_NS);
        clock_sets::changed();
    }
    let mut quality = QUALITY.lock();
    quality.age();
    if !old {
        quality.change(timex);
    }
    let now = time::realtime_ns() as i64;
    let fraction = if quality.status & sta::NANO != 0 { now % SECOND_NS } else { now % SECOND_NS / 1000 };
    *timex = Timex {
        offset: 0,
        freq: 0,
        maxerror: quality.maxerror,
        esterror: quality.esterror,
        status: quality.status,
        constant: quality.constant,
        precision: 1,
        tolerance: TOLERANCE,
        time: [now / SECOND_NS, fraction],
        tick: TICK_US,
        pps: [0; 8],
        tai: (time::tai_offset_ns() / SECOND_NS) as i32,
        ..*timex
    };
    Ok(if quality.status & (sta::UNSYNC | sta::CLOCKERR) != 0 { TIME_ERROR } else { TIME_OK })
}

fn check(timex: &Timex, privileged: bool) -> Result<(), Errno> {
    let has = |mode| timex.modes & mode != 0;
    if has(adj::ADJTIME) {
        if !has(adj::OFFSET) {
            return err!(EINVAL);
        }
        // The clock is not slewed: there is no rest, and no more can be asked for.
        return if has(adj::READONLY) { Ok(()) } else { err!(EPERM) };
    }
    if timex.modes != 0 && !privileged {
        return err!(EPERM);
    }
    let tick_range = TICK_US * 9 / 10..=TICK_US * 11 / 10;
    if has(adj::TICK) && !tick_range.contains(&timex.tick) {
        return err!(EINVAL);
    }
    let fractions = if has(adj::NANO) { SECOND_NS } else { SECOND_NS / 1000 };
    if has(adj::SETOFFSET) && !(0..fractions).contains(&timex.time[1]) {
        return err!(EINVAL);
    }
    let rate = has(adj::TICK) && timex.tick != TICK_US
        || has(adj::FREQUENCY) && timex.freq != 0
        || has(adj::OFFSET) && timex.offset != 0;
    let leap = has(adj::STATUS) && timex.status & (sta::INS | sta::DEL) != 0;
    if rate || leap { err!(EPERM) } else { Ok(()) }
}

/// ADJ_SETOFFSET: by seconds, forwards or backwards, and a fraction forwards.
fn move_clock(timex: &Timex) -> Result<(), Errno> {
    let nanos = if timex.modes & adj::NANO != 0 { 1 } else { 1000 };
    let by = i128::from(timex.time[0]) * i128::from(SECOND_NS) + i128::from(timex.time[1] * nanos);
    let target = u64::try_from(i128::from(time::realtime_ns()) + by).map_err(|_| Errno::EINVAL.here())?;
    super::clock_calls::check_wall_clock(target)?;
    clock_sets::set(target);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timex(modes: u32) -> Timex {
        let mut timex = Timex::read_from_bytes(&[0; 208]).unwrap();
        timex.modes = modes;
        timex
    }

    #[test]
    fn what_may_be_asked_for() {
        assert_eq!(check(&timex(0), false), Ok(()));
        assert_eq!(check(&timex(adj::MAXERROR), false), Err(Errno::EPERM));
        assert_eq!(check(&timex(adj::MAXERROR), true), Ok(()));
        assert_eq!(check(&timex(adj::ADJTIME), true), Err(Errno::EINVAL));
        assert_eq!(check(&timex(adj::ADJTIME | adj::OFFSET | adj::READONLY), false), Ok(()));
        assert_eq!(check(&timex(adj::TICK), true), Err(Errno::EINVAL));
        let tick = |tick| check(&Timex { tick, ..timex(adj::TICK) }, true);
        assert_eq!((tick(TICK_US), tick(TICK_US + 1)), (Ok(()), Err(Errno::EPERM)));
        let offset =
            |modes, fraction| check(&Timex { time: [0, fraction], ..timex(adj::SETOFFSET | modes) }, true);
        assert_eq!(offset(0, 1_000_000), Err(Errno::EINVAL));
        assert_eq!(offset(adj::NANO, 1_000_000), Ok(()));
        assert_eq!(offset(0, -1), Err(Errno::EINVAL));
    }

    #[test]
    fn the_error_grows() {
        let mut quality = Quality { status: 0, maxerror: 10, esterror: 5, constant: 2, since: 0 };
        quality.since = time::monotonic_ns();
        quality.age();
        assert_eq!((quality.maxerror, quality.status), (10, 0));
        quality.maxerror = MOST_ERROR - 1;
        quality.since = 0;
        std::thread::sleep(core::time::Duration::from_millis(1100));
        quality.age();
        assert_eq!((quality.maxerror, quality.status), (MOST_ERROR, sta::UNSYNC));
        quality.change(&Timex { constant: 3, ..timex(adj::TIMECONST | adj::NANO) });
        assert_eq!((quality.constant, quality.status & sta::NANO), (3, sta::NANO));
    }
}
