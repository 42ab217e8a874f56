//! Reading pages from the backing.

use super::backing::{Backing, Place, Run};
use super::mapping::{Core, PAGE, out_of_memory};
use super::pages::{Slot, pages_of};
use crate::Result;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::err;
use husk_machine::block::{BlockOp, BlockRequest, SECTOR_SIZE};
use husk_machine::frame::{Frame, PAGE_SIZE};

/// Pages in one request to the device: 256 KiB. Larger windows become several requests in flight at once.
const REQUEST: u64 = 64;
/// Most pages that one call of readahead(2) starts to read: 16 MiB.
const HINT_LIMIT: u64 = 4096;

/// Pages that this thread has marked as being read and must read or release.
#[derive(Clone, Copy)]
struct Claim {
    token: u32,
    first: u64,
    count: u64,
}

impl Core {
    pub(super) const fn read_ahead_limit(&self) -> u64 {
        HINT_LIMIT
    }

    /// Reads a window for the sake of one page in it: if the window as a whole cannot be read, that page alone.
    ///
    /// # Errors
    /// EIO, EUCLEAN, ENOMEM.
    pub(super) fn load_for(self: &Arc<Self>, index: u64, first: u64, count: u64) -> Result<()> {
        match self.load(first, count) {
            Err(_) if count > 1 => self.load(index, 1),
            other => other,
        }
    }

    /// Starts to read those pages of a range that come from the backing, are not in memory and not being read by others.
    ///
    /// # Errors
    /// EIO, EUCLEAN, ENOMEM; some pages may have been started.
    pub(super) fn load(self: &Arc<Self>, first: u64, count: u64) -> Result<()> {
        let Some(backing) = self.backing.clone() else { return Ok(()) };
        let claims = self.claim(first, count);
        let mut result = Ok(());
        for claim in claims {
            match result {
                Ok(()) => result = self.load_claim(&*backing, claim),
                Err(_) => self.release(claim, Slot::Empty),
            }
        }
        result
    }

    fn claim(&self, first: u64, count: u64) -> Vec<Claim> {
        let mut claims: Vec<Claim> = Vec::new();
        let mut pages = self.pages.lock();
        let end = first.saturating_add(count).min(pages_of(pages.size)).min(pages_of(pages.backed));
        let token = pages.next_token;
        pages.next_token = token.wrapping_add(1);
        for index in first..end {
            if !matches!(pages.slot(index), Slot::Empty | Slot::Failed) || !pages.is_backed(index) {
                continue;
            }
            pages.put(index, Slot::Loading(token));
            match claims.last_mut() {
                Some(last) if last.first + last.count == index => last.count += 1,
                _ => claims.push(Claim { token, first: index, count: 1 }),
            }
        }
        claims
    }

    /// Gives a claim up.
    fn release(&self, claim: Claim, why: Slot) {
        let failed = matches!(why, Slot::Failed);
        let mut pages = self.pages.lock();
        for index in claim.first..claim.first + claim.count {
            if matches!(pages.slot(index), Slot::Loading(token) if *token == claim.token) {
                pages.put(index, if failed { Slot::Failed } else { Slot::Empty });
            }
        }
        drop(pages);
        self.loaded.wake_all();
    }

    fn load_claim(self: &Arc<Self>, backing: &dyn Backing, claim: Claim) -> Result<()> {
        let runs = match backing.locate(claim.first, claim.count) {
            Ok(runs) => runs,
            Err(error) => {
                self.release(claim, Slot::Empty);
                return Err(error);
            }
        };
        let mut rest = claim;
        for Run { pages, place } in runs {
            let mut left = pages.min(rest.count);
            let mut place = place;
            while left > 0 {
                let count = left.min(REQUEST);
                let part = Claim { count, ..rest };
                let count = match self.load_part(backing, part, place) {
                    Ok(count) => count,
                    Err(error) => {
                        self.release(rest, Slot::Empty);
                        return Err(error);
                    }
                };
                if let Place::Sector(sector) = place {
                    place = Place::Sector(sector + count * (PAGE / SECTOR_SIZE as u64));
                }
                rest.first += count;
                rest.count -= count;
                left -= count;
            }
        }
        if rest.count == 0 {
            return Ok(());
        }
        self.release(rest, Slot::Empty);
        err!(EIO)
    }

    /// Starts to read, or makes, pages that are found in one way: as many of the claim as there is memory for, at least one. The
    /// answer is how many.
    fn load_part(self: &Arc<Self>, backing: &dyn Backing, claim: Claim, place: Place) -> Result<u64> {
        let mut frames = Vec::with_capacity(claim.count as usize);
        for _ in 0..claim.count {
            let frame = if place == Place::Zero { Frame::alloc_zeroed() } else { Frame::alloc() };
            match frame {
                Ok(frame) => frames.push(frame),
                Err(error) if frames.is_empty() => return Err(out_of_memory(error)),
                Err(_) => break,
            }
        }
        let claim = Claim { count: frames.len() as u64, ..claim };
        match place {
            Place::Zero => self.publish(claim, frames),
            Place::Pieces => {
                for (index, frame) in (claim.first..).zip(&frames) {
                    backing.read_page(index, frame)?;
                }
                self.publish(claim, frames);
            }
            Place::Sector(sector) => {
                let core = self.clone();
                let kept = frames.clone();
                let done = Box::new(move |outcome: Result<(), _>| match outcome {
                    Ok(()) => core.publish(claim, kept),
                    Err(error) => {
                        log::error!(
                            "reading {} pages at sector {sector} of {} failed: {error:?}",
                            claim.count,
                            core.backing.as_ref().map_or("?", |backing| backing.device().name())
                        );
                        core.release(claim, Slot::Failed);
                    }
                });
                backing.device().submit(BlockRequest { op: BlockOp::Read, sector, frames, done });
            }
        }
        Ok(claim.count)
    }

    /// The pages have been read: everybody may see them. Runs in interrupt context.
    fn publish(&self, claim: Claim, frames: Vec<Frame>) {
        let mut pages = self.pages.lock();
        for (index, frame) in (claim.first..).zip(frames) {
            if !matches!(pages.slot(index), Slot::Loading(token) if *token == claim.token) {
                // Cut off while it was being read.
                continue;
            }
            let valid = pages.backed.saturating_sub(index * PAGE);
            if valid < PAGE {
                // What the disk has after the end of the file is nobody's business.
                frame.fill(valid as usize, PAGE_SIZE - valid as usize, 0);
            }
            pages.put(index, Slot::Clean(frame));
        }
        drop(pages);
        self.loaded.wake_all();
    }
}
