//! Images made by mke2fs with many sets of features: what is read is what was put in.

mod support;

use husk_fs::{FileKind, Location};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use support::{World, make_image, mke2fs, pattern, read_all, read_at};

// For small images mke2fs takes blocks of 1 KiB unless told otherwise.
const FEATURES: [&[&str]; 12] = [
    &["-t", "ext4", "-b", "4096"],
    &["-t", "ext4", "-b", "1024"],
    &["-t", "ext4", "-b", "2048", "-I", "512"],
    &["-t", "ext2", "-b", "1024"],
    &["-t", "ext2", "-b", "4096", "-I", "128"],
    &["-t", "ext3", "-b", "4096"],
    &["-t", "ext4", "-O", "64bit,metadata_csum", "-b", "4096"],
    &["-t", "ext4", "-O", "^64bit,^metadata_csum,uninit_bg"],
    &["-t", "ext4", "-O", "inline_data", "-I", "256", "-b", "4096"],
    &["-t", "ext4", "-O", "meta_bg,^resize_inode", "-b", "1024"],
    &["-t", "ext4", "-O", "^has_journal,^dir_index,^filetype,sparse_super2"],
    &["-t", "ext4", "-O", "^flex_bg,bigalloc"],
];

/// A tree with everything that takes another path through the reader.
fn build(top: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(top.join(name), bytes).unwrap();
    write("empty", b"");
    write("tiny", b"x");
    write("inline", &pattern(1, 120));
    for (number, size) in [59, 60, 1023, 1024, 1025, 4095, 4096, 4097, 12288, 100_000].iter().enumerate() {
        write(&format!("size-{size}"), &pattern(number as u64 + 2, *size));
    }
    // Through double indirect blocks even with blocks of 4 KiB.
    write("large", &pattern(99, 6 << 20));
    // Holes at the start and in the middle. (With inline_data some versions of mke2fs lose one at the end.)
    let sparse = fs::File::create(top.join("sparse")).unwrap();
    for (number, at) in [8192_u64, 100_000, 5_000_000, 40_000_000].iter().enumerate() {
        std::os::unix::fs::FileExt::write_all_at(&sparse, &pattern(number as u64, 5000), *at).unwrap();
    }
    fs::create_dir_all(top.join("a/b/c/d")).unwrap();
    write("a/b/c/d/deep", b"deep");
    fs::create_dir(top.join("many")).unwrap();
    for number in 0..1500 {
        fs::write(top.join(format!("many/a-name-of-some-length-{number}")), number.to_string()).unwrap();
    }
    symlink("a/b", top.join("short-link")).unwrap();
    symlink("x".repeat(59), top.join("link-59")).unwrap();
    symlink("y".repeat(60), top.join("link-60")).unwrap();
    symlink("z".repeat(1000), top.join("link-1000")).unwrap();
    fs::hard_link(top.join("tiny"), top.join("a/hard")).unwrap();
    write("with spaces and ünïcode", b"name");
    fs::set_permissions(top.join("tiny"), fs::Permissions::from_mode(0o4751)).unwrap();
}

fn compare(world: &World, host: &Path, here: &Location, path: &str) {
    let theirs = fs::symlink_metadata(host).unwrap();
    let mine = here.inode().metadata();
    assert_eq!(mine.mode, theirs.mode(), "mode of {path}");
    assert_eq!(mine.uid, theirs.uid(), "owner of {path}");
    // mke2fs makes the top directory itself.
    assert!(path.is_empty() || mine.mtime.tv_sec == theirs.mtime(), "time of {path}");
    match mine.kind() {
        FileKind::Regular => {
            assert_eq!((mine.size, u64::from(mine.nlink)), (theirs.size(), theirs.nlink()), "{path}");
            let bytes = fs::read(host).unwrap();
            assert!(read_all(here).unwrap() == bytes, "contents of {path}");
            // And by mapping.
            for index in (0..bytes.len().div_ceil(4096)).step_by(7) {
                let mut page = vec![0xee; 4096];
                here.inode().page(index as u64).unwrap().read(0, &mut page);
                let end = bytes.len().min((index + 1) * 4096);
                assert!(page.starts_with(&bytes[index * 4096..end]), "page {index} of {path}");
                assert!(page[end - index * 4096..].iter().all(|&byte| byte == 0), "after the end of {path}");
            }
        }
        FileKind::Symlink => {
            let target = fs::read_link(host).unwrap();
            assert_eq!(here.inode().read_link().unwrap(), target.as_os_str().as_encoded_bytes(), "{path}");
        }
        FileKind::Directory => {
            let mut names: Vec<String> = fs::read_dir(host)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            let mut found = world.list(here).unwrap();
            found.retain(|name| name != "lost+found");
            assert_eq!(found, names, "{path}");
            for name in names {
                let below = format!("{path}/{name}");
                compare(world, &host.join(&name), &world.find_link(&below).unwrap(), &below);
            }
        }
        other => panic!("{path} is a {other:?}"),
    }
}

#[test]
fn everything_reads_as_it_was_put_in() {
    let Some(mke2fs) = mke2fs() else { return };
    let tree = tempfile::tempdir().unwrap();
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).unwrap();
    build(tree.path());
    let mut read = 0;
    for options in FEATURES {
        let Some(image) = make_image(&mke2fs, options, tree.path(), "32M") else { continue };
        println!("{options:?}");
        let world = World::image(image);
        compare(&world, tree.path(), &world.find("/").unwrap(), "");
        read += 1;
    }
    assert!(read > 6, "mke2fs made only {read} kinds of images");
}

