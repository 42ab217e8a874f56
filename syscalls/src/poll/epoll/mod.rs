//! An epoll instance (epoll(7)): which files are watched, and which of them may be ready.
//!
//! Each watched file has an [`Item`] registered with the object's waiters. A wake-up puts the item on the ready list and wakes one of
//! those who wait for the instance; that one takes items off, asks the object what it is ready for, puts level-triggered ones back, and
//! wakes the next if some are left.

mod item;

pub(crate) use item::Watchers;

use crate::args::Fd;
use crate::file::{File, FileDescription, anon};
use crate::wait::{Events, Waiters};
use alloc::collections::btree_map::{BTreeMap, Entry};
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_fs::Metadata;
use husk_machine::sync::{Mutex, SpinLock};
use item::{Item, Key, Ready};
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

impl Epoll {
    /// An instance that watches nothing.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            items: Mutex::new(BTreeMap::new()),
            closed: SpinLock::new(Vec::new()),
            ready: Ready::new(),
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
            let item = place.insert(Item::new(key, description, self.this.clone(), self.ready.clone()));
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
        if !self.may_be_ready() {
            return err!(EAGAIN);
        }
        self.with_items(|_| {
            let mut taken = 0;
            // Only those that are on the list now: level-triggered ones come back.
            let mut left = self.ready.len();
            while taken < max && left > 0 {
                left -= 1;
                let Some((item, events)) = self.next_ready() else { continue };
                let flags = item.events();
                if let Err(error) = emit(taken, events.bits(), item.data.load(Ordering::Relaxed)) {
                    self.ready.push(item, true);
                    return if taken > 0 { Ok(taken) } else { Err(error) };
                }
                taken += 1;
                if flags & raw::EPOLLONESHOT != 0 {
                    item.switch_off();
                } else if flags & raw::EPOLLET == 0 {
                    self.ready.push(item, false);
                }
            }
            if taken > 0 { Ok(taken) } else { err!(EAGAIN) }
        })
    }

    /// Takes the first item off the ready list; none if it is not ready (any more).
    fn next_ready(&self) -> Option<(Arc<Item>, Events)> {
        let item = self.ready.pop()?;
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

    /// Whether something may be ready.
    pub(crate) fn may_be_ready(&self) -> bool {
        self.ready.len() > 0
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
        self.ready.close();
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
            let mut left = self.ready.len();
            while left > 0 {
                left -= 1;
                if let Some((item, _)) = self.next_ready() {
                    self.ready.push(item, true);
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
mod tests;
