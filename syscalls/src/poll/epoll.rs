//! An epoll instance (epoll(7)): which files are watched, and which of them may be ready.
//!
//! Each watched file has an [`Item`] registered with the object's waiters. A wake-up puts the item on the ready list and wakes one of
//! those who wait for the instance; that one takes items off, asks the object what it is ready for, puts level-triggered ones back, and
//! wakes the next if some are left.

use crate::args::Fd;
use crate::file::{File, FileDescription, anon};
use crate::wait::{Events, Waiter, Waiters};
use alloc::collections::VecDeque;
use alloc::collections::btree_map::{BTreeMap, Entry};
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use husk_abi::{Errno, err};
use husk_fs::Metadata;
use husk_machine::sync::{Mutex, SpinLock};
use linux_raw_sys::general as raw;

/// Most instances that may watch each other in a chain.
const NESTING_MAX: usize = 5;

/// The flags that are not events.
pub(crate) const FLAGS: u32 = raw::EPOLLET | raw::EPOLLONESHOT | raw::EPOLLWAKEUP | raw::EPOLLEXCLUSIVE;

/// What a program asks for: events with flags, and its data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// Events, and of [`FLAGS`].
    pub(crate) events: u32,
    /// Handed back with an event.
    pub(crate) data: u64,
}

/// A watched file.
pub(crate) struct Item {
    this: Weak<Self>,
    key: Key,
    description: Weak<FileDescription>,
    /// The events asked for, with flags. Without an event it is switched off: EPOLLONESHOT has fired, or it is not watched any
    /// more.
    events: AtomicU32,
    data: AtomicU64,
    epoll: Weak<Epoll>,
    ready: Arc<Ready>,
    /// On the ready list.
    queued: AtomicBool,
    /// The registration with the object's waiters.
    registration: SpinLock<Option<u64>>,
}

/// By descriptor and description, as one number can come to mean another file.
type Key = (Fd, usize);

/// Which items may be ready, and who waits for that.
struct Ready {
    items: SpinLock<VecDeque<Weak<Item>>>,
    waiters: Waiters,
}

/// An epoll instance.
///
/// The lock of `items` is held while events are taken, too, so that each is taken by one thread. Wake-ups do without it.
pub(crate) struct Epoll {
    this: Weak<Self>,
    items: Mutex<BTreeMap<Key, Arc<Item>>>,
    /// Those whose file was closed while somebody held the lock of `items`: to be removed by that one.
    closed: SpinLock<Vec<Arc<Item>>>,
    ready: Arc<Ready>,
}

/// Held while an instance is added to another, so that two threads do not make a circle together.
static NESTING: Mutex<()> = Mutex::new(());

impl Item {
    fn events(&self) -> u32 {
        self.events.load(Ordering::Acquire)
    }

    /// What is waited for; nothing if it is switched off.
    fn interest(&self) -> Events {
        Events::from_bits_truncate(self.events() & !FLAGS)
    }

    fn set(&self, request: Request) {
        self.data.store(request.data, Ordering::Relaxed);
        self.events.store(request.events | Events::ALWAYS.bits(), Ordering::Release);
    }

    fn switch_off(&self) {
        self.events.fetch_and(FLAGS, Ordering::AcqRel);
    }

    /// Puts it on the ready list. Whether somebody was woken.
    fn queue(&self) -> bool {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.ready.items.lock().push_back(self.this.clone());
        }
        self.ready.waiters.wake(Events::READABLE)
    }

    /// No event of this file comes any more.
    fn unregister(&self, file: &dyn File) {
        self.switch_off();
        let key = self.registration.lock().take();
        if let (Some(key), Some(waiters)) = (key, file.waiters()) {
            waiters.remove(key);
        }
    }
}

impl Waiter for Item {
    fn wake(&self, events: Events) -> bool {
        if !events.intersects(self.interest()) {
            return false;
        }
        let woken = self.queue();
        woken || self.events() & raw::EPOLLEXCLUSIVE == 0
    }
}

/// The items of an open file description in all instances.
#[derive(Default)]
pub(crate) struct Watchers {
    items: SpinLock<Vec<Weak<Item>>>,
}

impl Watchers {
    fn add(&self, item: &Arc<Item>) {
        self.items.lock().push(Arc::downgrade(item));
    }

    fn remove(&self, item: &Item) {
        let mut items = self.items.lock();
        if let Some(at) = items.iter().position(|other| core::ptr::eq(other.as_ptr(), item)) {
            let removed = items.swap_remove(at);
            drop(items);
            drop(removed);
        }
    }

    /// The description is gone, and so are its items.
    pub(crate) fn file_closed(&mut self, file: &dyn File) {
        for item in self.items.get_mut().drain(..) {
            let Some(item) = item.upgrade() else { continue };
            item.unregister(file);
            if let Some(epoll) = item.epoll.upgrade() {
                epoll.closed.lock().push(item);
                epoll.remove_closed();
            }
        }
    }
}

