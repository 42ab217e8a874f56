//! Readers and writers over user memory for code that does not know whose memory it works on (see `husk_fs::io`).

use crate::args::UserSlice;
use crate::mm::AddressSpace;
use alloc::vec::Vec;
use husk_abi::Errno;
use husk_fs::io::{Sink, Source};
use husk_machine::frame::Frame;

/// The buffers of one read or write, consumed from the front.
struct Pieces {
    /// The one in use; kept apart, so that a single buffer needs no list.
    current: UserSlice,
    /// In reverse, so that the next one is at the end.
    rest: Vec<UserSlice>,
    remaining: usize,
}

impl Pieces {
    fn one(current: UserSlice) -> Self {
        Self { current, rest: Vec::new(), remaining: current.len }
    }

    fn new(mut slices: Vec<UserSlice>) -> Self {
        slices.retain(|slice| slice.len > 0);
        slices.reverse();
        let remaining = slices.iter().map(|slice| slice.len).sum();
        let current = slices.pop().unwrap_or(UserSlice { addr: 0, len: 0 });
        Self { current, rest: slices, remaining }
    }

    /// Feeds up to `len` bytes of buffer to `copy(addr, bytes before it, len)`, which says how much it did.
    fn advance(
        &mut self,
        len: usize,
        mut copy: impl FnMut(u64, usize, usize) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let mut total = 0;
        while total < len {
            let piece = &mut self.current;
            if piece.len == 0 {
                break;
            }
            let wanted = piece.len.min(len - total);
            let done = match copy(piece.addr, total, wanted) {
                Ok(done) => done,
                Err(_) if total > 0 => break,
                Err(error) => return Err(error),
            };
            total += done;
            self.remaining -= done;
            piece.addr = piece.addr.wrapping_add(done as u64);
            piece.len -= done;
            if piece.len == 0
                && let Some(next) = self.rest.pop()
            {
                self.current = next;
            }
            if done < wanted {
                break;
            }
        }
        Ok(total)
    }
}

/// Writes into a program's buffers.
pub(crate) struct UserSink<'a> {
    mm: &'a AddressSpace,
    pieces: Pieces,
}

impl<'a> UserSink<'a> {
    /// Over one buffer.
    pub(crate) fn new(mm: &'a AddressSpace, slice: UserSlice) -> Self {
        Self { mm, pieces: Pieces::one(slice) }
    }

    /// Over several buffers, one after another.
    pub(crate) fn vectored(mm: &'a AddressSpace, slices: Vec<UserSlice>) -> Self {
        Self { mm, pieces: Pieces::new(slices) }
    }
}

impl Sink for UserSink<'_> {
    fn remaining(&self) -> usize {
        self.pieces.remaining
    }

    fn push(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let mm = self.mm;
        self.pieces.advance(bytes.len(), |addr, at, len| mm.copy_out_partial(addr, &bytes[at..at + len]))
    }

    fn push_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let mm = self.mm;
        self.pieces.advance(len, |addr, at, len| mm.copy_frame_out(addr, frame, offset + at, len))
    }

    fn push_zeros(&mut self, len: usize) -> Result<usize, Errno> {
        let mm = self.mm;
        self.pieces.advance(len, |addr, _, len| mm.clear_partial(addr, len))
    }
}

/// Reads from a program's buffers.
pub(crate) struct UserSource<'a> {
    mm: &'a AddressSpace,
    pieces: Pieces,
}

impl<'a> UserSource<'a> {
    /// Over one buffer.
    pub(crate) fn new(mm: &'a AddressSpace, slice: UserSlice) -> Self {
        Self { mm, pieces: Pieces::one(slice) }
    }

    /// Over several buffers, one after another.
    pub(crate) fn vectored(mm: &'a AddressSpace, slices: Vec<UserSlice>) -> Self {
        Self { mm, pieces: Pieces::new(slices) }
    }
}

impl Source for UserSource<'_> {
    fn remaining(&self) -> usize {
        self.pieces.remaining
    }

    fn pull(&mut self, bytes: &mut [u8]) -> Result<usize, Errno> {
        let mm = self.mm;
        self.pieces.advance(bytes.len(), |addr, at, len| mm.copy_in_partial(&mut bytes[at..at + len], addr))
    }

    fn pull_to_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let mm = self.mm;
        self.pieces.advance(len, |addr, at, len| mm.copy_frame_in(frame, offset + at, addr, len))
    }
}
