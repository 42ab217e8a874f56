//! Tests of an epoll instance without a VM.

use super::*;
use crate::pipe::PipeEnd;
use husk_fs::OpenFlags;
use husk_fs::io::{SliceSource, VecSink};

fn pipe() -> (Arc<FileDescription>, Arc<FileDescription>) {
    let (read, write) = PipeEnd::pair(OpenFlags::empty());
    (FileDescription::new(read, OpenFlags::empty()), FileDescription::new(write, OpenFlags::WRONLY))
}

fn put(description: &FileDescription, bytes: &[u8]) {
    description.file().write(&mut SliceSource::new(bytes)).unwrap();
}

fn take(epoll: &Epoll) -> Result<Vec<(u32, u64)>, Errno> {
    let mut taken = Vec::new();
    let count = epoll.take(8, |_, events, data| {
        taken.push((events, data));
        Ok(())
    })?;
    assert_eq!(count, taken.len());
    Ok(taken)
}

fn watching(events: u32) -> (Arc<Epoll>, Arc<FileDescription>, Arc<FileDescription>) {
    let epoll = Epoll::new();
    let (read, write) = pipe();
    epoll.add(Fd(3), &read, Request { events, data: 7 }).unwrap();
    (epoll, read, write)
}

#[test]
fn level_triggered_repeats_until_it_is_read() {
    let (epoll, read, write) = watching(raw::EPOLLIN);
    assert_eq!(take(&epoll), Err(Errno::EAGAIN));
    put(&write, b"x");
    assert_eq!(take(&epoll), Ok(vec![(raw::EPOLLIN, 7)]));
    assert_eq!(take(&epoll), Ok(vec![(raw::EPOLLIN, 7)]));
    read.file().read(&mut VecSink::new(8)).unwrap();
    assert_eq!(take(&epoll), Err(Errno::EAGAIN));
}

#[test]
fn edge_triggered_fires_once_a_change() {
    let (epoll, _read, write) = watching(raw::EPOLLIN | raw::EPOLLET);
    put(&write, b"x");
    assert!(take(&epoll).is_ok());
    assert_eq!(take(&epoll), Err(Errno::EAGAIN));
    put(&write, b"y");
    assert!(take(&epoll).is_ok());
}

#[test]
fn one_shot_waits_for_a_modification() {
    let (epoll, read, write) = watching(raw::EPOLLIN | raw::EPOLLONESHOT);
    put(&write, b"x");
    assert!(take(&epoll).is_ok());
    put(&write, b"y");
    assert_eq!(take(&epoll), Err(Errno::EAGAIN));
    epoll.modify(Fd(3), &read, Request { events: raw::EPOLLIN, data: 9 }).unwrap();
    assert_eq!(take(&epoll), Ok(vec![(raw::EPOLLIN, 9)]));
}

#[test]
fn hang_up_is_always_reported_and_closed_files_vanish() {
    let (epoll, read, write) = watching(0);
    drop(write);
    assert_eq!(take(&epoll), Ok(vec![(raw::EPOLLHUP, 7)]));
    drop(read);
    assert_eq!(take(&epoll), Err(Errno::EAGAIN));
}

#[test]
fn adding_twice_and_circles_are_refused() {
    let (epoll, read, _write) = watching(raw::EPOLLIN);
    let request = Request { events: raw::EPOLLIN, data: 0 };
    assert_eq!(epoll.add(Fd(3), &read, request), Err(Errno::EEXIST));
    let outer = Epoll::new();
    let inner_file = FileDescription::new(epoll.clone(), OpenFlags::RDWR);
    let outer_file = FileDescription::new(outer.clone(), OpenFlags::RDWR);
    outer.add(Fd(4), &inner_file, request).unwrap();
    assert_eq!(epoll.add(Fd(5), &outer_file, request), Err(Errno::ELOOP));
}

#[test]
fn a_closed_file_leaves_at_once_and_leaves_nothing_behind() {
    let (epoll, read, write) = watching(raw::EPOLLIN);
    let other = Epoll::new();
    other.add(Fd(3), &read, Request { events: raw::EPOLLIN, data: 0 }).unwrap();
    put(&write, b"x");
    drop(read);
    assert!(epoll.items.lock().is_empty() && other.items.lock().is_empty());
    assert_eq!(take(&epoll), Err(Errno::EAGAIN));
    // The pipe itself lives on: an instance that goes, or an item, must not stay in its list.
    let waiting = Arc::downgrade(&epoll.ready);
    drop(epoll);
    assert_eq!(waiting.strong_count(), 0);
    drop(other);
}

