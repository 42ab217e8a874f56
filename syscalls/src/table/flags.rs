//! Names of flags and values that traces print.

use super::format::Name;
use linux_raw_sys::general as sys;
use linux_raw_sys::ioctl;

/// open(2), and calls with a subset of its flags.
pub(super) const OPEN: &[Name] = &[
    (sys::O_WRONLY as u64, "O_WRONLY"),
    (sys::O_RDWR as u64, "O_RDWR"),
    (sys::O_CREAT as u64, "O_CREAT"),
    (sys::O_EXCL as u64, "O_EXCL"),
    (sys::O_NOCTTY as u64, "O_NOCTTY"),
    (sys::O_TRUNC as u64, "O_TRUNC"),
    (sys::O_APPEND as u64, "O_APPEND"),
    (sys::O_NONBLOCK as u64, "O_NONBLOCK"),
    (sys::O_TMPFILE as u64, "O_TMPFILE"),
    (sys::O_SYNC as u64, "O_SYNC"),
    (sys::O_DSYNC as u64, "O_DSYNC"),
    (sys::FASYNC as u64, "FASYNC"),
    (sys::O_DIRECT as u64, "O_DIRECT"),
    (sys::O_LARGEFILE as u64, "O_LARGEFILE"),
    (sys::O_DIRECTORY as u64, "O_DIRECTORY"),
    (sys::O_NOFOLLOW as u64, "O_NOFOLLOW"),
    (sys::O_NOATIME as u64, "O_NOATIME"),
    (sys::O_CLOEXEC as u64, "O_CLOEXEC"),
    (sys::O_PATH as u64, "O_PATH"),
];

/// mmap(2), mprotect(2): PROT_*.
pub(super) const PROT: &[Name] = &[
    (sys::PROT_READ as u64, "PROT_READ"),
    (sys::PROT_WRITE as u64, "PROT_WRITE"),
    (sys::PROT_EXEC as u64, "PROT_EXEC"),
    (sys::PROT_GROWSDOWN as u64, "PROT_GROWSDOWN"),
    (sys::PROT_GROWSUP as u64, "PROT_GROWSUP"),
];

/// mmap(2): MAP_*. MAP_SHARED_VALIDATE is both of the first two.
pub(super) const MAP: &[Name] = &[
    (sys::MAP_SHARED as u64, "MAP_SHARED"),
    (sys::MAP_PRIVATE as u64, "MAP_PRIVATE"),
    (sys::MAP_FIXED as u64, "MAP_FIXED"),
    (sys::MAP_ANONYMOUS as u64, "MAP_ANONYMOUS"),
    (sys::MAP_32BIT as u64, "MAP_32BIT"),
    (sys::MAP_GROWSDOWN as u64, "MAP_GROWSDOWN"),
    (sys::MAP_DENYWRITE as u64, "MAP_DENYWRITE"),
    (sys::MAP_EXECUTABLE as u64, "MAP_EXECUTABLE"),
    (sys::MAP_LOCKED as u64, "MAP_LOCKED"),
    (sys::MAP_NORESERVE as u64, "MAP_NORESERVE"),
    (sys::MAP_POPULATE as u64, "MAP_POPULATE"),
    (sys::MAP_NONBLOCK as u64, "MAP_NONBLOCK"),
    (sys::MAP_STACK as u64, "MAP_STACK"),
    (sys::MAP_HUGETLB as u64, "MAP_HUGETLB"),
    (sys::MAP_SYNC as u64, "MAP_SYNC"),
    (sys::MAP_FIXED_NOREPLACE as u64, "MAP_FIXED_NOREPLACE"),
];

/// mremap(2).
pub(super) const MREMAP: &[Name] = &[
    (sys::MREMAP_MAYMOVE as u64, "MREMAP_MAYMOVE"),
    (sys::MREMAP_FIXED as u64, "MREMAP_FIXED"),
    (sys::MREMAP_DONTUNMAP as u64, "MREMAP_DONTUNMAP"),
];

