//! What is kept in memory. These tests count pages, so they run alone, one at a time.

mod support;

use husk_fs::{cached_pages, reclaim};
use husk_machine::sync::Mutex;
use support::{World, make_image, mke2fs, pattern, read_all, write_at};

static ALONE: Mutex<()> = Mutex::new(());

fn image() -> Option<Vec<u8>> {
    let mke2fs = mke2fs()?;
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("big"), pattern(8, 8 << 20)).unwrap();
    make_image(&mke2fs, &["-t", "ext4", "-b", "4096"], tree.path(), "16M")
}

#[test]
fn clean_pages_are_given_back_and_changed_ones_kept() {
    let _alone = ALONE.lock();
    let Some(bytes) = image() else { return };
    let world = World::image(bytes);
    let big = world.find("/big").unwrap();
    assert!(read_all(&big).unwrap() == pattern(8, 8 << 20));
    write_at(&big, 5 << 20, b"changed");
    let held = big.inode().page(3).unwrap();
    let mut kept = Vec::new();
    big.inode().cached_pages(0, 2048, &mut |index, frame| kept.push((index, frame.ref_count())));
    assert_eq!(kept.len(), 2048);
    drop(kept);
    while reclaim(100) > 0 {}
    let mut left = Vec::new();
    big.inode().cached_pages(0, 2048, &mut |index, _| left.push(index));
    assert_eq!(left, [3, 1280], "only the page in use and the changed one stay");
    drop(held);
    let mut expected = pattern(8, 8 << 20);
    expected[5 << 20..(5 << 20) + 7].copy_from_slice(b"changed");
    assert!(read_all(&big).unwrap() == expected);
    assert!(cached_pages().1 >= 2047);
}

#[test]
fn a_fault_reads_only_what_is_around_it() {
    let _alone = ALONE.lock();
    let Some(bytes) = image() else { return };
    let world = World::image(bytes);
    let big = world.find("/big").unwrap();
    big.inode().page(1000).unwrap();
    let mut there = Vec::new();
    big.inode().cached_pages(0, 2048, &mut |index, _| there.push(index));
    assert_eq!(there, (992..1008).collect::<Vec<u64>>());
}
