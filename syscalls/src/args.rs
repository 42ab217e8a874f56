//! Typed arguments of system calls. The six registers are converted here, once, on the way from the table to a handler.

use crate::mm::AddressSpace;
use alloc::vec::Vec;
use core::marker::PhantomData;
use husk_abi::{Errno, err};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Longest path with its zero byte (Linux's `PATH_MAX`).
pub(crate) const PATH_MAX: usize = 4096;

/// Most bytes that one read or write moves (Linux's `MAX_RW_COUNT`).
pub(crate) const MAX_RW_COUNT: usize = 0x7fff_f000;

/// Most elements of an array of `struct iovec` (Linux's `UIO_MAXIOV`).
pub(crate) const IOV_MAX: usize = 1024;

/// The argument registers of a call (RDI, RSI, RDX, R10, R8, R9), read one after another.
pub(crate) struct ArgReader<'a> {
    values: &'a [u64; 6],
    next: usize,
}

impl<'a> ArgReader<'a> {
    /// Starts at the first argument.
    pub(crate) fn new(values: &'a [u64; 6]) -> Self {
        Self { values, next: 0 }
    }

    fn next(&mut self) -> u64 {
        let value = self.values[self.next];
        self.next += 1;
        value
    }
}

/// A handler's parameter. Some take two registers (an address and a length).
pub(crate) trait FromArg: Sized {
    /// Takes what it needs; an error is the call's.
    fn from_arg(args: &mut ArgReader<'_>) -> Result<Self, Errno>;
}

macro_rules! integer_args {
    ($($integer:ty),*) => {
        $(impl FromArg for $integer {
            // Linux declares these parameters with this width: the upper bits of the register do not count.
            fn from_arg(args: &mut ArgReader<'_>) -> Result<Self, Errno> {
                Ok(args.next() as $integer)
            }
        })*
    };
}

integer_args!(u16, i32, u32, i64, u64, usize);

/// A handler's result as the value of RAX.
pub(crate) trait IntoReturn {
    /// The value; an error is turned into a negative number later.
    fn into_return(self) -> Result<u64, Errno>;
}

impl IntoReturn for Result<u64, Errno> {
    fn into_return(self) -> Result<u64, Errno> {
        self
    }
}

impl IntoReturn for Result<usize, Errno> {
    fn into_return(self) -> Result<u64, Errno> {
        self.map(|value| value as u64)
    }
}

impl IntoReturn for Result<u32, Errno> {
    fn into_return(self) -> Result<u64, Errno> {
        self.map(u64::from)
    }
}

impl IntoReturn for Result<i32, Errno> {
    fn into_return(self) -> Result<u64, Errno> {
        self.map(|value| i64::from(value) as u64)
    }
}

impl IntoReturn for Result<i64, Errno> {
    fn into_return(self) -> Result<u64, Errno> {
        self.map(|value| value as u64)
    }
}

impl IntoReturn for Result<Fd, Errno> {
    fn into_return(self) -> Result<u64, Errno> {
        self.map(|fd| i64::from(fd.0) as u64)
    }
}

impl IntoReturn for Result<(), Errno> {
    fn into_return(self) -> Result<u64, Errno> {
        self.map(|()| 0)
    }
}

/// A file descriptor's number as a program gave it: any value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fd(pub(crate) i32);

impl Fd {
    /// The directory argument that stands for the working directory (`AT_FDCWD`).
    pub(crate) const CWD: Self = Self(linux_raw_sys::general::AT_FDCWD);
}

impl FromArg for Fd {
    fn from_arg(args: &mut ArgReader<'_>) -> Result<Self, Errno> {
        i32::from_arg(args).map(Self)
    }
}

/// The address of a `T` (or of an array of them) in a program's memory; may be null or bad.
pub(crate) struct UserPtr<T> {
    addr: u64,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for UserPtr<T> {}

impl<T> core::fmt::Debug for UserPtr<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}", self.addr)
    }
}

impl<T> FromArg for UserPtr<T> {
    fn from_arg(args: &mut ArgReader<'_>) -> Result<Self, Errno> {
        u64::from_arg(args).map(Self::new)
    }
}

impl<T> UserPtr<T> {
    /// From an address.
    pub(crate) const fn new(addr: u64) -> Self {
        Self { addr, kind: PhantomData }
    }

    /// The address.
    pub(crate) const fn addr(self) -> u64 {
        self.addr
    }

    /// Whether it is null.
    pub(crate) const fn is_null(self) -> bool {
        self.addr == 0
    }

    /// None if it is null: for arguments that may be left out.
    pub(crate) const fn non_null(self) -> Option<Self> {
        if self.is_null() { None } else { Some(self) }
    }

    /// The element `index` places further on.
    pub(crate) const fn add(self, index: usize) -> Self {
        Self::new(self.addr.wrapping_add((index as u64).wrapping_mul(size_of::<T>() as u64)))
    }

    /// The same address as that of another type.
    pub(crate) const fn cast<U>(self) -> UserPtr<U> {
        UserPtr::new(self.addr)
    }
}

