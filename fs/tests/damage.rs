//! Whatever an image holds, reading it ends, without a panic.

mod support;

use husk_fs::{FileKind, OpenFlags};
use proptest::prelude::*;
use std::fs;
use std::sync::OnceLock;
use support::{World, make_image, mke2fs, pattern, read_at};

/// Small images of several kinds.
fn images() -> &'static [Vec<u8>] {
    static IMAGES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let Some(mke2fs) = mke2fs() else { return Vec::new() };
        let tree = tempfile::tempdir().unwrap();
        let top = tree.path();
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/file"), pattern(1, 70_000)).unwrap();
        fs::write(top.join("small"), b"contents").unwrap();
        std::os::unix::fs::symlink("a/b", top.join("link")).unwrap();
        std::os::unix::fs::symlink("t".repeat(200), top.join("long-link")).unwrap();
        for number in 0..60 {
            fs::write(top.join(format!("a/b/name-{number}")), b"").unwrap();
        }
        // Many extents, so that the tree has a level of its own.
        let sparse = fs::File::create(top.join("sparse")).unwrap();
        for number in 0..40 {
            std::os::unix::fs::FileExt::write_all_at(&sparse, b"data", number * 40_000).unwrap();
        }
        [
            &["-t", "ext4", "-b", "1024"][..],
            &["-t", "ext4", "-b", "4096"],
            &["-t", "ext2", "-b", "1024"],
            &["-t", "ext4", "-O", "inline_data"],
        ]
        .iter()
        .filter_map(|options| make_image(&mke2fs, options, top, "1M"))
        .collect()
    })
}

/// Looks at everything within reach, and changes some of it.
fn use_all(world: &World, path: &str, depth: usize, budget: &mut usize) {
    let Ok(names) = world.names(path) else { return };
    for name in names {
        if *budget == 0 {
            return;
        }
        *budget -= 1;
        let below = format!("{path}/{name}");
        let Ok(found) = world.find_link(&below) else { continue };
        let inode = found.inode();
        let metadata = inode.metadata();
        let _ = inode.list_xattr();
        match metadata.kind() {
            FileKind::Directory if depth < 6 => use_all(world, &below, depth + 1, budget),
            FileKind::Regular => {
                for offset in [0, metadata.size / 2, metadata.size.saturating_sub(5000)] {
                    let _ = read_at(&found, offset, 10_000);
                    let _ = inode.page(offset / 4096);
                }
                let _ = inode.seek_hole(0);
                let _ = inode.seek_data(metadata.size / 3);
                if let Ok(opened) = world.open(&below, OpenFlags::WRONLY) {
                    let mut source = husk_fs::io::SliceSource::new(b"changed");
                    let _ = opened.location.inode().write_at(husk_fs::WriteAt::Offset(3), &mut source);
                }
            }
            FileKind::Symlink => {
                let _ = inode.read_link();
                let _ = world.find(&below);
            }
            _ => {}
        }
        if name.len() % 3 == 0 {
            let _ = husk_fs::ops::unlink(&world.ctx, None, below.as_bytes());
        }
    }
}

fn look_at(image: Vec<u8>) {
    if let Ok(world) = World::try_image(image) {
        use_all(&world, "", 0, &mut 400);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes changed anywhere that is not free space.
    #[test]
    fn damaged_images_are_survived(
        which in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let Some(image) = images().get(which) else { return Ok(()) };
        let used: Vec<usize> = image.chunks(64).enumerate().filter(|(_, part)| part.iter().any(|&b| b != 0)).map(|(i, _)| i * 64).collect();
        let mut image = image.clone();
        for (place, byte) in changes {
            let at = used[place.index(used.len())] + usize::from(byte) % 64;
            image[at] = byte.rotate_left(3);
        }
        look_at(image);
    }

    /// Fields of the super block, the descriptors and the first inodes set to telling values.
    #[test]
    fn hostile_numbers_are_survived(
        which in 0..4_usize,
        fields in prop::collection::vec((0..3_usize, 0..256_usize, prop_oneof![
            Just(0_u32), Just(1), Just(2), Just(u32::MAX), Just(0x7fff_ffff), Just(0x8000_0000), Just(0xffff), any::<u32>()
        ]), 1..6),
    ) {
        let Some(image) = images().get(which) else { return Ok(()) };
        let mut image = image.clone();
        // Where the root's inode is, by its mode, owner and link count.
        let root = image.windows(4).step_by(4).position(|bytes| bytes == [0xed, 0x41, 0, 0]).unwrap_or(0) * 4;
        for (area, field, value) in fields {
            let at = [1024, 4096, root][area] + field * 4;
            if let Some(place) = image.get_mut(at..at + 4) {
                place.copy_from_slice(&value.to_le_bytes());
            }
        }
        look_at(image);
    }
}

#[test]
fn truncated_images_are_survived() {
    for image in images() {
        for length in (0..image.len()).step_by(29_989) {
            look_at(image[..length].to_vec());
            // Its size as promised, but the rest is zeros.
            let mut cut = image[..length].to_vec();
            cut.resize(image.len(), 0);
            look_at(cut);
        }
    }
}
