//! A file that an epoll instance watches, and the list of those that may be ready.

use super::{Epoll, FLAGS, Request};
use crate::args::Fd;
use crate::file::{File, FileDescription};
use crate::wait::{Events, Waiter, Waiters};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use husk_machine::sync::SpinLock;
use linux_raw_sys::general as raw;

/// A watched file.
pub(crate) struct Item {
    this: Weak<Self>,
    pub(super) key: Key,
    pub(super) description: Weak<FileDescription>,
    /// The events asked for, with flags. Without an event it is switched off: EPOLLONESHOT has fired, or it is not watched any
    /// more.
    events: AtomicU32,
    pub(super) data: AtomicU64,
    epoll: Weak<Epoll>,
    ready: Arc<Ready>,
    /// On the ready list.
    pub(super) queued: AtomicBool,
    /// The registration with the object's waiters.
    pub(super) registration: SpinLock<Option<u64>>,
}

/// By descriptor and description, as one number can come to mean another file.
pub(super) type Key = (Fd, usize);

/// Which items may be ready, and who waits for that.
pub(super) struct Ready {
    list: SpinLock<List>,
    pub(super) waiters: Waiters,
}

#[derive(Default)]
struct List {
    items: VecDeque<Arc<Item>>,
    /// The instance is gone: nothing is put here any more, as it would keep itself.
    closed: bool,
}

impl Ready {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { list: SpinLock::new(List::default()), waiters: Waiters::new() })
    }

    pub(super) fn len(&self) -> usize {
        self.list.lock().items.len()
    }

    /// Takes the first one off.
    pub(super) fn pop(&self) -> Option<Arc<Item>> {
        self.list.lock().items.pop_front()
    }

    /// Puts an item at the end, or at the front, unless it is on the list.
    pub(super) fn push(&self, item: Arc<Item>, first: bool) {
        if item.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut list = self.list.lock();
        if list.closed {
            return;
        }
        if first {
            list.items.push_front(item);
        } else {
            list.items.push_back(item);
        }
    }

    /// The instance goes.
    pub(super) fn close(&self) {
        let left = {
            let mut list = self.list.lock();
            list.closed = true;
            core::mem::take(&mut list.items)
        };
        drop(left);
    }
}

impl Item {
    /// A file that an instance watches, switched off.
    pub(super) fn new(
        key: Key,
        description: &Arc<FileDescription>,
        epoll: Weak<Epoll>,
        ready: Arc<Ready>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            key,
            description: Arc::downgrade(description),
            events: AtomicU32::new(0),
            data: AtomicU64::new(0),
            epoll,
            ready,
            queued: AtomicBool::new(false),
            registration: SpinLock::new(None),
        })
    }

    pub(super) fn events(&self) -> u32 {
        self.events.load(Ordering::Acquire)
    }

    /// What is waited for; nothing if it is switched off.
    pub(super) fn interest(&self) -> Events {
        Events::from_bits_truncate(self.events() & !FLAGS)
    }

    pub(super) fn set(&self, request: Request) {
        self.data.store(request.data, Ordering::Relaxed);
        self.events.store(request.events | Events::ALWAYS.bits(), Ordering::Release);
    }

    pub(super) fn switch_off(&self) {
        self.events.fetch_and(FLAGS, Ordering::AcqRel);
    }

    /// Puts it on the ready list. Whether somebody was woken.
    pub(super) fn queue(&self) -> bool {
        if !self.queued.load(Ordering::Acquire)
            && let Some(item) = self.this.upgrade()
        {
            self.ready.push(item, false);
        }
        self.ready.waiters.wake(Events::READABLE)
    }

    /// No event of this file comes any more.
    pub(super) fn unregister(&self, file: &dyn File) {
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
    pub(super) fn add(&self, item: &Arc<Item>) {
        self.items.lock().push(Arc::downgrade(item));
    }

    pub(super) fn remove(&self, item: &Item) {
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
