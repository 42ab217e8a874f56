//! Contents of files: random changes against a model; pages shared with mappings; memory given back.

mod support;

use husk_fs::io::{SliceSource, VecSink};
use husk_fs::{
    DeviceNumber, Errno, FallocateMode, Location, MemFs, OpenFlags, SetAttr, WriteAt, ops, reclaim,
};
use husk_machine::frame::Frame;
use proptest::prelude::*;
use std::sync::OnceLock;
use support::{World, clock, make_image, mke2fs, pattern, read_all, read_at, write_at};

#[derive(Clone, Debug)]
enum Op {
    Write {
        offset: u32,
        len: u16,
        seed: u8,
    },
    Append {
        len: u16,
        seed: u8,
    },
    Read {
        offset: u32,
        len: u16,
    },
    Truncate(u32),
    Punch {
        offset: u32,
        len: u32,
    },
    Zero {
        offset: u32,
        len: u16,
    },
    Allocate {
        offset: u32,
        len: u16,
        keep: bool,
    },
    MapRead(u8),
    /// Writes through a shared mapping, perhaps beyond the end within the last page.
    MapWrite {
        page: u8,
        at: u16,
        byte: u8,
    },
    Reclaim,
}

const SPAN: u32 = 300_000;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..SPAN, 1..20_000_u16, any::<u8>()).prop_map(|(offset, len, seed)| Op::Write { offset, len, seed }),
        1 => (1..9000_u16, any::<u8>()).prop_map(|(len, seed)| Op::Append { len, seed }),
        4 => (0..SPAN, any::<u16>()).prop_map(|(offset, len)| Op::Read { offset, len }),
        2 => (0..SPAN).prop_map(Op::Truncate),
        2 => (0..SPAN, 1..100_000_u32).prop_map(|(offset, len)| Op::Punch { offset, len }),
        1 => (0..SPAN, 1..20_000_u16).prop_map(|(offset, len)| Op::Zero { offset, len }),
        1 => (0..SPAN, 1..20_000_u16, any::<bool>()).prop_map(|(offset, len, keep)| Op::Allocate { offset, len, keep }),
        2 => (0..80_u8).prop_map(Op::MapRead),
        2 => (0..80_u8, 0..4096_u16, any::<u8>()).prop_map(|(page, at, byte)| Op::MapWrite { page, at, byte }),
        1 => Just(Op::Reclaim),
    ]
}

