//! /sys/block and where its links lead: the disks.

use super::WithAttribute;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use husk_fs::{PseudoNode, StaticDir};
use husk_machine::devices;

/// Linux's major number for virtio disks here.
const MAJOR: u32 = 254;
/// Minor numbers a disk: itself and its partitions.
const MINORS: usize = 16;

/// A disk: name, minor number, size in sectors, whether it is read-only.
pub(super) struct Disk {
    name: String,
    minor: usize,
    sectors: u64,
    read_only: bool,
}

/// All disks.
pub(super) fn disks() -> Vec<Disk> {
    let disk = |(index, device): (usize, alloc::sync::Arc<dyn husk_machine::block::BlockDevice>)| Disk {
        name: format!("vd{}", (b'a' + (index as u8).min(25)) as char),
        minor: index * MINORS,
        sectors: device.sectors(),
        read_only: device.read_only(),
    };
    devices::blocks().into_iter().enumerate().map(disk).collect()
}

/// Links to the disks' directories under `base`.
pub(super) fn links(disks: &[Disk], base: &str) -> StaticDir {
    disks.iter().fold(StaticDir::new(), |dir, disk| {
        dir.with(&disk.name, PseudoNode::Link(format!("{base}/{}", disk.name).into_bytes()))
    })
}

/// The disks' directories.
pub(super) fn directories(disks: &[Disk]) -> StaticDir {
    disks.iter().fold(StaticDir::new(), |dir, disk| dir.with_dir(&disk.name, one(disk)))
}

fn one(disk: &Disk) -> StaticDir {
    let queue = StaticDir::new()
        .constant("hw_sector_size", 512)
        .constant("logical_block_size", 512)
        .constant("physical_block_size", 512)
        .constant("rotational", 0);
    StaticDir::new()
        .constant("alignment_offset", 0)
        .constant("dev", format!("{MAJOR}:{}", disk.minor))
        .constant("ext_range", MINORS)
        .with_dir("queue", queue)
        .constant("range", MINORS)
        .constant("removable", 0)
        .constant("ro", u8::from(disk.read_only))
        .constant("size", disk.sectors)
        .with_dir("slaves", StaticDir::new())
        .constant(
            "uevent",
            format!("MAJOR={MAJOR}\nMINOR={}\nDEVNAME={}\nDEVTYPE=disk", disk.minor, disk.name),
        )
}
