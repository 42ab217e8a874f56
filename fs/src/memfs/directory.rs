//! Directories.

use super::MemFs;
use super::node::{Body, Node};
use crate::ext4::{DiskInode, RawEntry};
use crate::{DirEntry, FileKind, NewInode, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashMap;
use husk_abi::err;
use husk_machine::sync::{Mutex, MutexGuard};

/// The position of the first entry; those before stand for `.` and `..`.
const FIRST: u64 = 3;

/// One name.
#[derive(Clone)]
struct Entry {
    name: Arc<[u8]>,
    ino: u64,
    kind: FileKind,
    /// The file, if it is not one of the image's.
    node: Option<Arc<Node>>,
}

/// The names in a directory, in the order they came.
pub(super) struct Directory {
    by_position: BTreeMap<u64, Entry>,
    by_name: HashMap<Arc<[u8]>, u64>,
    next: u64,
    /// Whether the image's entries are still to be taken over.
    on_image: bool,
}

impl Directory {
    pub(super) fn empty() -> Self {
        Self { by_position: BTreeMap::new(), by_name: HashMap::new(), next: FIRST, on_image: false }
    }

    pub(super) fn on_image() -> Self {
        Self { on_image: true, ..Self::empty() }
    }

    pub(super) fn len(&self) -> usize {
        self.by_position.len()
    }

    fn get(&self, name: &[u8]) -> Option<&Entry> {
        self.by_position.get(self.by_name.get(name)?)
    }

    fn insert(&mut self, entry: Entry) {
        let position = self.next;
        self.next += 1;
        self.by_name.insert(entry.name.clone(), position);
        self.by_position.insert(position, entry);
    }

    fn remove(&mut self, name: &[u8]) -> Option<Entry> {
        let position = self.by_name.remove(name)?;
        self.by_position.remove(&position)
    }

    /// Puts another file under a name that is there, in its position.
    fn replace(&mut self, name: &[u8], with: &Entry) {
        if let Some(entry) = self.by_name.get(name).and_then(|position| self.by_position.get_mut(position)) {
            *entry = Entry { name: entry.name.clone(), ..with.clone() };
        }
    }

    /// Takes all entries out; the answer is those files that are only in memory.
    pub(super) fn take_nodes(&mut self) -> Vec<Arc<Node>> {
        self.by_name.clear();
        core::mem::take(&mut self.by_position).into_values().filter_map(|entry| entry.node).collect()
    }

    /// Takes the image's entries over.
    fn load(&mut self, fs: &MemFs, image: &DiskInode) -> Result<()> {
        let mut loaded = Self::empty();
        image.read_entries(&mut |RawEntry { ino, kind, name }| {
            // A name can be there twice only on a damaged image: the first one counts.
            if !loaded.by_name.contains_key(name) {
                let kind = match kind {
                    Some(kind) => kind,
                    // An old filesystem whose directories do not say it.
                    None => fs.node_of(u64::from(ino))?.file_kind(),
                };
                loaded.insert(Entry { name: Arc::from(name), ino: u64::from(ino), kind, node: None });
            }
            Ok(())
        })?;
        *self = loaded;
        Ok(())
    }
}

impl Node {
    /// The entries, taken over from the image if they have not been.
    fn entries(&self) -> Result<MutexGuard<'_, Directory>> {
        let Body::Directory(directory) = &self.body else { return err!(ENOTDIR) };
        let directory: &Mutex<Directory> = directory;
        let mut guard = directory.lock();
        if guard.on_image
            && let Some(image) = &self.image
        {
            guard.load(&self.fs, image)?;
        }
        Ok(guard)
    }

    fn node_of(&self, entry: &Entry) -> Result<Arc<Self>> {
        match &entry.node {
            Some(node) => Ok(node.clone()),
            None => self.fs.node_of(entry.ino),
        }
    }

    fn entry(&self, name: &[u8]) -> Result<Entry> {
        match self.entries()?.get(name) {
            Some(entry) => Ok(entry.clone()),
            None => err!(ENOENT),
        }
    }

    pub(super) fn find(&self, name: &[u8]) -> Result<Arc<Self>> {
        self.node_of(&self.entry(name)?)
    }

    pub(super) fn create_entry(&self, name: &[u8], new: &NewInode) -> Result<Arc<Self>> {
        if self.entries()?.get(name).is_some() {
            return err!(EEXIST);
        }
        let is_directory = new.kind.kind() == FileKind::Directory;
        let node = Self::create(&self.fs, new, if is_directory { 2 } else { 1 }, false)?;
        self.insert_node(name, &node)?;
        self.entries_changed(i32::from(is_directory));
        Ok(node)
    }

    fn insert_node(&self, name: &[u8], node: &Arc<Self>) -> Result<()> {
        let on_image = node.image.is_some();
        let entry = Entry {
            name: Arc::from(name),
            ino: node.number(),
            kind: node.file_kind(),
            node: (!on_image).then(|| node.clone()),
        };
        self.entries()?.insert(entry);
        Ok(())
    }

    pub(super) fn link_entry(&self, name: &[u8], file: &Arc<Self>) -> Result<()> {
        if self.entries()?.get(name).is_some() {
            return err!(EEXIST);
        }
        if file.is_directory() {
            return err!(EPERM);
        }
        file.add_name()?;
        self.insert_node(name, file)?;
        self.entries_changed(0);
        Ok(())
    }

    pub(super) fn remove_entry(&self, name: &[u8], as_directory: bool) -> Result<()> {
        let victim = self.find(name)?;
        match (as_directory, victim.is_directory()) {
            (true, false) => return err!(ENOTDIR),
            (false, true) => return err!(EISDIR),
            (true, true) => victim.check_empty()?,
            (false, false) => {}
        }
        self.entries()?.remove(name);
        victim.remove_name();
        self.entries_changed(-i32::from(as_directory));
        Ok(())
    }

    fn check_empty(&self) -> Result<()> {
        if self.entries()?.len() == 0 { Ok(()) } else { err!(ENOTEMPTY) }
    }

    pub(super) fn rename_entry(&self, old: &[u8], new_dir: &Arc<Self>, new: &[u8]) -> Result<()> {
        let entry = self.entry(old)?;
        let moved = self.node_of(&entry)?;
        let replaced = new_dir.entries()?.get(new).cloned();
        let mut directories_in_new = i32::from(moved.is_directory());
        if let Some(replaced) = replaced {
            let replaced = new_dir.node_of(&replaced)?;
            match (moved.is_directory(), replaced.is_directory()) {
                (true, false) => return err!(ENOTDIR),
                (false, true) => return err!(EISDIR),
                (true, true) => {
                    replaced.check_empty()?;
                    directories_in_new = 0;
                }
                (false, false) => {}
            }
            new_dir.entries()?.remove(new);
            replaced.remove_name();
        }
        self.entries()?.remove(old);
        new_dir.entries()?.insert(Entry { name: Arc::from(new), ..entry });
        moved.touch();
        self.entries_changed(-i32::from(moved.is_directory()));
        new_dir.entries_changed(directories_in_new);
        Ok(())
    }

    pub(super) fn exchange_entries(&self, mine: &[u8], other_dir: &Arc<Self>, other: &[u8]) -> Result<()> {
        let (my_entry, other_entry) = (self.entry(mine)?, other_dir.entry(other)?);
        let (my_node, other_node) = (self.node_of(&my_entry)?, other_dir.node_of(&other_entry)?);
        self.entries()?.replace(mine, &other_entry);
        other_dir.entries()?.replace(other, &my_entry);
        my_node.touch();
        other_node.touch();
        let difference = i32::from(other_node.is_directory()) - i32::from(my_node.is_directory());
        self.entries_changed(difference);
        other_dir.entries_changed(-difference);
        Ok(())
    }

    pub(super) fn list(&self, offset: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> bool) -> Result<()> {
        let directory = self.entries()?;
        for (&position, entry) in directory.by_position.range(offset.saturating_add(1)..) {
            let shown =
                DirEntry { ino: entry.ino, kind: entry.kind, name: &entry.name, next_offset: position };
            if !emit(&shown) {
                break;
            }
        }
        Ok(())
    }
}