/// madvise(2).
pub(super) const MADVISE: &[Name] = &[
    (sys::MADV_NORMAL as u64, "MADV_NORMAL"),
    (sys::MADV_RANDOM as u64, "MADV_RANDOM"),
    (sys::MADV_SEQUENTIAL as u64, "MADV_SEQUENTIAL"),
    (sys::MADV_WILLNEED as u64, "MADV_WILLNEED"),
    (sys::MADV_DONTNEED as u64, "MADV_DONTNEED"),
    (sys::MADV_FREE as u64, "MADV_FREE"),
    (sys::MADV_REMOVE as u64, "MADV_REMOVE"),
    (sys::MADV_DONTFORK as u64, "MADV_DONTFORK"),
    (sys::MADV_DOFORK as u64, "MADV_DOFORK"),
    (sys::MADV_MERGEABLE as u64, "MADV_MERGEABLE"),
    (sys::MADV_UNMERGEABLE as u64, "MADV_UNMERGEABLE"),
    (sys::MADV_HUGEPAGE as u64, "MADV_HUGEPAGE"),
    (sys::MADV_NOHUGEPAGE as u64, "MADV_NOHUGEPAGE"),
    (sys::MADV_DONTDUMP as u64, "MADV_DONTDUMP"),
    (sys::MADV_DODUMP as u64, "MADV_DODUMP"),
    (sys::MADV_WIPEONFORK as u64, "MADV_WIPEONFORK"),
    (sys::MADV_KEEPONFORK as u64, "MADV_KEEPONFORK"),
    (sys::MADV_COLD as u64, "MADV_COLD"),
    (sys::MADV_PAGEOUT as u64, "MADV_PAGEOUT"),
    (sys::MADV_POPULATE_READ as u64, "MADV_POPULATE_READ"),
    (sys::MADV_POPULATE_WRITE as u64, "MADV_POPULATE_WRITE"),
    (sys::MADV_DONTNEED_LOCKED as u64, "MADV_DONTNEED_LOCKED"),
    (sys::MADV_COLLAPSE as u64, "MADV_COLLAPSE"),
    (sys::MADV_HWPOISON as u64, "MADV_HWPOISON"),
    (sys::MADV_SOFT_OFFLINE as u64, "MADV_SOFT_OFFLINE"),
    (sys::MADV_GUARD_INSTALL as u64, "MADV_GUARD_INSTALL"),
    (sys::MADV_GUARD_REMOVE as u64, "MADV_GUARD_REMOVE"),
];

/// lseek(2).
pub(super) const WHENCE: &[Name] = &[
    (sys::SEEK_SET as u64, "SEEK_SET"),
    (sys::SEEK_CUR as u64, "SEEK_CUR"),
    (sys::SEEK_END as u64, "SEEK_END"),
    (sys::SEEK_DATA as u64, "SEEK_DATA"),
    (sys::SEEK_HOLE as u64, "SEEK_HOLE"),
];

/// Clocks.
pub(super) const CLOCK: &[Name] = &[
    (sys::CLOCK_REALTIME as u64, "CLOCK_REALTIME"),
    (sys::CLOCK_MONOTONIC as u64, "CLOCK_MONOTONIC"),
    (sys::CLOCK_PROCESS_CPUTIME_ID as u64, "CLOCK_PROCESS_CPUTIME_ID"),
    (sys::CLOCK_THREAD_CPUTIME_ID as u64, "CLOCK_THREAD_CPUTIME_ID"),
    (sys::CLOCK_MONOTONIC_RAW as u64, "CLOCK_MONOTONIC_RAW"),
    (sys::CLOCK_REALTIME_COARSE as u64, "CLOCK_REALTIME_COARSE"),
    (sys::CLOCK_MONOTONIC_COARSE as u64, "CLOCK_MONOTONIC_COARSE"),
    (sys::CLOCK_BOOTTIME as u64, "CLOCK_BOOTTIME"),
    (sys::CLOCK_REALTIME_ALARM as u64, "CLOCK_REALTIME_ALARM"),
    (sys::CLOCK_BOOTTIME_ALARM as u64, "CLOCK_BOOTTIME_ALARM"),
    (sys::CLOCK_TAI as u64, "CLOCK_TAI"),
];