#[test]
fn files_far_into_the_map_and_holes() {
    let Some(mke2fs) = mke2fs() else { return };
    let tree = tempfile::tempdir().unwrap();
    let file = fs::File::create(tree.path().join("far")).unwrap();
    // With blocks of 1 KiB: direct, indirect, double indirect, triple indirect.
    let places = [0_u64, 20 << 10, 3 << 20, 80 << 20, 200 << 20];
    for place in places {
        std::os::unix::fs::FileExt::write_all_at(&file, &pattern(place, 3000), place).unwrap();
    }
    file.set_len(250 << 20).unwrap();
    for options in
        [&["-t", "ext2", "-b", "1024"][..], &["-t", "ext4", "-b", "1024"], &["-t", "ext4", "-b", "4096"]]
    {
        let world = World::image(make_image(&mke2fs, options, tree.path(), "16M").unwrap());
        let far = world.find("/far").unwrap();
        assert_eq!(far.inode().size(), 250 << 20);
        assert!(read_at(&far, (250 << 20) - 100, 1000).unwrap() == [0; 100]);
        assert!(far.inode().seek_data(240 << 20).is_err());
        for place in places {
            assert!(read_at(&far, place, 3000).unwrap() == pattern(place, 3000), "{options:?} at {place}");
            assert_eq!(far.inode().seek_data(place).unwrap(), place);
        }
        assert!(read_at(&far, 1 << 20, 100_000).unwrap().iter().all(|&byte| byte == 0));
        assert_eq!(far.inode().seek_data(50 << 20).unwrap(), 80 << 20, "{options:?}");
        assert_eq!(far.inode().seek_hole(20 << 10).unwrap(), 24 << 10, "{options:?}");
        assert_eq!(far.inode().seek_hole(10 << 20).unwrap(), 10 << 20);
    }
}

#[test]
fn a_directory_of_ten_thousand() {
    let Some(mke2fs) = mke2fs() else { return };
    let tree = tempfile::tempdir().unwrap();
    for number in 0..10_000 {
        fs::write(tree.path().join(format!("file-{number}")), b"").unwrap();
    }
    let image = make_image(&mke2fs, &["-t", "ext4", "-N", "12000"], tree.path(), "32M").unwrap();
    let world = World::image(image);
    let start = std::time::Instant::now();
    for number in 0..10_000 {
        assert!(world.find(&format!("/file-{number}")).is_ok());
        assert!(world.find(&format!("/none-{number}")).is_err());
    }
    assert_eq!(world.names("/").unwrap().len(), 10_001);
    // Quadratic work would take far longer than this even on a slow machine.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn what_is_no_ext4_or_cannot_be_read_is_refused() {
    use husk_fs::Errno;
    let error = |bytes: Vec<u8>| World::try_image(bytes).err();
    assert_eq!(error(vec![0; 1 << 20]), Some(Errno::EINVAL));
    assert_eq!(error(vec![0; 512]), Some(Errno::EINVAL));
    let Some(mke2fs) = mke2fs() else { return };
    let tree = tempfile::tempdir().unwrap();
    let image = make_image(&mke2fs, &["-t", "ext4"], tree.path(), "2M").unwrap();
    assert_eq!(error(image[..1 << 20].to_vec()), Some(Errno::EUCLEAN), "a truncated image");
    let with = |at: usize, byte: u8| {
        let mut image = image.clone();
        image[1024 + at] |= byte;
        image
    };
    assert_eq!(error(with(96, 0x4)), Some(Errno::EROFS), "a journal to be replayed");
    assert_eq!(error(with(98, 0x2)), Some(Errno::EINVAL), "casefold");
    assert_eq!(error(with(96, 0x1)), Some(Errno::EINVAL), "compression");
    assert_eq!(error(with(99, 0x80)), Some(Errno::EINVAL), "a feature nobody knows");
    assert_eq!(error(with(24, 0x40)), Some(Errno::EUCLEAN), "a block size of 2^74");
}

#[test]
fn extended_attributes_are_read() {
    let Some(mke2fs) = mke2fs() else { return };
    let tree = tempfile::tempdir().unwrap();
    let file = tree.path().join("file");
    fs::write(&file, b"contents").unwrap();
    // One fits into the inode, the others need a block.
    for (name, value) in
        [("user.small", pattern(1, 10)), ("user.large", pattern(2, 900)), ("user.empty", Vec::new())]
    {
        if rustix::fs::setxattr(&file, name, &value, rustix::fs::XattrFlags::empty()).is_err() {
            println!("skipped: the host's filesystem for temporary files keeps no user attributes");
            return;
        }
    }
    for options in [&["-t", "ext4"][..], &["-t", "ext2", "-I", "128"]] {
        let world = World::image(make_image(&mke2fs, options, tree.path(), "2M").unwrap());
        let found = world.find("/file").unwrap();
        assert_eq!(found.inode().get_xattr(b"user.small").unwrap(), pattern(1, 10));
        assert_eq!(found.inode().get_xattr(b"user.large").unwrap(), pattern(2, 900));
        assert_eq!(found.inode().list_xattr().unwrap(), b"user.empty\0user.large\0user.small\0");
        assert!(found.inode().get_xattr(b"user.none").is_err());
    }
}