/// Applies the operations to the file and to a vector. Mapped pages are held to the end, as page tables do.
fn compare(file: &Location, mut model: Vec<u8>, ops: &[Op], zero_range: bool) {
    let inode = file.inode();
    let mut mapped: Vec<(usize, Frame)> = Vec::new();
    for (number, op) in ops.iter().enumerate() {
        match *op {
            Op::Write { offset, len, seed } => {
                let bytes = pattern(seed.into(), len.into());
                write_at(file, offset.into(), &bytes);
                let end = offset as usize + bytes.len();
                model.resize(model.len().max(end), 0);
                model[offset as usize..end].copy_from_slice(&bytes);
            }
            Op::Append { len, seed } => {
                let bytes = pattern(seed.into(), len.into());
                let wrote = inode.write_at(WriteAt::Append, &mut SliceSource::new(&bytes)).unwrap();
                model.extend_from_slice(&bytes);
                assert_eq!(wrote, (bytes.len(), model.len() as u64));
            }
            Op::Read { offset, len } => {
                let start = model.len().min(offset as usize);
                let end = model.len().min(start + usize::from(len));
                assert!(
                    read_at(file, offset.into(), len.into()).unwrap() == model[start..end],
                    "{number}: {op:?}"
                );
            }
            Op::Truncate(size) => {
                inode.set_attr(&SetAttr { size: Some(size.into()), ..SetAttr::default() }).unwrap();
                model.resize(size as usize, 0);
                mapped.retain(|(index, _)| index * 4096 < size as usize);
            }
            Op::Punch { offset, len } => {
                let mode = FallocateMode::PUNCH_HOLE | FallocateMode::KEEP_SIZE;
                inode.fallocate(mode, offset.into(), len.into()).unwrap();
                let (start, end) = (offset as usize, (offset + len) as usize);
                let cut = start.min(model.len())..end.min(model.len());
                model[cut].fill(0);
                mapped.retain(|(index, _)| index * 4096 < start || (index + 1) * 4096 > end);
            }
            Op::Zero { offset, len } => {
                let done = inode.fallocate(FallocateMode::ZERO_RANGE, offset.into(), len.into());
                if !zero_range {
                    assert_eq!(done, Err(Errno::EOPNOTSUPP));
                    continue;
                }
                done.unwrap();
                let (start, end) = (offset as usize, offset as usize + usize::from(len));
                model.resize(model.len().max(end), 0);
                model[start..end].fill(0);
                mapped.retain(|(index, _)| index * 4096 < start || (index + 1) * 4096 > end);
            }
            Op::Allocate { offset, len, keep } => {
                let mode = if keep { FallocateMode::KEEP_SIZE } else { FallocateMode::empty() };
                inode.fallocate(mode, offset.into(), len.into()).unwrap();
                if !keep {
                    model.resize(model.len().max(offset as usize + usize::from(len)), 0);
                }
            }
            Op::MapRead(page) => {
                let result = inode.page(page.into());
                if usize::from(page) * 4096 >= model.len() {
                    assert_eq!(result.unwrap_err(), Errno::ENXIO);
                } else {
                    mapped.push((page.into(), result.unwrap()));
                }
            }
            Op::MapWrite { page, at, byte } => {
                let result = inode.page_for_write(page.into());
                let start = usize::from(page) * 4096;
                if start >= model.len() {
                    assert_eq!(result.unwrap_err(), Errno::ENXIO);
                } else {
                    let frame = result.unwrap();
                    frame.write(at.into(), &[byte]);
                    if let Some(place) = model.get_mut(start + usize::from(at)) {
                        *place = byte;
                    }
                    mapped.push((page.into(), frame));
                }
            }
            Op::Reclaim => {
                reclaim(1000);
            }
        }
        assert_eq!(inode.size(), model.len() as u64, "{number}: {op:?}");
    }
    assert!(read_all(file).unwrap() == model, "at the end");
    for (index, frame) in mapped {
        // Mappings see the same page as everybody.
        let mut bytes = vec![0; 4096];
        frame.read(0, &mut bytes);
        let end = model.len().min((index + 1) * 4096);
        assert!(bytes.starts_with(&model[index * 4096..end]), "mapped page {index}");
    }
}

const ON_IMAGE: usize = 150_001;

fn image(block_size: &str) -> Option<Vec<u8>> {
    let mke2fs = mke2fs()?;
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("file"), pattern(7, ON_IMAGE)).unwrap();
    std::fs::write(tree.path().join("big"), pattern(8, 8 << 20)).unwrap();
    make_image(&mke2fs, &["-t", "ext4", "-b", block_size], tree.path(), "16M")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_memory_as_the_model(ops in prop::collection::vec(op(), 1..40)) {
        let world = World::tmpfs();
        compare(&world.write("/file", b""), Vec::new(), &ops, false);
    }

    #[test]
    fn above_an_image_as_the_model(ops in prop::collection::vec(op(), 1..40)) {
        static IMAGE: OnceLock<Option<Vec<u8>>> = OnceLock::new();
        let Some(bytes) = IMAGE.get_or_init(|| image("1024")) else { return Ok(()) };
        let world = World::image(bytes.clone());
        compare(&world.find("/file").unwrap(), pattern(7, ON_IMAGE), &ops, true);
    }
}

#[test]
fn a_file_lives_until_it_is_closed() {
    let world = World::tmpfs();
    let file = world.write("/file", &pattern(1, 10_000));
    let used = world.ctx.root.mount().file_system().statfs().bfree;
    ops::unlink(&world.ctx, None, b"/file").unwrap();
    assert!(world.find("/file").is_err());
    assert_eq!(file.inode().metadata().nlink, 0);
    assert_eq!(file.path(&world.ctx.root), b"/file (deleted)");
    assert!(read_all(&file).unwrap() == pattern(1, 10_000));
    assert_eq!(ops::link(&world.ctx, &file, None, b"/again"), Err(Errno::ENOENT));
    drop(file);
    assert_eq!(world.ctx.root.mount().file_system().statfs().bfree, used + 3);

    let unnamed =
        world.open("/", OpenFlags::TMPFILE | OpenFlags::DIRECTORY | OpenFlags::RDWR).unwrap().location;
    write_at(&unnamed, 0, b"text");
    ops::link(&world.ctx, &unnamed, None, b"/named").unwrap();
    assert_eq!(world.read("/named").unwrap(), b"text");
    assert_eq!(unnamed.inode().metadata().nlink, 1);
}