/// rt_sigprocmask(2).
pub(super) const SIGMASK_HOW: &[Name] = &[
    (sys::SIG_BLOCK as u64, "SIG_BLOCK"),
    (sys::SIG_UNBLOCK as u64, "SIG_UNBLOCK"),
    (sys::SIG_SETMASK as u64, "SIG_SETMASK"),
];

/// Flags of the calls that take a directory.
pub(super) const AT: &[Name] = &[
    (sys::AT_SYMLINK_NOFOLLOW as u64, "AT_SYMLINK_NOFOLLOW"),
    (sys::AT_REMOVEDIR as u64, "AT_REMOVEDIR"),
    (sys::AT_SYMLINK_FOLLOW as u64, "AT_SYMLINK_FOLLOW"),
    (sys::AT_NO_AUTOMOUNT as u64, "AT_NO_AUTOMOUNT"),
    (sys::AT_EMPTY_PATH as u64, "AT_EMPTY_PATH"),
    (sys::AT_STATX_FORCE_SYNC as u64, "AT_STATX_FORCE_SYNC"),
    (sys::AT_STATX_DONT_SYNC as u64, "AT_STATX_DONT_SYNC"),
];

/// access(2).
pub(super) const ACCESS: &[Name] = &[
    (sys::F_OK as u64, "F_OK"),
    (sys::R_OK as u64, "R_OK"),
    (sys::W_OK as u64, "W_OK"),
    (sys::X_OK as u64, "X_OK"),
];

/// fcntl(2).
pub(super) const FCNTL: &[Name] = &[
    (sys::F_DUPFD as u64, "F_DUPFD"),
    (sys::F_GETFD as u64, "F_GETFD"),
    (sys::F_SETFD as u64, "F_SETFD"),
    (sys::F_GETFL as u64, "F_GETFL"),
    (sys::F_SETFL as u64, "F_SETFL"),
    (sys::F_GETLK as u64, "F_GETLK"),
    (sys::F_SETLK as u64, "F_SETLK"),
    (sys::F_SETLKW as u64, "F_SETLKW"),
    (sys::F_SETOWN as u64, "F_SETOWN"),
    (sys::F_GETOWN as u64, "F_GETOWN"),
    (sys::F_SETSIG as u64, "F_SETSIG"),
    (sys::F_GETSIG as u64, "F_GETSIG"),
    (sys::F_SETOWN_EX as u64, "F_SETOWN_EX"),
    (sys::F_GETOWN_EX as u64, "F_GETOWN_EX"),
    (sys::F_OFD_GETLK as u64, "F_OFD_GETLK"),
    (sys::F_OFD_SETLK as u64, "F_OFD_SETLK"),
    (sys::F_OFD_SETLKW as u64, "F_OFD_SETLKW"),
    (sys::F_SETLEASE as u64, "F_SETLEASE"),
    (sys::F_GETLEASE as u64, "F_GETLEASE"),
    (sys::F_NOTIFY as u64, "F_NOTIFY"),
    (sys::F_DUPFD_CLOEXEC as u64, "F_DUPFD_CLOEXEC"),
    (sys::F_SETPIPE_SZ as u64, "F_SETPIPE_SZ"),
    (sys::F_GETPIPE_SZ as u64, "F_GETPIPE_SZ"),
    (sys::F_ADD_SEALS as u64, "F_ADD_SEALS"),
    (sys::F_GET_SEALS as u64, "F_GET_SEALS"),
];

