use super::{ANY, BUCKETS, Entry, Key, TABLE, Waiter, leave, take};
use crate::limits::Limits;
use crate::mm::{AddressSpace, Layout};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize};
use husk_machine::thread;

fn space() -> AddressSpace {
    AddressSpace::new(&Limits::initial(1 << 16), Layout::default()).unwrap()
}

fn queued(key: &Key, bits: u32) -> Arc<Waiter> {
    let bucket = key.bucket(BUCKETS);
    let waiter = Arc::new(Waiter {
        thread: thread::current(),
        bucket: AtomicUsize::new(bucket),
        woken: AtomicBool::new(false),
    });
    TABLE[bucket].lock().push(Entry { key: key.clone(), bits, heir: None, waiter: waiter.clone() });
    waiter
}

#[test]
fn the_oldest_that_match_are_taken() {
    let mm = space();
    let key = Key::new(&mm, 0x1000, false).unwrap();
    let waiters = [queued(&key, 1), queued(&key, 2), queued(&key, 1), queued(&key, 1)];
    let taken = take(&mut TABLE[key.bucket(BUCKETS)].lock(), &key, 2, 1);
    let is = |at: usize, waiter: usize| Arc::ptr_eq(&taken[at].waiter, &waiters[waiter]);
    assert!(taken.len() == 2 && is(0, 0) && is(1, 2));
    assert!(!leave(&waiters[0]), "it has been woken");
    assert!(leave(&waiters[1]) && leave(&waiters[3]));
    assert!(take(&mut TABLE[key.bucket(BUCKETS)].lock(), &key, 5, ANY).is_empty());
}

#[test]
fn a_count_of_nothing_wakes_one() {
    let mm = space();
    let key = Key::new(&mm, 0x2000, false).unwrap();
    let waiters = [queued(&key, ANY), queued(&key, ANY)];
    assert_eq!(take(&mut TABLE[key.bucket(BUCKETS)].lock(), &key, 0, ANY).len(), 1);
    assert_eq!(super::wake(&key, u32::MAX, ANY), 1, "-1 is as good as 1");
    assert!(!leave(&waiters[0]) && !leave(&waiters[1]));
}

#[test]
fn those_requeued_are_found_in_the_other_queue() {
    let mm = space();
    let (from, to) = (Key::new(&mm, 0x3000, false).unwrap(), Key::new(&mm, 0x4004, false).unwrap());
    let waiters = [queued(&from, ANY), queued(&from, ANY), queued(&from, ANY), queued(&from, ANY)];
    let request = super::Requeue { from: from.clone(), to: to.clone(), wakes: 1, moves: 2, expected: None };
    assert_eq!(super::requeue(&mm, &request).unwrap(), 3);
    assert_eq!(super::wake(&from, 9, ANY), 1);
    assert!(leave(&waiters[1]), "moved, not woken");
    assert_eq!(super::wake(&to, 9, ANY), 1);
    assert!(!leave(&waiters[2]));
}

#[test]
fn keys_tell_spaces_and_flags_apart() {
    let (one, other) = (space(), space());
    let key = |mm, addr| Key::new(mm, addr, false).unwrap();
    assert!(key(&one, 0x1000) == key(&one, 0x1000));
    assert!(key(&one, 0x1000) != key(&other, 0x1000));
    assert!(key(&one, 0x1000) != key(&one, 0x1004));
    assert!(Key::new(&one, 0x1001, false).is_err());
    assert!(Key::new(&one, 0x1000, true).is_err(), "nothing is mapped there");
}
