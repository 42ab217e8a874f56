//! The system calls on processes, memory and signals, a topic a file. Those on files are in [`crate::file::calls`].

pub(crate) mod advise;
pub(crate) mod arch;
pub(crate) mod capability;
pub(crate) mod clone;
pub(crate) mod exit;
pub(crate) mod futex;
pub(crate) mod futex2;
pub(crate) mod groups;
pub(crate) mod ids;
pub(crate) mod kill;
pub(crate) mod limits;
pub(crate) mod membarrier;
pub(crate) mod mm;
pub(crate) mod numa;
pub(crate) mod prctl;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod rseq;
pub(crate) mod sched;
pub(crate) mod shm;
pub(crate) mod sigaction;
pub(crate) mod sigwait;
pub(crate) mod sysinfo;
pub(crate) mod unshare;
pub(crate) mod usage;
