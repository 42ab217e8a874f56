//! The table of flows: which socket a segment belongs to.

use super::socket::TcpSocket;
use super::time_wait::TimeWait;
use crate::addr::FlowKey;
use crate::hash::Key;
use crate::lock_level;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashTable;
use husk_machine::sync::SpinLock;

/// Parts of the table, each with its own lock.
const SHARDS: usize = 64;

/// Who has a flow.
#[derive(Clone)]
pub(crate) enum Flow {
    Socket(Arc<TcpSocket>),
    TimeWait(Box<TimeWait>),
}

/// What [`Flows::find`] finds.
pub(crate) enum Found {
    Nobody,
    Socket(Arc<TcpSocket>),
    TimeWait,
}

struct Entry {
    key: FlowKey,
    flow: Flow,
}

/// All flows, found by the keyed hash of both ends.
pub(crate) struct Flows {
    key: Key,
    shards: Vec<SpinLock<HashTable<Entry>>>,
}

impl Flows {
    pub(crate) fn new(key: Key) -> Self {
        let shard = || SpinLock::with_level(lock_level::FLOWS, HashTable::new());
        Self { key, shards: core::iter::repeat_with(shard).take(SHARDS).collect() }
    }

    /// The hash of a flow; also good for choosing a queue or a socket.
    pub(crate) fn hash(&self, key: &FlowKey) -> u64 {
        self.key.hash(&key.words())
    }

    fn shard(&self, hash: u64) -> &SpinLock<HashTable<Entry>> {
        // The table uses the low bits and the top seven.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    /// Who has a flow. A record is not handed out: dropping it may free a port, which needs a lock that comes before.
    pub(crate) fn find(&self, key: &FlowKey) -> Found {
        let hash = self.hash(key);
        match self.shard(hash).lock().find(hash, |entry| entry.key == *key) {
            None => Found::Nobody,
            Some(Entry { flow: Flow::Socket(socket), .. }) => Found::Socket(Arc::clone(socket)),
            Some(Entry { flow: Flow::TimeWait(_), .. }) => Found::TimeWait,
        }
    }

    /// Adds a flow. False if somebody has it.
    pub(crate) fn insert(&self, key: FlowKey, flow: Flow) -> bool {
        let hash = self.hash(&key);
        let mut shard = self.shard(hash).lock();
        if shard.find(hash, |entry| entry.key == key).is_some() {
            return false;
        }
        shard.insert_unique(hash, Entry { key, flow }, |entry| self.hash(&entry.key));
        true
    }

    /// Puts a record in the place of a socket's flow. False if the socket does not have it.
    pub(crate) fn replace(&self, key: &FlowKey, socket: &TcpSocket, record: Box<TimeWait>) -> bool {
        let hash = self.hash(key);
        let mut shard = self.shard(hash).lock();
        match shard.find_mut(hash, |entry| entry.key == *key) {
            Some(entry) if entry.flow.is_socket(socket) => {
                let old = core::mem::replace(&mut entry.flow, Flow::TimeWait(record));
                drop(shard);
                drop(old);
                true
            }
            _ => false,
        }
    }

    /// Changes a record in TIME-WAIT.
    pub(crate) fn with_time_wait<R>(
        &self,
        key: &FlowKey,
        change: impl FnOnce(&mut TimeWait) -> R,
    ) -> Option<R> {
        let hash = self.hash(key);
        match self.shard(hash).lock().find_mut(hash, |entry| entry.key == *key) {
            Some(Entry { flow: Flow::TimeWait(record), .. }) => Some(change(record)),
            _ => None,
        }
    }

    /// Removes a flow if it is the one that `wanted` says.
    pub(crate) fn remove(&self, key: &FlowKey, wanted: impl FnOnce(&Flow) -> bool) -> Option<Flow> {
        let hash = self.hash(key);
        let mut shard = self.shard(hash).lock();
        let entry = shard.find_entry(hash, |entry| entry.key == *key).ok()?;
        if !wanted(&entry.get().flow) {
            return None;
        }
        let (entry, _) = entry.remove();
        if shard.is_empty() {
            // Many connections at once must not cost memory for ever.
            *shard = HashTable::new();
        }
        Some(entry.flow)
    }

    /// All flows, a shard at a time, in no order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&FlowKey, &Flow)) {
        for shard in &self.shards {
            let flows: Vec<(FlowKey, Flow)> =
                shard.lock().iter().map(|entry| (entry.key, entry.flow.clone())).collect();
            flows.iter().for_each(|(key, flow)| visit(key, flow));
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

impl Flow {
    pub(crate) fn is_socket(&self, socket: &TcpSocket) -> bool {
        matches!(self, Self::Socket(own) if core::ptr::eq(Arc::as_ptr(own), socket))
    }
}
