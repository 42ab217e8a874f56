//! The super block.

use super::fields::{split_u64, u16_at, u32_at};
use crate::Result;
use crate::cache::Mapping;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use husk_abi::Errno;

const MAGIC: u16 = 0xef53;
const OFFSET: u64 = 1024;
const SIZE: usize = 1024;

/// Incompatible features (`s_feature_incompat`): a reader must know every one that is set.
mod incompat {
    pub(super) const RECOVER: u32 = 0x4;
    pub(super) const META_BG: u32 = 0x10;
    pub(super) const BITS64: u32 = 0x80;
    pub(super) const FILETYPE: u32 = 0x2;

    /// Name, bit, and whether this reader reads it.
    pub(super) const ALL: [(&str, u32, bool); 17] = [
        ("compression", 0x1, false),
        ("filetype", FILETYPE, true),
        ("needs_recovery", RECOVER, true),
        ("journal_dev", 0x8, false),
        ("meta_bg", META_BG, true),
        ("extent", 0x40, true),
        ("64bit", BITS64, true),
        ("mmp", 0x100, true),
        ("flex_bg", 0x200, true),
        // Values of extended attributes in inodes: only those cannot be read.
        ("ea_inode", 0x400, true),
        ("dirdata", 0x1000, false),
        ("metadata_csum_seed", 0x2000, true),
        ("large_dir", 0x4000, true),
        ("inline_data", 0x8000, true),
        // Refused file by file.
        ("encrypt", 0x1_0000, true),
        ("casefold", 0x2_0000, false),
        ("orphan_present_incompat", 0x4_0000, false),
    ];
}

/// What the reader needs to know of the super block.
#[derive(Debug)]
pub(super) struct SuperBlock {
    pub(super) block_size: u32,
    pub(super) blocks: u64,
    pub(super) free_blocks: u64,
    pub(super) reserved_blocks: u64,
    pub(super) overhead: u64,
    pub(super) inodes: u32,
    pub(super) free_inodes: u32,
    pub(super) first_data_block: u32,
    pub(super) blocks_per_group: u32,
    pub(super) inodes_per_group: u32,
    pub(super) inode_size: u16,
    pub(super) descriptor_size: u16,
    /// The first group whose descriptors are found the `meta_bg` way, in blocks of descriptors; `None` if none are.
    pub(super) first_meta_bg: Option<u32>,
    /// Directory entries have the kind of the file.
    pub(super) has_file_type: bool,
    /// Blocks are allocated in clusters (`bigalloc`).
    has_clusters: bool,
    /// Without it each group has a copy of the super block (`sparse_super`).
    pub(super) sparse_super: bool,
    /// Other groups with a copy, for `sparse_super2`.
    pub(super) backup_groups: Option<[u32; 2]>,
    pub(super) label: Vec<u8>,
    uuid: [u8; 16],
}

impl SuperBlock {
    pub(super) fn read(raw: &Mapping, device: &str) -> Result<Self> {
        let mut bytes = [0; SIZE];
        if raw.size() < OFFSET + SIZE as u64 {
            log::error!("{device} is too small for a filesystem");
            return Err(Errno::EINVAL.here());
        }
        raw.read_exact(OFFSET, &mut bytes)?;
        Self::parse(&bytes, raw.size()).map_err(|(errno, why)| {
            log::error!("ext4 on {device}: {why}");
            errno.here()
        })
    }

