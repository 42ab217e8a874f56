//! getrusage(2).

use crate::args::UserPtr;
use crate::mm::PAGE;
use crate::process::CpuTimes;
use crate::task::Task;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use linux_raw_sys::general as sys;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct timeval`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct TimeVal {
    sec: i64,
    usec: i64,
}

impl TimeVal {
    fn from_nanos(nanos: u64) -> Self {
        Self { sec: (nanos / 1_000_000_000) as i64, usec: (nanos % 1_000_000_000 / 1000) as i64 }
    }
}

/// `struct rusage`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Usage {
    user: TimeVal,
    system: TimeVal,
    /// KiB.
    max_resident: i64,
    shared_text: i64,
    data: i64,
    stack: i64,
    minor_faults: i64,
    major_faults: i64,
    swaps: i64,
    blocks_in: i64,
    blocks_out: i64,
    messages_sent: i64,
    messages_received: i64,
    signals: i64,
    voluntary_switches: i64,
    involuntary_switches: i64,
}

const _: () = assert!(size_of::<Usage>() == size_of::<sys::rusage>());

const RUSAGE_CHILDREN: u32 = -1_i32 as u32;

/// getrusage(2).
pub(crate) fn getrusage(task: &Task, who: i32, usage: UserPtr<Usage>) -> Result<(), Errno> {
    let process = task.process();
    let own = |times: CpuTimes, [voluntary, involuntary]: [u64; 2]| {
        let faults = &process.faults;
        Usage {
            user: TimeVal::from_nanos(times.user),
            system: TimeVal::from_nanos(times.system),
            max_resident: (task.mm().sizes().peak_resident * PAGE / 1024) as i64,
            minor_faults: faults.minor.load(Ordering::Relaxed) as i64,
            major_faults: faults.major.load(Ordering::Relaxed) as i64,
            voluntary_switches: voluntary as i64,
            involuntary_switches: involuntary as i64,
            ..Usage::default()
        }
    };
    // RUSAGE_CHILDREN is -1.
    let shown = match who as u32 {
        sys::RUSAGE_SELF => own(process.cpu_times(), process.switches()),
        sys::RUSAGE_THREAD => own(task.cpu_times(), task.switches()),
        RUSAGE_CHILDREN => Usage::default(),
        _ => return err!(EINVAL),
    };
    usage.write(task.mm(), &shown)
}
