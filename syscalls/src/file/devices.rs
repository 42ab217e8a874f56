//! Character devices: memory devices (mem(4), random(4), full(4)) and the terminal.

use super::object::File;
use super::put_int;
use crate::credentials::Capability;
use crate::mm::Mappable;
use crate::task::Task;
use crate::tty;
use crate::wait::Events;
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use husk_abi::{Errno, err};
use husk_fs::{InodeRef, Metadata, OpenFlags, Sink, Source, WriteAt};
use linux_raw_sys::ioctl::{RNDADDENTROPY, RNDADDTOENTCNT, RNDCLEARPOOL, RNDGETENTCNT, RNDZAPENTCNT};

/// Bits of entropy that a seeded generator reports.
const POOL_BITS: i32 = 256;

/// Most bytes made or thrown away at a time.
const CHUNK: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Null,
    Zero,
    Full,
    Random,
}

/// One of the devices with major number 1.
struct MemoryDevice {
    kind: Memory,
    inode: InodeRef,
    minor: u32,
}

/// Opens the device behind a node.
///
/// # Errors
/// ENXIO if there is no such device.
pub(crate) fn open(task: &Task, inode: &InodeRef, flags: OpenFlags) -> Result<Arc<dyn File>, Errno> {
    let device = inode.metadata().rdev;
    if device.major == tty::TTYAUX_MAJOR {
        return tty::open(task, inode, device.minor, flags);
    }
    open_memory(inode)
}

/// Opens a memory device.
///
/// # Errors
/// ENXIO if there is no such device.
pub(crate) fn open_memory(inode: &InodeRef) -> Result<Arc<dyn File>, Errno> {
    let device = inode.metadata().rdev;
    let kind = match (device.major, device.minor) {
        (1, 3) => Memory::Null,
        (1, 5) => Memory::Zero,
        (1, 7) => Memory::Full,
        (1, 8 | 9) => Memory::Random,
        _ => return err!(ENXIO),
    };
    Ok(Arc::new(MemoryDevice { kind, inode: inode.clone(), minor: device.minor }))
}

impl MemoryDevice {
    fn fill(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let mut done = 0;
        while sink.remaining() > 0 {
            let wanted = sink.remaining().min(CHUNK);
            let step = if self.kind == Memory::Random {
                let mut bytes = [0; CHUNK];
                husk_machine::random::fill(&mut bytes[..wanted]);
                sink.push(&bytes[..wanted])
            } else {
                sink.push_zeros(wanted)
            };
            match step {
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
            if step.is_ok_and(|count| count < wanted) {
                break;
            }
        }
        Ok(done)
    }

    /// Takes what is written to the random devices into the generator.
    fn mix(source: &mut dyn Source) -> Result<usize, Errno> {
        let mut done = 0;
        while source.remaining() > 0 {
            let mut bytes = [0; CHUNK];
            match source.pull(&mut bytes) {
                Ok(0) => break,
                Ok(count) => {
                    husk_machine::random::add_entropy(&bytes[..count]);
                    done += count;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl File for MemoryDevice {
    fn metadata(&self) -> Metadata {
        self.inode.metadata()
    }

    fn inode(&self) -> Option<&InodeRef> {
        Some(&self.inode)
    }

    fn name(&self) -> Vec<u8> {
        format!("char device 1:{}", self.minor).into_bytes()
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn is_pollable(&self) -> bool {
        self.kind == Memory::Random && self.minor == 8
    }

    fn read_at(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if self.kind == Memory::Null { Ok(0) } else { self.fill(sink) }
    }

    fn write_at(&self, at: WriteAt, source: &mut dyn Source) -> Result<(usize, u64), Errno> {
        let count = match self.kind {
            Memory::Full => return err!(ENOSPC),
            Memory::Random => Self::mix(source)?,
            Memory::Null | Memory::Zero => source.remaining(),
        };
        let start = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::Append => 0,
        };
        Ok((count, start.wrapping_add(count as u64)))
    }

    fn mappable(&self) -> Result<Mappable, Errno> {
        if self.kind == Memory::Zero { Ok(Mappable::Zero) } else { err!(ENODEV) }
    }

    fn poll(&self) -> Events {
        Events::READABLE | Events::WRITABLE
    }

    fn ioctl(&self, task: &Task, command: u32, argument: u64) -> Result<u64, Errno> {
        if self.kind != Memory::Random {
            return err!(ENOTTY);
        }
        match command {
            RNDGETENTCNT => put_int(task, argument, POOL_BITS),
            RNDADDTOENTCNT | RNDADDENTROPY | RNDZAPENTCNT | RNDCLEARPOOL
                if !task.has_capability(Capability::SYS_ADMIN) =>
            {
                err!(EPERM)
            }
            RNDADDENTROPY => {
                let header = crate::args::UserPtr::<[i32; 2]>::new(argument).read(task.mm())?;
                let len = usize::try_from(header[1]).map_err(|_| Errno::EINVAL.here())?.min(CHUNK);
                if header[0] < 0 {
                    return err!(EINVAL);
                }
                let mut bytes = vec![0; len];
                task.mm().copy_in(&mut bytes, argument + 8)?;
                husk_machine::random::add_entropy(&bytes);
                Ok(0)
            }
            // The generator never runs out, so its count stays as it is; Linux does the same since 5.18.
            RNDADDTOENTCNT | RNDZAPENTCNT | RNDCLEARPOOL => Ok(0),
            _ => err!(ENOTTY),
        }
    }
}
