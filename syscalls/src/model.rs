//! The protocols of waiting and waking under a model checker: the code itself runs, and at each lock, park and unpark `shuttle` decides
//! which thread goes on. A wake-up that is lost leaves all threads asleep, which it reports as a deadlock.

use crate::args::Fd;
use crate::file::{File, FileDescription};
use crate::futex::{self, Deadline, Key, Outcome, Requeue, pi};
use crate::mm::AddressSpace;
use crate::pipe::PipeEnd;
use crate::poll::epoll::{Epoll, Request};
use crate::signal::{self, SigInfo, SigSet, Signal};
use crate::task::{Task, ThreadParts};
use crate::test_support::{MEMORY, task};
use crate::wait::{self, Events, Waiters};
use alloc::sync::Arc;
use core::cell::RefCell;
use core::sync::atomic::{AtomicU32, Ordering};
use husk_abi::{Errno, err};
use husk_fs::OpenFlags;
use husk_fs::io::{SliceSource, VecSink};
use husk_machine::hosted::model::{self, Model};
use husk_machine::sync::SpinLock;
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner, thread};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often each protocol is run by each kind of scheduler, and for how long at most.
const RUNS: usize = 1500;
const TIME: Duration = Duration::from_millis(2500);

/// `shuttle` as the machine's scheduler.
struct Shuttle;

std::thread_local! {
    static THREADS: RefCell<BTreeMap<usize, thread::Thread>> = const { RefCell::new(BTreeMap::new()) };
}

impl Model for Shuttle {
    fn current(&self) -> usize {
        shuttle::current::me().into()
    }

    fn point(&self) {
        // No more than a chance for others.
        thread::sleep(Duration::ZERO);
    }

    fn spin(&self) {
        thread::yield_now();
    }

    fn park(&self) {
        THREADS.with_borrow_mut(|threads| threads.insert(self.current(), thread::current()));
        thread::park();
    }

    fn unpark(&self, number: usize) {
        let thread = THREADS.with_borrow(|threads| threads.get(&number).cloned());
        if let Some(thread) = thread {
            thread.unpark();
        }
    }

    fn time_is_up(&self) -> bool {
        shuttle::rand::thread_rng().gen_bool(0.2)
    }
}

/// Checks a protocol under two schedulers: one that chooses at random, and one that finds bugs of a few unlucky choices.
fn check(protocol: fn()) {
    let config = || {
        let mut config = Config::new();
        config.stack_size = 1 << 19;
        config.max_time = Some(TIME);
        config
    };
    let run = move || {
        model::run(&Shuttle, || {
            THREADS.take();
            protocol();
        });
    };
    Runner::new(RandomScheduler::new(RUNS), config()).run(run);
    Runner::new(PctScheduler::new(3, RUNS), config()).run(run);
}

/// What one thread does.
type Body = Box<dyn FnOnce(&Arc<Task>) + Send>;