/// ioctl(2).
pub(super) const IOCTL: &[Name] = &[
    (ioctl::TCGETS as u64, "TCGETS"),
    (ioctl::TCSETS as u64, "TCSETS"),
    (ioctl::TCSETSW as u64, "TCSETSW"),
    (ioctl::TCSETSF as u64, "TCSETSF"),
    (ioctl::TCGETS2 as u64, "TCGETS2"),
    (ioctl::TCSETS2 as u64, "TCSETS2"),
    (ioctl::TCSETSW2 as u64, "TCSETSW2"),
    (ioctl::TCSETSF2 as u64, "TCSETSF2"),
    (ioctl::TCSBRK as u64, "TCSBRK"),
    (ioctl::TCXONC as u64, "TCXONC"),
    (ioctl::TCFLSH as u64, "TCFLSH"),
    (ioctl::TIOCSCTTY as u64, "TIOCSCTTY"),
    (ioctl::TIOCGPGRP as u64, "TIOCGPGRP"),
    (ioctl::TIOCSPGRP as u64, "TIOCSPGRP"),
    (ioctl::TIOCGWINSZ as u64, "TIOCGWINSZ"),
    (ioctl::TIOCSWINSZ as u64, "TIOCSWINSZ"),
    (ioctl::TIOCGSID as u64, "TIOCGSID"),
    (ioctl::TIOCNOTTY as u64, "TIOCNOTTY"),
    (ioctl::TIOCSTI as u64, "TIOCSTI"),
    (ioctl::FIONREAD as u64, "FIONREAD"),
    (ioctl::FIONBIO as u64, "FIONBIO"),
    (ioctl::FIOASYNC as u64, "FIOASYNC"),
    (ioctl::FIOCLEX as u64, "FIOCLEX"),
    (ioctl::FIONCLEX as u64, "FIONCLEX"),
    (ioctl::FIGETBSZ as u64, "FIGETBSZ"),
];

/// getrlimit(2).
pub(super) const RESOURCE: &[Name] = &[
    (sys::RLIMIT_CPU as u64, "RLIMIT_CPU"),
    (sys::RLIMIT_FSIZE as u64, "RLIMIT_FSIZE"),
    (sys::RLIMIT_DATA as u64, "RLIMIT_DATA"),
    (sys::RLIMIT_STACK as u64, "RLIMIT_STACK"),
    (sys::RLIMIT_CORE as u64, "RLIMIT_CORE"),
    (sys::RLIMIT_RSS as u64, "RLIMIT_RSS"),
    (sys::RLIMIT_NPROC as u64, "RLIMIT_NPROC"),
    (sys::RLIMIT_NOFILE as u64, "RLIMIT_NOFILE"),
    (sys::RLIMIT_MEMLOCK as u64, "RLIMIT_MEMLOCK"),
    (sys::RLIMIT_AS as u64, "RLIMIT_AS"),
    (sys::RLIMIT_LOCKS as u64, "RLIMIT_LOCKS"),
    (sys::RLIMIT_SIGPENDING as u64, "RLIMIT_SIGPENDING"),
    (sys::RLIMIT_MSGQUEUE as u64, "RLIMIT_MSGQUEUE"),
    (sys::RLIMIT_NICE as u64, "RLIMIT_NICE"),
    (sys::RLIMIT_RTPRIO as u64, "RLIMIT_RTPRIO"),
    (sys::RLIMIT_RTTIME as u64, "RLIMIT_RTTIME"),
];

/// getrandom(2).
pub(super) const GETRANDOM: &[Name] = &[
    (sys::GRND_NONBLOCK as u64, "GRND_NONBLOCK"),
    (sys::GRND_RANDOM as u64, "GRND_RANDOM"),
    (sys::GRND_INSECURE as u64, "GRND_INSECURE"),
];

/// msync(2).
pub(super) const MSYNC: &[Name] = &[
    (sys::MS_ASYNC as u64, "MS_ASYNC"),
    (sys::MS_INVALIDATE as u64, "MS_INVALIDATE"),
    (sys::MS_SYNC as u64, "MS_SYNC"),
];

/// Timers and sleeps.
pub(super) const TIMER: &[Name] = &[(sys::TIMER_ABSTIME as u64, "TIMER_ABSTIME")];

