use super::*;
use crate::time::monotonic_ns;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::sync::mpsc;

#[test]
fn an_unpark_before_a_park_is_kept() {
    current().unpark();
    park();
    current().unpark();
    assert!(park_until(0), "a token is taken even when the time is up");
    assert!(!park_until(monotonic_ns() + 1_000_000));
}

#[test]
fn ping_pong_loses_nothing() {
    let turn = Arc::new(AtomicU64::new(0));
    let (sender, receiver) = mpsc::channel();
    let main = current();
    let partner = {
        let turn = turn.clone();
        spawn("partner", move || {
            for round in 0..5000 {
                while turn.load(Ordering::SeqCst) != 2 * round + 1 {
                    park();
                }
                turn.fetch_add(1, Ordering::SeqCst);
                main.unpark();
            }
            sender.send(()).unwrap();
        })
        .unwrap()
    };
    for round in 0..5000 {
        turn.fetch_add(1, Ordering::SeqCst);
        partner.unpark();
        while turn.load(Ordering::SeqCst) != 2 * round + 2 {
            park();
        }
    }
    receiver.recv().unwrap();
}

#[test]
fn waiting_for_a_lock_does_not_eat_a_public_token() {
    let mutex = Arc::new(crate::sync::Mutex::new(()));
    let guard = mutex.lock();
    let (sender, receiver) = mpsc::channel();
    let waiter = {
        let mutex = mutex.clone();
        spawn("waiter", move || {
            drop(mutex.lock());
            park();
            sender.send(()).unwrap();
        })
        .unwrap()
    };
    waiter.unpark();
    std::thread::sleep(std::time::Duration::from_millis(2));
    drop(guard);
    receiver
        .recv_timeout(std::time::Duration::from_secs(10))
        .expect("the token is still there after the lock");
}

#[test]
fn names_and_ids() {
    let (sender, receiver) = mpsc::channel();
    let thread = spawn("a name", move || sender.send(current().id()).unwrap()).unwrap();
    assert_eq!(receiver.recv().unwrap(), thread.id());
    assert_eq!(thread.name(), "a name");
    assert_ne!(thread.id(), current().id());
}
