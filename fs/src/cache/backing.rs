//! Where the pages of a mapping come from.

use crate::Result;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::err;
use husk_machine::block::BlockDevice;
use husk_machine::frame::{Frame, PAGE_SIZE};

/// Consecutive pages that are found in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// How many pages; never 0.
    pub(crate) pages: u64,
    /// Where they are.
    pub(crate) place: Place,
}

/// Where pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// One after another from this sector of the device on.
    Sector(u64),
    /// Nowhere: they are all zeros (a hole).
    Zero,
    /// Each is put together by [`Backing::read_page`].
    Pieces,
}

/// The disk side of a mapping. Its methods may sleep.
pub(crate) trait Backing: Send + Sync {
    /// The device that [`Place::Sector`] counts on.
    fn device(&self) -> &Arc<dyn BlockDevice>;

    /// Where the pages from `first` on are: runs that make up `count` pages.
    ///
    /// # Errors
    /// EIO, EUCLEAN.
    fn locate(&self, first: u64, count: u64) -> Result<Vec<Run>>;

    /// Fills a page of a [`Place::Pieces`] run.
    ///
    /// # Errors
    /// EIO, EUCLEAN.
    fn read_page(&self, index: u64, frame: &Frame) -> Result<()>;
}

/// A whole device as one file: what the metadata of a filesystem is read through.
pub(crate) struct DeviceBacking(pub(crate) Arc<dyn BlockDevice>);

impl Backing for DeviceBacking {
    fn device(&self) -> &Arc<dyn BlockDevice> {
        &self.0
    }

    fn locate(&self, first: u64, count: u64) -> Result<Vec<Run>> {
        const SECTORS_PER_PAGE: u64 = (PAGE_SIZE / husk_machine::block::SECTOR_SIZE) as u64;
        Ok(alloc::vec![Run { pages: count, place: Place::Sector(first * SECTORS_PER_PAGE) }])
    }

    fn read_page(&self, _index: u64, _frame: &Frame) -> Result<()> {
        err!(EIO)
    }
}
