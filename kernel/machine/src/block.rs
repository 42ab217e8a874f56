//! Block devices.

use crate::frame::{Frame, PAGE_SIZE};
use crate::sync::{SpinLock, WaitQueue};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Bytes of a sector, the unit of all positions and lengths; a device's own blocks may be larger.
pub const SECTOR_SIZE: usize = 512;
/// Sectors of a page.
pub const SECTORS_PER_PAGE: u64 = (PAGE_SIZE / SECTOR_SIZE) as u64;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoError {
    /// The device says that it could not read or write (virtio: VIRTIO_BLK_S_IOERR).
    Device,
    /// The device does not know this operation.
    Unsupported,
    /// A write to a device that can only be read.
    ReadOnly,
    /// The request begins or goes on beyond the device's end.
    OutOfRange,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockOp {
    /// From the device into the frames.
    Read,
    /// From the frames to the device.
    Write,
    /// Everything written before is on the medium when this is done. No frames.
    Flush,
}

/// Called when a request has ended.
pub type Done = Box<dyn FnOnce(Result<(), IoError>) + Send>;

/// One request of any length; the driver splits it as the device needs.
pub struct BlockRequest {
    /// What to do.
    pub op: BlockOp,
    /// The first sector.
    pub sector: u64,
    /// Whole pages, in order, of 8 sectors each. The last may reach beyond the device's end: of it only the part on the
    /// device is transferred.
    pub frames: Vec<Frame>,
    /// Called once, in interrupt context (so it must not sleep) with no lock of the driver held; or before
    /// `submit` returns.
    pub done: Done,
}

impl BlockRequest {
    /// What is wrong with the request for a device of so many sectors.
    ///
    /// # Errors
    /// [`IoError::ReadOnly`] or [`IoError::OutOfRange`].
    pub fn check(&self, sectors: u64, read_only: bool) -> Result<(), IoError> {
        if self.op == BlockOp::Write && read_only {
            return Err(IoError::ReadOnly);
        }
        let Some(more_pages) = self.frames.len().checked_sub(1) else { return Ok(()) };
        // Each page must have its first sector on the device.
        let last = (more_pages as u64).checked_mul(SECTORS_PER_PAGE).and_then(|n| n.checked_add(self.sector));
        if last.is_some_and(|last| last < sectors) { Ok(()) } else { Err(IoError::OutOfRange) }
    }
}

/// A disk.
pub trait BlockDevice: Send + Sync {
    /// Its length in sectors.
    fn sectors(&self) -> u64;
    /// It cannot be written.
    fn read_only(&self) -> bool;
    /// A short name, as `vda`.
    fn name(&self) -> &str;
    /// The serial number that the host gave, or an empty string. May sleep.
    fn serial(&self) -> String;
    /// Starts a request, or queues it if the device is busy. Does not wait.
    fn submit(&self, request: BlockRequest);
}

/// Does one request and sleeps until it has ended.
///
/// # Errors
/// As the device says.
pub fn transfer_sync(
    device: &dyn BlockDevice,
    op: BlockOp,
    sector: u64,
    frames: Vec<Frame>,
) -> Result<(), IoError> {
    let shared = Arc::new((SpinLock::new(None), WaitQueue::new()));
    let done: Done = {
        let shared = shared.clone();
        Box::new(move |outcome| {
            *shared.0.lock() = Some(outcome);
            shared.1.wake_all();
        })
    };
    device.submit(BlockRequest { op, sector, frames, done });
    shared.1.wait_until(|| *shared.0.lock())
}

/// Reads whole pages and sleeps until they are there.
///
/// # Errors
/// As the device says.
pub fn read_sync(device: &dyn BlockDevice, sector: u64, frames: Vec<Frame>) -> Result<(), IoError> {
    transfer_sync(device, BlockOp::Read, sector, frames)
}

/// A disk in memory; requests end before `submit` returns.
pub struct MemoryDisk {
    bytes: SpinLock<Vec<u8>>,
    sectors: u64,
    read_only: bool,
}

impl MemoryDisk {
    /// A disk with these contents, rounded up to whole sectors with zeros.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>, read_only: bool) -> Self {
        bytes.resize(bytes.len().next_multiple_of(SECTOR_SIZE), 0);
        let sectors = (bytes.len() / SECTOR_SIZE) as u64;
        Self { bytes: SpinLock::new(bytes), sectors, read_only }
    }

    /// The contents now.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        self.bytes.lock().clone()
    }

    fn transfer(&self, op: BlockOp, sector: u64, frames: &[Frame]) -> Result<(), IoError> {
        let mut bytes = self.bytes.lock();
        let mut start = usize::try_from(sector).map_err(|_| IoError::OutOfRange)? * SECTOR_SIZE;
        for frame in frames {
            let end = bytes.len().min(start + PAGE_SIZE);
            let part = bytes.get_mut(start..end).ok_or(IoError::OutOfRange)?;
            match op {
                BlockOp::Read => frame.write(0, part),
                BlockOp::Write => frame.read(0, part),
                BlockOp::Flush => {}
            }
            start = end;
        }
        Ok(())
    }
}

impl BlockDevice for MemoryDisk {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn name(&self) -> &str {
        "memory"
    }

    fn serial(&self) -> String {
        String::new()
    }

    fn submit(&self, request: BlockRequest) {
        let outcome = request
            .check(self.sectors, self.read_only)
            .and_then(|()| self.transfer(request.op, request.sector, &request.frames));
        (request.done)(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(byte: u8) -> Frame {
        let frame = Frame::alloc_zeroed().unwrap();
        frame.fill(0, PAGE_SIZE, byte);
        frame
    }

    #[test]
    fn a_memory_disk_reads_what_was_written() {
        let disk = MemoryDisk::new(vec![7; PAGE_SIZE * 2 + 100], false);
        assert_eq!(disk.sectors(), 17);
        transfer_sync(&disk, BlockOp::Write, 8, vec![page(1)]).unwrap();
        let frames = vec![page(0xee), page(0xee), page(0xee)];
        read_sync(&disk, 0, frames.clone()).unwrap();
        let bytes: Vec<u8> = frames
            .iter()
            .flat_map(|frame| {
                let mut bytes = [0; PAGE_SIZE];
                frame.read(0, &mut bytes);
                bytes
            })
            .collect();
        let mut expected = vec![7; PAGE_SIZE];
        expected.extend([1; PAGE_SIZE]);
        expected.extend([7; 100]);
        expected.extend([0; SECTOR_SIZE - 100]);
        expected.extend([0xee; PAGE_SIZE - SECTOR_SIZE]);
        assert!(bytes == expected);
    }

    #[test]
    fn requests_outside_and_writes_to_read_only_fail() {
        let disk = MemoryDisk::new(vec![0; PAGE_SIZE], true);
        assert_eq!(read_sync(&disk, 8, vec![page(0)]), Err(IoError::OutOfRange));
        assert_eq!(read_sync(&disk, 0, vec![page(0), page(0)]), Err(IoError::OutOfRange));
        assert_eq!(read_sync(&disk, u64::MAX, vec![page(0), page(0)]), Err(IoError::OutOfRange));
        assert_eq!(transfer_sync(&disk, BlockOp::Write, 0, vec![page(0)]), Err(IoError::ReadOnly));
        assert_eq!(transfer_sync(&disk, BlockOp::Flush, 0, vec![]), Ok(()));
    }
}
