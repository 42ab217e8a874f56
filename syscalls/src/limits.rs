//! Resource limits (getrlimit(2)).

use husk_abi::{Errno, err};
use linux_raw_sys::general as sys;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// No limit (`RLIM64_INFINITY`).
pub(crate) const INFINITY: u64 = u64::MAX;

/// Most descriptors a limit may allow (Linux's `fs.nr_open`).
pub(crate) const NR_OPEN: u64 = 1 << 20;

const COUNT: usize = sys::RLIM_NLIMITS as usize;

/// `struct rlimit64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Limit {
    /// The limit in force.
    pub(crate) soft: u64,
    /// How far the soft limit may be raised.
    pub(crate) hard: u64,
}

/// One of the resources, by its number in Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource(u32);

impl Resource {
    pub(crate) const CPU: Self = Self(sys::RLIMIT_CPU);
    pub(crate) const FSIZE: Self = Self(sys::RLIMIT_FSIZE);
    pub(crate) const DATA: Self = Self(sys::RLIMIT_DATA);
    pub(crate) const STACK: Self = Self(sys::RLIMIT_STACK);
    pub(crate) const CORE: Self = Self(sys::RLIMIT_CORE);
    pub(crate) const NPROC: Self = Self(sys::RLIMIT_NPROC);
    pub(crate) const NOFILE: Self = Self(sys::RLIMIT_NOFILE);
    pub(crate) const MEMLOCK: Self = Self(sys::RLIMIT_MEMLOCK);
    pub(crate) const AS: Self = Self(sys::RLIMIT_AS);
    pub(crate) const SIGPENDING: Self = Self(sys::RLIMIT_SIGPENDING);
    pub(crate) const MSGQUEUE: Self = Self(sys::RLIMIT_MSGQUEUE);
    pub(crate) const NICE: Self = Self(sys::RLIMIT_NICE);
    pub(crate) const RTPRIO: Self = Self(sys::RLIMIT_RTPRIO);

    /// From a program's number.
    ///
    /// # Errors
    /// EINVAL if there is no such resource.
    pub(crate) fn new(number: u32) -> Result<Self, Errno> {
        if number as usize >= COUNT { err!(EINVAL) } else { Ok(Self(number)) }
    }
}

/// A process's limits.
#[derive(Clone, Debug)]
pub(crate) struct Limits([Limit; COUNT]);

impl Limits {
    /// Linux's for its first process, with limits that depend on the size of memory.
    pub(crate) fn initial(memory_pages: u64) -> Self {
        let mut limits = Self([Limit { soft: INFINITY, hard: INFINITY }; COUNT]);
        // fork_init(): as many threads as would fill an eighth of memory with kernel stacks, half of that for a user.
        let threads = (memory_pages / 32).clamp(20, 1 << 22) / 2;
        limits.set(Resource::STACK, Limit { soft: 8 << 20, hard: INFINITY });
        limits.set(Resource::CORE, Limit { soft: 0, hard: INFINITY });
        limits.set(Resource::NPROC, Limit { soft: threads, hard: threads });
        limits.set(Resource::NOFILE, Limit { soft: 1024, hard: 4096 });
        limits.set(Resource::MEMLOCK, Limit { soft: 8 << 20, hard: 8 << 20 });
        limits.set(Resource::SIGPENDING, Limit { soft: threads, hard: threads });
        limits.set(Resource::MSGQUEUE, Limit { soft: 819_200, hard: 819_200 });
        limits.set(Resource::NICE, Limit { soft: 0, hard: 0 });
        limits.set(Resource::RTPRIO, Limit { soft: 0, hard: 0 });
        limits
    }

    /// The limit of one resource.
    pub(crate) fn get(&self, resource: Resource) -> Limit {
        self.0[resource.0 as usize]
    }

    /// Replaces a limit; the caller has checked that it may be.
    pub(crate) fn set(&mut self, resource: Resource, limit: Limit) {
        self.0[resource.0 as usize] = limit;
    }
}
