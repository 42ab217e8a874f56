//! How a trace prints an argument.

/// A bit of a flag word with its name, or a value of a choice.
pub type Name = (u64, &'static str);

/// How one argument is printed.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// A signed 32-bit number, or a wider one that is in its range.
    Int,
    /// An unsigned number.
    Uint,
    /// A hexadecimal number.
    Hex,
    /// An address.
    Ptr,
    /// A file descriptor.
    Fd,
    /// A directory's descriptor or `AT_FDCWD`.
    DirFd,
    /// A zero-terminated string.
    Path,
    /// An array of pointers to strings, ended by null.
    Strings,
    /// A buffer that is read; its length is the next argument.
    In,
    /// A buffer that is filled; its length is the call's result.
    Out,
    /// Permission bits.
    Mode,
    /// A signal's number.
    Signal,
    /// A signal set that is read.
    SigSet,
    /// A signal set that is written.
    SigSetOut,
    /// An array of `struct iovec` whose buffers are read; its length is the next argument.
    IoVecs,
    /// An array of `struct iovec` whose buffers are filled; its length is the next argument, that of the contents the call's
    /// result.
    IoVecsOut,
    /// An array of `struct pollfd` whose length is the next argument.
    PollFds,
    /// A `struct sigaction` that is read.
    SigAction,
    /// A `struct timespec` that is read.
    Timespec,
    /// A `struct timespec` that is written.
    TimespecOut,
    /// A `struct stat` that is written.
    StatOut,
    /// Two descriptors that are written.
    IntPairOut,
    /// A `struct rlimit` that is read.
    Rlimit,
    /// A `struct rlimit` that is written.
    RlimitOut,
    /// A word of flags.
    Flags(&'static [Name]),
    /// One of several values.
    Choice(&'static [Name]),
}