impl Epoll {
    /// An instance that watches nothing.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            items: Mutex::new(BTreeMap::new()),
            closed: SpinLock::new(Vec::new()),
            ready: Arc::new(Ready { items: SpinLock::new(VecDeque::new()), waiters: Waiters::new() }),
        })
    }

    /// Works on the items under their lock.
    fn with_items<R>(&self, f: impl FnOnce(&mut BTreeMap<Key, Arc<Item>>) -> R) -> R {
        let mut items = self.items.lock();
        self.drop_closed(&mut items);
        let result = f(&mut items);
        drop(items);
        self.remove_closed();
        result
    }

    /// Removes items of files that were closed, unless somebody has the lock, who will do so after releasing it.
    fn remove_closed(&self) {
        // It may happen that a file is closed while its instance looks at it: so the lock is not waited for.
        while !self.closed.lock().is_empty() {
            let Some(mut items) = self.items.try_lock() else { return };
            self.drop_closed(&mut items);
        }
    }

    fn drop_closed(&self, items: &mut BTreeMap<Key, Arc<Item>>) {
        for item in core::mem::take(&mut *self.closed.lock()) {
            if items.get(&item.key).is_some_and(|other| Arc::ptr_eq(other, &item)) {
                items.remove(&item.key);
            }
        }
    }

    /// EPOLL_CTL_ADD.
    ///
    /// # Errors
    /// EEXIST; ELOOP if instances watch each other in a circle or too deeply.
    pub(crate) fn add(
        &self,
        fd: Fd,
        description: &Arc<FileDescription>,
        request: Request,
    ) -> Result<(), Errno> {
        let inner = as_epoll(&**description.file());
        let _nesting = inner.map(|_| NESTING.lock());
        if inner.is_some_and(|inner| core::ptr::eq(inner, self) || inner.depth(self, NESTING_MAX).is_none()) {
            return err!(ELOOP);
        }
        let key = (fd, Arc::as_ptr(description).addr());
        self.with_items(|items| {
            let Entry::Vacant(place) = items.entry(key) else { return err!(EEXIST) };
            let item = place.insert(Arc::new_cyclic(|this| Item {
                this: this.clone(),
                key,
                description: Arc::downgrade(description),
                events: AtomicU32::new(0),
                data: AtomicU64::new(0),
                epoll: self.this.clone(),
                ready: self.ready.clone(),
                queued: AtomicBool::new(false),
                registration: SpinLock::new(None),
            }));
            item.set(request);
            description.watchers().add(item);
            if let Some(waiters) = description.file().waiters() {
                let exclusive = request.events & raw::EPOLLEXCLUSIVE != 0;
                // Those of an exclusive one stay as they are; for others all, as which ones count may be changed later.
                let interest = if exclusive { item.interest() } else { Events::all() };
                let key = waiters.add(interest, item.clone(), exclusive);
                *item.registration.lock() = Some(key);
            }
            check(item, description);
            Ok(())
        })
    }

    /// EPOLL_CTL_MOD.
    ///
    /// # Errors
    /// ENOENT; EINVAL for one added with EPOLLEXCLUSIVE.
    pub(crate) fn modify(
        &self,
        fd: Fd,
        description: &Arc<FileDescription>,
        request: Request,
    ) -> Result<(), Errno> {
        let key = (fd, Arc::as_ptr(description).addr());
        self.with_items(|items| {
            let item = items.get(&key).ok_or(Errno::ENOENT.here())?;
            if (item.events() | request.events) & raw::EPOLLEXCLUSIVE != 0 {
                return err!(EINVAL);
            }
            item.set(request);
            check(item, description);
            Ok(())
        })
    }

    /// EPOLL_CTL_DEL.
    ///
    /// # Errors
    /// ENOENT.
    pub(crate) fn delete(&self, fd: Fd, description: &Arc<FileDescription>) -> Result<(), Errno> {
        let key = (fd, Arc::as_ptr(description).addr());
        let item = self.with_items(|items| items.remove(&key)).ok_or(Errno::ENOENT.here())?;
        item.unregister(&**description.file());
        description.watchers().remove(&item);
        Ok(())
    }

    /// How deep the instances nest below this one; `None` if `above` is among them or it is deeper than `limit`.
    fn depth(&self, above: &Self, limit: usize) -> Option<usize> {
        let limit = limit.checked_sub(1)?;
        let watched: Vec<_> =
            self.with_items(|items| items.values().filter_map(|item| item.description.upgrade()).collect());
        let mut deepest = 0;
        for description in watched {
            if let Some(inner) = as_epoll(&**description.file()) {
                if core::ptr::eq(inner, above) {
                    return None;
                }
                deepest = deepest.max(1 + inner.depth(above, limit)?);
            }
        }
        Some(deepest)
    }

    /// Takes up to `max` events: `emit` gets the events and the data of each. If that fails, the event stays.
    ///
    /// # Errors
    /// EAGAIN if nothing is ready; what `emit` said at the first event.
    pub(crate) fn take(
        &self,
        max: usize,
        mut emit: impl FnMut(usize, u32, u64) -> Result<(), Errno>,
    ) -> Result<usize, Errno> {
        if self.ready.items.lock().is_empty() {
            return err!(EAGAIN);
        }
        self.with_items(|_| {
            let mut taken = 0;
            // Only those that are on the list now: level-triggered ones come back.
            let mut left = self.ready.items.lock().len();
            while taken < max && left > 0 {
                left -= 1;
                let Some((item, events)) = self.next_ready() else { continue };
                let flags = item.events();
                if let Err(error) = emit(taken, events.bits(), item.data.load(Ordering::Relaxed)) {
                    self.put_back(&item, true);
                    return if taken > 0 { Ok(taken) } else { Err(error) };
                }
                taken += 1;
                if flags & raw::EPOLLONESHOT != 0 {
                    item.switch_off();
                } else if flags & raw::EPOLLET == 0 {
                    self.put_back(&item, false);
                }
            }
            if taken > 0 { Ok(taken) } else { err!(EAGAIN) }
        })
    }

    /// Takes the first item off the ready list; none if it is not ready (any more).
    fn next_ready(&self) -> Option<(Arc<Item>, Events)> {
        let item = self.ready.items.lock().pop_front()?.upgrade()?;
        // Before looking: a wake-up that comes now puts it on the list again.
        item.queued.swap(false, Ordering::AcqRel);
        let description = item.description.upgrade()?;
        let interest = item.interest();
        if interest.is_empty() {
            return None;
        }
        let events = description.file().poll() & interest;
        (!events.is_empty()).then_some((item, events))
    }

    fn put_back(&self, item: &Arc<Item>, first: bool) {
        if item.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut ready = self.ready.items.lock();
        if first {
            ready.push_front(Arc::downgrade(item));
        } else {
            ready.push_back(Arc::downgrade(item));
        }
    }

    /// Whether something may be ready.
    pub(crate) fn may_be_ready(&self) -> bool {
        !self.ready.items.lock().is_empty()
    }
}