impl<T: FromBytes> UserPtr<T> {
    /// Copies the value in.
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn read(self, mm: &AddressSpace) -> Result<T, Errno>
    where
        T: IntoBytes,
    {
        let mut value = T::new_zeroed();
        mm.copy_in(value.as_mut_bytes(), self.addr)?;
        Ok(value)
    }

    /// Copies `count` values in.
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn read_array(self, mm: &AddressSpace, count: usize) -> Result<Vec<T>, Errno>
    where
        T: IntoBytes,
    {
        let mut values = Vec::new();
        values.try_reserve_exact(count).map_err(|_| Errno::ENOMEM.here())?;
        values.resize_with(count, T::new_zeroed);
        mm.copy_in(values.as_mut_slice().as_mut_bytes(), self.addr)?;
        Ok(values)
    }
}

impl<T: IntoBytes + Immutable> UserPtr<T> {
    /// Copies the value out.
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn write(self, mm: &AddressSpace, value: &T) -> Result<(), Errno> {
        mm.copy_out(self.addr, value.as_bytes())
    }

    /// Copies an array out.
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn write_slice(self, mm: &AddressSpace, values: &[T]) -> Result<(), Errno> {
        mm.copy_out(self.addr, values.as_bytes())
    }

    /// Copies the value out unless the pointer is null.
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn write_if_non_null(self, mm: &AddressSpace, value: &T) -> Result<(), Errno> {
        self.non_null().map_or(Ok(()), |pointer| pointer.write(mm, value))
    }
}

/// A buffer in a program's memory: an address and a length in bytes, from two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserSlice {
    /// Where it starts.
    pub(crate) addr: u64,
    /// Its length in bytes.
    pub(crate) len: usize,
}

impl FromArg for UserSlice {
    fn from_arg(args: &mut ArgReader<'_>) -> Result<Self, Errno> {
        Ok(Self { addr: u64::from_arg(args)?, len: usize::from_arg(args)? })
    }
}

impl UserSlice {
    /// The same buffer, no longer than `len`.
    pub(crate) fn truncated(self, len: usize) -> Self {
        Self { len: self.len.min(len), ..self }
    }

    /// Copies all of it in; callers bound the length.
    ///
    /// # Errors
    /// EFAULT, or ENOMEM if the kernel has no room for it.
    pub(crate) fn read(self, mm: &AddressSpace) -> Result<Vec<u8>, Errno> {
        UserPtr::new(self.addr).read_array(mm, self.len)
    }

    /// Copies as much of `bytes` out as fits, and says how much that is.
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn write(self, mm: &AddressSpace, bytes: &[u8]) -> Result<usize, Errno> {
        let len = self.len.min(bytes.len());
        mm.copy_out(self.addr, &bytes[..len])?;
        Ok(len)
    }
}

/// `struct iovec`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoVec {
    base: u64,
    len: u64,
}

const _: () = assert!(size_of::<IoVec>() == size_of::<linux_raw_sys::general::iovec>());

/// Reads the array of `struct iovec` of readv(2) and its relatives. The total is cut off at [`MAX_RW_COUNT`].
///
/// # Errors
/// EINVAL for more than [`IOV_MAX`] elements or a length that is negative as an `ssize_t`; EFAULT.
pub(crate) fn read_iovecs(
    mm: &AddressSpace,
    array: UserPtr<IoVec>,
    count: usize,
) -> Result<Vec<UserSlice>, Errno> {
    if count > IOV_MAX {
        return err!(EINVAL);
    }
    let mut room = MAX_RW_COUNT;
    let mut slices = Vec::with_capacity(count);
    for element in array.read_array(mm, count)? {
        if i64::try_from(element.len).is_err() {
            return err!(EINVAL);
        }
        let len = (element.len as usize).min(room);
        room -= len;
        slices.push(UserSlice { addr: element.base, len });
    }
    Ok(slices)
}

/// A zero-terminated string in a program's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserCStr {
    addr: u64,
}

impl FromArg for UserCStr {
    fn from_arg(args: &mut ArgReader<'_>) -> Result<Self, Errno> {
        u64::from_arg(args).map(Self::new)
    }
}

impl UserCStr {
    /// From an address.
    pub(crate) const fn new(addr: u64) -> Self {
        Self { addr }
    }

    /// Whether it is null.
    pub(crate) const fn is_null(self) -> bool {
        self.addr == 0
    }

    /// Copies a path in, without its zero byte. An empty path is returned as such.
    ///
    /// # Errors
    /// EFAULT; ENAMETOOLONG if it has [`PATH_MAX`] bytes or more with the zero byte not among them.
    pub(crate) fn path(self, mm: &AddressSpace) -> Result<Vec<u8>, Errno> {
        self.read(mm, PATH_MAX)?.ok_or(Errno::ENAMETOOLONG.here())
    }

    /// Copies the string in, without its zero byte. None if the first `max` bytes hold no zero.
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn read(self, mm: &AddressSpace, max: usize) -> Result<Option<Vec<u8>>, Errno> {
        let len = mm.string_length(self.addr, max)?;
        if len == max {
            return Ok(None);
        }
        UserSlice { addr: self.addr, len }.read(mm).map(Some)
    }
}