/// Threads of one process. Each runs its closure as its own task; all have ended on return.
fn threads(bodies: Vec<Body>) {
    let leader = task();
    let tasks: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(index, _)| match index {
            0 => leader.clone(),
            _ => {
                let task = leader.new_thread(ThreadParts { files: leader.files(), fs: leader.fs() });
                leader.process().add_thread(&task);
                task
            }
        })
        .collect();
    let handles: Vec<_> = bodies
        .into_iter()
        .zip(tasks)
        .map(|(body, task)| {
            thread::spawn(move || {
                task.bind(husk_machine::thread::current());
                body(&task);
                // As exit(2) does.
                pi::release(&task);
                task.process().remove_thread(&task);
                signal::retarget(&task, !task.blocked());
            })
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
}

fn word(mm: &AddressSpace, addr: u64) -> u32 {
    mm.load_u32(addr).unwrap()
}

/// Adds to a word as a program does with an atomic instruction.
fn add(mm: &AddressSpace, addr: u64, value: u32) -> u32 {
    let mut old = word(mm, addr);
    loop {
        match mm.compare_exchange_u32(addr, old, old.wrapping_add(value)).unwrap() {
            found if found == old => return old,
            found => old = found,
        }
    }
}

fn key(task: &Task, addr: u64) -> Key {
    Key::new(task.mm(), addr, false).unwrap()
}

const LOCK: u64 = MEMORY;
const CONDITION: u64 = MEMORY + 64;
const COUNT: u64 = MEMORY + 128;

/// The lock of "Futexes Are Tricky": 0 is free, 1 locked, 2 locked with others waiting.
fn lock(task: &Task) {
    let mm = task.mm();
    if mm.compare_exchange_u32(LOCK, 0, 1).unwrap() == 0 {
        return;
    }
    lock_contended(task);
}

fn lock_contended(task: &Task) {
    let mm = task.mm();
    loop {
        let old = word(mm, LOCK);
        if mm.compare_exchange_u32(LOCK, old, 2).unwrap() != old {
            continue;
        }
        if old == 0 {
            return;
        }
        let _ = futex::wait(task, &key(task, LOCK), LOCK, 2, futex::ANY, None);
    }
}

fn unlock(task: &Task) {
    if add(task.mm(), LOCK, u32::MAX) != 1 {
        loop {
            let old = word(task.mm(), LOCK);
            if task.mm().compare_exchange_u32(LOCK, old, 0) == Ok(old) {
                break;
            }
        }
        futex::wake(&key(task, LOCK), 1, futex::ANY).unwrap();
    }
}

#[test]
fn a_lock_made_of_a_futex() {
    check(|| {
        let body = |task: &Arc<Task>| {
            for _ in 0..2 {
                lock(task);
                let before = word(task.mm(), COUNT);
                assert_eq!(task.mm().compare_exchange_u32(COUNT, before, before + 1), Ok(before));
                unlock(task);
            }
        };
        threads(vec![Box::new(body), Box::new(body), Box::new(body)]);
    });
}

#[test]
fn a_condition_that_moves_its_waiters_to_the_lock() {
    check(|| {
        let waits = |task: &Arc<Task>| {
            lock(task);
            while word(task.mm(), COUNT) == 0 {
                let sequence = word(task.mm(), CONDITION);
                unlock(task);
                let _ = futex::wait(task, &key(task, CONDITION), CONDITION, sequence, futex::ANY, None);
                lock_contended(task);
            }
            unlock(task);
        };
        let tells = |task: &Arc<Task>| {
            lock(task);
            add(task.mm(), COUNT, 1);
            let sequence = add(task.mm(), CONDITION, 1) + 1;
            unlock(task);
            let (from, to) = (key(task, CONDITION), key(task, LOCK));
            let expected = Some((CONDITION, sequence));
            futex::requeue(task.mm(), &Requeue { from, to, wakes: 1, moves: 9, expected }).unwrap();
        };
        threads(vec![Box::new(waits), Box::new(waits), Box::new(tells)]);
    });
}

#[test]
fn each_wake_up_ends_one_wait_whatever_else_may_end_it() {
    check(|| {
        let counts: Arc<[AtomicU32; 2]> = Arc::default();
        let waits = |counts: Arc<[AtomicU32; 2]>| {
            move |task: &Arc<Task>| {
                let deadline = Some(Deadline::Monotonic(u64::MAX));
                let outcome = futex::wait(task, &key(task, LOCK), LOCK, 0, futex::ANY, deadline);
                counts[0].fetch_add(u32::from(outcome == Ok(Outcome::Woken)), Ordering::SeqCst);
            }
        };
        let moves = |counts: Arc<[AtomicU32; 2]>| {
            move |task: &Arc<Task>| {
                let (from, to) = (key(task, LOCK), key(task, CONDITION));
                let request = Requeue { from, to: to.clone(), wakes: 0, moves: 1, expected: None };
                futex::requeue(task.mm(), &request).unwrap();
                let woken = futex::wake(&to, 1, futex::ANY).unwrap();
                counts[1].fetch_add(woken as u32, Ordering::SeqCst);
            }
        };
        let wakes = |counts: Arc<[AtomicU32; 2]>| {
            move |task: &Arc<Task>| {
                let woken = futex::wake(&key(task, LOCK), 1, futex::ANY).unwrap();
                counts[1].fetch_add(woken as u32, Ordering::SeqCst);
            }
        };
        threads(vec![
            Box::new(waits(counts.clone())),
            Box::new(waits(counts.clone())),
            Box::new(moves(counts.clone())),
            Box::new(wakes(counts.clone())),
        ]);
        assert_eq!(counts[0].load(Ordering::SeqCst), counts[1].load(Ordering::SeqCst));
    });
}

#[test]
fn a_lock_with_priority_inheritance_is_handed_over() {
    check(|| {
        let body = |leaves: bool| {
            move |task: &Arc<Task>| {
                let (key, tid) = (key(task, LOCK), task.tid() as u32);
                // In user mode first, as programs do.
                if task.mm().compare_exchange_u32(LOCK, 0, tid).unwrap() != 0 {
                    match pi::lock(task, &key, LOCK, None) {
                        // Its owner ended before anybody waited: it is lost, as on Linux.
                        Err(error) if error == Errno::ESRCH => return,
                        result => assert_eq!(result, Ok(0)),
                    }
                }
                assert_eq!(word(task.mm(), LOCK) & 0x3fff_ffff, tid);
                let before = word(task.mm(), COUNT);
                assert_eq!(task.mm().compare_exchange_u32(COUNT, before, before + 1), Ok(before));
                if !leaves && task.mm().compare_exchange_u32(LOCK, tid, 0).unwrap() != tid {
                    assert_eq!(pi::unlock(task, &key, LOCK), Ok(0));
                }
            }
        };
        threads(vec![Box::new(body(false)), Box::new(body(true)), Box::new(body(false))]);
    });
}

/// Units that several threads take, as an object does: it only tries.
#[derive(Default)]
struct Units {
    left: SpinLock<u32>,
    waiters: Waiters,
}

impl Units {
    fn take(&self, most: u32) -> Result<u32, Errno> {
        let mut left = self.left.lock();
        let count = most.min(*left);
        *left -= count;
        if count == 0 { err!(EAGAIN) } else { Ok(count) }
    }

    fn put(&self) {
        *self.left.lock() += 1;
        self.waiters.wake(Events::READABLE);
    }
}

#[test]
fn waiting_for_an_object() {
    check(|| {
        let units: Arc<Units> = Arc::default();
        let takes = |units: Arc<Units>| {
            move |task: &Arc<Task>| {
                wait::block_on(task, &units.waiters, Events::READABLE, None, || units.take(1)).unwrap();
            }
        };
        let puts = |units: Arc<Units>| move |_: &Arc<Task>| (0..2).for_each(|_| units.put());
        threads(vec![
            Box::new(takes(units.clone())),
            Box::new(takes(units.clone())),
            Box::new(puts(units.clone())),
        ]);
    });
}

#[test]
fn waiting_in_turn_for_an_object_though_some_give_up() {
    check(|| {
        let units: Arc<Units> = Arc::default();
        let takes = |units: Arc<Units>, deadline: Option<u64>, signalled: bool| {
            move |task: &Arc<Task>| {
                let more = || *units.left.lock() > 0;
                let result = wait::block_on_in_turn(
                    task,
                    &units.waiters,
                    Events::READABLE,
                    deadline,
                    || units.take(1),
                    more,
                );
                match result {
                    Ok(_) => {}
                    Err(error) if error == Errno::EAGAIN => assert!(deadline.is_some()),
                    Err(error) => assert!(error == Errno::ERESTARTSYS && signalled),
                }
            }
        };
        let puts = |units: Arc<Units>| {
            move |task: &Arc<Task>| {
                units.put();
                // To the second thread.
                if let Some(other) =
                    task.process().threads().into_iter().find(|other| other.blocked() == SigSet::EMPTY)
                {
                    signal::send_to_task(&other, SigInfo::kernel(Signal::SIGUSR1)).unwrap();
                }
                units.put();
                units.put();
            }
        };
        let blocked = |body: Body| -> Body {
            Box::new(move |task: &Arc<Task>| {
                task.set_blocked(SigSet::only(Signal::SIGUSR1));
                body(task);
            })
        };
        threads(vec![
            blocked(Box::new(takes(units.clone(), None, true))),
            Box::new(takes(units.clone(), None, true)),
            blocked(Box::new(takes(units.clone(), Some(u64::MAX), true))),
            blocked(Box::new(puts(units.clone()))),
        ]);
    });
}

/// Bytes in two pipes, and an instance that watches both; two threads take what it tells of.
fn events_are_told(flags: u32) {
    const BYTES: u32 = 4;
    let epoll = Epoll::new();
    let pipes: Arc<Vec<_>> = Arc::new(
        (0..2)
            .map(|index| {
                let (read, write) = PipeEnd::pair(OpenFlags::empty());
                let description = FileDescription::new(read, OpenFlags::empty());
                let events = linux_raw_sys::general::EPOLLIN | flags;
                epoll.add(Fd(index), &description, Request { events, data: index as u64 }).unwrap();
                (description, write)
            })
            .collect(),
    );
    let taken: Arc<AtomicU32> = Arc::default();
    let takes =
        |epoll: Arc<Epoll>, pipes: Arc<Vec<(Arc<FileDescription>, Arc<PipeEnd>)>>, taken: Arc<AtomicU32>| {
            move |task: &Arc<Task>| {
                let done = || taken.load(Ordering::SeqCst) == BYTES;
                let waiters = File::waiters(&*epoll).unwrap();
                while !done() {
                    let mut found = None;
                    let attempt = || {
                        let count = epoll.take(1, |_, _, data| {
                            found = Some(data as usize);
                            Ok(())
                        });
                        if done() { Ok(0) } else { count }
                    };
                    let more = || epoll.may_be_ready();
                    wait::block_on_in_turn(task, waiters, Events::READABLE, None, attempt, more).unwrap();
                    let Some(index) = found else { continue };
                    let mut sink = VecSink::new(64);
                    let count = pipes[index].0.file().read(&mut sink);
                    assert!(
                        count.is_ok() || flags & linux_raw_sys::general::EPOLLONESHOT == 0,
                        "given to two threads"
                    );
                    taken.fetch_add(count.unwrap_or(0) as u32, Ordering::SeqCst);
                    if flags & linux_raw_sys::general::EPOLLONESHOT != 0 {
                        let events = linux_raw_sys::general::EPOLLIN | flags;
                        let request = Request { events, data: index as u64 };
                        epoll.modify(Fd(index as i32), &pipes[index].0, request).unwrap();
                    }
                }
                // The other one may sleep: nothing comes any more.
                waiters.wake(Events::READABLE | Events::HUP);
            }
        };
    let puts = |pipes: Arc<Vec<(Arc<FileDescription>, Arc<PipeEnd>)>>| {
        move |_: &Arc<Task>| {
            for number in 0..BYTES as usize {
                pipes[number % 2].1.write(&mut SliceSource::new(b"x")).unwrap();
            }
        }
    };
    threads(vec![
        Box::new(takes(epoll.clone(), pipes.clone(), taken.clone())),
        Box::new(takes(epoll.clone(), pipes.clone(), taken.clone())),
        Box::new(puts(pipes.clone())),
    ]);
}

#[test]
fn epoll_level_triggered() {
    check(|| events_are_told(0));
}

#[test]
fn epoll_edge_triggered() {
    check(|| events_are_told(linux_raw_sys::general::EPOLLET));
}

#[test]
fn epoll_one_shot() {
    check(|| events_are_told(linux_raw_sys::general::EPOLLONESHOT));
}

/// Waits until a signal is to be delivered and takes it, as the user loop does.
fn take_signal(task: &Task) {
    while !task.has_pending_signal() {
        husk_machine::thread::park();
    }
    task.attention.store(false, Ordering::Release);
    if signal::take(task, !task.blocked()).is_none() {
        take_signal(task);
    }
}

#[test]
fn a_signal_for_the_process_finds_a_thread_though_masks_change() {
    check(|| {
        let ends = |task: &Arc<Task>| {
            // It could take it, blocks it, and ends.
            task.set_blocked(SigSet::only(Signal::SIGUSR1));
        };
        let unblocks = |task: &Arc<Task>| {
            task.set_blocked(SigSet::only(Signal::SIGUSR1));
            task.set_blocked(SigSet::EMPTY);
            take_signal(task);
        };
        let sends = |task: &Arc<Task>| {
            task.set_blocked(!SigSet::EMPTY);
            signal::send_to_process(task.process(), SigInfo::kernel(Signal::SIGUSR1)).unwrap();
        };
        threads(vec![Box::new(ends), Box::new(unblocks), Box::new(sends)]);
    });
}

#[test]
fn sigtimedwait_gets_each_signal_that_is_sent() {
    check(|| {
        let real_time = || Signal::new(40).unwrap();
        let waits = move |task: &Arc<Task>| {
            task.set_blocked(SigSet::only(real_time()));
            crate::calls::sigwait::wait_for(task, SigSet::only(real_time()), None).unwrap();
        };
        let gives_up = move |task: &Arc<Task>| {
            task.set_blocked(SigSet::only(real_time()));
            let result = crate::calls::sigwait::wait_for(task, SigSet::only(real_time()), Some(u64::MAX));
            if result.is_ok() {
                signal::send_to_process(task.process(), SigInfo::kernel(real_time())).unwrap();
            }
        };
        let sends = move |task: &Arc<Task>| {
            task.set_blocked(SigSet::only(real_time()));
            signal::send_to_process(task.process(), SigInfo::kernel(real_time())).unwrap();
        };
        threads(vec![Box::new(gives_up), Box::new(waits), Box::new(sends)]);
    });
}