/// clone(2).
pub(super) const CLONE: &[Name] = &[
    (sys::CLONE_VM as u64, "CLONE_VM"),
    (sys::CLONE_FS as u64, "CLONE_FS"),
    (sys::CLONE_FILES as u64, "CLONE_FILES"),
    (sys::CLONE_SIGHAND as u64, "CLONE_SIGHAND"),
    (sys::CLONE_PIDFD as u64, "CLONE_PIDFD"),
    (sys::CLONE_PTRACE as u64, "CLONE_PTRACE"),
    (sys::CLONE_VFORK as u64, "CLONE_VFORK"),
    (sys::CLONE_PARENT as u64, "CLONE_PARENT"),
    (sys::CLONE_THREAD as u64, "CLONE_THREAD"),
    (sys::CLONE_NEWNS as u64, "CLONE_NEWNS"),
    (sys::CLONE_SYSVSEM as u64, "CLONE_SYSVSEM"),
    (sys::CLONE_SETTLS as u64, "CLONE_SETTLS"),
    (sys::CLONE_PARENT_SETTID as u64, "CLONE_PARENT_SETTID"),
    (sys::CLONE_CHILD_CLEARTID as u64, "CLONE_CHILD_CLEARTID"),
    (sys::CLONE_DETACHED as u64, "CLONE_DETACHED"),
    (sys::CLONE_UNTRACED as u64, "CLONE_UNTRACED"),
    (sys::CLONE_CHILD_SETTID as u64, "CLONE_CHILD_SETTID"),
    (sys::CLONE_NEWCGROUP as u64, "CLONE_NEWCGROUP"),
    (sys::CLONE_NEWUTS as u64, "CLONE_NEWUTS"),
    (sys::CLONE_NEWIPC as u64, "CLONE_NEWIPC"),
    (sys::CLONE_NEWUSER as u64, "CLONE_NEWUSER"),
    (sys::CLONE_NEWPID as u64, "CLONE_NEWPID"),
    (sys::CLONE_NEWNET as u64, "CLONE_NEWNET"),
    (sys::CLONE_IO as u64, "CLONE_IO"),
];

/// epoll_ctl(2).
pub(super) const EPOLL_CTL: &[Name] = &[
    (sys::EPOLL_CTL_ADD as u64, "EPOLL_CTL_ADD"),
    (sys::EPOLL_CTL_DEL as u64, "EPOLL_CTL_DEL"),
    (sys::EPOLL_CTL_MOD as u64, "EPOLL_CTL_MOD"),
];

/// arch_prctl(2).
pub(super) const ARCH_PRCTL: &[Name] = &[
    (0x1001, "ARCH_SET_GS"),
    (0x1002, "ARCH_SET_FS"),
    (0x1003, "ARCH_GET_FS"),
    (0x1004, "ARCH_GET_GS"),
    (0x1011, "ARCH_GET_CPUID"),
    (0x1012, "ARCH_SET_CPUID"),
    (0x1021, "ARCH_GET_XCOMP_SUPP"),
    (0x1022, "ARCH_GET_XCOMP_PERM"),
    (0x1023, "ARCH_REQ_XCOMP_PERM"),
    (0x5001, "ARCH_SHSTK_ENABLE"),
    (0x5002, "ARCH_SHSTK_DISABLE"),
    (0x5005, "ARCH_SHSTK_STATUS"),
];

