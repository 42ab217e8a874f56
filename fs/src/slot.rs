//! What other layers hang on an inode.

use crate::Result;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicI32, Ordering};
use husk_abi::err;
use husk_machine::sync::SpinLock;

/// Places on an inode for things this crate knows nothing of. They live as long as the inode.
#[derive(Default)]
pub struct Slot {
    /// The object behind the name: a FIFO's pipe, a bound socket.
    pub object: Attachment,
    /// Advisory locks: flock(2), fcntl(2).
    pub locks: Attachment,
    /// Who writes it, or forbids writing (ETXTBSY).
    pub write_access: WriteAccess,
}

/// A place for one shared object.
#[derive(Default)]
pub struct Attachment(SpinLock<Option<Arc<dyn Any + Send + Sync>>>);

impl Attachment {
    /// The object, if one of that type is there.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.lock().clone()?.downcast().ok()
    }

    /// The object there, or the one given, which then stays. `None` if an object of another type is there.
    pub fn get_or_insert<T: Any + Send + Sync>(&self, new: Arc<T>) -> Option<Arc<T>> {
        let mut place = self.0.lock();
        let there = place.get_or_insert(new).clone();
        drop(place);
        there.downcast().ok()
    }

    /// Takes the object away.
    pub fn clear(&self) {
        let old = self.0.lock().take();
        drop(old);
    }
}

/// Counts writers above zero and those who forbid writing (running programs) below, as Linux's `i_writecount`.
#[derive(Default)]
pub struct WriteAccess(AtomicI32);

impl WriteAccess {
    /// One more writer: a file opened for writing.
    ///
    /// # Errors
    /// ETXTBSY while it is denied.
    pub fn get(&self) -> Result<()> {
        self.change(|count| (count >= 0).then_some(count + 1))
    }

    /// Undoes [`get`](Self::get).
    pub fn put(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    /// Forbids writing: a program runs from the file.
    ///
    /// # Errors
    /// ETXTBSY while it is open for writing.
    pub fn deny(&self) -> Result<()> {
        self.change(|count| (count <= 0).then_some(count - 1))
    }

    /// Undoes [`deny`](Self::deny).
    pub fn allow(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn change(&self, next: impl FnMut(i32) -> Option<i32>) -> Result<()> {
        match self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) {
            Ok(_) => Ok(()),
            Err(_) => err!(ETXTBSY),
        }
    }
}