/// Queues an item that is ready already.
fn check(item: &Arc<Item>, description: &FileDescription) {
    if description.file().poll().intersects(item.interest()) {
        item.queue();
    }
}

/// A file as an epoll instance, if it is one.
pub(crate) fn as_epoll(file: &dyn File) -> Option<&Epoll> {
    let any: &dyn Any = file;
    any.downcast_ref()
}

impl Drop for Epoll {
    fn drop(&mut self) {
        for item in self.items.get_mut().values() {
            item.switch_off();
            if let Some(description) = item.description.upgrade() {
                item.unregister(&**description.file());
                description.watchers().remove(item);
            }
        }
    }
}

impl File for Epoll {
    fn metadata(&self) -> Metadata {
        anon::shared_metadata()
    }

    fn ignores_seeks(&self) -> bool {
        true
    }

    fn name(&self) -> Vec<u8> {
        b"anon_inode:[eventpoll]".to_vec()
    }

    fn poll(&self) -> Events {
        if !self.may_be_ready() {
            return Events::empty();
        }
        self.with_items(|_| {
            // Those that are not ready any more go: each is looked at once.
            let mut left = self.ready.items.lock().len();
            while left > 0 {
                left -= 1;
                if let Some((item, _)) = self.next_ready() {
                    self.put_back(&item, true);
                    return Events::READABLE;
                }
            }
            Events::empty()
        })
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.ready.waiters)
    }

    fn fd_info(&self) -> Vec<u8> {
        let watched: Vec<_> = self.with_items(|items| {
            let watched = items.values().filter_map(|item| Some((item.clone(), item.description.upgrade()?)));
            watched.collect()
        });
        let lines = watched.iter().map(|(item, description)| {
            let metadata = description.metadata();
            format!(
                "tfd: {:8} events: {:8x} data: {:16x}  pos:{} ino:{:x} sdev:{:x}\n",
                item.key.0.0,
                item.events(),
                item.data.load(Ordering::Relaxed),
                0,
                metadata.ino,
                metadata.dev.encode()
            )
        });
        lines.collect::<alloc::string::String>().into_bytes()
    }
}

#[cfg(test)]
mod tests {
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
        assert!(
            take(&instances[0]).is_ok() && take(&instances[1]).is_err(),
            "the first has somebody who waits"
        );
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
                                assert_eq!(
                                    flags & raw::EPOLLONESHOT,
                                    0,
                                    "one event was given to two threads"
                                );
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
}