/// prctl(2).
pub(super) const PRCTL: &[Name] = &[
    (0x1, "PR_SET_PDEATHSIG"),
    (0x2, "PR_GET_PDEATHSIG"),
    (0x3, "PR_GET_DUMPABLE"),
    (0x4, "PR_SET_DUMPABLE"),
    (0x5, "PR_GET_UNALIGN"),
    (0x6, "PR_SET_UNALIGN"),
    (0x7, "PR_GET_KEEPCAPS"),
    (0x8, "PR_SET_KEEPCAPS"),
    (0x9, "PR_GET_FPEMU"),
    (0xa, "PR_SET_FPEMU"),
    (0xb, "PR_GET_FPEXC"),
    (0xc, "PR_SET_FPEXC"),
    (0xd, "PR_GET_TIMING"),
    (0xe, "PR_SET_TIMING"),
    (0xf, "PR_SET_NAME"),
    (0x10, "PR_GET_NAME"),
    (0x13, "PR_GET_ENDIAN"),
    (0x14, "PR_SET_ENDIAN"),
    (0x15, "PR_GET_SECCOMP"),
    (0x16, "PR_SET_SECCOMP"),
    (0x17, "PR_CAPBSET_READ"),
    (0x18, "PR_CAPBSET_DROP"),
    (0x19, "PR_GET_TSC"),
    (0x1a, "PR_SET_TSC"),
    (0x1b, "PR_GET_SECUREBITS"),
    (0x1c, "PR_SET_SECUREBITS"),
    (0x1d, "PR_SET_TIMERSLACK"),
    (0x1e, "PR_GET_TIMERSLACK"),
    (0x1f, "PR_TASK_PERF_EVENTS_DISABLE"),
    (0x20, "PR_TASK_PERF_EVENTS_ENABLE"),
    (0x21, "PR_MCE_KILL"),
    (0x23, "PR_SET_MM"),
    (0x24, "PR_SET_CHILD_SUBREAPER"),
    (0x25, "PR_GET_CHILD_SUBREAPER"),
    (0x26, "PR_SET_NO_NEW_PRIVS"),
    (0x27, "PR_GET_NO_NEW_PRIVS"),
    (0x28, "PR_GET_TID_ADDRESS"),
    (0x29, "PR_SET_THP_DISABLE"),
    (0x2a, "PR_GET_THP_DISABLE"),
    (0x2b, "PR_MPX_ENABLE_MANAGEMENT"),
    (0x2c, "PR_MPX_DISABLE_MANAGEMENT"),
    (0x2d, "PR_SET_FP_MODE"),
    (0x2e, "PR_GET_FP_MODE"),
    (0x2f, "PR_CAP_AMBIENT"),
    (0x33, "PR_SVE_GET_VL"),
    (0x34, "PR_GET_SPECULATION_CTRL"),
    (0x35, "PR_SET_SPECULATION_CTRL"),
    (0x36, "PR_PAC_RESET_KEYS"),
    (0x37, "PR_SET_TAGGED_ADDR_CTRL"),
    (0x38, "PR_GET_TAGGED_ADDR_CTRL"),
    (0x39, "PR_SET_IO_FLUSHER"),
    (0x3a, "PR_GET_IO_FLUSHER"),
    (0x3b, "PR_SET_SYSCALL_USER_DISPATCH"),
    (0x3c, "PR_PAC_SET_ENABLED_KEYS"),
    (0x3d, "PR_PAC_GET_ENABLED_KEYS"),
    (0x3e, "PR_SCHED_CORE"),
    (0x3f, "PR_SME_SET_VL"),
    (0x40, "PR_SME_GET_VL"),
];

