//! An epoll instance (epoll(7)): which files are watched, and which of them may be ready.
//!
//! Each watched file has an [`Item`] registered with the object's waiters. A wake-up puts the item on the ready list; waiting
//! takes items off, asks the object what it is ready for, and puts level-triggered ones back.

use crate::args::Fd;
use crate::file::{File, FileDescription, anon};
use crate::wait::{Events, Waiter, Waiters};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};
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
struct Item {
    fd: Fd,
    description: Weak<FileDescription>,
    request: SpinLock<Request>,
    epoll: Weak<Epoll>,
    /// On the ready list.
    queued: AtomicBool,
    /// EPOLLONESHOT has fired: nothing more until EPOLL_CTL_MOD.
    spent: AtomicBool,
    /// The registration with the object's waiters.
    key: SpinLock<Option<u64>>,
}

/// An epoll instance.
pub(crate) struct Epoll {
    this: Weak<Self>,
    /// By descriptor and description, as one number can come to mean another file.
    items: Mutex<BTreeMap<(Fd, usize), Arc<Item>>>,
    ready: SpinLock<VecDeque<Weak<Item>>>,
    waiters: Waiters,
}

impl Item {
    fn interest(&self) -> Events {
        Events::from_bits_truncate(self.request.lock().events) | Events::ALWAYS
    }

    fn queue(self: &Arc<Self>, epoll: &Epoll) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            epoll.ready.lock().push_back(Arc::downgrade(self));
        }
        epoll.waiters.wake(Events::READABLE);
    }
}

/// What the object's waiters hold: the item, not kept alive by it.
struct ItemWaiter(Weak<Item>);

impl Waiter for ItemWaiter {
    fn wake(&self, events: Events) {
        let Some(item) = self.0.upgrade() else { return };
        if !events.intersects(item.interest()) || item.spent.load(Ordering::Acquire) {
            return;
        }
        if let Some(epoll) = item.epoll.upgrade() {
            item.queue(&epoll);
        }
    }
}

impl Epoll {
    /// An instance that watches nothing.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            items: Mutex::new(BTreeMap::new()),
            ready: SpinLock::new(VecDeque::new()),
            waiters: Waiters::new(),
        })
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
        if let Some(inner) = as_epoll(&**description.file())
            && (core::ptr::eq(inner, self) || inner.depth(self, NESTING_MAX).is_none())
        {
            return err!(ELOOP);
        }
        let key = (fd, Arc::as_ptr(description).addr());
        let mut items = self.items.lock();
        items.retain(|_, item| item.description.strong_count() > 0);
        if items.contains_key(&key) {
            return err!(EEXIST);
        }
        let item = Arc::new(Item {
            fd,
            description: Arc::downgrade(description),
            request: SpinLock::new(request),
            epoll: self.this.clone(),
            queued: AtomicBool::new(false),
            spent: AtomicBool::new(false),
            key: SpinLock::new(None),
        });
        if let Some(waiters) = description.file().waiters() {
            // All events: which ones count may be changed later.
            let key = waiters.add(Events::all(), Arc::new(ItemWaiter(Arc::downgrade(&item))));
            *item.key.lock() = Some(key);
        }
        items.insert(key, item.clone());
        drop(items);
        self.check(&item, description);
        Ok(())
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
        let item = self.find(fd, description)?;
        {
            let mut current = item.request.lock();
            if (current.events | request.events) & raw::EPOLLEXCLUSIVE != 0 {
                return err!(EINVAL);
            }
            *current = request;
        }
        item.spent.store(false, Ordering::Release);
        self.check(&item, description);
        Ok(())
    }

    /// EPOLL_CTL_DEL.
    ///
    /// # Errors
    /// ENOENT.
    pub(crate) fn delete(&self, fd: Fd, description: &Arc<FileDescription>) -> Result<(), Errno> {
        let key = (fd, Arc::as_ptr(description).addr());
        let item = self.items.lock().remove(&key).ok_or(Errno::ENOENT.here())?;
        unregister(&item);
        Ok(())
    }

    fn find(&self, fd: Fd, description: &Arc<FileDescription>) -> Result<Arc<Item>, Errno> {
        let key = (fd, Arc::as_ptr(description).addr());
        self.items.lock().get(&key).cloned().ok_or(Errno::ENOENT.here())
    }

    fn check(&self, item: &Arc<Item>, description: &FileDescription) {
        if description.file().poll().intersects(item.interest()) {
            item.queue(self);
        }
    }

    /// How deep the instances nest below this one; `None` if `above` is among them or it is deeper than `limit`.
    fn depth(&self, above: &Self, limit: usize) -> Option<usize> {
        let limit = limit.checked_sub(1)?;
        let watched: Vec<_> =
            self.items.lock().values().filter_map(|item| item.description.upgrade()).collect();
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

    /// Takes up to `max` events.
    ///
    /// # Errors
    /// EAGAIN if nothing is ready.
    pub(crate) fn take(&self, max: usize) -> Result<Vec<(u32, u64)>, Errno> {
        let mut taken = Vec::new();
        let mut again = Vec::new();
        // Only those that are on the list now: level-triggered ones come back.
        let mut left = self.ready.lock().len();
        while taken.len() < max && left > 0 {
            left -= 1;
            let Some(item) = self.ready.lock().pop_front() else { break };
            let Some(item) = item.upgrade() else { continue };
            item.queued.store(false, Ordering::Release);
            let Some(description) = item.description.upgrade() else { continue };
            if item.spent.load(Ordering::Acquire) {
                continue;
            }
            let events = description.file().poll() & item.interest();
            if events.is_empty() {
                continue;
            }
            let request = *item.request.lock();
            taken.push((events.bits(), request.data));
            if request.events & raw::EPOLLONESHOT != 0 {
                item.spent.store(true, Ordering::Release);
            } else if request.events & raw::EPOLLET == 0 {
                again.push(item);
            }
        }
        let mut ready = self.ready.lock();
        for item in again {
            if !item.queued.swap(true, Ordering::AcqRel) {
                ready.push_back(Arc::downgrade(&item));
            }
        }
        drop(ready);
        if taken.is_empty() { err!(EAGAIN) } else { Ok(taken) }
    }
}