#[test]
fn an_event_that_could_not_be_stored_stays() {
    let (epoll, _read, write) = watching(raw::EPOLLIN | raw::EPOLLET | raw::EPOLLONESHOT);
    put(&write, b"x");
    assert_eq!(epoll.take(8, |_, _, _| err!(EFAULT)), Err(Errno::EFAULT));
    assert_eq!(take(&epoll), Ok(vec![(raw::EPOLLIN, 7)]));
    assert_eq!(take(&epoll), Err(Errno::EAGAIN));
}

#[test]
fn an_exclusive_one_without_waiters_lets_the_next_have_it() {
    let (read, write) = pipe();
    let request = Request { events: raw::EPOLLIN | raw::EPOLLEXCLUSIVE, data: 0 };
    let instances = [Epoll::new(), Epoll::new()];
    instances.iter().for_each(|epoll| epoll.add(Fd(3), &read, request).unwrap());
    put(&write, b"x");
    assert!(take(&instances[0]).is_ok() && take(&instances[1]).is_ok());
    read.file().read(&mut VecSink::new(8)).unwrap();
    assert!(take(&instances[0]).is_err() && take(&instances[1]).is_err());
    instances[0].ready.waiters.add_thread(Events::READABLE, true);
    put(&write, b"x");
    assert!(take(&instances[0]).is_ok() && take(&instances[1]).is_err(), "the first has somebody who waits");
}

/// Each event is a token in one of many pipes, which whoever gets the event takes: one-shot items are armed again after that.
fn threads_take_each_event_once(flags: u32) {
    const PIPES: usize = 16;
    const ROUNDS: usize = 400;
    let epoll = Epoll::new();
    let pipes: Arc<Vec<_>> = Arc::new((0..PIPES).map(|_| pipe()).collect());
    for (index, (read, _)) in pipes.iter().enumerate() {
        epoll.add(Fd(3), read, Request { events: raw::EPOLLIN | flags, data: index as u64 }).unwrap();
    }
    let taken = Arc::new(core::sync::atomic::AtomicUsize::new(0));
    let takers: Vec<_> = (0..3)
        .map(|_| {
            let (epoll, pipes, taken) = (epoll.clone(), pipes.clone(), taken.clone());
            std::thread::spawn(move || {
                let task = crate::test_support::task();
                let deadline = husk_machine::time::monotonic_ns() + 30_000_000_000;
                while taken.load(Ordering::SeqCst) < PIPES * ROUNDS {
                    let mut found = None;
                    let attempt = || {
                        let done = taken.load(Ordering::SeqCst) >= PIPES * ROUNDS;
                        if done {
                            Ok(0)
                        } else {
                            epoll.take(1, |_, _, data| {
                                found = Some(data as usize);
                                Ok(())
                            })
                        }
                    };
                    let more = || epoll.may_be_ready() || taken.load(Ordering::SeqCst) >= PIPES * ROUNDS;
                    crate::wait::block_on_in_turn(
                        &task,
                        &epoll.ready.waiters,
                        Events::READABLE,
                        Some(deadline),
                        attempt,
                        more,
                    )
                    .expect("an event was lost");
                    let Some(index) = found else { continue };
                    let mut sink = VecSink::new(PIPES * ROUNDS);
                    match pipes[index].0.file().read(&mut sink) {
                        Ok(_) => {
                            let before = taken.fetch_add(sink.into_bytes().len(), Ordering::SeqCst);
                            assert!(before < PIPES * ROUNDS);
                        }
                        Err(_) => {
                            assert_eq!(flags & raw::EPOLLONESHOT, 0, "one event was given to two threads");
                        }
                    }
                    if flags & raw::EPOLLONESHOT != 0 {
                        let request = Request { events: raw::EPOLLIN | flags, data: index as u64 };
                        epoll.modify(Fd(3), &pipes[index].0, request).unwrap();
                    }
                    epoll.ready.waiters.wake_next(Events::READABLE);
                }
            })
        })
        .collect();
    for _ in 0..ROUNDS {
        for (_, write) in pipes.iter() {
            put(write, b"x");
        }
    }
    takers.into_iter().for_each(|taker| taker.join().unwrap());
}

#[test]
fn threads_take_each_event_once_whatever_the_trigger() {
    threads_take_each_event_once(0);
    threads_take_each_event_once(raw::EPOLLET);
    threads_take_each_event_once(raw::EPOLLONESHOT);
}