/// futex(2), with FUTEX_PRIVATE_FLAG (128) and FUTEX_CLOCK_REALTIME (256).
pub(super) const FUTEX: &[Name] = &[
    (0x0, "FUTEX_WAIT"),
    (0x80, "FUTEX_WAIT_PRIVATE"),
    (0x100, "FUTEX_WAIT|FUTEX_CLOCK_REALTIME"),
    (0x180, "FUTEX_WAIT_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0x1, "FUTEX_WAKE"),
    (0x81, "FUTEX_WAKE_PRIVATE"),
    (0x101, "FUTEX_WAKE|FUTEX_CLOCK_REALTIME"),
    (0x181, "FUTEX_WAKE_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0x2, "FUTEX_FD"),
    (0x82, "FUTEX_FD_PRIVATE"),
    (0x102, "FUTEX_FD|FUTEX_CLOCK_REALTIME"),
    (0x182, "FUTEX_FD_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0x3, "FUTEX_REQUEUE"),
    (0x83, "FUTEX_REQUEUE_PRIVATE"),
    (0x103, "FUTEX_REQUEUE|FUTEX_CLOCK_REALTIME"),
    (0x183, "FUTEX_REQUEUE_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0x4, "FUTEX_CMP_REQUEUE"),
    (0x84, "FUTEX_CMP_REQUEUE_PRIVATE"),
    (0x104, "FUTEX_CMP_REQUEUE|FUTEX_CLOCK_REALTIME"),
    (0x184, "FUTEX_CMP_REQUEUE_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0x5, "FUTEX_WAKE_OP"),
    (0x85, "FUTEX_WAKE_OP_PRIVATE"),
    (0x105, "FUTEX_WAKE_OP|FUTEX_CLOCK_REALTIME"),
    (0x185, "FUTEX_WAKE_OP_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0x6, "FUTEX_LOCK_PI"),
    (0x86, "FUTEX_LOCK_PI_PRIVATE"),
    (0x106, "FUTEX_LOCK_PI|FUTEX_CLOCK_REALTIME"),
    (0x186, "FUTEX_LOCK_PI_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0x7, "FUTEX_UNLOCK_PI"),
    (0x87, "FUTEX_UNLOCK_PI_PRIVATE"),
    (0x107, "FUTEX_UNLOCK_PI|FUTEX_CLOCK_REALTIME"),
    (0x187, "FUTEX_UNLOCK_PI_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0x8, "FUTEX_TRYLOCK_PI"),
    (0x88, "FUTEX_TRYLOCK_PI_PRIVATE"),
    (0x108, "FUTEX_TRYLOCK_PI|FUTEX_CLOCK_REALTIME"),
    (0x188, "FUTEX_TRYLOCK_PI_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0x9, "FUTEX_WAIT_BITSET"),
    (0x89, "FUTEX_WAIT_BITSET_PRIVATE"),
    (0x109, "FUTEX_WAIT_BITSET|FUTEX_CLOCK_REALTIME"),
    (0x189, "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0xa, "FUTEX_WAKE_BITSET"),
    (0x8a, "FUTEX_WAKE_BITSET_PRIVATE"),
    (0x10a, "FUTEX_WAKE_BITSET|FUTEX_CLOCK_REALTIME"),
    (0x18a, "FUTEX_WAKE_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0xb, "FUTEX_WAIT_REQUEUE_PI"),
    (0x8b, "FUTEX_WAIT_REQUEUE_PI_PRIVATE"),
    (0x10b, "FUTEX_WAIT_REQUEUE_PI|FUTEX_CLOCK_REALTIME"),
    (0x18b, "FUTEX_WAIT_REQUEUE_PI_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0xc, "FUTEX_CMP_REQUEUE_PI"),
    (0x8c, "FUTEX_CMP_REQUEUE_PI_PRIVATE"),
    (0x10c, "FUTEX_CMP_REQUEUE_PI|FUTEX_CLOCK_REALTIME"),
    (0x18c, "FUTEX_CMP_REQUEUE_PI_PRIVATE|FUTEX_CLOCK_REALTIME"),
    (0xd, "FUTEX_LOCK_PI2"),
    (0x8d, "FUTEX_LOCK_PI2_PRIVATE"),
    (0x10d, "FUTEX_LOCK_PI2|FUTEX_CLOCK_REALTIME"),
    (0x18d, "FUTEX_LOCK_PI2_PRIVATE|FUTEX_CLOCK_REALTIME"),
];

/// socket(2).
pub(super) const SOCKET_DOMAIN: &[Name] = &[
    (0x0, "AF_UNSPEC"),
    (0x1, "AF_UNIX"),
    (0x2, "AF_INET"),
    (0xa, "AF_INET6"),
    (0x10, "AF_NETLINK"),
    (0x11, "AF_PACKET"),
    (0x28, "AF_VSOCK"),
];

/// poll(2).
pub(crate) const POLL: &[Name] = &[
    (sys::POLLIN as u64, "POLLIN"),
    (sys::POLLPRI as u64, "POLLPRI"),
    (sys::POLLOUT as u64, "POLLOUT"),
    (sys::POLLERR as u64, "POLLERR"),
    (sys::POLLHUP as u64, "POLLHUP"),
    (sys::POLLNVAL as u64, "POLLNVAL"),
    (sys::POLLRDNORM as u64, "POLLRDNORM"),
    (sys::POLLRDBAND as u64, "POLLRDBAND"),
    (sys::POLLWRNORM as u64, "POLLWRNORM"),
    (sys::POLLWRBAND as u64, "POLLWRBAND"),
    (sys::POLLRDHUP as u64, "POLLRDHUP"),
];