fn unregister(item: &Item) {
    let key = item.key.lock().take();
    if let Some(key) = key
        && let Some(description) = item.description.upgrade()
        && let Some(waiters) = description.file().waiters()
    {
        waiters.remove(key);
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
            unregister(item);
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
        let ready: Vec<_> = self.ready.lock().iter().filter_map(Weak::upgrade).collect();
        let any = ready.iter().any(|item| {
            !item.spent.load(Ordering::Acquire)
                && item
                    .description
                    .upgrade()
                    .is_some_and(|description| description.file().poll().intersects(item.interest()))
        });
        if any { Events::READABLE } else { Events::empty() }
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.waiters)
    }

    fn fd_info(&self) -> Vec<u8> {
        let items = self.items.lock();
        let lines = items.values().filter(|item| item.description.strong_count() > 0).map(|item| {
            let request = *item.request.lock();
            let metadata =
                item.description.upgrade().map(|description| description.metadata()).unwrap_or_default();
            format!(
                "tfd: {:8} events: {:8x} data: {:16x}  pos:{} ino:{:x} sdev:{:x}\n",
                item.fd.0,
                request.events,
                request.data,
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

    fn watching(events: u32) -> (Arc<Epoll>, Arc<FileDescription>, Arc<FileDescription>) {
        let epoll = Epoll::new();
        let (read, write) = pipe();
        epoll.add(Fd(3), &read, Request { events, data: 7 }).unwrap();
        (epoll, read, write)
    }

    #[test]
    fn level_triggered_repeats_until_it_is_read() {
        let (epoll, read, write) = watching(raw::EPOLLIN);
        assert_eq!(epoll.take(8), Err(Errno::EAGAIN));
        put(&write, b"x");
        assert_eq!(epoll.take(8), Ok(alloc::vec![(raw::EPOLLIN, 7)]));
        assert_eq!(epoll.take(8), Ok(alloc::vec![(raw::EPOLLIN, 7)]));
        read.file().read(&mut VecSink::new(8)).unwrap();
        assert_eq!(epoll.take(8), Err(Errno::EAGAIN));
    }

    #[test]
    fn edge_triggered_fires_once_a_change() {
        let (epoll, _read, write) = watching(raw::EPOLLIN | raw::EPOLLET);
        put(&write, b"x");
        assert!(epoll.take(8).is_ok());
        assert_eq!(epoll.take(8), Err(Errno::EAGAIN));
        put(&write, b"y");
        assert!(epoll.take(8).is_ok());
    }

    #[test]
    fn one_shot_waits_for_a_modification() {
        let (epoll, read, write) = watching(raw::EPOLLIN | raw::EPOLLONESHOT);
        put(&write, b"x");
        assert!(epoll.take(8).is_ok());
        put(&write, b"y");
        assert_eq!(epoll.take(8), Err(Errno::EAGAIN));
        epoll.modify(Fd(3), &read, Request { events: raw::EPOLLIN, data: 9 }).unwrap();
        assert_eq!(epoll.take(8), Ok(alloc::vec![(raw::EPOLLIN, 9)]));
    }

    #[test]
    fn hang_up_is_always_reported_and_closed_files_vanish() {
        let (epoll, read, write) = watching(0);
        drop(write);
        assert_eq!(epoll.take(8), Ok(alloc::vec![(raw::EPOLLHUP, 7)]));
        drop(read);
        assert_eq!(epoll.take(8), Err(Errno::EAGAIN));
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
}
