use super::{ANY, BUCKETS, Key, Kind, Place, TABLE};
use crate::mm::AddressSpace;
use crate::task::Task;
use crate::test_support::{MEMORY, task};
use alloc::sync::Arc;
use husk_abi::Errno;

fn key(mm: &AddressSpace, addr: u64) -> Key {
    Key::new(mm, addr, false).unwrap()
}

/// A place in the queue of a word, as if the calling thread slept there.
fn queued(task: &Task, key: &Key, bits: u32) -> Place {
    let number = key.bucket(BUCKETS);
    Place::new(task, (&mut TABLE[number].lock(), number), key, bits, Kind::Plain)
}

fn left(place: Place) -> bool {
    super::leave_all(vec![place]).is_none()
}

#[test]
fn the_oldest_that_match_are_woken() {
    let task = task();
    let key = key(task.mm(), 0x1000);
    let [a, b, c, d] = [1, 2, 1, 1].map(|bits| queued(&task, &key, bits));
    assert_eq!(super::wake(&key, 2, 1), Ok(2));
    assert!(!left(a) && !left(c), "they have been woken");
    assert!(left(b) && left(d));
    assert_eq!(super::wake(&key, 5, ANY), Ok(0));
}

#[test]
fn a_count_of_nothing_wakes_one() {
    let task = task();
    let key = key(task.mm(), 0x2000);
    let [a, b] = [ANY, ANY].map(|bits| queued(&task, &key, bits));
    assert_eq!(super::wake(&key, 0, ANY), Ok(1));
    assert_eq!(super::wake(&key, u32::MAX, ANY), Ok(1), "-1 is as good as 1");
    assert!(!left(a) && !left(b));
}

#[test]
fn those_requeued_are_found_in_the_other_queue() {
    let task = task();
    let (from, to) = (key(task.mm(), 0x3000), key(task.mm(), 0x4004));
    let [a, b, c, d] = [ANY; 4].map(|bits| queued(&task, &from, bits));
    let request = super::Requeue { from: from.clone(), to: to.clone(), wakes: 1, moves: 2, expected: None };
    assert_eq!(super::requeue(task.mm(), &request), Ok(3));
    assert_eq!(super::wake(&from, 9, ANY), Ok(1));
    assert!(!left(a) && !left(d));
    assert!(left(b), "moved, not woken");
    assert_eq!(super::wake(&to, 9, ANY), Ok(1));
    assert!(!left(c));
}

#[test]
fn thousands_are_woken_and_moved_in_order() {
    const COUNT: usize = 20_000;
    let task = task();
    let (from, to) = (key(task.mm(), 0x5000), key(task.mm(), 0x5008));
    let places: Vec<_> = (0..COUNT).map(|_| queued(&task, &from, ANY)).collect();
    let request = super::Requeue {
        from: from.clone(),
        to: to.clone(),
        wakes: 0,
        moves: COUNT as u32 / 2,
        expected: None,
    };
    assert_eq!(super::requeue(task.mm(), &request), Ok(COUNT as u64 / 2));
    for (index, place) in places.into_iter().enumerate() {
        let key = if index < COUNT / 2 { &to } else { &from };
        if index % 2 == 0 {
            assert_eq!(super::wake(key, 1, ANY), Ok(1));
            assert!(!left(place), "the oldest is woken first");
        } else {
            assert!(left(place));
        }
    }
    assert!(TABLE[from.bucket(BUCKETS)].lock().find(&from).is_none());
    assert!(TABLE[to.bucket(BUCKETS)].lock().find(&to).is_none());
}

#[test]
fn a_plain_wake_up_does_not_give_a_lock() {
    let task = task();
    let key = key(task.mm(), MEMORY);
    let number = key.bucket(BUCKETS);
    let heir = super::pi::Heir::new(&task, MEMORY);
    let place = Place::new(&task, (&mut TABLE[number].lock(), number), &key, ANY, Kind::Lock(heir));
    assert_eq!(super::wake(&key, 1, ANY), Err(Errno::EINVAL));
    assert!(left(place));
}

#[test]
fn the_locks_of_one_that_ends_go_to_who_waits() {
    let owner = task();
    let thread = owner.new_thread(crate::task::ThreadParts { files: owner.files(), fs: owner.fs() });
    owner.process().add_thread(&thread);
    let addr = MEMORY + 64;
    let key = key(owner.mm(), addr);
    let word = || owner.mm().load_u32(addr).unwrap();
    let tids = (owner.tid() as u32, thread.tid() as u32);
    owner.mm().copy_out(addr, &tids.0.to_le_bytes()).unwrap();
    let waiting = {
        let (thread, key) = (thread.clone(), key.clone());
        std::thread::spawn(move || super::pi::lock(&thread, &key, addr, None))
    };
    while TABLE[key.bucket(BUCKETS)].lock().find(&key).is_none() {
        std::thread::yield_now();
    }
    assert_eq!(word(), tids.0 | 1 << 31);
    super::pi::release(&owner);
    assert_eq!(waiting.join().unwrap(), Ok(0));
    assert_eq!(word(), tids.1 | 3 << 30, "the heir's, and the owner has died");
    // What is taken from one that has ended is not waited for.
    owner.mm().copy_out(addr, &tids.0.to_le_bytes()).unwrap();
    assert_eq!(super::pi::lock(&thread, &key, addr, None), Err(Errno::ESRCH));
    owner.process().remove_thread(&thread);
}

#[test]
fn keys_tell_spaces_and_flags_apart() {
    let tasks: [Arc<Task>; 2] = [task(), task()];
    let [one, other] = tasks.each_ref().map(|task| task.mm());
    assert!(key(one, 0x1000) == key(one, 0x1000));
    assert!(key(one, 0x1000) != key(other, 0x1000));
    assert!(key(one, 0x1000) != key(one, 0x1004));
    assert!(Key::new(one, 0x1001, false).is_err());
    assert!(Key::new(one, 0x1000, true).is_err(), "nothing is mapped there");
}
