//! Copies between the kernel and user memory. A page that is missing or protected ends the copy with a
//! [`UserFault`]; the caller resolves it (or answers EFAULT) and goes on where it stopped.

use super::{PageTable, USER_END};
use crate::arch::uaccess;
use crate::frame::{Frame, PAGE_SIZE};

/// Part of user memory could not be accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserFault {
    /// The first byte that is not accessible.
    pub addr: u64,
    /// The access was a write.
    pub write: bool,
    /// Bytes copied before it.
    pub done: usize,
}

/// Checks a range against the end of user memory, as a whole and beforehand, as Linux does.
fn check(va: u64, len: usize, write: bool) -> Result<(), UserFault> {
    match va.checked_add(len as u64) {
        Some(end) if end <= USER_END => Ok(()),
        _ => Err(UserFault { addr: va.max(USER_END), write, done: 0 }),
    }
}

fn complete(va: u64, len: usize, done: usize, write: bool) -> Result<(), UserFault> {
    if done == len { Ok(()) } else { Err(UserFault { addr: va + done as u64, write, done }) }
}

fn word(result: Result<u32, u64>, write: bool) -> Result<u32, UserFault> {
    result.map_err(|addr| UserFault { addr, write, done: 0 })
}

/// Copies to and from user memory. The table must be the one the current thread runs on.
impl PageTable {
    /// Copies from user memory.
    ///
    /// # Errors
    /// [`UserFault`] where the copy stopped.
    pub fn copy_from_user(&self, dst: &mut [u8], va: u64) -> Result<(), UserFault> {
        check(va, dst.len(), false)?;
        // SAFETY: `dst` is kernel memory of that length, and the range is user memory.
        let done = unsafe { uaccess::read(self, dst.as_mut_ptr(), va, dst.len()) };
        complete(va, dst.len(), done, false)
    }

    /// Copies to user memory.
    ///
    /// # Errors
    /// [`UserFault`] where the copy stopped.
    pub fn copy_to_user(&self, va: u64, src: &[u8]) -> Result<(), UserFault> {
        check(va, src.len(), true)?;
        // SAFETY: `src` is kernel memory of that length, and the range is user memory.
        let done = unsafe { uaccess::write(self, va, src.as_ptr(), src.len()) };
        complete(va, src.len(), done, true)
    }

    /// Fills user memory with zeros.
    ///
    /// # Errors
    /// [`UserFault`] where it stopped.
    pub fn clear_user(&self, va: u64, len: usize) -> Result<(), UserFault> {
        check(va, len, true)?;
        // SAFETY: the range is user memory.
        let done = unsafe { uaccess::clear(self, va, len) };
        complete(va, len, done, true)
    }

    /// Copies from user memory into a page.
    ///
    /// # Errors
    /// [`UserFault`] where the copy stopped.
    ///
    /// # Panics
    /// If `offset + len` is beyond the page.
    pub fn copy_user_to_frame(
        &self,
        frame: &Frame,
        offset: usize,
        va: u64,
        len: usize,
    ) -> Result<(), UserFault> {
        assert!(offset <= PAGE_SIZE && len <= PAGE_SIZE - offset, "{len} bytes at {offset} of a page");
        check(va, len, false)?;
        // SAFETY: the range lies in the page, which stays allocated; the other range is user memory. If the page is
        // mapped there as well, the bytes are copied one way or the other, but nothing else can happen.
        let done = unsafe { uaccess::read(self, frame.as_ptr().as_ptr().add(offset), va, len) };
        complete(va, len, done, false)
    }

    /// Copies from a page to user memory.
    ///
    /// # Errors
    /// [`UserFault`] where the copy stopped.
    ///
    /// # Panics
    /// If `offset + len` is beyond the page.
    pub fn copy_frame_to_user(
        &self,
        va: u64,
        frame: &Frame,
        offset: usize,
        len: usize,
    ) -> Result<(), UserFault> {
        assert!(offset <= PAGE_SIZE && len <= PAGE_SIZE - offset, "{len} bytes at {offset} of a page");
        check(va, len, true)?;
        // SAFETY: as in `copy_user_to_frame`.
        let done = unsafe { uaccess::write(self, va, frame.as_ptr().as_ptr().add(offset), len) };
        complete(va, len, done, true)
    }

    /// The number of bytes before the first NUL, or `max` if there is none in so many bytes.
    ///
    /// # Errors
    /// [`UserFault`] where it stopped, if that is before a NUL.
    pub fn strnlen_user(&self, va: u64, max: usize) -> Result<usize, UserFault> {
        // A string may end just below the end of user memory, though `max` reaches beyond.
        let room = USER_END.saturating_sub(va);
        let len = usize::try_from(room).map_or(max, |room| room.min(max));
        // SAFETY: the range is user memory.
        let (done, ended) = unsafe { uaccess::strnlen(self, va, len) };
        if ended || done == max {
            return Ok(done);
        }
        Err(UserFault { addr: va.saturating_add(done as u64), write: false, done })
    }

    /// Loads a 32-bit word at once.
    ///
    /// # Errors
    /// [`UserFault`] if it is not readable.
    pub fn load_u32(&self, va: u64) -> Result<u32, UserFault> {
        check(va, 4, false)?;
        // SAFETY: the word is in user memory.
        word(unsafe { uaccess::load_u32(self, va) }, false)
    }

    /// Stores a 32-bit word at once.
    ///
    /// # Errors
    /// [`UserFault`] if it is not writable.
    pub fn store_u32(&self, va: u64, value: u32) -> Result<(), UserFault> {
        check(va, 4, true)?;
        // SAFETY: the word is in user memory.
        word(unsafe { uaccess::swap_u32(self, va, value) }, true).map(drop)
    }

    /// Atomically replaces a 32-bit word if it is `old`. The inner `Err` is what it is instead.
    ///
    /// # Errors
    /// [`UserFault`] if it is not writable.
    pub fn compare_exchange_u32(&self, va: u64, old: u32, new: u32) -> Result<Result<u32, u32>, UserFault> {
        check(va, 4, true)?;
        // SAFETY: the word is in user memory.
        let found = word(unsafe { uaccess::compare_exchange_u32(self, va, old, new) }, true)?;
        Ok(if found == old { Ok(found) } else { Err(found) })
    }
}
