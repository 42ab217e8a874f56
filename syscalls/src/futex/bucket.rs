//! The queues of one bucket: who waits for which words, the oldest first.
//!
//! Entries and queues are numbered places in two tables that keep their memory, linked by those numbers. So adding an entry, taking one
//! out wherever it stands and moving one to another queue cost the same however many there are, and in the long run nothing is
//! allocated. Finding a queue goes through the words of the bucket, of which there are few.

use super::Key;
use super::pi::{Heir, Owner};
use super::waiter::Waiter;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The number of an entry, and of a queue.
const NONE: u32 = u32::MAX;

/// What an entry waits for.
pub(super) enum Kind {
    /// To be woken.
    Plain,
    /// To be given the lock.
    Lock(Heir),
    /// To be moved to the queue of a lock (FUTEX_WAIT_REQUEUE_PI).
    Requeue {
        /// The lock.
        to: Key,
        /// Who is to have it.
        heir: Heir,
    },
}

/// Somebody in a queue.
pub(super) struct Entry {
    pub(super) waiter: Arc<Waiter>,
    /// A wake-up has to have one of these.
    pub(super) bits: u32,
    pub(super) kind: Kind,
}

struct Slot {
    entry: Option<Entry>,
    queue: u32,
    /// The neighbours in the queue; in a free slot, `next` is the next free one.
    next: u32,
    previous: u32,
}

struct Queue {
    key: Key,
    first: u32,
    last: u32,
    /// Who has the lock, if this is the queue of one.
    owner: Option<Owner>,
}

/// The queues of one bucket.
pub(super) struct Bucket {
    slots: Vec<Slot>,
    free: u32,
    queues: Vec<Option<Queue>>,
}

/// An entry that was taken out, with the key of its queue if that is gone with it: dropped with no lock held, as it may be the last
/// reference to a file.
pub(super) struct Removed {
    pub(super) entry: Entry,
    _key: Option<Key>,
}

impl Removed {
    /// The entry, if the key need not be dropped elsewhere: the caller has another reference to what it refers to.
    pub(super) fn into_entry(self) -> Entry {
        self.entry
    }
}

impl Bucket {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: NONE, queues: Vec::new() }
    }

    /// The queue of a word, if somebody waits for it.
    pub(super) fn find(&self, key: &Key) -> Option<QueueAt> {
        let is = |queue: &Option<Queue>| queue.as_ref().is_some_and(|queue| queue.key == *key);
        self.queues.iter().position(is).map(|at| QueueAt(at as u32))
    }

    fn find_or_make(&mut self, key: &Key) -> QueueAt {
        if let Some(found) = self.find(key) {
            return found;
        }
        let queue = Queue { key: key.clone(), first: NONE, last: NONE, owner: None };
        let at = self.queues.iter().position(Option::is_none).unwrap_or_else(|| {
            self.queues.push(None);
            self.queues.len() - 1
        });
        self.queues[at] = Some(queue);
        QueueAt(at as u32)
    }

    fn queue(&mut self, at: QueueAt) -> &mut Queue {
        self.queues[at.0 as usize]
            .as_mut()
            .expect("a queue is looked at under the lock under which it was found")
    }

    /// Who has the lock that a queue is for.
    pub(super) fn owner(&mut self, at: QueueAt) -> &mut Option<Owner> {
        &mut self.queue(at).owner
    }

    /// The first entry of a queue.
    pub(super) fn first(&self, at: QueueAt) -> Option<Place> {
        let queue = self.queues[at.0 as usize].as_ref()?;
        (queue.first != NONE).then_some(Place(queue.first))
    }

    /// The entry behind this one.
    pub(super) fn next(&self, place: Place) -> Option<Place> {
        let next = self.slots[place.0 as usize].next;
        (next != NONE).then_some(Place(next))
    }

    /// An entry.
    pub(super) fn entry(&self, place: Place) -> &Entry {
        self.slots[place.0 as usize]
            .entry
            .as_ref()
            .expect("a place is looked at under the lock under which it was found")
    }

    /// Adds an entry at the end of the queue of a word.
    pub(super) fn push(&mut self, key: &Key, entry: Entry) -> Place {
        let queue_at = self.find_or_make(key);
        let last = self.queue(queue_at).last;
        let slot = Slot { entry: Some(entry), queue: queue_at.0, next: NONE, previous: last };
        let at = if self.free == NONE {
            self.slots.push(slot);
            self.slots.len() as u32 - 1
        } else {
            let at = self.free;
            self.free = core::mem::replace(&mut self.slots[at as usize], slot).next;
            at
        };
        match last {
            NONE => self.queue(queue_at).first = at,
            last => self.slots[last as usize].next = at,
        }
        self.queue(queue_at).last = at;
        Place(at)
    }

    /// Takes an entry out; a queue that becomes empty is gone.
    pub(super) fn remove(&mut self, place: Place) -> Removed {
        let free = Slot { entry: None, queue: NONE, next: self.free, previous: NONE };
        let old = core::mem::replace(&mut self.slots[place.0 as usize], free);
        self.free = place.0;
        let queue_at = QueueAt(old.queue);
        match old.previous {
            NONE => self.queue(queue_at).first = old.next,
            previous => self.slots[previous as usize].next = old.next,
        }
        match old.next {
            NONE => self.queue(queue_at).last = old.previous,
            next => self.slots[next as usize].previous = old.previous,
        }
        let mut key = None;
        if self.queue(queue_at).first == NONE
            && let Some(queue) = self.queues[queue_at.0 as usize].take()
        {
            if let Some(owner) = &queue.owner {
                owner.forget(&queue.key);
            }
            key = Some(queue.key);
        }
        let entry = old.entry.expect("an entry is taken out once");
        Removed { entry, _key: key }
    }

    /// The waiter at a place, if there is one.
    pub(super) fn waiter_at(&self, place: Place) -> Option<&Arc<Waiter>> {
        self.slots.get(place.0 as usize)?.entry.as_ref().map(|entry| &entry.waiter)
    }
}

/// Where a queue is, while the bucket is locked and the queue not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueAt(u32);

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) u32);
