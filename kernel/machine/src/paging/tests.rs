use super::*;
use crate::frame::{OutOfMemory, PAGE_SIZE};
use crate::hosted::limit_frames;
use alloc::vec::Vec;

const PAGE: u64 = PAGE_SIZE as u64;
const RW: Prot = Prot::READ.union(Prot::WRITE);

fn page(byte: u8) -> Frame {
    let frame = Frame::alloc().unwrap();
    frame.fill(0, PAGE_SIZE, byte);
    frame
}

fn addresses(space: &PageTable) -> Vec<u64> {
    let mut found = Vec::new();
    space.for_each(0, USER_END, &mut |va, _| found.push(va));
    found
}

#[test]
fn map_look_up_replace_and_drop() {
    let frame = page(1);
    let space = PageTable::new().unwrap();
    assert!(space.lookup(0x1000).is_none());
    space.map(0x1000, frame.clone(), RW).unwrap();
    assert_eq!(frame.ref_count(), 2);
    let mapping = space.lookup(0x1fff).unwrap();
    assert!(mapping.frame.is_same(&frame));
    assert_eq!((mapping.prot, mapping.accessed, mapping.dirty), (RW, false, false));
    drop(mapping);
    let other = page(2);
    space.map(0x1000, other.clone(), Prot::READ | Prot::EXEC).unwrap();
    assert_eq!((frame.ref_count(), other.ref_count(), space.resident()), (1, 2, 1));
    assert_eq!(space.lookup(0x1000).unwrap().prot, Prot::READ | Prot::EXEC);
    drop(space);
    assert_eq!(other.ref_count(), 1);
}

#[test]
fn sparse_unmap_of_terabytes_finds_all_pages_and_frees_tables() {
    let frame = page(0);
    let _limit = limit_frames(1 + 5 * 3);
    let space = PageTable::new().unwrap();
    let far_apart = [0x1000, 0x40_0000_0000, 0x7f00_0000_0000, 0x7fff_0000_0000, USER_END - PAGE];
    for round in 0..3 {
        for va in far_apart {
            space.map(va, frame.clone(), RW).unwrap_or_else(|_| panic!("tables leak in round {round}"));
        }
        assert_eq!(addresses(&space), far_apart);
        assert_eq!(space.resident(), far_apart.len());
        space.unmap(0x2000, USER_END - PAGE);
        assert_eq!(addresses(&space), [0x1000, USER_END - PAGE]);
        space.unmap(0, USER_END);
        assert_eq!((space.resident(), frame.ref_count()), (0, 1));
    }
}

#[test]
fn unmap_of_many_pages_frees_each_once() {
    let space = PageTable::new().unwrap();
    let frames: Vec<Frame> = (0..600).map(|_| page(0)).collect();
    for (frame, va) in frames.iter().zip((0x20_0000..).step_by(PAGE_SIZE)) {
        space.map(va, frame.clone(), RW).unwrap();
    }
    space.unmap(0x20_0000 + PAGE, 0x20_0000 + 599 * PAGE);
    assert_eq!(space.resident(), 2);
    assert_eq!(frames.iter().filter(|frame| frame.ref_count() == 2).count(), 2);
    assert!(frames.iter().all(|frame| frame.ref_count() <= 2));
}

#[test]
fn protect_changes_only_what_is_there() {
    let space = PageTable::new().unwrap();
    for va in [0x1000, 0x3000, 0x5000] {
        space.map(va, page(7), RW).unwrap();
    }
    space.protect(0x2000, 0x4000, Prot::empty());
    assert_eq!(space.lookup(0x1000).unwrap().prot, RW);
    assert_eq!(space.lookup(0x3000).unwrap().prot, Prot::empty());
    let fault = space.copy_from_user(&mut [0; 1], 0x3000).unwrap_err();
    assert_eq!(fault, UserFault { addr: 0x3000, write: false, done: 0 });
    space.protect_with(0, USER_END, &mut |va, _| if va == 0x5000 { Prot::READ } else { RW });
    let mut byte = [0; 1];
    space.copy_from_user(&mut byte, 0x3000).unwrap();
    assert_eq!(byte, [7]);
    assert!(space.copy_to_user(0x5000, &byte).unwrap_err().write);
    assert!(space.lookup(0x3000).unwrap().accessed && !space.lookup(0x3000).unwrap().dirty);
    space.copy_to_user(0x3fff, b"x").unwrap();
    space.protect(0, USER_END, Prot::READ);
    assert!(space.lookup(0x3000).unwrap().dirty, "protecting keeps what the hardware noted");
}

#[test]
fn move_keeps_frames_and_notes() {
    let space = PageTable::new().unwrap();
    let frame = page(3);
    space.map(0x40_1000, frame.clone(), RW).unwrap();
    space.map(0x7000_0000_3000, page(4), Prot::READ).unwrap();
    space.map(0x40_0000, page(5), RW).unwrap();
    space.copy_to_user(0x40_1000, b"z").unwrap();
    space.move_pages(0x40_1000, 0x6000_0000_0000, 0x20_0000).unwrap();
    assert_eq!(addresses(&space), [0x40_0000, 0x6000_0000_0000, 0x7000_0000_3000]);
    let moved = space.lookup(0x6000_0000_0000).unwrap();
    assert!(moved.frame.is_same(&frame) && moved.dirty);
    assert_eq!(space.resident(), 3);
}

