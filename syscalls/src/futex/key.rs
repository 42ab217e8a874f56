//! What makes two words in memory the same futex.

use crate::mm::{AddressSpace, SharedPlace, USER_END};
use husk_abi::{Errno, err};

/// A word: what it is in, and where in that.
#[derive(Clone)]
pub(crate) struct Key {
    object: Object,
    /// An address, or an offset in the file or memory.
    offset: u64,
}

#[derive(Clone)]
enum Object {
    /// FUTEX_PRIVATE_FLAG: the address space alone counts. It outlives those who wait in it.
    Private(usize),
    /// The same without the flag, for memory that is not shared. Linux keeps the two apart.
    Unshared(usize),
    /// Memory that other address spaces may have, too.
    Shared(SharedPlace),
}

impl Key {
    /// The key of the word at an address.
    ///
    /// # Errors
    /// EINVAL if the address is no multiple of 4; EFAULT if it is not a program's or, for a word that may be shared, if
    /// nothing is mapped there.
    pub(crate) fn new(mm: &AddressSpace, addr: u64, shared: bool) -> Result<Self, Errno> {
        if !addr.is_multiple_of(4) {
            return err!(EINVAL);
        }
        if addr >= USER_END {
            return err!(EFAULT);
        }
        let space = core::ptr::from_ref(mm).addr();
        if !shared {
            return Ok(Self { object: Object::Private(space), offset: addr });
        }
        mm.load_u32(addr)?;
        Ok(match mm.shared_place(addr)? {
            Some((place, offset)) => Self { object: Object::Shared(place), offset },
            None => Self { object: Object::Unshared(space), offset: addr },
        })
    }

    fn identity(&self) -> (u8, usize, u64) {
        match &self.object {
            Object::Private(space) => (0, *space, self.offset),
            Object::Unshared(space) => (1, *space, self.offset),
            Object::Shared(place) => (2, place.id(), self.offset),
        }
    }

    /// Which of `count` buckets it belongs to.
    pub(super) fn bucket(&self, count: usize) -> usize {
        // Knuth's multiplicative hash: the upper bits depend on all lower ones.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let (_, object, offset) = self.identity();
        let mixed = (object as u64 >> 4).wrapping_mul(FACTOR).wrapping_add(offset >> 2).wrapping_mul(FACTOR);
        (mixed >> 32) as usize % count
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}