    fn parse(bytes: &[u8; SIZE], device_bytes: u64) -> Result<Self, (Errno, String)> {
        let damaged = |why: String| (Errno::EUCLEAN, why);
        if u16_at(bytes, 56) != MAGIC {
            return Err((Errno::EINVAL, "no ext4 filesystem (the magic number is missing)".into()));
        }
        let revision = u32_at(bytes, 76);
        let dynamic = revision >= 1;
        let features = if dynamic { u32_at(bytes, 96) } else { 0 };
        check_features(features)?;
        let log_block_size = u32_at(bytes, 24);
        if log_block_size > 6 {
            return Err(damaged(format!(
                "a block size of 2^{} is impossible",
                u64::from(log_block_size) + 10
            )));
        }
        let block_size = 1024 << log_block_size;
        let is_64bit = features & incompat::BITS64 != 0;
        let high = |value: u64| if is_64bit { value } else { value & 0xffff_ffff };
        let blocks = high(split_u64(bytes, 4, 336));
        let sb = Self {
            block_size,
            blocks,
            free_blocks: high(split_u64(bytes, 12, 344)).min(blocks),
            reserved_blocks: high(split_u64(bytes, 8, 340)).min(blocks),
            overhead: u64::from(u32_at(bytes, 584)).min(blocks),
            inodes: u32_at(bytes, 0),
            free_inodes: u32_at(bytes, 16),
            first_data_block: u32_at(bytes, 20),
            blocks_per_group: u32_at(bytes, 32),
            inodes_per_group: u32_at(bytes, 40),
            inode_size: if dynamic { u16_at(bytes, 88) } else { 128 },
            descriptor_size: if is_64bit { u16_at(bytes, 254) } else { 32 },
            first_meta_bg: (features & incompat::META_BG != 0).then(|| u32_at(bytes, 260)),
            has_file_type: features & incompat::FILETYPE != 0,
            has_clusters: u32_at(bytes, 100) & 0x200 != 0,
            sparse_super: u32_at(bytes, 100) & 0x1 != 0,
            backup_groups: (u32_at(bytes, 92) & 0x200 != 0).then(|| [u32_at(bytes, 588), u32_at(bytes, 592)]),
            label: bytes[120..136].iter().copied().take_while(|&byte| byte != 0).collect(),
            uuid: bytes[104..120].try_into().unwrap_or_default(),
        };
        sb.check(device_bytes).map_err(damaged)?;
        Ok(sb)
    }

    fn check(&self, device_bytes: u64) -> Result<(), String> {
        let size = self.blocks.checked_mul(u64::from(self.block_size));
        match size {
            Some(size) if size <= device_bytes => {}
            _ => {
                return Err(format!(
                    "it has {} blocks of {} bytes, but the device only {device_bytes} bytes: the image is truncated",
                    self.blocks, self.block_size
                ));
            }
        }
        // With blocks of 1 KiB block 0 is the boot sector's, unless blocks come in clusters.
        let usual = u32::from(self.block_size == 1024);
        if self.first_data_block != usual && !(self.has_clusters && self.first_data_block == 0) {
            return Err(format!("the first data block cannot be {}", self.first_data_block));
        }
        if self.blocks_per_group == 0 {
            return Err(format!("{} blocks in a group are impossible", self.blocks_per_group));
        }
        if self.inodes_per_group == 0 || self.inodes_per_group > 8 * self.block_size {
            return Err(format!("{} inodes in a group are impossible", self.inodes_per_group));
        }
        if !self.inode_size.is_power_of_two()
            || self.inode_size < 128
            || u32::from(self.inode_size) > self.block_size
        {
            return Err(format!("an inode size of {} is impossible", self.inode_size));
        }
        if !self.descriptor_size.is_power_of_two() || !(32..=1024).contains(&self.descriptor_size) {
            return Err(format!("a group descriptor size of {} is impossible", self.descriptor_size));
        }
        if self.blocks <= u64::from(self.first_data_block) || self.inodes < super::ROOT_INO {
            return Err(String::from("it has no blocks or no inodes"));
        }
        Ok(())
    }

    /// The filesystem's id for statfs(2): the two halves of the UUID, combined.
    pub(super) fn fsid(&self) -> u64 {
        let (front, back) = self.uuid.split_at(8);
        let half = |bytes: &[u8]| bytes.first_chunk().map_or(0, |&half| u64::from_le_bytes(half));
        half(front) ^ half(back)
    }
}

fn check_features(features: u32) -> Result<(), (Errno, String)> {
    if features & incompat::RECOVER != 0 {
        return Err((
            Errno::EROFS,
            "it was not unmounted cleanly; its journal must be replayed first (e2fsck -fy IMAGE)".into(),
        ));
    }
    let known = |bit: u32| incompat::ALL.iter().any(|&(_, known, read)| known == bit && read);
    for bit in (0..32).map(|shift| 1 << shift).filter(|bit| features & bit != 0) {
        if !known(bit) {
            let name =
                incompat::ALL.iter().find(|&&(_, known, _)| known == bit).map_or("?", |&(name, ..)| name);
            return Err((Errno::EINVAL, format!("the feature {name} ({bit:#x}) is not supported")));
        }
    }
    Ok(())
}