#[test]
fn move_without_memory_changes_nothing() {
    let space = PageTable::new().unwrap();
    for va in [0x40_0000, 0x8000_0000] {
        space.map(va, page(5), RW).unwrap();
    }
    let _limit = limit_frames(4);
    assert_eq!(space.move_pages(0x40_0000, 0x6000_0000_0000, 0x1_0000_0000), Err(OutOfMemory));
    assert_eq!(addresses(&space), [0x40_0000, 0x8000_0000]);
    // What was allocated in vain is free again.
    let _frames: [Frame; 4] = core::array::from_fn(|_| Frame::alloc().unwrap());
}

#[test]
fn map_without_memory_is_an_error() {
    let space = PageTable::new().unwrap();
    let frame = page(0);
    let _limit = limit_frames(2);
    assert_eq!(space.map(0x1000, frame.clone(), RW), Err(OutOfMemory));
    assert_eq!((space.resident(), frame.ref_count()), (0, 1));
}

#[test]
fn copies_stop_at_the_first_bad_byte() {
    let space = PageTable::new().unwrap();
    space.map(0x1000, page(1), RW).unwrap();
    space.map(0x2000, page(2), Prot::READ).unwrap();
    let mut bytes = std::vec![0; 3 * PAGE_SIZE];
    let fault = space.copy_from_user(&mut bytes, 0x1ff0).unwrap_err();
    assert_eq!(fault, UserFault { addr: 0x3000, write: false, done: PAGE_SIZE + 16 });
    assert_eq!(bytes[..16], [1; 16]);
    assert_eq!(bytes[16..PAGE_SIZE + 16], [2; PAGE_SIZE]);
    let fault = space.copy_to_user(0x1ffe, b"abcd").unwrap_err();
    assert_eq!(fault, UserFault { addr: 0x2000, write: true, done: 2 });
    let fault = space.clear_user(0x1ffd, 10).unwrap_err();
    assert_eq!((fault.addr, fault.done), (0x2000, 3));
    let frame = page(9);
    space.copy_frame_to_user(0x1000, &frame, 5, 3).unwrap();
    space.copy_user_to_frame(&frame, 0, 0x0fff, 4).unwrap_err();
    space.copy_user_to_frame(&frame, 0, 0x1001, 4).unwrap();
    let mut start = [0; 5];
    frame.read(0, &mut start);
    assert_eq!(start, [9, 9, 1, 1, 9]);
}

#[test]
fn no_access_at_or_beyond_the_end() {
    let space = PageTable::new().unwrap();
    space.map(USER_END - PAGE, page(b'x'), RW).unwrap();
    let end = UserFault { addr: USER_END, write: true, done: 0 };
    assert_eq!(space.copy_to_user(USER_END - 2, b"abc"), Err(end), "nothing is copied, as on Linux");
    assert_eq!(space.clear_user(u64::MAX - 1, 10), Err(UserFault { addr: u64::MAX - 1, ..end }));
    assert_eq!(
        space.copy_from_user(&mut [0; 8], 1 << 63),
        Err(UserFault { addr: 1 << 63, write: false, done: 0 })
    );
    assert_eq!(space.strnlen_user(USER_END, 5), Err(UserFault { addr: USER_END, write: false, done: 0 }));
    assert_eq!(space.strnlen_user(USER_END - 3, 5), Err(UserFault { addr: USER_END, write: false, done: 3 }));
    assert_eq!(space.strnlen_user(USER_END - 3, 3), Ok(3));
    space.copy_to_user(USER_END - 1, b"\0").unwrap();
    assert_eq!(space.strnlen_user(USER_END - 3, 100), Ok(2));
}

#[test]
fn strings_end_at_nul_or_fault() {
    let space = PageTable::new().unwrap();
    space.map(0x1000, page(b'a'), RW).unwrap();
    space.map(0x2000, page(b'b'), RW).unwrap();
    space.copy_to_user(0x2003, b"\0").unwrap();
    assert_eq!(space.strnlen_user(0x1ffe, 100), Ok(5));
    assert_eq!(space.strnlen_user(0x1ffe, 4), Ok(4));
    let fault = space.strnlen_user(0x2ffe, 100).unwrap_err();
    assert_eq!((fault.addr, fault.done), (0x3000, 2));
    assert_eq!(space.strnlen_user(0x9000, 0), Ok(0));
}

#[test]
fn words_are_exchanged() {
    let space = PageTable::new().unwrap();
    space.map(0x1000, page(0), RW).unwrap();
    space.store_u32(0x1004, 5).unwrap();
    assert_eq!(space.load_u32(0x1004), Ok(5));
    assert_eq!(space.compare_exchange_u32(0x1004, 5, 6), Ok(Ok(5)));
    assert_eq!(space.compare_exchange_u32(0x1004, 5, 7), Ok(Err(6)));
    space.map(0x2000, page(0), RW).unwrap();
    space.store_u32(0x1ffe, 0x0403_0201).unwrap();
    assert_eq!(space.compare_exchange_u32(0x1ffe, 0x0403_0201, 0x0807_0605), Ok(Ok(0x0403_0201)));
    assert_eq!(space.load_u32(0x1ffe), Ok(0x0807_0605));
    space.unmap(0x2000, 0x3000);
    assert_eq!(space.load_u32(0x1ffe).unwrap_err().addr, 0x2000);
    space.protect(0x1000, 0x2000, Prot::READ);
    assert_eq!(space.load_u32(0x1004), Ok(6));
    assert_eq!(space.store_u32(0x1004, 1).unwrap_err().addr, 0x1004);
    assert_eq!(space.load_u32(0x5000).unwrap_err().addr, 0x5000);
}

#[test]
#[should_panic(expected = "not in user memory")]
fn the_kernel_half_cannot_be_mapped() {
    let _ = PageTable::new().unwrap().map(USER_END, page(0), RW);
}