#[test]
fn a_changed_file_above_an_image_stays_changed_without_users() {
    let Some(bytes) = image("4096") else { return };
    let fs = {
        let ext4 =
            husk_fs::Ext4::open(std::sync::Arc::new(husk_machine::block::MemoryDisk::new(bytes, true)))
                .unwrap();
        MemFs::over(ext4, DeviceNumber::new(254, 0), clock(), support::LIMITS).unwrap()
    };
    // A new namespace remembers no names.
    let world = || World::new(fs.clone());
    let ino = world().find("/file").unwrap().inode().ino();
    write_at(&world().find("/file").unwrap(), 10, b"changed");
    world().symlink("file", "/link").unwrap();
    ops::rename(&world().ctx, None, b"/file", None, b"/moved", husk_fs::RenameFlags::empty()).unwrap();
    let moved = world().find("/moved").unwrap();
    assert_eq!((moved.inode().ino(), moved.inode().metadata().dev), (ino, DeviceNumber::new(254, 0)));
    assert_eq!(read_at(&moved, 8, 10).unwrap()[2..9], *b"changed");
    assert_eq!(world().find("/link").err(), Some(Errno::ENOENT));
    ops::unlink(&world().ctx, None, b"/big").unwrap();
    assert_eq!(world().names("/").unwrap(), ["link", "lost+found", "moved"]);
}

#[test]
fn limits_are_kept() {
    let fs = MemFs::tmpfs(DeviceNumber::new(0, 30), clock(), husk_fs::Limits { pages: 4, inodes: 3 });
    let world = World::new(fs);
    let file = world.write("/a", &[1; 10_000]);
    let result = file.inode().write_at(WriteAt::Append, &mut SliceSource::new(&[2; 10_000])).unwrap();
    assert_eq!(result.0, 4 * 4096 - 10_000, "what fits is written");
    let error = file.inode().write_at(WriteAt::Append, &mut SliceSource::new(&[2; 10])).unwrap_err();
    assert_eq!(error, Errno::ENOSPC);
    world.write("/b", b"");
    world.write("/c", b"");
    assert_eq!(world.open("/d", OpenFlags::CREAT | OpenFlags::WRONLY).err(), Some(Errno::ENOSPC));
    ops::unlink(&world.ctx, None, b"/b").unwrap();
    assert!(world.open("/d", OpenFlags::CREAT | OpenFlags::WRONLY).is_ok());
    assert!(file.inode().page_for_write(3).is_ok());
    assert_eq!(file.inode().size(), 4 * 4096);
}

/// A source whose memory ends early.
struct Faulting(usize);

impl husk_fs::Source for Faulting {
    fn remaining(&self) -> usize {
        100_000
    }

    fn pull(&mut self, _bytes: &mut [u8]) -> husk_fs::Result<usize> {
        Err(Errno::EFAULT)
    }

    fn pull_to_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> husk_fs::Result<usize> {
        let count = len.min(self.0);
        if count == 0 {
            return Err(Errno::EFAULT);
        }
        frame.fill(offset, count, 7);
        self.0 -= count;
        Ok(count)
    }
}

#[test]
fn a_write_from_bad_memory_ends_there() {
    let world = World::tmpfs();
    let file = world.write("/file", b"abc");
    assert_eq!(file.inode().write_at(WriteAt::Append, &mut Faulting(0)), Err(Errno::EFAULT));
    assert_eq!(file.inode().write_at(WriteAt::Append, &mut Faulting(10_000)), Ok((10_000, 10_003)));
    assert_eq!(file.inode().write_at(WriteAt::Offset(20 * 4096), &mut Faulting(5)), Ok((5, 20 * 4096 + 5)));
    assert_eq!(file.inode().size(), 20 * 4096 + 5);
    assert_eq!(file.inode().metadata().blocks, 4 * 8, "three pages of data and one at the end");
    let mut sink = VecSink::new(20_000);
    file.inode().read_at(0, &mut sink).unwrap();
    let bytes = sink.into_bytes();
    assert!(bytes[3..10_003].iter().all(|&byte| byte == 7) && bytes[10_003..].iter().all(|&byte| byte == 0));
    assert_eq!(file.inode().seek_hole(0).unwrap(), 3 * 4096);
    assert_eq!(file.inode().seek_data(3 * 4096).unwrap(), 20 * 4096);
}
